/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ocsp.h - the Online Certificate Status Protocol (RFC 6960), as one who asks, over OpenSSL's: a
 * question about one certificate, and what is believed of an answer. An answer counts if the
 * authority itself has signed it, or somebody whom it let do that (id-kp-OCSPSigning). Pure
 * functions.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct conf_sign;
struct x509_st;

/* OCSP_KEY_MAX - room for a CertID. OCSP_REQUEST_MAX - for a question. OCSP_NONCE_LEN - a nonce
 * (RFC 9654: what servers must take). OCSP_WHY_MAX - a clause. */
#define OCSP_KEY_MAX     128
#define OCSP_REQUEST_MAX 256
#define OCSP_NONCE_LEN   32
#define OCSP_WHY_MAX     120

/* OCSP_SKEW_S - clocks of responders may go before ours by so much, or after it. OCSP_FRESH_S - an
 * answer without nextUpdate serves so long after it came; without our nonce too it must not have
 * been made longer ago than that (and the skew). */
#define OCSP_SKEW_S  300
#define OCSP_FRESH_S 30

/* ocsp_key - the certificate's CertID (RFC 6960 4.1.1), DER: what names the question. Its hash is
 * SHA-1, which every responder knows; it names, and proves nothing. Errors: CRYPTO, LIMIT. */
MUST_USE enum err ocsp_key(uint8_t out[static OCSP_KEY_MAX], size_t *out_len, struct x509_st *cert,
			   struct x509_st *issuer) NONNULL(2, 3, 4);

/* ocsp_request - the question about a CertID, DER; nonce NULL: without one, for an answer that is
 * for others. Errors: CRYPTO, LIMIT. */
MUST_USE enum err ocsp_request(uint8_t out[static OCSP_REQUEST_MAX], size_t *out_len,
			       struct bytes key, const uint8_t *nonce) NONNULL(2);

/* enum ocsp_status - what an answer says. */
enum ocsp_status {
	OCSP_STATUS_NOTHING, /* nothing that is believed: why says */
	OCSP_STATUS_GOOD,
	OCSP_STATUS_REVOKED,
};

/* struct ocsp_answer - data: untrusted, came at learned_s. nonce: of the question; one that answers
 * without it is believed, another one is not. NULL: somebody else asked, and his nonce says
 * nothing. sign: its hashes hold for the answer, and all of it
 * for the certificate of whom the authority let. tries: how many more signatures may be verified,
 * counted down; NULL: as many as there are. */
struct ocsp_answer {
	struct bytes data;
	const uint8_t *nonce;
	struct x509_st *cert, *issuer;
	const struct conf_sign *sign;
	int64_t learned_s, wall_s;
	uint32_t *tries;
	/* delegate - may a certificate that the authority let respond be believed still? Asked of
	 * those that do not say that nobody need ask (id-pkix-ocsp-nocheck, RFC 6960 4.2.2.2.1);
	 * why: a clause. NULL: all may. */
	bool (*delegate)(void *ctx, struct x509_st *signer, char why[static OCSP_WHY_MAX]);
	void *ctx;
};

/* ocsp_judge - what it says of the certificate at wall_s. No signature is verified unless it is
 * about the certificate, and by the authority's key or by one whose certificate says that it is of
 * the authority: RSA of 4096 bits at most then, with an exponent of 32 (S27). */
enum ocsp_status ocsp_judge(char why[static OCSP_WHY_MAX], const struct ocsp_answer *answer)
	NONNULL(2);
