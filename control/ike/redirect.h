/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect.h - a gateway names another one (RFC 5685). Who began follows if its connection is let
 * (`follow_redirects`): before anything was proven, in IKE_SA_INIT, by going there instead; later
 * by another IKE SA beside the one that is there (reauth.h), which ends when that has its children.
 * The other gateway has to be whom the connection asks for, as everybody has. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* redirect_show - as initiator into IKE_SA_INIT: REDIRECT_SUPPORTED, or who named this gateway
 * (REDIRECTED_FROM). redirect_seen - as responder: whether the peer follows. */
void redirect_show(struct step *s) NONNULL(1);
void redirect_seen(struct step *s) NONNULL(1);

/* redirect_take - an INFORMATIONAL request of the gateway's: go to the one that it names. */
void redirect_take(struct ike_sa *sa, const struct ike_msg *m, uint64_t now_ns) NONNULL(1, 2);

/* redirect_inherit - new is in the place of old. */
void redirect_inherit(struct ike_sa *new, const struct ike_sa *old) NONNULL(1, 2);
