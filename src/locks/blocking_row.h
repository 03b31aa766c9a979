/*
 * src/locks/blocking_row.h
 *		A node of the forest as a row of blocking_locks(); private to this room.
 */
#ifndef VOXANNE_BLOCKING_ROW_H
#define VOXANNE_BLOCKING_ROW_H

#include "locks/forest.h"
#include "locks/lockname.h"

/* Our own columns, without the six of a finding. */
#define VOX_BLOCKING_COLS 20

/* One row on its way to the sink. */
typedef struct VoxBlockingRow
{
	Datum		values[VOX_BLOCKING_COLS];
	bool		nulls[VOX_BLOCKING_COLS];
	const VoxWait *about;		/* the wait that target and object speak of;
								 * NULL: none */
	char	   *target;			/* NULL: not known, or not to be told */
	char	   *held;
} VoxBlockingRow;

extern void voxanne_blocking_row(VoxBlockingRow *row, const VoxForest *forest, const VoxNaming *naming,
								 const VoxNode *node);
extern char *voxanne_blocking_key(const VoxNode *node);

#endif							/* VOXANNE_BLOCKING_ROW_H */
