/*
 * src/backup/lane.c
 *		The two verifiers that a database may have at once.
 *
 * A verification at level verify may take hours, one at level status takes
 * seconds and is what says that a backup is too old.  So that the one never
 * waits for the other a database has a lane for each level, with a verifier of
 * its own; within a lane targets follow each other.  A lane's life:
 *
 *		idle -> starting		the scheduler: it is wanted, see
 *								voxanne_lane_wanted()
 *		starting -> planning	the verifier that has come
 *		starting -> idle		the scheduler: none came
 *		planning -> running		the verifier, for each target ...
 *		running -> recording	... and when it has a result
 *		recording -> running
 *		any -> idle				the verifier, however it ends
 *
 * One target is still verified by one process at a time: whoever does so holds
 * its turn (turn.c).  A lane that finds something due whose turn the other lane
 * has does not wait: it does the rest, and its cycle ends "held", with nothing
 * to wake it but a new generation or the other lane, which on giving back the
 * turn makes it due.  If that happens before the cycle's end the number of
 * turns given back says so.  A cycle that was held has not "done" its
 * generation, so that whoever awaits that goes on waiting.
 *
 * What is due at both levels is left to the lane verify, which does what status
 * does, as long as that comes to it soon: not if it has been at work for
 * VOX_TURN_PAUSE, nor if its last cycle failed.
 *
 * All of this is under the lock of the slots, but for the turn itself.
 */
#include "postgres.h"

#include "backup/lane.h"
#include "backup/slots.h"
#include "backup/target.h"
#include "backup/turn.h"
#include "backup/worker.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* VoxCycle.other_cycles: the other lane was at work when the phase began. */
#define NOT_IDLE PG_UINT64_MAX

static void give_back(VoxSlot *slot, VoxLaneId id);
static void advise(VoxSlot *slot, VoxLaneId id, uint64 generation, VoxCycleEnd end,
				   TimestampTz next_due, bool held, TimestampTz now);
static TimestampTz after_pause(TimestampTz due, TimestampTz now);

const char *
voxanne_lane_level(VoxLaneId id)
{
	return id == VOX_LANE_VERIFY ? VOX_LEVEL_VERIFY : VOX_LEVEL_STATUS;
}

VoxLaneId
voxanne_other_lane_id(VoxLaneId id)
{
	return id == VOX_LANE_VERIFY ? VOX_LANE_STATUS : VOX_LANE_VERIFY;
}

VoxLane *
voxanne_other_lane(VoxSlot *slot, VoxLaneId id)
{
	return &slot->lanes[voxanne_other_lane_id(id)];
}

/* Does this lane need a verifier?  The caller holds the lock. */
bool
voxanne_lane_wanted(const VoxSlot *slot, VoxLaneId id, TimestampTz now)
{
	const VoxLane *lane = &slot->lanes[id];

	return slot->used && slot->watched && lane->phase == VOX_SLOT_IDLE &&
		(slot->generation != lane->seen || lane->next_due <= now);
}

/*
 * Take the turn of a target, without waiting; if it is ours, then until
 * voxanne_lane_leave() or the end of the process.  Which of the two lanes comes
 * first is decided under the lock; after that only a session can be in the way.
 * The caller owns the lane.
 */
VoxTurn
voxanne_lane_take(VoxSlot *slot, VoxLaneId id, Oid database, const char *target, TimestampTz now)
{
	VoxLane    *lane = &slot->lanes[id];
	uint64		turn = voxanne_turn(target);
	bool		other;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	other = voxanne_other_lane(slot, id)->turn == turn;
	if (!other)
		lane->turn = turn;
	if (!other && lane->busy_since == 0)
		lane->busy_since = now;
	LWLockRelease(&voxanne_slots->lock);

	if (other)
		return VOX_TURN_OTHER_LANE;
	if (voxanne_turn_try(database, target))
		return VOX_TURN_OURS;
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	give_back(slot, id);
	LWLockRelease(&voxanne_slots->lock);
	return VOX_TURN_SESSION;
}

/* Give it back.  The caller wakes the scheduler. */
void
voxanne_lane_leave(VoxSlot *slot, VoxLaneId id, Oid database, const char *target)
{
	voxanne_turn_end(database, target);
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	give_back(slot, id);
	LWLockRelease(&voxanne_slots->lock);
}

/* The lane has no turn any more: what the other one was held by is over. */
static void
give_back(VoxSlot *slot, VoxLaneId id)
{
	VoxLane    *lane = &slot->lanes[id];
	VoxLane    *other = voxanne_other_lane(slot, id);

	if (lane->turn == 0)
		return;
	lane->turn = 0;
	lane->turns++;
	if (other->held)
		other->next_due = voxanne_worker_now();
	other->held = false;
}

/*
 * Note the end of a cycle.  "next_due" counts unless the cycle failed, which
 * has its own pause; "error" is for a failure only.  True if neither lane's
 * cycle before ended in this way.  The caller owns the lane, holds the lock
 * exclusively and broadcasts afterwards.
 */
bool
voxanne_lane_end(VoxSlot *slot, VoxLaneId id, const VoxCycle *cycle, VoxCycleEnd end,
				 TimestampTz next_due, const char *error, TimestampTz now)
{
	VoxLane    *lane = &slot->lanes[id];
	VoxLane    *other = voxanne_other_lane(slot, id);
	bool		looked = end == VOX_CYCLE_RECORDED || end == VOX_CYCLE_NOTHING_DUE;
	bool		more = looked && cycle->more;
	bool		held = looked && cycle->held;
	bool		differs = lane->end != end && other->end != end;

	if (!more)
		lane->seen = cycle->generation;
	if (!more && !held)
		lane->done = cycle->generation;
	if (!more)
		lane->busy_since = 0;
	lane->held = held && other->turns == cycle->turns;
	if (more || (held && !lane->held))
		next_due = now;
	lane->end = end;
	lane->cycles++;
	lane->last_end = GetCurrentTimestamp();
	lane->failures = end == VOX_CYCLE_FAILED ? lane->failures + 1 : 0;
	voxanne_slot_put_error(lane->error, end == VOX_CYCLE_FAILED ? error : "");
	if (end == VOX_CYCLE_FAILED)
		next_due = TimestampTzPlusMilliseconds(now, voxanne_backoff(lane->failures));
	lane->next_due = after_pause(next_due, now);
	return differs;
}

/* Whatever a plan says, there is a pause between two cycles that nobody asked for. */
static TimestampTz
after_pause(TimestampTz due, TimestampTz now)
{
	return Max(due, TimestampTzPlusMilliseconds(now, 1000));
}

/*
 * Before a phase looks into the database: note in the cycle whether what it
 * finds is the latest that the other lane can know.
 */
void
voxanne_lane_watch_other(VoxSlot *slot, VoxLaneId id, VoxCycle *cycle)
{
	const VoxLane *other = voxanne_other_lane(slot, id);

	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	cycle->other_cycles = other->phase == VOX_SLOT_IDLE ? other->cycles : NOT_IDLE;
	LWLockRelease(&voxanne_slots->lock);
}

/*
 * And if it is, since no cycle of the other lane has ended: tell it when it has
 * something to do, and whether it is held.  If there is nothing now it need not
 * look for itself.  After a failure it is to find out for itself that it is over.
 */
void
voxanne_lane_advise_other(VoxSlot *slot, VoxLaneId id, const VoxCycle *cycle, VoxCycleEnd end,
						  TimestampTz next_due, bool held, TimestampTz now)
{
	VoxLane    *other = voxanne_other_lane(slot, id);

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	if (other->phase == VOX_SLOT_IDLE && other->cycles == cycle->other_cycles && other->end != VOX_CYCLE_FAILED)
		advise(slot, voxanne_other_lane_id(id), cycle->generation, end, next_due, held, now);
	LWLockRelease(&voxanne_slots->lock);
	ConditionVariableBroadcast(&voxanne_slots->changed);
}

/* This lane, which is idle, knows now of that generation. */
static void
advise(VoxSlot *slot, VoxLaneId id, uint64 generation, VoxCycleEnd end,
	   TimestampTz next_due, bool held, TimestampTz now)
{
	VoxLane    *lane = &slot->lanes[id];
	VoxCycle	cycle = {0};

	cycle.generation = generation;
	cycle.held = held;
	cycle.turns = voxanne_other_lane(slot, id)->turns;
	if (next_due > now && lane->seen != generation && slot->generation == generation)
		(void) voxanne_lane_end(slot, id, &cycle, end, next_due, NULL, now);
	else if (next_due > now)
	{
		lane->busy_since = 0;
		if (!held)
			lane->done = lane->seen;
	}
	lane->held = held;
	if (next_due > now || lane->next_due > now)
		lane->next_due = after_pause(next_due, now);
}

/*
 * Give the lane back to the scheduler, and free the slot if it is no longer
 * watched.  The caller owns the lane and holds the lock exclusively.
 */
void
voxanne_lane_idle(VoxSlot *slot, VoxLaneId id)
{
	VoxLane    *lane = &slot->lanes[id];

	give_back(slot, id);
	lane->phase = VOX_SLOT_IDLE;
	lane->pid = 0;
	lane->latch = NULL;
	NameStr(lane->target)[0] = '\0';
	lane->done_mb = lane->total_mb = 0;
	voxanne_slot_free(slot);
}

/* Is no verifier there, nor asked for?  The caller holds the lock. */
bool
voxanne_slot_idle(const VoxSlot *slot)
{
	return slot->lanes[VOX_LANE_STATUS].phase == VOX_SLOT_IDLE &&
		slot->lanes[VOX_LANE_VERIFY].phase == VOX_SLOT_IDLE;
}

/*
 * Free the slot if it is no longer watched and nobody is at work for it.  What
 * tells late orders from others stays.  The caller holds the lock exclusively.
 */
void
voxanne_slot_free(VoxSlot *slot)
{
	VoxSlot		fresh = {0};

	if (slot->watched || slot->telling || !voxanne_slot_idle(slot))
		return;
	for (int i = 0; i < VOX_LANE_COUNT; i++)
		fresh.lanes[i].launch = slot->lanes[i].launch;
	fresh.tell_launch = slot->tell_launch;
	*slot = fresh;
}

/* Does the other lane of our database verify the target now? */
bool
voxanne_lane_other_has(VoxLaneId id, const char *target)
{
	VoxSlot    *slot;
	bool		has;

	if (voxanne_slots == NULL)
		return false;
	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	slot = voxanne_slot_of(MyDatabaseId);
	has = slot != NULL && voxanne_other_lane(slot, id)->turn == voxanne_turn(target);
	LWLockRelease(&voxanne_slots->lock);
	return has;
}

/* Does what is due at level verify in our database come to its turn soon? */
bool
voxanne_lane_verifies_soon(TimestampTz now)
{
	bool		soon = false;
	const VoxSlot *slot;

	if (voxanne_slots == NULL)
		return false;
	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	slot = voxanne_slot_of(MyDatabaseId);
	if (slot != NULL)
	{
		const VoxLane *lane = &slot->lanes[VOX_LANE_VERIFY];

		soon = lane->end != VOX_CYCLE_FAILED &&
			(lane->busy_since == 0 || now - lane->busy_since < VOX_TURN_PAUSE);
	}
	LWLockRelease(&voxanne_slots->lock);
	return soon;
}
