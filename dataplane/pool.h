/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - where packets come from and go back to. Each worker and driver has its own; a packet
 * is given back by the thread that holds it. The heap pool preallocates everything: taking a
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
};

/* pool_new - a heap pool of num packets with data_room bytes each, all allocated now; one thread.
 * NULL on shortage. */
MALLOC_LIKE struct pool *pool_new(uint32_t num, uint32_t data_room);

/* pool_free - all packets must be back (asserted). NULL is accepted. */
void pool_free(struct pool *pool);

/* pool_num_free - packets that are in the pool now (heap pool). */
uint32_t pool_num_free(const struct pool *pool) NONNULL(1);

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
