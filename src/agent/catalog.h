/*
 * src/agent/catalog.h
 *		What a backup tool says of its backups.
 *
 * A tool is a row of the table in verify_catalog.c and a file catalog_NAME.c.
 */
#ifndef VOXANNE_AGENT_CATALOG_H
#define VOXANNE_AGENT_CATALOG_H

#include "history.h"
#include "program.h"

/* A backup of the list; what is not known is NULL, 0, or -1 for times and sizes */
typedef struct CatalogBackup
{
	char	   *id;
	char	   *type;			/* full, diff, incr, or the tool's own word */
	char	   *prior;			/* id of the backup that this one builds on */
	char	   *root;			/* where its chain begins, as far as that is
								 * there */
	char	  **references;		/* all that it needs, where the tool says so */
	int			n_references;
	int64_t		started_at;		/* seconds since 1970 */
	int64_t		finished_at;
	int64_t		size;			/* of all that it would restore */
	int64_t		stored;			/* that it added to the repository */
	char	   *status;			/* the tool's word for its state */
	char	   *retention;		/* and for whether it is still wanted */
	char	   *start_wal;		/* segments */
	char	   *stop_wal;
	uint64_t	start_lsn;
	uint64_t	stop_lsn;
	int64_t		timeline;
	uint64_t	system_identifier;

	/* said by the tool, in its words and then in ours */
	bool		complete;		/* it is a backup, not one in progress or
								 * failed */
	bool		waiting;		/* complete, but for WAL that has to come */
	bool		failed;
	bool		bad_pages;		/* met bad page checksums when it was made */

	/* found by judge_catalog() */
	bool		foreign;		/* of another cluster */
	const char *missing;		/* a backup that it needs and that is not
								 * there */
	const char *broken;			/* a backup that it needs and that is bad */

	/* only to find the cluster's identifier with */
	int64_t		database;
	int64_t		repository;
} CatalogBackup;

typedef struct Catalog
{
	const struct CatalogTool *tool;
	const char *name;			/* of the stanza, server, configuration */
	bool		named;			/* the tool knows that name */
	bool		in_progress;	/* a backup is being taken */
	CatalogBackup *backups;
	int			n_backups;
	char	   *remark;			/* of the tool on the whole, or NULL */
	char	   *behind;			/* what the repository shows where the list is
								 * empty, or NULL */
	bool		inconsistent;	/* what it remarks is amiss, though there are
								 * backups */
	char	   *unreadable;		/* why it could not look, or NULL */
	char	   *last_wal;		/* newest segment that it lists, or NULL */
	const CatalogBackup *found; /* the newest that is complete and of this
								 * cluster, or NULL */
} Catalog;

#define MAX_PROGRAM_RUNS 2
#define MAX_PROGRAM_ARGUMENTS 12

typedef struct CatalogTool
{
	const char *name;
	const char *title;			/* to begin a sentence */
	const char *noun;			/* what the location is the name of */
	int			runs;

	/*
	 * Fill argv (argv[0] is there) for a run; "config" may be NULL.  Returns
	 * the number of arguments.
	 */
	int			(*arguments) (const char **argv, int run, const char *config, const char *name);

	/*
	 * Read what the runs printed; NULL, or what is wrong with it.  A run that
	 * failed is the tool's to judge if it "speaks" of that on standard
	 * output.
	 */
	const char *(*read) (Catalog *catalog, const ProgramOutput *outputs);
	bool		speaks;

	/*
	 * Look at the files of a backup in the repository's directory of backups;
	 * what was shown, or NULL.  NULL: that cannot be done.
	 */
	const char *(*verify_files) (Report *report, const Options *options, int backups, const char *id);
	bool		whole;			/* with those of what it builds on */

	const char *layout;			/* of its archive of WAL */

	/* Where the archive is below a repository, if that exists */
	const char *place;
	bool		named;			/* followed by the name */
} CatalogTool;

extern const CatalogTool pgbackrest_tool;
extern const CatalogTool barman_tool;
extern const CatalogTool walg_tool;

/* To be used in tables of what to read of a backup */
#define BACKUP(member) offsetof(CatalogBackup, member)

/* Longest text in a list */
#define MAX_CATALOG_TEXT 65536

/* in catalog_read.c */
extern CatalogBackup *read_catalog_backup(JsonReader *r, JsonToken token, Catalog *catalog, const JsonField *fields);
extern const char *read_catalog_array(Catalog *catalog, const ProgramOutput *output,
									  void (*element) (JsonReader *r, JsonToken token, Catalog *catalog));
extern int64_t catalog_timeline(const char *segment);
extern CatalogBackup *find_catalog_backup(const Catalog *catalog, const char *id);

/* in catalog.c */
extern void judge_catalog(Report *report, Catalog *catalog, uint64_t system_identifier, int64_t now);
extern void print_catalog(JsonWriter *w, const Catalog *catalog, int64_t now);

#endif							/* VOXANNE_AGENT_CATALOG_H */
