/*
 * src/backup/kind.c
 *		Kinds of backups.
 *
 * A kind is a row here, and described in a file kind_NAME.c; nothing else knows their names.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/compat.h"
#include "core/settings.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

/* So much earlier than we would end it the agent gives up by itself, to say how far it got; microseconds. */
#define MARGIN (2 * USECS_PER_SEC)

const char *const voxanne_kind_both_levels[] = {"status", "verify", NULL};
const char *const voxanne_kind_both_proofs[] = {"present", "checksummed"};

static const VoxKind *const kinds[] = {
	&voxanne_program_kinds[VOX_PROGRAM_BARMAN],
	&voxanne_kind_basebackup,
	&voxanne_kind_dump,
	&voxanne_list_kinds[VOX_LIST_HTTP],
	&voxanne_program_kinds[VOX_PROGRAM_PGBACKREST],
	&voxanne_list_kinds[VOX_LIST_S3],
	&voxanne_list_kinds[VOX_LIST_SUPABASE],
	&voxanne_kind_wal_archive,
	&voxanne_program_kinds[VOX_PROGRAM_WALG],
};

/* The kind of this name, or NULL. */
const VoxKind *
voxanne_kind(const char *name)
{
	for (int i = 0; i < (int) lengthof(kinds); i++)
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	return NULL;
}

/* All kinds with their summaries, for a hint. */
char *
voxanne_kind_list(void)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < (int) lengthof(kinds); i++)
		appendStringInfo(&list, "%s%s (%s)", i > 0 ? ", " : "", kinds[i]->name, kinds[i]->summary);
	return list.data;
}

/* What passing a level shows; NULL for a level that the kind does not have. */
const char *
voxanne_kind_proof(const VoxKind *kind, const char *level)
{
	for (int i = 0; kind->levels[i] != NULL; i++)
		if (strcmp(kind->levels[i], level) == 0)
			return kind->proofs[i];
	return NULL;
}

/* Has the kind this one of the options that not all have?  False for NULL, a kind that is not known. */
bool
voxanne_kind_takes(const VoxKind *kind, const char *option)
{
	for (int i = 0; kind != NULL && kind->options[i] != NULL; i++)
		if (strcmp(kind->options[i], option) == 0)
			return true;
	return false;
}

/* The kind's levels, for a hint. */
char *
voxanne_kind_levels(const VoxKind *kind)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; kind->levels[i] != NULL; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", kind->levels[i]);
	return list.data;
}

/* How long the agent itself may take, in microseconds, before we end it. */
int64
voxanne_own_deadline(const VoxVerification *verification)
{
	return verification->time_limit > 2 * MARGIN ? verification->time_limit - MARGIN : verification->time_limit / 2;
}

/* An option and its value, behind what the list holds. */
List *
voxanne_kind_option(List *arguments, const char *option, const char *value)
{
	return lappend(lappend(arguments, unconstify(char *, option)), unconstify(char *, value));
}

/*
 * The agent's arguments for a location in our file system, those in "more"
 * before it.  The agent resolves symbolic links and refuses what then lies
 * outside of the directories.
 */
const char *const *
voxanne_kind_arguments(const VoxKind *kind, const VoxVerification *verification, List *more)
{
	List	   *list = list_make1(unconstify(char *, kind->command));
	const char **argv;
	int			n = 0;
	ListCell   *lc;

	list = voxanne_kind_option(list, "--level", verification->level);
	if (verification->system_identifier != NULL)
		list = voxanne_kind_option(list, "--system-identifier", verification->system_identifier);
	if (strcmp(verification->level, "verify") == 0)
	{
		list = voxanne_kind_option(list, "--jobs", psprintf("%d", voxanne_verify_jobs));
		list = lappend(list, "--progress");
	}
	list = voxanne_kind_option(list, "--io-priority", voxanne_io_priority_name());
	if (voxanne_verify_rate > 0)
		list = voxanne_kind_option(list, "--rate", psprintf("%d", voxanne_verify_rate));
	foreach(lc, verification->directories)
		list = voxanne_kind_option(list, "--within", lfirst(lc));
	list = list_concat(list, more);
	list = lappend(list, unconstify(char *, verification->location));

	argv = palloc0_array(const char *, list_length(list) + 1);
	foreach(lc, list)
		argv[n++] = lfirst(lc);
	return argv;
}
