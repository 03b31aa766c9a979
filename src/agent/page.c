/*
 * src/agent/page.c
 *		The checksum of a page, and the fields of its header that matter here.
 *
 * The server's algorithm: 32 FNV-1a sums beside each other, over a page whose
 * own checksum counts as 0, folded together and mixed with the block's number.
 * The 32 sums are four vectors of eight.  The same code is compiled for what
 * different processors have; which one runs is decided at run time.
 *
 * Pages hold numbers in the byte order of the machine that wrote them, and a
 * backup restores only on such a machine, so they are read as they are.
 */
#include "page.h"

#include <string.h>

#define SUMS 32
#define PRIME 16777619u
#define ROW (SUMS * sizeof(uint32_t))

/* Of the page header */
#define LSN_AT 0
#define CHECKSUM_AT 8
#define UPPER_AT 14

typedef uint32_t Lanes __attribute__((vector_size(32)));

/* What the 32 sums start from: constants of the algorithm. */
static const uint32_t offsets[SUMS] = {
	0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A,
	0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
	0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA,
	0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
	0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE,
	0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
	0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E,
	0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756
};

static PageMethod methods[4];

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Eight more words into one of the vectors. */
static ALWAYS_INLINE Lanes
add_lanes(Lanes sums, const unsigned char *words)
{
	Lanes		value;

	memcpy(&value, words, sizeof(value));
	value ^= sums;
	return value * PRIME ^ value >> 17;
}

/* A row of 32 words into all four; named apart, so that they stay in registers. */
#define ADD_ROW(row) \
	do { \
		a = add_lanes(a, (row)); \
		b = add_lanes(b, (row) + sizeof(Lanes)); \
		c = add_lanes(c, (row) + 2 * sizeof(Lanes)); \
		d = add_lanes(d, (row) + 3 * sizeof(Lanes)); \
	} while (0)

/* The sum of a page of "size" bytes, a multiple of ROW. */
static ALWAYS_INLINE uint32_t
sum_page(const unsigned char *page, size_t size)
{
	static const unsigned char zeros[ROW];
	unsigned char first[ROW];
	uint32_t	folded[8];
	uint32_t	result = 0;
	Lanes		a,
				b,
				c,
				d;

	memcpy(&a, offsets, sizeof(Lanes));
	memcpy(&b, offsets + 8, sizeof(Lanes));
	memcpy(&c, offsets + 16, sizeof(Lanes));
	memcpy(&d, offsets + 24, sizeof(Lanes));
	memcpy(first, page, ROW);
	memset(first + CHECKSUM_AT, 0, sizeof(uint16_t));
	ADD_ROW(first);
	for (size_t at = ROW; at < size; at += ROW)
		ADD_ROW(page + at);
	ADD_ROW(zeros);
	ADD_ROW(zeros);

	a ^= b ^ c ^ d;
	memcpy(folded, &a, sizeof(folded));
	for (int i = 0; i < 8; i++)
		result ^= folded[i];
	return result;
}

static uint32_t
sum_portable(const unsigned char *page, size_t size)
{
	return sum_page(page, size);
}

#ifdef __x86_64__

__attribute__((target("sse4.1"))) static uint32_t
sum_sse41(const unsigned char *page, size_t size)
{
	return sum_page(page, size);
}

__attribute__((target("avx2"))) static uint32_t
sum_avx2(const unsigned char *page, size_t size)
{
	return sum_page(page, size);
}

#endif

/* Comes before everything else here, and before any thread. */
void
page_init(void)
{
	int			n = 0;

#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		methods[n++] = (PageMethod)
	{
		"avx2", sum_avx2
	};
	if (__builtin_cpu_supports("sse4.1"))
		methods[n++] = (PageMethod)
	{
		"sse4.1", sum_sse41
	};
#endif
	methods[n] = (PageMethod)
	{
		"portable", sum_portable
	};
}

/* The methods that this processor has, the one in use first; ends with a NULL name. */
const PageMethod *
page_methods(void)
{
	return methods;
}

/* The checksum that a page, which is not new, must state as block "block" of its relation. */
uint16_t
page_checksum(const unsigned char *page, size_t size, uint32_t block)
{
	return (uint16_t) ((methods[0].sum(page, size) ^ block) % 65535 + 1);
}

static uint16_t
uint16_at(const unsigned char *page, size_t at)
{
	uint16_t	value;

	memcpy(&value, page + at, sizeof(value));
	return value;
}

uint16_t
page_stated_checksum(const unsigned char *page)
{
	return uint16_at(page, CHECKSUM_AT);
}

/* The end of the WAL record that changed the page last, 0: none did. */
uint64_t
page_lsn(const unsigned char *page)
{
	uint32_t	halves[2];

	memcpy(halves, page + LSN_AT, sizeof(halves));
	return (uint64_t) halves[0] << 32 | halves[1];
}

/* Never initialized?  Such a page has no checksum and should hold zeros only. */
bool
page_is_new(const unsigned char *page)
{
	return uint16_at(page, UPPER_AT) == 0;
}

bool
page_is_zero(const unsigned char *page, size_t size)
{
	return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}
