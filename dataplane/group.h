/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.h - an SA group: the SAs that protect the same traffic with the same peer (re-keyed ones
 * and siblings, RFC 9611). The newest active outbound SA that admits a packet sends it, of the
 * packet's own worker if that has one. Workers read by RCU; every change bumps the generation, and
 * then the SPD's epoch, after it was made, so that what a flow cache remembers is looked up again.
 */
#pragma once

#include "dataplane/class.h"
#include "dataplane/flow.h"
#include "dataplane/sa.h"

/* struct sa_group - control: rw, worker: r. */
struct sa_group {
	struct esp_sa *newest;          /* RCU: active outbound SAs, linked by esp_sa.next */
	uint64_t generation;            /* atomic; bumped after each change */
	struct sa_group *next_of_class; /* RCU: of the class `token`; see class_groups() */
	struct spd *spd;                /* whose epoch is bumped then; constant */
	uint32_t token; /* atomic: protection class of the child added last; 0 = none yet */
	uint32_t id;
	uint32_t num_children; /* control only, as what follows */
	uint32_t num_policies;
	uint16_t owner; /* worker of its SAs but siblings, while there are any */
	struct rcu_head rcu;
};

/* group_new - an empty group, for policies of that SPD; NULL on shortage. */
MALLOC_LIKE struct sa_group *group_new(struct spd *spd) NONNULL(1);

/* group_retire - free when no worker reads it; it must be empty (asserted). */
void group_retire(struct sa_group *g, struct class_table *classes, struct rcu_queue *q)
	NONNULL(1, 2, 3);

/* group_activate - sa is the one to send on from now on. group_deactivate - never send on it again;
 * one that is not active is accepted. Control thread. */
void group_activate(struct sa_group *g, struct esp_sa *sa) NONNULL(1, 2);
void group_deactivate(struct sa_group *g, struct esp_sa *sa) NONNULL(1, 2);

/* group_set_token - the class of the group's traffic, among whose groups it is from now on. Errors:
 * NOMEM: nothing has changed. Control thread. */
MUST_USE enum err group_set_token(struct sa_group *g, struct class_table *classes, uint32_t token)
	NONNULL(1, 2);

/* group_generation - read it before anything else that is to be remembered. Worker. */
static inline uint64_t group_generation(const struct sa_group *g)
{
	return __atomic_load_n(&g->generation, __ATOMIC_ACQUIRE);
}

/* group_select - the SA for a flow at this worker: of its own ones and of those for all the newest,
 * in this order, else another worker's; *out is written on DROP_NONE. demanded: a protection class
 * or 0. DROP_NO_SA: none is active (hold the packet). Else why none fits. Worker. */
enum drop_reason group_select(const struct sa_group *g, struct esp_sa **out,
			      const struct flow_key *key, uint32_t demanded, uint16_t worker)
	NONNULL(1, 2, 3);
