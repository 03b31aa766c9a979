/*
 * t/modules/checksums/checksums.c
 *		Every way in which the agent computes checksums, beside a plain one; for t/agent_verify.pl.
 *
 * Without an argument prints "method value ..." lines and ends with status 1 if
 * two ways differ.  With the name of a file prints its CRC-32C as a manifest
 * shows it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/agent/crc32c.h"
#include "../../../src/agent/page.h"

#define SIZE 65536
#define MAX_PAGES 5

static unsigned char data[SIZE + 64];

/* The definition: bit by bit. */
static uint32_t
plain_crc(const unsigned char *p, size_t len)
{
	uint32_t	crc = 0xffffffff;

	for (; len > 0; len--)
	{
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

static uint32_t
method_crc(const Crc32cMethod *method, const unsigned char *p, size_t len)
{
	return crc32c_end(method->add(CRC32C_INIT, p, len));
}

/* The examples of RFC 3720 and "123456789" */
static void
print_examples(const Crc32cMethod *method)
{
	unsigned char example[4][32];

	memset(example[0], 0, 32);
	memset(example[1], 0xff, 32);
	for (int i = 0; i < 32; i++)
	{
		example[2][i] = i;
		example[3][i] = 31 - i;
	}
	printf("crc32c %s %08x", method->name, method_crc(method, (const unsigned char *) "123456789", 9));
	for (int i = 0; i < 4; i++)
		printf(" %08x", method_crc(method, example[i], 32));
	printf("\n");
}

/* All lengths, alignments and ways to cut agree with the definition. */
static int
compare_crc(const Crc32cMethod *method)
{
	for (size_t len = 0; len < SIZE; len += len < 300 ? 1 : 977)
	{
		size_t		shift = len % 17;
		size_t		cut = len / 3;
		uint32_t	expected = plain_crc(data + shift, len);
		uint32_t	parts = method->add(method->add(CRC32C_INIT, data + shift, cut), data + shift + cut, len - cut);

		if (method_crc(method, data + shift, len) != expected || crc32c_end(parts) != expected ||
			crc32c_join(plain_crc(data + shift, cut), plain_crc(data + shift + cut, len - cut), len - cut) != expected)
		{
			printf("crc32c %s differs at length %zu\n", method->name, len);
			return 1;
		}
	}
	return 0;
}

/* The server's algorithm as its description says it. */
static uint32_t
plain_sum(const unsigned char *page, size_t size)
{
	static const uint32_t offsets[32] = {
		0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
		0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
		0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
		0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756
	};
	uint32_t	result = 0;

	for (size_t lane = 0; lane < 32; lane++)
	{
		uint32_t	sum = offsets[lane];

		for (size_t row = 0; row < size / 128 + 2; row++)
		{
			uint32_t	word = 0;

			if (row < size / 128)
				memcpy(&word, page + row * 128 + lane * 4, 4);
			if (row == 0 && lane == 2)
				memset(&word, 0, 2);
			word ^= sum;
			sum = word * 16777619u ^ word >> 17;
		}
		result ^= sum;
	}
	return result;
}

/* All sizes, alignments and numbers of pages agree with the description. */
static int
compare_pages(const PageMethod *method)
{
	uint32_t	sums[MAX_PAGES + 1];

	for (size_t size = MIN_PAGE_SIZE; size <= MAX_PAGE_SIZE; size *= 2)
	{
		for (size_t n = 0; n <= MAX_PAGES && n * size <= SIZE; n++)
		{
			const unsigned char *pages = data + 8 * n;

			sums[n] = 0;
			method->sum(pages, size, n, sums);
			for (size_t i = 0; i <= n; i++)
			{
				if (sums[i] == (i == n ? 0 : plain_sum(pages + i * size, size)))
					continue;
				printf("page %s differs at page %zu of %zu of size %zu\n", method->name, i, n, size);
				return 1;
			}
		}
	}
	printf("page %s\n", method->name);
	return 0;
}

static int
print_file_crc(const char *name)
{
	FILE	   *file = fopen(name, "rb");
	uint32_t	crc = CRC32C_INIT;
	unsigned char bytes[4];
	size_t		got;

	if (file == NULL)
		return 2;
	while ((got = fread(data, 1, SIZE, file)) > 0)
		crc = crc32c_add(crc, data, got);
	fclose(file);
	crc = crc32c_end(crc);
	memcpy(bytes, &crc, 4);
	printf("%02x%02x%02x%02x\n", bytes[0], bytes[1], bytes[2], bytes[3]);
	return 0;
}

int
main(int argc, char **argv)
{
	uint32_t	random = 1;
	int			failed = 0;

	crc32c_init();
	page_init();
	if (argc > 1)
		return print_file_crc(argv[1]);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char) ((random = random * 1103515245 + 12345) >> 16);
	for (const Crc32cMethod *method = crc32c_methods(); method->name != NULL; method++)
	{
		print_examples(method);
		failed |= compare_crc(method);
	}
	for (const PageMethod *method = page_methods(); method->name != NULL; method++)
		failed |= compare_pages(method);
	return failed;
}
