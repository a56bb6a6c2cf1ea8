/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/sibling.h"

#include "base/alloc.h"

struct sibling_ask *sibling_asks_new(uint32_t num_workers)
{
	return mem_alloc_aligned(CACHE_LINE, num_workers * sizeof(struct sibling_ask));
}

void sibling_ask(struct worker *w, const struct packet *p, const struct flow_entry *e)
{
	uint64_t *asked_ns = &e->sa->asks[w->index].asked_ns;
	struct flow_key key;
	struct dp_event ev = {
		.kind = DP_EVENT_SIBLING,
		.worker = w->index,
		.group = e->group->id,
		.time_ns = w->now_ns,
	};

	if (p->flags & PACKET_F_HANDED || w->num_workers == 1)
		return;
	if (*asked_ns && w->now_ns - *asked_ns < SIBLING_AGAIN_NS)
		return;
	ev.child = rcu_deref(e->sa->conf)->child;
	key = flow_key(&e->id);
	ev.flow = key.flow;
	ev.flow.no_ports = key.no_ports != 0;
	/* If there is no record now, the next packet asks again. */
	if (events_push(&w->events, &ev, NULL))
		*asked_ns = w->now_ns ? w->now_ns : 1;
}
