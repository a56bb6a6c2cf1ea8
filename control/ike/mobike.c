/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/mobike.h"

#include <stdio.h>

#include "base/alloc.h"
#include "control/child/child.h"
#include "control/ike/index.h"
#include "control/ike/lifetime.h"
#include "control/ike/mif.h"
#include "control/ike/move.h"
#include "control/ike/reauth.h"
#include "control/ike/request.h"
#include "control/ike/task.h"
#include "control/ike/wire/nat.h"
#include "control/ike/window.h"

/* DETOUR_TRIES - copies of a request that go unanswered before other paths are tried. */
#define DETOUR_TRIES 3
/* HOST_ADDRS_MAX - addresses of this host that are looked at. */
#define HOST_ADDRS_MAX 64
#define IKE_PORT_NAT_T 4500
/* GREETINGS - messages after a move that give the peer room to ask; fewer once it has asked. */
#define GREETINGS       8
#define GREETINGS_ASKED 2
/* GREETING_NS - between greetings after a move. */
#define GREETING_NS (2 * NS_PER_S)

/* ---- what the two sides have ----------------------------------------------------------------- */

/* An address that a policy of the connection protects is not one to be reached at. */
static bool is_protected(const struct conf_conn *conn, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < conn->num_children; i++) {
		const struct conf_child *c = &conn->children[i];

		for (uint32_t j = 0; j < c->num_local_ts; j++)
			if (!c->local_ts[j].dynamic && ts_match(&c->local_ts[j].ts, a, 0, 0))
				return true;
	}
	return false;
}

static uint32_t host_addrs(const struct ike_sa *sa, struct ip_addr list[static HOST_ADDRS_MAX])
{
	const struct ike_env *env = &sa->e->env;

	return env->local_addrs ? env->local_addrs(env->ctx, list, HOST_ADDRS_MAX) : 0;
}

void mobike_ours(const struct ike_sa *sa, struct mobike_addrs *out)
{
	struct ip_addr list[HOST_ADDRS_MAX];
	uint32_t num = host_addrs(sa, list);

	*out = (struct mobike_addrs){.num = 0};
	for (uint32_t i = 0; i < num && out->num < MOBIKE_ADDRS_MAX; i++)
		if (mobike_addr_usable(&list[i]) &&
		    !ip_addr_equal(&list[i], &sa->path.local.addr) &&
		    !is_protected(sa->conn, &list[i]))
			out->list[out->num++] = list[i];
}

bool mobike_is_ours(const struct ike_sa *sa, const struct ip_addr *a)
{
	struct ip_addr list[HOST_ADDRS_MAX];
	uint32_t num = host_addrs(sa, list);

	for (uint32_t i = 0; i < num; i++)
		if (ip_addr_equal(&list[i], a))
			return true;
	return false;
}

void mobike_offer(struct step *s)
{
	struct ike_sa *sa = s->sa;
	struct sa_mobike *m = &sa->mobike;

	if (!sa->conn->mobike || (!sa->initiator && !m->on))
		return;
	mobike_ours(sa, &m->ours);
	wire_notify_build(&s->b, NOTIFY_MOBIKE_SUPPORTED, bytes_of(NULL, 0));
	mobike_addrs_build(&s->b, &m->ours);
}

void mobike_take(struct step *s)
{
	struct sa_mobike *m = &s->sa->mobike;
	struct wire_notify n;

	m->on = s->sa->conn->mobike && wire_notify_find(&n, s->msg, NOTIFY_MOBIKE_SUPPORTED);
	m->initiator = s->sa->initiator;
	mobike_addrs_take(&m->peers, s->msg);
}

/* A task of the old SA that was under way is begun anew on the new one. */
static void carry_over(struct ike_sa *sa, const struct ike_sa *old, enum task_kind kind)
{
	if (old->out.x.kind == kind && task_need(sa, kind, 0) == ERR_NOMEM)
		LOG(WARN, IKE, sa->conn->name, "out of memory: a change of address is late");
}

void mobike_inherit(struct ike_sa *sa, struct ike_sa *old)
{
	sa->mobike = old->mobike;
	old->mobike.request = 0;        /* it is answered here */
	sa->mobike.has_seen_as = false; /* the hash has the old SPIs in it */
	sa->mobike.wandered = false;
	sa->probe = old->probe;
	if (!sa->mobike.on) {
		sa->probe.on = false;
		return;
	}
	carry_over(sa, old, TASK_MOBIKE_UPDATE);
	carry_over(sa, old, TASK_MOBIKE_ADDRS);
	carry_over(sa, old, TASK_MOBIKE_CHECK);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static enum err source_for(const struct ike_sa *sa, struct ip_addr *out,
			   const struct ip_addr *remote)
{
	const struct ike_env *env = &sa->e->env;

	return env->source_for ? env->source_for(env->ctx, out, sa->conn, remote) : ERR_NOT_FOUND;
}

/* is_gone - this host has the address that the IKE SA goes from no more. Of a full list nobody
 * knows what is not in it, and a host that lists none may say nothing of addresses, as an
 * embedder's: then it has one if it knows a way to the peer. What it would go from itself it has,
 * listed or not. */
static bool is_gone(const struct ike_sa *sa)
{
	struct ip_addr list[HOST_ADDRS_MAX], from;
	const uint32_t num = host_addrs(sa, list);

	for (uint32_t i = 0; i < num; i++)
		if (ip_addr_equal(&list[i], &sa->path.local.addr))
			return false;
	if (num == HOST_ADDRS_MAX)
		return false;
	return source_for(sa, &from, &sa->path.remote.addr) ||
	       (num && !ip_addr_equal(&from, &sa->path.local.addr));
}

/* The path from local to an address of the peer; what is known of ports stays. */
static struct path_addr path_to(const struct ike_sa *sa, const struct ip_addr *local,
				const struct ip_addr *remote)
{
	struct path_addr p = sa->path;

	p.ifindex = 0;
	p.local.addr = *local;
	if (!ip_addr_equal(&p.remote.addr, remote) && p.encap == ENCAP_UDP)
		p.remote.port = IKE_PORT_NAT_T;
	p.remote.addr = *remote;
	return p;
}

bool mobike_candidate(struct ike_sa *sa, struct path_addr *out)
{
	struct sa_mobike *m = &sa->mobike;
	const uint8_t num = (uint8_t)(1 + m->peers.num);

	for (uint8_t i = 0; i < num; i++) {
		const uint8_t at = m->next++ % num;
		const struct ip_addr *remote = at ? &m->peers.list[at - 1] : &sa->path.remote.addr;
		struct ip_addr local;

		if (source_for(sa, &local, remote))
			continue;
		*out = path_to(sa, &local, remote);
		if (!path_same_addrs(out, &sa->path))
			return true;
	}
	return false;
}

bool mobike_detour(struct ike_sa *sa, struct sa_target *out, uint32_t tries)
{
	struct sa_mobike *m = &sa->mobike;
	const bool several = mif_rules(sa);

	if (tries == 0)
		m->wandered = false;
	if (!m->on || sa->state < SA_ESTABLISHED)
		return false;
	if (several ? !is_gone(sa) : tries < DETOUR_TRIES)
		return false;
	if (!mobike_candidate(sa, &out->path))
		return false;
	out->port = sa->port;
	m->wandered = !several; /* which path it goes by then is for operations to say */
	return true;
}

static bool knows(const struct ike_sa *sa, const struct ip_addr *remote)
{
	return ip_addr_equal(&sa->path.remote.addr, remote) ||
	       mobike_addrs_have(&sa->mobike.peers, remote);
}

void mobike_heard(struct ike_sa *sa, const struct ike_header *h, const struct ike_datagram *dg,
		  uint64_t now_ns)
{
	struct path_addr path = dg->path;

	sa_probe_heard(sa, &dg->path, dg->bytes.len);
	if (!(h->flags & IKE_FLAG_RESPONSE) || !sa->mobike.initiator || !sa->mobike.wandered ||
	    sa->out.x.kind == TASK_MIF || /* it is about to have other paths */
	    path_same_addrs(&path, &sa->path) || !knows(sa, &path.remote.addr))
		return;
	sa->mobike.wandered = false;
	path.ifindex = 0;
	sa->out.waiting = false; /* it is answered: nothing to be sent again */
	mobike_go(sa, &path, now_ns);
	sa->out.waiting = true;
}

static void tell_peer(struct ike_sa *sa)
{
	if (mif_first(sa) && task_need(sa, TASK_MOBIKE_UPDATE, 0) == ERR_NOMEM)
		LOG(WARN, IKE, sa->conn->name, "out of memory: the peer is not told of a move");
}

void mobike_keep(struct ike_sa *sa, const struct ip_addr *left)
{
	struct mobike_addrs *peers = &sa->mobike.peers;

	for (uint32_t i = 0; sa->mobike.initiator && i < peers->num; i++)
		if (ip_addr_equal(&peers->list[i], &sa->path.remote.addr))
			peers->list[i] = *left;
}

void mobike_go(struct ike_sa *sa, const struct path_addr *path, uint64_t now_ns)
{
	struct sa_mobike *m = &sa->mobike;
	const struct ip_addr left = sa->path.remote.addr;
	char from[IP_TEXT_MAX], to[ENDPOINT_TEXT_MAX];

	m->esp_waits |= !ip_addr_equal(&sa->path.remote.addr, &path->remote.addr);
	if (!path_same_remote(&sa->path, path))
		sa_left(sa, &sa->path.remote);
	m->pending = true;
	m->lost = false;
	m->restart = true;
	sa_set_path(sa, path);
	mobike_keep(sa, &left);
	LOG(INFO, IKE, sa->conn->name, "[%u] goes from %s to %s now", sa->unique,
	    ip_addr_text(from, &path->local.addr), endpoint_text(to, &path->remote));
	if (!m->esp_waits && sa_move_children(sa))
		m->esp_waits = true; /* with the peer's answer, then */
	if (sa->out.waiting)
		window_out_hurry(sa, now_ns);
	if (sa->state == SA_ESTABLISHED)
		tell_peer(sa);
}

/* Until the peer has asked us at the new address it may send us three bytes for one there and no
 * more (S57). What it has under way is larger than what told it of the move: we say a little more,
 * as long as it takes. */
void mobike_greet(struct ike_sa *sa, uint64_t now_ns)
{
	struct task *t;

	if (!sa->mobike.greetings)
		return;
	t = task_new(TASK_LIVENESS, 0);
	if (!t)
		return; /* the next liveness check does as well */
	sa->mobike.greetings--;
	t->not_before_ns = now_ns + GREETING_NS;
	task_add(sa, t);
}

void mobike_moved(struct ike_sa *sa, uint64_t now_ns)
{
	sa->mobike.greetings = GREETINGS;
	mobike_greet(sa, now_ns);
}

/* ---- translators ----------------------------------------------------------------------------- */

void mobike_nat(struct ike_sa *sa, bool local, bool remote, uint64_t now_ns)
{
	sa->nat_local = local;
	sa->nat_remote = remote;
	lifetime_nat(sa, now_ns);
}

enum task_kind mobike_question(const struct ike_sa *sa)
{
	const struct sa_mobike *m = &sa->mobike;

	return m->on && m->initiator && !mif_rules(sa) && sa->nat_local && !m->has_seen_as
		       ? TASK_MOBIKE_UPDATE
		       : TASK_LIVENESS;
}

enum err mobike_detect(struct step *s)
{
	const struct ike_sa *sa = s->sa;

	if (!sa->mobike.on || !sa->mobike.initiator || !sa->nat_local)
		return ERR_OK;
	return nat_build(s->e->crypto, &s->b, sa->spi_i, sa->spi_r, &sa->path, sa->udp_wanted);
}

void mobike_detected(struct step *s)
{
	struct sa_mobike *m = &s->sa->mobike;
	struct wire_notify n;

	if (!m->on || !m->initiator ||
	    !wire_notify_find(&n, s->msg, NOTIFY_NAT_DETECTION_DESTINATION_IP))
		return;
	if (m->has_seen_as && !bytes_equal(n.data, bytes_of(m->seen_as, SHA1_LEN))) {
		LOG(INFO, IKE, s->sa->conn->name,
		    "[%u] a translator on the way has given us another address or port",
		    s->sa->unique);
		tell_peer(s->sa);
	}
	memcpy(m->seen_as, n.data.p, SHA1_LEN);
	m->has_seen_as = true;
}

enum err mobike_echo(struct step *s)
{
	const struct ike_sa *sa = s->sa;
	struct wire_notify n;

	if (!sa->mobike.on)
		return ERR_OK;
	if (wire_notify_find(&n, s->msg, NOTIFY_COOKIE2)) {
		wire_notify_build(&s->b, NOTIFY_COOKIE2, n.data);
		if (s->sa->mobike.greetings > GREETINGS_ASKED)
			s->sa->mobike.greetings = GREETINGS_ASKED;
	}
	if (!wire_notify_find(&n, s->msg, NOTIFY_NAT_DETECTION_SOURCE_IP))
		return ERR_OK;
	return nat_build(s->e->crypto, &s->b, sa->spi_i, sa->spi_r, &s->dg->path, sa->udp_wanted);
}

/* ---- the host's addresses change ------------------------------------------------------------- */

static void no_path(struct ike_sa *sa)
{
	char remote[IP_TEXT_MAX];

	if (sa->mobike.lost)
		return;
	sa->mobike.lost = true;
	LOG(WARN, IKE, sa->conn->name,
	    "[%u] no address of this host leads to %s any more: waiting for one", sa->unique,
	    ip_addr_text(remote, &sa->path.remote.addr));
}

/* The peer decides about addresses: it hears from our new one that the old one is gone. */
static void leave(struct ike_sa *sa, const struct ip_addr *local, uint64_t now_ns)
{
	const struct path_addr path = path_to(sa, local, &sa->path.remote.addr);
	char text[IP_TEXT_MAX];

	LOG(INFO, IKE, sa->conn->name, "[%u] goes from %s now", sa->unique,
	    ip_addr_text(text, local));
	sa_move(sa, &path, sa->port);
	if (sa->out.waiting)
		window_out_hurry(sa, now_ns);
}

/* tell_others - the peer, of changes of our other addresses; not while our own end is gone: nothing
 * goes from there, and what brings another one would wait behind it. */
static void tell_others(struct ike_sa *sa, bool moved)
{
	struct mobike_addrs now;

	sa->mobike.untold = is_gone(sa);
	if (sa->mobike.untold)
		return;
	mobike_ours(sa, &now);
	if (!moved && now.num == sa->mobike.ours.num &&
	    !memcmp(now.list, sa->mobike.ours.list, now.num * sizeof(now.list[0])))
		return;
	if (task_need(sa, TASK_MOBIKE_ADDRS, 0) == ERR_NOMEM)
		LOG(WARN, IKE, sa->conn->name, "out of memory: the peer is not told of addresses");
}

void mobike_settled(struct ike_sa *sa)
{
	if (sa->mobike.untold && sa->state == SA_ESTABLISHED)
		tell_others(sa, false);
}

/* goes_from - the address to go from: that which was chosen, as long as the host has it. */
static enum err goes_from(struct ike_sa *sa, struct ip_addr *out)
{
	struct sa_mobike *m = &sa->mobike;

	m->chosen = m->chosen && mobike_is_ours(sa, &sa->path.local.addr);
	if (!m->chosen)
		return source_for(sa, out, &sa->path.remote.addr);
	*out = sa->path.local.addr;
	return ERR_OK;
}

/* ask_beside - the operations that bring other paths wait for the answer to what is under way:
 * where its own end is gone it goes from another address at once. */
static void ask_beside(struct ike_sa *sa, uint64_t now_ns)
{
	sa->mobike.lost = false;
	if (sa->out.waiting && is_gone(sa))
		window_out_hurry(sa, now_ns);
}

static void follow_mobike(struct ike_sa *sa, uint64_t now_ns)
{
	struct sa_mobike *m = &sa->mobike;
	struct ip_addr local;
	struct path_addr path;
	bool there = !goes_from(sa, &local), moved = false;

	m->refusals = 0;
	if (mif_rules(sa)) /* who has paths is asked which of them are left */
		ask_beside(sa, now_ns);
	else if (there && ip_addr_equal(&local, &sa->path.local.addr))
		m->lost = false;
	else if (m->initiator && mobike_candidate(sa, &path))
		mobike_go(sa, &path, now_ns);
	else if (!m->initiator && there && (moved = !mobike_is_ours(sa, &sa->path.local.addr)))
		leave(sa, &local, now_ns);
	else if (!there)
		no_path(sa);
	if (sa->state == SA_ESTABLISHED)
		tell_others(sa, moved);
}

/* struct again - a child that is to be there again on the new IKE SA. */
struct again {
	const struct conf_child *conf;
	struct child_wish *wish;
};

static uint32_t wanted(const struct ike_sa *sa, struct again *out, uint32_t max)
{
	uint32_t num = 0;

	list_for_each (n, &sa->children) {
		const struct ike_child *c = list_entry(n, struct ike_child, node);

		if (c->state == CHILD_INSTALLED && !c->replaced_by && !c->redundant && num < max)
			out[num++] = (struct again){c->conf, wish_get(c->wish)};
	}
	return num;
}

/* make_anew - a new IKE SA along the path, and this one ends when that has its children; until then
 * this one is along the path, too: what it sends arrives. */
static enum err make_anew(struct ike_sa *sa, const struct path_addr *path, uint64_t now_ns)
{
	char from[IP_TEXT_MAX], to[IP_TEXT_MAX];
	enum err e = reauth_along(sa, path, sa->port, now_ns);

	if (e)
		return e;
	LOG(INFO, IKE, sa->conn->name,
	    "[%u] the peer does not do MOBIKE: a connection from %s is made, and the one from %s "
	    "ends when it is there",
	    sa->unique, ip_addr_text(to, &path->local.addr),
	    ip_addr_text(from, &sa->path.local.addr));
	return ERR_OK;
}

/* break_first - the same where this host's virtual addresses, which are in one place at a time, or
 * a lack of memory leave no other way. */
static void break_first(struct ike_sa *sa, const struct ip_addr *local, uint64_t now_ns)
{
	struct again children[64];
	uint32_t num = wanted(sa, children, ARRAY_LEN(children));
	char from[IP_TEXT_MAX], to[IP_TEXT_MAX], text[200];
	struct ike_engine *e = sa->e;
	struct conf *conf = conf_get(sa->conf); /* the names live with it */
	struct ike_initiate_params p = {.conn = sa->conn->name,
					.path = path_to(sa, local, &sa->path.remote.addr),
					.port = sa->port,
					.methods = sa->methods};

	snprintf(text, sizeof(text),
		 "the address %s is gone, and the peer does not do MOBIKE: the connection is made "
		 "anew from %s",
		 ip_addr_text(from, &sa->path.local.addr), ip_addr_text(to, local));
	sa_kill(sa, IKE_REASON_NO_ANSWER, text, now_ns);
	for (uint32_t i = 0; i < num; i++) {
		enum err err;

		p.child = children[i].conf->name;
		wish_params(&p, children[i].wish);
		err = request_initiate(e, &p, now_ns);
		if (err && err != ERR_EXISTS)
			LOG(WARN, IKE, p.conn, "child %s is not made anew: %s", p.child,
			    err_text(err));
		wish_put(children[i].wish);
	}
	conf_put(conf);
}

/* follow_anew - the address of an IKE SA is gone, and it cannot move. What its children send goes
 * from another one meanwhile. */
static void follow_anew(struct ike_sa *sa, const struct ip_addr *local, uint64_t now_ns)
{
	const struct path_addr path = path_to(sa, local, &sa->path.remote.addr);
	enum err e = make_anew(sa, &path, now_ns);

	if (e && e != ERR_EXISTS)
		break_first(sa, local, now_ns);
	else
		sa_move(sa, &path, sa->port);
}

/* Without MOBIKE an IKE SA lives and dies with its addresses. */
static void follow_fixed(struct ike_sa *sa, uint64_t now_ns)
{
	char text[IP_TEXT_MAX];
	struct path_addr path;
	struct ip_addr local;

	if (mobike_is_ours(sa, &sa->path.local.addr)) {
		sa->mobike.lost = false;
		return;
	}
	if (source_for(sa, &local, &sa->path.remote.addr)) {
		no_path(sa);
	} else if (sa->state < SA_ESTABLISHED) {
		path = path_to(sa, &local, &sa->path.remote.addr);
		sa_set_path(sa, &path);
		if (sa->out.waiting)
			window_out_hurry(sa, now_ns);
	} else if (sa->initiator && sa->state == SA_ESTABLISHED && !sa->quiet) {
		follow_anew(sa, &local, now_ns);
	} else if (!sa->mobike.lost) {
		sa->mobike.lost = true;
		LOG(WARN, IKE, sa->conn->name,
		    "[%u] the address %s is gone, and without MOBIKE only the peer can make the "
		    "connection anew",
		    sa->unique, ip_addr_text(text, &sa->path.local.addr));
	}
}

void ike_addresses_changed(struct ike_engine *e, uint64_t now_ns)
{
	e->now_ns = now_ns;
	list_for_each_safe (n, &e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (!sa->conn || sa->state == SA_DEAD || sa->state == SA_NONE || !e->env.source_for)
			continue;
		if (sa->mobike.on && sa->state >= SA_ESTABLISHED)
			follow_mobike(sa, now_ns);
		else
			follow_fixed(sa, now_ns);
		step_task(sa, now_ns);
	}
	engine_sweep(e, now_ns);
}

/* ---- the owner says by which path ------------------------------------------------------------ */

void mobike_answer(struct ike_sa *sa, uint16_t status)
{
	if (sa->mobike.request)
		mif_news(sa,
			 &(struct ike_path_say){.news = status ? IKE_PATH_REFUSED : IKE_PATH_DONE,
						.status = status,
						.request = sa->mobike.request},
			 NULL);
	sa->mobike.request = 0;
}

/* far_end - where to from this address: what was said, or else the peer's address that the host
 * would go to from there. */
static const struct ip_addr *far_end(const struct ike_sa *sa, const struct ike_path_op *op)
{
	const struct mobike_addrs *peers = &sa->mobike.peers;
	struct ip_addr from;

	if (!ip_addr_is_any(&op->addr.remote.addr))
		return &op->addr.remote.addr;
	for (uint32_t i = 0; sa->mobike.on && i < peers->num; i++)
		if (!source_for(sa, &from, &peers->list[i]) &&
		    ip_addr_equal(&from, &op->addr.local.addr))
			return &peers->list[i];
	return &sa->path.remote.addr;
}

/* go - along a path that is another one. */
static enum err go(struct ike_sa *sa, const struct path_addr *path, uint64_t now_ns)
{
	if (!sa->mobike.on)
		return make_anew(sa, path, now_ns);
	sa->mobike.chosen = true;
	mobike_go(sa, path, now_ns);
	return ERR_OK;
}

enum err mobike_path(struct ike_sa *sa, const struct ike_path_op *op, uint64_t request,
		     uint64_t now_ns)
{
	const struct ip_addr *local = &op->addr.local.addr;
	const struct ip_addr *remote = far_end(sa, op);
	const struct path_addr path = path_to(sa, local, remote);
	const bool other = !path_same_addrs(&path, &sa->path);
	enum err e;

	if ((op->act != IKE_PATH_SOFT && op->act != IKE_PATH_HARD) || op->dry)
		return ERR_UNSUPPORTED;
	if (!(sa->mobike.on ? sa->mobike.initiator : sa->initiator))
		return ERR_PERM;
	if (op->id)
		return ERR_NOT_FOUND;
	if (local->family != remote->family || !mobike_is_ours(sa, local) ||
	    !mobike_addr_usable(remote) || (sa->mobike.on && !knows(sa, remote)))
		return ERR_INVAL;
	e = other ? go(sa, &path, now_ns) : ERR_OK;
	if (e)
		return e;
	mobike_answer(sa, MIF_ABORTED); /* what was asked for before, and is under way still */
	sa->mobike.request = request;
	if (!other && !sa->mobike.pending && !reauth_replaces(sa))
		mobike_answer(sa, MIF_OK);
	return ERR_OK;
}
