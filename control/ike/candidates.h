/* SPDX-License-Identifier: Apache-2.0 */
/*
 * candidates.h - the connections that a peer may be for, where identities leave more than one:
 * which of them believes the peer's proof decides, one after the other. Control thread.
 */
#pragma once

#include "control/ike/match.h"
#include "control/ike/step.h"

/* struct candidates - the connections, the best first, and which of them is tried. They live with
 * the SA's configuration. msg is the IKE_AUTH request, for what each makes of it. */
struct candidates {
	const struct conf_conn *conns[MATCH_MAX];
	uint32_t num, at;
	uint32_t known;       /* rank of the best that knows the peer, and refused it */
	struct failure first; /* why the best one did not believe the peer */
	struct ike_msg msg;   /* bodies are in bytes */
	uint8_t bytes[];
};

/* candidates_new - of num connections, with a copy of the request. Errors: NOMEM. candidates_free -
 * NULL is accepted. */
MUST_USE enum err candidates_new(struct candidates **out,
				 const struct conf_conn *const conns[MATCH_MAX], uint32_t num,
				 const struct ike_msg *msg) NONNULL(1, 2, 4);
void candidates_free(struct candidates *c);

/* candidates_next - the one after that which failed like this; NULL if it was the last, or if those
 * that follow ask for less, and this peer is not unknown but refused (S29). */
const struct conf_conn *candidates_next(struct candidates *c, const struct failure *why)
	NONNULL(1, 2);
