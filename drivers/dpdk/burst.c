/* SPDX-License-Identifier: Apache-2.0 */
/* A queue's bursts: frames in and out, in the mbufs that the device fills and empties. Worker. */
#include "drivers/dpdk/internal.h"

#include "base/counter.h"
#include "drivers/dpdk/mbuf.h"

#include <rte_ethdev.h>

static const struct dpdk_queue *queue_of(const struct driver *d)
{
	return (const struct dpdk_queue *)(const void *)d;
}
static_assert(offsetof(struct dpdk_queue, driver) == 0, "the cast in queue_of()");

/* fits - one frame, in one piece that leaves the tailroom that the passes count on. */
static bool fits(const struct rte_mbuf *m)
{
	return m->nb_segs == 1 && m->data_len <= mbuf_pool.pool.data_room;
}

/* The pool that is offered is not used: the device has written into its own. */
static uint32_t rx(struct driver *d, struct pool *unused, struct pktvec *out)
{
	const struct dpdk_queue *q = queue_of(d);
	struct rte_mbuf *m[PKTVEC_MAX];
	uint32_t before = out->num;
	uint64_t bytes = 0;

	(void)unused;
	eal_join_thread();
	uint16_t num = rte_eth_rx_burst(q->port->id, q->index, m, (uint16_t)pktvec_room(out));

	for (uint16_t i = 0; i < num; i++) {
		if (unlikely(!fits(m[i]))) {
			counter_add(&d->stats.rx_error, 1);
			rte_pktmbuf_free(m[i]);
			continue;
		}
		struct packet *p = mbuf_packet(m[i]);

		bytes += p->len;
		pktvec_push(out, p);
	}
	if (num) {
		counter_add(&d->stats.rx_packets, out->num - before);
		counter_add(&d->stats.rx_bytes, bytes);
	}
	return out->num - before;
}

/* to_mbufs - those of v, which is empty then; returns how many, and their bytes. */
static uint16_t to_mbufs(struct driver *d, struct rte_mbuf **m, uint64_t *bytes, struct pktvec *v)
{
	uint16_t num = 0;

	*bytes = 0;
	for (uint32_t i = 0; i < v->num; i++) {
		struct rte_mbuf *one = mbuf_of(v->pkt[i]);

		if (unlikely(!one)) {
			counter_add(&d->stats.tx_full, 1);
			packet_put(v->pkt[i]);
			continue;
		}
		*bytes += one->pkt_len;
		m[num++] = one;
	}
	v->num = 0;
	return num;
}

/* What the device has no room for now is lost: who waits for it would be behind for all. */
static void tx(struct driver *d, struct pktvec *v)
{
	const struct dpdk_queue *q = queue_of(d);
	struct rte_mbuf *m[PKTVEC_MAX];
	uint64_t bytes, unsent = 0;
	uint16_t num, sent;

	if (!v->num)
		return;
	num = to_mbufs(d, m, &bytes, v);
	sent = rte_eth_tx_burst(q->port->id, q->index, m, num);
	for (uint16_t i = sent; i < num; i++)
		unsent += m[i]->pkt_len;
	if (unlikely(sent < num))
		rte_pktmbuf_free_bulk(m + sent, num - sent);
	counter_add(&d->stats.tx_packets, sent);
	counter_add(&d->stats.tx_bytes, bytes - unsent);
	counter_add(&d->stats.tx_full, (uint64_t)num - sent);
}

static int fd(const struct driver *d)
{
	(void)d;
	return -1;
}

const struct driver_ops dpdk_queue_ops = {
	.name = "dpdk",
	.rx = rx,
	.tx = tx,
	.fd = fd,
	.close = port_close,
};
