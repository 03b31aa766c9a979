/*
 * src/agent/wal_name.c
 *		Names of the files in a WAL archive.
 *
 * The server writes digits of hexadecimal numbers large.  What follows them is
 * the archive's: pgBackRest's checksum, what compressed the file, and
 * ".partial", before or behind that.
 */
#include "wal_name.h"
#include "manifest.h"

#include <limits.h>
#include <string.h>

#define TIMELINE_DIGITS 8
#define PARTIAL ".partial"

static bool
is_hex(const char *str, size_t digits)
{
	return strnlen(str, digits) == digits && strspn(str, "0123456789ABCDEF") >= digits;
}

/* Eight digits */
static uint32_t
number_at(const char *str)
{
	uint32_t	value = 0;

	for (int i = 0; i < TIMELINE_DIGITS; i++)
		value = value * 16 + (uint32_t) (str[i] <= '9' ? str[i] - '0' : str[i] - 'A' + 10);
	return value;
}

/* Take a suffix off the name of "len" bytes. */
static bool
take_suffix(const char *name, size_t *len, const char *suffix)
{
	size_t		suffix_len = strlen(suffix);

	if (*len < suffix_len || strncmp(name + *len - suffix_len, suffix, suffix_len) != 0)
		return false;
	*len -= suffix_len;
	return true;
}

/* What stands behind a segment's digits: true if it is one of those that we know. */
static bool
parse_tail(const char *name, WalName *result)
{
	char		rest[NAME_MAX + 1];
	size_t		len = strlen(name);

	if (len >= sizeof(rest))
		return false;
	memcpy(rest, name, len + 1);
	result->partial = take_suffix(rest, &len, PARTIAL);
	rest[len] = '\0';
	result->compression = compression_of_name(rest, &len);
	if (!result->partial)
		result->partial = take_suffix(rest, &len, PARTIAL);

	result->tail = SEGMENT_DIGITS;
	if (len == SEGMENT_DIGITS + 1 + 2 * SHA1_SIZE && rest[SEGMENT_DIGITS] == '-' &&
		strspn(rest + SEGMENT_DIGITS + 1, "0123456789abcdef") >= 2 * SHA1_SIZE)
	{
		result->has_sha1 = decode_hex(rest + SEGMENT_DIGITS + 1, 2 * SHA1_SIZE, result->sha1);
		result->tail = len;
	}
	return len == result->tail;
}

/* Understand a file's name; kind NAME_OTHER if it is none of an archive's. */
void
parse_wal_name(const char *name, WalName *result)
{
	size_t		len;

	memset(result, 0, sizeof(*result));
	if (!is_hex(name, TIMELINE_DIGITS))
		return;
	result->timeline = number_at(name);
	if (result->timeline == 0)
		return;
	if (is_hex(name, SEGMENT_DIGITS))
	{
		result->log = number_at(name + TIMELINE_DIGITS);
		result->seg = number_at(name + 2 * TIMELINE_DIGITS);
		if (name[SEGMENT_DIGITS] == '.' && is_hex(name + SEGMENT_DIGITS + 1, TIMELINE_DIGITS))
		{
			result->compression = compression_of_name(name, &len);
			if (take_suffix(name, &len, ".backup") && len == SEGMENT_DIGITS + 1 + TIMELINE_DIGITS)
				result->kind = NAME_BACKUP;
		}
		else if (parse_tail(name, result))
			result->kind = NAME_SEGMENT;
	}
	else
	{
		result->compression = compression_of_name(name, &len);
		if (take_suffix(name, &len, ".history") && len == TIMELINE_DIGITS)
			result->kind = NAME_HISTORY;
	}
}

/* The timeline that a name begins with, 0 if it is none of an archive's. */
uint32_t
timeline_of_name(const char *name)
{
	WalName		parsed;

	parse_wal_name(name, &parsed);
	return parsed.timeline;
}

/* A directory's name that is the first digits of the segments in it? */
bool
is_segment_directory(const char *name)
{
	return strlen(name) == DIRECTORY_DIGITS && is_hex(name, DIRECTORY_DIGITS);
}
