/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsodium: ChaCha20-Poly1305 (RFC 8439), and HMAC-SHA2-256 and -512 without a cipher, with the
 * key as it is: nothing is expanded beyond it, so it lies in the key arena and a packet costs no
 * set-up. With ChaCha20-Poly1305 it is for machines without ipsec-mb, where EVP's own cost a packet
 * is the larger part with short ones. Its SHA-2 is portable C, four times as slow as OpenSSL's: a
 * third opinion, taken by those who name it.
 */
#include "base/secret.h"
#include "dataplane/crypto/backends.h"

#include <openssl/crypto.h>
#include <sodium.h>

/* In memory, which is in the key arena. */
struct aead_key {
	struct secret memory;
	enum aead_alg alg;
	union {
		uint8_t chacha[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
		crypto_auth_hmacsha256_state sha256; /* as it is when the key was taken */
		crypto_auth_hmacsha512_state sha512;
	};
};

static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == AEAD_NONCE_LEN, "RFC 8439");
static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == AEAD_TAG_LEN, "RFC 8439");

/* sodium_init() chooses the functions for this processor; it may be called again and again. */
static bool supports(enum aead_alg alg)
{
	return (aead_shape(alg)->kind == AEAD_KIND_CHACHA || alg == AEAD_NULL_SHA2_256 ||
		alg == AEAD_NULL_SHA2_512) &&
	       sodium_init() >= 0;
}

static void set_key(struct aead_key *k, const uint8_t *key, size_t key_len)
{
	if (k->alg == AEAD_NULL_SHA2_256)
		crypto_auth_hmacsha256_init(&k->sha256, key, key_len);
	else if (k->alg == AEAD_NULL_SHA2_512)
		crypto_auth_hmacsha512_init(&k->sha512, key, key_len);
	else
		memcpy(k->chacha, key, key_len);
}

static enum err key_new(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			size_t key_len, const uint8_t *iv_key)
{
	struct secret memory = {0};
	struct aead_key *k;
	enum err e;

	(void)iv_key; /* none of these has a secret IV */
	if (!supports(alg))
		return ERR_UNSUPPORTED;
	if (key_len != aead_alg_key_len(alg))
		return ERR_INVAL;
	e = secret_init(&memory, sizeof(*k));
	if (e != ERR_OK)
		return e;
	k = (void *)memory.p;
	k->alg = alg;
	set_key(k, key, key_len);
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

/* hmac - of header, text and high half; out is the whole hash, of which the ICV is the first half.
 */
static void hmac(uint8_t out[static crypto_auth_hmacsha512_BYTES], const struct aead_op *op)
{
	const uint8_t *from = op->text - AEAD_HEAD_LEN;
	struct aead_key k = *op->key;
	uint32_t high_len;
	const uint8_t *high = aead_high_half(op, &high_len);

	if (k.alg == AEAD_NULL_SHA2_256) {
		crypto_auth_hmacsha256_update(&k.sha256, from, AEAD_HEAD_LEN + op->len);
		crypto_auth_hmacsha256_update(&k.sha256, high, high_len);
		crypto_auth_hmacsha256_final(&k.sha256, out);
	} else {
		crypto_auth_hmacsha512_update(&k.sha512, from, AEAD_HEAD_LEN + op->len);
		crypto_auth_hmacsha512_update(&k.sha512, high, high_len);
		crypto_auth_hmacsha512_final(&k.sha512, out);
	}
	secret_wipe(&k, sizeof(k));
}

/* A forked child's keys are zero, and so is what they are for. */
static bool encrypt_one(struct aead_op *op)
{
	uint8_t icv[crypto_auth_hmacsha512_BYTES];

	if (op->key->alg == AEAD_NONE)
		return false;
	if (aead_shape(op->key->alg)->kind == AEAD_KIND_CHACHA)
		return crypto_aead_chacha20poly1305_ietf_encrypt_detached(
			       op->text, op->icv, NULL, op->text, op->len, op->aad, op->aad_len,
			       NULL, op->nonce, op->key->chacha) == 0;
	hmac(icv, op);
	memcpy(op->icv, icv, aead_shape(op->key->alg)->icv_len);
	return true;
}

/* libsodium compares ChaCha20-Poly1305's ICV itself, in constant time (crypto_verify_16). */
static bool decrypt_one(struct aead_op *op)
{
	uint8_t icv[crypto_auth_hmacsha512_BYTES];

	if (op->key->alg == AEAD_NONE)
		return false;
	if (aead_shape(op->key->alg)->kind == AEAD_KIND_CHACHA)
		return crypto_aead_chacha20poly1305_ietf_decrypt_detached(
			       op->text, NULL, op->text, op->len, op->icv, op->aad, op->aad_len,
			       op->nonce, op->key->chacha) == 0;
	hmac(icv, op);
	return CRYPTO_memcmp(icv, op->icv, aead_shape(op->key->alg)->icv_len) == 0;
}

static void encrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	(void)work;
	for (uint32_t i = 0; i < n; i++)
		ops[i].ok = encrypt_one(&ops[i]);
}

static void decrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	(void)work;
	for (uint32_t i = 0; i < n; i++)
		ops[i].ok = decrypt_one(&ops[i]);
}

const struct aead_backend aead_sodium = {
	.name = "libsodium",
	.supports = supports,
	.key_new = key_new,
	.key_free = key_free,
	.encrypt = encrypt,
	.decrypt = decrypt,
};
