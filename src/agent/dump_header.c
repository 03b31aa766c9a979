/*
 * src/agent/dump_header.c
 *		The header of pg_dump's archives.
 *
 * All numbers are written with a byte for the sign and then, the lowest first,
 * as many bytes as the header says, which has always been four.
 */
#include "dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char magic[] = "PGDMP";

#define MAGIC_LENGTH (sizeof(magic) - 1)

/* Versions of the format that we know: of PostgreSQL 8.0 to 18 */
#define MIN_VERSION 0x010a
#define MAX_VERSION 0x0110
#define VERSION_ALGORITHM 0x010f	/* a byte for the way to compress */

/* More than these no pg_dump has written; pg_restore takes them for damage, too. */
#define MAX_INT_SIZE 32
#define MAX_TEXT 256			/* of a name that is kept */

/* Ways to compress, as they are numbered since VERSION_ALGORITHM */
static const Compression algorithms[] = {
	COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_LZ4, COMPRESSION_ZSTD
};

#define N_ALGORITHMS ((int) (sizeof(algorithms) / sizeof(algorithms[0])))

bool
is_archive(const unsigned char *start, size_t len)
{
	return len >= MAGIC_LENGTH && memcmp(start, magic, MAGIC_LENGTH) == 0;
}

static bool
fail(char **problem, char *why)
{
	if (*problem == NULL)
		*problem = why;
	else
		free(why);
	return false;
}

static bool
take_byte(Stream *in, uint8_t *byte, char **problem)
{
	if (stream_take(in, byte, 1))
		return true;
	return fail(problem, xstrdup(stream_why(in)));
}

/* A number of at most 32 bits and a sign; false with "problem" set. */
bool
take_dump_int(Stream *in, const DumpHeader *header, int64_t *value, char **problem)
{
	unsigned char bytes[1 + MAX_INT_SIZE];
	uint64_t	at = stream_at(in);
	bool		fits = true;

	if (!stream_take(in, bytes, (size_t) header->int_size + 1))
		return fail(problem, xstrdup(stream_why(in)));
	*value = 0;
	for (int i = 0; i < header->int_size; i++)
	{
		if (i < 4)
			*value |= (int64_t) bytes[1 + i] << (8 * i);
		else
			fits &= bytes[1 + i] == 0;
	}
	if (bytes[0] > 1 || !fits)
		return fail(problem, format("at byte %" PRIu64 " there is no number where one belongs", at));
	if (bytes[0] == 1)
		*value = -*value;
	return true;
}

/* A text, of which the first MAX_TEXT bytes are kept; NULL if there is none. */
static bool
take_header_text(Stream *in, const DumpHeader *header, char **text, char **problem)
{
	char		str[MAX_TEXT + 1];
	int64_t		len;
	size_t		kept;

	if (!take_dump_int(in, header, &len, problem))
		return false;
	if (len < 0)
		return true;
	kept = len < MAX_TEXT ? (size_t) len : MAX_TEXT;
	if (!stream_take(in, str, kept) || !stream_skip(in, (uint64_t) len - kept))
		return fail(problem, xstrdup(stream_why(in)));
	str[kept] = '\0';
	*text = xstrdup(str);
	return true;
}

/* Magic, version, sizes of numbers and format. */
static bool
read_fixed_part(Stream *in, DumpHeader *header, char **problem)
{
	unsigned char bytes[MAGIC_LENGTH + 6];

	if (!stream_take(in, bytes, sizeof(bytes)))
		return fail(problem, xstrdup(stream_why(in)));
	if (!is_archive(bytes, sizeof(bytes)))
		return fail(problem, xstrdup("it does not begin like an archive of pg_dump"));
	header->version = (uint32_t) bytes[5] << 8 | bytes[6];
	if (header->version < MIN_VERSION || header->version > MAX_VERSION)
		return fail(problem, format("it is of version %u.%u, which is not known here (%u.%u to %u.%u are)",
									bytes[5], bytes[6], MIN_VERSION >> 8, MIN_VERSION & 0xff,
									MAX_VERSION >> 8, MAX_VERSION & 0xff));
	header->int_size = bytes[8];
	header->offset_size = bytes[9];
	header->format = bytes[10];
	if (header->int_size < 1 || header->int_size > MAX_INT_SIZE ||
		header->offset_size < 1 || header->offset_size > MAX_INT_SIZE)
		return fail(problem, format("it states numbers of %u and offsets of %u bytes", header->int_size, header->offset_size));
	if (header->format != FORMAT_CUSTOM && header->format != FORMAT_TAR)
		return fail(problem, format("it states format %u, which does not exist", header->format));
	return true;
}

static bool
read_compression(Stream *in, DumpHeader *header, char **problem)
{
	int64_t		level;
	uint8_t		algorithm;

	if (header->version < VERSION_ALGORITHM)
	{
		if (!take_dump_int(in, header, &level, problem))
			return false;
		if (level < -1 || level > 9)
			return fail(problem, format("it states compression level %" PRId64, level));
		header->compression = level == 0 ? COMPRESSION_NONE : COMPRESSION_GZIP;
		return true;
	}
	if (!take_byte(in, &algorithm, problem))
		return false;
	if (algorithm >= N_ALGORITHMS)
		return fail(problem, format("it states compression method %u, which is not known here", algorithm));
	header->compression = algorithms[algorithm];
	return true;
}

/* When the dump was begun, which is stated in the local time of whoever made it. */
static bool
read_time(Stream *in, DumpHeader *header, char **problem)
{
	static const struct
	{
		int			least;
		int			most;
	}			limits[] = {{0, 61}, {0, 59}, {0, 23}, {1, 31}, {0, 11}, {70, 8099}, {-1, 1}};
	int64_t		fields[7];
	struct tm	tm = {0};
	time_t		time;

	for (int i = 0; i < 7; i++)
	{
		if (!take_dump_int(in, header, &fields[i], problem))
			return false;
		if (fields[i] < limits[i].least || fields[i] > limits[i].most)
			return fail(problem, xstrdup("it states a time that does not exist"));
	}
	tm.tm_sec = (int) fields[0];
	tm.tm_min = (int) fields[1];
	tm.tm_hour = (int) fields[2];
	tm.tm_mday = (int) fields[3];
	tm.tm_mon = (int) fields[4];
	tm.tm_year = (int) fields[5];
	tm.tm_isdst = (int) fields[6];
	time = mktime(&tm);
	if (time == (time_t) -1)
	{
		/* here the clocks are not changed at that time */
		tm.tm_isdst = -1;
		time = mktime(&tm);
	}
	header->created_at = time == (time_t) -1 ? NO_TIME : (int64_t) time;
	return true;
}

/* Read a header; false with "problem" set, to complete "The header cannot be understood: ...". */
bool
read_dump_header(Stream *in, DumpHeader *header, char **problem)
{
	*problem = NULL;
	memset(header, 0, sizeof(*header));
	header->created_at = NO_TIME;
	return read_fixed_part(in, header, problem) &&
		read_compression(in, header, problem) &&
		read_time(in, header, problem) &&
		take_header_text(in, header, &header->database, problem) &&
		take_header_text(in, header, &header->server_version, problem) &&
		take_header_text(in, header, &header->dump_version, problem);
}

/* Check dump_header; "problem" is NULL if it could be read. */
void
conclude_header(DumpRun *run, const char *problem)
{
	const Dump *dump = run->dump;
	const DumpHeader *header = &dump->header;

	if (problem != NULL)
		check_set(run->header, CHECK_FAILED, "The header cannot be understood: %s.", problem);
	else
		check_set(run->header, CHECK_PASSED, "A dump in %s format of database \"%s\" of a server %s, by pg_dump %s.",
				  dump->format->name, header->database == NULL ? "" : header->database,
				  header->server_version == NULL ? "of unknown version" : header->server_version,
				  header->dump_version == NULL ? "of unknown version" : header->dump_version);
}
