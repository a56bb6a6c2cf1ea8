/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_cache.h - what a worker remembers about a conversation, in both directions: its latch, its
 * policy, the class it must have, the SA to send on, and the SA from which it was last admitted.
 * Latches, SPD and groups are authoritative: an entry of another epoch is compared with their
 * generations, and what is out of date is looked up again before any of its pointers is followed. A
 * fixed set of places, four for each flow: nothing a peer sends makes it grow or slow. Thread: its
 * worker.
 */
#pragma once

#include "base/rng.h"
#include "dataplane/latch.h"
#include "dataplane/spd.h"

/* struct flow_entry - two cache lines. */
struct flow_entry {
	/* Line 0: which flow, and how old the knowledge is. */
	alignas(CACHE_LINE) struct flow_id id;
	uint64_t epoch;      /* when it was up to date */
	uint64_t policy_gen; /* 0 = empty */
	uint64_t used_ns;

	/* Line 1: valid while policy_gen is the SPD's. */
	alignas(CACHE_LINE) const struct spd_entry *policy; /* NULL = none matches */
	struct sa_group *group; /* that was asked for an SA; NULL: no policy or latch protects */
	uint64_t group_gen;     /* what follows is valid while it is the group's */
	struct esp_sa *sa;      /* out: if verdict is DROP_NONE */
	uint64_t in_conf;       /* in: uid of the sa_conf that admits the flow; 0 = none */
	struct latch *latch;    /* valid while latch_gen is the table's; NULL: none */
	uint32_t latch_gen;
	uint32_t token;  /* that the latch demands; 0: any */
	uint8_t verdict; /* out: enum drop_reason, DROP_NO_SA = hold */
	bool shut;       /* the latch lets nothing pass */
	uint16_t owner;  /* out: worker that owns sa */
	bool ask;        /* out: sa is for all workers, who may have ones of their own */
	bool direct;     /* out: sa is this worker's, and there is nothing to ask */
	bool no_room;    /* it could not be latched */
	bool held;       /* somebody asked for the latch, or for its listener */
};
static_assert(DROP_NUM <= UINT8_MAX, "verdict");
static_assert(sizeof(struct flow_entry) == 2 * CACHE_LINE, "a flow costs two cache lines");

/* struct flow_cache - one worker's. */
struct flow_cache {
	struct flow_entry *entries;
	const struct spd *spd;
	const struct latch_table *latches;
	const struct class_table *classes;
	uint64_t mask;
	uint64_t seed[2];
	uint16_t worker; /* whose it is */
};

/* flow_cache_init - num entries, rounded up to a power of two (64 to 2^24). Errors: NOMEM, CRYPTO.
 */
MUST_USE enum err flow_cache_init(struct flow_cache *c, uint32_t num, const struct spd *spd,
				  const struct latch_table *latches,
				  const struct class_table *classes, const struct rng *rng)
	NONNULL(1, 3, 4, 5, 6);
void flow_cache_fini(struct flow_cache *c) NONNULL(1);

/* flow_hash - of an id. */
static inline uint64_t flow_hash(const struct flow_cache *c, const struct flow_id *id)
{
	const uint64_t s0 = c->seed[0], s1 = c->seed[1];
	uint64_t h = flow_mix(id->what ^ s0, id->addr[0] ^ s1);

	if (unlikely(id->what & FLOW_V6))
		h ^= flow_mix(id->addr[1] ^ s1, id->addr[2] ^ ~s0) ^
		     flow_mix(id->addr[3] ^ ~s1, s0);
	return flow_mix(h ^ s0, s1 ^ 0x9e3779b97f4a7c15ull);
}

/* flow_cache_place - where the flow of an id is looked for; its lines are fetched meanwhile. For a
 * whole vector first, then flow_cache_get() for each. */
static inline struct flow_entry *flow_cache_place(const struct flow_cache *c,
						  const struct flow_id *id)
{
	struct flow_entry *e = &c->entries[flow_hash(c, id) & c->mask];

	__builtin_prefetch(e, 1);
	__builtin_prefetch((const uint8_t *)e + CACHE_LINE, 1);
	return e;
}

/* flow_cache_epoch - for flow_cache_get(), once for a vector. */
static inline uint64_t flow_cache_epoch(const struct flow_cache *c)
{
	return spd_epoch(c->spd);
}

/* flow_cache_elsewhere - for flow_cache_get(): the entry of a flow that is not at its first place:
 * at one of the three others, else the one of the four that was used longest ago, emptied. */
struct flow_entry *flow_cache_elsewhere(struct flow_cache *c, const struct flow_id *id,
					struct flow_entry *place) NONNULL(1, 2, 3);

/* flow_cache_refresh - for flow_cache_get(): look up what is out of date; it was not so at epoch,
 * which was read before. */
void flow_cache_refresh(const struct flow_cache *c, struct flow_entry *e, uint64_t epoch)
	NONNULL(1, 2);

/* flow_cache_anew - choose the SA to send on as if the flow were not latched. */
void flow_cache_anew(const struct flow_cache *c, struct flow_entry *e) NONNULL(1, 2);

/* flow_cache_demand - the same flow where a packet of it demands a class: *made, or e where that is
 * the class of its SA anyway. A latch's class goes before what a packet demands. */
struct flow_entry *flow_cache_demand(const struct flow_cache *c, struct flow_entry *made,
				     struct flow_entry *e, uint32_t token) NONNULL(1, 2, 3);

/* flow_cache_get - the entry of a flow, as it is in this epoch; never NULL. place is
 * flow_cache_place()'s. The entry's pointers are valid until the worker's next quiescent state. */
static inline struct flow_entry *flow_cache_get(struct flow_cache *c, const struct flow_id *id,
						struct flow_entry *place, uint64_t epoch,
						uint64_t now_ns)
{
	struct flow_entry *e = place;

	if (unlikely(!flow_equal(&e->id, id)))
		e = flow_cache_elsewhere(c, id, place);
	if (unlikely(e->epoch != epoch))
		flow_cache_refresh(c, e, epoch);
	e->used_ns = now_ns;
	return e;
}
