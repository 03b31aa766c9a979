/*
 * src/backup/log.c
 *		Writing backup_verification_log and telling listeners.
 */
#include "postgres.h"

#include "backup/log.h"
#include "backup/verdict.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/dbcommands.h"
#include "core/json.h"
#include "backup/statement.h"
#include "core/settings.h"
#include "core/utc.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* A notification must be shorter than this; the server's limit, which no header names, is 8000. */
#define MAX_PAYLOAD 7900

/* A message longer than this is cut, and so is a backup's name, which may be a stranger's invention, and the instance's; bytes. */
#define MAX_MESSAGE 1000
#define MAX_BACKUP_ID 1024
#define MAX_INSTANCE (NAMEDATALEN - 1)

#define CHANNEL "voxanne_ops"

static void notify(const VoxLogRow *row);
static void cut(char *words, int most);
static char *payload(const VoxLogRow *row, const char *message);

/*
 * The time for the next rows: now, but later than every row that is there, so
 * that the latest row is that of the latest cycle even if the clock was set
 * back a little.  The caller's lock keeps other cycles from writing.
 */
TimestampTz
voxanne_log_time(VoxStore *store, TimestampTz now)
{
	VoxStatement query;
	TimestampTz latest;

	voxanne_statement_start(&query, psprintf("SELECT max(verified_at) FROM %s WHERE verified_at <= $1", store->log));
	voxanne_bind_time(&query, now + VOX_CLOCK_SLACK);
	voxanne_statement_run(&query);
	latest = voxanne_field_time(0, 1);
	return TIMESTAMP_IS_NOBEGIN(latest) ? now : Max(now, latest + 1);
}

/* Insert a row, set its id and notify. */
void
voxanne_log_write(VoxStore *store, VoxLogRow *row)
{
	VoxStatement query;

	voxanne_statement_start(&query, psprintf(
											 "INSERT INTO %s (target, level, verified_at, status, proof, backup_id,"
											 " backup_age_hours, backup_size_mb, duration, checks_passed, checks_failed, error_details, verification_details)"
											 " VALUES ($1, $2, $3, $4, $5, $6, round($7 / 3600000000.0, 2), round($8 / 1048576.0, 2),"
											 " $9 * '1 microsecond'::interval, $10, $11, $12::jsonb, $13::jsonb)"
											 " RETURNING id::text", store->log));
	voxanne_bind_text(&query, row->target);
	voxanne_bind_text(&query, row->level);
	voxanne_bind_time(&query, row->verified_at);
	voxanne_bind_text(&query, voxanne_severity_status(row->severity));
	voxanne_bind_text(&query, row->proof);
	voxanne_bind_text(&query, row->backup_id);
	voxanne_bind(&query, INT8OID, Int64GetDatum(row->age), row->age < 0);
	voxanne_bind(&query, INT8OID, Int64GetDatum(row->size_bytes), row->size_bytes < 0);
	voxanne_bind_int64(&query, row->duration);
	voxanne_bind_int64(&query, row->passed);
	voxanne_bind_int64(&query, row->failed);
	voxanne_bind_text(&query, row->errors);
	voxanne_bind_text(&query, row->details);
	voxanne_statement_run(&query);
	row->id = voxanne_field_text(0, 1);
	notify(row);
}

/* Tell those who LISTEN, once the transaction has committed. */
static void
notify(const VoxLogRow *row)
{
	char	   *message = pstrdup(row->message);
	char	   *text;

	cut(message, MAX_MESSAGE);
	text = payload(row, message);

	if (strlen(text) > MAX_PAYLOAD)
		text = payload(row, NULL);

	Async_Notify(CHANNEL, text);
}

/* Cut a text in place, at a character. */
static void
cut(char *words, int most)
{
	words[pg_mbcliplen(words, strlen(words), most)] = '\0';
}

/* Everything but the message is short, the backup's name even if each of its bytes is escaped. */
static char *
payload(const VoxLogRow *row, const char *message)
{
	char	   *backup_id = row->backup_id == NULL ? NULL : pstrdup(row->backup_id);
	char	   *instance = pstrdup(voxanne_instance_name);
	VoxJson		json;

	if (backup_id != NULL)
		cut(backup_id, MAX_BACKUP_ID);
	cut(instance, MAX_INSTANCE);
	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "target", row->target);
	voxanne_json_put_text(&json, "status", voxanne_severity_status(row->severity));
	voxanne_json_put_text(&json, "level", row->level);
	voxanne_json_put_text(&json, "proof", row->proof);
	voxanne_json_put_text(&json, "backup_id", backup_id);
	voxanne_json_put_hours(&json, "age_hours", row->age);
	voxanne_json_put_int64(&json, "checks_passed", row->passed);
	voxanne_json_put_int64(&json, "checks_failed", row->failed);
	voxanne_json_put_text(&json, "message", message);
	voxanne_json_put_text(&json, "id", row->id);
	voxanne_json_put_text(&json, "instance", instance);
	voxanne_json_put_text(&json, "database", get_database_name(MyDatabaseId));
	voxanne_json_put_text(&json, "at", voxanne_utc(row->verified_at));
	voxanne_json_close(&json, '}');
	return json.text.data;
}

/*
 * Delete rows older than the target's retention, or voxanne_ops.log_retention,
 * but the latest of no target at any level: it is what is known of it.
 */
void
voxanne_log_prune(VoxStore *store, TimestampTz now)
{
	VoxStatement query;

	voxanne_statement_start(&query, psprintf(
											 "DELETE FROM %1$s l WHERE l.verified_at <"
											 " coalesce((SELECT $2 - t.retention FROM %2$s t WHERE t.name = l.target), $1) AND EXISTS"
											 " (SELECT FROM %1$s n WHERE n.target IS NOT DISTINCT FROM l.target"
											 "  AND n.level IS NOT DISTINCT FROM l.level AND n.verified_at > l.verified_at)",
											 store->log, store->targets));
	voxanne_bind_time(&query, voxanne_log_retention == 0 ? DT_NOBEGIN :
					  now - (int64) voxanne_log_retention * USECS_PER_MINUTE);
	voxanne_bind_time(&query, now);
	voxanne_statement_run(&query);
}
