/*
 * src/core/relation.c
 *		Names, locks and look-ups of users' relations.
 *
 * Nothing here waits: a LOOK function must not queue behind DDL, where it
 * would make everybody behind it wait as well.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "core/compat.h"
#include "core/relation.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static char *lock_one_to_read(Oid relid, const char *name);
static char *lock_indexes_to_read(Oid relid);
static bool has_lost_member(List *members, Snapshot snapshot);

/*
 * Quoted identity "schema.relation", always with the schema; pg_temp for the
 * session's temporary relations.  NULL if the relation does not exist (any
 * more).
 */
char *
voxanne_relation_name(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema = get_namespace_name_or_temp(get_rel_namespace(relid));

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
 * Lock a table, the partitions or children below it and the indexes of all of
 * them for reading, without waiting: the planner would wait for any of them.
 * NULL if that worked, else a sentence about why not.  What was locked stays
 * locked to the end of the transaction.
 */
char *
voxanne_lock_to_read(Oid relid)
{
	char	   *name = voxanne_relation_name(relid);
	char	   *refusal = lock_one_to_read(relid, name);
	ListCell   *lc;

	if (refusal != NULL)
		return refusal;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Oid			member = lfirst_oid(lc);

		refusal = member == relid ? NULL : lock_one_to_read(member, voxanne_relation_name(member));
		if (refusal == NULL)
			refusal = lock_indexes_to_read(member);
		if (refusal != NULL)
			return refusal;
	}
	return NULL;
}

/* Lock a table or index, without those below it; a sentence if that failed. */
static char *
lock_one_to_read(Oid relid, const char *name)
{
	switch (voxanne_try_lock(relid, AccessShareLock))
	{
		case VOX_LOCK_BUSY:
			return psprintf("Another session holds or awaits an exclusive lock on %s.",
							name == NULL ? "a table that is being dropped" : name);
		case VOX_LOCK_GONE:
			return name == NULL ? pstrdup("The table was dropped meanwhile.") :
				psprintf("%s was dropped meanwhile.", name);
		case VOX_LOCKED:
			break;
	}
	return NULL;
}

static char *
lock_indexes_to_read(Oid relid)
{
	Relation	rel = try_relation_open(relid, NoLock);
	List	   *indexes = NIL;
	ListCell   *lc;

	if (rel != NULL)
	{
		indexes = RelationGetIndexList(rel);
		relation_close(rel, NoLock);
	}
	foreach(lc, indexes)
	{
		Oid			indexid = lfirst_oid(lc);
		char	   *refusal = lock_one_to_read(indexid, voxanne_relation_name(indexid));

		if (refusal != NULL)
			return refusal;
	}
	return NULL;
}

/*
 * Was a table, or one below it, altered by a transaction that the snapshot does
 * not see?  A rewrite or TRUNCATE since then makes its rows look missing, and
 * so does a partition that was detached or dropped.
 */
bool
voxanne_changed_since(Oid relid, Snapshot snapshot)
{
	List	   *members = find_all_inheritors(relid, NoLock, NULL);
	ListCell   *lc;

	foreach(lc, members)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));
		TransactionId xmin;

		if (!HeapTupleIsValid(tuple))
			return true;
		xmin = HeapTupleHeaderGetXmin(tuple->t_data);
		ReleaseSysCache(tuple);
		if (TransactionIdIsNormal(xmin) && !TransactionIdIsCurrentTransactionId(xmin) &&
			XidInMVCCSnapshot(xmin, snapshot))
			return true;
	}
	return has_lost_member(members, snapshot);
}

/* Did one of the tables have one below it, to the snapshot, that is not among them now? */
static bool
has_lost_member(List *members, Snapshot snapshot)
{
	Relation	catalog = table_open(InheritsRelationId, AccessShareLock);
	bool		lost = false;
	ListCell   *lc;

	foreach(lc, members)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_inherits_inhparent, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(lfirst_oid(lc)));
		scan = systable_beginscan(catalog, InheritsParentIndexId, true, snapshot, 1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			lost |= !list_member_oid(members, ((Form_pg_inherits) GETSTRUCT(tuple))->inhrelid);
		systable_endscan(scan);
	}
	table_close(catalog, AccessShareLock);
	return lost;
}

/*
 * Are rows of a table, or of one below it, in a foreign table?
 */
bool
voxanne_is_foreign(Oid relid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			return true;
	}
	return false;
}

/*
 * Owner of a relation; InvalidOid if there is none.
 */
Oid
voxanne_relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
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
 * Is a column generated when it is read?
 */
bool
voxanne_is_virtual(Oid relid, AttrNumber attnum)
{
	char		generated = get_attgenerated(relid, attnum);

	return generated != '\0' && generated != ATTRIBUTE_GENERATED_STORED;
}

/*
 * Is one of the columns (an integer list)?  No index or foreign key can have it.
 */
bool
voxanne_has_virtual(Oid relid, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
		if (voxanne_is_virtual(relid, lfirst_int(lc)))
		return true;
	return false;
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

/*
 * Is there a unique index on exactly these columns, in any order, that a
 * foreign key could refer to?  The caller holds a lock on the table.
 */
bool
voxanne_has_unique_key(Oid relid, List *columns)
{
	Relation	rel = table_open(relid, NoLock);
	List	   *indexes = RelationGetIndexList(rel);
	bool		found = false;
	ListCell   *lc;

	table_close(rel, NoLock);
	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index;
		int			covered = 0;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		for (int i = 0; i < index->indnkeyatts; i++)
			covered += list_member_int(columns, index->indkey.values[i]);
		found |= index->indisunique && index->indisvalid && index->indimmediate &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
			covered == index->indnkeyatts && covered == list_length(columns);
		ReleaseSysCache(tuple);
	}
	return found;
}
