/*
 * src/locks/advice.c
 *		What to do about a node of the forest.
 *
 * One table of rules, tried from the top; the first that fits speaks.  A
 * remedy only ever names the process of its own row: a root, or the head of a
 * queue, which loses nothing by being cancelled but its wait.  Whoever merely
 * waits is never proposed.
 *
 * A remedy is pasted some time after it was printed.  It carries the start of
 * the session and of the transaction, so that neither a reused pid nor the
 * next transaction of the same session can be hit.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "lib/stringinfo.h"
#include "locks/advice.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* What the rules look at. */
typedef struct Case
{
	const VoxForest *forest;
	const VoxNode *node;
	const VoxNaming *naming;
} Case;

typedef enum Action
{
	ACT_NONE,
	ACT_CANCEL,
	ACT_TERMINATE,
	ACT_ROLLBACK_PREPARED
} Action;

typedef struct Rule
{
	bool		(*applies) (const Case *c);
	Action		action;
	const char *advice;			/* may contain the placeholders below in
								 * braces */
} Rule;

static bool is_gone(const Case *c);
static bool is_cycle(const Case *c);
static bool is_hidden(const Case *c);
static bool heads_queue(const Case *c);
static bool waits_for_wraparound(const Case *c);
static bool is_replay_blocked(const Case *c);
static bool is_replay_stuck(const Case *c);
static bool waits_for_safe_snapshot(const Case *c);
static bool waits_below_cycle(const Case *c);
static bool waits(const Case *c);
static bool is_unknown_prepared(const Case *c);
static bool is_foreign_prepared(const Case *c);
static bool is_prepared(const Case *c);
static bool is_replay(const Case *c);
static bool is_self(const Case *c);
static bool is_walsender(const Case *c);
static bool is_wraparound_vacuum(const Case *c);
static bool is_autovacuum(const Case *c);
static bool is_no_client(const Case *c);
static bool is_idle_in_transaction(const Case *c);
static bool is_idle(const Case *c);
static bool is_untracked(const Case *c);
static bool commits_synchronously(const Case *c);
static bool writes_to_client(const Case *c);
static bool delays_snapshots_only(const Case *c);
static bool is_nearly_done(const Case *c);
static bool always(const Case *c);

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

static char *text_database(const Case *c);
static char *text_gid(const Case *c);
static char *text_progress(const Case *c);
static char *text_queued(const Case *c);
static char *text_root(const Case *c);
static char *text_type(const Case *c);
static char *text_user(const Case *c);

static const struct
{
	const char *name;
	char	   *(*text) (const Case *c);
}			placeholders[] = {
	{"database", text_database},
	{"gid", text_gid},
	{"progress", text_progress},
	{"queued", text_queued},
	{"root", text_root},
	{"type", text_type},
	{"user", text_user},
};

static char *expand(const char *text, const Case *c);
static char *remedy_for(const Case *c, Action action);
static void append_queue_heads(StringInfo text, const Case *c);
static void append_privilege(StringInfo text, const Case *c);
static char *utc_literal(TimestampTz at);

/*
 * Advice for a node, and a remedy if there is a safe one that the caller could run.
 */
void
voxanne_advise(VoxAdvice *advice, const VoxForest *forest, const VoxNode *node,
			   const VoxNaming *naming)
{
	Case		c = {.forest = forest,.node = node,.naming = naming};
	const Rule *rule = rules;
	StringInfoData text;

	while (!rule->applies(&c))
		rule++;

	initStringInfo(&text);
	appendStringInfoString(&text, expand(rule->advice, &c));
	advice->remedy = remedy_for(&c, rule->action);
	if (node->wait == NULL)
		append_queue_heads(&text, &c);
	if (rule->action == ACT_CANCEL || rule->action == ACT_TERMINATE)
		append_privilege(&text, &c);
	advice->advice = text.data;
}

/* Replace {name} by what it stands for. */
static char *
expand(const char *text, const Case *c)
{
	StringInfoData out;

	initStringInfo(&out);
	while (*text !='\0')
	{
		size_t		plain = strcspn(text, "{");
		size_t		length;

		appendBinaryStringInfo(&out, text, (int) plain);
		text	  +=plain;

		if (*text == '\0')
			break;
		length = strcspn(++text, "}");
		for (int i = 0; i < (int) lengthof(placeholders); i++)
			if (strlen(placeholders[i].name) == length && strncmp(placeholders[i].name, text, length) == 0)
				appendStringInfoString(&out, placeholders[i].text(c));
		text	  +=length + 1;
	}
	return out.data;
}

/*
 * SQL for an action on a node; NULL where there is none or only a superuser
 * could run it and the caller is none.
 */
static char *
remedy_for(const Case *c, Action action)
{
	const VoxSession *session = c->node->session;
	StringInfoData sql;

	if (action == ACT_NONE || (session->superuser && !superuser()))
		return NULL;
	if (action == ACT_ROLLBACK_PREPARED)
		return psprintf("ROLLBACK PREPARED %s; -- or COMMIT PREPARED: its coordinator knows",
						quote_literal_cstr(session->gid));

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT pg_catalog.%s FROM pg_catalog.pg_stat_activity"
					 " WHERE pid = %d AND backend_start = %s",
					 action == ACT_CANCEL ? "pg_cancel_backend(pid)" : "pg_terminate_backend(pid, 5000)",
					 c->node->party->pid, utc_literal(session->status->st_proc_start_timestamp));
	if (session->xact_start != 0)
		appendStringInfo(&sql, " AND xact_start = %s", utc_literal(session->xact_start));
	appendStringInfoChar(&sql, ';');
	return sql.data;
}

/* A root with a queue below: the head of the queue is the cheaper victim. */
static void
append_queue_heads(StringInfo text, const Case *c)
{
	ListCell   *lc;

	foreach(lc, c->node->party->victims)
	{
		const VoxNode *head = &c->forest->nodes[((const VoxEdge *) lfirst(lc))->waiter->index];

		if (!head->heads_queue)
			continue;
		appendStringInfo(text, " Or cancel pid %d, which queues %d session%s behind it.",
						 head->party->pid, head->queued, head->queued == 1 ? "" : "s");
		break;
	}
}

/* What the caller lacks to signal this session. */
static void
append_privilege(StringInfo text, const Case *c)
{
	const VoxSession *session = c->node->session;

	if (session->superuser && !superuser())
		appendStringInfoString(text, " Only a superuser may do that.");
	else if (!superuser() && !has_privs_of_role(GetUserId(), session->userid) &&
			 !has_privs_of_role(GetUserId(), ROLE_PG_SIGNAL_BACKEND))
		appendStringInfo(text, " That takes the privileges of role %s or of pg_signal_backend.", text_user(c));
}

/* A literal that means the same instant under every DateStyle and TimeZone. */
static char *
utc_literal(TimestampTz at)
{
	int64		microseconds = at % USECS_PER_SEC;
	pg_time_t	seconds = timestamptz_to_time_t(at);
	struct pg_tm *tm;

	if (microseconds < 0)
	{
		microseconds += USECS_PER_SEC;
		seconds--;
	}
	tm = pg_gmtime(&seconds);
	return psprintf("timestamptz '%04d-%02d-%02d %02d:%02d:%02d.%06d+00'",
					tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday,
					tm->tm_hour, tm->tm_min, tm->tm_sec, (int) microseconds);
}

/* Conditions of the rules; each may rely on those above it in the table not applying. */

static bool
is_gone(const Case *c)
{
	return c->node->session == NULL;
}

static bool
is_cycle(const Case *c)
{
	return c->node->cycle;
}

static bool
is_hidden(const Case *c)
{
	return c->node->session->hidden && (c->node->wait == NULL || c->node->heads_queue);
}

static bool
heads_queue(const Case *c)
{
	return c->node->heads_queue;
}

static bool
waits_for_wraparound(const Case *c)
{
	ListCell   *lc;

	if (c->node->wait == NULL || c->node->session->hidden)
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
is_replay_blocked(const Case *c)
{
	return c->node->wait != NULL && c->node->party->replay && c->node->party->blockers != NIL;
}

static bool
is_replay_stuck(const Case *c)
{
	return c->node->wait != NULL && c->node->party->replay;
}

static bool
waits_for_safe_snapshot(const Case *c)
{
	return c->node->wait != NULL && c->node->wait->what == VOX_WAIT_SAFE_SNAPSHOT;
}

static bool
waits_below_cycle(const Case *c)
{
	return c->node->wait != NULL && c->node->root->cycle;
}

static bool
waits(const Case *c)
{
	return c->node->wait != NULL;
}

static bool
is_unknown_prepared(const Case *c)
{
	return c->node->party->pid == 0 && c->node->session->gid == NULL;
}

static bool
is_foreign_prepared(const Case *c)
{
	return c->node->party->pid == 0 && c->node->session->database != MyDatabaseId;
}

static bool
is_prepared(const Case *c)
{
	return c->node->party->pid == 0;
}

static bool
is_replay(const Case *c)
{
	return c->node->party->replay;
}

static bool
is_self(const Case *c)
{
	return c->node->party->pid == MyProcPid;
}

static bool
is_walsender(const Case *c)
{
	return c->node->session->status->st_backendType == B_WAL_SENDER;
}

static bool
is_wraparound_vacuum(const Case *c)
{
	return is_autovacuum(c) && (c->node->party->status_flags & PROC_VACUUM_FOR_WRAPAROUND) != 0;
}

static bool
is_autovacuum(const Case *c)
{
	return c->node->session->status->st_backendType == B_AUTOVAC_WORKER;
}

static bool
is_no_client(const Case *c)
{
	return c->node->session->status->st_backendType != B_BACKEND;
}

static bool
is_idle_in_transaction(const Case *c)
{
	BackendState state = c->node->session->status->st_state;

	return state == STATE_IDLEINTRANSACTION || state == STATE_IDLEINTRANSACTION_ABORTED;
}

static bool
is_idle(const Case *c)
{
	return c->node->session->status->st_state == STATE_IDLE;
}

static bool
is_untracked(const Case *c)
{
	return c->node->session->status->st_state == STATE_DISABLED;
}

static bool
commits_synchronously(const Case *c)
{
	return c->node->party->wait_event == WAIT_EVENT_SYNC_REP;
}

static bool
writes_to_client(const Case *c)
{
	return c->node->party->wait_event == WAIT_EVENT_CLIENT_WRITE;
}

static bool
delays_snapshots_only(const Case *c)
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
is_nearly_done(const Case *c)
{
	int			percent;

	(void) voxanne_session_progress(c->node->session, &percent);
	return percent >= NEARLY_DONE;
}

static bool
always(const Case *c)
{
	return true;
}

/* What the placeholders stand for. */

static char *
text_database(const Case *c)
{
	char	   *name = voxanne_database_name(c->naming, c->node->session->database);

	return name == NULL ? psprintf("%u", c->node->session->database) : pstrdup(quote_identifier(name));
}

static char *
text_gid(const Case *c)
{
	return quote_literal_cstr(c->node->session->gid);
}

static char *
text_progress(const Case *c)
{
	int			percent;

	return voxanne_session_progress(c->node->session, &percent);
}

static char *
text_queued(const Case *c)
{
	return c->node->queued == 1 ? pstrdup("1 session waits") : psprintf("%d sessions wait", c->node->queued);
}

static char *
text_root(const Case *c)
{
	return voxanne_party_label(c->node->root);
}

static char *
text_type(const Case *c)
{
	const char *type = voxanne_session_type(c->node->session);

	return pstrdup(type == NULL ? "background worker" : type);
}

static char *
text_user(const Case *c)
{
	char	   *name = voxanne_user_name(c->naming, c->node->session->userid);

	return name == NULL ? psprintf("%u", c->node->session->userid) : pstrdup(quote_identifier(name));
}
