/*
 * src/policy/caller.c
 *		What in an expression belongs to the row and what to the caller.
 *
 * A value belongs to the caller if it contains no column and comes from the
 * session: a setting, the user's name, or a function of the user's that is
 * not immutable (auth.uid(), auth_org_id(), ...), which is believed, not run.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/trees.h"
#include "expression.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

typedef struct ContentsWalk
{
	VoxContents *contents;
	AttrNumber	tenant;
	int			depth;			/* subselects entered */
} ContentsWalk;

static bool contents_walker(Node *node, ContentsWalk *walk);
static bool note_function(Oid funcid, void *context);
static bool escaping_walker(Node *node, int *depth);
static bool caller_walker(Node *node, void *context);
static bool is_session_function(Oid funcid, void *context);
static bool is_session_value(Node *node);
static bool is_auth_function(Node *node, const char *name);
static bool is_claims(Node *node);
static bool is_role_claim(Node *node);
static bool is_user_claim(Node *node);
static bool is_setting(Node *node, const char *name);
static char *constant_text(Node *node);

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
	if (IsA(node, CoerceToDomain) && DomainHasConstraints(((CoerceToDomain *) node)->resulttype))
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
		return attnum == tenant ? VOX_TENANT : VOX_COLUMN;
	}
	if (voxanne_caller_derived(node))
		return VOX_CALLER;
	voxanne_contents(node, tenant, &contents);
	if (contents.row || contents.foreign_code || contents.subselect || contents.changing)
		return VOX_OTHER;
	return VOX_CONSTANT;
}

/*
 * Is this Supabase's role for requests without a user?  Its claims are those of
 * the public key: no user, no tenant.
 */
bool
voxanne_is_anonymous(const char *role)
{
	return role != NULL && strcmp(role, "anon") == 0;
}

/*
 * The value that an expression is bound to have while "role" asks, or NULL: the
 * name of the current user; by PostgREST's contract, which sets the database
 * role from it, the claim "role"; and null for what only a user's claims have.
 */
Const *
voxanne_known_of_role(Node *node, const char *role)
{
	Oid			type = exprType(node);
	Node	   *inner = voxanne_peel_casts(node);

	if (role == NULL)
		return NULL;
	if (voxanne_is_anonymous(role) && (is_auth_function(inner, "uid") || is_user_claim(inner)))
		return makeNullConst(type, -1, exprCollation(node));
	if (!is_role_claim(inner))
		return NULL;
	if (type == NAMEOID)
		return makeConst(NAMEOID, -1, C_COLLATION_OID, NAMEDATALEN,
						 DirectFunctionCall1(namein, CStringGetDatum(role)), false, false);
	if (type != TEXTOID)
		return NULL;
	return makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(role), false, false);
}

static bool
is_role_claim(Node *node)
{
	if (IsA(node, SQLValueFunction))
		return is_session_value(node) && ((SQLValueFunction *) node)->op != SVFOP_SESSION_USER;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_CURRENT_USER)
		return true;
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		Oid			function = get_opcode(((OpExpr *) node)->opno);
		char	   *key = constant_text(lsecond(((OpExpr *) node)->args));

		return (function == F_JSON_OBJECT_FIELD_TEXT || function == F_JSONB_OBJECT_FIELD_TEXT) &&
			key != NULL && strcmp(key, "role") == 0 && is_claims(linitial(((OpExpr *) node)->args));
	}
	return is_auth_function(node, "role") || is_setting(node, "request.jwt.claim.role") ||
		is_setting(node, "role");
}

/*
 * Is it known whether the expression is null while "role" asks?
 */
bool
voxanne_known_null(Node *node, const char *role, bool *is_null)
{
	Const	   *known = voxanne_known_of_role(node, role);

	if (known != NULL)
		*is_null = known->constisnull;
	else if (role != NULL && strcmp(role, "authenticated") == 0 &&
			 is_auth_function(voxanne_peel_casts(node), "uid"))
		*is_null = false;
	else
		return false;
	return true;
}

/* A value out of the claims, by any number of keys, that the public key does not have. */
static bool
is_user_claim(Node *node)
{
	static const char *const public_claims[] = {"role", "iss", "ref", "aud", "iat", "exp"};
	Oid			function;
	char	   *key;

	node = voxanne_peel_casts(node);
	if (!IsA(node, OpExpr) || list_length(((OpExpr *) node)->args) != 2)
		return false;
	function = get_opcode(((OpExpr *) node)->opno);
	if (function != F_JSON_OBJECT_FIELD_TEXT && function != F_JSONB_OBJECT_FIELD_TEXT &&
		function != F_JSON_OBJECT_FIELD && function != F_JSONB_OBJECT_FIELD)
		return false;
	if (!is_claims(linitial(((OpExpr *) node)->args)))
		return is_user_claim(linitial(((OpExpr *) node)->args));
	key = constant_text(lsecond(((OpExpr *) node)->args));
	if (key == NULL)
		return false;
	for (int i = 0; i < (int) lengthof(public_claims); i++)
		if (strcmp(key, public_claims[i]) == 0)
			return false;
	return true;
}

/* A call of auth.NAME() without arguments, a user's function. */
static bool
is_auth_function(Node *node, const char *name)
{
	Oid			funcid;
	char	   *schema;

	if (!IsA(node, FuncExpr) || ((FuncExpr *) node)->args != NIL)
		return false;
	funcid = ((FuncExpr *) node)->funcid;
	if (funcid < FirstNormalObjectId || strcmp(get_func_name(funcid), name) != 0)
		return false;
	schema = get_namespace_name(get_func_namespace(funcid));
	return schema != NULL && strcmp(schema, "auth") == 0;
}

/* The claims as a whole: auth.jwt(), or the setting that PostgREST makes of them. */
static bool
is_claims(Node *node)
{
	node = voxanne_peel_casts(node);
	return is_auth_function(node, "jwt") || is_setting(node, "request.jwt.claims");
}

static bool
is_setting(Node *node, const char *name)
{
	char	   *setting;

	if (!IsA(node, FuncExpr) || (((FuncExpr *) node)->funcid != F_CURRENT_SETTING_TEXT &&
								 ((FuncExpr *) node)->funcid != F_CURRENT_SETTING_TEXT_BOOL))
		return false;
	setting = constant_text(linitial(((FuncExpr *) node)->args));
	return setting != NULL && pg_strcasecmp(setting, name) == 0;
}

static char *
constant_text(Node *node)
{
	Const	   *value = voxanne_fold(node);

	if (value == NULL || value->constisnull || value->consttype != TEXTOID)
		return NULL;
	return TextDatumGetCString(value->constvalue);
}
