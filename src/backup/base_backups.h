/*
 * src/backup/base_backups.h
 *		The base backups that an archive of WAL serves.
 */
#ifndef VOXANNE_BASE_BACKUPS_H
#define VOXANNE_BASE_BACKUPS_H

#include "backup/target.h"

extern char *voxanne_base_backups(const VoxStore *store, List *targets, TimestampTz now);

#endif							/* VOXANNE_BASE_BACKUPS_H */
