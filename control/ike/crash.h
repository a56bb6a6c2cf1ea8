/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.h - a peer that has restarted is found at once (RFC 6290). Each end gives the other a token
 * for the SPIs of an IKE SA, made of a secret that outlives it; asked under SPIs that it knows
 * nothing of, it shows the token, which nobody else can make, and the other end sets up anew. Where
 * only ESP flows an end that has no SA for it says so (INVALID_SPI, RFC 7296 1.5): anybody can say
 * that, so all that it leads to is that the other end asks. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* CRASH_TOKEN_LEN - of tokens that we make. */
#define CRASH_TOKEN_LEN 32

/* crash_token - our token for a pair of SPIs. Errors: NOT_FOUND (there is no secret), CRYPTO. */
MUST_USE enum err crash_token(const struct ike_engine *e, uint8_t out[static CRASH_TOKEN_LEN],
			      uint64_t spi_i, uint64_t spi_r) NONNULL(1);

/* crash_offer - our token for sa, which may not be s->sa, into the message that is being built;
 * without a secret nothing. */
void crash_offer(struct step *s, const struct ike_sa *sa) NONNULL(1, 2);

/* crash_take - the peer's token for sa, if the authentic message m has one: the newest holds. */
void crash_take(struct ike_sa *sa, const struct ike_msg *m) NONNULL(1, 2);

/* crash_tell - sa has just taken the place of another one, by our request, and the peer has no
 * token of ours for it (RFC 6290 4.3): an exchange of its own tells it. */
void crash_tell(struct ike_sa *sa) NONNULL(1);

/* crash_may_show - an unprotected answer under these SPIs may have our token: no IKE SA here has
 * either of them, in whatever role and state (RFC 6290 9.2). */
bool crash_may_show(const struct ike_engine *e, const struct ike_header *h) NONNULL(1, 2);

/* crash_proven - an unprotected message has the token that the peer gave us for sa. */
bool crash_proven(const struct ike_sa *sa, const struct ike_msg *m) NONNULL(1, 2);

/* crash_end - sa is over, without a word to a peer that does not know it. */
void crash_end(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* crash_hint - an unprotected INFORMATIONAL message, which is never answered: if it says that ESP
 * of ours met no SA, we ask its peer whether it lives, now and not too often. */
void crash_hint(struct ike_engine *e, const struct ike_msg *m, uint64_t now_ns) NONNULL(1, 2);
