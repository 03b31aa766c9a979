/*
 * src/locks/session.c
 *		What is known about the sessions and prepared transactions of a wait graph.
 *
 * Read from the array behind pg_stat_activity, under the rule of that view:
 * what a session does is shown to roles with the privileges of
 * pg_read_all_stats and to those of the session's own role.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/progress.h"
#include "common/ip.h"
#include "core/compat.h"
#include "executor/spi.h"
#include "locks/session.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static void judge_rights(VoxSession *session, bool roles);
static bool find_prepared(VoxSession *session, TransactionId xid);
static bool find_connecting(VoxSession *session, const VoxParty *party);
static Oid	awaited_database(const VoxParty *party);

/* In the words of pg_stat_activity. */
static const char *const state_names[] = {
	[STATE_IDLE] = "idle",
	[STATE_RUNNING] = "active",
	[STATE_IDLEINTRANSACTION] = "idle in transaction",
	[STATE_FASTPATH] = "fastpath function call",
	[STATE_IDLEINTRANSACTION_ABORTED] = "idle in transaction (aborted)",
	[STATE_DISABLED] = "disabled",
};

/* Commands that report how far they are: the parameters that hold what is done and what there is to do. */
static const struct
{
	ProgressCommandType command;
	const char *name;
	int			done;
	int			total;
}			progress_reports[] = {
	{PROGRESS_COMMAND_VACUUM, "VACUUM", PROGRESS_VACUUM_HEAP_BLKS_SCANNED, PROGRESS_VACUUM_TOTAL_HEAP_BLKS},
	{PROGRESS_COMMAND_ANALYZE, "ANALYZE", PROGRESS_ANALYZE_BLOCKS_DONE, PROGRESS_ANALYZE_BLOCKS_TOTAL},
	{PROGRESS_COMMAND_COPY, "COPY", PROGRESS_COPY_BYTES_PROCESSED, PROGRESS_COPY_BYTES_TOTAL},
	{VOX_PROGRESS_REWRITE, "VACUUM FULL or CLUSTER", VOX_PROGRESS_REWRITE_DONE, VOX_PROGRESS_REWRITE_TOTAL},
	{PROGRESS_COMMAND_CREATE_INDEX, "CREATE INDEX or REINDEX", PROGRESS_SCAN_BLOCKS_DONE, PROGRESS_SCAN_BLOCKS_TOTAL},
};

/* Phases in which CREATE INDEX waits, in the words of pg_stat_progress_create_index. */
static const char *const index_waits[] = {
	[PROGRESS_CREATEIDX_PHASE_WAIT_1] = "waiting for writers before build",
	[PROGRESS_CREATEIDX_PHASE_WAIT_2] = "waiting for writers before validation",
	[PROGRESS_CREATEIDX_PHASE_WAIT_3] = "waiting for old snapshots",
	[PROGRESS_CREATEIDX_PHASE_WAIT_4] = "waiting for readers before marking dead",
	[PROGRESS_CREATEIDX_PHASE_WAIT_5] = "waiting for readers before dropping",
};

/*
 * Take a new copy of all sessions' activity.  An older one that the
 * transaction may hold would show sessions as they were then.  "roles" says
 * whether the catalogs of roles can be read without waiting.
 */
void
voxanne_activity_take(VoxActivity *activity, bool roles)
{
	activity->roles = roles;
	pgstat_clear_backend_activity_snapshot();
	activity->count = pgstat_fetch_stat_numbackends();
	activity->sessions = palloc_array(const PgBackendStatus *, Max(activity->count, 1));
	for (int i = 0; i < activity->count; i++)
		activity->sessions[i] = &voxanne_activity(i + 1)->backendStatus;
}

/*
 * What is known about a party; NULL if it is gone.
 */
VoxSession *
voxanne_session(const VoxActivity *activity, const VoxParty *party)
{
	VoxSession *session = palloc0_object(VoxSession);

	if (party->pid == 0)
		return find_prepared(session, party->xid) || !TransactionIdIsValid(party->xid) ? session : NULL;

	for (int i = 0; i < activity->count; i++)
	{
		const PgBackendStatus *status = activity->sessions[i];

		if (status->st_procpid != party->pid)
			continue;
		session->status = status;
		session->database = OidIsValid(status->st_databaseid) ? status->st_databaseid : awaited_database(party);
		session->userid = status->st_userid;
		judge_rights(session, activity->roles);
		if (status->st_backendType != B_WAL_SENDER)
			session->xact_start = status->st_xact_start_timestamp;
		return session;
	}
	return find_connecting(session, party) ? session : NULL;
}

/*
 * Whose it is, and whether the caller may see what it does.  Where that cannot
 * be looked up it is not shown, but to a superuser, and counts as a superuser's.
 */
static void
judge_rights(VoxSession *session, bool roles)
{
	if (!roles)
	{
		session->superuser = OidIsValid(session->userid);
		session->hidden = !superuser();
		return;
	}
	session->superuser = OidIsValid(session->userid) && superuser_arg(session->userid);
	session->hidden = !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) &&
		!has_privs_of_role(GetUserId(), session->userid);
}

/*
 * A process that waits while it connects, as for a lock on the database, may not
 * be in the array of activity yet.  False if it is gone.
 */
static bool
find_connecting(VoxSession *session, const VoxParty *party)
{
	volatile PGPROC *proc = BackendPidGetProc(party->pid);

	session->connecting = party->waits != NIL && proc != NULL && proc->waitLock != NULL;
	session->database = awaited_database(party);
	return session->connecting;
}

/* The database that a process awaits, to which it then belongs; InvalidOid if it awaits none. */
static Oid
awaited_database(const VoxParty *party)
{
	ListCell   *lc;

	foreach(lc, party->waits)
	{
		const LOCKTAG *tag = &((const VoxWait *) lfirst(lc))->tag;

		if (tag->locktag_type == LOCKTAG_OBJECT && tag->locktag_field2 == DatabaseRelationId)
			return tag->locktag_field3;
	}
	return InvalidOid;
}

/* Fill in a prepared transaction by its id; false if there is none (any more). */
static bool
find_prepared(VoxSession *session, TransactionId xid)
{
	Oid			argtypes[] = {XIDOID};
	Datum		args[] = {TransactionIdGetDatum(xid)};
	MemoryContext caller = CurrentMemoryContext;
	bool		found = false;

	if (!TransactionIdIsValid(xid))
		return false;
	SPI_connect();
	if (SPI_execute_with_args("SELECT gid, prepared, ownerid, dbid FROM pg_catalog.pg_prepared_xact()"
							  " WHERE transaction OPERATOR(pg_catalog.=) $1",
							  1, argtypes, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not list prepared transactions");
	if (SPI_processed == 1)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		session->gid = MemoryContextStrdup(caller, SPI_getvalue(tuple, desc, 1));
		session->xact_start = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 2, &isnull));
		session->userid = DatumGetObjectId(SPI_getbinval(tuple, desc, 3, &isnull));
		session->database = DatumGetObjectId(SPI_getbinval(tuple, desc, 4, &isnull));
		found = true;
	}
	SPI_finish();
	return found;
}

/*
 * Its state as in pg_stat_activity; NULL for processes that have none.  A constant.
 */
const char *
voxanne_session_state(const VoxSession *session)
{
	BackendState state;

	if (session->status == NULL)
		return NULL;
	state = session->status->st_state;
	return (int) state < 0 || state >= (int) lengthof(state_names) ? NULL : state_names[state];
}

/*
 * Its backend_type as in pg_stat_activity; NULL for prepared transactions.
 */
const char *
voxanne_session_type(const VoxSession *session)
{
	if (session->status == NULL)
		return NULL;
	if (session->status->st_backendType == B_BG_WORKER)
		return GetBackgroundWorkerTypeByPid(session->status->st_procpid);
	return GetBackendTypeDesc(session->status->st_backendType);
}

/*
 * The client's address as text that inet takes; NULL for local clients and others without one.
 */
char *
voxanne_session_address(const VoxSession *session)
{
	const SockAddr *addr;
	char		host[NI_MAXHOST] = "";

	if (session->status == NULL)
		return NULL;
	addr = &session->status->st_clientaddr;
	if (addr->addr.ss_family != AF_INET && addr->addr.ss_family != AF_INET6)
		return NULL;
	if (pg_getnameinfo_all(&addr->addr, addr->salen, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
		return NULL;
	host[strcspn(host, "%")] = '\0';	/* an IPv6 zone, which inet does not
										 * know */
	return pstrdup(host);
}

/*
 * How far a command that reports its progress is, as a phrase, and in percent
 * (-1 if it does not say); NULL if it reports none.  A percentage is that of
 * the command's present phase.
 */
char *
voxanne_session_progress(const VoxSession *session, int *percent)
{
	const PgBackendStatus *status = session->status;

	*percent = -1;
	if (status == NULL || status->st_progress_command == PROGRESS_COMMAND_INVALID)
		return NULL;

	if (status->st_progress_command == PROGRESS_COMMAND_CREATE_INDEX)
	{
		int64		phase = status->st_progress_param[PROGRESS_CREATEIDX_PHASE];

		if (phase >= 0 && phase < (int64) lengthof(index_waits) && index_waits[phase] != NULL)
			return pstrdup(index_waits[phase]);
	}
	for (int i = 0; i < (int) lengthof(progress_reports); i++)
	{
		int64		done;
		int64		total;

		if (status->st_progress_command != progress_reports[i].command)
			continue;
		done = status->st_progress_param[progress_reports[i].done];
		total = status->st_progress_param[progress_reports[i].total];
		if (total <= 0)
			return pstrdup(progress_reports[i].name);
		*percent = (int) Min(done / (total / 100.0), 100.0);
		return psprintf("%s at %d %%", progress_reports[i].name, *percent);
	}
	return NULL;
}
