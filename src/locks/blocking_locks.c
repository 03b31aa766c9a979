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
#include "lib/stringinfo.h"
#include "locks/advice.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inet.h"
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

/* Our own columns, left to right, without the six of a finding. */
enum
{
	COL_TREE,
	COL_DEPTH,
	COL_PID,
	COL_ROOT_PID,
	COL_BLOCKED_BY,
	COL_KIND,
	COL_WAITED,
	COL_XACT_AGE,
	COL_STATE,
	COL_BACKEND_TYPE,
	COL_DATABASE_NAME,
	COL_USER_NAME,
	COL_APPLICATION_NAME,
	COL_CLIENT_ADDR,
	COL_WANTS,
	COL_HELD,
	COL_TARGET,
	COL_VICTIMS,
	COL_QUERY,
	COL_QUERY_ID,
	COL_COUNT
};

/* One row on its way to the sink. */
typedef struct Row
{
	Datum		values[COL_COUNT];
	bool		nulls[COL_COUNT];
	const VoxWait *about;		/* the wait that target and object speak of;
								 * NULL: none */
	char	   *target;			/* NULL: not known, or not to be told */
	char	   *held;
} Row;

/* Looks that find a party gone each time, after which its row says so. */
#define MAX_LOOKS 4

/* Indentation stops here: a long chain must stay readable on a small screen. */
#define MAX_INDENT 12

#define NOT_TOLD "<insufficient privilege>"

static void read_arguments(Call *call, FunctionCallInfo fcinfo);
static void look(Call *call);
static bool is_wanted(const Call *call, const VoxNode *top);
static bool waited_enough(const Call *call, const VoxNode *node);
static bool is_of_database(const Call *call, const VoxNode *node);
static void put_tree(Call *call, const VoxNode *node);
static void put_node(Call *call, const VoxNode *node);
static void fill_place(Row *row, const VoxNode *node);
static void fill_locks(Row *row, const Call *call, const VoxNode *node);
static void fill_session(Row *row, const Call *call, const VoxNode *node);
static void fill_activity(Row *row, const Call *call, const VoxSession *session);
static const char *kind_of(const VoxNode *node);
static const VoxEdge *main_edge(const Call *call, const VoxNode *node);
static char *tree_label(const VoxNode *node);
static Datum blocker_pids(const VoxNode *node);
static char *node_key(const VoxNode *node);
static void put_text(Row *row, int column, const char *text);
static void put_name(Row *row, int column, const char *name);
static void put_int(Row *row, int column, int value);
static void put_age(Row *row, int column, TimestampTz since, TimestampTz now);

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
	look(&call);
	if (call.forest->count > 0)
	{
		voxanne_naming_begin(&call.naming, get_func_namespace(fcinfo->flinfo->fn_oid));
		voxanne_forest_order(call.forest);
		foreach(lc, call.forest->tops)
		{
			if (is_wanted(&call, lfirst(lc)))
				put_tree(&call, lfirst(lc));
		}
		voxanne_naming_end(&call.naming);
	}
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
					 errmsg("min_wait must not be negative"),
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

/* Collect and judge; again if somebody went away meanwhile. */
static void
look(Call *call)
{
	bool		complete = false;

	for (int looks = 0; looks < MAX_LOOKS && !complete; looks++)
	{
		VoxActivity activity;

		call->forest = voxanne_forest_look();
		if (call->forest->count == 0)
			return;
		voxanne_activity_take(&activity);
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
	Row			row;
	VoxAdvice	advice;
	VoxFinding	finding = {.severity = node->severity};

	memset(&row, 0, sizeof(row));
	memset(row.nulls, true, sizeof(row.nulls));
	fill_place(&row, node);
	fill_locks(&row, call, node);
	fill_session(&row, call, node);
	voxanne_advise(&advice, call->forest, node, &call->naming);

	finding.object = row.target == NULL ? voxanne_party_label(node) :
		voxanne_lock_object(&call->naming, row.about);
	finding.detail = voxanne_describe(call->forest, node, row.about, row.target, row.held);
	finding.advice = advice.advice;
	finding.remedy = advice.remedy;
	finding.key = voxanne_finding_key("blocking_lock", node_key(node), NULL);
	voxanne_sink_add(&call->sink, &finding, row.values, row.nulls);
}

/* Where it stands in the forest. */
static void
fill_place(Row *row, const VoxNode *node)
{
	put_text(row, COL_TREE, tree_label(node));
	put_int(row, COL_DEPTH, node->depth);
	if (node->party->pid != 0)
		put_int(row, COL_PID, node->party->pid);
	if (!node->root->cycle && node->root->wait == NULL && node->root->party->pid != 0)
		put_int(row, COL_ROOT_PID, node->root->party->pid);
	row->values[COL_BLOCKED_BY] = blocker_pids(node);
	row->nulls[COL_BLOCKED_BY] = false;
	put_text(row, COL_KIND, kind_of(node));
	put_int(row, COL_VICTIMS, node->victims);
}

/* What it wants, or what others want from it. */
static void
fill_locks(Row *row, const Call *call, const VoxNode *node)
{
	const VoxEdge *edge = main_edge(call, node);
	bool		hidden = node->session != NULL && node->session->hidden;
	LOCKMASK	held = 0;
	ListCell   *lc;

	row->about = node->wait != NULL ? node->wait : edge != NULL ? edge->wait : NULL;
	if (row->about != NULL && !hidden)
		row->target = voxanne_lock_target(&call->naming, row->about);
	if (node->wait != NULL && node->wait->what == VOX_WAIT_LOCK)
		put_text(row, COL_WANTS, GetLockmodeName(node->wait->tag.locktag_lockmethodid, node->wait->mode));

	if (edge != NULL && edge->wait->what == VOX_WAIT_LOCK)
	{
		foreach(lc, node->party->victims)
		{
			const VoxEdge *other = lfirst(lc);

			if (other->wait->what == VOX_WAIT_LOCK &&
				memcmp(&other->wait->tag, &edge->wait->tag, sizeof(LOCKTAG)) == 0)
				held |= other->held;
		}
		row->held = voxanne_mode_names(&edge->wait->tag, held);
		put_text(row, COL_HELD, row->held);
	}
	if (hidden)
		put_text(row, COL_TARGET, NOT_TOLD);
	else if (node->party->pid == 0 && row->target != NULL)
		put_text(row, COL_TARGET, psprintf("%s: %s", voxanne_party_label(node), row->target));
	else
		put_text(row, COL_TARGET, row->target);
}

/* Who it is. */
static void
fill_session(Row *row, const Call *call, const VoxNode *node)
{
	const VoxSession *session = node->session;

	if (node->wait != NULL)
		put_age(row, COL_WAITED, node->since, call->forest->graph->taken);
	if (session == NULL)
		return;
	put_name(row, COL_DATABASE_NAME, voxanne_database_name(&call->naming, session->database));
	put_name(row, COL_USER_NAME, voxanne_user_name(&call->naming, session->userid));
	if (session->status != NULL)
		put_text(row, COL_APPLICATION_NAME, session->status->st_appname);
	if (session->hidden)
		put_text(row, COL_QUERY, NOT_TOLD);
	else
		fill_activity(row, call, session);
}

/* What it does: only for those who may see that. */
static void
fill_activity(Row *row, const Call *call, const VoxSession *session)
{
	char	   *address = voxanne_session_address(session);

	if (session->xact_start != 0)
		put_age(row, COL_XACT_AGE, session->xact_start, call->forest->graph->taken);
	if (session->status == NULL)
		return;
	put_text(row, COL_STATE, voxanne_session_state(session));
	put_text(row, COL_BACKEND_TYPE, voxanne_session_type(session));
	put_text(row, COL_QUERY, pgstat_clip_activity(session->status->st_activity_raw));
	if (address != NULL)
	{
		row->values[COL_CLIENT_ADDR] = DirectFunctionCall1(inet_in, CStringGetDatum(address));
		row->nulls[COL_CLIENT_ADDR] = false;
	}
	if (session->status->st_query_id != 0)
	{
		row->values[COL_QUERY_ID] = Int64GetDatum((int64) session->status->st_query_id);
		row->nulls[COL_QUERY_ID] = false;
	}
}

/*
 * How a node takes part: a waiter by the strongest of what blocks it.
 */
static const char *
kind_of(const VoxNode *node)
{
	static const char *const names[] = {
		[VOX_BLOCK_SOFT] = "soft",
		[VOX_BLOCK_HARD] = "hard",
		[VOX_BLOCK_RECOVERY] = "recovery",
		[VOX_BLOCK_SAFE_SNAPSHOT] = "safe_snapshot",
	};
	VoxBlock	strongest = VOX_BLOCK_SOFT;
	ListCell   *lc;

	if (node->cycle)
		return "cycle";
	if (node->party->pid == 0)
		return "prepared";
	if (node->wait == NULL)
		return "root";
	if (node->party->blockers == NIL)
		return "recovery";
	foreach(lc, node->party->blockers)
	{
		strongest = Max(strongest, ((const VoxEdge *) lfirst(lc))->kind);
	}
	return names[strongest];
}

/*
 * Of those that a node blocks directly, the one that speaks for all: by a lock
 * that the node holds if there is one, then the one that has waited longest.
 */
static const VoxEdge *
main_edge(const Call *call, const VoxNode *node)
{
	const VoxEdge *best = NULL;
	ListCell   *lc;

	foreach(lc, node->party->victims)
	{
		const VoxEdge *edge = lfirst(lc);

		if (best == NULL ||
			((edge->held != 0) != (best->held != 0) ? edge->held != 0 :
			 call->forest->nodes[edge->waiter->index].since <
			 call->forest->nodes[best->waiter->index].since))
			best = edge;
	}
	return best;
}

/* The pid, indented by depth. */
static char *
tree_label(const VoxNode *node)
{
	StringInfoData text;

	initStringInfo(&text);
	if (node->depth > 0)
	{
		appendStringInfoSpaces(&text, 2 * (Min(node->depth, MAX_INDENT) - 1));
		appendStringInfoString(&text, "-> ");
	}
	if (node->party->pid != 0)
		appendStringInfo(&text, "%d", node->party->pid);
	else if (TransactionIdIsValid(node->party->xid))
		appendStringInfo(&text, "prepared %u", node->party->xid);
	else
		appendStringInfoString(&text, "prepared");
	return text.data;
}

/* As pg_blocking_pids() has them, 0 for a prepared transaction, but each once and in order. */
static Datum
blocker_pids(const VoxNode *node)
{
	List	   *pids = NIL;
	Datum	   *elements;
	int			count = 0;
	ListCell   *lc;

	foreach(lc, node->party->blockers)
	{
		pids = list_append_unique_int(pids, ((const VoxEdge *) lfirst(lc))->blocker->pid);
	}
	list_sort(pids, list_int_cmp);
	elements = palloc_array(Datum, Max(list_length(pids), 1));
	foreach(lc, pids)
	{
		elements[count++] = Int32GetDatum(lfirst_int(lc));
	}
	return PointerGetDatum(construct_array(elements, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/*
 * What tells this session from a later one with its pid: the time at which it
 * began, in seconds since 1970.
 */
static char *
node_key(const VoxNode *node)
{
	int64		start;

	if (node->party->pid == 0)
		return psprintf("prepared:%s", node->session != NULL && node->session->gid != NULL ?
						node->session->gid : "unknown");
	if (node->session == NULL)
		return psprintf("%d@gone", node->party->pid);
	start = node->session->status->st_proc_start_timestamp +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	return psprintf("%d@%lld.%06d", node->party->pid, (long long) (start / USECS_PER_SEC),
					(int) (start % USECS_PER_SEC));
}

static void
put_text(Row *row, int column, const char *text)
{
	row->nulls[column] = text == NULL;
	row->values[column] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

static void
put_name(Row *row, int column, const char *name)
{
	row->nulls[column] = name == NULL;
	row->values[column] = name == NULL ? (Datum) 0 : DirectFunctionCall1(namein, CStringGetDatum(name));
}

static void
put_int(Row *row, int column, int value)
{
	row->nulls[column] = false;
	row->values[column] = Int32GetDatum(value);
}

/* Never negative. */
static void
put_age(Row *row, int column, TimestampTz since, TimestampTz now)
{
	row->nulls[column] = false;
	row->values[column] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(now),
											  TimestampTzGetDatum(Min(since, now)));
}
