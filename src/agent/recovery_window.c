/*
 * src/agent/recovery_window.c
 *		How far recovery gets from a backup with the WAL of an archive.
 *
 * Recovery goes to the latest timeline unless it is told otherwise: it counts
 * up from the backup's, and stops at the first number that has no history file.
 * On the way it takes each segment from the newest timeline that had begun by
 * then.  The window begins at the backup's end and ends where the first segment
 * is missing or damaged.
 */
#include "archive_backups.h"
#include "manifest.h"
#include "wal_archive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The backup of this name, added if it is new. */
BackupWindow *
add_window(Archive *archive, const char *id)
{
	for (uint32_t i = 0; i < archive->n_windows; i++)
	{
		if (strcmp(archive->windows[i].id, id) == 0)
			return &archive->windows[i];
	}
	archive->windows = xrealloc(archive->windows, (archive->n_windows + 1) * sizeof(BackupWindow));
	archive->windows[archive->n_windows] = (BackupWindow)
	{
		.id = xstrdup(id),.ended_at = -1,.last_commit = NO_TIME
	};
	return &archive->windows[archive->n_windows++];
}

/* The time of "LSN@SECONDS", before a comma or the end, or -1: it has none; false if it makes no sense. */
static bool
parse_ended(const char **str, int64_t *ended_at)
{
	char	   *rest;

	*ended_at = -1;
	if (**str == '@')
	{
		if ((*str)[1] < '0' || (*str)[1] > '9')
			return false;
		*ended_at = strtoll(*str + 1, &rest, 10);
		*str = rest;
	}
	return (**str == '\0' || **str == ',') && *ended_at < INT64_C(1) << 40;
}

/* A backup as --backup names it, START_LSN,TIMELINE[,END_LSN[@SECONDS][,ID]]; NULL if it makes no sense. */
static BackupWindow *
add_named(Archive *archive, const char *str)
{
	uint64_t	start;
	uint64_t	end = 0;
	int64_t		ended_at = -1;
	char	   *rest;
	unsigned long timeline;
	BackupWindow *window;

	if (!parse_lsn(str, &str, &start) || *str++ != ',' || *str < '1' || *str > '9')
		return NULL;
	timeline = strtoul(str, &rest, 10);
	if (timeline > UINT32_MAX || (*rest != '\0' && *rest != ','))
		return NULL;
	str = rest;
	if (*str == ',' && str[1] != ',' && (!parse_lsn(str + 1, &str, &end) || !parse_ended(&str, &ended_at)))
		return NULL;
	else if (*str == ',' && str[1] == ',')
		str++;
	if (end != 0 && end < start)
		return NULL;
	window = add_window(archive, *str == ',' && str[1] != '\0' ? str + 1 : format_lsn(start));
	window->timeline = (uint32_t) timeline;
	window->start_lsn = start;
	window->end_lsn = end;
	window->ended_at = ended_at;
	return window;
}

/* Those that the caller names. */
static void
add_all_named(Archive *archive, Check *check)
{
	const Options *options = archive->options;

	for (int i = 0; i < options->n_backups + options->n_seen_backups; i++)
	{
		bool		listed = i < options->n_backups;
		const char *str = listed ? options->backups[i] : options->seen_backups[i - options->n_backups];
		BackupWindow *window = add_named(archive, str);

		if (window == NULL)
			check_problem(check, str, "is no START_LSN,TIMELINE[,END_LSN[@SECONDS][,ID]]");
		else if (listed)
			window->listed = true;
		else
			window->seen = true;
	}
}

static int
compare_windows(const void *a, const void *b)
{
	const BackupWindow *x = a;
	const BackupWindow *y = b;

	if (x->timeline != y->timeline)
		return x->timeline < y->timeline ? -1 : 1;
	if (x->start_lsn != y->start_lsn)
		return x->start_lsn < y->start_lsn ? -1 : 1;
	return strcmp(x->id, y->id);
}

/* Those whose histories the server has archived. */
static void
add_archived(Archive *archive, Check *check)
{
	for (uint32_t i = 0; i < archive->n_texts; i++)
	{
		const ArchiveText *file = &archive->texts[i];
		const char *slash = strrchr(file->name, '/');
		char	   *problem;
		bool		opaque;
		char	   *text;

		if (file->kind != NAME_BACKUP)
			continue;
		text = read_archive_text(archive, archive->directories[file->directory].fd, file->name, &problem, &opaque);
		if (opaque)
			archive->n_opaque_lists++;
		else if (text == NULL)
			check_problem(check, file->name, "%s", problem);
		else if (!read_backup_history(archive, slash != NULL ? slash + 1 : file->name, text))
			check_problem(check, file->name, "is no history of a backup");
		free(text);
	}
}

/* The sentence of check backup_lists. */
static void
conclude_lists(Check *check, const Archive *archive)
{
	bool		listed = archive->layout->read_backups != NULL && archive->backups >= 0;
	char	   *known = archive->n_windows == 0 ? xstrdup("No backup is known") :
		format("%s known", count_of(archive->n_windows, "backup is", "backups are"));

	if (check->n_problems > 0)
		check_set(check, CHECK_WARNING, "%s not be understood.",
				  count_of(check->n_problems, "description of a backup could", "descriptions of backups could"));
	else if (archive->n_opaque_lists > 0)
		check_set(check, CHECK_SKIPPED, "%s: %s encrypted or compressed in a way that cannot be read here%s.", known,
				  listed ? "the list of them is" : count_of(archive->n_opaque_lists, "description of one is", "descriptions of some are"),
				  listed ? "; the program that keeps it can tell" : "");
	else
		check_set(check, archive->n_windows == 0 ? CHECK_SKIPPED : CHECK_PASSED, "%s that need%s this archive.", known,
				  archive->n_windows <= 1 ? "s" : "");
	free(known);
}

/* Check backup_lists: sets the backups, the oldest first, whatever names them. */
void
find_backups(Report *report, Archive *archive)
{
	Check	   *check = report_check(report, "backup_lists");

	add_all_named(archive, check);
	if (archive->backups_errno != 0)
		check_problem(check, "backups", "%s", describe_errno(archive->backups_errno));
	else if (archive->layout->read_backups != NULL && archive->backups >= 0 && !archive->backups_named)
		archive->layout->read_backups(archive, check);
	else if (archive->options->n_backups == 0)
		add_archived(archive, check);
	archive->lists_unread = check->n_problems > 0 || archive->n_opaque_lists > 0;
	if (archive->n_windows > 0)
		qsort(archive->windows, archive->n_windows, sizeof(BackupWindow), compare_windows);
	conclude_lists(check, archive);
}

/* The timeline that recovery from "timeline" takes for the latest. */
static uint32_t
latest_timeline(const Archive *archive, uint32_t timeline)
{
	const Timeline *next;

	while ((next = find_timeline(archive, timeline + 1)) != NULL && next->has_history && next->history.n > 0)
		timeline++;
	return timeline;
}

/* The timeline from which the way to "history" takes a segment; "end" is the first that it takes from a later one. */
static uint32_t
timeline_at(const Archive *archive, const History *history, uint64_t segment, uint64_t *end)
{
	for (uint32_t i = 0; i < history->n; i++)
	{
		*end = segment_of(archive, history->entries[i].end);
		if (segment < *end)
			return history->entries[i].timeline;
	}
	*end = UINT64_MAX;
	return history->timeline;
}

/* Is there anything on the way to "history" from that segment on? */
static bool
goes_on(const Archive *archive, const History *history, uint64_t segment)
{
	uint64_t	end = 0;

	for (;; segment = end)
	{
		uint32_t	id = timeline_at(archive, history, segment, &end);
		const Timeline *timeline = find_timeline(archive, id);

		for (uint32_t i = 0; timeline != NULL && i < timeline->present.n; i++)
		{
			const SegmentRange *range = &timeline->present.items[i];

			if (range->last >= segment && range->first < end)
				return true;
		}
		if (end == UINT64_MAX)
			return false;
	}
}

/* Follow the segments from "segment" to the first that is not good, of timeline "id". */
static uint64_t
follow(const Archive *archive, const History *history, uint64_t segment, uint32_t *id)
{
	for (;;)
	{
		uint64_t	end;
		const Timeline *timeline;
		const SegmentRange *range;

		*id = timeline_at(archive, history, segment, &end);
		timeline = find_timeline(archive, *id);
		range = timeline == NULL ? NULL : range_holding(&timeline->good, segment);
		if (range == NULL)
			return segment;
		segment = range->last + 1 < end ? range->last + 1 : end;
	}
}

/* The last commit on the way to "history" before that segment; NO_TIME if nobody has read it. */
static int64_t
last_commit_before(const Archive *archive, const History *history, uint64_t segment, uint64_t first)
{
	while (segment-- > first)
	{
		uint64_t	end;
		uint32_t	id = timeline_at(archive, history, segment, &end);

		for (uint32_t i = first_file(archive, id, segment);
			 i < archive->n_files && archive->files[i].timeline == id && archive->files[i].segment == segment; i++)
		{
			const SegmentContents *contents = archive->files[i].contents;

			if (contents != NULL && contents->last_commit != NO_TIME)
				return contents->last_commit;
		}
	}
	return NO_TIME;
}

/* Find out how far a backup gets, the newest that is known or another. */
static void
find_window(const Archive *archive, BackupWindow *window, bool is_last)
{
	uint64_t	first = segment_of(archive, window->start_lsn);
	uint64_t	needed = window->end_lsn > window->start_lsn ? window->end_lsn : window->start_lsn + 1;
	const History *history;
	uint64_t	stop;
	uint32_t	id;

	window->target = latest_timeline(archive, window->timeline);
	history = history_of(archive, window->target);
	if (!history_contains(history, window->timeline, needed))
	{
		window->own_timeline = true;
		window->target = window->timeline;
		history = history_of(archive, window->target);
	}
	stop = follow(archive, history, first, &id);
	window->reach = stop * archive->segment_size;
	window->usable = window->reach >= needed;
	window->cut = goes_on(archive, history, stop);
	window->pending = !window->usable && !window->cut;
	window->expired = !window->listed && !(window->seen && is_last) && stop == first && first < oldest_on_way(archive, history);
	if (archive->contents_read)
		window->last_commit = last_commit_before(archive, history, stop, first);
	if (window->cut)
		window->missing = segment_name(archive, id, stop);
}

/* Find out how far all backups get, and judge that. */
void
find_windows(Report *report, Archive *archive)
{
	for (uint32_t i = 0; i < archive->n_windows; i++)
		find_window(archive, &archive->windows[i], i == archive->n_windows - 1);
	check_windows(report, archive);
}
