/*
 * src/data/reference_foreign_sql.c
 *		Questions about references whose rows are partly on other servers.
 *
 * What the planner does not hand over to the other server comes home row by
 * row.  It hands over a count of one foreign table, and a count over the outer
 * join of two foreign tables of one server; never an anti join, nor a count of
 * a partitioned table as a whole.  So rows are counted partition by partition,
 * and where child and parent are partitioned alike by tenant, each partition is
 * joined with its own sister, the tenant in the join.  That finds every row
 * whose parent is not in its own tenant: if there is none, as there should be,
 * nothing more needs to be read.  Else the tables are joined as a whole, in
 * this server.
 *
 * A distributed engine (Citus) takes the same outer join where both tables are
 * spread by tenant and lie together, or one of them is on every server; where
 * they do not it refuses, and the reference is a check that was skipped.
 *
 * An outer join counts right even if a parent's id, which no
 * server can promise to be unique, comes twice: a row without parent comes once
 * in any case.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/privileges.h"
#include "core/query.h"
#include "core/relation.h"
#include "data/distributed.h"
#include "data/reference_parent.h"
#include "data/table.h"
#include "utils/lsyscache.h"

static int64 count_rows(const VoxTable *table, const char *condition);
static List *readable_leaves(const VoxTable *table);
static bool lie_together(const VoxReference *key);
static bool found_in_place(const VoxReference *reference, const VoxTable *child, const VoxTable *parent,
						   const char *condition);
static bool found_in_sisters(const VoxReference *key, const char *condition);
static int64 count_missing(const VoxReference *reference, const char *child, const char *parent,
						   const char *condition);

/*
 * Pairs of direct partitions of $1 and $2 with equal bounds, where both are
 * partitioned by one column, $3 and $4, in the same way, and no partition of
 * either is left over.
 */
static const char *const sister_query =
"WITH alike AS ("
" SELECT FROM pg_catalog.pg_partitioned_table c, pg_catalog.pg_partitioned_table p"
" WHERE c.partrelid = $1 AND p.partrelid = $2 AND c.partstrat = p.partstrat"
"  AND c.partnatts = 1 AND p.partnatts = 1 AND c.partattrs[0] = $3 AND p.partattrs[0] = $4"
"  AND c.partclass[0] = p.partclass[0] AND c.partcollation[0] = p.partcollation[0]),"
" leaf AS ("
" SELECT i.inhparent, l.oid, pg_catalog.pg_get_expr(l.relpartbound, l.oid) AS bound"
" FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class l ON l.oid = i.inhrelid"
" WHERE i.inhparent IN ($1, $2) AND EXISTS (SELECT FROM alike)),"
" pair AS ("
" SELECT c.oid AS child, p.oid AS parent FROM leaf c JOIN leaf p USING (bound)"
" WHERE c.inhparent = $1 AND p.inhparent = $2)"
" SELECT child, parent FROM pair WHERE 2 * (SELECT count(*) FROM pair) = (SELECT count(*) FROM leaf)"
" ORDER BY child";

/*
 * voxanne_reference_ask() for tables that have rows on other servers.
 */
void
voxanne_reference_ask_foreign(const VoxReference *reference, bool live_only, VoxReferenceAnswer *answer)
{
	VoxTable	child;
	VoxTable	parent;
	char	   *live;
	char	   *complete;
	char	   *malformed = voxanne_reference_condition(reference, VOX_FAULT_MALFORMED, "c");

	voxanne_table_describe(&child, reference->child);
	voxanne_table_describe(&parent, reference->parent);
	live = live_only ? voxanne_table_live(&child, "c") : pstrdup("true");
	complete = psprintf("%s AND %s", live, voxanne_reference_complete(reference, "c"));

	memset(answer, 0, sizeof(*answer));
	answer->checked = count_rows(&child, complete);
	if (strcmp(malformed, "false") != 0)
	{
		answer->faults[VOX_FAULT_MALFORMED] = count_rows(&child, psprintf("%s AND %s", live, malformed));
		answer->checked += answer->faults[VOX_FAULT_MALFORMED];
	}
	if (answer->checked > 0 && !found_in_place(reference, &child, &parent, complete))
		answer->faults[VOX_FAULT_ORPHAN] = count_missing(reference, child.from, parent.from, complete);
}

/* Count a table's rows, partition by partition where the caller may read each of them. */
static int64
count_rows(const VoxTable *table, const char *condition)
{
	StringInfoData sql;
	int64		count;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, readable_leaves(table))
		appendStringInfo(&sql, "%sSELECT pg_catalog.count(*) AS n FROM ONLY %s AS c WHERE %s",
						 sql.len > 0 ? " UNION ALL " : "", voxanne_relation_name(lfirst_oid(lc)), condition);
	if (sql.len == 0)
		appendStringInfo(&sql, "SELECT pg_catalog.count(*) AS n FROM %s AS c WHERE %s", table->from, condition);
	SPI_connect();
	count = voxanne_query_count(psprintf("SELECT pg_catalog.sum(n)::pg_catalog.int8 FROM (%s) AS leaf", sql.data));
	SPI_finish();
	return count;
}

/* The partitions that hold a partitioned table's rows; NIL if some cannot be read directly, or need not. */
static List *
readable_leaves(const VoxTable *table)
{
	List	   *leaves = NIL;
	ListCell   *lc;

	if (!table->partitioned || table->distributed)
		return NIL;
	foreach(lc, find_all_inheritors(table->relid, NoLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
			continue;
		if (voxanne_unreadable(lfirst_oid(lc), NIL) != NULL)
			return NIL;
		leaves = lappend_oid(leaves, lfirst_oid(lc));
	}
	return leaves;
}

/*
 * Is every child's parent where the child is, tenant by tenant?  False also if
 * rows of a tenant do not lie together.
 */
static bool
found_in_place(const VoxReference *reference, const VoxTable *child, const VoxTable *parent,
			   const char *condition)
{
	VoxReference key;

	if (!voxanne_tenant_key(reference, &key))
		return false;
	if (lie_together(&key))
		return count_missing(&key, child->from, parent->from, condition) == 0;
	return readable_leaves(child) != NIL && readable_leaves(parent) != NIL &&
		found_in_sisters(&key, condition);
}

/* Does a distributed engine keep the two tables' rows with equal first columns of the key together? */
static bool
lie_together(const VoxReference *key)
{
	VoxDistribution child;
	VoxDistribution parent;

	return voxanne_distribution(key->child, &child) && voxanne_distribution(key->parent, &parent) &&
		child.colocation == parent.colocation &&
		child.column == key->child_atts[0] && parent.column == key->parent_atts[0];
}

/* Is every child's parent in the sister of its partition?  False also if there are no sisters. */
static bool
found_in_sisters(const VoxReference *key, const char *condition)
{
	VoxQuery	query = {.sql = sister_query};
	uint64		found;
	int64		missing = 0;

	SPI_connect();
	(void) voxanne_query_argument(&query, OIDOID, ObjectIdGetDatum(key->child), false);
	(void) voxanne_query_argument(&query, OIDOID, ObjectIdGetDatum(key->parent), false);
	(void) voxanne_query_argument(&query, INT2OID, Int16GetDatum(key->child_atts[0]), false);
	(void) voxanne_query_argument(&query, INT2OID, Int16GetDatum(key->parent_atts[0]), false);
	found = voxanne_query_run(&query);
	for (uint64 row = 0; row < found && missing == 0; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Oid			child_leaf = DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull));
		Oid			parent_leaf = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));

		missing = count_missing(key, psprintf("ONLY %s", voxanne_relation_name(child_leaf)),
								psprintf("ONLY %s", voxanne_relation_name(parent_leaf)), condition);
	}
	SPI_finish();
	return found > 0 && missing == 0;
}

/* Count the rows of one item of a FROM clause, c, that find no parent in another, p. */
static int64
count_missing(const VoxReference *reference, const char *child, const char *parent, const char *condition)
{
	int64		count;

	SPI_connect();
	count = voxanne_query_count(psprintf("SELECT pg_catalog.count(*) - pg_catalog.count(%s) FROM %s AS c"
										 " LEFT JOIN %s AS p ON %s WHERE %s",
										 voxanne_column_ref(reference->parent, "p", reference->parent_atts[0]),
										 child, parent, voxanne_reference_join(reference, "p", "c"), condition));
	SPI_finish();
	return count;
}

/*
 * The first of the child's rows, alias c, that meet a condition and have no
 * parent, as voxanne_reference_sample() has them; by an outer join, because a
 * distributed engine takes NOT EXISTS from fewer pairs of tables.
 */
Jsonb *
voxanne_reference_sample_distributed(const VoxReference *reference, const char *condition, int max_rows)
{
	VoxQuery	query = {0};
	VoxTable	child;
	VoxTable	parent;

	voxanne_table_describe(&child, reference->child);
	voxanne_table_describe(&parent, reference->parent);
	query.sql = voxanne_table_sample(&child,
									 psprintf("(SELECT c.* FROM %s AS c LEFT JOIN %s AS p ON %s WHERE %s AND %s)",
											  child.from, parent.from, voxanne_reference_join(reference, "p", "c"), condition,
											  voxanne_not_null(reference->parent, "p", reference->parent_atts[0], false)),
									 "c", voxanne_reference_columns(reference, false), "", NIL, "true", max_rows);
	return voxanne_query_jsonb(&query);
}
