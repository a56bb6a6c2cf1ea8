/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/passes.h"
#include "dataplane/path.h"
#include "dataplane/sa.h"

/* go_by - successive packets of one SA by its path; bytes of all of them. */
static void go_by(struct worker *w, const struct path *path, struct packet *const *pkts, uint32_t n,
		  uint64_t bytes)
{
	struct path_counters *c = &path->counters[w->index];

	counter_add(&c->tx_packets, n);
	counter_add(&c->tx_bytes, bytes);
	worker_tx_run(w, path->port, pkts, n);
}

void out_path(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	uint32_t n;

	out->num = 0;
	for (uint32_t i = 0; i < in->num; i += n) {
		const struct esp_sa *sa = in->pkt[i]->sa;
		const struct path *path = path_pick(rcu_deref(sa->conf)->paths);
		uint64_t bytes = 0;

		for (n = 0; i + n < in->num && in->pkt[i + n]->sa == sa; n++) {
			struct packet *p = in->pkt[i + n];

			p->path = path;
			p->to = path ? &path->addr : NULL;
			bytes += packet_whole_len(p);
		}
		if (likely(path != NULL)) {
			go_by(w, path, &in->pkt[i], n, bytes);
			continue;
		}
		for (uint32_t k = 0; k < n; k++)
			worker_drop(w, in->pkt[i + k], DROP_NO_PATH);
	}
}
