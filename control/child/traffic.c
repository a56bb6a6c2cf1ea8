/* SPDX-License-Identifier: Apache-2.0 */
#include "control/child/traffic.h"

#include "control/ike/vips.h"
#include "control/ike/offer.h"

/* ---- configured ------------------------------------------------------------------------------ */

/* ends_of - of the IKE SA's paths that whose two addresses these are: programs use those of the
 * first one whatever path IKE goes by. Others must have answered, or the peer could name anybody's.
 * By default the path of IKE. */
static const struct path_addr *ends_of(const struct ike_sa *sa, const struct ip_addr *local,
				       const struct ip_addr *remote)
{
	const struct sa_paths *t = &sa->mif.paths;

	for (uint8_t i = 0; sa->mif.on && i < t->num; i++) {
		const struct sa_path *p = &t->list[i];

		if ((p->usable || p->id == MIF_FIRST_PATH) &&
		    ip_addr_equal(&p->addr.local.addr, local) &&
		    ip_addr_equal(&p->addr.remote.addr, remote))
			return &p->addr;
	}
	return &sa->path;
}

/* configured - of one side. dynamic: what stands for selectors that are called so. */
static void configured(struct ts_list *out, const struct conf_ts *list, uint32_t num_list,
		       const struct ike_sa *sa, const struct ip_addr *end,
		       uint32_t (*dynamic)(const struct ike_sa *sa, struct ts out[CONF_MAX_VIPS],
					   const struct conf_ts *conf, const struct ip_addr *own))
{
	struct ts own[CONF_MAX_VIPS];

	out->num = 0;
	for (uint32_t i = 0; i < num_list; i++) {
		const struct conf_ts *c = &list[i];
		uint32_t num = c->dynamic ? dynamic(sa, own, c, end) : 1;

		for (uint32_t k = 0; k < num && out->num < IKE_MAX_TS; k++)
			out->ts[out->num++] = c->dynamic ? own[k] : c->ts;
	}
}

/* `dynamic` is what the peer has lent us, or our address; */
static void configured_local(struct ts_list *out, const struct ike_sa *sa,
			     const struct path_addr *ends, const struct conf_child *conf)
{
	configured(out, conf->local_ts, conf->num_local_ts, sa, &ends->local.addr, vips_dynamic);
}

/* and what we have lent the peer, or its address. */
static void configured_remote(struct ts_list *out, const struct ike_sa *sa,
			      const struct path_addr *ends, const struct conf_child *conf)
{
	configured(out, conf->remote_ts, conf->num_remote_ts, sa, &ends->remote.addr,
		   vips_lent_dynamic);
}

static void configured_both(struct ts_list *local, struct ts_list *remote, const struct ike_sa *sa,
			    const struct path_addr *ends, const struct conf_child *conf)
{
	configured_local(local, sa, ends, conf);
	configured_remote(remote, sa, ends, conf);
}

/* selectors_of - a pair's, as they were negotiated. */
static void selectors_of(struct ts_list *local, struct ts_list *remote, const struct ike_child *c)
{
	memcpy(local->ts, c->ts, c->num_local * sizeof(struct ts));
	memcpy(remote->ts, c->ts + c->num_local, c->num_remote * sizeof(struct ts));
	local->num = c->num_local;
	remote->num = c->num_remote;
}

bool traffic_allows(const struct ike_sa *sa, const struct conf_child *conf, const struct flow *flow)
{
	struct ts_list local, remote;

	configured_both(&local, &remote, sa, ends_of(sa, &flow->local, &flow->remote), conf);
	return flow_within(flow, local.ts, local.num, remote.ts, remote.num);
}

/* ---- hosts ----------------------------------------------------------------------------------- */

static bool is_host(const struct ts *t, const struct ip_addr *addr)
{
	return ip_addr_equal(&t->lo, addr) && ip_addr_equal(&t->hi, addr);
}

/* one_host - all selectors name one address, the same. */
static bool one_host(struct ip_addr *out, const struct ts_list *l)
{
	for (uint32_t i = 0; i < l->num; i++)
		if (!is_host(&l->ts[i], &l->ts[0].lo))
			return false;
	*out = l->ts[0].lo;
	return l->num > 0;
}

/* clip - what of the selectors is about this address; false if nothing is. */
static bool clip(struct ts_list *out, const struct ts_list *l, const struct ip_addr *addr)
{
	out->num = 0;
	for (uint32_t i = 0; i < l->num; i++) {
		if (ip_addr_cmp(&l->ts[i].lo, addr) > 0 || ip_addr_cmp(addr, &l->ts[i].hi) > 0)
			continue;
		out->ts[out->num] = l->ts[i];
		out->ts[out->num].lo = out->ts[out->num].hi = *addr;
		out->num++;
	}
	return out->num > 0;
}

/* translate - the selectors of one host are about `to`, as this side of a NAT knows it; *out_seen
 * is how the peer does. */
static void translate(struct ts_list *l, struct ip_addr *out_seen, const struct ip_addr *to)
{
	*out_seen = l->ts[0].lo;
	for (uint32_t i = 0; i < l->num; i++)
		l->ts[i].lo = l->ts[i].hi = *to;
}

/* as_seen_here - the peer's selectors for transport mode, local and remote as we see them, with our
 * view of translated addresses (2.23.1). False if they are not those of two hosts. */
static bool as_seen_here(const struct ike_sa *sa, struct child_work *w, struct ts_list *local,
			 struct ts_list *remote)
{
	struct ip_addr l, r;

	w->seen_local = w->seen_remote = (struct ip_addr){.family = IP_NONE};
	if (!one_host(&l, local) || !one_host(&r, remote) ||
	    l.family != sa->path.local.addr.family || r.family != l.family)
		return false;
	if (sa->nat_local)
		translate(local, &w->seen_local, &sa->path.local.addr);
	if (sa->nat_remote)
		translate(remote, &w->seen_remote, &sa->path.remote.addr);
	return true;
}

/* like_of - the pair whose selectors the new one has: it is re-keyed, or a sibling. NULL: none. */
static const struct ike_child *like_of(const struct ike_sa *sa, const struct child_work *w)
{
	const uint64_t like = w->replaces ? w->replaces : w->like;

	return like ? child_find(sa->e, like) : NULL;
}

/* is_named - of one host the peer's selectors, and ours as the peer sees them (unset: as we do). */
static bool is_named(const struct ts_list *l, const struct ip_addr *seen, const struct ts *ours)
{
	struct ip_addr host;

	return one_host(&host, l) && ip_addr_equal(&host, seen->family ? seen : &ours->lo);
}

/* as_before - the same for a pair like `old`, which is between two hosts whatever addresses the
 * IKE SA has by now (docs/multiple-interfaces.md 10). False if it is for others. */
static bool as_before(const struct ike_child *old, struct child_work *w, struct ts_list *local,
		      struct ts_list *remote)
{
	const struct ts *l = &old->ts[0], *r = &old->ts[old->num_local];

	w->seen_local = w->seen_remote = (struct ip_addr){.family = IP_NONE};
	if (!is_named(local, &old->seen_local, l) || !is_named(remote, &old->seen_remote, r))
		return false;
	if (old->seen_local.family)
		translate(local, &w->seen_local, &l->lo);
	if (old->seen_remote.family)
		translate(remote, &w->seen_remote, &r->lo);
	return true;
}

/* ---- initiator ------------------------------------------------------------------------------- */

/* offer_transport - between the two ends, if the selectors have them. */
static void offer_transport(const struct ike_sa *sa, const struct path_addr *ends,
			    struct child_work *w)
{
	struct ts_list local, remote;

	if (!clip(&local, &w->local, &ends->local.addr) ||
	    !clip(&remote, &w->remote, &ends->remote.addr)) {
		LOG(WARN, CHD, sa->conn->name,
		    "%s: transport mode is between the addresses of the IKE SA, which `local_ts` "
		    "and `remote_ts` do not hold: a tunnel is offered instead",
		    w->conf->name);
		return;
	}
	w->local = local;
	w->remote = remote;
	w->transport = true;
}

/* A packet's own selector: host, protocol and, where there are any, port (2.9). */
static struct ts flow_ts(const struct ip_addr *addr, uint8_t proto, uint16_t port, bool no_ports)
{
	const bool ports = !no_ports && (proto == 6 || proto == 17 || proto == 132);

	return (struct ts){.lo = *addr,
			   .hi = *addr,
			   .proto = proto,
			   .port_lo = ports ? port : 0,
			   .port_hi = ports ? port : 0xffff};
}

/* prepend_part - what the packet's selector has in common with the first one that it meets. */
static void prepend_part(struct ts_list *l, const struct ts *packet)
{
	struct ts part;

	for (uint32_t i = 0; i < l->num; i++) {
		if (ts_intersect(&part, &l->ts[i], packet)) {
			ts_list_prepend(l, &part);
			return;
		}
	}
}

static void prepend_flow(struct child_work *w, const struct flow *f)
{
	struct ts l = flow_ts(&f->local, f->proto, f->local_port, f->no_ports);
	struct ts r = flow_ts(&f->remote, f->proto, f->remote_port, f->no_ports);

	if (!flow_within(f, w->local.ts, w->local.num, w->remote.ts, w->remote.num))
		return;
	prepend_part(&w->local, &l);
	prepend_part(&w->remote, &r);
}

/* keep_only - nothing but this selector, if one of the list has it. */
static bool keep_only(struct ts_list *l, const struct ts *ts)
{
	for (uint32_t i = 0; i < l->num; i++) {
		if (!ts_contains(&l->ts[i], ts))
			continue;
		l->ts[0] = *ts;
		l->num = 1;
		return true;
	}
	return false;
}

/* keep_flow - of both sides what the flow that w is for needs. While an address is awaited what is
 * lent decides (take_lent()). */
static bool keep_flow(const struct ike_sa *sa, struct child_work *w)
{
	const struct flow *f = &w->wish->flow;
	const struct ts l = flow_ts(&f->local, f->proto, f->local_port, f->no_ports);
	const struct ts r = flow_ts(&f->remote, f->proto, f->remote_port, f->no_ports);

	return keep_only(&w->remote, &r) && (vips_awaited(sa) || keep_only(&w->local, &l));
}

static enum err not_for_flow(struct step *s, const struct child_work *w)
{
	char l[IP_TEXT_MAX], r[IP_TEXT_MAX];
	const struct flow *f = &w->wish->flow;

	return step_fail_child(s, IKE_REASON_TS_UNACCEPTABLE, NOTIFY_TS_UNACCEPTABLE,
			       "a flow between %s and %s is asked for, which child %s is not for: "
			       "see its `local_ts` and `remote_ts`",
			       ip_addr_text(l, &f->local), ip_addr_text(r, &f->remote),
			       w->conf->name);
}

enum err traffic_offer(struct step *s, struct child_work *w, const struct flow *flow)
{
	struct ike_sa *sa = s->sa;
	const struct ike_child *old = like_of(sa, w);
	const struct flow *f = wish_narrow(w->wish) ? &w->wish->flow : flow;
	const struct path_addr *ends = f ? ends_of(sa, &f->local, &f->remote) : &sa->path;

	if (old) {
		selectors_of(&w->local, &w->remote, old);
		w->transport = old->mode == SA_TRANSPORT;
		return ERR_OK;
	}
	configured_both(&w->local, &w->remote, sa, ends, w->conf);
	if (w->conf->mode == CONF_TRANSPORT)
		offer_transport(sa, ends, w);
	if (wish_narrow(w->wish))
		return keep_flow(sa, w) ? ERR_OK : not_for_flow(s, w);
	if (flow && !vips_awaited(sa)) /* its source is not what will be lent */
		prepend_flow(w, flow);
	return ERR_OK;
}

void traffic_build(struct step *s, const struct child_work *w)
{
	const struct ts_list *i = w->initiator ? &w->local : &w->remote;
	const struct ts_list *r = w->initiator ? &w->remote : &w->local;

	if (w->transport)
		wire_notify_build(&s->b, NOTIFY_USE_TRANSPORT_MODE, bytes_of(NULL, 0));
	ts_list_build(&s->b, PAYLOAD_TSI, i->ts, i->num);
	ts_list_build(&s->b, PAYLOAD_TSR, r->ts, r->num);
}

static enum err parse(struct step *s, struct ts_list *tsi, struct ts_list *tsr)
{
	if (ts_list_parse(tsi, ike_msg_body(s->msg, PAYLOAD_TSI)) ||
	    ts_list_parse(tsr, ike_msg_body(s->msg, PAYLOAD_TSR)))
		return child_bad_syntax(s, "TS");
	return ERR_OK;
}

static bool asks_transport(const struct step *s)
{
	struct wire_notify n;

	return wire_notify_find(&n, s->msg, NOTIFY_USE_TRANSPORT_MODE);
}

static enum err outside(struct step *s, const struct child_work *w)
{
	return step_fail_child(s, IKE_REASON_TS_UNACCEPTABLE, NOTIFY_TS_UNACCEPTABLE,
			       "the peer's traffic selectors for child %s are outside those "
			       "that were offered",
			       w->conf->name);
}

/* take_mode - transport mode only if both want it (1.3.1). */
static enum err take_mode(struct step *s, struct child_work *w)
{
	const bool answered = asks_transport(s);

	if (answered && !w->transport)
		return step_fail_child(s, IKE_REASON_PEER_ERROR, 0,
				       "the peer made child %s in transport mode, which was not "
				       "asked for",
				       w->conf->name);
	if (w->transport && !answered)
		LOG(INFO, CHD, s->sa->conn->name,
		    "%s: the peer does not want transport mode: a tunnel is made instead",
		    w->conf->name);
	w->transport = answered;
	return ERR_OK;
}

static bool is_dynamic(const struct conf_child *conf)
{
	for (uint32_t i = 0; i < conf->num_local_ts; i++)
		if (conf->local_ts[i].dynamic)
			return true;
	return false;
}

/* take_lent - `dynamic` was offered as all addresses while one was asked for: what was lent counts
 * (2.19). */
static enum err take_lent(struct step *s, struct child_work *w, const struct ts_list *tsi)
{
	struct ike_sa *sa = s->sa;
	struct ts_list ours;
	bool cut;

	if (vips_awaited(sa) && is_dynamic(w->conf))
		return step_fail_child(s, IKE_REASON_PEER_ERROR, NOTIFY_TS_UNACCEPTABLE,
				       "the peer lends no address, as `vips` of connection %s "
				       "asks for",
				       sa->conn->name);
	configured_local(&ours, sa, &sa->path, w->conf);
	if (ts_list_narrow(&w->local, &cut, tsi->ts, tsi->num, ours.ts, ours.num, IKE_MAX_TS))
		return outside(s, w);
	return ERR_OK;
}

enum err traffic_lent(struct step *s, struct child_work *w)
{
	const struct ts_list asked = w->remote;
	struct ts_list theirs;
	bool cut;

	if (!s->sa->lent)
		return ERR_OK;
	configured_remote(&theirs, s->sa, &s->sa->path, w->conf);
	if (ts_list_narrow(&w->remote, &cut, asked.ts, asked.num, theirs.ts, theirs.num,
			   IKE_MAX_TS))
		return outside(s, w);
	return ERR_OK;
}

/* as_offered - the response's selectors in transport mode with our view of addresses. */
static bool as_offered(const struct ike_sa *sa, struct child_work *w, struct ts_list *tsi,
		       struct ts_list *tsr)
{
	const struct ike_child *old = like_of(sa, w);

	if (old)
		return as_before(old, w, tsi, tsr);
	/* Of another path's ends nothing is translated. */
	return !is_host(&w->local.ts[0], &sa->path.local.addr) || as_seen_here(sa, w, tsi, tsr);
}

enum err traffic_take(struct step *s, struct child_work *w)
{
	struct ts_list tsi, tsr;
	enum err e = parse(s, &tsi, &tsr);

	if (!e)
		e = take_mode(s, w);
	if (e)
		return e;
	if (w->transport && !as_offered(s->sa, w, &tsi, &tsr))
		return outside(s, w);
	if (!ts_list_within(tsi.ts, tsi.num, w->local.ts, w->local.num) ||
	    !ts_list_within(tsr.ts, tsr.num, w->remote.ts, w->remote.num))
		return outside(s, w);
	w->local = tsi;
	w->remote = tsr;
	if (w->kind == SA_KIND_CHILD_AUTH && s->sa->conn->num_vips)
		e = take_lent(s, w, &tsi);
	if (!e && wish_narrow(w->wish) &&
	    !flow_within(&w->wish->flow, w->local.ts, w->local.num, w->remote.ts, w->remote.num))
		return not_for_flow(s, w);
	return e;
}

/* ---- responder ------------------------------------------------------------------------------- */

/* How well a configuration fits the offered selectors: 0 not at all, 1 part of them, 2 the first
 * ones too (those of the packet that asked, 2.9), 3 as they are. */
static unsigned fit(const struct child_work *w, const struct ts_list *tsi,
		    const struct ts_list *tsr)
{
	const struct ts_list *i = &w->remote, *r = &w->local;

	if (ts_list_within(tsi->ts, tsi->num, i->ts, i->num) &&
	    ts_list_within(tsr->ts, tsr->num, r->ts, r->num))
		return 3;
	return ts_list_within(tsi->ts, 1, i->ts, i->num) &&
			       ts_list_within(tsr->ts, 1, r->ts, r->num)
		       ? 2
		       : 1;
}

/* let_both - what the peer may have: as configured, but what replaces a pair that is for one flow
 * alone stays so. */
static void let_both(struct ts_list *local, struct ts_list *remote, const struct ike_sa *sa,
		     const struct path_addr *ends, const struct child_work *w,
		     const struct conf_child *conf)
{
	const struct ike_child *old = wish_narrow(w->wish) ? child_find(sa->e, w->replaces) : NULL;

	if (old)
		selectors_of(local, remote, old);
	else
		configured_both(local, remote, sa, ends, conf);
}

static unsigned narrow(struct ike_sa *sa, struct child_work *out, const struct conf_child *conf,
		       const struct ts_list *tsi, const struct ts_list *tsr)
{
	const struct path_addr *ends = ends_of(sa, &tsr->ts[0].lo, &tsi->ts[0].lo);
	struct ts_list local, remote;
	bool cut;

	let_both(&local, &remote, sa, ends, out, conf);
	if (ts_list_narrow(&out->remote, &cut, tsi->ts, tsi->num, remote.ts, remote.num,
			   IKE_MAX_TS) ||
	    ts_list_narrow(&out->local, &cut, tsr->ts, tsr->num, local.ts, local.num, IKE_MAX_TS))
		return 0;
	return fit(out, tsi, tsr);
}

/* choose_conf - of the children in this mode the first that takes the offered selectors as they
 * are, else the first that takes most of them; w then has what is narrowed to it. */
static bool choose_conf(struct ike_sa *sa, struct child_work *w, enum conf_mode mode,
			const struct ts_list *tsi, const struct ts_list *tsr)
{
	const struct conf_conn *conn = sa->conn;
	const struct conf_child *best = NULL;
	unsigned best_fit = 0;

	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];
		unsigned f = c->mode == mode ? narrow(sa, w, c, tsi, tsr) : 0;

		if (f > best_fit) {
			best_fit = f;
			best = c;
		}
	}
	if (!best)
		return false;
	w->conf = best;
	if (!w->conf_ref)
		w->conf_ref = conf_get(sa->conf);
	return narrow(sa, w, best, tsi, tsr) > 0;
}

/* choose_like - what `old` has, if the selectors are of the same two hosts. */
static bool choose_like(const struct ike_child *old, struct child_work *w,
			const struct ts_list *tsi, const struct ts_list *tsr)
{
	struct ts_list remote = *tsi, local = *tsr, had_local, had_remote;
	bool cut;

	if (!old || old->mode != SA_TRANSPORT || !as_before(old, w, &local, &remote))
		return false;
	selectors_of(&had_local, &had_remote, old);
	return !ts_list_narrow(&w->remote, &cut, remote.ts, remote.num, had_remote.ts,
			       had_remote.num, IKE_MAX_TS) &&
	       !ts_list_narrow(&w->local, &cut, local.ts, local.num, had_local.ts, had_local.num,
			       IKE_MAX_TS);
}

/* choose_beside - what one of several pairs (RFC 9611) has that is there already. */
static bool choose_beside(const struct ike_sa *sa, struct child_work *w, const struct ts_list *tsi,
			  const struct ts_list *tsr)
{
	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);

		if (!c->siblings || c->worker || !c->in || !choose_like(c, w, tsi, tsr))
			continue;
		w->conf = c->conf;
		w->conf_ref = conf_get(c->conf_ref);
		return true;
	}
	return false;
}

/* choose_transport - if the selectors are of the two ends, as we see them, and a child allows it.
 */
static bool choose_transport(struct ike_sa *sa, struct child_work *w, const struct ts_list *tsi,
			     const struct ts_list *tsr)
{
	struct ts_list remote = *tsi, local = *tsr;
	const struct path_addr *ends = &sa->path;
	struct ip_addr l, r;

	if (choose_like(like_of(sa, w), w, tsi, tsr) ||
	    (!w->conf_ref && choose_beside(sa, w, tsi, tsr)))
		return true;
	w->seen_local = w->seen_remote = (struct ip_addr){.family = IP_NONE};
	if (one_host(&l, &local) && one_host(&r, &remote))
		ends = ends_of(sa, &l, &r);
	if (ends == &sa->path && !as_seen_here(sa, w, &local, &remote))
		return false;
	if (!is_host(&local.ts[0], &ends->local.addr) ||
	    !is_host(&remote.ts[0], &ends->remote.addr))
		return false;
	if (w->conf)
		return w->conf->mode == CONF_TRANSPORT && narrow(sa, w, w->conf, &remote, &local);
	return choose_conf(sa, w, CONF_TRANSPORT, &remote, &local);
}

/* choose_tunnel - a child that is configured for transport mode is made as a tunnel too. */
static bool choose_tunnel(struct ike_sa *sa, struct child_work *w, const struct ts_list *tsi,
			  const struct ts_list *tsr)
{
	if (w->conf)
		return narrow(sa, w, w->conf, tsi, tsr) > 0;
	return choose_conf(sa, w, CONF_TUNNEL, tsi, tsr) ||
	       choose_conf(sa, w, CONF_TRANSPORT, tsi, tsr);
}

static void say_tunnel(const struct ike_sa *sa, const struct child_work *w, bool asked)
{
	if (asked)
		LOG(INFO, CHD, sa->conn->name,
		    "%s: the peer asks for transport mode, which %s: a tunnel is made instead",
		    w->conf->name,
		    w->conf->mode == CONF_TRANSPORT ? "is between the two ends of the IKE SA only"
						    : "is not configured");
	else if (w->conf->mode == CONF_TRANSPORT)
		LOG(INFO, CHD, sa->conn->name,
		    "%s: the peer does not ask for transport mode: a tunnel is made instead",
		    w->conf->name);
}

static enum err not_allowed(struct step *s, const struct child_work *w, const struct ts_list *here,
			    const struct ts_list *there)
{
	char ours[OFFER_TEXT_MAX], peers[OFFER_TEXT_MAX];
	const struct conf_conn *conn = s->sa->conn;

	if (w->conf)
		offer_children_text(ours, w->conf, 1);
	else
		offer_children_text(ours, conn->children, conn->num_children);
	step_offers(s, ours, offer_ts_text(peers, here, there));
	return step_fail_child(
		s, IKE_REASON_TS_UNACCEPTABLE, NOTIFY_TS_UNACCEPTABLE,
		"the peer wants %s (this side's === its own), which no child of connection %s "
		"allows (TS_UNACCEPTABLE): compare `local_ts` and `remote_ts`",
		peers, conn->name);
}

enum err traffic_choose(struct step *s, struct child_work *w)
{
	const bool asked = asks_transport(s);
	struct ike_sa *sa = s->sa;
	struct ts_list tsi, tsr;
	enum err e = parse(s, &tsi, &tsr);

	if (e)
		return e;
	w->transport = tsi.num && tsr.num && asked && choose_transport(sa, w, &tsi, &tsr);
	if (w->transport)
		return ERR_OK;
	w->seen_local = w->seen_remote = (struct ip_addr){.family = IP_NONE};
	if (tsi.num && tsr.num && choose_tunnel(sa, w, &tsi, &tsr)) {
		say_tunnel(sa, w, asked);
		return ERR_OK;
	}
	return not_allowed(s, w, &tsr, &tsi);
}
