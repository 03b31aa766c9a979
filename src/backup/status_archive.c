/*
 * src/backup/status_archive.c
 *		backup_status(): is WAL being archived?
 *
 * pg_stat_archiver knows of attempts, not of what arrived: an archive_command
 * that drops the file reports success.  So a good row here is no proof.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/status.h"
#include "core/privileges.h"
#include "backup/statement.h"
#include "core/words.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* pg_stat_archiver's row; times are DT_NOBEGIN and names NULL where it has null. */
typedef struct ArchiverStatistics
{
	int64		archived;
	char	   *last_archived;
	TimestampTz archived_at;
	int64		failed;
	char	   *last_failed;
	TimestampTz failed_at;
} ArchiverStatistics;

static void add(VoxSink *sink, VoxSeverity severity, const char *check, const char *detail,
				const char *advice);
static void add_activity(VoxSink *sink);
static void read_statistics(ArchiverStatistics *statistics);
static bool is_empty(const char *setting);

void
voxanne_status_archive(VoxSink *sink)
{
	const char *mode = GetConfigOption("archive_mode", false, false);

	if (RecoveryInProgress() && strcmp(mode, "always") != 0)
		add(sink, VOX_INFO, "wal_archive_standby",
			"This is a standby, which does not archive: whether WAL is archived is not known here.",
			"Ask the primary.");
	else if (strcmp(mode, "off") == 0)
		add(sink, VOX_WARNING, "wal_archive_off",
			"WAL is not archived (archive_mode is off): a restore ends at the time of the last base backup.",
			"Set archive_command to a program that stores WAL elsewhere and archive_mode to on (with wal_level replica or higher), then restart.");
	else if (is_empty("archive_command") && is_empty("archive_library"))
		add(sink, VOX_CRITICAL, "wal_archive_not_configured",
			"archive_mode is on but neither archive_command nor archive_library is set: WAL is archived nowhere and fills the disk.",
			"Set archive_command, or turn off archive_mode and restart.");
	else
		add_activity(sink);
}

/* What the archiver has done lately. */
static void
add_activity(VoxSink *sink)
{
	ArchiverStatistics s;
	TimestampTz now = GetCurrentTimestamp();

	read_statistics(&s);
	if (!TIMESTAMP_IS_NOBEGIN(s.failed_at) && s.failed_at > s.archived_at)
		add(sink, VOX_CRITICAL, "wal_archive_failing",
			psprintf("Archiving fails: %s failed %s ago, %s.",
					 s.last_failed, voxanne_ago(now - s.failed_at), s.last_archived == NULL ? "and none has succeeded" :
					 psprintf("the last success was %s %s ago", s.last_archived, voxanne_ago(now - s.archived_at))),
			"Read the server log for what archive_command said; until it works WAL fills the disk and restores lose data.");
	else if (TIMESTAMP_IS_NOBEGIN(s.archived_at))
		add(sink, VOX_INFO, "wal_archive_ok",
			"WAL archiving is on; no segment has been due for it since the statistics were reset.", NULL);
	else
		add(sink, VOX_INFO, "wal_archive_ok",
			psprintf("WAL is archived: " INT64_FORMAT " files, the last one, %s, %s ago; " INT64_FORMAT " attempts failed.",
					 s.archived, s.last_archived, voxanne_ago(now - s.archived_at), s.failed),
			NULL);
}

static void
read_statistics(ArchiverStatistics *statistics)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext old;
	int			nestlevel = voxanne_pin_settings();
	VoxStatement query;

	SPI_connect();
	voxanne_statement_start(&query,
							"SELECT archived_count, last_archived_wal, last_archived_time,"
							" failed_count, last_failed_wal, last_failed_time FROM pg_stat_get_archiver()");
	voxanne_statement_run(&query);
	old = MemoryContextSwitchTo(caller);
	statistics->archived = voxanne_field_int64(0, 1, 0);
	statistics->last_archived = voxanne_field_text(0, 2);
	statistics->archived_at = voxanne_field_time(0, 3);
	statistics->failed = voxanne_field_int64(0, 4, 0);
	statistics->last_failed = voxanne_field_text(0, 5);
	statistics->failed_at = voxanne_field_time(0, 6);
	MemoryContextSwitchTo(old);
	SPI_finish();
	voxanne_unpin_settings(nestlevel);
}

static bool
is_empty(const char *setting)
{
	const char *value = GetConfigOption(setting, true, false);

	return value == NULL || *value == '\0';
}

/* What to archive with is for the administrator to say, so there is never a remedy to paste. */
static void
add(VoxSink *sink, VoxSeverity severity, const char *check, const char *detail,
	const char *advice)
{
	VoxFinding	finding = {
		.severity = severity,
		.object = "wal_archive",
		.detail = detail,
		.advice = advice,
		.key = voxanne_finding_key(check, "wal_archive", NULL),
	};

	voxanne_sink_add(sink, &finding, NULL, NULL);
}
