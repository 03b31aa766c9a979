/*
 * src/agent/decompress.h
 *		Reading compressed data as a stream.
 */
#ifndef VOXANNE_AGENT_DECOMPRESS_H
#define VOXANNE_AGENT_DECOMPRESS_H

#include "agent.h"

typedef enum Compression
{
	COMPRESSION_NONE,
	COMPRESSION_GZIP,			/* zlib's own streams, too */
	COMPRESSION_LZ4,			/* frames */
	COMPRESSION_ZSTD,

	/* what can be told but not read */
	COMPRESSION_BZIP2,
	COMPRESSION_XZ,
	COMPRESSION_LZMA,
	COMPRESSION_BROTLI,
	N_COMPRESSIONS
} Compression;

/* As many bytes as compression_of_magic() wants to see, if there are so many */
#define COMPRESSION_MAGIC_SIZE 6

extern Compression compression_of_name(const char *name, size_t *stem);
extern Compression compression_of_magic(const unsigned char *start, size_t len);
extern const char *compression_name(Compression method);
extern bool compression_readable(Compression method);

/*
 * Where compressed bytes come from: puts at most "size" of them into "buffer"
 * and returns how many, 0 at the end, -1 with errno set.
 */
typedef ssize_t (*ByteSource) (void *source, unsigned char *buffer, size_t size);

typedef struct Decompressor Decompressor;

extern Decompressor *decompress_open(Compression method, ByteSource read, void *source);
extern ssize_t decompress_read(Decompressor *d, unsigned char *buffer, size_t size);
extern const char *decompress_problem(const Decompressor *d);
extern int	decompress_errno(const Decompressor *d);
extern void decompress_close(Decompressor *d);

#endif							/* VOXANNE_AGENT_DECOMPRESS_H */
