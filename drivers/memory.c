/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/memory.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/counter.h"
#include "base/ring.h"
#include "dataplane/pool.h"
#include "drivers/vnet.h"

#define DEFAULT_FRAMES    256
#define DEFAULT_FRAME_LEN 2048

/* struct frame - one datagram or packet on the wire. */
struct frame {
	struct path_addr to; /* as the sender sees it; zero on an inner wire */
	uint32_t len;
	uint32_t token;   /* inner: the packet's */
	uint16_t seg_len; /* of a super-packet */
	uint8_t dscp_ecn; /* of the outer header */
	bool sum;         /* PACKET_F_SUM */
	uint8_t bytes[];
};

/* struct lane - one direction: frames go by `full` and come back by `empty`. */
struct lane {
	struct ring *full;  /* sender -> receiver */
	struct ring *empty; /* receiver -> sender */
	uint8_t *frames;
	int fd; /* readable when `full` has something */
};

/* struct wire - both directions; freed with the second end. */
struct wire {
	struct lane lanes[2]; /* end i sends on lanes[i] */
	uint32_t frame_len;
	uint32_t num_ends; /* atomic */
	bool apart;        /* memory_come_apart() */
};

/* struct memory_port - one end: a driver, or the caller's far end. */
struct memory_port {
	struct driver driver;
	struct wire *wire;
	struct lane *tx, *rx;
};

static void lane_fini(struct lane *l)
{
	ring_free(l->full);
	ring_free(l->empty);
	mem_free_aligned(l->frames);
	if (l->fd >= 0)
		close(l->fd);
}

static enum err lane_init(struct lane *l, uint32_t num, uint32_t frame_len)
{
	size_t stride =
		(sizeof(struct frame) + frame_len + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;

	l->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->fd < 0)
		return ERR_SYS;
	l->full = ring_new(num);
	l->empty = ring_new(num);
	l->frames = mem_alloc_aligned(CACHE_LINE, num * stride);
	if (!l->full || !l->empty || !l->frames)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < num; i++) {
		if (!ring_push(l->empty, l->frames + i * stride))
			return ERR_FULL;
	}
	return ERR_OK;
}

static void wire_put(struct wire *w)
{
	/* Acquire and release: whatever the other end did comes before freeing. */
	if (__atomic_sub_fetch(&w->num_ends, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	lane_fini(&w->lanes[0]);
	lane_fini(&w->lanes[1]);
	mem_free(w);
}

static enum err wire_new(struct wire **out, const struct memory_params *params)
{
	uint32_t num = params->num_frames ? params->num_frames : DEFAULT_FRAMES;
	struct wire *w = mem_alloc(sizeof(*w));
	enum err e;

	if (!w)
		return ERR_NOMEM;
	w->frame_len = params->frame_len ? params->frame_len : DEFAULT_FRAME_LEN;
	w->num_ends = 1;
	w->lanes[0].fd = w->lanes[1].fd = -1;
	e = lane_init(&w->lanes[0], num, w->frame_len);
	if (e == ERR_OK)
		e = lane_init(&w->lanes[1], num, w->frame_len);
	if (e != ERR_OK) {
		wire_put(w);
		return e;
	}
	*out = w;
	return ERR_OK;
}

static void notify(struct lane *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->fd, &one, sizeof(one));

	(void)n; /* fails only when it is readable anyway */
}

/* send - copy to the other end; false if its ring is full. */
static bool send_copy(struct memory_port *m, const void *bytes, uint32_t len,
		      const struct memory_meta *meta)
{
	struct frame *f = ring_pop(m->tx->empty);

	if (!f)
		return false;
	f->to = meta->to;
	f->len = len;
	f->token = meta->token;
	f->seg_len = meta->seg_len;
	f->dscp_ecn = meta->dscp_ecn;
	f->sum = meta->sum;
	if (len)
		memcpy(f->bytes, bytes, len);
	return ring_push(m->tx->full, f); /* it holds all frames: always true */
}

/* next - the oldest frame from the other end. The descriptor is cleared before the second look, so
 * that what comes in between makes it readable again. */
static struct frame *next(struct memory_port *m)
{
	struct frame *f = ring_pop(m->rx->full);
	uint64_t num;

	if (f)
		return f;
	ssize_t n = read(m->rx->fd, &num, sizeof(num));

	(void)n;
	return ring_pop(m->rx->full);
}

static void give_back(struct memory_port *m, struct frame *f)
{
	bool pushed = ring_push(m->rx->empty, f);

	(void)pushed; /* it holds all frames */
}

static struct path_addr seen_from_here(const struct path_addr *to)
{
	struct path_addr from = *to;

	from.local = to->remote;
	from.remote = to->local;
	return from;
}

/* room_for - a packet that holds the frame in place of p; NULL: there is none, and p stays. */
static struct packet *room_for(struct driver_stats *stats, const struct frame *f, struct packet *p,
			       struct pool *pool)
{
	struct packet *w;

	if (f->len <= pool->data_room)
		return p;
	if (!pool->longer || f->len > pool->longer->data_room) {
		counter_add(&stats->rx_error, 1);
		return NULL;
	}
	w = packet_get(pool->longer);
	if (w)
		packet_put(p);
	else
		counter_add(&stats->rx_no_buffer, 1);
	return w;
}

/* come_apart - the super-packet p as a chain of num packets; p as it is if there are not so many.
 */
static struct packet *come_apart(struct packet *p, struct pool *pool, uint32_t num)
{
	struct packet *parts[PKTVEC_MAX];
	uint32_t got = pool->ops->get(pool, parts, num), len = p->seg_len;

	if (got < num || len > pool->data_room) {
		pool->ops->put(pool, parts, got);
		return p;
	}
	for (uint32_t i = 0; i < num; i++) {
		parts[i]->len = i + 1 < num ? len : p->len - i * len;
		memcpy(parts[i]->data, p->data + i * len, parts[i]->len);
		parts[i]->next_part = i + 1 < num ? parts[i + 1] : NULL;
	}
	parts[0]->from = p->from;
	parts[0]->dscp_ecn = p->dscp_ecn;
	parts[0]->seg_len = p->seg_len;
	parts[0]->num_parts = (uint8_t)(num - 1);
	packet_put(p);
	return parts[0];
}

/* receive_one - the oldest frame for which there is room, in p or another one; NULL if there is
 * none, and p stays. */
static struct packet *receive_one(struct memory_port *m, struct packet *p, struct pool *pool)
{
	struct packet *w = NULL;
	struct frame *f;

	while ((f = next(m)) != NULL && !(w = room_for(&m->driver.stats, f, p, pool)))
		give_back(m, f);
	if (!f)
		return NULL;
	w->len = f->len;
	memcpy(w->data, f->bytes, f->len);
	w->token = f->token;
	w->from = seen_from_here(&f->to);
	if (m->driver.role == PORT_OUTER && f->to.remote.addr.family == IP_NONE)
		w->flags |= PACKET_F_IP;
	w->dscp_ecn = f->dscp_ecn;
	w->seg_len = f->seg_len;
	w->flags |= f->sum ? PACKET_F_SUM : 0;
	give_back(m, f);
	if (m->wire->apart && w->seg_len && w->len > w->seg_len &&
	    w->len <= (uint32_t)w->seg_len * PKTVEC_MAX)
		return come_apart(w, pool, (w->len + w->seg_len - 1) / w->seg_len);
	return w;
}

static uint32_t rx(struct driver *d, struct pool *pool, struct pktvec *out)
{
	struct memory_port *m = container_of(d, struct memory_port, driver);
	uint32_t num = 0;
	uint64_t bytes = 0;

	while (pktvec_room(out)) {
		struct packet *free = packet_get(pool);
		struct packet *p = free ? receive_one(m, free, pool) : NULL;

		if (!p) {
			if (free)
				packet_put(free);
			break;
		}
		bytes += p->len;
		pktvec_push(out, p);
		num++;
	}
	counter_add(&d->stats.rx_packets, num);
	counter_add(&d->stats.rx_bytes, bytes);
	return num;
}

static bool send_packet(struct memory_port *m, const struct packet *p)
{
	struct memory_meta meta = {.token = p->token, .dscp_ecn = p->dscp_ecn};

	if (m->driver.role == PORT_OUTER) {
		meta.to = *p->to;
		meta.token = 0;
	}
	return send_copy(m, p->data, p->len, &meta);
}

/* count_sent - num packets of so many bytes. */
static void count_sent(struct driver *d, uint32_t num, uint64_t bytes, bool sent)
{
	if (!sent) {
		counter_add(&d->stats.tx_full, num);
		return;
	}
	counter_add(&d->stats.tx_packets, num);
	counter_add(&d->stats.tx_bytes, bytes);
}

/* send_chain - as the super-packet that it is. */
static void send_chain(struct memory_port *m, struct packet *p)
{
	uint8_t vnet[VNET_LEN], head[VNET_HEAD_MAX];
	struct frame *f = ring_pop(m->tx->empty);
	uint32_t num = p->num_parts + 1u, head_len = p->head_len;
	uint64_t bytes = 0;

	if (f) {
		*f = (struct frame){.len = head_len, .token = p->token, .seg_len = p->seg_len};
		vnet_join(vnet, head, p, 0);
		memcpy(f->bytes, head, head_len);
	}
	for (struct packet *next; p; p = next) {
		next = p->next_part;
		bytes += p->len;
		if (f) {
			memcpy(f->bytes + f->len, p->data + head_len, p->len - head_len);
			f->len += p->len - head_len;
		}
		packet_put(p);
	}
	count_sent(&m->driver, num, bytes, f != NULL && ring_push(m->tx->full, f));
}

static void tx(struct driver *d, struct pktvec *v)
{
	struct memory_port *m = container_of(d, struct memory_port, driver);

	for (uint32_t i = 0; i < v->num; i++) {
		struct packet *p = v->pkt[i];

		if (p->next_part) {
			send_chain(m, p);
			continue;
		}
		if (p->len > m->wire->frame_len)
			counter_add(&d->stats.tx_error, 1);
		else
			count_sent(d, 1, p->len, send_packet(m, p));
		packet_put(p);
	}
	if (v->num)
		notify(m->tx);
	v->num = 0;
}

static int fd(const struct driver *d)
{
	return ((const struct memory_port *)(const void *)d)->rx->fd;
}

static void close_port(struct driver *d)
{
	struct memory_port *m = container_of(d, struct memory_port, driver);

	wire_put(m->wire);
	mem_free(m);
}

static const struct driver_ops ops = {
	.name = "memory",
	.rx = rx,
	.tx = tx,
	.fd = fd,
	.close = close_port,
};
static_assert(offsetof(struct memory_port, driver) == 0, "the cast in fd() keeps const");

static struct memory_port *port_new(struct wire *w, unsigned end, enum port_role role)
{
	struct memory_port *m = mem_alloc(sizeof(*m));

	if (!m)
		return NULL;
	m->driver.ops = &ops;
	m->driver.role = role;
	m->wire = w;
	m->tx = &w->lanes[end];
	m->rx = &w->lanes[1 - end];
	return m;
}

/* open_both - both ends of a new wire. */
static enum err open_both(struct memory_port *ends[static 2], const struct memory_params *params)
{
	struct wire *w;
	enum err e = wire_new(&w, params);

	if (e != ERR_OK)
		return e;
	ends[0] = port_new(w, 0, params->role);
	ends[1] = port_new(w, 1, params->role);
	if (!ends[0] || !ends[1]) {
		mem_free(ends[0]);
		mem_free(ends[1]);
		wire_put(w);
		return ERR_NOMEM;
	}
	w->num_ends = 2;
	return ERR_OK;
}

enum err memory_open(struct driver **out, struct memory_port **out_far,
		     const struct memory_params *params)
{
	struct memory_port *ends[2];
	enum err e = open_both(ends, params);

	if (e != ERR_OK)
		return e;
	/* A frame holds any chain. */
	ends[0]->driver.joins = ends[0]->wire->frame_len > UINT16_MAX ? params->joins : 0;
	*out = &ends[0]->driver;
	*out_far = ends[1];
	return ERR_OK;
}

enum err memory_open_pair(struct driver **out_a, struct driver **out_b,
			  const struct memory_params *params)
{
	struct memory_port *ends[2];
	enum err e = open_both(ends, params);

	if (e != ERR_OK)
		return e;
	*out_a = &ends[0]->driver;
	*out_b = &ends[1]->driver;
	return ERR_OK;
}

enum err memory_inject(struct memory_port *far, const void *bytes, size_t len,
		       const struct path_addr *from)
{
	return memory_inject_super(far, bytes, len, 0, from);
}

static enum err inject(struct memory_port *far, const void *bytes, size_t len,
		       const struct memory_meta *meta)
{
	if (len > far->wire->frame_len)
		return ERR_LIMIT;
	if (!send_copy(far, bytes, (uint32_t)len, meta))
		return ERR_FULL;
	notify(far->tx);
	return ERR_OK;
}

enum err memory_inject_super(struct memory_port *far, const void *bytes, size_t len,
			     uint16_t seg_len, const struct path_addr *from)
{
	struct memory_meta meta = {.seg_len = seg_len};

	if (from)
		meta.to = seen_from_here(from); /* exchanged back as the port receives it */
	return inject(far, bytes, len, &meta);
}

enum err memory_inject_sum(struct memory_port *far, const void *bytes, size_t len)
{
	const struct memory_meta meta = {.sum = true};

	return inject(far, bytes, len, &meta);
}

void memory_come_apart(struct memory_port *far, bool apart)
{
	far->wire->apart = apart;
}

enum err memory_inject_demand(struct memory_port *far, const void *bytes, size_t len,
			      uint32_t token)
{
	struct memory_meta meta = {.token = token};

	return inject(far, bytes, len, &meta);
}

bool memory_take_meta(struct memory_port *far, void *buf, size_t cap, size_t *out_len,
		      struct memory_meta *out)
{
	struct frame *f = next(far);

	if (!f)
		return false;
	*out_len = f->len < cap ? f->len : cap;
	memcpy(buf, f->bytes, *out_len);
	*out = (struct memory_meta){
		.to = f->to, .token = f->token, .seg_len = f->seg_len, .dscp_ecn = f->dscp_ecn};
	give_back(far, f);
	return true;
}

bool memory_take(struct memory_port *far, void *buf, size_t cap, size_t *out_len,
		 struct path_addr *out_to)
{
	struct memory_meta meta;

	if (!memory_take_meta(far, buf, cap, out_len, &meta))
		return false;
	if (out_to)
		*out_to = meta.to;
	return true;
}

int memory_far_fd(const struct memory_port *far)
{
	return far->rx->fd;
}

void memory_close_far(struct memory_port *far)
{
	if (far)
		close_port(&far->driver);
}
