/* SPDX-License-Identifier: Apache-2.0 */
#include "control/auth/ocsp.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "control/auth/chain.h"
#include "control/auth/key.h"

/* Bounds of a responder's RSA key: anybody may have sent what it is verified by. */
#define RSA_BITS_MAX     4096
#define RSA_EXPONENT_MAX 32

/* ---- the question ---------------------------------------------------------------------------- */

enum err ocsp_key(uint8_t out[static OCSP_KEY_MAX], size_t *out_len, X509 *cert, X509 *issuer)
{
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), cert, issuer);
	int len = id ? i2d_OCSP_CERTID(id, NULL) : 0;
	enum err e = len <= 0 ? ERR_CRYPTO : len > OCSP_KEY_MAX ? ERR_LIMIT : ERR_OK;

	if (!e)
		*out_len = (size_t)i2d_OCSP_CERTID(id, &out);
	OCSP_CERTID_free(id);
	return e;
}

static OCSP_CERTID *id_of(struct bytes key)
{
	const unsigned char *at = key.p;

	return d2i_OCSP_CERTID(NULL, &at, (long)key.len);
}

static bool fill(OCSP_REQUEST *request, struct bytes key, const uint8_t *nonce)
{
	unsigned char copy[OCSP_NONCE_LEN];
	OCSP_CERTID *id = id_of(key);

	if (!id || !OCSP_request_add0_id(request, id)) {
		OCSP_CERTID_free(id);
		return false;
	}
	if (!nonce)
		return true;
	memcpy(copy, nonce, sizeof(copy));
	return OCSP_request_add1_nonce(request, copy, sizeof(copy)) == 1;
}

enum err ocsp_request(uint8_t out[static OCSP_REQUEST_MAX], size_t *out_len, struct bytes key,
		      const uint8_t *nonce)
{
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	int len = request && fill(request, key, nonce) ? i2d_OCSP_REQUEST(request, NULL) : 0;
	enum err e = len <= 0 ? ERR_CRYPTO : len > OCSP_REQUEST_MAX ? ERR_LIMIT : ERR_OK;

	if (!e)
		*out_len = (size_t)i2d_OCSP_REQUEST(request, &out);
	OCSP_REQUEST_free(request);
	return e;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* struct judging - one answer under way. */
struct judging {
	const struct ocsp_answer *a;
	char *why;
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *basic;
	OCSP_CERTID *id;
	bool ours;         /* it has our nonce: it was made after we asked */
	X509_STORE *store; /* the issuer alone is believed */
	STACK_OF(X509) * issuers;
};

#define UNSIGNED "the OCSP response is not signed by the authority, or by whom it let"

static bool say(struct judging *j, const char *text)
{
	snprintf(j->why, OCSP_WHY_MAX, "%s", text);
	return false;
}

/* One answer has one encoding: what is signed is what came, as OpenSSL verifies what it would write
 * itself. The inner part, which is an OCTET STRING of the outer one, is the last of it. */
static bool is_der(const struct judging *j)
{
	const struct bytes data = j->a->data;
	unsigned char *outer = NULL, *inner = NULL;
	int outer_len = i2d_OCSP_RESPONSE(j->response, &outer);
	int inner_len = i2d_OCSP_BASICRESP(j->basic, &inner);
	bool is = outer_len > 0 && inner_len > 0 && (size_t)inner_len <= data.len &&
		  bytes_equal(bytes_of(outer, (size_t)outer_len), data) &&
		  bytes_equal(bytes_of(inner, (size_t)inner_len),
			      bytes_of(data.p + data.len - inner_len, (size_t)inner_len));

	OPENSSL_free(outer);
	OPENSSL_free(inner);
	return is;
}

static bool prepare(struct judging *j)
{
	j->id = OCSP_cert_to_id(EVP_sha1(), j->a->cert, j->a->issuer);
	j->issuers = sk_X509_new_null();
	return (j->id && j->issuers && sk_X509_push(j->issuers, j->a->issuer) > 0) ||
	       say(j, "there is no memory");
}

static bool parse(struct judging *j)
{
	const unsigned char *at = j->a->data.p;
	int status;

	j->response = d2i_OCSP_RESPONSE(NULL, &at, (long)j->a->data.len);
	if (!j->response || at != j->a->data.p + j->a->data.len)
		return say(j, "what came is no OCSP response");
	status = OCSP_response_status(j->response);
	if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
		snprintf(j->why, OCSP_WHY_MAX, "the OCSP responder said %s",
			 OCSP_response_status_str(status));
		return false;
	}
	j->basic = OCSP_response_get1_basic(j->response);
	if (!j->basic)
		return say(j, "the OCSP response is not of a kind that is known");
	return is_der(j) || say(j, "the OCSP response is not encoded as DER");
}

/* One without nonce was made for everybody (RFC 6960 4.4.1): its times have to do. One with ours
 * answers us. */
static bool nonce_right(struct judging *j)
{
	int at = OCSP_BASICRESP_get_ext_by_NID(j->basic, NID_id_pkix_OCSP_Nonce, -1);
	X509_EXTENSION *ext = at >= 0 ? OCSP_BASICRESP_get_ext(j->basic, at) : NULL;
	const ASN1_OCTET_STRING *value = ext ? X509_EXTENSION_get_data(ext) : NULL;
	const uint8_t *p = value ? ASN1_STRING_get0_data(value) : NULL;
	int len = value ? ASN1_STRING_length(value) : 0;

	if (!ext || !j->a->nonce)
		return true;
	/* An OCTET STRING within the extension's own. */
	j->ours =
		len == OCSP_NONCE_LEN + 2 && p[0] == V_ASN1_OCTET_STRING &&
		p[1] == OCSP_NONCE_LEN &&
		bytes_equal(bytes_of(p + 2, OCSP_NONCE_LEN), bytes_of(j->a->nonce, OCSP_NONCE_LEN));
	return j->ours || say(j, "the OCSP response is to another question (nonce)");
}

static bool hash_right(struct judging *j)
{
	return chain_hash_allowed(OCSP_resp_get0_tbs_sigalg(j->basic), j->a->sign->hashes) ||
	       say(j, "the OCSP response is signed with a hash that is too weak");
}

static bool about_it(struct judging *j)
{
	return OCSP_resp_find(j->basic, j->id, -1) >= 0 ||
	       say(j, "the OCSP response is about other certificates");
}

static bool exponent_fits(const EVP_PKEY *key)
{
	BIGNUM *e = NULL;
	bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
		  BN_num_bits(e) <= RSA_EXPONENT_MAX;

	BN_free(e);
	return ok;
}

static bool key_fits(X509 *signer)
{
	unsigned char *spki = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(signer), &spki);
	struct key_info info = {.kind = KEY_NONE};
	char unused[KEY_WHY_MAX];
	bool ok = len > 0 && !key_check_quick(&info, unused, bytes_of(spki, (size_t)len)) &&
		  (info.kind != KEY_RSA ||
		   (info.bits <= RSA_BITS_MAX && exponent_fits(X509_get0_pubkey(signer))));

	OPENSSL_free(spki);
	return ok;
}

/* Whose key it would be, and what that costs, is looked at before anything is verified by it: the
 * response, and the certificate in it, may be anybody's (S27). */
static bool signer_named(struct judging *j)
{
	X509 *signer = NULL;

	if (OCSP_resp_get0_signer(j->basic, &signer, j->issuers) != 1)
		return say(j, "the OCSP response does not say who signed it");
	if (X509_cmp(signer, j->a->issuer) == 0)
		return true;
	if (X509_check_issued(j->a->issuer, signer) != X509_V_OK)
		return say(j, UNSIGNED);
	return key_fits(signer) ||
	       say(j, "the OCSP responder's key is of no kind that is taken, weak, or too long");
}

static bool may_verify(struct judging *j)
{
	uint32_t *left = j->a->tries;

	if (left && !*left)
		return say(j, "there are too many OCSP responses about the certificate");
	if (left)
		--*left;
	return true;
}

/* By the issuer, or by whom it let: OpenSSL looks at both, and at the delegate's own times. */
static bool signature_right(struct judging *j)
{
	X509_VERIFY_PARAM *param;

	j->store = X509_STORE_new();
	if (!j->store || X509_STORE_add_cert(j->store, j->a->issuer) != 1)
		return say(j, "there is no memory");
	param = X509_STORE_get0_param(j->store);
	X509_VERIFY_PARAM_set_time(param, (time_t)j->a->wall_s);
	X509_VERIFY_PARAM_set_auth_level(param, 2);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	return OCSP_basic_verify(j->basic, j->issuers, j->store, OCSP_NOEXPLICIT) == 1 ||
	       say(j, UNSIGNED);
}

/* One that does not say until when is for now, and now is when we asked if it has our nonce: else
 * anybody who has kept it could bring it again. */
static bool is_fresh(const struct judging *j, const ASN1_TIME *from)
{
	const struct ocsp_answer *a = j->a;

	if (a->wall_s < a->learned_s || a->wall_s - a->learned_s > OCSP_FRESH_S)
		return false;
	return j->ours ||
	       ASN1_TIME_cmp_time_t(from, (time_t)(a->wall_s - OCSP_FRESH_S - OCSP_SKEW_S)) >= 0;
}

/* Whom the authority let is held to what the chain is, as it speaks for a certificate of it. The
 * authority itself stands in the chain. */
static bool signer_right(struct judging *j)
{
	X509 *signer = NULL;

	if (OCSP_resp_get0_signer(j->basic, &signer, j->issuers) != 1)
		return say(j, "the OCSP response does not say who signed it");
	if (X509_cmp(signer, j->a->issuer) == 0)
		return true;
	if (!chain_cert_allowed(signer, j->a->sign))
		return say(j, "the OCSP responder's certificate is weaker than `auth` demands");
	return !j->a->delegate || X509_get_ext_by_NID(signer, NID_id_pkix_OCSP_noCheck, -1) >= 0 ||
	       j->a->delegate(j->a->ctx, signer, j->why);
}

static bool time_right(struct judging *j, const ASN1_TIME *from, const ASN1_TIME *until)
{
	const struct ocsp_answer *a = j->a;

	if (!from || ASN1_TIME_cmp_time_t(from, (time_t)(a->wall_s + OCSP_SKEW_S)) > 0)
		return say(j, "the OCSP response is not valid yet");
	if (until ? ASN1_TIME_cmp_time_t(until, (time_t)a->wall_s) < 0 : !is_fresh(j, from))
		return say(j, "the OCSP response is outdated");
	return true;
}

static enum ocsp_status status_of(struct judging *j)
{
	ASN1_GENERALIZEDTIME *from = NULL, *until = NULL, *revoked;
	int status, reason;

	if (OCSP_resp_find_status(j->basic, j->id, &status, &reason, &revoked, &from, &until) !=
		    1 ||
	    !time_right(j, from, until))
		return OCSP_STATUS_NOTHING;
	if (status == V_OCSP_CERTSTATUS_GOOD)
		return OCSP_STATUS_GOOD;
	if (status == V_OCSP_CERTSTATUS_REVOKED)
		return OCSP_STATUS_REVOKED;
	say(j, "the OCSP responder does not know the certificate");
	return OCSP_STATUS_NOTHING;
}

enum ocsp_status ocsp_judge(char why[static OCSP_WHY_MAX], const struct ocsp_answer *answer)
{
	enum ocsp_status status = OCSP_STATUS_NOTHING;
	struct judging j = {.a = answer, .why = why};

	ERR_set_mark();
	why[0] = '\0';
	if (prepare(&j) && parse(&j) && nonce_right(&j) && hash_right(&j) && about_it(&j) &&
	    signer_named(&j) && may_verify(&j) && signature_right(&j) && signer_right(&j))
		status = status_of(&j);
	OCSP_CERTID_free(j.id);
	OCSP_BASICRESP_free(j.basic);
	OCSP_RESPONSE_free(j.response);
	X509_STORE_free(j.store);
	sk_X509_free(j.issuers);
	ERR_pop_to_mark();
	return status;
}
