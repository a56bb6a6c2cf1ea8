/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/path.h"
#include "dataplane/run.h"

/* MOVED_NS - a peer that sends from elsewhere is reported at most so often, per SA. */
#define MOVED_NS NS_PER_S

/* report_moved - only the newest packet may say where the peer is (S57). */
static void report_moved(struct worker *w, struct esp_sa *sa, const struct packet *p)
{
	if (sa->moved_ns && w->now_ns - sa->moved_ns < MOVED_NS)
		return;
	struct dp_event ev = {
		.kind = DP_EVENT_MOVED,
		.port = p->port,
		.child = rcu_deref(sa->conf)->child,
		.path = p->from,
		.time_ns = w->now_ns,
	};

	if (events_push(&w->events, &ev, NULL))
		sa->moved_ns = w->now_ns ? w->now_ns : 1;
}

/* flush - packets of a run of one SA go into the counters of its path. */
static void flush(const struct worker *w, const struct path *path, uint64_t packets, uint64_t bytes)
{
	if (packets == 0)
		return;
	struct path_counters *c = &path->counters[w->index];

	counter_add(&c->rx_packets, packets);
	counter_add(&c->rx_bytes, bytes);
}

/* commit - accept an authenticated packet, the run's packets-th: checked again, since one batch can
 * hold it twice. */
static inline enum drop_reason commit(struct worker *w, const struct sa_run *run, uint64_t packets,
				      const struct path *path, struct packet *p)
{
	struct esp_sa *sa = run->sa;
	bool newest = p->seq > sa->replay->top;

	if (unlikely(run_over(run, packets, 0))) {
		run_report(w, sa, SA_F_HARD);
		return DROP_LIFETIME;
	}
	if (unlikely(!replay_commit(sa->replay, p->seq))) {
		counter_add(&sa->num_replay, 1);
		return DROP_REPLAY;
	}
	if (likely(path_is_from(path, p->port, &p->from)))
		p->path = path;
	else if (newest)
		report_moved(w, sa, p);
	return DROP_NONE;
}

void in_commit(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	struct sa_run run = {0};
	const struct path *path = NULL;
	uint64_t packets = 0, bytes = 0;
	uint32_t num = 0;

	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];

		if (p->sa != run.sa) {
			flush(w, path, packets, bytes);
			run_end(w, &run, packets, 0);
			run_begin(&run, p->sa);
			path = rcu_deref(run.conf->paths->path);
			packets = bytes = 0;
		}
		enum drop_reason why = commit(w, &run, packets, path, p);

		if (unlikely(why != DROP_NONE)) {
			worker_drop(w, p, why);
			continue;
		}
		if (unlikely(!(run.sa->flags & SA_F_USED)))
			run_report(w, run.sa, SA_F_USED);
		packets++;
		bytes += p->len;
		out->pkt[num++] = p;
	}
	out->num = num;
	flush(w, path, packets, bytes);
	run_end(w, &run, packets, 0);
}
