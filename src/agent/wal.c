/*
 * src/agent/wal.c
 *		Segments of WAL and their pages; the WAL that a backup needs, in its pg_wal.
 *
 * The manifest states from where to where on which timelines.  A backup made
 * without WAL, to be restored with an archive, is no damaged backup: that is a
 * warning.  One that has some of what it needs, but not all, is.
 *
 * The last segment of a timeline that was left may exist only as the first one
 * of the next timeline, which begins with a copy of it.
 */
#include "stream.h"
#include "wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than this nobody keeps in a backup; a manifest that asks for more lies. */
#define MAX_SEGMENTS 10000000

/* What the header of WAL pages begins with; a version that is not here is not known. */
static const struct
{
	uint16_t	magic;
	const char *version;
}			magics[] = {
	{0xD110, "15"},
	{0xD113, "16"},
	{0xD116, "17"},
	{0xD118, "18"},
};

#define N_MAGICS (sizeof(magics) / sizeof(magics[0]))

/* A backup's directory pg_wal */
typedef struct PlainWal
{
	BackupWal	base;
	int			dir;			/* -1: none */
	FileSource	file;			/* the open segment */
	Pace	   *pace;
} PlainWal;

/* "name" has room for WAL_NAME_SIZE bytes. */
void
wal_segment_name(char *name, uint32_t timeline, uint64_t segment, uint32_t segment_size)
{
	uint64_t	per_id = (UINT64_C(1) << 32) / segment_size;

	snprintf(name, WAL_NAME_SIZE, "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, timeline,
			 (uint32_t) (segment / per_id), (uint32_t) (segment % per_id));
}

/* The major version that writes pages with this magic number, or NULL. */
const char *
wal_version(uint16_t magic)
{
	for (size_t i = 0; i < N_MAGICS; i++)
	{
		if (magics[i].magic == magic)
			return magics[i].version;
	}
	return NULL;
}

void
wal_close_segment(Wal *wal)
{
	if (wal->is_open)
		wal->source->close(wal);
	wal->is_open = false;
	wal->buffer_len = 0;
}

/* Open the segment for a range, if it is not open already; false, with errno set, if that fails. */
bool
wal_open_segment(Wal *wal, int range, uint64_t segment)
{
	if (wal->is_open && wal->segment == segment && wal->range == range)
		return true;
	wal_close_segment(wal);
	wal->is_open = wal->source->open(wal, range, segment);
	wal->segment = segment;
	wal->range = range;
	return wal->is_open;
}

/*
 * Names for a segment of a backup, in the order in which to try them: of later
 * timelines that had begun by then, as recovery prefers them, and last of the
 * range's own.  "choice" begins as 0; sets timeline and name, false if there
 * is no other.
 */
bool
backup_wal_name(Wal *wal, int range, uint64_t segment, int *choice)
{
	const BackupWal *place = wal->place;
	const Manifest *manifest = &place->backup->manifest;

	while (*choice < range && manifest->ranges[*choice].start_lsn / wal->segment_size > segment)
		++* choice;
	if (*choice > range)
		return false;
	wal->timeline = manifest->ranges[*choice].timeline;
	wal_segment_name(wal->name, wal->timeline, segment, wal->segment_size);
	++*choice;
	return true;
}

static bool
plain_open(Wal *wal, int range, uint64_t segment)
{
	PlainWal   *place = wal->place;
	int			choice = 0;

	errno = ENOENT;
	while (errno == ENOENT && backup_wal_name(wal, range, segment, &choice))
	{
		int			fd = openat(place->dir, wal->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd >= 0)
		{
			file_source_open(&place->file, fd, place->pace, false);
			return true;
		}
	}
	return false;
}

static ssize_t
plain_fill(Wal *wal, uint64_t start)
{
	PlainWal   *place = wal->place;

	place->file.offset = start;
	return file_source_read(&place->file, wal->buffer, WAL_BUFFER_SIZE);
}

static void
plain_close(Wal *wal)
{
	PlainWal   *place = wal->place;

	file_source_close(&place->file);
	close(place->file.fd);
}

/* Why a segment of this size is none, or NULL. */
char *
wal_size_problem(const Wal *wal, uint64_t size)
{
	return size == wal->segment_size ? NULL : format("has %" PRIu64 " bytes, not %" PRIu32, size, wal->segment_size);
}

static char *
plain_problem(const Wal *wal)
{
	const PlainWal *place = wal->place;
	struct stat st;

	if (fstat(place->file.fd, &st) != 0)
		return format("unreadable: %s", describe_errno(errno));
	return S_ISREG(st.st_mode) ? wal_size_problem(wal, (uint64_t) st.st_size) : xstrdup("is not a regular file");
}

static const WalSource plain_source = {
	.open = plain_open,
	.fill = plain_fill,
	.close = plain_close,
};

/* What lies at "at" of the open segment, at most to the buffer's end; false at an error or its end. */
bool
wal_read(Wal *wal, uint64_t at, const unsigned char **data, size_t *len)
{
	if (at < wal->buffer_start || at >= wal->buffer_start + wal->buffer_len)
	{
		uint64_t	start = at - at % WAL_BUFFER_SIZE;
		ssize_t		got = wal->source->fill(wal, start);

		wal->buffer_start = start;
		wal->buffer_len = got > 0 ? (size_t) got : 0;
		if (at >= start + wal->buffer_len)
			return false;
	}
	*data = wal->buffer + (at - wal->buffer_start);
	*len = (size_t) (wal->buffer_start + wal->buffer_len - at);
	return true;
}

/*
 * Why the header cannot be that of the page at "address" in the open segment,
 * or NULL.  The timeline is the page's own: a segment that begins a timeline
 * begins with pages of the one before.
 */
static char *
header_problem(Wal *wal, const WalPageHeader *header, uint64_t address)
{
	bool		first = address % wal->segment_size == 0;

	const char *version = wal->magic == 0 ? wal_version(header->magic) : NULL;

	if (version != NULL && (wal->server_version == NULL || strcmp(version, wal->server_version) == 0))
		wal->magic = header->magic;
	if (wal->magic == 0 || header->magic != wal->magic)
		return format("page at %X/%X has magic number %04X", (unsigned int) (address >> 32), (unsigned int) address,
					  header->magic);
	if (header->address != address)
		return format("page at %X/%X says that it is the one at %X/%X", (unsigned int) (address >> 32),
					  (unsigned int) address, (unsigned int) (header->address >> 32), (unsigned int) header->address);
	if (header->timeline == 0 || header->timeline > wal->timeline)
		return format("page at %X/%X is of timeline %" PRIu32, (unsigned int) (address >> 32), (unsigned int) address,
					  header->timeline);
	if (first != ((header->info & WAL_HAS_LONG_HEADER) != 0))
		return format("page at %X/%X has a header of the wrong kind", (unsigned int) (address >> 32), (unsigned int) address);
	if (!first)
		return NULL;
	if (header->system_identifier != wal->system_identifier)
		return format("is of cluster %" PRIu64 ", not %" PRIu64, header->system_identifier, wal->system_identifier);
	if (header->segment_size != wal->segment_size || header->page_size != wal->page_size)
		return format("states a segment size of %" PRIu32 " and a page size of %" PRIu32, header->segment_size, header->page_size);
	return NULL;
}

/*
 * Read the header of the page at "address", in the open segment; its length, or
 * 0 with "problem" set.
 */
size_t
wal_page_header(Wal *wal, uint64_t address, WalPageHeader *header, char **problem)
{
	const unsigned char *data;
	size_t		len;
	size_t		size = address % wal->segment_size == 0 ? WAL_LONG_HEADER : WAL_SHORT_HEADER;

	if (!wal_read(wal, address % wal->segment_size, &data, &len) || len < size)
	{
		*problem = format("cannot be read at byte %" PRIu64, address % wal->segment_size);
		return 0;
	}
	memset(header, 0, sizeof(*header));
	memcpy(header, data, size);
	*problem = header_problem(wal, header, address);
	return *problem == NULL ? size : 0;
}

/* Is the segment, which could be opened, what it should be?  Else say so. */
static void
check_segment(Wal *wal, Check *check)
{
	WalPageHeader header;
	const BackupWal *place = wal->place;
	char	   *path = format("pg_wal/%s", wal->name);
	char	   *problem = place->segment_problem(wal);

	if (problem == NULL)
		(void) wal_page_header(wal, wal->segment * wal->segment_size, &header, &problem);
	if (problem != NULL)
		check_problem(check, path, "%s", problem);
	free(problem);
	free(path);
}

/* The first and the last segment of a range */
static uint64_t
first_segment(const Wal *wal, const WalRange *range)
{
	return range->start_lsn / wal->segment_size;
}

static uint64_t
last_segment(const Wal *wal, const WalRange *range)
{
	return (range->end_lsn > range->start_lsn ? range->end_lsn - 1 : range->end_lsn) / wal->segment_size;
}

/* Look at every segment that is needed, and count them. */
static void
check_segments(Wal *wal, Check *check, uint64_t *needed)
{
	const BackupWal *place = wal->place;
	const Manifest *manifest = &place->backup->manifest;
	char		last[WAL_NAME_SIZE] = "";

	*needed = 0;
	for (int i = manifest->n_ranges - 1; i >= 0; i--)
	{
		for (uint64_t segment = first_segment(wal, &manifest->ranges[i]);
			 segment <= last_segment(wal, &manifest->ranges[i]) && *needed < MAX_SEGMENTS; segment++)
		{
			bool		open = wal_open_segment(wal, i, segment);
			int			error = errno;

			if (strcmp(wal->name, last) == 0)
				continue;
			memcpy(last, wal->name, sizeof(last));
			++*needed;
			if (open)
				check_segment(wal, check);
			else
				check_problem(check, format("pg_wal/%s", wal->name), "%s",
							  error == ENOENT ? "missing" : error == ELOOP ? "is a symbolic link" :
							  format("unreadable: %s", describe_errno(error)));
		}
	}
}

/* Does pg_wal, open as "dir" or -1, hold any WAL? */
static bool
has_wal(int dir)
{
	DIR		   *stream = dir < 0 ? NULL : fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	bool		found = false;

	while (stream != NULL && !found && (entry = readdir(stream)) != NULL)
		found = strlen(entry->d_name) >= WAL_NAME_SIZE - 1 &&
			strspn(entry->d_name, "0123456789ABCDEF") == WAL_NAME_SIZE - 1;
	if (stream != NULL)
		closedir(stream);
	return found;
}

/* Check wal_segments; true if the records can be read. */
static bool
verify_segments(Report *report, Wal *wal)
{
	Check	   *check = report_check(report, "wal_segments");
	const BackupWal *place = wal->place;
	const Manifest *manifest = &place->backup->manifest;
	uint64_t	needed = 0;

	if (!place->any)
	{
		check_set(check, CHECK_WARNING, "pg_wal holds no WAL, of which the backup needs %X/%X to %X/%X: "
				  "it can be restored only with an archive that does.",
				  (unsigned int) (manifest_start_lsn(manifest) >> 32), (unsigned int) manifest_start_lsn(manifest),
				  (unsigned int) (manifest_end_lsn(manifest) >> 32), (unsigned int) manifest_end_lsn(manifest));
		return false;
	}
	check_segments(wal, check, &needed);
	if (check->n_problems > 0)
		check_set(check, CHECK_FAILED, "Of %s that the backup needs, %" PRIu64 " %s missing or not what %s should be.",
				  count_of(needed, "WAL segment", "WAL segments"), check->n_problems,
				  check->n_problems == 1 ? "is" : "are", check->n_problems == 1 ? "it" : "they");
	else
		check_set(check, CHECK_PASSED, "%s in pg_wal.",
				  count_of(needed, "WAL segment that the backup needs is", "WAL segments that the backup needs are"));
	return check->n_problems == 0;
}

/* Check wal_records: the chain of records from the backup's start to its end. */
static void
verify_records(Report *report, Wal *wal, bool readable, PageFindings *findings)
{
	Check	   *check = report_check(report, "wal_records");
	const BackupWal *place = wal->place;
	const Manifest *manifest = &place->backup->manifest;
	uint64_t	n_records = 0;
	char	   *problem = NULL;

	if (!readable)
	{
		check_set(check, CHECK_SKIPPED, "Not all segments are there and in order.");
		return;
	}
	for (int i = manifest->n_ranges - 1; i >= 0 && problem == NULL; i--)
	{
		WalWalk		walk = {
			.range = i,
			.start = manifest->ranges[i].start_lsn,
			.end = manifest->ranges[i].end_lsn,
			.findings = findings,
		};

		problem = walk_records(wal, &walk);
		n_records += walk.n_records;
	}
	if (problem != NULL)
	{
		check_problem(check, format("pg_wal/%s", wal->name), "%s", problem);
		check_set(check, CHECK_FAILED, "The WAL that the backup needs is damaged: recovery would end before the backup's end.");
	}
	else
		check_set(check, CHECK_PASSED, "%s of WAL from %X/%X to %X/%X %s.", count_of(n_records, "record", "records"),
				  (unsigned int) (manifest_start_lsn(manifest) >> 32), (unsigned int) manifest_start_lsn(manifest),
				  (unsigned int) (manifest_end_lsn(manifest) >> 32), (unsigned int) manifest_end_lsn(manifest),
				  n_records == 1 ? "is good" : "are an unbroken chain");
}

/*
 * Checks wal_segments and wal_records of a backup whose WAL is laid out as
 * pg_control says; marks the findings that WAL repairs.  Of "wal", source and
 * place are set.
 */
void
verify_backup_wal(Report *report, Wal *wal, PageFindings *findings)
{
	const BackupWal *place = wal->place;
	const Backup *backup = place->backup;
	bool		readable;

	if (!backup->control_read || !backup->layout.known || backup->manifest.n_ranges == 0)
	{
		check_set(report_check(report, "wal_segments"), CHECK_SKIPPED, backup->manifest.n_ranges == 0 ?
				  "The manifest does not state what WAL the backup needs." :
				  "How the cluster's WAL is laid out is not known.");
		return;
	}
	wal->system_identifier = backup->system_identifier;
	wal->server_version = backup->server_version;
	wal->segment_size = backup->layout.wal_segment_size;
	wal->page_size = backup->layout.wal_page_size;
	wal->buffer = xmalloc(WAL_BUFFER_SIZE);
	readable = verify_segments(report, wal);
	verify_records(report, wal, readable, findings);
	wal_close_segment(wal);
	free(wal->buffer);
}

/* The same of a plain backup, read at the pace of its other files. */
void
verify_wal(Report *report, const Backup *backup, const Options *options, Pace *pace, PageFindings *findings)
{
	PlainWal	place = {.base = {.backup = backup,.segment_problem = plain_problem},.pace = pace};
	Wal			wal = {.source = &plain_source,.place = &place};
	char	   *not_followed;

	place.dir = open_wal_directory(options, backup->dir, &not_followed);
	place.base.any = has_wal(place.dir);
	if (not_followed != NULL)
	{
		check_set(report_check(report, "wal_segments"), CHECK_FAILED, "pg_wal cannot be read: %s.", not_followed);
		check_set(report_check(report, "wal_records"), CHECK_SKIPPED, "Not all segments are there and in order.");
	}
	else
		verify_backup_wal(report, &wal, findings);
	free(not_followed);
	if (place.dir >= 0)
		close(place.dir);
}
