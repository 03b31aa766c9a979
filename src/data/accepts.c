/*
 * src/data/accepts.c
 *		Would a column take a value, so that the statement that sets it can run?
 *
 * CHECK constraints, of the table and of domains, are asked as far as they can
 * be without running what others wrote, and without an error, which on a
 * standby would end the whole call: those that only compare.  About any other,
 * and about triggers, nothing is known, and the answer is yes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/trees.h"
#include "data/table.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A column and what it is to be set to. */
typedef struct Assignment
{
	AttrNumber	attnum;
	Datum		value;
	bool		isnull;
} Assignment;

static bool make_value(Oid type, int32 typmod, const char *word, Datum *value);
static Oid	below_domain(Oid domain);
static bool refuses(Oid relid, Oid domain, const Assignment *assignment);
static bool is_refused(Node *check, const Assignment *assignment);
static Node *assign_mutator(Node *node, void *context);
static bool is_unfit(Node *node, void *context);
static bool is_unfit_function(Oid funcid, void *context);

/*
 * Can the column be set to the word, or to NULL, as far as its type and the
 * constraints say?  The table is locked.
 */
bool
voxanne_column_accepts(Oid relid, AttrNumber attnum, const char *word)
{
	Assignment	assignment = {.attnum = attnum,.isnull = word == NULL};
	Oid			type;
	Oid			base;
	int32		typmod;
	Oid			collation;

	if (get_attgenerated(relid, attnum) != '\0')
		return false;
	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
	base = getBaseTypeAndTypmod(type, &typmod);
	if (word != NULL && !make_value(base, typmod, word, &assignment.value))
		return false;
	if (word != NULL && assignment.value == (Datum) 0)
		return true;
	if (refuses(relid, InvalidOid, &assignment))
		return false;
	for (; get_typtype(type) == TYPTYPE_DOMAIN; type = below_domain(type))
		if (refuses(InvalidOid, type, &assignment))
			return false;
	return true;
}

/* False if the type has no such value; *value is 0 where its values are not known here. */
static bool
make_value(Oid type, int32 typmod, const char *word, Datum *value)
{
	HeapTuple	tuple;

	*value = (Datum) 0;
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			*value = CStringGetTextDatum(word);
			return typmod < 0 || pg_mbstrlen(word) <= typmod - VARHDRSZ;
		case NAMEOID:
			*value = DirectFunctionCall1(namein, CStringGetDatum(word));
			return true;
	}
	if (!type_is_enum(type))
		return true;
	tuple = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(word));
	if (!HeapTupleIsValid(tuple))
		return false;
	*value = ObjectIdGetDatum(((Form_pg_enum) GETSTRUCT(tuple))->oid);
	ReleaseSysCache(tuple);
	return true;
}

/* The type, perhaps itself a domain, that the domain is over. */
static Oid
below_domain(Oid domain)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));
	Oid			below;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", domain);
	below = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
	ReleaseSysCache(tuple);
	return below;
}

/* Does a CHECK constraint of the table, or of the domain, refuse the value? */
static bool
refuses(Oid relid, Oid domain, const Assignment *assignment)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	bool		refused = false;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_constraint_contypid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true, NULL, 2, keys);
	while (!refused && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);
		bool		isnull;
		Datum		tree = heap_getattr(tuple, Anum_pg_constraint_conbin, RelationGetDescr(catalog), &isnull);

		if (constraint->contype == CONSTRAINT_CHECK && voxanne_constraint_enforced(constraint) && !isnull)
			refused = is_refused(stringToNode(TextDatumGetCString(tree)), assignment);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return refused;
}

/* Is the condition false for the value, whatever the row has besides? */
static bool
is_refused(Node *check, const Assignment *assignment)
{
	Node	   *node = assign_mutator(check, unconstify(Assignment *, assignment));
	Const	   *result;

	if (is_unfit(node, NULL))
		return false;
	result = (Const *) eval_const_expressions(NULL, node);
	return IsA(result, Const) && !result->constisnull && !DatumGetBool(result->constvalue);
}

/* The value in the place of the column, or of what a domain's constraint calls VALUE. */
static Node *
assign_mutator(Node *node, void *context)
{
	const Assignment *assignment = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, CoerceToDomainValue) ||
		(IsA(node, Var) && ((Var *) node)->varattno == assignment->attnum))
	{
		int16		len;
		bool		byval;

		get_typlenbyval(exprType(node), &len, &byval);
		return (Node *) makeConst(exprType(node), exprTypmod(node), exprCollation(node), len,
								  assignment->value, assignment->isnull, byval);
	}
	return expression_tree_mutator(node, assign_mutator, context);
}

/* Does the condition do anything but compare? */
static bool
is_unfit(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_List:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RelabelType:
		case T_CollateExpr:
		case T_ArrayExpr:
		case T_ArrayCoerceExpr:
		case T_CaseTestExpr:
		case T_FuncExpr:
			break;
		default:
			return true;
	}
	return check_functions_in_node(node, is_unfit_function, NULL) ||
		expression_tree_walker(node, is_unfit, context);
}

/* The server's own comparisons, and what is done to a word before it is compared. */
static bool
is_unfit_function(Oid funcid, void *context)
{
	static const Oid of_words[] = {
		F_LOWER_TEXT, F_UPPER_TEXT, F_BTRIM_TEXT, F_LENGTH_TEXT, F_CHAR_LENGTH_TEXT, F_TEXT_NAME, F_TEXT_BPCHAR
	};

	for (int i = 0; i < (int) lengthof(of_words); i++)
		if (funcid == of_words[i])
			return false;
	return funcid >= FirstNormalObjectId || get_func_rettype(funcid) != BOOLOID ||
		func_volatile(funcid) != PROVOLATILE_IMMUTABLE;
}
