/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets in mbufs. The packet lies in the private area between the mbuf and its buffer, and
 * describes that buffer: a frame that a device wrote goes through all passes and out by another
 * device where it is.
 *
 *   | rte_mbuf | struct packet | headroom | frame ... | tailroom |
 *
 * Any thread may give back: the memory pool takes from all of them.
 */
#include "drivers/dpdk/internal.h"

#include "dataplane/pool.h"

#include <rte_mbuf.h>

#define CACHE_NUM 256
#define PRIV_LEN  ((sizeof(struct packet) + RTE_CACHE_LINE_SIZE - 1) & ~(RTE_CACHE_LINE_SIZE - 1UL))

static_assert(RTE_PKTMBUF_HEADROOM >= PACKET_HEADROOM, "headers are put in front of what came");
static_assert(PRIV_LEN % RTE_MBUF_PRIV_ALIGN == 0, "as the mbuf library wants it");

/* struct mbuf_pool - the one there is. */
static struct mbuf_pool {
	struct pool pool;
	struct rte_mempool *mempool;
} pool;

static struct packet *packet_in(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

static struct rte_mbuf *mbuf_around(struct packet *p)
{
	return (struct rte_mbuf *)(void *)((uint8_t *)p - sizeof(struct rte_mbuf));
}

static inline void reset(struct packet *p)
{
	memset(&p->sa, 0, offsetof(struct packet, from) - offsetof(struct packet, sa));
}

static uint32_t get(struct pool *unused, struct packet **out, uint32_t n)
{
	struct rte_mbuf *m[PKTVEC_MAX];

	(void)unused;
	n = n < PKTVEC_MAX ? n : PKTVEC_MAX;
	if (rte_pktmbuf_alloc_bulk(pool.mempool, m, n))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		out[i] = packet_in(m[i]);
		out[i]->data = out[i]->buf + PACKET_HEADROOM;
		out[i]->len = 0;
		reset(out[i]);
	}
	return n;
}

static void put(struct pool *unused, struct packet **pkts, uint32_t n)
{
	(void)unused;
	for (uint32_t i = 0; i < n; i++)
		rte_pktmbuf_free(mbuf_around(pkts[i]));
}

static const struct pool_ops mbuf_ops = {.get = get, .put = put};

struct packet *mbuf_packet(struct rte_mbuf *m)
{
	struct packet *p = packet_in(m);

	p->data = rte_pktmbuf_mtod(m, uint8_t *);
	p->len = m->data_len;
	reset(p);
	return p;
}

static struct rte_mbuf *copy_of(const struct packet *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool.mempool);

	if (!m)
		return NULL;
	char *to = rte_pktmbuf_append(m, (uint16_t)p->len);

	if (!to) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(to, p->data, p->len);
	return m;
}

struct rte_mbuf *mbuf_of(struct packet *p)
{
	struct rte_mbuf *m;

	if (p->pool == &pool.pool) {
		m = mbuf_around(p);
		m->data_off = (uint16_t)(p->data - p->buf);
		m->data_len = (uint16_t)p->len;
		m->pkt_len = p->len;
		return m;
	}
	m = copy_of(p);
	if (m)
		packet_put(p);
	return m;
}

/* describe - what of a packet never changes. */
static void describe(struct rte_mempool *mp, void *ctx, void *obj, unsigned int i)
{
	struct rte_mbuf *m = obj;
	struct packet *p = packet_in(m);

	(void)mp, (void)ctx, (void)i;
	p->buf = m->buf_addr;
	p->cap = m->buf_len;
	p->pool = &pool.pool;
}

struct rte_mempool *mbuf_mempool(void)
{
	return pool.mempool;
}

uint32_t mbuf_room(void)
{
	return pool.pool.data_room;
}

enum err mbuf_pool_open(uint32_t num, uint32_t room)
{
	uint32_t buf_len = PACKET_HEADROOM + room + PACKET_TAILROOM;

	if (buf_len > UINT16_MAX)
		return ERR_INVAL;
	pool.pool = (struct pool){.ops = &mbuf_ops, .data_room = room};
	pool.mempool = rte_pktmbuf_pool_create("latchkey", num, CACHE_NUM, PRIV_LEN,
					       (uint16_t)buf_len, SOCKET_ID_ANY);
	if (!pool.mempool)
		return ERR_NOMEM;
	rte_mempool_obj_iter(pool.mempool, describe, NULL);
	return ERR_OK;
}

void mbuf_pool_close(void)
{
	rte_mempool_free(pool.mempool);
	pool.mempool = NULL;
}
