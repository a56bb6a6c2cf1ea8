/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - where packets come from and go back to. Each worker and driver has its own, and only its
 * owner takes from it; a packet is given back by the thread that holds it. As a packet goes to
 * another thread, pool_send_away() makes that safe. The heap pool preallocates everything: taking a
 * packet never allocates.
 */
#pragma once

#include "dataplane/packet.h"

/* struct pool_ops - get n packets (returns how many), give n back. */
struct pool_ops {
	uint32_t (*get)(struct pool *pool, struct packet **out, uint32_t n);
	void (*put)(struct pool *pool, struct packet **pkts, uint32_t n);
};

/* struct pool - embedded in an implementation. */
struct pool {
	const struct pool_ops *ops;
	uint32_t data_room; /* bytes between the standard headroom and tailroom */
	/* Where a driver takes a packet for what came and is longer than one of this pool; the same
	 * thread owns both. NULL: there is none. Constant. */
	struct pool *longer;
	/* The pool that a packet has while another thread than the owner holds it: it gives
	 * nothing, and any thread may put. NULL: put of this one may be called by any thread.
	 * Constant. */
	struct pool *away;
	uint32_t num_away; /* packets that have it now, or had and are not collected. Owner */
};

/* POOL_LONGEST - data_room for the longest datagram there is, with its IP header. */
#define POOL_LONGEST 65536

/* pool_new - a heap pool of num packets with data_room bytes each, all allocated now; get and put
 * belong to one thread, put of `away` to any. NULL on shortage. */
MALLOC_LIKE struct pool *pool_new(uint32_t num, uint32_t data_room);

/* pool_free - all packets must be back (asserted), and no other thread gives back any more. NULL is
 * accepted. */
void pool_free(struct pool *pool);

/* pool_num_free - packets that are in the pool now (heap pool); no other thread gives back. */
uint32_t pool_num_free(const struct pool *pool) NONNULL(1);

/* pool_num_away - packets that other threads have (heap pool). Owner's thread. */
uint32_t pool_num_away(struct pool *pool) NONNULL(1);

/* packet_get - one reset packet: empty data after the standard headroom; NULL if none is free. */
static inline struct packet *packet_get(struct pool *pool)
{
	struct packet *p;

	return pool->ops->get(pool, &p, 1) ? p : NULL;
}

/* packet_put - give a packet back to its pool. */
static inline void packet_put(struct packet *p)
{
	p->pool->ops->put(p->pool, &p, 1);
}

/* pool_send_away - p goes to another thread now; the pool it had, for pool_call_back(). */
static inline struct pool *pool_send_away(struct packet *p)
{
	struct pool *pool = p->pool;

	if (pool->away) {
		p->pool = pool->away;
		pool->num_away++;
	}
	return pool;
}

/* pool_call_back - it did not go after all. */
static inline void pool_call_back(struct packet *p, struct pool *pool)
{
	if (pool->away)
		pool->num_away--;
	p->pool = pool;
}
