/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept.h - what the answer to IKE_ASK_CHILD_ACCEPT means for the negotiated selectors: a flow
 * that is tied to one peer is not given to another (RFC 5660 2.2, RFC 7296 2.9). Control thread.
 */
#pragma once

#include "control/child/work.h"

/* child_accept - w goes on, as responder without what the answer leaves out; as initiator it is as
 * the peer has installed it, or not at all. Then as claims_check(): somebody may have come while
 * the question was open. Errors: PEER (s->fail says why not). */
MUST_USE enum err child_accept(struct step *s, struct child_work *w) NONNULL(1, 2);
