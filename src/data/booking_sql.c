/*
 * src/data/booking_sql.c
 *		Which appointments take the same time, answered by SQL: of all, or those that the scan found.
 *
 * Per person the rows are swept in order of their start, beside the latest end
 * so far.  Looking at the row before alone would miss the third of 10-14,
 * 11-12 and 13-14, which meets only the first.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/query.h"
#include "data/booking.h"
#include "data/executor.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"

/* The length of an appointment that does not state one. */
#define DEFAULT_LENGTH "'30 minutes'::pg_catalog.interval"

/* Columns of the query's result. */
enum
{
	RES_AXIS = 1, RES_PART, RES_ID, RES_LITERAL, RES_TENANT, RES_WHO, RES_START, RES_END, RES_NEAR, RES_SENIORITY
};

/* How a list of the key's columns is written. */
typedef enum KeyForm
{
	KEY_DEFINED,				/* t.id AS k0 */
	KEY_NAMES,					/* k0 */
	KEY_SORTED					/* k0, in an order that does not depend on a
								 * locale */
} KeyForm;

typedef struct BookingEntry
{
	int64		seniority;		/* key */
	VoxBooking *booking;
} BookingEntry;

static const char *const axis_names[VOX_BOOKING_AXES] = {
	[VOX_AXIS_CONTACT] = "contact",
	[VOX_AXIS_PHONE] = "phone",
	[VOX_AXIS_EMAIL] = "email",
	[VOX_AXIS_PROVIDER] = "provider",
	[VOX_AXIS_ORG] = "org",
};

static char *column(const VoxBookingQuestion *question, VoxBookingRole role);
static char *axis_query(const VoxBookingQuestion *question, VoxBookingAxis axis, const char *from,
						const char *tolerance, const char *where);
static char *axis_person(const VoxBookingQuestion *question, VoxBookingAxis axis, const char *from);
static const char *axis_rows(const VoxBookingQuestion *question, const VoxScanQuestion *found, VoxQuery *query);
static char *start_expression(const VoxBookingQuestion *question);
static char *end_expression(const VoxBookingQuestion *question);
static char *later(const char *start, const char *length);
static char *phone_expression(const VoxBookingQuestion *question);
static char *email_expression(const VoxBookingQuestion *question);
static char *key_columns(const VoxTable *table, KeyForm form);
static char *row_conditions(const VoxBookingQuestion *question, VoxQuery *query);
static VoxBookingPlace *read_place(uint64 row, HTAB *bookings);

const char *
voxanne_booking_axis(VoxBookingAxis axis)
{
	return axis_names[axis];
}

/* The condition that an appointment is neither cancelled nor missed. */
char *
voxanne_booking_active(const VoxBookingQuestion *question, const char *alias)
{
	return voxanne_status_active(question->table.relid, alias, question->columns[VOX_ROLE_STATUS]);
}

/*
 * All rows that conflict with another one, once for each axis on which they
 * do.  "found" has, by axis, the scan engine's answer or NULL.  The table is
 * locked, settings pinned, a snapshot active.
 */
List *
voxanne_booking_ask(const VoxBookingQuestion *question, VoxScanQuestion *const *found)
{
	MemoryContext context = CurrentMemoryContext;
	VoxQuery	query = {0};
	HASHCTL		control = {.keysize = sizeof(int64),.entrysize = sizeof(BookingEntry),.hcxt = CurrentMemoryContext};
	HTAB	   *bookings = hash_create("conflicting bookings", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	char	   *tolerance = voxanne_query_argument(&query, INTERVALOID, question->tolerance, false);
	char	   *where = row_conditions(question, &query);
	List	   *places = NIL;
	StringInfoData axes;
	uint64		count;

	initStringInfo(&axes);
	for (int axis = 0; axis < VOX_BOOKING_AXES; axis++)
		if (question->axes[axis] && (found[axis] == NULL || found[axis]->nrows > 0))
			appendStringInfo(&axes, "%s%s", axes.len > 0 ? " UNION ALL " : "",
							 axis_query(question, (VoxBookingAxis) axis,
										axis_rows(question, found[axis], &query), tolerance, where));
	if (axes.len == 0)
		return NIL;
	query.sql = psprintf("SELECT axis, part, id, literal, tenant_text, who_text, start_at, end_at, near_until,"
						 " pg_catalog.rank() OVER (ORDER BY created NULLS LAST, %s) AS seniority"
						 " FROM (%s) AS conflicting ORDER BY axis, part, start_at, seniority",
						 key_columns(&question->table, KEY_SORTED), axes.data);

	SPI_connect();
	count = voxanne_query_run(&query);
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < count; row++)
		places = lappend(places, read_place(row, bookings));
	SPI_finish();
	hash_destroy(bookings);
	return places;
}

/* The rows that conflict on one axis. */
static char *
axis_query(const VoxBookingQuestion *question, VoxBookingAxis axis, const char *from,
		   const char *tolerance, const char *where)
{
	const VoxTable *table = &question->table;
	bool		has_tenant = question->columns[VOX_ROLE_TENANT] != InvalidAttrNumber;
	char	   *tenant = has_tenant ? column(question, VOX_ROLE_TENANT) : pstrdup("NULL::pg_catalog.text");
	char	   *start = start_expression(question);

	return psprintf(
					"SELECT %d AS axis, pg_catalog.dense_rank() OVER (ORDER BY tenant, who) AS part,"
					" id, literal, start_at, end_at, near_until, created, %s,"
					" CASE WHEN tenant IS NOT NULL THEN pg_catalog.format('%%s', tenant) END AS tenant_text,"
					" pg_catalog.format('%%s', who) AS who_text FROM ("
					"SELECT *, pg_catalog.lag(near_until) OVER every AS near_before,"
					" pg_catalog.lead(start_at) OVER every AS next_start,"
					" max(end_at) OVER (ranged ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach,"
					" pg_catalog.lead(start_at) OVER ranged AS next_range FROM ("
					"SELECT %s AS id, %s AS literal, %s AS tenant, %s AS start_at, %s AS end_at,"
					" %s AS near_until, %s AS created, %s, %s AND %s) AS booked"
					" WINDOW every AS (PARTITION BY tenant, who ORDER BY start_at),"
					" ranged AS (PARTITION BY tenant, who, end_at IS NULL ORDER BY start_at)) AS swept"
					" WHERE start_at <= near_before OR next_start <= near_until"
					" OR %s AND end_at IS NOT NULL AND (start_at < reach OR next_range < end_at)",
					(int) axis, key_columns(table, KEY_NAMES), voxanne_table_id(table, "t"), voxanne_table_id_literal(table, "t"), tenant,
					start, end_expression(question), later(start, tolerance), voxanne_table_created(table, "t"),
					key_columns(table, KEY_DEFINED), axis_person(question, axis, from), where,
					question->overlapping ? "true" : "false");
}

/* "person AS who FROM table WHERE it has that person" for one axis. */
static char *
axis_person(const VoxBookingQuestion *question, VoxBookingAxis axis, const char *from)
{
	const char *no_contact = question->columns[VOX_ROLE_CONTACT] == InvalidAttrNumber ? "true" :
		psprintf("%s IS NULL", column(question, VOX_ROLE_CONTACT));
	char	   *tenant;

	switch (axis)
	{
		case VOX_AXIS_CONTACT:
			return psprintf("%s AS who FROM %s AS t WHERE %s IS NOT NULL",
							column(question, VOX_ROLE_CONTACT), from, column(question, VOX_ROLE_CONTACT));
		case VOX_AXIS_PROVIDER:
			return psprintf("%s AS who FROM %s AS t WHERE %s IS NOT NULL",
							column(question, VOX_ROLE_PROVIDER), from, column(question, VOX_ROLE_PROVIDER));
		case VOX_AXIS_PHONE:
			return psprintf("%s AS who FROM %s AS t WHERE %s AND %s IS NOT NULL",
							phone_expression(question), from, no_contact, phone_expression(question));
		case VOX_AXIS_EMAIL:
			return psprintf("%s AS who FROM %s AS t WHERE %s AND %s IS NULL AND %s IS NOT NULL",
							email_expression(question), from, no_contact, phone_expression(question),
							email_expression(question));
		case VOX_AXIS_ORG:
			break;
	}
	tenant = column(question, VOX_ROLE_TENANT);
	if (question->columns[VOX_ROLE_PROVIDER] == InvalidAttrNumber)
		return psprintf("%s AS who FROM %s AS t WHERE %s IS NOT NULL", tenant, from, tenant);
	return psprintf("%s AS who FROM %s AS t WHERE %s IS NOT NULL AND NOT EXISTS (SELECT FROM %s AS o WHERE %s AND %s IS NOT NULL)",
					tenant, from, tenant, question->table.from,
					voxanne_equal_columns(question->table.relid, "o", "t", question->columns[VOX_ROLE_TENANT]),
					voxanne_column_ref(question->table.relid, "o", question->columns[VOX_ROLE_PROVIDER]));
}

/* What to select the rows of one axis from. */
static const char *
axis_rows(const VoxBookingQuestion *question, const VoxScanQuestion *found, VoxQuery *query)
{
	if (found == NULL)
		return question->table.from;
	return voxanne_rows_found(query, &question->table, voxanne_booking_columns(question), found);
}

static char *
column(const VoxBookingQuestion *question, VoxBookingRole role)
{
	return voxanne_column_ref(question->table.relid, "t", question->columns[role]);
}

static char *
start_expression(const VoxBookingQuestion *question)
{
	return psprintf("%s::pg_catalog.timestamptz", column(question, VOX_ROLE_START));
}

/* The end; null where the length is not positive, because that is no time at all. */
static char *
end_expression(const VoxBookingQuestion *question)
{
	char	   *start = start_expression(question);
	char	   *usual = later(start, DEFAULT_LENGTH);
	char	   *value;

	if (question->columns[VOX_ROLE_MINUTES] != InvalidAttrNumber)
	{
		value = column(question, VOX_ROLE_MINUTES);
		return psprintf("CASE WHEN %s IS NULL THEN %s WHEN %s > 0 THEN %s END", value, usual, value,
						later(start, psprintf("LEAST(%s, 2147483647)::pg_catalog.float8 * '1 minute'::pg_catalog.interval", value)));
	}
	if (question->columns[VOX_ROLE_LENGTH] != InvalidAttrNumber)
	{
		value = column(question, VOX_ROLE_LENGTH);
		return psprintf("CASE WHEN %s IS NULL THEN %s WHEN %s > '0'::pg_catalog.interval THEN %s END", value, usual, value,
						later(start, psprintf("LEAST(%s, '4000 years'::pg_catalog.interval)", value)));
	}
	if (question->columns[VOX_ROLE_END] != InvalidAttrNumber)
	{
		value = psprintf("%s::pg_catalog.timestamptz", column(question, VOX_ROLE_END));
		return psprintf("CASE WHEN %s IS NULL THEN %s WHEN %s > %s THEN %s END", value, usual, value, start, value);
	}
	return usual;
}

/*
 * A time by so much later.  One so far ahead that the sum may be out of range
 * is left as it is: one wrong row must not make the whole check fail.
 */
static char *
later(const char *start, const char *length)
{
	return psprintf("CASE WHEN %s < '200000-01-01'::pg_catalog.timestamptz THEN %s + %s ELSE %s END",
					start, start, length, start);
}

/*
 * The digits of a phone number without an international prefix 00, which
 * others write as +; null where there are less than seven.
 */
static char *
phone_expression(const VoxBookingQuestion *question)
{
	char	   *digits;

	if (question->columns[VOX_ROLE_PHONE] == InvalidAttrNumber)
		return pstrdup("NULL::pg_catalog.text");
	digits = psprintf("pg_catalog.regexp_replace(pg_catalog.regexp_replace(pg_catalog.format('%%s', %s), '[^0-9]', '', 'g'), '^00', '')",
					  column(question, VOX_ROLE_PHONE));
	return psprintf("CASE WHEN pg_catalog.length(%s) >= 7 THEN %s END", digits, digits);
}

static char *
email_expression(const VoxBookingQuestion *question)
{
	if (question->columns[VOX_ROLE_EMAIL] == InvalidAttrNumber)
		return pstrdup("NULL::pg_catalog.text");
	return psprintf("NULLIF(pg_catalog.lower(pg_catalog.btrim(pg_catalog.format('%%s', %s))), '')",
					column(question, VOX_ROLE_EMAIL));
}

/* What identifies a row, under names that cannot collide. */
static char *
key_columns(const VoxTable *table, KeyForm form)
{
	StringInfoData buf;
	ListCell   *lc;

	if (table->pk == NIL)
		return pstrdup(form == KEY_DEFINED ? "t.tableoid AS k0, t.ctid AS k1" : "k0, k1");
	initStringInfo(&buf);
	foreach(lc, table->pk)
	{
		if (form == KEY_DEFINED)
			appendStringInfo(&buf, "%s%s AS k%d", buf.len > 0 ? ", " : "",
							 voxanne_column_ref(table->relid, "t", lfirst_int(lc)), foreach_current_index(lc));
		else
			appendStringInfo(&buf, "%sk%d", buf.len > 0 ? ", " : "", foreach_current_index(lc));
		if (form == KEY_SORTED && type_is_collatable(voxanne_column_type(table->relid, lfirst_int(lc))))
			appendStringInfoString(&buf, " COLLATE pg_catalog.\"C\"");
	}
	return buf.data;
}

/* What makes a row take part on any axis. */
static char *
row_conditions(const VoxBookingQuestion *question, VoxQuery *query)
{
	StringInfoData buf;
	Oid			relid = question->table.relid;
	AttrNumber	tenant = question->columns[VOX_ROLE_TENANT];

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s IS NOT NULL AND %s AND %s", column(question, VOX_ROLE_START),
					 question->live_only ? voxanne_table_live(&question->table, "t") : "true",
					 voxanne_booking_active(question, "t"));
	if (question->one_tenant)
	{
		Oid			type = voxanne_column_type(relid, tenant);

		appendStringInfoString(&buf, " AND ");
		voxanne_operator_clause(&buf, column(question, VOX_ROLE_TENANT), type, voxanne_equality_operator(type),
								voxanne_query_argument(query, question->tenant_type, question->tenant, false),
								question->tenant_type);
	}
	if (question->has_since)
		appendStringInfo(&buf, " AND %s >= %s", start_expression(question),
						 voxanne_query_argument(query, TIMESTAMPTZOID, Int64GetDatum(question->since), false));
	return buf.data;
}

/* One row of the result; a row of the table that comes on several axes becomes one booking. */
static VoxBookingPlace *
read_place(uint64 row, HTAB *bookings)
{
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	VoxBookingPlace *place = palloc_object(VoxBookingPlace);
	BookingEntry *entry;
	int64		seniority;
	bool		isnull;
	bool		known;

	place->axis = (VoxBookingAxis) DatumGetInt32(SPI_getbinval(tuple, desc, RES_AXIS, &isnull));
	place->part = voxanne_value_int64(row, RES_PART, &isnull);
	place->who = SPI_getvalue(tuple, desc, RES_WHO);
	seniority = voxanne_value_int64(row, RES_SENIORITY, &isnull);

	entry = hash_search(bookings, &seniority, HASH_ENTER, &known);
	if (!known)
	{
		VoxBooking *booking = palloc0_object(VoxBooking);

		booking->id = SPI_getvalue(tuple, desc, RES_ID);
		booking->literal = SPI_getvalue(tuple, desc, RES_LITERAL);
		booking->tenant = SPI_getvalue(tuple, desc, RES_TENANT);
		booking->start = voxanne_value_int64(row, RES_START, &isnull);
		booking->near_until = voxanne_value_int64(row, RES_NEAR, &isnull);
		booking->end = voxanne_value_int64(row, RES_END, &isnull);
		booking->has_end = !isnull;
		booking->seniority = seniority;
		entry->booking = booking;
	}
	place->booking = entry->booking;
	place->booking->places = lappend(place->booking->places, place);
	return place;
}
