/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens.h - what private keys on PKCS#11 tokens are to do, are doing, or have done: signatures,
 * the public key that belongs to a private one, a certificate. A token takes its time, so nothing
 * here waits: whoever owns the keyring asks tokens_next() what is wanted, and tells tokens_learn()
 * what came of it. What came is not believed: keys and certificates are checked as any that are
 * imported, a signature is verified before it is sent.
 *
 * A public key or a certificate is kept for a while, a failure just long enough that a token is not
 * asked for each handshake; a signature goes to the one who wanted it, and is gone then, or with
 * who wanted it. PINs are copied for as long as they wait to be given out. Thread: the keyring's.
 */
#pragma once

#include "control/auth/cred.h"
#include "control/engine.h"

/* TOKENS_MAX - keys and certificates of which something is known or wanted at a time, and as many
 * signatures beside these. TOKENS_KEPT_S - a public key or certificate is asked for again after so
 * long, TOKENS_AGAIN_S - what failed. */
#define TOKENS_MAX     64
#define TOKENS_KEPT_S  300
#define TOKENS_AGAIN_S 2
#define TOKENS_WHY_MAX 200

struct tokens;

/* struct tokens_ref - what is meant; scheme and data (IKE_TOKEN_DATA_MAX bytes at most): SIGN. */
struct tokens_ref {
	enum ike_token_op op;
	const struct conf_token *token;
	const char *module; /* its name */
	struct bytes pin;   /* KEY, SIGN */
	enum ike_scheme scheme;
	struct bytes data;
};

/* enum tokens_state - what is known. */
enum tokens_state {
	TOKENS_HERE,  /* data, or cert */
	TOKENS_WAITS, /* it is being asked: ask again when something has come */
	TOKENS_NOT,   /* why */
};

/* struct tokens_found - data: a SubjectPublicKeyInfo (info is of it) or a signature, which is
 * handed out once; views, until the next call of any of these. cert: borrowed likewise. */
struct tokens_found {
	struct bytes data;
	struct cred *cert;
	const char *why;
};

/* tokens_new - empty. tokens_free - NULL accepted. */
MALLOC_LIKE struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);

/* tokens_ask - what is known of ref at wall_s; it is wanted if nothing is. */
enum tokens_state tokens_ask(struct tokens *t, struct tokens_found *out,
			     const struct tokens_ref *ref, int64_t wall_s) NONNULL(1, 2, 3);

/* tokens_next - one that is wanted and is not given out; false if there is none. Views, until
 * tokens_learn(). tokens_put_back - it cannot be begun now. tokens_learn - what came, untrusted;
 * empty: nothing, because of why. Unknown ids are ignored. */
bool tokens_next(struct tokens *t, struct ike_token_task *out) NONNULL(1, 2);
void tokens_put_back(struct tokens *t, uint64_t id) NONNULL(1);
void tokens_learn(struct tokens *t, uint64_t id, struct bytes data, const char *why, int64_t wall_s)
	NONNULL(1, 4);

/* tokens_round - all who wait are asked again from now on. tokens_unclaimed - all have been: a
 * signature that none of them has asked for meanwhile is neither made nor kept, but for one that is
 * given out. True if that made room which somebody did not find. */
void tokens_round(struct tokens *t) NONNULL(1);
bool tokens_unclaimed(struct tokens *t) NONNULL(1);

/* tokens_forget - what is known: it is asked for again when it is needed. What is under way goes
 * on. */
void tokens_forget(struct tokens *t) NONNULL(1);
