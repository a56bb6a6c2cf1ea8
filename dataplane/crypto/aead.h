/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead.h - what protects ESP packets, over batches. A back end takes the whole batch, with a key
 * pointer per operation, so that packets of different SAs go together and a back end can interleave
 * them. Chosen per SA at install time. Combined modes: AES-GCM (RFC 4106), ChaCha20-Poly1305 (RFC
 * 7634), both also with an IV that is not in the packet (RFC 8750), AES-GMAC, which encrypts
 * nothing (RFC 4543). Encrypt-then-MAC: AES-CBC (RFC 3602) or no
 * cipher (RFC 2410) with HMAC-SHA-2 (RFC 4868). What makes them differ on the wire is a row of
 * aead_shape(); the passes follow it and know no algorithm.
 *
 * Thread: any worker for its own batches; keys are read-only after key_new(), except that one key
 * is used by one worker at a time.
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
	AEAD_AES_CBC_128_SHA2_256,
	AEAD_AES_CBC_192_SHA2_256,
	AEAD_AES_CBC_256_SHA2_256,
	AEAD_AES_CBC_128_SHA2_384,
	AEAD_AES_CBC_192_SHA2_384,
	AEAD_AES_CBC_256_SHA2_384,
	AEAD_AES_CBC_128_SHA2_512,
	AEAD_AES_CBC_192_SHA2_512,
	AEAD_AES_CBC_256_SHA2_512,
	AEAD_NULL_SHA2_256,
	AEAD_NULL_SHA2_384,
	AEAD_NULL_SHA2_512,
	AEAD_AES_GMAC_128,
	AEAD_AES_GMAC_192,
	AEAD_AES_GMAC_256,
	AEAD_AES_GCM_16_IIV_128, /* RFC 8750: the sequence number is the IV */
	AEAD_AES_GCM_16_IIV_256,
	AEAD_CHACHA20_POLY1305_IIV,
	AEAD_NUM
};

/* enum aead_kind - how a packet is protected. */
enum aead_kind {
	AEAD_KIND_GCM,
	AEAD_KIND_CHACHA,
	AEAD_KIND_GMAC,
	AEAD_KIND_HMAC, /* encrypt-then-MAC, or a MAC alone */
};

#define AEAD_TAG_LEN    16 /* ICV of the combined modes */
#define AEAD_SALT_LEN   4  /* the part of their nonce that is not in the packet */
#define AEAD_NONCE_LEN  12
#define AEAD_AAD_MAX    12
#define AEAD_IV_KEY_LEN 16
#define AEAD_KEY_MAX    96 /* AES-256 and HMAC-SHA2-512 */
#define AEAD_IV_MAX     16
#define AEAD_ALIGN_MAX  16
#define AEAD_ICV_MAX    32
#define AEAD_HEAD_LEN   8 /* SPI and sequence number, in front of the IV */

/* AEAD_BATCH_MAX - operations in one call at most. */
#define AEAD_BATCH_MAX 64

/*
 * struct aead_shape - an algorithm as the wire and the key exchange see it. Lengths in bytes. The
 * keying material of an SA is cipher key || salt || MAC key (RFC 7296 2.17, RFC 4106 8.1).
 */
struct aead_shape {
	const char *name; /* as proposals call it: "aes128gcm16", "aes256-sha512", "null-sha256" */
	enum aead_kind kind;
	uint8_t key_len;  /* of the cipher; 0: it does not encrypt */
	uint8_t salt_len; /* at the end of the cipher's key; 0 or AEAD_SALT_LEN */
	uint8_t auth_len; /* of the HMAC's key, which is also its output (RFC 4868 2.1.1); else 0 */
	uint8_t iv_len;   /* in the packet: 0, 8 or 16 */
	uint8_t align;    /* text is a multiple of it, and not empty: 4 (RFC 4303 2.4) or a block */
	uint8_t icv_len;
	bool privacy;   /* nobody on the way reads the text */
	bool secret_iv; /* the IV must be unpredictable: key_new() is given a secret for it */
};

struct aead_key;  /* a back end's expanded key; lives in secret memory */
struct aead_work; /* what back ends need while they work, beside keys; one for each worker */

/*
 * struct aead_op - one packet, in place: SPI, sequence number and IV lie right in front of text,
 * the ICV, or room for it, lies right behind. Encrypt: len bytes at text are replaced by ciphertext
 * and the ICV is written. Where the IV is secret, what lies in its place must be a number that was
 * never there before under this key, and is replaced by its AES encryption. Decrypt: text is
 * replaced by plain text and ok tells whether the ICV was right (constant time); if not, text is
 * unspecified and must not be used; in both cases what lies at icv is unspecified then.
 */
struct aead_op {
	const struct aead_key *key;
	uint8_t *text;
	uint8_t *icv; /* text + len */
	uint32_t len;
	uint8_t aad_len; /* 8, or 12 with ESN */
	bool ok;         /* decrypt: result; encrypt: false if the back end failed */
	/* SPI || sequence number, with ESN SPI || high half || low half (RFC 4106 5). Encrypt-then-
	 * MAC authenticates the packet's own header instead, and the high half behind the text (RFC
	 * 4303 2.2.1). */
	uint8_t aad[AEAD_AAD_MAX];
	uint8_t nonce[AEAD_NONCE_LEN]; /* combined modes: salt || IV, also where it is implicit */
};

/* struct aead_backend - one implementation. */
struct aead_backend {
	const char *name; /* "vaes", "ipsec-mb", "openssl", "libsodium" */
	bool (*supports)(enum aead_alg alg);
	/* key_new - expand key_len bytes: cipher key || MAC key, without the salt. iv_key: 16 bytes
	 * of a secret of this SA alone, from which secret IVs are made; without it (NULL) such a
	 * key only decrypts. Errors: NOMEM, UNSUPPORTED, CRYPTO, INVAL. */
	enum err (*key_new)(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			    size_t key_len, const uint8_t *iv_key);
	/* key_free - wipe and free; NULL is accepted. */
	void (*key_free)(struct aead_key *key);
	/* encrypt, decrypt - n <= AEAD_BATCH_MAX operations; no allocation, lock or system call. */
	void (*encrypt)(struct aead_work *work, struct aead_op *ops, uint32_t n);
	void (*decrypt)(struct aead_work *work, struct aead_op *ops, uint32_t n);
};

/* aead_work_new - for one worker, whatever back ends it comes to use. Errors: NOMEM.
 * aead_work_free - NULL is accepted. Control thread. */
MUST_USE enum err aead_work_new(struct aead_work **out) NONNULL(1);
void aead_work_free(struct aead_work *work);

/* aead_select - the fastest back end for alg that passed its start-up self-test, or the one called
 * `name` if it is not NULL. A test runs once per process, when it is first needed. Errors:
 * UNSUPPORTED, NOT_FOUND (no back end of that name), CRYPTO (it failed its self-test). Control
 * thread. */
MUST_USE enum err aead_select(const struct aead_backend **out, enum aead_alg alg, const char *name)
	NONNULL(1);

/* aead_shape - of an algorithm; of what is none of ours the shape "none", all of whose lengths are
 * zero. Never NULL. */
const struct aead_shape *aead_shape(enum aead_alg alg);

/* aead_alg_key_len - bytes that key_new() takes: cipher key and MAC key; 0 if alg is none of ours.
 * aead_alg_material_len - and with the salt: what a key exchange has to make for one SA. */
size_t aead_alg_key_len(enum aead_alg alg);
size_t aead_alg_material_len(enum aead_alg alg);

/* aead_alg_name - shape's name; "none" if it is none of ours. */
const char *aead_alg_name(enum aead_alg alg);

/* aead_alg_has_privacy - it encrypts: neither a MAC alone nor GMAC. aead_alg_has_integrity - what
 * was changed on the way is found: all do. Both false of what is none of ours. */
bool aead_alg_has_privacy(enum aead_alg alg);
bool aead_alg_has_integrity(enum aead_alg alg);

/* aead_backends - all that were built in, NULL-terminated, fastest first; for tests and benches. */
const struct aead_backend *const *aead_backends(void);

/* aead_self_test - known answers (encrypt, decrypt, wrong tag in each position of a batch) for one
 * back end and algorithm. Errors: CRYPTO. */
MUST_USE enum err aead_self_test(const struct aead_backend *be, enum aead_alg alg) NONNULL(1);
