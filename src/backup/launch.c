/*
 * src/backup/launch.c
 *		Starting verifiers and messengers for those that need one, and missing those that never came.
 *
 * A verifier needs a second process for its plan, and if all were started
 * together they could take each other's: so it is one at a time until each has
 * its plan.  Messengers are few: one at a time for all databases, which post to
 * the same endpoint.
 */
#include "postgres.h"

#include "backup/launch.h"
#include "backup/messenger.h"
#include "backup/verifier.h"
#include "backup/worker.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static void reap(BackgroundWorkerHandle **handle, VoxSlot *slot, VoxLaneId lane);
static bool choose(const VoxLauncher *launcher, TimestampTz now, VoxVerifierOrder *order, NameData *name);
static VoxSlot *longest_waiting(VoxLaneId lane, TimestampTz now);
static bool any_busy(const VoxLauncher *launcher);
static int	choose_to_tell(TimestampTz now, VoxMessengerOrder *order, NameData *name);
static void reap_messenger(VoxLauncher *launcher);

/* Forget verifiers and messengers that are gone. */
void
voxanne_launcher_reap(VoxLauncher *launcher)
{
	reap_messenger(launcher);
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
		for (int lane = 0; lane < VOX_LANE_COUNT; lane++)
			if (launcher->handles[i][lane] != NULL)
				reap(&launcher->handles[i][lane], &voxanne_slots->slots[i], lane);
}

/* A verifier that never came, as when fork() failed, is a cycle that failed. */
static void
reap(BackgroundWorkerHandle **handle, VoxSlot *slot, VoxLaneId lane)
{
	VoxCycle	cycle = {0};
	pid_t		pid;

	if (GetBackgroundWorkerPid(*handle, &pid) != BGWH_STOPPED)
		return;
	pfree(*handle);
	*handle = NULL;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	if (slot->lanes[lane].phase == VOX_SLOT_STARTING)
	{
		cycle.generation = slot->generation;
		voxanne_lane_end(slot, lane, &cycle, VOX_CYCLE_FAILED, DT_NOEND,
						 "the verifier could not be started", voxanne_worker_now());
		voxanne_lane_idle(slot, lane);
	}
	LWLockRelease(&voxanne_slots->lock);
	ConditionVariableBroadcast(&voxanne_slots->changed);
}

/* A messenger that never came, as when fork() failed, is no more. */
static void
reap_messenger(VoxLauncher *launcher)
{
	VoxSlot    *slot = &voxanne_slots->slots[launcher->messenger_slot];
	pid_t		pid;

	if (launcher->messenger == NULL || GetBackgroundWorkerPid(launcher->messenger, &pid) != BGWH_STOPPED)
		return;
	pfree(launcher->messenger);
	launcher->messenger = NULL;
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	if (slot->telling && slot->messenger_pid == 0)
	{
		slot->telling = false;
		launcher->messenger_hold = TimestampTzPlusMilliseconds(voxanne_worker_now(), VOX_BACKOFF_MIN);
	}
	LWLockRelease(&voxanne_slots->lock);
}

/*
 * Start a messenger for the slot that has had something to tell for longest, if
 * there is one and no messenger is at work.
 */
void
voxanne_launcher_tell(VoxLauncher *launcher, TimestampTz now)
{
	BackgroundWorker worker;
	VoxMessengerOrder order;
	NameData	name;
	MemoryContext old;
	int			index;

	if (now < launcher->messenger_hold || launcher->messenger != NULL)
		return;
	index = choose_to_tell(now, &order, &name);
	if (index < 0)
		return;

	voxanne_worker_describe(&worker, VOX_MESSENGER_TYPE, "voxanne_messenger_main");
	memcpy(worker.bgw_extra, &order, sizeof(order));
	old = MemoryContextSwitchTo(TopMemoryContext);
	launcher->messenger = voxanne_worker_start(&worker, NameStr(name));
	MemoryContextSwitchTo(old);
	launcher->messenger_slot = index;
	if (launcher->messenger != NULL)
		return;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	voxanne_slots->slots[index].telling = false;
	LWLockRelease(&voxanne_slots->lock);
	launcher->messenger_hold = TimestampTzPlusMilliseconds(now, VOX_BACKOFF_MIN);
}

/* When to start a messenger; DT_NOEND: not before something changes. */
TimestampTz
voxanne_launcher_tell_due(const VoxLauncher *launcher)
{
	TimestampTz due = DT_NOEND;
	bool		telling = launcher->messenger != NULL;

	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
	{
		telling |= voxanne_slots->slots[i].telling;
		due = Min(due, voxanne_slot_tell_due(&voxanne_slots->slots[i]));
	}
	LWLockRelease(&voxanne_slots->lock);
	return telling || due == DT_NOEND ? DT_NOEND : Max(due, launcher->messenger_hold);
}

/* Pick the slot and mark it; -1 if there is none or somebody is telling. */
static int
choose_to_tell(TimestampTz now, VoxMessengerOrder *order, NameData *name)
{
	TimestampTz first = DT_NOEND;
	int			chosen = -1;
	bool		telling = false;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
	{
		TimestampTz due = voxanne_slot_tell_due(&voxanne_slots->slots[i]);

		telling |= voxanne_slots->slots[i].telling;
		if (due > now || due >= first)
			continue;
		first = due;
		chosen = i;
	}
	if (telling)
		chosen = -1;
	if (chosen >= 0)
	{
		VoxSlot    *slot = &voxanne_slots->slots[chosen];

		slot->telling = true;
		order->slot = chosen;
		order->launch = ++slot->tell_launch;
		*name = slot->name;
	}
	LWLockRelease(&voxanne_slots->lock);
	return chosen;
}

/*
 * Start a verifier for the lane that has waited longest, if any is wanted and
 * none is before it.
 */
void
voxanne_launcher_start(VoxLauncher *launcher, TimestampTz now)
{
	BackgroundWorkerHandle **handle;
	BackgroundWorker worker;
	VoxVerifierOrder order;
	NameData	name;
	MemoryContext old;

	if (now < launcher->hold_until || !choose(launcher, now, &order, &name))
		return;

	voxanne_worker_describe(&worker, VOX_VERIFIER_TYPE, "voxanne_verifier_main");
	memcpy(worker.bgw_extra, &order, sizeof(order));
	handle = &launcher->handles[order.slot][order.lane];
	old = MemoryContextSwitchTo(TopMemoryContext);
	*handle = voxanne_worker_start(&worker, NameStr(name));
	MemoryContextSwitchTo(old);

	if (*handle != NULL)
	{
		launcher->starvations = 0;
		return;
	}
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	voxanne_lane_idle(&voxanne_slots->slots[order.slot], order.lane);
	LWLockRelease(&voxanne_slots->lock);
	launcher->hold_until =
		TimestampTzPlusMilliseconds(now, voxanne_backoff(++launcher->starvations));
}

/*
 * Is a verifier of this lane one that others have to wait for: does it not have
 * its plan yet, or is it leaving and has not given its process back?  The caller
 * holds the lock.
 */
bool
voxanne_launcher_busy(const VoxLauncher *launcher, int slot, VoxLaneId lane)
{
	VoxSlotPhase phase = voxanne_slots->slots[slot].lanes[lane].phase;

	return phase == VOX_SLOT_STARTING || phase == VOX_SLOT_PLANNING ||
		(phase == VOX_SLOT_IDLE && launcher->handles[slot][lane] != NULL);
}

static bool
any_busy(const VoxLauncher *launcher)
{
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
		for (int lane = 0; lane < VOX_LANE_COUNT; lane++)
			if (voxanne_launcher_busy(launcher, i, lane))
				return true;
	return false;
}

/*
 * Pick the lane that has waited longest and mark it as starting; false if there
 * is none or one is before it.  Level status comes first, as its plan may show
 * that the other one of the database has nothing to do; but not twice.
 */
static bool
choose(const VoxLauncher *launcher, TimestampTz now, VoxVerifierOrder *order, NameData *name)
{
	VoxSlot    *slot = NULL;

	order->lane = VOX_LANE_STATUS;
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	if (!any_busy(launcher))
		slot = longest_waiting(VOX_LANE_STATUS, now);
	if (slot == NULL && !any_busy(launcher))
	{
		order->lane = VOX_LANE_VERIFY;
		slot = longest_waiting(VOX_LANE_VERIFY, now);
	}
	if (slot != NULL)
	{
		slot->lanes[order->lane].phase = VOX_SLOT_STARTING;
		order->slot = slot - voxanne_slots->slots;
		order->launch = ++slot->lanes[order->lane].launch;
		*name = slot->name;
	}
	LWLockRelease(&voxanne_slots->lock);
	return slot != NULL;
}

/* The slot whose lane of this level has waited longest; NULL: none is wanted.  The caller holds the lock. */
static VoxSlot *
longest_waiting(VoxLaneId lane, TimestampTz now)
{
	VoxSlot    *chosen = NULL;

	for (int i = 0; i < VOX_SLOT_COUNT; i++)
	{
		VoxSlot    *slot = &voxanne_slots->slots[i];

		if (lane == VOX_LANE_STATUS && voxanne_lane_wanted(slot, VOX_LANE_VERIFY, now) &&
			slot->lanes[VOX_LANE_STATUS].last_start > slot->lanes[VOX_LANE_VERIFY].last_end)
			continue;
		if (voxanne_lane_wanted(slot, lane, now) && OidIsValid(slot->database) &&
			(chosen == NULL || slot->lanes[lane].last_end < chosen->lanes[lane].last_end))
			chosen = slot;
	}
	return chosen;
}
