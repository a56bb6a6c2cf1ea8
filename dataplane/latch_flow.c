/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/latch_flow.h"

#include "base/clock.h"
#include "dataplane/listener.h"

static uint32_t now_s(const struct worker *w)
{
	return (uint32_t)(w->now_ns / NS_PER_S);
}

/* begins - the packet asks for a connection: it is the first of its flow. */
static bool begins(uint8_t tcp)
{
	return (tcp & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/* tell - control that a listener has a flow, or that somebody else tried one (listener 0). */
static void tell(struct worker *w, enum dp_event_kind kind, const struct flow_entry *e,
		 uint32_t token, uint32_t listener)
{
	struct flow_key key = flow_key(&e->id);
	struct dp_event ev = {
		.kind = kind,
		.flow = key.flow,
		.token = token,
		.listener = listener,
		.scope = key.scope,
		.time_ns = w->now_ns,
	};

	ev.flow.no_ports = key.no_ports != 0;
	if (!events_push(&w->events, &ev, NULL))
		counter_add(&w->count.untold, 1);
}

/* latch - the flow is tied to the class from now on; what is remembered of it is looked up again.
 * EXISTS: it was just latched, by another worker. */
static enum err latch(struct worker *w, struct flow_entry *e, uint32_t token, uint32_t flags,
		      uint32_t listener)
{
	struct latch *l;
	enum err err =
		latch_enter(w->latches, &l, &e->id, latch_word(token, flags), now_s(w), listener);

	e->epoch = 0;
	if (err == ERR_FULL) {
		counter_add(&w->count.unlatched, 1);
		e->no_room = true;
	}
	if (err != ERR_OK)
		return err;
	if (listener)
		tell(w, DP_EVENT_SPAWNED, e, token, listener);
	return ERR_OK;
}

/* latch_new - a flow that has no latch gets one, if it is a listener's or TCP's. */
static enum drop_reason latch_new(struct worker *w, struct flow_entry *e, const struct sa_conf *c,
				  uint8_t tcp, bool is_tcp, uint32_t flags)
{
	const struct listeners *set = rcu_deref(*w->listeners);
	const struct listener *own = listeners_find(set, &e->id);

	if (!own && !is_tcp)
		return DROP_NONE;
	if (own && (!listener_allows(set, own, c) || (is_tcp && !begins(tcp))))
		return DROP_LATCH;
	if (is_tcp && !begins(tcp))
		flags |= LATCH_F_LATE | LATCH_F_UP;
	if (is_tcp)
		flags |= LATCH_F_TCP;
	enum err err = latch(w, e, c->token, flags, own ? own->number : 0);

	if (err == ERR_FULL && !own)
		return DROP_NONE; /* who only would know is told nothing */
	return err == ERR_OK ? DROP_NONE : DROP_LATCH;
}

/* change - the latch as it is now becomes one with other flags and perhaps another class. */
static void change(struct worker *w, struct flow_entry *e, uint64_t from, uint32_t token,
		   uint32_t flags)
{
	if (latch_change(w->latches, e->latch, from, latch_word(token, flags)))
		e->epoch = 0;
}

enum drop_reason latch_out(struct worker *w, const struct packet *p, struct flow_entry *e,
			   uint16_t port)
{
	const bool is_tcp = latch_is_tcp(w, &e->id, port);
	const uint8_t tcp = is_tcp ? latch_tcp_flags(p) : 0;

	if (!e->latch)
		return latch_new(w, e, rcu_deref(e->sa->conf), tcp, is_tcp, 0);
	uint64_t word = latch_get(e->latch);
	uint32_t flags = latch_flags(word);

	if (!(flags & LATCH_F_TCP))
		return DROP_NONE;
	if (begins(tcp) && !(flags & LATCH_F_HELD)) {
		/* Our host begins anew: what it had before is over, and with whom it was. */
		flow_cache_anew(&w->flows, e);
		if (e->verdict == DROP_NONE && e->owner == w->index)
			change(w, e, word, rcu_deref(e->sa->conf)->token, LATCH_F_TCP);
		return (enum drop_reason)e->verdict;
	}
	if (tcp & (TCP_FIN | TCP_RST) && !(flags & LATCH_F_ENDS))
		change(w, e, word, latch_token(word), flags | LATCH_F_ENDS);
	return DROP_NONE;
}

/* advance - an authentic packet of a TCP flow says how far the connection is. */
static void advance(struct worker *w, struct flow_entry *e, uint64_t word, uint8_t tcp)
{
	uint32_t flags = latch_flags(word), next = flags;

	if (!(flags & LATCH_F_TCP))
		return;
	if (begins(tcp) && (flags & LATCH_F_ENDS || !(flags & LATCH_F_UP)))
		next = LATCH_F_TCP | LATCH_F_IN | (flags & LATCH_F_HELD);
	else if (tcp & (TCP_FIN | TCP_RST))
		next |= LATCH_F_ENDS;
	else if (tcp & TCP_ACK)
		next |= LATCH_F_UP;
	if (next != flags)
		change(w, e, word, latch_token(word), next);
}

enum drop_reason latch_in(struct worker *w, const struct packet *p, struct flow_entry *e,
			  const struct sa_conf *c, uint16_t port)
{
	const bool is_tcp = latch_is_tcp(w, &e->id, port);
	const uint8_t tcp = is_tcp ? latch_tcp_flags(p) : 0;

	if (!e->latch)
		return latch_new(w, e, c, tcp, is_tcp, LATCH_F_IN);
	uint64_t word = latch_get(e->latch);

	if (latch_flags(word) & LATCH_F_SHUT)
		return DROP_LATCH;
	if (latch_token(word) != c->token) {
		if (latch_flags(word) & LATCH_F_HELD && worker_may(w, &w->alert, WORKER_ALERTS))
			tell(w, DP_EVENT_FOREIGN, e, c->token, 0);
		return DROP_LATCH;
	}
	latch_stamp(e->latch, now_s(w));
	advance(w, e, word, tcp);
	return DROP_NONE;
}

bool latch_watches(const struct flow_entry *e)
{
	if (!e->latch)
		return false;
	uint32_t flags = latch_flags(latch_get(e->latch));

	if (!(flags & LATCH_F_TCP))
		return false;
	return (flags & (LATCH_F_UP | LATCH_F_ENDS)) != LATCH_F_UP;
}
