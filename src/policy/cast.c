/*
 * src/policy/cast.c
 *		Casts, and which of them keep different values apart.
 *
 * A policy that compares tenants by a cast of theirs compares the tenants only
 * if no two of them become the same: org_id::text does, org_id::"char" is its
 * first letter.  What is not known to keep values apart is taken not to.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/trees.h"
#include "expression.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/* The built-in casts by function that keep values apart, or fail. */
static const Oid keeping[] = {
	F_INT2_INT4, F_INT2_INT8, F_INT4_INT2, F_INT4_INT8, F_INT8_INT2, F_INT8_INT4, F_INT8_OID, F_OID,
	F_NUMERIC_INT2, F_NUMERIC_INT4, F_NUMERIC_INT8, F_FLOAT4_INT2, F_FLOAT8_INT2, F_FLOAT8_INT4, F_FLOAT8_FLOAT4,
	F_INT4_BOOL, F_TEXT_BOOL, F_INT4_CHAR, F_CHAR_INT4, F_TEXT_CHAR, F_TEXT_NAME, F_VARCHAR_NAME, F_TEXT_BPCHAR,
	F_TEXT_INET, F_TIMESTAMP_DATE, F_INTERVAL_TIME
};

static Node *below_cast(Node *node);
static VoxCastLoss loss_by(Node *cast, Node *arg);
static VoxCastLoss loss_by_function(Oid funcid);
static VoxCastLoss loss_by_relabel(Oid from, Oid to);
static VoxCastLoss loss_by_text(Oid from, Oid to);

/*
 * The expression below casts by built-in immutable functions, which make null
 * of null only; of other values they may make one.  A cast that cuts to a length
 * is kept.  The tree is not copied.
 */
Node *
voxanne_peel_casts(Node *node)
{
	Node	   *arg;

	while ((arg = below_cast(node)) != NULL)
		node = arg;
	return node;
}

/*
 * What becomes of different values in the casts that voxanne_peel_casts() peels
 * off, all together?
 */
VoxCastLoss
voxanne_cast_loss(Node *node)
{
	VoxCastLoss loss = VOX_CAST_KEEPS;
	Node	   *arg;

	for (; (arg = below_cast(node)) != NULL; node = arg)
		loss = Max(loss, loss_by(node, arg));
	return loss;
}

/*
 * voxanne_peel_casts(), but casts that may make one value of several stay on.
 */
Node *
voxanne_peel_keeping_casts(Node *node)
{
	return voxanne_cast_loss(node) == VOX_CAST_KEEPS ? voxanne_peel_casts(node) : node;
}

/* What is cast; NULL where the expression is no cast, or one of users' code. */
static Node *
below_cast(Node *node)
{
	if (node == NULL)
		return NULL;
	switch (nodeTag(node))
	{
		case T_RelabelType:
			return (Node *) ((RelabelType *) node)->arg;
		case T_CollateExpr:
			return (Node *) ((CollateExpr *) node)->arg;
		case T_CoerceToDomain:
			return (Node *) ((CoerceToDomain *) node)->arg;
		case T_CoerceViaIO:
			return (Node *) ((CoerceViaIO *) node)->arg;
		case T_FuncExpr:
			{
				FuncExpr   *call = (FuncExpr *) node;

				if ((call->funcformat == COERCE_EXPLICIT_CAST || call->funcformat == COERCE_IMPLICIT_CAST) &&
					call->funcid < FirstNormalObjectId && list_length(call->args) == 1 &&
					func_volatile(call->funcid) == PROVOLATILE_IMMUTABLE)
					return linitial(call->args);
				return NULL;
			}
		default:
			return NULL;
	}
}

static VoxCastLoss
loss_by(Node *cast, Node *arg)
{
	Oid			from = getBaseType(exprType(arg));
	Oid			to = getBaseType(exprType(cast));

	switch (nodeTag(cast))
	{
		case T_CoerceToDomain:
			return VOX_CAST_KEEPS;
		case T_CollateExpr:
			return get_collation_isdeterministic(((CollateExpr *) cast)->collOid) ? VOX_CAST_KEEPS : VOX_CAST_MAY_LOSE;
		case T_RelabelType:
			return loss_by_relabel(from, to);
		case T_CoerceViaIO:
			return loss_by_text(from, to);
		default:
			return loss_by_function(((FuncExpr *) cast)->funcid);
	}
}

/* A name holds 63 bytes, a number with a floating point so many digits. */
static VoxCastLoss
loss_by_function(Oid funcid)
{
	for (int i = 0; i < (int) lengthof(keeping); i++)
		if (funcid == keeping[i])
			return VOX_CAST_KEEPS;
	switch (get_func_rettype(funcid))
	{
		case NAMEOID:
		case FLOAT4OID:
		case FLOAT8OID:
			return VOX_CAST_MAY_LOSE;
		default:
			return VOX_CAST_LOSES;
	}
}

/*
 * The same bytes under another type's equality, which may be laxer: that of
 * char(n) passes over blanks at the end, that of citext over case.
 */
static VoxCastLoss
loss_by_relabel(Oid from, Oid to)
{
	return from == to || (to < FirstNormalObjectId && to != BPCHAROID) ? VOX_CAST_KEEPS : VOX_CAST_MAY_LOSE;
}

/*
 * A value's text read as another type.  These types read the same value from two
 * texts only where it is spelled in two ways; others take a part, as "char" does
 * and date of a time.
 */
static VoxCastLoss
loss_by_text(Oid from, Oid to)
{
	char		category;
	bool		preferred;

	switch (to)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case UUIDOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case OIDOID:
			return VOX_CAST_KEEPS;
		case NAMEOID:
			get_type_category_preferred(from, &category, &preferred);
			return category != TYPCATEGORY_STRING ? VOX_CAST_KEEPS : VOX_CAST_MAY_LOSE;
		default:
			return type_is_enum(to) ? VOX_CAST_KEEPS : VOX_CAST_LOSES;
	}
}
