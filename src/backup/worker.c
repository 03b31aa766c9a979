/*
 * src/backup/worker.c
 *		What the processes of this room have in common.
 *
 * Nobody sits in front of them, so they must not be at the mercy of a setting
 * that somebody made for sessions: they override those that could make them
 * fail, hang or resolve names elsewhere.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "backup/slots.h"
#include "backup/worker.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "core/compat.h"
#include "core/settings.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/*
 * lock_timeout is below the five seconds for which DROP DATABASE waits for
 * other sessions; what did not get its lock is tried again later.
 */
static const struct
{
	const char *name;
	const char *value;
}			session_settings[] =

{
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"default_transaction_deferrable", "off"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_read_only", "off"},
	{"idle_in_transaction_session_timeout", "0"},
	{"lock_timeout", "3s"},
	{"max_parallel_workers_per_gather", "0"},
	{"role", "none"},
	{"search_path", "pg_catalog, pg_temp"},
	{"session_replication_role", "origin"},
	{"standard_conforming_strings", "on"},
	{"statement_timeout", "0"},
	{"synchronous_commit", "local"},
	{"transaction_timeout", "0"},
};

static void describe_job(void *argument);

/*
 * First thing in a worker: signals and settings.  To be followed by the
 * connection; what ALTER DATABASE or ALTER ROLE set comes then and counts less.
 */
void
voxanne_worker_begin(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);

	for (int i = 0; i < (int) lengthof(session_settings); i++)
		if (GetConfigOption(session_settings[i].name, true, false) != NULL)
			SetConfigOption(session_settings[i].name, session_settings[i].value,
							PGC_SUSET, PGC_S_OVERRIDE);

	BackgroundWorkerUnblockSignals();
}

/*
 * All that a worker does which serves one slot and enters no database: take
 * the slot over, do its job, and see to it that an error is logged and known
 * to the slot.  Nothing is done if attach() says that nobody wants it any more.
 */
void
voxanne_worker_serve(const VoxWorkerJob *job)
{
	MemoryContext context;
	ErrorContextCallback callback;

	voxanne_worker_begin();
	if (!job->attach())
		return;
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	context = AllocSetContextCreate(TopMemoryContext, "voxanne_ops job", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	voxanne_worker_explain(&callback, job->subject, NameStr(*job->database));
	PG_TRY();
	{
		pgstat_report_activity(STATE_RUNNING, job->activity);
		job->work();
	}
	PG_CATCH();
	{
		job->failed(voxanne_worker_caught(context));
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
}

/* What messages are about: "subject" of a database.  Until the caller takes it off the stack. */
void
voxanne_worker_explain(ErrorContextCallback *callback, const char *subject, const char *database)
{
	static const char *job[2];

	job[0] = subject;
	job[1] = database;
	callback->callback = describe_job;
	callback->arg = job;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

static void
describe_job(void *argument)
{
	const char *const *job = argument;

	errcontext("%s of database \"%s\"", job[0], job[1]);
}

/*
 * Read the configuration again if SIGHUP asked for it.
 */
void
voxanne_worker_reload(void)
{
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/*
 * The time by which workers decide what is due.
 */
TimestampTz
voxanne_worker_now(void)
{
	return GetCurrentTimestamp() + voxanne_clock_offset * USECS_PER_SEC;
}

/*
 * Fill in a worker that runs a function of this library and may connect.
 * Never restarted by itself; the caller may change that.
 */
void
voxanne_worker_describe(BackgroundWorker *worker, const char *type, const char *function)
{
	memset(worker, 0, sizeof(BackgroundWorker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, "voxanne_ops", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_type, type, sizeof(worker->bgw_type));
	strlcpy(worker->bgw_name, type, sizeof(worker->bgw_name));
}

/*
 * Start a described worker for a database; our latch is set when it comes and
 * goes.  NULL if all of max_worker_processes are in use, which is logged once
 * until voxanne_worker_fed().
 */
BackgroundWorkerHandle *
voxanne_worker_start(BackgroundWorker *worker, const char *database)
{
	BackgroundWorkerHandle *handle;
	bool		told;

	snprintf(worker->bgw_name, sizeof(worker->bgw_name), "%s for %s", worker->bgw_type, database);
	worker->bgw_notify_pid = MyProcPid;
	if (RegisterDynamicBackgroundWorker(worker, &handle))
		return handle;

	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	told = voxanne_slots->starved;
	voxanne_slots->starved = true;
	LWLockRelease(&voxanne_slots->lock);
	if (!told)
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("no background worker is free to verify the backups of database \"%s\"", database),
				 errdetail("All of max_worker_processes (%d) are in use. This is tried again, and not logged again before it has succeeded.",
						   max_worker_processes),
				 errhint("Increase max_worker_processes and restart the server.")));
	return NULL;
}

/*
 * All the workers that a step needs could be started: the next lack of them is
 * a new one.
 */
void
voxanne_worker_fed(void)
{
	LWLockAcquire(&voxanne_slots->lock, LW_EXCLUSIVE);
	voxanne_slots->starved = false;
	LWLockRelease(&voxanne_slots->lock);
}

/*
 * Log that a watched database cannot be looked at, if that is how its cycle
 * ended.  The caller does so when the cycle before ended otherwise.
 */
void
voxanne_worker_report(const char *database, VoxCycleEnd end)
{
	if (end == VOX_CYCLE_NO_DATABASE)
		ereport(LOG,
				(errmsg("database \"%s\" is listed in voxanne_ops.databases but does not exist", database)));
	else if (end == VOX_CYCLE_NOT_CONNECTABLE)
		ereport(LOG,
				(errmsg("database \"%s\" is listed in voxanne_ops.databases but allows no connections", database)));
	else if (end == VOX_CYCLE_NO_EXTENSION)
		ereport(LOG,
				(errmsg("database \"%s\" is listed in voxanne_ops.databases but does not have the extension voxanne_ops",
						database),
				 errdetail("Nothing is verified for it until CREATE EXTENSION voxanne_ops is run there.")));
}

/*
 * All databases of the cluster, as a list of VoxDatabase in the current
 * context.  Runs a transaction of its own; needs no connection to a database.
 */
List *
voxanne_worker_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old = MemoryContextSwitchTo(context);
		VoxDatabase *database = palloc0_object(VoxDatabase);

		database->oid = form->oid;
		database->name = form->datname;
		database->connectable = form->datallowconn && !database_is_invalid_form(form);
		databases = lappend(databases, database);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/*
 * VOX_CYCLE_NONE if the database can be connected to, else the end of a cycle
 * that finds that it cannot.  Runs a transaction of its own.
 */
VoxCycleEnd
voxanne_worker_database_state(Oid database)
{
	ListCell   *lc;

	foreach(lc, voxanne_worker_databases())
	{
		VoxDatabase *candidate = lfirst(lc);

		if (candidate->oid == database)
			return candidate->connectable ? VOX_CYCLE_NONE : VOX_CYCLE_NOT_CONNECTABLE;
	}
	return VOX_CYCLE_NO_DATABASE;
}

/*
 * In PG_CATCH(): write the error to the server log, leave the transaction and
 * return the error's message in "context", which becomes current.
 */
char *
voxanne_worker_caught(MemoryContext context)
{
	ErrorData  *error;
	char	   *message;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	message = pstrdup(error->message ? error->message : "unknown error");
	FreeErrorData(error);
	EmitErrorReport();
	AbortOutOfAnyTransaction();
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	MemoryContextSwitchTo(context);
	FlushErrorState();
	RESUME_INTERRUPTS();
	return message;
}
