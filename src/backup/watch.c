/*
 * src/backup/watch.c
 *		Which slot stands for which database.
 *
 * The setting has names, the slots need databases, and both may change: a look
 * at pg_database makes them agree again.  Only the scheduler looks.
 */
#include "postgres.h"

#include "backup/watch.h"
#include "backup/worker.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static bool watch_name(const char *name, List *databases);
static bool agree(VoxSlot *slot, VoxLaneId id, VoxCycleEnd end);
static VoxSlot *slot_named(const char *name);
static void unwatch_others(List *names);

/*
 * Make the slots agree with the setting and with pg_database.  False if a name
 * found no slot free; one will be when a verifier of a database that is no
 * longer listed ends, which sets the scheduler's latch.
 */
bool
voxanne_watch_databases(void)
{
	List	   *names = voxanne_watched_names();
	List	   *databases = names == NIL ? NIL : voxanne_worker_databases();
	bool		complete = true;
	ListCell   *lc;

	unwatch_others(names);
	foreach(lc, names)
		complete &= watch_name(lfirst(lc), databases);
	ConditionVariableBroadcast(&voxanne_slots->changed);
	return complete;
}

/*
 * One name of the setting: find or take its slot, and note which database it
 * now stands for.  Another one than before is a reason to look at it; one that
 * nobody can connect to is a cycle that ended.  False if no slot is free.
 */
static bool
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
	if (slot == NULL)
	{
		LWLockRelease(&voxanne_slots->lock);
		return false;
	}
	if (slot->database != oid)
	{
		slot->database = oid;
		voxanne_slot_raise(slot);
	}
	for (int i = 0; i < VOX_LANE_COUNT; i++)
		differs |= agree(slot, i, end);
	LWLockRelease(&voxanne_slots->lock);

	if (differs)
		voxanne_worker_report(name, end);
	return true;
}

/*
 * End a cycle for an idle lane if nobody can connect to the database, or have it
 * looked at now that somebody can.  True if the end is one that is to be
 * reported.  The caller holds the lock.
 */
static bool
agree(VoxSlot *slot, VoxLaneId id, VoxCycleEnd end)
{
	VoxLane    *lane = &slot->lanes[id];
	VoxCycle	cycle = {.generation = slot->generation};

	if (lane->phase != VOX_SLOT_IDLE)
		return false;
	if (end != VOX_CYCLE_NONE && (slot->generation != lane->seen || lane->end != end))
		return voxanne_lane_end(slot, id, &cycle, end, DT_NOEND, NULL, voxanne_worker_now());
	if (end == VOX_CYCLE_NONE && slot->generation == lane->seen &&
		(lane->end == VOX_CYCLE_NO_DATABASE || lane->end == VOX_CYCLE_NOT_CONNECTABLE))
		voxanne_slot_raise(slot);
	return false;
}

/* The slot of a name, a fresh one if it has none, NULL if none is free.  The caller holds the lock. */
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

	/*
	 * a retired verifier keeps its slot; as many of them as names is more
	 * than most changes of the list leave
	 */
	if (unused == NULL)
		return NULL;
	unused->used = unused->watched = true;
	namestrcpy(&unused->name, name);
	voxanne_slot_raise(unused);
	for (int i = 0; i < VOX_LANE_COUNT; i++)
		unused->lanes[i].next_due = DT_NOEND;
	unused->tell_due = DT_NOEND;
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
		voxanne_slot_free(slot);
	}
	LWLockRelease(&voxanne_slots->lock);
}
