/*
 * src/locks/replay.c
 *		What WAL replay on a standby waits for.
 *
 * The startup process is not in the process array, so the server's own answer
 * about its blockers is empty (pg_blocking_pids() too).  Its lock waits follow
 * from the lock table; a conflict over snapshots follows from the oldest one.
 * Who pins a buffer or uses a tablespace is known to nobody but those
 * processes: then replay is shown as waiting, without a blocker.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xlogrecovery.h"
#include "core/compat.h"
#include "locks/waitgraph.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/wait_event.h"

static VoxWait *replay_wait(VoxWaitGraph *graph, int pid, VoxWaitFor what, VoxParty **party);
static void read_lock_conflict(VoxWaitGraph *graph, PGPROC *startup, int pid);
static void read_snapshot_conflict(VoxWaitGraph *graph, int pid);
static bool has_snapshot(volatile PGPROC *proc);
static TransactionId oldest_snapshot(void);

/*
 * Enter the startup process if it waits for somebody.  "startup" is any
 * auxiliary process: of these only the startup process takes heavyweight
 * locks and meets recovery conflicts.
 */
void
voxanne_look_at_replay(VoxWaitGraph *graph, PGPROC *startup)
{
	volatile PGPROC *proc = startup;
	int			pid = proc->pid;
	uint32		wait_event = proc->wait_event_info;
	VoxParty   *party;

	if (proc->waitLock != NULL)
		read_lock_conflict(graph, startup, pid);
	else if (wait_event == WAIT_EVENT_RECOVERY_CONFLICT_SNAPSHOT)
		read_snapshot_conflict(graph, pid);
	else if (wait_event == WAIT_EVENT_RECOVERY_CONFLICT_TABLESPACE)
		(void) replay_wait(graph, pid, VOX_WAIT_TABLESPACE, &party);
	else if (wait_event == VOX_WAIT_BUFFER_PIN)
		(void) replay_wait(graph, pid, VOX_WAIT_PIN, &party);
}

/*
 * The startup process's wait.  Only a wait for a lock has a time of its own;
 * for the others replay has been at its present piece of WAL at least as long
 * as it waits.
 */
static VoxWait *
replay_wait(VoxWaitGraph *graph, int pid, VoxWaitFor what, VoxParty **party)
{
	VoxWait    *wait;

	*party = voxanne_waitgraph_session(graph, pid);
	(*party)->replay = true;
	wait = voxanne_waitgraph_wait(*party, pid, what);
	wait->since = what == VOX_WAIT_LOCK ? 0 : GetCurrentChunkReplayStartTime();
	return wait;
}

/* Its wait for a lock; the conflicting holders are those that a primary would call hard. */
static void
read_lock_conflict(VoxWaitGraph *graph, PGPROC *startup, int pid)
{
	LockData   *data = GetLockStatusData();
	const LockInstanceData *self = NULL;

	for (int i = 0; i < data->nelements && self == NULL; i++)
		if (data->locks[i].pid == pid && data->locks[i].waitLockMode != NoLock)
			self = &data->locks[i];

	if (self != NULL)
	{
		VoxParty   *party;
		VoxWait    *wait = replay_wait(graph, pid, VOX_WAIT_LOCK, &party);
		LOCKMASK	conflicts = voxanne_conflicts(&self->locktag, self->waitLockMode);

		wait->tag = self->locktag;
		wait->mode = self->waitLockMode;
		wait->since = (TimestampTz) pg_atomic_read_u64(&startup->waitStart);
		for (int i = 0; i < data->nelements; i++)
		{
			const LockInstanceData *other = &data->locks[i];

			if (other != self && !other->fastpath && (conflicts & other->holdMask) != 0 &&
				memcmp(&other->locktag, &self->locktag, sizeof(LOCKTAG)) == 0)
				voxanne_waitgraph_edge(party, wait,
									   voxanne_waitgraph_party(graph, other->leaderPid, VOX_LOCK_VXID(other)),
									   VOX_BLOCK_RECOVERY, conflicts & other->holdMask);
		}
	}
	pfree(data->locks);
	pfree(data);
}

/*
 * Its wait for snapshots to end.  The conflict is with every snapshot up to a
 * limit that only replay knows, so it is with the oldest one if with any.
 */
static void
read_snapshot_conflict(VoxWaitGraph *graph, int pid)
{
	TransactionId oldest = oldest_snapshot();
	VoxParty   *party;
	VoxWait    *wait = replay_wait(graph, pid, VOX_WAIT_SNAPSHOT_CONFLICT, &party);

	for (int i = 0; i < MaxBackends; i++)
	{
		volatile PGPROC *proc = &ProcGlobal->allProcs[i];

		if (has_snapshot(proc) && proc->xmin == oldest)
		{
			PGPROC	   *leader = proc->lockGroupLeader;

			voxanne_waitgraph_edge(party, wait,
								   voxanne_waitgraph_session(graph, leader != NULL ? leader->pid : proc->pid),
								   VOX_BLOCK_RECOVERY, 0);
		}
	}
}

static bool
has_snapshot(volatile PGPROC *proc)
{
	return proc->pid != 0 && OidIsValid(proc->databaseId) && TransactionIdIsNormal(proc->xmin);
}

static TransactionId
oldest_snapshot(void)
{
	TransactionId oldest = InvalidTransactionId;

	for (int i = 0; i < MaxBackends; i++)
	{
		volatile PGPROC *proc = &ProcGlobal->allProcs[i];
		TransactionId xmin = proc->xmin;

		if (has_snapshot(proc) && TransactionIdIsNormal(xmin) &&
			(!TransactionIdIsValid(oldest) || TransactionIdPrecedes(xmin, oldest)))
			oldest = xmin;
	}
	return oldest;
}
