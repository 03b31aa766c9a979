/*
 * src/backup/verifier.h
 *		The worker that sees one lane of a database through one cycle.
 */
#ifndef VOXANNE_VERIFIER_H
#define VOXANNE_VERIFIER_H

#include "backup/lane.h"
#include "fmgr.h"

/* What the scheduler gives a verifier on its way, in bgw_extra. */
typedef struct VoxVerifierOrder
{
	int			slot;			/* index */
	VoxLaneId	lane;			/* of that */
	uint64		launch;			/* the lane's; another one by now: the order
								 * is void */
} VoxVerifierOrder;

extern PGDLLEXPORT void voxanne_verifier_main(Datum argument);

#endif							/* VOXANNE_VERIFIER_H */
