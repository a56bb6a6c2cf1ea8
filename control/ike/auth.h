/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth.h - what both roles of IKE_AUTH share (RFC 7296 1.2, 2.15, 2.16). Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* auth_own - our AUTH value into out[PRF_LEN_MAX], which takes prf_len() bytes. Errors: INVAL
 * (empty secret), CRYPTO. */
MUST_USE enum err auth_own(struct step *s, uint8_t out[static PRF_LEN_MAX]) NONNULL(1);

/* auth_take_peer - the peer's ID and AUTH payloads are kept for the verification. Errors: PEER. */
MUST_USE enum err auth_take_peer(struct step *s, uint8_t id_payload) NONNULL(1);

/* auth_check_peer - verify AUTH with the answered secret, make the proof, and compare the proven
 * identity with the configured one: the only place that does (S20, S22). Errors: PEER, NOMEM,
 * CRYPTO. */
MUST_USE enum err auth_check_peer(struct step *s) NONNULL(1);

/* auth_child_failed - the first Child SA will not be: note why; the IKE SA goes on. */
void auth_child_failed(struct step *s) NONNULL(1);

/* auth_established - timers, event, and the end of what only the handshake needed. Cannot fail. */
void auth_established(struct step *s) NONNULL(1);

/* auth_first_contact - no other IKE SA of this connection is up. */
bool auth_first_contact(const struct ike_sa *sa) NONNULL(1);

/* auth_child_report - the event about a first Child SA that failed. */
void auth_child_report(struct step *s, const char *child, enum ike_reason reason, const char *text)
	NONNULL(1, 4);
