/*
 * src/agent/manifest_checksum.c
 *		Is a manifest as it was written?  And hexadecimal numbers.
 */
#include "manifest.h"
#include "digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHA256_SIZE 32
#define LAST_LINE_MAX 1024
#define READ_SIZE ((size_t) 131072)

/* Hash the first "len" bytes of the file. */
static bool
hash_start(int fd, off_t len, unsigned char *result, char **problem)
{
	Digest		digest = {0};
	char	   *buffer = xmalloc(READ_SIZE);
	bool		ok = digest_begin(&digest, DIGEST_SHA256);

	for (off_t at = 0; ok && at < len;)
	{
		size_t		want = len - at < (off_t) READ_SIZE ? (size_t) (len - at) : READ_SIZE;
		ssize_t		got = pread(fd, buffer, want, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
		{
			*problem = xstrdup(got < 0 ? describe_errno(errno) : "it got shorter while it was read");
			ok = false;
			break;
		}
		ok = digest_add(&digest, buffer, (size_t) got);
		at += got;
	}
	ok = ok && digest_end(&digest, result);
	if (!ok && *problem == NULL)
		*problem = xstrdup("its SHA-256 could not be computed");
	digest_free(&digest);
	free(buffer);
	return ok;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decode "len" hex digits; false if they are not. */
bool
decode_hex(const char *str, size_t len, unsigned char *bytes)
{
	if (len % 2 != 0)
		return false;
	for (size_t i = 0; i < len; i += 2)
	{
		int			high = hex_digit(str[i]);
		int			low = hex_digit(str[i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i / 2] = (unsigned char) (high * 16 + low);
	}
	return true;
}

/* The checksum that the last line states; false if it states none. */
static bool
stated_checksum(const char *line, unsigned char *digest)
{
	static const char name[] = "\"Manifest-Checksum\":";

	line += strspn(line, " \t");
	if (strncmp(line, name, sizeof(name) - 1) != 0)
		return false;
	line += sizeof(name) - 1;
	line += strspn(line, " \t");
	if (*line++ != '"' || strcspn(line, "\"") != 2 * SHA256_SIZE ||
		!decode_hex(line, 2 * SHA256_SIZE, digest))
		return false;
	line += 2 * SHA256_SIZE + 1;
	line += strspn(line, " \t");
	return strcmp(line, "}") == 0;
}

/*
 * Does the manifest have the checksum that its last line states?  It covers
 * every byte up to and including the newline before that line, and nothing may
 * follow the last line's own.
 */
bool
manifest_checksum_ok(int fd, char **problem)
{
	unsigned char expected[SHA256_SIZE];
	unsigned char actual[SHA256_SIZE];
	char		tail[LAST_LINE_MAX + 1];
	char	   *line;
	struct stat st;
	off_t		start;
	ssize_t		got;

	*problem = NULL;
	if (fstat(fd, &st) != 0)
		*problem = xstrdup(describe_errno(errno));
	if (*problem != NULL)
		return false;
	start = st.st_size > LAST_LINE_MAX ? st.st_size - LAST_LINE_MAX : 0;
	got = pread(fd, tail, LAST_LINE_MAX, start);
	if (got < 0)
		*problem = xstrdup(describe_errno(errno));
	else if (got == 0)
		*problem = xstrdup("it is empty");
	else if (tail[got - 1] != '\n')
		*problem = xstrdup("its last line is cut off");
	if (*problem != NULL)
		return false;

	tail[got - 1] = '\0';
	line = memrchr(tail, '\n', (size_t) got);
	if (line == NULL || !stated_checksum(line + 1, expected))
	{
		*problem = xstrdup("its last line states no checksum");
		return false;
	}
	if (!hash_start(fd, start + (line + 1 - tail), actual, problem))
		return false;
	if (memcmp(expected, actual, SHA256_SIZE) == 0)
		return true;
	*problem = xstrdup("its contents do not have the checksum that its last line states");
	return false;
}
