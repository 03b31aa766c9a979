/*
 * src/policy/judge.c
 *		What a policy's predicate lets through, seen from the tenant column.
 *
 * The predicate is walked as a tree of AND, OR and NOT; what remains is a test
 * that ties the row to the caller, or does not, or cannot be judged without
 * running a user's code, which is never done.  Negation is pushed down to the
 * tests, so that null, which lets nothing through either way, stays itself.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/trees.h"
#include "expression.h"
#include "judge.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

/* A comparison of two operands; "test" is the whole of it. */
typedef struct Comparison
{
	Oid			opno;
	Oid			collation;
	Node	   *left;
	Node	   *right;
	Node	   *test;
} Comparison;

static VoxBinding judge_node(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_bool(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_null_test(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_boolean_test(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_case(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_coalesce(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_operator(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_distinct(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_array_operator(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_subselect(VoxJudge *judge, Node *node, bool negated);
static VoxBinding judge_other(VoxJudge *judge, Node *node);
static VoxBinding judge_constant(Const *value, bool negated);
static VoxBinding judge_list(VoxJudge *judge, List *arms, bool all, bool negated);
static VoxBinding judge_not_true(VoxJudge *judge, Node *node);
static VoxBinding judge_comparison(VoxJudge *judge, const Comparison *cmp, bool negated);
static VoxBinding judge_equality(VoxJudge *judge, const Comparison *cmp);
static VoxBinding judge_inequality(VoxJudge *judge, const Comparison *cmp);
static VoxBinding bound(VoxJudge *judge, Node *caller);
static Const *fold_for_role(VoxJudge *judge, const Comparison *cmp);
static bool excludes_null_tenant(VoxJudge *judge, Node *node, bool negated);
static bool is_not_null(VoxJudge *judge, Node *node);
static List *array_elements(Node *array);

typedef VoxBinding (*Judgement) (VoxJudge *judge, Node *node, bool negated);

static const struct
{
	NodeTag		tag;
	Judgement	judge;
}			judgements[] = {
	{T_BoolExpr, judge_bool},
	{T_OpExpr, judge_operator},
	{T_NullTest, judge_null_test},
	{T_SubLink, judge_subselect},
	{T_ScalarArrayOpExpr, judge_array_operator},
	{T_DistinctExpr, judge_distinct},
	{T_BooleanTest, judge_boolean_test},
	{T_CaseExpr, judge_case},
	{T_CoalesceExpr, judge_coalesce},
};

/*
 * What lets "clause" through?  Its subselects must have been peeled
 * (voxanne_peel_subselects); its columns are those of variable 1.
 */
VoxBinding
voxanne_judge(VoxJudge *judge, Node *clause)
{
	return judge_node(judge, clause, false);
}

/*
 * The same for clauses that must all hold; without any, everything passes.
 */
VoxBinding
voxanne_judge_all(VoxJudge *judge, List *clauses)
{
	return judge_list(judge, clauses, true, false);
}

static VoxBinding
judge_node(VoxJudge *judge, Node *node, bool negated)
{
	Const	   *value;

	check_stack_depth();
	while (IsA(node, RelabelType) || IsA(node, CoerceToDomain))
		node = IsA(node, RelabelType) ? (Node *) ((RelabelType *) node)->arg : (Node *) ((CoerceToDomain *) node)->arg;
	value = voxanne_fold(node);
	if (value != NULL)
		return judge_constant(value, negated);

	for (int i = 0; i < (int) lengthof(judgements); i++)
		if (nodeTag(node) == judgements[i].tag)
			return judgements[i].judge(judge, node, negated);
	return judge_other(judge, node);
}

static VoxBinding
judge_constant(Const *value, bool negated)
{
	if (value->constisnull)
		return VOX_NOTHING;
	return DatumGetBool(value->constvalue) != negated ? VOX_EVERYTHING : VOX_NOTHING;
}

static VoxBinding
judge_bool(VoxJudge *judge, Node *node, bool negated)
{
	BoolExpr   *expr = (BoolExpr *) node;

	if (expr->boolop == NOT_EXPR)
		return judge_node(judge, linitial(expr->args), !negated);
	return judge_list(judge, expr->args, (expr->boolop == AND_EXPR) != negated, negated);
}

/* Arms of which all must hold, or any. */
static VoxBinding
judge_list(VoxJudge *judge, List *arms, bool all, bool negated)
{
	VoxBinding	result = all ? VOX_EVERYTHING : VOX_NOTHING;
	bool		has_tenant = false;
	ListCell   *lc;

	foreach(lc, arms)
	{
		VoxBinding	arm = judge_node(judge, lfirst(lc), negated);

		result = all ? Min(result, arm) : Max(result, arm);
		if (all && excludes_null_tenant(judge, lfirst(lc), negated))
			has_tenant = true;
	}
	/* (org_id = x OR org_id IS NULL) AND org_id IS NOT NULL */
	if (has_tenant && result == VOX_SHARED_NULL)
		return VOX_BOUND;
	return result;
}

static bool
excludes_null_tenant(VoxJudge *judge, Node *node, bool negated)
{
	NullTest   *test = (NullTest *) node;

	return IsA(node, NullTest) && (test->nulltesttype == IS_NOT_NULL) != negated &&
		voxanne_operand((Node *) test->arg, judge->tenant) == VOX_TENANT;
}

static VoxBinding
judge_null_test(VoxJudge *judge, Node *node, bool negated)
{
	NullTest   *test = (NullTest *) node;
	bool		wants_null = (test->nulltesttype == IS_NULL) != negated;
	VoxOperand	operand = voxanne_operand((Node *) test->arg, judge->tenant);
	Const	   *value = voxanne_fold((Node *) test->arg);
	bool		is_null;

	if (test->argisrow)
		return judge_other(judge, node);
	if (value != NULL)
		return value->constisnull == wants_null ? VOX_EVERYTHING : VOX_NOTHING;
	if (operand == VOX_TENANT || operand == VOX_TENANT_PART || operand == VOX_COLUMN)
	{
		if (is_not_null(judge, (Node *) test->arg))
			return wants_null ? VOX_NOTHING : VOX_EVERYTHING;
		return operand != VOX_COLUMN && wants_null ? VOX_SHARED_NULL : VOX_UNBOUND;
	}
	if (voxanne_known_null((Node *) test->arg, judge->role, &is_null))
		return is_null == wants_null ? VOX_EVERYTHING : VOX_NOTHING;
	return judge_other(judge, node);
}

/* IS [NOT] TRUE, FALSE, UNKNOWN: the forms that null passes are judged only where that is certain. */
static VoxBinding
judge_boolean_test(VoxJudge *judge, Node *node, bool negated)
{
	BooleanTest *test = (BooleanTest *) node;
	Node	   *arg = (Node *) test->arg;
	VoxBinding	if_true = judge_node(judge, arg, false);
	VoxBinding	if_false = judge_node(judge, arg, true);
	bool		constant = if_true == VOX_EVERYTHING || if_false == VOX_EVERYTHING;
	bool		null = if_true == VOX_NOTHING && if_false == VOX_NOTHING;

	switch (test->booltesttype)
	{
		case IS_TRUE:
			return negated ? judge_not_true(judge, arg) : if_true;
		case IS_NOT_TRUE:
			return negated ? if_true : judge_not_true(judge, arg);
		case IS_FALSE:
		case IS_NOT_FALSE:
			if ((test->booltesttype == IS_FALSE) != negated)
				return if_false;
			if (constant || null)
				return if_false == VOX_EVERYTHING ? VOX_NOTHING : VOX_EVERYTHING;
			break;
		case IS_UNKNOWN:
		case IS_NOT_UNKNOWN:
			if (constant || null)
				return null == ((test->booltesttype == IS_UNKNOWN) != negated) ?
					VOX_EVERYTHING : VOX_NOTHING;
			break;
	}
	return judge_other(judge, node);
}

/* The rows for which the condition is false or null. */
static VoxBinding
judge_not_true(VoxJudge *judge, Node *node)
{
	VoxBinding	if_true = judge_node(judge, node, false);
	VoxBinding	if_false = judge_node(judge, node, true);

	if (if_true == VOX_NOTHING)
		return VOX_EVERYTHING;
	if (if_true == VOX_EVERYTHING)
		return VOX_NOTHING;
	return Max(if_false, VOX_OPAQUE);
}

/* CASE WHEN a THEN x ELSE y END is (a AND x) OR (a is not true AND y). */
static VoxBinding
judge_case(VoxJudge *judge, Node *node, bool negated)
{
	CaseExpr   *expr = (CaseExpr *) node;
	VoxBinding	result = VOX_NOTHING;
	VoxBinding	earlier = VOX_EVERYTHING;
	ListCell   *lc;

	if (expr->arg != NULL)
		return judge_other(judge, node);
	foreach(lc, expr->args)
	{
		CaseWhen   *arm = lfirst_node(CaseWhen, lc);
		VoxBinding	condition = judge_node(judge, (Node *) arm->expr, false);
		VoxBinding	value = judge_node(judge, (Node *) arm->result, negated);

		result = Max(result, Min(earlier, Min(condition, value)));
		earlier = Min(earlier, judge_not_true(judge, (Node *) arm->expr));
	}
	if (expr->defresult == NULL)
		return result;
	return Max(result, Min(earlier, judge_node(judge, (Node *) expr->defresult, negated)));
}

/* A later argument counts only where the earlier ones are null, which is not known here. */
static VoxBinding
judge_coalesce(VoxJudge *judge, Node *node, bool negated)
{
	CoalesceExpr *expr = (CoalesceExpr *) node;
	VoxBinding	result = judge_node(judge, linitial(expr->args), negated);
	ListCell   *lc;

	for_each_from(lc, expr->args, 1)
		result = Max(result, Min(VOX_OPAQUE, judge_node(judge, lfirst(lc), negated)));
	return result;
}

static VoxBinding
judge_operator(VoxJudge *judge, Node *node, bool negated)
{
	OpExpr	   *expr = (OpExpr *) node;
	Comparison	cmp;

	if (list_length(expr->args) != 2)
		return judge_other(judge, node);
	cmp.opno = expr->opno;
	cmp.collation = expr->inputcollid;
	cmp.left = linitial(expr->args);
	cmp.right = lsecond(expr->args);
	cmp.test = node;
	return judge_comparison(judge, &cmp, negated);
}

static VoxBinding
judge_comparison(VoxJudge *judge, const Comparison *cmp, bool negated)
{
	Const	   *value = fold_for_role(judge, cmp);

	if (value != NULL)
		return judge_constant(value, negated);
	if (negated ? voxanne_is_inequality(cmp->opno) : voxanne_is_equality(cmp->opno))
		return judge_equality(judge, cmp);
	if (negated ? voxanne_is_equality(cmp->opno) : voxanne_is_inequality(cmp->opno))
		return judge_inequality(judge, cmp);
	return judge_other(judge, cmp->test);
}

/* The constant that a comparison is for this role, or NULL. */
static Const *
fold_for_role(VoxJudge *judge, const Comparison *cmp)
{
	Const	   *left = voxanne_known_of_role(cmp->left, judge->role);
	Const	   *right = voxanne_known_of_role(cmp->right, judge->role);

	if (left == NULL && right == NULL)
		return voxanne_fold(cmp->test);
	return voxanne_fold((Node *) make_opclause(cmp->opno, BOOLOID, false,
											   left != NULL ? (Expr *) left : (Expr *) cmp->left,
											   right != NULL ? (Expr *) right : (Expr *) cmp->right,
											   InvalidOid, cmp->collation));
}

static VoxBinding
judge_equality(VoxJudge *judge, const Comparison *cmp)
{
	VoxOperand	left = voxanne_operand(cmp->left, judge->tenant);
	VoxOperand	right = voxanne_operand(cmp->right, judge->tenant);

	if (left == VOX_TENANT && right == VOX_CALLER)
		return bound(judge, cmp->right);
	if (left == VOX_CALLER && right == VOX_TENANT)
		return bound(judge, cmp->left);
	if ((left == VOX_TENANT_PART && right == VOX_CALLER) || (left == VOX_CALLER && right == VOX_TENANT_PART))
		return VOX_UNBOUND;
	if ((left == VOX_COLUMN && right == VOX_CALLER) || (left == VOX_CALLER && right == VOX_COLUMN))
		return VOX_SCOPED;
	if ((left == VOX_TENANT && right == VOX_CONSTANT) || (left == VOX_CONSTANT && right == VOX_TENANT))
		return VOX_PINNED;
	if ((left == VOX_TENANT || left == VOX_COLUMN) && equal(cmp->left, cmp->right))
		return is_not_null(judge, cmp->left) ? VOX_EVERYTHING : VOX_UNBOUND;
	return judge_other(judge, cmp->test);
}

static VoxBinding
judge_inequality(VoxJudge *judge, const Comparison *cmp)
{
	VoxOperand	left = voxanne_operand(cmp->left, judge->tenant);
	VoxOperand	right = voxanne_operand(cmp->right, judge->tenant);

	/* a caller without a tenant, as anon is, would find nothing */
	if ((left == VOX_TENANT && right == VOX_CALLER) || (left == VOX_CALLER && right == VOX_TENANT))
		return voxanne_is_anonymous(judge->role) ? VOX_OPAQUE : VOX_UNBOUND;
	if ((left == VOX_TENANT || left == VOX_COLUMN) && equal(cmp->left, cmp->right))
		return VOX_NOTHING;
	return judge_other(judge, cmp->test);
}

static VoxBinding
bound(VoxJudge *judge, Node *caller)
{
	judge->saw_bound = true;
	judge->callers = lappend(judge->callers, caller);
	return VOX_BOUND;
}

/* IS [NOT] DISTINCT FROM: a caller without a tenant matches rows without one. */
static VoxBinding
judge_distinct(VoxJudge *judge, Node *node, bool negated)
{
	OpExpr	   *expr = (OpExpr *) node;
	VoxOperand	left = voxanne_operand(linitial(expr->args), judge->tenant);
	VoxOperand	right = voxanne_operand(lsecond(expr->args), judge->tenant);
	Node	   *column = left == VOX_TENANT ? linitial(expr->args) : lsecond(expr->args);
	Node	   *caller = left == VOX_TENANT ? lsecond(expr->args) : linitial(expr->args);

	if (!((left == VOX_TENANT && right == VOX_CALLER) || (left == VOX_CALLER && right == VOX_TENANT)))
		return judge_other(judge, node);
	if (!negated)
		return VOX_UNBOUND;
	return is_not_null(judge, column) ? bound(judge, caller) : VOX_SHARED_NULL;
}

/* x = ANY (array): each element by itself if they are at hand, else the array as a whole. */
static VoxBinding
judge_array_operator(VoxJudge *judge, Node *node, bool negated)
{
	ScalarArrayOpExpr *expr = (ScalarArrayOpExpr *) node;
	Node	   *array = lsecond(expr->args);
	List	   *elements = array_elements(array);
	bool		all = expr->useOr == negated;
	VoxBinding	result = all ? VOX_EVERYTHING : VOX_NOTHING;
	Comparison	cmp = {expr->opno, expr->inputcollid, linitial(expr->args), array, node};
	ListCell   *lc;

	foreach(lc, elements)
	{
		VoxBinding	arm;

		cmp.right = lfirst(lc);
		cmp.test = (Node *) make_opclause(cmp.opno, BOOLOID, false, (Expr *) cmp.left,
										  (Expr *) cmp.right, InvalidOid, cmp.collation);
		arm = judge_comparison(judge, &cmp, negated);
		result = all ? Min(result, arm) : Max(result, arm);
	}
	if (elements != NIL)
		return result;
	if (!all && !negated && voxanne_is_equality(expr->opno))
		return judge_equality(judge, &cmp);
	return judge_other(judge, node);
}

/* Elements of ARRAY[...] or of a constant array; NIL if it is neither, or empty. */
static List *
array_elements(Node *array)
{
	List	   *elements = NIL;
	Const	   *value = voxanne_fold(array);
	Oid			type;
	int16		len;
	bool		byval;
	char		align;
	Datum	   *datums;
	bool	   *nulls;
	int			count;

	if (IsA(array, ArrayExpr) && !((ArrayExpr *) array)->multidims)
		return ((ArrayExpr *) array)->elements;
	if (value == NULL || value->constisnull || !OidIsValid(get_element_type(value->consttype)))
		return NIL;

	type = get_element_type(value->consttype);
	get_typlenbyvalalign(type, &len, &byval, &align);
	deconstruct_array(DatumGetArrayTypeP(value->constvalue), type, len, byval, align,
					  &datums, &nulls, &count);
	for (int i = 0; i < count; i++)
		elements = lappend(elements, makeConst(type, -1, get_typcollation(type), len,
											   datums[i], nulls[i], byval));
	return elements;
}

static VoxBinding
judge_subselect(VoxJudge *judge, Node *node, bool negated)
{
	SubLink    *sublink = (SubLink *) node;
	VoxContents contents;

	if (negated || (sublink->subLinkType != EXISTS_SUBLINK && sublink->subLinkType != ANY_SUBLINK))
		return judge_other(judge, node);
	switch (voxanne_subselect_tie(sublink, judge->tenant))
	{
		case VOX_TIE_TENANT:
			return bound(judge, node);
		case VOX_TIE_COLUMN:
			return VOX_SCOPED;
		case VOX_TIE_SHADOWED:
			voxanne_contents(node, judge->tenant, &contents);
			if (contents.row)
				return VOX_OPAQUE;
			return voxanne_is_anonymous(judge->role) ? VOX_GATED : VOX_UNBOUND;
		default:
			return judge_other(judge, node);
	}
}

/*
 * A test of no known shape: of the row by built-in means only, of the caller
 * alone, or of both by means that are not understood here.
 */
static VoxBinding
judge_other(VoxJudge *judge, Node *node)
{
	VoxContents contents;

	voxanne_contents(node, judge->tenant, &contents);
	if (contents.row)
		return contents.foreign_code || contents.caller || contents.subselect ?
			VOX_OPAQUE : VOX_UNBOUND;
	return contents.foreign_code || contents.caller || contents.subselect || contents.changing ?
		VOX_GATED : VOX_OPAQUE;
}

/* Is the operand a column that cannot be null? */
static bool
is_not_null(VoxJudge *judge, Node *node)
{
	Var		   *var = (Var *) voxanne_peel_casts(node);

	return IsA(var, Var) && var->varattno > 0 && voxanne_column_not_null(judge->desc, var->varattno);
}
