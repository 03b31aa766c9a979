/*
 * src/agent/locate.c
 *		Which directory is the backup to look at.
 *
 * The path is a backup, or a directory of backups, of which the newest
 * complete one counts.  "Newest" must survive copying, so it is told by the
 * times in the manifests' ends (the control file, sent last, is listed there),
 * by the manifest's own time only where that end is damaged: a damaged newest
 * backup must be looked at, not passed over.
 */
#include "backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
#define TAIL_SIZE 4096
#define TIME_LENGTH 23			/* of "YYYY-MM-DD HH:MM:SS GMT" */

/* Backups in a directory of backups, as far as a choice among them needs. */
typedef struct Choice
{
	char	   *newest;
	int64_t		newest_time;
	uint64_t	newest_start;	/* in WAL, as two may be of the same second */
	uint64_t	complete;
} Choice;

static const struct
{
	int			error;
	const char *code;
	const char *message;
	const char *hint;
}			location_errors[] = {
	{ENOENT, "path_not_found", "does not exist", NULL},
	{ENOTDIR, "path_not_directory", "is not a directory", NULL},
	{EACCES, "path_unreadable", "cannot be read: permission denied",
	"The operating system user of the server needs the right to read and search it."},
	{EPERM, "path_unreadable", "cannot be read: operation not permitted", NULL},
	{ELOOP, "symlink_loop", "leads through too many symbolic links", NULL},
	{ENAMETOOLONG, "path_too_long", "is too long", NULL},
};

/* The path that the caller named cannot be opened: the report's error says why. */
void
report_location(Report *report, const char *path, int error)
{
	for (size_t i = 0; i < sizeof(location_errors) / sizeof(location_errors[0]); i++)
	{
		if (location_errors[i].error == error)
		{
			report_error(report, location_errors[i].code,
						 format("Path \"%s\" %s.", path, location_errors[i].message),
						 location_errors[i].hint);
			return;
		}
	}
	report_error(report, "path_error",
				 format("Path \"%s\" cannot be opened: %s.", path, describe_errno(error)), NULL);
}

/* Open the path that the caller named, a directory; -1 with the report's error set. */
int
open_location(Report *report, const char *path)
{
	int			fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		report_location(report, path, errno);
	return fd;
}

/* The path of an open descriptor without any symbolic link; NULL if unknown. */
char *
real_path(int fd)
{
	char		name[64];
	char		target[PATH_MAX];
	ssize_t		len;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	len = readlink(name, target, sizeof(target) - 1);
	if (len <= 0 || target[0] != '/')
		return NULL;
	target[len] = '\0';
	return xstrdup(target);
}

/*
 * Does the directory lie in one of those that --within names?  True if there
 * is no such option.  Names are compared after all links are resolved.
 */
bool
is_within(const Options *options, int fd)
{
	bool		within = options->n_within == 0;
	char	   *path = within ? NULL : real_path(fd);

	for (int i = 0; path != NULL && !within && i < options->n_within; i++)
	{
		size_t		len = strlen(options->within[i]);

		while (len > 1 && options->within[i][len - 1] == '/')
			len--;
		within = len == 1 || (strncmp(path, options->within[i], len) == 0 &&
							  (path[len] == '/' || path[len] == '\0'));
	}
	free(path);
	return within;
}

/* Let the sandbox keep what link "name" in "dir" leads to, if we may follow it. */
static void
allow_link(SandboxPlan *plan, const Options *options, int dir, const char *name)
{
	char	   *location;
	char	   *problem;
	int			fd = open_link(options, dir, name, &location, &problem);

	if (fd >= 0)
	{
		sandbox_allow(plan, fd, ".");
		close(fd);
	}
	free(location);
	free(problem);
}

/* Let the sandbox keep the tablespaces and the WAL that the backup in "dir" links to. */
static void
allow_links_of(SandboxPlan *plan, const Options *options, int dir)
{
	int			tblspc = openat(dir, "pg_tblspc", OPEN_DIRECTORY);
	DIR		   *stream = tblspc < 0 ? NULL : fdopendir(tblspc);
	struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
	{
		if (is_tablespace_name(entry->d_name))
			allow_link(plan, options, tblspc, entry->d_name);
	}
	if (stream != NULL)
		closedir(stream);
	else if (tblspc >= 0)
		close(tblspc);
	allow_link(plan, options, dir, "pg_wal");
}

/*
 * Tablespaces and pg_wal may lie outside of the path that is kept readable, so
 * what their links lead to must be known before anything is read: for the location itself
 * and, as it is not known yet which one counts, for every backup in it.
 */
void
allow_links(SandboxPlan *plan, const Options *options, int location)
{
	DIR		   *stream = fdopendir(openat(location, ".", OPEN_DIRECTORY));
	struct dirent *entry;

	allow_links_of(plan, options, location);
	while (stream != NULL && (entry = readdir(stream)) != NULL)
	{
		int			fd = entry->d_name[0] == '.' ? -1 : openat(location, entry->d_name, OPEN_DIRECTORY);

		if (fd >= 0)
		{
			allow_links_of(plan, options, fd);
			close(fd);
		}
	}
	if (stream != NULL)
		closedir(stream);
}

/* The path of "name" in a directory */
char *
path_below(const char *directory, const char *name)
{
	return format("%s%s%s", directory, directory[strlen(directory) - 1] == '/' ? "" : "/", name);
}

static bool
exists(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The archive that every backup in tar format has */
const char *const base_tars[N_BASE_TARS] = {"base.tar", "base.tar.gz", "base.tar.lz4", "base.tar.zst"};

/* Does the directory hold a backup in tar format? */
bool
holds_tar(int dir)
{
	for (int i = 0; i < N_BASE_TARS; i++)
	{
		if (exists(dir, base_tars[i]))
			return true;
	}
	return false;
}

/* Is the directory a backup, and not one of backups? */
bool
holds_backup(int dir)
{
	return exists(dir, "backup_manifest") || exists(dir, "PG_VERSION") || holds_tar(dir);
}

/* When the backup in "dir" was made, from the end of its manifest; NO_TIME without one. */
static int64_t
time_of_backup(int dir)
{
	static const char name[] = "\"Last-Modified\": \"";
	char		tail[TAIL_SIZE + 1];
	int64_t		newest = NO_TIME;
	struct stat st;
	ssize_t		got;
	int			fd;

	if (fstatat(dir, "backup_manifest", &st, AT_SYMLINK_NOFOLLOW) != 0)
		return NO_TIME;
	fd = S_ISREG(st.st_mode) ? openat(dir, "backup_manifest", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
	got = fd < 0 ? 0 : pread(fd, tail, TAIL_SIZE, st.st_size > TAIL_SIZE ? st.st_size - TAIL_SIZE : 0);
	if (fd >= 0)
		close(fd);
	tail[got > 0 ? got : 0] = '\0';
	for (char *at = strstr(tail, name); at != NULL; at = strstr(at, name))
	{
		char		str[TIME_LENGTH + 1];
		int64_t		time;

		at += sizeof(name) - 1;
		snprintf(str, sizeof(str), "%s", at);
		time = manifest_time(str);
		if (time > newest)
			newest = time;
	}
	return newest != NO_TIME ? newest : (int64_t) st.st_mtime;
}

/* Is a backup newer than the newest so far? */
static bool
is_newer(const Choice *choice, const char *name, int64_t time, uint64_t start)
{
	if (choice->newest == NULL || time != choice->newest_time)
		return choice->newest == NULL || time > choice->newest_time;
	if (start != choice->newest_start)
		return start > choice->newest_start;
	return strcmp(name, choice->newest) > 0;
}

/* One entry of a directory of backups. */
static void
consider(Choice *choice, Check *found, int location, const char *name)
{
	struct stat st;
	int			dir;
	int64_t		time;

	if (name[0] == '.' || fstatat(location, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
		return;
	dir = openat(location, name, OPEN_DIRECTORY);
	if (dir < 0)
	{
		check_problem(found, name, "passed over, cannot be read: %s", describe_errno(errno));
		return;
	}
	time = time_of_backup(dir);
	if (time == NO_TIME && (exists(dir, "PG_VERSION") || exists(dir, "backup_manifest.tmp") || holds_tar(dir)))
		check_problem(found, name, "passed over, has no manifest: in progress, broken off, or made without one");
	if (time != NO_TIME)
	{
		BackupLabel label;

		choice->complete++;
		free(read_label(dir, &label));
		if (is_newer(choice, name, time, label.start.lsn))
		{
			free(choice->newest);
			choice->newest = xstrdup(name);
			choice->newest_time = time;
			choice->newest_start = label.start.lsn;
		}
	}
	close(dir);
}

/* "dir", which is open on "path", is the backup to look at: where it is, and what its label says. */
void
name_backup(Backup *backup, int dir, const char *path)
{
	backup->dir = dir;
	backup->path = xstrdup(path);
	backup->is_tar = holds_tar(dir) && !exists(dir, "PG_VERSION");

	/* the last part of the path, a trailing slash aside */
	for (size_t len = strlen(backup->path); len > 1 && backup->path[len - 1] == '/'; len--)
		backup->path[len - 1] = '\0';
	backup->id = strrchr(backup->path, '/');
	backup->id = backup->id == NULL || backup->id[1] == '\0' ? backup->path : backup->id + 1;
	backup->label_problem = read_label(dir, &backup->label);
}

/* The newest backup in a directory of backups becomes the one to look at. */
static bool
choose_newest(Check *found, Backup *backup, const char *path)
{
	Choice		choice = {0};
	DIR		   *stream = fdopendir(openat(backup->siblings.dir, ".", OPEN_DIRECTORY));
	struct dirent *entry;
	int			dir;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		consider(&choice, found, backup->siblings.dir, entry->d_name);
	if (stream == NULL || choice.newest == NULL)
	{
		if (stream != NULL)
			closedir(stream);
		check_set(found, CHECK_FAILED, "No complete backup lies in \"%s\".", path);
		return false;
	}
	closedir(stream);

	dir = openat(backup->siblings.dir, choice.newest, OPEN_DIRECTORY);
	if (dir < 0)
	{
		check_set(found, CHECK_FAILED, "Backup \"%s\" vanished while it was looked at.", choice.newest);
		return false;
	}
	name_backup(backup, dir, path_below(path, choice.newest));
	check_set(found, found->n_problems > 0 ? CHECK_WARNING : CHECK_PASSED,
			  "\"%s\" is the newest of %s in \"%s\"%s.", choice.newest,
			  count_of(choice.complete, "complete backup", "complete backups"), path,
			  found->n_problems == 0 ? "" :
			  format("; %s passed over", count_of(found->n_problems, "other was", "others were")));
	return true;
}

/*
 * Find the backup: check backup_found.  "location" is open on "path"; false if
 * there is none.
 */
bool
locate_backup(Report *report, Backup *backup, int location, const char *path)
{
	Check	   *found = report_check(report, "backup_found");

	backup->siblings.dir = -1;
	if (holds_backup(location))
	{
		name_backup(backup, location, path);
		check_set(found, CHECK_PASSED, "\"%s\" is a backup.", path);
		return true;
	}
	backup->siblings = (Place)
	{
		location, path
	};
	return choose_newest(found, backup, path);
}
