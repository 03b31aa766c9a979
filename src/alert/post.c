/*
 * src/alert/post.c
 *		Talking to the world: alerts and heartbeats.
 *
 * The agent opens the file that holds the URL and does the talking; neither the
 * URL nor more of the answer than its beginning is seen here.  Nothing looks at
 * a catalog.
 */
#include "postgres.h"

#include "alert/alert.h"
#include "backup/cycle.h"
#include "child/child.h"
#include "core/settings.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "portability/instr_time.h"

/* What one request may take; milliseconds. */
#define REQUEST_TIMEOUT 10000
#define REQUEST_DEADLINE 15000

/* Members of an alert that are passed on as they are. */
static const char *const members[] = {
	"severity", "event", "target", "key", "status", "previous_status", "message", "next",
	"instance", "database", "backup_id", "age_hours", "since", "at",
};

/* A round of posting. */
typedef struct Round
{
	VoxJson		outcomes;
	List	   *failed;			/* subjects whose alerts have to wait */
	instr_time	start;
} Round;

static bool is_held_up(const Round *round, const char *subject);
static void post_one(Round *round, JsonbContainer *alert);
static char *alert_body(const char *message, const char *id, JsonbContainer *details);
static void append_escaped(StringInfo out, const char *words);
static bool ask_agent(const char *command, const char *url_file, const char *body,
					  char **outcome, char **answer, int64 *retry_after);
static char *agent_request(const char *url_file, const char *body);
static char *shorten(char *words);
static int	failure_level(void);

bool
voxanne_cycle_has_alerts(const char *tell)
{
	return voxanne_json_length(voxanne_json_child(voxanne_json_parse(tell), "alerts")) > 0;
}

char *
voxanne_cycle_alert(const char *tell)
{
	JsonbContainer *alerts = voxanne_json_child(voxanne_json_parse(tell), "alerts");
	Round		round = {.failed = NIL};

	if (voxanne_json_length(alerts) == 0)
		return NULL;
	INSTR_TIME_SET_CURRENT(round.start);
	voxanne_json_start(&round.outcomes);
	voxanne_json_open(&round.outcomes, NULL, '{');
	voxanne_json_open(&round.outcomes, "outcomes", '[');
	for (int i = 0; i < voxanne_json_length(alerts); i++)
	{
		CHECK_FOR_INTERRUPTS();
		post_one(&round, voxanne_json_element(alerts, i));
	}
	voxanne_json_close(&round.outcomes, ']');
	voxanne_json_close(&round.outcomes, '}');
	return round.outcomes.text.data;
}

/* Must this alert wait, for the time or for an earlier one on its subject? */
static bool
is_held_up(const Round *round, const char *subject)
{
	instr_time	passed;
	ListCell   *lc;

	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, round->start);
	if (INSTR_TIME_GET_MILLISEC(passed) > VOX_ALERT_BUDGET)
		return true;
	foreach(lc, round->failed)
	{
		if (strcmp(lfirst(lc), subject) == 0)
			return true;
	}
	return false;
}

/* Post one alert, unless it has to wait, and write its outcome. */
static void
post_one(Round *round, JsonbContainer *alert)
{
	VoxJson    *json = &round->outcomes;
	char	   *id = voxanne_json_text(alert, "id");
	char	   *subject = voxanne_json_text(alert, "subject");
	char	   *message = voxanne_json_text(alert, "message");
	char	   *outcome = NULL;
	char	   *answer = NULL;
	int64		attempts = 0;
	int64		retry_after = 0;
	bool		tried = !is_held_up(round, subject);
	bool		sent = tried && voxanne_alert_post(message, id, voxanne_json_child(alert, "details"),
												   &outcome, &answer, &retry_after);

	(void) voxanne_json_int64(alert, "attempts", &attempts);
	voxanne_json_open(json, NULL, '{');
	voxanne_json_put_text(json, "id", id);
	voxanne_json_put_int64(json, "attempts", attempts);
	voxanne_json_put_text(json, "result", !tried ? NULL : sent ? "sent" : "failed");
	voxanne_json_put_text(json, "outcome", outcome);
	voxanne_json_put_int64(json, "retry_after", retry_after);
	voxanne_json_close(json, '}');
	if (!tried || sent)
		return;
	round->failed = lappend(round->failed, subject);
	ereport(failure_level(),
			(errmsg("could not post the alert about backup target \"%s\"", subject),
			 errdetail_internal("%s It was: %s", outcome, message),
			 errhint("It is kept in alert_outbox and tried again.")));
}

bool
voxanne_cycle_ping(const char *tell, char **problem)
{
	int64		ping = 0;
	char	   *outcome;
	char	   *answer;
	int64		retry_after;

	*problem = NULL;
	(void) voxanne_json_int64(voxanne_json_parse(tell), "ping", &ping);
	if (ping == 0 || voxanne_heartbeat_url_file[0] == '\0')
		return false;
	if (ask_agent("fetch", voxanne_heartbeat_url_file, NULL, &outcome, &answer, &retry_after))
		return true;
	*problem = outcome;
	ereport(failure_level(),
			(errmsg("could not send the heartbeat"),
			 errdetail_internal("%s", outcome),
			 errhint("The backups have been verified all the same; the next good cycle sends the next heartbeat.")));
	return true;
}

/*
 * Post an alert, all in UTF-8.  "outcome" is a sentence, "answer" the beginning
 * of what came back or NULL, "retry_after" the seconds that the receiver wants
 * to be left alone or 0.  True if it was delivered.
 */
bool
voxanne_alert_post(const char *message, const char *id, JsonbContainer *details,
				   char **outcome, char **answer, int64 *retry_after)
{
	return ask_agent("post", voxanne_webhook_url_file, alert_body(message, id, details),
					 outcome, answer, retry_after);
}

/* The document that the URL receives: a text for people, as Slack takes it, the rest for programs. */
static char *
alert_body(const char *message, const char *id, JsonbContainer *details)
{
	StringInfoData text;
	VoxJson		json;

	initStringInfo(&text);
	append_escaped(&text, message);
	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "text", text.data);
	voxanne_json_put_text(&json, "id", id);
	for (int i = 0; i < (int) lengthof(members); i++)
		voxanne_json_put_member(&json, members[i], details);
	voxanne_json_close(&json, '}');
	return json.text.data;
}

/* Slack's three special characters: a file's name in a message must not be able to call everybody in. */
static void
append_escaped(StringInfo out, const char *words)
{
	for (; *words != '\0'; words++)
	{
		if (*words == '&')
			appendStringInfoString(out, "&amp;");
		else if (*words == '<')
			appendStringInfoString(out, "&lt;");
		else if (*words == '>')
			appendStringInfoString(out, "&gt;");
		else
			appendStringInfoChar(out, *words);
	}
}

/* Have the agent fetch or post; true if the answer's status is a good one. */
static bool
ask_agent(const char *command, const char *url_file, const char *body,
		  char **outcome, char **answer, int64 *retry_after)
{
	const char *const arguments[] = {command, NULL};
	VoxAgentAnswer reply = {0};
	JsonbContainer *document;
	char	   *result;

	voxanne_agent_call(arguments, body == NULL ? "send heartbeat" : "post alert",
					   agent_request(url_file, body), REQUEST_DEADLINE, &reply);
	document = reply.document == NULL ? NULL : &reply.document->root;
	result = voxanne_json_text(document, "result");

	*retry_after = 0;
	(void) voxanne_json_int64(document, "retry_after_seconds", retry_after);
	*answer = shorten(voxanne_json_text(document, "body"));
	*outcome = reply.detail;
	if (reply.problem == NULL)
		*outcome = voxanne_json_text(document, "detail");
	if (*outcome == NULL)
		*outcome = voxanne_json_text(voxanne_json_child(document, "error"), "message");
	*outcome = *outcome == NULL ? pstrdup("The agent does not say why.") : shorten(*outcome);
	return reply.problem == NULL && result != NULL && strcmp(result, "success") == 0;
}

/* What the agent reads on its standard input. */
static char *
agent_request(const char *url_file, const char *body)
{
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "url_file", url_file);
	if (body != NULL)
	{
		voxanne_json_put_text(&json, "body", body);
		voxanne_json_put_text(&json, "content_type", "application/json");
	}
	voxanne_json_put_int64(&json, "timeout_ms", REQUEST_TIMEOUT);
	if (voxanne_ca_file[0] != '\0')
		voxanne_json_put_text(&json, "ca_file", voxanne_ca_file);
	voxanne_json_put_raw(&json, "allow_http", voxanne_allow_http ? "true" : "false");
	voxanne_json_close(&json, '}');
	return json.text.data;
}

/* Cut a text, in place, to what may be kept of it.  In a worker the process's encoding is that of its texts. */
static char *
shorten(char *words)
{
	if (words != NULL && strlen(words) > VOX_OUTCOME_MAX)
		words[pg_mbcliplen(words, strlen(words), VOX_OUTCOME_MAX)] = '\0';
	return words;
}

/* Whoever called for the cycle is told; if nobody did, it is not worth a warning in the log, as it is kept. */
static int
failure_level(void)
{
	return MyBackendType == B_BG_WORKER ? LOG : WARNING;
}
