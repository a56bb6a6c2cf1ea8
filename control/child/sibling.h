/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sibling.h - several Child SAs for the same traffic, each for one worker of the data path
 * (RFC 9611). The first one is shared by all; with it both sides say by N(SA_RESOURCE_INFO) that
 * they want others. A worker that sends by it and has none of its own is reported
 * (ike_child_alone()), and only then one is made for it: by CREATE_CHILD_SA, with the same
 * selectors, mode and algorithms. What the notify holds is for logs; each side decides by itself
 * for which of its workers a pair is, and a re-keyed pair is for the same. Control thread.
 */
#pragma once

#include "control/child/work.h"

/* sibling_build - N(SA_RESOURCE_INFO) into s->b, if w has siblings or is one. */
void sibling_build(struct step *s, const struct child_work *w) NONNULL(1, 2);

/* sibling_choose - as responder, when selectors and algorithms are chosen: what the request makes
 * is shared, if no such pair is there yet, else for the worker with the fewest. Errors: PEER (as
 * many as may be: TS_MAX_QUEUE), NOMEM, FULL, CRYPTO. */
MUST_USE enum err sibling_choose(struct step *s, struct child_work *w) NONNULL(1, 2);

/* sibling_take - as initiator, from the response: whether the peer knows of siblings; and that one
 * is like the shared pair. Errors: PEER. */
MUST_USE enum err sibling_take(struct step *s, struct child_work *w) NONNULL(1, 2);

/* sibling_any - c is shared, and some worker has a pair beside it. */
bool sibling_any(const struct ike_child *c) NONNULL(1);
