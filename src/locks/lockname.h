/*
 * src/locks/lockname.h
 *		Names of what is locked.
 */
#ifndef VOXANNE_LOCKNAME_H
#define VOXANNE_LOCKNAME_H

#include "locks/waitgraph.h"
#include "storage/itemptr.h"

/* Catalogs are locked while names are made; see voxanne_naming_begin(). */
#define VOX_NAMING_CATALOGS 5

typedef struct VoxNaming
{
	bool		locked[VOX_NAMING_CATALOGS];
	Oid			labels;			/* advisory_lock_name; InvalidOid: not there */
} VoxNaming;

extern void voxanne_naming_begin(VoxNaming *naming, Oid own_schema);
extern bool voxanne_naming_roles(const VoxNaming *naming);
extern void voxanne_naming_end(VoxNaming *naming);
extern char *voxanne_lock_target(const VoxNaming *naming, const VoxWait *wait);
extern char *voxanne_lock_object(const VoxNaming *naming, const VoxWait *wait);
extern char *voxanne_database_name(const VoxNaming *naming, Oid database);
extern char *voxanne_user_name(const VoxNaming *naming, Oid userid);
extern Oid	voxanne_lock_database(const VoxWait *wait);

/* rowkey.c */
extern char *voxanne_row_key(Oid relid, ItemPointer tid);

/* advisory.c */
extern char *voxanne_advisory_label(Oid labels, const LOCKTAG *tag);

#endif							/* VOXANNE_LOCKNAME_H */
