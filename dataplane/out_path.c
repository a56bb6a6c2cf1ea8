/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/passes.h"
#include "dataplane/sa.h"
#include "dataplane/schedule.h"

/* by_its_own - a control message leaves by the path that it is about, whatever is thought of it. */
static void by_its_own(struct worker *w, const struct path_table *t, struct packet *p)
{
	const struct path *path = path_with(t, p->flow);

	if (!path) {
		worker_drop(w, p, DROP_NO_PATH);
		return;
	}
	p->path = path;
	p->to = &path->addr;
	schedule_go_by(w, path, &p, 1, packet_whole_len(p));
}

/* send_run - n packets of one SA, none of which is a control message; those are bytes. They have
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
	for (uint32_t k = 0; k < n; k++)
		worker_drop(w, pkts[k], DROP_NO_PATH);
}

/* one_by_one - packets some of which are control messages. */
static void one_by_one(struct worker *w, const struct path_table *t, struct packet *const *pkts,
		       uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (pkts[i]->flags & PACKET_F_PROBE)
			by_its_own(w, t, pkts[i]);
		else
			send_run(w, t, &pkts[i], 1, packet_whole_len(pkts[i]));
	}
}

void out_path(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	uint32_t n;

	out->num = 0;
	for (uint32_t i = 0; i < in->num; i += n) {
		const struct esp_sa *sa = in->pkt[i]->sa;
		const struct path_table *t = path_table_of(rcu_deref(sa->conf)->paths);
		uint64_t bytes = 0;
		uint16_t flags = 0;

		for (n = 0; i + n < in->num && in->pkt[i + n]->sa == sa; n++) {
			struct packet *p = in->pkt[i + n];

			p->path = t->path;
			p->to = &t->path->addr;
			bytes += packet_whole_len(p);
			flags |= p->flags;
		}
		if (unlikely(flags & PACKET_F_PROBE))
			one_by_one(w, t, &in->pkt[i], n);
		else
			send_run(w, t, &in->pkt[i], n, bytes);
	}
}
