/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki.h - keys, certificates and revocation lists for tests, made with OpenSSL at the time of the
 * test, good and bad ones alike. One thread; failures end the program.
 */
#pragma once

#include "base/bytes.h"

/* struct pki_key - a key pair: PKCS#8 and SubjectPublicKeyInfo, both DER. */
struct pki_key {
	uint8_t private[8192];
	size_t private_len;
	uint8_t spki[4096];
	size_t spki_len;
};

/* pki_key_make - kind is "ed25519", "ed448", "P-256", "P-384", "P-521", "secp256k1", "dsa" or
 * "rsa" and a number of bits, behind which "/" and an exponent may stand. pki_key_get - the same,
 * made once in a process. */
void pki_key_make(struct pki_key *out, const char *kind);
const struct pki_key *pki_key_get(const char *kind);

/* struct pki_cert - a certificate with its key. */
struct pki_cert {
	uint8_t der[8192];
	size_t len;
	const struct pki_key *key;
	char subject[256];
};

/* struct pki_params - NULL and 0 mean: P-256, self-signed, no extension, SHA-256, valid from 2020
 * to 2040. Extensions are in the words of x509v3_config(5). */
struct pki_params {
	const char *subject; /* "/C=DE/CN=gw" */
	const struct pki_cert *issuer;
	const struct pki_key *key;
	const char *names;       /* subjectAltName */
	const char *ca;          /* basicConstraints */
	const char *usage;       /* keyUsage */
	const char *extended;    /* extendedKeyUsage */
	const char *constraints; /* nameConstraints */
	const char *crl_uri;     /* crlDistributionPoints */
	const char *access;      /* authorityInfoAccess */
	const char *hash;
	int64_t from_s, until_s; /* seconds since 1970 */
	long serial;
	bool nocheck; /* id-pkix-ocsp-nocheck */
};
void pki_cert_make(struct pki_cert *out, const struct pki_params *params);

/* pki_crl_make - a list by an authority with these serial numbers; returns its length. */
size_t pki_crl_make(uint8_t out[4096], const struct pki_cert *issuer, const long *serials,
		    size_t num, int64_t from_s, int64_t until_s);

/* struct pki_crl - a list by an authority. until_s 0: it does not say; hash: as in pki_params; pss:
 * signed with RSASSA-PSS, by an authority whose key is RSA; delta: of a list that is number 1. */
struct pki_crl {
	const struct pki_cert *issuer;
	const long *serials;
	size_t num;
	int64_t from_s, until_s;
	const char *hash;
	bool pss, delta;
};

/* pki_crl_make_of - returns its length. */
size_t pki_crl_make_of(uint8_t out[4096], const struct pki_crl *params);

/* struct pki_ocsp - what a responder says of a certificate. signer NULL: its issuer; another one's
 * certificate is in the answer. until_s 0: it does not say; nonce empty: there is none; hash: as in
 * pki_params. */
struct pki_ocsp {
	const struct pki_cert *cert, *issuer, *signer;
	const struct pki_key *key; /* NULL: the signer's */
	enum {
		PKI_OCSP_GOOD,
		PKI_OCSP_REVOKED,
		PKI_OCSP_UNKNOWN,
		PKI_OCSP_LATER, /* it says nothing: tryLater */
	} says;
	int64_t from_s, until_s;
	struct bytes nonce;
	const char *hash;
	bool pss; /* as in pki_crl */
};

/* pki_ocsp_make - an OCSP response; returns its length. */
size_t pki_ocsp_make(uint8_t out[8192], const struct pki_ocsp *params);

/* pki_hash_url - what an authority that publishes its certificates at `base` followed by their
 * SHA-1 says of this one (RFC 7296 3.6): the hash, PKI_HASH_LEN bytes, and behind it the URL, which
 * a 0 ends that is not counted. A view of out. */
#define PKI_HASH_LEN 20
struct bytes pki_hash_url(uint8_t *out, size_t cap, const char *base, struct bytes der);

/* PKI_NOW_S - a time at which what is made without times is valid. */
#define PKI_NOW_S INT64_C(1750000000)

/* pki_spki, pki_private, pki_der - views. pki_pem - "-----BEGIN label-----..." in a static buffer.
 */
struct bytes pki_spki(const struct pki_key *k);
struct bytes pki_private(const struct pki_key *k);
struct bytes pki_der(const struct pki_cert *c);
const char *pki_pem(const char *label, struct bytes der);
