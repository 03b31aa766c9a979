/*
 * src/backup/record.c
 *		Third step of a cycle: write down what was found and tell it.
 *
 * Cycles may overlap: the worker's and those of users.  Their records do not,
 * because each holds backup_target in SHARE UPDATE EXCLUSIVE mode, which stops
 * nobody else; so the row "*" that is written last has seen all others.
 */
#include "postgres.h"

#include "backup/alerts.h"
#include "backup/cycle.h"
#include "backup/kind.h"
#include "backup/log.h"
#include "backup/summary.h"
#include "backup/target.h"
#include "backup/usable.h"
#include "backup/verdict.h"
#include "backup/wake.h"
#include "catalog/pg_type.h"
#include "core/encoding.h"
#include "core/json.h"
#include "backup/statement.h"
#include "utils/timestamp.h"

/* State of one record step. */
typedef struct Record
{
	VoxStore	store;
	TimestampTz now;			/* of the target rows; "*" is later */
	List	   *before;			/* VoxTarget: as they stood before this cycle */
	const char *level;			/* of the plan */
	int64		duration;		/* of all targets together */
} Record;

static void record_target(Record *record, JsonbContainer *planned, JsonbContainer *result);
static void ask_about(Record *record, const VoxTarget *target, JsonbContainer *result, VoxQuestion *question);
static void clear_request(Record *record, const VoxTarget *target, JsonbContainer *planned);
static VoxSeverity record_summary(Record *record, List *targets);
static void compute_due(VoxStore *store, List *targets, TimestampTz now, VoxCycleDue *due);

bool
voxanne_cycle_record(const char *plan, const char *results, TimestampTz now, VoxCycleDue *due)
{
	Record		record = {0};
	JsonbContainer *planned = voxanne_json_child(voxanne_json_parse(plan), "targets");
	JsonbContainer *found = voxanne_json_child(voxanne_json_parse(voxanne_from_utf8(results)), "results");
	List	   *after;
	VoxSeverity severity;

	voxanne_store_open(&record.store, ShareUpdateExclusiveLock);
	record.now = voxanne_log_time(&record.store, now);
	record.before = voxanne_targets(&record.store, record.now);
	for (int i = 0; i < voxanne_json_length(planned); i++)
		record_target(&record, voxanne_json_element(planned, i),
					  i < voxanne_json_length(found) ? voxanne_json_element(found, i) : NULL);

	after = voxanne_targets(&record.store, record.now);
	severity = record_summary(&record, after);
	voxanne_log_prune(&record.store, record.now);
	voxanne_alerts_raise(&record.store, after, record.now);
	voxanne_alerts_prune(&record.store, record.now);
	compute_due(&record.store, after, record.now, due);
	voxanne_store_close(&record.store);
	voxanne_wake_at_commit();
	return severity < VOX_CRITICAL;
}

char *
voxanne_cycle_claim(bool ping, TimestampTz now, VoxCycleDue *due)
{
	VoxStore	store;
	List	   *targets;
	char	   *tell;

	voxanne_store_open(&store, ShareUpdateExclusiveLock);
	now = voxanne_log_time(&store, now);
	targets = voxanne_targets(&store, now);
	voxanne_alerts_raise(&store, targets, now);
	tell = voxanne_alerts_claim(&store, now, ping);
	compute_due(&store, targets, now, due);
	voxanne_store_close(&store);
	return tell;
}

void
voxanne_cycle_settle(const char *outcomes, TimestampTz now, VoxCycleDue *due)
{
	VoxStore	store;

	voxanne_store_open(&store, ShareUpdateExclusiveLock);
	voxanne_alerts_settle(&store, voxanne_from_utf8(outcomes), now);
	compute_due(&store, voxanne_targets(&store, now), now, due);
	voxanne_store_close(&store);
}

static void
compute_due(VoxStore *store, List *targets, TimestampTz now, VoxCycleDue *due)
{
	due->tell = voxanne_alerts_due(store, targets, now);
	voxanne_cycle_dues(targets, now, due);
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
	const char *problem;
	VoxVerdict	verdict;
	VoxLogRow	row = {0};

	record->level = question.level;
	if (target == NULL)
		return;
	ask_about(record, target, result, &question);
	if (voxanne_json_text(result, "problem") != NULL && voxanne_json_text(result, "detail") == NULL)
		question.problem_detail = voxanne_cycle_refusal(planned, &problem);
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
}

/* What the target's options want to know. */
static void
ask_about(Record *record, const VoxTarget *target, JsonbContainer *result, VoxQuestion *question)
{
	const VoxKind *kind = voxanne_kind(question->kind);
	JsonbContainer *backup = voxanne_json_child(voxanne_json_child(result, "answer"), "backup");
	char	   *backup_id = voxanne_json_text(backup, "id");
	VoxUsable	previous;

	question->max_age = target->max_age;
	question->min_size = voxanne_kind_takes(kind, "min_size") ? target->min_size : -1;
	question->max_size_change = -1;
	question->previous_size = -1;
	if (backup_id == NULL || !voxanne_kind_takes(kind, "max_size_change"))
		return;
	voxanne_find_usable(&record->store, target->name, NULL, backup_id, voxanne_json_text(backup, "finished_at"),
						record->now, &previous);
	question->max_size_change = target->max_size_change;
	question->previous_size = previous.size_bytes;
	question->previous_id = previous.backup_id;
}

/* The request that this cycle answers is done; one made since then is not. */
static void
clear_request(Record *record, const VoxTarget *target, JsonbContainer *planned)
{
	VoxStatement query;
	int64		requested_at;

	if (!voxanne_json_int64(planned, "requested_at", &requested_at) ||
		requested_at != target->requested_at)
		return;
	voxanne_statement_start(&query, psprintf(
											 "UPDATE %s SET requested_at = NULL, requested_level = NULL WHERE name = $1 AND requested_at = $2", record->store.targets));
	voxanne_bind_text(&query, target->name);
	voxanne_bind_time(&query, requested_at);
	voxanne_statement_run(&query);
}

/* Write the row "*", later than the others, and return its severity. */
static VoxSeverity
record_summary(Record *record, List *targets)
{
	VoxLogRow	row = {
		.level = record->level,
		.verified_at = record->now + 1,
		.duration = record->duration,
	};

	voxanne_summarize(targets, &row);
	voxanne_log_write(&record->store, &row);
	return row.severity;
}
