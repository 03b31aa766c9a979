/*
 * src/core/typecode.c
 *		The functions by which values of a type are compared and hashed.
 *
 * No operator of a query names them all: grouping hashes as well as compares,
 * and an array, range or row is compared by what it contains.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/typecode.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/*
 * Visit the default comparison and hash functions of a type and of the types
 * that it contains; true as soon as "visit" returns true.
 */
bool
voxanne_visit_type_functions(Oid type, VoxFunctionVisitor visit, void *context)
{
	TypeCacheEntry *entry;
	Oid			inner;

	check_stack_depth();
	type = getBaseType(type);
	entry = lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_CMP_PROC | TYPECACHE_HASH_PROC |
							  TYPECACHE_HASH_EXTENDED_PROC | TYPECACHE_TUPDESC);
	if ((OidIsValid(entry->eq_opr) && visit(get_opcode(entry->eq_opr), context)) ||
		(OidIsValid(entry->cmp_proc) && visit(entry->cmp_proc, context)) ||
		(OidIsValid(entry->hash_proc) && visit(entry->hash_proc, context)) ||
		(OidIsValid(entry->hash_extended_proc) && visit(entry->hash_extended_proc, context)))
		return true;

	inner = get_base_element_type(type);
	if (!OidIsValid(inner))
		inner = type_is_range(type) ? get_range_subtype(type) :
			type_is_multirange(type) ? get_multirange_range(type) : InvalidOid;
	if (OidIsValid(inner) && voxanne_visit_type_functions(inner, visit, context))
		return true;
	for (int i = 0; entry->tupDesc != NULL && i < entry->tupDesc->natts; i++)
		if (!TupleDescAttr(entry->tupDesc, i)->attisdropped &&
			voxanne_visit_type_functions(TupleDescAttr(entry->tupDesc, i)->atttypid, visit, context))
			return true;
	return false;
}
