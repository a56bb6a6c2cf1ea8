/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dataplane/aead_pair.h"

#include <stdlib.h>

#include "tests/tap/tap.h"

struct pair pair;
const uint8_t pair_iv_key[AEAD_IV_KEY_LEN] = {7, 7, 7};

__attribute__((constructor)) static void open_work(void)
{
	if (aead_work_new(&pair.work) != ERR_OK)
		abort();
}

__attribute__((destructor)) static void close_work(void)
{
	aead_work_free(pair.work);
}

void pair_random(void *out, size_t len)
{
	CU_ASSERT_FATAL(rng_fill(&pair.rng.rng, out, len) == ERR_OK);
}

uint32_t pair_below(uint32_t n)
{
	uint32_t v;

	pair_random(&v, sizeof(v));
	return v % n;
}

struct aead_key *pair_key(const struct aead_backend *be, enum aead_alg alg, const uint8_t *key)
{
	struct aead_key *k = NULL;

	CU_ASSERT_FATAL(be->key_new(&k, alg, key, aead_alg_key_len(alg), pair_iv_key) == ERR_OK);
	return k;
}

void slot_fill(struct slot *s, enum aead_alg alg, const uint8_t *text, uint32_t len, uint32_t shift)
{
	memset(s->bytes, 0xa5, sizeof(s->bytes));
	s->shape = aead_shape(alg);
	s->text = s->bytes + SLOT_GUARD + SLOT_FRONT_MAX + shift;
	s->len = len;
	if (len > 0)
		memcpy(s->text, text, len);
}

struct aead_op slot_op(struct slot *s, const struct aead_key *key, const uint8_t *nonce,
		       const uint8_t *aad, size_t aad_len)
{
	uint8_t *head = s->text - SLOT_FRONT_LEN(s), iv[AEAD_IV_MAX] = {0};
	struct aead_op op = {
		.key = key,
		.text = s->text,
		.icv = s->text + s->len,
		.len = s->len,
		.aad_len = (uint8_t)aad_len,
	};

	memcpy(iv + 8, nonce + AEAD_SALT_LEN, 8);
	memcpy(s->text - s->shape->iv_len, iv + AEAD_IV_MAX - s->shape->iv_len, s->shape->iv_len);
	memcpy(op.nonce, nonce, sizeof(op.nonce));
	memcpy(op.aad, aad, aad_len);
	memcpy(head, aad, 4);
	memcpy(head + 4, aad + aad_len - 4, 4);
	return op;
}

uint32_t pair_fitting(enum aead_alg alg, uint32_t len)
{
	const uint32_t align = aead_shape(alg)->align;

	if (!aead_shape(alg)->secret_iv)
		return len;
	return len < align ? align : len - len % align;
}

void pair_set(uint32_t i, enum aead_alg alg, uint32_t len, size_t aad_len,
	      const struct aead_key *key, const struct aead_key *ref_key)
{
	uint8_t nonce[AEAD_NONCE_LEN], aad[AEAD_AAD_MAX], *text = pair.texts[i];

	pair_random(text, PAIR_TEXT_MAX);
	pair_random(nonce, sizeof(nonce));
	pair_random(aad, sizeof(aad));
	len = pair_fitting(alg, len);
	slot_fill(&pair.slots[i], alg, text, len, pair_below(64));
	slot_fill(&pair.others[i], alg, text, len, pair_below(64));
	pair.ops[i] = slot_op(&pair.slots[i], key, nonce, aad, aad_len);
	pair.other_ops[i] = slot_op(&pair.others[i], ref_key, nonce, aad, aad_len);
}

enum aead_alg pair_alg_of(const struct aead_backend *be, unsigned i)
{
	enum aead_alg algs[AEAD_NUM];
	unsigned num = 0;

	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
		if (be->supports(alg))
			algs[num++] = alg;
	return num ? algs[i % num] : AEAD_NONE;
}

void pair_encrypted(const struct aead_backend *be, enum aead_alg alg, const struct aead_key *key,
		    uint32_t n, size_t aad_len)
{
	for (uint32_t i = 0; i < n; i++)
		pair_set(i, alg, 20 + 13 * i, aad_len, key, NULL);
	be->encrypt(pair.work, pair.ops, n);
}
