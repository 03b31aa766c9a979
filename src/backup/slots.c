/*
 * src/backup/slots.c
 *		What the workers and the backends share: a slot per watched database.
 *
 * The lock protocol is at VoxSlots in slots.h.
 */
#include "postgres.h"

#include "backup/slots.h"
#include "commands/dbcommands.h"
#include "core/compat.h"
#include "core/shared.h"
#include "mb/pg_wchar.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

VoxSlots   *voxanne_slots = NULL;

static const char *const phase_names[] = {
	[VOX_SLOT_IDLE] = "idle",
	[VOX_SLOT_STARTING] = "starting",
	[VOX_SLOT_PLANNING] = "planning",
	[VOX_SLOT_RUNNING] = "running",
	[VOX_SLOT_RECORDING] = "recording",
};

static const char *const end_names[] = {
	[VOX_CYCLE_NONE] = NULL,
	[VOX_CYCLE_RECORDED] = "recorded",
	[VOX_CYCLE_NOTHING_DUE] = "nothing due",
	[VOX_CYCLE_NO_DATABASE] = "no such database",
	[VOX_CYCLE_NOT_CONNECTABLE] = "database allows no connections",
	[VOX_CYCLE_NO_EXTENSION] = "extension not installed",
	[VOX_CYCLE_FAILED] = "failed",
};

static void init_slots(void *area);
static void copy_status(const VoxSlot *slot, VoxWorkerStatus *status);
static bool watched_by_name(const char *database);

/*
 * Ask for the shared memory; called once, when the library is loaded.
 */
void
voxanne_slots_define(void)
{
	voxanne_share("voxanne_ops backup workers", sizeof(VoxSlots), init_slots,
				  (void **) &voxanne_slots);
}

static void
init_slots(void *area)
{
	VoxSlots   *slots = area;
	int			tranche;

	voxanne_new_tranche(tranche, "voxanne_ops backup workers");
	LWLockInitialize(&slots->lock, tranche);
	ConditionVariableInit(&slots->changed);
}

/*
 * Have the scheduler look at a database anew, at once: what is due there, or
 * whether there is such a database and the extension in it.  What the caller
 * changed must be committed, or the new look may not see it.  Without preload
 * it does nothing.
 */
void
voxanne_slots_wake(Oid database)
{
	(void) voxanne_slots_ask(database);
}

/*
 * The same; returns the generation that a cycle must have seen to count, or 0
 * if no slot is known to be that of this database (yet).
 */
uint64
voxanne_slots_ask(Oid database)
{
	uint64		generation = 0;
	VoxSlot    *slot;

	if (voxanne_slots == NULL)
		return 0;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	slot = voxanne_slot_of(database);
	if (slot != NULL)
	{
		voxanne_slot_raise(slot);
		generation = slot->generation;
		for (int i = 0; i < VOX_LANE_COUNT; i++)
			if (slot->lanes[i].latch != NULL)
				SetLatch(slot->lanes[i].latch);
	}
	voxanne_slots->woken = true;
	if (voxanne_slots->scheduler_latch != NULL)
		SetLatch(voxanne_slots->scheduler_latch);
	LWLockRelease(&voxanne_slots->lock);
	return generation;
}

/*
 * Have both lanes look anew.  No generation is given twice, so one that somebody
 * awaits is past when the slot has been freed and taken again.  The caller holds
 * the lock exclusively.
 */
void
voxanne_slot_raise(VoxSlot *slot)
{
	slot->generation = ++voxanne_slots->generation;
}

/*
 * Set the scheduler's latch, if there is a scheduler.
 */
void
voxanne_wake_scheduler(void)
{
	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	if (voxanne_slots->scheduler_latch != NULL)
		SetLatch(voxanne_slots->scheduler_latch);
	LWLockRelease(&voxanne_slots->lock);
}

/*
 * Note when there is next something to tell, and whether a heartbeat is wanted.
 * Of two verifiers the one whose transaction was first may be here last, so only
 * the messenger, which looks for itself, makes it later.  The caller is a
 * verifier of the slot's, holds the lock exclusively and wakes the scheduler
 * afterwards.
 */
void
voxanne_slot_tell(VoxSlot *slot, TimestampTz due, bool ping)
{
	slot->tell_due = Min(slot->tell_due, due);
	slot->tell_generation++;
	slot->ping |= ping;
}

/* When a messenger is wanted; DT_NOEND while there is one.  The caller holds the lock. */
TimestampTz
voxanne_slot_tell_due(const VoxSlot *slot)
{
	if (!slot->used || !slot->watched || slot->telling || !OidIsValid(slot->database))
		return DT_NOEND;
	return slot->ping ? DT_NOBEGIN : slot->tell_due;
}

/*
 * Note that a heartbeat was sent for a database: "problem" is why it did not
 * arrive, or NULL.  Nothing is noted without preload or of a database that is
 * not watched.
 */
void
voxanne_slots_pinged(Oid database, const char *problem)
{
	VoxSlot    *slot;

	if (voxanne_slots == NULL)
		return;
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	slot = voxanne_slot_of(database);
	if (slot != NULL)
	{
		slot->pinged = GetCurrentTimestamp();
		voxanne_slot_put_error(slot->ping_error, problem == NULL ? "" : problem);
	}
	LWLockRelease(&voxanne_slots->lock);
}

/*
 * State of the workers as far as they concern one database.  Needs a
 * transaction; false, with nothing in "status", without preload.
 */
bool
voxanne_worker_status(Oid database, VoxWorkerStatus *status)
{
	char	   *name = get_database_name(database);
	const VoxSlot *slot;

	if (voxanne_slots == NULL)
		return false;

	memset(status, 0, sizeof(VoxWorkerStatus));
	status->watched = name != NULL && watched_by_name(name);
	for (int i = 0; i < VOX_LANE_COUNT; i++)
		status->phases[i] = "unknown";

	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	status->scheduler_pid = voxanne_slots->scheduler_pid;
	slot = voxanne_slot_of(database);
	if (slot != NULL)
		copy_status(slot, status);
	LWLockRelease(&voxanne_slots->lock);

	strlcpy(status->error, voxanne_slot_error(status->error), VOX_ERROR_MAX);
	strlcpy(status->ping_error, voxanne_slot_error(status->ping_error), VOX_ERROR_MAX);
	return true;
}

/* A failure counts more than what the other lane has done since. */
static void
copy_status(const VoxSlot *slot, VoxWorkerStatus *status)
{
	const VoxLane *last = &slot->lanes[0];

	for (int i = 0; i < VOX_LANE_COUNT; i++)
	{
		const VoxLane *lane = &slot->lanes[i];
		bool		failed = lane->end == VOX_CYCLE_FAILED;

		status->phases[i] = voxanne_lane_activity(slot, i, GetCurrentTimestamp());
		if (failed != (last->end == VOX_CYCLE_FAILED) ? failed : lane->last_end > last->last_end)
			last = lane;
	}
	status->end = voxanne_cycle_end_name(last->end);
	status->failed = last->end == VOX_CYCLE_FAILED;
	status->failures = last->failures;
	status->last_end = last->last_end;
	strlcpy(status->error, last->error, sizeof(status->error));
	status->pinged = slot->pinged;
	strlcpy(status->ping_error, slot->ping_error, sizeof(status->ping_error));
}

static bool
watched_by_name(const char *database)
{
	List	   *names = voxanne_watched_names();
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), database) == 0)
		return true;
	return false;
}

/*
 * Names in voxanne_ops.databases, as this process knows it; palloc'd.
 */
List *
voxanne_watched_names(void)
{
	List	   *names = NIL;

	/* the setting's check hook let nothing malformed in */
	(void) SplitGUCList(pstrdup(voxanne_databases), ',', &names);
	return names;
}

/*
 * The slot of a watched database, or NULL.  The caller holds the lock.
 */
VoxSlot *
voxanne_slot_of(Oid database)
{
	for (int i = 0; i < VOX_SLOT_COUNT; i++)
	{
		VoxSlot    *slot = &voxanne_slots->slots[i];

		if (slot->used && slot->watched && OidIsValid(database) && slot->database == database)
			return slot;
	}
	return NULL;
}

/* Keep as much of a text as there is room for. */
void
voxanne_slot_put_error(char *error, const char *text)
{
	int			length = pg_mbcliplen(text, strlen(text), VOX_ERROR_MAX - 1);

	memcpy(error, text, length);
	error[length] = '\0';
}

/*
 * A slot's error as a text of this database, palloc'd: it may have been written
 * in the encoding of another.
 */
char *
voxanne_slot_error(const char *error)
{
	char	   *text = pstrdup(error);

	if (!pg_verifymbstr(text, strlen(text), true))
		for (char *c = text; *c != '\0'; c++)
			if (IS_HIGHBIT_SET(*c))
				*c = '?';
	return text;
}

/*
 * A word for what happens in a lane, a constant: its phase, or in that of level
 * status between two cycles whether something is told or about to be.
 */
const char *
voxanne_lane_activity(const VoxSlot *slot, VoxLaneId lane, TimestampTz now)
{
	VoxSlotPhase phase = slot->lanes[lane].phase;

	Assert((int) phase >= 0 && phase < lengthof(phase_names));
	if (lane == VOX_LANE_STATUS && phase == VOX_SLOT_IDLE &&
		(slot->telling || voxanne_slot_tell_due(slot) <= now))
		return "alerting";
	return phase_names[phase];
}

/*
 * Words for the end of a cycle, a constant; NULL for VOX_CYCLE_NONE.
 */
const char *
voxanne_cycle_end_name(VoxCycleEnd end)
{
	Assert((int) end >= 0 && end < lengthof(end_names));
	return end_names[end];
}

/*
 * Milliseconds to wait after this many (> 0) failures in a row.
 */
int
voxanne_backoff(int failures)
{
	int			backoff = VOX_BACKOFF_MIN;

	for (int i = 1; i < failures && backoff < VOX_BACKOFF_MAX; i++)
		backoff *= 2;
	return Min(backoff, VOX_BACKOFF_MAX);
}
