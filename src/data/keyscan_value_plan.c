/*
 * src/data/keyscan_value_plan.c
 *		References by keys whose equality is not equality of bits: which can be compared by value, and how.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "data/keyscan_rows.h"
#include "parser/parse_coerce.h"
#include "utils/lsyscache.h"

static const char *plan_column(const VoxScanQuestion *question, int i, ValuePlan *parent, ValuePlan *child);
static const char *plan_cast(Oid from, Oid to, Oid *cast);
static bool is_callable(Oid function);

/*
 * Can a reference be compared by value?  Returns why not, a sentence, or NULL and the
 * functions that either side calls.
 */
const char *
voxanne_value_plan(const VoxScanQuestion *question, ValuePlan *parent, ValuePlan *child)
{
	const char *reason = NULL;

	memset(parent, 0, sizeof(*parent));
	memset(child, 0, sizeof(*child));
	for (int i = 0; i < question->key.ncols && reason == NULL; i++)
		reason = plan_column(question, i, parent, child);
	return reason;
}

static const char *
plan_column(const VoxScanQuestion *question, int i, ValuePlan *parent, ValuePlan *child)
{
	Oid			operator = question->operators[i];
	Oid			parent_type = getBaseType(get_atttype(question->parent.relid, question->parent.cols[i].attnum));
	Oid			child_type = getBaseType(get_atttype(question->key.relid, question->key.cols[i].attnum));
	Oid			left;
	Oid			right;
	int32		typmod;
	const char *reason;

	if (question->key.cols[i].form != VOX_FORM_VALUE || question->parent.cols[i].form != VOX_FORM_VALUE)
		return "The key is text that is compared as a uuid, and too wide for the scan.";
	if (!op_hashjoinable(operator, parent_type) || !op_hashjoinable(operator, child_type) ||
		!get_op_hash_functions(operator, &parent->hash[i], &child->hash[i]))
		return "No hash function goes with the equality of a key column.";
	op_input_types(operator, &left, &right);
	reason = plan_cast(parent_type, left, &parent->cast[i]);
	if (reason == NULL)
		reason = plan_cast(child_type, right, &child->cast[i]);
	if (reason == NULL && (OidIsValid(parent->cast[i]) ||
						   ((IsPolymorphicType(left) || left == RECORDOID) && parent_type != child_type)))
		reason = "The scan does not compare columns of these two types.";
	if (reason == NULL)
		reason = voxanne_key_unhashable(parent_type);
	if (reason == NULL)
		reason = voxanne_key_unhashable(child_type);
	child->equal[i] = get_opcode(operator);
	if (reason == NULL && !(is_callable(child->equal[i]) && is_callable(parent->hash[i]) &&
							is_callable(child->hash[i]) && is_callable(child->cast[i])))
		reason = "A key column's type is compared, hashed or cast by a function that the scan does not call.";
	get_atttypetypmodcoll(question->parent.relid, question->parent.cols[i].attnum,
						  &parent_type, &typmod, &parent->collation[i]);
	child->collation[i] = parent->collation[i];
	return reason;
}

/* The function that casts a value to what an operator takes, if one is needed; else why there is none. */
static const char *
plan_cast(Oid from, Oid to, Oid *cast)
{
	*cast = InvalidOid;
	if (from == to || IsPolymorphicType(to) || to == RECORDOID)
		return NULL;
	switch (find_coercion_pathway(to, from, COERCION_IMPLICIT, cast))
	{
		case COERCION_PATH_RELABELTYPE:
			*cast = InvalidOid;
			return NULL;
		case COERCION_PATH_FUNC:
			return get_func_nargs(*cast) == 1 ? NULL : "A key column is cast by a function that the scan does not call.";
		default:
			return "A key column's values are cast in a way that the scan does not know.";
	}
}

/* Functions of ordinary users must not run as the caller, nor may others than parallel safe ones in a worker. */
static bool
is_callable(Oid function)
{
	return !OidIsValid(function) ||
		(!voxanne_is_users_function(function, NULL) && func_parallel(function) == PROPARALLEL_SAFE &&
		 func_strict(function));
}
