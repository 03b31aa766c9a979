/*
 * t/modules/child_test/child_test.c
 *		SQL functions around src/child, for t/child.pl only.
 *
 * A module of its own, with copies of the objects it tests: the extension
 * ships no function that runs programs.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/child.h"
#include "child/process.h"
#include "core/compat.h"
#include "core/settings.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/wait_event.h"
#include "catalog/pg_type.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
PGDLLEXPORT void child_test_worker(Datum arg);

VOXANNE_FUNCTION(child_test_run);
VOXANNE_FUNCTION(child_test_call);
VOXANNE_FUNCTION(child_test_version);
VOXANNE_FUNCTION(child_test_remember);
VOXANNE_FUNCTION(child_test_start_worker);
VOXANNE_FUNCTION(child_test_descriptors);

void
_PG_init(void)
{
	voxanne_define_settings();
	voxanne_child_init();
}

/* The elements of a text[] as a NULL-terminated array. */
static const char **
strings(ArrayType *array)
{
	Datum	   *elements;
	int			count;
	const char **result;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
	result = palloc0_array(const char *, count + 1);
	for (int i = 0; i < count; i++)
		result[i] = TextDatumGetCString(elements[i]);
	return result;
}

/* child_test_run(argv text[], purpose text, input text, deadline_ms int, max_output int) */
Datum
child_test_run(PG_FUNCTION_ARGS)
{
	static const char *const ends[] = {
		"exited", "signaled", "timed_out", "abandoned", "busy", "not_started", "overflowed"
	};
	char	   *purpose = text_to_cstring(PG_GETARG_TEXT_PP(1));
	VoxChildRequest request = {
		.argv = strings(PG_GETARG_ARRAYTYPE_P(0)),
		.purpose = purpose,
		.input = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)),
		.deadline_ms = PG_GETARG_INT32(3),
		.max_output = PG_GETARG_INT32(4),
	};
	VoxChildResult result;
	TupleDesc	desc;
	Datum		values[6];
	bool		nulls[6] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "no row type");
	voxanne_child_run(&request, &result);
	values[0] = CStringGetTextDatum(ends[result.end]);
	values[1] = Int32GetDatum(result.exit_code);
	values[2] = Int32GetDatum(result.signal);
	values[3] = CStringGetTextDatum(result.output.data);
	values[4] = CStringGetTextDatum(result.errors.data);
	nulls[5] = result.error == NULL;
	values[5] = result.error == NULL ? (Datum) 0 : CStringGetTextDatum(result.error);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* child_test_call(arguments text[], input text, deadline_ms int) returns "problem: detail", or the document */
Datum
child_test_call(PG_FUNCTION_ARGS)
{
	VoxAgentAnswer answer;

	voxanne_agent_call(strings(PG_GETARG_ARRAYTYPE_P(0)), "test",
					   PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
					   PG_GETARG_INT32(2), &answer);
	if (answer.document != NULL)
		PG_RETURN_TEXT_P(cstring_to_text(JsonbToCString(NULL, &answer.document->root, 0)));
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s: %s", answer.problem, answer.detail)));
}

/* child_test_version(): the version, or why there is none */
Datum
child_test_version(PG_FUNCTION_ARGS)
{
	char	   *reason = NULL;
	char	   *version = voxanne_agent_version(&reason);

	PG_RETURN_TEXT_P(cstring_to_text(version != NULL ? version : reason));
}

/* child_test_remember(pid int, purpose text): as if it could not be ended */
Datum
child_test_remember(PG_FUNCTION_ARGS)
{
	voxanne_abandoned_remember(PG_GETARG_INT32(0), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/* child_test_descriptors(): open descriptors of this backend */
Datum
child_test_descriptors(PG_FUNCTION_ARGS)
{
	int			count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	PG_RETURN_INT32(count);
}

/*
 * child_test_start_worker(program text): a worker without a database that asks
 * the program as the agent, and logs what comes.
 */
Datum
child_test_start_worker(PG_FUNCTION_ARGS)
{
	BackgroundWorker worker = {
		.bgw_name = "child_test",
		.bgw_type = "child_test",
		.bgw_flags = BGWORKER_SHMEM_ACCESS,
		.bgw_start_time = BgWorkerStart_ConsistentState,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_function_name = "child_test_worker",
		.bgw_notify_pid = 0,
	};
	BackgroundWorkerHandle *handle;

	text_to_cstring_buffer(PG_GETARG_TEXT_PP(0), worker.bgw_library_name, sizeof(worker.bgw_library_name));
	text_to_cstring_buffer(PG_GETARG_TEXT_PP(1), worker.bgw_extra, sizeof(worker.bgw_extra));
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		elog(ERROR, "no worker slot");
	PG_RETURN_VOID();
}

void
child_test_worker(Datum arg)
{
	const char *arguments[] = {"verify-backup", MyBgworkerEntry->bgw_extra, NULL};
	VoxAgentAnswer answer;

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	voxanne_agent_call(arguments, "test", NULL, 60000, &answer);
	if (answer.document != NULL)
		elog(LOG, "child_test: %s", JsonbToCString(NULL, &answer.document->root, 0));
	else
		elog(LOG, "child_test: %s: %s", answer.problem, answer.detail);
}
