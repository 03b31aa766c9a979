/*
 * src/data/partition.c
 *		By what a table is partitioned, and so what one constraint can hold together.
 *
 * Rows of different partitions are never compared by a constraint.  That is
 * right as long as rows that matter to each other are in the same partition,
 * which they are if every column that decides on it, at every level, is one
 * that the constraint compares by the same equality.  All is read from the
 * catalogs, not from the relcache, which would run the partition key's
 * functions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_partitioned_table.h"
#include "commands/defrem.h"
#include "data/partition.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static char *key_outside(Oid relid, List *names);
static bool has_own_equality(Oid relid, AttrNumber attnum, Oid opclass, Oid collation);
static bool has_name(List *names, const char *name);

/*
 * What decides on a row's partition, at any level, besides these columns of the
 * table: "starts_at", "an expression"; NULL if that is nothing, so that rows
 * with equal values in the columns are in the same partition.
 */
char *
voxanne_partitioned_by_other(Oid relid, List *columns)
{
	List	   *names = NIL;
	char	   *outside = NULL;
	ListCell   *lc;

	foreach(lc, columns)
		names = lappend(names, get_attname(relid, lfirst_int(lc), false));
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (outside == NULL && get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
			outside = key_outside(lfirst_oid(lc), names);
	}
	return outside;
}

/* The same for one level; columns go by their names, their numbers differ. */
static char *
key_outside(Oid relid, List *names)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(relid));
	Form_pg_partitioned_table form;
	const oidvector *classes;
	const oidvector *collations;
	char	   *outside = NULL;
	bool		isnull;			/* they never are */

	if (!HeapTupleIsValid(tuple))
		return pstrdup("an unknown key");
	form = (Form_pg_partitioned_table) GETSTRUCT(tuple);
	classes = (oidvector *) DatumGetPointer(SysCacheGetAttr(PARTRELID, tuple, Anum_pg_partitioned_table_partclass,
															&isnull));
	collations = (oidvector *) DatumGetPointer(SysCacheGetAttr(PARTRELID, tuple,
															   Anum_pg_partitioned_table_partcollation, &isnull));
	for (int i = 0; i < form->partnatts && outside == NULL; i++)
	{
		AttrNumber	attnum = form->partattrs.values[i];
		char	   *name = attnum == 0 ? NULL : get_attname(relid, attnum, false);

		if (name == NULL)
			outside = pstrdup("an expression");
		else if (!has_name(names, name))
			outside = pstrdup(quote_identifier(name));
		else if (!has_own_equality(relid, attnum, classes->values[i], collations->values[i]))
			outside = psprintf("%s by another equality", quote_identifier(name));
	}
	ReleaseSysCache(tuple);
	return outside;
}

/* Is the key's equality that of the column's type and collation? */
static bool
has_own_equality(Oid relid, AttrNumber attnum, Oid opclass, Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	bool		own;
	Oid			type;
	int32		typmod;
	Oid			column_collation;

	if (!HeapTupleIsValid(tuple))
		return false;
	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &column_collation);
	own = collation == column_collation &&
		GetDefaultOpClass(type, ((Form_pg_opclass) GETSTRUCT(tuple))->opcmethod) == opclass;
	ReleaseSysCache(tuple);
	return own;
}

static bool
has_name(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/* The partitions that hold rows here, by oid. */
List *
voxanne_partition_leaves(Oid relid)
{
	List	   *leaves = NIL;
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_RELATION)
			leaves = lappend_oid(leaves, lfirst_oid(lc));
	}
	return leaves;
}
