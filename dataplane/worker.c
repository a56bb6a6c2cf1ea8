/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker.h"

#include "dataplane/passes.h"

#define TIMER_TICK_NS NS_PER_MS

/* hold_capacity - so many buffers may wait that three quarters are left for traffic. */
static uint32_t hold_capacity(const struct worker_params *params)
{
	return params->num_packets / 4 ? params->num_packets / 4 : 1;
}

/* expire_held - give up what waited too long; set again for the next one. */
static void expire_held(struct timer *t, uint64_t now_ns)
{
	struct worker *w = container_of(t, struct worker, hold_timer);

	while (hold_deadline(&w->hold) <= now_ns)
		worker_drop(w, hold_pop(&w->hold), DROP_HOLD_EXPIRED);
	hold_tidy(&w->hold);
	if (w->hold.num)
		timer_set(&w->timers, t, hold_deadline(&w->hold));
	counter_set(&w->count.held, w->hold.num);
}

enum err worker_init(struct worker *w, const struct worker_params *params)
{
	enum err e;

	*w = (struct worker){.wake_fd = -1, .epoll_fd = -1, .inner_port = WORKER_NO_PORT};
	w->spd = params->spd;
	w->sad = params->sad;
	w->change = params->change;
	timers_init(&w->timers, TIMER_TICK_NS, 0);
	timer_init(&w->hold_timer, expire_held);
	w->pool = pool_new(params->num_packets, params->packet_room);
	if (!w->pool)
		return ERR_NOMEM;
	e = flow_cache_init(&w->flows, params->flow_cache_len, params->spd, params->rng);
	if (e == ERR_OK)
		e = hold_init(&w->hold, hold_capacity(params), params->hold_packets,
			      params->hold_ns);
	if (e == ERR_OK)
		e = events_init(&w->events, params->num_packets / 4);
	if (e == ERR_OK)
		e = worker_ike_init(w);
	if (e != ERR_OK)
		worker_fini(w);
	return e;
}

void worker_fini(struct worker *w)
{
	worker_stop(w);
	worker_ike_fini(w);
	events_fini(&w->events);
	hold_fini(&w->hold);
	flow_cache_fini(&w->flows);
	pool_free(w->pool);
	w->pool = NULL;
}

void worker_drop(struct worker *w, struct packet *p, enum drop_reason why)
{
	p->drop_reason = (uint8_t)why;
	counter_add(&w->count.drops[why], 1);
	packet_put(p);
}

void worker_flush(struct worker *w, uint16_t port)
{
	struct pktvec *v = &w->tx[port];

	if (v->num == 0)
		return;
	counter_add(&w->count.tx, v->num);
	w->ports[port]->ops->tx(w->ports[port], v);
}

static void outbound(struct worker *w, struct pktvec *a)
{
	struct pktvec b;

	out_classify(w, a, &b);
	out_prepare(w, &b, a);
	out_encrypt(w, a, &b);
	out_path(w, &b, a);
}

static void inbound(struct worker *w, struct pktvec *a)
{
	struct pktvec b;

	in_demux(w, a, &b);
	in_lookup(w, &b, a);
	in_decrypt(w, a, &b);
	in_commit(w, &b, a);
	in_finish(w, a, &b);
	in_deliver(w, &b, a);
}

static uint32_t receive(struct worker *w, uint16_t port)
{
	struct driver *d = w->ports[port];
	struct pktvec v = {.num = 0};
	uint32_t num = d->ops->rx(d, w->pool, &v);

	if (num == 0)
		return 0;
	counter_add(&w->count.rx, num);
	for (uint32_t i = 0; i < num; i++)
		v.pkt[i]->port = port;
	if (d->role == PORT_INNER)
		outbound(w, &v);
	else
		inbound(w, &v);
	return num;
}

/* retry_held - classify what waits once more; what still has no SA is held again, in order. */
static void retry_held(struct worker *w, uint64_t change)
{
	uint32_t left = w->hold.num;

	w->hold.change = change;
	while (left) {
		struct pktvec v = {.num = 0};

		while (left && pktvec_room(&v)) {
			pktvec_push(&v, hold_pop(&w->hold));
			left--;
		}
		outbound(w, &v);
	}
	hold_tidy(&w->hold);
	counter_set(&w->count.held, w->hold.num);
}

uint32_t worker_turn(struct worker *w, uint64_t now_ns)
{
	/* Acquire: what was changed before the counter was bumped is seen by the passes. */
	uint64_t change = __atomic_load_n(w->change, __ATOMIC_ACQUIRE);
	uint32_t num = 0;

	w->now_ns = now_ns;
	events_collect(&w->events);
	worker_ike_take(w);
	if (w->hold.num && w->hold.change != change)
		retry_held(w, change);
	w->hold.change = change;
	for (uint16_t port = 0; port < w->num_ports; port++)
		num += receive(w, port);
	timers_run(&w->timers, now_ns);
	for (uint16_t port = 0; port < w->num_ports; port++)
		worker_flush(w, port);
	events_flush(&w->events);
	return num;
}

uint64_t worker_next(const struct worker *w)
{
	return timers_next(&w->timers);
}
