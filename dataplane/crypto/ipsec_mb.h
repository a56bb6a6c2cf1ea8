/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipsec_mb.h - the encrypt-then-MAC half of the ipsec-mb back end: AES-CBC or no cipher with HMAC,
 * many packets at a time in the library's lanes. Not for other rooms. Thread: as aead.h says.
 */
#pragma once

#include "dataplane/crypto/backends.h"

#include <intel-ipsec-mb.h>

/* struct ipsec_mb_hmac - an expanded key; lies in the key arena. */
struct ipsec_mb_hmac {
	alignas(16) uint8_t enc[15 * 16]; /* AES key schedules */
	alignas(16) uint8_t dec[15 * 16];
	alignas(16) uint8_t iv[11 * 16]; /* of the secret that IVs come from */
	alignas(16) uint8_t inner[64];   /* HMAC: the hash after its first block, RFC 2104 */
	alignas(16) uint8_t outer[64];
	uint8_t key_len; /* of the cipher; 0 = none */
	uint8_t iv_len, icv_len;
	bool has_iv;
	bool alive; /* false in a forked child, as everything here is zero then */
	IMB_HASH_ALG hash;
};

/* ipsec_mb_hmac_ask - take from a manager the functions that expand keys; once. */
void ipsec_mb_hmac_ask(const IMB_MGR *mgr) NONNULL(1);

/* ipsec_mb_hmac_init - expand a key; k is zero. */
void ipsec_mb_hmac_init(struct ipsec_mb_hmac *k, const struct aead_shape *shape, const uint8_t *key,
			const uint8_t *iv_key) NONNULL(1, 2, 3);

/* ipsec_mb_manager_new - the lanes of one worker. Errors: NOMEM. ipsec_mb_manager_free - NULL is
 * accepted. */
MUST_USE enum err ipsec_mb_manager_new(void **out) NONNULL(1);
void ipsec_mb_manager_free(void *manager);

/* ipsec_mb_hmac_encrypt, _decrypt - n packets, with the key of each; sets ok. */
void ipsec_mb_hmac_encrypt(void *manager, struct aead_op *const *ops,
			   const struct ipsec_mb_hmac *const *keys, uint32_t n) NONNULL(1, 2, 3);
void ipsec_mb_hmac_decrypt(void *manager, struct aead_op *const *ops,
			   const struct ipsec_mb_hmac *const *keys, uint32_t n) NONNULL(1, 2, 3);
