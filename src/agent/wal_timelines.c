/*
 * src/agent/wal_timelines.c
 *		Timelines of an archive: where they branch, what they hold, what is missing.
 *
 * The segment in which a timeline was left exists on the new timeline, which
 * begins with a copy of it; on the old one it may exist only as ".partial", or
 * not at all.  So what a timeline must hold is told by the histories of those
 * that came after it.  Old segments are removed by retention: nothing is
 * missing before the oldest segment on the way to a timeline.
 */
#include "wal_archive.h"
#include "archive_backups.h"
#include "wal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A timeline's number grows by one at each promotion. */
#define MAX_TIMELINES 10000

uint64_t
segment_of(const Archive *archive, uint64_t lsn)
{
	return lsn / archive->segment_size;
}

/* The name of a segment; the caller frees it. */
char *
segment_name(const Archive *archive, uint32_t timeline, uint64_t segment)
{
	char		name[WAL_NAME_SIZE];

	wal_segment_name(name, timeline, segment, archive->segment_size);
	return xstrdup(name);
}

/* The timeline of this number, or NULL. */
Timeline *
find_timeline(const Archive *archive, uint32_t id)
{
	uint32_t	low = 0;
	uint32_t	high = archive->n_timelines;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (archive->timelines[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < archive->n_timelines && archive->timelines[low].id == id ? &archive->timelines[low] : NULL;
}

/* The history of a timeline; of one that has none, an empty one. */
const History *
history_of(const Archive *archive, uint32_t timeline)
{
	static __thread History none;
	const Timeline *found = find_timeline(archive, timeline);

	if (found != NULL)
		return &found->history;
	none = (History)
	{
		.timeline = timeline
	};
	return &none;
}

/* The timeline of this number, added in its place if it is new; NULL if there are too many. */
static Timeline *
add_timeline(Archive *archive, uint32_t id)
{
	Timeline   *found = find_timeline(archive, id);
	uint32_t	at = archive->n_timelines;

	if (found != NULL || archive->n_timelines == MAX_TIMELINES)
		return found;
	archive->timelines = xrealloc(archive->timelines, (archive->n_timelines + 1) * sizeof(Timeline));
	while (at > 0 && archive->timelines[at - 1].id > id)
		at--;
	memmove(&archive->timelines[at + 1], &archive->timelines[at], (archive->n_timelines - at) * sizeof(Timeline));
	archive->n_timelines++;
	archive->timelines[at] = (Timeline)
	{
		.id = id,.history.timeline = id,.has_history = id == 1
	};
	return &archive->timelines[at];
}

/* Read a history file. */
static void
read_history(Archive *archive, const ArchiveText *file, Check *check)
{
	const ArchiveDirectory *directory = &archive->directories[file->directory];
	Timeline   *timeline = add_timeline(archive, file->timeline);
	char	   *problem;
	bool		opaque;
	char	   *text = read_archive_text(archive, directory->fd, file->name, &problem, &opaque);
	History		history;

	if (timeline != NULL && text != NULL && history_parse(&history, file->timeline, text, &problem))
	{
		timeline->history = history;
		timeline->has_history = true;
		for (uint32_t i = 0; i < history.n; i++)
			(void) add_timeline(archive, history.entries[i].timeline);
	}
	else if (timeline != NULL && opaque)
		timeline->opaque = true;
	else if (problem != NULL)
		check_problem(check, format("%s%s", directory->prefix, file->name), "%s", problem);
	free(text);
	free(problem);
}

/* Is there a segment of a timeline below "id"? */
static bool
has_older_segments(const Archive *archive, uint32_t id)
{
	return archive->n_files > 0 && archive->files[0].timeline < id;
}

/*
 * Histories that should be there: without that of a timeline, recovery cannot
 * get from older ones to it; and whoever looks for the latest timeline counts
 * up and stops at the first that has none.
 */
static char *
missing_histories(const Archive *archive)
{
	char	   *missing = NULL;

	for (uint32_t i = 0; i < archive->n_timelines; i++)
	{
		const Timeline *timeline = &archive->timelines[i];
		uint32_t	before = i == 0 ? timeline->id - 1 : archive->timelines[i - 1].id;

		for (uint32_t id = before + 1; id <= timeline->id && id - before < MAX_ITEMS; id++)
		{
			if (id > 1 && (id < timeline->id || !(timeline->has_history || timeline->opaque)) && has_older_segments(archive, id))
				missing = format("%s%s%08" PRIX32 ".history", missing == NULL ? "" : missing, missing == NULL ? "" : ", ", id);
		}
	}
	return missing;
}

/* Timelines of which it is not known where they begin, as their history cannot be read here. */
uint64_t
count_opaque_timelines(const Archive *archive)
{
	uint64_t	n = 0;

	for (uint32_t i = 0; i < archive->n_timelines; i++)
		n += archive->timelines[i].opaque && !archive->timelines[i].has_history;
	return n;
}

/* The sentence of check history_files. */
static void
conclude_histories(Check *check, const Archive *archive, uint32_t read)
{
	char	   *missing = missing_histories(archive);
	uint64_t	opaque = count_opaque_timelines(archive);

	if (check->n_problems > 0)
		check_set(check, CHECK_FAILED, "%s not be understood, so recovery cannot get to %s.",
				  count_of(check->n_problems, "history file could", "history files could"),
				  check->n_problems == 1 ? "that timeline" : "those timelines");
	else if (missing != NULL)
		check_set(check, CHECK_WARNING, "Recovery from a backup of an older timeline cannot get to later ones without %s, "
				  "which the archive does not hold.", missing);
	else if (opaque > 0)
		check_set(check, CHECK_SKIPPED, "%s encrypted or compressed in a way that cannot be read here: where %s is not known.",
				  count_of(opaque, "history file is", "history files are"), opaque == 1 ? "its timeline begins" : "their timelines begin");
	else if (archive->n_timelines <= 1)
		check_set(check, CHECK_PASSED, "There is only one timeline.");
	else
		check_set(check, CHECK_PASSED, "%s understood.", count_of(read, "history file is", "history files are"));
	free(missing);
}

/* Check history_files; sets the timelines. */
void
find_timelines(Report *report, Archive *archive)
{
	Check	   *check = report_check(report, "history_files");
	uint32_t	read = 0;

	for (uint32_t i = 0; i < archive->n_files; i++)
		(void) add_timeline(archive, archive->files[i].timeline);
	for (uint32_t i = 0; i < archive->n_texts; i++)
	{
		if (archive->texts[i].kind != NAME_HISTORY)
			continue;
		read_history(archive, &archive->texts[i], check);
		read++;
	}
	conclude_histories(check, archive, read);
}

/* The range that a segment is in, or NULL. */
const SegmentRange *
range_holding(const SegmentRanges *ranges, uint64_t segment)
{
	uint32_t	low = 0;
	uint32_t	high = ranges->n;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (ranges->items[middle].last < segment)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ranges->n && ranges->items[low].first <= segment ? &ranges->items[low] : NULL;
}

/* What lies on each timeline, and what of it is good. */
static void
collect_ranges(Archive *archive)
{
	for (uint32_t i = 0; i < archive->n_timelines; i++)
		archive->timelines[i].present.n = archive->timelines[i].good.n = 0;
	for (uint32_t i = 0; i < archive->n_files; i++)
	{
		const SegmentFile *file = &archive->files[i];
		Timeline   *timeline = find_timeline(archive, file->timeline);

		if (timeline == NULL || file->partial || file->state == SEGMENT_FOREIGN || file->state == SEGMENT_GONE ||
			file->state == SEGMENT_WAITING)
			continue;
		add_to_ranges(&timeline->present, file->timeline, file->segment, file->segment);
		if (file->state == SEGMENT_PRESENT || file->state == SEGMENT_OPAQUE)
			add_to_ranges(&timeline->good, file->timeline, file->segment, file->segment);
	}
}

/* The segments of a timeline that the way to "history" goes through: from "first" to before "end". */
static void
way_through(const Archive *archive, const History *history, uint32_t i, uint64_t *first, uint64_t *end)
{
	*first = i == 0 ? 0 : segment_of(archive, history->entries[i - 1].end);
	*end = i < history->n ? segment_of(archive, history->entries[i].end) : UINT64_MAX;
}

/* The oldest segment on the way to a timeline; UINT64_MAX if there is none. */
uint64_t
oldest_on_way(const Archive *archive, const History *history)
{
	uint64_t	oldest = UINT64_MAX;

	for (uint32_t i = 0; i <= history->n; i++)
	{
		const Timeline *timeline = find_timeline(archive, i < history->n ? history->entries[i].timeline : history->timeline);
		uint64_t	first;
		uint64_t	end;

		way_through(archive, history, i, &first, &end);
		for (uint32_t j = 0; timeline != NULL && j < timeline->present.n; j++)
		{
			const SegmentRange *range = &timeline->present.items[j];
			uint64_t	segment = range->first > first ? range->first : first;

			if (segment <= range->last && segment < end && segment < oldest)
				oldest = segment;
		}
	}
	return oldest;
}

/* Add what the way to a timeline needs of another one, "wanted". */
static void
add_needed(const Archive *archive, const Timeline *target, uint32_t wanted, SegmentRanges *needed)
{
	const History *history = &target->history;
	uint64_t	oldest;

	if (target->present.n == 0)
		return;
	oldest = oldest_on_way(archive, history);
	for (uint32_t i = 0; i <= history->n; i++)
	{
		uint64_t	first;
		uint64_t	end;

		if ((i < history->n ? history->entries[i].timeline : history->timeline) != wanted)
			continue;
		way_through(archive, history, i, &first, &end);
		if (i == history->n)
			end = target->present.items[target->present.n - 1].last + 1;
		if (i == history->n && !target->has_history)
			first = target->present.items[0].first;
		if (first < oldest)
			first = oldest;
		if (first < end)
		{
			needed->n++;
			needed->items = xrealloc(needed->items, needed->n * sizeof(SegmentRange));
			needed->items[needed->n - 1] = (SegmentRange)
			{
				wanted, first, end - 1
			};
		}
	}
}

static int
compare_ranges(const void *a, const void *b)
{
	const SegmentRange *x = a;
	const SegmentRange *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Add what of "needed" a timeline does not hold to the holes. */
static void
subtract(Archive *archive, const Timeline *timeline, const SegmentRanges *needed)
{
	uint64_t	done = 0;

	for (uint32_t i = 0; i < needed->n; i++)
	{
		uint64_t	at = needed->items[i].first > done ? needed->items[i].first : done;
		uint64_t	end = needed->items[i].last + 1;

		for (uint32_t j = 0; j < timeline->present.n && at < end; j++)
		{
			const SegmentRange *range = &timeline->present.items[j];

			if (range->last < at)
				continue;
			if (range->first > at)
				add_to_ranges(&archive->holes, timeline->id, at, (range->first < end ? range->first : end) - 1);
			at = range->last + 1;
		}
		if (at < end)
			add_to_ranges(&archive->holes, timeline->id, at, end - 1);
		if (end > done)
			done = end;
	}
}

/* Find what is there, and the holes. */
void
find_ranges(Archive *archive)
{
	collect_ranges(archive);
	archive->holes.n = 0;
	for (uint32_t i = 0; i < archive->n_timelines; i++)
	{
		SegmentRanges needed = {0};

		for (uint32_t j = i; j < archive->n_timelines; j++)
			add_needed(archive, &archive->timelines[j], archive->timelines[i].id, &needed);
		if (needed.n > 0)
			qsort(needed.items, needed.n, sizeof(SegmentRange), compare_ranges);
		subtract(archive, &archive->timelines[i], &needed);
		free(needed.items);
	}
}
