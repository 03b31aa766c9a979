/*
 * src/backup/lane.h
 *		The two verifiers that a database may have at once.
 */
#ifndef VOXANNE_LANE_H
#define VOXANNE_LANE_H

#include "datatype/timestamp.h"

struct VoxSlot;

/* A verifier works at one level. */
typedef enum VoxLaneId
{
	VOX_LANE_STATUS,
	VOX_LANE_VERIFY
} VoxLaneId;

#define VOX_LANE_COUNT 2

/* How the last cycle ended. */
typedef enum VoxCycleEnd
{
	VOX_CYCLE_NONE,				/* there was none since the server started */
	VOX_CYCLE_RECORDED,			/* targets were verified, the log has it */
	VOX_CYCLE_NOTHING_DUE,
	VOX_CYCLE_NO_DATABASE,		/* no database of that name */
	VOX_CYCLE_NOT_CONNECTABLE,	/* the database allows no connections */
	VOX_CYCLE_NO_EXTENSION,		/* voxanne_ops is not installed there */
	VOX_CYCLE_FAILED			/* the cycle itself; see error */
} VoxCycleEnd;

/* What is known of a cycle when it ends. */
typedef struct VoxCycle
{
	uint64		generation;		/* of the slot when it began */
	uint64		turns;			/* of the other lane when it began */
	uint64		other_cycles;	/* of the other lane when a phase began, if
								 * that was idle then; see
								 * voxanne_lane_watch_other() */
	bool		held;			/* something due is left to be done after the
								 * other lane's verification */
	bool		more;			/* something due is left to another cycle */
} VoxCycle;

/* What became of the attempt to verify a target. */
typedef enum VoxTurn
{
	VOX_TURN_OURS,
	VOX_TURN_OTHER_LANE,		/* the database's other verifier has it */
	VOX_TURN_SESSION			/* somebody else has it */
} VoxTurn;

extern const char *voxanne_lane_level(VoxLaneId lane);
extern VoxLaneId voxanne_other_lane_id(VoxLaneId lane);
extern struct VoxLane *voxanne_other_lane(struct VoxSlot *slot, VoxLaneId lane);
extern bool voxanne_lane_wanted(const struct VoxSlot *slot, VoxLaneId lane, TimestampTz now);
extern VoxTurn voxanne_lane_take(struct VoxSlot *slot, VoxLaneId lane, Oid database, const char *target, TimestampTz now);
extern void voxanne_lane_leave(struct VoxSlot *slot, VoxLaneId lane, Oid database, const char *target);
extern bool voxanne_lane_end(struct VoxSlot *slot, VoxLaneId lane, const VoxCycle *cycle,
							 VoxCycleEnd end, TimestampTz next_due, const char *error, TimestampTz now);
extern void voxanne_lane_watch_other(struct VoxSlot *slot, VoxLaneId lane, VoxCycle *cycle);
extern void voxanne_lane_advise_other(struct VoxSlot *slot, VoxLaneId lane, const VoxCycle *cycle, VoxCycleEnd end,
									  TimestampTz next_due, bool held, TimestampTz now);
extern void voxanne_lane_idle(struct VoxSlot *slot, VoxLaneId lane);
extern bool voxanne_slot_idle(const struct VoxSlot *slot);
extern void voxanne_slot_free(struct VoxSlot *slot);
extern bool voxanne_lane_other_has(VoxLaneId lane, const char *target);
extern bool voxanne_lane_verifies_soon(TimestampTz now);

#endif							/* VOXANNE_LANE_H */
