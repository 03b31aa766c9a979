/*
 * src/alert/status.c
 *		backup_status(): would anybody hear of it?
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/slots.h"
#include "backup/statement.h"
#include "backup/status.h"
#include "backup/target.h"
#include "core/extension.h"
#include "core/settings.h"
#include "core/words.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* From so many failed attempts on something is wrong for longer than a moment. */
#define WORRYING_ATTEMPTS 3

/* What alert_outbox holds. */
typedef struct Outbox
{
	int64		waiting;		/* not delivered yet */
	int64		attempts;		/* the most for one of them */
	TimestampTz oldest;			/* of them; DT_NOBEGIN: there is none */
	char	   *outcome;		/* of the last attempt for one of them, or
								 * NULL */
	TimestampTz last_sent;		/* DT_NOBEGIN: never */
} Outbox;

static void read_outbox(Outbox *outbox, TimestampTz now);
static void add_outbox(VoxSink *sink, const Outbox *outbox, TimestampTz now);
static char *waiting(const Outbox *outbox, TimestampTz now);
static void add(VoxSink *sink, VoxSeverity severity, const char *object, const char *check,
				const char *detail, const char *advice, const char *remedy);

/* backup_target is locked already. */
void
voxanne_status_alerts(VoxSink *sink)
{
	static const char *const tables[] = {"alert_outbox"};
	TimestampTz now = GetCurrentTimestamp();
	Outbox		outbox = {0};

	if (!voxanne_status_lock(sink, tables, lengthof(tables),
							 "Somebody holds a lock on the table, so it is not known whether alerts are delivered."))
		return;
	read_outbox(&outbox, now);
	if (RecoveryInProgress())
		add(sink, VOX_INFO, "alerts", "alerts_standby",
			"This is a standby: alerts are posted by the primary.", NULL, NULL);
	else if (voxanne_webhook_url_file[0] != '\0')
		add_outbox(sink, &outbox, now);
	else if (outbox.waiting > 0)
		add(sink, VOX_WARNING, "alerts", "alerts_failing",
			psprintf("%s voxanne_ops.webhook_url_file is not set any more.", waiting(&outbox, now)),
			"Set voxanne_ops.webhook_url_file again, or delete them.",
			psprintf("DELETE FROM %s WHERE sent_at IS NULL;", voxanne_own_name("alert_outbox")));
	else
		add(sink, VOX_INFO, "alerts", "alerts_off",
			"No alerts are posted, as voxanne_ops.webhook_url_file is not set; only listeners on channel voxanne_ops are notified.",
			"Write the URL of a webhook into a file of mode 0600 that belongs to the server's user, set voxanne_ops.webhook_url_file to its path and try test_alert().",
			NULL);
}

static void
read_outbox(Outbox *outbox, TimestampTz now)
{
	VoxStore	store;
	VoxStatement query;
	MemoryContext old;

	voxanne_store_open(&store, AccessShareLock);
	voxanne_statement_start(&query, psprintf(
											 "SELECT count(*) FILTER (WHERE sent_at IS NULL), max(attempts) FILTER (WHERE sent_at IS NULL)::bigint,"
											 " min(created_at) FILTER (WHERE sent_at IS NULL),"
											 " (array_agg(outcome ORDER BY attempts DESC, id) FILTER (WHERE sent_at IS NULL AND outcome IS NOT NULL))[1],"
											 " max(sent_at) FROM %s", voxanne_own_name("alert_outbox")));
	(void) voxanne_statement_run(&query);
	old = MemoryContextSwitchTo(store.caller);
	outbox->waiting = voxanne_field_int64(0, 1, 0);
	outbox->attempts = voxanne_field_int64(0, 2, 0);
	outbox->oldest = voxanne_field_time(0, 3);
	outbox->outcome = voxanne_field_text(0, 4);
	outbox->last_sent = voxanne_field_time(0, 5);
	MemoryContextSwitchTo(old);
	voxanne_store_close(&store);
}

static void
add_outbox(VoxSink *sink, const Outbox *outbox, TimestampTz now)
{
	if (outbox->attempts >= WORRYING_ATTEMPTS)
		add(sink, VOX_WARNING, "alerts", "alerts_failing",
			psprintf("%s The last of %d attempts failed: %s", waiting(outbox, now), (int) outbox->attempts,
					 outbox->outcome),
			"Repair what the message names and try it; the worker tries again by itself.",
			"SELECT test_alert();");
	else
		add(sink, VOX_INFO, "alerts", "alerts_ok",
			outbox->waiting > 0 ? waiting(outbox, now) :
			TIMESTAMP_IS_NOBEGIN(outbox->last_sent) ? "Alerts are posted; there was none so far." :
			psprintf("Alerts are posted, the last one %s ago.", voxanne_ago(now - outbox->last_sent)),
			NULL, NULL);
}

static char *
waiting(const Outbox *outbox, TimestampTz now)
{
	return psprintf("%s not delivered yet, the oldest is from %s ago.",
					voxanne_count_of(outbox->waiting, "alert is", "alerts are"), voxanne_ago(now - outbox->oldest));
}

/* Without preload nobody remembers heartbeats. */
void
voxanne_status_heartbeat(VoxSink *sink)
{
	VoxWorkerStatus worker;

	if (voxanne_heartbeat_url_file[0] == '\0' || RecoveryInProgress() ||
		!voxanne_worker_status(MyDatabaseId, &worker))
		return;
	if (worker.ping_error[0] != '\0')
		add(sink, VOX_WARNING, "heartbeat", "heartbeat_failing",
			psprintf("The heartbeat of %s ago did not arrive: %s", voxanne_ago(GetCurrentTimestamp() - worker.pinged),
					 worker.ping_error),
			"Repair what the message names; whoever waits for the heartbeat takes this server for dead.",
			"CALL verify_backup();");
	else
		add(sink, VOX_INFO, "heartbeat", "heartbeat_ok",
			worker.pinged == 0 ? "No heartbeat was sent since the server started; there was no good cycle yet." :
			psprintf("The last heartbeat arrived %s ago.", voxanne_ago(GetCurrentTimestamp() - worker.pinged)),
			NULL, NULL);
}

static void
add(VoxSink *sink, VoxSeverity severity, const char *object, const char *check,
	const char *detail, const char *advice, const char *remedy)
{
	VoxFinding	finding = {
		.severity = severity,
		.object = object,
		.detail = detail,
		.advice = advice,
		.remedy = remedy,
		.key = voxanne_finding_key(check, object, NULL),
	};

	voxanne_sink_add(sink, &finding, NULL, NULL);
}
