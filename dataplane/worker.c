/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker.h"

#include "dataplane/dummy.h"
#include "dataplane/inline.h"
#include "dataplane/ipcomp.h"
#include "dataplane/lookaside.h"
#include "dataplane/passes.h"

#define TIMER_TICK_NS NS_PER_MS

/* NUM_LONGER - packets for what the host's sockets put together and for super-packets: as many as
 * one burst brings. Their memory is the kernel's to give as it is used. */
#define NUM_LONGER PKTVEC_MAX

/* hold_capacity - so many buffers may wait that three quarters are left for traffic. */
static uint32_t hold_capacity(const struct worker_params *params)
{
	return params->num_packets / 4 ? params->num_packets / 4 : 1;
}

/* hold_joined - so many put together by any worker may wait at this one: of each worker's buffers
 * half are left, wherever the packets wait. */
static uint32_t hold_joined(const struct worker_params *params)
{
	uint32_t share = params->reasm_packets / 2 / params->num_workers;

	return share ? share : 1;
}

/* hold_super - so many super-packets of any worker may wait at this one: of each worker's long
 * packets three quarters are left, wherever they wait. */
static uint32_t hold_super(const struct worker_params *params)
{
	uint32_t share = NUM_LONGER / 4 / params->num_workers;

	return share ? share : 1;
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
	worker_count_held(w);
}

enum err worker_init(struct worker *w, const struct worker_params *params)
{
	enum err e;

	*w = (struct worker){.wake_fd = -1, .epoll_fd = -1, .inner_port = WORKER_NO_PORT};
	w->workers = params->workers;
	w->num_workers = params->num_workers;
	w->index = params->index;
	w->spd = params->spd;
	w->sad = params->sad;
	w->latches = params->latches;
	w->listeners = params->listeners;
	w->dummies = params->dummies;
	w->change = params->change;
	timers_init(&w->timers, TIMER_TICK_NS, 0);
	timer_init(&w->hold_timer, expire_held);
	timer_init(&w->reasm_timer, worker_expire_fragments);
	timer_init(&w->dummy_timer, dummies_due);
	timer_init(&w->order_timer, resequence_due);
	list_init(&w->waiting);
	w->max_waiting = params->num_packets / 2;
	w->pool = pool_new(params->num_packets, params->packet_room);
	w->longer = pool_new(NUM_LONGER, POOL_LONGEST);
	w->num_longer = NUM_LONGER;
	if (!w->pool || !w->longer)
		return ERR_NOMEM;
	w->pool->longer = w->longer;
	e = flow_cache_init(&w->flows, params->flow_cache_len, params->spd, params->latches,
			    params->classes, params->rng);
	w->flows.worker = params->index;
	if (e == ERR_OK)
		e = hold_init(&w->hold, hold_capacity(params), params->hold_packets,
			      params->hold_ns);
	w->hold.max_joined = hold_joined(params);
	w->hold.max_super = hold_super(params);
	if (e == ERR_OK)
		e = reasm_init(&w->reasm, params->reasm_packets);
	if (e == ERR_OK)
		e = events_init(&w->events, params->num_packets / 4, params->event_fd);
	if (e == ERR_OK)
		e = greylist_init(&w->greylist, params->rng);
	if (e == ERR_OK)
		e = worker_ike_init(w);
	if (e == ERR_OK)
		e = worker_probe_init(w);
	if (e == ERR_OK)
		e = handoff_init(w, params->handoff_packets);
	if (e == ERR_OK)
		e = aead_work_new(&w->crypto);
	return e;
}

void worker_empty(struct worker *w)
{
	handoff_fini(w);
	worker_ike_fini(w);
	worker_probe_fini(w);
	events_fini(&w->events);
	hold_fini(&w->hold);
	lookaside_free(w->lookaside);
	w->lookaside = NULL;
	reasm_empty(&w->reasm);
	resequence_empty(w);
}

void worker_fini(struct worker *w)
{
	reasm_fini(&w->reasm);
	flow_cache_fini(&w->flows);
	greylist_fini(&w->greylist);
	aead_work_free(w->crypto);
	w->crypto = NULL;
	ipcomp_work_free(w->ipcomp);
	w->ipcomp = NULL;
	pool_free(w->pool);
	pool_free(w->longer);
	w->pool = w->longer = NULL;
}

bool worker_may(const struct worker *w, struct allowance *a, uint32_t a_second)
{
	return allowance_take(a, a_second, w->now_ns);
}

void worker_count_held(struct worker *w)
{
	const uint32_t with_device = w->lookaside ? lookaside_num(w->lookaside) : 0;

	counter_set(&w->count.held,
		    (uint64_t)w->hold.num + w->reasm.num + w->num_waiting + with_device);
}

void worker_drop(struct worker *w, struct packet *p, enum drop_reason why)
{
	p->drop_reason = (uint8_t)why;
	counter_add(&w->count.drops[why], 1);
	packet_put(p);
}

/* num_chained - packets that are behind others. */
static uint32_t num_chained(const struct driver *d, const struct pktvec *v)
{
	uint32_t num = 0;

	for (uint32_t i = 0; d->role == PORT_INNER && i < v->num; i++)
		num += v->pkt[i]->num_parts;
	return num;
}

void worker_flush(struct worker *w, uint16_t port)
{
	struct pktvec *v = &w->tx[port];

	if (v->num == 0)
		return;
	if (unlikely(w->by_ports) && !(w->ports[port] && w->ports[port]->seal))
		inline_seal_all(w, v);
	if (unlikely(!w->ports[port])) {
		handoff_send(w, w->senders[port], port, v);
		return;
	}
	counter_add(&w->count.tx, v->num + num_chained(w->ports[port], v));
	w->ports[port]->ops->tx(w->ports[port], v);
}

void worker_tx_run(struct worker *w, uint16_t port, struct packet *const *pkts, uint32_t n)
{
	const uint32_t room = port < w->num_ports ? pktvec_room(&w->tx[port]) : 0;

	if (likely(n <= room)) {
		memcpy(&w->tx[port].pkt[w->tx[port].num], pkts, n * sizeof(*pkts));
		w->tx[port].num += n;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		worker_tx(w, port, pkts[i]);
}

/* flush_full - vectors that as much again would not fit in are sent now: the segments of a
 * super-packet go as one message, while they are near, and before the next ones are made. */
static void flush_full(struct worker *w)
{
	for (uint16_t port = 0; port < w->num_ports; port++) {
		if (w->tx[port].num > PKTVEC_MAX / 2)
			worker_flush(w, port);
	}
}

static void outbound(struct worker *w, struct pktvec *a)
{
	struct pktvec b, c;

	PASS_RUN(out_classify, w, a, &b);
	while (b.num || out_fit_pending(w)) {
		PASS_RUN(out_fit, w, &b, a);
		PASS_RUN(out_prepare, w, a, &c);
		PASS_RUN(out_encrypt, w, &c, a);
		PASS_RUN(out_path, w, a, &c);
		flush_full(w);
	}
}

void worker_protect(struct worker *w, struct pktvec *v)
{
	struct pktvec a, b;

	PASS_RUN(out_prepare, w, v, &a);
	PASS_RUN(out_encrypt, w, &a, &b);
	PASS_RUN(out_path, w, &b, &a);
	v->num = 0;
}

/* deliver - with what is in v; both vectors are used, so that few lines are touched. */
static inline void deliver(struct worker *w, struct pktvec *v, struct pktvec *spare)
{
	PASS_RUN(in_finish, w, v, spare);
	PASS_RUN(in_join, w, spare, v);
	PASS_RUN(in_deliver, w, v, spare);
}

void worker_deliver(struct worker *w, struct pktvec *v)
{
	struct pktvec spare;

	deliver(w, v, &spare);
	v->num = 0;
}

/* in_turn - the same where some SAs' packets wait for others. */
static void in_turn(struct worker *w, struct pktvec *v)
{
	struct pktvec ready;

	do {
		in_order(w, v, &ready);
		worker_deliver(w, &ready);
	} while (v->num || w->unfinished);
}

/* inbound_clear - what was decrypted. */
static void inbound_clear(struct worker *w, struct pktvec *a)
{
	struct pktvec b;

	PASS_RUN(in_commit, w, a, &b);
	if (unlikely(__atomic_load_n(&w->num_orders, __ATOMIC_RELAXED)))
		in_turn(w, &b);
	else
		deliver(w, &b, a);
	a->num = 0;
}

/* inbound_esp - ESP packets, be it that they came here or were handed over. */
static void inbound_esp(struct worker *w, struct pktvec *a)
{
	struct pktvec b;

	PASS_RUN(in_lookup, w, a, &b);
	PASS_RUN(in_decrypt, w, &b, a);
	inbound_clear(w, a);
}

static void inbound(struct worker *w, struct pktvec *a)
{
	struct pktvec b;

	do {
		PASS_RUN(in_demux, w, a, &b);
		inbound_esp(w, &b);
	} while (a->num);
}

/* ask - the driver of a port, or those of its sources that are known to have something. */
static uint32_t ask(struct worker *w, const struct worker_ready *ready, uint16_t port,
		    struct pktvec *v)
{
	struct driver *d = w->ports[port];

	if (unlikely(!d))
		return 0;
	if (ready && ready->sources[port].any)
		return d->ops->rx_from(d, &ready->sources[port], w->pool, v);
	return d->ops->rx(d, w->pool, v);
}

static uint32_t receive(struct worker *w, const struct worker_ready *ready, uint16_t port)
{
	const struct driver *d = w->ports[port];
	struct pktvec v; /* most of it is written by the driver, if by anybody */
	uint32_t num;

	v.num = 0;
	num = ask(w, ready, port, &v);
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

/* go_on - with what another worker handed over, each packet from where it was. */
static void go_on(struct worker *w, const struct pktvec *v)
{
	struct pktvec clear = {.num = 0}, sealed = {.num = 0};

	for (uint32_t i = 0; i < v->num; i++) {
		struct packet *p = v->pkt[i];

		if (p->flags & PACKET_F_SEND)
			worker_tx(w, p->port, p);
		else if (w->roles[p->port] == PORT_INNER)
			pktvec_push(&clear, p);
		else
			pktvec_push(&sealed, p);
	}
	if (clear.num)
		outbound(w, &clear);
	if (sealed.num)
		inbound_esp(w, &sealed);
}

/* take_handed - a vector from each worker at most, so that a turn stays bounded. */
static uint32_t take_handed(struct worker *w)
{
	uint32_t num = 0;

	for (uint64_t left = handoff_pending(w); left; left &= left - 1) {
		struct pktvec v = {.num = 0};

		handoff_take(w, (uint32_t)__builtin_ctzll(left), &v);
		counter_add(&w->count.taken, v.num);
		num += v.num;
		go_on(w, &v);
	}
	return num;
}

/* take_back - what a lookaside device is done with goes on from there. */
static uint32_t take_back(struct worker *w)
{
	struct pktvec v, none;
	uint32_t num = 0, n;

	lookaside_poll(w);
	while ((n = lookaside_take(w, CRYPT_OUT, &v)) != 0) {
		num += n;
		PASS_RUN(out_path, w, &v, &none);
		flush_full(w);
	}
	while ((n = lookaside_take(w, CRYPT_IN, &v)) != 0) {
		num += n;
		inbound_clear(w, &v);
	}
	return num;
}

/* end_turn - all that the turn made goes where it is meant for. */
static void end_turn(struct worker *w)
{
	for (uint16_t port = 0; port < w->num_ports; port++)
		worker_flush(w, port);
	handoff_notify(w);
	events_flush(&w->events);
}

void worker_settle(struct worker *w)
{
	struct aead_wait wait = {0};

	if (likely(!w->lookaside) || !lookaside_num(w->lookaside))
		return;
	while (lookaside_num(w->lookaside)) {
		if (!aead_wait_on(&wait, take_back(w) > 0))
			lookaside_lose(w);
	}
	end_turn(w);
}

/* retry_held - classify what waits once more; what still has no SA is held again, in order. */
static void retry_held(struct worker *w)
{
	uint32_t left = w->hold.num;

	while (left) {
		struct pktvec v = {.num = 0};

		while (left && pktvec_room(&v)) {
			pktvec_push(&v, hold_pop(&w->hold));
			left--;
		}
		outbound(w, &v);
	}
	hold_tidy(&w->hold);
	worker_count_held(w);
}

/* look_again - SAs or policies are others than before. */
static void look_again(struct worker *w, uint64_t change)
{
	w->hold.change = change;
	if (w->hold.num)
		retry_held(w);
	if (rcu_deref(*w->dummies))
		timer_set(&w->timers, &w->dummy_timer, w->now_ns);
	if (!list_empty(&w->waiting))
		resequence_due(&w->order_timer, w->now_ns);
}

static uint64_t all_ports(const struct worker *w)
{
	return w->num_ports ? UINT64_MAX >> (WORKER_MAX_PORTS - w->num_ports) : 0;
}

uint32_t worker_turn(struct worker *w, const struct worker_ready *ready, uint64_t now_ns)
{
	/* Acquire: what was changed before the counter was bumped is seen by the passes. */
	uint64_t change = __atomic_load_n(w->change, __ATOMIC_ACQUIRE);
	uint32_t num = 0;

	__atomic_store_n(&w->now_ns, now_ns, __ATOMIC_RELAXED);
	events_collect(&w->events);
	worker_ike_take(w);
	worker_probe_take(w);
	if (w->hold.change != change)
		look_again(w, change);
	uint64_t left = ready ? ready->ports : all_ports(w);

	if (unlikely(w->lookaside != NULL)) {
		num += take_back(w);
		left = lookaside_behind(w->lookaside) ? 0 : left;
	}
	num += take_handed(w);
	for (; left; left &= left - 1)
		num += receive(w, ready, (uint16_t)__builtin_ctzll(left));
	timers_run(&w->timers, now_ns);
	end_turn(w);
	return num;
}

uint64_t worker_next(const struct worker *w)
{
	return timers_next(&w->timers);
}
