/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM over many packets (SP 800-38D, RFC 4106).
 *
 * A round of AES takes four cycles, in which eight 256-bit vectors can be begun, and ten find room
 * in the registers: so a packet goes in chunks of up to ten vectors, twenty blocks. GHASH needs the
 * cipher text that is only being made: so while a chunk is in the cipher, the one before it is
 * hashed (step), be it of the same packet or of the one before.
 */
#include "dataplane/crypto/vaes_stream.h"

/* struct pipeline - the stream, and where it takes packets from. */
struct pipeline {
	struct stream s;
	struct aead_op *const *next, *const *end;
	struct aead_op *idle; /* that comes behind the last */
	uint32_t rounds;
};

const uint8_t vaes_keep[2 * VECTOR] = {
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
};

/* ---- the hash -------------------------------------------------------------------------------- */

/* hash_vector - add the i-th vector times its powers; what was hashed before goes into the first
 * block. */
VAES_INLINE void hash_vector(struct product *p, const struct stream *s, const unsigned i)
{
	const __m128i *power = s->power + 2 * i;
	__m256i v = s->blocks[i];

	if (i == 0)
		v = _mm256_xor_si256(v, _mm256_zextsi128_si256(s->hash));
	ghash_multiply(p, v, load_2(power));
}

/* hash_lengths - the last block. */
VAES_INLINE void hash_lengths(struct product *p, const struct aead_op *op)
{
	const __m128i h = op->key->power[VAES_CHUNK];
	const __m128i lengths = _mm_set_epi64x(8LL * op->aad_len, 8LL * op->len);

	ghash_multiply(p, _mm256_zextsi128_si256(lengths), _mm256_zextsi128_si256(h));
}

/* both_lanes - what is in them added, in the low one. */
VAES_INLINE __m256i both_lanes(__m256i v)
{
	return _mm256_zextsi128_si256(
		_mm_xor_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}

/* hash_end - of the chunk. */
VAES_INLINE __m128i hash_end(const struct stream *s, struct product *p)
{
	if (s->ends)
		hash_lengths(p, s->before);
	p->lo = both_lanes(p->lo);
	p->hi = both_lanes(p->hi);
	p->both = both_lanes(p->both);
	return _mm256_castsi256_si128(ghash_reduce(p));
}

/* settle - what became of the chunk that was hashed: the ICV, if it was its packet's last. */
VAES_INLINE void settle(struct stream *s, __m128i hash, const bool encrypts)
{
	s->hash = hash;
	if (!s->ends)
		return;
	s->hash = _mm_setzero_si128();
	op_settle(s->before, _mm_xor_si128(ghash_reverse_1(hash), s->mask), s->icv, encrypts);
}

/* ---- both ------------------------------------------------------------------------------------ */

VAES_INLINE void take(struct pipeline *p)
{
	stream_begin(&p->s, p->next == p->end ? p->idle : *p->next++);
}

/* NOW - v is made here: the compiler would add up the sums of the hash in an order of its own,
 * which takes more registers than there are. */
#define NOW(v) __asm__("" : "+x"(v))

/* round_and_hash - the n-th round of AES, and the vector of the hash that goes with it, if there is
 * one. */
VAES_INLINE void round_and_hash(__m256i *v, struct product *p, const struct stream *s,
				const unsigned n, const unsigned w)
{
	round_of(v, s->op->key->round + n, w);
#define NOW_V(i) NOW(v[i])
	EACH(w, NOW_V);
	if (n > w)
		return;
	hash_vector(p, s, n - 1);
	NOW(p->lo);
	NOW(p->hi);
	NOW(p->both);
}

/* step - a chunk through the cipher, and the one before it through the hash; neither has more than
 * w vectors. */
VAES_INLINE void step(struct pipeline *p, const unsigned w, const bool encrypts)
{
	struct stream *s = &p->s;
	const __m128i *key = s->op->key->round;
	struct product sum = ghash_none();
	__m256i v[VECTORS];
	__m128i hash;

	static_assert(VECTORS == 10, "a round for each but the last: AES-128 has no more");
	stream_counters(v, s, w);
	round_and_hash(v, &sum, s, 1, w);
	round_and_hash(v, &sum, s, 2, w);
	round_and_hash(v, &sum, s, 3, w);
	round_and_hash(v, &sum, s, 4, w);
	round_and_hash(v, &sum, s, 5, w);
	round_and_hash(v, &sum, s, 6, w);
	round_and_hash(v, &sum, s, 7, w);
	round_and_hash(v, &sum, s, 8, w);
	round_and_hash(v, &sum, s, 9, w);
	if (w == VECTORS)
		hash_vector(&sum, s, 9);
	hash = hash_end(s, &sum);
	if (p->rounds > 10) {
		round_of(v, key + 10, w);
		round_of(v, key + 11, w);
		round_of(v, key + 12, w);
		round_of(v, key + 13, w);
	}
	last_round_of(v, key + p->rounds, w);
	settle(s, hash, encrypts);
	stream_crypt(s, v, w, encrypts);
	if (s->ends)
		take(p);
	else
		stream_go_on(s);
}

/* A function for each number of vectors, so that all of them stay in registers. */
#define STEP(w)                                                                    \
	VAES static __attribute__((noinline)) void encrypt_##w(struct pipeline *p) \
	{                                                                          \
		step(p, w, true);                                                  \
	}                                                                          \
	VAES static __attribute__((noinline)) void decrypt_##w(struct pipeline *p) \
	{                                                                          \
		step(p, w, false);                                                 \
	}
STEP(1)
STEP(2)
STEP(3)
STEP(4)
STEP(5)
STEP(6)
STEP(7)
STEP(8)
STEP(9)
STEP(10)

static void (*const steps[2][VECTORS])(struct pipeline *p) = {
	{decrypt_1, decrypt_2, decrypt_3, decrypt_4, decrypt_5, decrypt_6, decrypt_7, decrypt_8,
	 decrypt_9, decrypt_10},
	{encrypt_1, encrypt_2, encrypt_3, encrypt_4, encrypt_5, encrypt_6, encrypt_7, encrypt_8,
	 encrypt_9, encrypt_10},
};

/* ---- a batch --------------------------------------------------------------------------------- */

static size_t most(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* run - until the idle packet was in the cipher: that step has hashed the last one before it. */
static void run(struct pipeline *p, bool encrypts)
{
	size_t len, hashed = 1;
	bool was_idle = false;

	while (!was_idle) {
		was_idle = p->s.op == p->idle;
		len = p->s.len;
		steps[encrypts][(most(len, hashed) - 1) / VECTOR](p);
		hashed = len;
	}
}

VAES void vaes_gcm_long(struct aead_op *const *ops, uint32_t n, bool encrypts)
{
	uint8_t room[2 * BLOCK] = {0};
	struct aead_op idle = {.key = ops[0]->key, .text = room + BLOCK, .icv = room + BLOCK};
	struct pipeline p = {
		.next = ops, .end = ops + n, .idle = &idle, .rounds = idle.key->rounds};

	p.s.before = &idle;
	p.s.power = idle.key->power;
	take(&p);
	run(&p, encrypts);
	secret_wipe(&p, sizeof(p));
	secret_wipe(room, sizeof(room));
}
