/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resume.h - session resumption (RFC 5723). A client asks for a ticket with IKE_AUTH
 * (N(TICKET_REQUEST)), and when the peer does not answer any more shows it in IKE_SESSION_RESUME,
 * which stands in place of IKE_SA_INIT: the keys come from SK_d of the old IKE SA and two new
 * nonces, AUTH of IKE_AUTH from SK_pi and SK_pr. Who the two are is what was proven then; children
 * are made anew, after each has judged once more what certificates vouch for the other. A ticket is
 * for one IKE SA and used once: it goes with that IKE SA, unless that ends for want of answers.
 * Where it does not help there is a whole handshake. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* struct held_ticket - what a client keeps: a ticket and what goes with it. */
struct held_ticket {
	struct list_node node;
	char *conn;            /* the connection's name, */
	struct ip_addr remote; /* and where the peer is with which that begins */
	uint64_t owner;        /* our SPI of the IKE SA that it is of; 0: that one got no answers */
	uint64_t expires_ns;
	uint64_t auth_until_ns; /* nor is one good for longer that is given for it */
	struct sa_chosen suite;
	struct secret sk_d;
	struct auth_proof *proof;            /* who the peer is, */
	struct ike_cert certs[TICKET_CERTS]; /* and what it showed, to be judged again; owned */
	uint32_t num_certs;
	struct ike_id local_id, idr; /* as in the ID payloads */
	uint8_t *ticket;
	size_t ticket_len;
};

/* ---- client ---------------------------------------------------------------------------------- */

/* resume_offer - N(TICKET_REQUEST) in our IKE_AUTH, if the connection wants it. resume_take - the
 * ticket of the response, for later. resume_keep - the IKE SA is established: the ticket is held.
 */
void resume_offer(struct step *s) NONNULL(1);
void resume_take(struct step *s) NONNULL(1);
void resume_keep(struct step *s) NONNULL(1);

/* resume_can - a ticket is held by which the IKE SA could be made: of the peer that it is to be
 * with, and no other configuration was loaded since. */
bool resume_can(const struct ike_sa *sa) NONNULL(1);

/* resume_back - no answer came to the ticket that sa shows: it is held again. resume_in_vain - a
 * request that was repeated is one to resume, and was so often enough: it goes
 * on with IKE_SA_INIT, and the ticket is kept for the next time. */
void resume_back(struct ike_sa *sa) NONNULL(1);
bool resume_in_vain(struct ike_sa *sa, uint64_t now_ns) NONNULL(1);

/* ---- gateway --------------------------------------------------------------------------------- */

/* resume_asked - the request wants a ticket. resume_give - it, or N(TICKET_NACK), in our response.
 */
void resume_asked(struct step *s) NONNULL(1);
void resume_give(struct step *s) NONNULL(1);

/* resume_void - no ticket that was given is good any more: another configuration is in force. */
void resume_void(struct ike_engine *e) NONNULL(1);

/* ---- both ------------------------------------------------------------------------------------ */

/* resume_is_certified - the proof rests on a certificate, which is judged again before anything is
 * resumed. resume_certs - what the peer showed for it: in IKE_AUTH, in EAP, or with the ticket that
 * it came with, or that was shown; views. Errors: UNSUPPORTED (by URL: there may be another one by
 * then), LIMIT. resume_still_holds - what judges these says that they vouch for it; there may be
 * none. */
bool resume_is_certified(const struct auth_proof_params *p) NONNULL(1);
MUST_USE enum err resume_certs(const struct ike_sa *sa, const struct auth_proof_params *p,
			       struct ike_cert out[static TICKET_CERTS], uint32_t *out_num)
	NONNULL(1, 2, 4);
bool resume_still_holds(const struct ike_answer *a, const struct ike_cert *certs, uint32_t num)
	NONNULL(1, 2);

/* resume_derive - the keys of an IKE SA that is resumed, from sk_d of the old one; hs->ni, hs->nr
 * and sa->suite are set. resume_make_own - our AUTH. resume_auth_check - the peer's AUTH shows that
 * it has the keys too, and so is who was proven. Errors: PEER, NOMEM, CRYPTO. */
MUST_USE enum err resume_derive(struct ike_sa *sa, const struct secret *sk_d) NONNULL(1, 2);
MUST_USE enum err resume_make_own(struct step *s) NONNULL(1);
MUST_USE enum err resume_auth_check(struct step *s, const struct auth_proof_params *proven)
	NONNULL(1, 2);

/* resume_end - the IKE SA is over, or another one took its place: so is its ticket, except that a
 * client whose peer did not answer, and the gateway that did not hear of it, keep theirs. */
void resume_end(struct ike_sa *sa, enum ike_reason reason) NONNULL(1);

/* resume_fini - wipe what a handshake has of it. resume_free_all - all tickets that are held. */
void resume_fini(struct handshake_resume *r) NONNULL(1);
void resume_free_all(struct ike_engine *e) NONNULL(1);
