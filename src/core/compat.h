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

#endif							/* VOXANNE_COMPAT_H */
