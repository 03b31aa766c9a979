/*
 * src/agent/contents.c
 *		Level "verify": what the files of a backup contain.
 *
 * Every file is read once, by one of several threads, which computes what the
 * manifest states and looks at the pages at the same time.
 *
 * A file that somebody changes while it is read, as a copy under way does, is
 * read once more before it is called bad.  If its checksum is right it was read
 * in peace, whatever its times say: hard links change them, too.
 */
#include "contents.h"
#include "crc32c.h"
#include "jobs.h"
#include "reader.h"
#include "work.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CHECKSUM_VERSION 1		/* of data pages: the only one there is */

/* What all threads share. */
typedef struct Contents
{
	const Backup *backup;
	const Options *options;
	Work		work;
	Pace		pace;
	bool		check_pages;
	_Atomic uint32_t matching;	/* files that have the checksum they should */

	/* under the lock: checks, and what threads leave when they end */
	pthread_mutex_t lock;
	Check	   *checksums;
	Check	   *headers;		/* of incremental files; NULL: not looked at */
	Check	   *readable;
	Check	   *changed;
	PageFindings findings;
	uint64_t	n_pages;
	_Atomic uint64_t unreadable;	/* bytes */
} Contents;

static void add_problem(Contents *contents, Check *check, uint32_t file, const char *fmt,...) __attribute__((format(printf, 4, 5)));

/* Add a problem with a file, from any thread. */
static void
add_problem(Contents *contents, Check *check, uint32_t file, const char *fmt,...)
{
	va_list		args;
	char	   *problem;

	va_start(args, fmt);
	problem = vformat(fmt, args);
	va_end(args);
	pthread_mutex_lock(&contents->lock);
	check_problem(check, manifest_file (&contents->backup->manifest, file)->path, "%s", problem);
	pthread_mutex_unlock(&contents->lock);
	free(problem);
}

/* Does a file have the digest that the manifest states?  Counts it if so. */
static bool
matches(Contents *contents, const ManifestFile *file, const unsigned char *digest)
{
	bool		equal = memcmp(digest, manifest_digest(file), digest_size((DigestKind) file->digest_kind)) == 0;

	if (equal)
		contents->matching++;
	return equal;
}

static void
add_mismatch(Contents *contents, uint32_t file)
{
	add_problem(contents, contents->checksums, file, "does not have the %s checksum that the manifest states",
				digest_name((DigestKind) manifest_file (&contents->backup->manifest, file)->digest_kind));
}

/*
 * Read a whole file and judge it; "second" if it has been read before, and
 * then was found to be changing.
 */
static void
read_whole(Contents *contents, Reader *reader, uint32_t number, bool second)
{
	ManifestFile *file = manifest_file (&contents->backup->manifest, number);
	ReadOrder	order = {.file = number,.end = file->size,.second = second};
	uint32_t	n_findings = reader->findings.n;
	ReadResult	result = reader_read(reader, &order);
	unsigned char digest[MAX_DIGEST_SIZE];
	bool		good;

	if (result.error != 0)
	{
		add_problem(contents, contents->readable, number, "unreadable: %s", describe_errno(result.error));
		contents->unreadable += file->size;
		return;
	}
	good = result.complete && file->digest_kind != DIGEST_NONE &&
		digest_end(&reader->digest, digest) && matches(contents, file, digest);
	if (good || !result.changed)
	{
		if (result.bad_header)
			add_problem(contents, contents->headers, number, "%s", reader->incremental.problem);
		if (!good && file->digest_kind != DIGEST_NONE)
			add_mismatch(contents, number);
		return;
	}
	reader->findings.n = n_findings;
	file->reread = true;
	if (second)
		add_problem(contents, contents->changed, number, "changed while it was read, twice");
	else
		read_whole(contents, reader, number, true);
}

/* All pieces of a file are read: judge it. */
static void
judge_split(Contents *contents, Reader *reader, Split *split)
{
	const Manifest *manifest = &contents->backup->manifest;
	ManifestFile *file = manifest_file (manifest, split->file);
	uint32_t	crc = 0;

	if (split->disturbed)
	{
		file->reread = true;
		read_whole(contents, reader, split->file, true);
		return;
	}
	if (split->bad_header != NULL)
		add_problem(contents, contents->headers, split->file, "%s", split->bad_header);
	if (file->digest_kind == DIGEST_NONE)
		return;
	for (uint32_t i = split->first_piece; i < split->first_piece + split->n_pieces; i++)
		crc = crc32c_join(crc, contents->work.pieces[i].crc,
						  piece_end(&contents->work, manifest, i) - piece_start(&contents->work, i));
	if (!matches(contents, file, (unsigned char *) &crc))
		add_mismatch(contents, split->file);
}

/* Read a piece; whoever reads a file's last one judges it. */
static void
read_piece(Contents *contents, Reader *reader, const Unit *unit)
{
	Work	   *work = &contents->work;
	Piece	   *piece = &work->pieces[unit->piece];
	Split	   *split = &work->splits[piece->split];
	ReadOrder	order = {
		.file = unit->file,
		.start = piece_start(work, unit->piece),
		.end = piece_end(work, &contents->backup->manifest, unit->piece),
	};
	ReadResult	result = reader_read(reader, &order);

	if (!result.complete || result.changed)
		split->disturbed = true;
	else
	{
		piece->crc = crc32c_end(reader->digest.crc);
		if (result.bad_header && order.start == 0)
			split->bad_header = xstrdup(reader->incremental.problem);
	}
	if (--split->left == 0)
		judge_split(contents, reader, split);
}

/* One thread. */
static void *
read_units(void *argument)
{
	Contents   *contents = argument;
	Reader		reader = {
		.backup = contents->backup,
		.options = contents->options,
		.pace = &contents->pace,
		.check_pages = contents->check_pages,
		.check_headers = contents->headers != NULL,
	};
	const Unit *unit;

	reader_open(&reader);
	while ((unit = work_next(&contents->work)) != NULL)
	{
		if (unit->piece == NO_PIECE)
			read_whole(contents, &reader, unit->file, false);
		else
			read_piece(contents, &reader, unit);
	}
	reader_close(&reader);

	pthread_mutex_lock(&contents->lock);
	findings_take(&contents->findings, &reader.findings);
	contents->n_pages += reader.n_pages;
	pthread_mutex_unlock(&contents->lock);
	return NULL;
}

/* The sentence of check file_checksums; "matching" files have the checksum that they should. */
void
conclude_checksums(Check *check, const Manifest *manifest, uint32_t matching)
{
	bool		any = false;
	uint32_t	counts[N_DIGESTS] = {0};
	char	   *kinds = xstrdup("");

	if (check->n_problems > 0)
	{
		check_set(check, CHECK_FAILED, "%s not have the checksum that the manifest states.",
				  count_of(check->n_problems, "file does", "files do"));
		return;
	}
	for (uint32_t i = 0; i < manifest->n_files; i++)
	{
		if (manifest_file (manifest, i)->wanted)
			counts[manifest_file (manifest, i)->digest_kind]++;
		any |= manifest_file (manifest, i)->wanted;
	}
	for (int i = DIGEST_NONE + 1; i < N_DIGESTS; i++)
	{
		if (counts[i] > 0)
			kinds = format("%s%s%s", kinds, *kinds == '\0' ? "" : ", ", digest_name((DigestKind) i));
	}
	if (*kinds == '\0')
		check_set(check, CHECK_SKIPPED, "%s", !any ? "There is no file to read." :
				  "The manifest states no checksums.");
	else
		check_set(check, CHECK_PASSED, "%s the checksum that the manifest states (%s)%s.",
				  count_of(matching, "file has", "files have"), kinds,
				  counts[DIGEST_NONE] == 0 ? "" : format("; it states none of %" PRIu32, counts[DIGEST_NONE]));
}

const char *
why_no_pages(const Backup *backup)
{
	if (backup->odd_layout)
		return "The cluster's pages or files have an unusual size, which a tar archive tells only at its end.";
	if (!backup->control_read || !backup->layout.known)
		return "How the cluster's files are laid out is not known.";
	if (backup->layout.checksum_version == 0)
		return "The cluster has no data checksums.";
	if (backup->layout.checksum_version != CHECKSUM_VERSION)
		return "The cluster has data checksums of an unknown kind.";
	if (backup->manifest.n_ranges == 0)
		return "The manifest does not state what WAL the backup needs, so what changed meanwhile is not known.";
	return NULL;
}

/*
 * Read every file that is wanted, and the WAL: checks file_checksums,
 * changed_during_read, wal_segments, wal_records, page_checksums and
 * pages_unproven; what cannot be read goes to "readable", and its bytes are
 * returned.
 */
uint64_t
verify_contents(Report *report, Backup *backup, const Options *options, Check *readable)
{
	static Contents contents;
	Check	   *changed;

	memset(&contents, 0, sizeof(contents));
	contents.headers = backup->layout.known ? backup->incremental.check : NULL;
	contents.backup = backup;
	contents.options = options;
	contents.check_pages = why_no_pages(backup) == NULL;
	contents.checksums = report_check(report, "file_checksums");
	contents.changed = changed = report_check(report, "changed_during_read");
	contents.readable = readable;
	pthread_mutex_init(&contents.lock, NULL);
	work_plan(&contents.work, &backup->manifest);
	pace_start(&contents.pace, options, contents.work.bytes);
	run_jobs(options, &contents.pace, contents.work.n_units, read_units, &contents);
	work_free(&contents.work);

	conclude_checksums(contents.checksums, &backup->manifest, contents.matching);
	if (changed->n_problems > 0)
		check_set(changed, CHECK_FAILED, "%s changed while the backup was verified.",
				  count_of(changed->n_problems, "file was", "files were"));
	else
		check_set(changed, CHECK_PASSED, "No file changed while the backup was verified.");
	findings_sort(&contents.findings, &backup->manifest);
	verify_wal(report, backup, options, &contents.pace, &contents.findings);
	report_pages(report, backup, &contents.findings, contents.n_pages);
	free(contents.findings.items);
	return contents.unreadable;
}
