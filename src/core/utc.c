/*
 * src/core/utc.c
 *		Times as text for other programs: ISO 8601 in UTC, 2026-01-28T03:00:00Z.
 *
 * No setting has a say, and no catalog is needed.
 */
#include "postgres.h"

#include "core/utc.h"
#include "utils/timestamp.h"

/*
 * Read a time.  False for NULL and for anything else than the format above;
 * fractions of a second are dropped.
 */
bool
voxanne_parse_utc(const char *text, TimestampTz *result)
{
	struct pg_tm tm = {0};
	int			end = 0;

	if (text == NULL ||
		sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6)
		return false;
	if (text[end] == '.')
		end += 1 + strspn(text +end + 1, "0123456789");
	if (strcmp(text +end, "Z") != 0 ||
		tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
		tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return false;
	return tm2timestamp(&tm, 0, NULL, result) == 0;
}

/* Write a time, in whole seconds; not an infinite one. */
char *
voxanne_utc(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fraction;

	if (timestamp2tm(time, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year, tm.tm_mon, tm.tm_mday,
					tm.tm_hour, tm.tm_min, tm.tm_sec);
}
