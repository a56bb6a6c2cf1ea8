/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pki.h"

#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tests/pki: %s failed\n", what);
	abort();
}

static EVP_PKEY *make_dsa(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
	EVP_PKEY *params = NULL, *key = NULL;

	must(EVP_PKEY_paramgen_init(ctx) == 1 &&
		     EVP_PKEY_CTX_set_dsa_paramgen_bits(ctx, 1024) == 1 &&
		     EVP_PKEY_paramgen(ctx, &params) == 1,
	     "DSA parameters");
	EVP_PKEY_CTX_free(ctx);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, params, NULL);
	must(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_keygen(ctx, &key) == 1, "a DSA key");
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(params);
	return key;
}

static EVP_PKEY *make_rsa(const char *bits, const char *exponent)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	BIGNUM *e = NULL;

	must(BN_dec2bn(&e, exponent) > 0 && EVP_PKEY_keygen_init(ctx) == 1 &&
		     EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, atoi(bits)) == 1 &&
		     EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) == 1 &&
		     EVP_PKEY_keygen(ctx, &key) == 1,
	     "an RSA key");
	EVP_PKEY_CTX_free(ctx);
	BN_free(e);
	return key;
}

static EVP_PKEY *make(const char *kind)
{
	const char *exponent = strchr(kind, '/');

	if (strcmp(kind, "dsa") == 0)
		return make_dsa();
	if (strncmp(kind, "rsa", 3) == 0)
		return make_rsa(kind + 3, exponent ? exponent + 1 : "65537");
	if (strcmp(kind, "ed25519") == 0 || strcmp(kind, "ed448") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, kind);
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
}

void pki_key_make(struct pki_key *out, const char *kind)
{
	EVP_PKEY *key = make(kind);
	PKCS8_PRIV_KEY_INFO *info = key ? EVP_PKEY2PKCS8(key) : NULL;
	unsigned char *at = out->private;
	int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;

	must(len > 0 && (size_t)len <= sizeof(out->private), "a key");
	out->private_len = (size_t)i2d_PKCS8_PRIV_KEY_INFO(info, &at);
	len = i2d_PUBKEY(key, NULL);
	must(len > 0 && (size_t)len <= sizeof(out->spki), "a public key");
	at = out->spki;
	out->spki_len = (size_t)i2d_PUBKEY(key, &at);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(key);
}

const struct pki_key *pki_key_get(const char *kind)
{
	static struct {
		char kind[32];
		struct pki_key key;
	} kept[16];

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (!kept[i].kind[0]) {
			snprintf(kept[i].kind, sizeof(kept[i].kind), "%s", kind);
			pki_key_make(&kept[i].key, kind);
		}
		if (strcmp(kept[i].kind, kind) == 0)
			return &kept[i].key;
	}
	must(false, "room for a key");
	return NULL;
}

static EVP_PKEY *private_of(const struct pki_key *k)
{
	const unsigned char *at = k->private;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)k->private_len);

	must(key != NULL, "a private key");
	return key;
}

static void set_name(X509_NAME *name, const char *text)
{
	char copy[256], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		char *value = strchr(part, '=');

		must(value != NULL, "a name");
		*value++ = '\0';
		must(X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8,
						(const unsigned char *)value, -1, -1, 0) == 1,
		     part);
	}
}

static void extend(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e;

	if (!value)
		return;
	e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	must(e && X509_add_ext(x, e, -1) == 1, value);
	X509_EXTENSION_free(e);
}

static void fill(X509 *x, const struct pki_params *p, const struct pki_key *key, X509 *issuer)
{
	const unsigned char *at = key->spki;
	EVP_PKEY *pub = d2i_PUBKEY(NULL, &at, (long)key->spki_len);
	X509V3_CTX ctx;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), p->serial ? p->serial : 1);
	ASN1_TIME_set(X509_getm_notBefore(x), p->from_s ? p->from_s : 1577836800);
	ASN1_TIME_set(X509_getm_notAfter(x), p->until_s ? p->until_s : 2208988800);
	set_name(X509_get_subject_name(x), p->subject);
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	X509_set_pubkey(x, pub);
	EVP_PKEY_free(pub);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	extend(x, &ctx, NID_basic_constraints, p->ca);
	extend(x, &ctx, NID_key_usage, p->usage);
	extend(x, &ctx, NID_ext_key_usage, p->extended);
	extend(x, &ctx, NID_name_constraints, p->constraints);
	extend(x, &ctx, NID_subject_alt_name, p->names);
	extend(x, &ctx, NID_crl_distribution_points, p->crl_uri);
	extend(x, &ctx, NID_info_access, p->access);
	extend(x, &ctx, NID_subject_key_identifier, "hash");
	extend(x, &ctx, NID_id_pkix_OCSP_noCheck, p->nocheck ? "" : NULL);
}

static const EVP_MD *hash_for(const char *name, const EVP_PKEY *key)
{
	int id = EVP_PKEY_get_base_id(key);

	if (id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448)
		return NULL;
	return EVP_get_digestbyname(name ? name : "SHA256");
}

static X509 *decode(const struct pki_cert *c)
{
	const unsigned char *at = c->der;

	return d2i_X509(NULL, &at, (long)c->len);
}

void pki_cert_make(struct pki_cert *out, const struct pki_params *p)
{
	const struct pki_key *key = p->key ? p->key : pki_key_get("P-256");
	X509 *x = X509_new(), *issuer = p->issuer ? decode(p->issuer) : x;
	EVP_PKEY *signer = private_of(p->issuer ? p->issuer->key : key);
	unsigned char *at = out->der;

	fill(x, p, key, issuer);
	must(X509_sign(x, signer, hash_for(p->hash, signer)) > 0, "signing");
	must(i2d_X509(x, NULL) <= (int)sizeof(out->der), "room for a certificate");
	out->len = (size_t)i2d_X509(x, &at);
	out->key = key;
	snprintf(out->subject, sizeof(out->subject), "%s", p->subject);
	EVP_PKEY_free(signer);
	if (issuer != x)
		X509_free(issuer);
	X509_free(x);
}

/* What signs with a key; freed by whoever called. */
static EVP_MD_CTX *signing(EVP_PKEY *key, const char *hash, bool pss)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;

	must(EVP_DigestSignInit(md, &ctx, hash_for(hash, key), NULL, key) == 1, "a signer");
	must(!pss || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		      EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1),
	     "RSASSA-PSS");
	return md;
}

size_t pki_crl_make(uint8_t out[4096], const struct pki_cert *issuer, const long *serials,
		    size_t num, int64_t from_s, int64_t until_s)
{
	return pki_crl_make_of(out, &(struct pki_crl){.issuer = issuer,
						      .serials = serials,
						      .num = num,
						      .from_s = from_s,
						      .until_s = until_s});
}

static void add_revoked(X509_CRL *crl, long number, ASN1_TIME *when)
{
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	X509_REVOKED *r = X509_REVOKED_new();

	ASN1_INTEGER_set(serial, number);
	X509_REVOKED_set_serialNumber(r, serial);
	X509_REVOKED_set_revocationDate(r, when);
	must(X509_CRL_add0_revoked(crl, r) == 1, "an entry of a list");
	ASN1_INTEGER_free(serial);
}

static void add_delta(X509_CRL *crl)
{
	ASN1_INTEGER *base = ASN1_INTEGER_new();

	ASN1_INTEGER_set(base, 1);
	must(X509_CRL_add1_ext_i2d(crl, NID_delta_crl, base, 1, 0) == 1, "a delta list");
	ASN1_INTEGER_free(base);
}

size_t pki_crl_make_of(uint8_t out[4096], const struct pki_crl *params)
{
	X509 *ca = decode(params->issuer);
	EVP_PKEY *key = private_of(params->issuer->key);
	EVP_MD_CTX *md = signing(key, params->hash, params->pss);
	ASN1_TIME *from = ASN1_TIME_set(NULL, params->from_s);
	ASN1_TIME *until = ASN1_TIME_set(NULL, params->until_s);
	X509_CRL *crl = X509_CRL_new();
	int len;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
	X509_CRL_set1_lastUpdate(crl, from);
	if (params->until_s)
		X509_CRL_set1_nextUpdate(crl, until);
	for (size_t i = 0; i < params->num; i++)
		add_revoked(crl, params->serials[i], from);
	if (params->delta)
		add_delta(crl);
	must(X509_CRL_sign_ctx(crl, md) > 0, "signing a list");
	len = i2d_X509_CRL(crl, NULL);
	must(len > 0 && len <= 4096, "room for a list");
	i2d_X509_CRL(crl, &out);
	EVP_MD_CTX_free(md);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	X509_CRL_free(crl);
	EVP_PKEY_free(key);
	X509_free(ca);
	return (size_t)len;
}

/* One answer about one certificate. */
static void fill_ocsp(OCSP_BASICRESP *basic, const struct pki_ocsp *p)
{
	static const int status[] = {V_OCSP_CERTSTATUS_GOOD, V_OCSP_CERTSTATUS_REVOKED,
				     V_OCSP_CERTSTATUS_UNKNOWN};
	X509 *cert = decode(p->cert), *issuer = decode(p->issuer);
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), cert, issuer);
	ASN1_TIME *from = ASN1_GENERALIZEDTIME_set(NULL, p->from_s);
	ASN1_TIME *until = p->until_s ? ASN1_GENERALIZEDTIME_set(NULL, p->until_s) : NULL;
	unsigned char nonce[64];

	must(OCSP_basic_add1_status(basic, id, status[p->says], OCSP_REVOKED_STATUS_KEYCOMPROMISE,
				    from, from, until) != NULL,
	     "an answer about a certificate");
	if (p->nonce.len) {
		memcpy(nonce, p->nonce.p, p->nonce.len);
		must(OCSP_basic_add1_nonce(basic, nonce, (int)p->nonce.len) == 1, "a nonce");
	}
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	X509_free(cert);
	X509_free(issuer);
}

static OCSP_RESPONSE *make_ocsp(const struct pki_ocsp *p)
{
	const struct pki_cert *by = p->signer ? p->signer : p->issuer;
	EVP_PKEY *key = private_of(by->key), *with = p->key ? private_of(p->key) : key;
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	EVP_MD_CTX *md = signing(with, p->hash, p->pss);
	X509 *signer = decode(by);
	OCSP_RESPONSE *made;

	/* OpenSSL signs with nothing but the certificate's own key. */
	must(X509_set_pubkey(signer, with) == 1, "a signer");
	fill_ocsp(basic, p);
	must(OCSP_basic_sign_ctx(basic, signer, md, NULL, p->signer ? 0 : OCSP_NOCERTS) == 1,
	     "signing an answer");
	made = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	EVP_MD_CTX_free(md);
	OCSP_BASICRESP_free(basic);
	X509_free(signer);
	if (with != key)
		EVP_PKEY_free(with);
	EVP_PKEY_free(key);
	return made;
}

size_t pki_ocsp_make(uint8_t out[8192], const struct pki_ocsp *params)
{
	OCSP_RESPONSE *made = params->says == PKI_OCSP_LATER
				      ? OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, NULL)
				      : make_ocsp(params);
	int len = i2d_OCSP_RESPONSE(made, NULL);

	must(len > 0 && len <= 8192, "room for an answer");
	i2d_OCSP_RESPONSE(made, &out);
	OCSP_RESPONSE_free(made);
	return (size_t)len;
}

struct bytes pki_spki(const struct pki_key *k)
{
	return bytes_of(k->spki, k->spki_len);
}

struct bytes pki_private(const struct pki_key *k)
{
	return bytes_of(k->private, k->private_len);
}

struct bytes pki_der(const struct pki_cert *c)
{
	return bytes_of(c->der, c->len);
}

struct bytes pki_hash_url(uint8_t *out, size_t cap, const char *base, struct bytes der)
{
	char *url = (char *)out + PKI_HASH_LEN;
	size_t len = strlen(base);

	static_assert(PKI_HASH_LEN == SHA_DIGEST_LENGTH, "as documented");
	must(cap > 3 * PKI_HASH_LEN + len, "room for a URL");
	SHA1(der.p, der.len, out);
	memcpy(url, base, len);
	for (size_t i = 0; i < PKI_HASH_LEN; i++, len += 2)
		snprintf(url + len, 3, "%02x", out[i]);
	return bytes_of(out, PKI_HASH_LEN + len);
}

const char *pki_pem(const char *label, struct bytes der)
{
	static char text[16384];
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long len;

	must(PEM_write_bio(bio, label, "", der.p, (long)der.len) > 0, "PEM");
	len = BIO_get_mem_data(bio, &p);
	must(len > 0 && (size_t)len < sizeof(text), "room for PEM");
	memcpy(text, p, (size_t)len);
	text[len] = '\0';
	BIO_free(bio);
	return text;
}
