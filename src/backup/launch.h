/*
 * src/backup/launch.h
 *		Starting verifiers and messengers for those that need one, and missing those that never came.
 */
#ifndef VOXANNE_LAUNCH_H
#define VOXANNE_LAUNCH_H

#include "backup/slots.h"
#include "postmaster/bgworker.h"

/* The scheduler's memory of what it started. */
typedef struct VoxLauncher
{
	/* of verifiers not yet gone */
	BackgroundWorkerHandle *handles[VOX_SLOT_COUNT][VOX_LANE_COUNT];
	int			starvations;	/* starts in a row for which no process was
								 * free */
	TimestampTz hold_until;		/* no verifier is started before, unless woken */
	BackgroundWorkerHandle *messenger;	/* not yet gone, or NULL */
	int			messenger_slot; /* of that */
	TimestampTz messenger_hold; /* no messenger is started before */
} VoxLauncher;

extern void voxanne_launcher_reap(VoxLauncher *launcher);
extern void voxanne_launcher_start(VoxLauncher *launcher, TimestampTz now);
extern void voxanne_launcher_tell(VoxLauncher *launcher, TimestampTz now);
extern TimestampTz voxanne_launcher_tell_due(const VoxLauncher *launcher);
extern bool voxanne_launcher_busy(const VoxLauncher *launcher, int slot, VoxLaneId lane);

#endif							/* VOXANNE_LAUNCH_H */
