/*
 * src/agent/archive_backups.h
 *		What an archive says about the backups that need it.
 */
#ifndef VOXANNE_AGENT_ARCHIVE_BACKUPS_H
#define VOXANNE_AGENT_ARCHIVE_BACKUPS_H

#include "wal_archive.h"

extern bool is_encrypted(int fd);
extern char *read_archive_text(const Archive *archive, int dir, const char *name, char **problem, bool *opaque);
extern void read_pgbackrest_backups(Archive *archive, Check *check);
extern void read_barman_backups(Archive *archive, Check *check);
extern bool read_backup_history(Archive *archive, const char *name, const char *text);

#endif							/* VOXANNE_AGENT_ARCHIVE_BACKUPS_H */
