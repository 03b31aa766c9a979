/*
 * src/core/attempt.c
 *		Running one check so that its failure does not hide the others.
 *
 * A check that fails becomes a finding, for which its work has to be undone:
 * hence a subtransaction.  In recovery there is none, because a conflict with
 * replay inside a subtransaction ends the session, nor as part of a parallel
 * query, where up to 16 none can be begun; there an error stays one.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "core/attempt.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

static char *attempt(VoxAttempt run, void *state, bool undo);
static bool concerns_whole_call(int sqlerrcode);

/*
 * Run a check in a subtransaction.  NULL if it worked, else a sentence about
 * why not, for a finding's detail.  What ends the whole call is thrown on:
 * cancel, timeouts, shutdown, lack of memory, a failed serialization.
 *
 * What "run" allocates in the current memory context is kept.  In recovery and
 * in parallel mode it runs as it is, and every error is thrown on; nothing can
 * be written there.
 */
char *
voxanne_attempt(VoxAttempt run, void *state)
{
	return attempt(run, state, false);
}

/*
 * The same for a check that runs users' code: nothing can be written
 * meanwhile, not even by code that asks for a read-write transaction, and what
 * else it did (a notification, a setting, a lock) is undone afterwards.
 */
char *
voxanne_attempt_undone(VoxAttempt run, void *state)
{
	return attempt(run, state, true);
}

static char *
attempt(VoxAttempt run, void *state, bool undo)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile failure = NULL;

	if (RecoveryInProgress() || IsInParallelMode())
	{
		run(state);
		return NULL;
	}

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	if (undo)
		XactReadOnly = true;	/* to the subtransaction's end, see xact.c */
	PG_TRY();
	{
		run(state);
		if (undo)
			RollbackAndReleaseCurrentSubTransaction();
		else
			ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;

		if (concerns_whole_call(error->sqlerrcode))
			ReThrowError(error);
		failure = psprintf("The check failed with SQLSTATE %s: %s.",
						   unpack_sql_state(error->sqlerrcode), error->message);
		FreeErrorData(error);
	}
	PG_END_TRY();

	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return failure;
}

static bool
concerns_whole_call(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_OUT_OF_MEMORY ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK;
}
