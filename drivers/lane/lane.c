/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/lane/internal.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/counter.h"

/* A shadow costs a system call to look at: every so many turns, unless it had something. */
#define SHADOW_TURNS 8
/* Frames taken from a shadow at a time. */
#define SHADOW_BURST 16

/* ---- receiving ------------------------------------------------------------------------------ */

static struct lane_sort sort_of(const struct lane *l, const struct lane_port *port)
{
	struct lane_sort s = {
		.fib = rcu_deref(l->fib),
		.port_ike = l->params.port_ike,
		.port_nat_t = l->params.port_nat_t,
		.ifindex = port->ifindex,
	};

	memcpy(s.mac, port->mac, sizeof(s.mac));
	return s;
}

/* room - how many frames may come: each may be for either side. */
static uint32_t room(const struct lane *l, const struct pktvec *inner)
{
	uint32_t a = pktvec_room(inner), b = pktvec_room(&l->outer_rx);

	return a < b ? a : b;
}

/* struct sorted - of one burst, by enum lane_way. */
struct sorted {
	uint32_t num[LANE_WAYS];
	uint64_t bytes[LANE_WAYS];
};

static void count(struct lane *l, struct lane_port *port, const struct sorted *s)
{
	counter_add(&port->stats.rx_host, s->num[LANE_HOST]);
	counter_add(&port->stats.rx_inner, s->num[LANE_INNER]);
	counter_add(&port->stats.rx_outer, s->num[LANE_OUTER] + s->num[LANE_TOLD]);
	counter_add(&l->inner.stats.rx_packets, s->num[LANE_INNER]);
	counter_add(&l->inner.stats.rx_bytes, s->bytes[LANE_INNER]);
	counter_add(&l->outer.stats.rx_packets, s->num[LANE_OUTER] + s->num[LANE_TOLD]);
	counter_add(&l->outer.stats.rx_bytes, s->bytes[LANE_OUTER] + s->bytes[LANE_TOLD]);
}

/* sort - the frames of v from the begin-th on, each to whom it is for. */
static void sort(struct lane *l, uint32_t i, const struct pktvec *v, uint32_t begin,
		 struct pktvec *inner)
{
	struct lane_port *port = &l->ports[i];
	struct lane_sort s = sort_of(l, port);
	struct sorted sorted = {0};

	for (uint32_t k = begin; k < v->num; k++) {
		struct packet *p = v->pkt[k];

		p->way = (uint8_t)i;
		enum lane_way way = lane_sort_wire(p, &s);

		sorted.num[way]++;
		sorted.bytes[way] += p->len;
		if (way == LANE_INNER)
			pktvec_push(inner, p);
		else if (way != LANE_HOST)
			pktvec_push(&l->outer_rx, p);
		else
			shadow_write(port, p);
	}
	count(l, port, &sorted);
}

static void poll_wire(struct lane *l, uint32_t i, struct pool *pool, struct pktvec *inner)
{
	struct driver *frames = l->ports[i].frames;
	uint32_t begin = PKTVEC_MAX - room(l, inner);
	struct pktvec v;

	v.num = begin;
	if (begin < PKTVEC_MAX && frames->ops->rx(frames, pool, &v))
		sort(l, i, &v, begin, inner);
}

static void poll_shadow(struct lane *l, uint32_t i, struct pool *pool, struct pktvec *inner)
{
	struct lane_port *port = &l->ports[i];
	const struct lane_sort s = sort_of(l, port);

	port->shadow_busy = false;
	for (uint32_t n = 0; n < SHADOW_BURST && pktvec_room(inner); n++) {
		struct packet *p = shadow_read(port, pool);

		if (!p)
			return;
		port->shadow_busy = true;
		p->way = (uint8_t)(i | LANE_FROM_HOST);
		if (lane_sort_host(p, &s)) {
			counter_add(&l->inner.stats.rx_packets, 1);
			counter_add(&l->inner.stats.rx_bytes, p->len);
			pktvec_push(inner, p);
			continue;
		}
		counter_add(&port->stats.tx_host, 1);
		lane_send_frame(l, port, p);
	}
}

/* The inner port, which has its turn first, looks at all devices; the outer one has what that
 * brought for it. */
static uint32_t inner_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct lane *l = container_of(d, struct lane, inner);
	bool look = l->turn++ % SHADOW_TURNS == 0 || l->params.idle_us;
	uint32_t before = out->num;

	for (uint32_t i = 0; i < l->num_ports; i++)
		poll_wire(l, (l->turn + i) % l->num_ports, pool, out);
	for (uint32_t i = 0; i < l->num_ports; i++)
		if (look || l->ports[i].shadow_busy)
			poll_shadow(l, i, pool, out);
	lane_flush(l);
	return out->num - before;
}

static uint32_t outer_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct lane *l = container_of(d, struct lane, outer);

	uint32_t num = l->outer_rx.num;

	(void)pool;
	memcpy(out->pkt + out->num, l->outer_rx.pkt, num * sizeof(out->pkt[0]));
	out->num += num;
	l->outer_rx.num = 0;
	return num;
}

static int no_fd(const struct driver *d)
{
	(void)d;
	return -1;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void put_all(struct pktvec *v)
{
	for (uint32_t i = 0; i < v->num; i++)
		packet_put(v->pkt[i]);
	v->num = 0;
}

static void release(struct lane *l)
{
	if (__atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL))
		return;
	mirror_fini(l);
	rcu_flush(&l->retired);
	fib_free(l->fib);
	mem_free_aligned(l);
}

/* close_devices - with the inner port, while what the packets belong to is there. */
static void close_devices(struct lane *l)
{
	put_all(&l->outer_rx);
	for (uint32_t i = 0; i < l->num_ports; i++) {
		struct lane_port *port = &l->ports[i];

		put_all(&port->tx);
		port->frames->ops->close(port->frames);
		close(port->shadow);
	}
	l->num_ports = 0;
}

static void inner_close(struct driver *d)
{
	struct lane *l = container_of(d, struct lane, inner);

	close_devices(l);
	release(l);
}

static void outer_close(struct driver *d)
{
	release(container_of(d, struct lane, outer));
}

static const struct driver_ops inner_ops = {
	.name = "lane", .rx = inner_rx, .tx = lane_inner_tx, .fd = no_fd, .close = inner_close};

static const struct driver_ops outer_ops = {
	.name = "lane", .rx = outer_rx, .tx = lane_outer_tx, .fd = no_fd, .close = outer_close};

enum err lane_new(struct lane **out, const struct lane_params *params)
{
	struct lane *l = mem_alloc_aligned(CACHE_LINE, sizeof(*l));

	if (!l)
		return ERR_NOMEM;
	l->refs = 3;
	l->params = *params;
	l->inner = (struct driver){.ops = &inner_ops,
				   .role = PORT_INNER,
				   .mtu = UINT16_MAX,
				   .idle_us = params->idle_us,
				   .routed = true};
	l->outer =
		(struct driver){.ops = &outer_ops, .role = PORT_OUTER, .idle_us = params->idle_us};
	rcu_queue_init(&l->retired);
	enum err err = mirror_init(l);

	if (err) {
		mem_free_aligned(l);
		return err;
	}
	*out = l;
	return ERR_OK;
}

void lane_free(struct lane *l)
{
	if (l)
		release(l);
}

enum err lane_add_port(struct lane *l, const struct lane_port_params *params)
{
	if (l->num_ports == LANE_PORTS_MAX)
		return ERR_FULL;
	struct lane_port *port = &l->ports[l->num_ports++];

	port->frames = params->frames;
	port->shadow = params->shadow;
	port->ifindex = params->ifindex;
	port->mtu = params->mtu;
	memcpy(port->mac, params->mac, sizeof(port->mac));
	return ERR_OK;
}

void lane_use_host(struct lane *l, struct driver *tap, struct driver *udp, struct driver *esp)
{
	l->tap = tap;
	l->udp = udp;
	l->esp = esp;
}

struct driver *lane_inner(struct lane *l)
{
	return &l->inner;
}

struct driver *lane_outer(struct lane *l)
{
	return &l->outer;
}

void lane_stats(const struct lane *l, uint32_t port, struct lane_stats *out)
{
	const struct lane_stats *s = &l->ports[port].stats;

	*out = (struct lane_stats){
		.rx_inner = counter_get(&s->rx_inner),
		.rx_outer = counter_get(&s->rx_outer),
		.rx_host = counter_get(&s->rx_host),
		.tx_fast = counter_get(&s->tx_fast),
		.tx_host = counter_get(&s->tx_host),
		.left_to_host = counter_get(&s->left_to_host),
		.shadow_error = counter_get(&s->shadow_error),
		.routes = l->num_routes,
		.neighbours = l->num_neighs,
	};
}
