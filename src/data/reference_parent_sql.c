/*
 * src/data/reference_parent_sql.c
 *		Questions about the parents that references lead to, answered by SQL.
 *
 * Which of them make sense is decided here, from the columns of the two
 * tables.  A parent that belongs to several tenants at once (a user with a
 * role in each of them) is nobody's in particular: its own tenant column says
 * no more than where it came from.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "data/reference_parent.h"
#include "data/table.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static bool pair_tenants(const VoxReference *reference, VoxReference *tenants);
static bool has_members(const VoxReference *reference);
static bool makes_members(const VoxReference *reference);
static char *status_active(Oid relid, const char *alias);
static char *parent_exists(const VoxReference *reference, const char *alias, const char *condition);

/*
 * The condition that a row of the child, without counting the others, has a
 * fault; NULL where the tables do not allow the question.  A soft-deleted
 * child's parent may be soft-deleted; "live_only" passes over soft-deleted
 * children for the other faults as well.
 */
char *
voxanne_parent_condition(const VoxReference *reference, VoxParentFault fault,
						 bool live_only, const char *alias)
{
	VoxTable	child;
	VoxTable	parent;
	VoxReference tenants;

	voxanne_table_describe(&child, reference->child);
	voxanne_table_describe(&parent, reference->parent);
	if (fault == VOX_PARENT_DELETED)
	{
		if (parent.soft_delete == NIL)
			return NULL;
		return psprintf("%s AND %s AND %s", voxanne_table_live(&child, alias), status_active(child.relid, alias),
						parent_exists(reference, alias, psprintf("NOT (%s)", voxanne_table_live(&parent, "p"))));
	}
	if (!pair_tenants(reference, &tenants))
		return NULL;
	return psprintf("%s AND %s", live_only ? voxanne_table_live(&child, alias) : "true",
					parent_exists(reference, alias, psprintf("NOT (%s)", voxanne_reference_join(&tenants, "p", alias))));
}

/*
 * The columns that such a question reads of one side besides those of the
 * reference and, of the child, those of its rows' ids.
 */
List *
voxanne_parent_columns(const VoxReference *reference, VoxParentFault fault, bool of_parent)
{
	Oid			relid = of_parent ? reference->parent : reference->child;
	List	   *columns = voxanne_reference_columns(reference, of_parent);
	VoxTable	parent;
	AttrNumber	status = voxanne_find_column(relid, "status");

	if (fault == VOX_PARENT_OTHER_TENANT)
		return lappend_int(columns, voxanne_tenant_column(relid));
	voxanne_table_describe(&parent, reference->parent);
	if (of_parent)
		return list_concat(columns, voxanne_table_soft_columns(&parent));
	return status == InvalidAttrNumber ? columns : lappend_int(columns, status);
}

/*
 * Count the rows with a fault; 0 where the tables do not allow the question.
 * "found" is the scan engine's answer, or NULL.  The tables are locked,
 * settings pinned, a snapshot active.
 */
int64
voxanne_parent_ask(const VoxReference *reference, VoxParentFault fault, bool live_only,
				   const VoxScanQuestion *found)
{
	char	   *condition = voxanne_parent_condition(reference, fault, live_only, "c");
	int64		count;

	if (condition == NULL || (found != NULL && found->nrows == 0))
		return 0;
	SPI_connect();
	count = voxanne_reference_count(reference, found, condition);
	SPI_finish();
	return count;
}

/*
 * The first rows with a fault, as voxanne_reference_sample() has them,
 * with the two tenants where those differ.
 */
Jsonb *
voxanne_parent_sample(const VoxReference *reference, VoxParentFault fault,
					  bool live_only, const VoxScanQuestion *found, int max_rows)
{
	char	   *condition = voxanne_parent_condition(reference, fault, live_only, "c");
	VoxReference tenants;
	VoxTable	parent;
	const char *name;
	const char *more = "";
	List	   *read = NIL;

	if (fault == VOX_PARENT_OTHER_TENANT && pair_tenants(reference, &tenants))
	{
		voxanne_table_describe(&parent, reference->parent);
		name = get_attname(tenants.parent, tenants.parent_atts[0], false);
		read = list_make1_int(tenants.child_atts[0]);
		more = psprintf(", %s, %s, %s, (SELECT %s FROM %s AS p WHERE %s LIMIT 1)",
						quote_literal_cstr(name),
						voxanne_json_value(voxanne_column_type(tenants.child, tenants.child_atts[0]),
										   voxanne_column_ref(tenants.child, "c", tenants.child_atts[0])),
						quote_literal_cstr(psprintf("%s of %s", name, voxanne_relation_name(reference->parent))),
						voxanne_json_value(voxanne_column_type(tenants.parent, tenants.parent_atts[0]),
										   voxanne_column_ref(tenants.parent, "p", tenants.parent_atts[0])),
						parent.from, voxanne_reference_join(reference, "p", "c"));
	}
	return voxanne_reference_sample_where(reference, found, condition, more, read, max_rows);
}

/*
 * The reference with the tenant column in front, as a foreign key that would
 * keep tenants apart has it; false where no foreign key can.
 */
bool
voxanne_tenant_key(const VoxReference *reference, VoxReference *key)
{
	VoxReference tenants;

	if (reference->comparison != VOX_COMPARE_OPERATOR || reference->natts >= INDEX_MAX_KEYS ||
		!pair_tenants(reference, &tenants) || tenants.comparison != VOX_COMPARE_OPERATOR)
		return false;
	*key = *reference;
	key->match_full = false;
	key->natts = reference->natts + 1;
	key->child_atts[0] = tenants.child_atts[0];
	key->parent_atts[0] = tenants.parent_atts[0];
	key->operators[0] = tenants.operators[0];
	for (int i = 0; i < reference->natts; i++)
	{
		key->child_atts[i + 1] = reference->child_atts[i];
		key->parent_atts[i + 1] = reference->parent_atts[i];
		key->operators[i + 1] = reference->operators[i];
	}
	return true;
}

/*
 * The tenant columns of the two tables, to be compared as if they were a
 * reference.  False if they need not be or cannot be equal: columns of
 * different names may mean different things.
 */
static bool
pair_tenants(const VoxReference *reference, VoxReference *tenants)
{
	AttrNumber	child_tenant = voxanne_tenant_column(reference->child);
	AttrNumber	parent_tenant = voxanne_tenant_column(reference->parent);

	if (child_tenant == InvalidAttrNumber || parent_tenant == InvalidAttrNumber ||
		list_member_int(voxanne_reference_columns(reference, false), child_tenant) ||
		list_member_int(voxanne_reference_columns(reference, true), parent_tenant) ||
		strcmp(get_attname(reference->child, child_tenant, false),
			   get_attname(reference->parent, parent_tenant, false)) != 0 ||
		has_members(reference))
		return false;

	memset(tenants, 0, sizeof(*tenants));
	tenants->source = VOX_REFERENCE_INFERRED;
	tenants->child = reference->child;
	tenants->parent = reference->parent;
	tenants->natts = 1;
	tenants->child_atts[0] = child_tenant;
	tenants->parent_atts[0] = parent_tenant;
	return voxanne_reference_compare(tenants, InvalidOid);
}

/* Can a row of the parent belong to several tenants, because a table says so? */
static bool
has_members(const VoxReference *reference)
{
	ListCell   *lc;

	if (makes_members(reference))
		return true;
	foreach(lc, voxanne_references_to(reference->parent))
	{
		if (makes_members(lfirst(lc)))
			return true;
	}
	return false;
}

/* Is the child's key a tenant and a parent, or these two and a role? */
static bool
makes_members(const VoxReference *reference)
{
	AttrNumber	tenant = voxanne_tenant_column(reference->child);
	AttrNumber	role = voxanne_find_column(reference->child, "role");
	List	   *columns = voxanne_reference_columns(reference, false);

	if (tenant == InvalidAttrNumber || list_member_int(columns, tenant) ||
		voxanne_lock_to_read(reference->child) != NULL)
		return false;
	columns = lappend_int(columns, tenant);
	return voxanne_has_unique_key(reference->child, columns) ||
		(role != InvalidAttrNumber && voxanne_has_unique_key(reference->child, lappend_int(columns, role)));
}

/* The condition that a row's status, if its table has one, does not make it void. */
static char *
status_active(Oid relid, const char *alias)
{
	AttrNumber	status = voxanne_find_column(relid, "status");
	Oid			type = status == InvalidAttrNumber ? InvalidOid : getBaseType(voxanne_column_type(relid, status));

	if (OidIsValid(type) && TypeCategory(type) != TYPCATEGORY_STRING && get_typtype(type) != TYPTYPE_ENUM)
		status = InvalidAttrNumber;
	return voxanne_status_active(relid, alias, status);
}

/* The condition that a row has a parent for which a condition on p holds. */
static char *
parent_exists(const VoxReference *reference, const char *alias, const char *condition)
{
	VoxTable	parent;

	voxanne_table_describe(&parent, reference->parent);
	return psprintf("EXISTS (SELECT FROM %s AS p WHERE %s AND %s)", parent.from,
					voxanne_reference_join(reference, "p", alias), condition);
}
