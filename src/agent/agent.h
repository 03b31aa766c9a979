/*
 * src/agent/agent.h
 *		voxanne_agent: what its commands share.
 *
 * A stand-alone program: no header of the server, no memory of the server.
 * docs/agent.md is the contract about options, documents and exit statuses.
 */
#ifndef VOXANNE_AGENT_H
#define VOXANNE_AGENT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* The same number as VOX_AGENT_PROTOCOL of src/child/child.h */
#define AGENT_PROTOCOL 1

/* Items of one check that are printed; the others are counted. */
#define MAX_ITEMS 20

typedef enum ExitStatus
{
	EXIT_OK = 0,				/* success or warning */
	EXIT_FAILED = 1,			/* the checks ran, and one failed */
	EXIT_USAGE = 2,
	EXIT_NOT_RUN = 3			/* the checks could not run */
} ExitStatus;

/* How our reading stands against that of others at the storage. */
typedef enum IoPriority
{
	IO_IDLE,					/* only when nobody else wants to read */
	IO_LOW,						/* after the others */
	IO_NORMAL					/* like the others */
} IoPriority;

/* Options of all commands; a command rejects those that it does not list. */
typedef struct Options
{
	bool		json;
	pid_t		parent;			/* who must be our parent, or 0: do not care */
	const char *path;			/* the one operand, or NULL */
	const char *level;
	uint64_t	system_identifier;	/* 0: unknown */
	const char **within;		/* real paths of directories that must hold
								 * what is read */
	int			n_within;
	const char **priors;		/* backups that one may build on, or
								 * directories of them */
	int			n_priors;
	int			jobs;			/* threads that read; 0: as many as there are
								 * processors, but see MAX_DEFAULT_JOBS */
	uint64_t	rate;			/* bytes a second, 0: no limit */
	IoPriority	io_priority;
	bool		progress;		/* tell on standard error how far it is */
	const char **tables;		/* that a dump must have, as SQL writes them */
	int			n_tables;
	const char *remembered;		/* digest, size, time and id of a dump that
								 * was verified before, or NULL */
	const char **backups;		/* that need an archive, as --backup takes
								 * them */
	int			n_backups;
	const char **seen_backups;	/* likewise --seen-backup */
	int			n_seen_backups;
	const char *server_position;	/* up to where the server has written */
	const char *server_wal;		/* its pg_wal, or NULL */
	uint32_t	wal_segment_size;	/* 0: unknown */
	uint64_t	pitr_window;	/* seconds that a restore is wanted to go
								 * back, or 0 */

	/* of verify-catalog */
	const char *tool;
	const char *program;		/* absolute path, or NULL */
	const char *config;			/* what the program is to be given as its
								 * configuration, or NULL */
	const char *repository;		/* directory of the tool's, or NULL */
	uint64_t	timeout_ms;		/* for the program */
} Options;

#define MAX_JOBS 64
#define MAX_DEFAULT_JOBS 4

typedef struct Command
{
	const char *name;
	const char *operand;		/* as the usage shows it, or NULL: takes none */
	const char *summary;
	const char *const *options; /* names that it takes besides --format and
								 * --parent */
	ExitStatus	(*run) (const Options *options);
} Command;

extern const Command verify_backup_command;
extern const Command verify_catalog_command;
extern const Command verify_dump_command;
extern const Command verify_wal_command;
extern const Command fetch_command;
extern const Command post_command;
extern const Command list_command;

extern const char *describe_errno(int error);

/* in memory.c */
extern void *xmalloc(size_t size);
extern void *xrealloc(void *old, size_t size);
extern char *xstrdup(const char *str);
extern char *format(const char *fmt,...) __attribute__((format(printf, 1, 2)));
extern char *vformat(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

#endif							/* VOXANNE_AGENT_H */
