/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL 3 EVP. Everything that EVP allocates is allocated when a key is made: a packet only sets
 * a new nonce in the key's own context. EVP takes one packet a call and costs some hundred cycles a
 * packet beside the cipher, so this is the back end for machines that have nothing better.
 *
 * The expanded key lies in EVP's own memory, which EVP wipes when it is freed. It cannot be placed
 * in the key arena, but the only way to it can: in a forked child the pointer is zero, so that
 * nothing is ever encrypted there under the parent's key and numbers.
 */
#include "base/secret.h"
#include "dataplane/crypto/openssl_hmac.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

/* In memory, which is in the key arena. */
struct aead_key {
	bool (*encrypt)(const struct aead_key *key, struct aead_op *op);
	bool (*decrypt)(const struct aead_key *key, struct aead_op *op);
	EVP_CIPHER_CTX *ctx; /* one worker at a time: a nonce is set in it for each packet */
	struct openssl_hmac hmac;
	struct secret memory;
};

static bool supports(enum aead_alg alg)
{
	return aead_alg_key_len(alg) != 0;
}

/* ---- combined modes -------------------------------------------------------------------------- */

static const char *cipher_of(const struct aead_shape *shape)
{
	if (shape->kind == AEAD_KIND_CHACHA)
		return "ChaCha20-Poly1305";
	return shape->key_len == 16   ? "AES-128-GCM"
	       : shape->key_len == 24 ? "AES-192-GCM"
				      : "AES-256-GCM";
}

static EVP_CIPHER_CTX *ctx_new(const char *cipher_name, const uint8_t *key)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, cipher_name, NULL);
	EVP_CIPHER_CTX *ctx = cipher ? EVP_CIPHER_CTX_new() : NULL;

	if (ctx && EVP_EncryptInit_ex2(ctx, cipher, key, NULL, NULL) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(cipher); /* the context holds a reference */
	return ctx;
}

static bool combined_encrypt(const struct aead_key *key, struct aead_op *op)
{
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, AEAD_TAG_LEN),
		OSSL_PARAM_END,
	};
	int n;

	return EVP_EncryptInit_ex2(key->ctx, NULL, NULL, op->nonce, NULL) == 1 &&
	       EVP_EncryptUpdate(key->ctx, NULL, &n, op->aad, op->aad_len) == 1 &&
	       EVP_EncryptUpdate(key->ctx, op->text, &n, op->text, (int)op->len) == 1 &&
	       EVP_EncryptFinal_ex(key->ctx, op->text, &n) == 1 &&
	       EVP_CIPHER_CTX_get_params(key->ctx, tag) == 1;
}

/* EVP compares the ICV itself, in constant time (CRYPTO_memcmp). */
static bool combined_decrypt(const struct aead_key *key, struct aead_op *op)
{
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, AEAD_TAG_LEN),
		OSSL_PARAM_END,
	};
	int n;

	return EVP_DecryptInit_ex2(key->ctx, NULL, NULL, op->nonce, tag) == 1 &&
	       EVP_DecryptUpdate(key->ctx, NULL, &n, op->aad, op->aad_len) == 1 &&
	       EVP_DecryptUpdate(key->ctx, op->text, &n, op->text, (int)op->len) == 1 &&
	       EVP_DecryptFinal_ex(key->ctx, op->text, &n) == 1;
}

/* ---- GMAC: IV and text are additional data too (RFC 4543 3.3) ---------------------------------
 */

#define GMAC_IV_LEN 8

static bool gmac_encrypt(const struct aead_key *key, struct aead_op *op)
{
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, AEAD_TAG_LEN),
		OSSL_PARAM_END,
	};
	const uint8_t *from = op->text - GMAC_IV_LEN;
	int n;

	return EVP_EncryptInit_ex2(key->ctx, NULL, NULL, op->nonce, NULL) == 1 &&
	       EVP_EncryptUpdate(key->ctx, NULL, &n, op->aad, op->aad_len) == 1 &&
	       EVP_EncryptUpdate(key->ctx, NULL, &n, from, GMAC_IV_LEN + (int)op->len) == 1 &&
	       EVP_EncryptFinal_ex(key->ctx, op->text, &n) == 1 &&
	       EVP_CIPHER_CTX_get_params(key->ctx, tag) == 1;
}

static bool gmac_decrypt(const struct aead_key *key, struct aead_op *op)
{
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, AEAD_TAG_LEN),
		OSSL_PARAM_END,
	};
	const uint8_t *from = op->text - GMAC_IV_LEN;
	int n;

	return EVP_DecryptInit_ex2(key->ctx, NULL, NULL, op->nonce, tag) == 1 &&
	       EVP_DecryptUpdate(key->ctx, NULL, &n, op->aad, op->aad_len) == 1 &&
	       EVP_DecryptUpdate(key->ctx, NULL, &n, from, GMAC_IV_LEN + (int)op->len) == 1 &&
	       EVP_DecryptFinal_ex(key->ctx, op->text, &n) == 1;
}

/* ---- encrypt-then-MAC ------------------------------------------------------------------------ */

static bool hmac_encrypt(const struct aead_key *key, struct aead_op *op)
{
	return openssl_hmac_encrypt(&key->hmac, op);
}

static bool hmac_decrypt(const struct aead_key *key, struct aead_op *op)
{
	return openssl_hmac_decrypt(&key->hmac, op);
}

/* ---- keys and batches ------------------------------------------------------------------------ */

static bool expand(struct aead_key *k, const struct aead_shape *shape, const uint8_t *key,
		   const uint8_t *iv_key)
{
	if (shape->kind == AEAD_KIND_HMAC) {
		k->encrypt = hmac_encrypt;
		k->decrypt = hmac_decrypt;
		return openssl_hmac_init(&k->hmac, shape, key, iv_key);
	}
	k->encrypt = shape->kind == AEAD_KIND_GMAC ? gmac_encrypt : combined_encrypt;
	k->decrypt = shape->kind == AEAD_KIND_GMAC ? gmac_decrypt : combined_decrypt;
	k->ctx = ctx_new(cipher_of(shape), key);
	return k->ctx != NULL;
}

static void key_free(struct aead_key *key)
{
	struct secret memory = {0};

	if (!key)
		return;
	EVP_CIPHER_CTX_free(key->ctx);
	openssl_hmac_fini(&key->hmac);
	secret_move(&memory, &key->memory);
	secret_fini(&memory);
}

static enum err key_new(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			size_t key_len, const uint8_t *iv_key)
{
	struct secret memory = {0};
	struct aead_key *k;
	enum err e;

	if (!supports(alg))
		return ERR_UNSUPPORTED;
	if (key_len != aead_alg_key_len(alg))
		return ERR_INVAL;
	e = secret_init(&memory, sizeof(*k));
	if (e != ERR_OK)
		return e;
	k = (void *)memory.p;
	secret_move(&k->memory, &memory);
	if (!expand(k, aead_shape(alg), key, iv_key)) {
		key_free(k);
		return ERR_CRYPTO;
	}
	*out = k;
	return ERR_OK;
}

/* In a forked child a key is zero, its functions too. */
static void encrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	(void)work;
	for (uint32_t i = 0; i < n; i++)
		ops[i].ok = ops[i].key->encrypt && ops[i].key->encrypt(ops[i].key, &ops[i]);
}

static void decrypt(struct aead_work *work, struct aead_op *ops, uint32_t n)
{
	(void)work;
	for (uint32_t i = 0; i < n; i++)
		ops[i].ok = ops[i].key->decrypt && ops[i].key->decrypt(ops[i].key, &ops[i]);
}

const struct aead_backend aead_openssl = {
	.name = "openssl",
	.supports = supports,
	.key_new = key_new,
	.key_free = key_free,
	.encrypt = encrypt,
	.decrypt = decrypt,
};
