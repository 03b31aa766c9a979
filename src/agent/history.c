/*
 * src/agent/history.c
 *		Timeline history files.
 *
 * TTTTTTTT.history lists the ancestors of a timeline, each with the place at
 * which it was left.  The rules are the server's own.
 */
#include "history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WHITE " \t\r\f\v"

/* Digits of a number that fits into 32 bits, at *str; moves that behind it. */
static bool
take_number(const char **str, const char *digits, int base, uint32_t *value)
{
	size_t		len = strspn(*str, digits);
	uint64_t	number;

	if (len == 0 || len > 10)
		return false;
	number = strtoull(*str, NULL, base);
	*str += len;
	*value = (uint32_t) number;
	return number <= UINT32_MAX;
}

/* An LSN as the server writes it; "end", if not NULL, gets what follows, else nothing may. */
bool
parse_lsn(const char *str, const char **end, uint64_t *lsn)
{
	static const char hex[] = "0123456789ABCDEFabcdef";
	uint32_t	high;
	uint32_t	low;

	if (!take_number(&str, hex, 16, &high) || *str++ != '/' || !take_number(&str, hex, 16, &low))
		return false;
	*lsn = (uint64_t) high << 32 | low;
	if (end != NULL)
		*end = str;
	return end != NULL || *str == '\0';
}

/* One line; false with what is wrong with it. */
static bool
parse_line(History *history, const char *line, const char **problem)
{
	const HistoryEntry *last = history->n > 0 ? &history->entries[history->n - 1] : NULL;
	HistoryEntry entry;

	*problem = NULL;
	line += strspn(line, WHITE);
	if (*line == '\0' || *line == '#')
		return true;
	if (!take_number(&line, "0123456789", 10, &entry.timeline) || entry.timeline == 0)
		*problem = "it does not begin with the number of a timeline";
	else if (line += strspn(line, WHITE), !parse_lsn(line, &line, &entry.end))
		*problem = "it does not say where the timeline was left";
	else if (last != NULL && entry.timeline <= last->timeline)
		*problem = "timelines are not in ascending order";
	else if (last != NULL && entry.end < last->end)
		*problem = "the timeline was left before it began";
	else if (entry.timeline >= history->timeline)
		*problem = "it is not of an older timeline";
	if (*problem != NULL)
		return false;
	history->entries = xrealloc(history->entries, (history->n + 1) * sizeof(entry));
	history->entries[history->n++] = entry;
	return true;
}

/* Read the history of a timeline; false with "problem" set. */
bool
history_parse(History *history, uint32_t timeline, const char *text, char **problem)
{
	char	   *copy = xstrdup(text);
	char	   *rest = copy;
	char	   *line;
	const char *why = NULL;

	history->timeline = timeline;
	history->entries = NULL;
	history->n = 0;
	*problem = NULL;
	for (int number = 1; *problem == NULL && (line = strsep(&rest, "\n")) != NULL; number++)
	{
		if (!parse_line(history, line, &why))
			*problem = format("line %d: %s", number, why);
	}
	if (*problem == NULL && history->n == 0)
		*problem = xstrdup("it names no timeline that came before");
	free(copy);
	if (*problem != NULL)
	{
		free(history->entries);
		history->entries = NULL;
		history->n = 0;
	}
	return *problem == NULL;
}

/* Where a timeline of a history, or the one that has it, begins; UINT64_MAX for any other. */
uint64_t
history_begin(const History *history, uint32_t timeline)
{
	if (timeline == history->timeline)
		return history->n == 0 ? 0 : history->entries[history->n - 1].end;
	for (uint32_t i = 0; i < history->n; i++)
	{
		if (history->entries[i].timeline == timeline)
			return i == 0 ? 0 : history->entries[i - 1].end;
	}
	return UINT64_MAX;
}

/* Is what was written at "lsn" of "timeline" part of the history? */
bool
history_contains(const History *history, uint32_t timeline, uint64_t lsn)
{
	if (timeline == history->timeline)
		return true;
	for (uint32_t i = 0; i < history->n; i++)
	{
		if (history->entries[i].timeline == timeline)
			return lsn <= history->entries[i].end;
	}
	return false;
}
