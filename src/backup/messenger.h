/*
 * src/backup/messenger.h
 *		The worker that tells the world what there is to tell of one database.
 */
#ifndef VOXANNE_MESSENGER_H
#define VOXANNE_MESSENGER_H

#include "fmgr.h"

/* What the scheduler gives a messenger on its way, in bgw_extra. */
typedef struct VoxMessengerOrder
{
	int			slot;			/* index */
	uint64		launch;			/* the slot's tell_launch; another one by now:
								 * the order is void */
} VoxMessengerOrder;

extern PGDLLEXPORT void voxanne_messenger_main(Datum argument);

#endif							/* VOXANNE_MESSENGER_H */
