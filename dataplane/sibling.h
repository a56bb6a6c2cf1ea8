/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sibling.h - who sends by the pair that all workers of a group share, and could have one of its
 * own (RFC 9611): each worker notes beside the outbound SA when it said so last. A line for each
 * worker, which alone writes it; control makes and frees them with the SA.
 */
#pragma once

#include "dataplane/worker.h"

/* SIBLING_AGAIN_NS - a worker that still has no pair of its own says so again: the peer may have
 * refused, or closed it. */
#define SIBLING_AGAIN_NS (60 * NS_PER_S)

/* struct sibling_ask - one worker's note; an outbound SA has an array of them, by index. */
struct sibling_ask {
	alignas(CACHE_LINE) uint64_t asked_ns; /* 0 = never. Worker: rw */
};

/* sibling_asks_new - nobody has asked; NULL on shortage. Free with mem_free_aligned(). */
MALLOC_LIKE struct sibling_ask *sibling_asks_new(uint32_t num_workers);

/* sibling_ask - p goes by the SA of e, which all workers share: report that this one has none of
 * its own, unless it did just now or another worker sends p. Worker. */
void sibling_ask(struct worker *w, const struct packet *p, const struct flow_entry *e)
	NONNULL(1, 2, 3);
