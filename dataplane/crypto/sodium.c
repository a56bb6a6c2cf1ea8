/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsodium: ChaCha20-Poly1305 (RFC 8439) alone, with the key as it is: nothing is expanded, so the
 * key lies in the key arena and a packet costs no set-up. For machines without ipsec-mb, where
 * EVP's own cost a packet is the larger part with short ones.
 */
#include "base/secret.h"
#include "dataplane/crypto/backends.h"

#include <sodium.h>

/* In memory, which is in the key arena. */
struct aead_key {
	struct secret memory;
	uint8_t key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
};

static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == AEAD_NONCE_LEN);
static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == AEAD_ICV_LEN);

/* sodium_init() chooses the functions for this processor; it may be called again and again. */
static bool supports(enum aead_alg alg)
{
	return alg == AEAD_CHACHA20_POLY1305 && sodium_init() >= 0;
}

static enum err key_new(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			size_t key_len)
{
	struct secret memory = {0};
	struct aead_key *k;
	enum err e;

	if (!supports(alg))
		return ERR_UNSUPPORTED;
	if (key_len != sizeof(k->key))
		return ERR_INVAL;
	e = secret_init(&memory, sizeof(*k));
	if (e != ERR_OK)
		return e;
	k = (void *)memory.p;
	memcpy(k->key, key, sizeof(k->key));
	secret_move(&k->memory, &memory);
	*out = k;
	return ERR_OK;
}

static void key_free(struct aead_key *key)
{
	struct secret memory = {0};

	if (!key)
		return;
	secret_move(&memory, &key->memory);
	secret_fini(&memory);
}

static void encrypt(struct aead_op *ops, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct aead_op *op = &ops[i];

		op->ok = crypto_aead_chacha20poly1305_ietf_encrypt_detached(
				 op->text, op->icv, NULL, op->text, op->len, op->aad, op->aad_len,
				 NULL, op->nonce, op->key->key) == 0;
	}
}

/* libsodium compares the ICV itself, in constant time (crypto_verify_16). */
static void decrypt(struct aead_op *ops, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct aead_op *op = &ops[i];

		op->ok = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
				 op->text, NULL, op->text, op->len, op->icv, op->aad, op->aad_len,
				 op->nonce, op->key->key) == 0;
	}
}

const struct aead_backend aead_sodium = {
	.name = "libsodium",
	.supports = supports,
	.key_new = key_new,
	.key_free = key_free,
	.encrypt = encrypt,
	.decrypt = decrypt,
};
