/*
 * src/locks/blocking_row.c
 *		A node of the forest as a row of blocking_locks().
 *
 * What pg_stat_activity would hide from the caller is hidden here, too.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "lib/stringinfo.h"
#include "locks/advice.h"
#include "locks/blocking_row.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/timestamp.h"

/* The columns, left to right. */
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

StaticAssertDecl(COL_COUNT == VOX_BLOCKING_COLS, "VOX_BLOCKING_COLS is the number of columns");

/* Indentation stops here: a long chain must stay readable on a small screen. */
#define MAX_INDENT 12

#define NOT_TOLD "<insufficient privilege>"

static void fill_place(VoxBlockingRow *row, const VoxNode *node);
static void fill_locks(VoxBlockingRow *row, const VoxForest *forest, const VoxNaming *naming, const VoxNode *node);
static void fill_session(VoxBlockingRow *row, const VoxForest *forest, const VoxNaming *naming, const VoxNode *node);
static void fill_activity(VoxBlockingRow *row, const VoxForest *forest, const VoxNaming *naming, const VoxSession *session);
static const char *kind_of(const VoxNode *node);
static const VoxEdge *main_edge(const VoxForest *forest, const VoxNode *node);
static char *tree_label(const VoxNode *node);
static Datum blocker_pids(const VoxNode *node);
static void put_text(VoxBlockingRow *row, int column, const char *text);
static void put_name(VoxBlockingRow *row, int column, const char *name);
static void put_int(VoxBlockingRow *row, int column, int value);
static void put_age(VoxBlockingRow *row, int column, TimestampTz since, TimestampTz now);

/* Everything of the row but the finding; the texts in the current context. */
void
voxanne_blocking_row(VoxBlockingRow *row, const VoxForest *forest, const VoxNaming *naming,
					 const VoxNode *node)
{
	memset(row, 0, sizeof(*row));
	memset(row->nulls, true, sizeof(row->nulls));
	fill_place(row, node);
	fill_locks(row, forest, naming, node);
	fill_session(row, forest, naming, node);
}

/* Where it stands in the forest. */
static void
fill_place(VoxBlockingRow *row, const VoxNode *node)
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
fill_locks(VoxBlockingRow *row, const VoxForest *forest, const VoxNaming *naming, const VoxNode *node)
{
	const VoxEdge *edge = main_edge(forest, node);
	bool		hidden = node->session != NULL && node->session->hidden;
	LOCKMASK	held = 0;
	ListCell   *lc;

	row->about = node->wait != NULL ? node->wait : edge != NULL ? edge->wait : NULL;
	if (row->about != NULL && !hidden)
		row->target = voxanne_lock_target(naming, row->about);
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
fill_session(VoxBlockingRow *row, const VoxForest *forest, const VoxNaming *naming, const VoxNode *node)
{
	const VoxSession *session = node->session;

	if (node->wait != NULL)
		put_age(row, COL_WAITED, node->since, forest->graph->taken);
	if (session == NULL)
		return;
	put_name(row, COL_DATABASE_NAME, voxanne_database_name(naming, session->database));
	put_name(row, COL_USER_NAME, voxanne_user_name(naming, session->userid));
	if (session->status != NULL)
		put_text(row, COL_APPLICATION_NAME, session->status->st_appname);
	if (session->hidden)
		put_text(row, COL_QUERY, NOT_TOLD);
	else
		fill_activity(row, forest, naming, session);
}

/* What it does: only for those who may see that. */
static void
fill_activity(VoxBlockingRow *row, const VoxForest *forest, const VoxNaming *naming, const VoxSession *session)
{
	char	   *address = voxanne_session_address(session);

	if (session->xact_start != 0)
		put_age(row, COL_XACT_AGE, session->xact_start, forest->graph->taken);
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
main_edge(const VoxForest *forest, const VoxNode *node)
{
	const VoxEdge *best = NULL;
	ListCell   *lc;

	foreach(lc, node->party->victims)
	{
		const VoxEdge *edge = lfirst(lc);

		if (best == NULL ||
			((edge->held != 0) != (best->held != 0) ? edge->held != 0 :
			 forest->nodes[edge->waiter->index].since <
			 forest->nodes[best->waiter->index].since))
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
char *
voxanne_blocking_key(const VoxNode *node)
{
	int64		start;

	if (node->party->pid == 0)
		return psprintf("prepared:%s", node->session != NULL && node->session->gid != NULL ?
						node->session->gid : "unknown");
	if (node->session == NULL)
		return psprintf("%d@gone", node->party->pid);
	if (node->session->connecting)
		return psprintf("%d@connecting", node->party->pid);
	start = node->session->status->st_proc_start_timestamp +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	return psprintf("%d@%lld.%06d", node->party->pid, (long long) (start / USECS_PER_SEC),
					(int) (start % USECS_PER_SEC));
}

static void
put_text(VoxBlockingRow *row, int column, const char *text)
{
	row->nulls[column] = text == NULL;
	row->values[column] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

static void
put_name(VoxBlockingRow *row, int column, const char *name)
{
	row->nulls[column] = name == NULL;
	row->values[column] = name == NULL ? (Datum) 0 : DirectFunctionCall1(namein, CStringGetDatum(name));
}

static void
put_int(VoxBlockingRow *row, int column, int value)
{
	row->nulls[column] = false;
	row->values[column] = Int32GetDatum(value);
}

/* Never negative. */
static void
put_age(VoxBlockingRow *row, int column, TimestampTz since, TimestampTz now)
{
	row->nulls[column] = false;
	row->values[column] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(now),
											  TimestampTzGetDatum(Min(since, now)));
}
