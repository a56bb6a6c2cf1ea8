/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openssl_hmac.h - the encrypt-then-MAC half of the OpenSSL back end. Not for other rooms. Thread:
 * as aead.h says of a key.
 */
#pragma once

#include "dataplane/crypto/backends.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

/* union openssl_hash - a hash under way; which one its length tells. */
union openssl_hash {
	SHA256_CTX sha256;
	SHA512_CTX sha512; /* and SHA-384 */
};

/* struct openssl_hmac - a key; lies in the key arena, so that a forked child finds no way to EVP's
 * part of it. */
struct openssl_hmac {
	EVP_CIPHER_CTX *enc, *dec; /* AES-CBC, one for each direction; NULL without a cipher */
	EVP_CIPHER_CTX *iv;        /* AES under the secret that IVs come from; NULL: none given */
	union openssl_hash inner, outer; /* after the blocks that hold the MAC's key, RFC 2104 */
	uint8_t icv_len, iv_len, hash_len;
};

/* openssl_hmac_init - h is zero. False: EVP refuses; end with _fini() then too. */
bool openssl_hmac_init(struct openssl_hmac *h, const struct aead_shape *shape, const uint8_t *key,
		       const uint8_t *iv_key) NONNULL(1, 2, 3);
void openssl_hmac_fini(struct openssl_hmac *h) NONNULL(1);

/* openssl_hmac_encrypt, _decrypt - one packet; false: EVP failed, or the ICV is wrong. */
bool openssl_hmac_encrypt(const struct openssl_hmac *h, struct aead_op *op) NONNULL(1, 2);
bool openssl_hmac_decrypt(const struct openssl_hmac *h, struct aead_op *op) NONNULL(1, 2);
