/*
 * src/backup/status_worker.c
 *		backup_status(): does the background worker verify this database's targets?
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/status.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

static void add(VoxSink *sink, VoxSeverity severity, const char *check, const char *detail,
				const char *advice, const char *remedy);
static bool is_preloaded(void);
static char *preload_statement(void);

void
voxanne_status_worker(VoxSink *sink)
{
	if (!is_preloaded())
		add(sink, VOX_WARNING, "preload_missing",
			"The library is not in shared_preload_libraries, so no background worker verifies backups.",
			"Run the statement, which keeps the libraries that are there, and restart the server; CALL verify_backup() works meanwhile.",
			preload_statement());
	else if (RecoveryInProgress())
		add(sink, VOX_INFO, "worker_standby",
			"This is a standby: the background worker starts when it is promoted.", NULL, NULL);
	else
		add(sink, VOX_INFO, "worker_ok", "The library is preloaded.", NULL, NULL);
}

/* Did this server start with the library in shared_preload_libraries? */
static bool
is_preloaded(void)
{
	List	   *libraries = NIL;
	ListCell   *lc;

	if (!SplitDirectoriesString(pstrdup(GetConfigOption("shared_preload_libraries", false, false)), ',', &libraries))
		return false;
	foreach(lc, libraries)
	{
		const char *library = lfirst(lc);
		const char *name = last_dir_separator(library);

		name = name == NULL ? library : name + 1;
		if (strcmp(name, "voxanne_ops") == 0 || strcmp(name, "voxanne_ops" DLSUFFIX) == 0)
			return true;
	}
	return false;
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
