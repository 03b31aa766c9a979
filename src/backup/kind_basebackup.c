/*
 * src/backup/kind_basebackup.c
 *		Directories written by pg_basebackup, in plain or tar format.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/compat.h"
#include "core/settings.h"

static const char *const *basebackup_arguments(const VoxVerification *verification);

static const char *const levels[] = {"status", "verify", NULL};
static const char *const proofs[] = {"present", "checksummed"};
static const char *const options[] = {"min_size", "max_size_change", "pitr_window", NULL};

const VoxKind voxanne_kind_basebackup = {
	.name = "basebackup",
	.summary = "a directory written by pg_basebackup, plain or tar",
	.levels = levels,
	.proofs = proofs,
	.command = "verify-backup",
	.options = options,
	.location_problem = voxanne_location_problem,
	.arguments = basebackup_arguments,
};

/* See VoxKind.  The agent resolves symbolic links and refuses what then lies outside of the directories. */
static const char *const *
basebackup_arguments(const VoxVerification *verification)
{
	int			room = 12 + 2 * list_length(verification->directories);
	const char **argv = palloc0_array(const char *, room);
	int			n = 0;
	ListCell   *lc;

	argv[n++] = "verify-backup";
	argv[n++] = "--level";
	argv[n++] = verification->level;
	argv[n++] = "--system-identifier";
	argv[n++] = verification->system_identifier;
	if (strcmp(verification->level, "verify") == 0)
	{
		argv[n++] = "--jobs";
		argv[n++] = psprintf("%d", voxanne_verify_jobs);
		if (voxanne_verify_rate > 0)
		{
			argv[n++] = "--rate";
			argv[n++] = psprintf("%d", voxanne_verify_rate);
		}
	}
	foreach(lc, verification->directories)
	{
		argv[n++] = "--within";
		argv[n++] = lfirst(lc);
	}
	argv[n++] = verification->location;
	Assert(n < room);
	return argv;
}
