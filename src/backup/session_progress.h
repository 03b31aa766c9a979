/*
 * src/backup/session_progress.h
 *		How far verifications in sessions of users are.
 */
#ifndef VOXANNE_SESSION_PROGRESS_H
#define VOXANNE_SESSION_PROGRESS_H

#include "datatype/timestamp.h"

/* Verifications by CALL verify_backup() that are shown at the same time. */
#define VOX_MAX_SESSIONS 32

typedef struct VoxSessionProgress
{
	pid_t		pid;			/* 0: free */
	Oid			database;
	TimestampTz started;
	NameData	target;			/* cut */
	char		level[8];
	uint64		done_mb;		/* of its contents, read so far; of ... */
	uint64		total_mb;		/* ... so many; 0: not known */
} VoxSessionProgress;

extern void voxanne_session_progress_share(void);
extern void voxanne_session_progress_begin(const char *target, const char *level);
extern void voxanne_session_progress_end(void);
extern int	voxanne_session_progress_copy(VoxSessionProgress *sessions);
extern bool voxanne_agent_progress(const char *errors, uint64 *done_mb, uint64 *total_mb);

#endif							/* VOXANNE_SESSION_PROGRESS_H */
