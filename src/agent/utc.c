/*
 * src/agent/utc.c
 *		Times of documents from elsewhere as seconds since 1970, and back.
 */
#include "report.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Seconds since 1970 of "YYYY-MM-DDTHH:MM:SS" with or without a fraction, in UTC; -1 if it is none. */
int64_t
parse_utc(const char *str)
{
	struct tm	tm;
	int			end = 0;

	memset(&tm, 0, sizeof(tm));
	if (str == NULL ||
		sscanf(str, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6)
		return -1;
	if (str[end] == '.')
		end += 1 + (int) strspn(str + end + 1, "0123456789");
	if (strcmp(str + end, "") != 0 && strcmp(str + end, "Z") != 0 &&
		strcmp(str + end, "+00") != 0 && strcmp(str + end, "+00:00") != 0)
		return -1;
	if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
		tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t) timegm(&tm);
}

/* The text for a time, or NULL for a negative one. */
char *
utc_time(int64_t when)
{
	return when < 0 ? NULL : iso_time(when);
}
