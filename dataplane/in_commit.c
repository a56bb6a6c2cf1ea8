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

/* flush - packets of one SA that came one behind the other by a path go into its counters. Where
 * repetitions are not told apart they earn nothing. */
static void flush(const struct worker *w, const struct esp_sa *sa, const struct path *path,
		  uint64_t packets, uint64_t bytes)
{
	if (packets == 0)
		return;
	struct path_counters *c = &path->count->by[w->index];

	counter_add(&c->rx_packets, packets);
	counter_add(&c->rx_bytes, bytes);
	if (unlikely(path->lent) && !sa->replay->off)
		path_earn(path, bytes);
}

/* commit - accept an authenticated packet, the run's packets-th: checked again, since one batch can
 * hold it twice. */
static inline enum drop_reason commit(struct worker *w, const struct sa_run *run, uint64_t packets,
				      const struct packet *p)
{
	struct esp_sa *sa = run->sa;

	if (unlikely(run_over(run, packets, 0))) {
		run_report(w, sa, SA_F_HARD);
		return DROP_LIFETIME;
	}
	if (unlikely(!replay_commit(sa->replay, p->seq))) {
		counter_add(&sa->num_replay, 1);
		return DROP_REPLAY;
	}
	return DROP_NONE;
}

/* struct arrivals - what came by one path, not counted yet. */
struct arrivals {
	const struct path *path;
	uint64_t packets, bytes;
};

/* is_probe - a control message about paths says itself where it came from: nobody moved. */
static bool is_probe(const struct packet *p)
{
	const struct esp_sa *sa = p->sa;

	return rcu_deref(sa->conf)->mif && p->data[p->len - sa->icv_len - 1u] == ESP_PROBE;
}

/* elsewhere - p did not come by the path that the packet before it came by. What comes from the
 * addresses of no path is counted where there is one path only, unless what comes by that one is
 * to be known exactly, and the newest says where the peer is. */
static void elsewhere(struct worker *w, struct arrivals *a, const struct path_table *t,
		      struct packet *p, bool newest)
{
	const struct path *path = path_by(t, p->port, &p->from);

	if (!path && newest && !is_probe(p))
		report_moved(w, p->sa, p);
	p->path = path;
	if (!path && (t->num > 1 || t->path->lent))
		return;
	if (path && path != a->path) {
		flush(w, p->sa, a->path, a->packets, a->bytes);
		*a = (struct arrivals){.path = path};
	}
	a->packets++;
	a->bytes += p->len;
}

void in_commit(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	const struct path_table *t = NULL;
	struct sa_run run = {0};
	struct arrivals by = {0};
	uint64_t packets = 0;
	uint32_t num = 0;

	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];

		if (p->sa != run.sa) {
			flush(w, run.sa, by.path, by.packets, by.bytes);
			run_end(w, &run, packets, 0);
			run_begin(&run, p->sa);
			t = path_table_of(run.conf->paths);
			by = (struct arrivals){.path = t->path};
			packets = 0;
		}
		const bool same = path_is_from(by.path, p->port, &p->from);
		const bool newest = !same && p->seq > run.sa->replay->top; /* before it counts */
		enum drop_reason why = commit(w, &run, packets, p);

		if (unlikely(why != DROP_NONE)) {
			worker_drop(w, p, why);
			continue;
		}
		if (likely(same)) {
			p->path = by.path;
			by.packets++;
			by.bytes += p->len;
		} else {
			/* A copy: `by` itself stays in registers. */
			struct arrivals other = by;

			elsewhere(w, &other, t, p, newest);
			by = other;
		}
		if (unlikely(!(run.sa->flags & SA_F_USED)))
			run_report(w, run.sa, SA_F_USED);
		packets++;
		out->pkt[num++] = p;
	}
	out->num = num;
	flush(w, run.sa, by.path, by.packets, by.bytes);
	run_end(w, &run, packets, 0);
}
