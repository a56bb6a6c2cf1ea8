/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is to be brought up: by a command, because a packet needs it, because the configuration says
 * start, or because it was lost. The keying engine is always handed addresses; names are looked up
 * here, off the loop's thread by libuv.
 */
#include <netdb.h>

#include "api/engine/internal.h"
#include "base/alloc.h"

/* A packet asks again each second; a peer that refuses is not asked that often. */
#define ACQUIRE_MAX_NS (10 * NS_PER_S)

const struct conf_addr *connect_remote(const struct conf_conn *conn)
{
	for (uint32_t i = 0; i < conn->num_remote_addrs; i++) {
		const struct conf_addr *a = &conn->remote_addrs[i];

		if (a->name || (!a->any && ip_addr_equal(&a->range.lo, &a->range.hi)))
			return a;
	}
	return NULL;
}

enum err connect_local(struct engine *e, struct ip_addr *out, const struct conf_conn *conn,
		       const struct ip_addr *remote)
{
	for (uint32_t i = 0; i < conn->num_local_addrs; i++) {
		const struct conf_addr *a = &conn->local_addrs[i];

		if (!a->any && !a->name && ip_addr_equal(&a->range.lo, &a->range.hi) &&
		    a->range.lo.family == remote->family) {
			*out = a->range.lo;
			return ERR_OK;
		}
	}
	return e->host.ops->source_for(e->host.ctx, out, remote);
}

/* ---- initiating ----------------------------------------------------------------------------- */

static void failed(struct engine *e, const struct ike_event *ev, bool asked_peer);

/* tell - what went wrong before there was an IKE SA that could have told it. */
static void tell(struct engine *e, const char *conn, const char *child, uint64_t request,
		 enum ike_reason reason, const char *text)
{
	const struct ike_event ev = {
		.kind = IKE_EVENT_FAILED,
		.reason = reason,
		.conn = conn,
		.child = child,
		.request = request,
		.text = text,
	};

	failed(e, &ev, false);
	status_event(e, &ev);
}

/* ---- names ----------------------------------------------------------------------------------- */

static enum err initiate(struct engine *e, const struct conf_conn *conn, const char *child,
			 const struct ip_addr *remote, uint64_t request, const struct flow *flow)
{
	struct ike_initiate_params p = {
		.conn = conn->name,
		.child = child,
		.port = e->outer_port,
		.request = request,
		.flow = flow,
	};
	enum err err;

	if (connect_local(e, &p.path.local.addr, conn, remote)) {
		tell(e, conn->name, child, request, IKE_REASON_NO_ANSWER,
		     "there is no route to the peer: add one, or correct remote_addrs");
		return ERR_OK;
	}
	p.path.remote.addr = *remote;
	p.path.local.port = e->daemon.port;
	p.path.remote.port = conn->remote_port;
	/* A peer's port other than 500 speaks with the non-ESP marker (RFC 7296 2.23). */
	if (conn->remote_port != 500) {
		p.path.local.port = e->daemon.port_nat_t;
		p.path.encap = ENCAP_UDP;
	}
	err = ike_initiate(e->ike, &p, engine_now(e));
	engine_turn(e);
	return err;
}

static void resolving_free(struct resolving *r)
{
	list_remove(&r->node);
	mem_free(r->conn);
	mem_free(r->child);
	mem_free(r);
}

static enum err first_address(struct ip_addr *out, const struct addrinfo *list)
{
	struct sockaddr_storage ss = {0};
	struct endpoint ep;
	enum err err;

	if (!list)
		return ERR_NOT_FOUND;
	memcpy(&ss, list->ai_addr, list->ai_addrlen);
	err = endpoint_from_sockaddr(&ep, &ss);
	if (!err)
		*out = ep.addr;
	return err;
}

static void resolved(struct engine *e, const struct resolving *r, int status,
		     const struct addrinfo *list)
{
	const struct conf_conn *conn = conf_find_conn(e->conf, r->conn);
	struct ip_addr remote;
	enum err err;

	if (!conn) {
		tell(e, r->conn, r->child, r->request, IKE_REASON_NO_CONFIG,
		     "the connection was unloaded while its peer's name was looked up");
		return;
	}
	if (status || first_address(&remote, list)) {
		tell(e, r->conn, r->child, r->request, IKE_REASON_NO_ANSWER,
		     "the name in remote_addrs cannot be resolved: check it and the resolver");
		return;
	}
	err = initiate(e, conn, r->child, &remote, r->request, r->has_flow ? &r->flow : NULL);
	if (err == ERR_EXISTS && r->request && !waiters_is_up(e, r->conn, r->child))
		err = waiters_add(e, r->conn, r->child, r->request);
	if (err && err != ERR_EXISTS)
		tell(e, r->conn, r->child, r->request, IKE_REASON_RESOURCES, err_text(err));
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct resolving *r = container_of(req, struct resolving, req);
	struct engine *e = r->engine;
	const struct log_sink *before;

	if (e) {
		before = log_use(&e->sink);
		resolved(e, r, status, list);
		log_use(before);
	}
	uv_freeaddrinfo(list);
	resolving_free(r);
}

static enum err resolve(struct engine *e, const struct conf_conn *conn, const char *child,
			const char *name, uint64_t request, const struct flow *flow)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	struct resolving *r = mem_alloc(sizeof(*r));

	if (!r)
		return ERR_NOMEM;
	list_push_back(&e->resolving, &r->node);
	r->engine = e;
	r->request = request;
	r->conn = str_dup(conn->name);
	r->child = child ? str_dup(child) : NULL;
	r->has_flow = flow != NULL;
	if (flow)
		r->flow = *flow;
	if (!r->conn || (child && !r->child) ||
	    uv_getaddrinfo(e->loop, &r->req, on_resolved, name, NULL, &hints)) {
		resolving_free(r);
		return ERR_NOMEM;
	}
	return ERR_OK;
}

bool connect_is_resolving(const struct engine *e, const char *conn, const char *child)
{
	list_for_each (n, &e->resolving) {
		const struct resolving *r = list_entry(n, struct resolving, node);

		if (strcmp(r->conn, conn) == 0 && r->child && strcmp(r->child, child) == 0)
			return true;
	}
	return false;
}

enum err connect_bring_up(struct engine *e, const struct conf_conn *conn, const char *child,
			  uint64_t request, const struct flow *flow)
{
	const struct conf_addr *a = connect_remote(conn);

	if (!a) {
		tell(e, conn->name, child, request, IKE_REASON_NO_CONFIG,
		     "remote_addrs names no single peer, so only the peer can begin: give its "
		     "address or name");
		return ERR_OK;
	}
	if (a->name)
		return resolve(e, conn, child, a->text, request, flow);
	return initiate(e, conn, child, &a->range.lo, request, flow);
}

enum err engine_up(struct engine *e, const char *conn_name, const char *child, uint64_t request)
{
	const struct log_sink *before = log_use(&e->sink);
	const struct conf_conn *conn = NULL;
	enum err err = ERR_NOT_FOUND;

	if (child)
		conf_find_child(e->conf, &conn, conn_name, child);
	else if (conn_name)
		conn = conf_find_conn(e->conf, conn_name);
	if (conn) {
		starters_resume(e, conn->name, child);
		err = waiters_is_up(e, conn->name, child)
			      ? ERR_EXISTS
			      : connect_bring_up(e, conn, child, request, NULL);
		if (err == ERR_EXISTS && !waiters_is_up(e, conn->name, child))
			err = waiters_add(e, conn->name, child, request);
	}
	engine_turn(e);
	log_use(before);
	return err;
}

/* is_held_down - somebody took it down by hand, and the configuration lets packets stop but not
 * start it. */
static bool is_held_down(struct engine *e, const struct sa_group *g, const struct conf_child *child)
{
	const struct starter *s = starter_find(e, g->conn, g->child);

	return s && s->stopped && !(child->start_action & ACTION_TRAP);
}

void connect_acquire(struct engine *e, uint32_t group, const struct flow *flow)
{
	struct sa_group *g = policy_find(e, group);
	const struct conf_conn *conn = NULL;
	const struct conf_child *child;

	if (!g || g->acquiring || e->stopping || !g->trap || engine_now(e) < g->acquire_after_ns)
		return;
	child = conf_find_child(e->conf, &conn, g->conn, g->child);
	if (!child || !connect_remote(conn) || is_held_down(e, g, child))
		return;
	LOG(INFO, CHD, g->conn, "%s: a packet needs it", g->child);
	g->acquiring = true;
	if (connect_bring_up(e, conn, g->child, 0, flow))
		g->acquiring = false;
}

/* ---- what happened --------------------------------------------------------------------------- */

/* went_down - what the configuration wants done about it. */
static void went_down(struct engine *e, const struct ike_event *ev)
{
	const struct conf_conn *conn;
	const struct conf_child *c;
	enum conf_action action = ACTION_NONE;

	if (e->stopping || !ev->conn || !ev->child)
		return;
	c = conf_find_child(e->conf, &conn, ev->conn, ev->child);
	if (!c)
		return;
	if (ev->reason == IKE_REASON_NO_ANSWER)
		action = c->dpd_action;
	else if (ev->reason == IKE_REASON_PEER_DELETE)
		action = c->close_action;
	if ((action & ACTION_START) && connect_remote(conn))
		starter_begin(e, ev->conn, ev->child);
}

static uint64_t acquire_pause_ns(uint32_t failures)
{
	uint64_t pause = NS_PER_S << (failures < 4 ? failures : 4);

	return pause < ACQUIRE_MAX_NS ? pause : ACQUIRE_MAX_NS;
}

static void acquire_done(struct engine *e, const struct ike_event *ev)
{
	bool failed = ev->kind == IKE_EVENT_FAILED;

	list_for_each (n, &e->groups) {
		struct sa_group *g = list_entry(n, struct sa_group, node);

		if (!g->acquiring || !ev->conn || strcmp(g->conn, ev->conn) != 0 ||
		    (ev->child && strcmp(g->child, ev->child) != 0))
			continue;
		g->acquiring = false;
		if (failed)
			g->acquire_after_ns = engine_now(e) + acquire_pause_ns(g->acquires++);
	}
}

static void failed(struct engine *e, const struct ike_event *ev, bool asked_peer)
{
	struct starter *s = ev->conn ? starter_find(e, ev->conn, ev->child) : NULL;

	acquire_done(e, ev);
	if (s)
		starter_failed(e, s, asked_peer);
	waiters_event(e, ev);
}

void connect_event(struct engine *e, const struct ike_event *ev)
{
	struct starter *s = ev->conn ? starter_find(e, ev->conn, ev->child) : NULL;

	switch (ev->kind) {
	case IKE_EVENT_CHILD_UP:
		acquire_done(e, ev);
		waiters_event(e, ev);
		if (s)
			s->tries = s->asked = 0;
		break;
	case IKE_EVENT_FAILED:
		failed(e, ev, true);
		break;
	case IKE_EVENT_IKE_DOWN:
		acquire_done(e, ev);
		break;
	case IKE_EVENT_CHILD_DOWN:
		acquire_done(e, ev);
		went_down(e, ev);
		break;
	case IKE_EVENT_IKE_UP:
		waiters_up(e, ev->conn);
		break;
	case IKE_EVENT_IKE_REKEYED:
	case IKE_EVENT_CHILD_REKEYED:
	case IKE_EVENT_PROGRESS:
		break;
	}
}

bool connect_is_named(const char *name, const char *wanted)
{
	return !wanted || (name && strcmp(name, wanted) == 0);
}

/* resolving_drop - the answer, when it comes, finds nobody. */
static void resolving_drop(struct resolving *r)
{
	r->engine = NULL;
	list_remove(&r->node);
	uv_cancel((uv_req_t *)&r->req);
}

static bool resolving_stop(struct engine *e, const char *conn, const char *child)
{
	bool any = false;

	list_for_each_safe (n, &e->resolving) {
		struct resolving *r = list_entry(n, struct resolving, node);

		if (!connect_is_named(r->conn, conn) || !connect_is_named(r->child, child))
			continue;
		resolving_drop(r);
		tell(e, r->conn, r->child, r->request, IKE_REASON_LOCAL, "given up as asked");
		any = true;
	}
	return any;
}

/* connect_stop - what matches is not brought up by itself any more, and what stood closed is
 * lifted; true if there was anything to do. */
bool connect_stop(struct engine *e, const char *conn, const char *child)
{
	bool any = starters_stop(e, conn, child);

	any |= resolving_stop(e, conn, child);
	return ((conn || child) && policy_release(e, conn, child)) || any;
}

void connect_fini(struct engine *e)
{
	starters_fini(e);
	list_for_each_safe (n, &e->resolving) {
		resolving_drop(list_entry(n, struct resolving, node));
	}
	waiters_fini(e);
}
