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
#include "dataplane/crypto/backends.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

/* In memory, which is in the key arena. */
struct aead_key {
	EVP_CIPHER_CTX *ctx; /* one worker at a time: a nonce is set in it for each packet */
	struct secret memory;
};

static bool supports(enum aead_alg alg)
{
	return aead_alg_key_len(alg) != 0;
}

static const char *cipher_of(enum aead_alg alg)
{
	if (alg == AEAD_CHACHA20_POLY1305)
		return "ChaCha20-Poly1305";
	return alg == AEAD_AES_GCM_16_128 ? "AES-128-GCM" : "AES-256-GCM";
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

static enum err key_new(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			size_t key_len)
{
	struct secret memory = {0};
	EVP_CIPHER_CTX *ctx;
	struct aead_key *k;
	enum err e;

	if (!supports(alg))
		return ERR_UNSUPPORTED;
	if (key_len != aead_alg_key_len(alg))
		return ERR_INVAL;
	e = secret_init(&memory, sizeof(*k));
	if (e != ERR_OK)
		return e;
	ctx = ctx_new(cipher_of(alg), key);
	if (!ctx) {
		secret_fini(&memory);
		return ERR_CRYPTO;
	}
	k = (void *)memory.p;
	k->ctx = ctx;
	secret_move(&k->memory, &memory);
	*out = k;
	return ERR_OK;
}

static void key_free(struct aead_key *key)
{
	struct secret memory = {0};

	if (!key)
		return;
	EVP_CIPHER_CTX_free(key->ctx);
	secret_move(&memory, &key->memory);
	secret_fini(&memory);
}

static bool encrypt_one(EVP_CIPHER_CTX *ctx, struct aead_op *op)
{
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, AEAD_ICV_LEN),
		OSSL_PARAM_END,
	};
	int n;

	return ctx && EVP_EncryptInit_ex2(ctx, NULL, NULL, op->nonce, NULL) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, op->aad, op->aad_len) == 1 &&
	       EVP_EncryptUpdate(ctx, op->text, &n, op->text, (int)op->len) == 1 &&
	       EVP_EncryptFinal_ex(ctx, op->text, &n) == 1 &&
	       EVP_CIPHER_CTX_get_params(ctx, tag) == 1;
}

/* EVP compares the ICV itself, in constant time (CRYPTO_memcmp). */
static bool decrypt_one(EVP_CIPHER_CTX *ctx, struct aead_op *op)
{
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, op->icv, AEAD_ICV_LEN),
		OSSL_PARAM_END,
	};
	int n;

	return ctx && EVP_DecryptInit_ex2(ctx, NULL, NULL, op->nonce, tag) == 1 &&
	       EVP_DecryptUpdate(ctx, NULL, &n, op->aad, op->aad_len) == 1 &&
	       EVP_DecryptUpdate(ctx, op->text, &n, op->text, (int)op->len) == 1 &&
	       EVP_DecryptFinal_ex(ctx, op->text, &n) == 1;
}

static void encrypt(struct aead_op *ops, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ops[i].ok = encrypt_one(ops[i].key->ctx, &ops[i]);
}

static void decrypt(struct aead_op *ops, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ops[i].ok = decrypt_one(ops[i].key->ctx, &ops[i]);
}

const struct aead_backend aead_openssl = {
	.name = "openssl",
	.supports = supports,
	.key_new = key_new,
	.key_free = key_free,
	.encrypt = encrypt,
	.decrypt = decrypt,
};
