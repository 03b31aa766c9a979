/*
 * src/child/version.c
 *		voxanne_ops_version(): do library, SQL objects and agent belong together?
 *
 * They are replaced at three different moments: the agent by the package, the
 * library by a restart, the SQL objects by ALTER EXTENSION.  In this room since
 * the agent must be asked.
 */
#include "postgres.h"

#include "child/child.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/shared.h"
#include "funcapi.h"
#include "utils/builtins.h"

#define VERSION_COLS 5

VOXANNE_FUNCTION(voxanne_ops_version);

static const char *explain(const char *sql, const char *agent, const char *no_agent, bool preloaded);

/*
 * voxanne_ops_version()
 *
 * One row: version of the library, of the SQL objects, of the agent (null if it
 * does not answer), whether the library was preloaded, and what to do if these
 * do not fit; null if they do.
 */
Datum
voxanne_ops_version(PG_FUNCTION_ARGS)
{
	char	   *no_agent = NULL;
	char	   *sql = voxanne_extension_version();
	char	   *agent = voxanne_agent_version(&no_agent);
	const char *advice = explain(sql, agent, no_agent, voxanne_preloaded());
	Datum		values[VERSION_COLS] = {0};
	bool		nulls[VERSION_COLS] = {0};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	values[0] = CStringGetTextDatum(VOXANNE_VERSION);
	nulls[1] = sql == NULL;
	if (sql != NULL)
		values[1] = CStringGetTextDatum(sql);
	nulls[2] = agent == NULL;
	if (agent != NULL)
		values[2] = CStringGetTextDatum(agent);
	values[3] = BoolGetDatum(voxanne_preloaded());
	nulls[4] = advice == NULL;
	if (advice != NULL)
		values[4] = CStringGetTextDatum(advice);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* The first thing to do, or NULL. */
static const char *
explain(const char *sql, const char *agent, const char *no_agent, bool preloaded)
{
	if (sql != NULL && strcmp(sql, VOXANNE_VERSION) != 0)
		return "The library and the SQL objects differ: restart the server if it still runs the old library, then run ALTER EXTENSION voxanne_ops UPDATE.";
	if (agent == NULL)
		return psprintf("The agent does not answer: %s Install it beside the postgres executable or set voxanne_ops.agent_path.", no_agent);
	if (strcmp(agent, VOXANNE_VERSION) != 0)
		return "The library and the agent differ: restart the server to load the library that was installed with the agent.";
	if (!preloaded)
		return "The library was not preloaded, so there are no background workers: backup_status() has the statement that adds it.";
	return NULL;
}
