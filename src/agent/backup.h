/*
 * src/agent/backup.h
 *		A base backup on disk: where it is, what it holds.
 */
#ifndef VOXANNE_AGENT_BACKUP_H
#define VOXANNE_AGENT_BACKUP_H

#include "manifest.h"
#include "report.h"

/* A tablespace that the backup keeps elsewhere */
typedef struct Tablespace
{
	char	   *oid;
	char	   *location;		/* where its link leads */
	char	   *problem;		/* why it may not be followed, or NULL */
} Tablespace;

typedef struct Backup
{
	/* set by locate_backup() */
	char	   *path;
	const char *id;				/* last part of path */
	int			dir;

	/* set by read_control_file() */
	bool		control_read;
	uint64_t	system_identifier;
	char	   *server_version; /* contents of PG_VERSION, or NULL */

	/* set by read_tree() */
	Tablespace *tablespaces;
	int			n_tablespaces;

	bool		manifest_read;
	Manifest	manifest;
	int64_t		now;			/* seconds since 1970 */
} Backup;

/* in locate.c */
extern int	open_location(Report *report, const char *path);
extern bool is_within(const Options *options, int fd);
extern void allow_tablespaces(SandboxPlan *plan, const Options *options, int location);
extern bool locate_backup(Report *report, Backup *backup, int location, const char *path);

/* in control_file.c */
extern void read_control_file(Report *report, Backup *backup, uint64_t expected);

/* in tree.c */
extern void read_tree(Report *report, Backup *backup, const Options *options);
extern int	open_tablespace(const Options *options, int tblspc, Tablespace *tablespace);
extern bool is_tablespace_name(const char *name);

#endif							/* VOXANNE_AGENT_BACKUP_H */
