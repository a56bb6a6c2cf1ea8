/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead_pair.h - batches of packets for the tests of the AEAD back ends, each packet twice: for a
 * back end and for the one that it is compared with. One thread.
 */
#pragma once

#include "base/rng.h"
#include "dataplane/crypto/aead.h"

#define PAIR_TEXT_MAX  2048
#define SLOT_GUARD     32
#define SLOT_FRONT_MAX (AEAD_HEAD_LEN + AEAD_IV_MAX)

/* struct slot - room for one packet: guard, up to 63 bytes of misalignment, header and IV, text,
 * ICV, guard. */
struct slot {
	uint8_t bytes[SLOT_GUARD + 64 + SLOT_FRONT_MAX + PAIR_TEXT_MAX + AEAD_ICV_MAX + SLOT_GUARD];
	const struct aead_shape *shape;
	uint8_t *text;
	uint32_t len;
};

/* SLOT_FRONT_LEN, SLOT_ICV_LEN - of a slot's packet: what is before the text, and behind it. */
#define SLOT_FRONT_LEN(slot) (AEAD_HEAD_LEN + (slot)->shape->iv_len)
#define SLOT_ICV_LEN(slot)   ((slot)->shape->icv_len)

/* struct pair - two batches of the same packets. */
struct pair {
	struct slot slots[AEAD_BATCH_MAX], others[AEAD_BATCH_MAX];
	struct aead_op ops[AEAD_BATCH_MAX], other_ops[AEAD_BATCH_MAX];
	uint8_t texts[AEAD_BATCH_MAX][PAIR_TEXT_MAX];
	struct rng_seeded rng;  /* the test begins it */
	struct aead_work *work; /* nothing is kept in it from one batch to the next */
};

/* pair - the program's. pair_iv_key - the secret of the IVs of pair_key(). */
extern struct pair pair;
extern const uint8_t pair_iv_key[AEAD_IV_KEY_LEN];

/* pair_random, pair_below - from its source: bytes, a number below n. */
void pair_random(void *out, size_t len) NONNULL(1);
uint32_t pair_below(uint32_t n);

/* pair_same - two times the same bytes. */
static inline bool pair_same(const void *a, const void *b, size_t len)
{
	return memcmp(a, b, len) == 0;
}

/* pair_key - a key of alg, of as many bytes at `key` as that has; it is there. */
struct aead_key *pair_key(const struct aead_backend *be, enum aead_alg alg, const uint8_t *key)
	NONNULL(1, 3);

/* pair_alg_of - the i-th algorithm of those that be has, over and over. */
enum aead_alg pair_alg_of(const struct aead_backend *be, unsigned i) NONNULL(1);

/* pair_fitting - a text that alg can have: whole blocks, of a block cipher at least one. */
uint32_t pair_fitting(enum aead_alg alg, uint32_t len);

/* pair_set - packet i of the next batch: the same text, nonce and AAD for both back ends. */
void pair_set(uint32_t i, enum aead_alg alg, uint32_t len, size_t aad_len,
	      const struct aead_key *key, const struct aead_key *ref_key);

/* pair_encrypted - a batch of n encrypted packets of one key. */
void pair_encrypted(const struct aead_backend *be, enum aead_alg alg, const struct aead_key *key,
		    uint32_t n, size_t aad_len) NONNULL(1, 3);

/* slot_fill - len bytes of plain text, everything around them filled with 0xa5. */
void slot_fill(struct slot *s, enum aead_alg alg, const uint8_t *text, uint32_t len, uint32_t shift)
	NONNULL(1);

/* slot_op - the operation on it: header and IV come from aad and nonce, as out_prepare() makes
 * them. */
struct aead_op slot_op(struct slot *s, const struct aead_key *key, const uint8_t *nonce,
		       const uint8_t *aad, size_t aad_len) NONNULL(1, 3, 4);
