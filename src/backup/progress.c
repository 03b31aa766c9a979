/*
 * src/backup/progress.c
 *		The lanes of the slots, and verifications in sessions, as rows of the view
 *		backup_verification_progress.
 */
#include "postgres.h"

#include "backup/session_progress.h"
#include "backup/slots.h"
#include "backup/worker.h"
#include "core/compat.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define PROGRESS_COLS 15

/* Columns of a session's row, which is about no cycle: the others are null. */
enum
{
	COL_DATABASE = 0,
	COL_LEVEL = 1,
	COL_PHASE = 2,
	COL_PID = 3,
	COL_LAST_START = 4,
	COL_SCHEDULER = 10,
	COL_WAKEUPS = 11,
	COL_TARGET = 12,
	COL_DONE = 13,
	COL_TOTAL = 14
};

static void put_lane(ReturnSetInfo *rsinfo, const VoxSlot *slot, VoxLaneId id, pid_t scheduler, uint64 wakeups);
static void put_session(ReturnSetInfo *rsinfo, const VoxSessionProgress *session, pid_t scheduler, uint64 wakeups);
static Datum time_datum(TimestampTz time, TimestampTz none, bool *null);

VOXANNE_FUNCTION(voxanne_verification_progress);

/*
 * _voxanne_verification_progress(): two rows for each watched database, one for each level, and one
 * for each session that verifies something.  ERROR 55000 without preload.
 */
Datum
voxanne_verification_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	VoxSlots   *copy = palloc(sizeof(VoxSlots));
	VoxSessionProgress *sessions = palloc_array(VoxSessionProgress, VOX_MAX_SESSIONS);
	int			count;

	if (voxanne_slots == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no background worker, because the library is not preloaded"),
				 errhint("Add voxanne_ops to shared_preload_libraries and restart the server.")));

	InitMaterializedSRF(fcinfo, 0);
	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	memcpy(copy, voxanne_slots, sizeof(VoxSlots));
	LWLockRelease(&voxanne_slots->lock);

	for (int i = 0; i < VOX_SLOT_COUNT; i++)
		for (int lane = 0; lane < VOX_LANE_COUNT; lane++)
			if (copy->slots[i].used && copy->slots[i].watched)
				put_lane(rsinfo, &copy->slots[i], lane, copy->scheduler_pid, copy->wakeups);
	count = voxanne_session_progress_copy(sessions);
	for (int i = 0; i < count; i++)
		put_session(rsinfo, &sessions[i], copy->scheduler_pid, copy->wakeups);
	return (Datum) 0;
}

static void
put_lane(ReturnSetInfo *rsinfo, const VoxSlot *slot, VoxLaneId id, pid_t scheduler, uint64 wakeups)
{
	const VoxLane *lane = &slot->lanes[id];
	Datum		values[PROGRESS_COLS];
	bool		nulls[PROGRESS_COLS] = {false};
	const char *end = voxanne_cycle_end_name(lane->end);
	char	   *error = voxanne_slot_error(lane->error);
	char	   *target = voxanne_slot_error(NameStr(lane->target));
	pid_t		pid = lane->pid != 0 || id != VOX_LANE_STATUS ? lane->pid : slot->messenger_pid;
	int			i = 0;

	values[i++] = CStringGetTextDatum(NameStr(slot->name));
	values[i++] = CStringGetTextDatum(voxanne_lane_level(id));
	values[i++] = CStringGetTextDatum(voxanne_lane_activity(slot, id, voxanne_worker_now()));
	nulls[i] = pid == 0;
	values[i++] = Int32GetDatum(pid);
	values[i] = time_datum(lane->last_start, 0, &nulls[i]);
	i++;
	values[i] = time_datum(lane->last_end, 0, &nulls[i]);
	i++;
	nulls[i] = end == NULL;
	values[i++] = end == NULL ? (Datum) 0 : CStringGetTextDatum(end);
	nulls[i] = error[0] == '\0';
	values[i++] = CStringGetTextDatum(error);
	values[i] = time_datum(lane->next_due, DT_NOEND, &nulls[i]);
	i++;
	values[i++] = Int64GetDatum(lane->cycles);
	nulls[i] = scheduler == 0;
	values[i++] = Int32GetDatum(scheduler);
	values[i++] = Int64GetDatum(wakeups);
	nulls[i] = target[0] == '\0';
	values[i++] = CStringGetTextDatum(target);
	nulls[i] = lane->total_mb == 0;
	values[i++] = Int64GetDatum(lane->done_mb);
	nulls[i] = lane->total_mb == 0;
	values[i++] = Int64GetDatum(lane->total_mb);
	Assert(i == PROGRESS_COLS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
put_session(ReturnSetInfo *rsinfo, const VoxSessionProgress *session, pid_t scheduler, uint64 wakeups)
{
	Datum		values[PROGRESS_COLS] = {0};
	bool		nulls[PROGRESS_COLS];
	char	   *database = get_database_name(session->database);

	memset(nulls, true, sizeof(nulls));
	if (database == NULL)
		return;					/* dropped since, so the session is gone, too */
	values[COL_DATABASE] = CStringGetTextDatum(database);
	values[COL_LEVEL] = CStringGetTextDatum(session->level);
	values[COL_PHASE] = CStringGetTextDatum("called");
	values[COL_PID] = Int32GetDatum(session->pid);
	values[COL_LAST_START] = TimestampTzGetDatum(session->started);
	values[COL_SCHEDULER] = Int32GetDatum(scheduler);
	values[COL_WAKEUPS] = Int64GetDatum(wakeups);
	values[COL_TARGET] = CStringGetTextDatum(voxanne_slot_error(NameStr(session->target)));
	values[COL_DONE] = Int64GetDatum(session->done_mb);
	values[COL_TOTAL] = Int64GetDatum(session->total_mb);
	nulls[COL_DATABASE] = nulls[COL_LEVEL] = nulls[COL_PHASE] = nulls[COL_PID] = nulls[COL_LAST_START] = nulls[COL_TARGET] = nulls[COL_WAKEUPS] = false;
	nulls[COL_SCHEDULER] = scheduler == 0;
	nulls[COL_DONE] = nulls[COL_TOTAL] = session->total_mb == 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static Datum
time_datum(TimestampTz time, TimestampTz none, bool *null)
{
	*null = time == none;
	return TimestampTzGetDatum(time);
}
