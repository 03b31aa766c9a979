/*
 * src/data/duplicate_check.c
 *		What find_duplicates() checks: rows with equal keys, in any table.
 */
#include "postgres.h"

#include "core/attempt.h"
#include "core/compat.h"
#include "core/finding.h"
#include "core/privileges.h"
#include "core/relation.h"
#include "core/words.h"
#include "data/check.h"
#include "data/partition.h"
#include "data/run.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* find_duplicates()'s own columns, after the finding's. */
enum
{
	COL_KEY_VALUES, COL_ROWS, COL_KEEP_ID, COL_DUPLICATE_IDS, COL_OLDEST, COL_NEWEST, COL_REFERENCES,
	OWN_COLS
};

static void prepare(void *state);
static void report(void *state);
static List *duplicate_ids(List *groups);
static void skip(VoxDuplicateCheck *check, const char *what, const char *reason, const char *advice);
static char *key_names(const VoxDuplicateCheck *check);
static void report_group(VoxDuplicateCheck *check, const VoxKeyGroup *group, int64 references);
static void fill_treatment(VoxDuplicateCheck *check, const VoxKeyGroup *group, VoxFinding *finding);
static char *unique_index(const VoxDuplicateCheck *check);

/*
 * The columns of a key, the tenant's (InvalidAttrNumber: none) first.  ERROR for
 * what cannot be a key: no column, one that does not exist or comes twice, a type
 * without equality.
 */
List *
voxanne_key_columns(Oid relid, List *names, const char *argument, AttrNumber tenant)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, names)
	{
		AttrNumber	column = voxanne_key_column(relid, lfirst(lc));

		if (list_member_int(columns, column))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" appears twice in %s", (char *) lfirst(lc), argument)));
		columns = lappend_int(columns, column);
	}
	if (columns == NIL || list_length(columns) > INDEX_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must name 1 to %d columns", argument, INDEX_MAX_KEYS),
				 errhint("Name the columns that should be unique together, e.g. %s => '{phone}'.", argument)));
	if (tenant != InvalidAttrNumber && !list_member_int(columns, tenant))
		columns = lcons_int(tenant, columns);
	foreach(lc, columns)
		(void) voxanne_equality_operator(voxanne_column_type(relid, lfirst_int(lc)));
	return columns;
}

/*
 * A column by its name.  ERROR 42703 if there is none.
 */
AttrNumber
voxanne_key_column(Oid relid, const char *name)
{
	AttrNumber	column = voxanne_find_column(relid, name);

	if (column == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has no column \"%s\"", voxanne_relation_name(relid), name),
				 errhint("Name columns as the table has them; expressions are not columns.")));
	return column;
}

/*
 * Lock (AccessShareLock, to the end of the transaction) the table and those that
 * reference it, without waiting.
 */
void
voxanne_duplicates_lock(VoxDuplicateCheck *check)
{
	check->advice = "Call find_duplicates() again once that is settled: there may be duplicates.";
	check->refusal = voxanne_lock_to_read(check->relid);
	if (check->refusal == NULL)
		voxanne_incoming_lock(&check->incoming, check->relid);
}

/*
 * What to ask the scan engine (VoxScanQuestion *).
 */
List *
voxanne_duplicates_ask(VoxDuplicateCheck *check)
{
	char	   *failure = check->refusal == NULL ? voxanne_attempt(prepare, check) : NULL;

	if (failure != NULL)
		check->refusal = failure;
	return check->refusal == NULL ? list_make1(check->scan) : NIL;
}

static void
prepare(void *state)
{
	VoxDuplicateCheck *check = state;
	VoxTable   *table = &check->question.table;

	voxanne_table_describe(table, check->relid);
	check->refusal = voxanne_run_refusal(check->relid,
										 list_union_int(voxanne_table_id_columns(table), check->question.columns));
	if (check->refusal != NULL)
	{
		check->advice = "Call find_duplicates() as a role that may read the whole table.";
		return;
	}
	check->scan = palloc_object(VoxScanQuestion);
	check->scan->reason = voxanne_scan_key(&check->question, check->scan);
}

/*
 * Report the groups of duplicates.
 */
void
voxanne_duplicates_report(VoxDuplicateCheck *check)
{
	if (check->refusal == NULL)
		check->refusal = voxanne_attempt(report, check);
	if (check->refusal != NULL)
		skip(check, NULL, check->refusal, check->advice);
}

static void
report(void *state)
{
	VoxDuplicateCheck *check = state;
	VoxTable   *table = &check->question.table;
	VoxKeyAnswer answer;
	int64	   *references;
	ListCell   *lc;

	if (check->scan->late)
	{
		skip(check, NULL, OUT_OF_TIME, "Call find_duplicates() again with more time: there may be duplicates.");
		return;
	}
	/* with the tenant in the key, other servers can group their own rows */
	if (table->foreign)
		voxanne_pin_setting("enable_partitionwise_aggregate", "on");
	voxanne_execution_note(table->name, key_names(check), check->scan);
	voxanne_key_ask(&check->question, check->scan->answered ? check->scan : NULL, &answer);
	check->surplus = answer.surplus;
	if (check->question.nulls_distinct)
		check->incoming.filled = check->question.columns;
	references = voxanne_incoming_count(&check->incoming, table, duplicate_ids(answer.groups));
	foreach(lc, answer.groups)
		report_group(check, lfirst(lc), references[foreach_current_index(lc)]);
	if (answer.total > list_length(answer.groups))
		skip(check, "max_groups", psprintf("%s not listed.", voxanne_count_of(answer.total - list_length(answer.groups),
																			  "more group of duplicates is", "more groups of duplicates are")),
			 "Raise max_groups, or call find_duplicates() again after the remedies.");
}

/* The ids (char *) of each group's rows but the one that is kept. */
static List *
duplicate_ids(List *groups)
{
	List	   *ids = NIL;
	ListCell   *lc;

	foreach(lc, groups)
	{
		List	   *of_group = NIL;
		ListCell   *lc2;

		for_each_from(lc2, ((const VoxKeyGroup *) lfirst(lc))->members, 1)
			of_group = lappend(of_group, ((VoxMember *) lfirst(lc2))->id);
		ids = lappend(ids, of_group);
	}
	return ids;
}

/* Something about the key that is not said; "what" may be NULL. */
static void
skip(VoxDuplicateCheck *check, const char *what, const char *reason, const char *advice)
{
	char	   *names = key_names(check);

	voxanne_sink_skip(check->sink, voxanne_run_object(check->relid),
					  what == NULL ? names : psprintf("%s=%s", names, what), reason, advice);
}

/* "org_id,phone": tells the checks of one table apart. */
static char *
key_names(const VoxDuplicateCheck *check)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, check->question.columns)
	{
		char	   *name = get_attname(check->relid, lfirst_int(lc), true);

		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "," : "", name == NULL ? "dropped" : quote_identifier(name));
	}
	return buf.data;
}

static void
report_group(VoxDuplicateCheck *check, const VoxKeyGroup *group, int64 references)
{
	const VoxTable *table = &check->question.table;
	const VoxMember *keeper = linitial(group->members);
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS] = {false};
	VoxFinding	finding = {
		.severity = VOX_WARNING,
		.object = table->name,
		.key = voxanne_finding_key("duplicate_rows", table->name,
								   psprintf("%s=%s", key_names(check), keeper->id)),
	};

	finding.detail = psprintf("%lld rows of %s have the same %s; the oldest is %s.",
							  (long long) group->rows, table->name,
							  voxanne_column_list(check->relid, "", check->question.columns), keeper->id);
	fill_treatment(check, group, &finding);

	own[COL_KEY_VALUES] = group->key_values;
	own[COL_ROWS] = Int32GetDatum((int32) Min(group->rows, PG_INT32_MAX));
	own[COL_KEEP_ID] = CStringGetTextDatum(keeper->id);
	own[COL_DUPLICATE_IDS] = voxanne_member_ids(group->members);
	own[COL_OLDEST] = TimestampTzGetDatum(group->oldest);
	own[COL_NEWEST] = TimestampTzGetDatum(group->newest);
	own_null[COL_OLDEST] = own_null[COL_NEWEST] = !group->has_age;
	own[COL_REFERENCES] = Int64GetDatum(references);
	own_null[COL_REFERENCES] = check->incoming.unknown != NULL;
	voxanne_sink_add(check->sink, &finding, own, own_null);
}

/* Advice and remedy for a group. */
static void
fill_treatment(VoxDuplicateCheck *check, const VoxKeyGroup *group, VoxFinding *finding)
{
	const VoxTable *table = &check->question.table;
	bool		soft = check->question.live_only && table->mark != NULL;
	const char *index = unique_index(check);

	if (table->pk == NIL)
	{
		finding->advice = "Give the table a primary key first: without one its rows are named by ctid here, which changes with every update.";
		return;
	}
	if (table->foreign)
	{
		finding->advice = "Merge them on the server that has them: there is no remedy across servers.";
		return;
	}
	if (table->rules)
	{
		finding->advice = "Merge them by hand: the table has rules (CREATE RULE), so that a statement may do something else than it says.";
		return;
	}
	if (check->incoming.unknown != NULL)
	{
		finding->advice = psprintf("Merge them as a role that can see all that references them; not all can be seen now: %s",
								   check->incoming.unknown);
		return;
	}
	finding->advice = psprintf("Compare the rows; the remedy keeps the oldest, makes what references the others reference it and %s them%s%s.%s",
							   soft ? "soft-deletes" : "moves", soft ? "" : " to voxanne_quarantine.row_image",
							   check->question.live_only && !soft ? voxanne_table_unmarkable(table) : "",
							   voxanne_incoming_stuck(&check->incoming));
	if (index != NULL)
		finding->advice = psprintf("%s Then prevent it (rows in the way now: %lld): %s", finding->advice,
								   (long long) check->surplus, index);
	finding->remedy = voxanne_merge_remedy(table, &check->incoming, group->members, soft, finding->key);
}

/* The unique index that would have prevented the duplicates; NULL if there can be none. */
static char *
unique_index(const VoxDuplicateCheck *check)
{
	const VoxTable *table = &check->question.table;
	bool		partial = check->question.live_only && table->soft_delete != NIL;
	ListCell   *lc;

	foreach(lc, check->question.columns)
	{
		Oid			type = getBaseType(voxanne_column_type(check->relid, lfirst_int(lc)));

		if (!OidIsValid(lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf))
			return NULL;
	}
	if (voxanne_has_virtual(check->relid, partial ? list_union_int(check->question.columns, voxanne_table_soft_columns(table)) :
							check->question.columns))
		return NULL;
	if (table->partitioned && voxanne_partitioned_by_other(check->relid, check->question.columns) != NULL)
		return NULL;
	return psprintf("CREATE UNIQUE INDEX %sON %s (%s)%s%s%s;",
					table->partitioned ? "" : "CONCURRENTLY ", table->name,
					voxanne_column_list(check->relid, "", check->question.columns),
					check->question.nulls_distinct ? "" : " NULLS NOT DISTINCT",
					partial ? " WHERE " : "",
					partial ? voxanne_table_live(table, "") : "");
}
