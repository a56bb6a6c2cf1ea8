/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key schedules: AES by the processor's own instruction for the S-box (FIPS 197 5.2), and the
 * powers of the hash key H, the encryption of zero (SP 800-38D 7.1), as vaes_ghash.h wants them.
 */
#include "dataplane/crypto/vaes_ghash.h"

/* The words of v, each with all before it added: w0, w0 + w1, w0 + w1 + w2, ... */
VAES_INLINE __m128i running_sum(__m128i v)
{
	v = _mm_xor_si128(v, _mm_slli_si128(v, 4));
	return _mm_xor_si128(v, _mm_slli_si128(v, 8));
}

/* The next four words from those one key length before (prior) and from the transformed last word,
 * in all four places. */
VAES_INLINE __m128i next_words(__m128i prior, __m128i transformed)
{
	return _mm_xor_si128(running_sum(prior), transformed);
}

/* rot_sub - RotWord, SubWord and Rcon of the last word; sub - SubWord alone. */
#define rot_sub(v, rcon) _mm_shuffle_epi32(_mm_aeskeygenassist_si128(v, rcon), 0xff)
#define sub(v)           _mm_shuffle_epi32(_mm_aeskeygenassist_si128(v, 0), 0xaa)

VAES static void expand_128(__m128i r[static 11], const uint8_t *key)
{
	r[0] = _mm_loadu_si128((const void *)key);
	r[1] = next_words(r[0], rot_sub(r[0], 0x01));
	r[2] = next_words(r[1], rot_sub(r[1], 0x02));
	r[3] = next_words(r[2], rot_sub(r[2], 0x04));
	r[4] = next_words(r[3], rot_sub(r[3], 0x08));
	r[5] = next_words(r[4], rot_sub(r[4], 0x10));
	r[6] = next_words(r[5], rot_sub(r[5], 0x20));
	r[7] = next_words(r[6], rot_sub(r[6], 0x40));
	r[8] = next_words(r[7], rot_sub(r[7], 0x80));
	r[9] = next_words(r[8], rot_sub(r[8], 0x1b));
	r[10] = next_words(r[9], rot_sub(r[9], 0x36));
}

VAES static void expand_256(__m128i r[static 15], const uint8_t *key)
{
	r[0] = _mm_loadu_si128((const void *)key);
	r[1] = _mm_loadu_si128((const void *)(key + 16));
	r[2] = next_words(r[0], rot_sub(r[1], 0x01));
	r[3] = next_words(r[1], sub(r[2]));
	r[4] = next_words(r[2], rot_sub(r[3], 0x02));
	r[5] = next_words(r[3], sub(r[4]));
	r[6] = next_words(r[4], rot_sub(r[5], 0x04));
	r[7] = next_words(r[5], sub(r[6]));
	r[8] = next_words(r[6], rot_sub(r[7], 0x08));
	r[9] = next_words(r[7], sub(r[8]));
	r[10] = next_words(r[8], rot_sub(r[9], 0x10));
	r[11] = next_words(r[9], sub(r[10]));
	r[12] = next_words(r[10], rot_sub(r[11], 0x20));
	r[13] = next_words(r[11], sub(r[12]));
	r[14] = next_words(r[12], rot_sub(r[13], 0x40));
}

/* v times x, mirrored: a shift up, and q's terms if x^128 came of it. */
VAES static __m128i times_x(__m128i v)
{
	const __m128i q = _mm_set_epi64x((long long)0xc200000000000000, 1);
	const __m128i tops = _mm_srli_epi64(v, 63); /* the top bit of each half */
	const __m128i over = _mm_sub_epi64(_mm_setzero_si128(), _mm_unpackhi_epi64(tops, tops));
	const __m128i up = _mm_or_si128(_mm_slli_epi64(v, 1), _mm_slli_si128(tops, 8));

	return _mm_xor_si128(up, _mm_and_si128(over, q));
}

VAES static __m128i times(__m128i a, __m128i power)
{
	struct product p = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};

	ghash_multiply(&p, _mm256_zextsi128_si256(a), _mm256_zextsi128_si256(power));
	return _mm256_castsi256_si128(ghash_reduce(&p));
}

VAES static void set_powers(struct aead_key *k)
{
	__m128i h = k->round[0]; /* zero, after the first key addition */

	for (uint32_t i = 1; i < k->rounds; i++)
		h = _mm_aesenc_si128(h, k->round[i]);
	h = ghash_reverse_1(_mm_aesenclast_si128(h, k->round[k->rounds]));
	k->power[VAES_CHUNK] = times_x(h);
	for (int i = VAES_CHUNK - 1; i >= 0; i--)
		k->power[i] = times(k->power[i + 1], k->power[VAES_CHUNK]);
}

VAES void vaes_key_expand(struct aead_key *k, const uint8_t *key, size_t key_len)
{
	if (key_len == 16)
		expand_128(k->round, key);
	else
		expand_256(k->round, key);
	k->rounds = key_len == 16 ? 10 : 14;
	set_powers(k);
}
