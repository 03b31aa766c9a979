/*
 * src/data/duplicate_sql.c
 *		Questions about equal keys, answered by SQL: over all rows, or those that the scan found.
 *
 * GROUP BY finds the groups by hashing, and a join brings their rows.  Where
 * nulls count as equal no join could, so window functions find the rows; a
 * type that can only be hashed is then compared null by null.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/query.h"
#include "data/duplicate.h"
#include "data/executor.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static char *conditions(const VoxKeyQuestion *question);
static char *groups_by_hash(const VoxKeyQuestion *question, const char *from, char **join);
static char *groups_by_window(const VoxKeyQuestion *question, const char *from, char **join);
static bool is_sortable(const VoxKeyQuestion *question);
static char *numbered_columns(const VoxKeyQuestion *question);
static char *key_object(const VoxKeyQuestion *question);
static void read_groups(VoxKeyAnswer *answer, uint64 found, int max_groups);

/* Columns of the query's result. */
enum
{
	RES_TOTAL = 1, RES_SURPLUS, RES_PLACE, RES_ROWS, RES_ID, RES_LITERAL, RES_OLDEST, RES_NEWEST, RES_KEY_VALUES
};

/*
 * Find the groups of rows with equal keys.  "found" is the scan engine's
 * answer, or NULL.  The table is locked, settings pinned, a snapshot active.
 */
void
voxanne_key_ask(const VoxKeyQuestion *question, const VoxScanQuestion *found, VoxKeyAnswer *answer)
{
	MemoryContext context = CurrentMemoryContext;
	VoxQuery	query = {0};
	const VoxTable *table = &question->table;
	const char *from = table->from;
	char	   *groups;
	char	   *join;
	uint64		count;

	memset(answer, 0, sizeof(*answer));
	if (found != NULL && found->nrows == 0)
		return;
	if (found != NULL)
		from = voxanne_rows_found(&query, table, list_union_int(voxanne_table_id_columns(table), question->columns),
								  found);
	groups = question->nulls_distinct || table->foreign || !is_sortable(question) ?
		groups_by_hash(question, from, &join) : groups_by_window(question, from, &join);
	query.sql = psprintf(
						 "WITH found AS MATERIALIZED (%s),"
						 " member AS ("
						 " SELECT g.vox_group AS no, g.vox_rows AS n, %s AS id, %s AS literal, %s AS created, %s,"
						 " pg_catalog.row_number() OVER (ORDER BY %s) AS age"
						 " FROM found AS g JOIN %s AS t ON %s WHERE %s),"
						 " placed AS ("
						 " SELECT *, pg_catalog.row_number() OVER (PARTITION BY no ORDER BY age) AS place,"
						 " min(age) OVER grp AS first_age, min(created) OVER grp AS oldest, max(created) OVER grp AS newest"
						 " FROM member WINDOW grp AS (PARTITION BY no)),"
						 " ranked AS (SELECT *, pg_catalog.dense_rank() OVER (ORDER BY first_age) AS ordinal FROM placed WHERE place <= %d)"
						 " SELECT (SELECT pg_catalog.count(DISTINCT vox_group) FROM found),"
						 " (SELECT pg_catalog.sum(vox_rows - 1)::pg_catalog.int8 FROM (SELECT DISTINCT vox_group, vox_rows FROM found) AS g), place, n, id, literal, oldest, newest,"
						 " CASE WHEN place = 1 THEN %s END"
						 " FROM ranked WHERE ordinal <= %d ORDER BY ordinal, place",
						 groups,
						 voxanne_table_id(table, "t"), voxanne_table_id_literal(table, "t"),
						 voxanne_table_created(table, "t"), numbered_columns(question),
						 voxanne_table_seniority(table, "t"),
						 from, join, conditions(question), VOX_GROUP_LISTED + 1,
						 key_object(question), Max(question->max_groups, 1));

	SPI_connect();
	count = voxanne_query_run(&query);
	MemoryContextSwitchTo(context);
	read_groups(answer, count, question->max_groups);
	SPI_finish();
}

/* What makes a row take part. */
static char *
conditions(const VoxKeyQuestion *question)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, question->live_only ? voxanne_table_live(&question->table, "t") : "true");
	if (question->nulls_distinct)
		foreach(lc, question->columns)
			appendStringInfo(&buf, " AND %s", voxanne_not_null(question->table.relid, "t", lfirst_int(lc), true));
	return buf.data;
}

/* A query for the groups, one row each, and how a row is joined to its group. */
static char *
groups_by_hash(const VoxKeyQuestion *question, const char *from, char **join)
{
	Oid			relid = question->table.relid;
	StringInfoData on;
	ListCell   *lc;

	initStringInfo(&on);
	foreach(lc, question->columns)
	{
		Oid			type = voxanne_column_type(relid, lfirst_int(lc));
		char	   *key = psprintf("g.k%d", foreach_current_index(lc));

		appendStringInfoString(&on, on.len > 0 ? " AND (" : "(");
		voxanne_operator_clause(&on, voxanne_column_ref(relid, "t", lfirst_int(lc)), type,
								voxanne_equality_operator(type), key, type);
		if (!question->nulls_distinct)
			appendStringInfo(&on, " OR (%s AND %s IS NOT DISTINCT FROM NULL)",
							 voxanne_not_null(relid, "t", lfirst_int(lc), false), key);
		appendStringInfoChar(&on, ')');
	}
	*join = on.data;
	return psprintf("SELECT %s, pg_catalog.count(*) AS vox_rows, pg_catalog.row_number() OVER () AS vox_group"
					" FROM %s AS t WHERE %s GROUP BY %s HAVING pg_catalog.count(*) > 1",
					numbered_columns(question), from,
					conditions(question), voxanne_column_list(relid, "t", question->columns));
}

/* A query for the rows that have duplicates, one row each, with their place in the table. */
static char *
groups_by_window(const VoxKeyQuestion *question, const char *from, char **join)
{
	char	   *key = voxanne_column_list(question->table.relid, "t", question->columns);

	*join = pstrdup("t.tableoid = g.leaf AND t.ctid = g.place");
	return psprintf("SELECT * FROM (SELECT t.tableoid AS leaf, t.ctid AS place,"
					" pg_catalog.dense_rank() OVER (ORDER BY %s) AS vox_group,"
					" pg_catalog.count(*) OVER (PARTITION BY %s) AS vox_rows"
					" FROM %s AS t WHERE %s) AS counted WHERE vox_rows > 1",
					key, key, from, conditions(question));
}

static bool
is_sortable(const VoxKeyQuestion *question)
{
	ListCell   *lc;

	foreach(lc, question->columns)
	{
		Oid			type = getBaseType(voxanne_column_type(question->table.relid, lfirst_int(lc)));

		if (!OidIsValid(lookup_type_cache(type, TYPECACHE_LT_OPR)->lt_opr))
			return false;
	}
	return true;
}

/* The key's columns under names that cannot collide: t.phone AS k1, ... */
static char *
numbered_columns(const VoxKeyQuestion *question)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, question->columns)
		appendStringInfo(&buf, "%s%s AS k%d", buf.len > 0 ? ", " : "",
						 voxanne_column_ref(question->table.relid, "t", lfirst_int(lc)),
						 foreach_current_index(lc));
	return buf.data;
}

/* The key as a jsonb object by column name. */
static char *
key_object(const VoxKeyQuestion *question)
{
	StringInfoData buf;
	Oid			relid = question->table.relid;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, question->columns)
		appendStringInfo(&buf, "%s%s, %s", buf.len > 0 ? ", " : "",
						 quote_literal_cstr(get_attname(relid, lfirst_int(lc), false)),
						 voxanne_json_value(voxanne_column_type(relid, lfirst_int(lc)),
											psprintf("k%d", foreach_current_index(lc))));
	return psprintf("pg_catalog.jsonb_build_object(%s)", buf.data);
}

/* The result's rows, which come group by group with the keeper first, as groups. */
static void
read_groups(VoxKeyAnswer *answer, uint64 found, int max_groups)
{
	VoxKeyGroup *group = NULL;
	bool		isnull;

	answer->total = 0;
	answer->groups = NIL;
	for (uint64 row = 0; row < found; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		VoxMember  *member = palloc_object(VoxMember);

		answer->total = voxanne_value_int64(row, RES_TOTAL, &isnull);
		answer->surplus = voxanne_value_int64(row, RES_SURPLUS, &isnull);
		if (max_groups == 0)
			return;
		if (voxanne_value_int64(row, RES_PLACE, &isnull) == 1)
		{
			group = palloc0_object(VoxKeyGroup);
			group->rows = voxanne_value_int64(row, RES_ROWS, &isnull);
			group->oldest = voxanne_value_int64(row, RES_OLDEST, &isnull);
			group->has_age = !isnull;
			group->newest = voxanne_value_int64(row, RES_NEWEST, &isnull);
			group->key_values = PointerGetDatum(DatumGetJsonbPCopy(SPI_getbinval(tuple, desc, RES_KEY_VALUES, &isnull)));
			answer->groups = lappend(answer->groups, group);
		}
		if (group == NULL)
			elog(ERROR, "a group of duplicates has no first row");
		member->id = SPI_getvalue(tuple, desc, RES_ID);
		member->literal = SPI_getvalue(tuple, desc, RES_LITERAL);
		group->members = lappend(group->members, member);
	}
}
