/*
 * src/backup/verifier.c
 *		The worker that sees one database through one cycle.
 *
 * plan, then run and record for each target: plan and record in processes of
 * their own (phase.c), run here, connected to no database, so that nothing in
 * the database waits for a verification to end.
 */
#include "postgres.h"

#include "backup/cycle.h"
#include "backup/phase.h"
#include "backup/session_progress.h"
#include "backup/slots.h"
#include "backup/turn.h"
#include "backup/verifier.h"
#include "backup/worker.h"
#include "child/child.h"
#include "core/compat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Results are given up when they could not be recorded so often; with the pauses between, about 20 minutes. */
#define RECORD_ATTEMPTS 10

typedef struct Verifier
{
	VoxSlot    *slot;
	Oid			database;
	NameData	name;
	uint64		generation;		/* of the slot when the cycle began */
	uint64		done;			/* the slot's when the cycle began */
	bool		ended;			/* the end of the cycle is published */
} Verifier;

static Verifier verifier;

static bool attach(void);
static void detach(int code, Datum argument);
static void enter(VoxSlotPhase phase, const char *target);
static void note_progress(const char *errors);
static void end_cycle(VoxCycleEnd end, TimestampTz next_due, const char *error);
static void fail(const char *error);
static void cycle(void);
static char *plan(VoxPhaseReply *reply);
static bool verify(const char *part, VoxPhaseReply *reply);
static VoxPhaseProcess *start(VoxPhase phase);
static bool record(VoxPhaseProcess *recorder, const char *plan_text, const char *results,
				   VoxPhaseReply *reply);
static void tell(const VoxCycleDue *due, bool ping);
static void pause_for(int milliseconds);
static uint64 generation(void);

static const VoxWorkerJob job = {
	.subject = "verification of the backups",
	.activity = "verify backups",
	.database = &verifier.name,
	.attach = attach,
	.work = cycle,
	.failed = fail,
};

/*
 * Started by the scheduler for one slot; ends after one cycle.
 */
void
voxanne_verifier_main(Datum argument)
{
	voxanne_worker_serve(&job);
}

/* Take the slot over from the scheduler; false if it wants this verifier no more. */
static bool
attach(void)
{
	VoxVerifierOrder order;
	VoxSlot    *slot;
	bool		wanted;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	slot = &voxanne_slots->slots[order.slot];

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	wanted = slot->phase == VOX_SLOT_STARTING && slot->launch == order.launch;
	if (wanted)
	{
		slot->phase = VOX_SLOT_PLANNING;
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		slot->last_start = GetCurrentTimestamp();
		verifier.slot = slot;
		verifier.database = slot->database;
		verifier.name = slot->name;
		verifier.generation = slot->generation;
		verifier.done = slot->done;
	}
	LWLockRelease(&voxanne_slots->lock);
	if (wanted)
		before_shmem_exit(detach, 0);
	return wanted;
}

/* Give the slot back, whatever the reason that we end. */
static void
detach(int code, Datum argument)
{
	fail("the verifier was terminated");
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	voxanne_slot_idle(verifier.slot);
	LWLockRelease(&voxanne_slots->lock);
	ConditionVariableBroadcast(&voxanne_slots->changed);
	voxanne_wake_scheduler();
}

/* Publish what we do now.  The scheduler may wait for another verifier's planning to end. */
static void
enter(VoxSlotPhase phase, const char *target)
{
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	verifier.slot->phase = phase;
	strlcpy(NameStr(verifier.slot->target), target == NULL ? "" : target, NAMEDATALEN);
	verifier.slot->done_mb = verifier.slot->total_mb = 0;
	LWLockRelease(&voxanne_slots->lock);
	voxanne_wake_scheduler();
}

/* Publish how far the agent is. */
static void
note_progress(const char *errors)
{
	uint64		done;
	uint64		total;

	if (!voxanne_agent_progress(errors, &done, &total))
		return;
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	verifier.slot->done_mb = done;
	verifier.slot->total_mb = total;
	LWLockRelease(&voxanne_slots->lock);
}

/* Publish how the cycle ended. */
static void
end_cycle(VoxCycleEnd end, TimestampTz next_due, const char *error)
{
	bool		differs;

	verifier.ended = true;
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	differs = voxanne_slot_end(verifier.slot, verifier.generation, end, next_due, error,
							   voxanne_worker_now());
	LWLockRelease(&voxanne_slots->lock);
	ConditionVariableBroadcast(&voxanne_slots->changed);
	if (differs)
		voxanne_worker_report(NameStr(verifier.name), end);
}

/* A cycle that failed, unless its end was published before, for a reason that is in the log already. */
static void
fail(const char *error)
{
	if (!verifier.ended)
		end_cycle(VOX_CYCLE_FAILED, DT_NOEND, error);
}

/*
 * One cycle.  ERROR only for cancel, shutdown and what nobody foresaw.
 *
 * What takes an hour is done once in a cycle: what has become due meanwhile,
 * and takes seconds, goes before the next of that sort.  What a session
 * verifies is left to that, whose commit asks for another cycle.
 */
static void
cycle(void)
{
	VoxPhaseReply reply;
	char	   *plan_text = plan(&reply);
	bool		deep = false;
	bool		recorded = false;
	bool		left = false;
	ListCell   *lc;

	if (plan_text == NULL)
		return;
	foreach(lc, voxanne_cycle_parts(plan_text))
	{
		char	   *part = lfirst(lc);
		char	   *target = voxanne_cycle_target(part);

		if (deep && voxanne_cycle_is_deep(part))
		{
			verifier.generation = verifier.done;
			break;
		}
		if (!voxanne_turn_try(verifier.database, target))
		{
			left = true;
			continue;
		}
		deep |= voxanne_cycle_is_deep(part);
		if (!verify(part, &reply))
			return;
		voxanne_turn_end(verifier.database, target);
		recorded = true;
		tell(&reply.due, false);
	}
	if (recorded)
		tell(&reply.due, reply.good);
	if (left)
		reply.due.verify = Min(reply.due.verify, voxanne_worker_now() + VOX_TURN_PAUSE);
	end_cycle(recorded ? VOX_CYCLE_RECORDED : VOX_CYCLE_NOTHING_DUE, reply.due.verify, NULL);
}

/* What is due; NULL, with the cycle's end published, if there is nothing to run. */
static char *
plan(VoxPhaseReply *reply)
{
	VoxPhaseProcess *planner = start(VOX_PHASE_PLAN);

	if (planner == NULL)
	{
		fail("no background worker was free to read the plan");
		return NULL;
	}
	voxanne_phase_finish(planner, reply);
	switch (reply->end)
	{
		case VOX_PHASE_DONE:
			tell(&reply->due, false);
			if (reply->text !=NULL)
			{
				/*
				 * we have no database to take it from, and the texts are in
				 * its encoding
				 */
				SetDatabaseEncoding(reply->encoding);
				return reply->text;
			}
			voxanne_worker_fed();
			end_cycle(VOX_CYCLE_NOTHING_DUE, reply->due.verify, NULL);
			break;
		case VOX_PHASE_NO_EXTENSION:
			voxanne_worker_fed();
			end_cycle(VOX_CYCLE_NO_EXTENSION, DT_NOEND, NULL);
			break;
		case VOX_PHASE_ERROR:
			fail(reply->text);
			break;
		case VOX_PHASE_LOST:
			fail("the planner ended without an answer; see the server log");
			break;
	}
	return NULL;
}

/* Verify one target and have that recorded; false, with the cycle's end published, if it was not. */
static bool
verify(const char *part, VoxPhaseReply *reply)
{
	VoxPhaseProcess *recorder = start(VOX_PHASE_RECORD);
	char	   *results;

	if (recorder == NULL)
	{
		fail("no background worker was free to record the results");
		return false;
	}
	voxanne_worker_fed();

	enter(VOX_SLOT_RUNNING, voxanne_cycle_target(part));
	voxanne_agent_heard = note_progress;
	results = voxanne_cycle_run(part);
	voxanne_agent_heard = NULL;

	enter(VOX_SLOT_RECORDING, NULL);
	return record(recorder, part, results, reply);
}

/* Publish when there is something to tell.  A messenger tells it, while we go on. */
static void
tell(const VoxCycleDue *due, bool ping)
{
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	voxanne_slot_tell(verifier.slot, due->tell, ping);
	LWLockRelease(&voxanne_slots->lock);
	voxanne_wake_scheduler();
}

static VoxPhaseProcess *
start(VoxPhase phase)
{
	return voxanne_phase_start(phase, verifier.database, NameStr(verifier.name));
}

/*
 * Have the results recorded, however often that takes: they may be the work of
 * hours.  False, with the cycle's end published, if they were not.
 */
static bool
record(VoxPhaseProcess *recorder, const char *plan_text, const char *results,
	   VoxPhaseReply *reply)
{
	const char *error = "no background worker was free to record the results";

	for (int attempt = 1;; attempt++)
	{
		VoxCycleEnd gone = voxanne_worker_database_state(verifier.database);

		if (gone != VOX_CYCLE_NONE)
		{
			if (recorder != NULL)
				voxanne_phase_dismiss(recorder);
			end_cycle(gone, DT_NOEND, NULL);
			return false;
		}
		if (recorder != NULL)
		{
			voxanne_phase_request(recorder, plan_text, results);
			voxanne_phase_finish(recorder, reply);
			if (reply->end == VOX_PHASE_DONE)
				return true;
			if (reply->end == VOX_PHASE_NO_EXTENSION)
			{
				end_cycle(VOX_CYCLE_NO_EXTENSION, DT_NOEND, NULL);
				return false;
			}
			error = reply->end == VOX_PHASE_ERROR ? reply->text :
				"the recorder ended without an answer; see the server log";
		}
		if (attempt == RECORD_ATTEMPTS)
			break;
		pause_for(voxanne_backoff(attempt));
		recorder = start(VOX_PHASE_RECORD);
	}

	ereport(WARNING,
			(errmsg("the results of verifying backups could not be recorded"),
			 errdetail("They are given up after %d attempts, of which the last failed: %s",
					   RECORD_ATTEMPTS, error)));
	fail(error);
	return false;
}

/* Sleep, or until somebody wants this database looked at. */
static void
pause_for(int milliseconds)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
	uint32		wait_event = voxanne_new_wait_event("VoxanneVerifierRetry");
	uint64		before = generation();
	long		left;

	while ((left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until)) > 0 &&
		   generation() == before)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left, wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		voxanne_worker_reload();
	}
}

static uint64
generation(void)
{
	uint64		result;

	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	result = verifier.slot->generation;
	LWLockRelease(&voxanne_slots->lock);
	return result;
}
