/* SPDX-License-Identifier: Apache-2.0 */
/* IKE datagrams from the control thread to the worker that owns the socket. Each is a packet with a
 * buffer of its own; the worker gives it back by a ring, since it may not call the allocator. */
#include "dataplane/worker.h"

#include "base/alloc.h"

#define MARKER_LEN 4 /* RFC 3948 2.2 */

/* struct ike_message - a packet, where it goes, and its bytes. */
struct ike_message {
	struct packet packet;
	struct path_addr to;
	uint16_t port;
	uint8_t bytes[];
};

static uint32_t give_nothing(struct pool *pool, struct packet **out, uint32_t n)
{
	(void)pool, (void)out, (void)n;
	return 0;
}

static void take_back(struct pool *pool, struct packet **pkts, uint32_t n)
{
	struct worker *w = container_of(pool, struct worker, ike_pool);

	for (uint32_t i = 0; i < n; i++) {
		bool pushed = ring_push(w->ike_done, pkts[i]);

		assert(pushed); /* no more than IKE_SEND_MAX are on their way */
	}
}

static const struct pool_ops ike_pool_ops = {.get = give_nothing, .put = take_back};

enum err worker_ike_init(struct worker *w)
{
	w->ike_pool = (struct pool){.ops = &ike_pool_ops};
	w->ike_out = ring_new(IKE_SEND_MAX);
	w->ike_done = ring_new(IKE_SEND_MAX);
	return w->ike_out && w->ike_done ? ERR_OK : ERR_NOMEM;
}

static void free_all(struct worker *w, struct ring *ring)
{
	struct packet *p;

	while (ring && (p = ring_pop(ring)) != NULL) {
		w->ike_num--;
		mem_free(container_of(p, struct ike_message, packet));
	}
}

void worker_ike_reclaim(struct worker *w)
{
	free_all(w, w->ike_done);
}

void worker_ike_fini(struct worker *w)
{
	free_all(w, w->ike_out);
	free_all(w, w->ike_done);
	ring_free(w->ike_out);
	ring_free(w->ike_done);
	w->ike_out = w->ike_done = NULL;
}

enum err worker_ike_send(struct worker *w, uint16_t port, const struct path_addr *to,
			 struct bytes bytes, bool raw)
{
	uint32_t marker = !raw && to->encap == ENCAP_UDP ? MARKER_LEN : 0;

	if (bytes.len > IKE_SEND_MAX_LEN)
		return ERR_LIMIT;
	if (port >= w->num_ports || !w->ports[port] || w->roles[port] != PORT_OUTER)
		return ERR_NOT_FOUND;
	worker_ike_reclaim(w);
	if (w->ike_num >= IKE_SEND_MAX)
		return ERR_FULL;
	struct ike_message *m = mem_alloc(sizeof(*m) + marker + bytes.len);

	if (!m)
		return ERR_FULL;
	m->to = *to;
	m->port = port;
	m->packet.buf = m->packet.data = m->bytes; /* the marker is there: four zeros */
	m->packet.len = m->packet.cap = marker + (uint32_t)bytes.len;
	m->packet.pool = &w->ike_pool;
	m->packet.to = &m->to;
	if (bytes.len)
		memcpy(m->bytes + marker, bytes.p, bytes.len);
	if (!ring_push(w->ike_out, &m->packet)) {
		mem_free(m);
		return ERR_FULL;
	}
	w->ike_num++;
	worker_wake(w);
	return ERR_OK;
}

void worker_ike_take(struct worker *w)
{
	struct packet *p;

	while ((p = ring_pop(w->ike_out)) != NULL) {
		counter_add(&w->count.made, 1);
		worker_tx(w, container_of(p, struct ike_message, packet)->port, p);
	}
}
