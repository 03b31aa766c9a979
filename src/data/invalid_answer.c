/*
 * src/data/invalid_answer.c
 *		Answers to questions about invalid values, from the scan engine or by SQL.
 *
 * In SQL, one pass over a table answers all its rules; a row is read once, and a
 * condition is evaluated for it once, whether it is soft-deleted or not.
 */
#include "postgres.h"

#include "core/query.h"
#include "data/executor.h"
#include "data/invalid.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* A query returns at most 1664 columns, of which a rule takes three. */
#define RULES_A_QUERY 400

/* Columns of a rule that a sample shows; a user's constraint may have hundreds. */
#define SAMPLED_COLUMNS 10

static void ask_some(const VoxTable *table, List *rules, int first, int count, bool live_only,
					 VoxInvalidAnswer *answers);
static const char *table_alias(const VoxTable *table);
static char *complete(const VoxTable *table, const VoxInvalidRule *rule);

/*
 * Answer rules about a table, answers[] in their order; "live_only" counts
 * soft-deleted rows apart.  "found" is what the scan engine was asked about
 * these rules, if it has answered.  The table is locked, settings pinned.
 */
void
voxanne_invalid_ask_rules(const VoxTable *table, List *rules, bool live_only, const VoxScanQuestion *found,
						  VoxInvalidAnswer *answers)
{
	if (found != NULL)
	{
		for (int i = 0; i < list_length(rules); i++)
		{
			answers[i].checked = (int64) found->counts[i].checked;
			answers[i].rows = (int64) found->counts[i].broken;
			answers[i].deleted_rows = (int64) found->counts[i].skipped_broken;
		}
		return;
	}
	for (int first = 0; first < list_length(rules); first += RULES_A_QUERY)
		ask_some(table, rules, first, Min(RULES_A_QUERY, list_length(rules) - first), live_only, answers);
}

static void
ask_some(const VoxTable *table, List *rules, int first, int count, bool live_only, VoxInvalidAnswer *answers)
{
	const char *live = live_only ? voxanne_table_live(table, table_alias(table)) : "true";
	VoxQuery	query = {0};
	StringInfoData buf;
	bool		isnull;

	initStringInfo(&buf);
	for (int i = first; i < first + count; i++)
	{
		const VoxInvalidRule *rule = list_nth(rules, i);

		appendStringInfo(&buf, "%s pg_catalog.count(*) FILTER (WHERE %s AND %s),"
						 " pg_catalog.count(*) FILTER (WHERE %s AND NOT (%s)),"
						 " pg_catalog.count(*) FILTER (WHERE NOT (%s) AND NOT (%s))",
						 i == first ? "SELECT" : ",",
						 live, complete(table, rule), live, rule->valid, live, rule->valid);
	}
	appendStringInfo(&buf, " FROM %s AS %s", table->from, table_alias(table));
	query.sql = buf.data;

	SPI_connect();
	if (voxanne_query_run(&query) != 1)
		elog(ERROR, "query \"%s\" did not return one row", query.sql);
	for (int i = 0; i < count; i++)
	{
		answers[first + i].checked = voxanne_value_int64(0, 3 * i + 1, &isnull);
		answers[first + i].rows = voxanne_value_int64(0, 3 * i + 2, &isnull);
		answers[first + i].deleted_rows = voxanne_value_int64(0, 3 * i + 3, &isnull);
	}
	SPI_finish();
}

/*
 * The first rows that break a rule, the oldest first, as a jsonb array of
 * objects that hold the primary key (or "ctid") and the rule's columns.
 * "found": as above.
 */
Jsonb *
voxanne_invalid_sample(const VoxTable *table, const VoxInvalidRule *rule, bool live_only,
					   const VoxScanQuestion *found, int max_rows)
{
	const char *alias = table_alias(table);
	VoxQuery	query = {0};
	List	   *columns = list_truncate(list_copy(rule->columns), SAMPLED_COLUMNS);
	char	   *condition = psprintf("%s AND NOT (%s)", live_only ? voxanne_table_live(table, alias) : "true",
									 rule->valid);
	const char *from = found == NULL || !found->listed ? table->from :
		voxanne_rows_found(&query, table, list_union_int(voxanne_table_id_columns(table), rule->columns), found);

	query.sql = voxanne_table_sample(table, from, alias, columns, "", NIL, condition, max_rows);
	return voxanne_query_jsonb(&query);
}

/* The table's own name, by which a constraint's text may mean the whole row. */
static const char *
table_alias(const VoxTable *table)
{
	return quote_identifier(get_rel_name(table->relid));
}

/* The condition that a row has a value in all of a rule's columns. */
static char *
complete(const VoxTable *table, const VoxInvalidRule *rule)
{
	StringInfoData buf;
	ListCell   *lc;

	if (OidIsValid(rule->constraint))
		return pstrdup("true");
	initStringInfo(&buf);
	foreach(lc, rule->columns)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " AND " : "",
						 voxanne_not_null(table->relid, table_alias(table), lfirst_int(lc), true));
	return buf.data;
}
