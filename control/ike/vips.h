/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vips.h - virtual addresses (RFC 7296 2.19). As initiator: what `vips` of a connection asks for in
 * IKE_AUTH, what the peer lends, and its way to the host and back. As responder: what the `pools`
 * of a connection lend the peer that asks. They belong to the IKE SA, go over to the one that
 * replaces it, and go with it. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* vips_request - CP(CFG_REQUEST) into the message, if the connection asks for addresses. */
void vips_request(const struct ike_sa *sa, struct ike_builder *b) NONNULL(1, 2);

/* vips_take - keep what the response to IKE_AUTH lends, of what was asked for; nothing is done with
 * it before vips_install(). Errors: PEER, NOMEM. */
MUST_USE enum err vips_take(struct step *s) NONNULL(1);

/* vips_install - the peer is authenticated (S20): the host is given the addresses. Cannot fail. */
void vips_install(struct ike_sa *sa) NONNULL(1);

/* vips_drop - they end with their IKE SA. vips_move - they go over to another one, as what is lent
 * does. */
void vips_drop(struct ike_sa *sa) NONNULL(1);
void vips_move(struct ike_sa *from, struct ike_sa *to) NONNULL(1, 2);

/* vips_awaited - asked for, and the answer is not there. */
bool vips_awaited(const struct ike_sa *sa) NONNULL(1);

/* vips_dynamic - what stands for a local `dynamic` selector: the addresses lent; all of a family
 * while it is asked for one; else our own address. Writes at most CONF_MAX_VIPS selectors; returns
 * how many. */
uint32_t vips_dynamic(const struct ike_sa *sa, struct ts out[CONF_MAX_VIPS],
		      const struct conf_ts *conf, const struct ip_addr *own) NONNULL(1, 2, 3, 4);

/* vips_asked - as responder: what the request asks for is kept for when the peer is authenticated.
 * Errors: PEER (s->fail says what: the format, or there are no pools). */
MUST_USE enum err vips_asked(struct step *s) NONNULL(1);

/* vips_lend - the peer is authenticated and may have an IKE SA: of each pool's family as many
 * addresses as it asks for. Errors: PEER (there is none left of what it asks for), NOMEM, CRYPTO.
 */
MUST_USE enum err vips_lend(struct step *s) NONNULL(1);

/* vips_reply - CP(CFG_REPLY) into the message, if the peer was lent something. */
void vips_reply(const struct ike_sa *sa, struct ike_builder *b) NONNULL(1, 2);

/* vips_lend_end - what is lent goes back. */
void vips_lend_end(struct ike_sa *sa) NONNULL(1);

/* vips_lent_dynamic - as vips_dynamic(), of a remote `dynamic` selector: the addresses that the
 * peer was lent; all of a family while it asks for one that a pool may have; else its own. */
uint32_t vips_lent_dynamic(const struct ike_sa *sa, struct ts out[CONF_MAX_VIPS],
			   const struct conf_ts *conf, const struct ip_addr *own)
	NONNULL(1, 2, 3, 4);

/* vips_lending - the peer asks for addresses, and has not got any yet. */
bool vips_lending(const struct ike_sa *sa) NONNULL(1);
