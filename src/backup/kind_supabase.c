/*
 * src/backup/kind_supabase.c
 *		Backups that a hosted Supabase project says it has.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/settings.h"

static char *supabase_input(const VoxVerification *verification);

static const char *const levels[] = {"status", NULL};
static const char *const proofs[] = {"listed"};
static const char *const options[] = {"pitr_window", NULL};

const VoxKind voxanne_kind_supabase = {
	.name = "supabase",
	.summary = "what the Management API says of a project, https://api.supabase.com/v1/projects/REF",
	.levels = levels,
	.proofs = proofs,
	.command = "list",
	.options = options,
	.location_problem = voxanne_url_problem,
	.arguments = voxanne_list_arguments,
	.input = supabase_input,
};

/* See VoxKind. */
static char *
supabase_input(const VoxVerification *verification)
{
	return voxanne_list_request(verification, "supabase", voxanne_supabase_token_file, NULL);
}
