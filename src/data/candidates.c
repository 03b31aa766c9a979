/*
 * src/data/candidates.c
 *		The rows that the scan engine found, as something to select FROM.
 *
 * They are named by place, so that the executor fetches just them, in the
 * snapshot in which they were found.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rls.h"

static char *one_table(VoxQuery *query, const char *columns, const char *from,
					   const VoxScanRow *rows, uint64 count);
static bool leaves_readable(const VoxScanQuestion *question);

/*
 * The rows as a subquery with these columns, ctid and tableoid, for a query to
 * which their places are added as parameters.  It may yield more rows of the
 * table than were found, never less.
 *
 * A partition is named by itself where the caller may read it under its own
 * name; else the partitioned table is, with the places of all partitions.
 */
char *
voxanne_rows_found(VoxQuery *query, const VoxTable *table, List *columns, const VoxScanQuestion *question)
{
	char	   *list = voxanne_column_list(table->relid, "v", columns);
	StringInfoData buf;
	uint64		first = 0;

	if (*list != '\0')
		list = psprintf("%s, ", list);
	if (question->nrows == 0)
		return psprintf("(SELECT %sv.ctid, v.tableoid FROM %s AS v WHERE false)", list, table->from);
	if (!table->partitioned || !leaves_readable(question))
		return psprintf("(%s)", one_table(query, list, table->from, question->rows, question->nrows));

	initStringInfo(&buf);
	for (uint64 i = 1; i <= question->nrows; i++)
	{
		Oid			leaf = question->rows[first].relid;

		if (i < question->nrows && question->rows[i].relid == leaf)
			continue;
		appendStringInfo(&buf, "%s%s", first > 0 ? " UNION ALL " : "",
						 one_table(query, list, psprintf("ONLY %s", voxanne_relation_name(leaf)),
								   question->rows + first, i - first));
		first = i;
	}
	return psprintf("(%s)", buf.data);
}

/* A query for rows of one table. */
static char *
one_table(VoxQuery *query, const char *columns, const char *from, const VoxScanRow *rows, uint64 count)
{
	Datum	   *places = palloc_extended(sizeof(Datum) * count, MCXT_ALLOC_HUGE);
	ArrayType  *array;

	for (uint64 i = 0; i < count; i++)
		places[i] = PointerGetDatum(&rows[i].tid);
	array = construct_array(places, (int) count, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT);
	pfree(places);
	return psprintf("SELECT %sv.ctid, v.tableoid FROM %s AS v WHERE v.ctid OPERATOR(pg_catalog.=) ANY (%s)",
					columns, from, voxanne_query_argument(query, TIDARRAYOID, PointerGetDatum(array), false));
}

/* Could the caller select from each partition in which a row was found? */
static bool
leaves_readable(const VoxScanQuestion *question)
{
	Oid			last = InvalidOid;

	for (uint64 i = 0; i < question->nrows; i++)
	{
		Oid			leaf = question->rows[i].relid;

		if (leaf == last)
			continue;
		if (pg_class_aclcheck(leaf, GetUserId(), ACL_SELECT) != ACLCHECK_OK ||
			check_enable_rls(leaf, InvalidOid, true) == RLS_ENABLED)
			return false;
		last = leaf;
	}
	return true;
}
