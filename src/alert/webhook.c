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
#include "commands/dbcommands.h"
#include "core/compat.h"
#include "core/encoding.h"
#include "core/json.h"
#include "core/settings.h"
#include "core/utc.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

/* What one alert may take; milliseconds. */
#define POST_TIMEOUT	10000
#define POST_DEADLINE	15000

/* Members of an alert that are passed on as they are. */
static const char *const members[] = {
	"severity", "target", "status", "previous_status", "message", "next",
	"database", "backup_id", "age_hours", "id", "at",
};

static char *post(JsonbContainer *alert);
static char *alert_body(JsonbContainer *alert);
static char *alert_text(JsonbContainer *alert);
static void append_escaped(StringInfo out, const char *text);
static char *post_request(const char *body);
static char *failure(const VoxAgentAnswer *answer);

VOXANNE_FUNCTION(voxanne_test_alert);

void
voxanne_cycle_alert(const char *alerts)
{
	JsonbContainer *list = voxanne_json_child(voxanne_json_parse(alerts), "alerts");

	if (voxanne_webhook_url_file[0] == '\0')
		return;
	for (int i = 0; i < voxanne_json_length(list); i++)
	{
		JsonbContainer *alert = voxanne_json_element(list, i);
		char	   *reason;

		CHECK_FOR_INTERRUPTS();
		reason = post(alert);
		if (reason != NULL)
			ereport(LOG,
					(errmsg("could not post the alert about backup target \"%s\"", voxanne_json_text(alert, "target")),
					 errdetail_internal("%s It was: %s", reason, voxanne_json_text(alert, "message"))));
	}
}

/*
 * test_alert(severity voxanne_severity)
 *
 * Post an alert that says it is a test.  Unlike in a cycle the caller's
 * transaction is open meanwhile, for POST_DEADLINE at most.
 */
Datum
voxanne_test_alert(PG_FUNCTION_ARGS)
{
	char	   *severity;
	VoxJson		json;
	char	   *reason;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("severity must not be null"),
				 errhint("Valid severities are info, warning and critical.")));
	severity = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(0)));

	if (voxanne_webhook_url_file[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no alerts are posted, because voxanne_ops.webhook_url_file is not set"),
				 errhint("Write the URL into a file of mode 0600 that belongs to the server's user, and set voxanne_ops.webhook_url_file to its path.")));

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "severity", severity);
	voxanne_json_put_text(&json, "target", "test_alert");
	voxanne_json_put_text(&json, "message", "This is a test, nothing is wrong.");
	voxanne_json_put_text(&json, "database", get_database_name(MyDatabaseId));
	voxanne_json_put_text(&json, "at", voxanne_utc(GetCurrentTimestamp()));
	voxanne_json_close(&json, '}');
	reason = post(voxanne_json_parse(voxanne_to_utf8(json.text.data)));
	if (reason != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not post the alert"),
				 errdetail_internal("%s", reason)));
	PG_RETURN_VOID();
}

/* Post an alert; NULL, or a sentence that says why it did not arrive. */
static char *
post(JsonbContainer *alert)
{
	static const char *const arguments[] = {"post", NULL};
	VoxAgentAnswer answer = {0};

	voxanne_agent_call(arguments, "post alert", post_request(alert_body(alert)), POST_DEADLINE, &answer);
	return failure(&answer);
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

/* What the agent's answer says of why the alert did not arrive; NULL if it did. */
static char *
failure(const VoxAgentAnswer *answer)
{
	JsonbContainer *document = answer->document == NULL ? NULL : &answer->document->root;
	char	   *result = voxanne_json_text(document, "result");
	char	   *message = voxanne_json_text(voxanne_json_child(document, "error"), "message");
	int64		status;

	if (answer->problem != NULL)
		return answer->detail;
	if (result != NULL && strcmp(result, "success") == 0)
		return NULL;
	if (message != NULL)
		return message;
	if (voxanne_json_int64(document, "http_status", &status))
		return psprintf("The receiver answered with HTTP status " INT64_FORMAT ".", status);
	return pstrdup("The agent does not say why.");
}
