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
#include "core/json.h"

static const char *const *dump_arguments(const VoxKind *kind, const VoxVerification *verification);
static char *remembered(JsonbContainer *previous);

static const char *const options[] = {"min_size", "max_size_change", "critical_tables", NULL};

const VoxKind voxanne_kind_dump = {
	.name = "dump",
	.summary = "a file or directory written by pg_dump or pg_dumpall, or a directory of them",
	.levels = voxanne_kind_both_levels,
	.proofs = voxanne_kind_both_proofs,
	.command = "verify-dump",
	.options = options,
	.location_problem = voxanne_location_problem,
	.arguments = dump_arguments,
};

/* See VoxKind.  A dump does not say of which cluster it is. */
static const char *const *
dump_arguments(const VoxKind *kind, const VoxVerification *verification)
{
	VoxVerification of_any = *verification;
	char	   *memory = remembered(verification->previous);
	List	   *more = NIL;
	ListCell   *lc;

	of_any.system_identifier = NULL;
	if (memory != NULL)
		more = voxanne_kind_option(more, "--remembered", memory);
	foreach(lc, verification->critical_tables)
		more = voxanne_kind_option(more, "--table", lfirst(lc));
	return voxanne_kind_arguments(kind, &of_any, more);
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
