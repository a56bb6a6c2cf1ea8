/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vaes_block.h - blocks and vectors of a packet in the kernels: where they lie, the rounds of AES
 * over several of them, what of them is hashed. Not for other rooms.
 *
 * Blocks lie in the vectors as the packet has them in memory, beginning with the 16 bytes in front
 * of the text (SPI, sequence number, IV). Block 0's key stream is what masks the ICV (its counter
 * is 1), block 1's is for the first block of text (2); and what is hashed in block 0's place is the
 * AAD. So neither cipher nor hash has to move a block. The bytes in front are written back as they
 * were. The last vector may reach into the place of the ICV behind it, which is written afterwards,
 * or, when decrypting, was read before.
 */
#pragma once

#include "dataplane/crypto/vaes_ghash.h"

#define BLOCK  16
#define VECTOR VAES_VECTOR
#define CHUNK  (VAES_CHUNK * BLOCK)

/* EACH - do_(i) for the first w vectors. */
#define EACH(w, do_)            \
	do {                    \
		do_(0);         \
		if ((w) > 1)    \
			do_(1); \
		if ((w) > 2)    \
			do_(2); \
		if ((w) > 3)    \
			do_(3); \
		if ((w) > 4)    \
			do_(4); \
		if ((w) > 5)    \
			do_(5); \
		if ((w) > 6)    \
			do_(6); \
		if ((w) > 7)    \
			do_(7); \
		if ((w) > 8)    \
			do_(8); \
		if ((w) > 9)    \
			do_(9); \
	} while (0)

/* vaes_keep - from vaes_keep + VECTOR - n on n times 0xff, then zeros. */
extern const uint8_t vaes_keep[2 * VECTOR];

static_assert(offsetof(struct aead_op, aad) + BLOCK <= sizeof(struct aead_op), "loads stay inside");
static_assert(offsetof(struct aead_op, nonce) >= 4, "loads stay inside");

VAES_INLINE __m128i load_1(const void *p)
{
	return _mm_loadu_si128(p);
}

VAES_INLINE __m256i load_2(const void *p)
{
	return _mm256_loadu_si256(p);
}

/* nonce_of - and four zeros in the place of the count. */
VAES_INLINE __m128i nonce_of(const struct aead_op *op)
{
	const uint8_t *end = (const uint8_t *)op + offsetof(struct aead_op, nonce) + AEAD_NONCE_LEN;

	return _mm_srli_si128(load_1(end - BLOCK), BLOCK - AEAD_NONCE_LEN);
}

/* aad_block - as it is hashed. */
VAES_INLINE __m256i aad_block(const struct aead_op *op)
{
	const __m128i aad = load_1(op->aad), mask = load_1(vaes_keep + VECTOR - op->aad_len);

	return _mm256_castsi128_si256(ghash_reverse_1(_mm_and_si128(aad, mask)));
}

/* crypt_vector - in place; returns what is hashed. */
VAES_INLINE __m256i crypt_vector(uint8_t *at, __m256i key_stream, const bool encrypts)
{
	const __m256i in = load_2(at), out = _mm256_xor_si256(in, key_stream);

	_mm256_storeu_si256((void *)at, out);
	return ghash_reverse(encrypts ? out : in);
}

/* crypt_end - the same where only len bytes are the chunk's, 1 to 32; of those behind it at most 15
 * are read and written. */
VAES_INLINE __m256i crypt_end(uint8_t *at, __m256i key_stream, size_t len, const bool encrypts)
{
	const __m256i mask = load_2(vaes_keep + VECTOR - len);
	__m256i in, out;

	if (len > BLOCK) {
		in = load_2(at);
		out = _mm256_xor_si256(in, key_stream);
		_mm256_storeu_si256((void *)at, out);
	} else {
		in = _mm256_zextsi128_si256(load_1(at));
		out = _mm256_xor_si256(in, key_stream);
		_mm_storeu_si128((void *)at, _mm256_castsi256_si128(out));
	}
	return ghash_reverse(_mm256_and_si256(encrypts ? out : in, mask));
}

/* ---- w vectors ------------------------------------------------------------------------------- */

VAES_INLINE void round_of(__m256i *v, const __m128i *round, const unsigned w)
{
	const __m256i key = _mm256_broadcastsi128_si256(*round);

#define ROUND(i) v[i] = _mm256_aesenc_epi128(v[i], key)
	EACH(w, ROUND);
}

VAES_INLINE void last_round_of(__m256i *v, const __m128i *round, const unsigned w)
{
	const __m256i key = _mm256_broadcastsi128_si256(*round);

#define LAST_ROUND(i) v[i] = _mm256_aesenclast_epi128(v[i], key)
	EACH(w, LAST_ROUND);
}

/* op_settle - the ICV that was made; came: decrypt: as received, compared all at once. */
VAES_INLINE void op_settle(struct aead_op *op, __m128i icv, __m128i came, const bool encrypts)
{
	const __m128i differ = _mm_xor_si128(icv, came);

	if (encrypts)
		_mm_storeu_si128((void *)op->icv, icv);
	op->ok = encrypts || _mm_testz_si128(differ, differ);
}
