/*
 * src/agent/wal_archive.c
 *		The files of an archive of WAL.
 *
 * An archive may hold a million segments, and the server goes on writing to it
 * while we look: of two segments that come during a listing it may show the
 * younger one only.  So before a hole is believed, the archive is listed once
 * more, and what either listing shows is there.
 */
#include "wal_archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
#define MAX_SEGMENT_FILES 20000000
#define MAX_TEXT_FILES 1000000

/* A directory being listed. */
typedef struct Listing
{
	Archive    *archive;
	Check	   *readable;
	int			directory;		/* index in the archive */
	int			fd;
	const char *nested;			/* its name, if it is one of first digits, or
								 * NULL */
} Listing;

/* The number of what a segment's name ends with; -1 if there are too many kinds. */
static int
tail_number(Archive *archive, const char *tail)
{
	for (int i = 0; i < archive->n_tails; i++)
	{
		if (strcmp(archive->tails[i], tail) == 0)
			return i;
	}
	if (archive->n_tails == UINT8_MAX)
		return -1;
	archive->tails[archive->n_tails] = xstrdup(tail);
	return archive->n_tails++;
}

/* Add a file with a segment's name. */
static void
add_segment(Listing *listing, const char *name, const WalName *parts, const struct stat *st)
{
	Archive    *archive = listing->archive;
	int			tail = tail_number(archive, name + parts->tail);
	SegmentFile *file;

	if (tail < 0 || archive->n_files == MAX_SEGMENT_FILES)
		return;
	if (archive->n_files == archive->files_size)
	{
		archive->files_size = archive->files_size == 0 ? 1024 : 2 * archive->files_size;
		archive->files = xrealloc(archive->files, archive->files_size * sizeof(SegmentFile));
	}
	file = &archive->files[archive->n_files++];
	memset(file, 0, sizeof(*file));
	file->size = (uint64_t) st->st_size;
	file->mtime = st->st_mtime;
	file->timeline = parts->timeline;
	file->log = parts->log;
	file->seg = parts->seg;
	file->directory = (uint8_t) listing->directory;
	file->tail = (uint8_t) tail;
	file->compression = (uint8_t) parts->compression;
	file->nested = listing->nested != NULL;
	file->partial = parts->partial;
	file->has_sha1 = parts->has_sha1;
	memcpy(file->sha1, parts->sha1, SHA1_SIZE);
	if (archive->directories[listing->directory].waiting)
		file->state = SEGMENT_WAITING;
	if (!S_ISREG(st->st_mode))
	{
		file->state = SEGMENT_UNREADABLE;
		check_problem(listing->readable, segment_path(archive, file), "is not a regular file");
	}
}

static void
add_text(Listing *listing, const char *name, const WalName *parts)
{
	Archive    *archive = listing->archive;

	if (archive->n_texts == MAX_TEXT_FILES)
		return;
	archive->texts = xrealloc(archive->texts, (archive->n_texts + 1) * sizeof(ArchiveText));
	archive->texts[archive->n_texts++] = (ArchiveText)
	{
		.name = listing->nested == NULL ? xstrdup(name) : format("%s/%s", listing->nested, name),
			.timeline = parts->timeline,
			.kind = parts->kind,
			.directory = (uint8_t) listing->directory,
	};
}

/* Files that belong to a layout's tool, or to nobody */
static bool
is_ours(const char *name)
{
	static const char *const names[] = {
		"archive.info", "archive.info.copy", "xlog.db", "backup.info", "archive_status", "lost+found", "summaries",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return name[0] == '.';
}

static void list_directory(Listing *listing);

/* One entry of a directory. */
static void
add_entry(Listing *listing, const char *name)
{
	WalName		parts;
	struct stat st;

	parse_wal_name(name, &parts);
	if (listing->nested == NULL && parts.kind == NAME_OTHER && is_segment_directory(name))
	{
		Listing		below = *listing;

		below.nested = name;
		below.fd = openat(listing->fd, name, OPEN_DIRECTORY);
		if (below.fd < 0)
			check_problem(listing->readable, name, "unreadable: %s", describe_errno(errno));
		else
			list_directory(&below);
		return;
	}
	if (parts.kind == NAME_OTHER || (listing->nested != NULL && strncmp(name, listing->nested, DIRECTORY_DIGITS) != 0))
	{
		listing->archive->other_files += !is_ours(name);
		return;
	}
	if (fstatat(listing->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;					/* gone meanwhile */
	if (parts.kind == NAME_SEGMENT)
		add_segment(listing, name, &parts, &st);
	else
		add_text(listing, name, &parts);
}

/* List a directory, whose descriptor is closed at the end. */
static void
list_directory(Listing *listing)
{
	DIR		   *stream = fdopendir(listing->fd);
	struct dirent *entry;

	if (stream == NULL)
	{
		close(listing->fd);
		return;
	}
	errno = 0;
	while ((entry = readdir(stream)) != NULL)
	{
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			add_entry(listing, entry->d_name);
		errno = 0;
	}
	if (errno != 0)
		check_problem(listing->readable, listing->nested == NULL ? "." : listing->nested, "cannot be listed: %s",
					  describe_errno(errno));
	closedir(stream);
}

static int
compare_files(const void *a, const void *b)
{
	const SegmentFile *x = a;
	const SegmentFile *y = b;

#define COMPARE(member) if (x->member != y->member) return x->member < y->member ? -1 : 1
	COMPARE(timeline);
	COMPARE(log);
	COMPARE(seg);
	COMPARE(partial);
	COMPARE(directory);
	COMPARE(tail);
	COMPARE(nested);
#undef COMPARE
	return memcmp(x->sha1, y->sha1, SHA1_SIZE);
}

/* Sort the files; one that was listed twice counts once. */
static void
sort_files(Archive *archive)
{
	uint32_t	kept = 0;

	if (archive->n_files > 0)
		qsort(archive->files, archive->n_files, sizeof(SegmentFile), compare_files);
	for (uint32_t i = 0; i < archive->n_files; i++)
	{
		const SegmentFile *file = &archive->files[i];

		if (kept == 0 || compare_files(&archive->files[kept - 1], file) != 0)
			archive->files[kept++] = *file;
		else if (file->contents != NULL || file->state != SEGMENT_PRESENT)
			archive->files[kept - 1] = *file;	/* we have looked at it
												 * already */
	}
	archive->n_files = kept;
}

/* List all directories. */
static void
list_all(Archive *archive, Check *readable)
{
	archive->other_files = 0;
	archive->n_texts = 0;
	for (int i = 0; i < archive->n_directories; i++)
	{
		Listing		listing = {.archive = archive,.readable = readable,.directory = i};

		listing.fd = openat(archive->directories[i].fd, ".", OPEN_DIRECTORY);
		if (listing.fd < 0)
			check_problem(readable, archive->directories[i].prefix, "unreadable: %s", describe_errno(errno));
		else
			list_directory(&listing);
	}
	sort_files(archive);
}

/* Is there a segment between two of the same timeline that is not there? */
static bool
looks_broken(const Archive *archive)
{
	for (uint32_t i = 1; i < archive->n_files; i++)
	{
		const SegmentFile *last = &archive->files[i - 1];
		const SegmentFile *file = &archive->files[i];

		if (file->timeline == last->timeline &&
			(file->log == last->log ? file->seg > last->seg + 1 : file->log > last->log + 1 || file->seg > 0))
			return true;
	}
	return false;
}

/* Check archive_found; false if there is no WAL. */
bool
scan_archive(Report *report, Archive *archive, Check *readable)
{
	Check	   *found = report_check(report, "archive_found");

	list_all(archive, readable);
	if (readable->n_problems == 0 && looks_broken(archive))
		list_all(archive, readable);
	for (uint32_t i = 0; i < archive->n_files; i++)
		archive->total_size += archive->files[i].size;
	if (archive->n_files == 0)
	{
		check_set(found, CHECK_FAILED, "\"%s\" holds no WAL.", archive->path);
		return false;
	}
	check_set(found, CHECK_PASSED, "\"%s\" is %s with %s%s.", archive->path, archive->layout->description,
			  count_of(archive->n_files, "file of WAL", "files of WAL"), archive->other_files == 0 ? "" :
			  format(" and %s", count_of(archive->other_files, "file that is none", "files that are none")));
	return true;
}

/* List the archive once more, for what has come meanwhile. */
void
list_archive_again(Archive *archive, Check *readable)
{
	if (readable->n_problems == 0)
		list_all(archive, readable);
}

/* Path of a file, relative to the archive; the caller frees it. */
char *
segment_path(const Archive *archive, const SegmentFile *file)
{
	char		name[SEGMENT_DIGITS + 1];
	char		sha1[2 * SHA1_SIZE + 2] = "";

	snprintf(name, sizeof(name), "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, file->timeline, file->log, file->seg);
	if (file->has_sha1)
	{
		sha1[0] = '-';
		for (int i = 0; i < SHA1_SIZE; i++)
			snprintf(sha1 + 1 + 2 * i, 3, "%02x", file->sha1[i]);
	}
	return format("%s%.*s%s%s%s%s", archive->directories[file->directory].prefix,
				  file->nested ? DIRECTORY_DIGITS : 0, name, file->nested ? "/" : "",
				  name, sha1, archive->tails[file->tail]);
}

/* First file of that segment or a later one on that timeline, or of a later timeline; n_files if there is none. */
uint32_t
first_file(const Archive *archive, uint32_t timeline, uint64_t segment)
{
	uint32_t	low = 0;
	uint32_t	high = archive->n_files;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;
		const SegmentFile *file = &archive->files[middle];

		if (file->timeline < timeline || (file->timeline == timeline && file->segment < segment))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Add segments behind those of the last range, or in it. */
void
add_to_ranges(SegmentRanges *ranges, uint32_t timeline, uint64_t first, uint64_t last)
{
	SegmentRange *range = ranges->n == 0 ? NULL : &ranges->items[ranges->n - 1];

	if (range != NULL && range->timeline == timeline && first <= range->last + 1)
	{
		if (last > range->last)
			range->last = last;
		return;
	}
	if (ranges->n == ranges->size)
	{
		ranges->size = ranges->size == 0 ? 16 : 2 * ranges->size;
		ranges->items = xrealloc(ranges->items, ranges->size * sizeof(SegmentRange));
	}
	ranges->items[ranges->n++] = (SegmentRange)
	{
		timeline, first, last
	};
}

uint64_t
count_ranges(const SegmentRanges *ranges)
{
	uint64_t	count = 0;

	for (uint32_t i = 0; i < ranges->n; i++)
		count += ranges->items[i].last - ranges->items[i].first + 1;
	return count;
}
