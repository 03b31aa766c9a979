/*
 * src/data/booking_group.c
 *		Conflicting appointments joined into groups, and which of them should go.
 *
 * A group is what conflicts connect, across persons: an appointment that
 * collides with one of the same contact and with another of the same provider
 * is in one group with both, so that two remedies never cancel more than is
 * needed.  In a group the oldest stays, and after it every one that does not
 * collide with one that stays.
 */
#include "postgres.h"

#include "core/compat.h"
#include "data/booking.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* Persons named in a group's identity. */
#define IDENTITY_LISTED 3

/* Bookings of some axes, and which of them conflicts connect (a union-find forest). */
typedef struct Forest
{
	VoxBooking **bookings;
	int		   *parents;
	int			count;
} Forest;

static List *places_on(List *places, bool org_only);
static List *connected_groups(List *places, bool org_only, bool overlapping);
static void plant(Forest *forest, List *places);
static void connect_places(Forest *forest, List *places, bool overlapping);
static int	find_root(Forest *forest, int i);
static void connect(Forest *forest, const VoxBooking *a, const VoxBooking *b);
static void describe_group(VoxBookingGroup *group, bool overlapping);
static bool conflicts_with_any(const VoxBookingGroup *group, const VoxBooking *booking, List *others, bool overlapping);
static bool share_place(const VoxBookingGroup *group, const VoxBooking *a, const VoxBooking *b);
static bool within_one_group(List *bookings);
static char *group_identity(const VoxBookingGroup *group);
static int	by_seniority(const ListCell *a, const ListCell *b);
static int	by_axis(const ListCell *a, const ListCell *b);

/*
 * The groups (VoxBookingGroup *) in places that are ordered by axis, part and
 * start.  A group of the axis org all of whose rows are in one other group is
 * left out: it says less about the same rows.
 */
List *
voxanne_booking_groups(List *places, bool overlapping)
{
	List	   *groups = connected_groups(places_on(places, false), false, overlapping);
	ListCell   *lc;

	foreach(lc, groups)
	{
		VoxBookingGroup *group = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, group->members)
			((VoxBooking *) lfirst(lc2))->group = group;
	}
	foreach(lc, connected_groups(places_on(places, true), true, overlapping))
	{
		VoxBookingGroup *group = lfirst(lc);

		if (!within_one_group(group->members))
			groups = lappend(groups, group);
	}
	return groups;
}

static List *
places_on(List *places, bool org_only)
{
	List	   *chosen = NIL;
	ListCell   *lc;

	foreach(lc, places)
	{
		if ((((VoxBookingPlace *) lfirst(lc))->axis == VOX_AXIS_ORG) == org_only)
			chosen = lappend(chosen, lfirst(lc));
	}
	return chosen;
}

static List *
connected_groups(List *places, bool org_only, bool overlapping)
{
	List	   *groups = NIL;
	Forest		forest;
	VoxBookingGroup **by_root;
	ListCell   *lc;

	plant(&forest, places);
	connect_places(&forest, places, overlapping);

	by_root = palloc0_array(VoxBookingGroup *, forest.count + 1);
	for (int i = 0; i < forest.count; i++)
	{
		int			root = find_root(&forest, i);

		CHECK_FOR_INTERRUPTS();
		if (by_root[root] == NULL)
		{
			by_root[root] = palloc0_object(VoxBookingGroup);
			by_root[root]->org_only = org_only;
			groups = lappend(groups, by_root[root]);
		}
		by_root[root]->members = lappend(by_root[root]->members, forest.bookings[i]);
	}
	foreach(lc, groups)
		describe_group(lfirst(lc), overlapping);
	return groups;
}

/* Every booking a tree of its own. */
static void
plant(Forest *forest, List *places)
{
	ListCell   *lc;

	forest->bookings = palloc_array(VoxBooking *, list_length(places) + 1);
	forest->parents = palloc_array(int, list_length(places) + 1);
	forest->count = 0;
	foreach(lc, places)
		((VoxBookingPlace *) lfirst(lc))->booking->index = -1;
	foreach(lc, places)
	{
		VoxBooking *booking = ((VoxBookingPlace *) lfirst(lc))->booking;

		if (booking->index < 0)
		{
			booking->index = forest->count++;
			forest->bookings[booking->index] = booking;
			forest->parents[booking->index] = booking->index;
		}
	}
}

/*
 * Sweep each part in order of start.  Whatever a row overlaps, it also
 * overlaps the one that ends last, so connecting the two is enough.
 */
static void
connect_places(Forest *forest, List *places, bool overlapping)
{
	const VoxBookingPlace *before = NULL;
	const VoxBooking *reach = NULL;
	ListCell   *lc;

	foreach(lc, places)
	{
		const VoxBookingPlace *place = lfirst(lc);
		const VoxBooking *booking = place->booking;

		if (before != NULL && (before->axis != place->axis || before->part != place->part))
		{
			before = NULL;
			reach = NULL;
		}
		if (before != NULL && booking->start <= before->booking->near_until)
			connect(forest, booking, before->booking);
		if (overlapping && booking->has_end)
		{
			if (reach != NULL && booking->start < reach->end)
				connect(forest, booking, reach);
			if (reach == NULL || booking->end > reach->end)
				reach = booking;
		}
		before = place;
	}
}

/* With path halving. */
static int
find_root(Forest *forest, int i)
{
	while (forest->parents[i] != i)
	{
		forest->parents[i] = forest->parents[forest->parents[i]];
		i = forest->parents[i];
	}
	return i;
}

static void
connect(Forest *forest, const VoxBooking *a, const VoxBooking *b)
{
	forest->parents[find_root(forest, a->index)] = find_root(forest, b->index);
}

/* Fill in all but the members, and put those in order. */
static void
describe_group(VoxBookingGroup *group, bool overlapping)
{
	List	   *staying = NIL;
	bool		near = true;
	ListCell   *lc;

	list_sort(group->members, by_seniority);
	group->first_start = PG_INT64_MAX;
	group->last_start = group->last_end = PG_INT64_MIN;
	foreach(lc, group->members)
	{
		VoxBooking *booking = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		group->first_start = Min(group->first_start, booking->start);
		group->last_start = Max(group->last_start, booking->start);
		group->last_end = Max(group->last_end, booking->has_end ? booking->end : booking->start);
		if (conflicts_with_any(group, booking, staying, overlapping))
			group->losers = lappend(group->losers, booking);
		else
			staying = lappend(staying, booking);
	}
	foreach(lc, group->members)
	{
		if (((VoxBooking *) lfirst(lc))->near_until < group->last_start)
			near = false;
	}
	group->kind = group->first_start == group->last_start ? VOX_BOOKING_EXACT :
		near || !overlapping ? VOX_BOOKING_NEAR : VOX_BOOKING_OVERLAP;
	group->identity = group_identity(group);
}

/* Does the booking take the same person's time as one of the others? */
static bool
conflicts_with_any(const VoxBookingGroup *group, const VoxBooking *booking, List *others, bool overlapping)
{
	ListCell   *lc;

	foreach(lc, others)
	{
		const VoxBooking *other = lfirst(lc);
		const VoxBooking *first = booking->start <= other->start ? booking : other;
		const VoxBooking *second = first == booking ? other : booking;

		if ((second->start <= first->near_until ||
			 (overlapping && first->has_end && second->has_end && second->start < first->end)) &&
			share_place(group, booking, other))
			return true;
	}
	return false;
}

/* Are both in one part?  A group's conflicts are either of the axis org or of the others. */
static bool
share_place(const VoxBookingGroup *group, const VoxBooking *a, const VoxBooking *b)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, a->places)
	{
		const VoxBookingPlace *left = lfirst(lc);

		foreach(lc2, b->places)
		{
			const VoxBookingPlace *right = lfirst(lc2);

			if (left->axis == right->axis && left->part == right->part &&
				(left->axis == VOX_AXIS_ORG) == group->org_only)
				return true;
		}
	}
	return false;
}

static bool
within_one_group(List *bookings)
{
	const VoxBookingGroup *group = ((VoxBooking *) linitial(bookings))->group;
	ListCell   *lc;

	foreach(lc, bookings)
	{
		if (((VoxBooking *) lfirst(lc))->group != group)
			return false;
	}
	return group != NULL;
}

/* Whose time it is: "contact:17, provider:4". */
static char *
group_identity(const VoxBookingGroup *group)
{
	List	   *persons = NIL;
	StringInfoData buf;
	ListCell   *lc;

	foreach(lc, group->members)
	{
		ListCell   *lc2;

		foreach(lc2, ((VoxBooking *) lfirst(lc))->places)
		{
			VoxBookingPlace *place = lfirst(lc2);
			ListCell   *lc3;
			bool		known = false;

			foreach(lc3, persons)
				known |= by_axis(lc2, lc3) == 0;
			if (!known && (place->axis == VOX_AXIS_ORG) == group->org_only &&
				list_length(persons) <= IDENTITY_LISTED)
				persons = lappend(persons, place);
		}
	}
	list_sort(persons, by_axis);

	initStringInfo(&buf);
	foreach(lc, persons)
	{
		const VoxBookingPlace *place = lfirst(lc);

		if (foreach_current_index(lc) == IDENTITY_LISTED)
			appendStringInfoString(&buf, ", ...");
		else
			appendStringInfo(&buf, "%s%s:%s", buf.len > 0 ? ", " : "", voxanne_booking_axis(place->axis), place->who);
	}
	return buf.data;
}

static int
by_seniority(const ListCell *a, const ListCell *b)
{
	int64		left = ((VoxBooking *) lfirst(a))->seniority;
	int64		right = ((VoxBooking *) lfirst(b))->seniority;

	return left < right ? -1 : left > right;
}

static int
by_axis(const ListCell *a, const ListCell *b)
{
	const VoxBookingPlace *left = lfirst(a);
	const VoxBookingPlace *right = lfirst(b);

	if (left->axis != right->axis)
		return left->axis < right->axis ? -1 : 1;
	return left->part < right->part ? -1 : left->part > right->part;
}
