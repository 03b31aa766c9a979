/*
 * src/backup/kind_basebackup.c
 *		Directories written by pg_basebackup, in plain or tar format.
 */
#include "postgres.h"

#include "backup/kind.h"

static const char *const *basebackup_arguments(const VoxKind *kind, const VoxVerification *verification);

static const char *const options[] = {"min_size", "max_size_change", NULL};

const VoxKind voxanne_kind_basebackup = {
	.name = "basebackup",
	.summary = "a directory written by pg_basebackup, plain or tar",
	.levels = voxanne_kind_both_levels,
	.proofs = voxanne_kind_both_proofs,
	.command = "verify-backup",
	.options = options,
	.location_problem = voxanne_location_problem,
	.arguments = basebackup_arguments,
};

/* See VoxKind. */
static const char *const *
basebackup_arguments(const VoxKind *kind, const VoxVerification *verification)
{
	return voxanne_kind_arguments(kind, verification, NIL);
}
