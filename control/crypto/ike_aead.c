/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/ike_aead.h"

#include "base/alloc.h"
#include "control/crypto/ctx_priv.h"
#include "control/crypto/keys.h"

#define NONCE_LEN (AEAD_SALT_LEN + IKE_AEAD_IV_LEN)
#define TEXT_MAX  65535

/* The key stays in secret memory; OpenSSL's heap sees its schedule during one operation only, and
 * wipes it. IKE messages are few, so that setting the key each time costs nothing that matters. */
struct ike_aead {
	const EVP_CIPHER *cipher;
	struct secret key; /* key || salt */
	uint64_t next_iv;  /* 0 = all were used */
};

static const EVP_CIPHER *cipher_of(const struct crypto_ctx *c, struct conf_encr encr)
{
	if (encr.id == ENCR_CHACHA20_POLY1305)
		return c->chacha;
	return encr.key_bits == 128 ? c->gcm_128 : c->gcm_256;
}

enum err ike_aead_new(struct crypto_ctx *c, struct ike_aead **out, struct conf_encr encr,
		      const struct secret *key)
{
	struct ike_aead *a;
	enum err e;

	if (!encr_key_len(encr))
		return ERR_UNSUPPORTED;
	if (key->len != encr_key_len(encr))
		return ERR_INVAL;
	a = mem_alloc(sizeof(*a));
	if (!a)
		return ERR_NOMEM;
	a->cipher = cipher_of(c, encr);
	a->next_iv = 1;
	e = secret_init_copy(&a->key, key->p, key->len);
	if (e != ERR_OK) {
		ike_aead_free(a);
		return e;
	}
	*out = a;
	return ERR_OK;
}

void ike_aead_free(struct ike_aead *a)
{
	if (!a)
		return;
	secret_fini(&a->key);
	mem_free(a);
}

/* begin - key, direction, nonce and additional data. */
static bool begin(EVP_CIPHER_CTX *ctx, const struct ike_aead *a,
		  const uint8_t iv[static IKE_AEAD_IV_LEN], int encrypt, struct bytes aad)
{
	uint8_t nonce[NONCE_LEN];
	bool ok;
	int n;

	memcpy(nonce, a->key.p + a->key.len - AEAD_SALT_LEN, AEAD_SALT_LEN);
	memcpy(nonce + AEAD_SALT_LEN, iv, IKE_AEAD_IV_LEN);
	ok = ctx && EVP_CipherInit_ex2(ctx, a->cipher, a->key.p, nonce, encrypt, NULL) == 1;
	secret_wipe(nonce, sizeof(nonce));
	return ok && (aad.len == 0 || EVP_CipherUpdate(ctx, NULL, &n, aad.p, (int)aad.len) == 1);
}

static bool crypt(EVP_CIPHER_CTX *ctx, uint8_t *text, size_t len)
{
	int n = 0;

	return len == 0 ||
	       (EVP_CipherUpdate(ctx, text, &n, text, (int)len) == 1 && (size_t)n == len);
}

static bool seal(const struct ike_aead *a, const uint8_t iv[static IKE_AEAD_IV_LEN],
		 uint8_t icv[static IKE_AEAD_ICV_LEN], uint8_t *text, size_t len, struct bytes aad)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t rest[EVP_MAX_BLOCK_LENGTH];
	int n = 0;
	bool ok;

	ok = begin(ctx, a, iv, 1, aad) && crypt(ctx, text, len) &&
	     EVP_CipherFinal_ex(ctx, rest, &n) == 1 && n == 0 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, IKE_AEAD_ICV_LEN, icv) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

enum err ike_aead_seal(struct ike_aead *a, uint8_t out_iv[static IKE_AEAD_IV_LEN],
		       uint8_t out_icv[static IKE_AEAD_ICV_LEN], uint8_t *text, size_t len,
		       struct bytes aad)
{
	bool ok;

	if (len > TEXT_MAX || aad.len > TEXT_MAX)
		return ERR_LIMIT;
	if (!secret_alive())
		return ERR_BAD_STATE;
	if (a->next_iv == 0)
		return ERR_EXHAUSTED;
	/* Counted before it is used: an IV is never used twice, whatever fails. */
	store_be64(out_iv, a->next_iv++);
	ERR_set_mark();
	ok = seal(a, out_iv, out_icv, text, len, aad);
	ERR_pop_to_mark();
	return ok ? ERR_OK : ERR_CRYPTO;
}

enum err ike_aead_open(struct ike_aead *a, const uint8_t iv[static IKE_AEAD_IV_LEN],
		       const uint8_t icv[static IKE_AEAD_ICV_LEN], uint8_t *text, size_t len,
		       struct bytes aad)
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH], tag[IKE_AEAD_ICV_LEN];
	enum err e = ERR_CRYPTO;
	EVP_CIPHER_CTX *ctx;
	int n = 0;

	if (len > TEXT_MAX || aad.len > TEXT_MAX)
		return ERR_LIMIT;
	/* Under a key of zeros anybody could speak. */
	if (!secret_alive())
		return ERR_BAD_STATE;
	memcpy(tag, icv, sizeof(tag));
	ERR_set_mark();
	ctx = EVP_CIPHER_CTX_new();
	if (begin(ctx, a, iv, 0, aad) && crypt(ctx, text, len) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, IKE_AEAD_ICV_LEN, tag) == 1)
		e = EVP_CipherFinal_ex(ctx, rest, &n) == 1 ? ERR_OK : ERR_AUTH;
	EVP_CIPHER_CTX_free(ctx);
	ERR_pop_to_mark();
	if (e != ERR_OK && len)
		secret_wipe(text, len);
	return e;
}
