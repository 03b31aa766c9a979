/*
 * src/policy/caller.c
 *		What in an expression belongs to the row and what to the caller.
 *
 * A value belongs to the caller if it contains no column and comes from the
 * session: a setting, the user's name, or a function of the user's that is
 * not immutable (auth.uid(), auth_org_id(), ...), which is believed, not run.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/trees.h"
#include "expression.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

typedef struct ContentsWalk
{
	VoxContents *contents;
	AttrNumber	tenant;
	int			depth;			/* subselects entered */
} ContentsWalk;

static bool contents_walker(Node *node, ContentsWalk *walk);
static bool note_function(Oid funcid, void *context);
static bool is_constrained(Oid type);
static bool has_constraint(Oid domain);
static bool escaping_walker(Node *node, int *depth);
static bool caller_walker(Node *node, void *context);
static bool is_session_function(Oid funcid, void *context);
static bool is_session_value(Node *node);

/*
 * What occurs in an expression of the policy's own query level.
 */
void
voxanne_contents(Node *node, AttrNumber tenant, VoxContents *contents)
{
	ContentsWalk walk = {contents, tenant, 0};

	memset(contents, 0, sizeof(*contents));
	(void) contents_walker(node, &walk);
}

static bool
contents_walker(Node *node, ContentsWalk *walk)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if ((int) var->varlevelsup == walk->depth)
		{
			walk->contents->row = true;
			if (var->varattno == walk->tenant || var->varattno == InvalidAttrNumber)
				walk->contents->tenant = true;
		}
		return false;
	}
	if (IsA(node, Query))
	{
		walk->depth++;
		(void) query_tree_walker((Query *) node, contents_walker, walk, 0);
		walk->depth--;
		return false;
	}
	if (IsA(node, SubLink))
		walk->contents->subselect = true;
	if (IsA(node, CoerceToDomain) && is_constrained(((CoerceToDomain *) node)->resulttype))
		walk->contents->foreign_code = true;
	if (is_session_value(node))
		walk->contents->caller = true;
	else if (IsA(node, SQLValueFunction))
		walk->contents->changing = true;
	(void) check_functions_in_node(node, note_function, walk->contents);
	return expression_tree_walker(node, contents_walker, walk);
}

static bool
note_function(Oid funcid, void *context)
{
	VoxContents *contents = context;

	if (funcid >= FirstNormalObjectId)
		contents->foreign_code = true;
	else if (is_session_function(funcid, NULL))
		contents->caller = true;
	else if (func_volatile(funcid) != PROVOLATILE_IMMUTABLE)
		contents->changing = true;
	return false;
}

/*
 * Has a domain a constraint, or one that it is based on?  The type cache plans
 * constraints to know that, which runs immutable functions as whoever looks; so
 * only the catalogs are asked.
 */
static bool
is_constrained(Oid type)
{
	while (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		Oid			base;
		bool		not_null;

		if (!HeapTupleIsValid(tuple))
			return true;
		base = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
		not_null = ((Form_pg_type) GETSTRUCT(tuple))->typnotnull;
		ReleaseSysCache(tuple);
		if (not_null || has_constraint(type))
			return true;
		type = base;
	}
	return false;
}

static bool
has_constraint(Oid domain)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(catalog, ConstraintTypidIndexId, true, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * Does the expression refer to a column of its own or an outer query level?
 */
bool
voxanne_has_escaping_var(Node *node)
{
	int			depth = 0;

	return escaping_walker(node, &depth);
}

static bool
escaping_walker(Node *node, int *depth)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return (int) ((Var *) node)->varlevelsup >= *depth;
	if (IsA(node, Query))
	{
		bool		found;

		(*depth)++;
		found = query_tree_walker((Query *) node, escaping_walker, depth, 0);
		(*depth)--;
		return found;
	}
	return expression_tree_walker(node, escaping_walker, depth);
}

/*
 * Is the value of the expression the caller's own?
 */
bool
voxanne_caller_derived(Node *node)
{
	return !voxanne_has_escaping_var(node) && caller_walker(node, NULL);
}

static bool
caller_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
		return voxanne_subselect_of_caller((SubLink *) node);
	if (is_session_value(node) || check_functions_in_node(node, is_session_function, NULL))
		return true;
	return expression_tree_walker(node, caller_walker, context);
}

/* Of the built-in functions only these know who is calling. */
static bool
is_session_function(Oid funcid, void *context)
{
	static const Oid builtin[] = {
		F_CURRENT_SETTING_TEXT, F_CURRENT_SETTING_TEXT_BOOL,
		F_CURRENT_USER, F_SESSION_USER, F_GETPGUSERNAME
	};

	if (funcid >= FirstNormalObjectId)
		return func_volatile(funcid) != PROVOLATILE_IMMUTABLE;
	for (int i = 0; i < (int) lengthof(builtin); i++)
		if (funcid == builtin[i])
			return true;
	return false;
}

static bool
is_session_value(Node *node)
{
	if (!IsA(node, SQLValueFunction))
		return false;
	switch (((SQLValueFunction *) node)->op)
	{
		case SVFOP_CURRENT_ROLE:
		case SVFOP_CURRENT_USER:
		case SVFOP_USER:
		case SVFOP_SESSION_USER:
			return true;
		default:
			return false;
	}
}

/*
 * What an operand in the policy's own query level stands for.
 */
VoxOperand
voxanne_operand(Node *node, AttrNumber tenant)
{
	Node	   *inner = voxanne_peel_casts(node);
	VoxContents contents;

	if (IsA(inner, Var) && ((Var *) inner)->varlevelsup == 0)
	{
		AttrNumber	attnum = ((Var *) inner)->varattno;

		if (attnum == InvalidAttrNumber)
			return VOX_OTHER;
		if (attnum != tenant)
			return VOX_COLUMN;
		switch (voxanne_cast_loss(node))
		{
			case VOX_CAST_KEEPS:
				return VOX_TENANT;
			case VOX_CAST_LOSES:
				return VOX_TENANT_PART;
			default:
				return VOX_OTHER;
		}
	}
	if (voxanne_caller_derived(node))
		return VOX_CALLER;
	voxanne_contents(node, tenant, &contents);
	if (contents.row || contents.foreign_code || contents.subselect || contents.changing)
		return VOX_OTHER;
	return VOX_CONSTANT;
}
