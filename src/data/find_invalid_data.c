/*
 * src/data/find_invalid_data.c
 *		find_invalid_data(): values that cannot be right.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/check.h"
#include "data/run.h"

VOXANNE_FUNCTION(voxanne_find_invalid_data);

/*
 * find_invalid_data(relation regclass, schemas name[], include_deleted boolean,
 *					 max_rows int)
 */
Datum
voxanne_find_invalid_data(PG_FUNCTION_ARGS)
{
	VoxSink		sink;
	VoxInvalidCheck check;
	int			nestlevel;

	memset(&check, 0, sizeof(check));
	check.sink = &sink;
	check.relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	check.schemas = voxanne_argument_schemas(fcinfo, 1);
	check.include_deleted = voxanne_argument_bool(fcinfo, 2, "include_deleted");
	check.max_rows = voxanne_argument_count(fcinfo, 3, "max_rows");
	if (OidIsValid(check.relid))
		voxanne_require_table(check.relid, "relation");

	nestlevel = voxanne_run_begin(&sink, fcinfo);
	voxanne_invalid_lock(&check);
	voxanne_run_snapshot();
	voxanne_scan(voxanne_invalid_ask(&check));
	voxanne_invalid_report(&check);
	voxanne_run_end(&sink, nestlevel, true);
	PG_RETURN_VOID();
}
