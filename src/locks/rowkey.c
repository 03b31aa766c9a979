/*
 * src/locks/rowkey.c
 *		The primary key of a locked row.
 *
 * Read straight from the heap with a snapshot that takes what is committed: an
 * MVCC snapshot would enter a serializable caller's conflict tracking, and an
 * old one would not see the row.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "core/privileges.h"
#include "core/relation.h"
#include "lib/stringinfo.h"
#include "locks/lockname.h"
#include "mb/pg_wchar.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Longer key values end in "..." */
#define MAX_VALUE_BYTES 60

static char *read_key(Oid relid, ItemPointer tid);
static void append_column(StringInfo text, TupleTableSlot *slot, AttrNumber attnum);

/*
 * The primary key of a row as " id=7" or " (org_id, day)=(1, 2)"; NULL without
 * a primary key, if the caller may not read it, if the relation is locked, or
 * if the row's version is not visible.  Waits for nothing; the relation is
 * unlocked again.
 */
char *
voxanne_row_key(Oid relid, ItemPointer tid)
{
	char	   *key;

	if (voxanne_try_lock(relid, AccessShareLock) != VOX_LOCKED)
		return NULL;
	key = read_key(relid, tid);
	UnlockRelationOid(relid, AccessShareLock);
	return key;
}

static char *
read_key(Oid relid, ItemPointer tid)
{
	List	   *columns;
	Relation	rel;
	TupleTableSlot *slot;
	StringInfoData text;
	ListCell   *lc;
	bool		found;

	if (get_rel_relkind(relid) != RELKIND_RELATION)
		return NULL;
	columns = voxanne_primary_key(relid);
	if (columns == NIL || voxanne_unreadable(relid, columns) != NULL)
		return NULL;

	rel = table_open(relid, NoLock);
	if (RELATION_IS_OTHER_TEMP(rel) ||
		ItemPointerGetBlockNumber(tid) >= RelationGetNumberOfBlocks(rel))
	{
		table_close(rel, NoLock);
		return NULL;
	}

	initStringInfo(&text);
	slot = table_slot_create(rel, NULL);
	found = table_tuple_fetch_row_version(rel, tid, SnapshotSelf, slot);
	if (found)
	{
		foreach(lc, columns)
		{
			append_column(&text, slot, (AttrNumber) lfirst_int(lc));
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return found ? text.data : NULL;
}

/* Append " name=value". */
static void
append_column(StringInfo text, TupleTableSlot *slot, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, attnum - 1);
	bool		isnull;
	Datum		value = slot_getattr(slot, attnum, &isnull);
	Oid			output;
	bool		is_varlena;
	char	   *shown;
	int			length;

	getTypeOutputInfo(att->atttypid, &output, &is_varlena);
	shown = isnull ? pstrdup("null") : OidOutputFunctionCall(output, value);
	length = (int) strlen(shown);
	appendStringInfo(text, " %s=", quote_identifier(NameStr(att->attname)));
	if (length > MAX_VALUE_BYTES)
	{
		appendBinaryStringInfo(text, shown, pg_mbcliplen(shown, length, MAX_VALUE_BYTES));
		appendStringInfoString(text, "...");
	}
	else
		appendStringInfoString(text, shown);
}
