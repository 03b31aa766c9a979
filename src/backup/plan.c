/*
 * src/backup/plan.c
 *		First step of a cycle: what to verify.
 */
#include "postgres.h"

#include "backup/cycle.h"
#include "backup/kind.h"
#include "backup/target.h"
#include "core/json.h"
#include "utils/timestamp.h"

static List *read_targets(TimestampTz now);
static char *write_plan(List *targets, const char *level);
static void write_target(VoxJson *json, const VoxTarget *target, const char *level);
static VoxTarget *named_target(List *targets, const char *name);
static void check_level(const VoxTarget *target, const char *level);

/* The level that the schedule asks for. */
#define SCHEDULED_LEVEL "status"

char *
voxanne_cycle_plan(TimestampTz now, const char *only, TimestampTz *next_due)
{
	List	   *targets = read_targets(now);
	List	   *due = NIL;
	ListCell   *lc;

	if (only != NULL)
		due = list_make1(named_target(targets, only));
	*next_due = DT_NOEND;
	foreach(lc, targets)
	{
		VoxTarget  *target = lfirst(lc);
		TimestampTz at = voxanne_target_due(target, now);

		if (at <= now)
		{
			if (only == NULL)
				due = lappend(due, target);
			at = now + target->status_interval;
		}
		*next_due = Min(*next_due, at);
	}
	return due == NIL ? NULL : write_plan(due, SCHEDULED_LEVEL);
}

char *
voxanne_cycle_plan_now(const char *only, const char *level)
{
	List	   *targets = read_targets(GetCurrentTimestamp());
	List	   *wanted = NIL;
	ListCell   *lc;

	if (only != NULL)
	{
		VoxTarget  *target = named_target(targets, only);

		voxanne_check_not_suspended(target);
		wanted = list_make1(target);
	}
	else
		foreach(lc, targets)
		{
			VoxTarget  *target = lfirst(lc);

			if (TIMESTAMP_IS_NOBEGIN(target->paused_at) && !voxanne_target_suspended(target))
				wanted = lappend(wanted, target);
		}
	if (wanted == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no backup target to verify"),
				 targets == NIL ?
				 errdetail("No target has been added in this database.") :
				 errdetail("All targets are paused or suspended."),
				 targets == NIL ?
				 errhint("Add one: SELECT add_backup_target('nightly', 'basebackup', '/path/to/backup');") :
				 errhint("Name one, or resume it: SELECT resume_backup_target(name);")));
	foreach(lc, wanted)
		check_level(lfirst(lc), level);
	return write_plan(wanted, level);
}

static List *
read_targets(TimestampTz now)
{
	VoxStore	store;
	List	   *targets;

	voxanne_store_open(&store, AccessShareLock);
	targets = voxanne_targets(&store, now);
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
static void
check_level(const VoxTarget *target, const char *level)
{
	const VoxKind *kind = voxanne_kind(target->kind);

	if (kind != NULL && voxanne_kind_proof(kind, level) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("backup target \"%s\" cannot be verified at level \"%s\"", target->name, level),
				 errhint("Levels for kind %s: %s.", kind->name, voxanne_kind_levels(kind))));
}

static char *
write_plan(List *targets, const char *level)
{
	VoxJson		json;
	ListCell   *lc;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_open(&json, "targets", '[');
	foreach(lc, targets)
		write_target(&json, lfirst(lc), level);
	voxanne_json_close(&json, ']');
	voxanne_json_close(&json, '}');
	return json.text.data;
}

static void
write_target(VoxJson *json, const VoxTarget *target, const char *level)
{
	voxanne_json_open(json, NULL, '{');
	voxanne_json_put_text(json, "name", target->name);
	voxanne_json_put_text(json, "kind", target->kind);
	voxanne_json_put_text(json, "location", target->location);
	voxanne_json_put_text(json, "level", level);
	voxanne_json_put_int64(json, "time_limit", target->time_limit);
	if (!TIMESTAMP_IS_NOBEGIN(target->requested_at))
		voxanne_json_put_int64(json, "requested_at", target->requested_at);
	voxanne_json_close(json, '}');
}
