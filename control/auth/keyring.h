/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring.h - the keyring (control/engine.h) from within, for those who answer its asks: keyring.c
 * what is to be known of peers, own_key.c what this side proves itself by. Thread: its owner's.
 */
#pragma once

#include "control/auth/algorithm.h"
#include "control/auth/chain.h"
#include "control/auth/fetched.h"
#include "control/auth/tokens.h"
#include "control/engine.h"
#include "control/ike/wire/proto.h"

/* TRUST_MAX - keys that may speak for one peer at a time. */
#define TRUST_MAX 8

/* struct ike_keyring - what an answer points to stays here until the next one. */
struct ike_keyring {
	struct crypto_ctx *crypto;
	uint8_t auth[AUTH_SIG_MAX];
	struct ike_cert certs[CHAIN_MAX];
	uint8_t places[CHAIN_MAX][SHA1_LEN + CRED_URL_MAX]; /* of those that go by hash and URL */
	struct ike_trust trust[TRUST_MAX];
	struct cred *peer[IKE_MAX_CERTS]; /* imported certificates of the peer */
	uint32_t num_peer;
	bool peer_fetched;                   /* the first of them, the peer's own, is from a URL */
	struct bytes stapled[IKE_MAX_CERTS]; /* OCSP responses of the peer, of the ask */
	uint32_t num_stapled;
	struct chain_fault fault;
	struct fetched *fetched;
	struct tokens *tokens;
	struct cred *own[CONF_MAX_TOKENS]; /* certificates of ours that lie on tokens */
	uint32_t num_own;
	bool fetches; /* whoever asks fetches what is wanted */
	bool reaches; /* and has tokens do what is wanted of them */
	bool waits;   /* and the last answer may be another one then */
};

/* keyring_refuse - why the answer is a no; text: copied, or the fault's own. */
void keyring_refuse(struct ike_keyring *k, enum ike_reason reason, const char *text) NONNULL(1, 3);

/* keyring_place - where an authority, whose `cert_uri_base` is base, publishes the certificate with
 * this hash (RFC 7296 3.6). Errors: LIMIT. */
MUST_USE enum err keyring_place(char url[static CRED_URL_MAX], size_t *out_len, const char *base,
				const uint8_t hash[static SHA1_LEN]) NONNULL(1, 2, 3, 4);
