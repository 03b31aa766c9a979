/*
 * src/backup/wake.c
 *		Telling the scheduler, once a transaction has committed.
 *
 * The scheduler reads nothing between two points in time that it knows of, so
 * whoever changes what is due has to tell it, and not before others can see the
 * change.  A transaction that is prepared and committed by somebody else tells
 * nobody; the scheduler finds its changes with its next look at everything
 * (voxanne_ops.rescan_interval).
 */
#include "postgres.h"

#include "access/xact.h"
#include "backup/slots.h"
#include "backup/wake.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "core/compat.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* So long nobody may be there to do what is awaited; the postmaster starts a scheduler again after 5 s. */
#define PATIENCE (10 * USECS_PER_SEC)

/* A cycle that is waited for. */
typedef struct Awaited
{
	uint64		generation;		/* that it must have seen; 0: no slot was
								 * found to ask */
	bool		scheduler;		/* there is one */
	TimestampTz worked;			/* when there was last somebody to bring it
								 * about */
	char		error[VOX_ERROR_MAX];	/* "" unless it has failed */
} Awaited;

static bool wake_wanted = false;
static bool wake_suppressed = false;

static void at_end_of_transaction(XactEvent event, void *argument);
static void require_worker(const char *database);
static void await_cycle(const char *database);
static void ask(Awaited *awaited);
static bool cycle_ended(Awaited *awaited);
VOXANNE_NORETURN static void give_up(const Awaited *awaited, const char *database);

VOXANNE_FUNCTION(voxanne_backup_target_changed);
VOXANNE_FUNCTION(voxanne_extension_created);
VOXANNE_FUNCTION(voxanne_await_verification);

/*
 * If this transaction commits, have the scheduler look at this database anew.
 */
void
voxanne_wake_at_commit(void)
{
	static bool registered = false;

	if (voxanne_slots == NULL)
		return;
	if (!registered)
		RegisterXactCallback(at_end_of_transaction, NULL);
	registered = true;
	wake_wanted = true;
}

/*
 * This process is the recorder, whose own changes the verifier knows of.
 */
void
voxanne_wake_suppress(void)
{
	wake_suppressed = true;
}

static void
at_end_of_transaction(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (wake_wanted && !wake_suppressed)
				voxanne_slots_wake(MyDatabaseId);
			wake_wanted = false;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			wake_wanted = false;
			break;
		default:
			break;
	}
}

/*
 * voxanne_backup_target_changed() returns trigger: AFTER each statement that
 * may have changed backup_target.
 */
Datum
voxanne_backup_target_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s() is a trigger function", "_voxanne_backup_target_changed")));
	voxanne_wake_at_commit();
	return PointerGetDatum(NULL);
}

/*
 * voxanne_extension_created(): called by the extension's script.
 */
Datum
voxanne_extension_created(PG_FUNCTION_ARGS)
{
	voxanne_wake_at_commit();
	PG_RETURN_VOID();
}

/*
 * CALL await_verification(): have the worker verify what is due in this
 * database and return when that has been recorded.  Commits first and holds no
 * snapshot while it waits; what bounds a verification under way is
 * statement_timeout.
 */
Datum
voxanne_await_verification(PG_FUNCTION_ARGS)
{
	char	   *database;

	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("await_verification() cannot run inside a transaction block"),
				 errdetail("The worker does not see what this transaction has not committed."),
				 errhint("Call it as a statement of its own.")));

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	database = get_database_name(MyDatabaseId);
	require_worker(database);
	SPI_commit();
	await_cycle(database);
	SPI_finish();
	PG_RETURN_VOID();
}

/* ERROR 55000 if no worker will ever come. */
static void
require_worker(const char *database)
{
	VoxWorkerStatus status;

	if (!voxanne_worker_status(MyDatabaseId, &status))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no background worker, because the library is not preloaded"),
				 errhint("Add voxanne_ops to shared_preload_libraries and restart the server. CALL verify_backup() works without.")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the background worker does not run on a standby"),
				 errhint("Call it on the primary.")));
	if (!status.watched)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the background worker does not watch database \"%s\"", database),
				 errhint("Add its name to the setting voxanne_ops.databases and reload the configuration.")));
	if (status.scheduler_pid == 0)
		ereport(NOTICE,
				(errmsg("the background worker does not run at the moment"),
				 errdetail("It is waited for, but not for long; the server log says why it ended.")));
}

/*
 * Wait for cycles that began after now, in both lanes.  ERROR 58000 if that failed, 55000 if
 * nobody takes it up.
 */
static void
await_cycle(const char *database)
{
	uint32		wait_event = voxanne_new_wait_event("VoxanneAwaitVerification");
	Awaited		awaited = {.worked = GetCurrentTimestamp()};

	ConditionVariablePrepareToSleep(&voxanne_slots->changed);
	ask(&awaited);
	while (!cycle_ended(&awaited))
	{
		if (GetCurrentTimestamp() - awaited.worked > PATIENCE)
			give_up(&awaited, database);
		if (ConditionVariableTimedSleep(&voxanne_slots->changed, 1000, wait_event))
			ask(&awaited);
	}
	ConditionVariableCancelSleep();

	if (awaited.error[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("the background worker could not verify the backups of database \"%s\"", database),
				 errdetail("It said: %s", voxanne_slot_error(awaited.error)),
				 errhint("It tries again by itself.")));
}

/*
 * Ask for a cycle, unless that was done: just after a start or a change of
 * voxanne_ops.databases the scheduler has not found out yet which slot is that
 * of this database.
 */
static void
ask(Awaited *awaited)
{
	if (awaited->generation == 0)
		awaited->generation = voxanne_slots_ask(MyDatabaseId);
}

/* Has each lane come to the end of such a cycle, or one failed in it?  Notes whether somebody is there to bring it about. */
static bool
cycle_ended(Awaited *awaited)
{
	bool		ended = awaited->generation != 0;
	const VoxSlot *slot;

	LWLockAcquire(&voxanne_slots->lock, LW_SHARED);
	slot = voxanne_slot_of(MyDatabaseId);
	awaited->scheduler = voxanne_slots->scheduler_pid != 0;
	if (slot != NULL && (awaited->scheduler || !voxanne_slot_idle(slot)))
		awaited->worked = GetCurrentTimestamp();
	for (int i = 0; slot != NULL && i < VOX_LANE_COUNT; i++)
	{
		bool		done = slot->lanes[i].done >= awaited->generation;

		ended &= done;
		if (done && awaited->generation != 0 && awaited->error[0] == '\0')
			strlcpy(awaited->error, slot->lanes[i].error, VOX_ERROR_MAX);
	}
	if (ended && slot == NULL)
		strlcpy(awaited->error, "the database is no longer watched", VOX_ERROR_MAX);
	LWLockRelease(&voxanne_slots->lock);
	return ended || awaited->error[0] != '\0';
}

VOXANNE_NORETURN static void
give_up(const Awaited *awaited, const char *database)
{
	ConditionVariableCancelSleep();
	if (!awaited->scheduler)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the background worker does not run"),
				 errdetail("It has not come within %d s.", (int) (PATIENCE / USECS_PER_SEC)),
				 errhint("The server log says why; max_worker_processes may be too low. CALL verify_backup() works meanwhile.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the background worker has not taken up database \"%s\"", database),
			 errdetail("It runs, but has had no slot for the database for %d s.", (int) (PATIENCE / USECS_PER_SEC)),
			 errhint("It may still be busy with databases that were taken off voxanne_ops.databases. CALL verify_backup() works meanwhile.")));
}
