/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_cache.h - what a worker remembers about a conversation, in both directions: its policy, the
 * class it must have, the SA to send on, and the SA from which it was last admitted. SPD and groups
 * are authoritative: an entry of another generation is looked up again, and none of its pointers is
 * followed before that. A fixed set of places, four for each flow: nothing a peer sends makes it
 * grow or slow. Thread: its worker.
 */
#pragma once

#include "base/rng.h"
#include "dataplane/spd.h"

/* struct flow_entry - two cache lines. */
struct flow_entry {
	/* Line 0: which flow, and how old the knowledge is. */
	alignas(CACHE_LINE) struct flow_key key;
	uint64_t policy_gen; /* 0 = empty */

	/* Line 1: valid while policy_gen is the SPD's. */
	const struct spd_entry *policy; /* NULL = none matches */
	struct sa_group *group;         /* of a PROTECT policy, else NULL */
	uint64_t group_gen;             /* what follows is valid while it is the group's */
	struct esp_sa *sa;              /* out: if verdict is DROP_NONE */
	uint64_t in_conf;               /* in: uid of the sa_conf that admits the flow; 0 = none */
	uint64_t used_ns;
	enum drop_reason verdict; /* out: DROP_NO_SA = hold */
};
static_assert(sizeof(struct flow_entry) == 2 * CACHE_LINE, "a flow costs two cache lines");

/* struct flow_cache - one worker's. */
struct flow_cache {
	struct flow_entry *entries;
	const struct spd *spd;
	uint64_t mask;
	uint64_t seed[2];
};

/* flow_cache_init - num entries, rounded up to a power of two (64 to 2^24). Errors: NOMEM, CRYPTO.
 */
MUST_USE enum err flow_cache_init(struct flow_cache *c, uint32_t num, const struct spd *spd,
				  const struct rng *rng) NONNULL(1, 3, 4);
void flow_cache_fini(struct flow_cache *c) NONNULL(1);

/* flow_cache_place - where the flow of a key is looked for; its lines are fetched meanwhile. For a
 * whole vector first, then flow_cache_get() for each. */
uint64_t flow_cache_place(const struct flow_cache *c, const struct flow_key *key) NONNULL(1, 2);

/* flow_cache_get - the entry of a flow, up to date when the call returns; never NULL. place is
 * flow_cache_place()'s. The entry's pointers are valid until the worker's next quiescent state. */
struct flow_entry *flow_cache_get(struct flow_cache *c, const struct flow_key *key, uint64_t place,
				  uint64_t now_ns) NONNULL(1, 2);
