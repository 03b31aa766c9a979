/*
 * src/alert/test_alert.c
 *		test_alert(): does anybody hear us?
 */
#include "postgres.h"

#include "alert/alert.h"
#include "commands/dbcommands.h"
#include "core/compat.h"
#include "core/encoding.h"
#include "core/settings.h"
#include "core/utc.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

/* What stands where an alert has the target's name. */
#define SUBJECT "test_alert"
#define BODY "This is a test, nothing is wrong."

static char *test_details(const char *severity, const char *database);

VOXANNE_FUNCTION(voxanne_test_alert);

/*
 * test_alert(severity voxanne_severity)
 *
 * Post an alert that says it is a test, past the outbox: whoever calls wants to
 * know now.  Unlike in a cycle the caller's transaction is open meanwhile, for
 * as long as one request may take.
 */
Datum
voxanne_test_alert(PG_FUNCTION_ARGS)
{
	char	   *database = get_database_name(MyDatabaseId);
	char	   *severity;
	char	   *message;
	char	   *outcome;
	char	   *answer;
	int64		retry_after;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "severity"),
				 errhint("Valid severities are info, warning and critical.")));
	severity = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(0)));

	if (voxanne_webhook_url_file[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no alerts are posted, because voxanne_ops.webhook_url_file is not set"),
				 errhint("Write the URL into a file of mode 0600 that belongs to the server's user, and set voxanne_ops.webhook_url_file to its path.")));

	message = psprintf("%s%s", voxanne_alert_prefix(severity, SUBJECT, database), BODY);
	if (!voxanne_alert_post(voxanne_to_utf8(message), NULL,
							voxanne_json_parse(voxanne_to_utf8(test_details(severity, database))),
							&outcome, &answer, &retry_after))
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not post the alert"),
				 errdetail_internal("%s%s", outcome, answer == NULL || answer[0] == '\0' ? "" :
									psprintf(" It said: %s", answer))));
	PG_RETURN_TEXT_P(cstring_to_text(answer == NULL || answer[0] == '\0' ? outcome :
									 psprintf("%s It said: %s", outcome, answer)));
}

static char *
test_details(const char *severity, const char *database)
{
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_put_text(&json, "severity", severity);
	voxanne_json_put_text(&json, "event", "test");
	voxanne_json_put_text(&json, "target", SUBJECT);
	voxanne_json_put_text(&json, "message", BODY);
	voxanne_json_put_text(&json, "instance", voxanne_instance_name);
	voxanne_json_put_text(&json, "database", database);
	voxanne_json_put_text(&json, "at", voxanne_utc(GetCurrentTimestamp()));
	voxanne_json_close(&json, '}');
	return json.text.data;
}
