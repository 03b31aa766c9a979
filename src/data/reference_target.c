/*
 * src/data/reference_target.c
 *		Foreign keys that seem to lead to the wrong table.
 *
 * A column org_id that references profiles holds only rows whose organization
 * happens to have a profile with the same id; that it holds proves nothing.
 * Names decide, so this is a hint: the present parent's name must have nothing
 * in common with the column's, and another table must have a better claim.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "data/reference.h"
#include "data/reference_target.h"
#include "executor/spi.h"
#include "utils/snapmgr.h"

/*
 * $1: the child, or 0 for all tables of the schemas $2.  A table has a better
 * claim if two other columns of the name at least, and more than lead to the
 * present parent, lead there; or if it is in the child's schema, goes by the
 * column's name and has a primary key of the column's type.  Columns for
 * people are left out: user_id may well mean a profile.
 */
static const char *const suspect_query =
"WITH declared AS ("
" SELECT f.oid, f.conrelid AS child, c.relnamespace AS schema, f.confrelid AS parent, p.relname AS parent_name,"
"  a.attname AS name, a.atttypid AS type, left(a.attname, -3) AS stem"
" FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid"
" JOIN pg_catalog.pg_class p ON p.oid = f.confrelid"
" JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]"
" WHERE f.contype = 'f' AND f.conparentid = 0 AND cardinality(f.conkey) = 1 AND a.attname LIKE '_%\\_id'),"
" suspect AS ("
" SELECT * FROM declared"
" WHERE (child = $1 OR $1 = 0 AND schema = ANY ($2)) AND child <> parent AND name <> 'user_id'"
"  AND strpos(parent_name, stem) = 0 AND strpos(stem, regexp_replace(parent_name, 's$', '')) = 0),"
" claim AS ("
" SELECT s.oid, d.parent AS meant, count(*) AS uses"
" FROM suspect s JOIN declared d ON d.name = s.name AND d.parent <> s.parent AND d.oid <> s.oid"
" GROUP BY s.oid, s.name, s.parent, d.parent"
" HAVING count(*) > greatest(1, (SELECT count(*) FROM declared o WHERE o.name = s.name AND o.parent = s.parent))"
" UNION ALL"
" SELECT s.oid, t.oid, 0"
" FROM suspect s JOIN pg_catalog.pg_class t ON t.relnamespace = s.schema AND t.relkind IN ('r', 'p')"
"  AND t.relname IN (stem, stem || 's', stem || 'es', regexp_replace(stem, 'y$', 'ies')) AND t.oid <> s.child"
" JOIN pg_catalog.pg_index i ON i.indrelid = t.oid AND i.indisprimary AND i.indisvalid AND i.indnkeyatts = 1"
" JOIN pg_catalog.pg_attribute k ON k.attrelid = t.oid AND k.attnum = i.indkey[0] AND k.atttypid = s.type)"
" SELECT DISTINCT ON (oid) oid, meant, uses FROM claim"
" ORDER BY oid, uses DESC, meant";

/*
 * The suspect foreign keys (VoxTarget *) of a table, or with InvalidOid of all
 * tables in the schemas.  Settings must be pinned, a snapshot active.
 */
List *
voxanne_suspect_targets(Oid child, List *schemas)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[] = {OIDOID, OIDARRAYOID};
	Datum		values[2];
	List	   *targets = NIL;

	SPI_connect();
	values[0] = ObjectIdGetDatum(child);
	values[1] = voxanne_oid_array(schemas);
	if (SPI_execute_with_args(suspect_query, 2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list suspect foreign keys");

	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		VoxTarget  *target = palloc_object(VoxTarget);
		bool		isnull;

		target->constraint = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
		target->meant = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
		target->uses = DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull));
		targets = lappend(targets, target);
	}
	SPI_finish();
	return targets;
}
