/* SPDX-License-Identifier: Apache-2.0 */
/* Sending by the lane, and leaving to the host what the lane cannot do. Worker. */
#include "drivers/lane/internal.h"

#include "base/clock.h"
#include "base/counter.h"
#include "drivers/ip_frame.h"

#define ETHERNET_LEN 14
#define V4_LEN       20
#define V6_LEN       40
#define UDP_LEN      8
/* ASK_NS - of a neighbour not heard of for a while one packet in so long is the host's, which then
 * asks whether it is there still. */
#define ASK_NS NS_PER_S

/* struct leftover - packets for the host's own drivers. */
struct leftover {
	struct pktvec tap, udp, esp;
};

void lane_send_frame(struct lane *l, struct lane_port *port, struct packet *p)
{
	(void)l;
	if (!pktvec_room(&port->tx))
		port->frames->ops->tx(port->frames, &port->tx);
	pktvec_push(&port->tx, p);
}

void lane_flush(struct lane *l)
{
	for (uint32_t i = 0; i < l->num_ports; i++)
		if (l->ports[i].tx.num)
			l->ports[i].frames->ops->tx(l->ports[i].frames, &l->ports[i].tx);
}

/* ask_now - this packet is the one. */
static bool ask_now(struct fib_neigh *n)
{
	uint64_t now_ns = clock_now_ns();

	if (now_ns - __atomic_load_n(&n->asked_ns, __ATOMIC_RELAXED) < ASK_NS)
		return false;
	__atomic_store_n(&n->asked_ns, now_ns, __ATOMIC_RELAXED);
	return true;
}

/* next_hop - who gets an IP packet of len bytes for dst; NULL: the host sees to it. */
static struct fib_neigh *next_hop(const struct lane *l, const struct fib_dst *dst, uint32_t len)
{
	struct fib_neigh *n = dst->neigh;
	const struct lane_port *port;

	if (!n)
		return NULL;
	port = &l->ports[n->port];
	if (!__atomic_load_n(&port->up, __ATOMIC_RELAXED) ||
	    len > __atomic_load_n(&port->mtu, __ATOMIC_RELAXED))
		return NULL;
	return n->stale && ask_now(n) ? NULL : n;
}

static void push_ethernet(struct packet *p, const struct fib_neigh *to)
{
	uint16_t type = p->data[0] >> 4 == IP_V4 ? 0x0800 : 0x86dd;

	p->data -= ETHERNET_LEN;
	p->len += ETHERNET_LEN;
	memcpy(p->data, to->macs, sizeof(to->macs));
	store_be16(p->data + 12, type);
}

static void send_to(struct lane *l, const struct fib_neigh *n, struct packet *p)
{
	struct lane_port *port = &l->ports[n->port];

	push_ethernet(p, n);
	counter_add(&port->stats.tx_fast, 1);
	lane_send_frame(l, port, p);
}

/* leave - to a driver of the host's; without one the packet is lost. */
static void leave(struct lane *l, struct driver *d, struct pktvec *v, struct packet *p)
{
	counter_add(&l->ports[0].stats.left_to_host, 1);
	if (!d) {
		counter_add(&l->inner.stats.tx_error, 1);
		packet_put(p);
		return;
	}
	pktvec_push(v, p);
}

static void send_leftover(const struct lane *l, struct leftover *left)
{
	if (left->tap.num)
		l->tap->ops->tx(l->tap, &left->tap);
	if (left->udp.num)
		l->udp->ops->tx(l->udp, &left->udp);
	if (left->esp.num)
		l->esp->ops->tx(l->esp, &left->esp);
}

/* ---- clear ---------------------------------------------------------------------------------- */

/* pass - what no policy protects goes on as if there were no lane: the frame is in front of the
 * packet still. */
static void pass(struct lane *l, struct packet *p)
{
	struct lane_port *port = &l->ports[p->way & ~LANE_FROM_HOST];

	if (p->flags & PACKET_F_JOINED) { /* made of several frames */
		counter_add(&l->inner.stats.tx_error, 1);
		packet_put(p);
		return;
	}
	if (!(p->way & LANE_FROM_HOST))
		lane_ttl_more(p->data);
	p->data -= ETHERNET_LEN;
	p->len += ETHERNET_LEN;
	if (p->way & LANE_FROM_HOST) {
		counter_add(&port->stats.tx_host, 1);
		lane_send_frame(l, port, p);
	} else {
		counter_add(&port->stats.rx_host, 1);
		shadow_write(port, p);
	}
}

/* destination - NULL: it is no IP packet. */
static const struct fib_dst *destination(const struct fib *f, const struct packet *p)
{
	uint8_t version = p->len ? p->data[0] >> 4 : 0;

	if (version == IP_V4 && p->len >= V4_LEN)
		return fib_find(f, IP_V4, p->data + 16);
	if (version == IP_V6 && p->len >= V6_LEN)
		return fib_find(f, IP_V6, p->data + 24);
	return NULL;
}

/* forward - a decrypted packet, as a router does. What another policy protects in turn, as it was
 * looked up (PACKET_F_HOST) or as routes into the virtual interface say, and what is for the host,
 * goes there. */
static bool forward(struct lane *l, const struct fib *f, struct packet *p)
{
	const struct fib_dst *dst = f ? destination(f, p) : NULL;
	struct fib_neigh *n;

	if (!dst || dst->protect)
		return false;
	if (p->data[p->data[0] >> 4 == IP_V4 ? 8 : 7] <= 1)
		return false;
	n = next_hop(l, dst, p->len);
	if (!n)
		return false;
	lane_ttl_less(p->data);
	send_to(l, n, p);
	return true;
}

void lane_inner_tx(struct driver *d, struct pktvec *v)
{
	struct lane *l = container_of(d, struct lane, inner);
	const struct fib *f = rcu_deref(l->fib);
	struct leftover left;
	uint64_t bytes = 0;

	left.tap.num = left.udp.num = left.esp.num = 0;
	for (uint32_t i = 0; i < v->num; i++) {
		struct packet *p = v->pkt[i];

		bytes += p->len;
		if (p->flags & PACKET_F_PASS)
			pass(l, p);
		else if (p->flags & PACKET_F_HOST || !forward(l, f, p))
			leave(l, l->tap, &left.tap, p);
	}
	counter_add(&d->stats.tx_packets, v->num);
	counter_add(&d->stats.tx_bytes, bytes);
	v->num = 0;
	send_leftover(l, &left);
	lane_flush(l);
}

/* ---- sealed --------------------------------------------------------------------------------- */

static uint32_t headers_len(const struct path_addr *to)
{
	return (to->remote.addr.family == IP_V4 ? V4_LEN : V6_LEN) +
	       (to->remote.port ? UDP_LEN : 0);
}

static bool send_sealed(struct lane *l, const struct fib *f, struct packet *p)
{
	const struct path_addr *to = p->to;
	const struct ip_addr *remote = &to->remote.addr;
	struct fib_neigh *n;

	/* The host knows which of its addresses goes with a way. */
	if (!f || to->local.addr.family != remote->family)
		return false;
	n = next_hop(l, fib_find(f, remote->family, remote->b), p->len + headers_len(to));
	if (!n || packet_headroom(p) < headers_len(to) + ETHERNET_LEN ||
	    !frame_push_outer(p, l->id))
		return false;
	l->id++;
	send_to(l, n, p);
	return true;
}

void lane_outer_tx(struct driver *d, struct pktvec *v)
{
	struct lane *l = container_of(d, struct lane, outer);
	const struct fib *f = rcu_deref(l->fib);
	struct leftover left;
	uint64_t bytes = 0;

	left.tap.num = left.udp.num = left.esp.num = 0;
	for (uint32_t i = 0; i < v->num; i++) {
		struct packet *p = v->pkt[i];

		bytes += p->len;
		if (send_sealed(l, f, p))
			continue;
		if (p->to->encap == ENCAP_UDP)
			leave(l, l->udp, &left.udp, p);
		else
			leave(l, l->esp, &left.esp, p);
	}
	counter_add(&d->stats.tx_packets, v->num);
	counter_add(&d->stats.tx_bytes, bytes);
	v->num = 0;
	send_leftover(l, &left);
	lane_flush(l);
}
