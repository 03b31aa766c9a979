/*
 * src/data/booking_contacts.c
 *		Whom an appointment is with, and where its calendar entry is: for people to read.
 *
 * Names are in the table that the contact's column refers to, by a foreign key
 * or by its name.  That table may be locked, or hidden from the caller: then
 * the ids have to do.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "data/booking.h"
#include "data/duplicate.h"
#include "data/incoming.h"
#include "data/run.h"
#include "parser/parse_coerce.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

static List *listed_bookings(List *groups);
static char *contacts_query(const VoxBookingQuestion *question, const VoxReference *reference, AttrNumber name,
							AttrNumber link, List *bookings, VoxQuery *query);
static const VoxReference *contact_reference(const VoxBookingQuestion *question, Oid relid);
static const VoxReference *reference_from(List *references, AttrNumber column);
static AttrNumber text_column(Oid relid, const char *name);
static char *text_or_null(Oid relid, const char *alias, AttrNumber attnum);

/*
 * Find the table that names the contacts and lock it without waiting, before
 * the snapshot is taken.  Settings must be pinned, the appointments locked.
 */
void
voxanne_contacts_lock(VoxContacts *contacts, const VoxBookingQuestion *question, Oid relid)
{
	static const char *const names[] = {"name", "full_name", "display_name"};

	contacts->reference = contact_reference(question, relid);
	contacts->name = InvalidAttrNumber;
	if (contacts->reference == NULL || voxanne_lock_to_read(contacts->reference->parent) != NULL)
		contacts->reference = NULL;
	for (int i = 0; contacts->reference != NULL && contacts->name == InvalidAttrNumber && i < (int) lengthof(names); i++)
		contacts->name = text_column(contacts->reference->parent, names[i]);
}

/* Set contact, contact_name and calendar of the first VOX_GROUP_LISTED bookings of each group. */
void
voxanne_contacts_find(const VoxContacts *contacts, const VoxBookingQuestion *question, List *groups)
{
	MemoryContext context = CurrentMemoryContext;
	const VoxTable *table = &question->table;
	AttrNumber	link = text_column(table->relid, "calendar_link");
	AttrNumber	name = contacts->name;
	List	   *bookings = listed_bookings(groups);
	VoxQuery	query = {0};

	if (link != InvalidAttrNumber && voxanne_run_refusal(table->relid, list_make1_int(link)) != NULL)
		link = InvalidAttrNumber;
	if (name != InvalidAttrNumber &&
		voxanne_run_refusal(contacts->reference->parent,
							lappend_int(voxanne_reference_columns(contacts->reference, true), name)) != NULL)
		name = InvalidAttrNumber;
	if (bookings == NIL || (link == InvalidAttrNumber && question->columns[VOX_ROLE_CONTACT] == InvalidAttrNumber))
		return;

	SPI_connect();
	query.sql = contacts_query(question, contacts->reference, name, link, bookings, &query);
	(void) voxanne_query_run(&query);
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		VoxBooking *booking = list_nth(bookings, DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull)));

		booking->contact = SPI_getvalue(tuple, desc, 2);
		booking->contact_name = SPI_getvalue(tuple, desc, 3);
		booking->calendar = SPI_getvalue(tuple, desc, 4);
	}
	SPI_finish();
}

/* The bookings that findings list. */
static List *
listed_bookings(List *groups)
{
	List	   *bookings = NIL;
	ListCell   *lc;

	foreach(lc, groups)
	{
		List	   *members = ((VoxBookingGroup *) lfirst(lc))->members;

		for (int i = 0; i < Min(list_length(members), VOX_GROUP_LISTED); i++)
			bookings = lappend(bookings, list_nth(members, i));
	}
	return bookings;
}

/*
 * A query for the number in the list, contact, name and calendar link of
 * bookings; "name" and "link" are columns, or InvalidAttrNumber.
 */
static char *
contacts_query(const VoxBookingQuestion *question, const VoxReference *reference, AttrNumber name,
			   AttrNumber link, List *bookings, VoxQuery *query)
{
	const VoxTable *table = &question->table;
	List	   *ids = NIL;
	List	   *numbers = NIL;
	StringInfoData sql;
	ListCell   *lc;

	foreach(lc, bookings)
	{
		ids = lappend(ids, ((VoxBooking *) lfirst(lc))->id);
		numbers = lappend_int(numbers, foreach_current_index(lc));
	}
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT d.no, %s, %s, %s FROM ROWS FROM (pg_catalog.unnest(%s), pg_catalog.unnest(%s)) AS d (id, no)",
					 text_or_null(table->relid, "t", question->columns[VOX_ROLE_CONTACT]),
					 name == InvalidAttrNumber ? "NULL" : text_or_null(reference->parent, "p", name),
					 text_or_null(table->relid, "t", link),
					 voxanne_query_argument(query, TEXTARRAYOID, voxanne_text_array(ids), false),
					 voxanne_query_argument(query, INT4ARRAYOID, voxanne_int_array(numbers), false));
	appendStringInfo(&sql, " JOIN %s AS t ON %s", table->from, voxanne_table_id_equal(table, "t", "d.id"));
	if (name != InvalidAttrNumber)
	{
		VoxTable	parent;

		voxanne_table_describe(&parent, reference->parent);
		appendStringInfo(&sql, " LEFT JOIN %s AS p ON %s", parent.from, voxanne_reference_join(reference, "p", "t"));
	}
	return sql.data;
}

/* What the contact's column refers to: by a foreign key, else by its name; NULL if nothing. */
static const VoxReference *
contact_reference(const VoxBookingQuestion *question, Oid relid)
{
	AttrNumber	column = question->columns[VOX_ROLE_CONTACT];
	const VoxReference *reference;

	if (column == InvalidAttrNumber)
		return NULL;
	reference = reference_from(voxanne_declared_references(relid, NIL), column);
	if (reference == NULL)
	{
		voxanne_run_snapshot();
		reference = reference_from(voxanne_inferred_references(relid, list_make1_oid(get_rel_namespace(relid))), column);
		PopActiveSnapshot();
	}
	return reference;
}

/* The reference that consists of the column, and perhaps the tenant's; NULL if there is none. */
static const VoxReference *
reference_from(List *references, AttrNumber column)
{
	ListCell   *lc;

	foreach(lc, references)
	{
		const VoxReference *reference = lfirst(lc);
		List	   *columns = voxanne_reference_columns(reference, false);

		columns = list_delete_int(columns, voxanne_tenant_column(reference->child));
		if (list_length(columns) == 1 && linitial_int(columns) == column && reference->refusal == NULL)
			return reference;
	}
	return NULL;
}

/* A column of a string type, or InvalidAttrNumber. */
static AttrNumber
text_column(Oid relid, const char *name)
{
	AttrNumber	attnum = voxanne_find_column(relid, name);

	if (attnum == InvalidAttrNumber ||
		TypeCategory(getBaseType(voxanne_column_type(relid, attnum))) != TYPCATEGORY_STRING)
		return InvalidAttrNumber;
	return attnum;
}

/* A column as text; null where it is, or where there is no such column. */
static char *
text_or_null(Oid relid, const char *alias, AttrNumber attnum)
{
	char	   *column;

	if (attnum == InvalidAttrNumber)
		return pstrdup("NULL");
	column = voxanne_column_ref(relid, alias, attnum);
	return psprintf("CASE WHEN %s IS NOT NULL THEN pg_catalog.format('%%s', %s) END", column, column);
}
