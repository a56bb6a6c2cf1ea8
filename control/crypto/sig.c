/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/sig.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "control/auth/pkey.h"
#include "control/crypto/ctx_priv.h"

static const char *hash_name(enum sig_hash hash)
{
	switch (hash) {
	case SIG_SHA2_256:
		return "SHA2-256";
	case SIG_SHA2_384:
		return "SHA2-384";
	case SIG_SHA2_512:
		return "SHA2-512";
	case SIG_IDENTITY:
	default:
		return NULL;
	}
}

static bool is_ecdsa(enum key_kind kind)
{
	return KEY_BIT(kind) & KEY_BITS_ECDSA;
}

/* RFC 4754 3: to each curve its hash. */
static enum sig_hash raw_hash(enum key_kind kind)
{
	return kind == KEY_ECP_256   ? SIG_SHA2_256
	       : kind == KEY_ECP_384 ? SIG_SHA2_384
				     : SIG_SHA2_512;
}

bool sig_fits(enum key_kind kind, struct sig_scheme scheme)
{
	switch (scheme.form) {
	case SIG_RSA_PKCS1:
	case SIG_RSA_PSS:
		return kind == KEY_RSA && hash_name(scheme.hash);
	case SIG_ECDSA:
		return is_ecdsa(kind) && hash_name(scheme.hash);
	case SIG_ECDSA_RAW:
		return is_ecdsa(kind) && scheme.hash == raw_hash(kind);
	case SIG_ED25519:
		return kind == KEY_ED25519 && scheme.hash == SIG_IDENTITY;
	case SIG_ED448:
		return kind == KEY_ED448 && scheme.hash == SIG_IDENTITY;
	default:
		return false;
	}
}

/* The kind of a key that passed the checks of key_check() before. */
static enum key_kind kind_of(const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		return KEY_RSA;
	case EVP_PKEY_ED25519:
		return KEY_ED25519;
	case EVP_PKEY_ED448:
		return KEY_ED448;
	case EVP_PKEY_EC:
		return bits == 256   ? KEY_ECP_256
		       : bits == 384 ? KEY_ECP_384
		       : bits == 521 ? KEY_ECP_521
				     : KEY_NONE;
	default:
		return KEY_NONE;
	}
}

static bool set_padding(EVP_PKEY_CTX *ctx, struct sig_scheme scheme)
{
	if (scheme.form == SIG_RSA_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
	if (scheme.form != SIG_RSA_PSS)
		return true;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

/* ---- r and s side by side (RFC 4754 7) ------------------------------------------------------- */

static size_t half_len(const EVP_PKEY *key)
{
	return ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
}

/* In place is fine: what was read is held apart. */
static enum err to_raw(uint8_t *out, size_t *out_len, size_t half, struct bytes der)
{
	const unsigned char *at = der.p;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
	const BIGNUM *r_part, *s_part;
	bool ok = s && at == der.p + der.len;

	if (ok) {
		ECDSA_SIG_get0(s, &r_part, &s_part);
		ok = BN_bn2binpad(r_part, out, (int)half) == (int)half &&
		     BN_bn2binpad(s_part, out + half, (int)half) == (int)half;
	}
	ECDSA_SIG_free(s);
	*out_len = 2 * half;
	return ok ? ERR_OK : ERR_CRYPTO;
}

enum err sig_ecdsa_raw(uint8_t out[static SIG_MAX], size_t *out_len, enum key_kind kind,
		       struct bytes der)
{
	const size_t half = kind == KEY_ECP_256 ? 32 : kind == KEY_ECP_384 ? 48 : 66;
	enum err e;

	ERR_set_mark();
	e = to_raw(out, out_len, half, der);
	ERR_pop_to_mark();
	return e;
}

static enum err from_raw(uint8_t out[static SIG_MAX], size_t *out_len, size_t half,
			 struct bytes raw)
{
	ECDSA_SIG *s = ECDSA_SIG_new();
	unsigned char *at = out;
	BIGNUM *r_part, *s_part;
	enum err e = ERR_CRYPTO;
	int len = -1;

	if (raw.len != 2 * half) {
		ECDSA_SIG_free(s);
		return ERR_AUTH;
	}
	r_part = BN_bin2bn(raw.p, (int)half, NULL);
	s_part = BN_bin2bn(raw.p + half, (int)half, NULL);
	if (s && r_part && s_part && ECDSA_SIG_set0(s, r_part, s_part) == 1) {
		r_part = s_part = NULL; /* s has them */
		len = i2d_ECDSA_SIG(s, NULL);
	}
	if (len > 0 && len <= SIG_MAX && i2d_ECDSA_SIG(s, &at) == len) {
		*out_len = (size_t)len;
		e = ERR_OK;
	}
	BN_free(r_part);
	BN_free(s_part);
	ECDSA_SIG_free(s);
	return e;
}

/* ---- sign ------------------------------------------------------------------------------------ */

static EVP_PKEY *decode_private(struct crypto_ctx *c, struct bytes pkcs8)
{
	const unsigned char *at = pkcs8.p;
	EVP_PKEY *key = pkey_private(c->lib, pkcs8);
	PKCS8_PRIV_KEY_INFO *info;

	if (key)
		return key;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)pkcs8.len);
	key = info ? EVP_PKCS82PKEY_ex(info, c->lib, NULL) : NULL;
	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

static enum err sign(struct crypto_ctx *c, EVP_MD_CTX *md, uint8_t out[static SIG_MAX],
		     size_t *out_len, struct sig_scheme scheme, EVP_PKEY *key, struct bytes message)
{
	EVP_PKEY_CTX *ctx;
	size_t len = SIG_MAX;

	if (!sig_fits(kind_of(key), scheme))
		return ERR_UNSUPPORTED;
	if ((size_t)EVP_PKEY_get_size(key) > SIG_MAX ||
	    EVP_DigestSignInit_ex(md, &ctx, hash_name(scheme.hash), c->lib, NULL, key, NULL) != 1 ||
	    !set_padding(ctx, scheme) || EVP_DigestSign(md, out, &len, message.p, message.len) != 1)
		return ERR_CRYPTO;
	if (scheme.form == SIG_ECDSA_RAW && to_raw(out, &len, half_len(key), bytes_of(out, len)))
		return ERR_CRYPTO;
	*out_len = len;
	return ERR_OK;
}

enum err sig_sign(struct crypto_ctx *c, uint8_t out[static SIG_MAX], size_t *out_len,
		  struct sig_scheme scheme, struct bytes pkcs8, struct bytes message)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	enum err e = ERR_CRYPTO;
	EVP_PKEY *key;

	ERR_set_mark();
	key = decode_private(c, pkcs8);
	if (md && key)
		e = sign(c, md, out, out_len, scheme, key, message);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	ERR_pop_to_mark();
	crypto_ctx_leave(c);
	return e;
}

/* ---- verify ---------------------------------------------------------------------------------- */

static enum err verify(struct crypto_ctx *c, EVP_MD_CTX *md, struct sig_scheme scheme,
		       EVP_PKEY *key, struct bytes message, struct bytes sig)
{
	uint8_t der[SIG_MAX];
	EVP_PKEY_CTX *ctx;
	enum err e;

	if (!sig_fits(kind_of(key), scheme))
		return ERR_UNSUPPORTED;
	if (scheme.form == SIG_ECDSA_RAW) {
		e = from_raw(der, &sig.len, half_len(key), sig);
		if (e)
			return e;
		sig.p = der;
	}
	if (EVP_DigestVerifyInit_ex(md, &ctx, hash_name(scheme.hash), c->lib, NULL, key, NULL) !=
		    1 ||
	    !set_padding(ctx, scheme))
		return ERR_CRYPTO;
	return EVP_DigestVerify(md, sig.p, sig.len, message.p, message.len) == 1 ? ERR_OK
										 : ERR_AUTH;
}

static EVP_PKEY *decode_public(struct crypto_ctx *c, struct bytes spki)
{
	const unsigned char *at = spki.p;
	struct bytes bits;
	EVP_PKEY *key = pkey_public(c->lib, &bits, spki);

	return key ? key : d2i_PUBKEY_ex(NULL, &at, (long)spki.len, c->lib, NULL);
}

enum err sig_verify(struct crypto_ctx *c, struct sig_scheme scheme, struct bytes spki,
		    struct bytes message, struct bytes sig)
{
	EVP_MD_CTX *md;
	EVP_PKEY *key;
	enum err e = ERR_CRYPTO;

	if (!sig.len || sig.len > SIG_MAX || spki.len > KEY_SPKI_MAX)
		return ERR_AUTH;
	ERR_set_mark();
	md = EVP_MD_CTX_new();
	key = decode_public(c, spki);
	if (md && key)
		e = verify(c, md, scheme, key, message, sig);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	ERR_pop_to_mark();
	crypto_ctx_leave(c);
	return e;
}
