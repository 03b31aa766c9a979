/*
 * src/agent/decompress.c
 *		Reading compressed data as a stream.
 *
 * What comes in may be anything: memory is bounded (by the window of zstd,
 * which we limit), and how much comes out is for the caller to limit.  Streams
 * may follow each other, as their programs allow; what does not begin another
 * one is damage, and so is an end in the middle of one.  Checksums that a
 * stream carries are verified by the libraries.
 */
#include "decompress.h"

#include <errno.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define INPUT_SIZE ((size_t) 64 * 1024)

/* log2 of the largest window: what zstd itself takes by default, 128 MB */
#define MAX_WINDOW_LOG 27

/* for zlib: the largest window, and either of its two headers */
#define ANY_HEADER (15 + 32)

struct Decompressor
{
	/* unchanging */
	Compression method;
	ByteSource	read;
	void	   *source;

	unsigned char *input;
	size_t		pos;
	size_t		len;
	bool		input_over;

	bool		started;		/* a stream has ever begun */
	bool		inside;			/* a stream has begun and not ended */
	char	   *problem;
	int			error;			/* errno of the source */

	z_stream	zlib;
	LZ4F_dctx  *lz4;
	ZSTD_DCtx  *zstd;
};

/*
 * One way to compress.  "open" is false for lack of memory; "step" turns some
 * input into at most "size" bytes, which it returns, and tells with "inside"
 * whether the stream goes on.  Without these it can only be told by its name.
 */
typedef struct Method
{
	const char *name;
	const char *suffix;			/* of file names, or NULL */
	const char *magic;
	size_t		magic_len;		/* 0: has none */
	bool		(*open) (Decompressor *d);
	size_t		(*step) (Decompressor *d, unsigned char *buffer, size_t size);
	void		(*close) (Decompressor *d);
} Method;

/* The first problem counts. */
static void
damaged(Decompressor *d, const char *why)
{
	if (d->problem == NULL)
		d->problem = format("the %s data are damaged: %s", compression_name(d->method), why);
}

static size_t
plain_step(Decompressor *d, unsigned char *buffer, size_t size)
{
	size_t		len = d->len - d->pos < size ? d->len - d->pos : size;

	memcpy(buffer, d->input + d->pos, len);
	d->pos += len;
	d->inside = false;
	return len;
}

static bool
gzip_open(Decompressor *d)
{
	return inflateInit2(&d->zlib, ANY_HEADER) == Z_OK;
}

static size_t
gzip_step(Decompressor *d, unsigned char *buffer, size_t size)
{
	int			result;

	if (d->started && !d->inside)
		(void) inflateReset(&d->zlib);
	d->zlib.next_in = d->input + d->pos;
	d->zlib.avail_in = (uInt) (d->len - d->pos);
	d->zlib.next_out = buffer;
	d->zlib.avail_out = (uInt) size;
	result = inflate(&d->zlib, Z_NO_FLUSH);
	d->inside = result != Z_STREAM_END;
	if (result == Z_MEM_ERROR)
		damaged(d, "they need too much memory");
	else if (result == Z_NEED_DICT)
		damaged(d, "they need a dictionary");
	else if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		damaged(d, d->zlib.msg != NULL ? d->zlib.msg : "they make no sense");
	d->pos = d->len - d->zlib.avail_in;
	return size - d->zlib.avail_out;
}

static void
gzip_close(Decompressor *d)
{
	(void) inflateEnd(&d->zlib);
}

static bool
lz4_open(Decompressor *d)
{
	return !LZ4F_isError(LZ4F_createDecompressionContext(&d->lz4, LZ4F_VERSION));
}

static size_t
lz4_step(Decompressor *d, unsigned char *buffer, size_t size)
{
	size_t		taken = d->len - d->pos;
	size_t		given = size;
	size_t		hint = LZ4F_decompress(d->lz4, buffer, &given, d->input + d->pos, &taken, NULL);

	if (LZ4F_isError(hint))
	{
		damaged(d, LZ4F_getErrorName(hint));
		return 0;
	}
	d->inside = hint != 0;
	d->pos += taken;
	return given;
}

static void
lz4_close(Decompressor *d)
{
	(void) LZ4F_freeDecompressionContext(d->lz4);
}

static bool
zstd_open(Decompressor *d)
{
	d->zstd = ZSTD_createDCtx();
	return d->zstd != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, MAX_WINDOW_LOG));
}

static size_t
zstd_step(Decompressor *d, unsigned char *buffer, size_t size)
{
	ZSTD_inBuffer in = {d->input, d->len, d->pos};
	ZSTD_outBuffer out = {buffer, size, 0};
	size_t		hint = ZSTD_decompressStream(d->zstd, &out, &in);

	if (ZSTD_isError(hint))
		damaged(d, ZSTD_getErrorName(hint));
	d->inside = hint != 0;
	d->pos = in.pos;
	return out.pos;
}

static void
zstd_close(Decompressor *d)
{
	(void) ZSTD_freeDCtx(d->zstd);
}

static const Method methods[N_COMPRESSIONS] = {
	[COMPRESSION_NONE] = {"uncompressed", NULL, NULL, 0, NULL, plain_step, NULL},
	[COMPRESSION_GZIP] = {"gzip", ".gz", "\x1f\x8b", 2, gzip_open, gzip_step, gzip_close},
	[COMPRESSION_LZ4] = {"lz4", ".lz4", "\x04\x22\x4d\x18", 4, lz4_open, lz4_step, lz4_close},
	[COMPRESSION_ZSTD] = {"zstd", ".zst", "\x28\xb5\x2f\xfd", 4, zstd_open, zstd_step, zstd_close},
	[COMPRESSION_BZIP2] = {"bzip2", ".bz2", "BZh", 3, NULL, NULL, NULL},
	[COMPRESSION_XZ] = {"xz", ".xz", "\xfd" "7zXZ", 6, NULL, NULL, NULL},
	[COMPRESSION_LZMA] = {"lzma", ".lzma", NULL, 0, NULL, NULL, NULL},
	[COMPRESSION_BROTLI] = {"brotli", ".br", NULL, 0, NULL, NULL, NULL},
};

/* The method that a file's name ends with; "stem", if not NULL, gets the length without that. */
Compression
compression_of_name(const char *name, size_t *stem)
{
	size_t		len = strlen(name);

	for (int i = 0; i < N_COMPRESSIONS; i++)
	{
		size_t		suffix = methods[i].suffix == NULL ? 0 : strlen(methods[i].suffix);

		if (suffix > 0 && len > suffix && strcmp(name + len - suffix, methods[i].suffix) == 0)
		{
			if (stem != NULL)
				*stem = len - suffix;
			return (Compression) i;
		}
	}
	if (stem != NULL)
		*stem = len;
	return COMPRESSION_NONE;
}

/* The method that data begin with. */
Compression
compression_of_magic(const unsigned char *start, size_t len)
{
	for (int i = 0; i < N_COMPRESSIONS; i++)
	{
		if (methods[i].magic_len > 0 && len >= methods[i].magic_len &&
			memcmp(start, methods[i].magic, methods[i].magic_len) == 0)
			return (Compression) i;
	}
	return COMPRESSION_NONE;
}

const char *
compression_name(Compression method)
{
	return methods[method].name;
}

/* Can data compressed like this be read? */
bool
compression_readable(Compression method)
{
	return methods[method].step != NULL;
}

/*
 * Begin to read; the method must be a readable one.  "source" must last until
 * decompress_close().
 */
Decompressor *
decompress_open(Compression method, ByteSource read, void *source)
{
	Decompressor *d = xmalloc(sizeof(*d));

	memset(d, 0, sizeof(*d));
	d->method = method;
	d->read = read;
	d->source = source;
	d->input = xmalloc(INPUT_SIZE);
	if (methods[method].open != NULL && !methods[method].open(d))
	{
		d->problem = format("there is not enough memory to read %s data", compression_name(method));
		d->error = ENOMEM;
	}
	return d;
}

/* Get more input; sets input_over or the problem if there is none. */
static void
refill(Decompressor *d)
{
	ssize_t		got;

	do
		got = d->read(d->source, d->input, INPUT_SIZE);
	while (got < 0 && errno == EINTR);
	d->pos = 0;
	d->len = got > 0 ? (size_t) got : 0;
	d->input_over = got == 0;
	if (got < 0 && d->problem == NULL)
	{
		d->error = errno;
		d->problem = xstrdup(describe_errno(d->error));
	}
}

/* Some output, at most "size" bytes; 0 at the end or with a problem. */
static size_t
step(Decompressor *d, unsigned char *buffer, size_t size)
{
	for (;;)
	{
		size_t		before;
		size_t		given;

		if (d->pos == d->len && !d->input_over)
			refill(d);
		if (d->problem != NULL)
			return 0;
		if (d->pos == d->len && !d->inside && (d->started || d->method == COMPRESSION_NONE))
			return 0;
		before = d->pos;
		given = methods[d->method].step(d, buffer, size);
		d->started = true;
		if (given > 0)
			return given;
		if (d->problem == NULL && d->pos == before)
			damaged(d, d->input_over ? "they are cut off" : "they make no sense");
	}
}

/*
 * The next decompressed bytes: as many as "size", fewer only when the end or
 * damage follows.  0 at the end; -1 when there is a problem, from then on.
 */
ssize_t
decompress_read(Decompressor *d, unsigned char *buffer, size_t size)
{
	size_t		have = 0;

	while (have < size)
	{
		size_t		got = step(d, buffer + have, size - have);

		if (got == 0)
			break;
		have += got;
	}
	return have == 0 && d->problem != NULL ? -1 : (ssize_t) have;
}

/* What is wrong, to be put into a sentence; NULL: nothing so far. */
const char *
decompress_problem(const Decompressor *d)
{
	return d->problem;
}

/* The errno if the problem is the source's or lack of memory; 0 if it is damage, or there is none. */
int
decompress_errno(const Decompressor *d)
{
	return d->error;
}

void
decompress_close(Decompressor *d)
{
	if (methods[d->method].close != NULL)
		methods[d->method].close(d);
	free(d->input);
	free(d->problem);
	free(d);
}
