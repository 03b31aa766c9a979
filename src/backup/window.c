/*
 * src/backup/window.c
 *		The time of day in which the worker may verify contents.
 *
 * In the server's time zone, for which log_timezone stands: unlike TimeZone it
 * is the same in every session, so that backup_status() and the worker mean the
 * same time.  Where clocks are put forward, a time that does not exist counts as
 * the same length of time after midnight.
 */
#include "postgres.h"

#include "backup/window.h"
#include "pgtime.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#define DAY_MINUTES (24 * 60)

static bool parse_time(const char *text, int most, int *minutes);
static TimestampTz opening(const VoxWindow *window, TimestampTz time, int day);
static TimestampTz closing(const VoxWindow *window, TimestampTz time, int day);
static TimestampTz local_time(TimestampTz time, int days, int minutes);

/* Read "HH:MM-HH:MM"; false for anything else and for two equal times. */
bool
voxanne_window_parse(const char *text, VoxWindow *window)
{
	window->delay = 0;
	return strlen(text) == strlen("HH:MM-HH:MM") && text[5] == '-' &&
		parse_time(text, DAY_MINUTES - 1, &window->from) &&
		parse_time(text +6, DAY_MINUTES, &window->until) &&
		window->from != window->until;
}

/* "HH:MM" at the beginning of a text. */
static bool
parse_time(const char *text, int most, int *minutes)
{
	static const int digits[] = {0, 1, 3, 4};

	for (int i = 0; i < (int) lengthof(digits); i++)
		if (text[digits[i]] < '0' || text[digits[i]] > '9')
			return false;
	if (text[2] != ':' || text[3] > '5')
		return false;
	*minutes = ((text[0] - '0') *10 + text[1] - '0') *60 + (text[3] - '0') *10 + text[4] - '0';

	return *minutes <= most;
}

/* The first time in the window that is not before "time". */
TimestampTz
voxanne_window_next(const VoxWindow *window, TimestampTz time)
{
	if (window->from < 0 || TIMESTAMP_NOT_FINITE(time))
		return time;
	for (int day = -1; day <= 2; day++)
	{
		TimestampTz from = opening(window, time, day);
		TimestampTz until = closing(window, time, day);

		if (from < until && time < until)
			return Max(from, time);
	}
	return time;				/* not reached: a day has a beginning */
}

/*
 * The last beginning of the window that is not after "time"; "time" itself
 * without a window.  The delay may put yesterday's beginning off to today.
 */
TimestampTz
voxanne_window_before(const VoxWindow *window, TimestampTz time)
{
	if (window->from < 0 || TIMESTAMP_NOT_FINITE(time))
		return time;
	for (int day = 0; day >= -2; day--)
	{
		TimestampTz from = opening(window, time, day);

		if (from <= time)
			return from;
	}
	return time;				/* not reached: a delay is less than a day */
}

/* The beginning of the window that opens so many days after the local day of "time", put off by its delay. */
static TimestampTz
opening(const VoxWindow *window, TimestampTz time, int day)
{
	TimestampTz from = local_time(time, day, window->from);
	int64		length = closing(window, time, day) - from;

	return from + Min(Max(length, 0) / 10, USECS_PER_HOUR) * window->delay / 1000000;
}

/* And its end, on the same day or the next. */
static TimestampTz
closing(const VoxWindow *window, TimestampTz time, int day)
{
	return local_time(time, day + (window->until > window->from ? 0 : 1), window->until);
}

/* So many minutes after midnight of the local day of "time", or of one that is "days" after. */
static TimestampTz
local_time(TimestampTz time, int days, int minutes)
{
	struct pg_tm tm;
	fsec_t		fraction;
	int			zone;
	TimestampTz result;

	if (timestamp2tm(time, &zone, &tm, &fraction, NULL, log_timezone) != 0)
		elog(ERROR, "timestamp out of range");
	j2date(date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) + days + minutes / DAY_MINUTES,
		   &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	tm.tm_hour = minutes % DAY_MINUTES / 60;
	tm.tm_min = minutes % 60;
	tm.tm_sec = 0;
	zone = DetermineTimeZoneOffset(&tm, log_timezone);
	if (tm2timestamp(&tm, 0, &zone, &result) != 0)
		elog(ERROR, "timestamp out of range");
	return result;
}
