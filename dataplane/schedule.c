/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/schedule.h"

#include "dataplane/sa.h"

void schedule_tell(struct worker *w, const struct path *path, const struct packet *p)
{
	const struct dp_event ev = {
		.kind = DP_EVENT_BUSY,
		.path_id = path->id,
		.pathset = rcu_deref(p->sa->conf)->paths->id,
		.time_ns = w->now_ns,
	};

	if (p->flags & PACKET_F_PROBE || !events_push(&w->events, &ev, NULL))
		return; /* the next packet is told of */
	__atomic_store_n(&path->count->by[w->index].watched, 0, __ATOMIC_RELAXED);
}

/* leave - packets that are to leave by this path do; what goes one way stays together, so that a
 * driver can send it as one message. */
static void leave(struct worker *w, const struct path *path, struct packet *const *pkts, uint32_t n)
{
	uint64_t bytes = 0;

	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		pkts[i]->path = path;
		pkts[i]->to = &path->addr;
		bytes += packet_whole_len(pkts[i]);
	}
	schedule_go_by(w, path, pkts, n, bytes);
}

/* leave_all - each packet by the path that was found for it, in their order on each. */
static void leave_all(struct worker *w, const struct path_table *t, struct packet *const *pkts,
		      const uint8_t *at, uint32_t n)
{
	for (uint32_t k = 0; k < t->num_active; k++) {
		struct packet *of[PKTVEC_MAX];
		uint32_t num = 0;

		for (uint32_t i = 0; i < n; i++) {
			if (at[i] == k)
				of[num++] = pkts[i];
		}
		leave(w, &t->path[k], of, num);
	}
}

/* ---- flow: all packets of an inner flow by one path -------------------------------------------
 */

static void send_flow(struct worker *w, const struct path_table *t, struct packet *const *pkts,
		      uint32_t n)
{
	uint8_t at[PKTVEC_MAX];

	for (uint32_t i = 0; i < n; i++)
		at[i] = t->buckets[pkts[i]->flow % PATH_BUCKETS];
	leave_all(w, t, pkts, at, n);
}

/* share - quota[i]: buckets of each active path, as many as its weight is of all: the next whole
 * number below, and what that leaves over goes to those that lost most. */
static void share(const struct path_table *t, uint32_t quota[static PATHS_MAX])
{
	uint64_t sum = 0, lost[PATHS_MAX];
	uint32_t left = PATH_BUCKETS;

	for (uint32_t i = 0; i < t->num_active; i++)
		sum += t->path[i].weight;
	for (uint32_t i = 0; i < t->num_active; i++) {
		const uint64_t part = (uint64_t)PATH_BUCKETS * t->path[i].weight;

		quota[i] = (uint32_t)(part / sum);
		lost[i] = part % sum;
		left -= quota[i];
	}
	for (; left; left--) {
		uint32_t most = 0;

		for (uint32_t i = 1; i < t->num_active; i++) {
			if (lost[i] > lost[most])
				most = i;
		}
		quota[most]++;
		lost[most] = 0;
	}
}

/* active_at - where the active path with this id is; PATHS_MAX: nowhere. */
static uint32_t active_at(const struct path_table *t, uint16_t id)
{
	for (uint32_t i = 0; i < t->num_active; i++) {
		if (t->path[i].id == id)
			return i;
	}
	return PATHS_MAX;
}

/* whose - the path that has bucket b in the table before, or had all; PATHS_MAX: none. */
static uint32_t whose(const struct path_table *t, const struct path_table *old, uint32_t b)
{
	if (!old || !old->num_active)
		return PATHS_MAX;
	if (old->num_active > 1 && !old->buckets)
		return PATHS_MAX;
	return active_at(t, old->path[old->buckets ? old->buckets[b] : 0].id);
}

/* deal_flow - a path keeps the buckets that it has up to its share: no flow changes its way that
 * need not. */
static void deal_flow(struct path_table *t, const struct path_table *old)
{
	uint32_t quota[PATHS_MAX];

	share(t, quota);
	for (uint32_t b = 0; b < PATH_BUCKETS; b++) {
		const uint32_t i = whose(t, old, b);

		t->buckets[b] = PATHS_MAX;
		if (i == PATHS_MAX || quota[i] == 0)
			continue;
		t->buckets[b] = (uint8_t)i;
		quota[i]--;
	}
	for (uint32_t b = 0, i = 0; b < PATH_BUCKETS; b++) {
		if (t->buckets[b] != PATHS_MAX)
			continue;
		while (quota[i] == 0)
			i++;
		t->buckets[b] = (uint8_t)i;
		quota[i]--;
	}
}

/* ---- spray: packet by packet -------------------------------------------------------------------
 */

/* join_in - paths that became active begin where the one is that was given least: what they missed
 * is not made up for by a burst. */
static void join_in(const struct path_table *t, uint32_t worker)
{
	uint64_t least = 0;
	bool any = false;

	for (uint32_t i = 0; i < t->num_active; i++) {
		const struct path_counters *c = &t->path[i].count->by[worker];

		if (c->since == t->path[i].since && (!any || (int64_t)(c->spent - least) < 0)) {
			least = c->spent;
			any = true;
		}
	}
	for (uint32_t i = 0; i < t->num_active; i++) {
		struct path_counters *c = &t->path[i].count->by[worker];

		if (likely(c->since == t->path[i].since))
			continue;
		c->since = t->path[i].since;
		c->spent = least;
	}
}

/* send_spray - each packet by the path that was given least for its weight, but for a time in which
 * one carries all. */
static void send_spray(struct worker *w, const struct path_table *t, struct packet *const *pkts,
		       uint32_t n)
{
	uint8_t at[PKTVEC_MAX];

	if (t->alone) {
		leave(w, t->alone, pkts, n);
		return;
	}
	join_in(t, w->index);
	for (uint32_t i = 0; i < n; i++) {
		struct path_counters *least = &t->path[0].count->by[w->index];

		at[i] = 0;
		for (uint32_t k = 1; k < t->num_active; k++) {
			struct path_counters *c = &t->path[k].count->by[w->index];

			if ((int64_t)(c->spent - least->spent) < 0) {
				least = c;
				at[i] = (uint8_t)k;
			}
		}
		least->spent += (uint64_t)packet_whole_len(pkts[i]) * t->path[at[i]].stride;
	}
	leave_all(w, t, pkts, at, n);
}

/* ---- duplicate: every packet by every path -----------------------------------------------------
 */

/* copy - of an ESP packet, open or sealed. NULL: there is no buffer: it was made and dropped, as
 * the books have it. */
static struct packet *copy(struct worker *w, const struct packet *p)
{
	const uint32_t len = packet_whole_len(p);
	struct packet *c = packet_get(len <= w->pool->data_room ? w->pool : w->longer);

	counter_add(&w->count.made, 1);
	if (unlikely(!c)) {
		counter_add(&w->count.drops[DROP_NO_BUFFER], 1);
		return NULL;
	}
	memcpy(c->data, p->data, len);
	c->len = p->len;
	c->open_len = p->open_len;
	c->key = p->key;
	c->sa = p->sa;
	c->seq = p->seq;
	c->flags = p->flags;
	c->port = p->port;
	c->dscp_ecn = p->dscp_ecn;
	c->next_header = p->next_header;
	c->token = p->token;
	c->flow = p->flow;
	return c;
}

/* send_duplicate - copies first: who sends the packets themselves may be done with them. */
static void send_duplicate(struct worker *w, const struct path_table *t, struct packet *const *pkts,
			   uint32_t n)
{
	for (uint32_t k = 1; k < t->num_active; k++) {
		struct packet *of[PKTVEC_MAX];
		uint32_t num = 0;

		for (uint32_t i = 0; i < n; i++) {
			of[num] = copy(w, pkts[i]);
			num += of[num] != NULL;
		}
		leave(w, &t->path[k], of, num);
	}
	leave(w, &t->path[0], pkts, n);
}

const struct schedule *schedule_of(enum path_schedule schedule)
{
	static const struct schedule table[] = {
		[SCHEDULE_FAILOVER] = {.one = true},
		[SCHEDULE_FLOW] = {.send = send_flow, .deal = deal_flow},
		[SCHEDULE_SPRAY] = {.send = send_spray},
		[SCHEDULE_DUPLICATE] = {.send = send_duplicate},
	};

	return &table[schedule];
}
