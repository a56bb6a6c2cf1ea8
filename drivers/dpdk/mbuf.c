/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/dpdk/mbuf.h"

#include "dataplane/pktvec.h"

#define CACHE_NUM 256
#define PRIV_LEN  ((sizeof(struct packet) + RTE_CACHE_LINE_SIZE - 1) & ~(RTE_CACHE_LINE_SIZE - 1UL))

static_assert(RTE_PKTMBUF_HEADROOM >= PACKET_HEADROOM, "headers are put in front of what came");
static_assert(PRIV_LEN % RTE_MBUF_PRIV_ALIGN == 0, "as the mbuf library wants it");

struct mbuf_pool mbuf_pool;

static uint32_t get(struct pool *unused, struct packet **out, uint32_t n)
{
	struct rte_mbuf *m[PKTVEC_MAX];

	(void)unused;
	n = n < PKTVEC_MAX ? n : PKTVEC_MAX;
	if (rte_pktmbuf_alloc_bulk(mbuf_pool.mempool, m, n))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		out[i] = mbuf_priv(m[i]);
		out[i]->data = out[i]->buf + PACKET_HEADROOM;
		out[i]->len = 0;
		mbuf_reset(out[i]);
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

static struct rte_mbuf *copy_of(const struct packet *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(mbuf_pool.mempool);

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

struct rte_mbuf *mbuf_copy(struct packet *p)
{
	struct rte_mbuf *m = copy_of(p);

	if (m)
		packet_put(p);
	return m;
}

#define CHAIN_MAX 64

/* fill - the mbufs of a chain with all that p has. */
static void fill(struct rte_mbuf **m, uint16_t num, uint16_t part_len, const struct packet *p)
{
	uint32_t at = 0;

	for (uint16_t i = 0; i < num; i++, at += part_len) {
		uint32_t left = p->len - at;

		m[i]->data_len = (uint16_t)(left < part_len ? left : part_len);
		m[i]->next = i + 1 < num ? m[i + 1] : NULL;
		memcpy(rte_pktmbuf_mtod(m[i], char *), p->data + at, m[i]->data_len);
	}
	m[0]->nb_segs = num;
	m[0]->pkt_len = p->len;
}

struct rte_mbuf *mbuf_chain(struct packet *p)
{
	uint16_t part_len =
		(uint16_t)(rte_pktmbuf_data_room_size(mbuf_pool.mempool) - RTE_PKTMBUF_HEADROOM);
	uint32_t num = (p->len + part_len - 1) / part_len;
	struct rte_mbuf *m[CHAIN_MAX];

	if (!num || num > CHAIN_MAX || rte_pktmbuf_alloc_bulk(mbuf_pool.mempool, m, num))
		return NULL;
	fill(m, (uint16_t)num, part_len, p);
	packet_put(p);
	return m[0];
}

/* describe - what of a packet never changes. */
static void describe(struct rte_mempool *mp, void *ctx, void *obj, unsigned int i)
{
	struct rte_mbuf *m = obj;
	struct packet *p = mbuf_priv(m);

	(void)mp, (void)ctx, (void)i;
	p->buf = m->buf_addr;
	p->cap = m->buf_len;
	p->pool = &mbuf_pool.pool;
}

enum err mbuf_pool_open(uint32_t num, uint32_t room)
{
	uint32_t buf_len = PACKET_HEADROOM + room + PACKET_TAILROOM;

	if (buf_len > UINT16_MAX)
		return ERR_INVAL;
	mbuf_pool.pool = (struct pool){.ops = &mbuf_ops, .data_room = room};
	mbuf_pool.mempool = rte_pktmbuf_pool_create("latchkey", num, CACHE_NUM, PRIV_LEN,
						    (uint16_t)buf_len, SOCKET_ID_ANY);
	if (!mbuf_pool.mempool)
		return ERR_NOMEM;
	rte_mempool_obj_iter(mbuf_pool.mempool, describe, NULL);
	return ERR_OK;
}

void mbuf_pool_close(void)
{
	rte_mempool_free(mbuf_pool.mempool);
	mbuf_pool.mempool = NULL;
}
