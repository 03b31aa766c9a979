/*
 * src/locks/advice.c
 *		What to do about a node of the forest.
 *
 * One table of rules, tried from the top; the first that fits speaks.  A
 * remedy only ever names the process of its own row: a root, or the head of a
 * queue, which loses nothing by being cancelled but its wait.  Whoever merely
 * waits is never proposed.
 */
#include "postgres.h"

#include "locks/advice.h"
#include "locks/advice_text.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/wait_event.h"

typedef struct Rule
{
	bool		(*applies) (const VoxCase *c);
	VoxAction	action;
	const char *advice;			/* may contain the placeholders below in
								 * braces */
} Rule;

static bool is_gone(const VoxCase *c);
static bool is_cycle(const VoxCase *c);
static bool is_hidden(const VoxCase *c);
static bool heads_queue(const VoxCase *c);
static bool waits_for_wraparound(const VoxCase *c);
static bool is_replay_blocked(const VoxCase *c);
static bool is_replay_stuck(const VoxCase *c);
static bool waits_for_safe_snapshot(const VoxCase *c);
static bool waits_below_cycle(const VoxCase *c);
static bool waits(const VoxCase *c);
static bool is_unknown_prepared(const VoxCase *c);
static bool is_foreign_prepared(const VoxCase *c);
static bool is_prepared(const VoxCase *c);
static bool is_replay(const VoxCase *c);
static bool is_self(const VoxCase *c);
static bool is_walsender(const VoxCase *c);
static bool is_wraparound_vacuum(const VoxCase *c);
static bool is_autovacuum(const VoxCase *c);
static bool is_no_client(const VoxCase *c);
static bool is_idle_in_transaction(const VoxCase *c);
static bool is_idle(const VoxCase *c);
static bool is_untracked(const VoxCase *c);
static bool commits_synchronously(const VoxCase *c);
static bool writes_to_client(const VoxCase *c);
static bool delays_snapshots_only(const VoxCase *c);
static bool is_nearly_done(const VoxCase *c);
static bool always(const VoxCase *c);

static const Rule rules[] = {
	{is_gone, ACT_NONE,
	"It has ended since; look again."},
	{is_cycle, ACT_NONE,
		"Do nothing: these wait for each other, and the server cancels one of them after deadlock_timeout. "
	"Take locks in the same order everywhere to avoid it."},
	{is_hidden, ACT_NONE,
	"Ask a member of pg_monitor: your role may not see what this session does."},
	{heads_queue, ACT_CANCEL,
		"Cancel it: {queued} behind it only because it is ahead in the queue. It does not have this lock yet; "
	"run it again with lock_timeout set."},
	{waits_for_wraparound, ACT_CANCEL,
		"Cancel it and run it again later: the vacuum in its way prevents transaction id wraparound "
	"and would start again at once."},
	{is_replay_blocked, ACT_NONE,
		"Act on {root}, or wait: once it is max_standby_streaming_delay (max_standby_archive_delay) behind, "
	"replay cancels what blocks it."},
	{is_replay_stuck, ACT_NONE,
		"Wait: replay cancels what is in its way once it is max_standby_streaming_delay "
	"(max_standby_archive_delay) behind. The server does not tell who that is."},
	{waits_for_safe_snapshot, ACT_NONE,
	"Do nothing: a DEFERRABLE transaction is meant to wait until the serializable ones before it have ended."},
	{waits_below_cycle, ACT_NONE,
	"Leave it alone: it waits for members of a deadlock, which the server resolves after deadlock_timeout."},
	{waits, ACT_NONE,
	"Leave it alone: it waits itself. Act on {root}."},
	{is_unknown_prepared, ACT_NONE,
	"Find it in pg_prepared_xacts; its coordinator decides between COMMIT PREPARED and ROLLBACK PREPARED."},
	{is_foreign_prepared, ACT_NONE,
		"Ask its coordinator, then run COMMIT PREPARED or ROLLBACK PREPARED {gid} connected to database {database}. "
	"Until then it keeps its locks, through restarts too."},
	{is_prepared, ACT_ROLLBACK_PREPARED,
		"Ask its coordinator, then run COMMIT PREPARED or ROLLBACK PREPARED {gid} as {user} or superuser, outside a "
	"transaction block. Until then it keeps its locks, through restarts too."},
	{is_replay, ACT_NONE,
	"Do nothing here: WAL replay holds the lock until the transaction on the primary ends. Look there."},
	{is_self, ACT_NONE,
	"End your transaction: this is your own session."},
	{is_walsender, ACT_NONE,
	"Leave it alone: it is a replication connection. Stop it on the receiving side if you must."},
	{is_wraparound_vacuum, ACT_NONE,
		"Let it run: it prevents transaction id wraparound and would start again at once. "
	"Cancel what waits for it and run that later."},
	{is_autovacuum, ACT_NONE,
	"Do nothing: ordinary autovacuum yields by itself once a session has waited for deadlock_timeout."},
	{is_no_client, ACT_NONE,
	"Leave it alone: it is no client but a background process ({type}). Stop it where it is configured if you must."},
	{is_idle_in_transaction, ACT_TERMINATE,
		"Terminate it: it is idle in a transaction, where a cancel changes nothing. "
	"Set idle_in_transaction_session_timeout for role {user}."},
	{is_idle, ACT_TERMINATE,
		"Terminate it, or have the application release the lock: the session is idle and holds it beyond its transaction. "
	"Session-level locks leak through a pooler in transaction mode."},
	{is_untracked, ACT_TERMINATE,
	"Terminate it: track_activities is off there, so it may be idle, where a cancel changes nothing."},
	{commits_synchronously, ACT_NONE,
		"Bring the synchronous standby back or change synchronous_standby_names: its commit waits for that, "
	"and to cancel it would give up the guarantee."},
	{writes_to_client, ACT_TERMINATE,
	"Terminate it: it waits for its client to take the result, where a cancel changes nothing."},
	{delays_snapshots_only, ACT_NONE,
	"Let it finish: it only delays DEFERRABLE transactions, which are meant to wait."},
	{is_nearly_done, ACT_NONE,
	"Let it finish: {progress}."},
	{always, ACT_CANCEL,
	"Cancel it if it cannot be left to finish; its work so far is rolled back."},
};

/* A command whose phase is this far is worth waiting for. */
#define NEARLY_DONE 90

/*
 * Advice for a node, and a remedy if there is a safe one that the caller could run.
 */
void
voxanne_advise(VoxAdvice *advice, const VoxForest *forest, const VoxNode *node,
			   const VoxNaming *naming)
{
	VoxCase		c = {.forest = forest,.node = node,.naming = naming};
	const Rule *rule = rules;
	StringInfoData text;

	while (!rule->applies(&c))
		rule++;

	initStringInfo(&text);
	appendStringInfoString(&text, voxanne_advice_expand(rule->advice, &c));
	advice->remedy = voxanne_advice_remedy(&c, rule->action);
	if (node->wait == NULL)
		voxanne_advice_queue_heads(&text, &c);
	if (rule->action == ACT_CANCEL || rule->action == ACT_TERMINATE)
		voxanne_advice_privilege(&text, &c);
	advice->advice = text.data;
}

/* Conditions of the rules; each may rely on those above it in the table not applying. */

static bool
is_gone(const VoxCase *c)
{
	return c->node->session == NULL;
}

static bool
is_cycle(const VoxCase *c)
{
	return c->node->cycle;
}

static bool
is_hidden(const VoxCase *c)
{
	return c->node->session->hidden && (c->node->wait == NULL || c->node->heads_queue);
}

static bool
heads_queue(const VoxCase *c)
{
	return c->node->heads_queue;
}

static bool
waits_for_wraparound(const VoxCase *c)
{
	ListCell   *lc;

	if (c->node->wait == NULL || c->node->session->hidden || c->node->session->connecting)
		return false;
	foreach(lc, c->node->party->blockers)
	{
		const VoxEdge *edge = lfirst(lc);

		if (edge->kind == VOX_BLOCK_HARD && (edge->blocker->status_flags & PROC_VACUUM_FOR_WRAPAROUND) &&
			c->node->wait->tag.locktag_type == LOCKTAG_RELATION &&
			c->node->session->status->st_backendType == B_BACKEND)
			return true;
	}
	return false;
}

static bool
is_replay_blocked(const VoxCase *c)
{
	return c->node->wait != NULL && c->node->party->replay && c->node->party->blockers != NIL;
}

static bool
is_replay_stuck(const VoxCase *c)
{
	return c->node->wait != NULL && c->node->party->replay;
}

static bool
waits_for_safe_snapshot(const VoxCase *c)
{
	return c->node->wait != NULL && c->node->wait->what == VOX_WAIT_SAFE_SNAPSHOT;
}

static bool
waits_below_cycle(const VoxCase *c)
{
	return c->node->wait != NULL && c->node->root->cycle;
}

static bool
waits(const VoxCase *c)
{
	return c->node->wait != NULL;
}

static bool
is_unknown_prepared(const VoxCase *c)
{
	return c->node->party->pid == 0 && c->node->session->gid == NULL;
}

static bool
is_foreign_prepared(const VoxCase *c)
{
	return c->node->party->pid == 0 && c->node->session->database != MyDatabaseId;
}

static bool
is_prepared(const VoxCase *c)
{
	return c->node->party->pid == 0;
}

static bool
is_replay(const VoxCase *c)
{
	return c->node->party->replay;
}

static bool
is_self(const VoxCase *c)
{
	return c->node->party->pid == MyProcPid;
}

static bool
is_walsender(const VoxCase *c)
{
	return c->node->session->status->st_backendType == B_WAL_SENDER;
}

static bool
is_wraparound_vacuum(const VoxCase *c)
{
	return is_autovacuum(c) && (c->node->party->status_flags & PROC_VACUUM_FOR_WRAPAROUND) != 0;
}

static bool
is_autovacuum(const VoxCase *c)
{
	return c->node->session->status->st_backendType == B_AUTOVAC_WORKER;
}

static bool
is_no_client(const VoxCase *c)
{
	return c->node->session->status->st_backendType != B_BACKEND;
}

static bool
is_idle_in_transaction(const VoxCase *c)
{
	BackendState state = c->node->session->status->st_state;

	return state == STATE_IDLEINTRANSACTION || state == STATE_IDLEINTRANSACTION_ABORTED;
}

static bool
is_idle(const VoxCase *c)
{
	return c->node->session->status->st_state == STATE_IDLE;
}

static bool
is_untracked(const VoxCase *c)
{
	return c->node->session->status->st_state == STATE_DISABLED;
}

static bool
commits_synchronously(const VoxCase *c)
{
	return c->node->party->wait_event == WAIT_EVENT_SYNC_REP;
}

static bool
writes_to_client(const VoxCase *c)
{
	return c->node->party->wait_event == WAIT_EVENT_CLIENT_WRITE;
}

static bool
delays_snapshots_only(const VoxCase *c)
{
	ListCell   *lc;

	foreach(lc, c->node->party->victims)
	{
		if (((const VoxEdge *) lfirst(lc))->kind != VOX_BLOCK_SAFE_SNAPSHOT)
			return false;
	}
	return true;
}

static bool
is_nearly_done(const VoxCase *c)
{
	int			percent;

	(void) voxanne_session_progress(c->node->session, &percent);
	return percent >= NEARLY_DONE;
}

static bool
always(const VoxCase *c)
{
	return true;
}
