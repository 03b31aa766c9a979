/*
 * src/policy/helper.c
 *		The predicate with which this database tells tenants apart.
 *
 * Each policy that binds the tenant column votes for the value it compares it
 * with, be it a function, a claim or a membership subselect; the majority
 * among columns of one type is what remedies use.  Spellings of one claim
 * count together.  What users write themselves does not count.  A database
 * that shows none gets none.
 */
#include "postgres.h"

#include "audit.h"
#include "catalog/pg_type.h"
#include "core/trees.h"
#include "expression.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

/* A way to tell tenants apart; lives as long as the audit. */
typedef struct TenantHelper
{
	Oid			type;			/* of the tenant columns that it fits */
	char	   *test;			/* what follows the column: "= (SELECT ...)" */
	char	   *claim;			/* way to the claim, keys joined by dots; or
								 * NULL */
	int			votes;
} TenantHelper;

static void vote_by_clause(VoxAudit *audit, VoxTable *table, Node *clause);
static char *test_text(Node *caller, Oid type);
static Node *of_type(Node *caller, Oid type);
static void count_vote(VoxAudit *audit, Oid type, const char *test, const char *claim);
static TenantHelper *best_helper(VoxAudit *audit, VoxTable *table);

/*
 * Count the votes of the table's permissive policies.
 */
void
voxanne_helper_vote(VoxAudit *audit, VoxTable *table)
{
	ListCell   *lc;

	if (table->tenant == InvalidAttrNumber)
		return;
	foreach(lc, table->policies)
	{
		VoxPolicy  *policy = lfirst(lc);

		if (!policy->permissive)
			continue;
		if (policy->using != NULL)
			vote_by_clause(audit, table, policy->using);
		if (policy->check != NULL)
			vote_by_clause(audit, table, policy->check);
	}
}

static void
vote_by_clause(VoxAudit *audit, VoxTable *table, Node *clause)
{
	VoxJudge	judge = {.desc = RelationGetDescr(table->rel),.tenant = table->tenant};
	Oid			type = TupleDescAttr(judge.desc, table->tenant - 1)->atttypid;
	ListCell   *lc;

	(void) voxanne_judge(&judge, clause);
	foreach(lc, judge.callers)
	{
		Node	   *caller = lfirst(lc);
		char	   *test = voxanne_is_user_written(caller) ? NULL : test_text(caller, type);

		if (test != NULL)
			count_vote(audit, type, test, voxanne_claim_name(caller));
	}
}

/*
 * What to put behind a column of this type, or NULL if the way of the policy
 * cannot be used with another table.  A value is wrapped in a subselect, so
 * that it is computed once per query instead of once per row.
 */
static char *
test_text(Node *caller, Oid type)
{
	caller = of_type(caller, type);
	if (caller == NULL)
		return NULL;
	caller = voxanne_guard_settings(caller);
	if (IsA(caller, SubLink))
	{
		SubLink    *sublink = copyObject((SubLink *) caller);
		const char *word = sublink->subLinkType == ANY_SUBLINK ? "IN" : "=";

		/* deparsed without its left side */
		sublink->subLinkType = EXPR_SUBLINK;
		sublink->testexpr = NULL;
		if (voxanne_has_escaping_var((Node *) sublink))
			return NULL;
		return psprintf("%s %s", word, deparse_expression((Node *) sublink, NIL, false, false));
	}
	return psprintf("= (SELECT %s)", deparse_expression(caller, NIL, false, false));
}

/* The caller's value with the column's own type, a cast to text taken off; or NULL. */
static Node *
of_type(Node *caller, Oid type)
{
	if (IsA(caller, SubLink) && ((SubLink *) caller)->subLinkType == EXISTS_SUBLINK)
		return NULL;
	if (IsA(caller, SubLink) && ((SubLink *) caller)->subLinkType == ANY_SUBLINK)
	{
		Query	   *query = (Query *) ((SubLink *) caller)->subselect;
		TargetEntry *target = linitial_node(TargetEntry, query->targetList);

		/* the left side must be the column alone, of the same type */
		if (!IsA(((SubLink *) caller)->testexpr, OpExpr) ||
			exprType((Node *) target->expr) != type)
			return NULL;
		return caller;
	}
	for (;;)
	{
		Node	   *inner;

		if (exprType(caller) == type)
			return caller;
		if (!IsA(caller, CoerceViaIO) && !IsA(caller, RelabelType))
			return NULL;
		inner = IsA(caller, CoerceViaIO) ? (Node *) ((CoerceViaIO *) caller)->arg :
			(Node *) ((RelabelType *) caller)->arg;
		caller = inner;
	}
}

static void
count_vote(VoxAudit *audit, Oid type, const char *test, const char *claim)
{
	MemoryContext old;
	TenantHelper *helper;
	ListCell   *lc;

	foreach(lc, audit->helpers)
	{
		bool		same;

		helper = lfirst(lc);
		if (helper->type != type)
			continue;
		same = strcmp(helper->test, test) == 0;
		if (!same && !(claim != NULL && helper->claim != NULL && strcmp(helper->claim, claim) == 0))
			continue;
		helper->votes++;
		if (strcmp(test, helper->test) < 0)
			helper->test = MemoryContextStrdup(audit->context, test);
		return;
	}
	old = MemoryContextSwitchTo(audit->context);
	helper = palloc_object(TenantHelper);
	helper->type = type;
	helper->test = pstrdup(test);
	helper->claim = claim == NULL ? NULL : pstrdup(claim);
	helper->votes = 1;
	audit->helpers = lappend(audit->helpers, helper);
	MemoryContextSwitchTo(old);
}

/*
 * The predicate that ties the table's tenant column to the caller, as SQL, or
 * NULL if the database does not show how.
 */
char *
voxanne_helper_predicate(VoxAudit *audit, VoxTable *table)
{
	TenantHelper *best = best_helper(audit, table);

	if (best == NULL)
		return NULL;
	return psprintf("%s %s",
					quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(table->rel), table->tenant - 1)->attname)),
					best->test);
}

/*
 * Do more policies use that predicate than any other?  *claim is the claim
 * from which it takes the tenant, keys joined by dots; NULL if it takes it from
 * elsewhere.
 */
bool
voxanne_helper_is_usual(VoxAudit *audit, VoxTable *table, const char **claim)
{
	TenantHelper *best = best_helper(audit, table);
	ListCell   *lc;

	if (best == NULL)
		return false;
	foreach(lc, audit->helpers)
	{
		TenantHelper *helper = lfirst(lc);

		if (helper != best && helper->type == best->type && helper->votes == best->votes)
			return false;
	}
	*claim = best->claim;
	return true;
}

/* Of several ways the most frequent, then the first in byte order. */
static TenantHelper *
best_helper(VoxAudit *audit, VoxTable *table)
{
	TenantHelper *best = NULL;
	ListCell   *lc;

	if (table->tenant == InvalidAttrNumber)
		return NULL;
	foreach(lc, audit->helpers)
	{
		TenantHelper *helper = lfirst(lc);

		if (helper->type == TupleDescAttr(RelationGetDescr(table->rel), table->tenant - 1)->atttypid &&
			(best == NULL || helper->votes > best->votes ||
			 (helper->votes == best->votes && strcmp(helper->test, best->test) < 0)))
			best = helper;
	}
	return best;
}
