/*
 * src/core/compat.h
 *		The only place that looks at the server's version.
 *
 * Supported and tested: 15, 17, 18; 16 by construction; 19 as a preview.
 * Each shim names what changed.
 */
#ifndef VOXANNE_COMPAT_H
#define VOXANNE_COMPAT_H

#include "pg_config.h"

#if PG_VERSION_NUM < 150000
#error "voxanne_ops needs PostgreSQL 15 or later"
#endif

#define PG16_GE (PG_VERSION_NUM >= 160000)
#define PG17_GE (PG_VERSION_NUM >= 170000)
#define PG18_GE (PG_VERSION_NUM >= 180000)
#define PG19_GE (PG_VERSION_NUM >= 190000)

/* 18 lets a module state its name and version, shown by pg_get_loaded_modules() */
#if PG18_GE
#define VOXANNE_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "voxanne_ops", .version = VOXANNE_VERSION)
#else
#define VOXANNE_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 16, and late minors of 15, have the typed allocators */
#ifndef palloc_array
#define palloc_array(type, count) ((type *) palloc(sizeof(type) * (Size) (count)))
#define palloc0_array(type, count) ((type *) palloc0(sizeof(type) * (Size) (count)))
#endif
#ifndef palloc_object
#define palloc_object(type) ((type *) palloc(sizeof(type)))
#define palloc0_object(type) ((type *) palloc0(sizeof(type)))
#endif

/* 18 renamed it; stands before a declaration */
#if PG18_GE
#define VOXANNE_NORETURN pg_noreturn
#else
#define VOXANNE_NORETURN pg_attribute_noreturn()
#endif

/* 15 exports a function only if it is not hidden; from 16 on modules are built with hidden symbols */
#define VOXANNE_FUNCTION(name) \
	PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

/*
 * 17: a wait set belongs to a resource owner, before to a memory context; we
 * free it ourselves.  Waits have names of their own from 17 on.
 */
#if PG17_GE
#define voxanne_create_wait_set(size) CreateWaitEventSet(NULL, size)
#define voxanne_wait_event(name) WaitEventExtensionNew(name)
#else
#define voxanne_create_wait_set(size) CreateWaitEventSet(CurrentMemoryContext, size)
#define voxanne_wait_event(name) PG_WAIT_EXTENSION
#endif

/* 18: RelationGetPrimaryKeyIndex() can be told to pass over a deferrable key */
#if PG18_GE
#define voxanne_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel, false)
#else
#define voxanne_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/* 16: the snapshot of all sessions' activity is read by index under another name */
#if PG16_GE
#define voxanne_activity(index) pgstat_get_local_beentry_by_index(index)
#else
#define voxanne_activity(index) pgstat_fetch_stat_local_beentry(index)
#endif

/* 16: a process's list of locks is a dlist, no SHM_QUEUE any more */
#if PG16_GE
#define voxanne_first_proclock(list) \
	(dlist_is_empty(list) ? NULL : dlist_head_element(PROCLOCK, procLink, list))
#define voxanne_next_proclock(list, proclock) \
	(dlist_has_next(list, &(proclock)->procLink) ? \
	 dlist_container(PROCLOCK, procLink, dlist_next_node(list, &(proclock)->procLink)) : NULL)
#else
#define voxanne_first_proclock(list) \
	((PROCLOCK *) SHMQueueNext(list, list, offsetof(PROCLOCK, procLink)))
#define voxanne_next_proclock(list, proclock) \
	((PROCLOCK *) SHMQueueNext(list, &(proclock)->procLink, offsetof(PROCLOCK, procLink)))
#endif

/* 16 brought a lock tag for logical replication, after the last one of 15 */
#define VOX_LOCKTAG_APPLY (LOCKTAG_ADVISORY + 1)

/* 17: virtual transactions carry a process number instead of a backend id, and a lock's data one whole */
#if PG17_GE
#define VOX_VXID_OWNER(vxid) ((vxid).procNumber)
#define VOX_LOCK_VXID(instance) ((instance)->vxid)
#define VOX_WAIT_BUFFER_PIN PG_WAIT_BUFFERPIN
#else
#define VOX_VXID_OWNER(vxid) ((vxid).backendId)
#define VOX_LOCK_VXID(instance) ((VirtualTransactionId) {(instance)->backend, (instance)->lxid})
#define VOX_WAIT_BUFFER_PIN PG_WAIT_BUFFER_PIN
#endif

/* 19: VACUUM FULL and CLUSTER became REPACK, which reports under that name */
#if PG19_GE
#define VOX_PROGRESS_REWRITE PROGRESS_COMMAND_REPACK
#define VOX_PROGRESS_REWRITE_DONE PROGRESS_REPACK_HEAP_BLKS_SCANNED
#define VOX_PROGRESS_REWRITE_TOTAL PROGRESS_REPACK_TOTAL_HEAP_BLKS
#else
#define VOX_PROGRESS_REWRITE PROGRESS_COMMAND_CLUSTER
#define VOX_PROGRESS_REWRITE_DONE PROGRESS_CLUSTER_HEAP_BLKS_SCANNED
#define VOX_PROGRESS_REWRITE_TOTAL PROGRESS_CLUSTER_TOTAL_HEAP_BLKS
#endif

/* 16 moved the user and the privileges that a range table entry asks for into a node of their own */
#if PG16_GE
#define voxanne_rte_ask(query, rte, userid, perms) \
	do { \
		RTEPermissionInfo *perminfo_ = addRTEPermissionInfo(&(query)->rteperminfos, (rte)); \
		perminfo_->checkAsUser = (userid); \
		perminfo_->requiredPerms = (perms); \
	} while (0)
#else
#define voxanne_rte_ask(query, rte, userid, perms) \
	do { \
		(rte)->checkAsUser = (userid); \
		(rte)->requiredPerms = (perms); \
	} while (0)
#endif

/* 16 replaced the access check of each kind of object by one */
#if PG16_GE
#define voxanne_schema_usable(schema, role) \
	(object_aclcheck(NamespaceRelationId, (schema), (role), ACL_USAGE) == ACLCHECK_OK)
#define voxanne_function_executable(funcid, role) \
	(object_aclcheck(ProcedureRelationId, (funcid), (role), ACL_EXECUTE) == ACLCHECK_OK)
#else
#define voxanne_function_executable(funcid, role) \
	(pg_proc_aclcheck((funcid), (role), ACL_EXECUTE) == ACLCHECK_OK)
#define voxanne_schema_usable(schema, role) \
	(pg_namespace_aclcheck((schema), (role), ACL_USAGE) == ACLCHECK_OK)
#endif

/* 16 tells a membership that allows SET ROLE from one that does not: pg_has_role()'s word for it */
#if PG16_GE
#define VOXANNE_MAY_SET_ROLE "SET"
#else
#define VOXANNE_MAY_SET_ROLE "MEMBER"
#endif

/* 18 speaks of the index access methods that order, of which btree is one */
#if PG18_GE
#define voxanne_is_ordering_operator(opno) (get_op_index_interpretation(opno) != NIL)
#else
#define voxanne_is_ordering_operator(opno) (get_op_btree_interpretation(opno) != NIL)
#endif

/* 18 has NOT NULL constraints that were never validated */
#if PG18_GE
#define voxanne_column_not_null(desc, attnum) \
	(TupleDescCompactAttr((desc), (attnum) - 1)->attnullability == ATTNULLABLE_VALID)
#else
#define voxanne_column_not_null(desc, attnum) \
	(TupleDescAttr((desc), (attnum) - 1)->attnotnull)
#endif

/* 18 has foreign keys that are not enforced, and temporal ones */
#if PG18_GE
#define voxanne_constraint_enforced(form) ((form)->conenforced)
#define voxanne_constraint_has_period(form) ((form)->conperiod)
#else
#define voxanne_constraint_enforced(form) true
#define voxanne_constraint_has_period(form) false
#endif

/* 18 lists NOT NULL constraints, which may be NOT VALID */
#if PG18_GE
#define VOX_CONSTRAINT_NOT_NULL CONSTRAINT_NOTNULL
#else
#define VOX_CONSTRAINT_NOT_NULL 'n'
#endif

/* 17 lets a module name its wait events; call once a process and keep the answer */
#if PG17_GE
#define voxanne_new_wait_event(name) WaitEventExtensionNew(name)
#else
#define voxanne_new_wait_event(name) PG_WAIT_EXTENSION
#endif

/* 17 takes exclusion constraints on partitioned tables */
#define VOX_PARTITIONED_EXCLUSION PG17_GE

/* 19 names a tranche when it is made; before, each process does, which fork() passes on */
#if PG19_GE
#define voxanne_new_tranche(id, name) ((id) = LWLockNewTrancheId(name))
#else
#define voxanne_new_tranche(id, name) \
	((id) = LWLockNewTrancheId(), LWLockRegisterTranche((id), (name)))
#endif

#endif							/* VOXANNE_COMPAT_H */
