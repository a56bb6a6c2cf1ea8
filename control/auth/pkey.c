/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/pkey.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

/* struct form - how keys of one kind are written: front | key, and in private
 * front | scalar | middle | point. The key of a public one is the content of its BIT STRING. */
struct form {
	const char *group; /* NULL: Ed25519 */
	const char *public_front, *private_front, *middle;
	uint8_t public_front_len, private_front_len, middle_len;
	uint8_t public_len, scalar_len;
};

#define FORM(group, public_front, private_front, middle, public_len, scalar_len)              \
	{                                                                                     \
		group, public_front, private_front, middle, sizeof(public_front) - 1,         \
			sizeof(private_front) - 1, sizeof(middle) - 1, public_len, scalar_len \
	}
#define EC_PUBLIC "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01" /* id-ecPublicKey */

static const struct form forms[] = {
	FORM("prime256v1",
	     "\x30\x59\x30\x13" EC_PUBLIC "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00",
	     "\x30\x81\x87\x02\x01\x00\x30\x13" EC_PUBLIC
	     "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x6d\x30\x6b\x02\x01\x01\x04\x20",
	     "\xa1\x44\x03\x42\x00", 65, 32),
	FORM("secp384r1", "\x30\x76\x30\x10" EC_PUBLIC "\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00",
	     "\x30\x81\xb6\x02\x01\x00\x30\x10" EC_PUBLIC
	     "\x06\x05\x2b\x81\x04\x00\x22\x04\x81\x9e\x30\x81\x9b\x02\x01\x01\x04\x30",
	     "\xa1\x64\x03\x62\x00", 97, 48),
	FORM("secp521r1",
	     "\x30\x81\x9b\x30\x10" EC_PUBLIC "\x06\x05\x2b\x81\x04\x00\x23\x03\x81\x86\x00",
	     "\x30\x81\xee\x02\x01\x00\x30\x10" EC_PUBLIC
	     "\x06\x05\x2b\x81\x04\x00\x23\x04\x81\xd6\x30\x81\xd3\x02\x01\x01\x04\x42",
	     "\xa1\x81\x89\x03\x81\x86\x00", 133, 66),
	FORM(NULL, "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
	     "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", "", 32, 32),
};

static bool begins(struct bytes b, const char *with, size_t len)
{
	return b.len >= len && bytes_equal(bytes_of(b.p, len), bytes_of(with, len));
}

/* import - from the public half, and from the private one unless it is NULL. */
static EVP_PKEY *import(OSSL_LIB_CTX *lib, const struct form *f, const uint8_t *point,
			const BIGNUM *scalar)
{
	const int selection = scalar ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(lib, "EC", NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (bld && ctx &&
	    OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, f->group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, f->public_len) ==
		    1 &&
	    (!scalar || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, scalar) == 1))
		params = OSSL_PARAM_BLD_to_param(bld);
	if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params); /* wipes what it has of a secure number */
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

EVP_PKEY *pkey_public(OSSL_LIB_CTX *lib, struct bytes *out_bits, struct bytes spki)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct form *f = &forms[i];
		const uint8_t *key;

		if (spki.len != (size_t)f->public_front_len + f->public_len ||
		    !begins(spki, f->public_front, f->public_front_len))
			continue;
		key = spki.p + f->public_front_len;
		if (f->group && key[0] != POINT_CONVERSION_UNCOMPRESSED)
			return NULL;
		*out_bits = bytes_of(key, f->public_len);
		return f->group ? import(lib, f, key, NULL)
				: EVP_PKEY_new_raw_public_key_ex(lib, "ED25519", NULL, key,
								 f->public_len);
	}
	return NULL;
}

static EVP_PKEY *import_private(OSSL_LIB_CTX *lib, const struct form *f, const uint8_t *scalar,
				const uint8_t *point)
{
	BIGNUM *n = BN_secure_new();
	EVP_PKEY *key = NULL;

	if (n && BN_bin2bn(scalar, f->scalar_len, n))
		key = import(lib, f, point, n);
	BN_clear_free(n);
	return key;
}

/* The point that follows a scalar; NULL if something else does. */
static const uint8_t *point_behind(const struct form *f, const uint8_t *scalar)
{
	const uint8_t *middle = scalar + f->scalar_len, *point = middle + f->middle_len;

	return begins(bytes_of(middle, f->middle_len), f->middle, f->middle_len) &&
			       point[0] == POINT_CONVERSION_UNCOMPRESSED
		       ? point
		       : NULL;
}

EVP_PKEY *pkey_private(OSSL_LIB_CTX *lib, struct bytes pkcs8)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct form *f = &forms[i];
		const size_t tail = f->group ? (size_t)f->middle_len + f->public_len : 0;
		const uint8_t *scalar, *point;

		if (pkcs8.len != (size_t)f->private_front_len + f->scalar_len + tail ||
		    !begins(pkcs8, f->private_front, f->private_front_len))
			continue;
		scalar = pkcs8.p + f->private_front_len;
		if (!f->group)
			return EVP_PKEY_new_raw_private_key_ex(lib, "ED25519", NULL, scalar,
							       f->scalar_len);
		point = point_behind(f, scalar);
		return point ? import_private(lib, f, scalar, point) : NULL;
	}
	return NULL;
}
