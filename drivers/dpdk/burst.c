/* SPDX-License-Identifier: Apache-2.0 */
/* A queue's bursts: frames in and out, in the mbufs that the device fills and empties. Worker. */
#include "drivers/dpdk/inline.h"
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

/* head_ok - the device says that the IPv4 header's checksum is right. Both bits are "not as it is
 * in the packet". */
static inline uint16_t head_ok(const struct rte_mbuf *m)
{
	uint64_t says = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;

	return says == RTE_MBUF_F_RX_IP_CKSUM_GOOD ? PACKET_F_HEAD_OK : 0;
}

/* says - what the device says of a packet, of what it was asked. */
static inline uint16_t says(const struct rte_mbuf *m, uint32_t offloads)
{
	return (offloads & DPDK_OFFLOAD_RX_SUM ? head_ok(m) : 0) |
	       (offloads & DPDK_OFFLOAD_INLINE ? inline_flags(m) : 0);
}

/* receive - with what the device says, if it was asked. */
static ALWAYS_INLINE uint32_t receive(struct driver *d, struct pktvec *out, uint32_t offloads)
{
	const struct dpdk_queue *q = queue_of(d);
	struct rte_mbuf *m[PKTVEC_MAX];
	uint32_t before = out->num;
	uint64_t bytes = 0;

	eal_join_thread();
	uint16_t num = rte_eth_rx_burst(q->port->id, q->index, m, (uint16_t)pktvec_room(out));

	for (uint16_t i = 0; i < num; i++) {
		if (unlikely(!fits(m[i]))) {
			counter_add(&d->stats.rx_error, 1);
			rte_pktmbuf_free(m[i]);
			continue;
		}
		struct packet *p = mbuf_packet(m[i]);

		if (offloads)
			p->flags = says(m[i], offloads);
		bytes += p->len;
		pktvec_push(out, p);
	}
	if (num) {
		counter_add(&d->stats.rx_packets, out->num - before);
		counter_add(&d->stats.rx_bytes, bytes);
	}
	return out->num - before;
}

/* The pool that is offered is not used: the device has written into its own. */
static uint32_t rx(struct driver *d, struct pool *unused, struct pktvec *out)
{
	(void)unused;
	return receive(d, out, 0);
}

static uint32_t rx_offload(struct driver *d, struct pool *unused, struct pktvec *out)
{
	(void)unused;
	return receive(d, out, queue_of(d)->port->offloads);
}

/* to_mbufs - those of v, which is empty then; returns how many, and their bytes. port: one with
 * offloads. */
static ALWAYS_INLINE uint16_t to_mbufs(struct driver *d, struct rte_mbuf **m, uint64_t *bytes,
				       struct pktvec *v, const struct dpdk_port *port)
{
	uint16_t num = 0;

	*bytes = 0;
	for (uint32_t i = 0; i < v->num; i++) {
		struct rte_mbuf *one =
			port ? offload_mbuf(v->pkt[i], port) : offload_plain(v->pkt[i]);

		if (unlikely(!one)) {
			counter_add(&d->stats.tx_full, 1);
			continue;
		}
		*bytes += one->pkt_len;
		m[num++] = one;
	}
	v->num = 0;
	return num;
}

/* send_all - what the device has no room for now is lost: who waits for it would be behind for all.
 */
static void send_all(struct driver *d, struct rte_mbuf **m, uint16_t num, uint64_t bytes)
{
	const struct dpdk_queue *q = queue_of(d);
	uint64_t unsent = 0;
	uint16_t sent;

	sent = rte_eth_tx_burst(q->port->id, q->index, m, num);
	for (uint16_t i = sent; i < num; i++)
		unsent += m[i]->pkt_len;
	if (unlikely(sent < num))
		rte_pktmbuf_free_bulk(m + sent, num - sent);
	counter_add(&d->stats.tx_packets, sent);
	counter_add(&d->stats.tx_bytes, bytes - unsent);
	counter_add(&d->stats.tx_full, (uint64_t)num - sent);
}

static void tx(struct driver *d, struct pktvec *v)
{
	struct rte_mbuf *m[PKTVEC_MAX];
	uint64_t bytes;
	uint16_t num;

	if (!v->num)
		return;
	num = to_mbufs(d, m, &bytes, v, NULL);
	send_all(d, m, num, bytes);
}

static void tx_offload(struct driver *d, struct pktvec *v)
{
	const struct dpdk_queue *q = queue_of(d);
	struct rte_mbuf *m[PKTVEC_MAX];
	uint16_t num, good;
	uint64_t bytes;

	if (!v->num)
		return;
	num = to_mbufs(d, m, &bytes, v, q->port);
	good = offload_prepare(q, m, num);
	if (unlikely(good < num)) {
		counter_add(&d->stats.tx_error, (uint64_t)num - good);
		bytes = 0;
		for (uint16_t i = 0; i < good; i++)
			bytes += m[i]->pkt_len;
	}
	send_all(d, m, good, bytes);
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

const struct driver_ops dpdk_offload_ops = {
	.name = "dpdk",
	.rx = rx_offload,
	.tx = tx_offload,
	.takes = inline_takes,
	.fd = fd,
	.close = port_close,
};
