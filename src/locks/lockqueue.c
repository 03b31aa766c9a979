/*
 * src/locks/lockqueue.c
 *		Edges of the wait graph from the lock manager.
 *
 * The server's answer about one waiter (GetBlockerStatusData) holds everybody
 * who holds or awaits the same lock, and the queue ahead of the waiter in
 * order.  That decides about those ahead of it as well, so a queue is read in
 * about one call rather than in one per waiter.
 *
 * What blocks is what pg_blocking_pids() says: whoever holds a mode that
 * conflicts with the awaited one (hard), and whoever awaits such a mode and is
 * ahead in the queue (soft); never a member of the same lock group.
 */
#include "postgres.h"

#include "core/compat.h"
#include "locks/waitgraph.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"

/* One lock: its holders and waiters, and the queue up to the process that was asked about. */
typedef struct LockQueue
{
	const LockInstanceData *holders;	/* and waiters */
	int			count;
	int		   *place;			/* of each of them in the queue; -1: not in it */
	int			length;			/* of the queue */
} LockQueue;

static void read_queue(VoxWaitGraph *graph, const BlockedProcsData *data,
					   const BlockedProcData *blocked);
static void add_waiter(VoxWaitGraph *graph, const LockQueue *queue, int self);
static bool already_read(const VoxWaitGraph *graph, int pid);
static VoxWait *wait_of(VoxWaitGraph *graph, const LockInstanceData *instance, VoxParty **party);
static VoxParty *party_of(VoxWaitGraph *graph, const LockInstanceData *instance);
static bool held_row(PGPROC *proc, int pid, LOCKTAG *row);
static int	compare_instances(const void *a, const void *b);
static void add_waiters_of_lock(VoxWaitGraph *graph, LockInstanceData *run, int count);

/*
 * Enter a waiting process, and those ahead of it in its queue, into the graph.
 * Does nothing if it waits no longer.
 */
void
voxanne_read_queues(VoxWaitGraph *graph, int pid)
{
	MemoryContext scratch;
	MemoryContext old;
	BlockedProcsData *data;

	if (already_read(graph, pid))
		return;

	scratch = AllocSetContextCreate(CurrentMemoryContext, "voxanne_ops lock queue",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);
	data = GetBlockerStatusData(pid);
	MemoryContextSwitchTo(old);

	for (int i = 0; i < data->nprocs; i++)
		read_queue(graph, data, &data->procs[i]);
	MemoryContextDelete(scratch);
}

static void
read_queue(VoxWaitGraph *graph, const BlockedProcsData *data, const BlockedProcData *blocked)
{
	const int  *ahead = &data->waiter_pids[blocked->first_waiter];
	LockQueue	queue = {
		.holders = &data->locks[blocked->first_lock],
		.count = blocked->num_locks,
		.length = blocked->num_waiters + 1,
	};

	queue.place = palloc_array(int, queue.count);
	for (int i = 0; i < queue.count; i++)
	{
		const LockInstanceData *instance = &queue.holders[i];

		queue.place[i] = -1;
		if (instance->waitLockMode == NoLock || instance->pid == 0)
			continue;
		for (int k = 0; k < queue.length && queue.place[i] < 0; k++)
			if ((k < blocked->num_waiters ? ahead[k] : blocked->pid) == instance->pid)
				queue.place[i] = k;
	}

	for (int i = 0; i < queue.count; i++)
		if (queue.place[i] >= 0 && !already_read(graph, queue.holders[i].pid))
			add_waiter(graph, &queue, i);
	pfree(queue.place);
}

/* Enter the waiter at position "self" of a queue with its edges. */
static void
add_waiter(VoxWaitGraph *graph, const LockQueue *queue, int self)
{
	const LockInstanceData *waiter = &queue->holders[self];
	LOCKMASK	conflicts = voxanne_conflicts(&waiter->locktag, waiter->waitLockMode);
	VoxParty   *party;
	VoxWait    *wait = wait_of(graph, waiter, &party);

	for (int i = 0; i < queue->count; i++)
	{
		const LockInstanceData *other = &queue->holders[i];

		if (other->leaderPid == waiter->leaderPid && other->pid != 0)
			continue;
		if (conflicts & other->holdMask)
			voxanne_waitgraph_edge(party, wait, party_of(graph, other), VOX_BLOCK_HARD,
								   conflicts & other->holdMask);
		else if (queue->place[i] >= 0 && queue->place[i] < queue->place[self] &&
				 (conflicts & LOCKBIT_ON(other->waitLockMode)))
			voxanne_waitgraph_edge(party, wait, party_of(graph, other), VOX_BLOCK_SOFT, 0);
	}
}

static bool
already_read(const VoxWaitGraph *graph, int pid)
{
	for (int i = 0; i < graph->count; i++)
	{
		ListCell   *lc;

		foreach(lc, graph->parties[i]->waits)
		{
			if (((const VoxWait *) lfirst(lc))->pid == pid)
				return true;
		}
	}
	return false;
}

/*
 * The wait of a process on a lock, with what its own entry in the process
 * array adds: since when, and on which row.  Both are missing where the wait
 * has just begun or ended.
 */
static VoxWait *
wait_of(VoxWaitGraph *graph, const LockInstanceData *instance, VoxParty **party)
{
	VoxWait    *wait;
	PGPROC	   *proc = BackendPidGetProc(instance->pid);

	*party = party_of(graph, instance);
	wait = voxanne_waitgraph_wait(*party, instance->pid, VOX_WAIT_LOCK);
	wait->tag = instance->locktag;
	wait->mode = instance->waitLockMode;
	if (proc != NULL)
	{
		wait->since = (TimestampTz) pg_atomic_read_u64(&proc->waitStart);
		if (instance->locktag.locktag_type == LOCKTAG_TRANSACTION)
			wait->on_row = held_row(proc, instance->pid, &wait->row);
	}
	return wait;
}

static VoxParty *
party_of(VoxWaitGraph *graph, const LockInstanceData *instance)
{
	return voxanne_waitgraph_party(graph, instance->leaderPid, VOX_LOCK_VXID(instance));
}

/*
 * Who wants to change a row that an unfinished transaction changed holds the
 * row's lock while it waits for that transaction.  Finds this lock in the
 * process's own lists, one partition at a time.
 */
static bool
held_row(PGPROC *proc, int pid, LOCKTAG *row)
{
	bool		found = false;

	for (int i = 0; i < NUM_LOCK_PARTITIONS && !found; i++)
	{
		LWLockAcquire(LockHashPartitionLockByIndex(i), LW_SHARED);
		for (PROCLOCK *proclock = voxanne_first_proclock(&proc->myProcLocks[i]);
			 proclock != NULL && proc->pid == pid && !found;
			 proclock = voxanne_next_proclock(&proc->myProcLocks[i], proclock))
		{
			const LOCKTAG *tag = &proclock->tag.myLock->tag;

			if (tag->locktag_type == LOCKTAG_TUPLE && proclock->holdMask != 0)
			{
				*row = *tag;
				found = true;
			}
		}
		LWLockRelease(LockHashPartitionLockByIndex(i));
	}
	return found;
}

/*
 * Enter all waiters from one copy of the lock table.  It does not tell the
 * order of the queues; the time at which each began to wait stands in for it,
 * and only the nearest conflicting waiter ahead becomes a soft edge, since
 * the farther ones follow from it.
 */
void
voxanne_read_lock_table(VoxWaitGraph *graph)
{
	LockData   *data = GetLockStatusData();
	int			first = 0;

	qsort(data->locks, (size_t) data->nelements, sizeof(LockInstanceData), compare_instances);
	while (first < data->nelements)
	{
		int			end = first + 1;

		while (end < data->nelements &&
			   memcmp(&data->locks[end].locktag, &data->locks[first].locktag, sizeof(LOCKTAG)) == 0)
			end++;
		add_waiters_of_lock(graph, &data->locks[first], end - first);
		first = end;
	}
	pfree(data->locks);
	pfree(data);
}

/* By lock; within it those that do not wait, then the waiters from the earliest. */
static int
compare_instances(const void *a, const void *b)
{
	const LockInstanceData *left = a;
	const LockInstanceData *right = b;
	int			cmp = memcmp(&left->locktag, &right->locktag, sizeof(LOCKTAG));

	if (cmp != 0)
		return cmp;
	if ((left->waitLockMode == NoLock) != (right->waitLockMode == NoLock))
		return left->waitLockMode == NoLock ? -1 : 1;
	if (left->waitStart != right->waitStart)
		return left->waitStart < right->waitStart ? -1 : 1;
	return (left->pid > right->pid) - (left->pid < right->pid);
}

/* "run": everybody who holds or awaits one lock, in the order above. */
static void
add_waiters_of_lock(VoxWaitGraph *graph, LockInstanceData *run, int count)
{
	for (int self = 0; self < count; self++)
	{
		LOCKMASK	conflicts;
		VoxParty   *party;
		VoxWait    *wait;
		int			nearest = -1;

		CHECK_FOR_INTERRUPTS();
		if (run[self].waitLockMode == NoLock || BackendPidGetProc(run[self].pid) == NULL)
			continue;
		conflicts = voxanne_conflicts(&run[self].locktag, run[self].waitLockMode);
		wait = wait_of(graph, &run[self], &party);
		for (int i = 0; i < count; i++)
		{
			if (run[i].leaderPid == run[self].leaderPid && run[i].pid != 0)
				continue;
			if (conflicts & run[i].holdMask)
				voxanne_waitgraph_edge(party, wait, party_of(graph, &run[i]), VOX_BLOCK_HARD,
									   conflicts & run[i].holdMask);
			else if (i < self && run[i].waitLockMode != NoLock &&
					 (conflicts & LOCKBIT_ON(run[i].waitLockMode)))
				nearest = i;
		}
		if (nearest >= 0)
			voxanne_waitgraph_edge(party, wait, party_of(graph, &run[nearest]), VOX_BLOCK_SOFT, 0);
	}
}
