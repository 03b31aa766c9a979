/*
 * src/agent/wal_segment.c
 *		Reading one segment of an archive, whatever compressed it.
 *
 * What a file is compressed with its first bytes tell, not its name: Barman
 * gives none, and a name may lie.  A record may go on in the next segment, so
 * two can be open: the one that is verified, which is read once from its start
 * to its end, and the one that continues it.
 */
#include "wal_segment.h"
#include "crc32c.h"
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FILE (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define OPEN_STEP (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static void fail(SegmentReader *reader, SegmentState state, char *problem);

static void
fail(SegmentReader *reader, SegmentState state, char *problem)
{
	if (reader->problem != NULL)
	{
		free(problem);
		return;
	}
	reader->problem = problem;
	reader->state = state;
}

/* Open the file; -1 with errno set. */
static int
open_segment_file(const Archive *archive, const SegmentFile *file)
{
	char	   *path = segment_path(archive, file);
	const char *name = path + strlen(archive->directories[file->directory].prefix);
	int			dir = archive->directories[file->directory].fd;
	int			step = -1;
	int			fd;
	int			error;

	if (file->nested)
	{
		char		above[DIRECTORY_DIGITS + 1];

		snprintf(above, sizeof(above), "%s", name);
		dir = step = openat(dir, above, OPEN_STEP);
		name += DIRECTORY_DIGITS + 1;
	}
	fd = dir < 0 ? -1 : openat(dir, name, OPEN_FILE);
	error = errno;
	if (step >= 0)
		close(step);
	free(path);
	errno = error;
	return fd;
}

/* What the file is compressed with; a problem if that cannot be read here. */
static void
recognise(SegmentReader *reader)
{
	unsigned char start[ENCRYPTED_MAGIC_SIZE];
	ssize_t		got = read_file(reader->fd, start, sizeof(start), 0, &reader->source.cold);
	Compression named = (Compression) reader->file->compression;

	reader->method = got < 0 ? COMPRESSION_NONE : compression_of_magic(start, (size_t) got);
	if (got == (ssize_t) sizeof(start) && memcmp(start, ENCRYPTED_MAGIC, sizeof(start)) == 0)
		fail(reader, SEGMENT_OPAQUE, xstrdup("is encrypted"));
	else if (reader->method == COMPRESSION_NONE && named != COMPRESSION_NONE)
	{
		if (compression_readable(named) && reader->sealed)
			fail(reader, SEGMENT_OPAQUE, format("holds no %s data, as none does: it is encrypted", compression_name(named)));
		else if (compression_readable(named))
			fail(reader, SEGMENT_BAD, format("holds no %s data", compression_name(named)));
		else
			reader->method = named;
	}
	if (!compression_readable(reader->method))
		fail(reader, SEGMENT_OPAQUE, format("is compressed with %s, which cannot be read here",
											compression_name(reader->method)));
}

/*
 * Begin to read a segment.  False with its problem; segment_close() is due in
 * either case.
 */
bool
segment_open(SegmentReader *reader, const Archive *archive, const SegmentFile *file, Pace *pace, bool hashing)
{
	struct stat st;
	struct evp_md_ctx_st *context = reader->digest.context;

	memset(reader, 0, sizeof(*reader));
	reader->digest.context = context;
	reader->is_open = true;
	reader->sealed = archive->sealed;
	reader->file = file;
	reader->crc = CRC32C_INIT;
	reader->fd = open_segment_file(archive, file);
	if (reader->fd >= 0)
		file_source_open(&reader->source, reader->fd, pace, false);
	if (reader->fd < 0 && errno == ENOENT)
		fail(reader, SEGMENT_GONE, xstrdup("is not there any more"));
	else if (reader->fd < 0 || fstat(reader->fd, &st) != 0)
		fail(reader, SEGMENT_UNREADABLE, format("unreadable: %s", describe_errno(errno)));
	else if (!S_ISREG(st.st_mode))
		fail(reader, SEGMENT_UNREADABLE, xstrdup("is not a regular file"));
	else
		recognise(reader);
	reader->hashing = hashing && digest_begin(&reader->digest, DIGEST_SHA1);
	if (reader->problem == NULL && reader->method != COMPRESSION_NONE)
		reader->decompressor = decompress_open(reader->method, file_source_read, &reader->source);
	return reader->problem == NULL;
}

/*
 * The next bytes, fewer than "size" only at the end or before a problem; 0 at
 * the end, -1 with a problem.
 */
ssize_t
segment_read(SegmentReader *reader, unsigned char *buffer, size_t size)
{
	ssize_t		got;

	if (reader->problem != NULL)
		return -1;
	if (reader->decompressor != NULL)
	{
		got = decompress_read(reader->decompressor, buffer, size);
		if (got < 0)
			fail(reader, decompress_errno(reader->decompressor) == 0 ? SEGMENT_BAD : SEGMENT_UNREADABLE,
				 decompress_errno(reader->decompressor) == 0 ? xstrdup(decompress_problem(reader->decompressor)) :
				 format("unreadable: %s", decompress_problem(reader->decompressor)));
	}
	else
	{
		got = file_source_read(&reader->source, buffer, size);
		if (got < 0)
			fail(reader, SEGMENT_UNREADABLE, format("unreadable: %s", describe_errno(errno)));
	}
	reader->over = got == 0;
	if (got <= 0)
		return got;
	reader->pos += (uint64_t) got;
	reader->crc = crc32c_add(reader->crc, buffer, (size_t) got);
	if (reader->hashing)
		reader->hashing = digest_add(&reader->digest, buffer, (size_t) got);
	return got;
}

/* Forget the segment, but keep what the next one can use. */
void
segment_close(SegmentReader *reader)
{
	if (!reader->is_open)
		return;
	if (reader->decompressor != NULL)
		decompress_close(reader->decompressor);
	if (reader->fd >= 0)
	{
		file_source_close(&reader->source);
		close(reader->fd);
	}
	free(reader->problem);
	reader->problem = NULL;
	reader->decompressor = NULL;
	reader->is_open = false;
}

/*
 * The file in which a record of timeline "timeline" goes on: of that timeline
 * or, where that was left at the segment's start, of one that came after it.
 */
static const SegmentFile *
continuation(const Archive *archive, uint32_t timeline, uint64_t segment)
{
	for (uint32_t pass = 0; pass <= archive->n_timelines; pass++)
	{
		const Timeline *child = pass == 0 ? NULL : &archive->timelines[pass - 1];
		uint32_t	candidate = pass == 0 ? timeline : child->id;

		if (child != NULL && (child->id <= timeline || !child->has_history ||
							  !history_contains(&child->history, timeline, segment * archive->segment_size)))
			continue;
		for (uint32_t i = first_file(archive, candidate, segment);
			 i < archive->n_files && archive->files[i].timeline == candidate && archive->files[i].segment == segment; i++)
		{
			if (archive->files[i].state == SEGMENT_PRESENT)
				return &archive->files[i];
		}
	}
	return NULL;
}

static bool
archive_open(Wal *wal, int range, uint64_t segment)
{
	ArchiveWal *place = wal->place;
	const SegmentFile *file = place->own.file;

	if (segment == file->segment)
		place->current = &place->own;
	else
	{
		file = continuation(place->archive, file->timeline, segment);
		if (file == NULL || !segment_open(&place->beyond, place->archive, file, place->pace, false))
		{
			segment_close(&place->beyond);
			errno = ENOENT;
			return false;
		}
		place->current = &place->beyond;
	}
	wal->timeline = file->timeline;
	return true;
}

/* Segments are read in order; what lies before is not to be had again. */
static ssize_t
archive_fill(Wal *wal, uint64_t start)
{
	ArchiveWal *place = wal->place;
	SegmentReader *reader = place->current;
	size_t		have = 0;

	if (start < reader->pos)
		return -1;
	do
	{
		have = 0;
		while (have < WAL_BUFFER_SIZE)
		{
			ssize_t		got = segment_read(reader, wal->buffer + have, WAL_BUFFER_SIZE - have);

			if (got <= 0)
				break;
			have += (size_t) got;
		}
	} while (reader->pos <= start && have == WAL_BUFFER_SIZE);
	return reader->pos <= start ? 0 : (ssize_t) have;
}

static void
archive_close(Wal *wal)
{
	ArchiveWal *place = wal->place;

	if (place->current == &place->beyond)
		segment_close(&place->beyond);
}

static const WalSource archive_source = {
	.open = archive_open,
	.fill = archive_fill,
	.close = archive_close,
};

/* Get ready to read segments of an archive with "wal", one after the other. */
void
archive_wal_open(Wal *wal, ArchiveWal *place, const Archive *archive, Pace *pace)
{
	memset(place, 0, sizeof(*place));
	place->archive = archive;
	place->pace = pace;
	memset(wal, 0, sizeof(*wal));
	wal->source = &archive_source;
	wal->place = place;
	wal->system_identifier = archive->system_identifier;
	wal->segment_size = archive->segment_size;
	wal->page_size = archive->page_size;
	wal->magic = archive->magic;
	wal->buffer = xmalloc(WAL_BUFFER_SIZE);
}

void
archive_wal_close(Wal *wal)
{
	ArchiveWal *place = wal->place;

	wal_close_segment(wal);
	segment_close(&place->own);
	segment_close(&place->beyond);
	digest_free(&place->own.digest);
	free(wal->buffer);
}

/*
 * What state does the header of the segment that is open in place->own give it,
 * with "problem" if not SEGMENT_PRESENT?
 */
SegmentState
judge_header(Wal *wal, char **problem)
{
	const ArchiveWal *place = wal->place;
	const SegmentFile *file = place->own.file;
	const Timeline *timeline = find_timeline(place->archive, file->timeline);
	WalPageHeader header;
	const unsigned char *data;
	size_t		len;

	*problem = NULL;
	if (!wal_open_segment(wal, 0, file->segment) || !wal_read(wal, 0, &data, &len) || len < WAL_LONG_HEADER)
	{
		*problem = xstrdup(place->own.problem != NULL ? place->own.problem : "is too short to be a segment");
		return place->own.problem != NULL ? place->own.state : SEGMENT_BAD;
	}
	memcpy(&header, data, WAL_LONG_HEADER);
	if (wal_version(header.magic) != NULL && (header.info & WAL_HAS_LONG_HEADER) &&
		header.system_identifier != wal->system_identifier)
	{
		*problem = format("is of cluster %" PRIu64 ", not %" PRIu64, header.system_identifier, wal->system_identifier);
		return SEGMENT_FOREIGN;
	}
	if (wal->magic == 0 && wal_version(header.magic) == NULL)
		return SEGMENT_PRESENT; /* of a version that we do not know, as all
								 * are */
	if (wal_page_header(wal, file->segment * wal->segment_size, &header, problem) == 0)
		return SEGMENT_BAD;
	if (header.timeline != file->timeline && timeline != NULL && timeline->has_history &&
		history_begin(&timeline->history, file->timeline) / wal->segment_size != file->segment)
	{
		*problem = format("is of timeline %" PRIu32, header.timeline);
		return SEGMENT_BAD;
	}
	return SEGMENT_PRESENT;
}
