/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traffic.h - which traffic a Child SA in the making is for, and how it is carried: the selectors
 * of both sides (RFC 7296 2.9), and transport mode (1.3.1) with what a NAT means for it (2.23.1).
 *
 * Transport mode is between the two addresses of the IKE SA. Where a NAT translates one of them,
 * its two sides know it by different addresses: each puts its own view into the selectors that it
 * receives, which so become those of its own host, and keeps the peer's view beside them. If the
 * peer does not want transport mode, or the selectors are for others than the two, it becomes a
 * tunnel, as with strongSwan: the same traffic is protected. Control thread.
 */
#pragma once

#include "control/child/work.h"

/* traffic_allows - a packet lies within the configured selectors for this IKE SA. */
bool traffic_allows(const struct ike_sa *sa, const struct conf_child *conf, const struct flow *flow)
	NONNULL(1, 2, 3);

/* traffic_offer - as initiator: the configured selectors for this path and the configured mode, or
 * those of the pair that it re-keys or is a sibling of; a packet's own selectors in front, or, if
 * it is for one flow alone, nothing else. flow may be NULL. Errors: PEER (the flow that it is for
 * is outside of what is configured; s->fail says so). */
MUST_USE enum err traffic_offer(struct step *s, struct child_work *w, const struct flow *flow)
	NONNULL(1, 2);

/* traffic_build - [N(USE_TRANSPORT_MODE),] TSi, TSr into s->b. */
void traffic_build(struct step *s, const struct child_work *w) NONNULL(1, 2);

/* traffic_choose - as responder: a configuration for what the request asks, unless w has one;
 * narrowed selectors and the mode. Errors: PEER (s->fail says what). */
MUST_USE enum err traffic_choose(struct step *s, struct child_work *w) NONNULL(1, 2);

/* traffic_lent - as responder: the peer was lent the addresses that it asked for, and what w was
 * narrowed to while they were not known is for them. Errors: PEER. */
MUST_USE enum err traffic_lent(struct step *s, struct child_work *w) NONNULL(1, 2);

/* traffic_take - as initiator: the response's selectors and mode. Errors: PEER. */
MUST_USE enum err traffic_take(struct step *s, struct child_work *w) NONNULL(1, 2);
