/*
 * src/agent/utc.c
 *		Times of documents from elsewhere as seconds since 1970, and back.
 */
#include "report.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Seconds east of UTC: "", "Z", "+HH", "+HHMM" or "+HH:MM", with either sign; false for anything else. */
static bool
parse_offset(const char *str, int *offset)
{
	int			hours = 0;
	int			minutes = 0;
	int			end = 0;

	*offset = 0;
	if (*str == '\0' || strcmp(str, "Z") == 0)
		return true;
	if (*str != '+' && *str != '-')
		return false;
	if (sscanf(str + 1, "%2u:%2u%n", &hours, &minutes, &end) != 2 && sscanf(str + 1, "%2u%2u%n", &hours, &minutes, &end) != 2 &&
		sscanf(str + 1, "%2u%n", &hours, &end) != 1)
		return false;
	*offset = (hours * 60 + minutes) * (*str == '-' ? -60 : 60);
	return str[1 + end] == '\0' && (end == 2 || end == 4 || end == 5) && hours <= 24 && minutes < 60;
}

/* Seconds since 1970 of "YYYY-MM-DDTHH:MM:SS" with or without a fraction and an offset from UTC; -1 if it is none. */
int64_t
parse_utc(const char *str)
{
	struct tm	tm;
	int			end = 0;
	int			offset;

	memset(&tm, 0, sizeof(tm));
	if (str == NULL ||
		sscanf(str, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6)
		return -1;
	if (str[end] == '.')
		end += 1 + (int) strspn(str + end + 1, "0123456789");
	if (!parse_offset(str + end, &offset))
		return -1;
	if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
		tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t) timegm(&tm) - offset;
}

/* A length of time in the largest unit of which it is a multiple, like "30 days". */
char *
length_of_time(int64_t seconds)
{
	static const struct
	{
		int64_t		length;
		const char *one;
		const char *many;
	}			units[] = {
		{86400, "day", "days"},
		{3600, "hour", "hours"},
		{60, "minute", "minutes"},
		{1, "second", "seconds"},
	};
	size_t		i = 0;

	while (seconds % units[i].length != 0)
		i++;
	return count_of((uint64_t) (seconds / units[i].length), units[i].one, units[i].many);
}

/* The text for a time, or NULL for a negative one. */
char *
utc_time(int64_t when)
{
	return when < 0 ? NULL : iso_time(when);
}
