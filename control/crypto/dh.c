/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/dh.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

#include "base/alloc.h"
#include "control/conf/conf.h"
#include "control/crypto/ctx_priv.h"

/* enum family - what kinds of groups differ in. OpenSSL's encoding of an ECP point has one byte in
 * front (4: uncompressed, SEC 1 2.3.3) of what a KE payload holds. A MODP value is a number as long
 * as its prime, with leading zeros (RFC 7296 3.4), and so is the result (2.14). */
enum family {
	FAMILY_X25519,
	FAMILY_ECP,
	FAMILY_MODP,
	FAMILY_KEM,
};

/* struct dh_info - one group. */
struct dh_info {
	uint16_t group;
	enum family family;
	const char *type; /* of key, as OpenSSL calls it */
	const char *name; /* of the group, as OpenSSL calls it; NULL for Curve25519 */
	size_t public_len, shared_len;
	size_t answer_len; /* of a responder's value */
};

struct dh {
	struct crypto_ctx *c;
	const struct dh_info *info;
	EVP_PKEY *key; /* NULL: a responder's of ML-KEM, who needs none any more */
	size_t public_len;
	uint8_t public[DH_VALUE_MAX];
};

#define POINT_UNCOMPRESSED 4
#define POINT_MAX          (1 + DH_PUBLIC_MAX)

static const struct dh_info *find(uint16_t group)
{
	static const struct dh_info known[] = {
		{DH_CURVE_25519, FAMILY_X25519, "X25519", NULL, 32, 32, 32},
		{DH_ECP_256, FAMILY_ECP, "EC", "P-256", 64, 32, 64},
		{DH_ECP_384, FAMILY_ECP, "EC", "P-384", 96, 48, 96},
		{DH_ECP_521, FAMILY_ECP, "EC", "P-521", 132, 66, 132},
		{DH_MODP_2048, FAMILY_MODP, "DH", "modp_2048", 256, 256, 256},
		{DH_MODP_3072, FAMILY_MODP, "DH", "modp_3072", 384, 384, 384},
		{DH_MODP_4096, FAMILY_MODP, "DH", "modp_4096", 512, 512, 512},
		{KE_ML_KEM_512, FAMILY_KEM, "ML-KEM-512", NULL, 800, 32, 768},
		{KE_ML_KEM_768, FAMILY_KEM, "ML-KEM-768", NULL, 1184, 32, 1088},
		{KE_ML_KEM_1024, FAMILY_KEM, "ML-KEM-1024", NULL, 1568, 32, 1568},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].group == group)
			return &known[i];
	}
	return NULL;
}

size_t dh_public_len(uint16_t group)
{
	const struct dh_info *info = find(group);

	return info ? info->public_len : 0;
}

size_t dh_shared_len(uint16_t group)
{
	const struct dh_info *info = find(group);

	return info ? info->shared_len : 0;
}

size_t dh_answer_len(uint16_t group)
{
	const struct dh_info *info = find(group);

	return info ? info->answer_len : 0;
}

/* import - a key from parameters; NULL if OpenSSL refuses them. */
static EVP_PKEY *import(struct crypto_ctx *c, const struct dh_info *info, int selection,
			OSSL_PARAM_BLD *bld)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(c->lib, info->type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY *key = NULL;

	if (!ctx || !params || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static bool push_group(OSSL_PARAM_BLD *bld, const struct dh_info *info)
{
	return !info->name ||
	       OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, info->name, 0) == 1;
}

/* push_public - a public value, which lives until the key is made: point holds it, or *n. */
static bool push_public(OSSL_PARAM_BLD *bld, uint8_t point[static POINT_MAX], BIGNUM **n,
			const struct dh_info *info, struct bytes value)
{
	const size_t front = info->family == FAMILY_ECP ? 1 : 0;

	if (info->family == FAMILY_MODP) {
		*n = BN_bin2bn(value.p, (int)value.len, NULL);
		return *n && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PUB_KEY, *n) == 1;
	}
	point[0] = POINT_UNCOMPRESSED;
	memcpy(point + front, value.p, value.len);
	return OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point,
						front + value.len) == 1;
}

/* import_peer - the peer's value as a key; a value that is no point of the curve gives NULL. */
static EVP_PKEY *import_peer(struct crypto_ctx *c, const struct dh_info *info, struct bytes value)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	uint8_t point[POINT_MAX];
	EVP_PKEY *key = NULL;
	BIGNUM *n = NULL;

	if (info->family == FAMILY_KEM)
		key = EVP_PKEY_new_raw_public_key_ex(c->lib, info->type, NULL, value.p, value.len);
	else if (bld && push_group(bld, info) && push_public(bld, point, &n, info, value))
		key = import(c, info, EVP_PKEY_PUBLIC_KEY, bld);
	BN_free(n);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

/* modp_prime - the caller's to free; NULL: no memory (RFC 3526). */
static BIGNUM *modp_prime(const struct dh_info *info)
{
	return info->group == DH_MODP_2048   ? BN_get_rfc3526_prime_2048(NULL)
	       : info->group == DH_MODP_3072 ? BN_get_rfc3526_prime_3072(NULL)
					     : BN_get_rfc3526_prime_4096(NULL);
}

/* modp_generated - a power of the generator: of a safe prime's residues those are the squares. With
 * another one its sender would learn whether our exponent is even. OpenSSL looks at this before 3.5
 * only. The value is public, and so is how long this takes. */
static bool modp_generated(struct crypto_ctx *c, const struct dh_info *info, struct bytes value)
{
	BIGNUM *p = modp_prime(info), *y = BN_bin2bn(value.p, (int)value.len, NULL);
	BN_CTX *bn = BN_CTX_new_ex(c->lib);
	bool ok = p && y && bn && BN_kronecker(y, p, bn) == 1;

	BN_CTX_free(bn);
	BN_free(y);
	BN_free(p);
	return ok;
}

/* peer_valid - range, on the curve, not infinity: all that RFC 6989 asks of a group of prime order,
 * and 1 < y < p - 1, all that it asks of a MODP group whose prime is a safe one (2.1), and that
 * such a value is a power of the generator. The import above checks most of it already, which is
 * not promised. Every 32 bytes are a Curve25519 value; low order shows in the result. Of an ML-KEM
 * key the import checks all that FIPS 203 7.2 asks. */
static bool peer_valid(struct crypto_ctx *c, const struct dh_info *info, EVP_PKEY *peer,
		       struct bytes value)
{
	EVP_PKEY_CTX *ctx;
	bool ok;

	if (info->family == FAMILY_X25519 || info->family == FAMILY_KEM)
		return true;
	ctx = EVP_PKEY_CTX_new_from_pkey(c->lib, peer, NULL);
	ok = ctx && EVP_PKEY_public_check_quick(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok && (info->family != FAMILY_MODP || modp_generated(c, info, value));
}

/* export_public - our value in KE payload format. */
static bool export_public(struct dh *dh)
{
	const struct dh_info *info = dh->info;
	const size_t front = info->family == FAMILY_ECP ? 1 : 0;
	uint8_t point[POINT_MAX];
	size_t len = sizeof(dh->public);

	dh->public_len = info->public_len;
	if (info->family == FAMILY_KEM)
		return EVP_PKEY_get_raw_public_key(dh->key, dh->public, &len) == 1 &&
		       len == info->public_len;
	len = 0;
	if (EVP_PKEY_get_octet_string_param(dh->key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
					    sizeof(point), &len) != 1)
		return false;
	if (len != front + info->public_len || (front && point[0] != POINT_UNCOMPRESSED))
		return false;
	memcpy(dh->public, point + front, info->public_len);
	return true;
}

/* wrap - own key (may be NULL) as a struct dh. */
static enum err wrap(struct crypto_ctx *c, struct dh **out, const struct dh_info *info,
		     EVP_PKEY *key)
{
	struct dh *dh = mem_alloc(sizeof(*dh));

	if (!dh) {
		EVP_PKEY_free(key);
		return ERR_NOMEM;
	}
	*dh = (struct dh){.c = c, .info = info, .key = key};
	if (!key || !export_public(dh)) {
		dh_free(dh);
		return ERR_CRYPTO;
	}
	*out = dh;
	return ERR_OK;
}

/* generate - a fresh key, NULL if OpenSSL cannot. A private MODP value has twice as many bits as
 * the group has strength, which OpenSSL chooses for the groups that it knows by name. */
static EVP_PKEY *generate(struct crypto_ctx *c, const struct dh_info *info)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(c->lib, info->type, NULL);
	EVP_PKEY *key = NULL;

	if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 ||
	    (info->name && EVP_PKEY_CTX_set_group_name(ctx, info->name) != 1) ||
	    EVP_PKEY_generate(ctx, &key) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

enum err dh_new(struct crypto_ctx *c, struct dh **out, uint16_t group)
{
	const struct dh_info *info = find(group);
	enum err e;

	if (!info)
		return ERR_UNSUPPORTED;
	ERR_set_mark();
	e = wrap(c, out, info, generate(c, info));
	crypto_ctx_leave(c);
	ERR_pop_to_mark();
	return e;
}

/* ecp_public - the point that belongs to a private value, in KE payload format. */
static bool ecp_public(uint8_t out[static DH_PUBLIC_MAX], struct crypto_ctx *c,
		       const struct dh_info *info, const BIGNUM *priv)
{
	uint8_t encoded[POINT_MAX];
	size_t len = 0;
	EC_GROUP *group =
		EC_GROUP_new_by_curve_name_ex(c->lib, NULL, EC_curve_nist2nid(info->name));
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	BN_CTX *bn = BN_CTX_new_ex(c->lib);

	if (point && bn && EC_POINT_mul(group, point, priv, NULL, NULL, bn) == 1)
		len = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, encoded,
					 POINT_MAX, bn);
	if (len == 1 + info->public_len)
		memcpy(out, encoded + 1, info->public_len);
	BN_CTX_free(bn);
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return len == 1 + info->public_len;
}

/* modp_public - 2^priv mod p (RFC 3526: the generator is 2 in every group). */
static bool modp_public(uint8_t out[static DH_PUBLIC_MAX], struct crypto_ctx *c,
			const struct dh_info *info, BIGNUM *priv)
{
	BN_CTX *bn = BN_CTX_new_ex(c->lib);
	BIGNUM *p = modp_prime(info), *y = BN_new(), *g = BN_new();
	bool ok;

	BN_set_flags(priv, BN_FLG_CONSTTIME);
	ok = p && bn && y && g && BN_set_word(g, 2) == 1 && BN_mod_exp(y, g, priv, p, bn) == 1 &&
	     BN_bn2binpad(y, out, (int)info->public_len) == (int)info->public_len;
	BN_free(g);
	BN_free(y);
	BN_CTX_free(bn);
	BN_free(p);
	return ok;
}

/* import_private - a key pair from a private value. */
static EVP_PKEY *import_private(struct crypto_ctx *c, const struct dh_info *info, struct bytes priv)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_secure_new(), *y = NULL;
	uint8_t public[DH_PUBLIC_MAX], point[POINT_MAX];
	EVP_PKEY *key = NULL;
	bool ok;

	if (info->family == FAMILY_X25519) {
		key = EVP_PKEY_new_raw_private_key_ex(c->lib, info->type, NULL, priv.p, priv.len);
		goto out;
	}
	ok = bld && n && BN_bin2bn(priv.p, (int)priv.len, n) && push_group(bld, info) &&
	     (info->family == FAMILY_ECP ? ecp_public(public, c, info, n)
					 : modp_public(public, c, info, n)) &&
	     OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, n) == 1 &&
	     push_public(bld, point, &y, info, bytes_of(public, info->public_len));
	if (ok)
		key = import(c, info, EVP_PKEY_KEYPAIR, bld);
out:
	BN_free(y);
	BN_clear_free(n);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

enum err dh_new_private(struct crypto_ctx *c, struct dh **out, uint16_t group, struct bytes priv)
{
	const struct dh_info *info = find(group);
	enum err e;

	if (!info)
		return ERR_UNSUPPORTED;
	if (priv.len != info->shared_len)
		return ERR_INVAL;
	ERR_set_mark();
	e = wrap(c, out, info, import_private(c, info, priv));
	crypto_ctx_leave(c);
	ERR_pop_to_mark();
	return e;
}

void dh_free(struct dh *dh)
{
	if (!dh)
		return;
	EVP_PKEY_free(dh->key);
	mem_free(dh);
}

uint16_t dh_group(const struct dh *dh)
{
	return dh->info->group;
}

struct bytes dh_public(const struct dh *dh)
{
	return bytes_of(dh->public, dh->public_len);
}

/* all_zero - without a branch on the content. */
static bool all_zero(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum |= p[i];
	return sum == 0;
}

/* derive - g^ir into out, already of the right size; false if OpenSSL refuses or it is zero. */
static bool derive(const struct dh *dh, struct secret *out, EVP_PKEY *peer)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(dh->c->lib, dh->key, NULL);
	const bool modp = dh->info->family == FAMILY_MODP;
	size_t len = out->len;
	bool ok;

	/* OpenSSL would look at the peer's value once more, and multiply a point by its order,
	 * which takes as long as what it is for. */
	ok = ctx && EVP_PKEY_derive_init(ctx) == 1 &&
	     (!modp || EVP_PKEY_CTX_set_dh_pad(ctx, 1) == 1) &&
	     EVP_PKEY_derive_set_peer_ex(ctx, peer, modp) == 1 &&
	     EVP_PKEY_derive(ctx, out->p, &len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok && len == out->len && !all_zero(out->p, len);
}

/* decapsulate - as initiator; false if OpenSSL refuses. */
static bool decapsulate(const struct dh *dh, struct secret *out, struct bytes text)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(dh->c->lib, dh->key, NULL);
	size_t len = out->len;
	bool ok = ctx && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
		  EVP_PKEY_decapsulate(ctx, out->p, &len, text.p, text.len) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok && len == out->len;
}

/* agree - what the peer's value and our key come to. */
static enum err agree(const struct dh *dh, struct secret *out, struct bytes value)
{
	EVP_PKEY *peer;
	enum err e = ERR_OK;

	if (dh->info->family == FAMILY_KEM)
		return dh->key && decapsulate(dh, out, value) ? ERR_OK : ERR_CRYPTO;
	peer = import_peer(dh->c, dh->info, value);
	if (!peer || !peer_valid(dh->c, dh->info, peer, value))
		e = ERR_MALFORMED;
	else if (!derive(dh, out, peer)) /* a point that is one has a secret */
		e = dh->info->family == FAMILY_ECP ? ERR_CRYPTO : ERR_MALFORMED;
	EVP_PKEY_free(peer);
	return e;
}

enum err dh_compute_shared(const struct dh *dh, struct secret *out, struct bytes peer)
{
	struct secret shared = {0};
	enum err e;

	if (peer.len != dh->info->answer_len)
		return ERR_MALFORMED;
	e = secret_init(&shared, dh->info->shared_len);
	if (e != ERR_OK)
		return e;
	ERR_set_mark();
	e = agree(dh, &shared, peer);
	crypto_ctx_leave(dh->c);
	ERR_pop_to_mark();
	if (e == ERR_OK)
		secret_move(out, &shared);
	secret_fini(&shared);
	return e;
}

/* encapsulate - a fresh secret for whoever has the peer's key. */
static enum err encapsulate(struct dh *dh, struct secret *shared, struct bytes value)
{
	EVP_PKEY *peer = import_peer(dh->c, dh->info, value);
	EVP_PKEY_CTX *ctx = peer ? EVP_PKEY_CTX_new_from_pkey(dh->c->lib, peer, NULL) : NULL;
	size_t len = sizeof(dh->public), secret_len = shared->len;
	bool ok = ctx && EVP_PKEY_encapsulate_init(ctx, NULL) == 1 &&
		  EVP_PKEY_encapsulate(ctx, dh->public, &len, shared->p, &secret_len) == 1;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	dh->public_len = len;
	if (!peer)
		return ERR_MALFORMED;
	return ok && len == dh->info->answer_len && secret_len == shared->len ? ERR_OK : ERR_CRYPTO;
}

static enum err respond_kem(struct crypto_ctx *c, struct dh **out, struct secret *shared,
			    const struct dh_info *info, struct bytes peer)
{
	struct secret s = {0};
	struct dh *dh;
	enum err e;

	if (peer.len != info->public_len)
		return ERR_MALFORMED;
	dh = mem_alloc(sizeof(*dh));
	if (!dh)
		return ERR_NOMEM;
	*dh = (struct dh){.c = c, .info = info};
	e = secret_init(&s, info->shared_len);
	ERR_set_mark();
	if (e == ERR_OK)
		e = encapsulate(dh, &s, peer);
	crypto_ctx_leave(c);
	ERR_pop_to_mark();
	if (e == ERR_OK) {
		secret_move(shared, &s);
		*out = dh;
	} else {
		dh_free(dh);
	}
	secret_fini(&s);
	return e;
}

enum err dh_respond(struct crypto_ctx *c, struct dh **out, struct secret *shared, uint16_t group,
		    struct bytes peer)
{
	const struct dh_info *info = find(group);
	struct dh *dh;
	enum err e;

	if (info && info->family == FAMILY_KEM)
		return respond_kem(c, out, shared, info, peer);
	e = dh_new(c, &dh, group);
	if (e != ERR_OK)
		return e;
	e = dh_compute_shared(dh, shared, peer);
	if (e == ERR_OK)
		*out = dh;
	else
		dh_free(dh);
	return e;
}
