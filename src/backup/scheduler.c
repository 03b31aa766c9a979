/*
 * src/backup/scheduler.c
 *		The one worker that is always there and decides when to verify.
 *
 * It must not be in anybody's way: a process that is connected to a database
 * keeps that database from being dropped, renamed or used as a template, and
 * one that holds a snapshot keeps VACUUM from removing rows.  So it connects to
 * no database, as the launchers of autovacuum and logical replication do,
 * learns from pg_database which of the watched ones there are, and starts a
 * verifier for each that needs one.  In between it sleeps until the next time
 * that something is due, a change wakes it, or the interval has passed after
 * which it looks for changes that nothing told it of.
 */
#include "postgres.h"

#include "backup/scheduler.h"
#include "backup/slots.h"
#include "backup/verifier.h"
#include "backup/worker.h"
#include "core/compat.h"
#include "core/settings.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Longest sleep, in milliseconds; it only bounds the arithmetic. */
#define LONGEST_SLEEP (24 * 3600 * 1000L)

typedef struct Scheduler
{
	MemoryContext context;		/* of one tick */
	bool		stale;			/* the slots may not match setting and pg_database */
	instr_time	looked;			/* when all databases were last looked at */
	BackgroundWorkerHandle *handles[VOX_SLOT_COUNT];	/* of verifiers not yet gone */

	/* pauses; no slot is the cause of either */
	int			failures;		/* ticks in a row that failed */
	int			starvations;	/* starts in a row for which no process was free */
	TimestampTz hold_until;		/* no verifier is started before, unless woken */
} Scheduler;

static void attach(void);
static void detach(int code, Datum argument);
static long tick_safely(Scheduler *scheduler);
static long tick(Scheduler *scheduler);
static bool take_wake(Scheduler *scheduler);
static void look_again(Scheduler *scheduler);
static bool is_wanted(const VoxSlot *slot, TimestampTz now);
static bool any_wanted(TimestampTz now);
static void watch(void);
static void watch_name(const char *name, List *databases);
static VoxSlot *slot_named(const char *name);
static void unwatch_others(List *names);
static void reap(Scheduler *scheduler);
static void start_wanted(Scheduler *scheduler, TimestampTz now);
static bool is_before_others(const Scheduler *scheduler, int index);
static int	choose(const Scheduler *scheduler, TimestampTz now, VoxVerifierOrder *order, NameData *name);
static long sleep_time(const Scheduler *scheduler, TimestampTz now);
static long floor_time(const Scheduler *scheduler);

/*
 * Register the worker; only while the library is being preloaded.
 */
void
voxanne_scheduler_register(void)
{
	BackgroundWorker worker;

	voxanne_worker_describe(&worker, VOX_SCHEDULER_TYPE, "voxanne_scheduler_main");
	worker.bgw_restart_time = 5;
	RegisterBackgroundWorker(&worker);
}

/*
 * Ends only by SIGTERM, by a FATAL error or with the postmaster, and is started
 * again by the latter.
 */
void
voxanne_scheduler_main(Datum argument)
{
	Scheduler	scheduler = {.stale = true};
	uint32		wait_event;

	pqsignal(SIGINT, SIG_IGN);
	voxanne_worker_begin();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	attach();

	wait_event = voxanne_new_wait_event("VoxanneSchedulerMain");
	scheduler.context = AllocSetContextCreate(TopMemoryContext, "voxanne_ops scheduler tick",
											  ALLOCSET_DEFAULT_SIZES);
	look_again(&scheduler);

	for (;;)
	{
		long		timeout;

		ResetLatch(MyLatch);
		if (ProcDiePending)
			proc_exit(1);		/* idle, so there is nothing to complain of */
		CHECK_FOR_INTERRUPTS();

		if (ConfigReloadPending)
		{
			voxanne_worker_reload();
			scheduler.stale = true;
		}
		timeout = tick_safely(&scheduler);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout < 0 ? 0 : WL_TIMEOUT),
						 timeout, wait_event);
	}
}

/*
 * Publish that we are there.  An order that an earlier scheduler left behind is
 * void, as nobody would learn of its failure; a verifier at work goes on.
 */
static void
attach(void)
{
	pid_t		other;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	other = voxanne_slots->scheduler_pid;
	if (other == 0)
	{
		voxanne_slots->scheduler_pid = MyProcPid;
		voxanne_slots->scheduler_latch = MyLatch;
		for (int i = 0; i < VOX_SLOT_COUNT; i++)
		{
			VoxSlot    *slot = &voxanne_slots->slots[i];

			if (slot->phase == VOX_SLOT_STARTING)
			{
				slot->launch++;
				voxanne_slot_idle(slot);
			}
		}
	}
	LWLockRelease(&voxanne_slots->lock);
	if (other != 0)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another %s is already running with PID %d", VOX_SCHEDULER_TYPE, (int) other)));
	before_shmem_exit(detach, 0);
}

static void
detach(int code, Datum argument)
{
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	voxanne_slots->scheduler_pid = 0;
	voxanne_slots->scheduler_latch = NULL;
	LWLockRelease(&voxanne_slots->lock);
}

/*
 * One tick, in a memory context of its own.  Returns the milliseconds until the
 * next, -1 for no limit.  An error is logged and is a reason to wait longer.
 */
static long
tick_safely(Scheduler *scheduler)
{
	MemoryContext old = MemoryContextSwitchTo(scheduler->context);
	volatile long timeout;

	PG_TRY();
	{
		timeout = tick(scheduler);
		scheduler->failures = 0;
	}
	PG_CATCH();
	{
		(void) voxanne_worker_caught(scheduler->context);
		scheduler->stale = true;
		timeout = voxanne_backoff(++scheduler->failures);
	}
	PG_END_TRY();

	MemoryContextSwitchTo(old);
	MemoryContextReset(scheduler->context);
	pgstat_report_activity(STATE_IDLE, NULL);
	pgstat_report_stat(false);
	return timeout;
}

/* See to it that every slot has what it needs; the pg_database is read only when there is a reason. */
static long
tick(Scheduler *scheduler)
{
	TimestampTz now = voxanne_worker_now();

	if (take_wake(scheduler))
		scheduler->stale = true;
	if (floor_time(scheduler) == 0)
	{
		look_again(scheduler);
		scheduler->stale = true;
	}
	reap(scheduler);
	if (scheduler->stale || (any_wanted(now) && now >= scheduler->hold_until))
	{
		pgstat_report_activity(STATE_RUNNING, "look for databases to watch");
		watch();
		scheduler->stale = false;
	}
	start_wanted(scheduler, now);
	return sleep_time(scheduler, now);
}

/* Count the wake-up; true if somebody asked for it, who then need not wait for a pause to end. */
static bool
take_wake(Scheduler *scheduler)
{
	bool		woken;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	voxanne_slots->wakeups++;
	woken = voxanne_slots->woken;
	voxanne_slots->woken = false;
	LWLockRelease(&voxanne_slots->lock);
	if (woken)
		scheduler->hold_until = 0;
	return woken;
}

/* Have every watched database looked at, whatever is known of it. */
static void
look_again(Scheduler *scheduler)
{
	INSTR_TIME_SET_CURRENT(scheduler->looked);
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
		if (voxanne_slots->slots[i].used)
			voxanne_slots->slots[i].generation++;
	LWLockRelease(&voxanne_slots->lock);
}

/* Does this slot need a verifier?  The caller holds the lock. */
static bool
is_wanted(const VoxSlot *slot, TimestampTz now)
{
	return slot->used && slot->watched && slot->phase == VOX_SLOT_IDLE &&
		(slot->generation != slot->done || slot->next_due <= now);
}

static bool
any_wanted(TimestampTz now)
{
	bool		wanted = false;

	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	for (int i = 0; i < VOX_SLOT_COUNT && !wanted; i++)
		wanted = is_wanted(&voxanne_slots->slots[i], now);
	LWLockRelease(&voxanne_slots->lock);
	return wanted;
}

/* Make the slots agree with the setting and with pg_database. */
static void
watch(void)
{
	List	   *names = voxanne_watched_names();
	List	   *databases = names == NIL ? NIL : voxanne_worker_databases();
	ListCell   *lc;

	unwatch_others(names);
	foreach(lc, names)
		watch_name(lfirst(lc), databases);
	ConditionVariableBroadcast(&voxanne_slots->changed);
}

/*
 * One name of the setting: find or take its slot, and note which database it
 * now stands for.  Another one than before is a reason to look at it; one that
 * nobody can connect to is a cycle that ended.
 */
static void
watch_name(const char *name, List *databases)
{
	VoxDatabase *database = NULL;
	VoxCycleEnd end = VOX_CYCLE_NONE;
	VoxSlot    *slot;
	Oid			oid;
	bool		differs = false;
	ListCell   *lc;

	foreach(lc, databases)
		if (strcmp(NameStr(((VoxDatabase *) lfirst(lc))->name), name) == 0)
			database = lfirst(lc);
	oid = database == NULL ? InvalidOid : database->oid;
	if (database == NULL)
		end = VOX_CYCLE_NO_DATABASE;
	else if (!database->connectable)
		end = VOX_CYCLE_NOT_CONNECTABLE;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	slot = slot_named(name);
	if (slot->database != oid)
	{
		slot->database = oid;
		slot->generation++;
	}
	if (end != VOX_CYCLE_NONE && slot->phase == VOX_SLOT_IDLE &&
		(slot->generation != slot->done || slot->end != end))
		differs = voxanne_slot_end(slot, slot->generation, end, DT_NOEND, NULL, voxanne_worker_now());
	else if (end == VOX_CYCLE_NONE && slot->phase == VOX_SLOT_IDLE &&
			 (slot->end == VOX_CYCLE_NO_DATABASE || slot->end == VOX_CYCLE_NOT_CONNECTABLE))
		slot->generation++;
	LWLockRelease(&voxanne_slots->lock);

	if (differs)
		voxanne_worker_report(name, end);
}

/* The slot of a name, a fresh one if it has none.  The caller holds the lock. */
static VoxSlot *
slot_named(const char *name)
{
	VoxSlot    *unused = NULL;

	for (int i = 0; i < VOX_SLOT_COUNT; i++)
	{
		VoxSlot    *slot = &voxanne_slots->slots[i];

		if (slot->used && strcmp(NameStr(slot->name), name) == 0)
		{
			slot->watched = true;
			return slot;
		}
		if (!slot->used && unused == NULL)
			unused = slot;
	}

	/* a retired verifier keeps its slot; as many of them as names is more than any list change leaves */
	if (unused == NULL)
		elog(ERROR, "no slot is free for database \"%s\"", name);
	unused->used = unused->watched = true;
	namestrcpy(&unused->name, name);
	unused->generation = 1;
	unused->next_due = DT_NOEND;
	return unused;
}

/* Free the slots whose names are no longer listed, now or when their verifiers are done. */
static void
unwatch_others(List *names)
{
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
	{
		VoxSlot    *slot = &voxanne_slots->slots[i];
		bool		listed = false;
		ListCell   *lc;

		foreach(lc, names)
			listed |= strcmp(lfirst(lc), NameStr(slot->name)) == 0;
		if (!slot->used || listed)
			continue;
		slot->watched = false;
		if (slot->phase == VOX_SLOT_IDLE)
			voxanne_slot_idle(slot);
	}
	LWLockRelease(&voxanne_slots->lock);
}

/* Forget verifiers that are gone.  One that never came, as when fork() failed, is a cycle that failed. */
static void
reap(Scheduler *scheduler)
{
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
	{
		VoxSlot    *slot = &voxanne_slots->slots[i];
		pid_t		pid;

		if (scheduler->handles[i] == NULL ||
			GetBackgroundWorkerPid(scheduler->handles[i], &pid) != BGWH_STOPPED)
			continue;
		pfree(scheduler->handles[i]);
		scheduler->handles[i] = NULL;

		LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
		if (slot->phase == VOX_SLOT_STARTING)
		{
			voxanne_slot_end(slot, slot->generation, VOX_CYCLE_FAILED, DT_NOEND,
							 "the verifier could not be started", voxanne_worker_now());
			voxanne_slot_idle(slot);
		}
		LWLockRelease(&voxanne_slots->lock);
		ConditionVariableBroadcast(&voxanne_slots->changed);
	}
}

/*
 * Start what is wanted, one at a time.  A verifier needs a second process for
 * its plan, and if all were started together they could take each other's.
 */
static void
start_wanted(Scheduler *scheduler, TimestampTz now)
{
	BackgroundWorker worker;
	VoxVerifierOrder order;
	NameData	name;
	MemoryContext old;
	int			index;

	if (now < scheduler->hold_until)
		return;
	index = choose(scheduler, now, &order, &name);
	if (index < 0)
		return;

	voxanne_worker_describe(&worker, VOX_VERIFIER_TYPE, "voxanne_verifier_main");
	memcpy(worker.bgw_extra, &order, sizeof(order));
	old = MemoryContextSwitchTo(TopMemoryContext);
	scheduler->handles[index] = voxanne_worker_start(&worker, NameStr(name));
	MemoryContextSwitchTo(old);

	if (scheduler->handles[index] != NULL)
	{
		scheduler->starvations = 0;
		return;
	}
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	voxanne_slot_idle(&voxanne_slots->slots[index]);
	LWLockRelease(&voxanne_slots->lock);
	scheduler->hold_until =
		TimestampTzPlusMilliseconds(now, voxanne_backoff(++scheduler->starvations));
}

/*
 * Is a verifier of this slot one that others have to wait for: does it not have
 * its plan yet, or is it leaving and has not given its process back?  The caller
 * holds the lock.
 */
static bool
is_before_others(const Scheduler *scheduler, int index)
{
	VoxSlotPhase phase = voxanne_slots->slots[index].phase;

	return phase == VOX_SLOT_STARTING || phase == VOX_SLOT_PLANNING ||
		(phase == VOX_SLOT_IDLE && scheduler->handles[index] != NULL);
}

/* Pick the slot that has waited longest and mark it as starting; -1 if there is none or one is before it. */
static int
choose(const Scheduler *scheduler, TimestampTz now, VoxVerifierOrder *order, NameData *name)
{
	int			chosen = -1;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
	{
		VoxSlot    *slot = &voxanne_slots->slots[i];

		if (is_before_others(scheduler, i))
		{
			chosen = -1;
			break;
		}
		if (is_wanted(slot, now) && OidIsValid(slot->database) &&
			(chosen < 0 || slot->last_end < voxanne_slots->slots[chosen].last_end))
			chosen = i;
	}
	if (chosen >= 0)
	{
		VoxSlot    *slot = &voxanne_slots->slots[chosen];

		slot->phase = VOX_SLOT_STARTING;
		order->slot = chosen;
		order->launch = ++slot->launch;
		*name = slot->name;
	}
	LWLockRelease(&voxanne_slots->lock);
	return chosen;
}

/*
 * Milliseconds until something is due, -1 if only a wake-up can make it so.
 * Whoever is before others sets our latch when it no longer is.
 */
static long
sleep_time(const Scheduler *scheduler, TimestampTz now)
{
	long		shortest = floor_time(scheduler);
	TimestampTz next = DT_NOEND;
	bool		busy = false;

	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
	{
		const VoxSlot *slot = &voxanne_slots->slots[i];

		busy |= is_before_others(scheduler, i);
		if (is_wanted(slot, now))
			next = now;
		else if (slot->used && slot->watched && slot->phase == VOX_SLOT_IDLE)
			next = Min(next, slot->next_due);
	}
	LWLockRelease(&voxanne_slots->lock);

	if (next <= now && busy)
		next = DT_NOEND;
	next = Max(next, scheduler->hold_until);
	if (next != DT_NOEND)
	{
		long		due = TimestampDifferenceMilliseconds(now, next);

		due = Min(due, LONGEST_SLEEP);
		shortest = shortest < 0 ? due : Min(shortest, due);
	}
	return shortest;
}

/* Milliseconds until all databases are to be looked at again, by a clock that nobody sets; -1: never. */
static long
floor_time(const Scheduler *scheduler)
{
	instr_time	passed;
	int64		left;

	if (voxanne_rescan_interval == 0)
		return -1;
	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, scheduler->looked);
	left = (int64) voxanne_rescan_interval * 1000 - (int64) INSTR_TIME_GET_MILLISEC(passed);
	return (long) Max(Min(left, LONGEST_SLEEP), 0);
}
