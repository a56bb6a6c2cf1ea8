/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/handoff.h"

#include "base/alloc.h"
#include "dataplane/state.h"

static uint64_t bit(uint32_t i)
{
	return UINT64_C(1) << i;
}

enum err handoff_init(struct worker *w, uint32_t ring_len)
{
	struct inbox *in = &w->inbox;

	if (w->num_workers == 1)
		return ERR_OK;
	in->from = mem_alloc_array(w->num_workers, sizeof(struct ring *));
	if (!in->from)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < w->num_workers; i++) {
		if (i == w->index)
			continue;
		in->from[i] = ring_new(ring_len);
		if (!in->from[i])
			return ERR_NOMEM;
	}
	return ERR_OK;
}

static void free_ring(struct ring *ring)
{
	struct packet *p;

	while (ring && (p = ring_pop(ring)) != NULL)
		packet_put(p);
	ring_free(ring);
}

void handoff_fini(struct worker *w)
{
	for (uint32_t i = 0; w->inbox.from && i < w->num_workers; i++)
		free_ring(w->inbox.from[i]);
	mem_free(w->inbox.from);
	w->inbox.from = NULL;
}

/* is_scarce - p is one of this worker's long packets, half of which are away: the others are for
 * what is to come. */
static bool is_scarce(const struct worker *w, const struct packet *p)
{
	return p->pool == w->longer && pool_num_away(w->longer) >= w->num_longer / 2;
}

/* hand - p is worker to's from now on. */
static void hand(struct worker *w, uint16_t to, struct packet *p)
{
	if (unlikely(is_scarce(w, p))) {
		worker_drop(w, p, DROP_HANDOFF_FULL);
		return;
	}
	struct pool *pool = pool_send_away(p);

	/* The SA and the path may be gone before that worker looks; a new wait begins there. */
	p->sa = NULL;
	p->path = NULL;
	p->hold_until_ns = 0;
	if (likely(ring_push(w->workers[to]->inbox.from[w->index], p))) {
		counter_add(&w->count.handed_off, 1);
		w->handed |= bit(to);
		return;
	}
	pool_call_back(p, pool);
	worker_drop(w, p, DROP_HANDOFF_FULL);
}

void handoff_push(struct worker *w, uint16_t to, struct packet *p)
{
	p->flags |= PACKET_F_HANDED;
	hand(w, to, p);
}

void handoff_send(struct worker *w, uint16_t to, uint16_t port, struct pktvec *v)
{
	for (uint32_t i = 0; i < v->num; i++) {
		struct packet *p = v->pkt[i];

		/* The path's address lives no longer than this turn. */
		if (p->to) {
			p->from = *p->to;
			p->to = &p->from;
		}
		p->port = port;
		p->flags |= PACKET_F_SEND;
		hand(w, to, p);
	}
	v->num = 0;
}

/* far_tx - the port that leaves packets to this one has counted them as sent. */
static void far_tx(struct driver *d, struct pktvec *v)
{
	const struct worker_sender *s = container_of(d, struct worker_sender, driver);
	struct worker *w = s->worker;

	counter_set(&w->count.tx, w->count.tx - v->num);
	handoff_send(w, w->senders[s->port], s->port, v);
}

static const struct driver_ops far_ops = {.name = "far", .tx = far_tx};

struct driver *dataplane_sender(struct dataplane *dp, uint16_t port, uint32_t worker)
{
	if (port >= dp->num_ports || worker >= dp->num_workers)
		return NULL;
	struct worker *w = dp->workers[worker];

	if (w->ports[port])
		return w->ports[port];
	w->far[port] = (struct worker_sender){
		.driver = {.ops = &far_ops, .role = w->roles[port]}, .worker = w, .port = port};
	return &w->far[port].driver;
}

static void notify(const struct worker *w, struct worker *to)
{
	/* Sequentially consistent, as in handoff_sleep(): either the bit is seen there, or the
	 * sleeper here. It also releases what was pushed. */
	__atomic_fetch_or(&to->inbox.pending, bit(w->index), __ATOMIC_SEQ_CST);
	if (unlikely(__atomic_load_n(&to->inbox.asleep, __ATOMIC_SEQ_CST)) &&
	    __atomic_exchange_n(&to->inbox.asleep, false, __ATOMIC_RELAXED))
		worker_ring_bell(to);
}

void handoff_notify(struct worker *w)
{
	while (w->handed) {
		uint32_t to = (uint32_t)__builtin_ctzll(w->handed);

		w->handed &= w->handed - 1;
		notify(w, w->workers[to]);
	}
}

uint64_t handoff_pending(struct worker *w)
{
	if (likely(!__atomic_load_n(&w->inbox.pending, __ATOMIC_RELAXED)))
		return 0;
	/* Before the rings are read: what comes later sets its bit again. */
	return __atomic_exchange_n(&w->inbox.pending, 0, __ATOMIC_ACQUIRE);
}

void handoff_take(struct worker *w, uint32_t from, struct pktvec *out)
{
	struct ring *ring = w->inbox.from[from];
	struct packet *p;

	while (pktvec_room(out)) {
		p = ring_pop(ring);
		if (!p)
			return;
		pktvec_push(out, p);
	}
	if (ring_count(ring))
		__atomic_fetch_or(&w->inbox.pending, bit(from), __ATOMIC_RELAXED);
}

bool handoff_sleep(struct worker *w)
{
	__atomic_store_n(&w->inbox.asleep, true, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&w->inbox.pending, __ATOMIC_SEQ_CST) == 0;
}

void handoff_awake(struct worker *w)
{
	__atomic_store_n(&w->inbox.asleep, false, __ATOMIC_RELAXED);
}
