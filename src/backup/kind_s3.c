/*
 * src/backup/kind_s3.c
 *		Objects in a store that speaks S3.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/settings.h"

static char *s3_input(const VoxVerification *verification);

static const char *const levels[] = {"status", "verify", NULL};
static const char *const proofs[] = {"present", "checksummed"};
static const char *const options[] = {"min_size", "max_size_change", NULL};

const VoxKind voxanne_kind_s3 = {
	.name = "s3",
	.summary = "the newest object below a prefix of a bucket, https://host/bucket/prefix",
	.levels = levels,
	.proofs = proofs,
	.command = "list",
	.options = options,
	.location_problem = voxanne_url_problem,
	.arguments = voxanne_list_arguments,
	.input = s3_input,
};

/* See VoxKind. */
static char *
s3_input(const VoxVerification *verification)
{
	return voxanne_list_request(verification, "s3", voxanne_s3_credentials_file, voxanne_s3_region);
}
