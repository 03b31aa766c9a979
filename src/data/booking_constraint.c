/*
 * src/data/booking_constraint.c
 *		The constraint that keeps double bookings out, and how many rows are in its way.
 *
 * That is an exclusion constraint.  It cannot be NOT VALID, so it comes after
 * the remedies.  Its expressions must be immutable: a time with time zone plus
 * a length is not, because a day's length depends on the zone, so ranges are
 * built in UTC.  Rows that take no time (not live, cancelled, without a
 * positive length) are left out by its condition: a range that ends before it
 * begins would fail the statement that writes it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/booking.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static AttrNumber axis_column(const VoxBookingQuestion *question, VoxBookingAxis axis);
static bool is_gist_type(Oid relid, AttrNumber attnum);
static char *in_utc(const VoxBookingQuestion *question, VoxBookingRole role);
static char *range_end(const VoxBookingQuestion *question, const char *start);
static char *minutes(const VoxBookingQuestion *question);
static char *condition(const VoxBookingQuestion *question);
static char *is_longer(const VoxBookingQuestion *question);
static char *is_active(const VoxBookingQuestion *question);
static char *inactive_labels(Oid type);
static int64 count_violations(const VoxBookingQuestion *question, VoxBookingAxis axis, List *places);

/*
 * Comments for the end of a statement, with the constraint that would have
 * prevented conflicts on an axis, and the number of rows that violate it; NULL
 * where there are none, or no constraint can do that.  "places" are all
 * conflicts, by axis, part and start.
 */
const char *
voxanne_booking_prevention(const VoxBookingQuestion *question, VoxBookingAxis axis, List *places)
{
	const VoxTable *table = &question->table;
	AttrNumber	person = axis_column(question, axis);
	AttrNumber	tenant = question->columns[VOX_ROLE_TENANT];
	int64		violations = count_violations(question, axis, places);
	char	   *start;
	char	   *name;

	if (person == InvalidAttrNumber || violations == 0 || table->partitioned || table->foreign ||
		!question->overlapping || !question->live_only || question->one_tenant || question->has_since ||
		!is_gist_type(table->relid, person) ||
		(tenant != InvalidAttrNumber && !is_gist_type(table->relid, tenant)))
		return NULL;
	start = in_utc(question, VOX_ROLE_START);
	name = ChooseConstraintName(get_rel_name(table->relid), get_attname(table->relid, person, false), "excl",
								get_rel_namespace(table->relid), NIL);
	return psprintf("\n-- Once all are settled, keep new ones out (appointments in the way now: %lld):"
					"\n-- CREATE EXTENSION IF NOT EXISTS btree_gist;"
					"\n-- ALTER TABLE %s ADD CONSTRAINT %s EXCLUDE USING gist (%s%s%s WITH =, tsrange(%s, %s) WITH &&) WHERE (%s);",
					(long long) violations, table->name, quote_identifier(name),
					tenant == InvalidAttrNumber ? "" : voxanne_column_ref(table->relid, "", tenant),
					tenant == InvalidAttrNumber ? "" : " WITH =, ",
					voxanne_column_ref(table->relid, "", person), start, range_end(question, start), condition(question));
}

/* The column that says whose time it is; InvalidAttrNumber where that is an expression, or not certain. */
static AttrNumber
axis_column(const VoxBookingQuestion *question, VoxBookingAxis axis)
{
	return axis == VOX_AXIS_CONTACT ? question->columns[VOX_ROLE_CONTACT] :
		axis == VOX_AXIS_PROVIDER ? question->columns[VOX_ROLE_PROVIDER] : InvalidAttrNumber;
}

/* Can btree_gist compare the column by equality, on every major? */
static bool
is_gist_type(Oid relid, AttrNumber attnum)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
	switch (getBaseType(type))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case UUIDOID:
		case BYTEAOID:
			return true;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return get_collation_isdeterministic(collation);
		default:
			return type_is_enum(getBaseType(type));
	}
}

/* A column of a time as a timestamp in UTC. */
static char *
in_utc(const VoxBookingQuestion *question, VoxBookingRole role)
{
	Oid			relid = question->table.relid;
	char	   *column = voxanne_column_ref(relid, "", question->columns[role]);

	return getBaseType(voxanne_column_type(relid, question->columns[role])) == TIMESTAMPTZOID ?
		psprintf("(%s AT TIME ZONE 'UTC')", column) : column;
}

/* The end of the range: as booking_sql.c has it, but in UTC. */
static char *
range_end(const VoxBookingQuestion *question, const char *start)
{
	Oid			relid = question->table.relid;
	const AttrNumber *columns = question->columns;

	if (columns[VOX_ROLE_MINUTES] != InvalidAttrNumber)
		return psprintf("%s + %s * interval '1 minute'", start, minutes(question));
	if (columns[VOX_ROLE_LENGTH] != InvalidAttrNumber)
		return psprintf("%s + coalesce(%s, interval '30 minutes')", start,
						voxanne_column_ref(relid, "", columns[VOX_ROLE_LENGTH]));
	if (columns[VOX_ROLE_END] != InvalidAttrNumber)
		return psprintf("coalesce(%s, %s + interval '30 minutes')", in_utc(question, VOX_ROLE_END), start);
	return psprintf("%s + interval '30 minutes'", start);
}

/* The length in minutes, such that it can be added to a time. */
static char *
minutes(const VoxBookingQuestion *question)
{
	Oid			relid = question->table.relid;
	AttrNumber	column = question->columns[VOX_ROLE_MINUTES];
	char	   *value = psprintf("coalesce(%s, 30)", voxanne_column_ref(relid, "", column));
	Oid			type = getBaseType(voxanne_column_type(relid, column));

	return type == INT8OID || type == NUMERICOID ? psprintf("least(%s, 2147483647)", value) : value;
}

/* Which rows take time; a range from null to null would be without bounds. */
static char *
condition(const VoxBookingQuestion *question)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s IS NOT NULL AND ",
					 voxanne_column_ref(question->table.relid, "", question->columns[VOX_ROLE_START]));
	if (question->table.soft_delete != NIL)
		appendStringInfo(&buf, "%s AND ", voxanne_table_live(&question->table, ""));
	appendStringInfo(&buf, "%s%s", is_active(question), is_longer(question));
	return buf.data;
}

/* The condition that a row's length is positive. */
static char *
is_longer(const VoxBookingQuestion *question)
{
	Oid			relid = question->table.relid;
	const AttrNumber *columns = question->columns;

	if (columns[VOX_ROLE_MINUTES] != InvalidAttrNumber)
		return psprintf("coalesce(%s, 30) > 0", voxanne_column_ref(relid, "", columns[VOX_ROLE_MINUTES]));
	if (columns[VOX_ROLE_LENGTH] != InvalidAttrNumber)
		return psprintf("coalesce(%s, interval '30 minutes') > interval '0'",
						voxanne_column_ref(relid, "", columns[VOX_ROLE_LENGTH]));
	if (columns[VOX_ROLE_END] != InvalidAttrNumber)
		return psprintf("coalesce(%s, 'infinity') > %s", in_utc(question, VOX_ROLE_END),
						in_utc(question, VOX_ROLE_START));
	return pstrdup("true");
}

/* "status is none that takes no time AND "; empty without a status. */
static char *
is_active(const VoxBookingQuestion *question)
{
	Oid			relid = question->table.relid;
	AttrNumber	status = question->columns[VOX_ROLE_STATUS];
	Oid			type = status == InvalidAttrNumber ? InvalidOid : getBaseType(voxanne_column_type(relid, status));
	char	   *column;
	char	   *labels;

	if (!OidIsValid(type))
		return pstrdup("");
	column = voxanne_column_ref(relid, "", status);
	labels = inactive_labels(type);
	if (*labels == '\0')
		return pstrdup("");
	return psprintf("(%s IS NULL OR %s NOT IN (%s)) AND ", column,
					type_is_enum(type) ? column : psprintf("lower(%s)", column), labels);
}

/* The labels that take no time, of an enum those that it has; quoted, with commas between them. */
static char *
inactive_labels(Oid type)
{
	StringInfoData buf;
	CatCList   *labels;

	initStringInfo(&buf);
	if (!type_is_enum(type))
	{
		for (int i = 0; voxanne_inactive_labels[i] != NULL; i++)
			appendStringInfo(&buf, "%s'%s'", i > 0 ? ", " : "", voxanne_inactive_labels[i]);
		return buf.data;
	}
	labels = SearchSysCacheList1(ENUMTYPOIDNAME, ObjectIdGetDatum(type));
	for (int label = 0; label < labels->n_members; label++)
	{
		const char *text = NameStr(((Form_pg_enum) GETSTRUCT(&labels->members[label]->tuple))->enumlabel);

		for (int i = 0; voxanne_inactive_labels[i] != NULL; i++)
			if (pg_strcasecmp(text, voxanne_inactive_labels[i]) == 0)
				appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", quote_literal_cstr(text));
	}
	ReleaseSysCacheList(labels);
	return buf.data;
}

/* Rows of the axis whose range meets that of another row: a null tenant equals none, to a constraint. */
static int64
count_violations(const VoxBookingQuestion *question, VoxBookingAxis axis, List *places)
{
	bool		has_tenant = question->columns[VOX_ROLE_TENANT] != InvalidAttrNumber;
	const VoxBookingPlace *last = NULL; /* of those so far, the one that ends
										 * last */
	bool		counted = false;	/* that one */
	int64		count = 0;
	ListCell   *lc;

	foreach(lc, places)
	{
		const VoxBookingPlace *place = lfirst(lc);
		const VoxBooking *booking = place->booking;
		bool		meets;

		if (place->axis != axis || !booking->has_end || (has_tenant && booking->tenant == NULL))
			continue;
		meets = last != NULL && last->part == place->part && booking->start < last->booking->end;
		if (meets)
			count += counted ? 1 : 2;
		if (last == NULL || last->part != place->part || booking->end > last->booking->end)
		{
			last = place;
			counted = meets;
		}
		else
			counted |= meets;
	}
	return count;
}
