/*
 * src/agent/wal_layout.c
 *		Where an archive of WAL keeps what.
 *
 * A layout is a row of the table below: the first that recognises a directory
 * counts.  All are alike in that segments lie in a directory, or in directories
 * in it that are named by the segments' first digits; they differ in where that
 * is, and in where the tool lists its backups.  Everything is opened before the
 * sandbox is entered, and no symbolic link below the path is followed.
 */
#include "archive_backups.h"
#include "backup.h"
#include "wal_archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

static bool
exists(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Add a directory that is open; the archive owns it from now on. */
static void
add_directory(Archive *archive, int fd, const char *prefix, bool waiting)
{
	archive->directories[archive->n_directories++] = (ArchiveDirectory)
	{
		.fd = fd,.error = errno,.prefix = prefix,.waiting = waiting
	};
}

/*
 * pgBackRest numbers what it keeps of one stanza, "<version>-<id>", and takes a
 * higher id when the cluster was upgraded: the present one is the highest.
 */
static char *
newest_archive_id(int stanza)
{
	DIR		   *stream = fdopendir(openat(stanza, ".", OPEN_DIRECTORY));
	struct dirent *entry;
	char	   *newest = NULL;
	unsigned long newest_id = 0;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
	{
		size_t		version = strspn(entry->d_name, "0123456789.");
		char	   *end;
		unsigned long id;

		if (version == 0 || entry->d_name[version] != '-' || entry->d_name[version + 1] < '0' ||
			entry->d_name[version + 1] > '9')
			continue;
		id = strtoul(entry->d_name + version + 1, &end, 10);
		if (*end != '\0' || id < newest_id)
			continue;
		free(newest);
		newest = xstrdup(entry->d_name);
		newest_id = id;
	}
	if (stream != NULL)
		closedir(stream);
	return newest;
}

/* Open the directory of backups.  That there is none is no fault of the archive's. */
static void
open_backups(Archive *archive, int dir, char *path)
{
	archive->backups = openat(dir, path, OPEN_DIRECTORY);
	if (archive->backups < 0 && errno != ENOENT)
		archive->backups_errno = errno;
	archive->backups_path = format("%s/%s", archive->path, path);
	free(path);
}

/* A stanza's directory, in the repository's directory "archive"; "prefix" of paths in it. */
static bool
locate_stanza(Archive *archive, int stanza, const char *prefix)
{
	char	   *id = newest_archive_id(stanza);

	archive->info = openat(stanza, ".", OPEN_DIRECTORY);
	if (id == NULL)
		add_directory(archive, openat(stanza, ".", OPEN_DIRECTORY), prefix, false);
	else
		add_directory(archive, openat(stanza, id, OPEN_DIRECTORY), format("%s%s/", prefix, id), false);
	free(id);
	return true;
}

/* Is it the directory of a stanza?  One of the two copies tells. */
static bool
is_stanza(int dir)
{
	return exists(dir, "archive.info") || exists(dir, "archive.info.copy");
}

/* The only stanza of a repository, or NULL: there is none, or more than one, which "several" tells. */
static char *
only_stanza(int stanzas, bool *several)
{
	DIR		   *stream = fdopendir(openat(stanzas, ".", OPEN_DIRECTORY));
	struct dirent *entry;
	char	   *only = NULL;

	*several = false;
	while (stream != NULL && (entry = readdir(stream)) != NULL)
	{
		int			fd = entry->d_name[0] == '.' ? -1 : openat(stanzas, entry->d_name, OPEN_DIRECTORY);

		if (fd >= 0 && is_stanza(fd))
		{
			*several |= only != NULL;
			free(only);
			only = xstrdup(entry->d_name);
		}
		if (fd >= 0)
			close(fd);
	}
	if (stream != NULL)
		closedir(stream);
	return only;
}

/* A repository of pgBackRest with one stanza */
static bool
locate_repository(Report *report, Archive *archive, int dir)
{
	int			stanzas = openat(dir, "archive", OPEN_DIRECTORY);
	bool		several = false;
	char	   *name = stanzas < 0 ? NULL : only_stanza(stanzas, &several);
	int			stanza = name == NULL ? -1 : openat(stanzas, name, OPEN_DIRECTORY);

	if (several)
		report_error(report, "several_stanzas", format("\"%s\" holds the archives of several stanzas.", archive->path),
					 "Name the directory of one of them, archive/STANZA in it.");
	else if (stanza >= 0)
	{
		(void) locate_stanza(archive, stanza, format("archive/%s/", name));
		open_backups(archive, dir, format("backup/%s", name));
	}
	if (stanza >= 0)
		close(stanza);
	if (stanzas >= 0)
		close(stanzas);
	return several || stanza >= 0;
}

/* One stanza in a repository of pgBackRest: its backups are listed two directories up. */
static bool
locate_one_stanza(Report *report, Archive *archive, int dir)
{
	char	   *path;
	char	   *name;

	if (!is_stanza(dir))
		return false;
	path = real_path(dir);
	name = path == NULL ? NULL : strrchr(path, '/');
	if (name != NULL)
		open_backups(archive, dir, format("../../backup/%s", name + 1));
	if (archive->backups >= 0 && !is_within(archive->options, archive->backups))
	{
		close(archive->backups);
		archive->backups = -1;
	}
	free(path);
	return locate_stanza(archive, dir, "");
}

/* A server's directory in Barman's home; what pg_receivewal or archive_command has brought waits beside "wals". */
static bool
locate_barman(Report *report, Archive *archive, int dir)
{
	int			wals = openat(dir, "wals", OPEN_DIRECTORY);
	int			fd;

	if (wals < 0 && errno != EACCES)
		return false;
	add_directory(archive, wals, "wals/", false);
	if ((fd = openat(dir, "streaming", OPEN_DIRECTORY)) >= 0)
		add_directory(archive, fd, "streaming/", true);
	if ((fd = openat(dir, "incoming", OPEN_DIRECTORY)) >= 0)
		add_directory(archive, fd, "incoming/", true);
	archive->backups = openat(dir, ".", OPEN_DIRECTORY);
	archive->backups_path = archive->path;
	return true;
}

static bool
locate_flat(Report *report, Archive *archive, int dir)
{
	add_directory(archive, openat(dir, ".", OPEN_DIRECTORY), "", false);
	return true;
}

static const ArchiveLayout layouts[] = {
	{"pgbackrest", "a repository of pgBackRest", locate_repository, read_pgbackrest_backups},
	{"pgbackrest", "a stanza of a pgBackRest repository", locate_one_stanza, read_pgbackrest_backups},
	{"barman", "a server of Barman", locate_barman, read_barman_backups},
	{"flat", "a directory of WAL", locate_flat, NULL},
};

/*
 * Open what belongs to the archive and let the sandbox keep it; false with the
 * report's error set.
 */
bool
locate_archive(Report *report, Archive *archive, int location, SandboxPlan *plan)
{
	archive->backups = -1;
	archive->info = -1;
	archive->server_wal = -1;
	for (size_t i = 0; archive->layout == NULL; i++)
	{
		if (layouts[i].locate(report, archive, location))
			archive->layout = &layouts[i];
	}
	for (int i = 0; i < archive->n_directories; i++)
	{
		if (archive->directories[i].fd < 0)
			report_location(report, format("%s/%s", archive->path, archive->directories[i].prefix), archive->directories[i].error);
	}
	if (archive->options->server_wal != NULL)
	{
		/* to see what is there; nothing in it is read */
		archive->server_wal = open(archive->options->server_wal, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (archive->server_wal < 0)
			report_error(report, "server_wal", format("Directory \"%s\" of the server cannot be read: %s.",
													  archive->options->server_wal, describe_errno(errno)), NULL);
	}
	sandbox_allow(plan, location, ".");
	if (archive->backups >= 0)
		sandbox_allow(plan, archive->backups, ".");
	return report->error_code == NULL;
}
