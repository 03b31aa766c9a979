/*
 * src/agent/contents.h
 *		Level "verify": what the files of a backup contain.
 */
#ifndef VOXANNE_AGENT_CONTENTS_H
#define VOXANNE_AGENT_CONTENTS_H

#include "backup.h"
#include "findings.h"
#include "pace.h"

/* Why the pages of a backup are not looked at, or NULL: they are. */
extern const char *why_no_pages(const Backup *backup);

extern void conclude_checksums(Check *check, const Manifest *manifest, uint32_t matching);
extern uint64_t verify_contents(Report *report, Backup *backup, const Options *options, Check *readable);

/* in tar_backup.c */
extern void read_tar_backup(Report *report, Backup *backup, const Options *options);

/* in wal.c */
extern void verify_wal(Report *report, const Backup *backup, const Options *options,
					   Pace *pace, PageFindings *findings);

/* in page_verdict.c */
extern void report_pages(Report *report, const Backup *backup, const PageFindings *findings, uint64_t n_pages);

#endif							/* VOXANNE_AGENT_CONTENTS_H */
