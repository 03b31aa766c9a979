/*
 * src/data/infer_score.c
 *		How sure it is that a column is a reference.
 *
 * Name and type are worth what infer.c says, the share of the rows whose parent
 * exists up to 30 more.  Where no row has a parent at all, that may be because all
 * parents are gone, or because the table meant is another one: the latter is
 * taken for granted when there was nothing to be found, or when so many
 * different values missed it that a name by chance alike explains it better.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/query.h"
#include "data/incoming.h"
#include "data/reference.h"
#include "data/table.h"
#include "utils/builtins.h"

#define TYPE_SCORE 30
#define SHARE_SCORE 30

/* So many different values, none of which has a parent, are not of that parent. */
#define STRANGE_VALUES 20

static bool is_far_fetched(const VoxReference *reference, bool live_only);
static bool has_values(const VoxReference *reference, bool live_only, int wanted);

/*
 * Of 100; 100 for a declared reference.  The tables are locked, settings pinned.
 */
int
voxanne_reference_score(const VoxReference *reference, const VoxReferenceAnswer *answer, bool live_only)
{
	int64		found = answer->checked - answer->faults[VOX_FAULT_ORPHAN] - answer->faults[VOX_FAULT_MALFORMED];

	if (reference->source != VOX_REFERENCE_INFERRED)
		return 100;
	if (found > 0)
		return reference->name_score + TYPE_SCORE + (int) (SHARE_SCORE * found / answer->checked);
	if (answer->checked > 0 && is_far_fetched(reference, live_only))
		return TYPE_SCORE;
	return reference->name_score + TYPE_SCORE;
}

/* Does it take more than lost parents to explain that no row has one? */
static bool
is_far_fetched(const VoxReference *reference, bool live_only)
{
	VoxTable	parent;
	bool		empty;

	voxanne_table_describe(&parent, reference->parent);
	SPI_connect();
	empty = voxanne_query_count(psprintf("SELECT pg_catalog.count(*) FROM (SELECT FROM %s LIMIT 1) AS p", parent.from)) == 0;
	SPI_finish();
	return empty || has_values(reference, live_only, STRANGE_VALUES);
}

/*
 * Does the child's column, behind the tenant's if that is in the reference, hold
 * so many different values?  Looks for one at a time, which ends early where
 * there are many.
 */
static bool
has_values(const VoxReference *reference, bool live_only, int wanted)
{
	AttrNumber	column = reference->child_atts[reference->natts - 1];
	List	   *values = NIL;
	VoxTable	child;

	voxanne_table_describe(&child, reference->child);
	while (list_length(values) < wanted)
	{
		MemoryContext context = CurrentMemoryContext;
		VoxQuery	query = {0};
		char	   *value = NULL;

		SPI_connect();
		query.sql = psprintf("SELECT value FROM (SELECT pg_catalog.format('%%s', %s) COLLATE pg_catalog.\"C\" AS value"
							 " FROM %s AS c WHERE %s AND %s) AS c"
							 " WHERE value OPERATOR(pg_catalog.<>) ALL (%s) LIMIT 1",
							 voxanne_column_ref(reference->child, "c", column), child.from,
							 voxanne_not_null(reference->child, "c", column, true),
							 live_only ? voxanne_table_live(&child, "c") : "true",
							 voxanne_query_argument(&query, TEXTARRAYOID, voxanne_text_array(values), false));
		if (voxanne_query_run(&query) > 0)
			value = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
		SPI_finish();
		if (value == NULL)
			return false;
		values = lappend(values, value);
	}
	return true;
}
