/*
 * src/data/distributed.h
 *		Tables whose rows a distributed engine keeps on other servers.
 */
#ifndef VOXANNE_DISTRIBUTED_H
#define VOXANNE_DISTRIBUTED_H

#include "access/attnum.h"
#include "nodes/pg_list.h"

/* How the engine spreads a table's rows. */
typedef struct VoxDistribution
{
	Oid			relid;
	AttrNumber	column;			/* by which; InvalidAttrNumber: all rows are
								 * everywhere */
	int			colocation;		/* tables with the same number have equal
								 * values on the same server */
} VoxDistribution;

extern List *voxanne_distributions(void);
extern bool voxanne_distribution(Oid relid, VoxDistribution *distribution);
extern bool voxanne_is_remote(Oid relid);

#endif							/* VOXANNE_DISTRIBUTED_H */
