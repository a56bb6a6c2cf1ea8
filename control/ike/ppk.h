/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ppk.h - post-quantum pre-shared keys (RFC 8784): who records the handshake today and computes
 * g^ir one day lacks this one. Both sides say in IKE_SA_INIT that they may have one (N(USE_PPK));
 * with its AUTH the initiator names it (N(PPK_IDENTITY)), and where it can do without adds a second
 * AUTH value that is made without (N(NO_PPK_AUTH)). The responder's N(PPK_IDENTITY), empty, says
 * that it is used: SK_d, SK_pi and SK_pr are those that have it in them, and so is all that is made
 * of them. With EAP that is in the last messages of IKE_AUTH alone, which have AUTH of EAP's key.
 * Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* ppk_offer - N(USE_PPK) in our IKE_SA_INIT: as initiator if the connection wants a PPK, as
 * responder if the peer has said it and there may be one. ppk_seen - the peer's. */
void ppk_offer(struct step *s) NONNULL(1);
void ppk_seen(struct step *s) NONNULL(1);

/* ppk_ask_i - as initiator, with IKE_SA_INIT answered: ask for the connection's PPK, or go on
 * without one. Errors: PEER (it is demanded, and cannot be), NOMEM. */
MUST_USE enum err ppk_ask_i(struct step *s) NONNULL(1);

/* ppk_made - as initiator, our AUTH was made. True: it was for NO_PPK_AUTH, and another one with
 * the PPK has to follow. */
bool ppk_made(struct ike_sa *sa) NONNULL(1);

/* ppk_build - beside our AUTH: as initiator which PPK, as responder that it is used. */
void ppk_build(struct step *s) NONNULL(1);

/* ppk_take_i - as initiator: does the response with the last AUTH say that the PPK is used? Errors:
 * PEER (it is demanded). */
MUST_USE enum err ppk_take_i(struct step *s) NONNULL(1);

/* ppk_ask_r - as responder, with the request that has AUTH: ask for the PPK that it names, or go on
 * without one. Errors: PEER, NOMEM. ppk_take_answer - the keys with it in them. Errors: NOMEM,
 * LIMIT, CRYPTO. */
MUST_USE enum err ppk_ask_r(struct step *s) NONNULL(1);
MUST_USE enum err ppk_take_answer(struct step *s) NONNULL(1);

/* ppk_choose - as responder: by the connection that is tried, is AUTH with the PPK or NO_PPK_AUTH
 * to be verified? As initiator that is decided already. Errors: PEER (a PPK is demanded, or no AUTH
 * fits).
 */
MUST_USE enum err ppk_choose(struct step *s) NONNULL(1);

/* ppk_sk_p - what the identity of a side is hashed with for AUTH: SK_pi or SK_pr. ppk_auth - the
 * AUTH value of the peer that goes with it. */
const struct secret *ppk_sk_p(const struct ike_sa *sa, bool initiators) NONNULL(1);
struct bytes ppk_auth(const struct handshake *hs) NONNULL(1);

/* ppk_plainly - the peer's AUTH, which is wrong, would be right without the PPK, which retry says
 * by verifying NO_PPK_AUTH: nothing is believed of that, it tells what to change. PPK_DOUBT - room
 * for a clause. ppk_doubt - what a wrong AUTH may come from, too: "" without a PPK. Returns buf. */
bool ppk_plainly(struct step *s, enum err (*retry)(struct step *s)) NONNULL(1, 2);
#define PPK_DOUBT 180
const char *ppk_doubt(char buf[static PPK_DOUBT], const struct ike_sa *sa) NONNULL(2);

/* ppk_differs - the failure of ppk_plainly(). Always PEER. */
MUST_USE enum err ppk_differs(struct step *s) NONNULL(1);

/* ppk_settle - the peer's AUTH was right, and so is what it says of the PPK: the IKE SA's keys are
 * those that it was made with from now on, and its proof says so. Errors: NOMEM. */
MUST_USE enum err ppk_settle(struct step *s) NONNULL(1);

/* ppk_fini - wipe what is left. */
void ppk_fini(struct handshake_ppk *p) NONNULL(1);
