/*
 * src/backup/wake.h
 *		Telling the scheduler, once a transaction has committed.
 */
#ifndef VOXANNE_WAKE_H
#define VOXANNE_WAKE_H

extern void voxanne_wake_at_commit(void);
extern void voxanne_wake_suppress(void);

#endif							/* VOXANNE_WAKE_H */
