/*
 * src/policy/exposure_report.c
 *		The wording and the remedy of what a policy is to blame for.
 */
#include "postgres.h"

#include "exposure.h"
#include "expression.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/rel.h"

static uint32 all_of(VoxAudit *audit, const uint32 *deeds_by_role);
static const char *check_name(const Exposure *exposure, uint32 can, uint32 bare);
static char *deed_words(const Exposure *exposure, uint32 can);
static char *reason_words(VoxTable *table, const Exposure *exposure, uint32 can);
static char *command_words(uint32 can);
static char *metadata(VoxAudit *audit, const Exposure *exposure);
static char *remedy(VoxAudit *audit, VoxTable *table, const Exposure *exposure, uint32 can);
static char *tightened(VoxAudit *audit, VoxTable *table, const Exposure *exposure, Node *stored);

/*
 * Report what the policy is to blame for.
 */
void
voxanne_report_exposure(VoxAudit *audit, VoxTable *table, const Exposure *exposure)
{
	uint32		plain = all_of(audit, exposure->can);
	uint32		bare = all_of(audit, exposure->bare);
	uint32		can = plain | bare;
	VoxAuditFinding finding = {
		.verdict = exposure->certainty == UNPROVEN ? VOX_HYGIENE : VOX_LEAK,
		.check = check_name(exposure, plain, bare),
		.discriminator = exposure->policy == NULL ? NULL : exposure->policy->name,
		.relation = table->name,
		.policy = exposure->policy == NULL ? NULL : exposure->policy->name,
		.command = command_words(can),
		.metadata = metadata(audit, exposure),
	};
	bool	   *concerned = palloc_array(bool, audit->role_count);

	switch (exposure->certainty)
	{
		case CERTAIN:
			finding.severity = exposure->worst == VOX_SCOPED ||
				(exposure->worst != VOX_EVERYTHING && exposure->beside_bound) ?
				VOX_WARNING : VOX_CRITICAL;
			finding.advice = "Tie the tenant column to the caller in this policy, or drop the policy if another one already does its work.";
			break;
		case WITHOUT_TENANT:
			finding.severity = VOX_WARNING;
			finding.advice = "Exclude rows without a tenant, and make the column NOT NULL once all have one.";
			break;
		case UNPROVEN:
			finding.severity = VOX_INFO;
			finding.advice = "Read the policy, or try it as two tenants: only running it can tell.";
			break;
	}
	for (int i = 0; i < audit->role_count; i++)
		concerned[i] = (exposure->can[i] | exposure->bare[i]) != 0;
	finding.role = voxanne_only_role(audit, concerned);
	finding.detail = psprintf("%s%s can %s%s: %s.", exposure->certainty == UNPROVEN ? "Perhaps " : "",
							  voxanne_role_words(audit, concerned, ", "),
							  deed_words(exposure, can),
							  plain == 0 ? " by a statement without WHERE" : "",
							  reason_words(table, exposure, can));
	if (exposure->certainty != UNPROVEN)
		finding.remedy = remedy(audit, table, exposure, can);
	voxanne_audit_report(audit, &finding);
}

static uint32
all_of(VoxAudit *audit, const uint32 *deeds_by_role)
{
	uint32		result = 0;

	for (int i = 0; i < audit->role_count; i++)
		result |= deeds_by_role[i];
	return result;
}

static const char *
check_name(const Exposure *exposure, uint32 can, uint32 bare)
{
	if (exposure->certainty == UNPROVEN)
		return "tenant_unproven";
	if (exposure->certainty == WITHOUT_TENANT)
		return "tenant_null_shared";
	if (!((can | bare) & OLD_ROW_DEEDS))
		return "tenant_check_lax";
	if (can == 0)
		return "tenant_bare_write";
	return exposure->worst == VOX_EVERYTHING ? "policy_always_true" : "tenant_unbound";
}

/* "read and delete rows of every tenant, insert rows for any tenant" */
static char *
deed_words(const Exposure *exposure, uint32 can)
{
	StringInfoData buf;
	const char *whose = exposure->certainty == WITHOUT_TENANT ? "rows without a tenant" :
		exposure->worst == VOX_EVERYTHING || exposure->certainty == UNPROVEN ?
		"rows of every tenant" : "rows of other tenants";

	initStringInfo(&buf);
	for (int d = 0; d < DEED_COUNT; d++)
	{
		if (!(can & OLD_ROW_DEEDS & (1 << d)))
			continue;
		appendStringInfo(&buf, "%s%s", buf.len == 0 ? "" :
						 (can & OLD_ROW_DEEDS) >> (d + 1) ? ", " : " and ", voxanne_deeds[d].verb);
	}
	if (buf.len > 0)
		appendStringInfo(&buf, " %s", whose);
	if (can & (1 << DEED_INSERT))
		appendStringInfo(&buf, "%sinsert rows %s", buf.len > 0 ? ", " : "",
						 exposure->certainty == WITHOUT_TENANT ? "without a tenant" : "for any tenant");
	if (can & (1 << DEED_MOVE))
		appendStringInfo(&buf, "%smove rows %s", buf.len > 0 ? ", " : "",
						 exposure->certainty == WITHOUT_TENANT ? "out of any tenant" : "to any tenant");
	return buf.data;
}

static char *
reason_words(VoxTable *table, const Exposure *exposure, uint32 can)
{
	const VoxPolicy *policy = exposure->policy;
	const char *column = quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(table->rel),
																table->tenant - 1)->attname));
	bool		new_row = !(can & OLD_ROW_DEEDS);
	VoxContents contents;
	char	   *name;

	if (policy == NULL)
		return pstrdup("no policy by itself, but all together");
	name = psprintf("%spolicy %s", new_row && policy->check != NULL ? "WITH CHECK of " : "",
					quote_identifier(policy->name));
	voxanne_contents(voxanne_clause_for(policy, new_row), table->tenant, &contents);
	switch (exposure->worst)
	{
		case VOX_EVERYTHING:
			return psprintf("%s is always true", name);
		case VOX_SHARED_NULL:
			return psprintf("%s lets them through", name);
		case VOX_GATED:
			return psprintf("%s tests only who is asking", name);
		case VOX_SCOPED:
			return psprintf("%s ties the row to the caller, but not its %s", name, column);
		case VOX_PINNED:
			return psprintf("%s names a tenant, the same for everybody", name);
		case VOX_OPAQUE:
			return psprintf("%s depends on code that the audit does not run", name);
		default:
			return psprintf(contents.tenant ? "%s does not tie %s to the caller" :
							contents.subselect ? "%s has a subselect that does not look at this table's %s" :
							"%s does not mention %s", name, column);
	}
}

static char *
command_words(uint32 can)
{
	AclMode		privileges = 0;

	for (int d = 0; d < DEED_COUNT; d++)
		if (can & (1 << d))
			privileges |= voxanne_deeds[d].privilege;
	return voxanne_privilege_words(privileges);
}

/* {"can": {"anon": ["read"]}, "without_where": {"anon": ["change"]}} */
static char *
metadata(VoxAudit *audit, const Exposure *exposure)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{");
	for (int kind = 0; kind < 2; kind++)
	{
		const uint32 *by_role = kind == 0 ? exposure->can : exposure->bare;
		const char *between = "";

		appendStringInfo(&buf, kind == 0 ? "\"can\": {" : ", \"without_where\": {");
		for (int r = 0; r < audit->role_count; r++)
		{
			const char *comma = "";

			if (by_role[r] == 0)
				continue;
			appendStringInfoString(&buf, between);
			escape_json(&buf, audit->roles[r].shown);
			appendStringInfoString(&buf, ": [");
			for (int d = 0; d < DEED_COUNT; d++)
				if (by_role[r] & (1 << d))
				{
					appendStringInfo(&buf, "%s\"%s\"", comma, voxanne_deeds[d].verb);
					comma = ", ";
				}
			appendStringInfoChar(&buf, ']');
			between = ", ";
		}
		appendStringInfoChar(&buf, '}');
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/*
 * ALTER POLICY that makes the lax clause bind the tenant, or NULL if the
 * database does not show how tenants are told apart.
 */
static char *
remedy(VoxAudit *audit, VoxTable *table, const Exposure *exposure, uint32 can)
{
	const VoxPolicy *policy = exposure->policy;
	bool		fix_check;
	bool		fix_using;
	char	   *using = NULL;
	char	   *check = NULL;

	if (policy == NULL)
		return NULL;
	fix_using = (can & OLD_ROW_DEEDS) != 0;
	fix_check = (can & NEW_ROW_DEEDS) && (policy->check != NULL || !fix_using);
	if (fix_using)
		using = tightened(audit, table, exposure, policy->stored_using);
	if (fix_check && policy->check != NULL && policy->using != NULL && !fix_using &&
		exposure->certainty == CERTAIN && exposure->worst != VOX_SCOPED)
		check = voxanne_deparse(table, policy->stored_using);
	else if (fix_check)
		check = tightened(audit, table, exposure,
						  policy->check != NULL ? policy->stored_check : policy->stored_using);
	if ((fix_using && using == NULL) || (fix_check && check == NULL))
		return NULL;
	return psprintf("ALTER POLICY %s ON %s%s%s;", quote_identifier(policy->name), table->name,
					using == NULL ? "" : psprintf(" USING (%s)", using),
					check == NULL ? "" : psprintf(" WITH CHECK (%s)", check));
}

/* The clause (whose text has its parentheses) with the tenant bound; of one that is always true nothing needs to stay. */
static char *
tightened(VoxAudit *audit, VoxTable *table, const Exposure *exposure, Node *stored)
{
	const char *column = quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(table->rel),
																table->tenant - 1)->attname));
	char	   *predicate;

	if (exposure->certainty == WITHOUT_TENANT)
		return psprintf("%s AND %s IS NOT NULL", voxanne_deparse(table, stored), column);
	predicate = voxanne_helper_predicate(audit, table);
	if (predicate == NULL || exposure->worst == VOX_EVERYTHING)
		return predicate;
	return psprintf("%s AND %s", voxanne_deparse(table, stored), predicate);
}
