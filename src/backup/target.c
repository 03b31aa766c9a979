/*
 * src/backup/target.c
 *		Backup targets with what is known of them, and our tables.
 *
 * The log is the only memory of past verifications: when a target is due, how
 * often it failed and what was shown of it are read from there, so that state
 * and log cannot disagree.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/kind.h"
#include "backup/target.h"
#include "catalog/namespace.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/relation.h"
#include "backup/statement.h"
#include "core/utc.h"
#include "core/words.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

static Oid	table_owner(Oid relid);
static VoxTarget *read_target(int row);
static void read_options(VoxTarget *target, int row);
static void read_deep_result(VoxTarget *target, int row);

/*
 * Get at our tables, whoever the caller is: they belong to the extension's
 * owner and nobody else may write them, so what the SQL functions grant is
 * decided by who may execute them.  Locks first the extension, against DROP,
 * then backup_target in "lockmode", and only then takes a snapshot.  Needs a transaction.  ERROR 55000 where the extension is
 * not installed.
 */
void
voxanne_store_open(VoxStore *store, LOCKMODE lockmode)
{
	Oid			schema;
	Oid			targets;

	store->caller = CurrentMemoryContext;
	(void) voxanne_hold_extension(true);
	store->targets = voxanne_own_name("backup_target");
	store->log = voxanne_own_name("backup_verification_log");
	schema = voxanne_extension_schema(NULL);
	targets = get_relname_relid("backup_target", schema);
	if (!OidIsValid(targets) || !OidIsValid(get_relname_relid("backup_verification_log", schema)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a table of extension \"voxanne_ops\" is missing"),
				 errhint("Recreate the extension.")));
	LockRelationOid(targets, lockmode);

	voxanne_become(table_owner(targets), &store->saved);
	store->nestlevel = voxanne_pin_settings();
	store->snapshot = !ActiveSnapshotSet();
	if (store->snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/* Undo voxanne_store_open(); the lock stays to the end of the transaction. */
void
voxanne_store_close(VoxStore *store)
{
	SPI_finish();
	if (store->snapshot)
		PopActiveSnapshot();
	voxanne_unpin_settings(store->nestlevel);
	voxanne_become_again(&store->saved);
}

static Oid
table_owner(Oid relid)
{
	Oid			owner = voxanne_relation_owner(relid);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("extension \"voxanne_ops\" was dropped concurrently")));
	return owner;
}

/*
 * All targets (VoxTarget), by name, with their latest verifications; in the
 * store's caller's context.  Rows of the log that lie in the future, left by a
 * clock that was wrong, do not count.
 */
List *
voxanne_targets(VoxStore *store, TimestampTz now)
{
	VoxStatement query;
	List	   *targets = NIL;
	MemoryContext old;
	int			count;

	/*
	 * two rows for each target: with its latest verification, and with its
	 * latest deep one
	 */
	voxanne_statement_start(&query, psprintf(
											 "SELECT t.name, t.kind, t.location,"
											 " (extract(epoch FROM t.status_interval) * 1000000)::bigint,"
											 " (extract(epoch FROM t.verify_interval) * 1000000)::bigint,"
											 " (extract(epoch FROM t.max_age) * 1000000)::bigint,"
											 " (extract(epoch FROM t.time_limit) * 1000000)::bigint,"
											 " (extract(epoch FROM t.verify_time_limit) * 1000000)::bigint,"
											 " t.paused_at, t.paused_reason, t.requested_at, t.requested_level, t.system_identifier, t.created_at,"
											 " l.verified_at, l.level, l.backup_id, l.status, l.proof, coalesce(l.verification_details #>> '{backup,finished_at}', (SELECT k.verification_details #>> '{backup,finished_at}'"
											 "  FROM %2$s k WHERE k.target = t.name AND k.verified_at <= $1 AND k.verification_details #>> '{backup,finished_at}' IS NOT NULL"
											 "  ORDER BY k.verified_at DESC LIMIT 1)),"
											 " l.error_details #>> '{0,check}', l.error_details #>> '{0,detail}',"
											 " l.checks_passed::bigint, l.checks_failed::bigint, f.failures,"
											 " t.verify_window, t.min_size, (t.max_size_change * 1000000)::bigint,"
											 " array_to_json(t.critical_tables)::text, (extract(epoch FROM t.pitr_window) * 1000000)::bigint,"
											 " CASE WHEN jsonb_typeof(l.verification_details -> 'backup') = 'object' THEN l.verification_details ->> 'backup' END,"
											 " t.external::int::bigint, t.repository"
											 " FROM %1$s t CROSS JOIN (VALUES (1, NULL), (2, $2)) v (number, level)"
											 " LEFT JOIN LATERAL (SELECT * FROM %2$s l WHERE l.target = t.name AND l.verified_at <= $1"
											 "  AND (v.level IS NULL OR l.level = v.level) ORDER BY l.verified_at DESC LIMIT 1) l ON true"
											 " CROSS JOIN LATERAL (SELECT count(*) AS failures FROM"
											 "  (SELECT FROM %2$s f WHERE f.target = t.name AND f.status = 'failure' AND f.verified_at <= $1"
											 "   AND (v.level IS NULL OR f.level = v.level)"
											 "   AND f.verified_at > coalesce((SELECT max(g.verified_at) FROM %2$s g WHERE g.target = t.name"
											 "    AND (v.level IS NULL OR g.level = v.level)"
											 "    AND g.status <> 'failure' AND g.verified_at <= $1), '-infinity') LIMIT 16) f) f"
											 " ORDER BY t.name COLLATE \"C\", v.number",
											 store->targets, store->log));
	voxanne_bind_time(&query, now + VOX_CLOCK_SLACK);
	voxanne_bind_text(&query, VOX_LEVEL_VERIFY);
	count = voxanne_statement_run(&query);

	old = MemoryContextSwitchTo(store->caller);
	for (int row = 0; row + 1 < count; row += 2)
	{
		VoxTarget  *target = read_target(row);

		read_deep_result(target, row + 1);
		targets = lappend(targets, target);
	}
	MemoryContextSwitchTo(old);
	return targets;
}

static VoxTarget *
read_target(int row)
{
	VoxTarget  *target = palloc0_object(VoxTarget);
	char	   *finished_at = voxanne_field_text(row, 20);

	target->name = voxanne_field_text(row, 1);
	target->kind = voxanne_field_text(row, 2);
	target->location = voxanne_field_text(row, 3);
	target->status_interval = voxanne_field_int64(row, 4, 0);
	target->verify_interval = voxanne_field_int64(row, 5, 0);
	target->max_age = voxanne_field_int64(row, 6, 0);
	target->time_limit = voxanne_field_int64(row, 7, 0);
	target->verify_time_limit = voxanne_field_int64(row, 8, 0);
	target->paused_at = voxanne_field_time(row, 9);
	target->paused_reason = voxanne_field_text(row, 10);
	target->requested_at = voxanne_field_time(row, 11);
	target->requested_level = voxanne_field_text(row, 12);
	target->system_identifier = voxanne_field_int64(row, 13, 0);
	target->created_at = voxanne_field_time(row, 14);
	target->verified_at = voxanne_field_time(row, 15);
	target->level = voxanne_field_text(row, 16);
	target->backup_id = voxanne_field_text(row, 17);
	target->status = voxanne_field_text(row, 18);
	target->proof = voxanne_field_text(row, 19);
	if (!voxanne_parse_utc(finished_at, &target->finished_at))
		target->finished_at = DT_NOBEGIN;
	target->problem = voxanne_field_text(row, 21);
	target->problem_detail = voxanne_field_text(row, 22);
	target->passed = (int) voxanne_field_int64(row, 23, 0);
	target->failed = (int) voxanne_field_int64(row, 24, 0);
	target->failures = (int) voxanne_field_int64(row, 25, 0);
	read_options(target, row);
	return target;
}

static void
read_options(VoxTarget *target, int row)
{
	char	   *window = voxanne_field_text(row, 26);

	if (window == NULL || !voxanne_window_parse(window, &target->verify_window))
		target->verify_window.from = -1;
	target->verify_window.delay = voxanne_target_share(target, VOX_LEVEL_VERIFY);
	target->min_size = voxanne_field_int64(row, 27, -1);
	target->max_size_change = voxanne_field_int64(row, 28, 0);
	target->critical_tables = voxanne_field_text(row, 29);
	target->pitr_window = voxanne_field_int64(row, 30, 0);
	target->repository = voxanne_field_text(row, 33);
	target->external = voxanne_field_int64(row, 32, 0) != 0;
}

/*
 * The latest result at level verify.  What it showed of a backup holds as long
 * as that backup is the one that is looked at, and still looks good.
 */
static void
read_deep_result(VoxTarget *target, int row)
{
	VoxDeepResult *verify = &target->verify;
	char	   *backup_id = voxanne_field_text(row, 17);

	verify->verified_at = voxanne_field_time(row, 15);
	verify->status = voxanne_field_text(row, 18);
	verify->problem = voxanne_field_text(row, 21);
	verify->problem_detail = voxanne_field_text(row, 22);
	verify->failures = (int) voxanne_field_int64(row, 25, 0);
	verify->backup = voxanne_field_text(row, 31);
	if (backup_id != NULL && target->backup_id != NULL && strcmp(backup_id, target->backup_id) == 0 &&
		strcmp(target->status, "failure") != 0 && strcmp(verify->status, "failure") != 0)
		target->proof = voxanne_field_text(row, 19);
}

/* The target of this name, or NULL. */
VoxTarget *
voxanne_find_target(List *targets, const char *name)
{
	ListCell   *lc;

	foreach(lc, targets)
	{
		VoxTarget  *target = lfirst(lc);

		if (strcmp(target->name, name) == 0)
			return target;
	}
	return NULL;
}

/* Was it added in another cluster, of which this one holds a copy? */
bool
voxanne_target_suspended(const VoxTarget *target)
{
	return (uint64) target->system_identifier != GetSystemIdentifier();
}

/* Can it be verified at this level?  Of a kind that is not known that is found out when it is tried. */
bool
voxanne_target_has_level(const VoxTarget *target, const char *level)
{
	const VoxKind *kind = voxanne_kind(target->kind);

	return kind == NULL || voxanne_kind_proof(kind, level) != NULL;
}

/* ERROR 55000 for a suspended target: somebody must decide first. */
void
voxanne_check_not_suspended(const VoxTarget *target)
{
	if (voxanne_target_suspended(target))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("backup target \"%s\" is suspended", target->name),
				 errdetail("It was added in the cluster with system identifier " UINT64_FORMAT
						   "; this one has " UINT64_FORMAT ".",
						   (uint64) target->system_identifier, GetSystemIdentifier()),
				 errhint("If this cluster's backups are at its location now: SELECT resume_backup_target(%s);",
						 quote_literal_cstr(target->name))));
}

/* ERROR 42704 for a name that no target has, with what the user may have meant. */
void
voxanne_unknown_target(List *targets, const char *name)
{
	List	   *names = NIL;
	const char *closest;
	ListCell   *lc;

	foreach(lc, targets)
		names = lappend(names, ((VoxTarget *) lfirst(lc))->name);
	closest = voxanne_closest(name, names);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("backup target \"%s\" does not exist", name),
			 closest != NULL ? errhint("Perhaps you meant \"%s\".", closest) :
			 errhint("List the targets: SELECT target FROM backup_status();")));
}
