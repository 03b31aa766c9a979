/*
 * src/data/reference.c
 *		Declared foreign keys.
 *
 * The catalogs are read with the catalog snapshot, which is always current, so
 * that a constraint dropped before the tables were locked is not asked about.
 * A partitioned table's key has copies for its partitions, on both sides; only
 * the original is listed, or for a partition that is named the copy.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/distributed.h"
#include "data/reference.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static int	compare_references(const ListCell *a, const ListCell *b);
static int	compare_names(const char *left, const char *right);
static List *collect_constraints(Oid child, Oid parent, List *schemas);
static bool is_copy(Form_pg_constraint constraint, Oid child, Oid parent);
static VoxReference *make_reference(HeapTuple tuple);
static VoxReferenceSource classify(Form_pg_constraint constraint);
static bool triggers_disabled(Oid constraint);

static const char *const source_names[VOX_REFERENCE_SOURCES] = {
	[VOX_REFERENCE_DECLARED] = "declared",
	[VOX_REFERENCE_NOT_VALID] = "not_valid",
	[VOX_REFERENCE_NOT_ENFORCED] = "not_enforced",
	[VOX_REFERENCE_TRIGGERS_DISABLED] = "triggers_disabled",
	[VOX_REFERENCE_INFERRED] = "inferred",
};

const char *
voxanne_reference_source(VoxReferenceSource source)
{
	return source_names[source];
}

/* Are some of the rows on either side on other servers? */
bool
voxanne_has_foreign_rows(const VoxReference *reference)
{
	return voxanne_is_remote(reference->child) || voxanne_is_remote(reference->parent);
}

/* Does a distributed engine keep the rows of one side? */
bool
voxanne_has_distributed_rows(const VoxReference *reference)
{
	VoxDistribution distribution;

	return voxanne_distribution(reference->child, &distribution) ||
		voxanne_distribution(reference->parent, &distribution);
}

/* Column numbers of one side, as an integer list. */
List *
voxanne_reference_columns(const VoxReference *reference, bool of_parent)
{
	List	   *columns = NIL;

	for (int i = 0; i < reference->natts; i++)
		columns = lappend_int(columns, of_parent ? reference->parent_atts[i] : reference->child_atts[i]);
	return columns;
}

/*
 * The foreign keys (VoxReference *) of a table, or with InvalidOid of all
 * tables in the schemas; by table and name.
 */
List *
voxanne_declared_references(Oid child, List *schemas)
{
	return collect_constraints(child, InvalidOid, schemas);
}

/*
 * The foreign keys of any table that reference this one.
 */
List *
voxanne_references_to(Oid parent)
{
	return collect_constraints(InvalidOid, parent, NIL);
}

/* By name, so that locks are taken and remedies written in the same order every time. */
static int
compare_references(const ListCell *a, const ListCell *b)
{
	const VoxReference *left = lfirst(a);
	const VoxReference *right = lfirst(b);
	int			cmp = compare_names(voxanne_relation_name(left->child), voxanne_relation_name(right->child));

	if (cmp == 0)
		cmp = compare_names(get_constraint_name(left->constraint), get_constraint_name(right->constraint));
	return cmp;
}

/* Byte order; what has been dropped meanwhile has no name. */
static int
compare_names(const char *left, const char *right)
{
	return strcmp(left == NULL ? "" : left, right == NULL ? "" : right);
}

static List *
collect_constraints(Oid child, Oid parent, List *schemas)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	List	   *references = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(child));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, OidIsValid(child), NULL,
							  OidIsValid(child) ? 1 : 0, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);

		if (constraint->contype != CONSTRAINT_FOREIGN ||
			is_copy(constraint, child, parent) ||
			(OidIsValid(parent) && constraint->confrelid != parent) ||
			(!OidIsValid(child) && !OidIsValid(parent) &&
			 !list_member_oid(schemas, get_rel_namespace(constraint->conrelid))))
			continue;
		references = lappend(references, make_reference(tuple));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	list_sort(references, compare_references);
	return references;
}

/*
 * Is this a partition's copy of a key that is listed, or not asked about,
 * anyway?  Not if the partition itself was named.
 */
static bool
is_copy(Form_pg_constraint constraint, Oid child, Oid parent)
{
	HeapTuple	tuple;
	bool		same_side = true;

	if (!OidIsValid(constraint->conparentid))
		return false;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint->conparentid));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_constraint original = (Form_pg_constraint) GETSTRUCT(tuple);

		same_side = !((OidIsValid(child) && original->conrelid != child) ||
					  (OidIsValid(parent) && original->confrelid != parent));
		ReleaseSysCache(tuple);
	}
	return same_side;
}

static VoxReference *
make_reference(HeapTuple tuple)
{
	Form_pg_constraint constraint = (Form_pg_constraint) GETSTRUCT(tuple);
	VoxReference *reference = palloc0_object(VoxReference);
	Oid			pp_operators[INDEX_MAX_KEYS];
	Oid			ff_operators[INDEX_MAX_KEYS];
	AttrNumber	set_columns[INDEX_MAX_KEYS];
	int			nset;

	reference->source = classify(constraint);
	reference->constraint = constraint->oid;
	reference->child = constraint->conrelid;
	reference->parent = constraint->confrelid;
	reference->match_full = constraint->confmatchtype == FKCONSTR_MATCH_FULL;
	reference->on_delete = constraint->confdeltype;
	reference->comparison = VOX_COMPARE_OPERATOR;
	if (voxanne_constraint_has_period(constraint))
		reference->refusal = "The reference is temporal (PERIOD), which is not checked.";
	DeconstructFkConstraintRow(tuple, &reference->natts, reference->child_atts, reference->parent_atts,
							   reference->operators, pp_operators, ff_operators, &nset, set_columns);
	return reference;
}

static VoxReferenceSource
classify(Form_pg_constraint constraint)
{
	if (!voxanne_constraint_enforced(constraint))
		return VOX_REFERENCE_NOT_ENFORCED;
	if (!constraint->convalidated)
		return VOX_REFERENCE_NOT_VALID;
	if (triggers_disabled(constraint->oid))
		return VOX_REFERENCE_TRIGGERS_DISABLED;
	return VOX_REFERENCE_DECLARED;
}

/* Is a trigger of the constraint, or of a partition's copy of it, switched off for ordinary sessions? */
static bool
triggers_disabled(Oid constraint)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	bool		disabled = false;
	List	   *copies = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	ListCell   *lc;

	ScanKeyInit(&key, Anum_pg_trigger_tgconstraint, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(constraint));
	scan = systable_beginscan(catalog, TriggerConstraintIndexId, true, NULL, 1, &key);
	while (!disabled && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		char		enabled = ((Form_pg_trigger) GETSTRUCT(tuple))->tgenabled;

		disabled = enabled == TRIGGER_DISABLED || enabled == TRIGGER_FIRES_ON_REPLICA;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (disabled)
		return true;

	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_constraint_conparentid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(constraint));
	scan = systable_beginscan(catalog, ConstraintParentIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		copies = lappend_oid(copies, ((Form_pg_constraint) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	foreach(lc, copies)
	{
		if (triggers_disabled(lfirst_oid(lc)))
			return true;
	}
	return false;
}
