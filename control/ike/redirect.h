/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect.h - a gateway names another one (RFC 5685). Who began follows if its connection is let
 * (`follow_redirects`): before anything was proven, in IKE_SA_INIT, by going there instead; when
 * the gateway has proven who it is, in IKE_AUTH, by another IKE SA in place of this one; later by
 * one beside the one that is there (reauth.h), which ends when that has its children. The other
 * gateway has to be whom the connection asks for, as everybody has. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* redirect_show - as initiator into IKE_SA_INIT: REDIRECT_SUPPORTED, or who named this gateway
 * (REDIRECTED_FROM). redirect_seen - as responder: whether the peer follows. */
void redirect_show(struct step *s) NONNULL(1);
void redirect_seen(struct step *s) NONNULL(1);

/* redirect_take - an INFORMATIONAL request of the gateway's: go to the one that it names. */
void redirect_take(struct ike_sa *sa, const struct ike_msg *m, uint64_t now_ns) NONNULL(1, 2);

/* redirect_keep - as initiator, of IKE_AUTH's response: a gateway that it names, for when its AUTH
 * was verified and it was found welcome (redirect_auth()). redirect_auth - go to the one that was
 * kept (hs->elsewhere), with all that this IKE SA was to do, and close this one. Errors: PEER (it
 * is not followed), NOMEM. */
MUST_USE enum err redirect_keep(struct step *s) NONNULL(1);
MUST_USE enum err redirect_auth(struct step *s) NONNULL(1);

/* redirect_wanted - as responder: the peer, who is proven, is to be sent elsewhere (`redirect_to`).
 * redirect_build - N(REDIRECT) into our IKE_AUTH, which has neither child nor address.
 * redirect_left - the IKE SA is established, and closed here unless the peer does so soon. */
bool redirect_wanted(const struct ike_sa *sa) NONNULL(1);
void redirect_build(struct step *s) NONNULL(1);
void redirect_left(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* redirect_inherit - new is in the place of old. */
void redirect_inherit(struct ike_sa *new, const struct ike_sa *old) NONNULL(1, 2);
