/*
 * src/alert/webhook.c
 *		Last step of a verification cycle: tell the world.
 *
 * An alert is a JSON object that the room backup has filled; here it gets a
 * text as chat programs show it and goes to the URL in the file
 * voxanne_ops.webhook_url_file.  The agent opens that file and does the
 * talking; neither the URL nor anything it answers is seen here.
 *
 * An alert that cannot be delivered is in the server log and not tried again:
 * the next one comes when the target's status changes again.
 */
#include "postgres.h"

#include "backup/cycle.h"
#include "child/child.h"
#include "core/json.h"
#include "core/settings.h"
#include "miscadmin.h"

/* What one alert may take; milliseconds. */
#define POST_TIMEOUT	10000
#define POST_DEADLINE	15000

/* Members of an alert that are passed on as they are. */
static const char *const members[] = {
	"severity", "target", "status", "previous_status", "message", "next",
	"database", "backup_id", "age_hours", "id", "at",
};

static void post(JsonbContainer *alert);
static char *alert_body(JsonbContainer *alert);
static char *alert_text(JsonbContainer *alert);
static void append_escaped(StringInfo out, const char *text);
static char *post_request(const char *body);
static void report_failure(JsonbContainer *alert, const VoxAgentAnswer *answer);

void
voxanne_cycle_alert(const char *alerts)
{
	JsonbContainer *list = voxanne_json_child(voxanne_json_parse(alerts), "alerts");

	if (voxanne_webhook_url_file[0] == '\0')
		return;
	for (int i = 0; i < voxanne_json_length(list); i++)
	{
		CHECK_FOR_INTERRUPTS();
		post(voxanne_json_element(list, i));
	}
}

static void
post(JsonbContainer *alert)
{
	static const char *const arguments[] = {"post", NULL};
	VoxAgentAnswer answer = {0};

	voxanne_agent_call(arguments, "post alert", post_request(alert_body(alert)), POST_DEADLINE, &answer);
	report_failure(alert, &answer);
}

/* What the agent reads on its standard input. */
static char *
post_request(const char *body)
{
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "url_file", voxanne_webhook_url_file);
	voxanne_json_put_text(&json, "body", body);
	voxanne_json_put_text(&json, "content_type", "application/json");
	voxanne_json_put_int64(&json, "timeout_ms", POST_TIMEOUT);
	if (voxanne_ca_file[0] != '\0')
		voxanne_json_put_text(&json, "ca_file", voxanne_ca_file);
	voxanne_json_put_raw(&json, "allow_http", voxanne_allow_http ? "true" : "false");
	voxanne_json_close(&json, '}');
	return json.text.data;
}

/* The document that the URL receives: a text for people, the rest for programs. */
static char *
alert_body(JsonbContainer *alert)
{
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "text", alert_text(alert));
	voxanne_json_put_text(&json, "instance", voxanne_instance_name);
	for (int i = 0; i < (int) lengthof(members); i++)
		voxanne_json_put_member(&json, members[i], alert);
	voxanne_json_close(&json, '}');
	return json.text.data;
}

/* "CRITICAL [prod] nightly: what is wrong. Next: CALL verify_backup('nightly');" */
static char *
alert_text(JsonbContainer *alert)
{
	const char *severity = voxanne_json_text(alert, "severity");
	const char *next = voxanne_json_text(alert, "next");
	StringInfoData text;

	initStringInfo(&text);
	for (const char *at = severity == NULL ? "" : severity; *at != '\0'; at++)
		appendStringInfoChar(&text, pg_toupper((unsigned char) *at));
	appendStringInfoString(&text, " [");
	append_escaped(&text, voxanne_instance_name[0] != '\0' ? voxanne_instance_name : voxanne_json_text(alert, "database"));
	appendStringInfoString(&text, "] ");
	append_escaped(&text, voxanne_json_text(alert, "target"));
	appendStringInfoString(&text, ": ");
	append_escaped(&text, voxanne_json_text(alert, "message"));
	if (next != NULL)
	{
		appendStringInfoString(&text, " Next: ");
		append_escaped(&text, next);
	}
	return text.data;
}

/* Slack's three special characters: a file's name in a message must not be able to call everybody in. */
static void
append_escaped(StringInfo out, const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
	{
		if (*text == '&')
			appendStringInfoString(out, "&amp;");
		else if (*text == '<')
			appendStringInfoString(out, "&lt;");
		else if (*text == '>')
			appendStringInfoString(out, "&gt;");
		else
			appendStringInfoChar(out, *text);
	}
}

/* Write to the server log that an alert did not arrive, and why. */
static void
report_failure(JsonbContainer *alert, const VoxAgentAnswer *answer)
{
	JsonbContainer *document = answer->document == NULL ? NULL : &answer->document->root;
	JsonbContainer *error = voxanne_json_child(document, "error");
	char	   *result = voxanne_json_text(document, "result");
	int64		status;
	const char *reason = answer->detail;

	if (answer->problem == NULL && result != NULL && strcmp(result, "success") == 0)
		return;
	if (answer->problem == NULL && error != NULL)
		reason = voxanne_json_text(error, "message");
	else if (answer->problem == NULL && voxanne_json_int64(document, "http_status", &status))
		reason = psprintf("The server answered with HTTP status " INT64_FORMAT ".", status);
	ereport(LOG,
			(errmsg("could not post the alert about backup target \"%s\"", voxanne_json_text(alert, "target")),
			 errdetail_internal("%s It was: %s", reason == NULL ? "Nothing is known about why." : reason,
								voxanne_json_text(alert, "message"))));
}
