/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vaes.h - what the files of the vaes back end share: vaes.c (the back end), vaes_key.c (key
 * schedules), vaes_gcm.c and vaes_whole.c (the kernels, for packets of any length and for small
 * ones). Not for other rooms. Thread: as aead.h says.
 */
#pragma once

#include "base/secret.h"
#include "dataplane/crypto/backends.h"

#include <immintrin.h>

/* VAES - of a function that uses these instructions; called only if supports() says so. */
#define VAES __attribute__((target("avx2,aes,pclmul,vaes,vpclmulqdq")))

/* VAES_INLINE - and is a piece of the kernel. */
#define VAES_INLINE static inline __attribute__((always_inline)) VAES

/* VAES_CHUNK - blocks of one packet that go through the kernel at a time. */
#define VAES_CHUNK 20

/* VAES_FRONT - bytes in front of a text that go through the kernel with it: vaes_block.h says why.
 * VAES_VECTOR - bytes of a vector. VAES_WHOLE_VECTORS - that a small packet has at most. */
#define VAES_FRONT         16
#define VAES_VECTOR        32
#define VAES_WHOLE_VECTORS 4

/* VAES_POWERS - of H that are kept: H^(CHUNK + 1) first, H last. */
#define VAES_POWERS (VAES_CHUNK + 1)

/* struct aead_key - in its own memory, which is in the key arena. power: see vaes_ghash.h. Blocks
 * of a chunk that are not there are zero, and it does not matter what they are multiplied with: it
 * is what lies behind the last power, the round keys and `behind`. */
struct aead_key {
	struct secret memory;
	__m128i power[VAES_POWERS];
	__m128i round[15];
	__m128i behind[2]; /* zero */
	uint32_t rounds;   /* 10 or 14; 0 in a forked child, where all of this is zero */
};
static_assert(offsetof(struct aead_key, power) + sizeof(__m128i) * (2 * VAES_CHUNK - 1) <=
		      sizeof(struct aead_key),
	      "a chunk of them from the powers of one block on");

/* vaes_key_expand - the key schedule of AES and the powers of H; key_len: 16 or 32. */
void vaes_key_expand(struct aead_key *k, const uint8_t *key, size_t key_len) NONNULL(1, 2);

/* vaes_gcm_long, vaes_gcm_whole - seal or open n operations, 1 to AEAD_BATCH_MAX, whose keys have
 * the same number of rounds; sets ok. _long: of any length. _whole: each, together with VAES_FRONT
 * bytes in front, takes so many vectors, 1 to VAES_WHOLE_VECTORS. */
void vaes_gcm_long(struct aead_op *const *ops, uint32_t n, bool encrypts) NONNULL(1);
void vaes_gcm_whole(struct aead_op *const *ops, uint32_t n, uint32_t vectors, bool encrypts)
	NONNULL(1);
