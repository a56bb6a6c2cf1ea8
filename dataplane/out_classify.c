/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slots.h"
#include "dataplane/ahead.h"
#include "dataplane/handoff.h"
#include "dataplane/latch_flow.h"
#include "dataplane/passes.h"
#include "dataplane/path.h"
#include "dataplane/sibling.h"
#include "dataplane/steer.h"

/* acquire - ask for an SA for the flow. */
static void acquire(struct worker *w, const struct flow_entry *e)
{
	struct flow_key key = flow_key(&e->id);
	struct dp_event ev = {
		.kind = DP_EVENT_ACQUIRE,
		.group = e->group->id,
		.owner = e->policy->owner,
		.flow = key.flow,
		.time_ns = w->now_ns,
	};

	ev.flow.no_ports = key.no_ports != 0;
	/* If there is no record now, the next packet of the policy asks again. */
	if (events_push(&w->events, &ev, NULL))
		hold_acquired(&w->hold, e->policy->id, w->now_ns);
}

void out_hold(struct worker *w, struct packet *p, const struct flow_entry *e)
{
	uint32_t id = e->policy->id;
	enum hold_result kept = hold_push(&w->hold, p, id, w->now_ns);

	if (kept == HOLD_FULL) {
		worker_drop(w, p, DROP_HOLD_FULL);
		if (hold_due(&w->hold, id, w->now_ns))
			acquire(w, e);
		return;
	}
	worker_count_held(w);
	if (!timer_is_set(&w->hold_timer))
		timer_set(&w->timers, &w->hold_timer, hold_deadline(&w->hold));
	if (kept == HOLD_ACQUIRE)
		acquire(w, e);
}

/* wants_whole - which flow a fragment is of matters: to a selector that asks for ports, to a latch
 * or to a listener. */
static bool wants_whole(const struct worker *w)
{
	return spd_wants_whole(w->spd) || latch_table_num(w->latches) > 0 ||
	       rcu_deref(*w->listeners);
}

/* look_closely - the id of p's flow. A fragment goes by itself only where nobody asks for ports:
 * then all of its packet have one policy and SA (RFC 4301 7.1). Else it waits until the packet is
 * whole, which then takes its place. False: there is no packet to go on with. */
static bool look_closely(struct worker *w, struct flow_id *id, struct packet **p, uint32_t scope)
{
	if (!flow_parse(id, *p, FLOW_OUT)) {
		worker_drop(w, *p, DROP_MALFORMED_INNER);
		return false;
	}
	if ((*p)->flags & PACKET_F_FRAGMENT && (*p)->seg_len) {
		worker_drop(w, *p, DROP_MALFORMED_INNER); /* one is not the other */
		return false;
	}
	if ((*p)->flags & PACKET_F_FRAGMENT && wants_whole(w)) {
		*p = pass_join(w, *p, (uint64_t)scope << 2 | REASM_HOST);
		if (!*p)
			return false;
		if (!flow_parse(id, *p, FLOW_OUT) || (*p)->flags & PACKET_F_FRAGMENT) {
			worker_drop(w, *p, DROP_MALFORMED_INNER);
			return false;
		}
	}
	flow_scope(id, scope);
	return true;
}

/* find_places - the flows' ids and places; what has none is dropped. */
static uint32_t find_places(struct worker *w, struct pktvec *in, struct flow_id *ids,
			    struct flow_entry **places)
{
	uint32_t num = 0;

	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];
		uint32_t scope = w->scopes[p->port];

		pass_prefetch(in, i);
		if (unlikely(!flow_parse_fast(&ids[num], p, FLOW_OUT, scope)) &&
		    !look_closely(w, &ids[num], &p, scope))
			continue;
		places[num] = flow_cache_place(&w->flows, &ids[num]);
		/* The same product as the place, whose bits are the low ones. */
		p->flow = (uint32_t)(flow_hash(&w->flows, &ids[num]) >> 48);
		in->pkt[num++] = p;
	}
	return num;
}

/* refuse - what no policy protects. A router lets it pass, where nothing says discard: its port
 * knows which way. */
static void refuse(struct worker *w, struct packet *p, enum drop_reason why)
{
	if ((why != DROP_NO_POLICY && why != DROP_POLICY_BYPASS) || !(w->routed >> p->port & 1)) {
		worker_drop(w, p, why);
		return;
	}
	p->flags |= PACKET_F_PASS;
	worker_tx(w, p->port, p);
}

/* turn_off - p does not go on from here, or not before something is asked. True: it does. */
static bool turn_off(struct worker *w, struct packet *p, const struct flow_entry *e)
{
	if (e->ask)
		sibling_ask(w, p, e);
	if (e->verdict == DROP_NONE && e->owner == w->index)
		return true;
	if (e->verdict == DROP_NONE)
		handoff_push(w, e->owner, p);
	else if (e->verdict == DROP_NO_SA)
		out_hold(w, p, e);
	else
		refuse(w, p, e->verdict);
	return false;
}

/* steer - p, which has its SA, has a path of its own if a rule says so. */
static void steer(struct packet *p, const struct flow_id *id)
{
	const struct path_table *t = path_table_of(rcu_deref(p->sa->conf)->paths);

	if (t->steer)
		p->flow |= (uint32_t)steer_find(t->steer, id, p) << STEER_SHIFT;
}

/* ask_ahead - for all packets: the SAs, then what these point at. */
static void ask_ahead(const struct pktvec *v)
{
	const struct esp_sa *last = NULL;

	for (uint32_t i = 0; i < v->num; i++)
		ahead_sa(v->pkt[i]->sa);
	for (uint32_t i = 0; i < v->num; i++) {
		if (v->pkt[i]->sa == last)
			continue;
		last = v->pkt[i]->sa;
		ahead_parts(last);
	}
}

void out_classify(struct worker *w, struct pktvec *in, struct pktvec *out)
{
	struct flow_id ids[PKTVEC_MAX];
	struct flow_entry *places[PKTVEC_MAX], made;
	const uint64_t epoch = flow_cache_epoch(&w->flows), now_ns = w->now_ns;
	const bool steers = __atomic_load_n(&w->num_steered, __ATOMIC_RELAXED);
	uint32_t num = 0;

	in->num = find_places(w, in, ids, places);
	for (uint32_t i = 0; i < in->num; i++) {
		struct packet *p = in->pkt[i];
		struct flow_entry *e = flow_cache_get(&w->flows, &ids[i], places[i], epoch, now_ns);

		if (unlikely(p->token))
			e = flow_cache_demand(&w->flows, &made, e, p->token);
		if (unlikely(!e->direct) && !turn_off(w, p, e))
			continue;
		if (latch_out_due(w, p, e, p->port)) {
			enum drop_reason why = latch_out(w, p, e, p->port);

			if (why != DROP_NONE) {
				worker_drop(w, p, why);
				continue;
			}
		}
		p->sa = e->sa;
		if (unlikely(steers))
			steer(p, &ids[i]);
		out->pkt[num++] = p;
	}
	out->num = num;
	if (unlikely(slots_num(w->sad) >= AHEAD_SAS))
		ask_ahead(out);
}
