/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/passes.h"
#include "dataplane/sa.h"
#include "dataplane/schedule.h"
#include "dataplane/steer.h"

/* send_on_loan - by a path that has not answered yet: as much as may go there. */
static void send_on_loan(struct worker *w, const struct path *path, struct packet *const *pkts,
			 uint32_t n)
{
	uint64_t bytes = 0;
	uint32_t num = 0;

	for (; num < n; num++) {
		const uint32_t len = packet_whole_len(pkts[num]);

		if (!path_borrow(path, len + PATH_HEADERS))
			break;
		pkts[num]->path = path;
		pkts[num]->to = &path->addr;
		bytes += len;
	}
	if (num)
		schedule_go_by(w, path, pkts, num, bytes);
	for (uint32_t k = num; k < n; k++)
		worker_drop(w, pkts[k], DROP_UNPROVEN);
}

/* send_run - n packets of one SA, none of which has a path of its own; those are bytes. They have
 * the first path. */
static inline void send_run(struct worker *w, const struct path_table *t,
			    struct packet *const *pkts, uint32_t n, uint64_t bytes)
{
	if (unlikely(t->spread != NULL)) {
		t->spread->send(w, t, pkts, n);
		return;
	}
	if (likely(t->num_active)) {
		schedule_go_by(w, t->path, pkts, n, bytes);
		return;
	}
	if (t->on_loan) {
		send_on_loan(w, t->path, pkts, n);
		return;
	}
	for (uint32_t k = 0; k < n; k++)
		worker_drop(w, pkts[k], DROP_NO_PATH);
}

/* send_steered - n packets that are to go by the path with this id; 0: by none of their own.
 * Control messages do so whatever is thought of it, others while it is usable and is not left. */
static void send_steered(struct worker *w, const struct path_table *t, uint32_t id,
			 struct packet *const *pkts, uint32_t n)
{
	const bool probe = pkts[0]->flags & PACKET_F_PROBE;
	const struct path *path = id ? path_with(t, id) : NULL;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++)
		bytes += packet_whole_len(pkts[i]);
	if (!probe && (!path || !path->usable || path->leaving)) {
		send_run(w, t, pkts, n, bytes);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!path) {
			worker_drop(w, pkts[i], DROP_NO_PATH);
			continue;
		}
		pkts[i]->path = path;
		pkts[i]->to = &path->addr;
	}
	if (!path)
		return;
	if (path->lent)
		path_owe(path, bytes + (uint64_t)n * PATH_HEADERS);
	schedule_go_by(w, path, pkts, n, bytes);
}

/* go_apart - packets some of which have a path of their own, as all of them have one to which their
 * SA is tied: those that go alike stay together. */
static void go_apart(struct worker *w, const struct path_table *t, uint32_t tied,
		     struct packet *const *pkts, uint32_t n)
{
	uint32_t same;

	for (uint32_t i = 0; i < n; i += same) {
		const uint32_t id = pkts[i]->flow >> STEER_SHIFT;
		const uint16_t probe = pkts[i]->flags & PACKET_F_PROBE;

		same = 1;
		while (i + same < n && pkts[i + same]->flow >> STEER_SHIFT == id &&
		       (pkts[i + same]->flags & PACKET_F_PROBE) == probe)
			same++;
		send_steered(w, t, id ? id : tied, &pkts[i], same);
	}
}

void out_path(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	uint32_t n;

	out->num = 0;
	for (uint32_t i = 0; i < in->num; i += n) {
		const struct esp_sa *sa = in->pkt[i]->sa;
		const struct sa_conf *conf = rcu_deref(sa->conf);
		const struct path_table *t = path_table_of(conf->paths);
		const uint32_t tied = __atomic_load_n(&conf->tied, __ATOMIC_RELAXED);
		uint64_t bytes = 0;
		uint32_t flows = 0;

		for (n = 0; i + n < in->num && in->pkt[i + n]->sa == sa; n++) {
			struct packet *p = in->pkt[i + n];

			p->path = t->path;
			p->to = &t->path->addr;
			bytes += packet_whole_len(p);
			flows |= p->flow;
		}
		if (unlikely(flows >> STEER_SHIFT || tied))
			go_apart(w, t, tied, &in->pkt[i], n);
		else
			send_run(w, t, &in->pkt[i], n, bytes);
	}
}
