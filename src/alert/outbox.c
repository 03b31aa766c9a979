/*
 * src/alert/outbox.c
 *		From alert_outbox to the world and back: claim, settle, prune.
 *
 * To claim an alert is to put its next attempt off for as long as an attempt
 * can take.  So whoever dies between claiming and settling leaves an alert that
 * is posted again, and two who post at the same time never post the same.  An
 * alert waits for the earlier ones on its subject: a recovery must not overtake
 * the problem.
 */
#include "postgres.h"

#include "alert/alert.h"
#include "backup/alerts.h"
#include "backup/cycle.h"
#include "backup/statement.h"
#include "backup/wake.h"
#include "catalog/pg_type.h"
#include "core/encoding.h"
#include "core/extension.h"
#include "core/settings.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* How long a claim lasts: longer than VOX_ALERT_BUDGET, the last attempt and settling take together. */
#define CLAIM (2 * USECS_PER_MINUTE)

/* As many are claimed at a time. */
#define MAX_CLAIM 20

/* After the first failed attempt there is another in 10 s, then in 20, 40 ... seconds, at last every hour. */
#define FIRST_PAUSE (10 * USECS_PER_SEC)
#define LAST_PAUSE USECS_PER_HOUR

static void put_claimed(VoxJson *json, VoxStore *store, TimestampTz now);
static void settle(const char *outbox, JsonbContainer *outcome, TimestampTz now);
static int64 pause_after(int64 attempts, int64 retry_after);

char *
voxanne_alerts_claim(VoxStore *store, TimestampTz now, bool ping)
{
	VoxJson		json;
	char	   *tell;

	ping = ping && voxanne_heartbeat_url_file[0] != '\0';
	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_int64(&json, "ping", ping ? 1 : 0);
	voxanne_json_open(&json, "alerts", '[');
	if (voxanne_webhook_url_file[0] != '\0')
		put_claimed(&json, store, now);
	voxanne_json_close(&json, ']');
	voxanne_json_close(&json, '}');
	tell = voxanne_to_utf8(json.text.data);
	return ping || voxanne_cycle_has_alerts(tell) ? MemoryContextStrdup(store->caller, tell) : NULL;
}

/* Should we not live to settle it, somebody has to be there when the claim ends: the scheduler. */
static void
put_claimed(VoxJson *json, VoxStore *store, TimestampTz now)
{
	VoxStatement query;
	int			count;

	voxanne_statement_start(&query, psprintf(
											 "WITH due AS (SELECT o.id FROM %1$s o WHERE o.sent_at IS NULL"
											 " AND (SELECT f.next_attempt_at <= $1 OR f.next_attempt_at > $2 FROM %1$s f"
											 "  WHERE f.subject = o.subject AND f.sent_at IS NULL ORDER BY f.created_at, f.id LIMIT 1)"
											 " ORDER BY o.created_at, o.id LIMIT $4),"
											 " claimed AS (UPDATE %1$s o SET next_attempt_at = $3 FROM due WHERE o.id = due.id RETURNING o.*)"
											 " SELECT id::text, subject, attempts::bigint, message, details::text FROM claimed ORDER BY created_at, id",
											 voxanne_own_name("alert_outbox")));
	voxanne_bind_time(&query, now);
	voxanne_bind_time(&query, now + VOX_LONGEST_WAIT);
	voxanne_bind_time(&query, now + CLAIM);
	voxanne_bind_int64(&query, MAX_CLAIM);
	count = voxanne_statement_run(&query);
	for (int row = 0; row < count; row++)
	{
		voxanne_json_open(json, NULL, '{');
		voxanne_json_put_text(json, "id", voxanne_field_text(row, 1));
		voxanne_json_put_text(json, "subject", voxanne_field_text(row, 2));
		voxanne_json_put_int64(json, "attempts", voxanne_field_int64(row, 3, 0));
		voxanne_json_put_text(json, "message", voxanne_field_text(row, 4));
		voxanne_json_put_raw(json, "details", voxanne_field_text(row, 5));
		voxanne_json_close(json, '}');
	}
	if (count > 0)
		voxanne_wake_at_commit();
}

void
voxanne_alerts_settle(VoxStore *store, const char *outcomes, TimestampTz now)
{
	JsonbContainer *list = voxanne_json_child(voxanne_json_parse(outcomes), "outcomes");
	const char *outbox = voxanne_own_name("alert_outbox");

	for (int i = 0; i < voxanne_json_length(list); i++)
		settle(outbox, voxanne_json_element(list, i), now);
	voxanne_wake_at_commit();
}

/*
 * One alert: delivered, failed, or not tried (no "result").  Nothing is done to
 * one that somebody has delivered or deleted in the meantime.
 */
static void
settle(const char *outbox, JsonbContainer *outcome, TimestampTz now)
{
	char	   *result = voxanne_json_text(outcome, "result");
	bool		sent = result != NULL && strcmp(result, "sent") == 0;
	int64		attempts = 0;
	int64		retry_after = 0;
	VoxStatement query;

	(void) voxanne_json_int64(outcome, "attempts", &attempts);
	(void) voxanne_json_int64(outcome, "retry_after", &retry_after);
	if (result != NULL)
		attempts++;
	voxanne_statement_start(&query, psprintf(
											 "UPDATE %s SET attempts = $2, sent_at = $3, next_attempt_at = $4, outcome = coalesce($5, outcome)"
											 " WHERE id = $1::uuid AND sent_at IS NULL", outbox));
	voxanne_bind_text(&query, voxanne_json_text(outcome, "id"));
	voxanne_bind_int64(&query, attempts);
	voxanne_bind_time(&query, sent ? now : DT_NOBEGIN);
	voxanne_bind_time(&query, sent ? DT_NOBEGIN : result == NULL ? now : now + pause_after(attempts, retry_after));
	voxanne_bind_text(&query, voxanne_json_text(outcome, "outcome"));
	voxanne_statement_run(&query);
}

/* Microseconds to wait after so many (> 0) failed attempts; the receiver may ask for more seconds. */
static int64
pause_after(int64 attempts, int64 retry_after)
{
	int64		pause = FIRST_PAUSE << Min(attempts - 1, 16);

	retry_after = Min(Max(retry_after, 0), LAST_PAUSE / USECS_PER_SEC);
	return Min(Max(pause, retry_after * USECS_PER_SEC), LAST_PAUSE);
}

void
voxanne_alerts_prune(VoxStore *store, TimestampTz now)
{
	VoxStatement query;

	if (voxanne_alert_retention == 0)
		return;
	voxanne_statement_start(&query, psprintf("DELETE FROM %s WHERE sent_at IS NOT NULL AND NOT open AND created_at < $1",
											 voxanne_own_name("alert_outbox")));
	voxanne_bind_time(&query, now - (int64) voxanne_alert_retention * USECS_PER_MINUTE);
	voxanne_statement_run(&query);
}
