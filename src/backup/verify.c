/*
 * src/backup/verify.c
 *		CALL verify_backup(): one cycle in the user's own session.
 */
#include "postgres.h"

#include "access/xact.h"
#include "backup/assess.h"
#include "backup/cycle.h"
#include "backup/session_progress.h"
#include "backup/slots.h"
#include "backup/turn.h"
#include "backup/verdict.h"
#include "core/compat.h"
#include "core/json.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static void check_can_commit(FunctionCallInfo fcinfo);
static char *verify(const char *plan, const char *level);
static char *run(const char *part, const char *level);
static void report(const char *plan);
static void tell(const char *text);

VOXANNE_FUNCTION(voxanne_verify_backup);

/*
 * verify_backup(target text, level text)
 *
 * Transactions of their own: plan, one for each target's record, report, and
 * settle where there was something to tell; while the agent runs, the one that
 * SPI_commit() has begun holds no snapshot, no transaction number and no lock
 * but that on the target's turn (turn.c), so that neither vacuum nor DDL has to
 * wait for it.
 */
Datum
voxanne_verify_backup(PG_FUNCTION_ARGS)
{
	char	   *only = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *level = PG_ARGISNULL(1) ? pstrdup("status") : text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *plan;
	char	   *told;

	check_can_commit(fcinfo);
	plan = voxanne_cycle_plan_now(only, level);

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	SPI_commit();
	told = verify(plan, level);
	report(plan);
	SPI_commit();
	if (told != NULL)
		tell(told);
	SPI_finish();
	PG_RETURN_VOID();
}

/* Run and record target by target, each when nobody else verifies it, and return what is to be told, claimed with the last. */
static char *
verify(const char *plan, const char *level)
{
	List	   *parts = voxanne_cycle_parts(plan);
	char	   *told = NULL;
	ListCell   *lc;

	foreach(lc, parts)
	{
		char	   *results;
		VoxCycleDue due;
		bool		good;

		voxanne_turn_await(voxanne_cycle_target(lfirst(lc)));
		results = run(lfirst(lc), level);
		good = voxanne_cycle_record(lfirst(lc), results, GetCurrentTimestamp(), &due);
		if (lnext(parts, lc) == NULL)
			told = voxanne_cycle_claim(good, GetCurrentTimestamp(), &due);
		SPI_commit();
	}
	return told;
}

/* Run the agent for a target, which backup_verification_progress shows meanwhile. */
static char *
run(const char *part, const char *level)
{
	char	   *volatile results = NULL;

	voxanne_session_progress_begin(voxanne_cycle_target(part), level);
	PG_TRY();
	{
		results = voxanne_cycle_run(part);
	}
	PG_FINALLY();
	{
		voxanne_session_progress_end();
	}
	PG_END_TRY();
	return results;
}

/* ERROR unless called by a CALL of its own, in a session that may write. */
static void
check_can_commit(FunctionCallInfo fcinfo)
{
	PreventCommandIfReadOnly("CALL verify_backup()");
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("verify_backup() cannot run inside a transaction block"),
				 errdetail("It commits before it reads the backup, so that no snapshot is held meanwhile."),
				 errhint("Call it by itself, outside of BEGIN and of functions; or let the background worker do it: SELECT request_verification();")));
}

/* Say how the targets of the plan stand now that their verification is recorded. */
static void
report(const char *plan)
{
	JsonbContainer *planned = voxanne_json_child(voxanne_json_parse(plan), "targets");
	TimestampTz now = GetCurrentTimestamp();
	VoxStore	store;
	List	   *targets;

	voxanne_store_open(&store, AccessShareLock);
	targets = voxanne_targets(&store, now);
	voxanne_store_close(&store);
	for (int i = 0; i < voxanne_json_length(planned); i++)
	{
		VoxTarget  *target = voxanne_find_target(targets, voxanne_json_text(voxanne_json_element(planned, i), "name"));
		VoxTargetState state;

		if (target == NULL || target->status == NULL)
			continue;
		voxanne_assess_target(target, now, &state);
		ereport(state.severity == VOX_INFO ? NOTICE : WARNING,
				(errmsg("backup target \"%s\": %s", target->name, target->status),
				 errdetail("%s", state.detail),
				 state.advice == NULL ? 0 : errhint("%s", state.advice)));
	}
}

/* Tell the world, and note what came of it. */
static void
tell(const char *text)
{
	char	   *outcomes = voxanne_cycle_alert(text);
	VoxCycleDue due;
	char	   *problem;

	if (outcomes != NULL)
	{
		voxanne_cycle_settle(outcomes, GetCurrentTimestamp(), &due);
		SPI_commit();
	}
	if (voxanne_cycle_ping(text, &problem))
		voxanne_slots_pinged(MyDatabaseId, problem);
}
