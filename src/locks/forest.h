/*
 * src/locks/forest.h
 *		The wait graph as trees: who is at the root of a jam, who is below.
 */
#ifndef VOXANNE_FOREST_H
#define VOXANNE_FOREST_H

#include "core/severity.h"
#include "locks/session.h"
#include "locks/waitgraph.h"
#include "nodes/bitmapset.h"

typedef struct VoxNode
{
	/* set by voxanne_forest_plant() */
	VoxParty   *party;
	bool		cycle;			/* waits, through others, for itself */
	int			depth;			/* longest way from a root; 0 for a root or a
								 * member of a cycle */
	struct VoxNode *parent;		/* its deepest blocker; NULL where depth is 0 */
	struct VoxNode *root;		/* of the tree it is shown in; itself where
								 * depth is 0 */
	List	   *children;		/* of VoxNode */
	Bitmapset  *below;			/* indexes of the parties it blocks, directly
								 * or not, through any edge */
	int			unplaced;		/* edges to blockers that have no place yet;
								 * scratch */

	/* set by voxanne_assess() */
	VoxSession *session;		/* NULL: gone since the look */
	const VoxWait *wait;		/* its longest wait; NULL: it does not wait */
	TimestampTz since;			/* when its own wait began; 0: it does not
								 * wait */
	TimestampTz longest;		/* when the longest wait below began; 0:
								 * nobody below */
	int			waiting;		/* parties below */
	int			victims;		/* client sessions among them */
	int			queued;			/* waiters that nobody blocks but by being
								 * ahead, as it is, in a queue */
	TimestampTz queued_since;	/* when the longest wait of these began; 0:
								 * none */
	bool		heads_queue;	/* these stand behind a relation lock that it
								 * awaits */
	VoxSeverity severity;
} VoxNode;

typedef struct VoxForest
{
	const VoxWaitGraph *graph;
	VoxNode    *nodes;			/* one per party, by its index */
	int			count;
	int			cycles;			/* nodes in cycles */
	List	   *tops;			/* of VoxNode with depth 0 */
} VoxForest;

extern VoxForest *voxanne_forest_plant(const VoxWaitGraph *graph);
extern VoxForest *voxanne_forest_look(void);
extern void voxanne_forest_order(VoxForest *forest);

#endif							/* VOXANNE_FOREST_H */
