/*
 * src/locks/describe.c
 *		Sentences about a node of the forest.
 */
#include "postgres.h"

#include "core/words.h"
#include "lib/stringinfo.h"
#include "locks/advice.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static void describe_wait(StringInfo text, const VoxForest *forest, const VoxNode *node, const char *target);
static void append_blockers(StringInfo text, const VoxForest *forest, const VoxNode *node);
static void describe_hold(StringInfo text, const VoxForest *forest, const VoxNode *node,
						  const VoxWait *about, const char *target, const char *held);
static void append_waiting(StringInfo text, const VoxForest *forest, const VoxNode *node);
static void append_activity(StringInfo text, const VoxForest *forest, const VoxNode *node);

/* Blockers that are listed by name in a sentence. */
#define MAX_NAMED 5

/*
 * What a party is called within a sentence: "pid 4711", "prepared transaction 'x'".
 */
char *
voxanne_party_label(const VoxNode *node)
{
	if (node->party->pid != 0)
		return psprintf("pid %d", node->party->pid);
	if (node->session == NULL || node->session->gid == NULL)
		return pstrdup("a prepared transaction");
	return psprintf("prepared transaction %s", quote_literal_cstr(node->session->gid));
}

/*
 * A node's part in the jam, in a few sentences.  "about" is its wait or, at a
 * root, one that others have for it, "target" the name of what that is for,
 * "held" the modes it holds there; NULL where not known or not to be told.
 */
char *
voxanne_describe(const VoxForest *forest, const VoxNode *node, const VoxWait *about,
				 const char *target, const char *held)
{
	StringInfoData text;

	initStringInfo(&text);
	if (node->wait != NULL)
		describe_wait(&text, forest, node, target);
	else
		describe_hold(&text, forest, node, about, target, held);
	if (forest->graph->approximate)
		appendStringInfo(&text, " This is approximate: more than %d processes wait.", VOX_MAX_WAITERS);
	return text.data;
}

/* "Waits for AccessExclusiveLock on relation public.t for 12 s, blocked by pid 4711; blocks 3 sessions itself." */
static void
describe_wait(StringInfo text, const VoxForest *forest, const VoxNode *node, const char *target)
{
	const VoxWait *wait = node->wait;

	appendStringInfoString(text, node->party->replay ? "WAL replay waits for" : "Waits for");
	if (wait->on_row && target != NULL)
		appendStringInfo(text, " the transaction that holds %s", target);
	else
	{
		if (wait->what == VOX_WAIT_LOCK)
			appendStringInfo(text, " %s", GetLockmodeName(wait->tag.locktag_lockmethodid, wait->mode));
		if (target != NULL)
			appendStringInfo(text, wait->what == VOX_WAIT_LOCK ? " on %s" : " %s", target);
	}
	appendStringInfo(text, " for %s", voxanne_duration(node->since, forest->graph->taken));
	append_blockers(text, forest, node);
	if (node->waiting > 0 && !node->cycle)
	{
		appendStringInfoString(text, "; blocks ");
		append_waiting(text, forest, node);
	}
	appendStringInfoChar(text, '.');
	append_activity(text, forest, node);
	if (wait->what == VOX_WAIT_SNAPSHOT_CONFLICT)
		appendStringInfoString(text, " Which snapshots is not known; the oldest one is among them if any is.");
}

static void
append_blockers(StringInfo text, const VoxForest *forest, const VoxNode *node)
{
	List	   *named = NIL;
	bool		soft = true;
	ListCell   *lc;

	foreach(lc, node->party->blockers)
	{
		const VoxEdge *edge = lfirst(lc);

		soft = soft && edge->kind == VOX_BLOCK_SOFT;
		named = list_append_unique_ptr(named, &forest->nodes[edge->blocker->index]);
	}
	if (named == NIL)
		return;
	appendStringInfoString(text, soft ? ", queued behind " : ", blocked by ");
	foreach(lc, named)
	{
		int			i = foreach_current_index(lc);

		if (i == MAX_NAMED)
		{
			appendStringInfo(text, " and %d more", list_length(named) - i);
			break;
		}
		appendStringInfo(text, "%s%s", i > 0 ? ", " : "", voxanne_party_label(lfirst(lc)));
	}
}

/* "Holds AccessShareLock on relation public.t and blocks 4 sessions, the longest for 12 s." */
static void
describe_hold(StringInfo text, const VoxForest *forest, const VoxNode *node,
			  const VoxWait *about, const char *target, const char *held)
{
	if (held != NULL && target != NULL && about->on_row)
		appendStringInfo(text, "Holds %s by its transaction and blocks ", target);
	else if (held != NULL && target != NULL)
		appendStringInfo(text, "Holds %s on %s and blocks ", held, target);
	else if (held != NULL)
		appendStringInfo(text, "Holds %s and blocks ", held);
	else
		appendStringInfoString(text, "Blocks ");
	append_waiting(text, forest, node);
	appendStringInfo(text, "%s for %s.", node->waiting > 1 ? ", the longest" : "",
					 voxanne_duration(node->longest, forest->graph->taken));
	append_activity(text, forest, node);
}

/* "4 sessions", "WAL replay", "WAL replay and 1 session" */
static void
append_waiting(StringInfo text, const VoxForest *forest, const VoxNode *node)
{
	int			sessions = node->waiting;
	int			i = -1;

	while ((i = bms_next_member(node->below, i)) >= 0)
	{
		if (!forest->nodes[i].party->replay)
			continue;
		sessions--;
		appendStringInfoString(text, sessions > 0 ? "WAL replay and " : "WAL replay");
	}
	if (sessions > 0)
		appendStringInfoString(text, voxanne_count_of(sessions, "session", "sessions"));
}

/* What it has been doing, where the caller may know. */
static void
append_activity(StringInfo text, const VoxForest *forest, const VoxNode *node)
{
	const VoxSession *session = node->session;
	TimestampTz now = forest->graph->taken;
	char	   *progress;
	int			percent;

	if (session == NULL || session->hidden)
		return;
	if (session->status == NULL)
	{
		if (session->connecting)
			appendStringInfoString(text, " It is only connecting: its client hangs until then.");
		if (session->gid != NULL)
			appendStringInfo(text, " Prepared %s ago.", voxanne_duration(session->xact_start, now));
		return;
	}

	progress = voxanne_session_progress(session, &percent);
	if (progress != NULL)
		appendStringInfo(text, " Progress: %s.", progress);
	if (node->wait == NULL && session->status->st_backendType == B_BACKEND &&
		voxanne_session_state(session) != NULL)
		appendStringInfo(text, " In state \"%s\" for %s.",
						 voxanne_session_state(session),
						 voxanne_duration(session->status->st_state_start_timestamp, now));
}

/*
 * A length of time with its two largest units: "35 s", "5 min 12 s", "2 h 3 min", "1 d 4 h".
 */
char *
voxanne_duration(TimestampTz since, TimestampTz now)
{
	int64		seconds = Max(now - since, 0) / USECS_PER_SEC;

	if (seconds < SECS_PER_MINUTE)
		return psprintf("%d s", (int) seconds);
	if (seconds < SECS_PER_HOUR)
		return psprintf("%d min %d s", (int) (seconds / SECS_PER_MINUTE), (int) (seconds % SECS_PER_MINUTE));
	if (seconds < SECS_PER_DAY)
		return psprintf("%d h %d min", (int) (seconds / SECS_PER_HOUR),
						(int) (seconds % SECS_PER_HOUR / SECS_PER_MINUTE));
	return psprintf("%d d %d h", (int) (seconds / SECS_PER_DAY),
					(int) (seconds % SECS_PER_DAY / SECS_PER_HOUR));
}

/*
 * Names of the modes in a mask, the strongest first; NULL if it is empty.
 */
char *
voxanne_mode_names(const LOCKTAG *tag, LOCKMASK modes)
{
	StringInfoData text;

	if (modes == 0)
		return NULL;
	initStringInfo(&text);
	for (LOCKMODE mode = MaxLockMode; mode > NoLock; mode--)
		if (modes & LOCKBIT_ON(mode))
			appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
							 GetLockmodeName(tag->locktag_lockmethodid, mode));
	return text.data;
}
