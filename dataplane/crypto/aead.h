/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead.h - AEAD over batches. A back end takes the whole batch, with a key pointer per operation,
 * so that packets of different SAs go together and a back end can interleave them. Chosen per SA
 * at install time. AES-GCM (RFC 4106) and ChaCha20-Poly1305 (RFC 7634), with 8-byte IV and 16-byte
 * ICV: the nonce is salt (4) || IV (8); the AAD is SPI || sequence number, 8 bytes, or 12 with ESN.
 *
 * Thread: any worker for its own batches; keys are read-only after aead_key_new(), except that one
 * key is used by one worker at a time.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* enum aead_alg - algorithms; numbers are internal, outside any wire range. */
enum aead_alg {
	AEAD_NONE,
	AEAD_AES_GCM_16_128, /* RFC 4106, 128-bit key, 16-byte ICV */
	AEAD_AES_GCM_16_256,
	AEAD_CHACHA20_POLY1305, /* RFC 7634, 256-bit key, 16-byte ICV */
	AEAD_NUM
};

#define AEAD_ICV_LEN   16
#define AEAD_NONCE_LEN 12
#define AEAD_AAD_MAX   12

/* AEAD_BATCH_MAX - operations in one call at most. */
#define AEAD_BATCH_MAX 64

struct aead_key; /* a back end's expanded key; lives in secret memory */

/*
 * struct aead_op - one packet. Encrypt: len bytes at text are replaced by ciphertext and the ICV
 * is written to icv. Decrypt: text is replaced by plain text and ok tells whether the ICV at icv
 * was right (constant time); if not, text is unspecified and must not be used.
 */
struct aead_op {
	const struct aead_key *key;
	uint8_t *text;
	uint8_t *icv;
	uint32_t len;
	uint8_t aad_len; /* 8 or 12 */
	bool ok;         /* decrypt: result; encrypt: false if the back end failed */
	uint8_t nonce[AEAD_NONCE_LEN];
	uint8_t aad[AEAD_AAD_MAX];
};

/* struct aead_backend - one implementation. */
struct aead_backend {
	const char *name; /* "openssl", "ipsec-mb", "libsodium" */
	bool (*supports)(enum aead_alg alg);
	/* key_new - expand key_len bytes (16 or 32, without the salt). Errors: NOMEM, UNSUPPORTED,
	 * CRYPTO, INVAL. */
	enum err (*key_new)(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			    size_t key_len);
	/* key_free - wipe and free; NULL is accepted. */
	void (*key_free)(struct aead_key *key);
	/* encrypt, decrypt - n <= AEAD_BATCH_MAX operations; no allocation, lock or system call. */
	void (*encrypt)(struct aead_op *ops, uint32_t n);
	void (*decrypt)(struct aead_op *ops, uint32_t n);
};

/* aead_select - the fastest back end for alg that passed its start-up self-test, or the one called
 * `name` if it is not NULL. The tests run once per process, at the first call. Errors: UNSUPPORTED,
 * NOT_FOUND (no back end of that name), CRYPTO (it failed its self-test). Control thread. */
MUST_USE enum err aead_select(const struct aead_backend **out, enum aead_alg alg, const char *name)
	NONNULL(1);

/* aead_alg_key_len - bytes of key without the salt (RFC 4106 8.1, RFC 7634 2); 0 if alg is none of
 * ours. */
size_t aead_alg_key_len(enum aead_alg alg);

/* aead_alg_name - as proposals call it: "aes128gcm16", "chacha20poly1305"; "none" if it is none of
 * ours. */
const char *aead_alg_name(enum aead_alg alg);

/* aead_backends - all that were built in, NULL-terminated, fastest first; for tests and benches. */
const struct aead_backend *const *aead_backends(void);

/* aead_self_test - known answers (encrypt, decrypt, wrong tag in each position of a batch) for one
 * back end and algorithm. Errors: CRYPTO. */
MUST_USE enum err aead_self_test(const struct aead_backend *be, enum aead_alg alg) NONNULL(1);
