/*
 * src/locks/blocking_locks.c
 *		The function blocking_locks(): look, judge, print.
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "core/compat.h"
#include "core/finding.h"
#include "fmgr.h"
#include "funcapi.h"
#include "locks/advice.h"
#include "locks/blocking_row.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* State of one call. */
typedef struct Call
{
	/* arguments */
	Interval   *min_wait;		/* NULL: any */
	Oid			database;		/* InvalidOid: all */

	/* what the look gave */
	VoxForest  *forest;
	VoxNaming	naming;

	VoxSink		sink;
} Call;

/* Looks that find a party gone each time, after which its row says so. */
#define MAX_LOOKS 4

static void read_arguments(Call *call, FunctionCallInfo fcinfo);
static void look(Call *call, Oid own_schema);
static bool is_wanted(const Call *call, const VoxNode *top);
static bool waited_enough(const Call *call, const VoxNode *node);
static bool is_of_database(const Call *call, const VoxNode *node);
static void put_tree(Call *call, const VoxNode *node);
static void put_node(Call *call, const VoxNode *node);

VOXANNE_FUNCTION(voxanne_blocking_locks);

/*
 * blocking_locks(min_wait interval, database name)
 *
 * The forest of everybody who waits and who blocks them, the worst tree first,
 * each from its root down.  ERROR 22023 for a negative min_wait, 3D000 for an
 * unknown database.
 */
Datum
voxanne_blocking_locks(PG_FUNCTION_ARGS)
{
	Call		call = {0};
	ListCell   *lc;

	read_arguments(&call, fcinfo);
	voxanne_sink_open(&call.sink, fcinfo);
	look(&call, get_func_namespace(fcinfo->flinfo->fn_oid));
	if (call.forest->count > 0)
	{
		voxanne_forest_order(call.forest);
		foreach(lc, call.forest->tops)
		{
			if (is_wanted(&call, lfirst(lc)))
				put_tree(&call, lfirst(lc));
		}
	}
	voxanne_naming_end(&call.naming);
	voxanne_sink_close_unsorted(&call.sink);
	return (Datum) 0;
}

static void
read_arguments(Call *call, FunctionCallInfo fcinfo)
{
	if (!PG_ARGISNULL(0))
	{
		Interval	zero = {0};

		call->min_wait = PG_GETARG_INTERVAL_P(0);
		if (DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(call->min_wait),
											 IntervalPGetDatum(&zero))))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"%s\" must not be negative", "min_wait"),
					 errhint("Trees whose longest wait is shorter than min_wait are left out; '0' shows all.")));
	}
	if (!PG_ARGISNULL(1))
	{
		const char *name = NameStr(*PG_GETARG_NAME(1));

		call->database = get_database_oid(name, true);
		if (!OidIsValid(call->database))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_DATABASE),
					 errmsg("database \"%s\" does not exist", name),
					 errhint("List databases with: SELECT datname FROM pg_database; NULL means all.")));
	}
}

/*
 * Collect and judge; again if somebody went away meanwhile.  Once somebody waits
 * the catalogs that names come from are locked, as far as they are free.
 */
static void
look(Call *call, Oid own_schema)
{
	bool		complete = false;

	for (int looks = 0; looks < MAX_LOOKS && !complete; looks++)
	{
		VoxActivity activity;

		call->forest = voxanne_forest_look();
		if (call->forest->count == 0)
			return;
		if (looks == 0)
			voxanne_naming_begin(&call->naming, own_schema);
		voxanne_activity_take(&activity, voxanne_naming_roles(&call->naming));
		complete = voxanne_assess(call->forest, &activity);
	}
}

/* Does a tree pass the filters?  One that is long enough and one of the database's will do. */
static bool
is_wanted(const Call *call, const VoxNode *top)
{
	bool		long_enough = waited_enough(call, top);
	bool		right_database = is_of_database(call, top);
	int			i = -1;

	while ((i = bms_next_member(top->below, i)) >= 0)
	{
		long_enough = long_enough || waited_enough(call, &call->forest->nodes[i]);
		right_database = right_database || is_of_database(call, &call->forest->nodes[i]);
	}
	return long_enough && right_database;
}

static bool
waited_enough(const Call *call, const VoxNode *node)
{
	Interval	waited = {0};

	if (call->min_wait == NULL)
		return true;
	if (node->wait == NULL)
		return false;
	waited.time = call->forest->graph->taken - node->since;
	return DatumGetBool(DirectFunctionCall2(interval_ge, IntervalPGetDatum(&waited),
											IntervalPGetDatum(call->min_wait)));
}

/* WAL replay has no database; the lock that it awaits has. */
static bool
is_of_database(const Call *call, const VoxNode *node)
{
	if (!OidIsValid(call->database))
		return true;
	if (node->session != NULL && node->session->database == call->database)
		return true;
	return node->party->replay && node->wait != NULL && voxanne_lock_database(node->wait) == call->database;
}

static void
put_tree(Call *call, const VoxNode *node)
{
	ListCell   *lc;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	put_node(call, node);
	foreach(lc, node->children)
	{
		put_tree(call, lfirst(lc));
	}
}

static void
put_node(Call *call, const VoxNode *node)
{
	VoxBlockingRow row;
	VoxAdvice	advice;
	VoxFinding	finding = {.severity = node->severity};

	voxanne_blocking_row(&row, call->forest, &call->naming, node);
	voxanne_advise(&advice, call->forest, node, &call->naming);

	finding.object = row.target == NULL ? voxanne_party_label(node) :
		voxanne_lock_object(&call->naming, row.about);
	finding.detail = voxanne_describe(call->forest, node, row.about, row.target, row.held);
	finding.advice = advice.advice;
	finding.remedy = advice.remedy;
	finding.key = voxanne_finding_key("blocking_lock", voxanne_blocking_key(node), NULL);
	voxanne_sink_add(&call->sink, &finding, row.values, row.nulls);
}
