/*
 * src/agent/backup.h
 *		A base backup on disk: where it is, what it holds.
 */
#ifndef VOXANNE_AGENT_BACKUP_H
#define VOXANNE_AGENT_BACKUP_H

#include <limits.h>

#include "label.h"
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

/* The files of a backup that hold only pages that changed since the one before */
typedef struct IncrementalFiles
{
	Check	   *check;			/* incremental_files; NULL: there is no such
								 * file */
	uint32_t	n;
	uint32_t	unknown;		/* of which the header could not be read */
	uint64_t	bytes;
	uint64_t	pages;			/* that the whole files have at least */
} IncrementalFiles;

/* A directory that is a backup or holds backups */
typedef struct Place
{
	int			dir;
	const char *path;
} Place;

/* A backup of a chain, as the document shows it */
typedef struct ChainLink
{
	char	   *id;
	BackupStart start;
	int64_t		finished_at;	/* or NO_TIME */
	uint64_t	size;			/* of its own files */
	bool		read;			/* its manifest, so that the two above are
								 * known */
	bool		full;
	bool		broken;			/* it is damaged, or not there: nothing that
								 * builds on it can be restored */
} ChainLink;

typedef struct Backup
{
	/* set by name_backup() */
	char	   *path;
	const char *id;				/* last part of path */
	int			dir;
	bool		is_tar;			/* its files are in archives */
	BackupLabel label;
	char	   *label_problem;	/* why that is not known, or NULL */

	/* set by locate_backup() */
	Place		siblings;		/* the directory in which it was found; dir is
								 * -1 if it was named itself */

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

	IncrementalFiles incremental;

	bool		manifest_read;
	Manifest	manifest;
	int64_t		now;			/* seconds since 1970 */

	/* set by verify_chain(): this one and those it builds on, the oldest last */
	ChainLink  *chain;
	int			n_chain;
} Backup;

/* in locate.c */
extern void report_location(Report *report, const char *path, int error);
extern int	open_location(Report *report, const char *path);
extern char *real_path(int fd);
extern bool is_within(const Options *options, int fd);
extern void allow_links(SandboxPlan *plan, const Options *options, int location);
extern bool locate_backup(Report *report, Backup *backup, int location, const char *path);
extern void name_backup(Backup *backup, int dir, const char *path);
extern char *path_below(const char *directory, const char *name);
extern bool holds_backup(int dir);
extern bool holds_tar(int dir);
extern const char *const base_tars[];

#define N_BASE_TARS 4

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
extern ssize_t read_small(int dir, const char *name, void *data, size_t size, char **problem);

/* in tree.c */
extern bool is_compared(const char *path);
extern void check_presence(Report *report, const Manifest *manifest, char *const *closed, size_t n_closed);
extern void read_tree(Report *report, Backup *backup, const Options *options);

/* in incremental_files.c */
extern void add_incremental(Report *report, Backup *backup, const char *path, uint64_t size, const unsigned char *data,
							ssize_t len, bool deep);
extern void conclude_incremental(Report *report, Backup *backup);

/* in verify_backup.c */
extern void read_backup(Report *report, Backup *backup, const Options *options);

/* in prior.c */
extern bool find_prior(const Place *places, int n_places, const Backup *backup, BackupStart start, Backup *prior);

/* in chain.c */
extern bool is_chained(const Backup *backup);
extern void verify_chain(Report *report, Backup *backup, const Options *options, const Place *places, int n_places);

#endif							/* VOXANNE_AGENT_BACKUP_H */
