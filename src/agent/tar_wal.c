/*
 * src/agent/tar_wal.c
 *		The WAL of a base backup in tar format.
 *
 * pg_basebackup puts it into pg_wal.tar, or with --wal-method=fetch at the end
 * of base.tar.  Where its segments begin is known from the first reading; they
 * are then read in the order of WAL, which is that of the archive, so that even
 * a compressed one is gone through once for the headers and once for the
 * records.
 */
#include "tar_backup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The WAL in archives, as the place of a WalSource */
typedef struct TarWal
{
	BackupWal	base;
	const Archive *archives;
	TarSegments *segments;		/* by name */
	Pace	   *pace;

	/* the archive that is open */
	bool		is_open;
	uint32_t	archive;		/* index */
	FileSource	file;
	Stream		in;

	const TarSegment *segment;	/* of it */
} TarWal;

/* The member under way is a segment of this name. */
void
tar_segments_add(TarSegments *segments, const char *name, uint32_t archive, const Tar *tar)
{
	TarSegment *segment;

	if (segments->n == segments->room)
	{
		segments->room = segments->room == 0 ? 64 : 2 * segments->room;
		segments->items = xrealloc(segments->items, segments->room * sizeof(TarSegment));
	}
	segment = &segments->items[segments->n++];
	*segment = (TarSegment)
	{
		.archive = archive,.size = tar->member.size,.offset = stream_at(tar->in)
	};
	memcpy(segment->name, name, WAL_NAME_SIZE - 1);
}

static int
compare_segments(const void *a, const void *b)
{
	return strcmp(((const TarSegment *) a)->name, ((const TarSegment *) b)->name);
}

static void
close_archive(TarWal *place)
{
	if (!place->is_open)
		return;
	stream_close(&place->in);
	file_source_close(&place->file);
	place->is_open = false;
}

/* Go to a byte of an archive, from its start if we are behind that already; false if it ends before. */
static bool
seek(TarWal *place, uint32_t archive, uint64_t offset)
{
	if (place->is_open && (place->archive != archive || stream_at(&place->in) > offset))
		close_archive(place);
	if (!place->is_open)
	{
		file_source_open(&place->file, place->archives[archive].fd, place->pace, false);
		stream_open_file(&place->in, place->archives[archive].compression, &place->file);
		place->archive = archive;
		place->is_open = true;
	}
	return stream_skip(&place->in, offset - stream_at(&place->in));
}

static bool
tar_wal_open(Wal *wal, int range, uint64_t segment)
{
	TarWal	   *place = wal->place;
	int			choice = 0;

	place->segment = NULL;
	while (place->segment == NULL && backup_wal_name(wal, range, segment, &choice))
	{
		TarSegment	key = {0};

		memcpy(key.name, wal->name, sizeof(key.name));
		place->segment = bsearch(&key, place->segments->items, place->segments->n, sizeof(TarSegment), compare_segments);
	}
	errno = ENOENT;
	return place->segment != NULL;
}

static ssize_t
tar_wal_fill(Wal *wal, uint64_t start)
{
	TarWal	   *place = wal->place;
	const TarSegment *segment = place->segment;
	size_t		len = WAL_BUFFER_SIZE;

	if (start >= segment->size)
		return 0;
	if (segment->size - start < len)
		len = (size_t) (segment->size - start);
	if (seek(place, segment->archive, segment->offset + start) && stream_take(&place->in, wal->buffer, len))
		return (ssize_t) len;
	errno = EIO;
	return -1;
}

static void
tar_wal_close(Wal *wal)
{
}

static char *
tar_wal_problem(const Wal *wal)
{
	const TarWal *place = wal->place;

	return wal_size_problem(wal, place->segment->size);
}

static const WalSource tar_source = {
	.open = tar_wal_open,
	.fill = tar_wal_fill,
	.close = tar_wal_close,
};

/* Checks wal_segments and wal_records of a backup in tar format. */
void
verify_tar_wal(Report *report, const Backup *backup, const Archive *archives, TarSegments *segments,
			   Pace *pace, PageFindings *findings)
{
	TarWal		place = {
		.base = {.backup = backup,.any = segments->n > 0,.segment_problem = tar_wal_problem},
		.archives = archives,
		.segments = segments,
		.pace = pace,
	};
	Wal			wal = {.source = &tar_source,.place = &place};

	if (segments->n > 0)
		qsort(segments->items, segments->n, sizeof(TarSegment), compare_segments);
	verify_backup_wal(report, &wal, findings);
	close_archive(&place);
}
