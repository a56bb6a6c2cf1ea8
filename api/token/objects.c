/* SPDX-License-Identifier: Apache-2.0 */
#include "api/token/objects.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

/* PART_MAX - bytes of a modulus, an exponent, a point or a curve's name. */
#define PART_MAX 2048

/* struct part - one attribute, as the token has it. */
struct part {
	uint8_t p[PART_MAX];
	size_t len;
};

static CK_RV read_part(struct part *out, const struct object *o, CK_ATTRIBUTE_TYPE type)
{
	CK_ATTRIBUTE a = {.type = type, .pValue = out->p, .ulValueLen = sizeof(out->p)};
	CK_RV rv = o->f->C_GetAttributeValue(o->session, o->handle, &a, 1);

	if (rv != CKR_OK)
		return rv;
	if (!a.ulValueLen || a.ulValueLen > sizeof(out->p))
		return CKR_DATA_INVALID;
	out->len = a.ulValueLen;
	return CKR_OK;
}

CK_RV object_find(struct object *out, CK_OBJECT_CLASS class, struct bytes id)
{
	uint8_t copy[CONF_TOKEN_HANDLE_MAX];
	CK_ATTRIBUTE wanted[] = {
		{.type = CKA_CLASS, .pValue = &class, .ulValueLen = sizeof(class)},
		{.type = CKA_ID, .pValue = copy, .ulValueLen = id.len},
	};
	CK_ULONG num = 0;
	CK_RV rv;

	if (id.len > sizeof(copy))
		return CKR_DATA_LEN_RANGE;
	memcpy(copy, id.p, id.len);
	out->handle = 0;
	rv = out->f->C_FindObjectsInit(out->session, wanted, ARRAY_LEN(wanted));
	if (rv != CKR_OK)
		return rv;
	rv = out->f->C_FindObjects(out->session, &out->handle, 1, &num);
	(void)out->f->C_FindObjectsFinal(out->session);
	if (rv != CKR_OK || num != 1)
		out->handle = 0;
	return rv;
}

CK_RV object_value(struct token_reply *out, const struct object *o)
{
	CK_ATTRIBUTE a = {
		.type = CKA_VALUE, .pValue = out->result, .ulValueLen = sizeof(out->result)};
	CK_RV rv = o->f->C_GetAttributeValue(o->session, o->handle, &a, 1);

	if (rv == CKR_OK && (!a.ulValueLen || a.ulValueLen > sizeof(out->result)))
		rv = CKR_DATA_INVALID;
	if (rv == CKR_OK)
		out->len = (uint32_t)a.ulValueLen;
	return rv;
}

bool object_flag(const struct object *o, CK_ATTRIBUTE_TYPE type)
{
	CK_BBOOL set = CK_FALSE;
	CK_ATTRIBUTE a = {.type = type, .pValue = &set, .ulValueLen = sizeof(set)};

	return o->f->C_GetAttributeValue(o->session, o->handle, &a, 1) == CKR_OK &&
	       a.ulValueLen == sizeof(set) && set == CK_TRUE;
}

/* ---- SubjectPublicKeyInfo -------------------------------------------------------------------- */

static CK_RV write_spki(struct token_reply *out, X509_PUBKEY *pub)
{
	unsigned char *at = out->result;
	int len = pub ? i2d_X509_PUBKEY(pub, NULL) : 0;

	if (len <= 0 || (size_t)len > sizeof(out->result))
		return CKR_DATA_INVALID;
	out->len = (uint32_t)i2d_X509_PUBKEY(pub, &at);
	return CKR_OK;
}

static EVP_PKEY *rsa_of(const struct part *n, const struct part *e)
{
	BIGNUM *bn = BN_bin2bn(n->p, (int)n->len, NULL), *be = BN_bin2bn(e->p, (int)e->len, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (bn && be && bld && ctx && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		params = OSSL_PARAM_BLD_to_param(bld);
	if (params && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(bn);
	BN_free(be);
	return key;
}

static CK_RV public_rsa(struct token_reply *out, const struct object *o)
{
	struct part n, e;
	X509_PUBKEY *pub = NULL;
	EVP_PKEY *key;
	CK_RV rv = read_part(&n, o, CKA_MODULUS);

	if (rv == CKR_OK)
		rv = read_part(&e, o, CKA_PUBLIC_EXPONENT);
	if (rv != CKR_OK)
		return rv;
	key = rsa_of(&n, &e);
	if (key && X509_PUBKEY_set(&pub, key) == 1)
		rv = write_spki(out, pub);
	else
		rv = CKR_DATA_INVALID;
	X509_PUBKEY_free(pub);
	EVP_PKEY_free(key);
	return rv;
}

/* set - an algorithm with or without the name of a curve, and the point; takes nothing over. */
static bool set(X509_PUBKEY *pub, int algorithm, const ASN1_OBJECT *curve, struct bytes point)
{
	unsigned char *copy = OPENSSL_memdup(point.p, point.len);
	ASN1_OBJECT *name = curve ? OBJ_dup(curve) : NULL;

	if (copy && (!curve || name) &&
	    X509_PUBKEY_set0_param(pub, OBJ_nid2obj(algorithm), name ? V_ASN1_OBJECT : V_ASN1_UNDEF,
				   name, copy, (int)point.len) == 1)
		return true;
	OPENSSL_free(copy);
	ASN1_OBJECT_free(name);
	return false;
}

static CK_RV write_point(struct token_reply *out, int algorithm, const ASN1_OBJECT *curve,
			 struct bytes point)
{
	X509_PUBKEY *pub = X509_PUBKEY_new();
	CK_RV rv =
		pub && set(pub, algorithm, curve, point) ? write_spki(out, pub) : CKR_DATA_INVALID;

	X509_PUBKEY_free(pub);
	return rv;
}

#define ED25519_LEN 32

/* The point is an OCTET STRING, but of Ed25519 many tokens have it bare (PKCS#11 3.0). */
static struct bytes point_of(const struct part *p, bool edwards, ASN1_OCTET_STRING **octets)
{
	const unsigned char *at = p->p;

	if (edwards && p->len == ED25519_LEN)
		return bytes_of(p->p, p->len);
	*octets = d2i_ASN1_OCTET_STRING(NULL, &at, (long)p->len);
	return *octets ? bytes_of(ASN1_STRING_get0_data(*octets),
				  (size_t)ASN1_STRING_length(*octets))
		       : bytes_of(NULL, 0);
}

/* What names the curve is an OID; Ed25519 is its own. */
static CK_RV public_point(struct token_reply *out, const struct object *o, bool edwards)
{
	struct part point, curve = {.len = 0};
	const unsigned char *at = curve.p;
	ASN1_OCTET_STRING *octets = NULL;
	ASN1_OBJECT *name = NULL;
	CK_RV rv = read_part(&point, o, CKA_EC_POINT);
	struct bytes bare;

	if (rv == CKR_OK && !edwards)
		rv = read_part(&curve, o, CKA_EC_PARAMS);
	if (rv != CKR_OK)
		return rv;
	name = edwards ? NULL : d2i_ASN1_OBJECT(NULL, &at, (long)curve.len);
	bare = point_of(&point, edwards, &octets);
	rv = CKR_DATA_INVALID;
	if (bare.len && (edwards || name))
		rv = write_point(out, edwards ? NID_ED25519 : NID_X9_62_id_ecPublicKey, name, bare);
	ASN1_OCTET_STRING_free(octets);
	ASN1_OBJECT_free(name);
	return rv;
}

static CK_RV public_certified(struct token_reply *out, const struct object *o)
{
	CK_RV rv = object_value(out, o);
	const unsigned char *at = out->result;
	X509 *x = rv == CKR_OK ? d2i_X509(NULL, &at, (long)out->len) : NULL;

	if (rv == CKR_OK)
		rv = x ? write_spki(out, X509_get_X509_PUBKEY(x)) : CKR_DATA_INVALID;
	X509_free(x);
	return rv;
}

CK_RV object_public(struct token_reply *out, const struct object *o, CK_OBJECT_CLASS class)
{
	CK_KEY_TYPE type = 0;
	CK_ATTRIBUTE a = {.type = CKA_KEY_TYPE, .pValue = &type, .ulValueLen = sizeof(type)};
	CK_RV rv;

	if (class == CKO_CERTIFICATE)
		return public_certified(out, o);
	rv = o->f->C_GetAttributeValue(o->session, o->handle, &a, 1);
	if (rv != CKR_OK)
		return rv;
	switch (type) {
	case CKK_RSA:
		return public_rsa(out, o);
	case CKK_EC:
	case CKK_EC_EDWARDS:
		return class == CKO_PUBLIC_KEY ? public_point(out, o, type == CKK_EC_EDWARDS)
					       : CKR_ATTRIBUTE_TYPE_INVALID;
	default:
		return CKR_KEY_TYPE_INCONSISTENT;
	}
}

CK_RV signature_der(struct token_reply *io)
{
	const int half = (int)io->len / 2;
	unsigned char *at = io->result;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(io->result, half, NULL);
	BIGNUM *s = BN_bin2bn(io->result + half, half, NULL);
	int len = 0;

	if (sig && r && s && io->len % 2 == 0 && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL; /* they are its own now */
		len = i2d_ECDSA_SIG(sig, NULL);
	}
	if (len > 0 && (size_t)len <= sizeof(io->result))
		io->len = (uint32_t)i2d_ECDSA_SIG(sig, &at);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return len > 0 ? CKR_OK : CKR_DATA_INVALID;
}
