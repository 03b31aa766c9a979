/*
 * src/alert/alert.h
 *		What the files of this room share.
 */
#ifndef VOXANNE_ALERT_H
#define VOXANNE_ALERT_H

#include "backup/assess.h"
#include "backup/target.h"
#include "core/json.h"

/* Why there is something to tell. */
typedef enum VoxAlertEvent
{
	VOX_ALERT_NONE,
	VOX_ALERT_PROBLEM,			/* bad, or bad in another way than was told */
	VOX_ALERT_REMINDER,			/* as bad as was told some time ago */
	VOX_ALERT_RECOVERY,			/* good, and bad was told */
	VOX_ALERT_REMOVAL			/* bad was told, and the target is gone */
} VoxAlertEvent;

/* The latest word on a problem that is not over: the row of alert_outbox with "open". */
typedef struct VoxEpisode
{
	char	   *subject;
	char	   *key;
	VoxSeverity severity;
	TimestampTz since;
	TimestampTz sent_at;		/* DT_NOBEGIN: not delivered yet */
} VoxEpisode;

/* An alert to be. */
typedef struct VoxAlert
{
	VoxAlertEvent event;
	const char *subject;
	const char *key;
	VoxSeverity severity;
	const VoxEpisode *before;	/* what was told, or NULL */
	const VoxTarget *target;	/* NULL: it is gone */
	const VoxTargetState *state;	/* NULL: it is gone */
	TimestampTz now;
	char	   *message;		/* set by voxanne_alert_compose() */
	char	   *details;		/* likewise, JSON */
} VoxAlert;

extern const char *voxanne_alert_event_name(VoxAlertEvent event);
extern void voxanne_alert_compose(VoxStore *store, VoxAlert *alert);
extern char *voxanne_alert_prefix(const char *severity, const char *subject, const char *database);
extern bool voxanne_alert_post(const char *message, const char *id, JsonbContainer *details,
							   char **outcome, char **answer, int64 *retry_after);

/* After this many milliseconds of posting no further alert is begun. */
#define VOX_ALERT_BUDGET 30000

/* Longest outcome that is kept, in bytes. */
#define VOX_OUTCOME_MAX 500

/* No attempt is put off for longer, so a later one was set by a clock that was wrong. */
#define VOX_LONGEST_WAIT (2 * USECS_PER_HOUR)

#endif							/* VOXANNE_ALERT_H */
