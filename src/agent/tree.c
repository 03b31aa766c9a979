/*
 * src/agent/tree.c
 *		Walking a backup's directories beside its manifest.
 *
 * Nothing is opened because a manifest names it: the walk meets what is there
 * and looks it up.  Links are followed at pg_tblspc/<oid> only, one step; a
 * FIFO, socket or device is named and never opened.  pg_wal is not listed in
 * manifests and not entered here.  At level "verify" the files that were met,
 * and are what they should be as far as can be seen, are then read.
 */
#include "contents.h"
#include "incremental.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 32
#define MAX_TABLESPACES 10000

/* State of a walk. */
typedef struct Walk
{
	Report	   *report;
	Backup	   *backup;
	const Options *options;
	bool		deep;			/* level "verify" */
	Check	   *sizes;
	Check	   *extra;
	Check	   *types;
	Check	   *readable;

	char		path[PATH_MAX]; /* where we are, relative to the backup */
	size_t		path_len;
	int			depth;
	uint64_t	extra_bytes;
	uint64_t	unreadable_bytes;

	/* directories that could not be entered: what lies below is not "missing" */
	char	  **closed;
	size_t		n_closed;
} Walk;

/* What may differ from the manifest without harm: pg_verifybackup's list. */
static const char *const not_compared[] = {
	"backup_manifest", "pg_wal", "postgresql.auto.conf", "recovery.signal", "standby.signal"
};

static void walk_directory(Walk *walk, int dir);

/* Is "path" the same as "top" or below it? */
static bool
is_below(const char *path, const char *top)
{
	size_t		len = strlen(top);

	return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Does the manifest list, or should it, what has this path? */
bool
is_compared(const char *path)
{
	for (size_t i = 0; i < sizeof(not_compared) / sizeof(not_compared[0]); i++)
	{
		if (is_below(path, not_compared[i]))
			return false;
	}
	return true;
}

/* Remember that nothing is known about what lies at walk->path. */
static void
close_off(Walk *walk)
{
	if ((walk->n_closed & (walk->n_closed - 1)) == 0)
		walk->closed = xrealloc(walk->closed, (walk->n_closed == 0 ? 1 : 2 * walk->n_closed) * sizeof(char *));
	walk->closed[walk->n_closed++] = xstrdup(walk->path);
}

/* Enter directory "fd", or say why it cannot be entered if that is -1. */
static void
enter(Walk *walk, int fd, int error)
{
	if (fd < 0)
	{
		check_problem(walk->readable, walk->path, "unreadable: %s", describe_errno(error));
		close_off(walk);
	}
	else if (walk->depth == MAX_DEPTH)
	{
		check_problem(walk->types, walk->path, "too deep: more than %d directories", MAX_DEPTH);
		close_off(walk);
		close(fd);
	}
	else
	{
		walk->depth++;
		walk_directory(walk, fd);
		walk->depth--;
	}
}

static void
visit_link(Walk *walk, int dir, const char *name)
{
	Backup	   *backup = walk->backup;
	Tablespace *tablespace;
	int			fd;

	if (strncmp(walk->path, "pg_tblspc/", 10) != 0 || strcmp(walk->path + 10, name) != 0 ||
		!is_tablespace_name(name) || backup->n_tablespaces == MAX_TABLESPACES)
	{
		check_problem(walk->types, walk->path, "symbolic link where none belongs");
		close_off(walk);
		return;
	}
	backup->tablespaces = xrealloc(backup->tablespaces,
								   (size_t) (backup->n_tablespaces + 1) * sizeof(Tablespace));
	tablespace = &backup->tablespaces[backup->n_tablespaces++];
	*tablespace = (Tablespace)
	{
		.oid = xstrdup(name)
	};
	fd = open_link(walk->options, dir, name, &tablespace->location, &tablespace->problem);
	if (fd < 0)
	{
		check_problem(walk->types, walk->path, "tablespace not followed: %s", tablespace->problem);
		close_off(walk);
	}
	else
		enter(walk, fd, 0);
}

/* A file that holds only pages that changed: how it begins. */
static void
visit_incremental(Walk *walk, int dir, const char *name, uint64_t size)
{
	unsigned char start[INCREMENTAL_START_SIZE];
	int			fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t		got = fd < 0 ? -1 : pread(fd, start, sizeof(start), 0);

	add_incremental(walk->report, walk->backup, walk->path, size, start, got, walk->deep);
	if (fd >= 0)
		close(fd);
}

static void
visit_file(Walk *walk, int dir, const char *name, const struct stat *st)
{
	ManifestFile *file = manifest_find(&walk->backup->manifest, walk->path);

	if (file == NULL)
	{
		check_problem(walk->extra, walk->path, "not in the manifest");
		walk->extra_bytes += (uint64_t) st->st_size;
		return;
	}
	file->found = true;
	if (is_incremental(walk->path))
		visit_incremental(walk, dir, name, (uint64_t) st->st_size);
	if ((uint64_t) st->st_size != file->size)
		check_problem(walk->sizes, walk->path, "has %" PRIu64 " bytes, not %" PRIu64,
					  (uint64_t) st->st_size, file->size);
	if (faccessat(dir, name, R_OK, 0) != 0)
	{
		check_problem(walk->readable, walk->path, "unreadable: %s", describe_errno(errno));
		walk->unreadable_bytes += file->size;
	}
	else
		file->wanted = (uint64_t) st->st_size == file->size;
}

static const char *
kind_of(mode_t mode)
{
	return S_ISFIFO(mode) ? "FIFO" : S_ISSOCK(mode) ? "socket" : S_ISCHR(mode) ? "character device" :
		S_ISBLK(mode) ? "block device" : "something else";
}

/* One entry of a directory; its path is in walk->path. */
static void
visit(Walk *walk, int dir, const char *name)
{
	struct stat st;
	ManifestFile *file;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
	{
		/* gone since it was listed: then it counts as not there */
		if (errno != ENOENT)
		{
			check_problem(walk->readable, walk->path, "unreadable: %s", describe_errno(errno));
			close_off(walk);
		}
		return;
	}
	if (S_ISREG(st.st_mode))
	{
		visit_file(walk, dir, name, &st);
		return;
	}
	if (S_ISDIR(st.st_mode))
	{
		int			fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		enter(walk, fd, errno);
		return;
	}
	if (S_ISLNK(st.st_mode))
	{
		visit_link(walk, dir, name);
		return;
	}
	check_problem(walk->types, walk->path, "is a %s", kind_of(st.st_mode));
	file = manifest_find(&walk->backup->manifest, walk->path);
	if (file != NULL)
		file->found = true;
}

/* Visit all entries of "dir", which is walk->path, and close it. */
static void
walk_directory(Walk *walk, int dir)
{
	DIR		   *stream = fdopendir(dir);
	struct dirent *entry;
	size_t		len = walk->path_len;

	if (stream == NULL)
	{
		enter(walk, -1, errno);
		close(dir);
		return;
	}
	while (errno = 0, (entry = readdir(stream)) != NULL)
	{
		const char *name = entry->d_name;
		size_t		name_len = strlen(name);

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (len + name_len + 2 > sizeof(walk->path))
		{
			check_problem(walk->types, walk->path, "holds a path that is too long");
			continue;
		}
		walk->path_len = len + (size_t) snprintf(walk->path + len, sizeof(walk->path) - len, "%s%s",
												 len > 0 ? "/" : "", name);
		if (is_compared(walk->path))
			visit(walk, dir, name);
		walk->path_len = len;
		walk->path[len] = '\0';
	}
	if (errno != 0)
		enter(walk, -1, errno);
	closedir(stream);
}

static bool
is_closed_off(char *const *closed, size_t n_closed, const char *path)
{
	for (size_t i = 0; i < n_closed; i++)
	{
		if (closed[i][0] == '\0' || is_below(path, closed[i]))
			return true;
	}
	return false;
}

/*
 * Checks files_present and backup_label_present, when everything has been met;
 * of what lies in the places that are closed nothing is known.
 */
void
check_presence(Report *report, const Manifest *manifest, char *const *closed, size_t n_closed)
{
	Check	   *present = report_check(report, "files_present");
	Check	   *label = report_check(report, "backup_label_present");
	const ManifestFile *label_file = manifest_find(manifest, "backup_label");
	uint64_t	unknown = 0;
	uint64_t	unknown_bytes = 0;

	for (uint32_t i = 0; i < manifest->n_files; i++)
	{
		const ManifestFile *file = manifest_file (manifest, i);

		if (file->found || !is_compared(file->path))
			continue;
		if (!is_closed_off(closed, n_closed, file->path))
			check_problem(present, file->path, "missing");
		else
		{
			unknown++;
			unknown_bytes += file->size;
		}
	}
	if (present->n_problems > 0)
		check_set(present, CHECK_FAILED, "%" PRIu64 " of %" PRIu32 " listed files %s missing.",
				  present->n_problems, manifest->n_files, present->n_problems == 1 ? "is" : "are");
	else if (unknown > 0)
		check_set(present, CHECK_SKIPPED, "Whether %s (%" PRIu64 " bytes) of %" PRIu32 " exist is not known.",
				  count_of(unknown, "listed file", "listed files"), unknown_bytes, manifest->n_files);
	else
		check_set(present, CHECK_PASSED, "All %" PRIu32 " listed files exist.", manifest->n_files);

	if (label_file != NULL && label_file->found)
		check_set(label, CHECK_PASSED, "backup_label exists.");
	else if (is_closed_off(closed, n_closed, "backup_label"))
		check_set(label, CHECK_SKIPPED, "Whether backup_label exists is not known.");
	else
		check_set(label, CHECK_FAILED, "backup_label is missing: a server started on this backup "
				  "would begin at a wrong checkpoint and be corrupt.");
}

/* The sentence of check files_readable */
static void
conclude_readable(Check *check, uint64_t bytes)
{
	check_conclude(check, "All files and directories may be read.", "file or directory", "files or directories",
				   bytes == 0 ? "cannot be read." : format("cannot be read; the files among them have %" PRIu64 " bytes.", bytes));
}

/*
 * Compare the backup's directories with its manifest: checks file_sizes,
 * no_extra_files, file_types, files_readable, files_present and
 * backup_label_present, incremental_files if there are any, and at level "verify" those of verify_contents().
 */
void
read_tree(Report *report, Backup *backup, const Options *options)
{
	Walk		walk = {
		.report = report,
		.backup = backup,
		.options = options,
		.deep = strcmp(options->level, "verify") == 0,
		.sizes = report_check(report, "file_sizes"),
		.extra = report_check(report, "no_extra_files"),
		.types = report_check(report, "file_types"),
		.readable = report_check(report, "files_readable"),
	};

	enter(&walk, dup(backup->dir), errno);
	check_conclude(walk.sizes, "Every file has the size that the manifest states.",
				   "file has", "files have", "a wrong size.");
	check_conclude(walk.extra, "There is no file that the manifest does not list.",
				   "file is", "files are", "not in the manifest.");
	check_conclude(walk.types, "There are only files, directories and links to tablespaces.",
				   "entry is", "entries are", "neither a file nor a directory nor a link that belongs here.");
	check_presence(report, &backup->manifest, walk.closed, walk.n_closed);
	if (walk.deep)
		walk.unreadable_bytes += verify_contents(report, backup, options, walk.readable);
	conclude_incremental(report, backup);
	conclude_readable(walk.readable, walk.unreadable_bytes);
	for (size_t i = 0; i < walk.n_closed; i++)
		free(walk.closed[i]);
	free(walk.closed);
}
