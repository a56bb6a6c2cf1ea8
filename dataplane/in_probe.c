/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/passes.h"
#include "dataplane/path.h"
#include "dataplane/sa.h"

/* PROBES_A_SECOND - of one SA: eight paths that are asked and answer every 10 ms. */
#define PROBES_A_SECOND 2000

/* arrived - it is later than when the turn began, by what the thread did not run since: a round
 * trip must not seem shorter than it is, for the least one says what is a queue. */
static uint64_t arrived(const struct worker *w)
{
	return w->clock ? w->clock() : w->now_ns;
}

void in_probe(struct worker *w, struct packet *p, const struct sa_conf *c)
{
	const struct path_counters came =
		p->path ? path_count_sum(p->path, w->num_workers) : (struct path_counters){0};
	struct dp_event ev = {
		.kind = DP_EVENT_PROBE,
		.port = p->port,
		.child = c->child,
		.path = p->from,
		.path_id = p->path ? p->path->id : 0,
		.top = p->sa->replay->top,
		.came_packets = came.rx_packets,
		.came_bytes = came.rx_bytes,
		.bytes = bytes_of(p->data, p->len),
		.time_ns = arrived(w),
	};

	if (!allowance_take(&p->sa->probes, PROBES_A_SECOND, w->now_ns))
		worker_drop(w, p, DROP_PROBE_RATE);
	else if (events_hears_probe(&w->events) && events_push(&w->events, &ev, p))
		counter_add(&w->count.punted, 1);
	else
		worker_drop(w, p, DROP_PUNT_FULL);
}
