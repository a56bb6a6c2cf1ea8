/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages about paths, from the control thread to the worker that owns the SA which they
 * are sent by. The worker copies one into a packet of its own and gives it back by a ring. An SA
 * may go while one waits: it is told so before the SA is retired, and a worker that has read the
 * pointer is in a turn, which RCU waits for. */
#include "dataplane/worker.h"

#include "base/alloc.h"
#include "dataplane/passes.h"
#include "dataplane/steer.h"

/* struct probe_message - by which SA and path, and its bytes. */
struct probe_message {
	struct list_node node; /* control: rw */
	struct esp_sa *sa;     /* atomic: NULL once it goes. control: w, worker: r */
	uint16_t path;
	uint16_t len;
	uint8_t bytes[];
};

enum err worker_probe_init(struct worker *w)
{
	list_init(&w->probes);
	w->probe_out = ring_new(PROBE_SEND_MAX);
	w->probe_done = ring_new(PROBE_SEND_MAX);
	return w->probe_out && w->probe_done ? ERR_OK : ERR_NOMEM;
}

static void free_all(struct worker *w, struct ring *ring)
{
	struct probe_message *m;

	while (ring && (m = ring_pop(ring)) != NULL) {
		list_remove(&m->node);
		w->num_probes--;
		mem_free(m);
	}
}

void worker_probe_reclaim(struct worker *w)
{
	free_all(w, w->probe_done);
}

void worker_probe_fini(struct worker *w)
{
	free_all(w, w->probe_out);
	free_all(w, w->probe_done);
	ring_free(w->probe_out);
	ring_free(w->probe_done);
	w->probe_out = w->probe_done = NULL;
}

enum err worker_probe_send(struct worker *w, struct esp_sa *sa, uint16_t path, struct bytes bytes)
{
	struct probe_message *m;

	worker_probe_reclaim(w);
	if (w->num_probes >= PROBE_SEND_MAX)
		return ERR_FULL;
	m = mem_alloc(sizeof(*m) + bytes.len);
	if (!m)
		return ERR_NOMEM;
	m->sa = sa;
	m->path = path;
	m->len = (uint16_t)bytes.len;
	if (bytes.len)
		memcpy(m->bytes, bytes.p, bytes.len);
	if (!ring_push(w->probe_out, m)) {
		mem_free(m);
		return ERR_FULL;
	}
	list_push_back(&w->probes, &m->node);
	w->num_probes++;
	worker_wake(w);
	return ERR_OK;
}

void worker_probe_forget(struct worker *w, const struct esp_sa *sa)
{
	for (struct list_node *n = w->probes.next; n && n != &w->probes; n = n->next) {
		struct probe_message *m = container_of(n, struct probe_message, node);

		if (m->sa == sa)
			__atomic_store_n(&m->sa, NULL, __ATOMIC_RELAXED);
	}
}

/* make - the packet of a message; NULL: its SA is gone, or there is no buffer, and then it was made
 * and dropped, as the books have it. */
static struct packet *make(struct worker *w, const struct probe_message *m)
{
	struct esp_sa *sa = __atomic_load_n(&m->sa, __ATOMIC_RELAXED);
	struct packet *p = sa ? packet_get(w->pool) : NULL;

	if (!sa)
		return NULL;
	counter_add(&w->count.made, 1);
	if (!p || p->pool->data_room < m->len) {
		if (p)
			packet_put(p);
		counter_add(&w->count.drops[DROP_NO_BUFFER], 1);
		return NULL;
	}
	memcpy(p->data, m->bytes, m->len);
	p->len = m->len;
	p->sa = sa;
	p->flow = (uint32_t)m->path << STEER_SHIFT;
	p->flags |= PACKET_F_PROBE;
	return p;
}

void worker_probe_take(struct worker *w)
{
	struct probe_message *m = ring_pop(w->probe_out);
	struct pktvec v; /* most of it is not written, most often none */

	if (likely(!m))
		return;
	v.num = 0;
	for (; m; m = ring_pop(w->probe_out)) {
		struct packet *p = make(w, m);
		bool pushed = ring_push(w->probe_done, m);

		assert(pushed); /* no more than PROBE_SEND_MAX are on their way */
		if (p)
			pktvec_push(&v, p);
		if (pktvec_room(&v) == 0)
			worker_protect(w, &v);
	}
	if (v.num)
		worker_protect(w, &v);
}
