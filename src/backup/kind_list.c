/*
 * src/backup/kind_list.c
 *		Kinds of backups on the network, which the agent's command list looks at.
 *
 * They differ by a row.  A request travels on the agent's standard input.  It
 * names files with secrets and holds none.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/json.h"
#include "core/settings.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"

static const char *const *list_arguments(const VoxKind *kind, const VoxVerification *verification);
static char *list_request(const VoxKind *kind, const VoxVerification *verification);
static void put_previous(VoxJson *json, const char *key, const char *value);

static const char *const status_level[] = {"status", NULL};
static const char *const status_proof[] = {"listed"};
static const char *const size_options[] = {"min_size", "max_size_change", NULL};

/* What point-in-time recovery of hosted projects reaches back by at most; where the target asks for nothing. */
#define STANDARD_WINDOW (30 * USECS_PER_DAY)

static const char *const window_options[] = {"pitr_window", NULL};

/* What the rows share */
#define ALL_LIST_KINDS \
	.command = "list", \
	.location_problem = voxanne_url_problem, \
	.arguments = list_arguments, \
	.input = list_request

const VoxKind voxanne_list_kinds[VOX_LIST_KINDS] = {
	[VOX_LIST_HTTP] = {
		.name = "http",
		.summary = "an object at a URL",
		ALL_LIST_KINDS,
		.levels = voxanne_kind_both_levels,
		.proofs = voxanne_kind_both_proofs,
		.options = size_options,
		.secret_file = &voxanne_http_authorization_file,
	},
	[VOX_LIST_S3] = {
		.name = "s3",
		.summary = "the newest object below a prefix of a bucket, https://host/bucket/prefix",
		ALL_LIST_KINDS,
		.levels = voxanne_kind_both_levels,
		.proofs = voxanne_kind_both_proofs,
		.options = size_options,
		.secret_file = &voxanne_s3_credentials_file,
		.region = &voxanne_s3_region,
	},
	[VOX_LIST_SUPABASE] = {
		.name = "supabase",
		.summary = "what the Management API says of a project, https://api.supabase.com/v1/projects/REF",
		ALL_LIST_KINDS,
		.levels = status_level,
		.proofs = status_proof,
		.options = window_options,
		.secret_file = &voxanne_supabase_token_file,
	},
};

/* See VoxKind. */
static const char *const *
list_arguments(const VoxKind *kind, const VoxVerification *verification)
{
	static const char *const arguments[] = {"list", NULL};

	return arguments;
}

/* See VoxKind.  A setting that is empty is left out. */
static char *
list_request(const VoxKind *kind, const VoxVerification *verification)
{
	int64		timeout = voxanne_own_deadline(verification);
	JsonbContainer *previous = verification->previous;
	int64		size = 0;
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "provider", kind->name);
	voxanne_json_put_text(&json, "level", verification->level);
	voxanne_json_put_text(&json, "url", verification->location);
	voxanne_json_put_int64(&json, "timeout_ms", Max(timeout / 1000, 1));
	voxanne_json_put_int64(&json, "window_seconds", (verification->pitr_window > 0 ? verification->pitr_window : STANDARD_WINDOW) / USECS_PER_SEC);
	if ((*kind->secret_file)[0] != '\0')
		voxanne_json_put_text(&json, "secret_file", *kind->secret_file);
	if (kind->region != NULL && (*kind->region)[0] != '\0')
		voxanne_json_put_text(&json, "region", *kind->region);
	put_previous(&json, "previous_id", voxanne_json_text(previous, "id"));
	put_previous(&json, "previous_finished_at", voxanne_json_text(previous, "finished_at"));
	put_previous(&json, "previous_etag", voxanne_json_text(previous, "etag"));
	put_previous(&json, "previous_sha256", voxanne_json_text(previous, "sha256"));
	if (voxanne_json_int64(previous, "size_bytes", &size) && size >= 0)
		voxanne_json_put_int64(&json, "previous_size_bytes", size);
	if (voxanne_ca_file[0] != '\0')
		voxanne_json_put_text(&json, "ca_file", voxanne_ca_file);
	voxanne_json_put_raw(&json, "allow_http", voxanne_allow_http ? "true" : "false");
	voxanne_json_close(&json, '}');
	return json.text.data;
}

/*
 * The agent reads UTF-8 and nothing can be converted without a catalog: in
 * another encoding a text beyond ASCII counts as not known.
 */
static void
put_previous(VoxJson *json, const char *key, const char *value)
{
	bool		plain = true;

	for (const char *at = value; at != NULL && *at != '\0'; at++)
		plain &= !IS_HIGHBIT_SET(*at);
	if (value != NULL && (plain || GetDatabaseEncoding() == PG_UTF8))
		voxanne_json_put_text(json, key, value);
}
