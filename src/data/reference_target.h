/*
 * src/data/reference_target.h
 *		Foreign keys that seem to lead to the wrong table.
 */
#ifndef VOXANNE_REFERENCE_TARGET_H
#define VOXANNE_REFERENCE_TARGET_H

#include "nodes/pg_list.h"

typedef struct VoxTarget
{
	Oid			constraint;
	Oid			meant;			/* the table that the column's name suggests */
	int64		uses;			/* columns of that name that lead there; 0:
								 * the table goes by the name itself */
} VoxTarget;

extern List *voxanne_suspect_targets(Oid child, List *schemas);

#endif							/* VOXANNE_REFERENCE_TARGET_H */
