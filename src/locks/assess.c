/*
 * src/locks/assess.c
 *		The figures about each node of the forest, and their severity.
 *
 * A jam is judged where something can be done about it: at its root, and at
 * the head of a queue of its own.  Everybody else in it is information, or one
 * jam would be counted as many.
 *
 * Thresholds: 30 seconds and 5 minutes are settings, 10 victims is what makes
 * a jam an incident whatever its age.
 */
#include "postgres.h"

#include "core/settings.h"
#include "locks/advice.h"
#include "utils/timestamp.h"

#define MANY_VICTIMS 10

static const VoxWait *longest_wait(const VoxParty *party);
static TimestampTz wait_began(const VoxForest *forest, const VoxNode *node);
static TimestampTz replay_wait_began(const VoxForest *forest, const VoxNode *node);
static void count_queue(const VoxForest *forest, VoxNode *node);
static bool waits_in_queue_only(const VoxNode *node);
static bool is_client(const VoxSession *session);
static void sum_below(const VoxForest *forest, VoxNode *node);
static VoxSeverity severity_of(const VoxForest *forest, const VoxNode *node);
static bool older(TimestampTz since, TimestampTz now, int milliseconds);

/*
 * Fill in what voxanne_forest_plant() left open.  False if a party has gone
 * since the look, so that another look is in order; its session is NULL then.
 */
bool
voxanne_assess(VoxForest *forest, const VoxActivity *activity)
{
	bool		complete = true;

	for (int i = 0; i < forest->count; i++)
	{
		VoxNode    *node = &forest->nodes[i];

		node->session = voxanne_session(activity, node->party);
		node->wait = longest_wait(node->party);
		complete = complete && node->session != NULL;
	}
	for (int i = 0; i < forest->count; i++)
		forest->nodes[i].since = wait_began(forest, &forest->nodes[i]);
	for (int i = 0; i < forest->count; i++)
	{
		count_queue(forest, &forest->nodes[i]);
		sum_below(forest, &forest->nodes[i]);
	}
	for (int i = 0; i < forest->count; i++)
		forest->nodes[i].severity = severity_of(forest, &forest->nodes[i]);
	return complete;
}

static const VoxWait *
longest_wait(const VoxParty *party)
{
	const VoxWait *longest = NULL;
	ListCell   *lc;

	foreach(lc, party->waits)
	{
		const VoxWait *wait = lfirst(lc);

		if (longest == NULL || (wait->since != 0 && (longest->since == 0 || wait->since < longest->since)))
			longest = wait;
	}
	return longest;
}

/*
 * When a node's wait began; 0 if it does not wait.  A process publishes that a
 * moment after it has begun to wait, and only for locks; until then the last
 * change of its state stands in.  Never after the look.
 */
static TimestampTz
wait_began(const VoxForest *forest, const VoxNode *node)
{
	const PgBackendStatus *status = node->session == NULL ? NULL : node->session->status;
	TimestampTz since;

	if (node->wait == NULL)
		return 0;
	since = node->party->replay && node->wait->what != VOX_WAIT_LOCK ?
		replay_wait_began(forest, node) : node->wait->since;
	if (since == 0 && status != NULL)
		since = status->st_state_start_timestamp;
	return since == 0 || since > forest->graph->taken ? forest->graph->taken : since;
}

/* Not before the transactions in its way began. */
static TimestampTz
replay_wait_began(const VoxForest *forest, const VoxNode *node)
{
	TimestampTz since = node->wait->since;
	ListCell   *lc;

	foreach(lc, node->party->blockers)
	{
		const VoxSession *blocker = forest->nodes[((const VoxEdge *) lfirst(lc))->blocker->index].session;

		if (blocker != NULL)
			since = Max(since, blocker->xact_start);
	}
	return since;
}

/* Who waits only because this node is ahead in a queue, and whether that is a queue for a relation. */
static void
count_queue(const VoxForest *forest, VoxNode *node)
{
	ListCell   *lc;

	foreach(lc, node->party->victims)
	{
		const VoxEdge *edge = lfirst(lc);
		const VoxNode *waiter = &forest->nodes[edge->waiter->index];

		if (edge->kind != VOX_BLOCK_SOFT || !waits_in_queue_only(waiter))
			continue;
		node->queued++;
		if (node->queued_since == 0 || waiter->since < node->queued_since)
			node->queued_since = waiter->since;
	}
	node->heads_queue = node->queued > 0 && node->wait != NULL && node->wait->what == VOX_WAIT_LOCK &&
		node->wait->tag.locktag_type == LOCKTAG_RELATION && node->wait->mode >= ShareLock;
}

static bool
waits_in_queue_only(const VoxNode *node)
{
	ListCell   *lc;

	foreach(lc, node->party->blockers)
	{
		if (((const VoxEdge *) lfirst(lc))->kind != VOX_BLOCK_SOFT)
			return false;
	}
	return true;
}

/* Who connects is taken for one: nothing else says yet what it is. */
static bool
is_client(const VoxSession *session)
{
	return session != NULL &&
		(session->connecting || (session->status != NULL && session->status->st_backendType == B_BACKEND));
}

static void
sum_below(const VoxForest *forest, VoxNode *node)
{
	int			i = -1;

	while ((i = bms_next_member(node->below, i)) >= 0)
	{
		const VoxNode *victim = &forest->nodes[i];

		node->waiting++;
		if (is_client(victim->session))
			node->victims++;
		if (node->longest == 0 || victim->since < node->longest)
			node->longest = victim->since;
	}
}

static VoxSeverity
severity_of(const VoxForest *forest, const VoxNode *node)
{
	TimestampTz now = forest->graph->taken;
	TimestampTz longest = node->longest != 0 ? node->longest : node->since;
	TimestampTz queue = node->heads_queue ? node->queued_since : 0;
	int			i = -1;

	if (node->depth > 0 && !node->heads_queue)
		return VOX_INFO;

	while ((i = bms_next_member(node->below, i)) >= 0)
		if (forest->nodes[i].heads_queue && (queue == 0 || forest->nodes[i].queued_since < queue))
			queue = forest->nodes[i].queued_since;

	if (older(longest, now, voxanne_lock_wait_critical) || node->victims > MANY_VICTIMS ||
		(queue != 0 && older(queue, now, voxanne_lock_wait_warning)) ||
		(node->party->pid == 0 && node->session != NULL && node->session->gid != NULL &&
		 older(node->session->xact_start, now, voxanne_lock_wait_critical)))
		return VOX_CRITICAL;
	return older(longest, now, voxanne_lock_wait_warning) ? VOX_WARNING : VOX_INFO;
}

static bool
older(TimestampTz since, TimestampTz now, int milliseconds)
{
	return TimestampDifferenceExceeds(since, now, milliseconds);
}
