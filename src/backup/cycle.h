/*
 * src/backup/cycle.h
 *		One verification cycle, in steps that hold different things.
 *
 * plan, record, claim and settle need a transaction in the watched database; run
 * and alert may take an hour and must hold none: no transaction, no snapshot,
 * and in a worker not even a connection.  So they are functions with text
 * between them, which CALL verify_backup() strings together in one backend and
 * the workers in several processes.  The texts are JSON and private to this room
 * and to the room alert, in which alert is.
 *
 * A plan is taken apart and each target run and recorded by itself, so that what
 * is known of one does not wait for the others.
 *
 * A plan is in the database's encoding.  Results, what is to be told and what
 * became of it are in UTF-8, as the agent speaks it; record and settle, which
 * have a catalog, convert.
 */
#ifndef VOXANNE_CYCLE_H
#define VOXANNE_CYCLE_H

#include "backup/lane.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* What comes next; DT_NOEND: nothing, unless something changes. */
typedef struct VoxCycleDue
{
	TimestampTz verify[VOX_LANE_COUNT]; /* when to plan again at a level */
	bool		held[VOX_LANE_COUNT];	/* something due is in the other
										 * lane's hands, and left out of that */
	TimestampTz tell;			/* when to claim again: "now" or earlier if
								 * there is something to tell */
} VoxCycleDue;

/*
 * What is due at "now" in this database at the level of a lane: the targets to
 * verify, with all that run needs to know, as JSON; NULL if nothing is.  Needs a
 * transaction; writes nothing.
 */
extern char *voxanne_cycle_plan(TimestampTz now, VoxLaneId lane, VoxCycleDue *due);

/*
 * The same for what a user asks for: one target, or for NULL all that are not
 * paused or suspended, due or not; at a level.  ERROR 42704 for an unknown
 * target, 55000 for a suspended one or if there is none to verify, 0A000 for a
 * level that a target's kind does not have.
 */
extern char *voxanne_cycle_plan_now(const char *only, const char *level);

/* A plan (char *) for each target of a plan, in the same order; whom such a plan is for. */
extern List *voxanne_cycle_parts(const char *plan);
extern char *voxanne_cycle_target(const char *plan);

/*
 * Verify what a plan names, target by target, and return the results as JSON.
 * Runs voxanne_agent; no transaction and no database connection.  A target that cannot be
 * verified gives a result that says so; ERROR only for cancel and shutdown.
 */
extern char *voxanne_cycle_run(const char *plan);
extern char *voxanne_cycle_refusal(JsonbContainer *target, const char **problem);

/*
 * Write a plan's results into backup_verification_log, one row a target and
 * the row "*", and pg_notify(), and what is to be told into alert_outbox, all
 * in the caller's transaction; prune both.  Returns whether all targets are
 * good now.  "due" is computed after the results.
 */
extern bool voxanne_cycle_record(const char *plan, const char *results, TimestampTz now, VoxCycleDue *due);

/*
 * Take what is to be told to the world once the caller's transaction has
 * committed, with a ping if that is wanted; NULL if there is neither.
 */
extern char *voxanne_cycle_claim(bool ping, TimestampTz now, VoxCycleDue *due);

/*
 * Tell it: post alerts and fetch the heartbeat's URL.  No transaction, no
 * connection.  Failures are logged; never ERROR except for cancel and shutdown.
 * voxanne_cycle_alert() returns what became of the alerts, or NULL if there
 * were none; voxanne_cycle_ping() whether there was a ping, and the reason if
 * it failed, else NULL.
 */
extern bool voxanne_cycle_has_alerts(const char *tell);
extern char *voxanne_cycle_alert(const char *tell);
extern bool voxanne_cycle_ping(const char *tell, char **problem);

/*
 * Note in alert_outbox what became of the alerts, in the caller's transaction.
 * If this never happens they count as not delivered after a while.
 */
extern void voxanne_cycle_settle(const char *outcomes, TimestampTz now, VoxCycleDue *due);

#endif							/* VOXANNE_CYCLE_H */
