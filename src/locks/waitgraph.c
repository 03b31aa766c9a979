/*
 * src/locks/waitgraph.c
 *		Collecting the parties that wait, those that block them, and why.
 *
 * What is expensive about lock monitoring is reading the lock table: its cost
 * grows with the number of locks, and all partitions are held meanwhile.  So
 * the first look goes over the processes without any lock; where nobody waits
 * it ends there.  Then the server is asked about one waiter at a time
 * (lockqueue.c), which is exact and costs the holders and the queue of one
 * lock.
 *
 * Each answer of the server is consistent in itself; two of them are not taken
 * at the same instant.  A blocker may have become a waiter in between, so every
 * party that turns up is looked at again until there is no new one.
 *
 * Needs neither a transaction nor a catalog: everything is in shared memory.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "core/compat.h"
#include "locks/waitgraph.h"
#include "miscadmin.h"
#include "storage/predicate_internals.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

static void ask_waiters(VoxWaitGraph *graph, const List *waiters);
static List *waiting_processes(VoxWaitGraph *graph);
static void read_safe_snapshot(VoxWaitGraph *graph, int pid);
static void complete_parties(VoxWaitGraph *graph);
static void complete_party(VoxWaitGraph *graph, VoxParty *party);
static TransactionId prepared_xid(VirtualTransactionId vxid);

/*
 * Everybody who waits for a heavyweight lock, a safe snapshot or, on a
 * standby, for what WAL replay needs, with everybody who blocks them.  Without
 * waiters no lock of any kind is taken.  Allocated in the current context.
 */
VoxWaitGraph *
voxanne_waitgraph_collect(void)
{
	VoxWaitGraph *graph = palloc0_object(VoxWaitGraph);
	List	   *waiters;

	graph->taken = GetCurrentTimestamp();
	graph->allocated = 16;
	graph->parties = palloc_array(VoxParty *, graph->allocated);

	waiters = waiting_processes(graph);
	if (list_length(waiters) > VOX_MAX_WAITERS)
	{
		graph->approximate = true;
		voxanne_read_lock_table(graph);
	}
	else
		ask_waiters(graph, waiters);
	complete_parties(graph);
	return graph;
}

/*
 * The party of a session or, with pid 0, of a prepared transaction; made if
 * there is none yet.
 */
VoxParty *
voxanne_waitgraph_party(VoxWaitGraph *graph, int pid, VirtualTransactionId vxid)
{
	VoxParty   *party;

	if (pid != 0)
		memset(&vxid, 0, sizeof(vxid));
	for (int i = 0; i < graph->count; i++)
	{
		party = graph->parties[i];
		if (party->pid == pid && VirtualTransactionIdEquals(party->vxid, vxid))
			return party;
	}

	if (graph->count == graph->allocated)
	{
		graph->allocated *= 2;
		graph->parties = (VoxParty **) repalloc(graph->parties,
												sizeof(VoxParty *) * (Size) graph->allocated);
	}
	party = palloc0_object(VoxParty);
	party->index = graph->count;
	party->pid = pid;
	party->vxid = vxid;
	graph->parties[graph->count++] = party;
	return party;
}

/*
 * The party of a session; with pid 0 that of a prepared transaction of which
 * nothing else is known.
 */
VoxParty *
voxanne_waitgraph_session(VoxWaitGraph *graph, int pid)
{
	VirtualTransactionId unknown;

	memset(&unknown, 0, sizeof(unknown));
	return voxanne_waitgraph_party(graph, pid, unknown);
}

/*
 * The wait of one of a party's processes; made if there is none yet.
 */
VoxWait *
voxanne_waitgraph_wait(VoxParty *party, int pid, VoxWaitFor what)
{
	VoxWait    *wait;
	ListCell   *lc;

	foreach(lc, party->waits)
	{
		wait = lfirst(lc);
		if (wait->pid == pid)
			return wait;
	}
	wait = palloc0_object(VoxWait);
	wait->pid = pid;
	wait->what = what;
	party->waits = lappend(party->waits, wait);
	return wait;
}

/*
 * Note that a wait does not end before "blocker" lets go.  Several processes
 * of one party that block the same wait are one edge.
 */
void
voxanne_waitgraph_edge(VoxParty *waiter, const VoxWait *wait, VoxParty *blocker,
					   VoxBlock kind, LOCKMASK held)
{
	VoxEdge    *edge;
	ListCell   *lc;

	foreach(lc, waiter->blockers)
	{
		edge = lfirst(lc);
		if (edge->blocker == blocker && edge->wait == wait)
		{
			edge->kind = Max(edge->kind, kind);
			edge->held |= held;
			return;
		}
	}
	edge = palloc0_object(VoxEdge);
	edge->waiter = waiter;
	edge->blocker = blocker;
	edge->wait = wait;
	edge->kind = kind;
	edge->held = held;
	waiter->blockers = lappend(waiter->blockers, edge);
	blocker->victims = lappend(blocker->victims, edge);
}

/*
 * The modes that conflict with a mode, as a mask.
 */
LOCKMASK
voxanne_conflicts(const LOCKTAG *tag, LOCKMODE mode)
{
	return GetLockTagsMethodTable(tag)->conflictTab[mode];
}

static void
ask_waiters(VoxWaitGraph *graph, const List *waiters)
{
	ListCell   *lc;

	foreach(lc, waiters)
	{
		CHECK_FOR_INTERRUPTS();
		voxanne_read_queues(graph, lfirst_int(lc));
	}
}

/*
 * The pids that wait for a heavyweight lock at this moment.  Those that wait
 * for a safe snapshot, and WAL replay, are entered into the graph at once.
 * Takes no lock: each field read here is one word, and what they say is only
 * a reason to look closer.
 */
static List *
waiting_processes(VoxWaitGraph *graph)
{
	List	   *waiters = NIL;

	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		volatile PGPROC *proc = &ProcGlobal->allProcs[i];
		int			pid = proc->pid;

		if (pid == 0)
			continue;
		if (i >= (uint32) MaxBackends)
			voxanne_look_at_replay(graph, &ProcGlobal->allProcs[i]);
		else if (proc->waitLock != NULL)
			waiters = lappend_int(waiters, pid);
		else if (proc->wait_event_info == WAIT_EVENT_SAFE_SNAPSHOT)
			read_safe_snapshot(graph, pid);
	}
	return waiters;
}

/* Enter a SERIALIZABLE READ ONLY DEFERRABLE transaction that waits for a safe snapshot. */
static void
read_safe_snapshot(VoxWaitGraph *graph, int pid)
{
	int		   *pids = palloc_array(int, MaxBackends + max_prepared_xacts);
	int			count = GetSafeSnapshotBlockingPids(pid, pids, MaxBackends + max_prepared_xacts);

	if (count > 0)
	{
		VoxParty   *waiter = voxanne_waitgraph_session(graph, pid);
		VoxWait    *wait = voxanne_waitgraph_wait(waiter, pid, VOX_WAIT_SAFE_SNAPSHOT);

		for (int i = 0; i < count; i++)
			voxanne_waitgraph_edge(waiter, wait, voxanne_waitgraph_session(graph, pids[i]),
								   VOX_BLOCK_SAFE_SNAPSHOT, 0);
	}
	pfree(pids);
}

/*
 * Look at every party itself: a blocker that has begun to wait meanwhile
 * becomes a waiter, which can bring further parties.
 */
static void
complete_parties(VoxWaitGraph *graph)
{
	for (int i = 0; i < graph->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		complete_party(graph, graph->parties[i]);
	}
}

static void
complete_party(VoxWaitGraph *graph, VoxParty *party)
{
	volatile PGPROC *proc;

	if (party->pid == 0)
	{
		party->xid = prepared_xid(party->vxid);
		return;
	}
	if (party->replay)
		return;

	proc = BackendPidGetProc(party->pid);
	if (proc == NULL)
	{
		/* gone, or the startup process as a holder */
		proc = AuxiliaryPidGetProc(party->pid);
		party->replay = proc != NULL;
	}
	if (proc == NULL)
		return;
	party->wait_event = proc->wait_event_info;
	party->status_flags = proc->statusFlags;
	if (party->waits == NIL && proc->waitLock != NULL && !party->replay)
		voxanne_read_queues(graph, party->pid);
}

/*
 * The transaction id of a prepared transaction.  Reads the places of prepared
 * transactions, which follow those of processes, without a lock; the answer
 * is checked when the transaction is looked up by it.
 */
static TransactionId
prepared_xid(VirtualTransactionId vxid)
{
	for (int i = 0; i < max_prepared_xacts; i++)
	{
		PGPROC	   *proc = &ProcGlobal->allProcs[ProcGlobal->allProcCount + (uint32) i];
		VirtualTransactionId other;

		GET_VXID_FROM_PGPROC(other, *proc);
		if (proc->pid == 0 && TransactionIdIsValid(proc->xid) &&
			VirtualTransactionIdEquals(other, vxid))
			return proc->xid;
	}
	return InvalidTransactionId;
}
