/*
 * src/data/find_duplicate_appointments.c
 *		find_duplicate_appointments(): double bookings.
 *
 * A finding lists each appointment with its time and whom it is with, because
 * whoever reads it has to call one of them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "core/attempt.h"
#include "core/compat.h"
#include "core/finding.h"
#include "core/relation.h"
#include "core/words.h"
#include "data/booking.h"
#include "data/duplicate.h"
#include "data/executor.h"
#include "data/incoming.h"
#include "data/run.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* find_duplicate_appointments()'s own columns, after the finding's. */
enum
{
	COL_KIND, COL_TENANT_ID, COL_IDENTITY, COL_STARTS_AT, COL_ENDS_AT, COL_ROWS, COL_KEEP_ID,
	COL_DUPLICATE_IDS, COL_REFERENCES,
	OWN_COLS
};

/* Appointments that a detail lists. */
#define DETAIL_LISTED 4

typedef struct BookingRun
{
	VoxSink		sink;
	Oid			relid;
	int			max_groups;
	VoxBookingQuestion question;
	VoxIncoming incoming;
	VoxContacts contacts;
	List	   *listed;			/* of VoxBookingGroup *: those to be reported */
	const char *prevention[VOX_BOOKING_AXES];	/* what would prevent
												 * conflicts, by axis; or NULL */
} BookingRun;

static Oid	find_appointments(void);
static void read_filters(VoxBookingQuestion *question, Oid relid, FunctionCallInfo fcinfo);
static void read_tenant(VoxBookingQuestion *question, Oid relid, char *tenant);
static List *find_groups(BookingRun *run);
static void check_bookings(void *state);
static void name_contacts(void *state);
static VoxSeverity group_severity(const VoxBookingGroup *group);
static int	by_urgency(const ListCell *a, const ListCell *b);
static List *loser_ids(List *groups);
static void report_group(BookingRun *run, const VoxBookingGroup *group, int64 references);
static char *describe(const VoxBookingGroup *group);

VOXANNE_FUNCTION(voxanne_find_duplicate_appointments);

/*
 * find_duplicate_appointments(relation regclass, tolerance interval, overlapping boolean,
 *							   same text[], tenant text, since timestamptz,
 *							   include_deleted boolean, max_groups int)
 *
 * Locks (AccessShareLock, to the end of the transaction) the table and those
 * that reference it, without waiting.
 */
Datum
voxanne_find_duplicate_appointments(PG_FUNCTION_ARGS)
{
	BookingRun	run;
	char	   *refusal;
	int			nestlevel;

	memset(&run, 0, sizeof(run));
	run.relid = PG_ARGISNULL(0) ? find_appointments() : PG_GETARG_OID(0);
	voxanne_require_table(run.relid, "relation");
	voxanne_booking_find_roles(&run.question, run.relid);
	read_filters(&run.question, run.relid, fcinfo);
	run.max_groups = voxanne_argument_count(fcinfo, 7, "max_groups");

	nestlevel = voxanne_run_begin(&run.sink, fcinfo);
	refusal = voxanne_lock_to_read(run.relid);
	if (refusal == NULL)
	{
		voxanne_incoming_lock(&run.incoming, run.relid);
		voxanne_contacts_lock(&run.contacts, &run.question, run.relid);
	}
	voxanne_run_snapshot();
	if (refusal == NULL)
		refusal = voxanne_attempt(check_bookings, &run);
	if (refusal != NULL)
		voxanne_sink_skip(&run.sink, voxanne_run_object(run.relid), "appointments", refusal,
						  "Call find_duplicate_appointments() again once that is settled: there may be double bookings.");
	voxanne_run_end(&run.sink, nestlevel, false);
	PG_RETURN_VOID();
}

/* The table "appointments" on the caller's search_path.  ERROR 42P01 without one. */
static Oid
find_appointments(void)
{
	Oid			relid = RangeVarGetRelid(makeRangeVar(NULL, pstrdup("appointments"), -1), NoLock, true);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no relation \"appointments\" on the search_path"),
				 errdetail("That is the table looked at when argument \"relation\" is not given."),
				 errhint("Name the table: SELECT * FROM find_duplicate_appointments(relation => 'schema.table');")));
	return relid;
}

/* The arguments that say which appointments to compare, and how. */
static void
read_filters(VoxBookingQuestion *question, Oid relid, FunctionCallInfo fcinfo)
{
	Interval	zero;

	memset(&zero, 0, sizeof(zero));
	voxanne_argument_required(fcinfo, 1, "tolerance");
	question->tolerance = PG_GETARG_DATUM(1);
	if (DatumGetBool(DirectFunctionCall2(interval_lt, question->tolerance, IntervalPGetDatum(&zero))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"tolerance\" must not be negative")));
	question->overlapping = voxanne_argument_bool(fcinfo, 2, "overlapping");
	voxanne_argument_required(fcinfo, 3, "same");
	voxanne_booking_choose_axes(question, relid, voxanne_argument_names(fcinfo, 3, "same"));
	question->one_tenant = !PG_ARGISNULL(4);
	if (question->one_tenant)
		read_tenant(question, relid, text_to_cstring(PG_GETARG_TEXT_PP(4)));
	question->has_since = !PG_ARGISNULL(5);
	if (question->has_since)
		question->since = PG_GETARG_TIMESTAMPTZ(5);
	question->live_only = !voxanne_argument_bool(fcinfo, 6, "include_deleted");
}

/*
 * The argument that says whose appointments to compare, a value of the tenant's
 * column.  Not of a type that is made of others: a domain among those would run
 * its constraint, which is somebody's code, as the caller.
 */
static void
read_tenant(VoxBookingQuestion *question, Oid relid, char *tenant)
{
	AttrNumber	column = question->columns[VOX_ROLE_TENANT];
	Oid			type;
	Oid			input;
	Oid			param;

	if (column == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("%s has no tenant column, so argument \"tenant\" cannot be used", voxanne_relation_name(relid)),
				 errhint("Tenant columns are org_id, tenant_id and organization_id.")));
	type = getBaseType(voxanne_column_type(relid, column));
	if (get_typtype(type) != TYPTYPE_BASE && get_typtype(type) != TYPTYPE_ENUM)
		type = InvalidOid;
	if (!OidIsValid(type) || OidIsValid(get_base_element_type(type)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("argument \"tenant\" cannot name a tenant of %s", voxanne_relation_name(relid)),
				 errdetail("Its tenant column is of a type that is made of other types."),
				 errhint("Leave the argument out, and filter the result by tenant_id.")));
	question->tenant_type = type;
	getTypeInputInfo(type, &input, &param);
	question->tenant = OidInputFunctionCall(input, tenant, param, -1);
}

/*
 * The groups of conflicting appointments, each axis by whoever answers it.  An
 * axis that time does not suffice for is reported and left out.
 */
static List *
find_groups(BookingRun *run)
{
	VoxBookingQuestion *question = &run->question;
	VoxScanQuestion scans[VOX_BOOKING_AXES];
	VoxScanQuestion *found[VOX_BOOKING_AXES] = {NULL};
	List	   *asked = NIL;
	List	   *places;

	memset(scans, 0, sizeof(scans));
	for (int axis = 0; axis < VOX_BOOKING_AXES; axis++)
	{
		if (!question->axes[axis])
			continue;
		scans[axis].reason = voxanne_scan_booking(question, (VoxBookingAxis) axis, &scans[axis]);
		asked = lappend(asked, &scans[axis]);
	}
	voxanne_scan(asked);
	for (int axis = 0; axis < VOX_BOOKING_AXES; axis++)
	{
		const char *name = voxanne_booking_axis((VoxBookingAxis) axis);

		if (!question->axes[axis])
			continue;
		if (scans[axis].answered)
			found[axis] = &scans[axis];
		if (!scans[axis].late)
		{
			voxanne_execution_note(question->table.name, name, &scans[axis]);
			continue;
		}
		question->axes[axis] = false;
		voxanne_sink_skip(&run->sink, question->table.name, name, OUT_OF_TIME,
						  "Call find_duplicate_appointments() again with more time: there may be double bookings.");
	}
	places = voxanne_booking_ask(question, found);
	for (int axis = 0; axis < VOX_BOOKING_AXES; axis++)
		if (question->axes[axis])
			run->prevention[axis] = voxanne_booking_prevention(question, (VoxBookingAxis) axis, places);
	return voxanne_booking_groups(places, question->overlapping);
}

static void
check_bookings(void *state)
{
	BookingRun *run = state;
	VoxBookingQuestion *question = &run->question;
	List	   *groups;
	int			count;
	int64	   *references;
	char	   *refusal;
	bool		told = false;

	voxanne_table_describe(&question->table, run->relid);
	refusal = voxanne_run_refusal(run->relid, voxanne_booking_columns(question));
	if (refusal != NULL)
	{
		voxanne_sink_skip(&run->sink, question->table.name, "appointments", refusal,
						  "Call find_duplicate_appointments() as a role that may read the whole table.");
		return;
	}

	question->cancelled = voxanne_booking_cancelled(question, run->relid);
	groups = find_groups(run);
	list_sort(groups, by_urgency);
	count = list_length(groups);
	groups = list_truncate(groups, run->max_groups);
	references = voxanne_incoming_count(&run->incoming, &question->table, loser_ids(groups));
	/* without names if that fails */
	run->listed = groups;
	(void) voxanne_attempt(name_contacts, run);
	for (int i = 0; i <= list_length(groups); i++)
	{
		const VoxBookingGroup *group =
			groups != NIL && i < list_length(groups) ? list_nth(groups, i) : NULL;

		if (!told && count > list_length(groups) && (group == NULL || group_severity(group) < VOX_CRITICAL))
		{
			voxanne_sink_skip(&run->sink, question->table.name, "max_groups",
							  psprintf("%s not listed.", voxanne_count_of(count - list_length(groups), "more group of double bookings is",
																		  "more groups of double bookings are")),
							  "Raise max_groups, or call find_duplicate_appointments() again after the remedies.");
			told = true;
		}
		if (group != NULL)
			report_group(run, group, references[i]);
	}
}

/* Look up whom the listed appointments are with. */
static void
name_contacts(void *state)
{
	BookingRun *run = state;

	voxanne_contacts_find(&run->contacts, &run->question, run->listed);
}

/* Upcoming ones can still be prevented; those of the last week may still have to be explained. */
static VoxSeverity
group_severity(const VoxBookingGroup *group)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	if (group->last_start >= now)
		return group->org_only ? VOX_WARNING : VOX_CRITICAL;
	return group->last_start >= now - 7 * USECS_PER_DAY ? VOX_WARNING : VOX_INFO;
}

/* Most severe first, then the earliest, then by the keeper's age. */
static int
by_urgency(const ListCell *a, const ListCell *b)
{
	const VoxBookingGroup *left = lfirst(a);
	const VoxBookingGroup *right = lfirst(b);
	VoxSeverity left_severity = group_severity(left);
	VoxSeverity right_severity = group_severity(right);
	int64		left_age = ((VoxBooking *) linitial(left->members))->seniority;
	int64		right_age = ((VoxBooking *) linitial(right->members))->seniority;

	if (left_severity != right_severity)
		return left_severity > right_severity ? -1 : 1;
	if (left->first_start != right->first_start)
		return left->first_start < right->first_start ? -1 : 1;
	if (left_age != right_age)
		return left_age < right_age ? -1 : 1;
	return (int) left->org_only - (int) right->org_only;
}

/* The ids (char *) of each group's rows that should go. */
static List *
loser_ids(List *groups)
{
	List	   *ids = NIL;
	ListCell   *lc;

	foreach(lc, groups)
	{
		List	   *of_group = NIL;
		ListCell   *lc2;

		foreach(lc2, ((VoxBookingGroup *) lfirst(lc))->losers)
			of_group = lappend(of_group, ((VoxBooking *) lfirst(lc2))->id);
		ids = lappend(ids, of_group);
	}
	return ids;
}

static void
report_group(BookingRun *run, const VoxBookingGroup *group, int64 references)
{
	static const char *const kinds[] = {
		[VOX_BOOKING_EXACT] = "exact",
		[VOX_BOOKING_NEAR] = "near",
		[VOX_BOOKING_OVERLAP] = "overlap",
	};
	const VoxTable *table = &run->question.table;
	const VoxBooking *keeper = linitial(group->members);
	Datum		own[OWN_COLS];
	bool		own_null[OWN_COLS] = {false};
	VoxFinding	finding = {
		.severity = group_severity(group),
		.object = table->name,
		.detail = describe(group),
		.key = voxanne_finding_key(group->org_only ? "overlapping_appointments" : "duplicate_appointments",
								   table->name, keeper->id),
	};

	voxanne_booking_treatment(&run->question, group, run->prevention, &finding);
	own[COL_KIND] = CStringGetTextDatum(kinds[group->kind]);
	own_null[COL_TENANT_ID] = keeper->tenant == NULL;
	own[COL_TENANT_ID] = keeper->tenant == NULL ? (Datum) 0 : CStringGetTextDatum(keeper->tenant);
	own[COL_IDENTITY] = CStringGetTextDatum(group->identity);
	own[COL_STARTS_AT] = TimestampTzGetDatum(group->first_start);
	own[COL_ENDS_AT] = TimestampTzGetDatum(group->last_end);
	own[COL_ROWS] = Int32GetDatum(list_length(group->members));
	own[COL_KEEP_ID] = CStringGetTextDatum(keeper->id);
	own[COL_DUPLICATE_IDS] = voxanne_member_ids(lcons(NULL, voxanne_booking_members(group->losers)));
	own[COL_REFERENCES] = Int64GetDatum(references);
	own_null[COL_REFERENCES] = run->incoming.unknown != NULL;
	voxanne_sink_add(&run->sink, &finding, own, own_null);
}

/* One sentence with the appointments' ids and times, in the session's time zone. */
static char *
describe(const VoxBookingGroup *group)
{
	static const char *const verbs[] = {
		[VOX_BOOKING_EXACT] = "start at the same time",
		[VOX_BOOKING_NEAR] = "start at almost the same time",
		[VOX_BOOKING_OVERLAP] = "overlap",
	};
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%d appointments of %s %s: ", list_length(group->members),
					 group->identity, verbs[group->kind]);
	foreach(lc, group->members)
	{
		const VoxBooking *booking = lfirst(lc);

		if (foreach_current_index(lc) == DETAIL_LISTED)
		{
			appendStringInfo(&buf, " and %d more", list_length(group->members) - DETAIL_LISTED);
			break;
		}
		appendStringInfo(&buf, "%s%s at %s", foreach_current_index(lc) > 0 ? ", " : "",
						 booking->id, timestamptz_to_str(booking->start));
		if (booking->has_end && TIMESTAMP_IS_NOEND(booking->end))
			appendStringInfoString(&buf, " without end");
		else if (booking->has_end)
			appendStringInfo(&buf, " for %g min", (double) (booking->end - booking->start) / USECS_PER_MINUTE);
		if (booking->contact_name != NULL)
			appendStringInfo(&buf, " with %s", booking->contact_name);
		else if (booking->contact != NULL && strstr(group->identity, "contact:") == NULL)
			appendStringInfo(&buf, " with contact %s", booking->contact);
	}
	appendStringInfoChar(&buf, '.');
	return buf.data;
}
