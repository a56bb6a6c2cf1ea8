/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/ike_aead.h"

#include "base/alloc.h"
#include "control/crypto/ctx_priv.h"
#include "control/crypto/keys.h"
#include "control/crypto/prf.h"

#define TEXT_MAX 65535

/* The key stays in secret memory; OpenSSL's heap sees its schedule during one operation only, and
 * wipes it. IKE messages are few, so that setting the key each time costs nothing that matters. */
struct ike_aead {
	struct crypto_ctx *c;
	const struct aead_shape *shape;
	const EVP_CIPHER *cipher;
	uint16_t prf;      /* the MAC's hash as a PRF; 0 for combined modes */
	struct secret key; /* cipher key || salt or MAC key */
	uint64_t next_iv;  /* 0 = all were used; combined modes only */
};

static const EVP_CIPHER *cipher_of(const struct crypto_ctx *c, const struct aead_shape *shape)
{
	if (shape->kind == AEAD_KIND_CHACHA)
		return c->chacha;
	if (shape->kind == AEAD_KIND_GCM)
		return shape->key_len == 16 ? c->gcm_128 : c->gcm_256;
	return shape->key_len == 16 ? c->cbc_128 : shape->key_len == 24 ? c->cbc_192 : c->cbc_256;
}

/* What does not hide the text is for ESP alone, and so is what has ESP's number for an IV (RFC 8750
 * 7). */
static bool is_for_ike(const struct aead_shape *shape)
{
	return shape->key_len > 0 && shape->kind != AEAD_KIND_GMAC && shape->iv_len > 0;
}

enum err ike_aead_new(struct crypto_ctx *c, struct ike_aead **out, struct conf_encr encr,
		      const struct secret *key)
{
	const struct aead_shape *shape = aead_shape(encr_aead_alg(encr));
	struct ike_aead *a;
	enum err e;

	if (!is_for_ike(shape))
		return ERR_UNSUPPORTED;
	if (key->len != encr_key_len(encr))
		return ERR_INVAL;
	a = mem_alloc(sizeof(*a));
	if (!a)
		return ERR_NOMEM;
	a->c = c;
	a->shape = shape;
	a->cipher = cipher_of(c, shape);
	if (encr.integ)
		a->prf = (uint16_t)(encr.integ - INTEG_HMAC_SHA2_256_128 + PRF_HMAC_SHA2_256);
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

size_t ike_aead_iv_len(const struct ike_aead *a)
{
	return a->shape->iv_len;
}

size_t ike_aead_icv_len(const struct ike_aead *a)
{
	return a->shape->icv_len;
}

/* A stream is cut anywhere; blocks are whole. */
static size_t block_len(const struct ike_aead *a)
{
	return a->prf ? a->shape->align : 1;
}

size_t ike_aead_pad_len(const struct ike_aead *a, size_t text_len)
{
	return -(text_len + 1) & (block_len(a) - 1);
}

/* ---- combined modes -------------------------------------------------------------------------- */

/* begin - key, direction, nonce and additional data. */
static bool begin(EVP_CIPHER_CTX *ctx, const struct ike_aead *a, const uint8_t *iv, int encrypt,
		  struct bytes aad)
{
	uint8_t nonce[AEAD_NONCE_LEN];
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

static bool combined_seal(const struct ike_aead *a, const uint8_t *iv, uint8_t *icv, uint8_t *text,
			  size_t len, struct bytes aad)
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

static enum err combined_open(const struct ike_aead *a, const uint8_t *iv, const uint8_t *icv,
			      uint8_t *text, size_t len, struct bytes aad)
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH], tag[IKE_AEAD_ICV_LEN];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	enum err e = ERR_CRYPTO;
	int n = 0;

	memcpy(tag, icv, sizeof(tag));
	if (begin(ctx, a, iv, 0, aad) && crypt(ctx, text, len) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, IKE_AEAD_ICV_LEN, tag) == 1)
		e = EVP_CipherFinal_ex(ctx, rest, &n) == 1 ? ERR_OK : ERR_AUTH;
	EVP_CIPHER_CTX_free(ctx);
	return e;
}

/* ---- AES-CBC, then a MAC of message, IV and cipher text (RFC 7296 3.14) -------------------------
 */

static bool cbc(const struct ike_aead *a, const uint8_t *iv, uint8_t *text, size_t len, int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok = ctx && EVP_CipherInit_ex2(ctx, a->cipher, a->key.p, iv, encrypt, NULL) == 1 &&
		  EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 && crypt(ctx, text, len);

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

/* mac - the whole hash; the ICV is its first half. */
static enum err mac(const struct ike_aead *a, uint8_t out[static PRF_LEN_MAX], const uint8_t *iv,
		    const uint8_t *text, size_t len, struct bytes aad)
{
	const struct bytes parts[] = {aad, bytes_of(iv, a->shape->iv_len), bytes_of(text, len)};
	const struct bytes key = bytes_of(a->key.p + a->shape->key_len, a->shape->auth_len);

	return prf_compute(a->c, out, a->prf, key, parts, ARRAY_LEN(parts));
}

static enum err cbc_seal(struct ike_aead *a, uint8_t *out_iv, uint8_t *icv, uint8_t *text,
			 size_t len, struct bytes aad)
{
	uint8_t hash[PRF_LEN_MAX];
	enum err e;

	if (len == 0 || len % a->shape->align)
		return ERR_INVAL;
	e = rng_fill(a->c->rng, out_iv, a->shape->iv_len);
	if (e == ERR_OK && !cbc(a, out_iv, text, len, 1))
		e = ERR_CRYPTO;
	if (e == ERR_OK)
		e = mac(a, hash, out_iv, text, len, aad);
	if (e == ERR_OK)
		memcpy(icv, hash, a->shape->icv_len);
	return e;
}

static enum err cbc_open(const struct ike_aead *a, const uint8_t *iv, const uint8_t *icv,
			 uint8_t *text, size_t len, struct bytes aad)
{
	uint8_t hash[PRF_LEN_MAX];
	enum err e = mac(a, hash, iv, text, len, aad);

	if (e == ERR_OK && !secret_equal(hash, a->shape->icv_len, icv, a->shape->icv_len))
		e = ERR_AUTH;
	if (e == ERR_OK && (len == 0 || len % a->shape->align))
		e = ERR_AUTH;
	if (e == ERR_OK && !cbc(a, iv, text, len, 0))
		e = ERR_CRYPTO;
	return e;
}

/* ---- both ------------------------------------------------------------------------------------ */

static enum err seal(struct ike_aead *a, uint8_t *out_iv, uint8_t *icv, uint8_t *text, size_t len,
		     struct bytes aad)
{
	if (a->prf)
		return cbc_seal(a, out_iv, icv, text, len, aad);
	if (a->next_iv == 0)
		return ERR_EXHAUSTED;
	/* Counted before it is used: an IV is never used twice, whatever fails. */
	store_be64(out_iv, a->next_iv++);
	return combined_seal(a, out_iv, icv, text, len, aad) ? ERR_OK : ERR_CRYPTO;
}

enum err ike_aead_seal(struct ike_aead *a, uint8_t *out_iv, uint8_t *out_icv, uint8_t *text,
		       size_t len, struct bytes aad)
{
	enum err e;

	if (len > TEXT_MAX || aad.len > TEXT_MAX)
		return ERR_LIMIT;
	if (!secret_alive())
		return ERR_BAD_STATE;
	ERR_set_mark();
	e = seal(a, out_iv, out_icv, text, len, aad);
	ERR_pop_to_mark();
	return e;
}

enum err ike_aead_open(struct ike_aead *a, const uint8_t *iv, const uint8_t *icv, uint8_t *text,
		       size_t len, struct bytes aad)
{
	enum err e;

	if (len > TEXT_MAX || aad.len > TEXT_MAX)
		return ERR_LIMIT;
	/* Under a key of zeros anybody could speak. */
	if (!secret_alive())
		return ERR_BAD_STATE;
	ERR_set_mark();
	e = a->prf ? cbc_open(a, iv, icv, text, len, aad)
		   : combined_open(a, iv, icv, text, len, aad);
	ERR_pop_to_mark();
	if (e != ERR_OK && len)
		secret_wipe(text, len);
	return e;
}
