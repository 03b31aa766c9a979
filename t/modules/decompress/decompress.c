/*
 * t/modules/decompress/decompress.c
 *		Does what was compressed come back, however it is cut, and is damage told from it?
 *
 * Prints a line for each property that holds; ends with status 1 and a reason
 * at the first that does not.
 */
#include "../../../src/agent/decompress.h"

#include <errno.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define TEXT_SIZE 300000
#define MAX_COMPRESSED (2 * TEXT_SIZE + 1024)

/* Compressed bytes, handed out in pieces of "piece"; fails behind "fail_at". */
typedef struct Bytes
{
	unsigned char data[MAX_COMPRESSED];
	size_t		len;
	size_t		pos;
	size_t		piece;
	size_t		fail_at;
} Bytes;

static unsigned char text[TEXT_SIZE];
static unsigned char out[3 * TEXT_SIZE];
static Bytes bytes;

static void
expect(bool condition, Compression method, const char *what)
{
	if (condition)
		return;
	printf("%s: %s\n", compression_name(method), what);
	exit(1);
}

static ssize_t
next(void *source, unsigned char *buffer, size_t size)
{
	Bytes	   *b = source;
	size_t		len = b->len - b->pos;

	if (b->pos >= b->fail_at)
	{
		errno = EIO;
		return -1;
	}
	if (len > size)
		len = size;
	if (len > b->piece)
		len = b->piece;
	memcpy(buffer, b->data + b->pos, len);
	b->pos += len;
	return (ssize_t) len;
}

static size_t
gzip(unsigned char *to, int window)
{
	z_stream	z = {0};

	z.next_in = text;

	z.avail_in = TEXT_SIZE;
	z.next_out = to;
	z.avail_out = TEXT_SIZE;
	if (deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK || deflate(&z, Z_FINISH) != Z_STREAM_END)
		return 0;
	deflateEnd(&z);
	return z.total_out;
}

/* Append the text, compressed. */
static void
compress_text(Compression method)
{
	unsigned char *to = bytes.data + bytes.len;
	LZ4F_preferences_t lz4 = {0};
	ZSTD_CCtx  *zstd = ZSTD_createCCtx();

	lz4.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	if (method == COMPRESSION_GZIP)
		bytes.len += gzip(to, 15 + 16);
	else if (method == COMPRESSION_LZ4)
		bytes.len += LZ4F_compressFrame(to, LZ4F_compressFrameBound(TEXT_SIZE, &lz4), text, TEXT_SIZE, &lz4);
	else if (method == COMPRESSION_ZSTD)
		bytes.len += ZSTD_compress2(zstd, to, TEXT_SIZE, text, TEXT_SIZE);
	else
	{
		memcpy(to, text, TEXT_SIZE);
		bytes.len += TEXT_SIZE;
	}
	ZSTD_freeCCtx(zstd);
}

/* Read all, in reads of "size"; bytes that came, -1 with the problem in "problem". */
static ssize_t
read_all(Compression method, size_t piece, size_t size, char *problem, int *error)
{
	Decompressor *d;
	size_t		have = 0;
	ssize_t		got;

	bytes.pos = 0;
	bytes.piece = piece;
	d = decompress_open(method, next, &bytes);
	while (have + size <= sizeof(out) && (got = decompress_read(d, out + have, size)) > 0)
		have += (size_t) got;
	strcpy(problem, decompress_problem(d) == NULL ? "" : decompress_problem(d));
	*error = decompress_errno(d);
	decompress_close(d);
	return *problem != '\0' ? -1 : (ssize_t) have;
}

static void
check_round_trips(Compression method)
{
	static const size_t pieces[] = {1, 7, 65536, SIZE_MAX};
	char		problem[256];
	int			error;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
	{
		expect(read_all(method, pieces[i], 1000, problem, &error) == TEXT_SIZE &&
			   memcmp(out, text, TEXT_SIZE) == 0, method, "does not come back");
	}
	printf("%s comes back\n", compression_name(method));
}

static void
check_damage(Compression method)
{
	char		problem[256];
	int			error;
	size_t		len = bytes.len;

	if (method != COMPRESSION_NONE)
	{
		for (bytes.len = 0; bytes.len < len; bytes.len += bytes.len < 100 ? 1 : 9973)
			expect(read_all(method, SIZE_MAX, 4096, problem, &error) < 0 && error == 0 &&
				   strstr(problem, "cut off") != NULL, method, "cut off, and not noticed");
		printf("%s cut off is noticed\n", compression_name(method));
		bytes.len = len;
		for (size_t at = len / 2; at < len; at += len / 10)
		{
			bytes.data[at] ^= 0x10;
			expect(read_all(method, SIZE_MAX, 4096, problem, &error) < 0 && error == 0 && problem[0] != '\0', method,
				   "a flipped bit, and not noticed");
			bytes.data[at] ^= 0x10;
		}
		printf("%s with a flipped bit is noticed\n", compression_name(method));
		memcpy(bytes.data + len, "garbage, garbage", 16);
		bytes.len = len + 16;
		expect(read_all(method, SIZE_MAX, 4096, problem, &error) < 0 && error == 0, method, "garbage behind it, and not noticed");
		printf("%s with garbage behind it is noticed\n", compression_name(method));
		bytes.len = len;
		compress_text(method);
		expect(read_all(method, 1000, 4096, problem, &error) == 2 * TEXT_SIZE &&
			   memcmp(out + TEXT_SIZE, text, TEXT_SIZE) == 0, method, "two streams do not come back");
		printf("%s in two streams comes back\n", compression_name(method));
		bytes.len = len;
	}
	bytes.fail_at = len / 2;
	expect(read_all(method, 1000, 4096, problem, &error) < 0 && error == EIO &&
		   strcmp(problem, describe_errno(EIO)) == 0, method, "a failing source, and not told");
	bytes.fail_at = SIZE_MAX;
	printf("%s from a failing source is told\n", compression_name(method));
}

int
main(void)
{
	uint32_t	state = 1;
	char		problem[256];
	int			error;

	/* half noise, half not */
	for (size_t i = 0; i < TEXT_SIZE; i++)
	{
		state = state * 1664525 + 1013904223;
		text[i] = (i / 4096) % 2 == 0 ? (unsigned char) (state >> 24) : (unsigned char) ("voxanne"[i % 7]);
	}
	bytes.fail_at = SIZE_MAX;
	for (int method = COMPRESSION_NONE; method <= COMPRESSION_ZSTD; method++)
	{
		bytes.len = 0;
		compress_text((Compression) method);
		expect(compression_of_magic(bytes.data, bytes.len) == (Compression) method, (Compression) method, "is not told by its magic");
		check_round_trips((Compression) method);
		check_damage((Compression) method);
	}
	bytes.len = gzip(bytes.data, 15);
	expect(read_all(COMPRESSION_GZIP, SIZE_MAX, 4096, problem, &error) == TEXT_SIZE, COMPRESSION_GZIP, "a stream of zlib does not come back");
	printf("zlib comes back\n");
	bytes.len = 0;
	expect(read_all(COMPRESSION_NONE, 1, 1, problem, &error) == 0, COMPRESSION_NONE, "nothing is not nothing");

	/* a window of 2 GB asks for more memory than we give */
	memcpy(bytes.data, "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", bytes.len = 9);
	expect(read_all(COMPRESSION_ZSTD, SIZE_MAX, 4096, problem, &error) < 0 && error == 0, COMPRESSION_ZSTD, "takes a window of 2 GB");
	printf("zstd with a huge window is refused\n");
	return 0;
}
