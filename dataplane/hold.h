/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.h - packets that wait for a security association: bounded per policy and in all, each with a
 * deadline. When anything changes that may help them (an SA becomes active, a policy goes) all are
 * taken out and classified again; nothing here points to a policy or group. Thread: its worker.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"
#include "dataplane/packet.h"

/* HOLD_ACQUIRE_NS - an acquire is repeated at most so often while packets of its policy wait. */
#define HOLD_ACQUIRE_NS NS_PER_S

struct hold_queue;

/* struct hold - the queues of one worker. */
struct hold {
	uint32_t num;           /* packets waiting */
	uint32_t cap;           /* in all */
	uint32_t per_policy;    /* at most, for each policy */
	uint32_t num_joined;    /* of those waiting: in a reassembler's buffers */
	uint32_t max_joined;    /* at most: others are put together meanwhile */
	uint32_t num_super;     /* of those waiting: super-packets, in long buffers */
	uint32_t max_super;     /* at most: others come meanwhile */
	uint32_t head;          /* of the ring */
	uint64_t wait_ns;       /* how long a packet waits */
	uint64_t change;        /* the change counter when all were classified last */
	struct hold_item *ring; /* cap items, in order of deadline */
	struct hold_queue *queues, *free;
	struct hold_queue **buckets;
};

/* enum hold_result - what became of a packet. */
enum hold_result {
	HOLD_FULL,    /* not taken; see hold_due() */
	HOLD_KEPT,    /* taken */
	HOLD_ACQUIRE, /* taken, and an acquire is due; report it with hold_acquired() */
};

/* hold_init - cap packets in all, per_policy for each policy, each for wait_ns. Errors: NOMEM. */
MUST_USE enum err hold_init(struct hold *h, uint32_t cap, uint32_t per_policy, uint64_t wait_ns)
	NONNULL(1);

/* hold_fini - frees what waits. */
void hold_fini(struct hold *h) NONNULL(1);

/* hold_push - keep p, which policy `policy` (its id) protects. A packet that waited before keeps
 * its deadline. */
MUST_USE enum hold_result hold_push(struct hold *h, struct packet *p, uint32_t policy,
				    uint64_t now_ns) NONNULL(1, 2);

/* hold_due - packets of this policy wait and an acquire is due, also if it holds all it may. */
bool hold_due(const struct hold *h, uint32_t policy, uint64_t now_ns) NONNULL(1);

/* hold_acquired - an acquire for this policy was reported now. */
void hold_acquired(struct hold *h, uint32_t policy, uint64_t now_ns) NONNULL(1);

/* hold_pop - the packet that waits longest, NULL if none does. */
MUST_USE struct packet *hold_pop(struct hold *h) NONNULL(1);

/* hold_deadline - of the packet that waits longest; TIME_NEVER if none does. */
uint64_t hold_deadline(const struct hold *h) NONNULL(1);

/* hold_tidy - forget policies for which nothing waits any more. After a round of hold_pop(). */
void hold_tidy(struct hold *h) NONNULL(1);
