/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vaes_stream.h - a packet's way through the kernel of vaes_gcm.c, chunk by chunk: where the chunk
 * lies, its counters, its text. Not for other rooms.
 */
#pragma once

#include "dataplane/crypto/vaes_block.h"

/* VECTORS - of a full chunk. */
#define VECTORS (VAES_CHUNK / 2)

/* struct stream - of packets, one after the other. The hash is one chunk behind the cipher. */
struct stream {
	/* the chunk that is next in the cipher */
	struct aead_op *op;
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

static inline size_t vectors_in(size_t len)
{
	return (len + VECTOR - 1) / VECTOR;
}

/* chunk_for - a packet of len bytes, those in front of the text among them: as few chunks as can
 * be, and all of about the same length, since a step costs as much as the longer one of its two. */
VAES_INLINE size_t chunk_for(size_t len)
{
	const uint32_t vectors = (uint32_t)vectors_in(len);
	const uint32_t chunks = (vectors + VECTORS - 1) / VECTORS;

	return (vectors + chunks - 1) / chunks * VECTOR;
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
VAES_INLINE void stream_counters(__m256i *v, const struct stream *s, const unsigned w)
{
	const __m256i from = _mm256_broadcastsi128_si256(s->counter);
	const __m256i key = _mm256_broadcastsi128_si256(s->op->key->round[0]);

#define STEPS(i)   _mm256_setr_epi32(2 * (i) + 1, 0, 0, 0, 2 * (i) + 2, 0, 0, 0)
#define COUNTER(i) v[i] = _mm256_xor_si256(key, ghash_reverse(_mm256_add_epi32(from, STEPS(i))))
	EACH(w, COUNTER);
}

/* crypt_full - the i-th vector of the longest chunk. */
VAES_INLINE void crypt_full(struct stream *s, __m256i key_stream, const unsigned i,
			    const bool encrypts)
{
	s->blocks[i] = crypt_vector(s->at + VECTOR * i, key_stream, encrypts);
}

/* crypt_some - the i-th vector of a chunk: a whole one, the last one, or one behind the end, which
 * is zero for the hash. */
VAES_INLINE void crypt_some(struct stream *s, __m256i key_stream, const unsigned i,
			    const bool encrypts)
{
	uint8_t *at = s->at + VECTOR * i;

	if (likely(s->len >= VECTOR * (i + 1)))
		s->blocks[i] = crypt_vector(at, key_stream, encrypts);
	else if (s->len > VECTOR * i)
		s->blocks[i] = crypt_end(at, key_stream, s->len - VECTOR * i, encrypts);
	else
		s->blocks[i] = _mm256_setzero_si256();
}

/* stream_crypt - the chunk in the cipher, w vectors at most; it becomes the one to be hashed. */
VAES_INLINE void stream_crypt(struct stream *s, __m256i *key_stream, const unsigned w,
			      const bool encrypts)
{
	if (s->begins) {
		s->mask = _mm256_castsi256_si128(key_stream[0]);
		key_stream[0] = _mm256_blend_epi32(key_stream[0], _mm256_setzero_si256(), 0x0f);
	}
	s->ends = s->left == 0;
	if (!encrypts && s->ends)
		s->icv = load_1(s->op->icv);
#define FULL(i) crypt_full(s, key_stream[i], i, encrypts)
#define SOME(i) crypt_some(s, key_stream[i], i, encrypts)
	if (w == VECTORS && s->len == CHUNK)
		EACH(w, FULL);
	else
		EACH(w, SOME);
	if (s->begins)
		s->blocks[0] = _mm256_blend_epi32(s->blocks[0], aad_block(s->op), 0x0f);
	/* A chunk of n blocks begins with H^n; at the end there is one block more, the lengths. */
	s->power = &s->op->key->power[VAES_CHUNK + !s->ends - (s->len + BLOCK - 1) / BLOCK];
	s->before = s->op;
}
