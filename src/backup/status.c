/*
 * src/backup/status.c
 *		backup_status(): how the backups stand.
 *
 * Reads our tables as their owner, so that members of pg_monitor get the full
 * answer; writes nothing and waits for nobody.
 */
#include "postgres.h"

#include "backup/assess.h"
#include "backup/statement.h"
#include "backup/status.h"
#include "backup/target.h"
#include "backup/usable.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/json.h"
#include "core/relation.h"
#include "core/utc.h"
#include "core/words.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/*
 * The function's own columns: target, kind, last_backup, age, last_verified, last_status, proof, next_due, levels,
 * sizes, recovery_window.
 */
#define OWN_COLS 11

/* So many sizes of backups are shown. */
#define SIZES 8

/* What backup_status() shows of a target beyond its row and the latest results. */
typedef struct History
{
	VoxUsable	usable;			/* at any level */
	VoxUsable	status;			/* at level status */
	VoxUsable	verify;
	char	   *sizes;			/* JSON, or NULL */
	char	   *recovery_window;	/* JSON, or NULL */
} History;

static bool status_targets(VoxSink *sink);
static void read_history(VoxStore *store, const VoxTarget *target, TimestampTz now, History *history);
static char *read_sizes(VoxStore *store, const char *target, TimestampTz now);
static char *kept_text(VoxStore *store);
static char *read_recovery_window(VoxStore *store, const char *target, TimestampTz now);
static void add_target(VoxSink *sink, const VoxTarget *target, const History *history, TimestampTz now);
static char *target_detail(const VoxTarget *target, const VoxTargetState *state, const VoxUsable *usable, TimestampTz now);
static Datum level_results(const VoxTarget *target, const History *history, TimestampTz now);
static void put_level(VoxJson *json, const char *level, TimestampTz verified_at, const char *status,
					  const char *problem, const VoxUsable *usable, TimestampTz due);
static void put_time(VoxJson *json, const char *key, TimestampTz time);
static void set_json(Datum *values, bool *nulls, int i, const char *text);
static void add_no_target(VoxSink *sink);
static void set_text(Datum *values, bool *nulls, int i, const char *text);
static void set_time(Datum *values, bool *nulls, int i, TimestampTz time);

VOXANNE_FUNCTION(voxanne_backup_status);

/*
 * backup_status()
 */
Datum
voxanne_backup_status(PG_FUNCTION_ARGS)
{
	VoxSink		sink;

	voxanne_sink_open(&sink, fcinfo);
	if (status_targets(&sink))
		voxanne_status_alerts(&sink);
	voxanne_status_archive(&sink);
	voxanne_status_worker(&sink);
	voxanne_status_heartbeat(&sink);
	voxanne_sink_close(&sink);
	return (Datum) 0;
}

/* False if our tables could not be locked. */
static bool
status_targets(VoxSink *sink)
{
	static const char *const tables[] = {"backup_target", "backup_verification_log"};
	TimestampTz now = GetCurrentTimestamp();
	VoxStore	store;
	List	   *targets;
	List	   *histories = NIL;
	MemoryContext old;
	ListCell   *lc;
	ListCell   *lc2;

	if (!voxanne_status_lock(sink, tables, lengthof(tables),
							 "Somebody holds a lock on the table, so the backup targets cannot be read."))
		return false;
	voxanne_store_open(&store, AccessShareLock);
	targets = voxanne_targets(&store, now);
	old = MemoryContextSwitchTo(store.caller);
	foreach(lc, targets)
		histories = lappend(histories, palloc0_object(History));
	MemoryContextSwitchTo(old);
	forboth(lc, targets, lc2, histories)
		read_history(&store, lfirst(lc), now, lfirst(lc2));
	voxanne_store_close(&store);
	if (targets == NIL)
		add_no_target(sink);
	forboth(lc, targets, lc2, histories)
		add_target(sink, lfirst(lc), lfirst(lc2), now);
	return true;
}

/*
 * Lock tables of ours without waiting, in the order in which others do; else a
 * row that says what that means, and false.
 */
bool
voxanne_status_lock(VoxSink *sink, const char *const tables[], int count, const char *consequence)
{
	Oid			schema = voxanne_extension_schema(NULL);
	bool		dropped = voxanne_hold_extension(false) != VOX_LOCKED;

	for (int i = 0; i < count; i++)
	{
		Oid			relid = get_relname_relid(tables[i], schema);

		if (dropped || voxanne_try_lock(relid, AccessShareLock) == VOX_LOCK_BUSY)
		{
			voxanne_sink_skip(sink, voxanne_relation_name(relid), NULL, consequence,
							  "See blocking_locks() and try again.");
			return false;
		}
	}
	return true;
}

/* Its texts are for the store's caller. */
static void
read_history(VoxStore *store, const VoxTarget *target, TimestampTz now, History *history)
{
	voxanne_find_usable(store, target->name, NULL, NULL, NULL, now, &history->usable);
	voxanne_find_usable(store, target->name, VOX_LEVEL_STATUS, NULL, NULL, now, &history->status);
	voxanne_find_usable(store, target->name, VOX_LEVEL_VERIFY, NULL, NULL, now, &history->verify);
	history->sizes = read_sizes(store, target->name, now);
	history->recovery_window = read_recovery_window(store, target->name, now);
}

/* The last good backups, the newest first, with the growth from the one before as a fraction; NULL if no size is known. */
static char *
read_sizes(VoxStore *store, const char *target, TimestampTz now)
{
	VoxStatement query;

	voxanne_statement_start(&query, psprintf(
											 "WITH seen AS (SELECT l.backup_id, l.verification_details #>> '{backup,finished_at}' AS finished_at, l.verified_at,"
											 "  CASE WHEN jsonb_typeof(l.verification_details #> '{backup,size_bytes}') = 'number'"
											 "   THEN (l.verification_details #>> '{backup,size_bytes}')::numeric END AS size"
											 "  FROM %s l WHERE l.target = $1 AND l.status <> 'failure' AND l.verified_at <= $2),"
											 " backups AS (SELECT backup_id, finished_at, size, max(verified_at) AS latest FROM seen WHERE size >= 0"
											 "  GROUP BY backup_id, finished_at, size ORDER BY latest DESC LIMIT %d),"
											 " changes AS (SELECT *, lead(size) OVER (ORDER BY latest DESC) AS before FROM backups)"
											 " SELECT json_agg(json_build_object('backup_id', backup_id, 'finished_at', finished_at,"
											 "  'size_mb', round(size / 1048576, 2), 'growth', round(size / nullif(before, 0) - 1, 4))"
											 "  ORDER BY latest DESC)::text FROM changes", store->log, SIZES));
	voxanne_bind_text(&query, target);
	voxanne_bind_time(&query, now + VOX_CLOCK_SLACK);
	(void) voxanne_statement_run(&query);
	return kept_text(store);
}

/* The first field of the last result, for the store's caller. */
static char *
kept_text(VoxStore *store)
{
	MemoryContext old = MemoryContextSwitchTo(store->caller);
	char	   *text = voxanne_field_text(0, 1);

	MemoryContextSwitchTo(old);
	return text;
}

/* What the agent last said about it, or NULL. */
static char *
read_recovery_window(VoxStore *store, const char *target, TimestampTz now)
{
	VoxStatement query;

	voxanne_statement_start(&query, psprintf(
											 "SELECT l.verification_details ->> 'recovery_window' FROM %s l WHERE l.target = $1 AND l.verified_at <= $2"
											 " AND jsonb_typeof(l.verification_details -> 'recovery_window') IN ('object', 'array')"
											 " ORDER BY l.verified_at DESC LIMIT 1", store->log));
	voxanne_bind_text(&query, target);
	voxanne_bind_time(&query, now + VOX_CLOCK_SLACK);
	return voxanne_statement_run(&query) == 0 ? NULL : kept_text(store);
}

static void
add_target(VoxSink *sink, const VoxTarget *target, const History *history, TimestampTz now)
{
	TimestampTz due = voxanne_target_due(target, now);
	Datum		values[OWN_COLS] = {0};
	bool		nulls[OWN_COLS] = {false};
	VoxFinding	finding = {0};
	VoxTargetState state;

	voxanne_assess_target(target, now, &state);
	finding.severity = state.severity;
	finding.object = target->name;
	finding.detail = target_detail(target, &state, &history->usable, now);
	finding.advice = state.advice;
	finding.remedy = state.remedy;
	finding.key = voxanne_finding_key(state.check, target->name, NULL);

	set_text(values, nulls, 0, target->name);
	set_text(values, nulls, 1, target->kind);
	set_time(values, nulls, 2, target->finished_at);
	nulls[3] = nulls[2];
	if (!nulls[3])
		values[3] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(Max(now, target->finished_at)),
										TimestampTzGetDatum(target->finished_at));
	set_time(values, nulls, 4, target->verified_at);
	set_text(values, nulls, 5, target->status);
	set_text(values, nulls, 6, target->proof);
	set_time(values, nulls, 7, due);
	values[8] = level_results(target, history, now);
	set_json(values, nulls, 9, history->sizes);
	set_json(values, nulls, 10, history->recovery_window);
	voxanne_sink_add(sink, &finding, values, nulls);
}

/* What is bad, and what there is to restore from all the same. */
static char *
target_detail(const VoxTarget *target, const VoxTargetState *state, const VoxUsable *usable, TimestampTz now)
{
	if (state->severity == VOX_INFO || !state->active || TIMESTAMP_IS_NOBEGIN(target->verified_at))
		return state->detail;
	if (TIMESTAMP_IS_NOBEGIN(usable->verified_at))
		return psprintf("%s Last good: none known.", state->detail);
	return psprintf("%s Last good: %s%s.", state->detail, usable->backup_id == NULL ? "(unnamed)" : usable->backup_id,
					TIMESTAMP_IS_NOBEGIN(usable->finished_at) ? "" :
					psprintf(", %s old (limit %s)", voxanne_ago(now - usable->finished_at), voxanne_ago(target->max_age)));
}

/* Column levels: the last result of each level that has one; what a deeper level found counts for the others, too. */
static Datum
level_results(const VoxTarget *target, const History *history, TimestampTz now)
{
	const VoxUsable *status = history->verify.verified_at > history->status.verified_at ? &history->verify : &history->status;
	bool		active = voxanne_target_due(target, now) != DT_NOEND;
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	put_level(&json, VOX_LEVEL_STATUS, target->verified_at, target->status, target->problem, status,
			  active ? voxanne_level_due(target, VOX_LEVEL_STATUS, now) : DT_NOEND);
	put_level(&json, VOX_LEVEL_VERIFY, target->verify.verified_at, target->verify.status, target->verify.problem,
			  &history->verify, active ? voxanne_level_due(target, VOX_LEVEL_VERIFY, now) : DT_NOEND);
	voxanne_json_close(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.text.data));
}

static void
put_level(VoxJson *json, const char *level, TimestampTz verified_at, const char *status, const char *problem,
		  const VoxUsable *usable, TimestampTz due)
{
	if (TIMESTAMP_IS_NOBEGIN(verified_at))
		return;
	voxanne_json_open(json, level, '{');
	voxanne_json_put_text(json, "status", status);
	put_time(json, "verified_at", verified_at);
	voxanne_json_put_text(json, "check", problem);
	put_time(json, "next_due", due);
	if (!TIMESTAMP_IS_NOBEGIN(usable->verified_at))
	{
		voxanne_json_open(json, "last_good", '{');
		voxanne_json_put_text(json, "backup_id", usable->backup_id);
		put_time(json, "finished_at", usable->finished_at);
		put_time(json, "verified_at", usable->verified_at);
		voxanne_json_close(json, '}');
	}
	voxanne_json_close(json, '}');
}

/* Infinite is null. */
static void
put_time(VoxJson *json, const char *key, TimestampTz time)
{
	voxanne_json_put_text(json, key, TIMESTAMP_NOT_FINITE(time) ? NULL : voxanne_utc(time));
}

static void
set_json(Datum *values, bool *nulls, int i, const char *text)
{
	nulls[i] = text == NULL;
	values[i] = text == NULL ? (Datum) 0 : DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
}

/* Infinite is null. */
static void
set_time(Datum *values, bool *nulls, int i, TimestampTz time)
{
	nulls[i] = TIMESTAMP_NOT_FINITE(time);
	values[i] = TimestampTzGetDatum(time);
}

static void
set_text(Datum *values, bool *nulls, int i, const char *text)
{
	nulls[i] = text == NULL;
	values[i] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

static void
add_no_target(VoxSink *sink)
{
	VoxFinding	finding = {
		.severity = VOX_CRITICAL,
		.object = "backup_target",
		.detail = "No backup target is configured in this database, so no backup is verified.",
		.advice = "Take a backup with pg_basebackup and add the directory that holds it.",
		.remedy = "SELECT add_backup_target('nightly', 'basebackup', '/path/to/backups');",
		.key = voxanne_finding_key("no_backup_target", "backup_target", NULL),
	};

	voxanne_sink_add(sink, &finding, NULL, NULL);
}
