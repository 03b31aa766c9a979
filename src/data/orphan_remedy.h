/*
 * src/data/orphan_remedy.h
 *		The SQL that removes what is wrong with a reference.
 */
#ifndef VOXANNE_ORPHAN_REMEDY_H
#define VOXANNE_ORPHAN_REMEDY_H

#include "data/reference.h"

/* An inferred reference below this score, of 100, is reported, but its rows are not touched. */
#define VOX_SURE_ENOUGH 85

typedef struct VoxRemedy
{
	char	   *advice;			/* one sentence */
	char	   *sql;			/* or NULL */
} VoxRemedy;

extern void voxanne_orphan_remedy(const VoxReference *reference, VoxReferenceFault fault,
								  const VoxScanQuestion *found, int score, const char *key,
								  VoxRemedy *remedy);
extern List *voxanne_clearable_columns(const VoxReference *reference);
extern char *voxanne_set_null(Oid relid, List *columns);
extern bool voxanne_reference_possible(const VoxReference *reference);

#endif							/* VOXANNE_ORPHAN_REMEDY_H */
