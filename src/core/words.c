/*
 * src/core/words.c
 *		Small things about the words in messages.
 */
#include "postgres.h"

#include "core/words.h"
#include "datatype/timestamp.h"
#include "utils/varlena.h"

/* Longest word compared, in bytes; the server's function takes no longer ones. */
#define MAX_WORD 255

static char *one_decimal(double number);

/*
 * The candidate (char *) that the user probably meant, or NULL: at most three
 * letters wrong and fewer than half of them.
 */
const char *
voxanne_closest(const char *word, List *candidates)
{
	const char *best = NULL;
	int			least = 4;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		const char *candidate = lfirst(lc);
		int			distance;

		if (strlen(word) > MAX_WORD || strlen(candidate) > MAX_WORD)
			continue;
		distance = varstr_levenshtein_less_equal(word, strlen(word), candidate, strlen(candidate),
												 1, 1, 1, least, true);
		if (distance < least && distance * 2 < (int) strlen(candidate))
		{
			least = distance;
			best = candidate;
		}
	}
	return best;
}

/* "1 row", "2 rows" */
char *
voxanne_count_of(int64 count, const char *one, const char *many)
{
	return psprintf("%lld %s", (long long) count, count == 1 ? one : many);
}

/* "1 of 3 rows of public.contacts has", "2 of 3 rows of public.contacts have": the last two are the verb. */
char *
voxanne_rows_that(int64 rows, int64 checked, const char *table, const char *one, const char *many)
{
	return psprintf("%lld of %s of %s %s", (long long) rows, voxanne_count_of(checked, "row", "rows"), table,
					rows == 1 ? one : many);
}

/*
 * Text that users wrote, names of theirs included, as a comment for the end of
 * a statement, on a line of its own.  What would end the comment is a blank.
 */
char *
voxanne_sql_comment(const char *text)
{
	char	   *comment = psprintf("\n-- %s", text);

	for (char *at = comment + 1; *at != '\0'; at++)
		if ((unsigned char) *at < ' ' || *at == 0x7f)
			*at = ' ';
	return comment;
}

/* A length of time for a reader in a hurry: "45 s", "12 min", "3.5 h", "2 days". */
char *
voxanne_ago(int64 microseconds)
{
	double		seconds = Max((double) microseconds / USECS_PER_SEC, 0);

	if (seconds < 120)
		return psprintf("%.0f s", seconds);
	if (seconds < 60 * 60)
		return psprintf("%.0f min", seconds / 60);
	if (seconds < 48 * 3600)
		return psprintf("%s h", one_decimal(seconds / 3600));
	return psprintf("%s days", one_decimal(seconds / 86400));
}

/* "3.5", but "3" rather than "3.0". */
static char *
one_decimal(double number)
{
	char	   *digits = psprintf("%.1f", number);
	size_t		len = strlen(digits);

	if (strcmp(digits + len - 2, ".0") == 0)
		digits[len - 2] = '\0';
	return digits;
}

/* A size in MB (10^6 bytes) or GB (10^9). */
char *
voxanne_megabytes(int64 bytes)
{
	if (bytes < INT64CONST(1000000000))
		return psprintf("%.1f MB", (double) bytes / 1e6);
	return psprintf("%.1f GB", (double) bytes / 1e9);
}
