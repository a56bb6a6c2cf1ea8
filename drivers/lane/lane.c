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

static struct lane_sort sort_of(struct lane_queue *q, uint32_t i)
{
	const struct lane *l = q->lane;
	struct lane_sort s = {
		.fib = fib_read(&q->fib, rcu_deref(l->fib)),
		.port_ike = l->params.port_ike,
		.port_nat_t = l->params.port_nat_t,
		.ifindex = l->ports[i].ifindex,
	};

	memcpy(s.mac, l->ports[i].mac, sizeof(s.mac));
	return s;
}

/* room - how many frames may come: each may be for either side. */
static uint32_t room(const struct lane_queue *q, const struct pktvec *inner)
{
	uint32_t a = pktvec_room(inner), b = pktvec_room(&q->outer_rx);

	return a < b ? a : b;
}

/* struct sorted - of one burst, by enum lane_way. */
struct sorted {
	uint32_t num[LANE_WAYS];
	uint64_t bytes[LANE_WAYS];
};

static void count(struct lane_queue *q, struct lane_wire *wire, const struct sorted *s)
{
	counter_add(&wire->stats.rx_host, s->num[LANE_HOST]);
	counter_add(&wire->stats.rx_inner, s->num[LANE_INNER]);
	counter_add(&wire->stats.rx_outer, s->num[LANE_OUTER] + s->num[LANE_TOLD]);
	counter_add(&q->inner.stats.rx_packets, s->num[LANE_INNER]);
	counter_add(&q->inner.stats.rx_bytes, s->bytes[LANE_INNER]);
	counter_add(&q->outer.stats.rx_packets, s->num[LANE_OUTER] + s->num[LANE_TOLD]);
	counter_add(&q->outer.stats.rx_bytes, s->bytes[LANE_OUTER] + s->bytes[LANE_TOLD]);
}

/* keep_open - what a port decrypted is the data path's and nobody else's: the host has no business
 * with it, and would hand it on as it is. */
static __attribute__((noinline)) bool keep_open(struct lane_queue *q, struct lane_wire *wire,
						struct packet *p, enum lane_way way)
{
	if (likely(way == LANE_OUTER)) {
		counter_add(&wire->stats.rx_inline, 1);
		return true;
	}
	counter_add(&q->outer.stats.rx_error, 1);
	packet_put(p);
	return false;
}

/* sort - the frames of v from the begin-th on, each to whom it is for. */
static void sort(struct lane_queue *q, uint32_t i, const struct pktvec *v, uint32_t begin,
		 struct pktvec *inner)
{
	struct lane_wire *wire = &q->wires[i];
	struct lane_sort s = sort_of(q, i);
	struct sorted sorted = {0};

	for (uint32_t k = begin; k < v->num; k++) {
		struct packet *p = v->pkt[k];

		p->way = (uint8_t)i;
		enum lane_way way = lane_sort_wire(p, &s);

		if (unlikely(p->flags & (PACKET_F_OPEN | PACKET_F_FORGED)) &&
		    !keep_open(q, wire, p, way))
			continue;
		sorted.num[way]++;
		sorted.bytes[way] += p->len;
		if (way == LANE_INNER)
			pktvec_push(inner, p);
		else if (way != LANE_HOST)
			pktvec_push(&q->outer_rx, p);
		else
			shadow_write(wire, p);
	}
	count(q, wire, &sorted);
}

static void poll_wire(struct lane_queue *q, uint32_t i, struct pool *pool, struct pktvec *inner)
{
	struct driver *frames = q->wires[i].frames;
	uint32_t begin = PKTVEC_MAX - room(q, inner);
	struct pktvec v;

	v.num = begin;
	if (begin < PKTVEC_MAX && frames->ops->rx(frames, pool, &v))
		sort(q, i, &v, begin, inner);
}

static void poll_shadow(struct lane_queue *q, uint32_t i, struct pool *pool, struct pktvec *inner)
{
	struct lane_wire *wire = &q->wires[i];
	const struct lane_sort s = sort_of(q, i);

	wire->shadow_busy = false;
	for (uint32_t n = 0; n < SHADOW_BURST && pktvec_room(inner); n++) {
		struct packet *p = shadow_read(wire, pool);

		if (!p)
			return;
		wire->shadow_busy = true;
		p->way = (uint8_t)(i | LANE_FROM_HOST);
		if (lane_sort_host(p, &s)) {
			counter_add(&q->inner.stats.rx_packets, 1);
			counter_add(&q->inner.stats.rx_bytes, p->len);
			pktvec_push(inner, p);
			continue;
		}
		counter_add(&wire->stats.tx_host, 1);
		lane_send_frame(wire, p);
	}
}

/* The inner port, which has its turn first, looks at all devices; the outer one has what that
 * brought for it. */
static uint32_t inner_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct lane_queue *q = container_of(d, struct lane_queue, inner);
	bool look = q->turn++ % SHADOW_TURNS == 0 || q->lane->params.idle_us;
	uint32_t before = out->num;

	for (uint32_t i = 0; i < q->num_wires; i++)
		poll_wire(q, (q->turn + i) % q->num_wires, pool, out);
	for (uint32_t i = 0; i < q->num_wires; i++)
		if (q->wires[i].reads && (look || q->wires[i].shadow_busy))
			poll_shadow(q, i, pool, out);
	lane_flush(q);
	return out->num - before;
}

static uint32_t outer_rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct lane_queue *q = container_of(d, struct lane_queue, outer);

	uint32_t num = q->outer_rx.num;

	(void)pool;
	memcpy(out->pkt + out->num, q->outer_rx.pkt, num * sizeof(out->pkt[0]));
	out->num += num;
	q->outer_rx.num = 0;
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

static void free_queue(struct lane_queue *q)
{
	if (!q)
		return;
	fib_reader_fini(&q->fib);
	mem_free_aligned(q);
}

static void free_lane(struct lane *l)
{
	for (uint32_t i = 0; i < l->num_queues; i++)
		free_queue(l->queues[i]);
	mem_free_aligned(l);
}

static void release(struct lane *l)
{
	if (__atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL))
		return;
	mirror_fini(l);
	rcu_flush(&l->retired);
	fib_free(l->fib);
	free_lane(l);
}

/* close_devices - with the inner port, while what the packets belong to is there. */
static void close_devices(struct lane_queue *q)
{
	put_all(&q->outer_rx);
	for (uint32_t i = 0; i < q->num_wires; i++) {
		struct lane_wire *wire = &q->wires[i];

		put_all(&wire->tx);
		wire->frames->ops->close(wire->frames);
		close(wire->shadow);
	}
	q->num_wires = 0;
}

static void inner_close(struct driver *d)
{
	struct lane_queue *q = container_of(d, struct lane_queue, inner);

	close_devices(q);
	release(q->lane);
}

static void outer_close(struct driver *d)
{
	release(container_of(d, struct lane_queue, outer)->lane);
}

static const struct driver_ops inner_ops = {
	.name = "lane", .rx = inner_rx, .tx = lane_inner_tx, .fd = no_fd, .close = inner_close};

static const struct driver_ops outer_ops = {
	.name = "lane", .rx = outer_rx, .tx = lane_outer_tx, .fd = no_fd, .close = outer_close};

static enum err queue_new(struct lane *l, uint32_t i)
{
	struct lane_queue *q = mem_alloc_aligned(CACHE_LINE, sizeof(*q));

	if (!q)
		return ERR_NOMEM;
	l->queues[i] = q;
	q->lane = l;
	q->id = (uint16_t)i;
	q->id_step = (uint16_t)l->num_queues;
	q->inner = (struct driver){.ops = &inner_ops,
				   .role = PORT_INNER,
				   .mtu = UINT16_MAX,
				   .idle_us = l->params.idle_us,
				   .routed = true};
	q->outer = (struct driver){
		.ops = &outer_ops, .role = PORT_OUTER, .opens = true, .idle_us = l->params.idle_us};
	return fib_reader_init(&q->fib);
}

enum err lane_new(struct lane **out, const struct lane_params *params)
{
	uint32_t num = params->num_queues ? params->num_queues : 1;
	struct lane *l;
	enum err err = ERR_OK;

	if (num > LANE_QUEUES_MAX)
		return ERR_INVAL;
	l = mem_alloc_aligned(CACHE_LINE, sizeof(*l));
	if (!l)
		return ERR_NOMEM;
	l->refs = 1 + 2 * num;
	l->params = *params;
	l->num_queues = num;
	rcu_queue_init(&l->retired);
	for (uint32_t i = 0; i < num && !err; i++)
		err = queue_new(l, i);
	if (!err)
		err = mirror_init(l);
	if (err) {
		free_lane(l);
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
	uint32_t at = l->num_ports, reading = params->num_shadows;

	if (at == LANE_PORTS_MAX)
		return ERR_FULL;
	l->num_ports++;
	l->ports[at].ifindex = params->ifindex;
	l->ports[at].mtu = params->mtu;
	l->ports[at].sums = params->sums;
	memcpy(l->ports[at].mac, params->mac, sizeof(params->mac));
	for (uint32_t i = 0; i < l->num_queues; i++) {
		struct lane_queue *q = l->queues[i];

		q->wires[at].frames = params->frames[i];
		q->wires[at].shadow = params->shadows[i];
		q->wires[at].vnet = params->vnet;
		q->wires[at].reads = !reading || i < reading;
		q->num_wires++;
	}
	return ERR_OK;
}

void lane_use_host(struct lane *l, uint32_t queue, struct driver *tap, struct driver *udp,
		   struct driver *esp)
{
	l->queues[queue]->tap = tap;
	l->queues[queue]->udp = udp;
	l->queues[queue]->esp = esp;
}

struct driver *lane_inner(struct lane *l, uint32_t queue)
{
	return &l->queues[queue]->inner;
}

struct driver *lane_outer(struct lane *l, uint32_t queue)
{
	return &l->queues[queue]->outer;
}

static void add_stats(struct lane_stats *out, const struct lane_stats *s)
{
	out->rx_inner += counter_get(&s->rx_inner);
	out->rx_outer += counter_get(&s->rx_outer);
	out->rx_host += counter_get(&s->rx_host);
	out->tx_fast += counter_get(&s->tx_fast);
	out->rx_inline += counter_get(&s->rx_inline);
	out->tx_inline += counter_get(&s->tx_inline);
	out->tx_host += counter_get(&s->tx_host);
	out->left_to_host += counter_get(&s->left_to_host);
	out->shadow_error += counter_get(&s->shadow_error);
}

void lane_stats(const struct lane *l, uint32_t port, struct lane_stats *out)
{
	*out = (struct lane_stats){.routes = l->num_routes, .neighbours = l->num_neighs};
	for (uint32_t i = 0; i < l->num_queues; i++)
		add_stats(out, &l->queues[i]->wires[port].stats);
}
