/*
 * src/backup/kind_dump.c
 *		Dumps written by pg_dump or pg_dumpall, of any format.
 *
 * A dump has no checksum of its own.  So the digest that the last good
 * verification found is given to the agent, which compares it where the dump
 * is the same one.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/compat.h"
#include "core/json.h"
#include "core/settings.h"

static const char *const *dump_arguments(const VoxKind *kind, const VoxVerification *verification);
static char *remembered(JsonbContainer *previous);

static const char *const levels[] = {"status", "verify", NULL};
static const char *const proofs[] = {"present", "checksummed"};
static const char *const options[] = {"min_size", "max_size_change", "critical_tables", NULL};

const VoxKind voxanne_kind_dump = {
	.name = "dump",
	.summary = "a file or directory written by pg_dump or pg_dumpall, or a directory of them",
	.levels = levels,
	.proofs = proofs,
	.command = "verify-dump",
	.options = options,
	.location_problem = voxanne_location_problem,
	.arguments = dump_arguments,
};

/* See VoxKind.  A dump does not say of which cluster it is. */
static const char *const *
dump_arguments(const VoxKind *kind, const VoxVerification *verification)
{
	int			room = 10 + VOX_PACE_ARGUMENTS + 2 * (list_length(verification->directories) + list_length(verification->critical_tables));
	const char **argv = palloc0_array(const char *, room);
	char	   *memory = remembered(verification->previous);
	int			n = 0;
	ListCell   *lc;

	argv[n++] = "verify-dump";
	argv[n++] = "--level";
	argv[n++] = verification->level;
	if (strcmp(verification->level, "verify") == 0)
	{
		argv[n++] = "--jobs";
		argv[n++] = psprintf("%d", voxanne_verify_jobs);
		argv[n++] = "--progress";
	}
	n = voxanne_kind_pace(argv, n);
	if (memory != NULL)
	{
		argv[n++] = "--remembered";
		argv[n++] = memory;
	}
	foreach(lc, verification->critical_tables)
	{
		argv[n++] = "--table";
		argv[n++] = lfirst(lc);
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

/* What the agent compares with, from an earlier answer's member "backup"; NULL if that had no digest. */
static char *
remembered(JsonbContainer *previous)
{
	char	   *digest = voxanne_json_text(previous, "sha256");
	char	   *time = voxanne_json_text(previous, "finished_at");
	char	   *id = voxanne_json_text(previous, "id");
	int64		size;

	if (digest == NULL || time == NULL || id == NULL || !voxanne_json_int64(previous, "size_bytes", &size))
		return NULL;
	return psprintf("%s " INT64_FORMAT " %s %s", digest, size, time, id);
}
