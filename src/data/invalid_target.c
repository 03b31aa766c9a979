/*
 * src/data/invalid_target.c
 *		The tables that find_invalid_data() looks at, and what it asks about each.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/invalid.h"
#include "data/run.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static int	compare_pages(const ListCell *a, const ListCell *b);
static VoxInvalidTarget *make_target(Oid relid, char relkind, bool named);

/*
 * The table, or all tables of the schemas that do not belong to an extension;
 * locked, or with the reason why not.  Without those of which nothing is asked.
 */
List *
voxanne_invalid_targets(Oid relid, List *schemas)
{
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *targets = NIL;
	List	   *classes = NIL;
	ListCell   *lc;

	if (OidIsValid(relid))
	{
		VoxInvalidTarget *target = make_target(relid, get_rel_relkind(relid), true);

		return target == NULL ? NIL : list_make1(target);
	}

	catalog = table_open(RelationRelationId, AccessShareLock);
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (list_member_oid(schemas, form->relnamespace) &&
			(form->relkind == RELKIND_RELATION || form->relkind == RELKIND_PARTITIONED_TABLE ||
			 form->relkind == RELKIND_FOREIGN_TABLE))
			classes = lappend_oid(classes, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	foreach(lc, classes)
	{
		VoxInvalidTarget *target = OidIsValid(getExtensionOfObject(RelationRelationId, lfirst_oid(lc))) ? NULL :
			make_target(lfirst_oid(lc), get_rel_relkind(lfirst_oid(lc)), false);

		if (target != NULL)
			targets = lappend(targets, target);
	}
	list_sort(targets, compare_pages);
	return targets;
}

/* Smallest first, so that most tables are done when time runs out. */
static int
compare_pages(const ListCell *a, const ListCell *b)
{
	const VoxInvalidTarget *left = lfirst(a);
	const VoxInvalidTarget *right = lfirst(b);

	return left->pages < right->pages ? -1 : left->pages > right->pages;
}

/*
 * A table with its rules, locked; NULL if there is nothing to ask.  A partition
 * that was not named is asked only about constraints that its parent has not.
 */
static VoxInvalidTarget *
make_target(Oid relid, char relkind, bool named)
{
	VoxInvalidTarget *target = palloc0_object(VoxInvalidTarget);
	bool		partition_only = !named && get_rel_relispartition(relid);
	Relation	rel;

	target->relid = relid;
	switch (voxanne_try_lock(relid, AccessShareLock))
	{
		case VOX_LOCK_GONE:
			return NULL;
		case VOX_LOCK_BUSY:
			target->refusal = psprintf("Another session holds or awaits an exclusive lock on %s.",
									   voxanne_run_object(relid));
			return partition_only ? NULL : target;
		case VOX_LOCKED:
			break;
	}
	rel = relation_open(relid, NoLock);
	target->pages = (BlockNumber) rel->rd_rel->relpages;
	if (!partition_only)
	{
		target->rules = voxanne_invalid_rules(rel);
		target->labels = voxanne_invalid_label_columns(rel);
	}
	target->constraints = voxanne_invalid_constraints(rel, partition_only);
	relation_close(rel, NoLock);

	if (target->rules == NIL && target->labels == NIL && target->constraints == NIL)
		return NULL;
	target->refusal = relkind == RELKIND_FOREIGN_TABLE ? "The rows are in a foreign table." :
		voxanne_lock_to_read(relid);
	return target;
}
