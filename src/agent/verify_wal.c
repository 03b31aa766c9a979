/*
 * src/agent/verify_wal.c
 *		Command verify-wal: is this archive of WAL without holes, and how far does it get?
 *
 * Level "status" looks at names and sizes, and at the headers of the segments
 * beside which others are missing; level "verify" reads all segments.
 */
#include "backup.h"
#include "pgbackrest_info.h"
#include "wal.h"
#include "wal_headers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static ExitStatus verify_archive(const Options *options);

static const char *const verify_wal_options[] = {
	"level", "system-identifier", "within", "jobs", "rate", "io-priority", "progress", "backup", "seen-backup", "server-position", "server-wal",
	"wal-segment-size", "pitr-window", NULL
};

const Command verify_wal_command = {
	.name = "verify-wal",
	.operand = "PATH",
	.summary = "Verify an archive of WAL: a directory, a server of Barman, a repository of pgBackRest.",
	.options = verify_wal_options,
	.run = verify_archive,
};

/* More of a list than this nobody reads. */
#define MAX_LISTED 100

static void
print_range(JsonWriter *w, const Archive *archive, const SegmentRange *range)
{
	json_text(w, "first", segment_name(archive, range->timeline, range->first));
	json_text(w, "last", segment_name(archive, range->timeline, range->last));
	json_integer(w, "count", (int64_t) (range->last - range->first + 1));
}

static void
print_ranges(JsonWriter *w, const char *key, const Archive *archive, const SegmentRanges *ranges)
{
	json_open(w, key, '[');
	for (uint32_t i = 0; i < ranges->n && i < MAX_LISTED; i++)
	{
		json_open(w, NULL, '{');
		print_range(w, archive, &ranges->items[i]);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void
print_timelines(JsonWriter *w, const Archive *archive)
{
	json_open(w, "timelines", '[');
	for (uint32_t i = 0; i < archive->n_timelines && i < MAX_LISTED; i++)
	{
		const Timeline *timeline = &archive->timelines[i];
		const History *history = &timeline->history;

		json_open(w, NULL, '{');
		json_integer(w, "timeline", timeline->id);
		if (history->n > 0)
		{
			json_integer(w, "parent", history->entries[history->n - 1].timeline);
			json_text(w, "begin_lsn", format_lsn(history->entries[history->n - 1].end));
		}
		print_ranges(w, "ranges", archive, &timeline->present);
		json_close(w, '}');
	}
	json_close(w, ']');
}

static void
print_window(JsonWriter *w, const BackupWindow *window)
{
	json_open(w, NULL, '{');
	json_text(w, "backup", window->id);
	json_integer(w, "timeline", window->timeline);
	json_text(w, "start_lsn", format_lsn(window->start_lsn));
	if (window->end_lsn != 0)
		json_text(w, "end_lsn", format_lsn(window->end_lsn));
	if (window->ended_at >= 0)
		json_text(w, "from", iso_time(window->ended_at));
	json_boolean(w, "usable", window->usable);
	json_boolean(w, "complete", window->usable && !window->cut);
	json_integer(w, "target_timeline", window->target);
	json_text(w, "reach_lsn", format_lsn(window->reach));
	if (window->last_commit != NO_TIME)
		json_text(w, "last_commit_at", iso_time(window->last_commit / 1000000 + SECONDS_TO_2000));
	json_text(w, "missing", window->missing);
	json_close(w, '}');
}

/* Member "recovery_window": how far the backups get. */
void
print_windows(JsonWriter *w, const Archive *archive)
{
	uint32_t	first = archive->n_windows > MAX_LISTED ? archive->n_windows - MAX_LISTED : 0;

	json_open(w, "recovery_window", '[');
	for (uint32_t i = first; i < archive->n_windows; i++)
	{
		if (!archive->windows[i].expired)
			print_window(w, &archive->windows[i]);
	}
	json_close(w, ']');
}

/* When the archive had all that the server had finished; without a server, when its newest segment came. */
static int64_t
current_at(const Archive *archive)
{
	if (!archive->server_known)
		return archive->newest->mtime < archive->now ? archive->newest->mtime : archive->now;
	return archive->behind_since == NO_TIME || archive->behind_since > archive->now ? archive->now : archive->behind_since;
}

/* An object that says what the archive is and holds. */
void
print_archive(JsonWriter *w, const char *key, const Archive *archive)
{
	json_open(w, key, '{');
	json_text(w, "id", segment_name(archive, archive->newest->timeline, archive->newest->segment));
	json_text(w, "path", archive->path);
	json_text(w, "layout", archive->layout->name);
	json_text(w, "finished_at", iso_time(current_at(archive)));
	json_integer(w, "age_seconds", archive->now - current_at(archive));
	json_text(w, "newest_at", iso_time(archive->newest->mtime));
	json_integer(w, "size_bytes", (int64_t) archive->total_size);
	json_integer(w, "segment_size", archive->segment_size);
	if (archive->system_identifier != 0)
		json_text(w, "system_identifier", format("%" PRIu64, archive->system_identifier));
	if (archive->magic != 0)
		json_text(w, "server_version", wal_version(archive->magic));
	json_open(w, "segments", '{');
	json_integer(w, "found", (int64_t) archive->counts.found);
	json_integer(w, "pending", (int64_t) archive->counts.pending);
	json_integer(w, "lost", (int64_t) archive->counts.lost);
	json_integer(w, "bad", (int64_t) archive->counts.bad);
	json_integer(w, "foreign", (int64_t) archive->counts.foreign);
	json_close(w, '}');
	print_ranges(w, "gaps", archive, &archive->holes);
	print_timelines(w, archive);
	json_close(w, '}');
}

/* Is there a segment that counts by name, whatever is in it? */
static bool
has_opaque_segments(const Archive *archive)
{
	for (uint32_t i = 0; i < archive->n_files; i++)
	{
		if (archive->files[i].state == SEGMENT_OPAQUE)
			return true;
	}
	return false;
}

/* Members "backup", named as that of the other commands, and "recovery_window". */
static void
print_members(JsonWriter *w, const void *subject)
{
	const Archive *archive = subject;

	if (archive->newest == NULL)
		return;
	if (has_opaque_segments(archive))
		json_text(w, "proof", "present");
	print_archive(w, "backup", archive);
	print_windows(w, archive);
}

static void
print_summary(FILE *out, const void *subject)
{
	const Archive *archive = subject;
	const SegmentCounts *counts = &archive->counts;
	int64_t		age;

	if (archive->newest == NULL)
		return;
	age = archive->now - archive->newest->mtime;
	if (age < 0)
		age = 0;
	fprintf(out, "%" PRIu64 " found, %" PRIu64 " pending, %" PRIu64 " lost, %" PRIu64 " bad, %" PRIu64 " foreign\n"
			"newest %s, %" PRId64 " h %02d min ago\n", counts->found, counts->pending, counts->lost, counts->bad,
			counts->foreign, segment_name(archive, archive->newest->timeline, archive->newest->segment), age / 3600,
			(int) (age / 60 % 60));
	for (uint32_t i = 0; i < archive->n_timelines && i < MAX_LISTED; i++)
	{
		const SegmentRanges *ranges = &archive->timelines[i].present;

		for (uint32_t j = 0; j < ranges->n && j < MAX_LISTED; j++)
			fprintf(out, "timeline %" PRIu32 ": %s to %s\n", archive->timelines[i].id,
					segment_name(archive, ranges->items[j].timeline, ranges->items[j].first),
					segment_name(archive, ranges->items[j].timeline, ranges->items[j].last));
	}
}

/* Check segment_copies: two files of one segment must hold the same. */
static void
check_copies(Report *report, const Archive *archive)
{
	Check	   *check = report_check(report, "segment_copies");
	uint64_t	copies = 0;

	for (uint32_t i = 1; i < archive->n_files; i++)
	{
		const SegmentFile *a = &archive->files[i - 1];
		const SegmentFile *b = &archive->files[i];

		if (a->timeline != b->timeline || a->segment != b->segment || a->partial || b->partial ||
			a->state != SEGMENT_PRESENT || b->state != SEGMENT_PRESENT)
			continue;
		copies++;
		if ((a->has_sha1 && b->has_sha1 && memcmp(a->sha1, b->sha1, SHA1_SIZE) != 0) ||
			(a->contents != NULL && b->contents != NULL && a->contents->crc != b->contents->crc))
			check_problem(check, segment_path(archive, b), "holds something else than %s", segment_path(archive, a));
	}
	if (check->n_problems > 0)
		check_set(check, CHECK_FAILED, "%s twice, with different contents: two servers archive here.",
				  count_of(check->n_problems, "segment is there", "segments are there"));
	else
		check_set(check, CHECK_PASSED, copies == 0 ? "Every segment is there once." :
				  "Segments that are there more than once do not differ.");
}

/* Count the segments by class, and find the newest. */
static void
count_segments(Archive *archive)
{
	SegmentCounts *counts = &archive->counts;

	for (uint32_t i = 0; i < archive->n_files; i++)
	{
		const SegmentFile *file = &archive->files[i];

		counts->bad += file->state == SEGMENT_BAD || file->state == SEGMENT_UNREADABLE;
		counts->foreign += file->state == SEGMENT_FOREIGN;
		counts->pending += file->state == SEGMENT_WAITING || (file->state == SEGMENT_PRESENT && file->partial);
		counts->found += (file->state == SEGMENT_PRESENT || file->state == SEGMENT_OPAQUE) && !file->partial;
		if (file->state == SEGMENT_PRESENT || file->state == SEGMENT_OPAQUE)
			archive->newest = file;
	}
	counts->foreign += archive->other_files;
	counts->pending += archive->n_pending;
	counts->lost = count_ranges(&archive->holes) + count_ranges(&archive->lost);
}

/* Look at the archive; nothing but it can be read any more. */
void
examine_archive(Report *report, Archive *archive)
{
	HeaderChecks checks = {.readable = report_check(report, "files_readable")};

	if (!scan_archive(report, archive, checks.readable))
	{
		check_set(checks.readable, checks.readable->n_problems > 0 ? CHECK_FAILED : CHECK_PASSED, "%s",
				  checks.readable->n_problems > 0 ? "Not everything may be read." : "All files and directories may be read.");
		return;
	}
	checks.identity = report_check(report, "system_identifier");
	checks.headers = report_check(report, "segment_headers");
	checks.unread = report_check(report, "segments_unread");
	(void) read_identity(archive, checks.identity);
	check_sizes(&checks, archive);
	find_timelines(report, archive);
	find_ranges(archive);
	if (strcmp(archive->options->level, "verify") == 0)
		verify_archive_contents(report, &checks, archive);
	else
		check_end_headers(&checks, archive);
	check_copies(report, archive);
	compare_server(report, archive, checks.readable);
	find_ranges(archive);
	if (archive->info >= 0)
		check_info_files(report, archive->info, archive->backups);
	find_backups(report, archive);
	find_windows(report, archive);
	conclude_headers(&checks, archive, strcmp(archive->options->level, "verify") == 0);
	count_segments(archive);
}

static ExitStatus
verify_archive(const Options *options)
{
	static Report report;
	static Archive archive;
	SandboxPlan plan = {0};
	int			location;

	report.command = verify_wal_command.name;
	report.members = print_members;
	report.summary = print_summary;
	report.subject = &archive;
	archive.options = options;
	archive.path = xstrdup(options->path);
	archive.now = time(NULL);
	digest_load();

	location = open_location(&report, options->path);
	if (location >= 0 && !is_within(options, location))
		report_error(&report, "path_outside",
					 format("Path \"%s\" does not lie in one of the allowed directories.", options->path), NULL);
	if (report.error_code == NULL && locate_archive(&report, &archive, location, &plan))
	{
		sandbox_enter(&plan, &report.sandbox);
		examine_archive(&report, &archive);
		report_proof(&report);
	}
	return report_print(&report, options->json);
}
