/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spd.h - the security policy database (RFC 4301 4.4.1) in layers: latches, application requests,
 * configuration. Control inserts and removes entries atomically; workers read by RCU. Every change
 * bumps the generation before the call returns, and what a worker remembers from an older
 * generation is looked up again and never dereferenced.
 */
#pragma once

#include "dataplane/dataplane.h"
#include "dataplane/flow.h"
#include "dataplane/group.h"
#include "dataplane/spd_index.h"

/* struct spd_entry - immutable but for its places in the index. */
struct spd_entry {
	uint64_t rank; /* layer and priority: the smaller is looked at first, of equal ones the */
	uint64_t age;  /* older */
	enum policy_layer layer;
	enum policy_action action;
	uint32_t priority;
	uint32_t id;
	uint32_t class_demanded;
	uint32_t scope;
	uint32_t num_local, num_remote;
	uint64_t owner;
	struct sa_group *group; /* PROTECT only */
	uint32_t num_places;
	struct spd_place *places; /* behind ts */
	struct list_node node;    /* control: of all entries */
	struct rcu_head rcu;
	struct ts ts[]; /* num_local local ones, then num_remote remote ones */
};

/* spd_before - a is looked at before b. */
static inline bool spd_before(const struct spd_entry *a, const struct spd_entry *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->age < b->age;
}

/* struct spd - control: rw, worker: r. */
struct spd {
	struct spd_index index;
	uint64_t generation; /* atomic; never 0 */
	uint64_t epoch;      /* atomic; never 0 */
	uint32_t num_whole;  /* atomic: entries and SAs that can only judge whole packets */
	/* Control's own. */
	struct list_node entries;
	uint64_t next_age;
};

/* spd_init - empty. Errors: NOMEM, CRYPTO. */
MUST_USE enum err spd_init(struct spd *s, const struct rng *rng) NONNULL(1, 2);

/* spd_fini - free all entries; no worker may read any more. Zero is accepted. */
void spd_fini(struct spd *s) NONNULL(1);

/* spd_entry_new - an entry outside the SPD; group is NULL unless PROTECT. NULL on shortage. Params
 * are valid. */
MALLOC_LIKE struct spd_entry *spd_entry_new(const struct policy_params *params,
					    struct sa_group *group) NONNULL(1);

/* spd_insert - effective for every vector that is looked at after the return. */
void spd_insert(struct spd *s, struct spd_entry *e, struct rcu_queue *q) NONNULL(1, 2, 3);

/* spd_remove - as immediate; e is freed when no worker reads it. */
void spd_remove(struct spd *s, struct spd_entry *e, struct rcu_queue *q) NONNULL(1, 2, 3);

/* spd_needs_whole - whether one of the selectors asks for what a fragment does not say: ports, and
 * with IPv6 the protocol, since extension headers may lie between fragment header and payload.
 * spd_count_whole - an entry or an outbound SA with such selectors comes (1) or goes (-1); control
 * thread. spd_wants_whole - there are any: fragments are put together before they are looked up.
 * Worker. */
bool spd_needs_whole(const struct ts *ts, uint32_t num) NONNULL(1);
void spd_count_whole(struct spd *s, int by) NONNULL(1);
static inline bool spd_wants_whole(const struct spd *s)
{
	return __atomic_load_n(&s->num_whole, __ATOMIC_RELAXED) != 0;
}

/* spd_has_scope - an entry is about this virtual interface. Control. */
bool spd_has_scope(const struct spd *s, uint32_t scope) NONNULL(1);

/* spd_generation - read it before the lookup whose result is to be remembered. */
static inline uint64_t spd_generation(const struct spd *s)
{
	return __atomic_load_n(&s->generation, __ATOMIC_ACQUIRE);
}

/* spd_next_generation - all that is remembered is looked up again. Control thread. */
void spd_next_generation(struct spd *s) NONNULL(1);

/* spd_epoch - bumped after each change of the SPD, of any group, or of any latch: what a worker
 * knew to be up to date is so still while it is this one. Read it before what is looked up.
 * spd_next_epoch - after the change and its own generation. Any thread. */
static inline uint64_t spd_epoch(const struct spd *s)
{
	return __atomic_load_n(&s->epoch, __ATOMIC_ACQUIRE);
}
void spd_next_epoch(struct spd *s) NONNULL(1);

/* spd_lookup - the first entry that matches, NULL if none does. Worker. */
const struct spd_entry *spd_lookup(const struct spd *s, const struct flow_key *key) NONNULL(1, 2);
