/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/resequence.h"

#include "base/alloc.h"
#include "dataplane/path.h"
#include "dataplane/sa.h"
#include "dataplane/worker.h"

/* LATELY_NS - a path that delivered nothing for so long is not waited for. Where paths take turns
 * it is as long as a packet waits: what was sent before the last that came by a path may come later
 * by no more than that. */
#define LATELY_NS NS_PER_S

/* passed - the place of a number whose packet has gone on already. */
static struct packet passed;

/* ---- control --------------------------------------------------------------------------------- */

static void resequence_free(struct resequence *r)
{
	mem_free(r->place);
	mem_free(r->entry);
	mem_free(r);
}

struct resequence *resequence_new(uint32_t packets, uint64_t bound_ns, bool turns)
{
	struct resequence *r = mem_alloc(sizeof(*r));
	uint32_t size = 2;

	if (!r)
		return NULL;
	while (size < packets)
		size *= 2;
	r->mask = size - 1;
	r->bound_ns = bound_ns;
	r->turns = turns;
	r->last = r->used = &r->path[0];
	r->place = mem_alloc_array(size, sizeof(struct packet *));
	r->entry = mem_alloc_array(size, sizeof(*r->entry));
	if (!r->place || !r->entry) {
		resequence_free(r);
		return NULL;
	}
	return r;
}

void resequence_set(struct resequence *r, uint64_t bound_ns, bool turns)
{
	__atomic_store_n(&r->bound_ns, bound_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&r->turns, turns, __ATOMIC_RELAXED);
}

/* free_retired - the worker may have slept all the while, and have packets of it still. */
static void free_retired(struct rcu_head *head)
{
	struct resequence *r = container_of(head, struct resequence, rcu);

	/* Acquire pairs with the release in settle(). */
	if (__atomic_load_n(&r->waits, __ATOMIC_ACQUIRE))
		rcu_defer(r->queue, &r->rcu, free_retired);
	else
		resequence_free(r);
}

void resequence_retire(struct resequence *r, struct rcu_queue *q)
{
	if (!r)
		return;
	r->queue = q;
	__atomic_store_n(&r->gone, true, __ATOMIC_RELEASE);
	rcu_defer(q, &r->rcu, free_retired);
}

/* ---- what waits ------------------------------------------------------------------------------ */

static uint64_t bound_of(const struct resequence *r)
{
	return __atomic_load_n(&r->bound_ns, __ATOMIC_RELAXED);
}

static bool in_turns(const struct resequence *r)
{
	return __atomic_load_n(&r->turns, __ATOMIC_RELAXED);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* is_ready - the next one is there, and does not wait for those beside it. */
static bool is_ready(const struct worker *w, const struct resequence *r)
{
	const struct packet *p = r->place[r->next & r->mask];

	return p && (r->next <= r->until || p->hold_until_ns <= w->now_ns);
}

/* release_to - what is not to wait any more goes to out, in order; false: out is full. */
static bool release_to(struct worker *w, struct resequence *r, struct pktvec *out)
{
	while (r->num && (r->next < r->until || is_ready(w, r))) {
		struct packet **at = &r->place[r->next & r->mask];

		if (*at && *at != &passed) {
			if (pktvec_room(out) == 0)
				return false;
			(*at)->hold_until_ns = 0;
			pktvec_push(out, *at);
			w->num_waiting--;
		}
		r->num -= *at != NULL;
		*at = NULL;
		r->next++;
	}
	r->next = later(r->next, r->until);
	return true;
}

/* forget_old - entries whose packets have gone on. */
static void forget_old(struct resequence *r)
{
	while (r->num_entries && r->entry[r->first].seq < r->next) {
		r->first = (r->first + 1) & r->mask;
		r->num_entries--;
	}
}

/* deadline - when the packet that waits longest is given up waiting for. */
static uint64_t deadline(struct resequence *r)
{
	forget_old(r);
	if (!r->num_entries)
		return TIME_NEVER;
	return r->entry[r->first].at_ns + bound_of(r);
}

/* due - when something goes on if nothing comes. */
static uint64_t due(struct resequence *r)
{
	const struct packet *head = r->place[r->next & r->mask];
	const uint64_t at = deadline(r);

	return r->num && head && head->hold_until_ns < at ? head->hold_until_ns : at;
}

static void set_timer(struct worker *w, uint64_t at)
{
	if (!timer_is_set(&w->order_timer) || at < w->order_due) {
		w->order_due = at;
		timer_set(&w->timers, &w->order_timer, at);
	}
}

/* settle - after places were taken or left. */
static void settle(struct worker *w, struct resequence *r)
{
	if (r->num)
		set_timer(w, due(r));
	if (r->num && !list_linked(&r->node))
		list_push_back(&w->waiting, &r->node);
	if (!r->num)
		list_remove(&r->node);
	/* Release: control may free it once this is 0, and it is in no list then. */
	__atomic_store_n(&r->waits, r->num, __ATOMIC_RELEASE);
}

/* even_ns - p waits so long for what other paths may bring, be it the next one. */
static uint64_t even_ns(const struct packet *p)
{
	return p->path ? p->path->even_ns : 0;
}

/* place - p waits; there is room for it. */
static void place(struct worker *w, struct resequence *r, struct packet *p)
{
	struct resequence_entry *e = &r->entry[(r->first + r->num_entries) & r->mask];

	r->place[p->seq & r->mask] = p;
	r->num++;
	w->num_waiting++;
	p->hold_until_ns = w->now_ns + even_ns(p);
	p->path = NULL; /* it may be another by then */
	*e = (struct resequence_entry){.seq = p->seq, .at_ns = w->now_ns};
	r->num_entries++;
}

/* ---- which numbers may still come ------------------------------------------------------------ */

/* path_entry - the entry of a path; where all are taken the one that delivered longest ago. */
static struct resequence_path *path_entry(struct resequence *r, uint16_t id)
{
	struct resequence_path *oldest = &r->path[0];

	for (uint32_t i = 0; i < RESEQUENCE_PATHS; i++) {
		struct resequence_path *e = &r->path[i];

		if (e->highest && e->id == id)
			return e;
		if (e->seen_ns < oldest->seen_ns)
			oldest = e;
	}
	*oldest = (struct resequence_path){.id = id};
	return oldest;
}

/* may_come - smaller numbers, by this path. */
static bool may_come(const struct resequence *r, const struct resequence_path *by,
		     const struct esp_sa *sa, uint64_t now_ns)
{
	const bool turns = in_turns(r);

	if (!by->highest || now_ns - by->seen_ns >= (turns ? bound_of(r) : LATELY_NS))
		return false;
	return !turns || path_with(path_table_of(rcu_deref(sa->conf)->paths), by->id);
}

/* lost_below - what is smaller will not come any more, or is not waited for: a path keeps its
 * order. Where paths take turns all from the turn's begin on are the one's in use. */
static uint64_t lost_below(const struct resequence *r, const struct packet *p, uint64_t now_ns)
{
	uint64_t least = UINT64_MAX;

	if (!bound_of(r))
		return r->top;
	if (in_turns(r) && r->next >= r->turn)
		return r->used->highest;
	for (uint32_t i = 0; i < RESEQUENCE_PATHS; i++) {
		const struct resequence_path *e = &r->path[i];

		if (e->highest < least && may_come(r, e, p->sa, now_ns))
			least = e->highest;
	}
	return least == UINT64_MAX ? r->top : least;
}

/* delivered - a path delivered this number. Whose is the greatest is the path in use. */
static void delivered(struct resequence *r, const struct packet *p, uint64_t now_ns)
{
	struct resequence_path *by = path_entry(r, p->path ? p->path->id : 0);

	by->highest = later(by->highest, p->seq);
	by->seen_ns = now_ns;
	r->last = by;
	if (p->seq > r->top) {
		r->turn = by == r->used ? r->turn : p->seq;
		r->used = by;
		r->top = p->seq;
	}
	r->until = later(r->until, lost_below(r, p, now_ns));
}

/* make_room - for p, in the ring, among the entries and in the worker's pool: the packets that are
 * in its way are waited for no more. */
static void make_room(const struct worker *w, struct resequence *r, const struct packet *p)
{
	if (p->seq > r->next && p->seq - r->next > r->mask)
		r->until = later(r->until, p->seq - r->mask);
	forget_old(r);
	if (r->num_entries > r->mask || (w->num_waiting >= w->max_waiting && r->num_entries))
		r->until = later(r->until, r->entry[r->first].seq + 1);
	else if (w->num_waiting >= w->max_waiting)
		r->until = later(r->until, p->seq);
}

/* is_probe - a control message about paths tells how long its way is: it does not wait. It may come
 * by a path that no packets go by, which is not to be waited for. */
static bool is_probe(const struct packet *p, const struct esp_sa *sa)
{
	return rcu_deref(sa->conf)->mif && p->data[p->len - sa->icv_len - 1u] == ESP_PROBE;
}

/* in_step - p is the next one and comes by the path that brought the one before: it goes on, and
 * nobody else has to be asked. */
static bool in_step(const struct resequence *r, const struct packet *p)
{
	return p->seq == r->next && r->num == 0 && p->path && p->path->id == r->last->id &&
	       r->last == r->used && !p->path->even_ns;
}

static void step(struct resequence *r, const struct packet *p, uint64_t now_ns)
{
	r->last->highest = p->seq;
	r->last->seen_ns = now_ns;
	r->top = p->seq;
	r->next = p->seq + 1;
}

/* is_next - it goes on now, and nothing else does with it. */
static bool is_next(const struct resequence *r, const struct packet *p)
{
	return p->seq == r->next && !r->num && (p->seq <= r->until || !even_ns(p));
}

/* came_already - another one with its number waits, or has gone on before its turn: where nothing
 * is told apart from a repetition (no anti-replay window). */
static bool came_already(const struct resequence *r, const struct packet *p)
{
	return p->seq >= r->next && r->place[p->seq & r->mask];
}

/* take - p goes on, or waits, and what waited for it goes on. False: out is full before p's turn.
 */
static bool take(struct worker *w, struct resequence *r, struct packet *p, struct pktvec *out)
{
	bool probe;

	if (likely(in_step(r, p)) && pktvec_room(out)) {
		step(r, p, w->now_ns);
		pktvec_push(out, p);
		return true;
	}
	probe = is_probe(p, p->sa);
	if (r->next == 0)
		r->next = r->until = p->seq;
	make_room(w, r, p);
	if (!release_to(w, r, out) || pktvec_room(out) == 0)
		return false;
	if (came_already(r, p)) {
		pktvec_push(out, p);
		return true;
	}
	if (!probe)
		delivered(r, p, w->now_ns);
	if (probe || p->seq < r->next || is_next(r, p)) {
		pktvec_push(out, p);
		if (p->seq == r->next && !r->num) {
			r->next++;
		} else if (p->seq >= r->next) {
			r->place[p->seq & r->mask] = &passed;
			r->num++;
		}
	} else {
		place(w, r, p);
	}
	if (!release_to(w, r, out))
		w->unfinished = r;
	return true;
}

void in_order(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	struct resequence *r = w->unfinished;
	uint32_t i = 0;

	out->num = 0;
	if (r) {
		w->unfinished = release_to(w, r, out) ? NULL : r;
		settle(w, r);
	}
	while (!w->unfinished && i < in->num && pktvec_room(out)) {
		struct packet *p = in->pkt[i];
		bool taken = true;

		r = rcu_deref(p->sa->order);
		if (r) {
			taken = take(w, r, p, out);
			settle(w, r);
		} else {
			pktvec_push(out, p);
		}
		if (!taken)
			break;
		i++;
	}
	in->num -= i;
	memmove(in->pkt, in->pkt + i, in->num * sizeof(in->pkt[0]));
	worker_count_held(w);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* drop_all - the SA is gone: nothing of it is touched. */
static void drop_all(struct worker *w, struct resequence *r)
{
	for (uint32_t i = 0; i <= r->mask && r->num; i++) {
		struct packet *p = r->place[i];

		if (!p)
			continue;
		r->place[i] = NULL;
		r->num--;
		if (p == &passed)
			continue;
		w->num_waiting--;
		worker_drop(w, p, DROP_NO_SA);
	}
}

/* expire - what waited for the whole time goes on, and what is before it. */
static void expire(struct worker *w, struct resequence *r, uint64_t now_ns)
{
	bool done;

	while (deadline(r) <= now_ns) {
		r->until = later(r->until, r->entry[r->first].seq + 1);
		r->first = (r->first + 1) & r->mask;
		r->num_entries--;
	}
	do {
		struct pktvec v = {.num = 0};

		done = release_to(w, r, &v);
		worker_deliver(w, &v);
	} while (!done);
}

void resequence_due(struct timer *t, uint64_t now_ns)
{
	struct worker *w = container_of(t, struct worker, order_timer);
	uint64_t next = TIME_NEVER;

	for (struct list_node *n = w->waiting.next, *after; n != &w->waiting; n = after) {
		struct resequence *r = list_entry(n, struct resequence, node);

		after = n->next;
		if (__atomic_load_n(&r->gone, __ATOMIC_ACQUIRE))
			drop_all(w, r);
		else
			expire(w, r, now_ns);
		if (r->num && due(r) < next)
			next = due(r);
		settle(w, r);
	}
	w->order_due = next;
	if (next != TIME_NEVER)
		timer_set(&w->timers, t, next);
	worker_count_held(w);
}

void resequence_empty(struct worker *w)
{
	while (w->waiting.next && !list_empty(&w->waiting)) {
		struct resequence *r = list_entry(w->waiting.next, struct resequence, node);

		for (uint32_t i = 0; i <= r->mask; i++) {
			if (r->place[i] && r->place[i] != &passed)
				packet_put(r->place[i]);
			r->place[i] = NULL;
		}
		r->num = 0;
		settle(w, r);
	}
}
