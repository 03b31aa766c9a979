/*
 * src/data/booking_remedy.c
 *		What to do about double bookings: cancel the later ones, and keep new ones out.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/words.h"
#include "data/booking.h"
#include "data/duplicate.h"
#include "utils/builtins.h"

/* Calendar links below a remedy. */
#define LINKS_LISTED 20

static void fill_remedy(const VoxBookingQuestion *question, const VoxBookingGroup *group, VoxFinding *finding);
static char *count_losers(const VoxBookingGroup *group);
static char *calendar_links(const VoxBookingGroup *group);
static bool is_on_axis(const VoxBookingGroup *group, VoxBookingAxis axis);

/*
 * Advice and remedy for a group; "prevention" by axis is what would have kept
 * it out, as comments, or NULL.
 */
void
voxanne_booking_treatment(const VoxBookingQuestion *question, const VoxBookingGroup *group,
						  const char *const *prevention, VoxFinding *finding)
{
	fill_remedy(question, group, finding);
	for (int axis = 0; axis < VOX_BOOKING_AXES; axis++)
		if (prevention[axis] != NULL && finding->remedy != NULL && is_on_axis(group, (VoxBookingAxis) axis))
			finding->remedy = psprintf("%s%s", finding->remedy, prevention[axis]);
}

static bool
is_on_axis(const VoxBookingGroup *group, VoxBookingAxis axis)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, group->members)
		foreach(lc2, ((const VoxBooking *) lfirst(lc))->places)
		if (((const VoxBookingPlace *) lfirst(lc2))->axis == axis)
		return true;
	return false;
}

/* Advice and remedy: cancel the later bookings, or hide them; an appointment is never deleted. */
static void
fill_remedy(const VoxBookingQuestion *question, const VoxBookingGroup *group, VoxFinding *finding)
{
	const VoxTable *table = &question->table;
	char	   *links = calendar_links(group);
	const char *calendar = *links == '\0' ? "" : "; take what goes out of the calendar too, at the links below the remedy";
	const char *match;

	if (group->org_only)
	{
		finding->advice = "Check whether one provider is meant to do both: no appointment of this tenant names a provider, so this may be fine.";
		return;
	}
	if (table->pk == NIL)
	{
		finding->advice = "Give the table a primary key first: without one its rows are named by ctid here, which changes with every update.";
		return;
	}

	if (table->foreign)
	{
		finding->advice = "Ask which booking is meant, and cancel the other on the server that has it: there is no remedy across servers.";
		return;
	}
	if (table->rules)
	{
		finding->advice = "Ask which booking is meant, and cancel the other by hand: the table has rules (CREATE RULE), so that a statement may do something else than it says.";
		return;
	}
	match = voxanne_table_id_match(table, "gone", voxanne_member_literals(voxanne_booking_members(group->losers)));
	if (question->cancelled != NULL)
	{
		const char *status = voxanne_column_ref(table->relid, "", question->columns[VOX_ROLE_STATUS]);

		finding->advice = psprintf("Ask which booking is meant; the remedy keeps the oldest and sets the %s of %s to %s%s.",
								   status, count_losers(group), question->cancelled, calendar);
		finding->remedy = psprintf("UPDATE %s AS gone SET %s = '%s' WHERE %s AND %s;%s", table->from, status,
								   question->cancelled, match, voxanne_booking_active(question, "gone"), links);
	}
	else if (question->live_only && table->mark != NULL)
	{
		finding->advice = psprintf("Ask which booking is meant; the remedy keeps the oldest and soft-deletes %s%s.",
								   count_losers(group), calendar);
		finding->remedy = psprintf("UPDATE %s AS gone SET %s = %s WHERE %s AND %s;%s", table->from,
								   quote_identifier(table->mark->column), table->mark->deleted, match,
								   voxanne_table_live(table, "gone"), links);
	}
	else
		finding->advice = psprintf("Ask which booking is meant and move the other%s; the table has neither a status that can be set to cancelled nor a deleted_at%s, so there is no automatic remedy.",
								   *links == '\0' ? "" : ", in the calendar too",
								   table->soft_delete != NIL && table->mark == NULL ? " that can be set" : "");
}

/* "1 appointment", "2 appointments": those that the remedy cancels or hides */
static char *
count_losers(const VoxBookingGroup *group)
{
	return voxanne_count_of(list_length(group->losers), "appointment", "appointments");
}

/* The calendar entries of the bookings that go, as comments for the end of a statement. */
static char *
calendar_links(const VoxBookingGroup *group)
{
	StringInfoData buf;
	ListCell   *lc;
	int			count = 0;

	initStringInfo(&buf);
	foreach(lc, group->losers)
	{
		const VoxBooking *booking = lfirst(lc);

		if (booking->calendar == NULL || *booking->calendar == '\0' || count++ == LINKS_LISTED)
			continue;
		appendStringInfoString(&buf, voxanne_sql_comment(psprintf("calendar of %s: %s", booking->id, booking->calendar)));
	}
	return buf.data;
}

/* Bookings in the shape of find_duplicates(); at most VOX_GROUP_LISTED of them. */
List *
voxanne_booking_members(List *bookings)
{
	List	   *members = NIL;
	ListCell   *lc;

	foreach(lc, bookings)
	{
		const VoxBooking *booking = lfirst(lc);
		VoxMember  *member = palloc_object(VoxMember);

		if (foreach_current_index(lc) == VOX_GROUP_LISTED)
			break;
		member->id = booking->id;
		member->literal = booking->literal;
		members = lappend(members, member);
	}
	return members;
}
