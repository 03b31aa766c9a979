/*
 * src/agent/wal_server.c
 *		Does the archive have what the server has finished?
 *
 * An idle server finishes no segment, so the age of the newest one says
 * nothing.  What says something is where the server writes: segments before
 * that are finished, and each is in the archive, or still in the server's
 * pg_wal, or lost.  How long the oldest of those that wait has been finished is
 * how far the archive is behind.
 */
#include "manifest.h"
#include "wal_archive.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

/* No archive is so far behind that more need be looked at one by one. */
#define MAX_COMPARED 100000

/* "TIMELINE,LSN" */
bool
parse_position(const char *str, const char **end, uint32_t *timeline, uint64_t *lsn)
{
	char	   *rest;
	unsigned long number;

	if (*str < '1' || *str > '9')
		return false;
	number = strtoul(str, &rest, 10);
	*timeline = (uint32_t) number;
	return number <= UINT32_MAX && *rest == ',' && parse_lsn(rest + 1, end, lsn);
}

/* The first segment behind the newest in the archive on the way to a timeline. */
static uint64_t
first_expected(const Archive *archive, const History *history)
{
	uint64_t	expected = 0;

	for (uint32_t i = 0; i <= history->n; i++)
	{
		const Timeline *timeline = find_timeline(archive, i < history->n ? history->entries[i].timeline : history->timeline);
		uint64_t	end = i < history->n ? segment_of(archive, history->entries[i].end) : UINT64_MAX;

		for (uint32_t j = 0; timeline != NULL && j < timeline->present.n; j++)
		{
			const SegmentRange *range = &timeline->present.items[j];
			uint64_t	next = range->last + 1 < end ? range->last + 1 : end;

			if (range->first < end && next > expected)
				expected = next;
		}
	}
	return expected;
}

/*
 * The first segment behind the newest of any timeline, where the archive knows
 * nothing of the server's: a promotion may not have been archived yet.
 */
static uint64_t
first_unknown(const Archive *archive, uint64_t current)
{
	uint64_t	expected = 0;

	for (uint32_t i = 0; i < archive->n_timelines; i++)
	{
		const SegmentRanges *present = &archive->timelines[i].present;

		for (uint32_t j = 0; j < present->n; j++)
		{
			if (present->items[j].last < current && present->items[j].last + 1 > expected)
				expected = present->items[j].last + 1;
		}
	}
	return expected;
}

/* Is a segment on its way, complete or not, or in the archive under a name that recovery does not ask for? */
static bool
is_waiting(const Archive *archive, uint32_t timeline, uint64_t segment)
{
	uint32_t	i = first_file(archive, timeline, segment);

	return i < archive->n_files && archive->files[i].timeline == timeline && archive->files[i].segment == segment;
}

/*
 * Look for one segment that the server has finished and the archive does not
 * have.  "sure": the archive knows that it belongs to this timeline.
 */
static void
compare_segment(Archive *archive, uint32_t timeline, uint64_t segment, bool sure)
{
	char	   *name = segment_name(archive, timeline, segment);
	struct stat st;

	if (archive->server_wal >= 0 && fstatat(archive->server_wal, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
	{
		archive->n_pending++;
		if (archive->behind_since == NO_TIME || st.st_mtime < archive->behind_since)
			archive->behind_since = st.st_mtime;
	}
	else if (!sure || archive->server_wal < 0 || is_waiting(archive, timeline, segment))
		archive->n_pending++;
	else
		add_to_ranges(&archive->lost, timeline, segment, segment);
	free(name);
}

/* Compare the archive with what the server has finished, before segment "current". */
static void
compare_all(Archive *archive, uint32_t timeline, uint64_t current)
{
	const History *history = history_of(archive, timeline);
	uint64_t	expected = first_expected(archive, history);
	bool		sure = expected > 0;

	if (!sure)
		expected = first_unknown(archive, current);
	if (expected == 0)
		expected = current;
	archive->n_pending = 0;
	archive->lost.n = 0;
	archive->behind_since = NO_TIME;
	for (uint64_t segment = expected; segment < current && segment - expected < MAX_COMPARED; segment++)
	{
		uint32_t	id = history->timeline;

		for (uint32_t i = history->n; i-- > 0;)
		{
			if (segment < segment_of(archive, history->entries[i].end))
				id = history->entries[i].timeline;
		}
		compare_segment(archive, id, segment, sure);
	}
}

/* When the newest file of the archive came */
static int64_t
newest_time(const Archive *archive)
{
	int64_t		newest = NO_TIME;

	for (uint32_t i = 0; i < archive->n_files; i++)
	{
		if (archive->files[i].mtime > newest)
			newest = archive->files[i].mtime;
	}
	return newest;
}

/* Check archive_current, if the server's position is known. */
void
compare_server(Report *report, Archive *archive, Check *readable)
{
	Check	   *check;
	uint32_t	timeline;
	uint64_t	lsn;
	uint64_t	lost;

	archive->behind_since = NO_TIME;
	if (archive->options->server_position == NULL ||
		!parse_position(archive->options->server_position, NULL, &timeline, &lsn))
		return;
	check = report_check(report, "archive_current");
	archive->server_known = true;
	compare_all(archive, timeline, segment_of(archive, lsn));
	if (archive->lost.n > 0)
	{
		/* it may have been archived and removed since we listed the archive */
		list_archive_again(archive, readable);
		number_segments(archive, readable);
		find_ranges(archive);
		compare_all(archive, timeline, segment_of(archive, lsn));
	}
	lost = count_ranges(&archive->lost);
	for (uint32_t i = 0; i < archive->lost.n; i++)
	{
		char	   *name = segment_name(archive, archive->lost.items[i].timeline, archive->lost.items[i].first);

		check_problem(check, name, "neither archived nor in the server's pg_wal (%s)",
					  count_of(archive->lost.items[i].last - archive->lost.items[i].first + 1, "segment", "segments"));
		free(name);
	}
	if ((lost > 0 || archive->n_pending > 0) && archive->behind_since == NO_TIME)
		archive->behind_since = newest_time(archive);
	if (lost > 0)
		check_set(check, CHECK_FAILED, "%s lost: the server finished %s, but %s neither archived nor in its pg_wal.",
				  count_of(lost, "segment is", "segments are"), lost == 1 ? "it" : "them", lost == 1 ? "it is" : "they are");
	else if (archive->n_pending > 0)
		check_set(check, CHECK_PASSED, "%s to be archived, the oldest since %s.",
				  count_of(archive->n_pending, "finished segment waits", "finished segments wait"), iso_time(archive->behind_since));
	else
		check_set(check, CHECK_PASSED, "The archive has every segment that the server has finished; what it has written to "
				  "the one it is in, %s, is archived when that is full, or after archive_timeout.",
				  segment_name(archive, timeline, segment_of(archive, lsn)));
}
