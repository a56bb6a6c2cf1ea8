/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth_life.h - how long it holds who an IKE SA is with (reauth_time, RFC 4478). It does not begin
 * anew when keys are changed. Who began asks again before it is over, by an IKE SA of its own
 * beside this one (reauth.h); who answered tells the other when (AUTH_LIFETIME), asks itself if it
 * can, and closes what has not been renewed. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* auth_life_init, auth_life_fini - its timer. */
void auth_life_init(struct ike_sa *sa) NONNULL(1);
void auth_life_fini(struct ike_sa *sa) NONNULL(1);

/* auth_life_start - the peer has just proven who it is: what the configuration says of reauth_time
 * begins, and what a responder has said (auth_life_take()) counts from now. */
void auth_life_start(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* auth_life_offer - as responder: AUTH_LIFETIME into the last IKE_AUTH message, of what the
 * configuration says or, if that is sooner, a RADIUS server by its Session-Timeout. */
void auth_life_offer(struct step *s) NONNULL(1);

/* auth_life_take - what an authentic message of the responder says of it, in IKE_AUTH or later: who
 * began heeds it if it is sooner than what it has itself. */
void auth_life_take(struct ike_sa *sa, const struct ike_msg *m, uint64_t now_ns) NONNULL(1, 2);

/* auth_life_inherit - new is in the place of old: who it is with was proven when it was. */
void auth_life_inherit(struct ike_sa *new, struct ike_sa *old) NONNULL(1, 2);
