/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbuf.h - packets in mbufs. The packet lies in the private area between the mbuf and its buffer,
 * and describes that buffer: a frame that a device wrote goes through all passes and out by another
 * device where it is.
 *
 *   | rte_mbuf | struct packet | headroom | frame ... | tailroom |
 *
 * Any thread may give back: the memory pool takes from all of them.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "dataplane/pool.h"

#include <rte_mbuf.h>

/* struct mbuf_pool - packets of mbufs, and the memory that these come from. */
struct mbuf_pool {
	struct pool pool;
	struct rte_mempool *mempool;
};

/* mbuf_pool - the one there is. mbuf_pool_open, _close - num packets for frames of `room` bytes at
 * most. Control. Errors: INVAL, NOMEM. */
extern struct mbuf_pool mbuf_pool;
MUST_USE enum err mbuf_pool_open(uint32_t num, uint32_t room);
void mbuf_pool_close(void);

/* mbuf_priv - the packet in an mbuf, whatever it says. */
static inline struct packet *mbuf_priv(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

/* mbuf_around - the other way. */
static inline struct rte_mbuf *mbuf_around(struct packet *p)
{
	return (struct rte_mbuf *)(void *)((uint8_t *)p - sizeof(struct rte_mbuf));
}

/* mbuf_reset - no pass has seen the packet. */
static inline void mbuf_reset(struct packet *p)
{
	memset(&p->sa, 0, offsetof(struct packet, from) - offsetof(struct packet, sa));
}

/* mbuf_packet - the packet of a received mbuf of one segment, with its data. */
static inline struct packet *mbuf_packet(struct rte_mbuf *m)
{
	struct packet *p = mbuf_priv(m);

	p->data = rte_pktmbuf_mtod(m, uint8_t *);
	p->len = m->data_len;
	mbuf_reset(p);
	return p;
}

/* mbuf_copy - a new mbuf with the packet's data; then p is given back. NULL: none is free, and p
 * stays the caller's. */
struct rte_mbuf *mbuf_copy(struct packet *p) NONNULL(1);

/* mbuf_chain - as mbuf_copy(), of as many mbufs as it takes. */
struct rte_mbuf *mbuf_chain(struct packet *p) NONNULL(1);

/* mbuf_of - the mbuf with the packet's data, a copy as above if it is none of ours. */
static inline struct rte_mbuf *mbuf_of(struct packet *p)
{
	struct rte_mbuf *m = mbuf_around(p);

	if (unlikely(p->pool != &mbuf_pool.pool))
		return mbuf_copy(p);
	m->data_off = (uint16_t)(p->data - p->buf);
	m->data_len = (uint16_t)p->len;
	m->pkt_len = p->len;
	return m;
}
