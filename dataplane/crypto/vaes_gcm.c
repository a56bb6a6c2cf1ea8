/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM over many packets (SP 800-38D, RFC 4106).
 *
 * One packet alone leaves the processor waiting: a round of AES takes four cycles, in which eight
 * others could have begun, and GHASH needs the cipher text that is only being made. So two packets
 * (streams) go side by side, each in chunks of up to eight blocks, which are four 256-bit vectors,
 * and while a chunk is in the cipher, the one before it is hashed (step): these are four chains of
 * work that do not wait for each other. A stream whose packet ends takes the next of the batch;
 * when none is left it works on an idle packet until the other one is done.
 */
#include "dataplane/crypto/vaes_stream.h"

/* struct pipeline - the two streams, and where they take packets from. */
struct pipeline {
	struct stream a, b;
	struct aead_op *const *next, *const *end;
	struct aead_op *idle;
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
	ghash_multiply(p, v, load_2(power), load_2(SUM(power)));
}

/* length_block - the last one; zero for a packet that does not end yet. */
VAES_INLINE __m128i length_block(const struct stream *s)
{
	if (!s->ends)
		return _mm_setzero_si128();
	return _mm_set_epi64x(8LL * s->before->aad_len, 8LL * s->before->len);
}

/* hash_both - of a in the low lane, of b in the high one: from here on both go together. */
VAES_INLINE __m256i hash_both(const struct stream *a, const struct stream *b,
			      const struct product *pa, const struct product *pb)
{
	const __m128i *ha = &a->before->key->power[VAES_CHUNK];
	const __m128i *hb = &b->before->key->power[VAES_CHUNK];
	struct product p = products_joined(pa, pb);

	if (a->ends || b->ends)
		ghash_multiply(&p, pair(length_block(a), length_block(b)), pair(*ha, *hb),
			       pair(*SUM(ha), *SUM(hb)));
	return ghash_reduce(&p);
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

VAES_INLINE void take(struct stream *s, struct pipeline *p)
{
	stream_begin(s, p->next == p->end ? p->idle : *p->next++);
}

VAES_INLINE void advance(struct stream *s, struct pipeline *p)
{
	if (s->ends)
		take(s, p);
	else
		stream_go_on(s);
}

/* step - one chunk of each stream through the cipher, and the chunk before it through the hash;
 * none has more than w vectors. */
VAES_INLINE void step(struct pipeline *p, const unsigned w, const bool encrypts)
{
	struct stream *a = &p->a, *b = &p->b;
	const __m128i *ka = a->key->round, *kb = b->key->round;
	struct product pa = ghash_none(), pb = ghash_none();
	__m256i va[VECTORS], vb[VECTORS], hash;

#define HASH_A(i) ((i) < w ? hash_vector(&pa, a, i) : (void)0)
#define HASH_B(i) ((i) < w ? hash_vector(&pb, b, i) : (void)0)
	stream_counters(va, a, w);
	stream_counters(vb, b, w);
	INTERLEAVE(va, ka, vb, kb, w, p->rounds, HASH_A, HASH_B, hash = hash_both(a, b, &pa, &pb));
	settle(a, _mm256_castsi256_si128(hash), encrypts);
	settle(b, _mm256_extracti128_si256(hash, 1), encrypts);
	stream_crypt(a, va, w, encrypts);
	stream_crypt(b, vb, w, encrypts);
	advance(a, p);
	advance(b, p);
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

static void (*const steps[2][VECTORS])(struct pipeline *p) = {
	{decrypt_1, decrypt_2, decrypt_3, decrypt_4},
	{encrypt_1, encrypt_2, encrypt_3, encrypt_4},
};

/* ---- a batch --------------------------------------------------------------------------------- */

static size_t most(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* run - until one step was done for idle packets alone: it has hashed the last others. */
static void run(struct pipeline *p, bool encrypts)
{
	size_t len, hashed = 1;
	bool was_idle = false;

	while (!was_idle) {
		was_idle = p->a.op == p->idle && p->b.op == p->idle;
		len = most(p->a.len, p->b.len);
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

	p.a.before = p.b.before = &idle;
	p.a.power = p.b.power = idle.key->power;
	take(&p.a, &p);
	take(&p.b, &p);
	run(&p, encrypts);
	secret_wipe(&p, sizeof(p));
	secret_wipe(room, sizeof(room));
}
