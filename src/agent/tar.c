/*
 * src/agent/tar.c
 *		Members of a tar archive, one after the other.
 *
 * As PostgreSQL writes them, and GNU tar where it needs no more than a long
 * name.  A header has a sum of its own; the end is a block of zeros, behind
 * which nothing else may follow.
 */
#include "tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Where the fields of a header are, and how long */
#define NAME_AT 0
#define NAME_SIZE 100
#define SIZE_AT 124
#define SIZE_SIZE 12
#define SUM_AT 148
#define SUM_SIZE 8
#define TYPE_AT 156
#define TARGET_AT 157
#define TARGET_SIZE 100
#define MAGIC_AT 257
#define PREFIX_AT 345
#define PREFIX_SIZE 155

#define GNU_LONG_NAME 'L'

/* Binary, with the highest bit of the first byte set, or octal digits; false if it is neither. */
static bool
parse_number(const unsigned char *field, size_t size, uint64_t *value)
{
	size_t		i = 0;

	*value = 0;
	if (field[0] & 0x80)
	{
		for (i = 1; i < size; i++)
		{
			if (*value >> 55 != 0)
				return false;
			*value = *value << 8 | field[i];
		}
		return (field[0] & 0x7f) == 0;
	}
	while (i < size && field[i] == ' ')
		i++;
	while (i < size && field[i] >= '0' && field[i] <= '7')
		*value = *value << 3 | (uint64_t) (field[i++] - '0');
	return i > 0 && (i == size || field[i] == '\0' || field[i] == ' ');
}

/* Does the header have the sum that it states? */
static bool
sum_ok(const unsigned char *header)
{
	uint64_t	stated;
	uint64_t	sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= SUM_AT && i < SUM_AT + SUM_SIZE ? ' ' : header[i];
	return parse_number(header + SUM_AT, SUM_SIZE, &stated) && stated == sum;
}

/* Does something that begins like this look like a tar archive? */
bool
is_tar(const unsigned char *start, size_t len)
{
	return len >= TAR_BLOCK && memcmp(start + MAGIC_AT, "ustar", 5) == 0 && sum_ok(start);
}

void
tar_open(Tar *tar, Stream *in)
{
	memset(tar, 0, sizeof(*tar));
	tar->in = in;
}

void
tar_close(Tar *tar)
{
	free(tar->problem);
	tar->problem = NULL;
}

static bool fail(Tar *tar, char *problem);

/* Say why there is no further member. */
static bool
fail(Tar *tar, char *problem)
{
	if (tar->problem == NULL)
		tar->problem = problem;
	else
		free(problem);
	return false;
}

/* A block of zeros has come: nothing else may follow. */
static bool
reach_end(Tar *tar)
{
	const unsigned char *data;
	size_t		len;

	while ((len = stream_look(tar->in, &data)) > 0)
	{
		for (size_t i = 0; i < len; i++)
		{
			if (data[i] != 0)
				return fail(tar, format("something follows its end, at byte %" PRIu64, stream_at(tar->in) + i));
		}
		stream_pass(tar->in, len);
	}
	return tar->in->problem == NULL ? false : fail(tar, xstrdup(tar->in->problem));
}

/* The text of a field, which need not end with a NUL. */
static size_t
copy_field(char *to, const unsigned char *field, size_t size)
{
	size_t		len = strnlen((const char *) field, size);

	memcpy(to, field, len);
	to[len] = '\0';
	return len;
}

/* What a header says of its member; the path is set already if a long one came before. */
static bool
parse_header(Tar *tar, const unsigned char *header, bool long_name)
{
	TarMember  *member = &tar->member;
	size_t		len = 0;

	if (!sum_ok(header))
		return fail(tar, xstrdup("a header is damaged"));
	if (!parse_number(header + SIZE_AT, SIZE_SIZE, &member->size) || member->size > INT64_MAX)
		return fail(tar, xstrdup("a header has no valid size"));
	member->type = header[TYPE_AT] == '\0' ? TAR_FILE : (char) header[TYPE_AT];
	(void) copy_field(member->target, header + TARGET_AT, TARGET_SIZE);
	if (!long_name)
	{
		if (memcmp(header + MAGIC_AT, "ustar\0", 6) == 0 && header[PREFIX_AT] != '\0')
		{
			len = copy_field(member->path, header + PREFIX_AT, PREFIX_SIZE);
			member->path[len++] = '/';
		}
		(void) copy_field(member->path + len, header + NAME_AT, NAME_SIZE);
	}
	/* links and directories have no contents, whatever their size says */
	tar->left = member->type == TAR_DIRECTORY || member->type == TAR_LINK ? 0 : member->size;
	tar->padding = (TAR_BLOCK - tar->left % TAR_BLOCK) % TAR_BLOCK;
	return true;
}

/* The contents of the member under way are the path of the next one. */
static bool
take_long_name(Tar *tar)
{
	char	   *path = tar->member.path;
	size_t		len = (size_t) tar->left;

	if (tar->left >= sizeof(tar->member.path))
		return fail(tar, xstrdup("a path is too long"));
	if (!stream_take(tar->in, path, len))
		return fail(tar, xstrdup(stream_why(tar->in)));
	path[len] = '\0';
	tar->left = 0;
	return true;
}

/*
 * Go to the next member, over what is left of this one.  False at the end, or
 * with "problem" set.
 */
bool
tar_next(Tar *tar)
{
	static const unsigned char zeros[TAR_BLOCK];
	unsigned char header[TAR_BLOCK];
	bool		long_name = false;

	for (;;)
	{
		if (tar->problem != NULL)
			return false;
		if (!stream_skip(tar->in, tar->left) || !stream_skip(tar->in, tar->padding) ||
			!stream_take(tar->in, header, sizeof(header)))
			return fail(tar, xstrdup(stream_why(tar->in)));
		tar->left = tar->padding = 0;
		if (memcmp(header, zeros, sizeof(zeros)) == 0)
			return reach_end(tar);
		if (!parse_header(tar, header, long_name))
			return false;
		if (tar->member.type == 'x' || tar->member.type == 'g')
			return fail(tar, xstrdup("it has headers of the pax format, which PostgreSQL does not write"));
		if (tar->member.type != GNU_LONG_NAME)
			return true;
		if (!take_long_name(tar))
			return false;
		long_name = true;
	}
}

/* The contents of the member under way, as a ByteSource. */
ssize_t
tar_read(void *source, unsigned char *buffer, size_t size)
{
	Tar		   *tar = source;
	const unsigned char *data;
	size_t		len;

	if (tar->left == 0)
		return 0;
	len = stream_look(tar->in, &data);
	if (len == 0)
	{
		(void) fail(tar, xstrdup(stream_why(tar->in)));
		errno = EIO;
		return -1;
	}
	if (len > tar->left)
		len = (size_t) tar->left;
	if (len > size)
		len = size;
	memcpy(buffer, data, len);
	stream_pass(tar->in, len);
	tar->left -= len;
	return (ssize_t) len;
}
