/* SPDX-License-Identifier: Apache-2.0 */
/*
 * followup.h - additional key exchanges of a CREATE_CHILD_SA, each by an IKE_FOLLOWUP_KE that names
 * the one before it by a blob of the responder's, the link (RFC 9370 2.2.4). Nothing is made before
 * the last of them. Control thread.
 */
#pragma once

#include "control/ike/step.h"

/* KE_LINK_MAX - bytes of a peer's link. */
#define KE_LINK_MAX 128

/* struct ke_series - the additional key exchanges of one negotiation. The zero state is "none
 * made"; end with ke_series_fini(). */
struct ke_series {
	uint8_t done;                         /* made */
	struct secret shared[CONF_MAX_ADDKE]; /* what they came to */
	struct dh *dh; /* initiator: of the one under way; responder: of the last one made */
	uint8_t link[KE_LINK_MAX]; /* initiator: of the next request */
	size_t link_len;
};

/* ke_series_fini - wipe; the zero state is what remains. */
void ke_series_fini(struct ke_series *k) NONNULL(1);

/* ke_series_join - SK(1) | ... | SK(n), into *out, which must be empty and stays so if there are
 * none. Errors: NOMEM. */
MUST_USE enum err ke_series_join(const struct ke_series *k, struct secret *out) NONNULL(1, 2);

/* ke_series_undo - forget the last one that was made: its message is as if lost. */
void ke_series_undo(struct ke_series *k) NONNULL(1);

/* followup_send - as initiator, with a response in hand that has a link: the next key exchange of
 * `chosen`. Errors: PEER (no link, only the negotiation fails), NOMEM, CRYPTO; k is as before then.
 */
MUST_USE enum err followup_send(struct step *s, struct ke_series *k, const struct sa_chosen *chosen)
	NONNULL(1, 2, 3);

/* followup_take - as initiator, from the response to it. *out_more: the next one is sent; else it
 * was the last, and if the caller cannot go on it calls ke_series_undo(). Errors: as
 * followup_send(). */
MUST_USE enum err followup_take(struct step *s, bool *out_more, struct ke_series *k,
				const struct sa_chosen *chosen) NONNULL(1, 2, 3, 4);

/* struct followup - a CREATE_CHILD_SA of the peer's that waits for its additional key exchanges:
 * one of an IKE SA, for FOLLOWUP_NS after each of them. A newer one takes its place: the peer has
 * given the older one up. */
struct followup;

/* followup_await - as responder, with everything but the link in s->b: end the message, and let the
 * work of this exchange wait. Errors: NOMEM, and those of step_finish(); nothing waits then. */
MUST_USE enum err followup_await(struct step *s) NONNULL(1);

/* followup_of_ike, followup_of_child - the re-key of the IKE SA, or what is to replace this pair,
 * that waits on an IKE SA; NULL: none does. */
struct rekey_work *followup_of_ike(const struct ike_sa *sa) NONNULL(1);
struct child_work *followup_of_child(const struct ike_sa *sa, uint64_t replaces) NONNULL(1);

/* followup_drop - what waits is forgotten; there may be nothing. */
void followup_drop(struct ike_sa *sa) NONNULL(1);
