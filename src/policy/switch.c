/*
 * src/policy/switch.c
 *		Tables on which row security is off, or does not reach a role.
 */
#include "postgres.h"

#include "audit.h"
#include "catalog/partition.h"
#include "core/relation.h"
#include "lib/stringinfo.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"

static char *access_words(VoxAudit *audit, VoxTable *table);
static char *switch_on(VoxAudit *audit, VoxTable *table, const bool *reaches, bool writes);

/*
 * Row security is off and a role under audit holds a privilege on the table or
 * on one of its columns; or policies exist that do nothing.
 */
void
voxanne_check_switched_off(VoxAudit *audit, VoxTable *table)
{
	bool	   *reaches = palloc0_array(bool, audit->role_count);
	AclMode    *access = palloc0_array(AclMode, audit->role_count);
	bool		anybody = false;
	bool		writes = false;
	bool		policies = table->policies != NIL;
	const char *effect;
	VoxAuditFinding finding = {.verdict = VOX_LEAK,.relation = table->name};

	for (int i = 0; i < audit->role_count; i++)
	{
		access[i] = table->granted[i] & VOX_GOVERNED_PRIVILEGES;
		reaches[i] = access[i] != 0;
		anybody |= reaches[i];
		writes |= (access[i] & ~ACL_SELECT) != 0;
	}
	if (!anybody && !policies)
		return;
	finding.role = voxanne_only_role(audit, reaches);

	effect = table->tenant != InvalidAttrNumber ? "every tenant's rows are" : "every row is";
	finding.check = policies ? "policy_without_rls" : "rls_off";
	finding.severity = !anybody ? VOX_INFO :
		policies || table->tenant != InvalidAttrNumber ? VOX_CRITICAL :
		writes ? VOX_WARNING : VOX_INFO;
	if (!anybody)
		finding.verdict = VOX_HYGIENE;
	finding.detail = psprintf("Row security is off%s%s%s.",
							  policies ? ", so its policies do nothing" : "",
							  anybody ? psprintf("; %s open to %s", effect, access_words(audit, table)) : "",
							  table->rel->rd_rel->relispartition ?
							  psprintf("; policies of %s do not apply to a partition queried by name",
									   voxanne_relation_name(get_partition_parent(RelationGetRelid(table->rel), true))) : "");
	finding.remedy = switch_on(audit, table, reaches, writes);
	finding.advice = policies ? "Switch row security on; the policies take effect at once." :
		finding.remedy != NULL ? "Switch row security on together with a policy, so that nobody is locked out." :
		"Write a policy that ties each row to its owner, then switch row security on; or revoke the privileges.";
	finding.metadata = voxanne_json_access(audit, access);
	voxanne_audit_report(audit, &finding);
}

/* "anon (SELECT), authenticated (SELECT, INSERT)" */
static char *
access_words(VoxAudit *audit, VoxTable *table)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < audit->role_count; i++)
		if (table->granted[i] & VOX_GOVERNED_PRIVILEGES)
			appendStringInfo(&buf, "%s%s (%s)", buf.len > 0 ? ", " : "", audit->roles[i].shown,
							 voxanne_privilege_words(table->granted[i] & VOX_GOVERNED_PRIVILEGES));
	return buf.data;
}

/*
 * SQL that switches row security on without taking from anybody what is his:
 * NULL if that takes a policy that the database does not show how to write.
 */
static char *
switch_on(VoxAudit *audit, VoxTable *table, const bool *reaches, bool writes)
{
	char	   *enable = psprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY;", table->name);
	char	   *predicate = voxanne_helper_predicate(audit, table);
	char	   *roles = voxanne_role_words(audit, reaches, ", ");

	if (table->policies != NIL)
		return enable;
	if (predicate != NULL)
		return psprintf("%s CREATE POLICY %s ON %s TO %s USING (%s);", enable,
						voxanne_free_policy_name(table, "tenant"), table->name, roles, predicate);
	if (table->tenant == InvalidAttrNumber && !writes)
		return psprintf("%s CREATE POLICY %s ON %s FOR SELECT TO %s USING (true);", enable,
						voxanne_free_policy_name(table, "read"), table->name, roles);
	return NULL;
}

/*
 * A role that may act as the table's owner passes by the policies unless they
 * are forced.
 */
void
voxanne_check_owner(VoxAudit *audit, VoxTable *table)
{
	Oid			owner = table->rel->rd_rel->relowner;

	if (table->rel->rd_rel->relforcerowsecurity)
		return;
	for (int i = 0; i < audit->role_count; i++)
	{
		VoxAuditRole *role = &audit->roles[i];
		VoxAuditFinding finding = {
			.severity = VOX_CRITICAL,
			.verdict = VOX_LEAK,
			.check = "owner_not_forced",
			.discriminator = role->name,
			.relation = table->name,
			.role = role->name,
			.advice = "Force row security on the owner too, or take the membership away.",
			.remedy = psprintf("ALTER TABLE %s FORCE ROW LEVEL SECURITY;", table->name),
		};

		if (role->exempt || role->name == NULL || !has_privs_of_role(role->oid, owner))
			continue;
		finding.detail = psprintf("%s acts as the owner %s, to whom the policies do not apply.",
								  role->shown, voxanne_role_name(owner));
		voxanne_audit_report(audit, &finding);
	}
}
