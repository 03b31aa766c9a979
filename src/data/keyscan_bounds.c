/*
 * src/data/keyscan_bounds.c
 *		Bounds of numbers and times, read out of conditions.
 *
 * A row within the bounds keeps the condition; one beyond them may keep it all
 * the same.  Integers, dates and timestamps compare as the integers that they
 * are stored as.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "data/keyscan_rows.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/* Two values that are compared. */
typedef struct Operand
{
	Oid			type;
	AttrNumber	attnum;			/* 0: a constant */
	int64		value;
} Operand;

typedef struct Bounds
{
	VoxBound   *bounds;
	int			count;
} Bounds;

static bool find(Bounds *found, Node *node);
static bool find_comparison(Bounds *found, const OpExpr *expr);
static bool find_finite(Bounds *found, const FuncExpr *expr);
static bool read_operand(Node *node, Operand *operand);
static bool add_range(Bounds *found, const Operand *column, int64 lowest, int64 highest);
static VoxBound *add(Bounds *found, const Operand *column);
static int	width(Oid type);
static int	compared_strategy(const OpExpr *expr, const Operand *left, const Operand *right);

/* A value that is stored as an integer of so many bytes. */
static inline int64
value_of(Datum value, int bytes)
{
	return bytes == 8 ? DatumGetInt64(value) : bytes == 4 ? DatumGetInt32(value) : DatumGetInt16(value);
}

/*
 * Bounds, VOX_MAX_BOUNDS at most, within all of which a row keeps the condition;
 * returns their number, 0 if none can be told.
 */
int
voxanne_bounds_find(Node *condition, VoxBound *bounds)
{
	Bounds		found = {bounds, 0};

	return find(&found, condition) ? found.count : 0;
}

/* Append bounds within which the condition is true; false if there are none, with some appended perhaps. */
static bool
find(Bounds *found, Node *node)
{
	ListCell   *lc;
	int			before = found->count;

	if (IsA(node, OpExpr))
		return find_comparison(found, (OpExpr *) node);
	if (IsA(node, FuncExpr))
		return find_finite(found, (FuncExpr *) node);
	if (is_andclause(node))
	{
		foreach(lc, ((BoolExpr *) node)->args)
			if (!find(found, lfirst(lc)))
			return false;
		return true;
	}
	if (is_orclause(node))
	{
		/* one that is true is enough, whatever the others are */
		foreach(lc, ((BoolExpr *) node)->args)
		{
			if (find(found, lfirst(lc)))
				return true;
			found->count = before;
		}
	}
	return false;
}

/* A column compared with a constant or another column. */
static bool
find_comparison(Bounds *found, const OpExpr *expr)
{
	Operand		left;
	Operand		right;
	Operand		swap;
	int			strategy;
	VoxBound   *bound;

	if (list_length(expr->args) != 2 || !read_operand(linitial(expr->args), &left) ||
		!read_operand(lsecond(expr->args), &right))
		return false;
	strategy = compared_strategy(expr, &left, &right);
	if (strategy == BTGreaterStrategyNumber || strategy == BTGreaterEqualStrategyNumber)
	{
		swap = left;
		left = right;
		right = swap;
		strategy = BTMaxStrategyNumber + 1 - strategy;
	}
	if (strategy == InvalidStrategy || (left.attnum == 0 && right.attnum == 0))
		return false;

	/* a constant on the left bounds the column from below */
	if (left.attnum == 0 && strategy == BTLessStrategyNumber)
		return left.value < PG_INT64_MAX && add_range(found, &right, left.value + 1, PG_INT64_MAX);
	if (left.attnum == 0 && strategy == BTLessEqualStrategyNumber)
		return add_range(found, &right, left.value, PG_INT64_MAX);
	if (right.attnum == 0 && strategy == BTLessStrategyNumber)
		return right.value > PG_INT64_MIN && add_range(found, &left, PG_INT64_MIN, right.value - 1);
	if (right.attnum == 0 && strategy == BTLessEqualStrategyNumber)
		return add_range(found, &left, PG_INT64_MIN, right.value);
	if (left.attnum == 0 || right.attnum == 0 || strategy == BTEqualStrategyNumber)
		return false;
	bound = add(found, &left);
	if (bound == NULL)
		return false;
	bound->other = right.attnum;
	bound->other_width = width(right.type);
	bound->strictly = strategy == BTLessStrategyNumber;
	return true;
}

/*
 * By which rule of order an operator compares integers or times of one type;
 * InvalidStrategy if it does not.
 */
static int
compared_strategy(const OpExpr *expr, const Operand *left, const Operand *right)
{
	bool		times = left->type == DATEOID || left->type == TIMESTAMPOID || left->type == TIMESTAMPTZOID;

	if (left->type != right->type && (times || width(right->type) == 0 || right->type == DATEOID ||
									  right->type == TIMESTAMPOID || right->type == TIMESTAMPTZOID))
		return InvalidStrategy;
	return get_op_opfamily_strategy(expr->opno, lookup_type_cache(left->type, TYPECACHE_BTREE_OPFAMILY)->btree_opf);
}

/* isfinite() of a column. */
static bool
find_finite(Bounds *found, const FuncExpr *expr)
{
	Operand		column;

	if ((expr->funcid != F_ISFINITE_DATE && expr->funcid != F_ISFINITE_TIMESTAMP &&
		 expr->funcid != F_ISFINITE_TIMESTAMPTZ) || !read_operand(linitial(expr->args), &column) || column.attnum == 0)
		return false;
	return width(column.type) == 4 ? add_range(found, &column, (int64) PG_INT32_MIN + 1, (int64) PG_INT32_MAX - 1) :
		add_range(found, &column, PG_INT64_MIN + 1, PG_INT64_MAX - 1);
}

/* Is it a column or a constant of a type that is stored as an integer? */
static bool
read_operand(Node *node, Operand *operand)
{
	memset(operand, 0, sizeof(*operand));
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	operand->type = getBaseType(exprType(node));
	if (width(operand->type) == 0)
		return false;
	if (IsA(node, Var))
	{
		operand->attnum = ((Var *) node)->varattno;
		return operand->attnum > 0;
	}
	if (!IsA(node, Const) || ((Const *) node)->constisnull)
		return false;
	operand->value = value_of(((Const *) node)->constvalue, width(operand->type));
	return true;
}

/* Bytes of a type that is stored as an integer and compares as one; 0 for any other. */
static int
width(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return 2;
		case INT4OID:
		case DATEOID:
			return 4;
		case INT8OID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return 8;
		default:
			return 0;
	}
}

static bool
add_range(Bounds *found, const Operand *column, int64 lowest, int64 highest)
{
	VoxBound   *bound = add(found, column);

	if (bound == NULL)
		return false;
	bound->lowest = lowest;
	bound->highest = highest;
	return true;
}

static VoxBound *
add(Bounds *found, const Operand *column)
{
	VoxBound   *bound;

	if (found->count == VOX_MAX_BOUNDS)
		return NULL;
	bound = &found->bounds[found->count++];
	memset(bound, 0, sizeof(*bound));
	bound->attnum = column->attnum;
	bound->width = width(column->type);
	return bound;
}

/*
 * Is any row of a column beyond its range?  Rows with a null may be taken for such.
 * Inlined, for each width.
 */
static pg_attribute_always_inline bool
any_beyond(const VoxBound *bound, const RowBatch *rows, int bytes)
{
	const Datum *values = batch_values(rows, bound->attnum);
	uint64		lowest = (uint64) bound->lowest;
	uint64		span = (uint64) bound->highest - lowest;
	bool		any = false;

	for (int r = 0; r < rows->count; r++)
		any |= (uint64) value_of(values[r], bytes) - lowest > span;
	return any;
}

/* Mark the rows of a column beyond its range. */
static bool
mark_beyond(const VoxBound *bound, const RowBatch *rows, bool *beyond)
{
	const Datum *values = batch_values(rows, bound->attnum);
	bool		any = false;

	for (int r = 0; r < rows->count; r++)
	{
		int64		value = value_of(values[r], bound->width);

		any |= beyond[r] |= value < bound->lowest || value > bound->highest;
	}
	return any;
}

/* Mark the rows of which one column exceeds the other. */
static bool
mark_exceeding(const VoxBound *bound, const RowBatch *rows, bool *beyond)
{
	const Datum *values = batch_values(rows, bound->attnum);
	const Datum *others = batch_values(rows, bound->other);
	bool		any = false;

	for (int r = 0; r < rows->count; r++)
	{
		int64		value = value_of(values[r], bound->width);
		int64		other = value_of(others[r], bound->other_width);

		any |= beyond[r] |= value > other || (bound->strictly && value == other);
	}
	return any;
}

/*
 * Mark the rows that are beyond a bound; false if there are none.  Rows with a
 * null may be marked or not.
 */
bool
voxanne_bound_mark(const VoxBound *bound, const RowBatch *rows, bool *beyond)
{
	if (bound->other != 0)
		return mark_exceeding(bound, rows, beyond);
	if (bound->lowest > bound->highest)
		return mark_beyond(bound, rows, beyond);
	return (bound->width == 8 ? any_beyond(bound, rows, 8) : any_beyond(bound, rows, bound->width)) &&
		mark_beyond(bound, rows, beyond);
}
