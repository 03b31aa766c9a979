/*
 * src/policy/lockout.c
 *		Privileges that no policy lets a role use.
 *
 * A missing policy makes a statement find nothing, silently; a missing
 * privilege makes it fail with a clear error.  That is why a privilege that
 * cannot be used is worth a finding, and why REVOKE, which takes nothing from
 * anybody, is the remedy unless rows were evidently meant to be seen.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "audit.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

static const struct
{
	AclMode		privilege;
	char		command;		/* as in pg_policy */
	CmdType		statement;
	bool		filtered;		/* a WHERE is usual and needs the SELECT
								 * policies */
}			statements[] = {
	{ACL_SELECT, 'r', CMD_SELECT, false},
	{ACL_INSERT, 'a', CMD_INSERT, false},
	{ACL_UPDATE, 'w', CMD_UPDATE, true},
	{ACL_DELETE, 'd', CMD_DELETE, true},
};

static void check_no_policy(VoxAudit *audit, VoxTable *table);
static void check_role(VoxAudit *audit, VoxTable *table, VoxAuditRole *role, AclMode granted);
static bool finds_nothing(VoxTable *table, VoxAuditRole *role, int statement, AclMode perms);
static bool denied_on_purpose(VoxTable *table, VoxAuditRole *role, char command);
static char *missing_policies(VoxAudit *audit, VoxTable *table, VoxAuditRole *role, AclMode missing);
static bool only_granted_by_owner(VoxTable *table, VoxAuditRole *role, Datum acl, AclMode privileges);

/*
 * Report roles whose privileges on the table no policy lets them use.
 */
void
voxanne_check_lockout(VoxAudit *audit, VoxTable *table)
{
	if (table->policies == NIL)
	{
		check_no_policy(audit, table);
		return;
	}
	for (int i = 0; i < audit->role_count; i++)
		if (check_enable_rls(RelationGetRelid(table->rel), audit->roles[i].oid, true) == RLS_ENABLED)
			check_role(audit, table, &audit->roles[i], table->granted[i] & VOX_GOVERNED_PRIVILEGES);
}

/* Row security without any policy: nobody but owner and exempt roles sees a row. */
static void
check_no_policy(VoxAudit *audit, VoxTable *table)
{
	bool	   *locked = palloc0_array(bool, audit->role_count);
	AclMode    *access = palloc0_array(AclMode, audit->role_count);
	StringInfoData remedy;
	bool		can_revoke = true;
	char	   *predicate = voxanne_helper_predicate(audit, table);
	VoxAuditFinding finding = {
		.severity = table->tenant != InvalidAttrNumber ? VOX_WARNING : VOX_INFO,
		.verdict = VOX_LOCKOUT,
		.check = "rls_no_policy",
		.relation = table->name,
	};
	bool		anybody = false;

	initStringInfo(&remedy);
	for (int i = 0; i < audit->role_count; i++)
	{
		VoxAuditRole *role = &audit->roles[i];
		char	   *statement;

		access[i] = table->granted[i] & VOX_GOVERNED_PRIVILEGES;
		if (access[i] == 0 || check_enable_rls(RelationGetRelid(table->rel), role->oid, true) != RLS_ENABLED)
		{
			access[i] = 0;
			continue;
		}
		locked[i] = true;
		anybody = true;
		statement = voxanne_revocation(table, role, access[i]);
		if (statement == NULL)
			can_revoke = false;
		else
			appendStringInfo(&remedy, "%s%s", remedy.len > 0 ? " " : "", statement);
	}
	if (!anybody)
		return;
	finding.role = voxanne_only_role(audit, locked);
	finding.detail = psprintf("Row security is on and there is no policy: without an error, no row is found by %s.",
							  voxanne_role_words(audit, locked, ", "));
	finding.advice = predicate == NULL ?
		"If they should see rows, write a policy; if not, revoke the privileges, so that a query fails instead." :
		psprintf("If they should see their rows: CREATE POLICY %s ON %s USING (%s); if not, revoke the privileges, so that a query fails instead.",
				 voxanne_free_policy_name(table, "tenant"), table->name, predicate);
	finding.remedy = can_revoke ? remedy.data : NULL;
	finding.metadata = voxanne_json_access(audit, access);
	voxanne_audit_report(audit, &finding);
}

/*
 * A role that can use some of its privileges on a table but not all.  Without
 * a policy for SELECT it cannot read what it writes; that is the symptom of a
 * policy lost in a migration.
 */
static void
check_role(VoxAudit *audit, VoxTable *table, VoxAuditRole *role, AclMode granted)
{
	AclMode		open = 0;
	AclMode		locked = 0;
	AclMode		missing = 0;	/* locked for want of a policy of its own */
	VoxAuditFinding finding = {
		.verdict = VOX_LOCKOUT,
		.check = "policy_missing",
		.discriminator = role->shown,
		.relation = table->name,
		.role = role->name,
	};

	for (int i = 0; i < (int) lengthof(statements); i++)
	{
		AclMode		privilege = statements[i].privilege;

		if (!(granted & privilege))
			continue;
		if (finds_nothing(table, role, i, privilege))
		{
			if (!denied_on_purpose(table, role, statements[i].command))
				missing |= privilege;
		}
		else if (statements[i].filtered && (granted & ACL_SELECT) &&
				 finds_nothing(table, role, i, privilege | ACL_SELECT))
		{
			locked |= privilege;
			open |= privilege;	/* without WHERE */
		}
		else
			open |= privilege;
	}
	if (missing == 0 || open == 0)
		return;
	if (!(missing & ACL_SELECT))
		locked = 0;
	locked |= missing;

	finding.severity = locked & ACL_SELECT ? VOX_WARNING : VOX_INFO;
	finding.command = voxanne_privilege_words(locked);
	finding.detail = locked & ~ACL_INSERT ?
		psprintf("%s holds %s, but no policy lets it through: such statements %s.", role->shown, finding.command,
				 locked & ACL_INSERT ? "find nothing or fail" : "find nothing, without an error") :
		psprintf("%s holds INSERT, but no policy lets it through: such statements fail.", role->shown);
	if (locked & ACL_SELECT)
		finding.remedy = missing_policies(audit, table, role, missing);
	if (finding.remedy != NULL)
		finding.advice = "Restore the missing policy; if the role should not have access, revoke the privilege instead.";
	else
	{
		finding.remedy = voxanne_revocation(table, role, missing);
		finding.advice = "Write the missing policy; or, if that is intended, revoke the privilege, so that a statement fails instead of finding nothing.";
	}
	voxanne_audit_report(audit, &finding);
}

static bool
finds_nothing(VoxTable *table, VoxAuditRole *role, int statement, AclMode perms)
{
	VoxJudge	judge = {
		.desc = RelationGetDescr(table->rel),
		.tenant = table->tenant,
		.role = role->name,
	};
	List	   *old_row;
	List	   *new_row;

	voxanne_effective(table->rel, role->oid, statements[statement].statement, perms, &old_row, &new_row);
	return voxanne_binding_of(role->name,
							  voxanne_judge_all(&judge, statements[statement].statement == CMD_INSERT ?
												new_row : old_row)) == VOX_NOTHING;
}

/* A policy that says so, rather than the lack of one, keeps the role out. */
static bool
denied_on_purpose(VoxTable *table, VoxAuditRole *role, char command)
{
	ListCell   *lc;

	foreach(lc, table->policies)
	{
		VoxPolicy  *policy = lfirst(lc);
		Node	   *clause = command == 'a' && policy->check != NULL ? policy->check : policy->using;

		if (clause != NULL && voxanne_policy_applies(policy, command, role->oid))
			return true;
	}
	return false;
}

/* A policy for each command that lacks one, or NULL if the database does not show how to write it. */
static char *
missing_policies(VoxAudit *audit, VoxTable *table, VoxAuditRole *role, AclMode missing)
{
	char	   *predicate = voxanne_helper_predicate(audit, table);
	StringInfoData buf;

	if (predicate == NULL)
		return NULL;
	initStringInfo(&buf);
	for (int i = 0; i < (int) lengthof(statements); i++)
	{
		char	   *command;
		char	   *suffix;

		if (!(missing & statements[i].privilege))
			continue;
		command = voxanne_privilege_words(statements[i].privilege);
		suffix = psprintf("tenant_%s", asc_tolower(command, strlen(command)));
		appendStringInfo(&buf, "%sCREATE POLICY %s ON %s FOR %s TO %s %s (%s);", buf.len > 0 ? " " : "",
						 voxanne_free_policy_name(table, suffix), table->name, command, role->shown,
						 statements[i].statement == CMD_INSERT ? "WITH CHECK" : "USING", predicate);
	}
	return buf.data;
}

/*
 * A REVOKE for each role with access, by role, or NULL if that of one would not do.
 */
char *
voxanne_revocations(VoxAudit *audit, VoxTable *table, const AclMode *access)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < audit->role_count; i++)
	{
		char	   *statement;

		if (access[i] == 0)
			continue;
		statement = voxanne_revocation(table, &audit->roles[i], access[i]);
		if (statement == NULL)
			return NULL;
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? " " : "", statement);
	}
	return buf.data;
}

/*
 * REVOKE, or NULL if that would not take the privileges away or would take
 * them from others, too.
 */
char *
voxanne_revocation(VoxTable *table, VoxAuditRole *role, AclMode privileges)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(RelationGetRelid(table->rel)));
	bool		isnull;
	Datum		acl;
	bool		plain = true;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	acl = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	if (!isnull)
		plain = only_granted_by_owner(table, role, acl, privileges);
	ReleaseSysCache(tuple);

	for (AttrNumber attnum = 1; plain && attnum <= RelationGetNumberOfAttributes(table->rel); attnum++)
	{
		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(RelationGetRelid(table->rel)), Int16GetDatum(attnum));
		if (!HeapTupleIsValid(tuple))
			continue;
		acl = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attacl, &isnull);
		if (!isnull)
			plain = only_granted_by_owner(table, role, acl, privileges);
		ReleaseSysCache(tuple);
	}
	if (!plain)
		return NULL;
	return psprintf("REVOKE %s ON %s FROM %s;", voxanne_privilege_words(privileges), table->name, role->shown);
}

/* Does the role hold the privileges by grants of the owner to itself only? */
static bool
only_granted_by_owner(VoxTable *table, VoxAuditRole *role, Datum acl_datum, AclMode privileges)
{
	Oid			self = role->name == NULL ? ACL_ID_PUBLIC : role->oid;
	int16		len;
	bool		byval;
	char		align;
	Datum	   *items;
	int			count;

	get_typlenbyvalalign(ACLITEMOID, &len, &byval, &align);
	deconstruct_array(DatumGetAclPCopy(acl_datum), ACLITEMOID, len, byval, align, &items, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		AclItem    *item = DatumGetAclItemP(items[i]);

		if (!(ACLITEM_GET_PRIVS(*item) & privileges))
			continue;
		if (item->ai_grantee == self)
		{
			if (item->ai_grantor != table->rel->rd_rel->relowner)
				return false;
		}
		else if (item->ai_grantee == ACL_ID_PUBLIC || has_privs_of_role(role->oid, item->ai_grantee))
			return false;
	}
	return true;
}
