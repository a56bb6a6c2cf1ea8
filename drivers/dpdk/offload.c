/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a port does in our place, and how it is told: by flags and lengths of headers in the mbuf.
 * A checksum that is left to it is the pseudo header's sum in the packet, as the host has it too.
 * Nothing else is touched: a checksum that somebody made stays what it is, right or wrong. Worker,
 * but for the first half.
 *
 * What DPDK calls UDP_TSO is not used: by its documentation, and in its own library, it makes IP
 * fragments of one datagram, and ours are many datagrams. Packets of several mbufs, or that a port
 * joined (LRO), are not received: a cipher wants one piece with room at both ends.
 */
#include "drivers/dpdk/inline.h"
#include "drivers/dpdk/internal.h"
#include "drivers/dpdk/mbuf.h"

#include "drivers/frame_parts.h"

#include <rte_ethdev.h>

#define TX_SUM (RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
#define TX_TSO (TX_SUM | RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
/* An mbuf of the pool takes this at least. */
#define PART_MIN 1024

/* lacking - what drivers report and do not do, or not for all packets. */
static const struct {
	const char *driver;
	uint32_t offloads;
} lacking[] = {
	/* Its library cuts IPv4 only, and segments of a whole frame it refuses: it compares the
	 * MTU with a length that has Ethernet's header in it. */
	{"net_tap", DPDK_OFFLOAD_TSO},
};

static bool has(uint64_t capa, uint64_t all)
{
	return (capa & all) == all;
}

uint32_t offloads_of(const struct rte_eth_dev_info *info, uint32_t wanted)
{
	uint32_t segs = info->tx_desc_lim.nb_seg_max;
	uint32_t out = 0;

	if (has(info->tx_offload_capa, TX_SUM))
		out |= DPDK_OFFLOAD_TX_SUM;
	if (has(info->tx_offload_capa, TX_TSO) && (!segs || segs * PART_MIN > DPDK_SUPER_MAX))
		out |= DPDK_OFFLOAD_TSO;
	if (has(info->rx_offload_capa, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM))
		out |= DPDK_OFFLOAD_RX_SUM;
	if (has(info->tx_offload_capa, RTE_ETH_TX_OFFLOAD_SECURITY) &&
	    has(info->rx_offload_capa, RTE_ETH_RX_OFFLOAD_SECURITY))
		out |= DPDK_OFFLOAD_INLINE;
	for (size_t i = 0; i < ARRAY_LEN(lacking); i++)
		if (strcmp(info->driver_name, lacking[i].driver) == 0 &&
		    !(wanted & DPDK_OFFLOAD_ANYHOW))
			out &= ~lacking[i].offloads;
	out &= wanted;
	/* What is cut needs checksums. */
	return out & DPDK_OFFLOAD_TX_SUM ? out : out & ~(uint32_t)DPDK_OFFLOAD_TSO;
}

void offloads_configure(struct rte_eth_conf *conf, const struct rte_eth_dev_info *info,
			struct dpdk_port *p)
{
	if (p->offloads & DPDK_OFFLOAD_TX_SUM)
		conf->txmode.offloads |= TX_SUM;
	if (p->offloads & DPDK_OFFLOAD_TSO) {
		p->heads = has(info->tx_offload_capa, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
		conf->txmode.offloads |= TX_TSO | (p->heads ? RTE_ETH_TX_OFFLOAD_IPV4_CKSUM : 0);
		/* Some take it as a promise of one mbuf for each packet. */
		conf->txmode.offloads &= ~(uint64_t)RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	}
	if (p->offloads & DPDK_OFFLOAD_RX_SUM)
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
	if (p->offloads & DPDK_OFFLOAD_INLINE) {
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_SECURITY;
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SECURITY;
	}
}

/* ---- telling it ----------------------------------------------------------------------------- */

/* describe - to the port. The header's checksum of a super-packet is right for itself; of its parts
 * the device makes it, unless it hands on the whole (virtio). */
static void describe(struct rte_mbuf *m, const struct frame_parts *f, uint16_t seg_len, bool heads)
{
	m->l2_len = f->l2_len;
	m->l3_len = f->l3_len;
	m->l4_len = f->l4_len;
	m->ol_flags = f->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->ol_flags |= f->tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (!seg_len)
		return;
	m->tso_segsz = seg_len;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | (f->v6 || !heads ? 0 : RTE_MBUF_F_TX_IP_CKSUM);
}

/* may - the port was asked for what this packet needs. */
static bool may(const struct frame_parts *f, uint16_t seg_len, uint32_t offloads)
{
	uint32_t tso = f->v6 ? DPDK_OFFLOAD_TSO6 : DPDK_OFFLOAD_TSO4;

	if (!seg_len)
		return offloads & DPDK_OFFLOAD_TX_SUM;
	return f->tcp && offloads & tso;
}

struct rte_mbuf *offload_plain(struct packet *p)
{
	struct rte_mbuf *m = mbuf_of(p);

	if (unlikely(!m))
		packet_put(p);
	return m;
}

/* with_sums - the port completes its checksum, or cuts it. */
static struct rte_mbuf *with_sums(struct packet *p, const struct dpdk_port *port)
{
	const uint16_t seg_len = p->seg_len;
	struct rte_mbuf *m = NULL;
	struct frame_parts f;

	if (frame_parts_find(&f, p->data, p->len) && may(&f, seg_len, port->offloads))
		m = seg_len ? mbuf_chain(p) : mbuf_of(p);
	if (likely(m != NULL))
		describe(m, &f, seg_len, port->heads);
	else
		packet_put(p);
	return m;
}

struct rte_mbuf *offload_mbuf(struct packet *p, const struct dpdk_port *port)
{
	struct rte_mbuf *m;

	if (unlikely(p->flags & PACKET_F_OPEN))
		return inline_mbuf(p, port);
	if (unlikely(p->seg_len || p->flags & PACKET_F_SUM))
		return with_sums(p, port);
	m = offload_plain(p);
	if (likely(m != NULL))
		m->ol_flags = 0;
	return m;
}

uint16_t offload_prepare(const struct dpdk_queue *q, struct rte_mbuf **m, uint16_t num)
{
	uint16_t done = 0;

	for (;;) {
		done += rte_eth_tx_prepare(q->port->id, q->index, m + done, num - done);
		if (likely(done == num))
			return num;
		rte_pktmbuf_free(m[done]);
		num--;
		memmove(m + done, m + done + 1, (num - done) * sizeof(m[0]));
	}
}
