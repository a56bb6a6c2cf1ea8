/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start-up self-test. A full batch is filled with the known answers by turns, so that each
 * position sees every length that the table has over the rounds; then the batch is decrypted once
 * for each position with one bit of that position's ICV turned over. The published cases are short;
 * for long texts, and batches in which every length is another, OpenSSL's answers stand.
 */
#include "dataplane/crypto/aead.h"

#include "base/alloc.h"
#include "dataplane/crypto/backends.h"
#include "dataplane/crypto/kat.h"

#define KATS_MAX  16
#define LONG_NUM  17
#define LONG_STEP 96 /* bytes that each text is longer than the one before */
#define LONG_ROOM (AEAD_HEAD_LEN + AEAD_IV_MAX + LONG_NUM * LONG_STEP + AEAD_ICV_MAX)

/* struct bench - the batch under test; too long for the stack of an embedder's thread. */
struct bench {
	const struct aead_backend *be;
	size_t num_kats;
	struct aead_kat_bytes kats[KATS_MAX];
	struct aead_key *keys[KATS_MAX];
	struct aead_work *work;
	struct aead_op ops[AEAD_BATCH_MAX];
	uint8_t rooms[AEAD_BATCH_MAX][AEAD_KAT_ROOM];
	struct aead_key *reference;
	struct aead_op reference_ops[LONG_NUM];
	uint8_t longs[LONG_NUM][LONG_ROOM], reference_longs[LONG_NUM][LONG_ROOM];
};

static size_t kat_at(const struct bench *b, size_t pos)
{
	return pos % b->num_kats;
}

static enum err bench_fill(struct bench *b, enum aead_alg alg)
{
	const struct aead_kat *kat;
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && (kat = aead_kat(i)); i++) {
		if (kat->alg != alg)
			continue;
		if (b->num_kats == KATS_MAX)
			return ERR_LIMIT;
		e = aead_kat_decode(&b->kats[b->num_kats], kat);
		if (e == ERR_OK)
			e = b->be->key_new(&b->keys[b->num_kats], alg, b->kats[b->num_kats].key,
					   b->kats[b->num_kats].key_len, aead_kat_iv_key);
		if (e == ERR_OK)
			b->num_kats++;
	}
	return e == ERR_OK && b->num_kats == 0 ? ERR_UNSUPPORTED : e;
}

static void set_op(struct bench *b, size_t pos, bool encrypts)
{
	b->ops[pos] = aead_kat_place(b->rooms[pos], &b->kats[kat_at(b, pos)],
				     b->keys[kat_at(b, pos)], encrypts);
}

static bool holds(const uint8_t *p, const uint8_t *want, size_t len)
{
	return bytes_equal(bytes_of(p, len), bytes_of(want, len));
}

static bool encrypts_right(struct bench *b, uint32_t n)
{
	for (size_t i = 0; i < n; i++)
		set_op(b, i, true);
	b->be->encrypt(b->work, b->ops, n);
	for (size_t i = 0; i < n; i++) {
		const struct aead_kat_bytes *kat = &b->kats[kat_at(b, i)];
		const struct aead_op *op = &b->ops[i];

		if (!op->ok || !holds(op->text, kat->out, kat->text_len + kat->shape->icv_len) ||
		    !holds(op->text - kat->shape->iv_len, kat->iv, kat->shape->iv_len))
			return false;
	}
	return true;
}

/* Decrypts a batch in which the ICV at position bad is wrong in one bit (n: none is). */
static bool decrypts_right(struct bench *b, uint32_t n, size_t bad)
{
	for (size_t i = 0; i < n; i++)
		set_op(b, i, false);
	if (bad < n)
		b->ops[bad].icv[bad * 5 % b->kats[kat_at(b, bad)].shape->icv_len] ^=
			(uint8_t)(1U << bad % 8);
	b->be->decrypt(b->work, b->ops, n);
	for (size_t i = 0; i < n; i++) {
		const struct aead_kat_bytes *kat = &b->kats[kat_at(b, i)];

		if (b->ops[i].ok != (i != bad))
			return false;
		if (i != bad && !holds(b->ops[i].text, kat->text, kat->text_len))
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

/* ---- long texts ------------------------------------------------------------------------------ */

/* The i-th packet, the same in each room. Lengths are multiples of 16 for the block ciphers' sake,
 * and for the others' not. */
static struct aead_op long_op(uint8_t room[static LONG_ROOM], const struct aead_key *key,
			      const struct aead_shape *shape, uint32_t i)
{
	struct aead_op op = {
		.key = key,
		.text = room + AEAD_HEAD_LEN + AEAD_IV_MAX,
		.len = (i + 1) * LONG_STEP - (shape->align < 16 ? i : 0),
		.aad_len = i % 2 ? 8 : 12,
		.nonce = {(uint8_t)i, 1},
		.aad = {2, (uint8_t)i},
	};

	for (uint32_t k = 0; k < LONG_ROOM; k++)
		room[k] = (uint8_t)(k * 7 + i);
	op.icv = op.text + op.len;
	/* A packet says the same: a device reads it there. */
	memcpy(op.text - shape->iv_len - AEAD_HEAD_LEN, op.aad, 4);
	memcpy(op.text - shape->iv_len - 4, op.aad + op.aad_len - 4, 4);
	return op;
}

static void set_long_ops(struct bench *b)
{
	for (uint32_t i = 0; i < LONG_NUM; i++) {
		b->ops[i] = long_op(b->longs[i], b->keys[0], b->kats[0].shape, i);
		b->reference_ops[i] =
			long_op(b->reference_longs[i], b->reference, b->kats[0].shape, i);
	}
}

/* decrypts_longs - what it has just encrypted. */
static bool decrypts_longs(struct bench *b)
{
	b->be->decrypt(b->work, b->ops, LONG_NUM);
	for (uint32_t i = 0; i < LONG_NUM; i++) {
		const struct aead_op *op = &b->ops[i];

		(void)long_op(b->reference_longs[i], NULL, b->kats[0].shape, i);
		if (!op->ok || !holds(op->text, b->reference_ops[i].text, op->len))
			return false;
	}
	return true;
}

static bool agrees(struct bench *b)
{
	set_long_ops(b);
	b->be->encrypt(b->work, b->ops, LONG_NUM);
	aead_openssl.encrypt(b->work, b->reference_ops, LONG_NUM);
	for (uint32_t i = 0; i < LONG_NUM; i++)
		if (!b->ops[i].ok || !holds(b->longs[i], b->reference_longs[i], LONG_ROOM))
			return false;
	return decrypts_longs(b);
}

static enum err judge_longs(struct bench *b, enum aead_alg alg)
{
	enum err e = aead_openssl.key_new(&b->reference, alg, b->kats[0].key, b->kats[0].key_len,
					  aead_kat_iv_key);

	if (e != ERR_OK)
		return e;
	e = agrees(b) ? ERR_OK : ERR_CRYPTO;
	aead_openssl.key_free(b->reference);
	return e;
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
	e = aead_work_new(&b->work);
	if (e == ERR_OK)
		e = bench_fill(b, alg);
	if (e == ERR_OK && !passes(b))
		e = ERR_CRYPTO;
	if (e == ERR_OK && be != &aead_openssl)
		e = judge_longs(b, alg);
	for (size_t i = 0; i < b->num_kats; i++)
		be->key_free(b->keys[i]);
	aead_work_free(b->work);
	mem_free(b);
	return e;
}
