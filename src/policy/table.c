/*
 * src/policy/table.c
 *		The tables under audit: which they are, their policies and grants.
 *
 * Policies are read from pg_policy rather than from the relation cache, which
 * has them only while row security is on.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "audit.h"
#include "catalog/indexing.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/relation.h"
#include "executor/spi.h"
#include "expression.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static List *read_policies(Relation rel);
static VoxPolicy *read_policy(HeapTuple tuple, TupleDesc desc);
static Node *read_tree(HeapTuple tuple, TupleDesc desc, AttrNumber attnum);
static AclMode granted_privileges(Relation rel, Oid role);

/*
 * Oids of the relations of these kinds (as in pg_class, a string) in these
 * schemas (name[]) that no extension owns, by name.  SPI is connected inside.
 */
List *
voxanne_audit_list(ArrayType *schemas, const char *relkinds)
{
	const char *query =
		"SELECT c.oid FROM pg_catalog.pg_class c"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE n.nspname = ANY ($1) AND pg_catalog.strpos($2, c.relkind::text) > 0"
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
		"  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid"
		"  AND d.objsubid = 0 AND d.deptype = 'e')"
		" ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";
	Oid			argtypes[] = {NAMEARRAYOID, TEXTOID};
	Datum		args[2];
	MemoryContext context = CurrentMemoryContext;
	List	   *tables = NIL;

	args[0] = PointerGetDatum(schemas);
	args[1] = CStringGetTextDatum(relkinds);
	SPI_connect();
	if (SPI_execute_with_args(query, 2, argtypes, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list relations");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		oid = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(context);

		tables = lappend_oid(tables, DatumGetObjectId(oid));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return tables;
}

/*
 * Read what the checks need to know of a table that the caller has opened and
 * locked.  Everything lives in the current memory context.
 */
void
voxanne_audit_open_table(VoxAudit *audit, Relation rel, VoxTable *table)
{
	table->rel = rel;
	table->name = voxanne_relation_name(RelationGetRelid(rel));
	table->tenant = voxanne_find_column(RelationGetRelid(rel), audit->tenant_column);
	table->policies = read_policies(rel);
	table->granted = palloc_array(AclMode, audit->role_count);
	for (int i = 0; i < audit->role_count; i++)
		table->granted[i] = granted_privileges(rel, audit->roles[i].oid);
}

static List *
read_policies(Relation rel)
{
	Relation	catalog = table_open(PolicyRelationId, AccessShareLock);
	List	   *policies = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_policy_polrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	scan = systable_beginscan(catalog, PolicyPolrelidPolnameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		policies = lappend(policies, read_policy(tuple, RelationGetDescr(catalog)));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return policies;
}

static VoxPolicy *
read_policy(HeapTuple tuple, TupleDesc desc)
{
	Form_pg_policy form = (Form_pg_policy) GETSTRUCT(tuple);
	VoxPolicy  *policy = palloc0_object(VoxPolicy);
	bool		isnull;
	Datum		roles = heap_getattr(tuple, Anum_pg_policy_polroles, desc, &isnull);
	Datum	   *oids;
	int			count;

	policy->name = pstrdup(NameStr(form->polname));
	policy->command = form->polcmd;
	policy->permissive = form->polpermissive;
	deconstruct_array(DatumGetArrayTypePCopy(roles), OIDOID, sizeof(Oid), true, TYPALIGN_INT,
					  &oids, NULL, &count);
	for (int i = 0; i < count; i++)
		policy->roles = lappend_oid(policy->roles, DatumGetObjectId(oids[i]));
	policy->stored_using = read_tree(tuple, desc, Anum_pg_policy_polqual);
	policy->stored_check = read_tree(tuple, desc, Anum_pg_policy_polwithcheck);
	policy->using = voxanne_peel_subselects(policy->stored_using);
	policy->check = voxanne_peel_subselects(policy->stored_check);
	return policy;
}

static Node *
read_tree(HeapTuple tuple, TupleDesc desc, AttrNumber attnum)
{
	bool		isnull;
	Datum		tree = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(tree));
}

/* On the whole table or any of its columns; none if the schema is closed to the role. */
static AclMode
granted_privileges(Relation rel, Oid role)
{
	static const AclMode column_privileges[] = {ACL_SELECT, ACL_INSERT, ACL_UPDATE};
	Oid			relid = RelationGetRelid(rel);
	AclMode		granted;

	if (!voxanne_schema_usable(RelationGetNamespace(rel), role))
		return ACL_NO_RIGHTS;
	granted = pg_class_aclmask(relid, role, VOX_GOVERNED_PRIVILEGES | ACL_TRUNCATE, ACLMASK_ALL);
	for (int i = 0; i < (int) lengthof(column_privileges); i++)
		if (!(granted & column_privileges[i]) &&
			pg_attribute_aclcheck_all(relid, role, column_privileges[i], ACLMASK_ANY) == ACLCHECK_OK)
			granted |= column_privileges[i];
	return granted;
}

/*
 * Does the server consider the policy for this command (r a w d) of the role?
 */
bool
voxanne_policy_applies(const VoxPolicy *policy, char command, Oid role)
{
	ListCell   *lc;

	if (policy->command != '*' && policy->command != command)
		return false;
	foreach(lc, policy->roles)
		if (!OidIsValid(lfirst_oid(lc)) || has_privs_of_role(role, lfirst_oid(lc)))
		return true;
	return false;
}
