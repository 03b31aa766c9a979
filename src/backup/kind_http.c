/*
 * src/backup/kind_http.c
 *		One object that a web server has.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/settings.h"

static char *http_input(const VoxVerification *verification);

static const char *const levels[] = {"status", "verify", NULL};
static const char *const proofs[] = {"present", "checksummed"};
static const char *const options[] = {"min_size", "max_size_change", NULL};

const VoxKind voxanne_kind_http = {
	.name = "http",
	.summary = "an object at a URL",
	.levels = levels,
	.proofs = proofs,
	.command = "list",
	.options = options,
	.location_problem = voxanne_url_problem,
	.arguments = voxanne_list_arguments,
	.input = http_input,
};

/* See VoxKind. */
static char *
http_input(const VoxVerification *verification)
{
	return voxanne_list_request(verification, "http", voxanne_http_authorization_file, NULL);
}
