/*
 * src/backup/scheduler.h
 *		The one worker that is always there and decides when to verify.
 */
#ifndef VOXANNE_SCHEDULER_H
#define VOXANNE_SCHEDULER_H

#include "fmgr.h"

extern void voxanne_scheduler_register(void);
extern PGDLLEXPORT void voxanne_scheduler_main(Datum argument);

#endif							/* VOXANNE_SCHEDULER_H */
