/*
 * src/locks/session.h
 *		What is known about the sessions and prepared transactions of a wait graph.
 */
#ifndef VOXANNE_SESSION_H
#define VOXANNE_SESSION_H

#include "locks/waitgraph.h"
#include "utils/backend_status.h"

typedef struct VoxSession
{
	const PgBackendStatus *status;	/* NULL: prepared transaction, or
									 * connecting */
	bool		hidden;			/* the caller may not see what it does (as in
								 * pg_stat_activity) */
	bool		superuser;		/* belongs to a superuser, or may do so */
	bool		connecting;		/* status is NULL, as it has not told yet what
								 * it is */
	Oid			database;		/* InvalidOid: none */
	Oid			userid;			/* InvalidOid: none */
	TimestampTz xact_start;		/* of a prepared transaction: when it was
								 * prepared; 0: none */
	const char *gid;			/* prepared transaction only; NULL if it is
								 * gone */
} VoxSession;

/* The activity of all sessions at one moment, valid to the end of the transaction. */
typedef struct VoxActivity
{
	bool		roles;			/* roles and memberships can be read without
								 * waiting */
	int			count;
	const PgBackendStatus **sessions;
} VoxActivity;

extern void voxanne_activity_take(VoxActivity *activity, bool roles);
extern VoxSession *voxanne_session(const VoxActivity *activity, const VoxParty *party);
extern const char *voxanne_session_state(const VoxSession *session);
extern const char *voxanne_session_type(const VoxSession *session);
extern char *voxanne_session_address(const VoxSession *session);
extern char *voxanne_session_progress(const VoxSession *session, int *percent);

#endif							/* VOXANNE_SESSION_H */
