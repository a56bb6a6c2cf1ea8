/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that a port encrypts, or has decrypted. Worker. */
#include "drivers/dpdk/inline.h"
#include "drivers/dpdk/internal.h"
#include "drivers/dpdk/mbuf.h"

#include <rte_ethdev.h>
#include <rte_security.h>

#define ETHERNET_LEN 14
#define V4_LEN       20
#define V6_LEN       40

/* session_at - this port's; NULL: it has none for the packet. */
static const struct inline_session *session_at(const struct dpdk_port *port, const struct packet *p)
{
	const struct inline_session *s;

	if (!(port->offloads & DPDK_OFFLOAD_INLINE) || !p->open_len || !p->key)
		return NULL;
	s = &p->key->at[port->inline_at];
	return s->session ? s : NULL;
}

bool inline_takes(const struct driver *d, const struct packet *p)
{
	const struct dpdk_queue *q = (const struct dpdk_queue *)(const void *)d;

	/* A peer that moved since is the processor's. */
	return session_at(q->port, p) && memcmp(p->to, &p->key->path, sizeof(*p->to)) == 0;
}

/* describe - to the port: what is in front of ESP, which begins behind IP and UDP. */
static void describe(struct rte_mbuf *m, bool v6)
{
	m->l2_len = ETHERNET_LEN;
	m->l3_len = v6 ? V6_LEN : V4_LEN;
	m->ol_flags = RTE_MBUF_F_TX_SEC_OFFLOAD | (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
}

/* given_up - p is not sent. */
static struct rte_mbuf *given_up(struct packet *p)
{
	packet_put(p);
	return NULL;
}

struct rte_mbuf *inline_mbuf(struct packet *p, const struct dpdk_port *port)
{
	const struct inline_session *s = session_at(port, p);
	struct rte_mbuf *m;

	if (unlikely(!s))
		return given_up(p);
	const bool v6 = p->key->path.local.addr.family == IP_V6;

	/* Only now, for an mbuf that says so, is the text behind the headers. */
	p->len = packet_whole_len(p);
	p->open_len = 0;
	m = mbuf_of(p);
	if (unlikely(!m))
		return given_up(p);
	describe(m, v6);
	if (!s->metadata || rte_security_set_pkt_metadata(port->security, s->session, m, NULL) == 0)
		return m;
	rte_pktmbuf_free(m);
	return NULL;
}

uint16_t inline_flags(const struct rte_mbuf *m)
{
	if (likely(!(m->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD)))
		return 0;
	return m->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED ? PACKET_F_FORGED : PACKET_F_OPEN;
}
