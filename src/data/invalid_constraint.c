/*
 * src/data/invalid_constraint.c
 *		CHECK constraints that were never checked, and whose code they run.
 *
 * A constraint's expression belongs to the table's owner, who may have put
 * anything into it: a function of his own, or one of the server's that runs
 * what it is told.  So it runs as the owner, restricted.  A superuser owner
 * would be no restriction; his tables may have been somebody else's before.
 * There only expressions are run that can do nothing, whoever runs them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/relation.h"
#include "core/trees.h"
#include "data/invalid.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static VoxInvalidRule *make_rule(Relation rel, HeapTuple tuple, TupleDesc catalog);
static List *constraint_columns(HeapTuple tuple, TupleDesc catalog);
static void decide_user(VoxInvalidRule *rule, Relation rel, Node *expression);
static bool can_do_harm(Node *node, void *context);
static bool function_can_do_harm(Oid funcid, void *context);
static bool is_time_function(Form_pg_proc proc);
static bool is_time_type(Oid type);
static bool type_has_foreign_code(Oid type);

/*
 * The table's CHECK and NOT NULL constraints that are not valid or not
 * enforced (VoxInvalidRule *); with "own_only" those that it did not inherit.
 * The table is locked, settings pinned.
 */
List *
voxanne_invalid_constraints(Relation rel, bool own_only)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	List	   *rules = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);

		if ((constraint->contype == CONSTRAINT_CHECK || constraint->contype == VOX_CONSTRAINT_NOT_NULL) &&
			!constraint->convalidated && !(own_only && constraint->coninhcount > 0))
			rules = lappend(rules, make_rule(rel, tuple, RelationGetDescr(catalog)));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return rules;
}

static VoxInvalidRule *
make_rule(Relation rel, HeapTuple tuple, TupleDesc catalog)
{
	Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);
	VoxInvalidRule *rule = palloc0_object(VoxInvalidRule);
	bool		isnull;
	Datum		tree = heap_getattr(tuple, Anum_pg_constraint_conbin, catalog, &isnull);

	rule->constraint = constraint->oid;
	rule->constraint_name = pstrdup(NameStr(constraint->conname));
	rule->enforced = voxanne_constraint_enforced(constraint);
	rule->inherited = !constraint->connoinherit;
	rule->kind = rule->enforced ? "not_valid_check" : "not_enforced_check";
	rule->severity = VOX_WARNING;
	rule->columns = constraint_columns(tuple, catalog);
	if (constraint->contype == VOX_CONSTRAINT_NOT_NULL)
		rule->valid = voxanne_not_null(RelationGetRelid(rel), "", linitial_int(rule->columns), true);
	else if (!isnull)
	{
		rule->valid = TextDatumGetCString(DirectFunctionCall2(pg_get_expr, tree,
															  ObjectIdGetDatum(RelationGetRelid(rel))));
		decide_user(rule, rel, stringToNode(TextDatumGetCString(tree)));
	}
	else
		elog(ERROR, "constraint \"%s\" has no expression", rule->constraint_name);
	return rule;
}

/* The columns that a constraint reads; NIL where it means the row as a whole or a system column. */
static List *
constraint_columns(HeapTuple tuple, TupleDesc catalog)
{
	List	   *columns = NIL;
	bool		isnull;
	Datum		key = heap_getattr(tuple, Anum_pg_constraint_conkey, catalog, &isnull);
	ArrayType  *array;
	int16	   *numbers;

	if (isnull)
		return NIL;
	array = DatumGetArrayTypeP(key);
	if (ARR_NDIM(array) != 1)
		return NIL;
	numbers = (int16 *) ARR_DATA_PTR(array);
	for (int i = 0; i < ARR_DIMS(array)[0]; i++)
	{
		if (numbers[i] <= 0)
			return NIL;
		columns = lappend_int(columns, numbers[i]);
	}
	return columns;
}

/* As whom the expression is run, or why it is not. */
static void
decide_user(VoxInvalidRule *rule, Relation rel, Node *expression)
{
	Oid			owner = rel->rd_rel->relowner;

	if (!superuser_arg(owner))
		rule->run_as = owner;
	else if (can_do_harm(expression, NULL))
		rule->refusal = psprintf("Constraint %s may do more than compare, and %s belongs to a superuser, as whom it is not run.",
								 quote_identifier(rule->constraint_name),
								 voxanne_relation_name(RelationGetRelid(rel)));
}

/*
 * Could an expression, run as a superuser, do more than compute a value?  Yes
 * unless it consists of what is known not to.
 */
static bool
can_do_harm(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_FuncExpr:
		case T_NamedArgExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_SubscriptingRef:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_CollateExpr:
		case T_CaseExpr:
		case T_CaseTestExpr:
		case T_ArrayExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_SQLValueFunction:
			if (type_has_foreign_code(exprType(node)))
				return true;
			break;
		case T_List:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RowCompareExpr:
		case T_CaseWhen:
			break;
		default:
			return true;
	}
	return check_functions_in_node(node, function_can_do_harm, context) ||
		expression_tree_walker(node, can_do_harm, context);
}

/*
 * Harmless are the server's immutable functions, of those that look at the
 * clock or the time zone the ones about times, and an extension's functions in
 * C that claim to be immutable.  Volatile ones may write, stable ones may run
 * a query that they are given as text.
 */
static bool
function_can_do_harm(Oid funcid, void *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Form_pg_proc proc;
	bool		of_server = funcid < FirstNormalObjectId;
	bool		harmless;

	if (!HeapTupleIsValid(tuple))
		return true;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	if (of_server)
		harmless = proc->provolatile == PROVOLATILE_IMMUTABLE ||
			(proc->provolatile == PROVOLATILE_STABLE && is_time_function(proc));
	else
		harmless = proc->provolatile == PROVOLATILE_IMMUTABLE && proc->prolang == ClanguageId &&
			superuser_arg(proc->proowner);
	ReleaseSysCache(tuple);
	return !harmless;
}

static bool
is_time_function(Form_pg_proc proc)
{
	for (int i = 0; i < proc->pronargs; i++)
		if (is_time_type(proc->proargtypes.values[i]))
			return true;
	return is_time_type(proc->prorettype);
}

static bool
is_time_type(Oid type)
{
	return type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID || type == TIMEOID ||
		type == TIMETZOID || type == INTERVALOID;
}

/* Can comparing or printing a value of the type run a user's function?  Only superusers make base types. */
static bool
type_has_foreign_code(Oid type)
{
	Oid			element = get_element_type(type);

	if (OidIsValid(element))
		return type_has_foreign_code(element);
	type = getBaseType(type);
	if (type < FirstNormalObjectId)
		return false;
	return get_typtype(type) != TYPTYPE_BASE && get_typtype(type) != TYPTYPE_ENUM;
}

/*
 * Does a CHECK constraint of the table, valid or not, say exactly this?
 */
bool
voxanne_invalid_is_check(Relation rel, const char *valid)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	Node	   *wanted;

	if (constr == NULL || constr->num_check == 0)
		return false;
	wanted = voxanne_invalid_condition(rel, valid);
	for (int i = 0; i < constr->num_check; i++)
		if (equal(wanted, stringToNode(constr->check[i].ccbin)))
			return true;
	return false;
}

/*
 * A condition as ALTER TABLE would store it.
 */
Node *
voxanne_invalid_condition(Relation rel, const char *condition)
{
	ParseState *pstate = make_parsestate(NULL);
	List	   *parsed = raw_parser(psprintf("SELECT (%s)", condition), RAW_PARSE_DEFAULT);
	SelectStmt *select = castNode(SelectStmt, linitial_node(RawStmt, parsed)->stmt);
	ParseNamespaceItem *item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL, false, true);
	Node	   *node;

	addNSItemToQuery(pstate, item, true, true, true);
	node = transformExpr(pstate, linitial_node(ResTarget, select->targetList)->val, EXPR_KIND_CHECK_CONSTRAINT);
	node = coerce_to_boolean(pstate, node, "CHECK");
	assign_expr_collations(pstate, node);
	free_parsestate(pstate);
	return node;
}
