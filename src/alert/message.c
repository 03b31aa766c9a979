/*
 * src/alert/message.c
 *		What an alert says: how bad, where, what, since when, why, what to do.
 *
 * One line that is complete on a telephone at night:
 *
 * CRITICAL [prod] nightly: no usable backup for 31 h (limit 24 h). Last good:
 * base, 2026-01-27 20:00 UTC. Cause: ... Next: CALL verify_backup('nightly');
 */
#include "postgres.h"

#include "alert/alert.h"
#include "backup/usable.h"
#include "backup/verdict.h"
#include "commands/dbcommands.h"
#include "core/settings.h"
#include "core/utc.h"
#include "core/words.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* A cause longer than this is cut; bytes. */
#define MAX_CAUSE 1000

/* What is said where a usable backup that is too old does not say it all. */
static const struct
{
	const char *check;
	const char *headline;
}			headlines[] = {
	{"backup_failed", "the newest backup is not usable"},
	{"backup_unverifiable", "the backup could not be verified"},
	{"backup_warning", "something is wrong with the newest backup"},
	{"backup_overdue", "the backup has not been verified for a while"},
};

static const char *const event_names[] = {
	[VOX_ALERT_NONE] = NULL,
	[VOX_ALERT_PROBLEM] = "problem",
	[VOX_ALERT_REMINDER] = "reminder",
	[VOX_ALERT_RECOVERY] = "recovery",
	[VOX_ALERT_REMOVAL] = "removal",
};

static char *body(const VoxAlert *alert, const VoxUsable *usable);
static char *headline(const VoxAlert *alert, const VoxUsable *usable);
static char *last_good(const VoxUsable *usable);
static char *cut(const char *text);
static char *details(const VoxAlert *alert, const VoxUsable *usable, const char *text);

/* Word for an event, as alert_outbox has it; a constant. */
const char *
voxanne_alert_event_name(VoxAlertEvent event)
{
	return event_names[event];
}

/* Set the alert's message and details, in the database's encoding. */
void
voxanne_alert_compose(VoxStore *store, VoxAlert *alert)
{
	VoxUsable	usable = {.finished_at = DT_NOBEGIN};
	char	   *text;

	if (alert->target != NULL)
		voxanne_find_usable(store, alert->subject, NULL, NULL, NULL, alert->now, &usable);
	text = body(alert, &usable);

	alert->message = psprintf("%s%s%s%s",
							  voxanne_alert_prefix(voxanne_severity_name(alert->severity), alert->subject,
												   get_database_name(MyDatabaseId)),
							  text,
							  alert->severity == VOX_INFO || alert->state->remedy == NULL ? "" : " Next: ",
							  alert->severity == VOX_INFO || alert->state->remedy == NULL ? "" : alert->state->remedy);
	alert->details = details(alert, &usable, text);
}

/* "CRITICAL [prod] nightly: " */
char *
voxanne_alert_prefix(const char *severity, const char *subject, const char *database)
{
	StringInfoData prefix;

	initStringInfo(&prefix);
	for (; *severity != '\0'; severity++)
		appendStringInfoChar(&prefix, pg_toupper((unsigned char) *severity));
	appendStringInfo(&prefix, " [%s] %s: ", voxanne_instance_name[0] != '\0' ? voxanne_instance_name : database, subject);
	return prefix.data;
}

/* What there is to say between "nightly: " and " Next: ". */
static char *
body(const VoxAlert *alert, const VoxUsable *usable)
{
	if (alert->event == VOX_ALERT_REMOVAL)
		return pstrdup("the backup target was removed, so nothing is verified for it any more.");
	if (alert->event == VOX_ALERT_RECOVERY)
		return psprintf("good again after %s. %s", voxanne_ago(alert->now - alert->before->since),
						cut(alert->state->detail));
	return psprintf("%s%s. %s Cause: %s", headline(alert, usable),
					alert->event == VOX_ALERT_REMINDER ?
					psprintf(" (reminder, bad for %s)", voxanne_ago(alert->now - alert->before->since)) : "",
					last_good(usable), cut(alert->state->detail));
}

static char *
headline(const VoxAlert *alert, const VoxUsable *usable)
{
	if (!TIMESTAMP_IS_NOBEGIN(usable->finished_at) && alert->now - usable->finished_at > alert->target->max_age)
		return psprintf("no usable backup for %s (limit %s)", voxanne_ago(alert->now - usable->finished_at),
						voxanne_ago(alert->target->max_age));
	for (int i = 0; i < (int) lengthof(headlines); i++)
		if (strcmp(headlines[i].check, alert->state->check) == 0)
			return pstrdup(headlines[i].headline);
	return psprintf("the backup needs attention (%s)", alert->state->check);
}

/* "Last good: base, 2026-01-27 20:00 UTC." */
static char *
last_good(const VoxUsable *usable)
{
	char	   *time;

	if (usable->backup_id == NULL && TIMESTAMP_IS_NOBEGIN(usable->finished_at))
		return pstrdup("Last good: none known.");
	if (TIMESTAMP_IS_NOBEGIN(usable->finished_at))
		return psprintf("Last good: %s.", usable->backup_id);
	time = voxanne_utc(usable->finished_at);
	return psprintf("Last good: %s%s%.10s %.5s UTC.", usable->backup_id == NULL ? "" : usable->backup_id,
					usable->backup_id == NULL ? "" : ", ", time, time + strlen("2026-01-27T"));
}

static char *
cut(const char *text)
{
	int			len = strlen(text);

	if (len <= MAX_CAUSE)
		return pstrdup(text);
	return psprintf("%.*s...", pg_mbcliplen(text, len, MAX_CAUSE), text);
}

/* The same for programs. */
static char *
details(const VoxAlert *alert, const VoxUsable *usable, const char *text)
{
	bool		known = !TIMESTAMP_IS_NOBEGIN(usable->finished_at);
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "severity", voxanne_severity_name(alert->severity));
	voxanne_json_put_text(&json, "event", voxanne_alert_event_name(alert->event));
	voxanne_json_put_text(&json, "target", alert->subject);
	voxanne_json_put_text(&json, "key", alert->key);
	voxanne_json_put_text(&json, "status", alert->target == NULL ? NULL : voxanne_severity_status(alert->severity));
	voxanne_json_put_text(&json, "previous_status",
						  voxanne_severity_status(alert->before == NULL ? VOX_INFO : alert->before->severity));
	voxanne_json_put_text(&json, "message", text);
	voxanne_json_put_text(&json, "next", alert->severity == VOX_INFO ? NULL : alert->state->remedy);
	voxanne_json_put_text(&json, "instance", voxanne_instance_name);
	voxanne_json_put_text(&json, "database", get_database_name(MyDatabaseId));
	voxanne_json_put_text(&json, "backup_id", usable->backup_id);
	voxanne_json_put_hours(&json, "age_hours", known ? Max(alert->now - usable->finished_at, 0) : -1);
	voxanne_json_put_text(&json, "since", voxanne_utc(alert->before != NULL ? alert->before->since : alert->now));
	voxanne_json_put_text(&json, "at", voxanne_utc(alert->now));
	voxanne_json_close(&json, '}');
	return json.text.data;
}
