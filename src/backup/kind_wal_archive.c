/*
 * src/backup/kind_wal_archive.c
 *		Archives of WAL: directories, servers of Barman, repositories of pgBackRest.
 *
 * Whether an archive is up to date only the server can say that writes the WAL:
 * an idle one finishes no segment for days.  So the agent is told how far this
 * server has written, and may look into its pg_wal for what still waits there.
 * The age that is then compared with max_age is not that of the newest segment,
 * but how long the archive has been behind.
 *
 * Which backups there are to go with it the targets of kind basebackup tell
 * (base_backups.c).
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/kind.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"

static const char *const *wal_archive_arguments(const VoxKind *kind, const VoxVerification *verification);

static const char *const options[] = {"pitr_window", NULL};

const VoxKind voxanne_kind_wal_archive = {
	.name = "wal_archive",
	.summary = "an archive of WAL: a directory, a server of Barman or a repository of pgBackRest",
	.levels = voxanne_kind_both_levels,
	.proofs = voxanne_kind_both_proofs,
	.command = "verify-wal",
	.options = options,
	.location_problem = voxanne_location_problem,
	.serves_backups = true,
	.subject = "The WAL archive",
	.aged = "behind the server",
	.age_hint = "Read the server log for what archive_command said, or see whether what fetches WAL still runs.",
	.arguments = wal_archive_arguments,
};

/* See VoxKind. */
static const char *const *
wal_archive_arguments(const VoxKind *kind, const VoxVerification *verification)
{
	List	   *more = NIL;
	ListCell   *lc;

	foreach(lc, verification->base_backups)
		more = voxanne_kind_option(more, "--seen-backup", lfirst(lc));
	return voxanne_kind_arguments(kind, verification, voxanne_archive_arguments(verification, more));
}

/* What to compare an archive with.  A standby writes no WAL, so there nothing is said of the server's. */
List *
voxanne_archive_arguments(const VoxVerification *verification, List *more)
{
	if (verification->pitr_window > 0)
		more = voxanne_kind_option(more, "--pitr-window", psprintf(INT64_FORMAT, verification->pitr_window / USECS_PER_SEC));
	more = voxanne_kind_option(more, "--wal-segment-size", psprintf("%d", wal_segment_size));
	if (!RecoveryInProgress())
	{
		TimeLineID	timeline;
		XLogRecPtr	position = GetFlushRecPtr(&timeline);

		more = voxanne_kind_option(more, "--server-position", psprintf("%u,%X/%X", timeline, LSN_FORMAT_ARGS(position)));
		more = voxanne_kind_option(more, "--server-wal", psprintf("%s/pg_wal", DataDir));
	}
	return more;
}
