/*
 * src/data/reference_parent.h
 *		What is wrong with the parent that a reference leads to.
 *
 * Unlike the faults in reference.h these do not exclude each other: the parent
 * of one row may be soft-deleted and another tenant's at once, and the row then
 * counts in both.  No such row is an orphan.
 */
#ifndef VOXANNE_REFERENCE_PARENT_H
#define VOXANNE_REFERENCE_PARENT_H

#include "data/orphan_remedy.h"
#include "data/reference.h"

typedef enum VoxParentFault
{
	VOX_PARENT_DELETED,			/* a live row, a soft-deleted parent */
	VOX_PARENT_OTHER_TENANT		/* the two rows' tenant columns differ */
} VoxParentFault;

#define VOX_PARENT_FAULTS (VOX_PARENT_OTHER_TENANT + 1)

/* reference_parent_sql.c */
extern char *voxanne_parent_condition(const VoxReference *reference, VoxParentFault fault,
									  bool live_only, const char *alias);
extern List *voxanne_parent_columns(const VoxReference *reference, VoxParentFault fault, bool of_parent);
extern int64 voxanne_parent_ask(const VoxReference *reference, VoxParentFault fault, bool live_only,
								const VoxScanQuestion *found);
extern Jsonb *voxanne_parent_sample(const VoxReference *reference, VoxParentFault fault,
									bool live_only, const VoxScanQuestion *found, int max_rows);
extern bool voxanne_tenant_key(const VoxReference *reference, VoxReference *key);

/* parent_remedy.c */
extern bool voxanne_child_can_go(const VoxReference *reference);
extern void voxanne_parent_remedy(const VoxReference *reference, VoxParentFault fault, bool sure,
								  const char *key, VoxRemedy *remedy);

#endif							/* VOXANNE_REFERENCE_PARENT_H */
