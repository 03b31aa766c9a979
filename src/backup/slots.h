/*
 * src/backup/slots.h
 *		What the workers and the backends share: a slot per watched database.
 */
#ifndef VOXANNE_SLOTS_H
#define VOXANNE_SLOTS_H

#include "backup/lane.h"
#include "core/settings.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

/* What happens in a lane of a database at the moment. */
typedef enum VoxSlotPhase
{
	VOX_SLOT_IDLE,
	VOX_SLOT_STARTING,			/* a verifier was asked for and has not come
								 * yet */
	VOX_SLOT_PLANNING,			/* connected, reading what is due */
	VOX_SLOT_RUNNING,			/* verifying; nobody is connected */
	VOX_SLOT_RECORDING			/* connected, writing a result */
} VoxSlotPhase;

#define VOX_ERROR_MAX 256

/*
 * A lane belongs to the scheduler while it is idle or starting, and to the
 * verifier whose pid it has in all other phases: only its owner changes it, but
 * that the verifier of the other lane may set when it is due and end a cycle for
 * it while it is idle.  How lanes work is told in lane.c.
 */
typedef struct VoxLane
{
	uint64		seen;			/* generation of which the last cycle knew */
	uint64		done;			/* and of which one has left nothing undone */
	TimestampTz next_due;		/* DT_NOEND: only a new generation starts a
								 * cycle */
	VoxSlotPhase phase;
	uint64		launch;			/* tells the verifier that was asked for from
								 * one that comes late */
	pid_t		pid;			/* the verifier, or 0 */
	Latch	   *latch;			/* of the verifier, or NULL */
	uint64		turn;			/* voxanne_turn() of the target whose turn it
								 * has, or tries to take; 0: none */
	uint64		turns;			/* that it has given back */
	bool		held;			/* due when the other lane gives back its turn */
	TimestampTz busy_since;		/* of verifications that follow each other; 0:
								 * there are none */
	NameData	target;			/* that is verified, cut; "" if none is */
	uint64		done_mb;		/* of its contents, read so far; of ... */
	uint64		total_mb;		/* ... so many; 0: not known */

	/* history, for people */
	VoxCycleEnd end;			/* of the last cycle */
	int			failures;		/* cycles that ended in VOX_CYCLE_FAILED since
								 * another did */
	uint64		cycles;			/* ended since the server started */
	TimestampTz last_start;		/* 0: never */
	TimestampTz last_end;		/* 0: never */
	char		error[VOX_ERROR_MAX];	/* of the last cycle that failed; ""
										 * if a later one did not */
} VoxLane;

/*
 * "generation" counts reasons to look anew; each lane has the one of which its
 * last cycle knew when it began.  If they differ a cycle is wanted at once, so a
 * change that comes while a cycle runs is not lost.  Anybody may raise it, to a
 * number that no slot has had before.  "watched", "name" and "database" are the
 * scheduler's; "pinged" and "ping_error" are set by whoever sent a heartbeat.
 *
 * Telling goes on beside verifying, so that an endpoint that does not answer
 * holds nobody up.  "tell_due", "tell_generation" and "ping" are raised by
 * verifiers; "telling" belongs to the scheduler until the messenger has taken
 * over and put its pid there, then to that one, which lowers them.  A slot is
 * not freed while somebody tells.
 */
typedef struct VoxSlot
{
	bool		used;
	bool		watched;		/* false: to be freed as soon as it is idle */
	NameData	name;			/* as voxanne_ops.databases has it */
	Oid			database;		/* InvalidOid: there is none of that name */
	uint64		generation;
	VoxLane		lanes[VOX_LANE_COUNT];
	TimestampTz tell_due;		/* when there is something to tell; DT_NOEND:
								 * never */
	uint64		tell_generation;	/* counts changes of tell_due by verifiers */
	bool		ping;			/* a heartbeat is to be sent */
	bool		telling;		/* a messenger was asked for or is at work */
	uint64		tell_launch;	/* as a lane's launch, for messengers */
	pid_t		messenger_pid;	/* or 0 */
	TimestampTz pinged;			/* when a heartbeat was sent last; 0: never */
	char		ping_error[VOX_ERROR_MAX];	/* of the last heartbeat; "" if it
											 * arrived */
} VoxSlot;

/* Names that were taken off the list while they were verified need slots, too. */
#define VOX_SLOT_COUNT (2 * VOX_MAX_DATABASES)

/*
 * "lock" protects everything here but the condition variable: exclusively to
 * change, shared to read.  It is held for a few assignments, never over
 * anything that waits, allocates or looks into a catalog.  The latches point to
 * PGPROCs, which live as long as the shared memory; to set one that has passed
 * to another process does no harm.  "changed" is broadcast, without the lock,
 * when a cycle or a verifier ends and when slots come and go.
 */
typedef struct VoxSlots
{
	LWLock		lock;
	ConditionVariable changed;
	pid_t		scheduler_pid;	/* 0: not running */
	Latch	   *scheduler_latch;
	uint64		wakeups;		/* of the scheduler, since the server started */
	bool		woken;			/* somebody wants the scheduler to look at
								 * pg_database */
	bool		starved;		/* the lack of worker processes has been
								 * logged */
	uint64		generation;		/* the highest that a slot has had */
	VoxSlot		slots[VOX_SLOT_COUNT];
} VoxSlots;

/* NULL unless the library was preloaded */
extern VoxSlots *voxanne_slots;

/* What backup_status() shows of the workers. */
typedef struct VoxWorkerStatus
{
	pid_t		scheduler_pid;	/* 0: not running */
	bool		watched;		/* the database is in voxanne_ops.databases */
	const char *phases[VOX_LANE_COUNT]; /* words; "unknown" before the
										 * scheduler saw the database */
	const char *end;			/* of the last cycle, words; NULL: none since
								 * the server started */
	bool		failed;			/* the last cycle did; that of one lane, if
								 * the other's did not */
	int			failures;		/* in a row */
	TimestampTz last_end;		/* 0: never */
	char		error[VOX_ERROR_MAX];	/* of the last cycle; "" if it did not
										 * fail */
	TimestampTz pinged;			/* when a heartbeat was sent last; 0: never
								 * since the server started */
	char		ping_error[VOX_ERROR_MAX];	/* of the last heartbeat; "" if it
											 * arrived */
} VoxWorkerStatus;

/* The first and the longest pause after a failure, in milliseconds. */
#define VOX_BACKOFF_MIN 5000
#define VOX_BACKOFF_MAX 300000

extern void voxanne_slots_define(void);
extern void voxanne_slots_wake(Oid database);
extern uint64 voxanne_slots_ask(Oid database);
extern void voxanne_slot_tell(VoxSlot *slot, TimestampTz due, bool ping);
extern TimestampTz voxanne_slot_tell_due(const VoxSlot *slot);
extern void voxanne_slots_pinged(Oid database, const char *problem);
extern bool voxanne_worker_status(Oid database, VoxWorkerStatus *status);
extern VoxSlot *voxanne_slot_of(Oid database);
extern void voxanne_slot_raise(VoxSlot *slot);
extern void voxanne_slot_put_error(char *error, const char *text);
extern char *voxanne_slot_error(const char *error);
extern void voxanne_wake_scheduler(void);
extern const char *voxanne_lane_activity(const VoxSlot *slot, VoxLaneId lane, TimestampTz now);
extern const char *voxanne_cycle_end_name(VoxCycleEnd end);
extern List *voxanne_watched_names(void);
extern int	voxanne_backoff(int failures);

#endif							/* VOXANNE_SLOTS_H */
