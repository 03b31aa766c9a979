/*
 * src/agent/stream.h
 *		Bytes of a stranger, one after the other, decompressed.
 */
#ifndef VOXANNE_AGENT_STREAM_H
#define VOXANNE_AGENT_STREAM_H

#include "decompress.h"
#include "digest.h"
#include "pace.h"

/* A file that is read from its start to its end, as a ByteSource. */
typedef struct FileSource
{
	/* unchanging */
	int			fd;
	Pace	   *pace;			/* or NULL: as fast as it goes */
	bool		hashing;

	uint64_t	offset;			/* of the next byte */
	Digest		digest;			/* if hashing: of all that was read */
	int			error;			/* errno of the first failure */
	bool		cold;			/* something was not in the page cache ... */
	uint64_t	first_cold;		/* ... from here on */
} FileSource;

extern void file_source_open(FileSource *source, int fd, Pace *pace, bool hashing);
extern ssize_t file_source_read(void *source, unsigned char *buffer, size_t size);
extern void file_source_rest(FileSource *source);
extern void file_source_digest(FileSource *source, char *text);
extern void file_source_close(FileSource *source);

/* What is read, a part at a time. */
typedef struct Stream
{
	/* unchanging */
	ByteSource	read;
	void	   *source;
	FileSource *file;			/* the source, if nothing is compressed and
								 * bytes may be passed over unread; or NULL */
	Decompressor *decompressor; /* NULL: bytes count as they come */

	unsigned char *buffer;
	size_t		pos;
	size_t		len;
	uint64_t	before;			/* bytes that came before those in the buffer */
	bool		over;
	char	   *problem;		/* why it ended before its end, or NULL */
} Stream;

extern void stream_open(Stream *stream, Compression method, ByteSource read, void *source);
extern void stream_open_file(Stream *stream, Compression method, FileSource *file);
extern void stream_close(Stream *stream);
extern size_t stream_look(Stream *stream, const unsigned char **data);
extern size_t stream_look_far(Stream *stream, size_t wanted, const unsigned char **data);
extern void stream_pass(Stream *stream, size_t len);
extern bool stream_take(Stream *stream, void *data, size_t len);
extern bool stream_skip(Stream *stream, uint64_t len);
extern uint64_t stream_at(const Stream *stream);
extern const char *stream_why(const Stream *stream);

#endif							/* VOXANNE_AGENT_STREAM_H */
