/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/dh.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

#include "base/alloc.h"
#include "control/conf/conf.h"
#include "control/crypto/ctx_priv.h"

/* struct dh_info - one group. OpenSSL's encoding of an ECP point has one byte in front (4:
 * uncompressed, SEC 1 2.3.3) of what a KE payload holds. */
struct dh_info {
	uint16_t group;
	const char *type;
	const char *curve; /* NULL for Curve25519 */
	size_t public_len, shared_len;
};

struct dh {
	struct crypto_ctx *c;
	const struct dh_info *info;
	EVP_PKEY *key;
	uint8_t public[DH_PUBLIC_MAX];
};

#define POINT_UNCOMPRESSED 4
#define POINT_MAX          (1 + DH_PUBLIC_MAX)

static const struct dh_info *find(uint16_t group)
{
	static const struct dh_info known[] = {
		{DH_CURVE_25519, "X25519", NULL, 32, 32},
		{DH_ECP_256, "EC", "P-256", 64, 32},
		{DH_ECP_384, "EC", "P-384", 96, 48},
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
	return !info->curve || OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
							       info->curve, 0) == 1;
}

/* import_peer - the peer's value as a key; a value that is no point of the curve gives NULL. */
static EVP_PKEY *import_peer(struct crypto_ctx *c, const struct dh_info *info, struct bytes value)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	uint8_t point[POINT_MAX] = {POINT_UNCOMPRESSED};
	const size_t skip = info->curve ? 0 : 1;
	EVP_PKEY *key = NULL;

	memcpy(point + 1, value.p, value.len);
	if (bld && push_group(bld, info) &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point + skip,
					     1 + value.len - skip) == 1)
		key = import(c, info, EVP_PKEY_PUBLIC_KEY, bld);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

/* peer_valid - range, on the curve, not infinity: all that RFC 6989 asks of a group of prime order.
 * The import above checks most of it already, which is not promised. Every 32 bytes are a
 * Curve25519 value; low order shows in the result. */
static bool peer_valid(struct crypto_ctx *c, const struct dh_info *info, EVP_PKEY *peer)
{
	EVP_PKEY_CTX *ctx;
	bool ok;

	if (!info->curve)
		return true;
	ctx = EVP_PKEY_CTX_new_from_pkey(c->lib, peer, NULL);
	ok = ctx && EVP_PKEY_public_check_quick(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* export_public - our value in KE payload format. */
static bool export_public(struct dh *dh)
{
	const struct dh_info *info = dh->info;
	const char *name =
		info->curve ? OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY : OSSL_PKEY_PARAM_PUB_KEY;
	const size_t front = info->curve ? 1 : 0;
	uint8_t point[POINT_MAX];
	size_t len = 0;

	if (EVP_PKEY_get_octet_string_param(dh->key, name, point, sizeof(point), &len) != 1)
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

enum err dh_new(struct crypto_ctx *c, struct dh **out, uint16_t group)
{
	const struct dh_info *info = find(group);
	EVP_PKEY *key;
	enum err e;

	if (!info)
		return ERR_UNSUPPORTED;
	ERR_set_mark();
	key = info->curve ? EVP_PKEY_Q_keygen(c->lib, NULL, info->type, info->curve)
			  : EVP_PKEY_Q_keygen(c->lib, NULL, info->type);
	e = wrap(c, out, info, key);
	crypto_ctx_leave(c);
	ERR_pop_to_mark();
	return e;
}

/* public_of - the point that belongs to a private ECP value, encoded. */
static bool public_of(uint8_t out[static POINT_MAX], size_t *out_len, struct crypto_ctx *c,
		      const struct dh_info *info, const BIGNUM *priv)
{
	EC_GROUP *group =
		EC_GROUP_new_by_curve_name_ex(c->lib, NULL, EC_curve_nist2nid(info->curve));
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	BN_CTX *bn = BN_CTX_new_ex(c->lib);

	*out_len = 0;
	if (point && bn && EC_POINT_mul(group, point, priv, NULL, NULL, bn) == 1)
		*out_len = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out,
					      POINT_MAX, bn);
	BN_CTX_free(bn);
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return *out_len != 0;
}

/* import_private - a key pair from a private value. */
static EVP_PKEY *import_private(struct crypto_ctx *c, const struct dh_info *info, struct bytes priv)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_secure_new();
	uint8_t point[POINT_MAX];
	EVP_PKEY *key = NULL;
	size_t len;
	bool ok;

	if (!info->curve) {
		key = EVP_PKEY_new_raw_private_key_ex(c->lib, info->type, NULL, priv.p, priv.len);
		goto out;
	}
	ok = bld && n && BN_bin2bn(priv.p, (int)priv.len, n) && push_group(bld, info) &&
	     public_of(point, &len, c, info, n) &&
	     OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, n) == 1 &&
	     OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, len) == 1;
	if (ok)
		key = import(c, info, EVP_PKEY_KEYPAIR, bld);
out:
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
	return bytes_of(dh->public, dh->info->public_len);
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
	size_t len = out->len;
	bool ok;

	ok = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
	     EVP_PKEY_derive(ctx, out->p, &len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok && len == out->len && !all_zero(out->p, len);
}

enum err dh_compute_shared(const struct dh *dh, struct secret *out, struct bytes peer)
{
	struct secret shared = {0};
	EVP_PKEY *key = NULL;
	enum err e;

	if (peer.len != dh->info->public_len)
		return ERR_MALFORMED;
	e = secret_init(&shared, dh->info->shared_len);
	if (e != ERR_OK)
		return e;
	ERR_set_mark();
	key = import_peer(dh->c, dh->info, peer);
	if (!key || !peer_valid(dh->c, dh->info, key) || !derive(dh, &shared, key))
		e = ERR_MALFORMED;
	EVP_PKEY_free(key);
	crypto_ctx_leave(dh->c);
	ERR_pop_to_mark();
	if (e == ERR_OK)
		secret_move(out, &shared);
	secret_fini(&shared);
	return e;
}
