/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start-up self-test. A full batch is filled with the known answers by turns, so that each
 * position sees every length that the table has over the rounds; then the batch is decrypted once
 * for each position with one bit of that position's ICV turned over.
 */
#include "dataplane/crypto/aead.h"

#include "base/alloc.h"
#include "dataplane/crypto/backends.h"
#include "dataplane/crypto/kat.h"

#define KATS_MAX 16

/* struct bench - the batch under test; too long for the stack of an embedder's thread. */
struct bench {
	const struct aead_backend *be;
	size_t num_kats;
	struct aead_kat_bytes kats[KATS_MAX];
	struct aead_key *keys[KATS_MAX];
	struct aead_op ops[AEAD_BATCH_MAX];
	uint8_t bufs[AEAD_BATCH_MAX][AEAD_KAT_TEXT_MAX + AEAD_ICV_LEN];
};

static size_t kat_at(const struct bench *b, size_t pos)
{
	return pos % b->num_kats;
}

static enum err bench_fill(struct bench *b, enum aead_alg alg)
{
	size_t num;
	const struct aead_kat *kats = aead_kats(&num);
	enum err e = ERR_OK;

	for (size_t i = 0; i < num && e == ERR_OK; i++) {
		if (kats[i].alg != alg)
			continue;
		if (b->num_kats == KATS_MAX)
			return ERR_LIMIT;
		e = aead_kat_decode(&b->kats[b->num_kats], &kats[i]);
		if (e == ERR_OK)
			e = b->be->key_new(&b->keys[b->num_kats], alg, b->kats[b->num_kats].key,
					   b->kats[b->num_kats].key_len);
		if (e == ERR_OK)
			b->num_kats++;
	}
	return e == ERR_OK && b->num_kats == 0 ? ERR_UNSUPPORTED : e;
}

/* The op at pos over its buffer, which receives len bytes of from and, to decrypt, the ICV. */
static void set_op(struct bench *b, size_t pos, const uint8_t *from, size_t len)
{
	const struct aead_kat_bytes *kat = &b->kats[kat_at(b, pos)];
	struct aead_op *op = &b->ops[pos];

	memset(b->bufs[pos], 0, sizeof(b->bufs[pos]));
	memcpy(b->bufs[pos], from, len);
	*op = (struct aead_op){
		.key = b->keys[kat_at(b, pos)],
		.text = b->bufs[pos],
		.icv = b->bufs[pos] + kat->text_len,
		.len = (uint32_t)kat->text_len,
		.aad_len = (uint8_t)kat->aad_len,
	};
	memcpy(op->nonce, kat->nonce, sizeof(op->nonce));
	memcpy(op->aad, kat->aad, kat->aad_len);
}

static bool holds(const struct bench *b, size_t pos, const uint8_t *want, size_t len)
{
	return bytes_equal(bytes_of(b->bufs[pos], len), bytes_of(want, len));
}

static bool encrypts_right(struct bench *b, uint32_t n)
{
	for (size_t i = 0; i < n; i++)
		set_op(b, i, b->kats[kat_at(b, i)].text, b->kats[kat_at(b, i)].text_len);
	b->be->encrypt(b->ops, n);
	for (size_t i = 0; i < n; i++) {
		const struct aead_kat_bytes *kat = &b->kats[kat_at(b, i)];

		if (!b->ops[i].ok || !holds(b, i, kat->out, kat->text_len + AEAD_ICV_LEN))
			return false;
	}
	return true;
}

/* Decrypts a batch in which the ICV at position bad is wrong in one bit (n: none is). */
static bool decrypts_right(struct bench *b, uint32_t n, size_t bad)
{
	for (size_t i = 0; i < n; i++)
		set_op(b, i, b->kats[kat_at(b, i)].out,
		       b->kats[kat_at(b, i)].text_len + AEAD_ICV_LEN);
	if (bad < n)
		b->ops[bad].icv[bad * 5 % AEAD_ICV_LEN] ^= (uint8_t)(1U << bad % 8);
	b->be->decrypt(b->ops, n);
	for (size_t i = 0; i < n; i++) {
		const struct aead_kat_bytes *kat = &b->kats[kat_at(b, i)];

		if (b->ops[i].ok != (i != bad))
			return false;
		if (i != bad && !holds(b, i, kat->text, kat->text_len))
			return false;
	}
	return true;
}

static bool passes(struct bench *b)
{
	static const uint32_t sizes[] = {1, 3, 7, 17, AEAD_BATCH_MAX};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (!encrypts_right(b, sizes[i]) || !decrypts_right(b, sizes[i], sizes[i]))
			return false;
	for (size_t bad = 0; bad < AEAD_BATCH_MAX; bad++)
		if (!decrypts_right(b, AEAD_BATCH_MAX, bad))
			return false;
	return true;
}

enum err aead_self_test(const struct aead_backend *be, enum aead_alg alg)
{
	struct bench *b;
	enum err e;

	if (!be->supports(alg))
		return ERR_UNSUPPORTED;
	b = mem_alloc(sizeof(*b));
	if (!b)
		return ERR_NOMEM;
	b->be = be;
	e = bench_fill(b, alg);
	if (e == ERR_OK && !passes(b))
		e = ERR_CRYPTO;
	for (size_t i = 0; i < b->num_kats; i++)
		be->key_free(b->keys[i]);
	mem_free(b);
	return e;
}
