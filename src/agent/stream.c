/*
 * src/agent/stream.c
 *		Bytes of a stranger, one after the other, decompressed.
 *
 * Archives are read from their start to their end, whatever is in them, and
 * each byte of a file is seen once: its digest and its contents come from the
 * same reading.  A stream may be the source of another one, as a member of an
 * archive is, which may be compressed once more.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

#define BUFFER_SIZE ((size_t) 64 * 1024)

/* Begin at the file's start. */
void
file_source_open(FileSource *source, int fd, Pace *pace, bool hashing)
{
	memset(source, 0, sizeof(*source));
	source->fd = fd;
	source->pace = pace;
	source->hashing = hashing;
	if (hashing && !digest_begin(&source->digest, DIGEST_SHA256))
		source->error = ENOTSUP;
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

/* A ByteSource */
ssize_t
file_source_read(void *source, unsigned char *buffer, size_t size)
{
	FileSource *file = source;
	bool		cold = file->cold;
	ssize_t		got;

	if (file->error != 0)
	{
		errno = file->error;
		return -1;
	}
	if (file->pace != NULL)
		pace_wait(file->pace, size);
	got = read_file(file->fd, buffer, size, file->offset, &file->cold);
	if (file->cold && !cold)
		file->first_cold = file->offset;
	if (got < 0)
		file->error = errno;
	else if (file->hashing && !digest_add(&file->digest, buffer, (size_t) got))
		file->error = errno = ENOTSUP;
	if (file->error != 0)
		return -1;
	file->offset += (uint64_t) got;
	return got;
}

/* Read what nobody has asked for, so that the digest is the whole file's. */
void
file_source_rest(FileSource *source)
{
	unsigned char *buffer = xmalloc(BUFFER_SIZE);

	while (source->hashing && file_source_read(source, buffer, BUFFER_SIZE) > 0)
		;
	free(buffer);
}

/* The digest in hexadecimal, into "text", which has room for it; an empty one if there is none. */
void
file_source_digest(FileSource *source, char *text)
{
	unsigned char digest[MAX_DIGEST_SIZE];

	text[0] = '\0';
	if (source->hashing && source->error == 0 && digest_end(&source->digest, digest))
		digest_text(DIGEST_SHA256, digest, text);
}

/* Forget the file, which stays open; the kernel may have read further ahead than we came. */
void
file_source_close(FileSource *source)
{
	if (source->cold)
		posix_fadvise(source->fd, (off_t) source->first_cold, 0, POSIX_FADV_DONTNEED);
	digest_free(&source->digest);
}

/* Begin; "source" must last until stream_close(). */
void
stream_open(Stream *stream, Compression method, ByteSource read, void *source)
{
	memset(stream, 0, sizeof(*stream));
	stream->read = read;
	stream->source = source;
	stream->buffer = xmalloc(BUFFER_SIZE);
	if (method != COMPRESSION_NONE)
		stream->decompressor = decompress_open(method, read, source);
}

/* The same for a file. */
void
stream_open_file(Stream *stream, Compression method, FileSource *file)
{
	stream_open(stream, method, file_source_read, file);
	if (method == COMPRESSION_NONE)
		stream->file = file;
}

void
stream_close(Stream *stream)
{
	if (stream->decompressor != NULL)
		decompress_close(stream->decompressor);
	free(stream->buffer);
	free(stream->problem);
	memset(stream, 0, sizeof(*stream));
}

/* Some more bytes behind those in the buffer, which has room; false if there are none. */
static bool
fetch(Stream *stream)
{
	unsigned char *end = stream->buffer + stream->len;
	size_t		room = BUFFER_SIZE - stream->len;
	ssize_t		got;

	if (stream->over)
		return false;
	if (stream->decompressor != NULL)
		got = decompress_read(stream->decompressor, end, room);
	else
		got = stream->read(stream->source, end, room);
	if (got < 0)
		stream->problem = xstrdup(stream->decompressor != NULL ? decompress_problem(stream->decompressor) :
								  describe_errno(errno));
	stream->over = got <= 0;
	stream->len += got > 0 ? (size_t) got : 0;
	return got > 0;
}

/* The next bytes, as many as there happen to be; 0 at the end or with a problem. */
size_t
stream_look(Stream *stream, const unsigned char **data)
{
	if (stream->pos == stream->len)
	{
		stream->before += stream->len;
		stream->pos = stream->len = 0;
		(void) fetch(stream);
	}
	*data = stream->buffer + stream->pos;
	return stream->len - stream->pos;
}

/* The same, but fewer than "wanted", which is not many, only if there are no more. */
size_t
stream_look_far(Stream *stream, size_t wanted, const unsigned char **data)
{
	if (stream->pos > 0)
	{
		memmove(stream->buffer, stream->buffer + stream->pos, stream->len - stream->pos);
		stream->before += stream->pos;
		stream->len -= stream->pos;
		stream->pos = 0;
	}
	while (stream->len < wanted && fetch(stream))
		;
	*data = stream->buffer;
	return stream->len;
}

/* Done with "len" bytes of those that were looked at. */
void
stream_pass(Stream *stream, size_t len)
{
	stream->pos += len;
}

/* Copy "len" bytes; false if there are not so many. */
bool
stream_take(Stream *stream, void *data, size_t len)
{
	unsigned char *to = data;

	while (len > 0)
	{
		const unsigned char *from;
		size_t		got = stream_look(stream, &from);

		if (got == 0)
			return false;
		if (got > len)
			got = len;
		memcpy(to, from, got);
		stream_pass(stream, got);
		to += got;
		len -= got;
	}
	return true;
}

/* Go over "len" bytes; false if the stream ends before.  Reads them only where it has to. */
bool
stream_skip(Stream *stream, uint64_t len)
{
	while (len > 0)
	{
		const unsigned char *data;
		size_t		got = stream->len - stream->pos;

		if (got == 0 && stream->file != NULL && !stream->file->hashing && len > BUFFER_SIZE)
		{
			/* the last byte is read, so that an early end is noticed */
			stream->before += stream->len + len - 1;
			stream->file->offset += len - 1;
			stream->pos = stream->len = 0;
			len = 1;
		}
		got = stream_look(stream, &data);
		if (got == 0)
			return false;
		if (got > len)
			got = (size_t) len;
		stream_pass(stream, got);
		len -= got;
	}
	return true;
}

/* Number of the next byte */
uint64_t
stream_at(const Stream *stream)
{
	return stream->before + stream->pos;
}

/* Why there are no more bytes, to complete "cannot be read to its end: ..." */
const char *
stream_why(const Stream *stream)
{
	return stream->problem != NULL ? stream->problem : "it is cut off";
}
