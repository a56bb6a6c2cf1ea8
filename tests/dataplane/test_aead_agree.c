/* SPDX-License-Identifier: Apache-2.0 */
/* One AEAD back end against the other: every length, texts longer than a packet, the edge of
 * memory, and batches of everything. */
#include "dataplane/crypto/backends.h"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/dataplane/aead_pair.h"
#include "tests/tap/tap.h"

static bool slot_guards_hold(const struct slot *s)
{
	const uint8_t *begin = s->text - SLOT_FRONT_LEN(s),
		      *end = s->text + s->len + SLOT_ICV_LEN(s);

	for (const uint8_t *p = s->bytes; p < s->bytes + sizeof(s->bytes); p++)
		if ((p < begin || p >= end) && *p != 0xa5)
			return false;
	return true;
}

static const struct aead_backend *reference(void)
{
	return &aead_openssl;
}

/* n packets, encrypted by be and by the reference, must agree; the reference decrypts what be made
 * and be what the reference made. */
static void check_batch(const struct aead_backend *be, uint32_t n)
{
	const struct aead_backend *ref = reference();

	be->encrypt(pair.work, pair.ops, n);
	ref->encrypt(pair.work, pair.other_ops, n);
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT(pair.ops[i].ok && pair.other_ops[i].ok);
		CU_ASSERT(pair_same(pair.slots[i].text - SLOT_FRONT_LEN(&pair.slots[i]),
				    pair.others[i].text - SLOT_FRONT_LEN(&pair.others[i]),
				    SLOT_FRONT_LEN(&pair.slots[i]) + pair.slots[i].len +
					    SLOT_ICV_LEN(&pair.slots[i])));
		pair.ops[i].ok = pair.other_ops[i].ok = false;
	}
	be->decrypt(pair.work, pair.ops, n);
	ref->decrypt(pair.work, pair.other_ops, n);
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT(pair.ops[i].ok && pair.other_ops[i].ok);
		CU_ASSERT(pair_same(pair.slots[i].text, pair.texts[i], pair.slots[i].len));
		CU_ASSERT(pair_same(pair.others[i].text, pair.texts[i], pair.slots[i].len));
		CU_ASSERT(slot_guards_hold(&pair.slots[i]) && slot_guards_hold(&pair.others[i]));
	}
}

static void every_length(const struct aead_backend *be, enum aead_alg alg, size_t aad_len)
{
	const uint32_t step = aead_shape(alg)->secret_iv ? AEAD_ALIGN_MAX : 1;
	uint8_t key[AEAD_KEY_MAX];
	struct aead_key *k, *ref_k;

	pair_random(key, sizeof(key));
	k = pair_key(be, alg, key);
	ref_k = pair_key(reference(), alg, key);
	for (uint32_t len = 0; len <= PAIR_TEXT_MAX;) {
		uint32_t n = 0;

		for (; n < AEAD_BATCH_MAX && len <= PAIR_TEXT_MAX; n++, len += step)
			pair_set(n, alg, len, aad_len, k, ref_k);
		check_batch(be, n);
	}
	be->key_free(k);
	reference()->key_free(ref_k);
}

static void test_every_length_agrees(void)
{
	rng_seeded_init(&pair.rng, 1);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
			if (!(*be)->supports(alg))
				continue;
			every_length(*be, alg, 8);
			every_length(*be, alg, 12);
		}
	}
}

/* ---- texts longer than the slots ------------------------------------------------------------ */

#define LONG_TEXT_MAX 65408 /* a datagram has no room for more */

/* The counter begins with 2: its last byte overflows behind 254 blocks. */
static const uint32_t long_lens[] = {254 * 16 - 1, 254 * 16, 254 * 16 + 1, 255 * 16 + 1,
				     9000,         510 * 16, LONG_TEXT_MAX};

static struct aead_op long_op(uint8_t *room, enum aead_alg alg, uint32_t len,
			      const struct aead_key *key)
{
	static const uint8_t nonce[AEAD_NONCE_LEN] = {1}, aad[AEAD_AAD_MAX] = {2};
	struct slot s = {.shape = aead_shape(alg), .text = room + SLOT_FRONT_MAX, .len = len};

	for (uint32_t i = 0; i < len; i++)
		s.text[i] = (uint8_t)(i * 251 + i / 256);
	return slot_op(&s, key, nonce, aad, 12);
}

static void long_texts(const struct aead_backend *be, enum aead_alg alg, uint8_t *room,
		       uint8_t *other_room)
{
	static const uint8_t key[AEAD_KEY_MAX] = {9};
	struct aead_key *k = pair_key(be, alg, key), *ref_k = pair_key(reference(), alg, key);

	for (size_t i = 0; i < ARRAY_LEN(long_lens); i++) {
		const uint32_t len = pair_fitting(alg, long_lens[i]);
		struct aead_op op = long_op(room, alg, len, k);
		struct aead_op other = long_op(other_room, alg, len, ref_k);

		be->encrypt(pair.work, &op, 1);
		reference()->encrypt(pair.work, &other, 1);
		CU_ASSERT(op.ok && pair_same(op.text, other.text, len + aead_shape(alg)->icv_len));
		be->decrypt(pair.work, &op, 1);
		other = long_op(other_room, alg, len, ref_k);
		CU_ASSERT(op.ok && pair_same(op.text, other.text, len));
	}
	be->key_free(k);
	reference()->key_free(ref_k);
}

static void test_long_texts_agree(void)
{
	static uint8_t rooms[2][SLOT_FRONT_MAX + LONG_TEXT_MAX + AEAD_ICV_MAX];

	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			if ((*be)->supports(alg))
				long_texts(*be, alg, rooms[0], rooms[1]);
}

/* ---- the edge of memory --------------------------------------------------------------------- */

/* A packet that ends, or begins, where memory does: nothing beyond it may be touched. */
static void at_the_edge(const struct aead_backend *be, enum aead_alg alg, uint8_t *page,
			size_t page_len)
{
	static const uint8_t key[AEAD_KEY_MAX] = {9}, nonce[AEAD_NONCE_LEN] = {1};
	struct slot s = {.shape = aead_shape(alg)};
	struct aead_key *k = pair_key(be, alg, key);

	for (uint32_t i = 0; i <= 2 * 160; i++) {
		struct aead_op op;

		s.len = pair_fitting(alg, i / 2);
		s.text = i % 2 ? page + SLOT_FRONT_LEN(&s)
			       : page + page_len - SLOT_ICV_LEN(&s) - s.len;
		op = slot_op(&s, k, nonce, nonce, 8);
		be->encrypt(pair.work, &op, 1);
		be->decrypt(pair.work, &op, 1);
		CU_ASSERT(op.ok);
	}
	be->key_free(k);
}

static void test_nothing_beyond_the_packet_is_touched(void)
{
	const size_t len = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages = mmap(NULL, 3 * len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(pages != MAP_FAILED);
	CU_ASSERT_FATAL(mprotect(pages + len, len, PROT_READ | PROT_WRITE) == 0);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			if ((*be)->supports(alg))
				at_the_edge(*be, alg, pages + len, len);
	munmap(pages, 3 * len);
}

/* ---- batches of everything ------------------------------------------------------------------ */

#define NUM_KEYS (2 * (AEAD_NUM - 1))

/* Batches of any size in which neighbours have other keys, key lengths, lengths and AAD forms. */
static void random_batches(const struct aead_backend *be, unsigned rounds)
{
	struct aead_key *keys[NUM_KEYS], *ref_keys[NUM_KEYS];
	enum aead_alg algs[NUM_KEYS];
	uint8_t key[AEAD_KEY_MAX];

	for (unsigned k = 0; k < NUM_KEYS; k++) {
		algs[k] = pair_alg_of(be, k);
		pair_random(key, sizeof(key));
		keys[k] = pair_key(be, algs[k], key);
		ref_keys[k] = pair_key(reference(), algs[k], key);
	}
	for (unsigned round = 0; round < rounds; round++) {
		uint32_t n = 1 + round % AEAD_BATCH_MAX;

		for (uint32_t i = 0; i < n; i++) {
			uint32_t k = pair_below(NUM_KEYS);

			pair_set(i, algs[k], pair_below(PAIR_TEXT_MAX + 1), pair_below(2) ? 8 : 12,
				 keys[k], ref_keys[k]);
		}
		check_batch(be, n);
	}
	for (unsigned k = 0; k < NUM_KEYS; k++) {
		be->key_free(keys[k]);
		reference()->key_free(ref_keys[k]);
	}
}

static void test_random_batches_agree(void)
{
	rng_seeded_init(&pair.rng, 2);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		if (pair_alg_of(*be, 0) != AEAD_NONE)
			random_batches(*be, 2 * AEAD_BATCH_MAX);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_every_length_agrees),
	TAP_TEST(test_long_texts_agree),
	TAP_TEST(test_nothing_beyond_the_packet_is_touched),
	TAP_TEST(test_random_batches_agree),
};

TAP_MAIN("dataplane/aead_agree", tests)
