/*
 * src/backup/alerts.h
 *		What the room alert does within this room's transactions.
 *
 * Each works in an opened store.  Callers that write hold backup_target in
 * SHARE UPDATE EXCLUSIVE mode, so that of two cycles one sees what the other
 * has told.
 */
#ifndef VOXANNE_ALERTS_H
#define VOXANNE_ALERTS_H

#include "backup/target.h"

/*
 * Put into alert_outbox what there is to tell of the targets, of which those
 * with verified_at = now have just been verified.
 */
extern void voxanne_alerts_raise(VoxStore *store, List *targets, TimestampTz now);

/*
 * Take the alerts that are due, as though their delivery were to fail, and
 * return them for voxanne_cycle_alert(), with a ping if that is wanted; NULL if
 * there is neither.
 */
extern char *voxanne_alerts_claim(VoxStore *store, TimestampTz now, bool ping);

/* When there is next something to raise or to deliver; DT_NOEND: never. */
extern TimestampTz voxanne_alerts_due(VoxStore *store, List *targets, TimestampTz now);

/* Note what became of claimed alerts; "outcomes" is in the database's encoding. */
extern void voxanne_alerts_settle(VoxStore *store, const char *outcomes, TimestampTz now);

/* Delete what was delivered long ago. */
extern void voxanne_alerts_prune(VoxStore *store, TimestampTz now);

#endif							/* VOXANNE_ALERTS_H */
