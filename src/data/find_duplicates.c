/*
 * src/data/find_duplicates.c
 *		find_duplicates(): rows with equal keys, in any table.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/check.h"
#include "data/run.h"

VOXANNE_FUNCTION(voxanne_find_duplicates);

/*
 * find_duplicates(relation regclass, key_columns name[], tenant_column name,
 *				   nulls_distinct boolean, include_deleted boolean, max_groups int)
 */
Datum
voxanne_find_duplicates(PG_FUNCTION_ARGS)
{
	VoxSink		sink;
	VoxDuplicateCheck check;
	AttrNumber	tenant;
	int			nestlevel;

	memset(&check, 0, sizeof(check));
	check.sink = &sink;
	voxanne_argument_required(fcinfo, 0, "relation");
	check.relid = PG_GETARG_OID(0);
	voxanne_require_table(check.relid, "relation");
	voxanne_argument_required(fcinfo, 1, "key_columns");
	tenant = PG_ARGISNULL(2) ? voxanne_tenant_column(check.relid) :
		voxanne_key_column(check.relid, NameStr(*PG_GETARG_NAME(2)));
	check.question.columns = voxanne_key_columns(check.relid, voxanne_argument_names(fcinfo, 1, "key_columns"),
												 "key_columns", tenant);
	check.question.nulls_distinct = voxanne_argument_bool(fcinfo, 3, "nulls_distinct");
	check.question.live_only = !voxanne_argument_bool(fcinfo, 4, "include_deleted");
	check.question.max_groups = voxanne_argument_count(fcinfo, 5, "max_groups");

	nestlevel = voxanne_run_begin(&sink, fcinfo);
	voxanne_duplicates_lock(&check);
	voxanne_run_snapshot();
	voxanne_scan(voxanne_duplicates_ask(&check));
	voxanne_duplicates_report(&check);
	voxanne_run_end(&sink, nestlevel, true);
	PG_RETURN_VOID();
}
