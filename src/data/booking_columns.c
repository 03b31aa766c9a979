/*
 * src/data/booking_columns.c
 *		Which column of an appointments table is for what.
 *
 * That is a matter of names and types, in one table below.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/relation.h"
#include "data/booking.h"
#include "parser/parse_coerce.h"
#include "utils/lsyscache.h"

typedef enum ColumnClass
{
	CLASS_ANY, CLASS_TIME, CLASS_NUMBER, CLASS_INTERVAL, CLASS_TEXT, CLASS_LABEL
} ColumnClass;

/* The names by which a role's column goes, the likeliest first. */
static const struct
{
	ColumnClass class;
	const char *names[5];
}			roles[VOX_BOOKING_ROLES] =

{
	[VOX_ROLE_START] = {CLASS_TIME, {"scheduled_at", "starts_at", "start_at", "start_time"}},
	[VOX_ROLE_END] = {CLASS_TIME, {"ends_at", "end_at", "end_time"}},
	[VOX_ROLE_MINUTES] = {CLASS_NUMBER, {"duration_minutes"}},
	[VOX_ROLE_LENGTH] = {CLASS_INTERVAL, {"duration"}},
	[VOX_ROLE_CONTACT] = {CLASS_ANY, {"contact_id", "patient_id", "customer_id", "client_id"}},
	[VOX_ROLE_PHONE] = {CLASS_TEXT, {"phone", "contact_phone", "customer_phone", "phone_number"}},
	[VOX_ROLE_EMAIL] = {CLASS_TEXT, {"email", "contact_email", "customer_email"}},
	[VOX_ROLE_PROVIDER] = {CLASS_ANY, {"provider_id", "staff_id", "practitioner_id", "employee_id"}},
	[VOX_ROLE_STATUS] = {CLASS_LABEL, {"status"}},
};

static bool has_class(Oid type, ColumnClass class);

/* Find the column of each role.  ERROR 42703 where no column holds the start. */
void
voxanne_booking_find_roles(VoxBookingQuestion *question, Oid relid)
{
	for (int role = 0; role < VOX_BOOKING_ROLES; role++)
	{
		question->columns[role] = InvalidAttrNumber;
		for (int i = 0; i < (int) lengthof(roles[role].names) && roles[role].names[i] != NULL; i++)
		{
			AttrNumber	attnum = voxanne_find_column(relid, roles[role].names[i]);

			if (attnum != InvalidAttrNumber &&
				has_class(getBaseType(voxanne_column_type(relid, attnum)), roles[role].class))
			{
				question->columns[role] = attnum;
				break;
			}
		}
	}
	question->columns[VOX_ROLE_TENANT] = voxanne_tenant_column(relid);
	if (question->columns[VOX_ROLE_START] == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has no column for the start of an appointment", voxanne_relation_name(relid)),
				 errdetail("Looked for scheduled_at, starts_at, start_at and start_time of type timestamp."),
				 errhint("Name the table of appointments in argument \"relation\", or use find_duplicates().")));
}

static bool
has_class(Oid type, ColumnClass class)
{
	switch (class)
	{
		case CLASS_TIME:
			return type == TIMESTAMPTZOID || type == TIMESTAMPOID;
		case CLASS_NUMBER:
			return type == INT2OID || type == INT4OID || type == INT8OID || type == NUMERICOID;
		case CLASS_INTERVAL:
			return type == INTERVALOID;
		case CLASS_TEXT:
			return TypeCategory(type) == TYPCATEGORY_STRING;
		case CLASS_LABEL:
			return TypeCategory(type) == TYPCATEGORY_STRING || get_typtype(type) == TYPTYPE_ENUM;
		case CLASS_ANY:
			break;
	}
	return true;
}

/* Whose time to compare.  ERROR for unknown words, and where the table has none of the columns. */
void
voxanne_booking_choose_axes(VoxBookingQuestion *question, Oid relid, List *same)
{
	const AttrNumber *columns = question->columns;
	bool		any = false;
	ListCell   *lc;

	foreach(lc, same)
	{
		const char *word = lfirst(lc);

		if (strcmp(word, "contact") == 0)
		{
			question->axes[VOX_AXIS_CONTACT] = columns[VOX_ROLE_CONTACT] != InvalidAttrNumber;
			question->axes[VOX_AXIS_PHONE] = columns[VOX_ROLE_PHONE] != InvalidAttrNumber;
			question->axes[VOX_AXIS_EMAIL] = columns[VOX_ROLE_EMAIL] != InvalidAttrNumber;
		}
		else if (strcmp(word, "provider") == 0)
			question->axes[VOX_AXIS_PROVIDER] = columns[VOX_ROLE_PROVIDER] != InvalidAttrNumber;
		else if (strcmp(word, "org_without_provider") == 0)
			question->axes[VOX_AXIS_ORG] = columns[VOX_ROLE_TENANT] != InvalidAttrNumber;
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown word \"%s\" in argument \"same\"", word),
					 errhint("Valid words are contact, provider and org_without_provider.")));
	}
	for (int axis = 0; axis < VOX_BOOKING_AXES; axis++)
		any |= question->axes[axis];
	if (!any)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has no column that says whose time its appointments take", voxanne_relation_name(relid)),
				 errdetail("Argument \"same\" asks for contact (contact_id, phone, email), provider (provider_id) or org_without_provider (org_id)."),
				 errhint("Name the table of appointments in argument \"relation\", or ask for columns that it has in \"same\".")));
}

/*
 * The value that cancels when it is put into the status column; NULL where the
 * table has no such column, or the column would not take one.
 */
const char *
voxanne_booking_cancelled(const VoxBookingQuestion *question, Oid relid)
{
	static const char *const labels[] = {"cancelled", "canceled"};
	AttrNumber	column = question->columns[VOX_ROLE_STATUS];

	if (column == InvalidAttrNumber)
		return NULL;
	for (int i = 0; i < (int) lengthof(labels); i++)
		if (voxanne_column_accepts(relid, column, labels[i]))
			return labels[i];
	return NULL;
}

/* All columns that the questions read. */
List *
voxanne_booking_columns(const VoxBookingQuestion *question)
{
	List	   *columns = voxanne_table_id_columns(&question->table);

	for (int role = 0; role < VOX_BOOKING_ROLES; role++)
		if (question->columns[role] != InvalidAttrNumber)
			columns = list_append_unique_int(columns, question->columns[role]);
	return columns;
}
