/*
 * src/data/distributed.c
 *		Tables whose rows a distributed engine keeps on other servers.
 *
 * That is Citus, which lists them in a catalog of its own; without it there is
 * none.  Here such a table looks like any other, but is empty: a scan of ours
 * would find nothing and call it healthy.  Only SQL reaches the rows, and only
 * in the shapes that the engine's planner takes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_namespace.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/distributed.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* The catalog, in schema pg_catalog, where only superusers can make one. */
#define DISTRIBUTED_TABLES "pg_dist_partition"

static VoxDistribution *make_distribution(Oid catalog, HeapTuple tuple, TupleDesc desc);
static Datum catalog_value(Oid catalog, HeapTuple tuple, TupleDesc desc, const char *column, bool *isnull);

/*
 * All tables (VoxDistribution *) that a distributed engine keeps; NIL without
 * one.  ERROR 55P03 while its catalog is locked: not to know it would be to
 * call the tables empty.
 */
List *
voxanne_distributions(void)
{
	Oid			catalog = get_relname_relid(DISTRIBUTED_TABLES, PG_CATALOG_NAMESPACE);
	List	   *distributions = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(catalog))
		return NIL;
	if (voxanne_try_lock(catalog, AccessShareLock) != VOX_LOCKED)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("another session holds or awaits an exclusive lock on %s", DISTRIBUTED_TABLES),
				 errhint("Call the function again when the distributed engine's upgrade is over.")));
	rel = table_open(catalog, NoLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		distributions = lappend(distributions, make_distribution(catalog, tuple, RelationGetDescr(rel)));
	systable_endscan(scan);
	table_close(rel, NoLock);
	return distributions;
}

static VoxDistribution *
make_distribution(Oid catalog, HeapTuple tuple, TupleDesc desc)
{
	VoxDistribution *distribution = palloc0_object(VoxDistribution);
	bool		isnull;
	Datum		key;

	distribution->relid = DatumGetObjectId(catalog_value(catalog, tuple, desc, "logicalrelid", &isnull));
	distribution->colocation = DatumGetInt32(catalog_value(catalog, tuple, desc, "colocationid", &isnull));
	key = catalog_value(catalog, tuple, desc, "partkey", &isnull);
	if (!isnull)
	{
		Node	   *column = stringToNode(TextDatumGetCString(key));

		if (IsA(column, Var))
			distribution->column = ((Var *) column)->varattno;
	}
	return distribution;
}

/* A column of the catalog; ERROR where it has none of that name. */
static Datum
catalog_value(Oid catalog, HeapTuple tuple, TupleDesc desc, const char *column, bool *isnull)
{
	AttrNumber	attnum = voxanne_find_column(catalog, column);

	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s has no column \"%s\"", DISTRIBUTED_TABLES, column),
				 errhint("Use a version of voxanne_ops that knows this version of the distributed engine.")));
	return heap_getattr(tuple, attnum, desc, isnull);
}

/*
 * Does a distributed engine keep the table's rows, and how?
 */
bool
voxanne_distribution(Oid relid, VoxDistribution *distribution)
{
	ListCell   *lc;

	foreach(lc, voxanne_distributions())
	{
		const VoxDistribution *known = lfirst(lc);

		if (known->relid == relid)
		{
			*distribution = *known;
			return true;
		}
	}
	return false;
}

/*
 * Are rows of a table, or of one below it, on another server?
 */
bool
voxanne_is_remote(Oid relid)
{
	VoxDistribution distribution;

	return voxanne_is_foreign(relid) || voxanne_distribution(relid, &distribution);
}
