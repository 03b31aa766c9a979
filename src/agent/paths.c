/*
 * src/agent/paths.c
 *		Opening what lies in a backup.
 *
 * A path is walked part by part, and no part may be a symbolic link, except
 * where pg_basebackup itself makes one: pg_tblspc/<oid> and pg_wal.  Those lead
 * to a directory in one step.  So nothing that somebody puts into a backup
 * makes us read elsewhere, even while we read.
 */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLESPACES "pg_tblspc"

/* A directory to look things up in; reading it is for others. */
#define OPEN_STEP (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* An oid as the server writes it */
bool
is_tablespace_name(const char *name)
{
	size_t		len = strlen(name);

	return len > 0 && len <= 10 && name[0] != '0' && strspn(name, "0123456789") == len;
}

/*
 * Open what symbolic link "name" in "dir" leads to, if that is a directory, in
 * one step, that may be read; else -1 with "problem" set.  Sets "location" to
 * where it leads, to NULL if it is no link.
 */
int
open_link(const Options *options, int dir, const char *name, char **location, char **problem)
{
	char		target[PATH_MAX];
	ssize_t		len = readlinkat(dir, name, target, sizeof(target) - 1);
	int			place;
	int			fd = -1;

	*location = NULL;
	*problem = NULL;
	if (len <= 0)
	{
		*problem = xstrdup("it is not a symbolic link");
		return -1;
	}
	target[len] = '\0';
	*location = xstrdup(target);
	place = openat(dir, target, OPEN_STEP);
	if (place < 0)
		*problem = errno == ELOOP || errno == ENOTDIR ?
			xstrdup("it does not lead to a directory in one step") :
			format("what it leads to cannot be opened: %s", describe_errno(errno));
	else if (!is_within(options, place))
		*problem = xstrdup("it leads out of the allowed directories");
	else
	{
		fd = openat(place, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			*problem = format("what it leads to cannot be opened: %s", describe_errno(errno));
	}
	if (place >= 0)
		close(place);
	return fd;
}

/*
 * Open the backup's pg_wal, itself or what it links to; -1 with "problem" set,
 * to NULL if there is none.
 */
int
open_wal_directory(const Options *options, int dir, char **problem)
{
	char	   *location;
	int			fd = openat(dir, "pg_wal", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	*problem = NULL;
	if (fd >= 0 || errno == ENOENT)
		return fd;
	if (errno != ELOOP && errno != ENOTDIR)
	{
		*problem = xstrdup(describe_errno(errno));
		return -1;
	}
	fd = open_link(options, dir, "pg_wal", &location, problem);
	free(location);
	return fd;
}

/* One part of a path, below "above"; -1 with errno set. */
static int
open_step(const Options *options, int dir, const char *above, const char *name)
{
	char	   *location;
	char	   *problem;
	int			fd = openat(dir, name, OPEN_STEP);

	if (fd >= 0 || strcmp(above, TABLESPACES) != 0 || !is_tablespace_name(name))
		return fd;
	fd = open_link(options, dir, name, &location, &problem);
	free(location);
	free(problem);
	if (fd < 0)
		errno = ELOOP;
	return fd;
}

/* Open the directory that has the first "len" bytes of "path"; -1 with errno set. */
static int
open_directory(const Backup *backup, const Options *options, const char *path, size_t len)
{
	char		above[PATH_MAX] = "";
	char		name[PATH_MAX];
	int			fd = openat(backup->dir, ".", OPEN_STEP);

	for (size_t at = 0; fd >= 0 && at < len;)
	{
		size_t		part = strcspn(path + at, "/");
		int			next;
		int			error;

		memcpy(name, path + at, part);
		name[part] = '\0';
		next = open_step(options, fd, above, name);
		error = errno;
		close(fd);
		errno = error;
		fd = next;
		memcpy(above, path, at + part);
		above[at + part] = '\0';
		at += part + 1;
	}
	return fd;
}

/*
 * Open a file of the backup, whose path is one of the manifest's, for reading;
 * -1 with errno set.  Never waits for a FIFO.  "last" keeps the directory, in
 * which the next file is likely to lie.
 */
int
open_file(const Backup *backup, const Options *options, LastDirectory *last, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t		len = slash == NULL ? 0 : (size_t) (slash - path);

	if (len >= sizeof(last->path))
	{
		errno = ENAMETOOLONG;
		return -1;
	}
	if (!last->open || last->len != len || memcmp(last->path, path, len) != 0)
	{
		close_last_directory(last);
		last->fd = open_directory(backup, options, path, len);
		if (last->fd < 0)
			return -1;
		last->open = true;
		memcpy(last->path, path, len);
		last->len = len;
	}
	return openat(last->fd, slash == NULL ? path : slash + 1,
				  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void
close_last_directory(LastDirectory *last)
{
	if (last->open)
		close(last->fd);
	last->open = false;
}

/* Read a regular file of the backup from its start; bytes read, or -1 with "problem" set. */
ssize_t
read_small(int dir, const char *name, void *data, size_t size, char **problem)
{
	int			fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t		got = -1;

	*problem = NULL;
	if (fd < 0 || fstat(fd, &st) != 0)
		*problem = xstrdup(describe_errno(errno));
	else if (!S_ISREG(st.st_mode))
		*problem = xstrdup("it is not a regular file");
	else
	{
		got = pread(fd, data, size, 0);
		if (got < 0)
			*problem = xstrdup(describe_errno(errno));
	}
	if (fd >= 0)
		close(fd);
	return got;
}
