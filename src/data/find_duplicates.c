/*
 * src/data/find_duplicates.c
 *		find_duplicates(): rows with equal keys, in any table.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_partitioned_table.h"
#include "core/attempt.h"
#include "core/compat.h"
#include "core/finding.h"
#include "core/privileges.h"
#include "core/relation.h"
#include "data/duplicate.h"
#include "data/executor.h"
#include "data/run.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* find_duplicates()'s own columns, after the finding's. */
enum
{
	COL_KEY_VALUES, COL_ROWS, COL_KEEP_ID, COL_DUPLICATE_IDS, COL_OLDEST, COL_NEWEST, COL_REFERENCES,
	OWN_COLS
};

typedef struct DuplicateRun
{
	VoxSink		sink;
	Oid			relid;
	List	   *columns;		/* of the key, with the tenant's */
	VoxKeyQuestion question;
	VoxIncoming incoming;
	int64		surplus;		/* rows that a unique index would not take */
} DuplicateRun;

static List *resolve_key(FunctionCallInfo fcinfo, Oid relid);
static AttrNumber resolve_column(Oid relid, const char *name);
static void check_key(void *state);
static char *key_names(const DuplicateRun *run);
static void report_group(DuplicateRun *run, const VoxKeyGroup *group, int64 references);
static void fill_treatment(DuplicateRun *run, const VoxKeyGroup *group, VoxFinding *finding);
static char *unique_index(const DuplicateRun *run);
static bool covers_partition_key(const DuplicateRun *run);

VOXANNE_FUNCTION(voxanne_find_duplicates);

/*
 * find_duplicates(relation regclass, key_columns name[], tenant_column name,
 *				   nulls_distinct boolean, include_deleted boolean, max_groups int)
 *
 * Locks (AccessShareLock, to the end of the transaction) the table and those
 * that reference it, without waiting.
 */
Datum
voxanne_find_duplicates(PG_FUNCTION_ARGS)
{
	DuplicateRun run;
	char	   *refusal;
	int			nestlevel;

	memset(&run, 0, sizeof(run));
	voxanne_argument_required(fcinfo, 0, "relation");
	run.relid = PG_GETARG_OID(0);
	voxanne_require_table(run.relid, "relation");
	run.columns = resolve_key(fcinfo, run.relid);
	run.question.columns = run.columns;
	run.question.nulls_distinct = voxanne_argument_bool(fcinfo, 3, "nulls_distinct");
	run.question.live_only = !voxanne_argument_bool(fcinfo, 4, "include_deleted");
	run.question.max_groups = voxanne_argument_count(fcinfo, 5, "max_groups");

	nestlevel = voxanne_run_begin(&run.sink, fcinfo);
	refusal = voxanne_lock_to_read(run.relid);
	if (refusal == NULL)
		voxanne_incoming_lock(&run.incoming, run.relid);
	voxanne_run_snapshot();
	if (refusal == NULL)
		refusal = voxanne_attempt(check_key, &run);
	if (refusal != NULL)
		voxanne_sink_skip(&run.sink, voxanne_run_object(run.relid), key_names(&run), refusal,
						  "Call find_duplicates() again once that is settled: there may be duplicates.");
	voxanne_run_end(&run.sink, nestlevel, true);
	PG_RETURN_VOID();
}

/*
 * The key's columns with the tenant's first.  ERROR for what cannot be a key:
 * no column, one that does not exist or comes twice, a type without equality.
 */
static List *
resolve_key(FunctionCallInfo fcinfo, Oid relid)
{
	List	   *columns = NIL;
	AttrNumber	tenant;
	ListCell   *lc;

	voxanne_argument_required(fcinfo, 1, "key_columns");
	foreach(lc, voxanne_argument_names(fcinfo, 1, "key_columns"))
	{
		AttrNumber	column = resolve_column(relid, lfirst(lc));

		if (list_member_int(columns, column))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" appears twice in key_columns", (char *) lfirst(lc))));
		columns = lappend_int(columns, column);
	}
	if (columns == NIL || list_length(columns) > INDEX_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"key_columns\" must name 1 to %d columns", INDEX_MAX_KEYS),
				 errhint("Name the columns that should be unique together, e.g. key_columns => '{phone}'.")));

	tenant = PG_ARGISNULL(2) ? voxanne_tenant_column(relid) :
		resolve_column(relid, NameStr(*PG_GETARG_NAME(2)));
	if (tenant != InvalidAttrNumber && !list_member_int(columns, tenant))
		columns = lcons_int(tenant, columns);
	foreach(lc, columns)
		(void) voxanne_equality_operator(voxanne_column_type(relid, lfirst_int(lc)));
	return columns;
}

static AttrNumber
resolve_column(Oid relid, const char *name)
{
	AttrNumber	column = voxanne_find_column(relid, name);

	if (column == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has no column \"%s\"", voxanne_relation_name(relid), name),
				 errhint("Names in an array are case-sensitive and not quoted; expressions are not columns.")));
	return column;
}

static void
check_key(void *state)
{
	DuplicateRun *run = state;
	VoxTable   *table = &run->question.table;
	List	   *ids = NIL;
	List	   *owners = NIL;
	VoxScanQuestion scan;
	VoxKeyAnswer answer;
	int64	   *references;
	const char *refusal;
	ListCell   *lc;

	voxanne_table_describe(table, run->relid);
	refusal = voxanne_run_refusal(run->relid, list_union_int(voxanne_table_id_columns(table), run->columns));
	if (refusal != NULL)
	{
		voxanne_sink_skip(&run->sink, table->name, key_names(run), refusal,
						  "Call find_duplicates() as a role that may read the whole table.");
		return;
	}

	/* with the tenant in the key, other servers can group their own rows */
	if (table->foreign)
		voxanne_pin_setting("enable_partitionwise_aggregate", "on");
	scan.reason = voxanne_scan_key(&run->question, &scan);
	voxanne_scan(&scan, 1);
	if (scan.late)
	{
		voxanne_sink_skip(&run->sink, table->name, key_names(run), OUT_OF_TIME,
						  "Call find_duplicates() again with more time: there may be duplicates.");
		return;
	}
	voxanne_execution_note(table->name, key_names(run), &scan);
	voxanne_key_ask(&run->question, scan.answered ? &scan : NULL, &answer);
	run->surplus = answer.surplus;
	voxanne_incoming_check(&run->incoming);
	references = palloc0_array(int64, list_length(answer.groups) + 1);
	foreach(lc, answer.groups)
	{
		const VoxKeyGroup *group = lfirst(lc);
		ListCell   *lc2;

		for_each_from(lc2, group->members, 1)
		{
			ids = lappend(ids, ((VoxMember *) lfirst(lc2))->id);
			owners = lappend_int(owners, foreach_current_index(lc));
		}
	}
	if (run->incoming.unknown == NULL)
		voxanne_incoming_count(&run->incoming, table, ids, owners, references);

	foreach(lc, answer.groups)
		report_group(run, lfirst(lc), references[foreach_current_index(lc)]);
	if (answer.total > list_length(answer.groups))
		voxanne_sink_skip(&run->sink, table->name, psprintf("%s=max_groups", key_names(run)),
						  psprintf("%lld more groups of duplicates are not listed.",
								   (long long) (answer.total - list_length(answer.groups))),
						  "Raise max_groups, or call find_duplicates() again after the remedies.");
}

/* "org_id,phone": tells the checks of one table apart. */
static char *
key_names(const DuplicateRun *run)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, run->columns)
	{
		char	   *name = get_attname(run->relid, lfirst_int(lc), true);

		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "," : "", name == NULL ? "dropped" : quote_identifier(name));
	}
	return buf.data;
}

static void
report_group(DuplicateRun *run, const VoxKeyGroup *group, int64 references)
{
	const VoxTable *table = &run->question.table;
	const VoxMember *keeper = linitial(group->members);
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS] = {false};
	VoxFinding	finding = {
		.severity = VOX_WARNING,
		.object = table->name,
		.key = voxanne_finding_key("duplicate_rows", table->name,
								   psprintf("%s=%s", key_names(run), keeper->id)),
	};

	finding.detail = psprintf("%lld rows of %s have the same %s; the oldest is %s.",
							  (long long) group->rows, table->name,
							  voxanne_column_list(run->relid, "", run->columns), keeper->id);
	fill_treatment(run, group, &finding);

	own[COL_KEY_VALUES] = group->key_values;
	own[COL_ROWS] = Int32GetDatum((int32) Min(group->rows, PG_INT32_MAX));
	own[COL_KEEP_ID] = CStringGetTextDatum(keeper->id);
	own[COL_DUPLICATE_IDS] = voxanne_member_ids(group->members);
	own[COL_OLDEST] = TimestampTzGetDatum(group->oldest);
	own[COL_NEWEST] = TimestampTzGetDatum(group->newest);
	own_null[COL_OLDEST] = own_null[COL_NEWEST] = !group->has_age;
	own[COL_REFERENCES] = Int64GetDatum(references);
	own_null[COL_REFERENCES] = run->incoming.unknown != NULL;
	voxanne_sink_add(&run->sink, &finding, own, own_null);
}

/* Advice and remedy for a group. */
static void
fill_treatment(DuplicateRun *run, const VoxKeyGroup *group, VoxFinding *finding)
{
	const VoxTable *table = &run->question.table;
	bool		soft = run->question.live_only && table->soft_delete != NIL;
	const char *index = unique_index(run);

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
	if (run->incoming.unknown != NULL)
	{
		finding->advice = psprintf("Merge them as a role that can see all that references them; not all can be seen now: %s",
								   run->incoming.unknown);
		return;
	}
	finding->advice = psprintf("Compare the rows; the remedy keeps the oldest, makes what references the others reference it and %s them%s.",
							   soft ? "soft-deletes" : "moves", soft ? "" : " to voxanne_quarantine.row_image");
	if (index != NULL)
		finding->advice = psprintf("%s Then prevent it (rows in the way now: %lld): %s", finding->advice,
								   (long long) run->surplus, index);
	finding->remedy = voxanne_merge_remedy(table, &run->incoming, group->members, soft, finding->key);
}

/* The unique index that would have prevented the duplicates; NULL if there can be none. */
static char *
unique_index(const DuplicateRun *run)
{
	const VoxTable *table = &run->question.table;
	bool		partial = run->question.live_only && table->soft_delete != NIL;
	ListCell   *lc;

	foreach(lc, run->columns)
	{
		Oid			type = getBaseType(voxanne_column_type(run->relid, lfirst_int(lc)));

		if (!OidIsValid(lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf))
			return NULL;
	}
	if (table->partitioned && (partial || !covers_partition_key(run)))
		return NULL;
	return psprintf("CREATE UNIQUE INDEX %sON %s (%s)%s%s%s;",
					table->partitioned ? "" : "CONCURRENTLY ", table->name,
					voxanne_column_list(run->relid, "", run->columns),
					run->question.nulls_distinct ? "" : " NULLS NOT DISTINCT",
					partial ? " WHERE " : "",
					partial ? voxanne_table_live(table, "") : "");
}

/*
 * A unique index of a partitioned table must contain all columns that it is
 * partitioned by.  Not from the relcache, which would fold the key's functions.
 */
static bool
covers_partition_key(const DuplicateRun *run)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(run->relid));
	bool		covered = HeapTupleIsValid(tuple);

	if (covered)
	{
		Form_pg_partitioned_table form = (Form_pg_partitioned_table) GETSTRUCT(tuple);

		for (int i = 0; i < form->partnatts && covered; i++)
			covered = form->partattrs.values[i] != 0 &&
				list_member_int(run->columns, form->partattrs.values[i]);
		ReleaseSysCache(tuple);
	}
	return covered;
}
