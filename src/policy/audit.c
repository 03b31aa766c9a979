/*
 * src/policy/audit.c
 *		rls_audit(): leaks and lockouts of row security, found without running
 *		anything that a user wrote.
 *
 * Reads catalogs only.  Two passes over the tables: the first learns how this
 * database tells tenants apart, for the remedies; the second runs the checks.
 * A table is locked in AccessShareLock, which keeps its policies and all that
 * they refer to in place, only while it is looked at.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "audit.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/privileges.h"
#include "core/relation.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

typedef void (*TableCheck) (VoxAudit *audit, VoxTable *table);

static void check_schemas(ArrayType *schemas);
static void find_roles(VoxAudit *audit, ArrayType *names);
static void add_role(VoxAudit *audit, const char *name);
static void add_public(VoxAudit *audit);
static bool is_nobody(Oid roleid);
static void for_each(VoxAudit *audit, List *relations, TableCheck check, bool report_busy);
static void check_table(VoxAudit *audit, VoxTable *table);
static Datum *names_of(ArrayType *array, const char *argument, int *count);

VOXANNE_FUNCTION(voxanne_rls_audit);

/* rls_audit()'s columns besides the six, in this order */
enum
{
	COL_CHECK_NAME, COL_RELATION, COL_POLICY, COL_ROLE, COL_COMMAND, COL_VERDICT,
	COL_RUNBOOK, COL_METADATA, COLUMNS
};

static const char *const verdict_names[] = {
	[VOX_LEAK] = "leak",
	[VOX_LOCKOUT] = "lockout",
	[VOX_ERROR] = "error",
	[VOX_PERFORMANCE] = "performance",
	[VOX_HYGIENE] = "hygiene",
};

/*
 * rls_audit(schemas name[], roles name[], tenant_column name)
 */
Datum
voxanne_rls_audit(PG_FUNCTION_ARGS)
{
	static const char *const arguments[] = {"schemas", "roles", "tenant_column"};
	VoxSink		sink;
	VoxAudit	audit = {.sink = &sink,.context = CurrentMemoryContext};
	ArrayType  *schemas;
	int			nestlevel;

	for (int i = 0; i < 3; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not be null", arguments[i]),
					 errhint("Leave the argument out to get its default.")));
	voxanne_sink_open(&sink, fcinfo);
	schemas = PG_GETARG_ARRAYTYPE_P(0);
	audit.tenant_column = NameStr(*PG_GETARG_NAME(2));
	audit.table_context = AllocSetContextCreate(CurrentMemoryContext, "rls_audit table",
												ALLOCSET_DEFAULT_SIZES);

	nestlevel = voxanne_pin_settings_for_policies();
	check_schemas(schemas);
	find_roles(&audit, PG_GETARG_ARRAYTYPE_P(1));
	audit.tables = voxanne_audit_list(schemas, "rp");
	audit.views = voxanne_audit_list(schemas, "vm");
	for_each(&audit, audit.tables, voxanne_helper_vote, false);
	for_each(&audit, audit.tables, check_table, true);
	for_each(&audit, voxanne_audit_list(schemas, "f"), voxanne_check_foreign, true);
	for_each(&audit, audit.views, voxanne_check_view, true);
	voxanne_report_needs(&audit);
	voxanne_report_truncate(&audit);
	voxanne_check_roles(&audit);
	voxanne_unpin_settings(nestlevel);

	voxanne_sink_close(&sink);
	MemoryContextDelete(audit.table_context);
	return (Datum) 0;
}

/* ERROR 3F000 for a schema that does not exist. */
static void
check_schemas(ArrayType *schemas)
{
	int			count;
	Datum	   *names = names_of(schemas, "schemas", &count);

	for (int i = 0; i < count; i++)
	{
		const char *name = NameStr(*DatumGetName(names[i]));

		if (!OidIsValid(get_namespace_oid(name, true)))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_SCHEMA),
					 errmsg("schema \"%s\" does not exist", name),
					 errhint("Name the schemas of the application: rls_audit(schemas => '{public}').")));
	}
}

static Datum *
names_of(ArrayType *array, const char *argument, int *count)
{
	Datum	   *names;
	bool	   *nulls;

	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, count);
	for (int i = 0; i < *count; i++)
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain null", argument)));
	return names;
}

/*
 * The roles under audit.  One that does not exist is a finding; if none does,
 * what everybody may do is audited.
 */
static void
find_roles(VoxAudit *audit, ArrayType *array)
{
	int			count;
	Datum	   *names = names_of(array, "roles", &count);

	audit->roles = palloc0_array(VoxAuditRole, count + 1);
	for (int i = 0; i < count; i++)
		add_role(audit, NameStr(*DatumGetName(names[i])));
	if (audit->role_count == 0)
		add_public(audit);
}

static void
add_role(VoxAudit *audit, const char *name)
{
	VoxAuditRole *role = &audit->roles[audit->role_count];

	if (strcmp(name, "public") == 0)
	{
		add_public(audit);
		return;
	}
	for (int i = 0; i < audit->role_count; i++)
		if (audit->roles[i].name != NULL && strcmp(audit->roles[i].name, name) == 0)
			return;
	role->oid = get_role_oid(name, true);
	role->name = pstrdup(name);
	role->shown = pstrdup(quote_identifier(name));
	if (!OidIsValid(role->oid))
	{
		voxanne_audit_skip(audit, role->shown, psprintf("There is no role %s, so it was not audited.", role->shown),
						   "Name the roles that the application's users act as: rls_audit(roles => '{...}').");
		return;
	}
	role->exempt = has_bypassrls_privilege(role->oid);
	audit->role_count++;
}

/*
 * PUBLIC has no oid to ask the server about.  A predefined role that belongs
 * to no other role and holds nothing itself has what PUBLIC has.
 */
static void
add_public(VoxAudit *audit)
{
	static const Oid predefined[] = {
		ROLE_PG_SIGNAL_BACKEND, ROLE_PG_CHECKPOINT, ROLE_PG_STAT_SCAN_TABLES,
		ROLE_PG_READ_SERVER_FILES, ROLE_PG_WRITE_SERVER_FILES, ROLE_PG_EXECUTE_SERVER_PROGRAM
	};
	VoxAuditRole *role = &audit->roles[audit->role_count];

	for (int i = 0; i < audit->role_count; i++)
		if (audit->roles[i].name == NULL)
			return;
	for (int i = 0; i < (int) lengthof(predefined); i++)
		if (is_nobody(predefined[i]))
		{
			role->oid = predefined[i];
			role->name = NULL;
			role->shown = "PUBLIC";
			role->exempt = false;
			audit->role_count++;
			return;
		}
	voxanne_audit_skip(audit, "PUBLIC", "Every predefined role has been made a member of another one, so there is none to stand in for PUBLIC.",
					   "Name the roles that the application's users act as: rls_audit(roles => '{...}').");
}

static bool
is_nobody(Oid roleid)
{
	CatCList   *memberships = SearchSysCacheList1(AUTHMEMMEMROLE, ObjectIdGetDatum(roleid));
	bool		none = memberships->n_members == 0;

	ReleaseSysCacheList(memberships);
	return none && !has_bypassrls_privilege(roleid);
}

/*
 * Run "check" on each relation, one lock at a time.  A relation that is busy or gone
 * is passed over; a busy one is reported if asked for.
 */
static void
for_each(VoxAudit *audit, List *relations, TableCheck check, bool report_busy)
{
	ListCell   *lc;

	foreach(lc, relations)
	{
		Oid			relid = lfirst_oid(lc);
		MemoryContext old = MemoryContextSwitchTo(audit->table_context);
		VoxLockResult lock;

		CHECK_FOR_INTERRUPTS();
		lock = voxanne_try_lock(relid, AccessShareLock);
		if (lock == VOX_LOCKED)
		{
			Relation	rel = table_open(relid, NoLock);
			VoxTable	table;

			voxanne_audit_open_table(audit, rel, &table);
			check(audit, &table);
			table_close(rel, NoLock);
			UnlockRelationOid(relid, AccessShareLock);
		}
		else if (lock == VOX_LOCK_BUSY && report_busy)
		{
			char	   *name = voxanne_relation_name(relid);

			if (name != NULL)
				voxanne_audit_skip(audit, name, psprintf("%s is locked by DDL, so it was not audited.", name),
								   "Run rls_audit again once the lock is gone; blocking_locks() shows who holds it.");
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(audit->table_context);
	}
}

static void
check_table(VoxAudit *audit, VoxTable *table)
{
	if (!table->rel->rd_rel->relrowsecurity)
		voxanne_check_switched_off(audit, table);
	else
	{
		voxanne_check_owner(audit, table);
		voxanne_check_exposure(audit, table);
		voxanne_check_lockout(audit, table);
		voxanne_check_dependencies(audit, table);
		voxanne_check_recursion(audit, table);
		voxanne_note_truncate(audit, table);
		voxanne_check_unindexed(audit, table);
	}
	voxanne_check_dead_policies(audit, table);
	voxanne_check_principal(audit, table);
	voxanne_check_text_comparison(audit, table);
}

/*
 * Hand a finding to the sink; everything is copied.
 */
void
voxanne_audit_report(VoxAudit *audit, const VoxAuditFinding *finding)
{
	const char *object = finding->object != NULL ? finding->object : finding->relation;
	VoxFinding	base = {
		.severity = finding->severity,
		.object = object,
		.detail = finding->detail,
		.advice = finding->advice,
		.remedy = finding->remedy,
		.key = voxanne_finding_key(finding->check, object, finding->discriminator),
	};
	const char *const texts[COLUMNS] = {
		[COL_CHECK_NAME] = finding->check,
		[COL_RELATION] = finding->relation,
		[COL_POLICY] = finding->policy,
		[COL_ROLE] = finding->role,
		[COL_COMMAND] = finding->command,
		[COL_VERDICT] = verdict_names[finding->verdict],
		[COL_RUNBOOK] = "1.5",
		[COL_METADATA] = finding->metadata,
	};
	Datum		own[COLUMNS];
	bool		nulls[COLUMNS];

	for (int i = 0; i < COLUMNS; i++)
	{
		nulls[i] = texts[i] == NULL;
		if (nulls[i])
			own[i] = (Datum) 0;
		else if (i == COL_POLICY || i == COL_ROLE)
			own[i] = DirectFunctionCall1(namein, CStringGetDatum(texts[i]));
		else if (i == COL_METADATA)
			own[i] = DirectFunctionCall1(jsonb_in, CStringGetDatum(texts[i]));
		else
			own[i] = CStringGetTextDatum(texts[i]);
	}
	voxanne_sink_add(audit->sink, &base, own, nulls);
}

/*
 * Report what could not be audited.
 */
void
voxanne_audit_skip(VoxAudit *audit, const char *object, const char *reason, const char *advice)
{
	VoxAuditFinding finding = {
		.severity = VOX_WARNING,
		.verdict = VOX_HYGIENE,
		.check = "check_skipped",
		.object = object,
		.discriminator = "rls_audit",
		.detail = reason,
		.advice = advice,
	};

	voxanne_audit_report(audit, &finding);
}
