/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/run.h"

void run_begin(struct sa_run *r, struct esp_sa *sa)
{
	*r = (struct sa_run){.sa = sa, .conf = rcu_deref(sa->conf)};
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

void run_end(struct worker *w, struct sa_run *r)
{
	struct esp_sa *sa = r->sa;

	if (!sa || (r->packets == 0 && r->bytes == 0))
		return;
	const struct sa_lifetime *l = &r->conf->lifetime;

	counter_add(&sa->packets, r->packets);
	counter_add(&sa->bytes, r->bytes);
	counter_set(&sa->last_ns, w->now_ns);
	if (unlikely(sa->packets >= l->soft_packets || sa->bytes >= l->soft_bytes ||
		     sa->seq >= r->conf->soft_seq))
		run_report(w, sa, SA_F_SOFT);
	if (unlikely(sa->packets >= l->hard_packets || sa->bytes >= l->hard_bytes))
		run_report(w, sa, SA_F_HARD);
}
