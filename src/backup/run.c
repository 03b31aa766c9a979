/*
 * src/backup/run.c
 *		Second step of a cycle: let the agent look at the backups.
 *
 * Nothing here may touch a catalog: in a worker no database is open.  Whatever
 * goes wrong with one target becomes its result, so that the others are still
 * verified.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xlog.h"
#include "backup/cycle.h"
#include "backup/kind.h"
#include "child/child.h"
#include "core/json.h"
#include "miscadmin.h"
#include "portability/instr_time.h"

static void run_target(VoxJson *json, JsonbContainer *target);
static void verify_target(JsonbContainer *target, VoxAgentAnswer *answer);
static List *text_list(JsonbContainer *array);

char *
voxanne_cycle_run(const char *plan)
{
	JsonbContainer *targets = voxanne_json_child(voxanne_json_parse(plan), "targets");
	VoxJson		json;

	voxanne_json_start(&json);
	voxanne_json_open(&json, NULL, '{');
	voxanne_json_open(&json, "results", '[');
	for (int i = 0; i < voxanne_json_length(targets); i++)
	{
		CHECK_FOR_INTERRUPTS();
		run_target(&json, voxanne_json_element(targets, i));
	}
	voxanne_json_close(&json, ']');
	voxanne_json_close(&json, '}');
	return json.text.data;
}

/* Verify one target of the plan and write its result. */
static void
run_target(VoxJson *json, JsonbContainer *target)
{
	VoxAgentAnswer answer = {0};
	instr_time	start;
	instr_time	duration;

	INSTR_TIME_SET_CURRENT(start);
	verify_target(target, &answer);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);

	voxanne_json_open(json, NULL, '{');
	voxanne_json_put_int64(json, "duration", (int64) INSTR_TIME_GET_MICROSEC(duration));
	if (answer.document != NULL)
		voxanne_json_put_container(json, "answer", &answer.document->root);
	voxanne_json_put_text(json, "problem", answer.problem);
	voxanne_json_put_text(json, "detail", answer.detail);
	voxanne_json_close(json, '}');
}

/*
 * Look at one target.  What the setting allows is compared again, since it may
 * have changed after the target was added, and so is every name.
 */
static void
verify_target(JsonbContainer *target, VoxAgentAnswer *answer)
{
	char	   *name = voxanne_json_text(target, "name");
	char	   *kind_name = voxanne_json_text(target, "kind");
	VoxVerification verification = {
		.location = voxanne_json_text(target, "location"),
		.level = voxanne_json_text(target, "level"),
		.system_identifier = psprintf(UINT64_FORMAT, GetSystemIdentifier()),
		.directories = voxanne_backup_directory_list(),
		.critical_tables = text_list(voxanne_json_child(target, "critical_tables")),
		.base_backups = text_list(voxanne_json_child(target, "base_backups")),
		.repository = voxanne_json_text(target, "repository"),
		.previous = voxanne_json_child(target, "previous"),
	};
	int64		time_limit;
	int64		database;
	const VoxKind *kind;

	(void) voxanne_json_int64(target, "pitr_window", &verification.pitr_window);
	if (name == NULL || kind_name == NULL || verification.location == NULL ||
		verification.level == NULL || !voxanne_json_int64(target, "time_limit", &time_limit) ||
		!voxanne_json_int64(target, "database", &database))
		elog(ERROR, "malformed plan");

	verification.time_limit = time_limit;
	if (voxanne_cycle_refusal(target, &answer->problem) != NULL)
		return;					/* record says why: it is in the database's
								 * encoding, unlike what the agent says */
	kind = voxanne_kind(kind_name);
	voxanne_agent_call(kind->arguments(kind, &verification), psprintf("verify %s of database %u", name, (Oid) database),
					   kind->input == NULL ? NULL : kind->input(kind, &verification),
					   (int) Min(time_limit / 1000, INT_MAX), answer);
}

/*
 * Why the target of a plan may not be verified, with what to do about it, or
 * NULL: its kind or the settings do not allow it.  "problem" is the check that
 * fails by it.
 */
char *
voxanne_cycle_refusal(JsonbContainer *target, const char **problem)
{
	char	   *kind_name = voxanne_json_text(target, "kind");
	char	   *level = voxanne_json_text(target, "level");
	char	   *repository = voxanne_json_text(target, "repository");
	const VoxKind *kind = voxanne_kind(kind_name);
	const char *hint = NULL;
	char	   *refusal;

	if (kind == NULL || voxanne_kind_proof(kind, level) == NULL)
	{
		*problem = "unknown_kind";
		return psprintf("This library cannot verify backups of kind \"%s\" at level \"%s\".", kind_name, level);
	}
	refusal = kind->location_problem(kind, voxanne_json_text(target, "location"), &hint);
	if (refusal == NULL && repository != NULL)
		refusal = voxanne_directory_problem(repository, &hint);
	if (refusal == NULL)
		return NULL;
	*problem = "location";
	return psprintf("%s %s", refusal, hint);
}

/* The strings of an array (char *). */
static List *
text_list(JsonbContainer *array)
{
	List	   *list = NIL;

	for (int i = 0; i < voxanne_json_length(array); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type == jbvString)
			list = lappend(list, pnstrdup(value->val.string.val, value->val.string.len));
	}
	return list;
}
