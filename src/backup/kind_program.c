/*
 * src/backup/kind_program.c
 *		Kinds of backups that a tool keeps: pgBackRest, Barman, WAL-G.
 *
 * They differ by a row.  The agent asks the tool's own program, which a
 * superuser names, what there is, and looks into the repository where the
 * target names one.  The location is a name that becomes an argument of the
 * program, so it holds nothing that could be taken for an option or a path.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/settings.h"
#include "datatype/timestamp.h"

/* Longer a program is not given to list what there is, however long all else may take; microseconds. */
#define MOST_TIME (10 * USECS_PER_MINUTE)

#define MAX_NAME 63

static char *name_problem(const VoxKind *kind, const char *location, const char **hint);
static const char *const *program_arguments(const VoxKind *kind, const VoxVerification *verification);

static const char *const options[] = {"min_size", "max_size_change", "repository", "pitr_window", NULL};

/* What the rows share */
#define ALL_PROGRAM_KINDS \
	.levels = voxanne_kind_both_levels, \
	.proofs = voxanne_kind_both_proofs, \
	.command = "verify-catalog", \
	.options = options, \
	.location_problem = name_problem, \
	.arguments = program_arguments

const VoxKind voxanne_program_kinds[VOX_PROGRAM_KINDS] = {
	[VOX_PROGRAM_BARMAN] = {
		.name = "barman",
		.summary = "a server of Barman",
		ALL_PROGRAM_KINDS,
		.program = &voxanne_barman_program,
		.program_setting = "voxanne_ops.barman_program",
		.config = &voxanne_barman_config,
		.noun = "server in Barman's configuration",
	},
	[VOX_PROGRAM_PGBACKREST] = {
		.name = "pgbackrest",
		.summary = "a stanza of pgBackRest",
		ALL_PROGRAM_KINDS,
		.program = &voxanne_pgbackrest_program,
		.program_setting = "voxanne_ops.pgbackrest_program",
		.config = &voxanne_pgbackrest_config,
		.noun = "stanza",
	},
	[VOX_PROGRAM_WALG] = {
		.name = "walg",
		.summary = "what a configuration file of WAL-G leads to",
		ALL_PROGRAM_KINDS,
		.program = &voxanne_walg_program,
		.program_setting = "voxanne_ops.walg_program",
		.config = &voxanne_walg_config_directory,
		.config_setting = "voxanne_ops.walg_config_directory",
		.noun = "file in voxanne_ops.walg_config_directory",
	},
};

/* See VoxKind. */
static char *
name_problem(const VoxKind *kind, const char *location, const char **hint)
{
	*hint = psprintf("The location is the name of a %s: letters, digits, \"_\", \"-\" and \".\", %d at most.", kind->noun, MAX_NAME);
	if (location[0] == '\0' || strlen(location) > MAX_NAME || location[0] == '-' || location[0] == '.' ||
		location[strspn(location, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] != '\0')
		return psprintf("\"%s\" cannot be such a name.", location);
	if ((*kind->program)[0] == '\0')
	{
		*hint = psprintf("A superuser names the program: ALTER SYSTEM SET %s = '/usr/bin/%s'; SELECT pg_reload_conf();",
						 kind->program_setting, strcmp(kind->name, "walg") == 0 ? "wal-g" : kind->name);
		return psprintf("Setting %s is empty, so nobody can be asked what backups there are.", kind->program_setting);
	}
	if (kind->config_setting != NULL && (*kind->config)[0] == '\0')
	{
		*hint = psprintf("A superuser sets it: ALTER SYSTEM SET %s = '/etc/wal-g'; SELECT pg_reload_conf();", kind->config_setting);
		return psprintf("Setting %s is empty, so there is no file \"%s\".", kind->config_setting, location);
	}
	return NULL;
}

/* See VoxKind. */
static const char *const *
program_arguments(const VoxKind *kind, const VoxVerification *verification)
{
	int64		timeout = Min(voxanne_own_deadline(verification), MOST_TIME);
	List	   *more = NIL;

	more = voxanne_kind_option(more, "--tool", kind->name);
	more = voxanne_kind_option(more, "--program", *kind->program);
	if ((*kind->config)[0] != '\0')
		more = voxanne_kind_option(more, "--config", *kind->config);
	more = voxanne_kind_option(more, "--timeout", psprintf(INT64_FORMAT, Max(timeout / 1000, 1)));
	if (verification->repository != NULL)
		more = voxanne_kind_option(more, "--repository", verification->repository);
	if (verification->repository != NULL || verification->pitr_window > 0)
		more = voxanne_archive_arguments(verification, more);
	return voxanne_kind_arguments(kind, verification, more);
}
