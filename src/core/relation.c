/*
 * src/core/relation.c
 *		Names, locks and look-ups of users' relations.
 *
 * Nothing here waits: a LOOK function must not queue behind DDL, where it
 * would make everybody behind it wait as well.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "core/compat.h"
#include "core/relation.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/*
 * Quoted identity "schema.relation", always with the schema.  NULL if the
 * relation does not exist (any more).
 */
char *
voxanne_relation_name(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));

	if (name == NULL || schema == NULL)
		return NULL;
	return quote_qualified_identifier(schema, name);
}

/*
 * Quoted identity "schema.relation.column".  NULL if there is none.
 */
char *
voxanne_column_name(Oid relid, AttrNumber attnum)
{
	char	   *relation = voxanne_relation_name(relid);
	char	   *column = get_attname(relid, attnum, true);

	if (relation == NULL || column == NULL)
		return NULL;
	return psprintf("%s.%s", relation, quote_identifier(column));
}

/*
 * Quoted name of a role, "public" for oid 0.  NULL if there is none.
 */
char *
voxanne_role_name(Oid roleid)
{
	char	   *name = OidIsValid(roleid) ? GetUserNameFromId(roleid, true) : pstrdup("public");

	return name == NULL ? NULL : pstrdup(quote_identifier(name));
}

/*
 * Lock a relation if that takes no waiting, and see that it is still there.
 * The lock is held to the end of the transaction or until UnlockRelationOid().
 */
VoxLockResult
voxanne_try_lock(Oid relid, LOCKMODE mode)
{
	if (!ConditionalLockRelationOid(relid, mode))
		return VOX_LOCK_BUSY;
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
	{
		UnlockRelationOid(relid, mode);
		return VOX_LOCK_GONE;
	}
	return VOX_LOCKED;
}

/*
 * Number of a live user column, or InvalidAttrNumber.
 */
AttrNumber
voxanne_find_column(Oid relid, const char *name)
{
	AttrNumber	attnum = get_attnum(relid, name);

	return attnum > 0 ? attnum : InvalidAttrNumber;
}

/*
 * Column numbers (an integer list) of a table's primary key in key order; NIL
 * without one.  The caller holds a lock on the table.
 */
List *
voxanne_primary_key(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	Oid			indexid = voxanne_primary_key_index(rel);
	List	   *columns = NIL;
	HeapTuple	tuple;

	table_close(rel, NoLock);
	if (!OidIsValid(indexid))
		return NIL;

	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

		for (int i = 0; i < index->indnkeyatts; i++)
			columns = lappend_int(columns, index->indkey.values[i]);
		ReleaseSysCache(tuple);
	}
	return columns;
}
