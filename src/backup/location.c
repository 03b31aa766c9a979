/*
 * src/backup/location.c
 *		Where backups may lie.
 *
 * The server compares names and touches nothing: a path may lead to a network
 * file system that hangs, or through a symbolic link to anywhere.  The agent,
 * which can be ended, resolves the path and compares again.
 */
#include "postgres.h"

#include "backup/kind.h"
#include "core/settings.h"
#include "miscadmin.h"
#include "utils/varlena.h"

static bool has_parent_reference(const char *path);

/*
 * The directories of voxanne_ops.backup_directories (char *), canonical.  NIL
 * if there are none or the setting cannot be parsed.
 */
List *
voxanne_backup_directory_list(void)
{
	List	   *directories = NIL;

	if (!SplitDirectoriesString(pstrdup(voxanne_backup_directories), ',', &directories))
		return NIL;
	return directories;
}

/*
 * Why a backup may not lie there, as a sentence, or NULL if it may; "hint"
 * says what to do about it.
 */
char *
voxanne_location_problem(const char *location, const char **hint)
{
	List	   *directories = voxanne_backup_directory_list();
	char	   *path = pstrdup(location);
	ListCell   *lc;

	*hint = "Give the absolute path of the directory, without \"..\".";
	if (!is_absolute_path(location))
		return psprintf("\"%s\" is not an absolute path.", location);
	if (strlen(location) >= MAXPGPATH)
		return psprintf("The path is longer than %d bytes.", MAXPGPATH - 1);
	if (has_parent_reference(location))
		return psprintf("\"%s\" contains \"..\".", location);

	canonicalize_path(path);
	*hint = "Backups belong outside of the data directory, best on another machine's storage.";
	if (path_is_prefix_of_path(DataDir, path))
		return psprintf("\"%s\" lies inside the data directory of this cluster.", location);

	*hint = "A superuser allows directories with the setting voxanne_ops.backup_directories.";
	foreach(lc, directories)
		if (path_is_prefix_of_path((char *) lfirst(lc), path))
		return NULL;
	return directories == NIL ?
		psprintf("\"%s\" is not allowed, because voxanne_ops.backup_directories names no directory.", location) :
		psprintf("\"%s\" lies in none of voxanne_ops.backup_directories (%s).", location, voxanne_backup_directories);
}

static bool
has_parent_reference(const char *path)
{
	for (const char *at = strstr(path, ".."); at != NULL; at = strstr(at + 1, ".."))
		if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
			return true;
	return false;
}
