/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token_key.h - what a configuration says of keys and certificates on tokens, asked of tokens.h.
 * Each answers as tokens_ask() does: *out with TOKENS_HERE, *out_why (a clause, which lives until
 * the next call) with TOKENS_NOT. Thread: the keyring's.
 */
#pragma once

#include "control/auth/tokens.h"
#include "control/crypto/sig.h"

/* token_key_find - secrets.token<suffix> whose private key belongs to this public one. TOKENS_NOT
 * with an empty why: no token has it. */
enum tokens_state token_key_find(struct tokens *t, const struct conf_secret **out,
				 const char **out_why, const struct conf *conf,
				 const struct cred *public, int64_t wall_s) NONNULL(1, 2, 3, 4, 5);

/* token_key_cert - a certificate of ours that lies on a token; borrowed until the next call. */
enum tokens_state token_key_cert(struct tokens *t, struct cred **out, const char **out_why,
				 const struct conf *conf, const struct conf_token *where,
				 int64_t wall_s) NONNULL(1, 2, 3, 4, 5);

/* struct token_key_signing - octets are to be signed by this scheme, by the private key that
 * belongs to `public`. */
struct token_key_signing {
	const struct conf_secret *secret;
	const struct cred *public;
	struct sig_scheme scheme;
	struct bytes octets;
};

/* token_key_sign - *out is the signature, of ECDSA the DER of r and s, a view until the next call.
 */
enum tokens_state token_key_sign(struct tokens *t, struct bytes *out, const char **out_why,
				 const struct conf *conf, const struct token_key_signing *what,
				 int64_t wall_s) NONNULL(1, 2, 3, 4, 5);
