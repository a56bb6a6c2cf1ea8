/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>

#include "control/auth/pkey.h"

#define RSA_EXPONENT_MIN 65537

static enum err say(char why[static KEY_WHY_MAX], enum err e, const char *text)
{
	snprintf(why, KEY_WHY_MAX, "%s", text);
	return e;
}

/* OpenSSL's own checks: the modulus is odd, composite and without small factors. */
static bool is_sound(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool ok = ctx && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* The point lies on the curve, and is not the one at infinity. All points of these curves have the
 * curve's order, which is a prime, so that to multiply by it would tell no more (SP 800-56A
 * 5.6.2.3.4). */
static bool is_on_curve(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool ok = ctx && EVP_PKEY_public_check_quick(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool exponent_fits(const EVP_PKEY *key)
{
	BIGNUM *e = NULL;
	bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) &&
		  BN_num_bits(e) <= 64 && BN_get_word(e) >= RSA_EXPONENT_MIN;

	BN_free(e);
	return ok;
}

static enum err check_rsa(struct key_info *out, char why[static KEY_WHY_MAX], EVP_PKEY *key,
			  bool quick)
{
	out->kind = KEY_RSA;
	if (out->bits < KEY_RSA_BITS_MIN || out->bits > KEY_RSA_BITS_MAX) {
		snprintf(why, KEY_WHY_MAX, "its RSA key has %u bits: %d to %d are accepted",
			 out->bits, KEY_RSA_BITS_MIN, KEY_RSA_BITS_MAX);
		return ERR_LIMIT;
	}
	if (!exponent_fits(key))
		return say(why, ERR_LIMIT,
			   "its RSA exponent is even, below 65537 or longer than 64 bits");
	if (!quick && !is_sound(key))
		return say(why, ERR_LIMIT, "its RSA key is degenerate");
	return ERR_OK;
}

static enum err check_ec(struct key_info *out, char why[static KEY_WHY_MAX], EVP_PKEY *key)
{
	static const struct {
		const char *name;
		enum key_kind kind;
	} curves[] = {
		{"prime256v1", KEY_ECP_256},
		{"secp384r1", KEY_ECP_384},
		{"secp521r1", KEY_ECP_521},
	};
	char name[64];
	int explicit = 0;

	if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof(name),
					   NULL) != 1)
		return say(why, ERR_UNSUPPORTED, "its elliptic curve has no name");
	if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
				   &explicit) != 1 ||
	    explicit)
		return say(why, ERR_UNSUPPORTED,
			   "its elliptic curve is spelt out instead of named (RFC 5480 2.1.1)");
	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		if (strcmp(name, curves[i].name) == 0) /* public data: a curve's name */
			out->kind = curves[i].kind;
	}
	if (out->kind == KEY_NONE)
		return say(why, ERR_UNSUPPORTED, "its elliptic curve is not P-256, P-384 or P-521");
	if (!is_on_curve(key))
		return say(why, ERR_LIMIT, "its key is no point of its curve");
	return ERR_OK;
}

static enum err check_ed25519(struct key_info *out, char why[static KEY_WHY_MAX], EVP_PKEY *key)
{
	uint8_t point[crypto_core_ed25519_BYTES];
	size_t len = sizeof(point);

	out->kind = KEY_ED25519;
	if (EVP_PKEY_get_raw_public_key(key, point, &len) != 1 || len != sizeof(point) ||
	    crypto_core_ed25519_is_valid_point(point) != 1)
		return say(why, ERR_LIMIT, "its Ed25519 key is degenerate");
	return ERR_OK;
}

static enum err check_kind(struct key_info *out, char why[static KEY_WHY_MAX], EVP_PKEY *key,
			   bool quick)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		return check_rsa(out, why, key, quick);
	case EVP_PKEY_EC:
		return check_ec(out, why, key);
	case EVP_PKEY_ED25519:
		return check_ed25519(out, why, key);
	case EVP_PKEY_ED448:
		out->kind = KEY_ED448;
		return is_sound(key) ? ERR_OK : say(why, ERR_LIMIT, "its Ed448 key is degenerate");
	default:
		return say(why, ERR_UNSUPPORTED,
			   "its key is none of RSA, ECDSA, Ed25519 and Ed448");
	}
}

static bool sha1(uint8_t out[static KEY_ID_LEN], const void *p, size_t len)
{
	return EVP_Q_digest(NULL, "SHA1", NULL, p, len, out, NULL) == 1;
}

static enum err check_key(struct key_info *out, char why[static KEY_WHY_MAX], EVP_PKEY *key,
			  struct bytes spki, struct bytes bits, bool quick)
{
	struct key_info info = {.kind = KEY_NONE, .bits = (uint32_t)EVP_PKEY_get_bits(key)};
	enum err e = check_kind(&info, why, key, quick);

	if (!e && (!sha1(info.spki_id, spki.p, spki.len) || !sha1(info.bits_id, bits.p, bits.len)))
		e = ERR_CRYPTO;
	if (!e)
		*out = info;
	return e;
}

/* However it is written. */
static enum err check_any(struct key_info *out, char why[static KEY_WHY_MAX], struct bytes spki,
			  bool quick)
{
	const unsigned char *at = spki.p, *bits;
	X509_PUBKEY *pub = d2i_X509_PUBKEY(NULL, &at, (long)spki.len);
	EVP_PKEY *key = pub ? X509_PUBKEY_get0(pub) : NULL;
	enum err e;
	int len;

	if (!key || at != spki.p + spki.len)
		e = say(why, pub && !key ? ERR_UNSUPPORTED : ERR_MALFORMED,
			"its public key cannot be read");
	else if (X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, pub) != 1 || len < 0)
		e = ERR_CRYPTO;
	else
		e = check_key(out, why, key, spki, bytes_of(bits, (size_t)len), quick);
	X509_PUBKEY_free(pub);
	return e;
}

static enum err check(struct key_info *out, char why[static KEY_WHY_MAX], struct bytes spki,
		      bool quick)
{
	struct bytes bits;
	EVP_PKEY *key = pkey_public(NULL, &bits, spki);
	enum err e;

	if (!key)
		return check_any(out, why, spki, quick);
	e = check_key(out, why, key, spki, bits, quick);
	EVP_PKEY_free(key);
	return e;
}

static enum err check_bounded(struct key_info *out, char why[static KEY_WHY_MAX], struct bytes spki,
			      bool quick)
{
	enum err e;

	why[0] = '\0';
	if (!spki.len || spki.len > KEY_SPKI_MAX)
		return say(why, ERR_MALFORMED, "its public key is empty or too long");
	ERR_set_mark();
	e = check(out, why, spki, quick);
	ERR_pop_to_mark();
	return e;
}

enum err key_check(struct key_info *out, char why[static KEY_WHY_MAX], struct bytes spki)
{
	return check_bounded(out, why, spki, false);
}

enum err key_check_quick(struct key_info *out, char why[static KEY_WHY_MAX], struct bytes spki)
{
	return check_bounded(out, why, spki, true);
}

const char *key_kind_name(enum key_kind kind)
{
	static const char *const names[KEY_NUM_KINDS] = {
		[KEY_NONE] = "none",           [KEY_RSA] = "RSA",
		[KEY_ECP_256] = "ECDSA P-256", [KEY_ECP_384] = "ECDSA P-384",
		[KEY_ECP_521] = "ECDSA P-521", [KEY_ED25519] = "Ed25519",
		[KEY_ED448] = "Ed448",
	};

	return (unsigned)kind < KEY_NUM_KINDS ? names[kind] : "?";
}
