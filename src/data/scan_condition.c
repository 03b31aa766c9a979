/*
 * src/data/scan_condition.c
 *		Conditions as the scan engine evaluates them.
 *
 * The text that SQL would be sent is analyzed just as SQL would analyze it, so
 * that both mean the same.  What does not depend on the row, the time of the
 * transaction for one, is computed here, once, and not by each process.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_proc.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/executor.h"
#include "data/invalid.h"
#include "data/keyscan_rows.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

static Node *fold(Node *condition);
static bool is_unfit(Node *node, void *context);
static bool is_unfit_function(Oid function, void *context);

/*
 * A condition about a table's rows, in *condition; or why SQL must look at it, a
 * sentence.  The table is locked, settings pinned.
 */
const char *
voxanne_scan_condition(Oid relid, const char *text, Node **condition)
{
	Relation	rel = table_open(relid, NoLock);

	*condition = fold(voxanne_invalid_condition(rel, text));
	table_close(rel, NoLock);
	if (is_unfit(*condition, &relid))
		return "A rule needs more than the row and the server's own functions.";
	return NULL;
}

/*
 * Compute what is the same for all rows of the transaction.  Stable functions
 * are among that, as nothing but this transaction will use the result.
 */
static Node *
fold(Node *condition)
{
	PlannerInfo *root = makeNode(PlannerInfo);

	root->glob = makeNode(PlannerGlobal);
	return estimate_expression_value(root, condition);
}

/* Does the condition need anything but the row, or code that is not the server's or not fit for workers? */
static bool
is_unfit(Node *node, void *context)
{
	Oid			relid = *(Oid *) context;

	if (node == NULL)
		return false;
	if (IsA(node, Var) && (((Var *) node)->varattno <= 0 || voxanne_is_virtual(relid, ((Var *) node)->varattno)))
		return true;
	if (IsA(node, SubLink) || IsA(node, SubPlan) || IsA(node, Param) || IsA(node, Query) || IsA(node, NextValueExpr))
		return true;
	return check_functions_in_node(node, is_unfit_function, NULL) || expression_tree_walker(node, is_unfit, context);
}

static bool
is_unfit_function(Oid function, void *context)
{
	return voxanne_is_users_function(function, NULL) || func_parallel(function) != PROPARALLEL_SAFE ||
		func_volatile(function) == PROVOLATILE_VOLATILE;
}
