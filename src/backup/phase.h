/*
 * src/backup/phase.h
 *		The steps of a cycle that need the database, each in a process.
 */
#ifndef VOXANNE_PHASE_H
#define VOXANNE_PHASE_H

#include "backup/cycle.h"
#include "datatype/timestamp.h"
#include "fmgr.h"

typedef enum VoxPhase
{
	VOX_PHASE_PLAN,				/* voxanne_cycle_plan() */
	VOX_PHASE_RECORD,			/* voxanne_cycle_record() and COMMIT */
	VOX_PHASE_CLAIM,			/* voxanne_cycle_claim() and COMMIT */
	VOX_PHASE_SETTLE			/* voxanne_cycle_settle() and COMMIT */
} VoxPhase;

typedef enum VoxPhaseEnd
{
	VOX_PHASE_DONE,
	VOX_PHASE_NO_EXTENSION,		/* not installed in the database; nothing was
								 * done */
	VOX_PHASE_ERROR,			/* text is the message; rolled back */
	VOX_PHASE_LOST				/* ended without an answer; rolled back */
} VoxPhaseEnd;

typedef struct VoxPhaseReply
{
	VoxPhaseEnd end;
	int			encoding;		/* of the database and so of the texts */
	VoxCycleDue due;
	bool		good;			/* of what was recorded */
	char	   *text;			/* the plan, or what is to be told, or a
								 * message; or NULL */
} VoxPhaseReply;

typedef struct VoxPhaseProcess VoxPhaseProcess;

extern VoxPhaseProcess *voxanne_phase_start(VoxPhase phase, VoxLaneId lane, Oid database, const char *name);
extern void voxanne_phase_request(VoxPhaseProcess *process, const char *first, const char *second);
extern void voxanne_phase_finish(VoxPhaseProcess *process, VoxPhaseReply *reply);
extern void voxanne_phase_dismiss(VoxPhaseProcess *process);
extern PGDLLEXPORT void voxanne_phase_main(Datum argument);

#endif							/* VOXANNE_PHASE_H */
