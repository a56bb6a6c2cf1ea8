/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetched.h - what URLs named: revocation lists and answers of OCSP responders that were fetched,
 * are to be, or could not be. Control never touches the network: whoever owns the keyring asks
 * fetched_next() what is wanted, and tells fetched_learn() what came of it. Nothing here is
 * believed: chain.h looks whose signature a list or an answer has, and the keyring at a
 * certificate's hash.
 *
 * What came is kept until room is needed. Whether it is out of date is for who uses it to say; then
 * it is wanted again, but not sooner than FETCHED_AGAIN_S after the last time: a server is not
 * asked for each handshake, whatever it says. Thread: the keyring's.
 */
#pragma once

#include "base/rng.h"
#include "control/auth/cred.h"
#include "control/auth/ocsp.h"

/* FETCHED_MAX - lists and answers of which something is known at a time. FETCHED_CERTS_MAX -
 * certificates beside these: whoever is nobody yet may name many, and they take no room that is not
 * theirs. FETCHED_CERTS_AT_ONCE - of these given out at a time. FETCHED_AGAIN_S - seconds. */
#define FETCHED_MAX           256
#define FETCHED_CERTS_MAX     32
#define FETCHED_CERTS_AT_ONCE 4
#define FETCHED_AGAIN_S       30
#define FETCHED_WHY_MAX       200

struct fetched;

/* enum fetched_kind - what a URL is to name. */
enum fetched_kind {
	FETCHED_LIST,
	FETCHED_STATUS, /* what an OCSP responder says of a certificate: key is ocsp_key() */
	FETCHED_STAPLE, /* the same of one of ours, for the peer: asked for without a nonce */
	FETCHED_CERT,   /* a certificate: key is the hash that is told of it */
};

/* struct fetched_ref - what is meant; url: cred_url_ok(); key: OCSP_KEY_MAX bytes at most. */
struct fetched_ref {
	enum fetched_kind kind;
	struct bytes url, key;
};

/* fetched_new - empty; nonces are drawn from rng, which must outlive it. fetched_free - NULL
 * accepted. */
MALLOC_LIKE struct fetched *fetched_new(const struct rng *rng) NONNULL(1);
void fetched_free(struct fetched *f);

/* fetched_want - it would help, for what is here does not. True if it is worth to wait and to ask
 * again when something has come: it is being fetched, or will be when there is room for it. Else
 * *out_why is why nothing came of it, "" if something did; it lives as long as the next call. */
bool fetched_want(struct fetched *f, const char **out_why, const struct fetched_ref *ref,
		  int64_t wall_s) NONNULL(1, 2, 3);

/* struct fetched_task - what is to be fetched; type: of body, which is to be posted; NULL: nothing
 * is. Views, until fetched_learn(). */
struct fetched_task {
	uint64_t id;
	const char *url, *type;
	struct bytes body;
};

/* fetched_next - one that is wanted and is not given out; false if there is none, or no question
 * can be made now: it is wanted as before. */
bool fetched_next(struct fetched *f, struct fetched_task *out) NONNULL(1, 2);

/* fetched_put_back - what was given out cannot be begun now: it is wanted as before. Unknown ids
 * are ignored. */
void fetched_put_back(struct fetched *f, uint64_t id) NONNULL(1);

/* fetched_learn - what came: data, or without it why nothing did. Untrusted. Unknown ids are
 * ignored. */
void fetched_learn(struct fetched *f, uint64_t id, struct bytes data, const char *why,
		   int64_t wall_s) NONNULL(1, 4);

/* fetched_each_list - every list that is here; fn says whether it is of use. */
void fetched_each_list(struct fetched *f, bool (*fn)(void *ctx, struct cred *list), void *ctx)
	NONNULL(1, 2);

/* fetched_forget - what came, and why nothing did: it is fetched again when it is wanted. What is
 * under way goes on. */
void fetched_forget(struct fetched *f) NONNULL(1);

/* struct fetched_data - what came last of a status or certificate, when it did, and the nonce that
 * the responder was asked with; views, until the next call of any of these but this. */
struct fetched_data {
	struct bytes data;
	const uint8_t *nonce;
	int64_t learned_s;
};

/* fetched_data - false if there is none. */
bool fetched_data(struct fetched *f, struct fetched_data *out, const struct fetched_ref *ref)
	NONNULL(1, 2, 3);
