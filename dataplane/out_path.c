/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/passes.h"
#include "dataplane/path.h"
#include "dataplane/sa.h"

/* struct tally - what went by one path, until the next one is looked at. */
struct tally {
	const struct esp_sa *sa;
	const struct path *path;
	uint64_t packets, bytes;
};

static void flush(const struct worker *w, const struct tally *t)
{
	if (t->path && t->packets) {
		struct path_counters *c = &t->path->counters[w->index];

		counter_add(&c->tx_packets, t->packets);
		counter_add(&c->tx_bytes, t->bytes);
	}
}

void out_path(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	struct tally t = {0};

	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];

		if (p->sa != t.sa) {
			flush(w, &t);
			t = (struct tally){.sa = p->sa,
					   .path = path_pick(rcu_deref(p->sa->conf)->paths)};
		}
		if (unlikely(!t.path)) {
			worker_drop(w, p, DROP_NO_PATH);
			continue;
		}
		t.packets++;
		t.bytes += p->len;
		p->path = t.path;
		p->to = &t.path->addr;
		worker_tx(w, t.path->port, p);
	}
	flush(w, &t);
}
