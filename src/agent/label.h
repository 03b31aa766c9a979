/*
 * src/agent/label.h
 *		backup_label: where a backup begins, and on which one it builds.
 */
#ifndef VOXANNE_AGENT_LABEL_H
#define VOXANNE_AGENT_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where in WAL a backup begins: in one cluster no two begin at the same place. */
typedef struct BackupStart
{
	uint64_t	lsn;			/* 0: unknown, or none */
	uint32_t	timeline;
} BackupStart;

typedef struct BackupLabel
{
	bool		known;			/* else the rest means nothing */
	BackupStart start;
	BackupStart prior;			/* of the backup that this one builds on; none
								 * if it is a full one */
} BackupLabel;

static inline bool
same_start(BackupStart a, BackupStart b)
{
	return a.lsn == b.lsn && a.timeline == b.timeline;
}

extern bool find_line(const char *text, const char *label, char *value, size_t size);
extern bool parse_label(const char *text, BackupLabel *label, char **problem);
extern char *read_label(int dir, BackupLabel *label);

#endif							/* VOXANNE_AGENT_LABEL_H */
