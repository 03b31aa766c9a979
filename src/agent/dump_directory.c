/*
 * src/agent/dump_directory.c
 *		Dumps in directory format: pg_dump --format=directory.
 *
 * A file toc.dat with the table of contents, a file for each table's data and
 * each large object, compressed or not, and lists of large objects.  Files are
 * opened only below the directory and only by names that the format itself can
 * give; what else lies there is not of the dump.  Several threads read, each
 * one file after the other, the largest first.
 */
#include "dump.h"
#include "dump_blobs.h"
#include "jobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTENTS "toc.dat"
#define OPEN_FILE (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static void verify_directory(DumpRun *run);

const DumpFormat directory_format = {
	.name = "directory",
	.verify = verify_directory,
};

/* A file of the dump that was read */
typedef struct PartFile
{
	char	   *name;
	char		sha256[2 * MAX_DIGEST_SIZE + 1];
} PartFile;

/* A file with data that is to be read. */
typedef struct PartUnit
{
	DumpEntry  *entry;
	char	   *name;
	char	   *label;
	uint64_t	size;			/* 0: unknown */
} PartUnit;

/*
 * State of the reading.  "lock" protects the run's checks and what is counted
 * and listed of files, as soon as there are threads.
 */
typedef struct Parts
{
	DumpRun    *run;
	Blobs		blobs;
	PartUnit   *units;
	uint32_t	n_units;
	uint32_t	units_room;
	_Atomic uint32_t next;
	pthread_mutex_t lock;
	PartFile   *files;
	uint32_t	n_files;
	uint32_t	room;
} Parts;

/* One open file of the dump. */
typedef struct Part
{
	char	   *name;			/* as it is on disk */
	int			fd;
	uint64_t	size;
	FileSource	file;
	Stream		in;
} Part;

/* What a file may be called on disk, behind the name in the table of contents */
static const char *const suffixes[] = {"", ".gz", ".lz4", ".zst"};

#define N_SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

/*
 * Open file "name", or what it is called when compressed; what is wrong, or
 * NULL.
 */
static char *
open_part(Parts *parts, const char *name, Part *part)
{
	int			error = ENOENT;
	struct stat st;

	memset(part, 0, sizeof(*part));
	part->fd = -1;
	for (size_t i = 0; part->fd < 0 && error == ENOENT && i < N_SUFFIXES; i++)
	{
		free(part->name);
		part->name = format("%s%s", name, suffixes[i]);
		part->fd = openat(parts->run->dump->fd, part->name, OPEN_FILE);
		error = part->fd < 0 ? errno : 0;
	}
	if (error == ENOENT)
		return format("its file %s is missing", name);
	if (error != 0)
		return format("its file %s is %s", part->name,
					  error == ELOOP ? "a symbolic link" : format("unreadable: %s", describe_errno(error)));
	if (fstat(part->fd, &st) != 0 || !S_ISREG(st.st_mode))
	{
		close(part->fd);
		part->fd = -1;
		return format("its file %s is not a regular file", part->name);
	}
	part->size = (uint64_t) st.st_size;
	file_source_open(&part->file, part->fd, &parts->run->pace, parts->run->deep);
	stream_open_file(&part->in, compression_of_name(part->name, NULL), &part->file);
	return NULL;
}

/* Count a file and remember its digest. */
static void
note_file(Parts *parts, uint64_t size, const PartFile *file)
{
	pthread_mutex_lock(&parts->lock);
	parts->run->dump->size += size;
	if (parts->n_files == parts->room)
	{
		parts->room = parts->room == 0 ? 64 : 2 * parts->room;
		parts->files = xrealloc(parts->files, parts->room * sizeof(PartFile));
	}
	parts->files[parts->n_files++] = *file;
	pthread_mutex_unlock(&parts->lock);
}

/* Read what is left of a file, for its digest, and close it. */
static void
close_part(Parts *parts, Part *part)
{
	PartFile	file = {.name = part->name};

	if (part->fd < 0)
	{
		free(part->name);
		return;
	}
	file_source_rest(&part->file);
	file_source_digest(&part->file, file.sha256);
	stream_close(&part->in);
	file_source_close(&part->file);
	close(part->fd);
	note_file(parts, part->size, &file);
}

/* Where a problem with a file's contents belongs. */
static Check *
check_of_contents(Parts *parts)
{
	return parts->run->deep ? parts->run->readable : parts->run->present;
}

/* Of an empty large object pg_dump writes not even a frame of lz4 or zstd; gzip has a header. */
static bool
is_empty_object(const char *name)
{
	Compression method = compression_of_name(name, NULL);

	return method == COMPRESSION_LZ4 || method == COMPRESSION_ZSTD;
}

/* One file with data. */
static void
read_part(Parts *parts, const PartUnit *unit)
{
	DumpRun    *run = parts->run;
	Check	   *check = run->present;
	Part		part;
	char	   *problem = open_part(parts, unit->name, &part);
	char	   *inside = NULL;

	if (problem == NULL && part.size == 0 && unit->entry->kind == ENTRY_DATA)
		problem = format("its file %s is empty", part.name);
	else if (problem == NULL && run->deep && !(part.size == 0 && is_empty_object(part.name)))
		inside = read_entry_data(run, unit->entry, &part.in);
	if (inside != NULL)
	{
		check = run->readable;
		problem = format("file %s: %s", part.name, inside);
		free(inside);
	}
	close_part(parts, &part);
	if (problem == NULL)
		return;
	pthread_mutex_lock(&parts->lock);
	check_problem(check, unit->label, "%s", problem);
	pthread_mutex_unlock(&parts->lock);
	free(problem);
}

/* A thread's work. */
static void *
read_units(void *argument)
{
	Parts	   *parts = argument;
	uint32_t	i;

	while ((i = parts->next++) < parts->n_units)
		read_part(parts, &parts->units[i]);
	return NULL;
}

/* How large a file is, whatever it is called. */
static uint64_t
size_of_part(const Parts *parts, const char *name)
{
	struct stat st;

	for (size_t i = 0; i < N_SUFFIXES; i++)
	{
		char	   *full = format("%s%s", name, suffixes[i]);
		bool		found = fstatat(parts->run->dump->fd, full, &st, AT_SYMLINK_NOFOLLOW) == 0;

		free(full);
		if (found)
			return (uint64_t) st.st_size;
	}
	return 0;
}

/* Plan to read a file; takes both texts. */
static void
add_unit(Parts *parts, DumpEntry *entry, char *name, char *label)
{
	if (parts->n_units == parts->units_room)
	{
		parts->units_room = parts->units_room == 0 ? 64 : 2 * parts->units_room;
		parts->units = xrealloc(parts->units, parts->units_room * sizeof(PartUnit));
	}
	parts->units[parts->n_units++] = (PartUnit)
	{
		entry, name, label, size_of_part(parts, name)
	};
}

/* A list of large objects. */
static void
read_list(Parts *parts, const DumpEntry *entry)
{
	const char *name = entry->file != NULL && is_blobs_toc(entry->file) ? entry->file : "blobs.toc";
	char	   *label = entry_label(entry);
	Part		part;
	char	   *problem = open_part(parts, name, &part);

	if (problem != NULL)
		check_problem(parts->run->present, label, "%s", problem);
	else if ((problem = blobs_read_toc(&parts->blobs, &part.in)) != NULL)
		check_problem(check_of_contents(parts), label, "file %s: %s", part.name, problem);
	free(problem);
	free(label);
	close_part(parts, &part);
}

/* Plan to read the large objects in the lists. */
static void
add_blobs(Parts *parts)
{
	static DumpEntry nobody = {.kind = ENTRY_OTHER};
	const OidList *wanted = &parts->blobs.wanted;

	for (uint32_t i = 0; i < wanted->n; i++)
		add_unit(parts, &nobody, format("blob_%" PRIu32 ".dat", wanted->oids[i]), format("large object %" PRIu32, wanted->oids[i]));
	parts->run->dump->n_blobs += wanted->n;
	free(parts->blobs.wanted.oids);
}

/* The largest first, so that all threads end at about the same time. */
static int
compare_units(const void *a, const void *b)
{
	const PartUnit *x = a;
	const PartUnit *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int
compare_files(const void *a, const void *b)
{
	return strcmp(((const PartFile *) a)->name, ((const PartFile *) b)->name);
}

/*
 * The dump's digest: of a line with digest and name for each of its files in
 * the order of their names, as sha256sum prints them.
 */
static void
digest_of_files(Parts *parts)
{
	Digest		digest = {0};
	unsigned char result[MAX_DIGEST_SIZE];
	bool		good = digest_begin(&digest, DIGEST_SHA256);

	if (parts->n_files > 0)
		qsort(parts->files, parts->n_files, sizeof(PartFile), compare_files);
	for (uint32_t i = 0; i < parts->n_files; i++)
	{
		char	   *line = format("%s  %s\n", parts->files[i].sha256, parts->files[i].name);

		good = good && parts->files[i].sha256[0] != '\0' && digest_add(&digest, line, strlen(line));
		free(line);
		free(parts->files[i].name);
	}
	if (good && digest_end(&digest, result))
		digest_text(DIGEST_SHA256, result, parts->run->dump->sha256);
	digest_free(&digest);
	free(parts->files);
}

/* Plan to read everything that the table of contents names; its lists of large objects are read at once. */
static void
plan_parts(Parts *parts)
{
	Dump	   *dump = parts->run->dump;

	for (uint32_t i = 0; i < dump->n_entries; i++)
	{
		DumpEntry  *entry = &dump->entries[i];

		if (!entry->has_data)
			continue;
		if (entry->kind == ENTRY_BLOBS)
			read_list(parts, entry);
		else if (entry->file != NULL)
			add_unit(parts, entry, xstrdup(entry->file), entry_label(entry));
		else
		{
			char	   *label = entry_label(entry);

			check_problem(parts->run->present, label, "the table of contents names no file for it");
			free(label);
		}
	}
	add_blobs(parts);
	if (parts->n_units > 0)
		qsort(parts->units, parts->n_units, sizeof(PartUnit), compare_units);
}

/* Read what was planned. */
static void
read_parts(Parts *parts)
{
	DumpRun    *run = parts->run;

	if (run->deep)
		run_jobs(run->options, &run->pace, parts->n_units, read_units, parts);
	else
		(void) read_units(parts);
	for (uint32_t i = 0; i < parts->n_units; i++)
	{
		free(parts->units[i].name);
		free(parts->units[i].label);
	}
	free(parts->units);
}

/* The table of contents: checks dump_header and toc_readable; false if it cannot be read. */
static bool
read_contents(Parts *parts)
{
	DumpRun    *run = parts->run;
	Dump	   *dump = run->dump;
	const unsigned char *data;
	Part		part;
	char	   *problem = open_part(parts, CONTENTS, &part);

	if (problem != NULL)
		check_set(run->contents, CHECK_FAILED, "The table of contents cannot be read: %s.", problem);
	else if (!read_dump_header(&part.in, &dump->header, &problem))
		conclude_header(run, problem);
	else if (conclude_header(run, NULL), !read_dump_toc(&part.in, dump, false, &problem))
		conclude_toc(run, problem);
	else if (stream_look(&part.in, &data) > 0)
		conclude_toc(run, "something follows its end");
	else
		conclude_toc(run, part.in.problem);
	free(problem);
	close_part(parts, &part);
	return run->contents->result == CHECK_PASSED && run->contents->detail != NULL;
}

/* See DumpFormat. */
static void
verify_directory(DumpRun *run)
{
	Parts		parts = {.run = run,.lock = PTHREAD_MUTEX_INITIALIZER};

	run->contents = report_check(run->report, "toc_readable");
	run->present = report_check(run->report, "data_present");
	run->readable = run->deep ? report_check(run->report, "data_readable") : NULL;
	run->dump->size = 0;
	if (read_contents(&parts))
		plan_parts(&parts);
	read_parts(&parts);
	digest_of_files(&parts);
}
