/*
 * src/locks/waitgraph.h
 *		Who waits for whom.
 *
 * A party can hold or await locks: a session together with its parallel
 * workers, known by the pid of the leader, or a prepared transaction.  An edge
 * says that a wait of one party does not end before another party lets go.
 */
#ifndef VOXANNE_WAITGRAPH_H
#define VOXANNE_WAITGRAPH_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/lock.h"

/* Weakest first: where two apply to the same edge the later one stays. */
typedef enum VoxBlock
{
	VOX_BLOCK_SOFT,				/* awaits a conflicting lock and is ahead in
								 * the queue */
	VOX_BLOCK_HARD,				/* holds a conflicting lock */
	VOX_BLOCK_RECOVERY,			/* holds what WAL replay needs */
	VOX_BLOCK_SAFE_SNAPSHOT		/* its writes could make a DEFERRABLE snapshot
								 * unsafe */
} VoxBlock;

typedef enum VoxWaitFor
{
	VOX_WAIT_LOCK,
	VOX_WAIT_SAFE_SNAPSHOT,
	/* of WAL replay only */
	VOX_WAIT_SNAPSHOT_CONFLICT,
	VOX_WAIT_TABLESPACE,
	VOX_WAIT_PIN
} VoxWaitFor;

/* One process that waits. */
typedef struct VoxWait
{
	int			pid;			/* the party's own or one of its workers */
	VoxWaitFor	what;
	LOCKTAG		tag;			/* VOX_WAIT_LOCK only, as are mode, row and
								 * on_row */
	LOCKMODE	mode;
	bool		on_row;			/* waits for a transaction because of this
								 * row: */
	LOCKTAG		row;
	TimestampTz since;			/* 0: not known (yet) */
} VoxWait;

typedef struct VoxParty
{
	int			index;			/* in VoxWaitGraph.parties */
	int			pid;			/* 0: prepared transaction */
	VirtualTransactionId vxid;	/* prepared transaction only, as is: */
	TransactionId xid;			/* invalid if it could not be told which one */
	bool		replay;			/* the startup process */
	uint32		wait_event;		/* what it sleeps on, if anything */
	uint8		status_flags;	/* PROC_* */
	List	   *waits;			/* of VoxWait, the longest first */
	List	   *blockers;		/* of VoxEdge, this party the waiter */
	List	   *victims;		/* of VoxEdge, this party the blocker */
} VoxParty;

typedef struct VoxEdge
{
	VoxParty   *waiter;
	VoxParty   *blocker;
	const VoxWait *wait;
	VoxBlock	kind;
	LOCKMASK	held;			/* the conflicting modes that the blocker
								 * holds */
} VoxEdge;

typedef struct VoxWaitGraph
{
	TimestampTz taken;			/* when the look began */
	bool		approximate;	/* more waiters than are asked one by one */
	int			count;
	int			allocated;
	VoxParty  **parties;
} VoxWaitGraph;

/* More waiters than this are read from one copy of the lock table, without the order of the queues. */
#define VOX_MAX_WAITERS 200

extern VoxWaitGraph *voxanne_waitgraph_collect(void);
extern VoxParty *voxanne_waitgraph_party(VoxWaitGraph *graph, int pid, VirtualTransactionId vxid);
extern VoxParty *voxanne_waitgraph_session(VoxWaitGraph *graph, int pid);
extern VoxWait *voxanne_waitgraph_wait(VoxParty *party, int pid, VoxWaitFor what);
extern void voxanne_waitgraph_edge(VoxParty *waiter, const VoxWait *wait, VoxParty *blocker,
								   VoxBlock kind, LOCKMASK held);
extern LOCKMASK voxanne_conflicts(const LOCKTAG *tag, LOCKMODE mode);

/* lockqueue.c */
extern void voxanne_read_queues(VoxWaitGraph *graph, int pid);
extern void voxanne_read_lock_table(VoxWaitGraph *graph);

/* replay.c */
extern void voxanne_look_at_replay(VoxWaitGraph *graph, PGPROC *startup);

#endif							/* VOXANNE_WAITGRAPH_H */
