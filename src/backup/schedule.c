/*
 * src/backup/schedule.c
 *		When a target is due.
 *
 * That follows from the log, its only memory: a level is due its interval after
 * the row that it wrote last.  So after a time without the server, or without
 * the worker, a level is due once, however often it would have been.
 *
 * What was added together, or has waited for the server's start together, would
 * stay together for ever and meet at the storage, which may be that of many
 * databases and servers.  So each target has a share of its own by which it is
 * before its time: never after it, as the interval is a promise.  Only where a
 * window says when to begin the beginning of the window is put off.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "backup/target.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* A failing target is tried after 1, 2, 4 ... minutes, at most after an hour; but never more often than it is due. */
#define FIRST_RETRY	USECS_PER_MINUTE
#define LAST_RETRY	USECS_PER_HOUR

static TimestampTz status_due(const VoxTarget *target);
static TimestampTz deep_due(const VoxTarget *target, TimestampTz now);
static int64 brought_forward(const VoxTarget *target, const char *level, int64 pause);
static int64 retry_delay(int failures);

/*
 * A number from 0 to 999999 that a target has at a level as long as it has its
 * name; another one in another database or cluster.
 */
int
voxanne_target_share(const VoxTarget *target, const char *level)
{
	char	   *text = psprintf("%s %s", level, target->name);
	uint64		hash = hash_bytes_extended((unsigned char *) text, strlen(text),
										   GetSystemIdentifier() + MyDatabaseId);

	pfree(text);
	return (int) (hash % 1000000);
}

/* The pause, shortened by the target's share of at most a tenth of it and an hour. */
static int64
brought_forward(const VoxTarget *target, const char *level, int64 pause)
{
	return pause - Min(pause / 10, USECS_PER_HOUR) * voxanne_target_share(target, level) / 1000000;
}

static TimestampTz
status_due(const VoxTarget *target)
{
	if (TIMESTAMP_IS_NOBEGIN(target->verified_at))
		return DT_NOBEGIN;
	return target->verified_at +
		brought_forward(target, VOX_LEVEL_STATUS, Max(target->status_interval, retry_delay(target->failures)));
}

/*
 * When level verify is due, if the target is active.  With a window whole days
 * count from its beginning: a verification that ends an hour after it began
 * would otherwise be due an hour later every day, and one day miss the window.
 */
static TimestampTz
deep_due(const VoxTarget *target, TimestampTz now)
{
	const VoxWindow *window = &target->verify_window;
	TimestampTz last = target->verify.verified_at;
	int64		pause = Max(target->verify_interval, retry_delay(target->verify.failures));
	TimestampTz due = DT_NOBEGIN;

	if (!voxanne_target_has_level(target, VOX_LEVEL_VERIFY))
		return DT_NOEND;
	if (!TIMESTAMP_IS_NOBEGIN(last))
	{
		TimestampTz opened = voxanne_window_before(window, last);

		if (window->from >= 0 && pause >= USECS_PER_DAY && last - opened <= pause / 2)
			due = opened + pause;
		else
			due = last + brought_forward(target, VOX_LEVEL_VERIFY, pause);
	}
	return window->from < 0 ? due : voxanne_window_next(window, Max(due, now));
}

/*
 * When to verify it again: DT_NOEND for one that is paused or suspended, "now"
 * or earlier for one that is due.
 */
TimestampTz
voxanne_target_due(const VoxTarget *target, TimestampTz now)
{
	return Min(voxanne_target_due_at(target, VOX_LEVEL_STATUS, now),
			   voxanne_target_due_at(target, VOX_LEVEL_VERIFY, now));
}

/* The same at one level, which may be the one that was requested. */
TimestampTz
voxanne_target_due_at(const VoxTarget *target, const char *level, TimestampTz now)
{
	const char *requested = target->requested_level == NULL ? VOX_LEVEL_STATUS : target->requested_level;

	if (!TIMESTAMP_IS_NOBEGIN(target->paused_at) || voxanne_target_suspended(target))
		return DT_NOEND;
	if (!TIMESTAMP_IS_NOBEGIN(target->requested_at) && strcmp(requested, level) == 0)
		return now;
	return voxanne_level_due(target, level, now);
}

/* When the worker verifies an active target at a level, if nobody asks before: likewise; DT_NOEND for one that others verify. */
TimestampTz
voxanne_level_due(const VoxTarget *target, const char *level, TimestampTz now)
{
	TimestampTz due = strcmp(level, VOX_LEVEL_STATUS) == 0 ? status_due(target) : deep_due(target, now);

	if (target->external)
		return DT_NOEND;
	return TIMESTAMP_IS_NOBEGIN(due) ? now : due;
}

static int64
retry_delay(int failures)
{
	if (failures == 0)
		return 0;
	return Min(FIRST_RETRY << (Min(failures, 16) - 1), LAST_RETRY);
}
