/*
 * src/agent/recovery_checks.c
 *		What the recovery windows of an archive's backups say of it.
 *
 * Loss is judged by what it costs now: the newest usable backup that cannot get
 * to the newest segment is a failure, older ones that cannot are a warning, and
 * what no backup needs is nothing.
 */
#include "manifest.h"
#include "wal_archive.h"

#include <inttypes.h>
#include <stdlib.h>

/* The newest backup that can be told to exist, or NULL. */
static const BackupWindow *
newest_window(const Archive *archive)
{
	for (uint32_t i = archive->n_windows; i-- > 0;)
	{
		if (!archive->windows[i].expired)
			return &archive->windows[i];
	}
	return NULL;
}

/* Check backup_wal: does each backup have the WAL from its start to its end? */
static void
check_backup_wal(Report *report, const Archive *archive)
{
	Check	   *check = report_check(report, "backup_wal");
	const BackupWindow *newest = newest_window(archive);
	uint64_t	usable = 0;
	bool		newest_unusable = false;

	for (uint32_t i = 0; i < archive->n_windows; i++)
	{
		const BackupWindow *window = &archive->windows[i];

		if (window->expired || window->pending)
			continue;
		usable += window->usable && window->flaw == NULL;
		if (!window->usable)
			check_problem(check, window->id, "needs %s, which is missing or damaged", window->missing);
		else if (window->flaw != NULL)
			check_problem(check, window->id, "%s", window->flaw);
		newest_unusable |= window == newest && (!window->usable || window->flaw != NULL);
	}
	if (newest == NULL)
		check_set(check, CHECK_SKIPPED, "No backup is known that needs this archive.");
	else if (check->n_problems > 0)
		check_set(check, newest_unusable ? CHECK_FAILED : CHECK_WARNING, "%s not be restored with this archive%s.",
				  count_of(check->n_problems, "backup can", "backups can"),
				  newest_unusable ? ", the newest among them" : "; newer ones can");
	else if (newest->pending)
		check_set(check, CHECK_PASSED, "The newest backup waits for WAL that is not archived yet; %s.",
				  count_of(usable, "other can be restored", "others can be restored"));
	else
		check_set(check, CHECK_PASSED, "%s the WAL from its start to its end.",
				  count_of(usable, "backup has", "backups each have"));
}

/* Check wal_continuity: is anything missing that a backup needs to get to the newest segment? */
static void
check_continuity(Report *report, const Archive *archive)
{
	Check	   *check = report_check(report, "wal_continuity");
	uint64_t	lost = count_ranges(&archive->holes);
	const BackupWindow *newest = NULL;
	uint64_t	cut = 0;

	for (uint32_t i = 0; i < archive->n_windows; i++)
	{
		const BackupWindow *window = &archive->windows[i];

		if (window->expired || !window->usable)
			continue;
		cut += window->cut;
		newest = window;
	}
	for (uint32_t i = 0; i < archive->holes.n; i++)
	{
		const SegmentRange *hole = &archive->holes.items[i];
		char	   *first = segment_name(archive, hole->timeline, hole->first);
		char	   *last = segment_name(archive, hole->timeline, hole->last);

		if (hole->first == hole->last)
			check_problem(check, first, "missing");
		else
			check_problem(check, first, "missing, as all to %s: %" PRIu64 " segments", last, hole->last - hole->first + 1);
		free(first);
		free(last);
	}
	if (newest != NULL && newest->cut)
		check_set(check, CHECK_FAILED, "Recovery from the newest usable backup, %s, ends at %s: segment %s is missing or damaged.",
				  newest->id, format_lsn(newest->reach), newest->missing);
	else if (cut > 0)
		check_set(check, CHECK_WARNING, "%s not get past a segment that is missing or damaged; newer ones do.",
				  count_of(cut, "backup does", "backups do"));
	else if (lost == 0)
		check_set(check, CHECK_PASSED, "No segment is missing between the oldest and the newest of each timeline.");
	else if (newest == NULL)
		check_set(check, CHECK_WARNING, "%s missing; whether a backup needs %s is not known.",
				  count_of(lost, "segment is", "segments are"), lost == 1 ? "it" : "them");
	else
		check_set(check, CHECK_PASSED, "%s missing, but no backup needs %s.", count_of(lost, "segment is", "segments are"),
				  lost == 1 ? "it" : "them");
}

/* The oldest backup from which every later moment can be recovered, or NULL. */
static const BackupWindow *
oldest_window(const Archive *archive)
{
	for (uint32_t i = 0; i < archive->n_windows; i++)
	{
		const BackupWindow *window = &archive->windows[i];

		if (window->usable && !window->expired && !window->cut && !window->own_timeline)
			return window;
	}
	return NULL;
}

/* Check recovery_window: from where to where. */
static void
check_window(Report *report, const Archive *archive)
{
	Check	   *check = report_check(report, "recovery_window");
	const BackupWindow *oldest = oldest_window(archive);
	uint64_t	usable = 0;
	uint64_t	own = 0;

	for (uint32_t i = 0; i < archive->n_windows; i++)
	{
		const BackupWindow *window = &archive->windows[i];

		if (!window->usable || window->expired)
			continue;
		usable++;
		if (window->own_timeline)
		{
			own++;
			check_problem(check, window->id, "can be restored only with recovery_target_timeline = '%" PRIu32 "': a later "
						  "timeline that recovery would choose was begun before the backup ended", window->target);
		}
	}
	if (oldest != NULL)
		check_set(check, own > 0 ? CHECK_WARNING : CHECK_PASSED, "Every moment can be recovered from %s, the end of backup %s%s, to %s on timeline %" PRIu32 "%s%s.",
				  format_lsn(oldest->end_lsn != 0 ? oldest->end_lsn : oldest->start_lsn), oldest->id,
				  oldest->ended_at < 0 ? "" : format(" at %s", iso_time(oldest->ended_at)), format_lsn(oldest->reach),
				  oldest->target, oldest->last_commit == NO_TIME ? "" :
				  format(", the last commit at %s", iso_time(oldest->last_commit / 1000000 + SECONDS_TO_2000)),
				  count_opaque_timelines(archive) == 0 ? "" : "; timelines whose history cannot be read are left out");
	else if (usable > 0)
		check_set(check, CHECK_WARNING, "No usable backup gets to the newest segment.");
	else
		check_set(check, CHECK_SKIPPED, "No usable backup is known.");
}

/* Check pitr_window: does that reach back as far as is wanted?  Only a list of backups can tell that there is no older one. */
static void
check_wanted_window(Report *report, const Archive *archive)
{
	int64_t		wanted = (int64_t) archive->options->pitr_window;
	const BackupWindow *oldest = oldest_window(archive);
	Check	   *check;

	if (wanted == 0)
		return;
	check = report_check(report, "pitr_window");
	if (oldest == NULL)
		check_set(check, CHECK_SKIPPED, "No backup is known from which every later moment can be recovered.");
	else if (oldest->seen && !oldest->told)
		check_set(check, CHECK_SKIPPED, "Which backups there are besides %s is not known.", oldest->id);
	else if (oldest->ended_at < 0)
		check_set(check, CHECK_SKIPPED, "When backup %s ended is not known.", oldest->id);
	else if (archive->now - oldest->ended_at < wanted)
		check_set(check, CHECK_WARNING, "A restore can go back to %s, the end of backup %s, which is less than the %s wanted.",
				  iso_time(oldest->ended_at), oldest->id, length_of_time(wanted));
	else
		check_set(check, CHECK_PASSED, "A restore can go back to %s, the end of backup %s.", iso_time(oldest->ended_at), oldest->id);
}

/* Checks backup_wal, wal_continuity, recovery_window and pitr_window; the windows are known. */
void
check_windows(Report *report, const Archive *archive)
{
	check_backup_wal(report, archive);
	check_continuity(report, archive);
	check_window(report, archive);
	check_wanted_window(report, archive);
}
