/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rekey_work.h - an IKE SA in the making that is to take another one's place (RFC 7296 1.3.2, 2.8,
 * 2.18). Control thread.
 */
#pragma once

#include "control/ike/followup.h"

/* struct rekey_work - one negotiation. */
struct rekey_work {
	struct ike_sa *sa; /* the new one, in state SA_NONE; NULL once it is established */
	struct nonce ni, nr;
	struct dh *dh;
	uint16_t group;
	struct secret shared;  /* g^ir */
	struct ke_series more; /* additional key exchanges */
	bool rival_waits;      /* the peer's, that crossed it, waits for more key exchanges */
	uint64_t rival;        /* re-key of ours: SPI of the IKE SA of the peer's that crossed it */
	struct nonce rival_nonce;
	bool settled; /* the peer went on with that one: it has taken over */
};

/* rekey_work_new - Errors: NOMEM, FULL, CRYPTO. */
MUST_USE enum err rekey_work_new(struct ike_sa *old, struct rekey_work **out, bool initiator)
	NONNULL(1, 2);

/* rekey_work_free - what is not established is gone. NULL is accepted. */
void rekey_work_free(struct ike_sa *old, struct rekey_work *w) NONNULL(1);

/* rekey_settle - our own re-key will not be answered any more: if the peer's crossed it, that one
 * takes over if we are to go on, and is closed if not. */
void rekey_settle(struct ike_sa *old, bool go_on) NONNULL(1);

/* ike_rekey_complete - as responder, with all key exchanges made: answer, and make the new IKE SA.
 * Errors: PEER, NOMEM, CRYPTO. */
MUST_USE enum err ike_rekey_complete(struct step *s) NONNULL(1);

/* rekey_used - the peer makes a request on this IKE SA: if it crossed a re-key of ours that is not
 * decided yet, the peer has decided, and it takes over now. */
void rekey_used(struct ike_sa *sa) NONNULL(1);
