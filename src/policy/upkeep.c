/*
 * src/policy/upkeep.c
 *		Policies that do nothing.
 *
 * A policy without the clause that its command needs is often taken for one
 * that lets everything through; it lets nothing through.
 */
#include "postgres.h"

#include "audit.h"
#include "utils/builtins.h"
#include "utils/rel.h"

static const char *why_dead(VoxTable *table, const VoxPolicy *policy);
static bool never_true(VoxTable *table, Node *clause);

/*
 * Report policies whose removal would change nothing.
 */
void
voxanne_check_dead_policies(VoxAudit *audit, VoxTable *table)
{
	ListCell   *lc;

	foreach(lc, table->policies)
	{
		VoxPolicy  *policy = lfirst(lc);
		const char *why = why_dead(table, policy);
		VoxAuditFinding finding = {
			.severity = VOX_INFO,
			.verdict = VOX_HYGIENE,
			.check = "policy_dead",
			.discriminator = policy->name,
			.relation = table->name,
			.policy = policy->name,
			.advice = "Say in the policy what it was meant to allow, or drop it: without it everything stays as it is.",
		};

		if (why == NULL)
			continue;
		finding.detail = psprintf("Policy %s %s.", quote_identifier(policy->name), why);
		finding.remedy = psprintf("DROP POLICY %s ON %s;", quote_identifier(policy->name), table->name);
		voxanne_audit_report(audit, &finding);
	}
}

static const char *
why_dead(VoxTable *table, const VoxPolicy *policy)
{
	bool		for_insert = policy->command == 'a';
	bool		has_clause = policy->using != NULL || policy->check != NULL;

	if (for_insert && policy->check == NULL)
		return policy->permissive ? "for INSERT has no WITH CHECK, so it allows no row" :
			"for INSERT has no WITH CHECK, so it restricts nothing";
	if (!has_clause)
		return policy->permissive ? "has neither USING nor WITH CHECK, so it allows no row" :
			"has neither USING nor WITH CHECK, so it restricts nothing";
	if (!policy->permissive)
		return NULL;
	if (policy->command == 'w' && policy->using == NULL)
		return "for UPDATE has no USING, so it finds no row";
	if ((policy->using == NULL || never_true(table, policy->using)) &&
		(policy->check == NULL || never_true(table, policy->check)))
		return "is never true, so it allows no row";
	return NULL;
}

/* Not counting a plain "false", which says what it means. */
static bool
never_true(VoxTable *table, Node *clause)
{
	VoxJudge	judge = {.desc = RelationGetDescr(table->rel),.tenant = table->tenant};

	return !IsA(clause, Const) && voxanne_judge(&judge, clause) == VOX_NOTHING;
}
