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
static void set_error(char *error, const char *text);
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
		generation = ++slot->generation;
		if (slot->latch != NULL)
			SetLatch(slot->latch);
	}
	voxanne_slots->woken = true;
	if (voxanne_slots->scheduler_latch != NULL)
		SetLatch(voxanne_slots->scheduler_latch);
	LWLockRelease(&voxanne_slots->lock);
	return generation;
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
 * The caller is the slot's verifier, holds the lock exclusively and wakes the
 * scheduler afterwards.
 */
void
voxanne_slot_tell(VoxSlot *slot, TimestampTz due, bool ping)
{
	slot->tell_due = due;
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
		set_error(slot->ping_error, problem == NULL ? "" : problem);
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
	status->phase = "unknown";
	status->next_due = DT_NOEND;

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

static void
copy_status(const VoxSlot *slot, VoxWorkerStatus *status)
{
	status->phase = voxanne_slot_activity(slot, GetCurrentTimestamp());
	status->end = voxanne_cycle_end_name(slot->end);
	status->failed = slot->end == VOX_CYCLE_FAILED;
	status->failures = slot->failures;
	status->last_start = slot->last_start;
	status->last_end = slot->last_end;
	status->next_due = slot->next_due;
	strlcpy(status->error, slot->error, sizeof(status->error));
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

/*
 * Does this slot need a verifier?  The caller holds the lock.
 */
bool
voxanne_slot_wanted(const VoxSlot *slot, TimestampTz now)
{
	return slot->used && slot->watched && slot->phase == VOX_SLOT_IDLE &&
		(slot->generation != slot->done || slot->next_due <= now);
}

/*
 * Note the end of a cycle that saw "generation".  "next_due" counts unless the
 * cycle failed, which has its own pause; "error" is for a failure only.  True
 * if the cycle before ended in another way.  The caller owns the slot, holds
 * the lock exclusively and broadcasts afterwards.
 */
bool
voxanne_slot_end(VoxSlot *slot, uint64 generation, VoxCycleEnd end,
				 TimestampTz next_due, const char *error, TimestampTz now)
{
	bool		differs = slot->end != end;

	slot->done = generation;
	slot->end = end;
	slot->cycles++;
	slot->last_end = GetCurrentTimestamp();
	slot->failures = end == VOX_CYCLE_FAILED ? slot->failures + 1 : 0;
	set_error(slot->error, end == VOX_CYCLE_FAILED ? error : "");
	if (end == VOX_CYCLE_FAILED)
		next_due = TimestampTzPlusMilliseconds(now, voxanne_backoff(slot->failures));

	/*
	 * whatever a plan says, there is a pause between two cycles that nobody
	 * asked for
	 */
	slot->next_due = Max(next_due, TimestampTzPlusMilliseconds(now, 1000));
	return differs;
}

/* Keep as much of a text as there is room for. */
static void
set_error(char *error, const char *text)
{
	int			length = pg_mbcliplen(text, strlen(text), VOX_ERROR_MAX - 1);

	memcpy(error, text, length);
	error[length] = '\0';
}

/*
 * Give the slot back to the scheduler, or free it if it is no longer watched.
 * The caller owns it and holds the lock exclusively.
 */
void
voxanne_slot_idle(VoxSlot *slot)
{
	slot->phase = VOX_SLOT_IDLE;
	slot->pid = 0;
	slot->latch = NULL;
	NameStr(slot->target)[0] = '\0';
	slot->done_mb = slot->total_mb = 0;
	if (!slot->watched && !slot->telling)
	{
		uint64		launch = slot->launch;
		uint64		tell_launch = slot->tell_launch;

		memset(slot, 0, sizeof(VoxSlot));
		slot->launch = launch;
		slot->tell_launch = tell_launch;
	}
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
 * A word for what happens to a slot, a constant: its phase, or between two
 * cycles whether something is told or about to be.
 */
const char *
voxanne_slot_activity(const VoxSlot *slot, TimestampTz now)
{
	Assert((int) slot->phase >= 0 && slot->phase < lengthof(phase_names));
	if (slot->phase == VOX_SLOT_IDLE && (slot->telling || voxanne_slot_tell_due(slot) <= now))
		return "alerting";
	return phase_names[slot->phase];
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
