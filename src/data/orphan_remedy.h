/*
 * src/data/orphan_remedy.h
 *		The SQL that removes what is wrong with a reference.
 */
#ifndef VOXANNE_ORPHAN_REMEDY_H
#define VOXANNE_ORPHAN_REMEDY_H

#include "data/reference.h"

typedef struct VoxRemedy
{
	char	   *advice;			/* one sentence */
	char	   *sql;			/* or NULL */
} VoxRemedy;

extern void voxanne_orphan_remedy(const VoxReference *reference, VoxReferenceFault fault,
								  const VoxScanQuestion *found, int score, const char *key,
								  VoxRemedy *remedy);

#endif							/* VOXANNE_ORPHAN_REMEDY_H */
