/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admit.h - what a first request has to show before anything is kept or computed for it: nothing,
 * in a crowd a cookie (RFC 7296 2.6, S40), in a greater one a puzzle's solution (RFC 8019 7.1).
 * Control thread.
 */
#pragma once

#include "control/ike/sa.h"

struct ike_datagram;

/* admit - the request, whose nonce is ni, may be worked on; false: it was answered with what it is
 * to show, or dropped. known: an IKE SA would end by it, so that its sender must be proven. */
bool admit(struct ike_engine *e, const struct ike_msg *m, const struct ike_datagram *dg,
	   struct bytes ni, bool known) NONNULL(1, 2, 3);

/* admit_proven - it has a cookie that was given to it. */
bool admit_proven(const struct ike_engine *e, const struct ike_msg *m,
		  const struct ike_datagram *dg, struct bytes ni) NONNULL(1, 2, 3);

/* admit_spend - a half-open IKE SA came of the request that was admitted last: the puzzle that it
 * has solved, if it has, is good for no other (RFC 8019 10). */
void admit_spend(struct ike_engine *e) NONNULL(1);
