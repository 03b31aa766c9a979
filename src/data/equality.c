/*
 * src/data/equality.c
 *		What SQL needs to compare values of any type: names of types, operators.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "data/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static const char *as_enum(const char *expression, Oid *type);

/*
 * A type's name for a cast, with its schema.  Not what format_type() says:
 * "character" and "bit" would cut values to length 1.
 */
char *
voxanne_type_name(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	form = (Form_pg_type) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->typnamespace), NameStr(form->typname));
	ReleaseSysCache(tuple);
	return name;
}

/*
 * A type's default equality.  ERROR 42883 where it has none.
 */
Oid
voxanne_equality_operator(Oid type)
{
	Oid			operator = lookup_type_cache(getBaseType(type), TYPECACHE_EQ_OPR)->eq_opr;

	if (!OidIsValid(operator))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("type %s has no equality operator, so its values cannot be compared", format_type_be(type)),
				 errhint("Leave the column out of the key, or compare an expression of it in a query of your own.")));
	return operator;
}

/*
 * Append the condition that an operator holds, as generate_operator_clause() does,
 * which does not know that anyenum takes no domain.
 */
void
voxanne_operator_clause(StringInfo buf, const char *left, Oid left_type, Oid operator,
						const char *right, Oid right_type)
{
	left = as_enum(left, &left_type);
	right = as_enum(right, &right_type);
	generate_operator_clause(buf, left, left_type, operator, right, right_type);
}

/* A value of a domain over an enum as one of the enum; any other as it is. */
static const char *
as_enum(const char *expression, Oid *type)
{
	Oid			base = getBaseType(*type);

	if (base == *type || get_typtype(base) != TYPTYPE_ENUM)
		return expression;
	*type = base;
	return psprintf("%s::%s", expression, voxanne_type_name(base));
}

/* The condition that a column is equal in two aliases of its table, by its type's default equality. */
char *
voxanne_equal_columns(Oid relid, const char *left, const char *right, AttrNumber attnum)
{
	Oid			type = voxanne_column_type(relid, attnum);
	StringInfoData buf;

	initStringInfo(&buf);
	voxanne_operator_clause(&buf, voxanne_column_ref(relid, left, attnum), type,
							voxanne_equality_operator(type),
							voxanne_column_ref(relid, right, attnum), type);
	return buf.data;
}
