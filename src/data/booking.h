/*
 * src/data/booking.h
 *		Appointments that take the same time of the same person: what is asked, and the answer.
 */
#ifndef VOXANNE_BOOKING_H
#define VOXANNE_BOOKING_H

#include "core/finding.h"
#include "data/keyscan.h"
#include "data/reference.h"
#include "data/table.h"
#include "datatype/timestamp.h"

/* What a column of an appointments table is for. */
typedef enum VoxBookingRole
{
	VOX_ROLE_START, VOX_ROLE_END, VOX_ROLE_MINUTES, VOX_ROLE_LENGTH, VOX_ROLE_TENANT,
	VOX_ROLE_CONTACT, VOX_ROLE_PHONE, VOX_ROLE_EMAIL, VOX_ROLE_PROVIDER, VOX_ROLE_STATUS
} VoxBookingRole;

#define VOX_BOOKING_ROLES (VOX_ROLE_STATUS + 1)

/* Whose time it is.  Phone and e-mail stand in for a contact that is null. */
typedef enum VoxBookingAxis
{
	VOX_AXIS_CONTACT, VOX_AXIS_PHONE, VOX_AXIS_EMAIL, VOX_AXIS_PROVIDER,
	VOX_AXIS_ORG				/* of tenants none of whose appointments has a
								 * provider: a hint only */
} VoxBookingAxis;

#define VOX_BOOKING_AXES (VOX_AXIS_ORG + 1)

typedef struct VoxBookingQuestion
{
	VoxTable	table;
	AttrNumber	columns[VOX_BOOKING_ROLES]; /* by role; InvalidAttrNumber
											 * where there is none */
	bool		axes[VOX_BOOKING_AXES];
	Datum		tolerance;		/* interval: starts that close are alike */
	bool		overlapping;	/* also where the times only overlap */
	bool		one_tenant;
	Oid			tenant_type;	/* one_tenant: type and value */
	Datum		tenant;
	bool		has_since;
	TimestampTz since;			/* leave out what starts earlier */
	bool		live_only;
	const char *cancelled;		/* the status that cancels, or NULL */
} VoxBookingQuestion;

/* A row that conflicts with another. */
typedef struct VoxBooking
{
	char	   *id;				/* for people */
	char	   *literal;		/* for a statement; NULL in a table without
								 * primary key */
	char	   *tenant;			/* or NULL */
	TimestampTz start;
	TimestampTz near_until;		/* start and tolerance */
	bool		has_end;		/* not where the length is not positive */
	TimestampTz end;
	int64		seniority;		/* the oldest has the lowest; identifies the
								 * row */
	List	   *places;			/* of VoxBookingPlace * */

	/* set by voxanne_contacts_find(); NULL: none, or unknown */
	char	   *contact;
	char	   *contact_name;
	char	   *calendar;		/* link to its entry in a calendar */

	/* private to booking_group.c */
	int			index;
	struct VoxBookingGroup *group;	/* but for those of the axis org */
} VoxBooking;

/* Where a row conflicts: rows with the same axis and part share tenant and person. */
typedef struct VoxBookingPlace
{
	VoxBookingAxis axis;
	int64		part;
	char	   *who;
	VoxBooking *booking;
} VoxBookingPlace;

typedef enum VoxBookingKind
{
	VOX_BOOKING_EXACT,			/* all start at the same time */
	VOX_BOOKING_NEAR,			/* all start within the tolerance */
	VOX_BOOKING_OVERLAP
} VoxBookingKind;

/* Rows joined by conflicts, directly or through others. */
typedef struct VoxBookingGroup
{
	bool		org_only;		/* found by VOX_AXIS_ORG */
	VoxBookingKind kind;
	List	   *members;		/* of VoxBooking *, the oldest first */
	List	   *losers;			/* those that conflict with an older one that
								 * stays */
	TimestampTz first_start;
	TimestampTz last_start;
	TimestampTz last_end;
	char	   *identity;		/* "contact:17, provider:4" */
} VoxBookingGroup;

/* Where the names of contacts are. */
typedef struct VoxContacts
{
	const VoxReference *reference;	/* NULL: nowhere that is known */
	AttrNumber	name;
} VoxContacts;

/* booking_columns.c */
extern void voxanne_booking_find_roles(VoxBookingQuestion *question, Oid relid);
extern void voxanne_booking_choose_axes(VoxBookingQuestion *question, Oid relid, List *same);
extern const char *voxanne_booking_cancelled(const VoxBookingQuestion *question, Oid relid);

/* booking_contacts.c */
extern void voxanne_contacts_lock(VoxContacts *contacts, const VoxBookingQuestion *question, Oid relid);
extern void voxanne_contacts_find(const VoxContacts *contacts, const VoxBookingQuestion *question, List *groups);

extern const char *voxanne_booking_axis(VoxBookingAxis axis);
extern List *voxanne_booking_columns(const VoxBookingQuestion *question);
extern char *voxanne_booking_active(const VoxBookingQuestion *question, const char *alias);

/* booking_sql.c; places by axis, part and start */
extern List *voxanne_booking_ask(const VoxBookingQuestion *question,
								 VoxScanQuestion *const *found);

/* booking_remedy.c */
extern void voxanne_booking_treatment(const VoxBookingQuestion *question, const VoxBookingGroup *group,
									  const char *const *prevention, VoxFinding *finding);
extern List *voxanne_booking_members(List *bookings);

/* booking_constraint.c */
extern const char *voxanne_booking_prevention(const VoxBookingQuestion *question, VoxBookingAxis axis,
											  List *places);

/* booking_group.c */
extern List *voxanne_booking_groups(List *places, bool overlapping);

#endif							/* VOXANNE_BOOKING_H */
