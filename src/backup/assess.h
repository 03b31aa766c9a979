/*
 * src/backup/assess.h
 *		How a target stands.
 */
#ifndef VOXANNE_ASSESS_H
#define VOXANNE_ASSESS_H

#include "backup/target.h"
#include "core/severity.h"

/* backup_status() and the row "*" of a cycle say the same, so they ask the same. */
typedef struct VoxTargetState
{
	VoxSeverity severity;
	const char *check;			/* name of the worst problem, or "backup_ok" */
	char	   *detail;			/* sentences, the worst problem's first */
	const char *advice;			/* or NULL */
	char	   *remedy;			/* or NULL */
	bool		active;			/* neither paused nor suspended */
} VoxTargetState;

extern void voxanne_assess_target(const VoxTarget *target, TimestampTz now, VoxTargetState *state);

#endif							/* VOXANNE_ASSESS_H */
