/*
 * src/core/relation.h
 *		Names, locks and look-ups of users' relations.
 */
#ifndef VOXANNE_RELATION_H
#define VOXANNE_RELATION_H

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/snapshot.h"

typedef enum VoxLockResult
{
	VOX_LOCKED,
	VOX_LOCK_BUSY,				/* somebody holds or awaits a conflicting lock */
	VOX_LOCK_GONE				/* the relation was dropped */
} VoxLockResult;

extern char *voxanne_relation_name(Oid relid);
extern char *voxanne_column_name(Oid relid, AttrNumber attnum);
extern char *voxanne_role_name(Oid roleid);
extern VoxLockResult voxanne_try_lock(Oid relid, LOCKMODE mode);
extern char *voxanne_lock_to_read(Oid relid);
extern bool voxanne_changed_since(Oid relid, Snapshot snapshot);
extern bool voxanne_is_foreign(Oid relid);
extern Oid	voxanne_relation_owner(Oid relid);
extern AttrNumber voxanne_find_column(Oid relid, const char *name);
extern bool voxanne_is_virtual(Oid relid, AttrNumber attnum);
extern bool voxanne_has_virtual(Oid relid, List *columns);
extern List *voxanne_primary_key(Oid relid);
extern bool voxanne_has_unique_key(Oid relid, List *columns);

#endif							/* VOXANNE_RELATION_H */
