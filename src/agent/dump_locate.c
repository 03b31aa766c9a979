/*
 * src/agent/dump_locate.c
 *		Which file or directory is the dump to look at.
 *
 * The path is a dump, or a directory of dumps, of which the newest counts: by
 * the time in its header, which survives copying, or that of its last change
 * where the format has none.  One that was changed within the last minute may
 * be under way; it counts only if there is no other.
 */
#include "dump.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FILE (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

#define CONTENTS "toc.dat"
#define START_SIZE 512			/* enough to tell every format */

/* Seconds for which a dump that was changed may still be under way */
#define SETTLED_AFTER 60

static const DumpFormat *const file_formats[] = {&custom_format, &tar_format, &plain_format};

#define N_FILE_FORMATS (sizeof(file_formats) / sizeof(file_formats[0]))

/* Endings of names that say that a file is not complete */
static const char *const unfinished[] = {".tmp", ".temp", ".part", ".partial", ".incomplete"};

/* Dumps in a directory of dumps, as far as a choice among them needs. */
typedef struct Choice
{
	char	   *newest;
	int64_t		newest_time;
	bool		newest_settled;
	uint64_t	dumps;
	uint64_t	unsettled;
} Choice;

/* What is known of a dump without reading it. */
typedef struct Look
{
	const DumpFormat *format;
	Compression compression;
	int64_t		time;			/* when it was made */
	int64_t		modified_at;	/* when it was changed last */
} Look;

/*
 * When a dump was begun: its header's time, read as local time here, which is
 * wrong where the dump comes from another time zone; but it was never begun
 * after it was changed last.
 */
int64_t
dump_time(const DumpHeader *header, int64_t modified_at)
{
	return header->created_at != NO_TIME && header->created_at < modified_at ? header->created_at : modified_at;
}

/* Look at a file's start; false if it is no dump. */
static bool
look_at_file(int fd, Look *look)
{
	FileSource	file;
	Stream		in;
	DumpHeader	header;
	const unsigned char *data;
	char	   *problem = NULL;
	struct stat st;
	size_t		len;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	memset(look, 0, sizeof(*look));
	look->time = look->modified_at = st.st_mtim.tv_sec;
	for (int pass = 0; pass < 2 && look->format == NULL; pass++)
	{
		file_source_open(&file, fd, NULL, false);
		stream_open_file(&in, look->compression, &file);
		len = stream_look_far(&in, START_SIZE, &data);
		for (size_t i = 0; i < N_FILE_FORMATS && look->format == NULL; i++)
		{
			if (file_formats[i]->begins(data, len))
				look->format = file_formats[i];
		}
		if (look->format != NULL && look->format->read_header != NULL &&
			look->format->read_header(&in, &header, &problem))
			look->time = dump_time(&header, look->modified_at);
		free(problem);
		problem = NULL;
		if (look->format == NULL && look->compression == COMPRESSION_NONE)
			look->compression = compression_of_magic(data, len);
		stream_close(&in);
		file_source_close(&file);
		if (look->compression == COMPRESSION_NONE || !compression_readable(look->compression))
			break;
	}
	return look->format != NULL;
}

/* The table of contents in a directory, with any of its names; -1 if there is none. */
static int
open_contents(int dir, Compression *compression)
{
	static const char *const names[] = {CONTENTS, CONTENTS ".gz", CONTENTS ".lz4", CONTENTS ".zst"};
	int			fd = -1;

	for (size_t i = 0; fd < 0 && i < sizeof(names) / sizeof(names[0]); i++)
	{
		fd = openat(dir, names[i], OPEN_FILE);
		*compression = compression_of_name(names[i], NULL);
	}
	return fd;
}

/* When something in a directory was changed last; pg_dump writes into it for a while. */
static int64_t
last_change(int dir)
{
	DIR		   *stream = fdopendir(openat(dir, ".", OPEN_DIRECTORY));
	struct dirent *entry;
	struct stat st;
	int64_t		newest = 0;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
	{
		if (strcmp(entry->d_name, "..") != 0 && fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_mtim.tv_sec > newest)
			newest = st.st_mtim.tv_sec;
	}
	if (stream != NULL)
		closedir(stream);
	return newest;
}

/* Bytes of all files in a directory. */
uint64_t
directory_size(int dir)
{
	DIR		   *stream = fdopendir(openat(dir, ".", OPEN_DIRECTORY));
	struct dirent *entry;
	struct stat st;
	uint64_t	size = 0;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
	{
		if (fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			size += (uint64_t) st.st_size;
	}
	if (stream != NULL)
		closedir(stream);
	return size;
}

/* Look at a directory; false if it is no dump. */
static bool
look_at_directory(int dir, Look *look)
{
	FileSource	file;
	Stream		in;
	DumpHeader	header;
	Compression compression;
	char	   *problem = NULL;
	int			fd = open_contents(dir, &compression);
	struct stat st;

	if (fd < 0)
		return false;
	memset(look, 0, sizeof(*look));
	look->format = &directory_format;
	look->time = look->modified_at = last_change(dir);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
	{
		file_source_open(&file, fd, NULL, false);
		stream_open_file(&in, compression, &file);
		if (read_dump_header(&in, &header, &problem))
			look->time = dump_time(&header, look->modified_at);
		free(problem);
		stream_close(&in);
		file_source_close(&file);
	}
	close(fd);
	return true;
}

static bool
is_unfinished(const char *name)
{
	size_t		len = strlen(name);

	for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++)
	{
		size_t		suffix = strlen(unfinished[i]);

		if (len > suffix && strcmp(name + len - suffix, unfinished[i]) == 0)
			return true;
	}
	return name[0] == '.';
}

/* Open an entry of a directory of dumps and look at it; -1 if it is none. */
static int
open_entry(int dir, const char *name, bool *is_directory, Look *look)
{
	struct stat st;
	int			fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return -1;
	*is_directory = S_ISDIR(st.st_mode);
	fd = openat(dir, name, *is_directory ? OPEN_DIRECTORY : OPEN_FILE);
	if (fd >= 0 && !(*is_directory ? look_at_directory(fd, look) : look_at_file(fd, look)))
	{
		close(fd);
		errno = 0;
		return -1;
	}
	return fd;
}

/* Weigh one entry of a directory of dumps. */
static void
consider(Choice *choice, Check *found, const Dump *dump, const char *name)
{
	bool		is_directory;
	bool		settled;
	Look		look;
	int			fd;

	if (is_unfinished(name))
		return;
	errno = 0;
	fd = open_entry(dump->fd, name, &is_directory, &look);
	if (fd < 0)
	{
		if (errno != 0 && errno != ENOENT)
			check_problem(found, name, "passed over, cannot be read: %s", describe_errno(errno));
		return;
	}
	close(fd);
	choice->dumps++;
	settled = look.modified_at + SETTLED_AFTER <= dump->now || look.modified_at > dump->now;
	choice->unsettled += !settled;
	if (choice->newest == NULL || settled > choice->newest_settled ||
		(settled == choice->newest_settled &&
		 (look.time > choice->newest_time || (look.time == choice->newest_time && strcmp(name, choice->newest) > 0))))
	{
		free(choice->newest);
		choice->newest = xstrdup(name);
		choice->newest_time = look.time;
		choice->newest_settled = settled;
	}
}

/* What was looked at is the dump. */
static void
take_look(Dump *dump, const Look *look)
{
	dump->format = look->format;
	dump->compression = look->compression;
	dump->modified_at = look->modified_at;
}

/* The newest dump in a directory of dumps becomes the one to look at. */
static bool
choose_newest(Check *found, Dump *dump, const char *path)
{
	Choice		choice = {0};
	Look		look = {0};
	DIR		   *stream = fdopendir(openat(dump->fd, ".", OPEN_DIRECTORY));
	struct dirent *entry;
	int			fd;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		consider(&choice, found, dump, entry->d_name);
	if (stream != NULL)
		closedir(stream);
	if (choice.newest == NULL)
	{
		check_set(found, CHECK_FAILED, "No dump lies in \"%s\".", path);
		return false;
	}
	fd = open_entry(dump->fd, choice.newest, &dump->is_directory, &look);
	if (fd < 0)
	{
		check_set(found, CHECK_FAILED, "Dump \"%s\" vanished while it was looked at.", choice.newest);
		return false;
	}
	close(dump->fd);
	dump->fd = fd;
	take_look(dump, &look);
	dump->path = format("%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", choice.newest);
	check_set(found, found->n_problems > 0 ? CHECK_WARNING : CHECK_PASSED, "\"%s\" is the newest of %s in \"%s\"%s%s.",
			  choice.newest, count_of(choice.dumps, "dump", "dumps"), path,
			  choice.newest_settled && choice.unsettled > 0 ? ", those aside that may be under way" : "",
			  found->n_problems == 0 ? "" : format("; %s passed over", count_of(found->n_problems, "other was", "others were")));
	return true;
}

/*
 * Find the dump: check dump_found.  dump->fd is open on "path"; false if there
 * is none.
 */
bool
locate_dump(Report *report, Dump *dump, const char *path)
{
	Check	   *found = report_check(report, "dump_found");
	Look		look = {0};

	dump->path = xstrdup(path);
	if (dump->is_directory ? look_at_directory(dump->fd, &look) : look_at_file(dump->fd, &look))
	{
		take_look(dump, &look);
		check_set(found, CHECK_PASSED, "\"%s\" is a dump in %s format.", path, dump->format->name);
	}
	else if (!dump->is_directory)
	{
		check_set(found, CHECK_FAILED, "\"%s\" is no dump of pg_dump or pg_dumpall%s.", path,
				  compression_readable(look.compression) ? "" :
				  format(", or compressed in a way that cannot be read (%s)", compression_name(look.compression)));
		return false;
	}
	else if (!choose_newest(found, dump, path))
		return false;

	/* the last part of the path, a trailing slash aside */
	for (size_t len = strlen(dump->path); len > 1 && dump->path[len - 1] == '/'; len--)
		dump->path[len - 1] = '\0';
	dump->id = strrchr(dump->path, '/');
	dump->id = dump->id == NULL || dump->id[1] == '\0' ? dump->path : dump->id + 1;
	return true;
}
