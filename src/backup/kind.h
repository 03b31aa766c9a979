/*
 * src/backup/kind.h
 *		Kinds of backups: how each is named, located and verified.
 */
#ifndef VOXANNE_KIND_H
#define VOXANNE_KIND_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* What a kind needs to know for one verification; no catalog at hand. */
typedef struct VoxVerification
{
	const char *location;
	const char *level;
	const char *system_identifier;	/* of the cluster whose backup it must be;
									 * NULL: of any */
	List	   *directories;	/* char *: where it may lie */
	List	   *critical_tables;	/* char *, quoted as in SQL, with a schema
									 * or without; NIL: none are named */
	int64		pitr_window;	/* microseconds, or 0: none is asked for */
	const char *repository;		/* directory of the tool that keeps the
								 * backup, or NULL */
	int64		time_limit;		/* microseconds, after which the agent is
								 * ended */
	List	   *base_backups;	/* char *: that need an archive, as the
								 * agent's option --seen-backup takes them */
	JsonbContainer *previous;	/* what the agent last said of the target's
								 * backup at level verify, or NULL */
} VoxVerification;

typedef struct VoxKind
{
	const char *name;
	const char *summary;		/* completes "basebackup: ..." in a hint */
	const char *const *levels;	/* that it can be verified at, cheap first;
								 * NULL-terminated */
	const char *const *proofs;	/* what each of them shows, at most */
	const char *command;		/* of voxanne_agent, as its documents name it */
	const char *const *options; /* of the options that not all kinds have,
								 * those that it has; NULL-terminated */

	/*
	 * Why a backup of this kind may not lie there, as a sentence, or NULL if
	 * it may; "hint" says what to do about it.
	 */
	char	   *(*location_problem) (const struct VoxKind *kind, const char *location, const char **hint);
	bool		serves_backups; /* it is of use only together with base
								 * backups */
	const char *subject;		/* what it is, to begin a sentence; NULL: "The
								 * backup" ... */
	const char *aged;			/* ... "is 3 h ..."; NULL: "old" */
	const char *age_hint;		/* what to do if that is too much, or NULL */

	/*
	 * Arguments for voxanne_agent besides those of every call,
	 * NULL-terminated.
	 */
	const char *const *(*arguments) (const struct VoxKind *kind, const VoxVerification *verification);

	/* What the agent is to read on its standard input; NULL: nothing. */
	char	   *(*input) (const struct VoxKind *kind, const VoxVerification *verification);

	/* Settings of kinds on the network, NULL for the others. */
	char	  **secret_file;
	char	  **region;			/* NULL: it needs none */

	/* Settings of kinds that a program tells of, NULL for the others. */
	char	  **program;
	const char *program_setting;	/* name of that setting */
	char	  **config;			/* may be empty, unless ... */
	const char *config_setting; /* ... this is its name */
	const char *noun;			/* what the location is the name of */
} VoxKind;

extern const VoxKind voxanne_kind_basebackup;
extern const VoxKind voxanne_kind_dump;
extern const VoxKind voxanne_kind_wal_archive;

/* Kinds on the network, in kind_list.c */
enum
{
	VOX_LIST_HTTP,
	VOX_LIST_S3,
	VOX_LIST_SUPABASE,
	VOX_LIST_KINDS
};

extern const VoxKind voxanne_list_kinds[VOX_LIST_KINDS];

/* Kinds that a program tells of, in kind_program.c */
enum
{
	VOX_PROGRAM_BARMAN,
	VOX_PROGRAM_PGBACKREST,
	VOX_PROGRAM_WALG,
	VOX_PROGRAM_KINDS
};

extern const VoxKind voxanne_program_kinds[VOX_PROGRAM_KINDS];

/* Levels, and what they show, of kinds whose contents can be read */
extern const char *const voxanne_kind_both_levels[];
extern const char *const voxanne_kind_both_proofs[];

extern const VoxKind *voxanne_kind(const char *name);
extern char *voxanne_kind_list(void);
extern const char *voxanne_kind_proof(const VoxKind *kind, const char *level);
extern char *voxanne_kind_levels(const VoxKind *kind);
extern bool voxanne_kind_takes(const VoxKind *kind, const char *option);
extern int64 voxanne_own_deadline(const VoxVerification *verification);
extern List *voxanne_kind_option(List *arguments, const char *option, const char *value);
extern const char *const *voxanne_kind_arguments(const VoxKind *kind, const VoxVerification *verification, List *more);

struct VoxTarget;

/* in plan.c */
extern void voxanne_check_level(const struct VoxTarget *target, const char *level);

/* in location.c */
extern List *voxanne_backup_directory_list(void);
extern char *voxanne_directory_problem(const char *location, const char **hint);
extern char *voxanne_location_problem(const VoxKind *kind, const char *location, const char **hint);
extern char *voxanne_url_problem(const VoxKind *kind, const char *url, const char **hint);

/* in kind_wal_archive.c */
extern List *voxanne_archive_arguments(const VoxVerification *verification, List *more);

#endif							/* VOXANNE_KIND_H */
