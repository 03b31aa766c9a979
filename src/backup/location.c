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

static bool is_in_data_directory(const char *path);
static bool has_parent_reference(const char *path);
static bool has_user_info(const char *url);
static bool is_below(const char *url, const char *beginning);
static bool has_dot_segment(const char *path);

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

/* See VoxKind: for kinds that are directories or files of ours. */
char *
voxanne_location_problem(const VoxKind *kind, const char *location, const char **hint)
{
	return voxanne_directory_problem(location, hint);
}

/*
 * Why a backup may not lie there, as a sentence, or NULL if it may; "hint"
 * says what to do about it.
 */
char *
voxanne_directory_problem(const char *location, const char **hint)
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
	if (is_in_data_directory(path))
		return psprintf("\"%s\" lies inside the data directory of this cluster.", location);

	*hint = "A superuser allows directories with the setting voxanne_ops.backup_directories.";
	foreach(lc, directories)
		if (path_is_prefix_of_path((char *) lfirst(lc), path))
		return NULL;
	return directories == NIL ?
		psprintf("\"%s\" is not allowed, because voxanne_ops.backup_directories names no directory.", location) :
		psprintf("\"%s\" lies in none of voxanne_ops.backup_directories (%s).", location, voxanne_backup_directories);
}

/* By the name that the server was given or by its own, if that is a link; the path itself is not resolved. */
static bool
is_in_data_directory(const char *path)
{
	char	   *real = realpath(DataDir, NULL);
	bool		inside = path_is_prefix_of_path(DataDir, path) ||
		(real != NULL && path_is_prefix_of_path(real, path));

	free(real);
	return inside;
}

static bool
has_parent_reference(const char *path)
{
	for (const char *at = strstr(path, ".."); at != NULL; at = strstr(at + 1, ".."))
		if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
			return true;
	return false;
}

/*
 * Why a backup may not lie at that URL, as a sentence, or NULL if it may; "hint"
 * says what to do about it.  User name and query may be secret: a URL that has
 * them is not repeated.  What a server makes of "..", is not ours to guess.
 */
char *
voxanne_url_problem(const VoxKind *kind, const char *url, const char **hint)
{
	List	   *beginnings = NIL;
	ListCell   *lc;
	const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 :
		strncmp(url, "http://", 7) == 0 && voxanne_allow_http ? url + 7 : NULL;
	const char *path = host == NULL ? NULL : strchr(host, '/');

	*hint = "Give a URL like https://host/path, with %XX for all but ASCII letters, digits and punctuation.";
	if (has_user_info(url))
		return pstrdup("The URL holds a user name or password.");
	if (strpbrk(url, "?#") != NULL)
		return pstrdup("The URL has a query or a fragment.");
	if (host == NULL)
		return psprintf("\"%s\" does not begin with https://.", url);
	if (strlen(url) >= MAXPGPATH)
		return psprintf("The URL is longer than %d bytes.", MAXPGPATH - 1);
	for (const char *at = url; *at != '\0'; at++)
		if (*at <= ' ' || *at >= 0x7f || strchr("\"<>\\^`{|}", *at) != NULL)
			return psprintf("\"%s\" holds a character that cannot be in a URL.", url);
	if (path == NULL || path == host)
		return psprintf("\"%s\" has no host or no path.", url);
	if (has_dot_segment(path))
		return psprintf("\"%s\" contains \"..\".", url);

	*hint = "A superuser allows URLs with the setting voxanne_ops.backup_urls.";
	(void) SplitGUCList(pstrdup(voxanne_backup_urls), ',', &beginnings);
	foreach(lc, beginnings)
		if (is_below(url, lfirst(lc)))
		return NULL;
	return beginnings == NIL ?
		psprintf("\"%s\" is not allowed, because voxanne_ops.backup_urls names no URL.", url) :
		psprintf("\"%s\" begins with none of voxanne_ops.backup_urls (%s).", url, voxanne_backup_urls);
}

/* Is something before the host, of whatever scheme? */
static bool
has_user_info(const char *url)
{
	const char *scheme_end = strstr(url, "//");
	const char *host = scheme_end != NULL ? scheme_end + 2 : url;

	return memchr(host, '@', strcspn(host, "/?#")) != NULL;
}

/* Does the URL begin so, up to the end of a part of its path? */
static bool
is_below(const char *url, const char *beginning)
{
	size_t		len = strlen(beginning);

	return strncmp(url, beginning, len) == 0 &&
		(beginning[len - 1] == '/' || url[len] == '/' || url[len] == '\0');
}

/* Is a part of the path "." or "..", its dots written out or as %2e? */
static bool
has_dot_segment(const char *path)
{
	while (*path == '/')
	{
		int			dots = 0;

		for (path++; *path == '.' || pg_strncasecmp(path, "%2e", 3) == 0; path += *path == '.' ? 1 : 3)
			dots++;
		if ((dots == 1 || dots == 2) && (*path == '/' || *path == '\0'))
			return true;
		path += strcspn(path, "/");
	}
	return false;
}
