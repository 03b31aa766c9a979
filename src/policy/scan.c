/*
 * src/policy/scan.c
 *		Policies that make every query read the whole table.
 *
 * org_id::text = '...' cannot use an index on org_id, and without an index on
 * org_id nothing can.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "audit.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "core/relation.h"
#include "core/trees.h"
#include "expression.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* Rows below which reading the whole table is no matter; a choice, not a measurement. */
#define LARGE_TABLE 10000

/* A walk over the clauses of one policy. */
typedef struct TextWalk
{
	AttrNumber	tenant;
	Oid			type;			/* of the tenant column */
	Oid			equality;		/* its own operator */
	Node	   *cast;			/* the cast tenant column met first, or NULL */
	bool		replaceable;	/* all comparisons met can be made in the
								 * column's type */
} TextWalk;

static bool text_walker(Node *node, TextWalk *walk);
static Node *native_mutator(Node *node, TextWalk *walk);
static OpExpr *native_comparison(OpExpr *expr, TextWalk *walk);
static bool is_text_of_tenant(Node *node, const TextWalk *walk);
static Node *without_text_cast(Node *node, Oid type);
static bool binds_tenant(VoxTable *table);
static char *index_on(VoxTable *table, Node *cast, AttrNumber attnum);
static bool index_begins_with(Form_pg_index index, HeapTuple tuple, Node *cast, AttrNumber attnum);
static void report(VoxAudit *audit, VoxTable *table, VoxPolicy *policy, TextWalk *walk);

/*
 * Report policies that compare a tenant column that is not text as text.
 */
void
voxanne_check_text_comparison(VoxAudit *audit, VoxTable *table)
{
	TextWalk	walk;
	ListCell   *lc;
	char		category;
	bool		preferred;

	if (table->tenant == InvalidAttrNumber)
		return;
	walk.tenant = table->tenant;
	walk.type = TupleDescAttr(RelationGetDescr(table->rel), table->tenant - 1)->atttypid;
	walk.equality = lookup_type_cache(walk.type, TYPECACHE_EQ_OPR)->eq_opr;
	get_type_category_preferred(walk.type, &category, &preferred);
	if (category == TYPCATEGORY_STRING)
		return;

	foreach(lc, table->policies)
	{
		VoxPolicy  *policy = lfirst(lc);

		walk.cast = NULL;
		walk.replaceable = OidIsValid(walk.equality);
		(void) text_walker(policy->using, &walk);
		(void) text_walker(policy->check, &walk);
		if (walk.cast != NULL)
			report(audit, table, policy, &walk);
	}
}

static void
report(VoxAudit *audit, VoxTable *table, VoxPolicy *policy, TextWalk *walk)
{
	char	   *column = get_attname(RelationGetRelid(table->rel), table->tenant, false);
	char	   *text_index = index_on(table, walk->cast, InvalidAttrNumber);
	char	   *plain_index = index_on(table, NULL, table->tenant);
	VoxAuditFinding finding = {
		.severity = text_index == NULL ? VOX_WARNING : VOX_INFO,
		.verdict = VOX_PERFORMANCE,
		.check = "tenant_text_compare",
		.discriminator = policy->name,
		.relation = table->name,
		.policy = policy->name,
		.advice = psprintf("Compare %s in its own type, %s, and cast the other side.",
						   quote_identifier(column), format_type_be(walk->type)),
	};

	finding.detail = psprintf("Policy %s compares %s as text%s.", quote_identifier(policy->name),
							  quote_identifier(column),
							  text_index != NULL ? psprintf("; index %s serves that, but upper case no longer equals lower case", text_index) :
							  plain_index != NULL ? psprintf(", so index %s is of no use and each query reads the whole table", plain_index) :
							  ", so each query reads the whole table");
	if (walk->replaceable)
		finding.remedy = psprintf("ALTER POLICY %s ON %s%s%s;", quote_identifier(policy->name), table->name,
								  policy->stored_using == NULL ? "" :
								  psprintf(" USING (%s)", voxanne_deparse(table, native_mutator(policy->stored_using, walk))),
								  policy->stored_check == NULL ? "" :
								  psprintf(" WITH CHECK (%s)", voxanne_deparse(table, native_mutator(policy->stored_check, walk))));
	voxanne_audit_report(audit, &finding);
}

/* Only the policy's own query level is searched. */
static bool
text_walker(Node *node, TextWalk *walk)
{
	if (node == NULL)
		return false;
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr	   *expr = (OpExpr *) node;
		Node	   *left = linitial(expr->args);
		Node	   *right = lsecond(expr->args);

		if (is_text_of_tenant(left, walk) || is_text_of_tenant(right, walk))
		{
			if (walk->cast == NULL)
				walk->cast = is_text_of_tenant(left, walk) ? left : right;
			if (native_comparison(expr, walk) == NULL)
				walk->replaceable = false;
		}
	}
	else if (IsA(node, ScalarArrayOpExpr) &&
			 is_text_of_tenant(linitial(((ScalarArrayOpExpr *) node)->args), walk))
	{
		if (walk->cast == NULL)
			walk->cast = linitial(((ScalarArrayOpExpr *) node)->args);
		walk->replaceable = false;
	}
	return expression_tree_walker(node, text_walker, walk);
}

static Node *
native_mutator(Node *node, TextWalk *walk)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr	   *native = native_comparison((OpExpr *) node, walk);

		if (native != NULL)
			return (Node *) native;
	}
	if (IsA(node, Query))
		return copyObject(node);
	return expression_tree_mutator(node, native_mutator, walk);
}

/* tenant::text = x::text as tenant = x, or NULL if it is not of this form. */
static OpExpr *
native_comparison(OpExpr *expr, TextWalk *walk)
{
	Node	   *left = linitial(expr->args);
	Node	   *right = lsecond(expr->args);
	Node	   *column;
	Node	   *other;

	if (!voxanne_is_equality(expr->opno))
		return NULL;
	if (is_text_of_tenant(left, walk))
	{
		column = voxanne_peel_keeping_casts(left);
		other = without_text_cast(right, walk->type);
	}
	else if (is_text_of_tenant(right, walk))
	{
		column = voxanne_peel_keeping_casts(right);
		other = without_text_cast(left, walk->type);
	}
	else
		return NULL;
	if (other == NULL)
		return NULL;
	return (OpExpr *) make_opclause(walk->equality, BOOLOID, false, (Expr *) column, (Expr *) other,
									InvalidOid, InvalidOid);
}

static bool
is_text_of_tenant(Node *node, const TextWalk *walk)
{
	Node	   *inner = voxanne_peel_keeping_casts(node);
	char		category;
	bool		preferred;

	if (!IsA(inner, Var) || ((Var *) inner)->varlevelsup != 0 || ((Var *) inner)->varattno != walk->tenant)
		return false;
	get_type_category_preferred(exprType(node), &category, &preferred);
	return category == TYPCATEGORY_STRING;
}

/*
 * Report a large table whose policies bind the tenant column while no index
 * begins with it.
 */
void
voxanne_check_unindexed(VoxAudit *audit, VoxTable *table)
{
	char	   *column;
	bool		partitioned = table->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	VoxAuditFinding finding = {
		.severity = VOX_WARNING,
		.verdict = VOX_PERFORMANCE,
		.check = "tenant_unindexed",
		.relation = table->name,
	};

	if (table->tenant == InvalidAttrNumber || table->rel->rd_rel->reltuples < LARGE_TABLE ||
		!binds_tenant(table) || index_on(table, NULL, table->tenant) != NULL)
		return;
	column = pstrdup(quote_identifier(get_attname(RelationGetRelid(table->rel), table->tenant, false)));
	finding.detail = psprintf("Policies compare %s, but no index begins with it: each query reads all of about %.0f rows.",
							  column, (double) table->rel->rd_rel->reltuples);
	finding.advice = partitioned ? "Create the index in a quiet hour: on a partitioned table it blocks writes." :
		"Create the index; CONCURRENTLY does not block writes, and does not run inside a transaction.";
	finding.remedy = psprintf("CREATE INDEX %sON %s (%s);", partitioned ? "" : "CONCURRENTLY ", table->name, column);
	voxanne_audit_report(audit, &finding);
}

static bool
binds_tenant(VoxTable *table)
{
	VoxJudge	judge = {.desc = RelationGetDescr(table->rel),.tenant = table->tenant};
	ListCell   *lc;

	foreach(lc, table->policies)
		if (((VoxPolicy *) lfirst(lc))->using != NULL)
		(void) voxanne_judge(&judge, ((VoxPolicy *) lfirst(lc))->using);
	return judge.saw_bound;
}

/* The value of this type that was cast to text, also inside a subselect; or NULL. */
static Node *
without_text_cast(Node *node, Oid type)
{
	if (IsA(node, SubLink) && ((SubLink *) node)->subLinkType == EXPR_SUBLINK)
	{
		SubLink    *sublink = copyObject((SubLink *) node);
		Query	   *query = (Query *) sublink->subselect;
		TargetEntry *target = linitial_node(TargetEntry, query->targetList);
		Node	   *value = without_text_cast((Node *) target->expr, type);

		if (value == NULL || query->setOperations != NULL)
			return NULL;
		target->expr = (Expr *) value;
		return (Node *) sublink;
	}
	while (IsA(node, CoerceViaIO) || IsA(node, RelabelType))
	{
		node = IsA(node, CoerceViaIO) ? (Node *) ((CoerceViaIO *) node)->arg :
			(Node *) ((RelabelType *) node)->arg;
		if (exprType(node) == type)
			return node;
	}
	return NULL;
}

/*
 * Name of a usable index that begins with the expression, or with the column
 * if "cast" is NULL.
 */
static char *
index_on(VoxTable *table, Node *cast, AttrNumber attnum)
{
	List	   *indexes = RelationGetIndexList(table->rel);
	char	   *found = NULL;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (found == NULL && index_begins_with((Form_pg_index) GETSTRUCT(tuple), tuple, cast, attnum))
			found = voxanne_relation_name(lfirst_oid(lc));
		ReleaseSysCache(tuple);
	}
	return found;
}

static bool
index_begins_with(Form_pg_index index, HeapTuple tuple, Node *cast, AttrNumber attnum)
{
	bool		isnull;
	Datum		trees;

	(void) SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred, &isnull);
	if (!index->indisvalid || !isnull || index->indkey.values[0] != attnum)
		return false;
	if (cast == NULL)
		return true;
	trees = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indexprs, &isnull);
	return !isnull && equal(linitial((List *) stringToNode(TextDatumGetCString(trees))), cast);
}
