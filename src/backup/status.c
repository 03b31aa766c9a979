/*
 * src/backup/status.c
 *		backup_status(): how the backups stand.
 *
 * Reads our tables as their owner, so that members of pg_monitor get the full
 * answer; writes nothing and waits for nobody.
 */
#include "postgres.h"

#include "backup/assess.h"
#include "backup/status.h"
#include "backup/target.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/json.h"
#include "core/relation.h"
#include "core/utc.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* The function's own columns: target, kind, last_backup, age, last_verified, last_status, proof, next_due, levels. */
#define OWN_COLS 9

static bool status_targets(VoxSink *sink);
static void add_target(VoxSink *sink, const VoxTarget *target, TimestampTz now);
static Datum level_results(const VoxTarget *target);
static void put_level(VoxJson *json, const char *level, TimestampTz verified_at, const char *status,
					  const char *problem);
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
	ListCell   *lc;

	if (!voxanne_status_lock(sink, tables, lengthof(tables),
							 "Somebody holds a lock on the table, so the backup targets cannot be read."))
		return false;
	voxanne_store_open(&store, AccessShareLock);
	targets = voxanne_targets(&store, now);
	voxanne_store_close(&store);
	if (targets == NIL)
		add_no_target(sink);
	foreach(lc, targets)
		add_target(sink, lfirst(lc), now);
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

static void
add_target(VoxSink *sink, const VoxTarget *target, TimestampTz now)
{
	TimestampTz due = voxanne_target_due(target, now);
	Datum		values[OWN_COLS] = {0};
	bool		nulls[OWN_COLS] = {false};
	VoxFinding	finding = {0};
	VoxTargetState state;

	voxanne_assess_target(target, now, &state);
	finding.severity = state.severity;
	finding.object = target->name;
	finding.detail = state.detail;
	finding.advice = state.advice;
	finding.remedy = state.remedy;
	finding.key = voxanne_finding_key(state.check, target->name, NULL);

	set_text(values, nulls, 0, target->name);
	set_text(values, nulls, 1, target->kind);
	set_time(values, nulls, 2, target->finished_at);
	nulls[3] = nulls[2];
	if (!nulls[3])
		values[3] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(now), TimestampTzGetDatum(target->finished_at));
	set_time(values, nulls, 4, target->verified_at);
	set_text(values, nulls, 5, target->status);
	set_text(values, nulls, 6, target->proof);
	set_time(values, nulls, 7, due);
	values[8] = level_results(target);
	voxanne_sink_add(sink, &finding, values, nulls);
}

/* Column levels: the last result of each level that has one; what a deeper level found counts for the others, too. */
static Datum
level_results(const VoxTarget *target)
{
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	put_level(&json, VOX_LEVEL_STATUS, target->verified_at, target->status, target->problem);
	put_level(&json, VOX_LEVEL_VERIFY, target->verify.verified_at, target->verify.status, target->verify.problem);
	voxanne_json_close(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.text.data));
}

static void
put_level(VoxJson *json, const char *level, TimestampTz verified_at, const char *status, const char *problem)
{
	if (TIMESTAMP_IS_NOBEGIN(verified_at))
		return;
	voxanne_json_open(json, level, '{');
	voxanne_json_put_text(json, "status", status);
	voxanne_json_put_text(json, "verified_at", voxanne_utc(verified_at));
	voxanne_json_put_text(json, "check", problem);
	voxanne_json_close(json, '}');
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
