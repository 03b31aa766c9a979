/*
 * src/data/check_data.c
 *		check_data(): all data checks of a table, or of all tables, in one scan of each.
 *
 * What find_duplicates(), find_orphans() and find_invalid_data() ask of a table
 * is put to the scan engine together; each then reports as it would alone, and
 * its own columns become metadata.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/relation.h"
#include "data/check.h"
#include "data/run.h"
#include "utils/varlena.h"

/* The checks of one call. */
typedef struct DataRun
{
	VoxSink		sink;
	VoxOrphanCheck orphans;
	VoxInvalidCheck invalid;
	List	   *keys;			/* of VoxDuplicateCheck * */
} DataRun;

/* Groups of duplicates that are listed of a key, as by find_duplicates(). */
#define MAX_GROUPS 1000

static List *read_keys(DataRun *run, FunctionCallInfo fcinfo, Oid relid);
static bool has_key(List *keys, List *columns);
static List *split_key(const char *key);
static void check(DataRun *run);

VOXANNE_FUNCTION(voxanne_check_data);

/*
 * check_data(relation regclass, unique_keys text[], schemas name[], inferred boolean,
 *			  include_deleted boolean, max_rows int)
 *
 * Locks (AccessShareLock, to the end of the transaction) all tables concerned
 * without waiting; those that cannot be locked are skipped.
 */
Datum
voxanne_check_data(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	DataRun		run;
	int			nestlevel;

	memset(&run, 0, sizeof(run));
	if (OidIsValid(relid))
		voxanne_require_table(relid, "relation");
	run.orphans.sink = run.invalid.sink = &run.sink;
	run.orphans.relid = run.invalid.relid = relid;
	run.orphans.schemas = run.invalid.schemas = voxanne_argument_schemas(fcinfo, 2);
	run.orphans.inferred = voxanne_argument_bool(fcinfo, 3, "inferred");
	run.orphans.include_deleted = run.invalid.include_deleted = voxanne_argument_bool(fcinfo, 4, "include_deleted");
	run.orphans.max_rows = run.invalid.max_rows = voxanne_argument_count(fcinfo, 5, "max_rows");
	run.keys = read_keys(&run, fcinfo, relid);

	nestlevel = voxanne_run_begin(&run.sink, fcinfo);
	check(&run);
	voxanne_run_end(&run.sink, nestlevel, true);
	PG_RETURN_VOID();
}

/* The keys to check, each a list of columns as SQL writes them; one named twice is checked once. */
static List *
read_keys(DataRun *run, FunctionCallInfo fcinfo, Oid relid)
{
	List	   *keys = NIL;
	ListCell   *lc;

	voxanne_argument_required(fcinfo, 1, "unique_keys");
	foreach(lc, voxanne_argument_names(fcinfo, 1, "unique_keys"))
	{
		VoxDuplicateCheck *key = palloc0_object(VoxDuplicateCheck);

		if (!OidIsValid(relid))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"unique_keys\" needs argument \"relation\""),
					 errdetail("Keys are lists of one table's columns."),
					 errhint("Name the table: SELECT * FROM check_data('contacts', unique_keys => '{phone,email}').")));
		key->sink = &run->sink;
		key->relid = relid;
		key->question.columns = voxanne_key_columns(relid, split_key(lfirst(lc)), "unique_keys",
													voxanne_tenant_column(relid));
		key->question.nulls_distinct = true;
		key->question.live_only = !run->orphans.include_deleted;
		key->question.max_groups = MAX_GROUPS;
		if (!has_key(keys, key->question.columns))
			keys = lappend(keys, key);
	}
	return keys;
}

static bool
has_key(List *keys, List *columns)
{
	ListCell   *lc;

	foreach(lc, keys)
		if (equal(((const VoxDuplicateCheck *) lfirst(lc))->question.columns, columns))
		return true;
	return false;
}

/* "scheduled_at, contact_id" as names.  ERROR 42602 if it is no list of names. */
static List *
split_key(const char *key)
{
	List	   *names;

	if (!SplitIdentifierString(pstrdup(key), ',', &names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid list of columns in argument \"unique_keys\": \"%s\"", key),
				 errhint("An element is a key: column names, with commas between them and quoted where SQL needs it.")));
	return names;
}

/* Lock everything, scan once, report check by check. */
static void
check(DataRun *run)
{
	List	   *questions = NIL;
	ListCell   *lc;

	voxanne_orphans_lock(&run->orphans);
	voxanne_invalid_lock(&run->invalid);
	foreach(lc, run->keys)
		voxanne_duplicates_lock(lfirst(lc));
	voxanne_run_snapshot();
	questions = list_concat(voxanne_orphans_ask(&run->orphans), voxanne_invalid_ask(&run->invalid));
	foreach(lc, run->keys)
		questions = list_concat(questions, voxanne_duplicates_ask(lfirst(lc)));
	voxanne_scan(questions);

	voxanne_sink_pass_on(&run->sink, "find_duplicates", "4.1");
	foreach(lc, run->keys)
		voxanne_duplicates_report(lfirst(lc));
	voxanne_sink_pass_on(&run->sink, "find_invalid_data", "4.3");
	voxanne_invalid_report(&run->invalid);
	voxanne_sink_pass_on(&run->sink, "find_orphans", "4.4");
	voxanne_orphans_report(&run->orphans);
}
