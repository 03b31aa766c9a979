/*
 * src/policy/claims.c
 *		What is known of the claims of a request before it is made.
 *
 * Supabase and PostgREST put the claims of the token into a setting; policies
 * read them through auth.jwt(), auth.uid(), auth.role() or from the setting.
 * PostgREST also makes the claim "role" the database role, and the public key,
 * with which anon comes, holds no user and no tenant: so some claims are known
 * once the role is.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "core/trees.h"
#include "expression.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

static bool is_current_user(Node *node);
static bool is_claim(List *keys, const char *name);
static bool is_public_claim(List *keys);
static const char *auth_function(Node *node);
static char *setting_name(Node *node);
static List *keys_of_operand(Oid function, Node *operand);
static char *constant_text(Node *node);

#define CLAIMS_SETTING "request.jwt.claims"
#define CLAIM_SETTING "request.jwt.claim."	/* one setting a claim, as
											 * PostgREST did up to 8 */

/*
 * Is this Supabase's role for requests without a user?
 */
bool
voxanne_is_anonymous(const char *role)
{
	return role != NULL && strcmp(role, "anon") == 0;
}

/*
 * Does the expression read from the claims, casts aside?  *keys (of char *)
 * then is the way to what it reads, from the outermost key inwards; NIL: the
 * claims as a whole.
 */
bool
voxanne_claim_path(Node *node, List **keys)
{
	OpExpr	   *expr;
	const char *name;
	char	   *setting;

	*keys = NIL;
	node = voxanne_peel_casts(node);
	if (IsA(node, NullIfExpr))
		return voxanne_claim_path(linitial(((NullIfExpr *) node)->args), keys);

	name = auth_function(node);
	if (name != NULL)
	{
		if (strcmp(name, "uid") == 0)
			*keys = list_make1("sub");
		else if (strcmp(name, "role") == 0)
			*keys = list_make1("role");
		return *keys != NIL || strcmp(name, "jwt") == 0;
	}
	setting = setting_name(node);
	if (setting != NULL)
	{
		if (pg_strncasecmp(setting, CLAIM_SETTING, strlen(CLAIM_SETTING)) == 0)
			*keys = list_make1(setting + strlen(CLAIM_SETTING));
		return *keys != NIL || pg_strcasecmp(setting, CLAIMS_SETTING) == 0;
	}

	expr = (OpExpr *) node;
	if (IsA(node, OpExpr) && list_length(expr->args) == 2 && voxanne_claim_path(linitial(expr->args), keys))
	{
		List	   *inner = keys_of_operand(get_opcode(expr->opno), lsecond(expr->args));

		*keys = list_concat(*keys, inner);
		return inner != NIL;
	}
	return false;
}

/*
 * The way to the claim that the expression reads, keys joined by dots; NULL if
 * it reads none.
 */
char *
voxanne_claim_name(Node *node)
{
	StringInfoData buf;
	List	   *keys;
	ListCell   *lc;

	if (!voxanne_claim_path(node, &keys) || keys == NIL)
		return NULL;
	initStringInfo(&buf);
	foreach(lc, keys)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "." : "", (char *) lfirst(lc));
	return buf.data;
}

/* The keys that ->, ->>, #> or #>> goes down by; NIL if they are not constant. */
static List *
keys_of_operand(Oid function, Node *operand)
{
	List	   *keys = NIL;
	Const	   *path;
	Datum	   *datums;
	bool	   *nulls;
	int			count;
	char	   *key;

	switch (function)
	{
		case F_JSON_OBJECT_FIELD:
		case F_JSON_OBJECT_FIELD_TEXT:
		case F_JSONB_OBJECT_FIELD:
		case F_JSONB_OBJECT_FIELD_TEXT:
			key = constant_text(operand);
			return key == NULL ? NIL : list_make1(key);
		case F_JSON_EXTRACT_PATH:
		case F_JSON_EXTRACT_PATH_TEXT:
		case F_JSONB_EXTRACT_PATH:
		case F_JSONB_EXTRACT_PATH_TEXT:
			path = voxanne_fold(operand);
			if (path == NULL || path->constisnull || path->consttype != TEXTARRAYOID)
				return NIL;
			deconstruct_array(DatumGetArrayTypeP(path->constvalue), TEXTOID, -1, false, TYPALIGN_INT,
							  &datums, &nulls, &count);
			for (int i = 0; i < count && !nulls[i]; i++)
				keys = lappend(keys, TextDatumGetCString(datums[i]));
			return keys;
		default:
			return NIL;
	}
}

/*
 * The value that an expression is bound to have while "role" asks, or NULL if
 * that is not known.
 */
Const *
voxanne_known_of_role(Node *node, const char *role)
{
	Oid			type = exprType(node);
	List	   *keys = NIL;
	bool		from_claims;

	if (role == NULL)
		return NULL;
	from_claims = voxanne_claim_path(node, &keys);
	if (from_claims && keys != NIL && voxanne_is_anonymous(role) && !is_public_claim(keys))
		return makeNullConst(type, -1, exprCollation(node));
	if (!(from_claims && is_claim(keys, "role")) && !is_current_user(voxanne_peel_casts(node)))
		return NULL;
	/* a name holds every role's */
	if (type != NAMEOID && voxanne_cast_loss(node) != VOX_CAST_KEEPS)
		return NULL;
	if (type == NAMEOID)
		return makeConst(NAMEOID, -1, C_COLLATION_OID, NAMEDATALEN,
						 DirectFunctionCall1(namein, CStringGetDatum(role)), false, false);
	if (type != TEXTOID)
		return NULL;
	return makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(role), false, false);
}

/*
 * Is it known whether the expression is null while "role" asks?
 */
bool
voxanne_known_null(Node *node, const char *role, bool *is_null)
{
	Const	   *known = voxanne_known_of_role(node, role);
	List	   *keys;

	if (known != NULL)
		*is_null = known->constisnull;
	else if (role != NULL && strcmp(role, "authenticated") == 0 &&
			 voxanne_claim_path(node, &keys) && is_claim(keys, "sub"))
		*is_null = false;
	else
		return false;
	return true;
}

static bool
is_current_user(Node *node)
{
	char	   *setting;

	if (IsA(node, SQLValueFunction))
	{
		SQLValueFunctionOp op = ((SQLValueFunction *) node)->op;

		return op == SVFOP_CURRENT_USER || op == SVFOP_CURRENT_ROLE || op == SVFOP_USER;
	}
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_CURRENT_USER)
		return true;
	setting = setting_name(node);
	return setting != NULL && pg_strcasecmp(setting, "role") == 0;
}

/* Does the way lead to this claim at the top? */
static bool
is_claim(List *keys, const char *name)
{
	return list_length(keys) == 1 && strcmp(linitial(keys), name) == 0;
}

/* One of those that the public key has, too. */
static bool
is_public_claim(List *keys)
{
	static const char *const public_claims[] = {"role", "iss", "ref", "aud", "iat", "exp"};

	for (int i = 0; i < (int) lengthof(public_claims); i++)
		if (strcmp(linitial(keys), public_claims[i]) == 0)
			return true;
	return false;
}

/* NAME, if the expression is a call of auth.NAME() without arguments. */
static const char *
auth_function(Node *node)
{
	Oid			funcid;
	char	   *schema;

	if (!IsA(node, FuncExpr) || ((FuncExpr *) node)->args != NIL)
		return NULL;
	funcid = ((FuncExpr *) node)->funcid;
	if (funcid < FirstNormalObjectId)
		return NULL;
	schema = get_namespace_name(get_func_namespace(funcid));
	return schema != NULL && strcmp(schema, "auth") == 0 ? get_func_name(funcid) : NULL;
}

/* The setting that is read, if the expression is current_setting('...'). */
static char *
setting_name(Node *node)
{
	if (!IsA(node, FuncExpr) || (((FuncExpr *) node)->funcid != F_CURRENT_SETTING_TEXT &&
								 ((FuncExpr *) node)->funcid != F_CURRENT_SETTING_TEXT_BOOL))
		return NULL;
	return constant_text(linitial(((FuncExpr *) node)->args));
}

static char *
constant_text(Node *node)
{
	Const	   *value = voxanne_fold(node);

	if (value == NULL || value->constisnull || value->consttype != TEXTOID)
		return NULL;
	return TextDatumGetCString(value->constvalue);
}
