/*
 * src/backup/verifier.c
 *		The worker that sees one lane of a database through one cycle.
 *
 * plan, then run and record for each target: plan and record in processes of
 * their own (phase.c), run here, connected to no database, so that nothing in
 * the database waits for a verification to end.  What the lanes have to do with
 * each other is in lane.c.
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
	VoxLaneId	id;
	VoxLane    *lane;			/* of the slot */
	Oid			database;
	NameData	name;
	VoxCycle	cycle;
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
static bool verify(const char *part, const char *target, VoxPhaseReply *reply);
static VoxPhaseProcess *start(VoxPhase phase);
static void learn(const VoxCycleDue *due);
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

/* Started by the scheduler for one lane; ends after one cycle. */
void
voxanne_verifier_main(Datum argument)
{
	voxanne_worker_serve(&job);
}

/* Take the lane over from the scheduler; false if it wants this verifier no more. */
static bool
attach(void)
{
	VoxVerifierOrder order;
	VoxSlot    *slot;
	VoxLane    *lane;
	bool		wanted;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	slot = &voxanne_slots->slots[order.slot];
	lane = &slot->lanes[order.lane];

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	wanted = lane->phase == VOX_SLOT_STARTING && lane->launch == order.launch;
	if (wanted)
	{
		lane->phase = VOX_SLOT_PLANNING;
		lane->pid = MyProcPid;
		lane->latch = MyLatch;
		lane->last_start = GetCurrentTimestamp();
		lane->held = false;
		verifier.slot = slot;
		verifier.id = order.lane;
		verifier.lane = lane;
		verifier.database = slot->database;
		verifier.name = slot->name;
		verifier.cycle.generation = slot->generation;
		verifier.cycle.turns = voxanne_other_lane(slot, order.lane)->turns;
	}
	LWLockRelease(&voxanne_slots->lock);
	if (wanted)
		before_shmem_exit(detach, 0);
	return wanted;
}

/* Give the lane back, whatever the reason that we end. */
static void
detach(int code, Datum argument)
{
	fail("the verifier was terminated");
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	voxanne_lane_idle(verifier.slot, verifier.id);
	LWLockRelease(&voxanne_slots->lock);
	ConditionVariableBroadcast(&voxanne_slots->changed);
	voxanne_wake_scheduler();
}

/* Publish what we do now.  The scheduler may wait for another verifier's planning to end. */
static void
enter(VoxSlotPhase phase, const char *target)
{
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	verifier.lane->phase = phase;
	strlcpy(NameStr(verifier.lane->target), target == NULL ? "" : target, NAMEDATALEN);
	verifier.lane->done_mb = verifier.lane->total_mb = 0;
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
	verifier.lane->done_mb = done;
	verifier.lane->total_mb = total;
	LWLockRelease(&voxanne_slots->lock);
}

/* Publish how the cycle ended. */
static void
end_cycle(VoxCycleEnd end, TimestampTz next_due, const char *error)
{
	bool		differs;

	verifier.ended = true;
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	differs = voxanne_lane_end(verifier.slot, verifier.id, &verifier.cycle, end, next_due, error,
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
 * What takes an hour is done once in a cycle, as the plan of what is left would
 * be of an hour ago.  What a session verifies is left to that, whose commit asks
 * for another cycle.
 */
static void
cycle(void)
{
	VoxPhaseReply reply;
	char	   *plan_text = plan(&reply);
	bool		recorded = false;
	bool		left = false;
	ListCell   *lc;

	if (plan_text == NULL)
		return;
	foreach(lc, voxanne_cycle_parts(plan_text))
	{
		char	   *target = voxanne_cycle_target(lfirst(lc));
		VoxTurn		turn;

		if (recorded && verifier.id == VOX_LANE_VERIFY)
		{
			verifier.cycle.more = true;
			break;
		}
		turn = voxanne_lane_take(verifier.slot, verifier.id, verifier.database, target, voxanne_worker_now());
		left |= turn == VOX_TURN_SESSION;
		verifier.cycle.held |= turn == VOX_TURN_OTHER_LANE;
		if (turn != VOX_TURN_OURS)
			continue;
		if (!verify(lfirst(lc), target, &reply))
			return;
		recorded = true;
	}
	if (recorded)
		tell(&reply.due, reply.good);
	if (left)
		reply.due.verify[verifier.id] = Min(reply.due.verify[verifier.id], voxanne_worker_now() + VOX_TURN_PAUSE);
	end_cycle(recorded ? VOX_CYCLE_RECORDED : VOX_CYCLE_NOTHING_DUE, reply.due.verify[verifier.id], NULL);
}

/* What is due; NULL, with the cycle's end published, if there is nothing to run. */
static char *
plan(VoxPhaseReply *reply)
{
	VoxPhaseProcess *planner;

	voxanne_lane_watch_other(verifier.slot, verifier.id, &verifier.cycle);
	planner = start(VOX_PHASE_PLAN);
	if (planner == NULL)
	{
		fail("no background worker was free to read the plan");
		return NULL;
	}
	voxanne_phase_finish(planner, reply);
	switch (reply->end)
	{
		case VOX_PHASE_DONE:
			learn(&reply->due);
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
			end_cycle(VOX_CYCLE_NOTHING_DUE, reply->due.verify[verifier.id], NULL);
			break;
		case VOX_PHASE_NO_EXTENSION:
			voxanne_worker_fed();
			end_cycle(VOX_CYCLE_NO_EXTENSION, DT_NOEND, NULL);
			voxanne_lane_advise_other(verifier.slot, verifier.id, &verifier.cycle, VOX_CYCLE_NO_EXTENSION,
									  DT_NOEND, false, voxanne_worker_now());
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

/* Verify one target, whose turn is ours, and have that recorded; false, with the cycle's end published, if it was not. */
static bool
verify(const char *part, const char *target, VoxPhaseReply *reply)
{
	VoxPhaseProcess *recorder = start(VOX_PHASE_RECORD);
	char	   *results;

	if (recorder == NULL)
	{
		fail("no background worker was free to record the results");
		return false;
	}
	voxanne_worker_fed();
	enter(VOX_SLOT_RUNNING, target);
	voxanne_agent_heard = note_progress;
	results = voxanne_cycle_run(part);
	voxanne_agent_heard = NULL;
	enter(VOX_SLOT_RECORDING, NULL);
	if (!record(recorder, part, results, reply))
		return false;
	learn(&reply->due);
	voxanne_lane_leave(verifier.slot, verifier.id, verifier.database, target);
	voxanne_wake_scheduler();
	return true;
}

/* What a phase has found out concerns also the other lane and the messenger. */
static void
learn(const VoxCycleDue *due)
{
	VoxLaneId	other = voxanne_other_lane_id(verifier.id);

	verifier.cycle.held |= due->held[verifier.id];
	voxanne_lane_advise_other(verifier.slot, verifier.id, &verifier.cycle, VOX_CYCLE_NOTHING_DUE,
							  due->verify[other], due->held[other], voxanne_worker_now());
	tell(due, false);
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
	return voxanne_phase_start(phase, verifier.id, verifier.database, NameStr(verifier.name));
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
			voxanne_lane_watch_other(verifier.slot, verifier.id, &verifier.cycle);
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
