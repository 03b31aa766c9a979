/*
 * src/agent/repository_files.h
 *		The files of a backup in a tool's repository.
 */
#ifndef VOXANNE_AGENT_REPOSITORY_FILES_H
#define VOXANNE_AGENT_REPOSITORY_FILES_H

#include "backup.h"

/* in pgbackrest_files.c */
extern const char *verify_pgbackrest_files(Report *report, const Options *options, int backups, const char *id);

/* in barman_files.c */
extern const char *verify_barman_files(Report *report, const Options *options, int server, const char *id);

#endif							/* VOXANNE_AGENT_REPOSITORY_FILES_H */
