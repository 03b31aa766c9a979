/*
 * src/agent/crc32c.c
 *		CRC-32C, with the processor's own instruction where it has one.
 *
 * That instruction takes three cycles to answer but one to be accepted, so
 * three stretches of the data are computed at a time and joined.  Joining is
 * multiplication by a power of x modulo the polynomial; for the fixed length of
 * the stretches it comes from a table.
 *
 * Where there is carry-less multiplication of vectors, long data is folded
 * first: what lies so many bits before other data has the same checksum as its
 * product with x to that power, modulo the polynomial, added to that data.
 * What is left is short and goes through the instruction.
 *
 * Bits are reflected: the highest bit of a word is the coefficient of x^0.
 */
#include "crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#define POLYNOMIAL UINT32_C(0x82f63b78)
#define ONE (UINT32_C(1) << 31) /* x^0 */
#define X_1 (UINT32_C(1) << 30) /* x^1: a bit further */
#define X_8 (UINT32_C(1) << 23) /* x^8: a byte further */

/* Length of each of the three stretches, a multiple of 8 */
#define STRETCH 2048

Crc32cAdd	crc32c_add;

static uint32_t slices[8][256];
static uint32_t stretch_shift[4][256];

static Crc32cMethod methods[4];

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

/* "base", X_1 or X_8, to the power of "n" */
static uint32_t
power(uint32_t base, uint64_t n)
{
	uint32_t	result = ONE;

	for (uint32_t square = base; n != 0; n >>= 1)
	{
		if (n & 1)
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
	return multiply(first, power(X_8, second_len)) ^ second;
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

#ifdef __x86_64__

#define VECTOR sizeof(__m512i)
#define BLOCK (4 * VECTOR)
#define WITH_VECTORS __attribute__((target("sse4.2,avx512f,vpclmulqdq")))

/* Factors for folding over BLOCK and over VECTOR bytes, of the first and the second half of 16 bytes */
static uint64_t block_factors[2];
static uint64_t vector_factors[2];

/*
 * Products of 16 bytes each with the power of x that moves them on by "bytes".
 * A factor has the coefficient of x^0 in its highest bit, and a reflected
 * product comes out multiplied by x, hence one less; the first half stands
 * another 64 bits before the end.
 */
static void
make_factors(uint64_t *factors, size_t bytes)
{
	factors[0] = (uint64_t) power(X_1, 8 * bytes + 63) << 32;
	factors[1] = (uint64_t) power(X_1, 8 * bytes - 1) << 32;
}

WITH_VECTORS static inline __m512i
repeat_factors(const uint64_t *factors)
{
	return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *) factors));
}

/* "sum" moved on to where "next" is, and added to it */
WITH_VECTORS static inline __m512i
fold(__m512i sum, __m512i factors, __m512i next)
{
	__m512i		first = _mm512_clmulepi64_epi128(sum, factors, 0x00);
	__m512i		second = _mm512_clmulepi64_epi128(sum, factors, 0x11);

	return _mm512_ternarylogic_epi64(first, second, next, 0x96);	/* XOR of all three */
}

/* Four sums beside each other; named apart, so that they stay in registers. */
WITH_VECTORS static uint32_t
add_by_vectors(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;
	__m512i		factors = repeat_factors(block_factors);
	__m512i		a,
				b,
				c,
				d;
	unsigned char rest[VECTOR];

	if (len < 2 * BLOCK)
		return add_by_instruction(crc, data, len);
	a = _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_zextsi128_si512(_mm_cvtsi32_si128((int) crc)));
	b = _mm512_loadu_si512(p + VECTOR);
	c = _mm512_loadu_si512(p + 2 * VECTOR);
	d = _mm512_loadu_si512(p + 3 * VECTOR);
	for (p += BLOCK, len -= BLOCK; len >= BLOCK; p += BLOCK, len -= BLOCK)
	{
		a = fold(a, factors, _mm512_loadu_si512(p));
		b = fold(b, factors, _mm512_loadu_si512(p + VECTOR));
		c = fold(c, factors, _mm512_loadu_si512(p + 2 * VECTOR));
		d = fold(d, factors, _mm512_loadu_si512(p + 3 * VECTOR));
	}
	factors = repeat_factors(vector_factors);
	_mm512_storeu_si512(rest, fold(fold(fold(a, factors, b), factors, c), factors, d));
	return add_by_instruction(add_by_instruction(0, rest, VECTOR), p, len);
}

#endif

static void
make_tables(void)
{
	uint32_t	stretch = power(X_8, STRETCH);

	for (uint32_t i = 0; i < 256; i++)
	{
		/* byte i in the lowest place, moved on by 1, 2 ... bytes */
		for (int slice = 0; slice < 8; slice++)
			slices[slice][i] = multiply(i, power(X_8, (uint64_t) slice + 1));
		for (int place = 0; place < 4; place++)
			stretch_shift[place][i] = multiply(i << 8 * place, stretch);
	}
}

void
crc32c_init(void)
{
	int			n = 0;

	make_tables();
#ifdef __x86_64__
	make_factors(block_factors, BLOCK);
	make_factors(vector_factors, VECTOR);
	if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq"))
		methods[n++] = (Crc32cMethod)
	{
		"vpclmulqdq", add_by_vectors
	};
#endif
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
