/*
 * src/backup/status_worker.c
 *		backup_status(): does the background worker verify this database's targets?
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/slots.h"
#include "backup/status.h"
#include "commands/dbcommands.h"
#include "core/settings.h"
#include "core/words.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

static void add(VoxSink *sink, VoxSeverity severity, const char *check, const char *detail,
				const char *advice, const char *remedy);
static void add_running(VoxSink *sink, const VoxWorkerStatus *worker);
static const char *phases(const VoxWorkerStatus *worker);
static char *preload_statement(void);
static char *watch_statement(const char *database);

void
voxanne_status_worker(VoxSink *sink)
{
	char	   *database = get_database_name(MyDatabaseId);
	VoxWorkerStatus worker;

	if (!voxanne_worker_status(MyDatabaseId, &worker))
		add(sink, VOX_WARNING, "preload_missing",
			"The library is not in shared_preload_libraries, so no background worker verifies backups.",
			"Run the statement, which keeps the libraries that are there, and restart the server; CALL verify_backup() works meanwhile.",
			preload_statement());
	else if (RecoveryInProgress())
		add(sink, VOX_INFO, "worker_standby",
			"This is a standby: the background worker starts when it is promoted.", NULL, NULL);
	else if (!worker.watched)
		add(sink, VOX_WARNING, "database_not_watched",
			psprintf("Database \"%s\" is not in voxanne_ops.databases, so the background worker does not verify its targets.",
					 database),
			"Add it to the setting; no restart is needed.",
			watch_statement(database));
	else if (worker.scheduler_pid == 0)
		add(sink, VOX_WARNING, "worker_not_running",
			"The background worker that schedules verifications does not run.",
			"The server log says why it ended; the server starts it again by itself. CALL verify_backup() works meanwhile.",
			NULL);
	else
		add_running(sink, &worker);
}

/* The worker runs; what it has done last. */
static void
add_running(VoxSink *sink, const VoxWorkerStatus *worker)
{
	TimestampTz now = GetCurrentTimestamp();
	const char *last = worker->end == NULL ? "no cycle has ended since the server started" :
		psprintf("the last cycle ended %s ago (%s)", voxanne_ago(now - worker->last_end), worker->end);

	if (worker->failed)
		add(sink, VOX_WARNING, "worker_failing",
			psprintf("The background worker's cycle failed %s: %s", worker->failures == 1 ? "once" :
					 psprintf("%d times in a row", worker->failures), worker->error),
			"Repair what the message names; the worker tries again by itself, CALL verify_backup() shows the same error at once.",
			NULL);
	else
		add(sink, VOX_INFO, "worker_ok",
			psprintf("The background worker runs: %s; %s.", phases(worker), last), NULL, NULL);
}

/* What it does at level status, and at level verify if it does anything there. */
static const char *
phases(const VoxWorkerStatus *worker)
{
	const char *status = worker->phases[VOX_LANE_STATUS];
	const char *verify = worker->phases[VOX_LANE_VERIFY];

	if (strcmp(verify, "idle") == 0 || strcmp(verify, "unknown") == 0)
		return status;
	return psprintf("%s, and %s at level verify", status, verify);
}

/*
 * The statement that adds the library to those that are there.  Each element is
 * quoted by itself: 'a, b' would be one library of that name.
 */
static char *
preload_statement(void)
{
	StringInfoData statement;
	List	   *libraries = NIL;
	ListCell   *lc;

	initStringInfo(&statement);
	appendStringInfoString(&statement, "ALTER SYSTEM SET shared_preload_libraries = ");
	if (SplitDirectoriesString(pstrdup(GetConfigOption("shared_preload_libraries", false, false)), ',', &libraries))
		foreach(lc, libraries)
			appendStringInfo(&statement, "%s, ", quote_literal_cstr(lfirst(lc)));
	appendStringInfoString(&statement, "'voxanne_ops';");
	return statement.data;
}

/* The statements that add a database to the list, in which a name may need quotes of its own. */
static char *
watch_statement(const char *database)
{
	StringInfoData statement;
	ListCell   *lc;

	initStringInfo(&statement);
	appendStringInfoString(&statement, "ALTER SYSTEM SET voxanne_ops.databases = ");
	foreach(lc, voxanne_watched_names())
		appendStringInfo(&statement, "%s, ", quote_literal_cstr(quote_identifier(lfirst(lc))));
	appendStringInfo(&statement, "%s; SELECT pg_reload_conf();", quote_literal_cstr(quote_identifier(database)));
	return statement.data;
}

static void
add(VoxSink *sink, VoxSeverity severity, const char *check, const char *detail,
	const char *advice, const char *remedy)
{
	VoxFinding	finding = {
		.severity = severity,
		.object = "worker",
		.detail = detail,
		.advice = advice,
		.remedy = remedy,
		.key = voxanne_finding_key(check, "worker", NULL),
	};

	voxanne_sink_add(sink, &finding, NULL, NULL);
}
