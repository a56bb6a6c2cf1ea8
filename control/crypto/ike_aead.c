/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/ike_aead.h"

#include "base/alloc.h"
#include "control/crypto/ctx_priv.h"
#include "control/crypto/keys.h"

#define NONCE_LEN (AEAD_SALT_LEN + IKE_AEAD_IV_LEN)
#define TEXT_MAX  65535

struct ike_aead {
	EVP_CIPHER_CTX *ctx; /* holds the expanded key */
	struct secret salt;
	uint64_t next_iv; /* 0 = all were used */
};

static enum err set_up(struct crypto_ctx *c, struct ike_aead *a, struct conf_encr encr,
		       const struct secret *key)
{
	const EVP_CIPHER *cipher = encr.key_bits == 128 ? c->gcm_128 : c->gcm_256;
	const size_t key_len = key->len - AEAD_SALT_LEN;

	a->ctx = EVP_CIPHER_CTX_new();
	if (!a->ctx)
		return ERR_NOMEM;
	if (EVP_CipherInit_ex2(a->ctx, cipher, key->p, NULL, 1, NULL) != 1)
		return ERR_CRYPTO;
	a->next_iv = 1;
	return secret_init_copy(&a->salt, key->p + key_len, AEAD_SALT_LEN);
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
	ERR_set_mark();
	e = set_up(c, a, encr, key);
	ERR_pop_to_mark();
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
	EVP_CIPHER_CTX_free(a->ctx);
	secret_fini(&a->salt);
	mem_free(a);
}

/* begin - direction, nonce and additional data; the key stays as it is. */
static bool begin(struct ike_aead *a, const uint8_t iv[static IKE_AEAD_IV_LEN], int encrypt,
		  struct bytes aad)
{
	uint8_t nonce[NONCE_LEN];
	bool ok;
	int n;

	memcpy(nonce, a->salt.p, AEAD_SALT_LEN);
	memcpy(nonce + AEAD_SALT_LEN, iv, IKE_AEAD_IV_LEN);
	ok = EVP_CipherInit_ex2(a->ctx, NULL, NULL, nonce, encrypt, NULL) == 1;
	secret_wipe(nonce, sizeof(nonce));
	return ok && (aad.len == 0 || EVP_CipherUpdate(a->ctx, NULL, &n, aad.p, (int)aad.len) == 1);
}

static bool crypt(struct ike_aead *a, uint8_t *text, size_t len)
{
	int n = 0;

	return len == 0 ||
	       (EVP_CipherUpdate(a->ctx, text, &n, text, (int)len) == 1 && (size_t)n == len);
}

static bool seal(struct ike_aead *a, const uint8_t iv[static IKE_AEAD_IV_LEN],
		 uint8_t icv[static IKE_AEAD_ICV_LEN], uint8_t *text, size_t len, struct bytes aad)
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH];
	int n = 0;

	return begin(a, iv, 1, aad) && crypt(a, text, len) &&
	       EVP_CipherFinal_ex(a->ctx, rest, &n) == 1 && n == 0 &&
	       EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, IKE_AEAD_ICV_LEN, icv) == 1;
}

enum err ike_aead_seal(struct ike_aead *a, uint8_t out_iv[static IKE_AEAD_IV_LEN],
		       uint8_t out_icv[static IKE_AEAD_ICV_LEN], uint8_t *text, size_t len,
		       struct bytes aad)
{
	bool ok;

	if (len > TEXT_MAX || aad.len > TEXT_MAX)
		return ERR_LIMIT;
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
	int n = 0;

	if (len > TEXT_MAX || aad.len > TEXT_MAX)
		return ERR_LIMIT;
	memcpy(tag, icv, sizeof(tag));
	ERR_set_mark();
	if (begin(a, iv, 0, aad) && crypt(a, text, len) &&
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, IKE_AEAD_ICV_LEN, tag) == 1)
		e = EVP_CipherFinal_ex(a->ctx, rest, &n) == 1 ? ERR_OK : ERR_AUTH;
	ERR_pop_to_mark();
	if (e != ERR_OK && len)
		secret_wipe(text, len);
	return e;
}
