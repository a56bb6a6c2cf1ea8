/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM over small packets. Those of a batch that have the same number of vectors go together, so
 * that hardly anything depends on their lengths. One alone leaves the processor waiting, since a
 * round of AES takes four cycles in which eight vectors can be begun: so two are in the cipher side
 * by side, while the two before them are hashed.
 */
#include "dataplane/crypto/vaes_block.h"

#define VECTORS VAES_WHOLE_VECTORS

/* struct whole - a packet that was in the cipher and is hashed now. */
struct whole {
	struct aead_op *op;
	const __m128i *power; /* that its first block is multiplied with */
	__m256i blocks[VECTORS];
	__m128i icv; /* decrypt: as received */
};

/* whole_counters - as stream_counters(): the count fits in a byte, so no bytes are reversed. */
VAES_INLINE void whole_counters(__m256i v[VECTORS], const struct aead_op *op, const unsigned w)
{
	const __m128i first = _mm_xor_si128(nonce_of(op), op->key->round[0]);
	const __m256i both = _mm256_broadcastsi128_si256(first);

#define COUNT(n)   ((int)((unsigned)(n) << 24))
#define PAIR(i)    _mm256_setr_epi32(0, 0, 0, COUNT(2 * (i) + 1), 0, 0, 0, COUNT(2 * (i) + 2))
#define COUNTER(i) v[i] = _mm256_xor_si256(both, PAIR(i))
	EACH(w, COUNTER);
}

/* whole_crypt - text and mask; the blocks are hashed next. */
VAES_INLINE void whole_crypt(struct whole *s, __m128i *mask, struct aead_op *op,
			     __m256i key_stream[VECTORS], const unsigned w, const bool encrypts)
{
	uint8_t *at = op->text - BLOCK;
	const size_t len = op->len + BLOCK;

	s->op = op;
	*mask = _mm256_castsi256_si128(key_stream[0]);
	if (!encrypts)
		s->icv = load_1(op->icv);
	key_stream[0] = _mm256_blend_epi32(key_stream[0], _mm256_setzero_si256(), 0x0f);
#define AT(i)   (at + VECTOR * (i))
#define END(i)  crypt_end(AT(i), key_stream[i], len - VECTOR * (i), encrypts)
#define TEXT(i) s->blocks[i] = (i) + 1 < w ? crypt_vector(AT(i), key_stream[i], encrypts) : END(i)
	EACH(w, TEXT);
	s->blocks[0] = _mm256_blend_epi32(s->blocks[0], aad_block(op), 0x0f);
	s->power = &op->key->power[VAES_CHUNK - (len + BLOCK - 1) / BLOCK];
}

/* whole_hash - add the i-th vector times its powers. */
VAES_INLINE void whole_hash(struct product *p, const struct whole *s, const unsigned i)
{
	const __m128i *power = s->power + 2 * i;

	ghash_multiply(p, s->blocks[i], load_2(power));
}

VAES_INLINE __m256i pair(__m128i low, __m128i high)
{
	return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* lanes_added - those of a in the low lane, those of b in the high one. */
VAES_INLINE __m256i lanes_added(__m256i a, __m256i b)
{
	return _mm256_xor_si256(_mm256_permute2x128_si256(a, b, 0x20),
				_mm256_permute2x128_si256(a, b, 0x31));
}

/* products_joined - those of a in the low lane, those of b in the high one: from here on both go
 * together. */
VAES_INLINE struct product products_joined(const struct product *a, const struct product *b)
{
	return (struct product){
		.lo = lanes_added(a->lo, b->lo),
		.hi = lanes_added(a->hi, b->hi),
		.both = lanes_added(a->both, b->both),
	};
}

static_assert(offsetof(struct aead_op, aad_len) == offsetof(struct aead_op, len) + 4,
	      "both are in one word");

/* whole_lengths - the last blocks of a and b: bits of text, then of AAD. */
VAES_INLINE __m256i whole_lengths(const struct aead_op *a, const struct aead_op *b)
{
	const __m256i order =
		_mm256_setr_epi8(0, 1, 2, 3, -1, -1, -1, -1, 4, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2,
				 3, -1, -1, -1, -1, 4, -1, -1, -1, -1, -1, -1, -1);
	const __m256i both = pair(load_1(&a->len), load_1(&b->len));

	return _mm256_slli_epi64(_mm256_shuffle_epi8(both, order), 3);
}

/* whole_hash_both - of a in the low lane, of b in the high one. */
VAES_INLINE __m256i whole_hash_both(const struct whole *a, const struct whole *b,
				    const struct product *pa, const struct product *pb)
{
	const __m128i *ha = &a->op->key->power[VAES_CHUNK];
	const __m128i *hb = &b->op->key->power[VAES_CHUNK];
	struct product p = products_joined(pa, pb);

	ghash_multiply(&p, whole_lengths(a->op, b->op), pair(*ha, *hb));
	return ghash_reduce(&p);
}

/* both_rounds - the n-th of a and of b. */
VAES_INLINE void both_rounds(__m256i *va, const __m128i *ka, __m256i *vb, const __m128i *kb,
			     const unsigned n, const unsigned w)
{
	round_of(va, ka + n, w);
	round_of(vb, kb + n, w);
}

/* whole_step - the next two packets through the cipher, and a and b, which were there before them,
 * through the hash: in turn, so that the processor finds both at any time. */
VAES_INLINE void whole_step(struct whole *a, struct whole *b, __m128i masks[2],
			    struct aead_op *next_a, struct aead_op *next_b, const uint32_t rounds,
			    const unsigned w, const bool encrypts)
{
	const __m128i *ka = next_a->key->round, *kb = next_b->key->round;
	struct product pa = ghash_none(), pb = ghash_none();
	__m256i va[VECTORS], vb[VECTORS], hash;

	static_assert(VECTORS == 4, "a round for each of both");
	whole_counters(va, next_a, w);
	whole_counters(vb, next_b, w);
#define ROUNDS(n) both_rounds(va, ka, vb, kb, n, w)
#define HASH_A(i) ((i) < w ? whole_hash(&pa, a, i) : (void)0)
#define HASH_B(i) ((i) < w ? whole_hash(&pb, b, i) : (void)0)
	ROUNDS(1);
	HASH_A(0);
	ROUNDS(2);
	HASH_A(1);
	ROUNDS(3);
	HASH_A(2);
	ROUNDS(4);
	HASH_A(3);
	ROUNDS(5);
	HASH_B(0);
	ROUNDS(6);
	HASH_B(1);
	ROUNDS(7);
	HASH_B(2);
	ROUNDS(8);
	HASH_B(3);
	ROUNDS(9);
	hash = ghash_reverse(whole_hash_both(a, b, &pa, &pb));
	if (rounds > 10) {
		ROUNDS(10);
		ROUNDS(11);
		ROUNDS(12);
		ROUNDS(13);
	}
	last_round_of(va, ka + rounds, w);
	last_round_of(vb, kb + rounds, w);
	op_settle(a->op, _mm_xor_si128(_mm256_castsi256_si128(hash), masks[0]), a->icv, encrypts);
	op_settle(b->op, _mm_xor_si128(_mm256_extracti128_si256(hash, 1), masks[1]), b->icv,
		  encrypts);
	whole_crypt(a, &masks[0], next_a, va, w, encrypts);
	whole_crypt(b, &masks[1], next_b, vb, w, encrypts);
}

/* whole_idle - what is hashed before there was a packet. */
VAES_INLINE void whole_idle(struct whole *s, struct aead_op *idle, const unsigned w)
{
	s->op = idle;
	s->power = idle->key->power;
	s->icv = _mm_setzero_si128();
#define ZERO(i) s->blocks[i] = _mm256_setzero_si256()
	EACH(w, ZERO);
}

/* whole_all - n packets, of which the idle one stands for those before the first and behind the
 * last. What masks an ICV must not stay: with the ICV it tells what the hash was. */
VAES_INLINE void whole_all(struct aead_op *const *ops, uint32_t n, struct aead_op *idle,
			   const unsigned w, const bool encrypts)
{
	const uint32_t rounds = idle->key->rounds;
	__m128i masks[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
	struct whole a, b;

	whole_idle(&a, idle, w);
	whole_idle(&b, idle, w);
	for (uint32_t i = 0; i < n; i += 2)
		whole_step(&a, &b, masks, ops[i], i + 1 < n ? ops[i + 1] : idle, rounds, w,
			   encrypts);
	whole_step(&a, &b, masks, idle, idle, rounds, w, encrypts);
	secret_wipe(masks, sizeof(masks));
}

/* A function for each number of vectors, so that all of them stay in registers. */
#define ALL(w)                                                                                     \
	VAES static void encrypt_##w(struct aead_op *const *ops, uint32_t n, struct aead_op *idle) \
	{                                                                                          \
		whole_all(ops, n, idle, w, true);                                                  \
	}                                                                                          \
	VAES static void decrypt_##w(struct aead_op *const *ops, uint32_t n, struct aead_op *idle) \
	{                                                                                          \
		whole_all(ops, n, idle, w, false);                                                 \
	}
ALL(1)
ALL(2)
ALL(3)
ALL(4)

static void (*const all[2][VECTORS])(struct aead_op *const *ops, uint32_t n,
				     struct aead_op *idle) = {
	{decrypt_1, decrypt_2, decrypt_3, decrypt_4},
	{encrypt_1, encrypt_2, encrypt_3, encrypt_4},
};

void vaes_gcm_whole(struct aead_op *const *ops, uint32_t n, uint32_t vectors, bool encrypts)
{
	uint8_t room[VECTORS * VECTOR + BLOCK] = {0};
	struct aead_op idle = {
		.key = ops[0]->key,
		.text = room + BLOCK,
		.icv = room + VECTORS * VECTOR,
		.len = VECTOR * vectors - BLOCK,
	};

	all[encrypts][vectors - 1](ops, n, &idle);
	secret_wipe(room, sizeof(room));
}
