/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is to be brought up: by a command, because a packet needs it, because the configuration says
 * start, or because it was lost. The keying engine is always handed addresses; names are looked up
 * here, off the loop's thread by libuv.
 */
#include <netdb.h>

#include "api/engine/internal.h"
#include "base/alloc.h"

#define RETRY_FIRST_NS (2 * NS_PER_S)
#define RETRY_MAX_NS   (60 * NS_PER_S)

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

	connect_event(e, &ev);
	status_event(e, &ev);
}

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

	if (!conn)
		return; /* unloaded meanwhile */
	if (status || first_address(&remote, list)) {
		tell(e, r->conn, r->child, r->request, IKE_REASON_NO_ANSWER,
		     "the name in remote_addrs cannot be resolved: check it and the resolver");
		return;
	}
	err = initiate(e, conn, r->child, &remote, r->request, r->has_flow ? &r->flow : NULL);
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

static enum err bring_up(struct engine *e, const struct conf_conn *conn, const char *child,
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
	if (conn)
		err = bring_up(e, conn, child, request, NULL);
	engine_turn(e);
	log_use(before);
	return err;
}

void connect_acquire(struct engine *e, uint32_t group, const struct flow *flow)
{
	struct sa_group *g = policy_find(e, group);
	const struct conf_conn *conn = NULL;

	if (!g || g->acquiring || e->stopping || !g->trap)
		return;
	if (!conf_find_child(e->conf, &conn, g->conn, g->child) || !connect_remote(conn))
		return;
	LOG(INFO, CHD, g->conn, "%s: a packet needs it", g->child);
	g->acquiring = true;
	if (bring_up(e, conn, g->child, 0, flow))
		g->acquiring = false;
}

/* ---- staying up ----------------------------------------------------------------------------- */

static struct starter *starter_find(struct engine *e, const char *conn, const char *child)
{
	list_for_each (n, &e->starters) {
		struct starter *s = list_entry(n, struct starter, node);

		if (strcmp(s->conn, conn) == 0 && (!child || strcmp(s->child, child) == 0))
			return s;
	}
	return NULL;
}

static void starter_free(struct starter *s)
{
	timer_cancel(&s->engine->timers, &s->retry);
	list_remove(&s->node);
	mem_free(s->conn);
	mem_free(s->child);
	mem_free(s);
}

static void starter_fire(struct timer *t, uint64_t now_ns)
{
	struct starter *s = container_of(t, struct starter, retry);
	const struct conf_conn *conn;
	enum err err = ERR_NOT_FOUND;

	(void)now_ns;
	if (conf_find_child(s->engine->conf, &conn, s->conn, s->child))
		err = bring_up(s->engine, conn, s->child, s->request, NULL);
	if (err && err != ERR_EXISTS)
		LOG(WARN, CHD, s->conn, "%s cannot be started: %s", s->child, err_text(err));
}

static struct starter *starter_new(struct engine *e, const char *conn, const char *child)
{
	struct starter *s = mem_alloc(sizeof(*s));

	if (!s)
		return NULL;
	s->engine = e;
	s->request = engine_request(e);
	timer_init(&s->retry, starter_fire);
	list_push_back(&e->starters, &s->node);
	s->conn = str_dup(conn);
	s->child = str_dup(child);
	if (!s->conn || !s->child) {
		starter_free(s);
		return NULL;
	}
	return s;
}

static void starter_begin(struct engine *e, const char *conn, const char *child)
{
	struct starter *s = starter_find(e, conn, child);

	if (!s)
		s = starter_new(e, conn, child);
	if (!s) {
		LOG(ERROR, CHD, conn, "no memory to start %s", child);
		return;
	}
	if (s->stopped || timer_is_set(&s->retry))
		return;
	s->tries = 0;
	timer_set(&e->timers, &s->retry, engine_now(e));
}

/* starter_failed - try again, each time later, as often as keyingtries says. */
static void starter_failed(struct engine *e, struct starter *s)
{
	const struct conf_conn *conn = conf_find_conn(e->conf, s->conn);
	uint64_t wait_ns = RETRY_FIRST_NS << (s->tries < 5 ? s->tries : 5);

	if (!conn || s->stopped || timer_is_set(&s->retry))
		return;
	s->tries++;
	if (conn->keyingtries && s->tries >= conn->keyingtries)
		return; /* the trap policy asks again when there is traffic */
	if (wait_ns > RETRY_MAX_NS)
		wait_ns = RETRY_MAX_NS;
	timer_set(&e->timers, &s->retry, engine_now(e) + wait_ns);
}

void connect_configure(struct engine *e)
{
	list_for_each_safe (n, &e->starters) {
		struct starter *s = list_entry(n, struct starter, node);
		const struct conf_conn *conn;

		if (!conf_find_child(e->conf, &conn, s->conn, s->child))
			starter_free(s);
	}
	for (uint32_t i = 0; i < e->conf->num_conns; i++) {
		const struct conf_conn *conn = e->conf->conns[i];

		for (uint32_t c = 0; c < conn->num_children; c++)
			if (conn->children[c].start_action == ACTION_START)
				starter_begin(e, conn->name, conn->children[c].name);
	}
}

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
	if (action == ACTION_START)
		starter_begin(e, ev->conn, ev->child);
}

static void acquire_done(struct engine *e, const struct ike_event *ev)
{
	list_for_each (n, &e->groups) {
		struct sa_group *g = list_entry(n, struct sa_group, node);

		if (ev->conn && strcmp(g->conn, ev->conn) == 0 &&
		    (!ev->child || strcmp(g->child, ev->child) == 0))
			g->acquiring = false;
	}
}

void connect_event(struct engine *e, const struct ike_event *ev)
{
	struct starter *s = ev->conn ? starter_find(e, ev->conn, ev->child) : NULL;

	switch (ev->kind) {
	case IKE_EVENT_CHILD_UP:
		acquire_done(e, ev);
		if (s)
			s->tries = 0;
		break;
	case IKE_EVENT_FAILED:
		acquire_done(e, ev);
		if (s)
			starter_failed(e, s);
		break;
	case IKE_EVENT_IKE_DOWN:
		acquire_done(e, ev);
		break;
	case IKE_EVENT_CHILD_DOWN:
		acquire_done(e, ev);
		went_down(e, ev);
		break;
	case IKE_EVENT_IKE_UP:
	case IKE_EVENT_IKE_REKEYED:
	case IKE_EVENT_CHILD_REKEYED:
	case IKE_EVENT_PROGRESS:
		break;
	}
}

void connect_stop(struct engine *e, const char *conn, const char *child)
{
	list_for_each (n, &e->starters) {
		struct starter *s = list_entry(n, struct starter, node);

		if ((conn && strcmp(s->conn, conn) != 0) || (child && strcmp(s->child, child) != 0))
			continue;
		timer_cancel(&e->timers, &s->retry);
		s->stopped = true;
	}
	if (conn)
		policy_release(e, conn);
}

void connect_fini(struct engine *e)
{
	list_for_each_safe (n, &e->starters)
		starter_free(list_entry(n, struct starter, node));
	list_for_each_safe (n, &e->resolving) {
		struct resolving *r = list_entry(n, struct resolving, node);

		r->engine = NULL;
		list_remove(&r->node);
		uv_cancel((uv_req_t *)&r->req);
	}
}
