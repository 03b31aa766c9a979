/*
 * src/agent/wal_contents.c
 *		Level "verify" of an archive: what its segments contain.
 *
 * Each segment is read once, by one of several threads: its size, the headers
 * of its pages, the checksums of its records, and the SHA-1 that pgBackRest
 * put into its name.  A record that goes on in the next segment is followed
 * there.  What one thread cannot see, that a segment's first record follows the
 * last one of the segment before, is compared afterwards.
 */
#include "crc32c.h"
#include "jobs.h"
#include "wal_headers.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What all threads share. */
typedef struct Shared
{
	Archive    *archive;
	HeaderChecks *checks;
	Pace		pace;
	_Atomic uint32_t next;		/* file */

	/* under the lock: checks and counts */
	pthread_mutex_t lock;
	Check	   *records;
	Check	   *checksums;
	uint64_t	n_records;
	uint64_t	n_checksums;
} Shared;

/* Walk the records that begin in the open segment; what is wrong with it, or NULL. */
static char *
walk_segment(Shared *shared, Wal *wal, SegmentContents *contents, uint64_t *n_records)
{
	const ArchiveWal *place = wal->place;
	const SegmentFile *file = place->own.file;
	WalWalk		walk = {
		.start = file->segment * wal->segment_size,
		.end = (file->segment + 1) * wal->segment_size,
	};
	char	   *problem;

	problem = walk_records(wal, &walk);
	contents->first_previous = walk.first_previous;
	contents->last_record = walk.last_record;
	contents->reached = walk.reached;
	contents->last_commit = walk.last_commit;
	contents->complete = problem == NULL;
	*n_records = walk.n_records;

	/*
	 * What is wrong with another segment is said when its turn comes.  A
	 * segment that is not complete ends somewhere.
	 */
	if (problem != NULL && (file->partial || walk.ran_out || walk.bad_segment != file->segment))
	{
		free(problem);
		problem = NULL;
	}
	return problem;
}

/* Read what is left of the segment; what is wrong with its size, or NULL. */
static char *
read_rest(SegmentReader *reader, const Wal *wal)
{
	ssize_t		got = 1;

	while (got > 0 && reader->pos <= wal->segment_size)
		got = segment_read(reader, wal->buffer, WAL_BUFFER_SIZE);
	if (reader->problem != NULL)
		return xstrdup(reader->problem);
	if (reader->pos > wal->segment_size)
		return format("has more than %" PRIu32 " bytes", wal->segment_size);
	if (reader->pos < wal->segment_size && !reader->file->partial)
		return format("has %" PRIu64 " bytes, not %" PRIu32, reader->pos, wal->segment_size);
	return NULL;
}

/* Does the segment have the SHA-1 that its name states? */
static bool
sha1_ok(SegmentReader *reader)
{
	unsigned char digest[MAX_DIGEST_SIZE];

	return digest_end(&reader->digest, digest) && memcmp(digest, reader->file->sha1, SHA1_SIZE) == 0;
}

/* Note what reading a segment showed. */
static void
note_contents(Shared *shared, SegmentFile *file, SegmentState state, const char *problem, const char *broken,
			  bool hashed, bool matches, uint64_t n_records)
{
	char	   *path = segment_path(shared->archive, file);

	pthread_mutex_lock(&shared->lock);
	shared->checks->n_looked += state != SEGMENT_OPAQUE;
	shared->n_records += n_records;
	shared->n_checksums += hashed && matches;
	if (state != SEGMENT_PRESENT)
		note_segment(shared->checks, shared->archive, file, state, problem);
	else if (hashed && !matches)
	{
		file->state = SEGMENT_BAD;
		check_problem(shared->checksums, path, "does not have the SHA-1 checksum in its name");
	}
	if (broken != NULL && state == SEGMENT_PRESENT)
	{
		file->state = SEGMENT_BAD;
		check_problem(shared->records, path, "%s", broken);
	}
	pthread_mutex_unlock(&shared->lock);
	free(path);
}

/* Verify one segment. */
static void
verify_segment(Shared *shared, Wal *wal, SegmentFile *file)
{
	ArchiveWal *place = wal->place;
	SegmentContents *contents = xmalloc(sizeof(*contents));
	SegmentState state = SEGMENT_PRESENT;
	char	   *problem = NULL;
	char	   *broken = NULL;
	uint64_t	n_records = 0;

	memset(contents, 0, sizeof(*contents));
	contents->last_commit = NO_TIME;
	wal_close_segment(wal);
	segment_close(&place->own);
	if (segment_open(&place->own, shared->archive, file, &shared->pace, file->has_sha1))
	{
		state = judge_header(wal, &problem);
		if (state == SEGMENT_PRESENT && wal->magic != 0)
			broken = walk_segment(shared, wal, contents, &n_records);
		if (state == SEGMENT_PRESENT)
		{
			wal_close_segment(wal);
			problem = read_rest(&place->own, wal);
			if (problem != NULL)
				state = place->own.problem != NULL ? place->own.state : SEGMENT_BAD;
		}
	}
	else
	{
		state = place->own.state;
		problem = xstrdup(place->own.problem);
	}
	if (state == SEGMENT_BAD && place->own.method != COMPRESSION_NONE && may_be_written(shared->archive, file))
		state = SEGMENT_WAITING;
	contents->read = state == SEGMENT_PRESENT;
	contents->crc = place->own.crc;
	file->contents = contents;
	note_contents(shared, file, state, problem, broken, state == SEGMENT_PRESENT && place->own.hashing,
				  state == SEGMENT_PRESENT && place->own.hashing && sha1_ok(&place->own), n_records);
	free(problem);
	free(broken);
}

/* One thread. */
static void *
verify_segments(void *argument)
{
	Shared	   *shared = argument;
	ArchiveWal	place;
	Wal			wal;
	uint32_t	i;

	archive_wal_open(&wal, &place, shared->archive, &shared->pace);
	while ((i = shared->next++) < shared->archive->n_files)
	{
		if (shared->archive->files[i].state == SEGMENT_PRESENT)
			verify_segment(shared, &wal, &shared->archive->files[i]);
	}
	archive_wal_close(&wal);
	return NULL;
}

/* Does each segment begin where the one before it ends? */
static void
compare_neighbours(const Archive *archive, Check *records)
{
	for (uint32_t i = 1; i < archive->n_files; i++)
	{
		SegmentFile *file = &archive->files[i];
		const SegmentFile *last = &archive->files[i - 1];
		const SegmentContents *now = file->contents;
		const SegmentContents *before = last->contents;

		if (file->timeline != last->timeline || file->segment != last->segment + 1 || now == NULL || before == NULL ||
			!now->read || !before->read || !before->complete || now->first_previous == 0 || before->last_record == 0 ||
			now->first_previous == before->last_record)
			continue;
		file->state = SEGMENT_BAD;
		check_problem(records, segment_path(archive, file), "does not follow the segment before it: its first record "
					  "names %X/%X as the one before, which is %X/%X", (unsigned int) (now->first_previous >> 32),
					  (unsigned int) now->first_previous, (unsigned int) (before->last_record >> 32),
					  (unsigned int) before->last_record);
	}
}

/* Read all segments: checks wal_records and, where names state them, segment_checksums. */
void
verify_archive_contents(Report *report, HeaderChecks *checks, Archive *archive)
{
	static Shared shared;
	bool		stated = false;

	for (uint32_t i = 0; i < archive->n_files; i++)
		stated |= archive->files[i].has_sha1;
	archive->contents_read = true;
	shared.archive = archive;
	shared.checks = checks;
	shared.records = report_check(report, "wal_records");
	shared.checksums = stated ? report_check(report, "segment_checksums") : NULL;
	pthread_mutex_init(&shared.lock, NULL);
	pace_start(&shared.pace, archive->options, archive->total_size);
	run_jobs(archive->options, &shared.pace, archive->n_files, verify_segments, &shared);
	compare_neighbours(archive, shared.records);

	if (shared.records->n_problems > 0)
		check_set(shared.records, CHECK_FAILED, "%s damaged: recovery would end there.",
				  count_of(shared.records->n_problems, "segment is", "segments are"));
	else if (archive->magic == 0)
		check_set(shared.records, CHECK_SKIPPED, "The WAL is of no version whose records are known.");
	else
		check_set(shared.records, CHECK_PASSED, "%s of WAL have the checksum that they state.",
				  count_of(shared.n_records, "record", "records"));
	if (!stated)
		return;
	if (shared.checksums->n_problems > 0)
		check_set(shared.checksums, CHECK_FAILED, "%s not have the checksum in %s.",
				  count_of(shared.checksums->n_problems, "segment does", "segments do"),
				  shared.checksums->n_problems == 1 ? "its name" : "their names");
	else if (shared.n_checksums == 0)
		check_set(shared.checksums, CHECK_SKIPPED, "No segment could be read.");
	else
		check_set(shared.checksums, CHECK_PASSED, "%s the SHA-1 checksum in the name.",
				  count_of(shared.n_checksums, "segment has", "segments have"));
}
