/*
 * src/backup/log.h
 *		Writing backup_verification_log and telling listeners.
 */
#ifndef VOXANNE_LOG_H
#define VOXANNE_LOG_H

#include "backup/target.h"
#include "core/severity.h"

/* One row to be. */
typedef struct VoxLogRow
{
	const char *target;
	const char *level;
	TimestampTz verified_at;
	VoxSeverity severity;		/* info: success, warning, critical: failure */
	const char *proof;			/* or NULL */
	const char *backup_id;		/* or NULL */
	int64		age;			/* microseconds; -1: unknown */
	int64		size_bytes;		/* -1: unknown */
	int64		duration;		/* microseconds */
	int			passed;
	int			failed;
	const char *errors;			/* JSON, or NULL */
	const char *details;		/* JSON, or NULL */
	const char *message;		/* one sentence, for listeners */
	char	   *id;				/* set by voxanne_log_write() */
} VoxLogRow;

extern TimestampTz voxanne_log_time(VoxStore *store, TimestampTz now);
extern void voxanne_log_write(VoxStore *store, VoxLogRow *row);
extern void voxanne_log_prune(VoxStore *store, TimestampTz now);

#endif							/* VOXANNE_LOG_H */
