/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/passes.h"

/* cut - a packet that was put together goes on in fragments as long as those it came in: a router
 * behind us may not cut it (RFC 8200 4.5). They follow one another, so that the host, where it is
 * for it, has them whole at once. */
static void cut(struct worker *w, struct packet *p)
{
	struct fragment_cut c;
	bool more = true;

	if (!fragment_cut_begin(&c, p, p->mtu)) {
		worker_drop(w, p, DROP_TOO_BIG);
		return;
	}
	while (more) {
		struct packet *part = packet_get(w->pool);

		if (!part || part->pool->data_room < p->mtu) {
			if (part)
				packet_put(part);
			worker_drop(w, p, DROP_NO_BUFFER);
			return;
		}
		more = fragment_cut_next(&c, part);
		counter_add(&w->count.made, 1);
		worker_tx(w, packet_inner_port(w, p), part);
	}
	counter_add(&w->count.consumed, 1);
	packet_put(p);
}

/* deliver - IPv4 is put together for good: who forwards it may cut it again. */
static inline void deliver(struct worker *w, struct packet *p)
{
	if (unlikely(p->flags & PACKET_F_JOINED) && p->data[0] >> 4 == 6 && p->len > p->mtu)
		cut(w, p);
	else
		worker_tx(w, packet_inner_port(w, p), p);
}

void in_deliver(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	out->num = 0;
	for (uint32_t i = 0; i < in->num; i++)
		deliver(w, in->pkt[i]);
}
