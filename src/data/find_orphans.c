/*
 * src/data/find_orphans.c
 *		find_orphans(): references that lead nowhere, or where they should not.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/check.h"
#include "data/run.h"

VOXANNE_FUNCTION(voxanne_find_orphans);

/*
 * find_orphans(relation regclass, schemas name[], inferred boolean,
 *				include_deleted boolean, max_rows int)
 */
Datum
voxanne_find_orphans(PG_FUNCTION_ARGS)
{
	VoxSink		sink;
	VoxOrphanCheck check;
	int			nestlevel;

	memset(&check, 0, sizeof(check));
	check.sink = &sink;
	check.relid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	check.schemas = voxanne_argument_schemas(fcinfo, 1);
	check.inferred = voxanne_argument_bool(fcinfo, 2, "inferred");
	check.include_deleted = voxanne_argument_bool(fcinfo, 3, "include_deleted");
	check.max_rows = voxanne_argument_count(fcinfo, 4, "max_rows");
	if (OidIsValid(check.relid))
		voxanne_require_table(check.relid, "relation");

	nestlevel = voxanne_run_begin(&sink, fcinfo);
	voxanne_orphans_lock(&check);
	voxanne_run_snapshot();
	voxanne_scan(voxanne_orphans_ask(&check));
	voxanne_orphans_report(&check);
	voxanne_run_end(&sink, nestlevel, true);
	PG_RETURN_VOID();
}
