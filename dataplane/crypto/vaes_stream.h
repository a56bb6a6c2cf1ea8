/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vaes_stream.h - a packet's way through the kernel of vaes_gcm.c, chunk by chunk: where the chunk
 * lies, its counters, its text. Not for other rooms.
 */
#pragma once

#include "dataplane/crypto/vaes_block.h"

/* struct stream - of packets, one after the other. The hash is one chunk behind the cipher. */
struct stream {
	/* the chunk that is next in the cipher */
	struct aead_op *op;
	const struct aead_key *key;
	uint8_t *at;
	size_t len;      /* its bytes */
	size_t left;     /* bytes of text behind it */
	size_t chunk;    /* bytes of a chunk that is not the packet's last one */
	__m128i counter; /* of its first block, less 1; bytes reversed: the count is dword 0 */
	bool begins;     /* it is the packet's first chunk */
	/* the chunk before, which is hashed meanwhile */
	bool ends;              /* it is its packet's last one */
	struct aead_op *before; /* its packet */
	const __m128i *power;   /* that its first block is multiplied with */
	__m256i blocks[VECTORS];
	__m128i hash; /* of all before it */
	__m128i mask; /* of its packet's ICV */
	__m128i icv;  /* decrypt: as received */
};

/* ---- from chunk to chunk --------------------------------------------------------------------- */

/* chunk_for - a packet of len bytes, those in front of the text among them. 5, 6 and 9 vectors go
 * by threes: a full chunk and a rest would cost two full ones. */
VAES_INLINE size_t chunk_for(size_t len)
{
	const size_t vectors = (len + VECTOR - 1) / VECTOR;

	return vectors == 5 || vectors == 6 || vectors == 9 ? 3 * VECTOR : CHUNK;
}

/* stream_cut - the next chunk, of left bytes. */
VAES_INLINE void stream_cut(struct stream *s, size_t left)
{
	s->len = left < s->chunk ? left : s->chunk;
	s->left = left - s->len;
}

VAES_INLINE void stream_begin(struct stream *s, struct aead_op *op)
{
	s->op = op;
	s->key = op->key;
	s->at = op->text - BLOCK;
	s->chunk = chunk_for(op->len + BLOCK);
	stream_cut(s, op->len + BLOCK);
	s->counter = ghash_reverse_1(nonce_of(op));
	s->begins = true;
}

VAES_INLINE void stream_go_on(struct stream *s)
{
	s->at += s->len;
	s->counter = _mm_add_epi32(s->counter, _mm_cvtsi32_si128((int)(s->len / BLOCK)));
	s->begins = false;
	stream_cut(s, s->left);
}

/* ---- what is encrypted, and what with -------------------------------------------------------- */

/* stream_counters - the chunk's counter blocks, with the first round key added. */
VAES_INLINE void stream_counters(__m256i v[VECTORS], const struct stream *s, const unsigned w)
{
	const __m256i from = _mm256_broadcastsi128_si256(s->counter);
	const __m256i key = _mm256_broadcastsi128_si256(s->key->round[0]);

#define STEPS(i)   _mm256_setr_epi32(2 * (i) + 1, 0, 0, 0, 2 * (i) + 2, 0, 0, 0)
#define COUNTER(i) v[i] = _mm256_xor_si256(key, ghash_reverse(_mm256_add_epi32(from, STEPS(i))))
	EACH(w, COUNTER);
}

/* crypt_chunk - of w vectors; the others are zero for the hash. */
VAES_INLINE void crypt_chunk(struct stream *s, __m256i key_stream[VECTORS], const unsigned w,
			     const bool encrypts)
{
	const __m256i zero = _mm256_setzero_si256();

#define AT(i)   (s->at + VECTOR * (i))
#define END(i)  crypt_end(AT(i), key_stream[i], s->len - VECTOR * (i), encrypts)
#define TEXT(i) s->blocks[i] = (i) + 1 < w ? crypt_vector(AT(i), key_stream[i], encrypts) : END(i)
	EACH(w, TEXT);
	if (w < 2)
		s->blocks[1] = zero;
	if (w < 3)
		s->blocks[2] = zero;
	if (w < 4)
		s->blocks[3] = zero;
}

/* stream_crypt - the chunk in the cipher, w vectors at most; it becomes the one to be hashed. */
VAES_INLINE void stream_crypt(struct stream *s, __m256i key_stream[VECTORS], const unsigned w,
			      const bool encrypts)
{
	if (s->begins) {
		s->mask = _mm256_castsi256_si128(key_stream[0]);
		key_stream[0] = _mm256_blend_epi32(key_stream[0], _mm256_setzero_si256(), 0x0f);
	}
	s->ends = s->left == 0;
	if (!encrypts && s->ends)
		s->icv = load_1(s->op->icv);
	if (w > 3 && s->len > 3 * VECTOR)
		crypt_chunk(s, key_stream, 4, encrypts);
	else if (w > 2 && s->len > 2 * VECTOR)
		crypt_chunk(s, key_stream, 3, encrypts);
	else if (w > 1 && s->len > VECTOR)
		crypt_chunk(s, key_stream, 2, encrypts);
	else
		crypt_chunk(s, key_stream, 1, encrypts);
	if (s->begins)
		s->blocks[0] = _mm256_blend_epi32(s->blocks[0], aad_block(s->op), 0x0f);
	/* A chunk of n blocks begins with H^n; at the end there is one block more, the lengths. */
	s->power = &s->key->power[VAES_CHUNK + !s->ends - (s->len + BLOCK - 1) / BLOCK];
	s->before = s->op;
}
