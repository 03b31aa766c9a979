/*
 * src/backup/progress.c
 *		The slots, and verifications in sessions, as rows of the view
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

#define PROGRESS_COLS 14

/* Columns of a session's row, which is about no cycle: the others are null. */
enum
{
	COL_DATABASE = 0,
	COL_PHASE = 1,
	COL_PID = 2,
	COL_LAST_START = 3,
	COL_SCHEDULER = 9,
	COL_WAKEUPS = 10,
	COL_TARGET = 11,
	COL_DONE = 12,
	COL_TOTAL = 13
};

static void put_slot(ReturnSetInfo *rsinfo, const VoxSlot *slot, pid_t scheduler, uint64 wakeups);
static void put_session(ReturnSetInfo *rsinfo, const VoxSessionProgress *session, pid_t scheduler, uint64 wakeups);
static Datum time_datum(TimestampTz time, TimestampTz none, bool *null);

VOXANNE_FUNCTION(voxanne_verification_progress);

/*
 * _voxanne_verification_progress(): a row for each watched database, and one
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
		if (copy->slots[i].used && copy->slots[i].watched)
			put_slot(rsinfo, &copy->slots[i], copy->scheduler_pid, copy->wakeups);
	count = voxanne_session_progress_copy(sessions);
	for (int i = 0; i < count; i++)
		put_session(rsinfo, &sessions[i], copy->scheduler_pid, copy->wakeups);
	return (Datum) 0;
}

static void
put_slot(ReturnSetInfo *rsinfo, const VoxSlot *slot, pid_t scheduler, uint64 wakeups)
{
	Datum		values[PROGRESS_COLS];
	bool		nulls[PROGRESS_COLS] = {false};
	const char *end = voxanne_cycle_end_name(slot->end);
	char	   *error = voxanne_slot_error(slot->error);
	char	   *target = voxanne_slot_error(NameStr(slot->target));
	pid_t		pid = slot->pid != 0 ? slot->pid : slot->messenger_pid;
	int			i = 0;

	values[i++] = CStringGetTextDatum(NameStr(slot->name));
	values[i++] = CStringGetTextDatum(voxanne_slot_activity(slot, voxanne_worker_now()));
	nulls[i] = pid == 0;
	values[i++] = Int32GetDatum(pid);
	values[i] = time_datum(slot->last_start, 0, &nulls[i]);
	i++;
	values[i] = time_datum(slot->last_end, 0, &nulls[i]);
	i++;
	nulls[i] = end == NULL;
	values[i++] = end == NULL ? (Datum) 0 : CStringGetTextDatum(end);
	nulls[i] = error[0] == '\0';
	values[i++] = CStringGetTextDatum(error);
	values[i] = time_datum(slot->next_due, DT_NOEND, &nulls[i]);
	i++;
	values[i++] = Int64GetDatum(slot->cycles);
	nulls[i] = scheduler == 0;
	values[i++] = Int32GetDatum(scheduler);
	values[i++] = Int64GetDatum(wakeups);
	nulls[i] = target[0] == '\0';
	values[i++] = CStringGetTextDatum(target);
	nulls[i] = slot->total_mb == 0;
	values[i++] = Int64GetDatum(slot->done_mb);
	nulls[i] = slot->total_mb == 0;
	values[i++] = Int64GetDatum(slot->total_mb);
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
	values[COL_PHASE] = CStringGetTextDatum("called");
	values[COL_PID] = Int32GetDatum(session->pid);
	values[COL_LAST_START] = TimestampTzGetDatum(session->started);
	values[COL_SCHEDULER] = Int32GetDatum(scheduler);
	values[COL_WAKEUPS] = Int64GetDatum(wakeups);
	values[COL_TARGET] = CStringGetTextDatum(voxanne_slot_error(NameStr(session->target)));
	values[COL_DONE] = Int64GetDatum(session->done_mb);
	values[COL_TOTAL] = Int64GetDatum(session->total_mb);
	nulls[COL_DATABASE] = nulls[COL_PHASE] = nulls[COL_PID] = nulls[COL_LAST_START] = nulls[COL_TARGET] = nulls[COL_WAKEUPS] = false;
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
