/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain.h - whether a certificate is to be believed: a chain to a configured anchor by OpenSSL's
 * X509_verify_cert (RFC 5280 6, RFC 4945 5), with our own bounds and refusals around it (S25, S26,
 * S27). Nothing is fetched here: what would tell more is asked of fetched.h, once the chain is
 * right in all else. Thread: one at a time.
 */
#pragma once

#include "control/auth/cred.h"
#include "control/auth/fetched.h"
#include "control/engine.h"

/* CHAIN_MAX - certificates from the end's own to the anchor, both counted. */
#define CHAIN_MAX 10

/* struct chain_fault - why not: a reason, and a clause for people ("its certificate has expired").
 * waits: whatever the verdict is, a list that may change it is being fetched. */
struct chain_fault {
	enum ike_reason reason;
	char text[400];
	bool waits;
};

/* struct chain_params - one question. certs: as the peer sent them, its own first, all imported.
 * anchors: what is believed; only its CRED_CAs count. store: authorities and lists that help. */
struct chain_params {
	struct cred *const *certs;
	uint32_t num_certs;
	const struct conf_creds *anchors;
	const struct conf_creds *store;
	const struct conf_sign *sign; /* hashes and sizes hold for the whole chain */
	enum conf_revocation revocation;
	struct fetched *fetched;     /* NULL: nothing is */
	const struct bytes *stapled; /* OCSP responses that the peer sent */
	uint32_t num_stapled;
	int64_t wall_s;
};

/* chain_verify - *out_ca is the subject of the anchor, a view of one of the anchors. Errors: AUTH
 * (*fault says why), NOMEM, CRYPTO. */
MUST_USE enum err chain_verify(struct bytes *out_ca, struct chain_fault *fault,
			       const struct chain_params *params) NONNULL(1, 2, 3);

/* chain_staple - what a responder says of certs[0], a certificate of ours, to a peer that wants to
 * know (RFC 4806); certs[1] is its authority. *out is a response that would be believed, a view
 * until the next call about p->fetched; empty if there is none. True if one is being fetched. */
bool chain_staple(struct bytes *out, const struct chain_params *p) NONNULL(1, 2);

struct X509_algor_st; /* OpenSSL's X509_ALGOR */

/* chain_hash_allowed - a signature by this algorithm is of SHA-2, of one of these hashes, or of
 * EdDSA. */
bool chain_hash_allowed(const struct X509_algor_st *alg, uint32_t hashes) NONNULL(1);

/* chain_cert_allowed - the hash that a certificate is signed with and the size of its key are what
 * `auth` asks for. */
bool chain_cert_allowed(struct x509_st *cert, const struct conf_sign *sign) NONNULL(1, 2);

/* chain_valid_at - the certificate itself is within its time. Errors: AUTH (*fault says why). */
MUST_USE enum err chain_valid_at(struct chain_fault *fault, const struct cred *cert, int64_t wall_s)
	NONNULL(1, 2);

/* chain_above - the authorities above a certificate of ours, as far as the store has them, the
 * nearest first; at most max. A self-signed one is the last. Returns how many. */
uint32_t chain_above(const struct cred *out[], uint32_t max, const struct cred *cert,
		     const struct conf_creds *store) NONNULL(1, 3, 4);
