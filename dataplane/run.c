/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/run.h"

static uint64_t less(uint64_t limit, uint64_t used)
{
	return limit > used ? limit - used : 0;
}

void run_begin(struct sa_run *r, struct esp_sa *sa)
{
	const struct sa_conf *c = rcu_deref(sa->conf);

	*r = (struct sa_run){
		.sa = sa,
		.conf = c,
		.max_packets = less(c->lifetime.hard_packets, sa->packets),
		.max_bytes = less(c->lifetime.hard_bytes, sa->bytes),
	};
}

static enum dp_event_kind kind_of(uint8_t flag)
{
	switch (flag) {
	case SA_F_USED:
		return DP_EVENT_CHILD_USED;
	case SA_F_SOFT:
		return DP_EVENT_SOFT;
	default:
		return DP_EVENT_HARD;
	}
}

void run_report(struct worker *w, struct esp_sa *sa, uint8_t flag)
{
	if (sa->flags & flag)
		return;
	struct dp_event ev = {
		.kind = kind_of(flag),
		.child = rcu_deref(sa->conf)->child,
		.time_ns = w->now_ns,
	};

	if (events_push(&w->events, &ev, NULL))
		sa->flags |= flag;
}

void run_end(struct worker *w, const struct sa_run *r, uint64_t packets, uint64_t bytes)
{
	struct esp_sa *sa = r->sa;

	if (!sa || (packets == 0 && bytes == 0))
		return;
	const struct sa_lifetime *l = &r->conf->lifetime;

	counter_add(&sa->packets, packets);
	counter_add(&sa->bytes, bytes);
	counter_set(&sa->last_ns, w->now_ns);
	if (unlikely(sa->packets >= l->soft_packets || sa->bytes >= l->soft_bytes ||
		     sa->seq >= r->conf->soft_seq))
		run_report(w, sa, SA_F_SOFT);
	if (unlikely(sa->packets >= l->hard_packets || sa->bytes >= l->hard_bytes))
		run_report(w, sa, SA_F_HARD);
}
