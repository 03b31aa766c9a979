/*
 * src/data/booking_constraint.c
 *		The constraint that keeps double bookings out, and how many rows are in its way.
 *
 * That is an exclusion constraint.  It cannot be NOT VALID, so it comes after
 * the remedies.  Its expressions must be immutable: a time with time zone plus
 * a length is not, because a day's length depends on the zone, so ranges are
 * built in UTC.  Rows that take no time (not live, cancelled, without a
 * positive length) are left out by its condition: a range that ends before it
 * begins would fail the statement that writes it.  A partitioned table takes
 * one from 17 on, its partitions do on all versions; it is complete where rows
 * that can collide are in the same partition.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/relation.h"
#include "core/words.h"
#include "data/booking.h"
#include "data/partition.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Partitions below a remedy. */
#define LEAVES_LISTED 50

static const char *constraints(const VoxBookingQuestion *question, AttrNumber person);
static void append_constraint(StringInfo buf, const VoxBookingQuestion *question, Oid relid, AttrNumber person);
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
 * prevented conflicts on an axis, and the number of rows that violate it, or
 * why there can be none for a partitioned table; NULL where no row violates it,
 * or no constraint can do that.  "places" are all conflicts, by axis, part and
 * start.
 */
const char *
voxanne_booking_prevention(const VoxBookingQuestion *question, VoxBookingAxis axis, List *places)
{
	const VoxTable *table = &question->table;
	AttrNumber	person = axis_column(question, axis);
	AttrNumber	tenant = question->columns[VOX_ROLE_TENANT];
	int64		violations = count_violations(question, axis, places);
	const char *other = NULL;

	if (person == InvalidAttrNumber || violations == 0 || table->foreign ||
		voxanne_has_virtual(table->relid, voxanne_booking_columns(question)) ||
		!question->overlapping || !question->live_only || question->one_tenant || question->has_since ||
		!is_gist_type(table->relid, person) ||
		(tenant != InvalidAttrNumber && !is_gist_type(table->relid, tenant)))
		return NULL;
	if (table->partitioned)
		other = voxanne_partitioned_by_other(table->relid, tenant == InvalidAttrNumber ? list_make1_int(person) :
											 list_make2_int(tenant, person));
	if (other != NULL)
		return psprintf("%s\n-- and rows of different partitions cannot exclude each other.",
						voxanne_sql_comment(psprintf("No constraint can keep new ones of this %s out: %s is partitioned by %s,",
													 voxanne_booking_axis(axis), table->name, other)));
	return psprintf("\n-- Once all are settled, keep new ones out (appointments in the way now: %lld):"
					"\n-- CREATE EXTENSION IF NOT EXISTS btree_gist;%s",
					(long long) violations, constraints(question, person));
}

/* The constraint, or where a partitioned table takes none, one for each partition. */
static const char *
constraints(const VoxBookingQuestion *question, AttrNumber person)
{
	const VoxTable *table = &question->table;
	List	   *leaves;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	if (!table->partitioned || VOX_PARTITIONED_EXCLUSION)
	{
		append_constraint(&buf, question, table->relid, person);
		return buf.data;
	}
	leaves = voxanne_partition_leaves(table->relid);
	foreach(lc, leaves)
	{
		if (foreach_current_index(lc) == LEAVES_LISTED)
		{
			appendStringInfo(&buf, "\n-- and the same for its %s.",
							 voxanne_count_of(list_length(leaves) - LEAVES_LISTED, "other partition", "other partitions"));
			break;
		}
		append_constraint(&buf, question, lfirst_oid(lc), person);
	}
	appendStringInfoString(&buf, "\n-- A partition that is added later needs its own.");
	return buf.data;
}

/* The constraint on a table or a partition, whose columns have the same names. */
static void
append_constraint(StringInfo buf, const VoxBookingQuestion *question, Oid relid, AttrNumber person)
{
	Oid			named = question->table.relid;
	AttrNumber	tenant = question->columns[VOX_ROLE_TENANT];
	char	   *start = in_utc(question, VOX_ROLE_START);
	char	   *name = ChooseConstraintName(get_rel_name(relid), get_attname(named, person, false), "excl",
											get_rel_namespace(relid), NIL);
	char	   *statement = psprintf("ALTER TABLE %s ADD CONSTRAINT %s EXCLUDE USING gist (%s%s%s WITH =, tsrange(%s, %s) WITH &&) WHERE (%s);",
									 voxanne_relation_name(relid), quote_identifier(name),
									 tenant == InvalidAttrNumber ? "" : voxanne_column_ref(named, "", tenant),
									 tenant == InvalidAttrNumber ? "" : " WITH =, ",
									 voxanne_column_ref(named, "", person), start, range_end(question, start), condition(question));

	appendStringInfoString(buf, voxanne_sql_comment(statement));
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
