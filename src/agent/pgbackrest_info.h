/*
 * src/agent/pgbackrest_info.h
 *		The files in which pgBackRest describes a repository.
 */
#ifndef VOXANNE_AGENT_PGBACKREST_INFO_H
#define VOXANNE_AGENT_PGBACKREST_INFO_H

#include "digest.h"
#include "report.h"

/* What can be had of a file and its copy, the best of both */
typedef enum InfoState
{
	INFO_WHOLE,					/* one of them, at least */
	INFO_ENCRYPTED,
	INFO_UNREADABLE,			/* by us: that says nothing about it */
	INFO_DAMAGED				/* or not there */
} InfoState;

/* Takes a line of a file that is whole; NULL, or what is wrong with it. */
typedef const char *(*InfoTaker) (void *state, const char *section, const char *key, const char *value, size_t len);

/* Checksums of a file, in hexadecimal */
typedef struct InfoChecksum
{
	char		computed[2 * MAX_DIGEST_SIZE + 1];
	char		stated[2 * MAX_DIGEST_SIZE + 1];	/* empty: none */
} InfoChecksum;

extern const char *scan_info(FILE *in, InfoTaker take, void *state, InfoChecksum *checksum);
extern InfoState read_info(int dir, const char *name, Check *copies, InfoTaker take, void *state, const char **problem);
extern void check_info_files(Report *report, int archive, int backups);

#endif							/* VOXANNE_AGENT_PGBACKREST_INFO_H */
