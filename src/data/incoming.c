/*
 * src/data/incoming.c
 *		What references a table's rows: foreign keys of other tables, and of itself.
 *
 * A row must not be deleted while something references it: with ON DELETE
 * CASCADE the referencing rows would silently go as well.  So remedies move
 * references first, through the key's own columns, whatever they are.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "data/incoming.h"
#include "data/run.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

static AttrNumber fixed_column(const VoxReference *reference);
static List *nullable_columns(const VoxIncoming *incoming, const VoxReference *reference);
static void add_references(const VoxIncoming *incoming, const VoxTable *table, List *ids, List *owners, int64 *counts);

/*
 * List the foreign keys to a table and lock their tables for reading, without
 * waiting.
 */
void
voxanne_incoming_lock(VoxIncoming *incoming, Oid relid)
{
	ListCell   *lc;

	incoming->references = voxanne_references_to(relid);
	incoming->unknown = NULL;
	incoming->filled = NIL;
	foreach(lc, incoming->references)
	{
		const VoxReference *reference = lfirst(lc);

		if (incoming->unknown == NULL)
			incoming->unknown = voxanne_lock_to_read(reference->child);
		if (incoming->unknown == NULL && voxanne_has_distributed_rows(reference))
			incoming->unknown = psprintf("A distributed engine keeps rows of %s or %s, and does not look up rows by a list.",
										 voxanne_relation_name(reference->child), voxanne_relation_name(reference->parent));
	}
}

/*
 * See, once there is a snapshot, whether all the referencing columns can be
 * read by the current user.
 */
void
voxanne_incoming_check(VoxIncoming *incoming)
{
	ListCell   *lc;

	foreach(lc, incoming->references)
	{
		const VoxReference *reference = lfirst(lc);

		if (incoming->unknown == NULL)
			incoming->unknown = voxanne_run_refusal(reference->child,
													voxanne_reference_columns(reference, false));
	}
}

/* The condition, beginning with AND, that nothing references a row; empty if nothing can. */
char *
voxanne_unreferenced(List *references, const char *alias)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, references)
	{
		const VoxReference *reference = lfirst(lc);
		VoxTable	other;

		voxanne_table_describe(&other, reference->child);
		appendStringInfo(&buf, " AND NOT EXISTS (SELECT FROM %s AS r WHERE %s)", other.from,
						 voxanne_reference_join(reference, alias, "r"));
	}
	return buf.data;
}

/*
 * How many rows reference the rows of "table" that each list of "groups" names,
 * by their ids (char *); all zero where incoming->unknown then says why that is
 * not known.  Needs a snapshot.
 */
int64 *
voxanne_incoming_count(VoxIncoming *incoming, const VoxTable *table, List *groups)
{
	int64	   *counts = palloc0_array(int64, list_length(groups) + 1);
	List	   *ids = NIL;
	List	   *owners = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	voxanne_incoming_check(incoming);
	if (incoming->unknown != NULL)
		return counts;
	foreach(lc, groups)
	{
		foreach(lc2, (List *) lfirst(lc))
		{
			ids = lappend(ids, lfirst(lc2));
			owners = lappend_int(owners, foreach_current_index(lc));
		}
	}
	add_references(incoming, table, ids, owners, counts);
	return counts;
}

/*
 * Count the rows that reference rows of "table" with these ids.  "owners", an
 * integer list beside "ids", says to which element of counts[] each one adds.
 */
static void
add_references(const VoxIncoming *incoming, const VoxTable *table, List *ids, List *owners, int64 *counts)
{
	ListCell   *lc;

	if (ids == NIL)
		return;
	foreach(lc, incoming->references)
	{
		const VoxReference *reference = lfirst(lc);
		VoxQuery	query = {0};
		VoxTable	other;
		char	   *id_array;
		char	   *owner_array;
		uint64		found;
		bool		isnull;

		SPI_connect();
		voxanne_table_describe(&other, reference->child);
		id_array = voxanne_query_argument(&query, TEXTARRAYOID, voxanne_text_array(ids), false);
		owner_array = voxanne_query_argument(&query, INT4ARRAYOID, voxanne_int_array(owners), false);
		query.sql = psprintf("SELECT d.owner::pg_catalog.int8, pg_catalog.count(*)"
							 " FROM ROWS FROM (pg_catalog.unnest(%s), pg_catalog.unnest(%s)) AS d (id, owner)"
							 " JOIN %s AS p ON %s JOIN %s AS r ON %s GROUP BY d.owner",
							 id_array, owner_array,
							 table->from, voxanne_table_id_equal(table, "p", "d.id"),
							 other.from, voxanne_reference_join(reference, "p", "r"));
		found = voxanne_query_run(&query);
		for (uint64 row = 0; row < found; row++)
			counts[voxanne_value_int64(row, 1, &isnull)] += voxanne_value_int64(row, 2, &isnull);
		SPI_finish();
	}
}

/*
 * Statements that make whatever references the losers reference the keeper;
 * rows are given by voxanne_table_id_literal().  What voxanne_incoming_stuck()
 * speaks of is left as it is.
 */
char *
voxanne_incoming_move(const VoxIncoming *incoming, const VoxTable *table,
					  const char *keeper, List *losers)
{
	StringInfoData buf;
	ListCell   *lc;
	ListCell   *lc2;

	initStringInfo(&buf);
	foreach(lc, incoming->references)
	{
		const VoxReference *reference = lfirst(lc);
		VoxTable	other;

		voxanne_table_describe(&other, reference->child);
		if (other.rules || fixed_column(reference) != InvalidAttrNumber)
			continue;
		appendStringInfo(&buf, "UPDATE %s AS r SET ", other.from);
		for (int i = 0; i < reference->natts; i++)
			appendStringInfo(&buf, "%s%s = k.%s", i > 0 ? ", " : "",
							 voxanne_column_ref(reference->child, "", reference->child_atts[i]),
							 voxanne_column_ref(reference->parent, "", reference->parent_atts[i]));
		appendStringInfo(&buf, " FROM %s AS k, %s AS l WHERE %s AND %s AND %s",
						 table->from, table->from,
						 voxanne_table_id_match(table, "k", list_make1(unconstify(char *, keeper))),
						 voxanne_table_id_match(table, "l", losers),
						 voxanne_reference_join(reference, "l", "r"));
		foreach(lc2, nullable_columns(incoming, reference))
			appendStringInfo(&buf, " AND %s", voxanne_not_null(reference->parent, "k", lfirst_int(lc2), true));
		appendStringInfoString(&buf, ";\n");
	}
	return buf.data;
}

/*
 * What cannot be made to reference another row, so that the row it references
 * must stay: a sentence for each such reference, with a blank before it; empty
 * if there is none.
 */
char *
voxanne_incoming_stuck(const VoxIncoming *incoming)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, incoming->references)
	{
		const VoxReference *reference = lfirst(lc);
		AttrNumber	fixed = fixed_column(reference);
		List	   *nullable = nullable_columns(incoming, reference);
		VoxTable	other;

		voxanne_table_describe(&other, reference->child);
		if (other.rules)
			appendStringInfo(&buf, " What references them by %s keeps them: its table has rules (CREATE RULE).",
							 voxanne_reference_object(reference));
		else if (fixed != InvalidAttrNumber)
			appendStringInfo(&buf, " What references them by %s keeps them: that column is generated.",
							 voxanne_column_name(reference->child, fixed));
		else if (nullable != NIL)
			appendStringInfo(&buf, " If the oldest has no %s, what references the others by %s keeps them.",
							 voxanne_column_list(reference->parent, "", nullable), voxanne_reference_object(reference));
	}
	return buf.data;
}

/* A referencing column that no UPDATE can set, or InvalidAttrNumber. */
static AttrNumber
fixed_column(const VoxReference *reference)
{
	for (int i = 0; i < reference->natts; i++)
	{
		HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(reference->child),
											Int16GetDatum(reference->child_atts[i]));
		bool		fixed = false;

		if (HeapTupleIsValid(tuple))
		{
			Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tuple);

			fixed = att->attgenerated != '\0' || att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
			ReleaseSysCache(tuple);
		}
		if (fixed)
			return reference->child_atts[i];
	}
	return InvalidAttrNumber;
}

/* The referenced columns in which the keeper may have no value. */
static List *
nullable_columns(const VoxIncoming *incoming, const VoxReference *reference)
{
	List	   *columns = NIL;

	for (int i = 0; i < reference->natts; i++)
	{
		AttrNumber	attnum = reference->parent_atts[i];
		HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(reference->parent), Int16GetDatum(attnum));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (!((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull && !list_member_int(incoming->filled, attnum))
			columns = lappend_int(columns, attnum);
		ReleaseSysCache(tuple);
	}
	return columns;
}

/* Strings as a parameter of a query. */
Datum
voxanne_text_array(List *strings)
{
	Datum	   *elements = palloc_array(Datum, list_length(strings));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, strings)
		elements[count++] = CStringGetTextDatum((char *) lfirst(lc));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Numbers as a parameter of a query. */
Datum
voxanne_int_array(List *numbers)
{
	Datum	   *elements = palloc_array(Datum, list_length(numbers));
	int			count = 0;
	ListCell   *lc;

	foreach(lc, numbers)
		elements[count++] = Int32GetDatum(lfirst_int(lc));
	return PointerGetDatum(construct_array(elements, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}
