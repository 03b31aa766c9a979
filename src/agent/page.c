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

/* The sums of a page in the making */
typedef struct Sums
{
	Lanes		a,
				b,
				c,
				d;
} Sums;

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
static ALWAYS_INLINE void
add_row(Sums *sums, const unsigned char *row)
{
	sums->a = add_lanes(sums->a, row);
	sums->b = add_lanes(sums->b, row + sizeof(Lanes));
	sums->c = add_lanes(sums->c, row + 2 * sizeof(Lanes));
	sums->d = add_lanes(sums->d, row + 3 * sizeof(Lanes));
}

/* The page's first row, which holds its own checksum */
static ALWAYS_INLINE void
begin_page(Sums *sums, const unsigned char *page)
{
	unsigned char first[ROW];

	memcpy(sums, offsets, sizeof(*sums));
	memcpy(first, page, ROW);
	memset(first + CHECKSUM_AT, 0, sizeof(uint16_t));
	add_row(sums, first);
}

static ALWAYS_INLINE uint32_t
end_page(Sums *sums)
{
	static const unsigned char zeros[ROW];
	uint32_t	folded[8];
	uint32_t	result = 0;

	add_row(sums, zeros);
	add_row(sums, zeros);
	sums->a ^= sums->b ^ sums->c ^ sums->d;
	memcpy(folded, &sums->a, sizeof(folded));
	for (int i = 0; i < 8; i++)
		result ^= folded[i];
	return result;
}

/* "results" for "n" pages of "size" bytes, a multiple of ROW, that lie behind each other. */
static ALWAYS_INLINE void
sum_singly(const unsigned char *pages, size_t size, size_t n, uint32_t *results)
{
	for (; n > 0; n--, pages += size)
	{
		Sums		sums;

		begin_page(&sums, pages);
		for (size_t at = ROW; at < size; at += ROW)
			add_row(&sums, pages + at);
		*results++ = end_page(&sums);
	}
}

static void
sum_portable(const unsigned char *pages, size_t size, size_t n, uint32_t *results)
{
	sum_singly(pages, size, n, results);
}

#ifdef __x86_64__

__attribute__((target("sse4.1"))) static void
sum_sse41(const unsigned char *pages, size_t size, size_t n, uint32_t *results)
{
	sum_singly(pages, size, n, results);
}

/* There are registers for two pages, and a multiplication takes as long as it takes to begin those of both. */
__attribute__((target("avx2"))) static void
sum_avx2(const unsigned char *pages, size_t size, size_t n, uint32_t *results)
{
	for (; n >= 2; n -= 2, pages += 2 * size)
	{
		Sums		first;
		Sums		second;

		begin_page(&first, pages);
		begin_page(&second, pages + size);
		for (size_t at = ROW; at < size; at += ROW)
		{
			add_row(&first, pages + at);
			add_row(&second, pages + size + at);
		}
		*results++ = end_page(&first);
		*results++ = end_page(&second);
	}
	sum_singly(pages, size, n, results);
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

/* The sums of "n" pages of "size" bytes that lie behind each other. */
void
page_sums(const unsigned char *pages, size_t size, size_t n, uint32_t *sums)
{
	methods[0].sum(pages, size, n, sums);
}

/* The checksum that a page with that sum, which is not new, must state as block "block" of its relation. */
uint16_t
page_checksum(uint32_t sum, uint32_t block)
{
	return (uint16_t) ((sum ^ block) % 65535 + 1);
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
