/* SPDX-License-Identifier: Apache-2.0 */
/* What an AEAD back end refuses: wrong bits, keys that are none, packets without a secret for their
 * IVs; and the shapes of the algorithms. */
#include "dataplane/crypto/backends.h"

#include "tests/dataplane/aead_pair.h"
#include "tests/tap/tap.h"

/* ---- wrong input ---------------------------------------------------------------------------- */

/* Decrypts a copy of the batch, one bit of where (in packet bad's op or slot; NULL: no bit) turned
 * over. */
static void check_only_bad(const struct aead_backend *be, uint32_t n, uint32_t bad, uint8_t *where,
			   unsigned bit)
{
	static struct slot saved[AEAD_BATCH_MAX];

	memcpy(saved, pair.slots, sizeof(pair.slots));
	if (where)
		*where ^= (uint8_t)(1U << bit);
	be->decrypt(pair.work, pair.ops, n);
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT(pair.ops[i].ok == (i != bad));
		CU_ASSERT(i == bad ||
			  pair_same(pair.slots[i].text, pair.texts[i], pair.slots[i].len));
	}
	memcpy(pair.slots, saved, sizeof(pair.slots));
	if (where &&
	    (where < (uint8_t *)pair.slots || where >= (uint8_t *)pair.slots + sizeof(pair.slots)))
		*where ^= (uint8_t)(1U << bit);
}

/* One bit of something that is authenticated, in packet bad. Header and IV count where they lie in
 * the packet, or in nonce and AAD; the high half of an extended number always counts. */
static void wrong_in(const struct aead_backend *be, uint32_t n, uint32_t bad, size_t aad_len)
{
	const struct slot *s = &pair.slots[bad];
	struct aead_op *op = &pair.ops[bad];
	const bool in_place = s->shape->kind == AEAD_KIND_HMAC;
	const unsigned bit = pair_below(8);

	check_only_bad(be, n, bad, &op->icv[pair_below(SLOT_ICV_LEN(s))], bit);
	check_only_bad(be, n, bad, &op->text[pair_below(op->len)], bit);
	if (in_place)
		check_only_bad(be, n, bad, op->text - 1 - pair_below(SLOT_FRONT_LEN(s)), bit);
	else
		check_only_bad(be, n, bad, &op->nonce[pair_below(AEAD_NONCE_LEN)], bit);
	if (s->shape->kind == AEAD_KIND_GMAC)
		check_only_bad(be, n, bad, op->text - 1 - pair_below(8), bit);
	if (!in_place)
		check_only_bad(be, n, bad, &op->aad[pair_below((uint32_t)aad_len)], bit);
	else if (aad_len == 12)
		check_only_bad(be, n, bad, &op->aad[4 + pair_below(4)], bit);
}

static void wrong_anywhere(const struct aead_backend *be, enum aead_alg alg, size_t aad_len)
{
	const uint32_t n = AEAD_BATCH_MAX;
	uint8_t key[AEAD_KEY_MAX];
	struct aead_key *k;

	pair_random(key, sizeof(key));
	k = pair_key(be, alg, key);
	pair_encrypted(be, alg, k, n, aad_len);
	check_only_bad(be, n, n, NULL, 0);
	for (uint32_t bad = 0; bad < n; bad++)
		wrong_in(be, n, bad, aad_len);
	for (unsigned bit = 0; bit < 8U * aead_shape(alg)->icv_len; bit++)
		check_only_bad(be, 4, 2, &pair.ops[2].icv[bit / 8], bit % 8);
	be->key_free(k);
}

static void test_wrong_bit_is_found_where_it_is(void)
{
	rng_seeded_init(&pair.rng, 3);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
			if (!(*be)->supports(alg))
				continue;
			wrong_anywhere(*be, alg, 8);
			wrong_anywhere(*be, alg, 12);
		}
	}
}

/* ---- keys and shapes ------------------------------------------------------------------------ */

/* Which algorithms a back end has; vaes has its on some processors and none on others. */
static void check_algorithms(const struct aead_backend *be)
{
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		const bool has = be->supports(alg), implicit = alg >= AEAD_AES_GCM_16_IIV_128;
		const bool sodium = alg == AEAD_CHACHA20_POLY1305 || alg == AEAD_NULL_SHA2_256 ||
				    alg == AEAD_NULL_SHA2_512 || alg == AEAD_CHACHA20_POLY1305_IIV;

		if (be == &aead_sodium) {
			CU_ASSERT(has == sodium);
		} else if (strcmp(be->name, "vaes") == 0) {
			CU_ASSERT(!has || (aead_shape(alg)->kind == AEAD_KIND_GCM && !implicit));
		} else {
			CU_ASSERT(has);
		}
	}
}

static void test_key_arguments(void)
{
	static const uint8_t key[128];
	struct aead_key *k = NULL;

	for (const struct aead_backend *const *p = aead_backends(); *p; p++) {
		const struct aead_backend *be = *p;

		check_algorithms(be);
		CU_ASSERT(!be->supports(AEAD_NONE) && !be->supports(AEAD_NUM));
		CU_ASSERT(be->key_new(&k, AEAD_NONE, key, 16, pair_iv_key) == ERR_UNSUPPORTED);
		CU_ASSERT(be->key_new(&k, AEAD_NUM, key, 16, pair_iv_key) == ERR_UNSUPPORTED);
		for (size_t len = 0; len <= sizeof(key); len++) {
			for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
				enum err want = !be->supports(alg) ? ERR_UNSUPPORTED : ERR_INVAL;

				if (want == ERR_INVAL && len == aead_alg_key_len(alg))
					continue;
				CU_ASSERT(be->key_new(&k, alg, key, len, pair_iv_key) == want);
			}
		}
		CU_ASSERT(k == NULL);
		be->key_free(NULL);
	}
}

static void test_shapes(void)
{
	const struct aead_shape *none = aead_shape(AEAD_NONE);

	CU_ASSERT(aead_shape(AEAD_NUM) == none && aead_shape((enum aead_alg) - 1) == none);
	CU_ASSERT(strcmp(none->name, "none") == 0 && aead_alg_material_len(AEAD_NUM) == 0);
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		const struct aead_shape *s = aead_shape(alg);
		const bool hmac = s->kind == AEAD_KIND_HMAC;
		const bool implicit = alg >= AEAD_AES_GCM_16_IIV_128;

		CU_ASSERT(s->name && strcmp(s->name, "none") != 0);
		CU_ASSERT(aead_alg_key_len(alg) > 0 && aead_alg_key_len(alg) <= AEAD_KEY_MAX);
		CU_ASSERT(hmac ? s->icv_len * 2 == s->auth_len : s->icv_len == AEAD_TAG_LEN);
		CU_ASSERT(s->icv_len <= AEAD_ICV_MAX && s->align <= AEAD_ALIGN_MAX);
		CU_ASSERT((s->align & (s->align - 1)) == 0 && s->align >= 4);
		CU_ASSERT(s->salt_len == (hmac ? 0 : AEAD_SALT_LEN));
		CU_ASSERT(s->iv_len == (s->secret_iv ? 16 : hmac || implicit ? 0 : 8));
	}
}

/* ---- unpredictable IVs ---------------------------------------------------------------------- */

/* With successive sequence numbers, as an SA has them. */
static void send_three(const struct aead_backend *be, enum aead_alg alg, struct aead_key *k)
{
	static const uint8_t text[32], aad[8] = {1};
	uint8_t nonce[AEAD_NONCE_LEN] = {0};

	for (uint32_t i = 0; i < 3; i++) {
		store_be64(nonce + AEAD_SALT_LEN, i + 1);
		slot_fill(&pair.slots[i], alg, text, sizeof(text), 0);
		pair.ops[i] = slot_op(&pair.slots[i], k, nonce, aad, sizeof(aad));
	}
	be->encrypt(pair.work, pair.ops, 3);
}

/* The IV is what AES makes of the number under the SA's secret, and another one's under another. */
static void test_S53_secret_ivs(void)
{
	static const uint8_t key[AEAD_KEY_MAX], other_iv_key[AEAD_IV_KEY_LEN] = {8};
	uint8_t ivs[3][AEAD_IV_MAX];

	for (const struct aead_backend *const *p = aead_backends(); *p; p++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
			struct aead_key *k = NULL;

			if (!(*p)->supports(alg) || !aead_shape(alg)->secret_iv)
				continue;
			k = pair_key(*p, alg, key);
			send_three(*p, alg, k);
			for (unsigned i = 0; i < 3; i++)
				memcpy(ivs[i], pair.slots[i].text - AEAD_IV_MAX, AEAD_IV_MAX);
			CU_ASSERT(pair.ops[0].ok && !pair_same(ivs[0], ivs[1], AEAD_IV_MAX - 1));
			CU_ASSERT(!pair_same(ivs[1], ivs[2], AEAD_IV_MAX - 1));
			(*p)->key_free(k);
			CU_ASSERT_FATAL((*p)->key_new(&k, alg, key, aead_alg_key_len(alg),
						      other_iv_key) == ERR_OK);
			send_three(*p, alg, k);
			CU_ASSERT(
				!pair_same(ivs[1], pair.slots[1].text - AEAD_IV_MAX, AEAD_IV_MAX));
			(*p)->key_free(k);
		}
	}
}

/* A key without that secret is one to receive with. */
static void test_S53_no_secret_no_packet(void)
{
	static const uint8_t key[AEAD_KEY_MAX];

	for (const struct aead_backend *const *p = aead_backends(); *p; p++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
			struct aead_key *k = NULL;

			if (!(*p)->supports(alg))
				continue;
			CU_ASSERT_FATAL((*p)->key_new(&k, alg, key, aead_alg_key_len(alg), NULL) ==
					ERR_OK);
			send_three(*p, alg, k);
			for (unsigned i = 0; i < 3; i++)
				CU_ASSERT(pair.ops[i].ok == !aead_shape(alg)->secret_iv);
			(*p)->key_free(k);
		}
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_wrong_bit_is_found_where_it_is),
	TAP_TEST(test_key_arguments),
	TAP_TEST(test_shapes),
	TAP_TEST(test_S53_secret_ivs),
	TAP_TEST(test_S53_no_secret_no_packet),
};

TAP_MAIN("dataplane/aead", tests)
