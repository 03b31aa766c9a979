/*
 * src/locks/advisory.c
 *		Labels of advisory locks, from the table advisory_lock_name.
 *
 * The table is read directly: its rows are shown to whoever may call
 * blocking_locks(), while the table itself is only its owner's.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "core/relation.h"
#include "locks/lockname.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Columns of the table. */
#define CLASSID_COLUMN 1
#define OBJID_COLUMN 2
#define LABEL_COLUMN 3

/* How well a row of the table fits a lock. */
typedef enum Fit
{
	FIT_NOT,
	FIT_CLASS,					/* the label of all locks with this first key */
	FIT_EXACT
} Fit;

static char *read_label(Oid labels, const LOCKTAG *tag);
static Fit	row_fits(HeapTuple tuple, TupleDesc desc, const LOCKTAG *tag);

/*
 * The label of an advisory lock of this database; NULL if it has none or the
 * table is locked.  "labels" is the table.
 */
char *
voxanne_advisory_label(Oid labels, const LOCKTAG *tag)
{
	char	   *label;

	if (voxanne_try_lock(labels, AccessShareLock) != VOX_LOCKED)
		return NULL;
	label = get_rel_relkind(labels) == RELKIND_RELATION ? read_label(labels, tag) : NULL;
	UnlockRelationOid(labels, AccessShareLock);
	return label;
}

static char *
read_label(Oid labels, const LOCKTAG *tag)
{
	Relation	rel = table_open(labels, NoLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, SnapshotSelf, 0, NULL);
	char	   *label = NULL;
	Fit			best = FIT_NOT;
	HeapTuple	tuple;

	while (best < FIT_EXACT && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Fit			fit = row_fits(tuple, RelationGetDescr(rel), tag);
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (fit > best)
		{
			label = TextDatumGetCString(heap_getattr(tuple, LABEL_COLUMN, RelationGetDescr(rel), &isnull));
			best = fit;
		}
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	return label;
}

static Fit
row_fits(HeapTuple tuple, TupleDesc desc, const LOCKTAG *tag)
{
	bool		no_class;
	bool		no_object;
	Datum		class = heap_getattr(tuple, CLASSID_COLUMN, desc, &no_class);
	Datum		object = heap_getattr(tuple, OBJID_COLUMN, desc, &no_object);

	if (tag->locktag_field4 == 1)
		return no_class && !no_object &&
			(uint64) DatumGetInt64(object) == (((uint64) tag->locktag_field2 << 32) | tag->locktag_field3) ?
			FIT_EXACT : FIT_NOT;
	if (no_class || DatumGetInt32(class) != (int32) tag->locktag_field2)
		return FIT_NOT;
	if (no_object)
		return FIT_CLASS;
	return DatumGetInt64(object) == (int64) (int32) tag->locktag_field3 ? FIT_EXACT : FIT_NOT;
}
