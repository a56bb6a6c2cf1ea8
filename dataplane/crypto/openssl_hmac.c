/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypt-then-MAC by OpenSSL: AES-CBC by EVP, or no cipher, and HMAC as RFC 2104 puts it together
 * from a hash. EVP of 3.0 allocates whenever a hash is begun, and its HMAC at every message, which
 * a pass must not do. So the hash is called by its own name here, deprecated as that is; its state
 * is a structure that holds the MAC's key in the arena and is copied for each packet.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dataplane/crypto/openssl_hmac.h"

#include "base/secret.h"

#include <openssl/crypto.h>

#define HASH_MAX 64

static EVP_CIPHER_CTX *cipher_new(const char *name, const uint8_t *key, int encrypt)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *ctx = cipher ? EVP_CIPHER_CTX_new() : NULL;

	if (ctx && (EVP_CipherInit_ex2(ctx, cipher, key, NULL, encrypt, NULL) != 1 ||
		    EVP_CIPHER_CTX_set_padding(ctx, 0) != 1)) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(cipher); /* the context holds a reference */
	return ctx;
}

/* The three hashes by their lengths in bytes: 32, 48, 64. */
static void hash_begin(union openssl_hash *h, uint8_t len)
{
	if (len == 32)
		SHA256_Init(&h->sha256);
	else if (len == 48)
		SHA384_Init(&h->sha512);
	else
		SHA512_Init(&h->sha512);
}

static void hash_add(union openssl_hash *h, uint8_t len, const void *p, size_t num)
{
	if (len == 32)
		SHA256_Update(&h->sha256, p, num);
	else if (len == 48)
		SHA384_Update(&h->sha512, p, num);
	else
		SHA512_Update(&h->sha512, p, num);
}

static void hash_end(uint8_t out[static HASH_MAX], union openssl_hash *h, uint8_t len)
{
	if (len == 32)
		SHA256_Final(out, &h->sha256);
	else if (len == 48)
		SHA384_Final(out, &h->sha512);
	else
		SHA512_Final(out, &h->sha512);
}

/* hash_key - the state after the block that holds the MAC's key. */
static void hash_key(union openssl_hash *h, uint8_t len, const uint8_t *key, uint8_t with)
{
	uint8_t block[128];

	memset(block, with, sizeof(block));
	for (size_t i = 0; i < len; i++)
		block[i] ^= key[i];
	hash_begin(h, len);
	hash_add(h, len, block, len == 32 ? 64 : 128);
	secret_wipe(block, sizeof(block));
}

static const char *cipher_name(size_t key_len)
{
	return key_len == 16 ? "AES-128-CBC" : key_len == 24 ? "AES-192-CBC" : "AES-256-CBC";
}

static bool ciphers_new(struct openssl_hmac *h, const struct aead_shape *shape, const uint8_t *key,
			const uint8_t *iv_key)
{
	if (shape->key_len == 0)
		return true;
	h->enc = cipher_new(cipher_name(shape->key_len), key, 1);
	h->dec = cipher_new(cipher_name(shape->key_len), key, 0);
	if (iv_key)
		h->iv = cipher_new("AES-128-ECB", iv_key, 1);
	return h->enc && h->dec && (h->iv || !iv_key);
}

bool openssl_hmac_init(struct openssl_hmac *h, const struct aead_shape *shape, const uint8_t *key,
		       const uint8_t *iv_key)
{
	const uint8_t *mac_key = key + shape->key_len;

	h->icv_len = shape->icv_len;
	h->iv_len = shape->iv_len;
	h->hash_len = shape->auth_len;
	hash_key(&h->inner, shape->auth_len, mac_key, 0x36);
	hash_key(&h->outer, shape->auth_len, mac_key, 0x5c);
	return ciphers_new(h, shape, key, iv_key);
}

void openssl_hmac_fini(struct openssl_hmac *h)
{
	EVP_CIPHER_CTX_free(h->enc);
	EVP_CIPHER_CTX_free(h->dec);
	EVP_CIPHER_CTX_free(h->iv);
}

/* mac - H(outer || H(inner || header, IV and text || high half)), of which the ICV is the first
 * half (RFC 4868 2.1.1). */
static void mac(const struct openssl_hmac *h, uint8_t out[static HASH_MAX],
		const struct aead_op *op)
{
	union openssl_hash hash = h->inner;
	uint32_t high_len;
	const uint8_t *high = aead_high_half(op, &high_len);

	hash_add(&hash, h->hash_len, op->text - h->iv_len - AEAD_HEAD_LEN,
		 AEAD_HEAD_LEN + h->iv_len + op->len);
	hash_add(&hash, h->hash_len, high, high_len);
	hash_end(out, &hash, h->hash_len);
	hash = h->outer;
	hash_add(&hash, h->hash_len, out, h->hash_len);
	hash_end(out, &hash, h->hash_len); /* which wipes it */
}

/* crypt - text in place, with the IV in front of it. */
static bool crypt(EVP_CIPHER_CTX *ctx, struct aead_op *op)
{
	int n;

	return EVP_CipherInit_ex2(ctx, NULL, NULL, op->text - AEAD_IV_MAX, -1, NULL) == 1 &&
	       EVP_CipherUpdate(ctx, op->text, &n, op->text, (int)op->len) == 1 &&
	       (uint32_t)n == op->len;
}

/* The IV's place holds a number that is used once; its encryption nobody can foretell (S53). */
static bool make_iv(const struct openssl_hmac *h, struct aead_op *op)
{
	uint8_t *iv = op->text - AEAD_IV_MAX;
	int n;

	return h->iv && EVP_CipherUpdate(h->iv, iv, &n, iv, AEAD_IV_MAX) == 1 && n == AEAD_IV_MAX;
}

bool openssl_hmac_encrypt(const struct openssl_hmac *h, struct aead_op *op)
{
	uint8_t icv[HASH_MAX];

	if (h->enc && !(make_iv(h, op) && crypt(h->enc, op)))
		return false;
	mac(h, icv, op);
	memcpy(op->icv, icv, h->icv_len);
	return true;
}

bool openssl_hmac_decrypt(const struct openssl_hmac *h, struct aead_op *op)
{
	uint8_t icv[HASH_MAX];

	mac(h, icv, op);
	return CRYPTO_memcmp(icv, op->icv, h->icv_len) == 0 && (!h->dec || crypt(h->dec, op));
}
