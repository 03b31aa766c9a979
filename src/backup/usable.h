/*
 * src/backup/usable.h
 *		The newest backup of a target that was shown to be intact.
 */
#ifndef VOXANNE_USABLE_H
#define VOXANNE_USABLE_H

#include "backup/target.h"

typedef struct VoxUsable
{
	char	   *backup_id;		/* or NULL */
	TimestampTz finished_at;	/* DT_NOBEGIN: there is none, or it is not
								 * known */
	TimestampTz verified_at;	/* DT_NOBEGIN: there is none */
	int64		size_bytes;		/* -1: unknown */
	char	   *backup;			/* what the agent said of it, a JSON object,
								 * or NULL */
} VoxUsable;

extern void voxanne_find_usable(const VoxStore *store, const char *target, const char *level,
								const char *unlike_id, const char *unlike_finished_at,
								TimestampTz now, VoxUsable *usable);

#endif							/* VOXANNE_USABLE_H */
