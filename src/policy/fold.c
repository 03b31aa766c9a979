/*
 * src/policy/fold.c
 *		Simplifying and folding expressions.
 *
 * The server's own eval_const_expressions() runs every immutable function in
 * the tree, those of users included, with the rights of whoever looks; a
 * policy could take over its auditor.  Here a value is computed only by casts
 * between boolean and text, done by hand, and by built-in comparisons of
 * built-in scalar types, which neither fail nor have side effects.  Whatever
 * else is constant stays unevaluated.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/trees.h"
#include "expression.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

static Node *peel_mutator(Node *node, void *context);
static bool is_bare_select(SubLink *sublink);
static Const *fold_cast(Node *arg, Oid resulttype);
static Const *fold_comparison(OpExpr *expr);
static bool is_safe_comparison(Oid opno, Oid lefttype, Oid righttype);
static bool is_plain_type(Oid type);

/*
 * A copy of the expression in which each (SELECT x) without FROM, WHERE or
 * anything else is replaced by x, which has the same value.
 */
Node *
voxanne_peel_subselects(Node *node)
{
	return peel_mutator(node, NULL);
}

static Node *
peel_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, SubLink) && is_bare_select((SubLink *) node))
	{
		Query	   *query = (Query *) ((SubLink *) node)->subselect;
		Node	   *value = copyObject((Node *) linitial_node(TargetEntry, query->targetList)->expr);

		IncrementVarSublevelsUp(value, -1, 1);
		return peel_mutator(value, context);
	}
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, peel_mutator, context, 0);
	return expression_tree_mutator(node, peel_mutator, context);
}

static bool
is_bare_select(SubLink *sublink)
{
	Query	   *query = (Query *) sublink->subselect;

	return sublink->subLinkType == EXPR_SUBLINK && query->commandType == CMD_SELECT &&
		query->rtable == NIL && query->cteList == NIL && query->setOperations == NULL &&
		query->jointree->quals == NULL && list_length(query->targetList) == 1 &&
		!query->hasAggs && !query->hasWindowFuncs && !query->hasTargetSRFs &&
		query->havingQual == NULL && query->groupClause == NIL && query->groupingSets == NIL &&
		query->limitCount == NULL && query->limitOffset == NULL;
}

/*
 * The constant that the expression is, or NULL if it is not one or is not
 * computed here.
 */
Const *
voxanne_fold(Node *node)
{
	if (node == NULL)
		return NULL;
	switch (nodeTag(node))
	{
		case T_Const:
			return (Const *) node;
		case T_CollateExpr:
			return voxanne_fold((Node *) ((CollateExpr *) node)->arg);
		case T_RelabelType:
			{
				RelabelType *relabel = (RelabelType *) node;
				Const	   *value = voxanne_fold((Node *) relabel->arg);

				if (value == NULL)
					return NULL;
				value = copyObject(value);
				value->consttype = relabel->resulttype;
				return value;
			}
		case T_CoerceViaIO:
			return fold_cast((Node *) ((CoerceViaIO *) node)->arg, ((CoerceViaIO *) node)->resulttype);
		case T_FuncExpr:
			if (((FuncExpr *) node)->funcid == F_TEXT_BOOL)
				return fold_cast((Node *) linitial(((FuncExpr *) node)->args), TEXTOID);
			return NULL;
		case T_OpExpr:
			return fold_comparison((OpExpr *) node);
		default:
			return NULL;
	}
}

/* Casts between boolean and text; a text that is no boolean would fail when run. */
static Const *
fold_cast(Node *arg, Oid resulttype)
{
	Const	   *value = voxanne_fold(arg);
	char	   *word;
	bool		truth;

	if (value == NULL || (resulttype != BOOLOID && resulttype != TEXTOID))
		return NULL;
	if (value->constisnull)
		return makeNullConst(resulttype, -1, get_typcollation(resulttype));

	if (value->consttype == BOOLOID)
		word = DatumGetBool(value->constvalue) ? "true" : "false";
	else if (value->consttype == TEXTOID || value->consttype == VARCHAROID)
		word = TextDatumGetCString(value->constvalue);
	else
		return NULL;

	if (resulttype == TEXTOID)
		return makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(word), false, false);
	if (!parse_bool(word, &truth))
		return NULL;
	return (Const *) makeBoolConst(truth, false);
}

static Const *
fold_comparison(OpExpr *expr)
{
	Const	   *left;
	Const	   *right;
	Datum		result;

	if (list_length(expr->args) != 2)
		return NULL;
	left = voxanne_fold(linitial(expr->args));
	right = voxanne_fold(lsecond(expr->args));

	/* what strict operators make of null needs no run */
	if (((left != NULL && left->constisnull) || (right != NULL && right->constisnull)) &&
		expr->opresulttype == BOOLOID && op_strict(expr->opno))
		return (Const *) makeBoolConst(false, true);
	if (left == NULL || right == NULL || left->constisnull || right->constisnull ||
		!is_safe_comparison(expr->opno, left->consttype, right->consttype))
		return NULL;

	result = OidFunctionCall2Coll(get_opcode(expr->opno), expr->inputcollid,
								  left->constvalue, right->constvalue);
	return (Const *) makeBoolConst(DatumGetBool(result), false);
}

/* A built-in comparison of just these plain built-in types, so that running it is harmless. */
static bool
is_safe_comparison(Oid opno, Oid lefttype, Oid righttype)
{
	Oid			declared_left;
	Oid			declared_right;
	RegProcedure function = get_opcode(opno);

	if (opno >= FirstNormalObjectId || !RegProcedureIsValid(function) ||
		function >= FirstNormalObjectId || !voxanne_is_ordering_operator(opno) ||
		func_volatile(function) != PROVOLATILE_IMMUTABLE || !func_strict(function))
		return false;
	op_input_types(opno, &declared_left, &declared_right);
	return lefttype == declared_left && righttype == declared_right &&
		is_plain_type(lefttype) && is_plain_type(righttype);
}

/* Containers compare by functions of their elements' types, which may be users'. */
static bool
is_plain_type(Oid type)
{
	return type < FirstNormalObjectId && get_typtype(type) == TYPTYPE_BASE &&
		!OidIsValid(get_element_type(type));
}

/*
 * Does the operator mean equality (of some btree or hash operator class)?
 */
bool
voxanne_is_equality(Oid opno)
{
	Oid			lefttype;
	Oid			righttype;

	op_input_types(opno, &lefttype, &righttype);
	return op_mergejoinable(opno, lefttype) || op_hashjoinable(opno, lefttype);
}

/*
 * Does the operator mean the opposite of equality?
 */
bool
voxanne_is_inequality(Oid opno)
{
	Oid			negator = get_negator(opno);

	return OidIsValid(negator) && voxanne_is_equality(negator);
}
