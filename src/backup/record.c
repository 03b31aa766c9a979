/*
 * src/backup/record.c
 *		Third step of a cycle: write down what was found and tell it.
 *
 * Cycles may overlap: the worker's and those of users.  Their records do not,
 * because each holds backup_target in SHARE UPDATE EXCLUSIVE mode, which stops
 * nobody else; so the row "*" that is written last has seen all others.
 */
#include "postgres.h"

#include "backup/assess.h"
#include "backup/cycle.h"
#include "backup/log.h"
#include "backup/summary.h"
#include "backup/target.h"
#include "backup/verdict.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "core/encoding.h"
#include "core/json.h"
#include "backup/statement.h"
#include "core/settings.h"
#include "core/utc.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* State of one record step. */
typedef struct Record
{
	VoxStore	store;
	TimestampTz now;			/* of the target rows; "*" is later */
	List	   *before;			/* VoxTarget: as they stood before this cycle */
	VoxJson		alerts;
	int			n_alerts;
	const char *level;			/* of the plan */
	int64		duration;		/* of all targets together */
} Record;

static void record_target(Record *record, JsonbContainer *planned, JsonbContainer *result);
static void clear_request(Record *record, const VoxTarget *target, JsonbContainer *planned);
static void add_alert(Record *record, const VoxTarget *before, const VoxLogRow *row);
static void record_summary(Record *record, List *targets);
static TimestampTz first_due(List *targets, TimestampTz now);

char *
voxanne_cycle_record(const char *plan, const char *results, TimestampTz now, TimestampTz *next_due)
{
	Record		record = {0};
	JsonbContainer *planned = voxanne_json_child(voxanne_json_parse(plan), "targets");
	JsonbContainer *found = voxanne_json_child(voxanne_json_parse(voxanne_from_utf8(results)), "results");
	List	   *after;
	char	   *alerts = NULL;

	voxanne_store_open(&record.store, ShareUpdateExclusiveLock);
	record.now = voxanne_log_time(&record.store, now);
	record.before = voxanne_targets(&record.store, record.now);
	voxanne_json_start(&record.alerts);
	voxanne_json_open(&record.alerts, NULL, '{');
	voxanne_json_open(&record.alerts, "alerts", '[');
	for (int i = 0; i < voxanne_json_length(planned); i++)
		record_target(&record, voxanne_json_element(planned, i),
					  i < voxanne_json_length(found) ? voxanne_json_element(found, i) : NULL);
	voxanne_json_close(&record.alerts, ']');
	voxanne_json_close(&record.alerts, '}');

	after = voxanne_targets(&record.store, record.now);
	record_summary(&record, after);
	voxanne_log_prune(&record.store, record.now);
	*next_due = first_due(after, record.now);
	if (record.n_alerts > 0)
		alerts = MemoryContextStrdup(record.store.caller, voxanne_to_utf8(record.alerts.text.data));
	voxanne_store_close(&record.store);
	return alerts;
}

/* Write the row of one target, if it still exists. */
static void
record_target(Record *record, JsonbContainer *planned, JsonbContainer *result)
{
	char	   *name = voxanne_json_text(planned, "name");
	VoxTarget  *target = voxanne_find_target(record->before, name);
	VoxQuestion question = {
		.kind = voxanne_json_text(planned, "kind"),
		.level = voxanne_json_text(planned, "level"),
		.now = record->now,
	};
	VoxVerdict	verdict;
	VoxLogRow	row = {0};

	record->level = question.level;
	if (target == NULL)
		return;
	question.max_age = target->max_age;
	voxanne_verdict_reach(&question, result, &verdict);

	row.target = name;
	row.level = question.level;
	row.verified_at = record->now;
	row.severity = verdict.severity;
	row.proof = verdict.proof;
	row.backup_id = verdict.backup_id;
	row.age = TIMESTAMP_IS_NOBEGIN(verdict.finished_at) ? -1 : Max(record->now - verdict.finished_at, 0);
	row.size_bytes = verdict.size_bytes;
	row.duration = verdict.duration;
	row.passed = verdict.passed;
	row.failed = verdict.failed;
	row.errors = verdict.errors;
	row.details = verdict.details;
	row.message = verdict.message;
	voxanne_log_write(&record->store, &row);
	record->duration += verdict.duration;
	clear_request(record, target, planned);
	add_alert(record, target, &row);
}

/* The request that this cycle answers is done; one made since then is not. */
static void
clear_request(Record *record, const VoxTarget *target, JsonbContainer *planned)
{
	VoxStatement	query;
	int64		requested_at;

	if (!voxanne_json_int64(planned, "requested_at", &requested_at) ||
		requested_at != target->requested_at)
		return;
	voxanne_statement_start(&query, psprintf(
		"UPDATE %s SET requested_at = NULL WHERE name = $1 AND requested_at = $2", record->store.targets));
	voxanne_bind_text(&query, target->name);
	voxanne_bind_time(&query, requested_at);
	voxanne_statement_run(&query);
}

/*
 * An alert for a status that is another than last time; a target without a
 * last time counts as good until then.  What room alert makes of it is its
 * business; it has no catalog, so all that it may say is here.
 */
static void
add_alert(Record *record, const VoxTarget *before, const VoxLogRow *row)
{
	const char *previous = before->status == NULL ? "success" : before->status;
	VoxJson    *json = &record->alerts;

	if (voxanne_status_severity(previous) == row->severity)
		return;
	record->n_alerts++;
	voxanne_json_open(json, NULL, '{');
	voxanne_json_put_text(json, "severity", voxanne_severity_name(row->severity));
	voxanne_json_put_text(json, "target", row->target);
	voxanne_json_put_text(json, "status", voxanne_severity_status(row->severity));
	voxanne_json_put_text(json, "previous_status", previous);
	voxanne_json_put_text(json, "message", row->message);
	voxanne_json_put_text(json, "next", row->severity == VOX_INFO ? NULL :
						  psprintf("CALL verify_backup(%s);", quote_literal_cstr(row->target)));
	voxanne_json_put_text(json, "database", get_database_name(MyDatabaseId));
	voxanne_json_put_text(json, "backup_id", row->backup_id);
	voxanne_json_put_hours(json, "age_hours", row->age);
	voxanne_json_put_text(json, "id", row->id);
	voxanne_json_put_text(json, "at", voxanne_utc(row->verified_at));
	voxanne_json_close(json, '}');
}

static TimestampTz
first_due(List *targets, TimestampTz now)
{
	TimestampTz first = DT_NOEND;
	ListCell   *lc;

	foreach(lc, targets)
		first = Min(first, voxanne_target_due(lfirst(lc), now));
	return first;
}

/* Write the row "*", later than the others. */
static void
record_summary(Record *record, List *targets)
{
	VoxLogRow	row = {
		.level = record->level,
		.verified_at = record->now + 1,
		.duration = record->duration,
	};

	voxanne_summarize(targets, &row);
	voxanne_log_write(&record->store, &row);
}
