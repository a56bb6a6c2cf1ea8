/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sa_init.h - what the rest needs of IKE_SA_INIT (RFC 7296 1.2). Control thread.
 */
#pragma once

#include "control/ike/sa.h"

struct ike_datagram;
struct reply;
struct step;

/* sa_init_receive - an IKE_SA_INIT request: repeats, reflections, floods and cookies (2.6, S40 to
 * S43) are dealt with without state; what remains becomes a half-open IKE SA. */
void sa_init_receive(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
		     uint64_t now_ns) NONNULL(1, 2, 3);

/* sa_init_again - as initiator, where sa->path leads now: the same from the start, with a nonce and
 * a key share that nobody has seen. Errors: NOMEM, CRYPTO, FULL, LIMIT; all is as before then. */
MUST_USE enum err sa_init_again(struct step *s) NONNULL(1);

/* What IKE_SESSION_RESUME (RFC 5723) has in common with it: sa_init_rest_i, sa_init_rest_r -
 * notifies about translators, fragments and what else is said first, by the initiator and the
 * responder, whose answer depends on what the request said. sa_init_seen_i, sa_init_seen_r - what
 * the other side says of these. Errors: NOMEM, CRYPTO. sa_init_keep - *p is a copy of a message,
 * for AUTH. Errors: NOMEM.
 */
MUST_USE enum err sa_init_rest_i(struct step *s) NONNULL(1);
MUST_USE enum err sa_init_rest_r(struct step *s) NONNULL(1);
MUST_USE enum err sa_init_seen_i(struct step *s) NONNULL(1);
MUST_USE enum err sa_init_seen_r(struct step *s) NONNULL(1);
MUST_USE enum err sa_init_keep(uint8_t **p, size_t *len, const struct reply *message)
	NONNULL(1, 2, 3);

/* sa_init_cookie_of - as initiator, the cookie of an answer, borrowed from it; it is counted
 * when it is sent. Errors: MALFORMED (none, or one time too many). sa_init_set_cookie - it goes
 * with the request from now on. sa_init_repeat - the same request with what is in sa->hs now.
 * Errors: NOMEM, CRYPTO, FULL, LIMIT. */
MUST_USE enum err sa_init_cookie_of(const struct step *s, struct bytes *out) NONNULL(1, 2);
void sa_init_set_cookie(struct handshake *hs, struct bytes cookie) NONNULL(1);
MUST_USE enum err sa_init_repeat(struct step *s) NONNULL(1);

/* sa_init_derive - g^ir and the keys; once for each SPI pair (S42). Errors: BAD_STATE (tried
 * before), MALFORMED (the peer's public value), NOMEM, CRYPTO. */
MUST_USE enum err sa_init_derive(struct ike_sa *sa) NONNULL(1);
