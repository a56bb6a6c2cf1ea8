/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h - what both roles of IKE_AUTH share (RFC 7296 1.2, 2.15, 2.16). Control thread.
 */
#pragma once

#include "control/auth/psk.h"
#include "control/ike/step.h"

/* auth_octets_of - what one side signs: own = ours, else the peer's. */
struct auth_octets auth_octets_of(const struct ike_sa *sa, bool own, struct bytes id_body)
	NONNULL(1);

/* auth_ask_own - ask for what makes our AUTH: a signature or a secret, as `local.auth` says.
 * auth_ask_peer - for what verifies the peer's. Of nobody (`auth = null`) nothing is asked. Errors:
 * NOMEM, CRYPTO. */
MUST_USE enum err auth_ask_own(struct step *s) NONNULL(1);
MUST_USE enum err auth_ask_peer(struct step *s) NONNULL(1);

/* auth_make_own - our AUTH from the answer, into the handshake. Errors: PEER, NOMEM, CRYPTO. */
MUST_USE enum err auth_make_own(struct step *s) NONNULL(1);
/* auth_take_signature - the part of it that is a signature, with the certificates that go with it.
 */
MUST_USE enum err auth_take_signature(struct step *s) NONNULL(1);

/* auth_request_i - as initiator, with our AUTH made: the IKE_AUTH request, with the first Child SA.
 * Errors: PEER, NOMEM, CRYPTO. auth_keep_certs - of a session that is resumed, these in place of
 * what the peer sends. Errors: NOMEM, LIMIT. */
MUST_USE enum err auth_request_i(struct step *s) NONNULL(1);
MUST_USE enum err auth_keep_certs(struct handshake *hs, const struct ike_cert *certs, uint32_t num)
	NONNULL(1);

/* auth_build_certs - our certificates. auth_build_own - our AUTH. auth_build_certreq - a request
 * for the peer's certificate or key, if it is to sign and `send_certreq` lets: a responder's names
 * what would do for any connection that the peer may be for. */
void auth_build_certs(struct step *s) NONNULL(1);
void auth_build_own(struct step *s) NONNULL(1);
void auth_build_certreq(struct step *s) NONNULL(1);

/* auth_wants_signature - the peer is to sign, or may be: a responder does not know yet who it is.
 */
bool auth_wants_signature(const struct ike_sa *sa) NONNULL(1);

/* auth_take_init - what IKE_SA_INIT tells about signatures: hash algorithms, requests for
 * certificates. Errors: MALFORMED, TRUNCATED: the message is not authentic yet. */
MUST_USE enum err auth_take_init(struct step *s) NONNULL(1);

/* auth_build_announced - by what the peer may prove itself (RFC 9593), into s->b. */
void auth_build_announced(struct step *s) NONNULL(1);

/* auth_take_certs - certificates and requests of IKE_AUTH. auth_take_certreqs - the requests alone,
 * of a peer that does not sign. Errors: PEER, NOMEM. */
MUST_USE enum err auth_take_certs(struct step *s) NONNULL(1);
MUST_USE enum err auth_take_certreqs(struct step *s) NONNULL(1);

/* auth_certs_copy - append copies of some to a list that has room for them; what there is after an
 * error is to be freed, too. Errors: NOMEM, LIMIT. auth_certs_free - free the copies in a list and
 * empty it. */
MUST_USE enum err auth_certs_copy(struct ike_cert *out, uint32_t *out_num,
				  const struct ike_cert *certs, uint32_t num) NONNULL(1, 2, 3);
void auth_certs_free(struct ike_cert *list, uint32_t *num) NONNULL(1, 2);

/* auth_take_peer - the peer's ID, AUTH and certificates are kept for the verification. Errors:
 * PEER, NOMEM. */
MUST_USE enum err auth_take_peer(struct step *s, uint8_t id_payload) NONNULL(1);

/* auth_without_eap - the peer sends AUTH, and its connection takes that without EAP before it.
 * Errors: PEER. */
MUST_USE enum err auth_without_eap(struct step *s) NONNULL(1);

/* auth_check_peer - verify AUTH with the answer (a secret, or keys that speak for the peer), make
 * the proof, and compare the proven identity with the configured one: the only place that does
 * (S20, S22). Errors: PEER, NOMEM, CRYPTO. */
MUST_USE enum err auth_check_peer(struct step *s) NONNULL(1);

/* auth_check_id - a peer's identity, proven or not yet, is one that its connection asks for.
 * Errors: PEER. */
MUST_USE enum err auth_check_id(struct step *s, const struct ike_id *id) NONNULL(1, 2);

/* auth_admit - the same comparison for who proves it otherwise (EAP); takes the proof over. Errors:
 * PEER. */
MUST_USE enum err auth_admit(struct step *s, struct auth_proof *proof) NONNULL(1, 2);

/* auth_take_offers - as initiator, what the response says beside AUTH: addresses, paths, the first
 * Child SA. auth_choose_connection, auth_take_connection - as responder, the connections that the
 * request may be for; what it comes to if the peer is of the one that was chosen. auth_take_path -
 * where it came from. Errors: PEER, NOMEM, CRYPTO. */
MUST_USE enum err auth_take_offers(struct step *s) NONNULL(1);
MUST_USE enum err auth_choose_connection(struct step *s) NONNULL(1);
MUST_USE enum err auth_take_connection(struct step *s) NONNULL(1);
void auth_take_path(struct step *s) NONNULL(1);

/* auth_credential - what a side proves itself by ("certificate or key"), for people. */
const char *auth_credential(const struct conf_side *side) NONNULL(1);

/* auth_refuse - the answer to AUTHORIZE is no. Errors: PEER, always. */
MUST_USE enum err auth_refuse(struct step *s) NONNULL(1);

/* auth_child_failed - the first Child SA will not be: note why; the IKE SA goes on. */
void auth_child_failed(struct step *s) NONNULL(1);

/* auth_check_unique - as responder, with the peer proven: it may have another IKE SA (`unique`).
 * Errors: PEER. */
MUST_USE enum err auth_check_unique(struct step *s) NONNULL(1);

/* auth_established - timers, event, and the end of what only the handshake needed. Cannot fail. */
void auth_established(struct step *s) NONNULL(1);

/* auth_first_contact - no other IKE SA of this connection, or with this peer, is up. */
bool auth_first_contact(const struct ike_sa *sa) NONNULL(1);

/* auth_child_report - the event about the first Child SA, which failed. */
void auth_child_report(struct step *s, const struct failure *f) NONNULL(1, 2);
