/*
 * src/agent/crc32c.c
 *		CRC-32C, with the processor's own instruction where it has one.
 *
 * That instruction takes three cycles to answer but one to be accepted, so
 * three stretches of the data are computed at a time and joined.  Joining is
 * multiplication by a power of x modulo the polynomial; for the fixed length of
 * the stretches it comes from a table.
 *
 * Bits are reflected: the highest bit of a word is the coefficient of x^0.
 */
#include "crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#define POLYNOMIAL UINT32_C(0x82f63b78)
#define ONE (UINT32_C(1) << 31) /* x^0 */
#define X_8 (UINT32_C(1) << 23) /* x^8: a byte further */

/* Length of each of the three stretches, a multiple of 8 */
#define STRETCH 2048

Crc32cAdd	crc32c_add;

static uint32_t slices[8][256];
static uint32_t stretch_shift[4][256];

static Crc32cMethod methods[3];

static uint32_t
multiply(uint32_t a, uint32_t b)
{
	uint32_t	product = 0;

	for (uint32_t bit = ONE; bit != 0; bit >>= 1)
	{
		if (a & bit)
			product ^= b;
		b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
	}
	return product;
}

/* x to the power of 8 * "bytes" */
static uint32_t
power(uint64_t bytes)
{
	uint32_t	result = ONE;

	for (uint32_t square = X_8; bytes != 0; bytes >>= 1)
	{
		if (bytes & 1)
			result = multiply(result, square);
		square = multiply(square, square);
	}
	return result;
}

/*
 * The checksum of two parts, from those of each; both as crc32c_end() gives
 * them.
 */
uint32_t
crc32c_join(uint32_t first, uint32_t second, uint64_t second_len)
{
	return multiply(first, power(second_len)) ^ second;
}

static uint32_t
add_portable(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (; len >= 8; len -= 8, p += 8)
	{
		uint32_t	low = crc ^ ((uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24);

		crc = slices[7][low & 0xff] ^ slices[6][low >> 8 & 0xff] ^
			slices[5][low >> 16 & 0xff] ^ slices[4][low >> 24] ^
			slices[3][p[4]] ^ slices[2][p[5]] ^ slices[1][p[6]] ^ slices[0][p[7]];
	}
	for (; len > 0; len--)
		crc = crc >> 8 ^ slices[0][(crc ^ *p++) & 0xff];
	return crc;
}

#if defined(__x86_64__) || defined(__aarch64__)

#if defined(__x86_64__)
#define WITH_INSTRUCTION __attribute__((target("sse4.2")))
#define ADD_8(crc, word) ((uint32_t) _mm_crc32_u64((crc), (word)))
#define ADD_1(crc, byte) (_mm_crc32_u8((crc), (byte)))
#define METHOD_NAME "sse4.2"

static bool
has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
#define WITH_INSTRUCTION __attribute__((target("+crc")))
#define ADD_8(crc, word) (__crc32cd((crc), (word)))
#define ADD_1(crc, byte) (__crc32cb((crc), (byte)))
#define METHOD_NAME "armv8"

static bool
has_instruction(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
#endif

static inline uint64_t
word_at(const unsigned char *p)
{
	uint64_t	word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* "crc" as if STRETCH zero bytes followed */
static inline uint32_t
shift_stretch(uint32_t crc)
{
	return stretch_shift[0][crc & 0xff] ^ stretch_shift[1][crc >> 8 & 0xff] ^
		stretch_shift[2][crc >> 16 & 0xff] ^ stretch_shift[3][crc >> 24];
}

WITH_INSTRUCTION static uint32_t
add_by_instruction(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (; len >= 3 * STRETCH; len -= 3 * STRETCH, p += 3 * STRETCH)
	{
		uint32_t	second = 0;
		uint32_t	third = 0;

		for (size_t i = 0; i < STRETCH; i += 8)
		{
			crc = ADD_8(crc, word_at(p + i));
			second = ADD_8(second, word_at(p + STRETCH + i));
			third = ADD_8(third, word_at(p + 2 * STRETCH + i));
		}
		crc = shift_stretch(shift_stretch(crc) ^ second) ^ third;
	}
	for (; len >= 8; len -= 8, p += 8)
		crc = ADD_8(crc, word_at(p));
	for (; len > 0; len--)
		crc = ADD_1(crc, *p++);
	return crc;
}

#endif

static void
make_tables(void)
{
	uint32_t	stretch = power(STRETCH);

	for (uint32_t i = 0; i < 256; i++)
	{
		/* byte i in the lowest place, moved on by 1, 2 ... bytes */
		for (int slice = 0; slice < 8; slice++)
			slices[slice][i] = multiply(i, power((uint64_t) slice + 1));
		for (int place = 0; place < 4; place++)
			stretch_shift[place][i] = multiply(i << 8 * place, stretch);
	}
}

void
crc32c_init(void)
{
	int			n = 0;

	make_tables();
#ifdef METHOD_NAME
	if (has_instruction())
		methods[n++] = (Crc32cMethod)
	{
		METHOD_NAME, add_by_instruction
	};
#endif
	methods[n] = (Crc32cMethod)
	{
		"portable", add_portable
	};
	crc32c_add = methods[0].add;
}

const Crc32cMethod *
crc32c_methods(void)
{
	return methods;
}
