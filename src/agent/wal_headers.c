/*
 * src/agent/wal_headers.c
 *		What can be told of segments without reading all of them: whose they are, sizes, headers.
 *
 * How large segments are, and whose, the archive itself says: in the header of
 * the newest segment that has a credible one.
 */
#include "page.h"
#include "wal_headers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_WAL_SEGMENT (UINT32_C(16) << 20)

/* The newest files to ask how large segments are, before we give up */
#define MAX_ASKED 1000

/* A file that changed as recently as this may still be copied. */
#define STILL_WRITTEN 600

static bool
is_power_of_two(uint32_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* Read the header of a file; false if there is none that makes sense. */
static bool
credible_header(const Archive *archive, const SegmentFile *file, WalPageHeader *header)
{
	SegmentReader reader = {0};
	bool		read = segment_open(&reader, archive, file, NULL, false) &&
		segment_read(&reader, (unsigned char *) header, WAL_LONG_HEADER) == WAL_LONG_HEADER;

	segment_close(&reader);
	return read && (header->info & WAL_HAS_LONG_HEADER) && is_power_of_two(header->segment_size) &&
		header->segment_size >= MIN_WAL_SEGMENT && header->segment_size <= MAX_WAL_SEGMENT &&
		is_power_of_two(header->page_size) && header->page_size >= MIN_PAGE_SIZE &&
		header->page_size <= 2 * MAX_PAGE_SIZE;
}

/* Ask the newest segments, first those of the cluster that is expected. */
static bool
find_identity(Archive *archive, uint64_t expected)
{
	WalPageHeader header;
	uint32_t	asked = 0;

	for (uint32_t i = archive->n_files; i-- > 0 && asked < MAX_ASKED;)
	{
		if (archive->files[i].state != SEGMENT_PRESENT)
			continue;
		asked++;
		if (!credible_header(archive, &archive->files[i], &header) ||
			(expected != 0 && header.system_identifier != expected))
			continue;
		archive->system_identifier = header.system_identifier;
		archive->segment_size = header.segment_size;
		archive->page_size = header.page_size;
		archive->magic = wal_version(header.magic) != NULL ? header.magic : 0;
		return true;
	}
	return false;
}

/*
 * WAL-G can encrypt, and nothing in such a file says so: but then all are
 * compressed by their names and none is by its contents.
 */
static bool
is_sealed(const Archive *archive)
{
	uint32_t	asked = 0;

	if (archive->options->tool == NULL || strcmp(archive->options->tool, "walg") != 0)
		return false;
	for (uint32_t i = archive->n_files; i-- > 0 && asked < MAX_ASKED;)
	{
		const SegmentFile *file = &archive->files[i];
		SegmentReader reader = {0};
		bool		unlike;

		if (file->state != SEGMENT_PRESENT || file->compression == COMPRESSION_NONE || !compression_readable((Compression) file->compression))
			continue;
		asked++;
		unlike = !segment_open(&reader, archive, file, NULL, false) && reader.state == SEGMENT_BAD;
		segment_close(&reader);
		if (!unlike)
			return false;
	}
	return asked > 1;
}

/* Give segments their numbers; a name that no segment of this size has is none of ours. */
void
number_segments(Archive *archive, Check *check)
{
	uint64_t	per_log = (UINT64_C(1) << 32) / archive->segment_size;

	for (uint32_t i = 0; i < archive->n_files; i++)
	{
		SegmentFile *file = &archive->files[i];

		file->segment = file->log * per_log + file->seg;
		if (file->seg < per_log || file->state == SEGMENT_FOREIGN)
			continue;
		file->state = SEGMENT_FOREIGN;
		check_problem(check, segment_path(archive, file), "is no name of a segment of %" PRIu32 " MB",
					  archive->segment_size >> 20);
	}
}

/*
 * Check system_identifier; sets what is the same in all segments.  False if
 * nothing can be said of them.
 */
bool
read_identity(Archive *archive, Check *check)
{
	uint64_t	expected = archive->options->system_identifier;
	bool		found = (expected != 0 && find_identity(archive, expected)) || find_identity(archive, 0);

	if (!found)
	{
		archive->sealed = is_sealed(archive);
		archive->segment_size = archive->options->wal_segment_size != 0 ? archive->options->wal_segment_size :
			DEFAULT_WAL_SEGMENT;
		archive->system_identifier = expected;
		check_set(check, CHECK_SKIPPED, "No segment has a header that can be read; segments are taken to have %" PRIu32 " MB.",
				  archive->segment_size >> 20);
	}
	number_segments(archive, check);
	if (found && expected != 0 && archive->system_identifier != expected)
		check_set(check, CHECK_FAILED, "This is WAL of another cluster: %" PRIu64 ", not %" PRIu64 ".",
				  archive->system_identifier, expected);
	return found;
}

/* Note what was found of a file, in the check that it belongs to. */
void
note_segment(HeaderChecks *checks, Archive *archive, SegmentFile *file, SegmentState state, const char *problem)
{
	char	   *path;

	file->state = (uint8_t) state;
	if (state == SEGMENT_PRESENT || state == SEGMENT_GONE || state == SEGMENT_WAITING)
		return;
	path = segment_path(archive, file);
	if (state == SEGMENT_FOREIGN)
		check_problem(checks->identity, path, "%s", problem);
	else if (state == SEGMENT_UNREADABLE)
		check_problem(checks->readable, path, "%s", problem);
	else if (state == SEGMENT_OPAQUE)
		check_problem(checks->unread, path, "%s", problem);
	else
		check_problem(checks->headers, path, "%s", problem);
	free(path);
}

/*
 * Is it the newest of its timeline, and of just now, so that whoever brings it
 * may not be done?
 */
bool
may_be_written(const Archive *archive, const SegmentFile *file)
{
	for (const SegmentFile *next = file + 1; next < archive->files + archive->n_files; next++)
	{
		if (next->timeline != file->timeline)
			break;
		if (next->segment > file->segment)
			return false;
	}
	return archive->now - file->mtime < STILL_WRITTEN;
}

/*
 * A plain file must have the size of a segment.  One of another size may be
 * compressed without a name that tells, or be still written.
 */
static void
check_size(HeaderChecks *checks, Archive *archive, SegmentFile *file)
{
	SegmentReader reader = {0};

	if (file->state != SEGMENT_PRESENT || (file->compression != COMPRESSION_NONE && file->size > 0) ||
		file->size == archive->segment_size || (file->partial && file->size < archive->segment_size && file->size > 0))
		return;
	if (file->size < archive->segment_size && may_be_written(archive, file))
	{
		file->state = SEGMENT_WAITING;
		return;
	}
	if (!segment_open(&reader, archive, file, NULL, false))
		note_segment(checks, archive, file, reader.state, reader.problem);
	else if (reader.method == COMPRESSION_NONE)
	{
		char	   *problem = file->size == 0 ? xstrdup("is empty") :
			format("has %" PRIu64 " bytes, not %" PRIu32, file->size, archive->segment_size);

		note_segment(checks, archive, file, SEGMENT_BAD, problem);
		free(problem);
	}
	segment_close(&reader);
}

/* Look at the sizes of all files. */
void
check_sizes(HeaderChecks *checks, Archive *archive)
{
	for (uint32_t i = 0; i < archive->n_files; i++)
		check_size(checks, archive, &archive->files[i]);
}

/* Look at a file's header. */
static void
check_header(HeaderChecks *checks, Archive *archive, Wal *wal, SegmentFile *file)
{
	ArchiveWal *place = wal->place;
	char	   *problem = NULL;
	SegmentState state;

	if (file->state != SEGMENT_PRESENT)
		return;
	wal_close_segment(wal);
	segment_close(&place->own);
	if (segment_open(&place->own, archive, file, NULL, false))
		state = judge_header(wal, &problem);
	else
	{
		state = place->own.state;
		problem = xstrdup(place->own.problem);
	}
	if (state == SEGMENT_BAD && place->own.method != COMPRESSION_NONE && may_be_written(archive, file))
		state = SEGMENT_WAITING;
	if (state != SEGMENT_PRESENT)
		note_segment(checks, archive, file, state, problem);
	checks->n_looked += state != SEGMENT_OPAQUE;
	free(problem);
}

/* Look at the headers of segments at the ends of timelines and of holes. */
void
check_end_headers(HeaderChecks *checks, Archive *archive)
{
	ArchiveWal	place;
	Wal			wal;

	archive_wal_open(&wal, &place, archive, NULL);
	for (uint32_t i = 0; i < archive->n_files; i++)
	{
		const SegmentFile *file = &archive->files[i];
		const Timeline *timeline = find_timeline(archive, file->timeline);
		const SegmentRange *range = range_holding(&timeline->present, file->segment);

		if (range == NULL || file->segment == range->first || file->segment == range->last)
			check_header(checks, archive, &wal, &archive->files[i]);
	}
	archive_wal_close(&wal);
}

/* The sentences of checks files_readable, system_identifier, segment_headers and segments_unread. */
void
conclude_headers(HeaderChecks *checks, const Archive *archive, bool all)
{
	Check	   *identity = checks->identity;
	Check	   *headers = checks->headers;
	Check	   *unread = checks->unread;
	Check	   *readable = checks->readable;

	if (readable->n_problems > 0)
		check_set(readable, CHECK_FAILED, "%s not be read.",
				  count_of(readable->n_problems, "file or directory may", "files or directories may"));
	else
		check_set(readable, CHECK_PASSED, "All files and directories may be read.");
	if (identity->n_problems > 0 && identity->detail == NULL)
		check_set(identity, CHECK_FAILED, "%s not of cluster %" PRIu64 ".",
				  count_of(identity->n_problems, "segment is", "segments are"), archive->system_identifier);
	else if (identity->detail == NULL)
		check_set(identity, CHECK_PASSED, archive->options->system_identifier != 0 ?
				  "This is WAL of the expected cluster, %" PRIu64 "." : "This is WAL of cluster %" PRIu64 ".",
				  archive->system_identifier);
	if (headers->n_problems > 0)
		check_set(headers, CHECK_FAILED, "%s not what %s should be.",
				  count_of(headers->n_problems, "segment is", "segments are"), headers->n_problems == 1 ? "it" : "they");
	else if (checks->n_looked == 0 && unread->n_problems > 0)
		check_set(headers, CHECK_SKIPPED, "No segment could be looked into.");
	else
		check_set(headers, CHECK_PASSED, "%s, of %" PRIu32 " MB, %s good%s.",
				  count_of(checks->n_looked, "segment", "segments"), archive->segment_size >> 20,
				  checks->n_looked == 1 ? "is" : "are", all ? "" : " by size and header; others by name");
	if (unread->n_problems > 0)
		check_set(unread, CHECK_SKIPPED, "%s not be looked into; %s by name only.",
				  count_of(unread->n_problems, "segment could", "segments could"),
				  unread->n_problems == 1 ? "it counts" : "they count");
	else
		check_set(unread, CHECK_PASSED, "There is no segment that could not be read.");
}
