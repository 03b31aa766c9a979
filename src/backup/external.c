/*
 * src/backup/external.c
 *		record_verification(): a result that the agent produced elsewhere.
 *
 * Where the server cannot run the agent, or cannot reach the backup, somebody
 * else does.  The document then passes the same judgement as one of our own;
 * before that it must be one that the agent could have given for this target,
 * now: an old one that is sent again, by accident or to hide a later failure,
 * is refused.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/cycle.h"
#include "backup/kind.h"
#include "backup/statement.h"
#include "backup/target.h"
#include "child/child.h"
#include "core/encoding.h"
#include "core/json.h"
#include "core/utc.h"
#include "core/words.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* 20 items of some hundred bytes for each check are less; bytes. */
#define MAX_DOCUMENT (4 * 1024 * 1024)

/* A result that was made longer ago says nothing about now. */
#define MAX_AGE USECS_PER_DAY

static void check_document(JsonbContainer *document, const VoxTarget *target);
static void check_times(VoxStore *store, JsonbContainer *document, const VoxTarget *target, const char *level);
static TimestampTz last_known(VoxStore *store, const char *target, const char *level, TimestampTz now);
static char *external_results(const char *text);
static char *latest_status(VoxStore *store, const char *target, TimestampTz now);
VOXANNE_NORETURN static void refuse(const char *detail, const char *hint);

VOXANNE_FUNCTION(voxanne_record_verification);

/*
 * record_verification(result json, target text)
 */
Datum
voxanne_record_verification(PG_FUNCTION_ARGS)
{
	char	   *given = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	JsonbContainer *document;
	char	   *name;
	char	   *level;
	char	   *status;
	VoxStore	store;
	List	   *targets;
	VoxTarget  *target;
	VoxCycleDue due;

	PreventCommandIfReadOnly("record_verification()");
	if (given == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "result")));
	if (strlen(given) > MAX_DOCUMENT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the result of a verification is longer than %d MB", MAX_DOCUMENT / (1024 * 1024))));
	document = voxanne_json_parse(given);
	name = PG_ARGISNULL(1) ? voxanne_json_text(document, "target") : text_to_cstring(PG_GETARG_TEXT_PP(1));
	level = voxanne_json_text(document, "level");
	if (name == NULL)
		refuse("Neither the argument \"target\" nor a member \"target\" of the document names the backup target.",
			   "Name it: SELECT record_verification(result, 'nightly');");

	voxanne_store_open(&store, ShareUpdateExclusiveLock);
	targets = voxanne_targets(&store, GetCurrentTimestamp());
	target = voxanne_find_target(targets, name);
	if (target == NULL)
		voxanne_unknown_target(targets, name);
	voxanne_check_not_suspended(target);
	check_document(document, target);
	voxanne_check_level(target, level);
	check_times(&store, document, target, level);
	voxanne_store_close(&store);

	voxanne_cycle_record(voxanne_cycle_plan_target(target, level), external_results(given), GetCurrentTimestamp(), &due);

	voxanne_store_open(&store, ShareUpdateExclusiveLock);
	status = latest_status(&store, name, GetCurrentTimestamp());
	voxanne_store_close(&store);
	PG_RETURN_TEXT_P(cstring_to_text(status));
}

/* Is it what the agent says of backups of this kind, and of this cluster? */
static void
check_document(JsonbContainer *document, const VoxTarget *target)
{
	const VoxKind *kind = voxanne_kind(target->kind);
	char	   *command = voxanne_json_text(document, "command");
	char	   *provider = voxanne_json_text(document, "provider");
	char	   *cluster = voxanne_json_text(voxanne_json_child(document, "backup"), "system_identifier");
	int64		protocol = 0;

	if (!voxanne_json_int64(document, "protocol", &protocol) || command == NULL ||
		voxanne_json_text(document, "result") == NULL || voxanne_json_text(document, "level") == NULL ||
		voxanne_json_text(document, "at") == NULL)
		refuse("The document lacks one of the members protocol, command, result, level and at.",
			   "Give what voxanne_agent --format json printed, of the same version as this extension.");
	if (protocol != VOX_AGENT_PROTOCOL)
		refuse(psprintf("It is of protocol " INT64_FORMAT ", and this library speaks protocol %d.", protocol, VOX_AGENT_PROTOCOL),
			   "Use the voxanne_agent of the same version as this extension.");
	if (kind == NULL || strcmp(command, kind->command) != 0)
		refuse(psprintf("It is of command \"%s\", but backups of kind \"%s\" are verified by \"%s\".",
						command, target->kind, kind == NULL ? "?" : kind->command), NULL);
	if (provider != NULL && strcmp(provider, target->kind) != 0)
		refuse(psprintf("It is of provider \"%s\", but the target is of kind \"%s\".", provider, target->kind), NULL);
	if (cluster != NULL && strcmp(cluster, psprintf(UINT64_FORMAT, (uint64) target->system_identifier)) != 0)
		refuse(psprintf("It is of a backup of the cluster with system identifier %s; this one has " UINT64_FORMAT ".",
						cluster, (uint64) target->system_identifier), NULL);
}

/* Was it made lately, and after all that is known at its level? */
static void
check_times(VoxStore *store, JsonbContainer *document, const VoxTarget *target, const char *level)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz known = last_known(store, target->name, level, now);
	char	   *finished = voxanne_json_text(voxanne_json_child(document, "backup"), "finished_at");
	TimestampTz at;
	TimestampTz finished_at;

	if (!voxanne_parse_utc(voxanne_json_text(document, "at"), &at))
		refuse("Its member \"at\" is not a time like 2026-01-28T03:00:00Z.", NULL);
	if (at > now + VOX_CLOCK_SLACK)
		refuse(psprintf("It was made %s from now.", voxanne_ago(at - now)), "Set the clocks of both machines right.");
	if (voxanne_parse_utc(finished, &finished_at) && finished_at > now + VOX_CLOCK_SLACK)
		refuse(psprintf("The backup ends %s from now.", voxanne_ago(finished_at - now)), "Set the clocks of both machines right.");
	if (now - at > MAX_AGE)
		refuse(psprintf("It was made %s ago, more than %s.", voxanne_ago(now - at), voxanne_ago(MAX_AGE)),
			   "Verify the backup again.");
	if (at <= known)
		refuse(psprintf("It was made at %s, and what is known of target \"%s\" at level \"%s\" is as new or newer (%s).",
						voxanne_utc(at), target->name, level, voxanne_utc(known)),
			   "Verify the backup again.");
}

/* When the latest verification at the level was made; DT_NOBEGIN: there is none. */
static TimestampTz
last_known(VoxStore *store, const char *target, const char *level, TimestampTz now)
{
	VoxStatement query;
	TimestampTz known = DT_NOBEGIN;
	TimestampTz made;

	voxanne_statement_start(&query, psprintf(
											 "SELECT l.verified_at, l.verification_details ->> 'at' FROM %s l WHERE l.target = $1 AND l.level = $2"
											 " AND l.verified_at <= $3 ORDER BY l.verified_at DESC LIMIT 1", store->log));
	voxanne_bind_text(&query, target);
	voxanne_bind_text(&query, level);
	voxanne_bind_time(&query, now + VOX_CLOCK_SLACK);
	if (voxanne_statement_run(&query) > 0)
	{
		known = voxanne_field_time(0, 1);
		if (voxanne_parse_utc(voxanne_field_text(0, 2), &made))
			known = made;
	}
	return known;
}

/* The document as what run would have written, in UTF-8. */
static char *
external_results(const char *text)
{
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_open(&json, "results", '[');
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "origin", "external");
	voxanne_json_put_raw(&json, "answer", text);
	voxanne_json_close(&json, '}');
	voxanne_json_close(&json, ']');
	voxanne_json_close(&json, '}');
	return voxanne_to_utf8(json.text.data);
}

/* What has just been recorded. */
static char *
latest_status(VoxStore *store, const char *target, TimestampTz now)
{
	VoxTarget  *recorded = voxanne_find_target(voxanne_targets(store, now), target);
	MemoryContext old = MemoryContextSwitchTo(store->caller);
	char	   *status = pstrdup(recorded->status);

	MemoryContextSwitchTo(old);
	return status;
}

static void
refuse(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the result of a verification cannot be recorded"),
			 errdetail("%s", detail),
			 hint == NULL ? 0 : errhint("%s", hint)));
}
