/*
 * src/backup/kind.h
 *		Kinds of backups: how each is named, located and verified.
 */
#ifndef VOXANNE_KIND_H
#define VOXANNE_KIND_H

#include "nodes/pg_list.h"

/* What a kind needs to know for one verification; no catalog at hand. */
typedef struct VoxVerification
{
	const char *location;
	const char *level;
	const char *system_identifier;	/* of the cluster whose backup it must be */
	List	   *directories;	/* char *: where it may lie */
} VoxVerification;

typedef struct VoxKind
{
	const char *name;
	const char *summary;		/* completes "basebackup: ..." in a hint */
	const char *const *levels;	/* that it can be verified at, cheap first;
								 * NULL-terminated */
	const char *const *proofs;	/* what each of them shows */

	/*
	 * Arguments for voxanne_agent besides those of every call,
	 * NULL-terminated.
	 */
	const char *const *(*arguments) (const VoxVerification *verification);
} VoxKind;

extern const VoxKind voxanne_kind_basebackup;

extern const VoxKind *voxanne_kind(const char *name);
extern char *voxanne_kind_list(void);
extern const char *voxanne_kind_proof(const VoxKind *kind, const char *level);
extern char *voxanne_kind_levels(const VoxKind *kind);

struct VoxTarget;

/* in plan.c */
extern void voxanne_check_level(const struct VoxTarget *target, const char *level);

/* in location.c */
extern List *voxanne_backup_directory_list(void);
extern char *voxanne_location_problem(const char *location, const char **hint);

#endif							/* VOXANNE_KIND_H */
