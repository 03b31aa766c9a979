/*
 * src/backup/plan.c
 *		First step of a cycle: what to verify.
 */
#include "postgres.h"

#include "backup/alerts.h"
#include "backup/base_backups.h"
#include "backup/cycle.h"
#include "backup/kind.h"
#include "backup/target.h"
#include "backup/turn.h"
#include "core/json.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

static List *read_targets(TimestampTz now, VoxCycleDue *due);
static VoxTarget *named_target(List *targets, const char *name);
static void start_plan(VoxJson *json);
static void add_target(VoxJson *json, const VoxTarget *target, const char *level);
static char *end_plan(VoxJson *json);
static TimestampTz lane_due(const VoxTarget *target, VoxLaneId lane, TimestampTz now, bool *held);

char *
voxanne_cycle_plan(TimestampTz now, VoxLaneId lane, VoxCycleDue *due)
{
	List	   *targets = read_targets(now, due);
	VoxJson		json;
	bool		held;
	ListCell   *lc;

	voxanne_cycle_dues(targets, now, due);
	if (due->verify[lane] > now)
		return NULL;

	due->verify[lane] = DT_NOEND;
	start_plan(&json);
	foreach(lc, targets)
	{
		VoxTarget  *target = lfirst(lc);
		TimestampTz at = lane_due(target, lane, now, &held);

		if (at <= now)
		{
			add_target(&json, target, voxanne_lane_level(lane));
			at = now + (lane == VOX_LANE_STATUS ? target->status_interval : target->verify_interval);
		}
		due->verify[lane] = Min(due->verify[lane], at);
	}
	return end_plan(&json);
}

/* When there is something to verify, at each level. */
void
voxanne_cycle_dues(List *targets, TimestampTz now, VoxCycleDue *due)
{
	for (int lane = 0; lane < VOX_LANE_COUNT; lane++)
	{
		ListCell   *lc;

		due->held[lane] = false;
		due->verify[lane] = DT_NOEND;
		foreach(lc, targets)
			due->verify[lane] = Min(due->verify[lane], lane_due(lfirst(lc), lane, now, &due->held[lane]));
	}
}

/*
 * When a lane has something to do for the target.  One that a session verifies
 * is left to that for a while, and so is to the lane verify what that does soon;
 * one that the other lane verifies is not due before that has said that it is.
 */
static TimestampTz
lane_due(const VoxTarget *target, VoxLaneId lane, TimestampTz now, bool *held)
{
	TimestampTz due = voxanne_target_due_at(target, voxanne_lane_level(lane), now);

	if (due > now)
		return due;
	if (voxanne_lane_other_has(lane, target->name))
	{
		*held = true;
		return DT_NOEND;
	}
	if (voxanne_turn_taken(target->name))
		return now + VOX_TURN_PAUSE;
	if (lane == VOX_LANE_STATUS && voxanne_lane_verifies_soon(now) &&
		voxanne_target_due_at(target, VOX_LEVEL_VERIFY, now) <= now)
		return now + VOX_TURN_PAUSE;
	return due;
}

char *
voxanne_cycle_plan_now(const char *only, const char *level)
{
	List	   *targets = read_targets(GetCurrentTimestamp(), NULL);
	List	   *wanted;
	VoxJson		json;
	ListCell   *lc;

	if (only != NULL)
	{
		VoxTarget  *target = named_target(targets, only);

		voxanne_check_not_suspended(target);
		voxanne_check_level(target, level);
		wanted = list_make1(target);
	}
	else
		wanted = voxanne_targets_at(targets, level);
	if (wanted == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no backup target to verify"),
				 targets == NIL ?
				 errdetail("No target has been added in this database.") :
				 errdetail("All targets are paused, suspended or verified elsewhere."),
				 targets == NIL ?
				 errhint("Add one: SELECT add_backup_target('nightly', 'basebackup', '/path/to/backup');") :
				 errhint("Name one, or resume it: SELECT resume_backup_target(name);")));
	start_plan(&json);
	foreach(lc, wanted)
		add_target(&json, lfirst(lc), level);
	return end_plan(&json);
}

/*
 * Those of the targets that "all" means at a level: verified by us, and of a
 * kind that has it.  ERROR 0A000 if there are such, but the level suits none.
 */
List *
voxanne_targets_at(List *targets, const char *level)
{
	List	   *wanted = NIL;
	VoxTarget  *other = NULL;
	ListCell   *lc;

	foreach(lc, targets)
	{
		VoxTarget  *target = lfirst(lc);

		if (!TIMESTAMP_IS_NOBEGIN(target->paused_at) || voxanne_target_suspended(target) || target->external)
			continue;
		if (voxanne_target_has_level(target, level))
			wanted = lappend(wanted, target);
		else
			other = target;
	}
	if (wanted == NIL && other != NULL)
		voxanne_check_level(other, level);
	return wanted;
}

/* A plan for one target at one level. */
char *
voxanne_cycle_plan_target(const VoxTarget *target, const char *level)
{
	VoxJson		json;

	start_plan(&json);
	add_target(&json, target, level);
	return end_plan(&json);
}

/* Name of the one target of a part; NULL without any. */
char *
voxanne_cycle_target(const char *plan)
{
	JsonbContainer *targets = voxanne_json_child(voxanne_json_parse(plan), "targets");

	return voxanne_json_length(targets) == 0 ? NULL : voxanne_json_text(voxanne_json_element(targets, 0), "name");
}

/* The parts are as the plan has them, without looking at what that is. */
List *
voxanne_cycle_parts(const char *plan)
{
	JsonbContainer *targets = voxanne_json_child(voxanne_json_parse(plan), "targets");
	List	   *parts = NIL;

	for (int i = 0; i < voxanne_json_length(targets); i++)
	{
		VoxJson		json;

		start_plan(&json);
		voxanne_json_put_container(&json, NULL, voxanne_json_element(targets, i));
		parts = lappend(parts, end_plan(&json));
	}
	return parts;
}

/* All targets; "due" receives, unless it is NULL, when there is something to tell. */
static List *
read_targets(TimestampTz now, VoxCycleDue *due)
{
	VoxStore	store;
	List	   *targets;
	ListCell   *lc;

	voxanne_store_open(&store, AccessShareLock);
	targets = voxanne_targets(&store, now);
	foreach(lc, targets)
	{
		VoxTarget  *target = lfirst(lc);
		const VoxKind *kind = voxanne_kind(target->kind);

		if (kind != NULL && kind->serves_backups)
			target->base_backups = voxanne_base_backups(&store, targets, now);
	}
	if (due != NULL)
		due->tell = voxanne_alerts_due(&store, targets, now);
	voxanne_store_close(&store);
	return targets;
}

static VoxTarget *
named_target(List *targets, const char *name)
{
	VoxTarget  *target = voxanne_find_target(targets, name);

	if (target == NULL)
		voxanne_unknown_target(targets, name);
	return target;
}

/* ERROR 0A000 if backups of the target's kind cannot be verified at the level. */
void
voxanne_check_level(const VoxTarget *target, const char *level)
{
	const VoxKind *kind = voxanne_kind(target->kind);

	if (kind != NULL && voxanne_kind_proof(kind, level) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("backup target \"%s\" cannot be verified at level \"%s\"", target->name, level),
				 errhint("Levels for kind %s: %s.", kind->name, voxanne_kind_levels(kind))));
}

static void
start_plan(VoxJson *json)
{
	voxanne_json_start(json);
	voxanne_json_open(json, NULL, '{');
	voxanne_json_open(json, "targets", '[');
}

static char *
end_plan(VoxJson *json)
{
	voxanne_json_close(json, ']');
	voxanne_json_close(json, '}');
	return json->text.data;
}

/* A verification that does less than was requested leaves the request as it is. */
static void
add_target(VoxJson *json, const VoxTarget *target, const char *level)
{
	bool		deep = strcmp(level, VOX_LEVEL_VERIFY) == 0;

	voxanne_json_open(json, NULL, '{');
	voxanne_json_put_text(json, "name", target->name);
	voxanne_json_put_text(json, "kind", target->kind);
	voxanne_json_put_text(json, "location", target->location);
	voxanne_json_put_text(json, "level", level);
	voxanne_json_put_int64(json, "database", MyDatabaseId);
	voxanne_json_put_raw(json, "critical_tables", target->critical_tables);
	voxanne_json_put_int64(json, "pitr_window", target->pitr_window);
	voxanne_json_put_raw(json, "base_backups", target->base_backups);
	voxanne_json_put_text(json, "repository", target->repository);
	voxanne_json_put_raw(json, "previous", target->verify.backup);
	voxanne_json_put_int64(json, "time_limit", deep ? target->verify_time_limit : target->time_limit);
	if (!TIMESTAMP_IS_NOBEGIN(target->requested_at) &&
		(deep || target->requested_level == NULL || strcmp(target->requested_level, level) == 0))
		voxanne_json_put_int64(json, "requested_at", target->requested_at);
	voxanne_json_close(json, '}');
}
