/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eap.h - what both roles of IKE_AUTH with EAP share (RFC 7296 2.16, RFC 5998): packets of a
 * conversation (control/auth/eap/eap.h) in and out of messages, and AUTH by the key that came of
 * it. Control thread.
 */
#pragma once

#include "control/auth/eap/eap.h"
#include "control/ike/auth.h"

/* eap_feed - the conversation takes a packet; what it then wants is asked for, or passed: the next
 * step is IKE_ASK_EAP_SECRET's in either case. Errors: PEER. */
MUST_USE enum err eap_feed(struct step *s, struct bytes packet) NONNULL(1);

/* eap_want - what the conversation wants is asked for, or passed, as by eap_feed(). Errors: NOMEM.
 */
MUST_USE enum err eap_want(struct step *s) NONNULL(1);

/* eap_waits - it wants something of this side. eap_proceed - the answer to what was asked for, if
 * anything was; the next wish is asked for in the same state. Errors: PEER. */
bool eap_waits(const struct eap *x) NONNULL(1);
MUST_USE enum err eap_proceed(struct step *s) NONNULL(1);

/* eap_asked_certs - the peer's certificates in EAP, and whose they have to be, for an ask; views
 * that live as long as the conversation. Returns how many. */
uint32_t eap_asked_certs(const struct ike_sa *sa, struct ike_cert out[static IKE_MAX_CERTS],
			 const struct ike_id **out_id) NONNULL(1, 3);

/* eap_build - the conversation's next packet into s->b. */
void eap_build(struct step *s) NONNULL(1);

/* eap_make_own - our AUTH of the conversation's key. Errors: CRYPTO, INVAL (there is none). */
MUST_USE enum err eap_make_own(struct step *s) NONNULL(1);

/* eap_take_auth - the peer's AUTH payload is kept. Errors: PEER. eap_check_auth - it is of the
 * conversation's key, which is complete (S21). proves: it is what the peer is known by, and makes
 * sa->proof (S20, S22); else it was known before. Errors: PEER, NOMEM, CRYPTO. */
MUST_USE enum err eap_take_auth(struct step *s) NONNULL(1);
MUST_USE enum err eap_check_auth(struct step *s, bool proves) NONNULL(1);

/* eap_take_id - the peer's ID payload without AUTH is kept, and what it asks of our certificates.
 * Errors: PEER. */
MUST_USE enum err eap_take_id(struct step *s, uint8_t id_payload) NONNULL(1);
