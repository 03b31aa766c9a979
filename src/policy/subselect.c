/*
 * src/policy/subselect.c
 *		Is a row tied to the caller through a subselect?
 *
 * Membership policies look like
 *		org_id IN (SELECT m.org_id FROM members m WHERE m.user_id = auth.uid())
 *		EXISTS (SELECT FROM members m WHERE m.org_id = t.org_id AND m.user_id = auth.uid())
 * and in longer chains of joins.  Equalities that must all hold connect the
 * caller, the relations of the subselect and the columns of the row; the row
 * is tied if the connections lead from it to the caller.
 */
#include "postgres.h"

#include "core/trees.h"
#include "expression.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"

/* Ends of a connection; relation N of the subselect's range table is FIRST_RELATION + N - 1. */
#define CALLER			0
#define ROW_TENANT		1
#define ROW_COLUMN		2
#define FIRST_RELATION	3
#define NOWHERE			(-1)

typedef struct Links
{
	Query	   *query;
	AttrNumber	tenant;			/* of the policy's table; InvalidAttrNumber:
								 * unknown */
	bool		shadowed;		/* some column is compared with itself */
	int			ends;
	int		   *group;			/* for each end, another of the same group;
								 * its own: the leader */
} Links;

static void collect_links(Links *links, Query *query, AttrNumber tenant);
static void link_jointree(Links *links, Node *node);
static void link_relations(Links *links);
static void link_qual(Links *links, Node *qual);
static void link_operator(Links *links, OpExpr *expr);
static void link_in(Links *links, SubLink *sublink);
static bool query_of_caller(Query *query);
static bool target_linked(Links *links, int position);
static int	end_of(Links *links, Node *node);
static Var *resolve_join(Query *query, Var *var);
static int	leader(Links *links, int end);
static void connect(Links *links, int a, int b);
static bool connected(Links *links, int a, int b);

/*
 * Are the values that the subselect yields the caller's own?  It must not
 * refer to an outer query level.
 */
bool
voxanne_subselect_of_caller(SubLink *sublink)
{
	if (sublink->subLinkType != EXPR_SUBLINK && sublink->subLinkType != ARRAY_SUBLINK)
		return false;
	return query_of_caller((Query *) sublink->subselect);
}

/* The same for a query: the first column, or in a set operation that of each branch. */
static bool
query_of_caller(Query *query)
{
	Links		links;
	ListCell   *lc;

	if (query->commandType != CMD_SELECT)
		return false;
	if (query->setOperations != NULL)
	{
		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind != RTE_SUBQUERY || !query_of_caller(rte->subquery))
				return false;
		}
		return true;
	}
	collect_links(&links, query, InvalidAttrNumber);
	return target_linked(&links, 1);
}

/*
 * How EXISTS (...) or row IN (SELECT ...), in the policy's own query level,
 * ties the row to the caller.
 */
VoxTie
voxanne_subselect_tie(SubLink *sublink, AttrNumber tenant)
{
	Query	   *query = (Query *) sublink->subselect;
	Links		links;

	if (query->commandType != CMD_SELECT || query->setOperations != NULL)
	{
		if (sublink->subLinkType != ANY_SUBLINK || !IsA(sublink->testexpr, OpExpr) ||
			voxanne_has_escaping_var((Node *) query) || !query_of_caller(query) ||
			!voxanne_is_equality(((OpExpr *) sublink->testexpr)->opno))
			return VOX_TIE_NONE;
		switch (voxanne_operand(linitial(((OpExpr *) sublink->testexpr)->args), tenant))
		{
			case VOX_TENANT:
				return VOX_TIE_TENANT;
			case VOX_COLUMN:
				return VOX_TIE_COLUMN;
			default:
				return VOX_TIE_NONE;
		}
	}

	collect_links(&links, query, tenant);
	if (sublink->subLinkType == ANY_SUBLINK)
		link_in(&links, sublink);
	if (connected(&links, ROW_TENANT, CALLER))
		return VOX_TIE_TENANT;
	if (connected(&links, ROW_COLUMN, CALLER))
		return VOX_TIE_COLUMN;
	return links.shadowed ? VOX_TIE_SHADOWED : VOX_TIE_NONE;
}

/* Connect the left side of row IN (SELECT ...) with the columns that it is compared with. */
static void
link_in(Links *links, SubLink *sublink)
{
	List	   *tests = IsA(sublink->testexpr, BoolExpr) ?
		((BoolExpr *) sublink->testexpr)->args : list_make1(sublink->testexpr);
	ListCell   *lc;

	foreach(lc, tests)
	{
		OpExpr	   *test = lfirst(lc);
		Node	   *param;
		TargetEntry *target;
		int			target_end;

		if (!IsA(test, OpExpr) || !voxanne_is_equality(test->opno))
			continue;
		param = voxanne_peel_keeping_casts(lsecond(test->args));
		if (!IsA(param, Param) || ((Param *) param)->paramkind != PARAM_SUBLINK)
			continue;
		target = get_tle_by_resno(links->query->targetList, ((Param *) param)->paramid);
		target_end = target == NULL ? NOWHERE : end_of(links, (Node *) target->expr);

		switch (voxanne_operand(linitial(test->args), links->tenant))
		{
			case VOX_TENANT:
				connect(links, ROW_TENANT, target_end);
				break;
			case VOX_COLUMN:
				connect(links, ROW_COLUMN, target_end);
				break;
			case VOX_CALLER:
				connect(links, CALLER, target_end);
				break;
			default:
				break;
		}
	}
}

static void
collect_links(Links *links, Query *query, AttrNumber tenant)
{
	links->query = query;
	links->tenant = tenant;
	links->shadowed = false;
	links->ends = FIRST_RELATION + list_length(query->rtable);
	links->group = palloc_array(int, links->ends);
	for (int i = 0; i < links->ends; i++)
		links->group[i] = i;

	link_jointree(links, (Node *) query->jointree);
	link_relations(links);
}

/* Only what every row of the result has passed counts: not the nullable side of an outer join. */
static void
link_jointree(Links *links, Node *node)
{
	if (IsA(node, FromExpr))
	{
		ListCell   *lc;

		foreach(lc, ((FromExpr *) node)->fromlist)
			link_jointree(links, lfirst(lc));
		link_qual(links, ((FromExpr *) node)->quals);
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		if (join->jointype == JOIN_INNER)
			link_qual(links, join->quals);
		if (join->jointype == JOIN_INNER || join->jointype == JOIN_LEFT)
			link_jointree(links, join->larg);
		if (join->jointype == JOIN_INNER || join->jointype == JOIN_RIGHT)
			link_jointree(links, join->rarg);
	}
}

/* A function or a subquery in FROM may itself yield what is the caller's. */
static void
link_relations(Links *links)
{
	int			end = FIRST_RELATION;
	ListCell   *lc;

	foreach(lc, links->query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if ((rte->rtekind == RTE_FUNCTION && voxanne_caller_derived((Node *) rte->functions)) ||
			(rte->rtekind == RTE_SUBQUERY && query_of_caller(rte->subquery)))
			connect(links, end, CALLER);
		if (rte->rtekind == RTE_CTE && rte->ctelevelsup == 0)
		{
			ListCell   *cell;

			foreach(cell, links->query->cteList)
			{
				CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

				if (strcmp(cte->ctename, rte->ctename) == 0 && !cte->cterecursive &&
					query_of_caller((Query *) cte->ctequery))
					connect(links, end, CALLER);
			}
		}
		end++;
	}
}

/* Equalities among conditions that must all hold. */
static void
link_qual(Links *links, Node *qual)
{
	ListCell   *lc;

	if (qual == NULL)
		return;
	if (IsA(qual, BoolExpr) && ((BoolExpr *) qual)->boolop == AND_EXPR)
	{
		foreach(lc, ((BoolExpr *) qual)->args)
			link_qual(links, lfirst(lc));
	}
	else if (IsA(qual, OpExpr))
		link_operator(links, (OpExpr *) qual);
	else if (IsA(qual, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *expr = (ScalarArrayOpExpr *) qual;

		if (expr->useOr && voxanne_is_equality(expr->opno) && voxanne_caller_derived(lsecond(expr->args)))
			connect(links, end_of(links, linitial(expr->args)), CALLER);
	}
	else if (IsA(qual, SubLink) && ((SubLink *) qual)->subLinkType == ANY_SUBLINK)
	{
		SubLink    *sublink = (SubLink *) qual;

		if (IsA(sublink->testexpr, OpExpr) && voxanne_is_equality(((OpExpr *) sublink->testexpr)->opno) &&
			!voxanne_has_escaping_var(sublink->subselect) && query_of_caller((Query *) sublink->subselect))
			connect(links, end_of(links, linitial(((OpExpr *) sublink->testexpr)->args)), CALLER);
	}
}

static void
link_operator(Links *links, OpExpr *expr)
{
	Node	   *left;
	Node	   *right;

	if (list_length(expr->args) != 2 || !voxanne_is_equality(expr->opno))
		return;
	left = voxanne_peel_casts(linitial(expr->args));
	right = voxanne_peel_casts(lsecond(expr->args));
	if (IsA(left, Var) && ((Var *) left)->varlevelsup == 0 && equal(left, right))
		links->shadowed = true;
	else
		connect(links, end_of(links, linitial(expr->args)), end_of(links, lsecond(expr->args)));
}

/* Do all columns in an entry of the target list come from what is connected with the caller? */
static bool
target_linked(Links *links, int position)
{
	TargetEntry *target = get_tle_by_resno(links->query->targetList, position);
	List	   *vars;
	ListCell   *lc;

	if (target == NULL)
		return false;
	if (voxanne_caller_derived((Node *) target->expr))
		return true;
	vars = pull_vars_of_level((Node *) target->expr, 0);
	foreach(lc, vars)
		if (!connected(links, end_of(links, lfirst(lc)), CALLER))
		return false;
	return vars != NIL;
}

/* Which end an operand of a comparison inside the subselect is. */
static int
end_of(Links *links, Node *node)
{
	Node	   *inner = voxanne_peel_casts(node);
	VoxCastLoss loss = voxanne_cast_loss(node);

	if (inner != NULL && IsA(inner, Var))
	{
		Var		   *var = (Var *) inner;

		if (var->varlevelsup == 0)
		{
			if (loss == VOX_CAST_LOSES)
				return NOWHERE;
			var = resolve_join(links->query, var);
			return var == NULL ? NOWHERE : FIRST_RELATION + (int) var->varno - 1;
		}
		if (var->varlevelsup == 1 && var->varattno != InvalidAttrNumber)
			return var->varattno != links->tenant ? ROW_COLUMN : loss == VOX_CAST_KEEPS ? ROW_TENANT : NOWHERE;
		return NOWHERE;
	}
	return voxanne_caller_derived(node) ? CALLER : NOWHERE;
}

/* The column of a joined relation behind a column of the join; NULL if it is none. */
static Var *
resolve_join(Query *query, Var *var)
{
	for (;;)
	{
		RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
		Node	   *alias;

		if (rte->rtekind != RTE_JOIN)
			return var;
		if (var->varattno <= 0)
			return NULL;
		alias = voxanne_peel_keeping_casts(list_nth(rte->joinaliasvars, var->varattno - 1));
		if (alias == NULL || !IsA(alias, Var))
			return NULL;
		var = (Var *) alias;
	}
}

static int
leader(Links *links, int end)
{
	while (links->group[end] != end)
		end = links->group[end];
	return end;
}

static void
connect(Links *links, int a, int b)
{
	if (a != NOWHERE && b != NOWHERE)
		links->group[leader(links, a)] = leader(links, b);
}

static bool
connected(Links *links, int a, int b)
{
	return a != NOWHERE && b != NOWHERE && leader(links, a) == leader(links, b);
}
