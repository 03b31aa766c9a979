/*
 * src/backup/progress.c
 *		The slots as rows, for the view backup_verification_progress.
 */
#include "postgres.h"

#include "backup/slots.h"
#include "backup/worker.h"
#include "core/compat.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define PROGRESS_COLS 14

static void put_slot(ReturnSetInfo *rsinfo, const VoxSlot *slot, pid_t scheduler, uint64 wakeups);
static Datum time_datum(TimestampTz time, TimestampTz none, bool *null);

VOXANNE_FUNCTION(voxanne_verification_progress);

/*
 * _voxanne_verification_progress(): a row for each watched database.  ERROR
 * 55000 without preload.
 */
Datum
voxanne_verification_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	VoxSlots   *copy = palloc(sizeof(VoxSlots));

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

static Datum
time_datum(TimestampTz time, TimestampTz none, bool *null)
{
	*null = time == none;
	return TimestampTzGetDatum(time);
}
