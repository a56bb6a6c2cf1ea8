/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vaes_ghash.h - multiplication in the field of GHASH (SP 800-38D 6.3), in both lanes of a 256-bit
 * register at once. Not for other rooms.
 *
 * Reflection. GCM calls the first bit of a block the coefficient of x^0. With a block's bytes
 * reversed that bit is bit 127 of the register, and bit i is the coefficient of x^(127 - i): the
 * register holds the polynomial's mirror image. Mirrored factors have a mirrored product, but of
 * 255 bits, one short of two registers; a factor of x makes up for it, and as one factor is always
 * a power of H, it is put into that once and for all: `power` is H^n times x.
 *
 * Reduction. Mirrored, the field's polynomial is q = x^128 + x^127 + x^126 + x^121 + 1. A product
 * is kept in three parts: lo + mid x^64 + hi x^128. Adding lo's low half times q makes that half
 * vanish, and what is added falls into x^64 and above: the half times x^63 + x^62 + x^57 (FOLD),
 * and the half itself at x^128. What is left is a multiple of x^64 and joins mid; once more, and
 * all of it is in hi. So it is the product divided by x^128, which for mirror images is just the
 * reduced product's mirror image.
 *
 * Karatsuba. The middle part of a product a b is (a0 + a1)(b0 + b1) - a0 b0 - a1 b1. Sums of
 * products are kept apart as three sums (struct product), and are put right and reduced once for
 * all of them (aggregation): for blocks c1 ... cn GHASH is c1 H^n + ... + cn H.
 */
#pragma once

#include "dataplane/crypto/vaes.h"

/* struct product - of polynomials in both lanes, or a sum of such; both: (a0 + a1)(b0 + b1). */
struct product {
	__m256i lo, hi, both;
};

VAES_INLINE struct product ghash_none(void)
{
	const __m256i zero = _mm256_setzero_si256();

	return (struct product){zero, zero, zero};
}

/* ghash_reverse - the bytes of both blocks. */
VAES_INLINE __m256i ghash_reverse(__m256i blocks)
{
	const __m256i order =
		_mm256_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, /**/
				 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);

	return _mm256_shuffle_epi8(blocks, order);
}

VAES_INLINE __m128i ghash_reverse_1(__m128i block)
{
	return _mm256_castsi256_si128(ghash_reverse(_mm256_castsi128_si256(block)));
}

/* ghash_swap - the halves of both. */
VAES_INLINE __m256i ghash_swap(__m256i v)
{
	return _mm256_shuffle_epi32(v, 0x4e);
}

/* ghash_multiply - add blocks times power. */
VAES_INLINE void ghash_multiply(struct product *p, __m256i blocks, __m256i power)
{
	const __m256i a = _mm256_xor_si256(blocks, ghash_swap(blocks));
	const __m256i b = _mm256_xor_si256(power, ghash_swap(power));

	p->lo = _mm256_xor_si256(p->lo, _mm256_clmulepi64_epi128(blocks, power, 0x00));
	p->hi = _mm256_xor_si256(p->hi, _mm256_clmulepi64_epi128(blocks, power, 0x11));
	p->both = _mm256_xor_si256(p->both, _mm256_clmulepi64_epi128(a, b, 0x00));
}

/* fold - what v, whose low half must vanish, adds to the part above it. */
VAES_INLINE __m256i ghash_fold(__m256i v)
{
	const __m256i fold = _mm256_set1_epi64x((long long)0xc200000000000000);

	return _mm256_xor_si256(ghash_swap(v), _mm256_clmulepi64_epi128(v, fold, 0x00));
}

/* ghash_reduce - to one block in each lane. */
VAES_INLINE __m256i ghash_reduce(const struct product *p)
{
	__m256i mid = _mm256_xor_si256(p->both, _mm256_xor_si256(p->lo, p->hi));

	mid = _mm256_xor_si256(mid, ghash_fold(p->lo));
	return _mm256_xor_si256(p->hi, ghash_fold(mid));
}
