/*
 * src/policy/principal.c
 *		Policies that look for the tenant in the wrong place.
 *
 * A comparison with the user's id never holds for a tenant; one with a claim
 * that the token does not have is null; one with a claim that the user writes
 * himself holds whenever he likes; a cast of an empty setting fails.
 */
#include "postgres.h"

#include "audit.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "core/trees.h"
#include "expression.h"
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static List *tenant_claims(VoxTable *table, const VoxPolicy *policy);
static void report_other_claim(VoxAudit *audit, VoxTable *table, VoxPolicy *policy, const char *path);
static char *replaced(VoxAudit *audit, VoxTable *table, VoxPolicy *policy);
static bool is_only_test(VoxTable *table, Node *clause);
static bool check_user_written(VoxAudit *audit, VoxTable *table, VoxPolicy *policy);
static bool user_written_walker(Node *node, List *rtables);
static void check_empty_setting(VoxAudit *audit, VoxTable *table, VoxPolicy *policy);
static bool empty_setting_walker(Node *node, void *context);
static bool is_cast_of_setting(Node *node);
static Node *guard_mutator(Node *node, void *context);

/* Paths of the claims that a policy's clauses compare the tenant column with, each once. */
static List *
tenant_claims(VoxTable *table, const VoxPolicy *policy)
{
	VoxJudge	judge = {.desc = RelationGetDescr(table->rel),.tenant = table->tenant};
	List	   *paths = NIL;
	ListCell   *lc;

	if (table->tenant == InvalidAttrNumber || !policy->permissive)
		return NIL;
	if (policy->using != NULL)
		(void) voxanne_judge(&judge, policy->using);
	if (policy->check != NULL)
		(void) voxanne_judge(&judge, policy->check);
	foreach(lc, judge.callers)
	{
		char	   *path = voxanne_claim_name(lfirst(lc));
		ListCell   *cell;
		bool		known = path == NULL;

		foreach(cell, paths)
			known = known || strcmp(lfirst(cell), path) == 0;
		if (!known)
			paths = lappend(paths, path);
	}
	return paths;
}

/*
 * Report what the policies of the table take for the tenant.
 */
void
voxanne_check_principal(VoxAudit *audit, VoxTable *table)
{
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, table->policies)
	{
		VoxPolicy  *policy = lfirst(lc);

		if (!check_user_written(audit, table, policy))
			foreach(cell, tenant_claims(table, policy))
				report_other_claim(audit, table, policy, lfirst(cell));
		check_empty_setting(audit, table, policy);
	}
}

/*
 * The user's id in the place of the tenant, where other policies show that
 * tenants are something else; or another claim than most policies read.
 */
static void
report_other_claim(VoxAudit *audit, VoxTable *table, VoxPolicy *policy, const char *path)
{
	bool		user_id = strcmp(path, "sub") == 0;
	const char *usual;
	VoxAuditFinding finding = {
		.severity = VOX_WARNING,
		.verdict = VOX_LOCKOUT,
		.check = user_id ? "tenant_is_user" : "tenant_claim_differs",
		.discriminator = policy->name,
		.relation = table->name,
		.policy = policy->name,
		.advice = "Read the tenant from where the other policies read it; from a claim that the token lacks comes null, and no row.",
	};

	if (!voxanne_helper_is_usual(audit, table, &usual) ||
		(usual == NULL ? !user_id : strcmp(usual, path) == 0))
		return;
	if (user_id)
		finding.detail = psprintf("Policy %s compares the tenant with the user's id; most policies use %s.",
								  quote_identifier(policy->name), voxanne_helper_predicate(audit, table));
	else
		finding.detail = psprintf("Policy %s reads the tenant from claim %s; most policies read it from %s.",
								  quote_identifier(policy->name), path, usual);
	finding.remedy = replaced(audit, table, policy);
	voxanne_audit_report(audit, &finding);
}

/* ALTER POLICY with the usual predicate, if the clauses hold nothing but this comparison. */
static char *
replaced(VoxAudit *audit, VoxTable *table, VoxPolicy *policy)
{
	char	   *predicate = voxanne_helper_predicate(audit, table);

	if (predicate == NULL || !is_only_test(table, policy->using) || !is_only_test(table, policy->check))
		return NULL;
	return psprintf("ALTER POLICY %s ON %s%s%s;", quote_identifier(policy->name), table->name,
					policy->using == NULL ? "" : psprintf(" USING (%s)", predicate),
					policy->check == NULL ? "" : psprintf(" WITH CHECK (%s)", predicate));
}

static bool
is_only_test(VoxTable *table, Node *clause)
{
	VoxJudge	judge = {.desc = RelationGetDescr(table->rel),.tenant = table->tenant};

	return clause == NULL ||
		(IsA(clause, OpExpr) && voxanne_judge(&judge, clause) == VOX_BOUND);
}

/*
 * What a user can write about himself must not decide what he may see:
 * Supabase lets every user change his user_metadata.
 */
static bool
check_user_written(VoxAudit *audit, VoxTable *table, VoxPolicy *policy)
{
	VoxAuditFinding finding = {
		.severity = VOX_CRITICAL,
		.verdict = VOX_LEAK,
		.check = "claim_user_written",
		.discriminator = policy->name,
		.relation = table->name,
		.policy = policy->name,
		.advice = "Read it from app_metadata, which only the service can write, or from a table of your own.",
	};

	if (!voxanne_is_user_written(policy->using) && !voxanne_is_user_written(policy->check))
		return false;
	finding.detail = psprintf("Policy %s trusts the user's own metadata, which every user can change.",
							  quote_identifier(policy->name));
	finding.remedy = replaced(audit, table, policy);
	voxanne_audit_report(audit, &finding);
	return true;
}

/*
 * Does the expression, one of a policy's own query level, read what a user can
 * write about himself?
 */
bool
voxanne_is_user_written(Node *node)
{
	return user_written_walker(node, NIL);
}

/* "rtables" are the range tables of the subselects around, the innermost first. */
static bool
user_written_walker(Node *node, List *rtables)
{
	List	   *keys;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, user_written_walker,
								 lcons(((Query *) node)->rtable, list_copy(rtables)), 0);
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		RangeTblEntry *rte;

		if ((int) var->varlevelsup >= list_length(rtables) || var->varattno <= 0)
			return false;
		rte = rt_fetch(var->varno, (List *) list_nth(rtables, var->varlevelsup));
		return rte->rtekind == RTE_RELATION &&
			strcmp(get_namespace_name(get_rel_namespace(rte->relid)), "auth") == 0 &&
			strcmp(get_rel_name(rte->relid), "users") == 0 &&
			strcmp(get_attname(rte->relid, var->varattno, false), "raw_user_meta_data") == 0;
	}
	if (IsA(node, OpExpr) && voxanne_claim_path(node, &keys) && keys != NIL &&
		strcmp(linitial(keys), "user_metadata") == 0)
		return true;
	return expression_tree_walker(node, user_written_walker, rtables);
}

/*
 * A setting that SET LOCAL has set once is '' in later transactions of the
 * session, not null; the cast of that fails.
 */
static void
check_empty_setting(VoxAudit *audit, VoxTable *table, VoxPolicy *policy)
{
	VoxAuditFinding finding = {
		.severity = VOX_WARNING,
		.verdict = VOX_ERROR,
		.check = "setting_cast_fails",
		.discriminator = policy->name,
		.relation = table->name,
		.policy = policy->name,
		.advice = "Make null of the empty string first: NULLIF(current_setting(...), '').",
	};
	char	   *using = NULL;
	char	   *check = NULL;

	if (!empty_setting_walker(policy->stored_using, NULL) && !empty_setting_walker(policy->stored_check, NULL))
		return;
	if (policy->stored_using != NULL)
		using = voxanne_deparse(table, voxanne_guard_settings(policy->stored_using));
	if (policy->stored_check != NULL)
		check = voxanne_deparse(table, voxanne_guard_settings(policy->stored_check));
	finding.detail = psprintf("Policy %s casts a setting that may be empty: after a SET LOCAL elsewhere in the session every query here fails with 22P02.",
							  quote_identifier(policy->name));
	finding.remedy = psprintf("ALTER POLICY %s ON %s%s%s;", quote_identifier(policy->name), table->name,
							  using == NULL ? "" : psprintf(" USING (%s)", using),
							  check == NULL ? "" : psprintf(" WITH CHECK (%s)", check));
	voxanne_audit_report(audit, &finding);
}

static bool
empty_setting_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, empty_setting_walker, context, 0);
	return is_cast_of_setting(node) || expression_tree_walker(node, empty_setting_walker, context);
}

/* A cast by input function, to a type that has no empty string, of a setting with nothing in between. */
static bool
is_cast_of_setting(Node *node)
{
	Node	   *arg;
	char		category;
	bool		preferred;

	if (!IsA(node, CoerceViaIO))
		return false;
	arg = (Node *) ((CoerceViaIO *) node)->arg;
	if (!IsA(arg, FuncExpr) || (((FuncExpr *) arg)->funcid != F_CURRENT_SETTING_TEXT &&
								((FuncExpr *) arg)->funcid != F_CURRENT_SETTING_TEXT_BOOL))
		return false;
	get_type_category_preferred(((CoerceViaIO *) node)->resulttype, &category, &preferred);
	return category != TYPCATEGORY_STRING;
}

/*
 * A copy with NULLIF(..., '') between such casts and their settings.
 */
Node *
voxanne_guard_settings(Node *node)
{
	return guard_mutator(node, NULL);
}

static Node *
guard_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, guard_mutator, context, 0);
	if (is_cast_of_setting(node))
	{
		CoerceViaIO *cast = copyObject((CoerceViaIO *) node);
		NullIfExpr *guard = makeNode(NullIfExpr);

		guard->opno = TextEqualOperator;
		guard->opfuncid = F_TEXTEQ;
		guard->opresulttype = TEXTOID;
		guard->opcollid = DEFAULT_COLLATION_OID;
		guard->inputcollid = DEFAULT_COLLATION_OID;
		guard->args = list_make2(cast->arg, makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
													  CStringGetTextDatum(""), false, false));
		guard->location = -1;
		cast->arg = (Expr *) guard;
		return (Node *) cast;
	}
	return expression_tree_mutator(node, guard_mutator, context);
}
