/*
 * src/data/executor.c
 *		Who answers a data check's questions: the scan engine or SQL.
 *
 * The scan engine narrows questions down to a few rows, of which SQL gives the
 * answer; SQL alone reads the whole table.  Both give the same answer.  How the
 * last call of the session went is kept for data_check_execution(), and out of
 * the answer.
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/attempt.h"
#include "core/compat.h"
#include "core/settings.h"
#include "data/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Of a statement_timeout, what is left for answering. */
#define ANSWERING_SHARE 10

/* How one question was answered. */
typedef struct Execution
{
	char	   *object;
	char	   *question;
	bool		scanned;
	const char *reason;			/* not scanned: why */
	VoxScanStats stats;
} Execution;

/* Of the present call. */
static MemoryContext context = NULL;
static List *executions = NIL;
static VoxScanStats last_stats;
static TimestampTz deadline = 0;

typedef struct ScanAttempt
{
	VoxScanQuestion *questions;
	int			count;
} ScanAttempt;

static void attempt_scan(void *state);

VOXANNE_FUNCTION(voxanne_data_check_execution);

/*
 * A call begins: forget the last one and set the time by which to answer, from
 * voxanne_ops.time_budget and statement_timeout.
 */
void
voxanne_execution_begin(void)
{
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "voxanne_ops last data check",
										ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);
	executions = NIL;
	memset(&last_stats, 0, sizeof(last_stats));
	deadline = 0;
	if (voxanne_time_budget > 0)
		deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), voxanne_time_budget);
	if (StatementTimeout > 0)
	{
		TimestampTz in_time = TimestampTzPlusMilliseconds(GetCurrentStatementStartTimestamp(),
														  StatementTimeout - StatementTimeout / ANSWERING_SHARE);

		deadline = deadline == 0 ? in_time : Min(deadline, in_time);
	}
}

/* Is it time to answer with what there is? */
bool
voxanne_out_of_time(void)
{
	return deadline != 0 && GetCurrentTimestamp() >= deadline;
}

/*
 * Put questions (VoxScanQuestion *) that have no reason to be SQL's to the scan
 * engine, all in one run, unless the caller wants SQL.
 * A run that fails leaves them unanswered: SQL will meet the fault in the
 * question that it concerns.
 */
void
voxanne_scan(List *questions)
{
	ScanAttempt attempt;
	char	   *failure;
	ListCell   *lc;

	attempt.count = list_length(questions);
	attempt.questions = palloc_array(VoxScanQuestion, attempt.count + 1);
	foreach(lc, questions)
	{
		VoxScanQuestion *question = lfirst(lc);

		question->answered = question->late = false;
		if (question->reason == NULL && voxanne_executor == VOX_EXECUTOR_SQL)
			question->reason = "voxanne_ops.executor is sql.";
		attempt.questions[foreach_current_index(lc)] = *question;
	}
	if (voxanne_executor == VOX_EXECUTOR_SQL || questions == NIL)
		return;
	failure = voxanne_attempt(attempt_scan, &attempt);
	foreach(lc, questions)
	{
		VoxScanQuestion *question = lfirst(lc);

		*question = attempt.questions[foreach_current_index(lc)];
		if (failure == NULL)
			continue;
		question->answered = question->late = false;
		if (question->reason == NULL)
			question->reason = failure;
	}
	pfree(attempt.questions);
}

static void
attempt_scan(void *state)
{
	ScanAttempt *attempt = state;

	voxanne_keyscan(attempt->questions, attempt->count, deadline, &last_stats);
}

/*
 * Remember how a question about a table was answered; "scanned" is NULL where
 * the scan engine was not asked.
 */
void
voxanne_execution_note(const char *object, const char *question, const VoxScanQuestion *scanned)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Execution  *execution = palloc0_object(Execution);

	execution->object = pstrdup(object);
	execution->question = pstrdup(question);
	execution->scanned = scanned != NULL && scanned->answered;
	if (execution->scanned)
		execution->stats = last_stats;
	else
		execution->reason = pstrdup(scanned == NULL || scanned->reason == NULL ?
									"The scan does not take this question." : scanned->reason);
	executions = lappend(executions, execution);
	MemoryContextSwitchTo(old);
}

/*
 * data_check_execution(): how the session's last call of a data check was
 * answered, a row for each question.
 */
Datum
voxanne_data_check_execution(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, executions)
	{
		const Execution *execution = lfirst(lc);
		Datum		values[7];
		bool		nulls[7] = {false};

		values[0] = CStringGetTextDatum(execution->object);
		values[1] = CStringGetTextDatum(execution->question);
		values[2] = CStringGetTextDatum(execution->scanned ? "scan" : "sql");
		values[3] = Int32GetDatum(execution->stats.workers);
		values[4] = Int64GetDatum((int64) execution->stats.scanned);
		values[5] = Int64GetDatum((int64) execution->stats.spilled);
		nulls[3] = nulls[4] = nulls[5] = !execution->scanned;
		nulls[6] = execution->scanned;
		if (!execution->scanned)
			values[6] = CStringGetTextDatum(execution->reason);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
