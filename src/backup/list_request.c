/*
 * src/backup/list_request.c
 *		What the kinds on the network ask the agent's command list.
 *
 * A request travels on the agent's standard input.  It names files with
 * secrets and holds none.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/json.h"
#include "core/settings.h"
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"

/* So much earlier than we would end it the agent gives up by itself, to say how far it got; microseconds. */
#define MARGIN (2 * USECS_PER_SEC)

static void put_previous(VoxJson *json, const char *key, const char *value);

/* See VoxKind. */
const char *const *
voxanne_list_arguments(const VoxVerification *verification)
{
	static const char *const arguments[] = {"list", NULL};

	return arguments;
}

/* The request; a setting that is empty is left out. */
char *
voxanne_list_request(const VoxVerification *verification, const char *provider,
					 const char *secret_file, const char *region)
{
	int64		timeout = verification->time_limit > 2 * MARGIN ? verification->time_limit - MARGIN : verification->time_limit / 2;
	JsonbContainer *previous = verification->previous;
	int64		size = 0;
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "provider", provider);
	voxanne_json_put_text(&json, "level", verification->level);
	voxanne_json_put_text(&json, "url", verification->location);
	voxanne_json_put_int64(&json, "timeout_ms", Max(timeout / 1000, 1));
	voxanne_json_put_int64(&json, "window_seconds", verification->pitr_window / USECS_PER_SEC);
	if (secret_file != NULL && secret_file[0] != '\0')
		voxanne_json_put_text(&json, "secret_file", secret_file);
	if (region != NULL && region[0] != '\0')
		voxanne_json_put_text(&json, "region", region);
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
