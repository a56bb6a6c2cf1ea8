/* SPDX-License-Identifier: Apache-2.0 */
/* Sending by the lane, and leaving to the host what the lane cannot do. Worker. */
#include "drivers/lane/internal.h"

#include "base/counter.h"
#include "drivers/ip_frame.h"

#define ETHERNET_LEN 14
#define V4_LEN       20
#define V6_LEN       40

/* struct leftover - packets for the host's own drivers. */
struct leftover {
	struct pktvec tap, udp, esp;
};

/* struct sending - one call of tx. */
struct sending {
	struct lane_queue *q;
	const struct lane_port *ports;
	struct fib_reader *fib;
	/* Of the sealed packet before: where it went, NULL if not by the lane. */
	const struct path_addr *to;
	struct lane_wire *wire;
	uint32_t mtu;
	struct frame_head head;
	struct leftover left;
};

void lane_send_frame(struct lane_wire *wire, struct packet *p)
{
	if (!pktvec_room(&wire->tx))
		wire->frames->ops->tx(wire->frames, &wire->tx);
	pktvec_push(&wire->tx, p);
}

void lane_flush(struct lane_queue *q)
{
	for (uint32_t i = 0; i < q->num_wires; i++)
		if (q->wires[i].tx.num)
			q->wires[i].frames->ops->tx(q->wires[i].frames, &q->wires[i].tx);
}

/* use - of a neighbour that is sent to the host is told (lane_used()), if it has not heard of it
 * for a while. Its line is written to once between two looks. */
static ALWAYS_INLINE void use(struct fib_neigh *n)
{
	if (unlikely(n->stale) && !__atomic_load_n(&n->used, __ATOMIC_RELAXED))
		__atomic_store_n(&n->used, true, __ATOMIC_RELAXED);
}

/* next_hop - who gets an IP packet of len bytes for dst; NULL: the host sees to it. */
static struct fib_neigh *next_hop(struct sending *s, const struct fib_dst *dst, uint32_t len)
{
	struct fib_neigh *n = dst->neigh;
	const struct lane_port *port;

	if (!n)
		return NULL;
	port = &s->ports[n->port];
	if (!__atomic_load_n(&port->up, __ATOMIC_RELAXED) ||
	    len > __atomic_load_n(&port->mtu, __ATOMIC_RELAXED))
		return NULL;
	use(n);
	return n;
}

/* leave - to a driver of the host's; without one the packet is lost. */
static void leave(struct lane_queue *q, struct driver *d, struct pktvec *v, struct packet *p)
{
	counter_add(&q->wires[0].stats.left_to_host, 1);
	if (!d) {
		counter_add(&q->inner.stats.tx_error, 1);
		packet_put(p);
		return;
	}
	pktvec_push(v, p);
}

static void send_leftover(const struct lane_queue *q, struct leftover *left)
{
	if (left->tap.num)
		q->tap->ops->tx(q->tap, &left->tap);
	if (left->udp.num)
		q->udp->ops->tx(q->udp, &left->udp);
	if (left->esp.num)
		q->esp->ops->tx(q->esp, &left->esp);
}

/* transmit - all packets of v, each by send, which gives it to the lane or to the host. */
static ALWAYS_INLINE void transmit(struct lane_queue *q, struct driver *d, struct pktvec *v,
				   void (*send)(struct sending *s, struct packet *p))
{
	struct sending s;
	uint64_t bytes = 0;

	s.q = q;
	s.ports = q->lane->ports;
	s.fib = fib_read(&q->fib, rcu_deref(q->lane->fib));
	s.to = NULL;
	s.left.tap.num = s.left.udp.num = s.left.esp.num = 0;
	for (uint32_t i = 0; i < v->num; i++) {
		bytes += packet_whole_len(v->pkt[i]);
		send(&s, v->pkt[i]);
	}
	counter_add(&d->stats.tx_packets, v->num);
	counter_add(&d->stats.tx_bytes, bytes);
	v->num = 0;
	send_leftover(q, &s.left);
	lane_flush(q);
}

/* ---- clear ---------------------------------------------------------------------------------- */

/* pass - what no policy protects goes on as if there were no lane: the frame is in front of the
 * packet still. */
static void pass(struct lane_queue *q, struct packet *p)
{
	struct lane_wire *wire = &q->wires[p->way & ~LANE_FROM_HOST];

	if (p->flags & PACKET_F_JOINED) { /* made of several frames */
		counter_add(&q->inner.stats.tx_error, 1);
		packet_put(p);
		return;
	}
	if (!(p->way & LANE_FROM_HOST))
		lane_ttl_more(p->data);
	p->data -= ETHERNET_LEN;
	p->len += ETHERNET_LEN;
	if (p->way & LANE_FROM_HOST) {
		counter_add(&wire->stats.tx_host, 1);
		lane_send_frame(wire, p);
	} else {
		counter_add(&wire->stats.rx_host, 1);
		shadow_write(wire, p);
	}
}

/* push_ethernet - in front of an IP packet. */
static void push_ethernet(struct packet *p, const struct fib_neigh *to, bool v4)
{
	p->data -= ETHERNET_LEN;
	p->len += ETHERNET_LEN;
	memcpy(p->data, to->macs, sizeof(to->macs));
	store_be16(p->data + 12, v4 ? 0x0800 : 0x86dd);
}

/* forward - a decrypted packet, as a router does. What another policy protects in turn, as it was
 * looked up (PACKET_F_HOST) or as routes into the virtual interface say, and what is for the host,
 * goes there. */
static bool forward(struct sending *s, struct packet *p)
{
	if (!s->fib || p->len < V4_LEN)
		return false;
	uint8_t family = p->data[0] >> 4;
	bool v4 = family == IP_V4;

	if (!v4 && (family != IP_V6 || p->len < V6_LEN))
		return false;
	const struct fib_dst *dst = fib_find(s->fib, family, p->data + (v4 ? 16 : 24));

	if (dst->protect || p->data[v4 ? 8 : 7] <= 1)
		return false;
	const struct fib_neigh *n = next_hop(s, dst, p->len);

	if (!n)
		return false;
	lane_ttl_less(p->data);
	push_ethernet(p, n, v4);
	counter_add(&s->q->wires[n->port].stats.tx_fast, 1);
	lane_send_frame(&s->q->wires[n->port], p);
	return true;
}

static inline void send_clear(struct sending *s, struct packet *p)
{
	if (p->flags & PACKET_F_PASS)
		pass(s->q, p);
	else if (p->flags & PACKET_F_HOST || !forward(s, p))
		leave(s->q, s->q->tap, &s->left.tap, p);
}

void lane_inner_tx(struct driver *d, struct pktvec *v)
{
	transmit(container_of(d, struct lane_queue, inner), d, v, send_clear);
}

/* ---- sealed --------------------------------------------------------------------------------- */

/* find_way - where sealed packets of len bytes to `to` go by the lane, and what is in front of
 * them; it holds for the packets that follow. */
static __attribute__((noinline)) bool find_way(struct sending *s, const struct path_addr *to,
					       uint32_t len)
{
	const struct ip_addr *remote = &to->remote.addr;

	s->to = NULL;
	/* The host knows which of its addresses goes with a way. */
	if (!s->fib || to->local.addr.family != remote->family ||
	    !frame_head_init(&s->head, to, false))
		return false;
	const struct fib_neigh *n =
		next_hop(s, fib_find(s->fib, remote->family, remote->b), len + s->head.ip_len);

	if (!n)
		return false;
	frame_head_ethernet(&s->head, n->macs);
	s->wire = &s->q->wires[n->port];
	s->mtu = __atomic_load_n(&s->ports[n->port].mtu, __ATOMIC_RELAXED);
	if (s->ports[n->port].sums)
		frame_head_leave_sum(&s->head);
	s->to = to;
	return true;
}

/* is_taken - the port that it is about to leave by encrypts it. */
static __attribute__((noinline)) bool is_taken(const struct lane_wire *wire, const struct packet *p)
{
	const struct driver *frames = wire->frames;

	return frames->ops->takes && frames->ops->takes(frames, p);
}

static inline bool send_sealed_fast(struct sending *s, struct packet *p)
{
	const uint32_t len = packet_whole_len(p);
	const bool open = p->flags & PACKET_F_OPEN;

	if (unlikely(p->to != s->to) && !find_way(s, p->to, len))
		return false;
	if (unlikely(len + s->head.ip_len > s->mtu) || unlikely(open && !is_taken(s->wire, p)) ||
	    !frame_head_push(&s->head, p, s->q->id))
		return false;
	s->q->id = (uint16_t)(s->q->id + s->q->id_step);
	counter_add(&s->wire->stats.tx_fast, 1);
	if (unlikely(open))
		counter_add(&s->wire->stats.tx_inline, 1);
	lane_send_frame(s->wire, p);
	return true;
}

/* seal - no port encrypts it: we do. False: nobody did, and it is lost. */
static __attribute__((noinline)) bool seal(struct lane_queue *q, struct packet *p)
{
	if (likely(q->outer.seal && q->outer.seal(q->outer.sealer, p)))
		return true;
	counter_add(&q->outer.stats.tx_error, 1);
	packet_put(p);
	return false;
}

static inline void send_sealed(struct sending *s, struct packet *p)
{
	if (send_sealed_fast(s, p))
		return;
	if (unlikely(p->flags & PACKET_F_OPEN)) {
		if (!seal(s->q, p) || (p->to == s->to && send_sealed_fast(s, p)))
			return;
	}
	if (p->to->encap == ENCAP_UDP)
		leave(s->q, s->q->udp, &s->left.udp, p);
	else
		leave(s->q, s->q->esp, &s->left.esp, p);
}

void lane_outer_tx(struct driver *d, struct pktvec *v)
{
	transmit(container_of(d, struct lane_queue, outer), d, v, send_sealed);
}
