/*
 * src/data/partition.h
 *		By what a table is partitioned, and so what one constraint can hold together.
 */
#ifndef VOXANNE_PARTITION_H
#define VOXANNE_PARTITION_H

#include "nodes/pg_list.h"

extern char *voxanne_partitioned_by_other(Oid relid, List *columns);
extern List *voxanne_partition_leaves(Oid relid);

#endif							/* VOXANNE_PARTITION_H */
