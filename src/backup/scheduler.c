/*
 * src/backup/scheduler.c
 *		The one worker that is always there and decides when to verify.
 *
 * It must not be in anybody's way: a process that is connected to a database
 * keeps that database from being dropped, renamed or used as a template, and
 * one that holds a snapshot keeps VACUUM from removing rows.  So it connects to
 * no database, as the launchers of autovacuum and logical replication do,
 * learns from pg_database which of the watched ones there are, and starts
 * verifiers for those that need one (lane.c).  In between it sleeps until the next time
 * that something is due, a change wakes it, or the interval has passed after
 * which it looks for changes that nothing told it of.
 */
#include "postgres.h"

#include "backup/launch.h"
#include "backup/scheduler.h"
#include "backup/slots.h"
#include "backup/watch.h"
#include "backup/worker.h"
#include "core/compat.h"
#include "core/settings.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Longest sleep, in milliseconds; it only bounds the arithmetic. */
#define LONGEST_SLEEP (24 * 3600 * 1000L)

typedef struct Scheduler
{
	MemoryContext context;		/* of one tick */
	bool		stale;			/* the slots may not match setting and
								 * pg_database */
	instr_time	looked;			/* when all databases were last looked at */
	int			failures;		/* ticks in a row that failed */
	VoxLauncher launcher;
} Scheduler;

static void attach(void);
static void detach(int code, Datum argument);
static long tick_safely(Scheduler *scheduler);
static long tick(Scheduler *scheduler);
static bool take_wake(Scheduler *scheduler);
static void look_again(Scheduler *scheduler);
static bool any_wanted(TimestampTz now);
static TimestampTz next_verification(const Scheduler *scheduler, TimestampTz now, bool *woken);
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

			for (int lane = 0; lane < VOX_LANE_COUNT; lane++)
				if (slot->lanes[lane].phase == VOX_SLOT_STARTING)
				{
					slot->lanes[lane].launch++;
					voxanne_lane_idle(slot, lane);
				}
			if (slot->telling && slot->messenger_pid == 0)
			{
				slot->tell_launch++;
				slot->telling = false;
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

/*
 * See to it that every slot has what it needs; pg_database is read only when
 * there is a reason.  To read it may mean to wait, for a lock or, since
 * PostgreSQL 18, for a process that reads the page; which takes a signal that
 * was meant for our sleep for its own.  So all that a signal may be about is
 * looked at afterwards.
 */
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
	if (scheduler->stale || (any_wanted(now) && now >= scheduler->launcher.hold_until))
	{
		pgstat_report_activity(STATE_RUNNING, "look for databases to watch");
		scheduler->stale = !voxanne_watch_databases();
	}
	voxanne_launcher_reap(&scheduler->launcher);
	voxanne_launcher_start(&scheduler->launcher, now);
	voxanne_launcher_tell(&scheduler->launcher, now);
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
		scheduler->launcher.hold_until = 0;
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
			voxanne_slot_raise(&voxanne_slots->slots[i]);
	LWLockRelease(&voxanne_slots->lock);
}

static bool
any_wanted(TimestampTz now)
{
	bool		wanted = false;

	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	for (int i = 0; i < VOX_SLOT_COUNT && !wanted; i++)
		for (int lane = 0; lane < VOX_LANE_COUNT; lane++)
			wanted |= voxanne_lane_wanted(&voxanne_slots->slots[i], lane, now);
	LWLockRelease(&voxanne_slots->lock);
	return wanted;
}

/*
 * Milliseconds until something is due, -1 if only a wake-up can make it so.
 * Whoever is before others sets our latch when it no longer is.
 */
static long
sleep_time(const Scheduler *scheduler, TimestampTz now)
{
	long		shortest = floor_time(scheduler);
	bool		woken;
	TimestampTz next = next_verification(scheduler, now, &woken);

	if (woken || ConfigReloadPending)
		return 0;
	next = Max(next, scheduler->launcher.hold_until);
	next = Min(next, voxanne_launcher_tell_due(&scheduler->launcher));
	if (next != DT_NOEND)
	{
		long		due = TimestampDifferenceMilliseconds(now, next);

		due = Min(due, LONGEST_SLEEP);
		shortest = shortest < 0 ? due : Min(shortest, due);
	}
	return shortest;
}

/*
 * When to start a verifier; DT_NOEND: not before something changes, which it
 * will if one is before those that are due.  And whether somebody has asked for
 * a tick.
 */
static TimestampTz
next_verification(const Scheduler *scheduler, TimestampTz now, bool *woken)
{
	TimestampTz next = DT_NOEND;
	bool		busy = false;

	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	*woken = voxanne_slots->woken;
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
		for (int id = 0; id < VOX_LANE_COUNT; id++)
		{
			const VoxSlot *slot = &voxanne_slots->slots[i];
			const VoxLane *lane = &slot->lanes[id];

			busy |= voxanne_launcher_busy(&scheduler->launcher, i, id);
			if (voxanne_lane_wanted(slot, id, now))
				next = now;
			else if (slot->used && slot->watched && lane->phase == VOX_SLOT_IDLE)
				next = Min(next, lane->next_due);
		}
	LWLockRelease(&voxanne_slots->lock);
	return next <= now && busy ? DT_NOEND : next;
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
