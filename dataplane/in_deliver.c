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
		part->flags |= p->flags & PACKET_F_HOST;
		counter_add(&w->count.made, 1);
		worker_tx(w, packet_inner_port(w, p), part);
	}
	counter_add(&w->count.consumed, 1);
	packet_put(p);
}

/* another_asks - a policy says what becomes of p where a router would send it (RFC 4301 5.2): it is
 * looked up as if it came from our side. What shows no ports counts as if it had those of any. */
static bool another_asks(struct worker *w, struct packet *p)
{
	const struct flow_entry *e;
	struct flow_id id;

	if (unlikely(!flow_parse_fast(&id, p, FLOW_OUT, p->scope))) {
		if (!flow_parse(&id, p, FLOW_OUT))
			return true;
		if (p->flags & PACKET_F_FRAGMENT && spd_wants_whole(w->spd))
			return true;
		flow_scope(&id, p->scope);
	}
	e = flow_cache_get(&w->flows, &id, flow_cache_place(&w->flows, &id),
			   flow_cache_epoch(&w->flows), w->now_ns);
	return e->verdict != DROP_NO_POLICY && e->verdict != DROP_POLICY_BYPASS;
}

/* is_routed - the port is a router's, though another worker have its queue. */
static bool is_routed(const struct worker *w, uint16_t port)
{
	return port < w->num_ports && w->routed >> port & 1;
}

/* deliver - to a port that needs a closer look at p. IPv4 is put together for good: who forwards it
 * may cut it again. */
static void deliver(struct worker *w, struct packet *p, uint16_t port, bool routed)
{
	if (routed && another_asks(w, p))
		p->flags |= PACKET_F_HOST;
	if (p->flags & PACKET_F_JOINED && p->data[0] >> 4 == 6 && p->len > p->mtu)
		cut(w, p);
	else
		worker_tx(w, port, p);
}

/* as_they_are - how many from in->pkt[i] on go to that port by themselves. */
static uint32_t as_they_are(const struct worker *w, const struct pktvec *in, uint32_t i,
			    uint16_t port)
{
	uint32_t n = 0;

	while (i + n < in->num && packet_inner_port(w, in->pkt[i + n]) == port &&
	       !(in->pkt[i + n]->flags & PACKET_F_JOINED))
		n++;
	return n;
}

void in_deliver(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	uint32_t n;

	out->num = 0;
	for (uint32_t i = 0; i < in->num; i += n) {
		const uint16_t port = packet_inner_port(w, in->pkt[i]);
		const bool routed = is_routed(w, port);

		n = routed ? 0 : as_they_are(w, in, i, port);
		if (likely(n)) {
			worker_tx_run(w, port, &in->pkt[i], n);
			continue;
		}
		deliver(w, in->pkt[i], port, routed);
		n = 1;
	}
}
