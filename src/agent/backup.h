/*
 * src/agent/backup.h
 *		A base backup on disk: where it is, what it holds.
 */
#ifndef VOXANNE_AGENT_BACKUP_H
#define VOXANNE_AGENT_BACKUP_H

#include <limits.h>

#include "manifest.h"
#include "report.h"

/* A tablespace that the backup keeps elsewhere */
typedef struct Tablespace
{
	char	   *oid;
	char	   *location;		/* where its link leads */
	char	   *problem;		/* why it may not be followed, or NULL */
} Tablespace;

/* How the cluster's files are laid out, from pg_control */
typedef struct Layout
{
	bool		known;			/* else the rest means nothing */
	uint32_t	page_size;
	uint32_t	segment_pages;	/* pages in one file of a relation */
	uint32_t	wal_page_size;
	uint32_t	wal_segment_size;
	uint32_t	checksum_version;	/* of data pages, 0: they have none */
} Layout;

typedef struct Backup
{
	/* set by locate_backup() */
	char	   *path;
	const char *id;				/* last part of path */
	int			dir;
	bool		is_tar;			/* its files are in archives */

	/* set by read_control_file() */
	bool		control_read;
	uint64_t	system_identifier;
	char	   *server_version; /* contents of PG_VERSION, or NULL */
	Layout		layout;
	bool		odd_layout;		/* another one than was assumed when pages
								 * were looked at */

	/* set by read_tree() */
	Tablespace *tablespaces;
	int			n_tablespaces;

	bool		manifest_read;
	Manifest	manifest;
	int64_t		now;			/* seconds since 1970 */
} Backup;

/* in locate.c */
extern void report_location(Report *report, const char *path, int error);
extern int	open_location(Report *report, const char *path);
extern char *real_path(int fd);
extern bool is_within(const Options *options, int fd);
extern void allow_links(SandboxPlan *plan, const Options *options, int location);
extern bool locate_backup(Report *report, Backup *backup, int location, const char *path);

/* in control_file.c */
extern void read_control_file(Report *report, Backup *backup, uint64_t expected);
extern void take_version(Backup *backup, char *str);
extern void take_control_file(Report *report, Backup *backup, uint64_t expected, const unsigned char *data, ssize_t len,
							  const char *problem);

#define CONTROL_FILE_SIZE 8192

/* The directory in which a file was opened last; zeroed: none */
typedef struct LastDirectory
{
	bool		open;
	int			fd;
	size_t		len;
	char		path[PATH_MAX];
} LastDirectory;

/* in paths.c */
extern bool is_tablespace_name(const char *name);
extern int	open_link(const Options *options, int dir, const char *name, char **location, char **problem);
extern int	open_wal_directory(const Options *options, int dir, char **problem);
extern int	open_file(const Backup *backup, const Options *options, LastDirectory *last, const char *path);
extern void close_last_directory(LastDirectory *last);

/* in tree.c */
extern bool is_compared(const char *path);
extern void check_presence(Report *report, const Manifest *manifest, char *const *closed, size_t n_closed);
extern void read_tree(Report *report, Backup *backup, const Options *options);

#endif							/* VOXANNE_AGENT_BACKUP_H */
