/*
 * src/agent/wal_headers.h
 *		Checks of an archive's segments one by one.
 */
#ifndef VOXANNE_AGENT_WAL_HEADERS_H
#define VOXANNE_AGENT_WAL_HEADERS_H

#include "wal_segment.h"

/* Where to say what is wrong with a segment */
typedef struct HeaderChecks
{
	Check	   *readable;		/* files_readable */
	Check	   *identity;		/* system_identifier */
	Check	   *headers;		/* segment_headers */
	Check	   *unread;			/* segments_unread */
	uint64_t	n_looked;		/* segments that were looked into */
} HeaderChecks;

extern void note_segment(HeaderChecks *checks, Archive *archive, SegmentFile *file, SegmentState state,
						 const char *problem);
extern bool may_be_written(const Archive *archive, const SegmentFile *file);
extern void check_sizes(HeaderChecks *checks, Archive *archive);
extern void check_end_headers(HeaderChecks *checks, Archive *archive);
extern void conclude_headers(HeaderChecks *checks, const Archive *archive, bool all);

/* in wal_contents.c */
extern void verify_archive_contents(Report *report, HeaderChecks *checks, Archive *archive);

#endif							/* VOXANNE_AGENT_WAL_HEADERS_H */
