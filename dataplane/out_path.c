/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/passes.h"
#include "dataplane/sa.h"
#include "dataplane/schedule.h"

void out_path(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	uint32_t n;

	out->num = 0;
	for (uint32_t i = 0; i < in->num; i += n) {
		const struct esp_sa *sa = in->pkt[i]->sa;
		const struct path_table *t = path_table_of(rcu_deref(sa->conf)->paths);
		const struct path *path = path_first(t);
		uint64_t bytes = 0;

		for (n = 0; i + n < in->num && in->pkt[i + n]->sa == sa; n++) {
			struct packet *p = in->pkt[i + n];

			p->path = path;
			p->to = path ? &path->addr : NULL;
			bytes += packet_whole_len(p);
		}
		if (unlikely(t->spread != NULL)) {
			t->spread->send(w, t, &in->pkt[i], n);
			continue;
		}
		if (likely(path != NULL)) {
			schedule_go_by(w, path, &in->pkt[i], n, bytes);
			continue;
		}
		for (uint32_t k = 0; k < n; k++)
			worker_drop(w, in->pkt[i + k], DROP_NO_PATH);
	}
}
