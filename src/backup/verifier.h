/*
 * src/backup/verifier.h
 *		The worker that sees one database through one cycle.
 */
#ifndef VOXANNE_VERIFIER_H
#define VOXANNE_VERIFIER_H

#include "fmgr.h"

/* What the scheduler gives a verifier on its way, in bgw_extra. */
typedef struct VoxVerifierOrder
{
	int			slot;			/* index */
	uint64		launch;			/* the slot's; another one by now: the order
								 * is void */
} VoxVerifierOrder;

extern PGDLLEXPORT void voxanne_verifier_main(Datum argument);

#endif							/* VOXANNE_VERIFIER_H */
