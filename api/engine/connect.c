/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is to be brought up: by a command, because a packet needs it, because the configuration says
 * start, or because it was lost. The keying engine is always handed addresses; names are looked up
 * here, off this thread.
 */
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
	latches_ike_event(e, &ev);
	status_event(e, &ev);
}

/* ---- names ----------------------------------------------------------------------------------- */

static const struct connect_wish no_wish;

static enum err initiate(struct engine *e, const struct conf_conn *conn, const char *child,
			 const struct ip_addr *remote, uint64_t request,
			 const struct connect_wish *wish)
{
	struct ike_initiate_params p = {
		.conn = conn->name,
		.child = child,
		.port = e->outer_port,
		.request = request,
		.flow = wish->flow,
		.narrow = wish->narrow,
		.methods = wish->methods,
		.suite = wish->suite,
		.num_suite = wish->num_suite,
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

static void resolved(struct engine *e, const struct resolving *r, const struct ip_addr *remote)
{
	const struct conf_conn *conn = conf_find_conn(e->conf, r->conn);
	enum err err;

	if (!conn) {
		tell(e, r->conn, r->child, r->request, IKE_REASON_NO_CONFIG,
		     "the connection was unloaded while its peer's name was looked up");
		return;
	}
	if (remote->family == IP_NONE) {
		tell(e, r->conn, r->child, r->request, IKE_REASON_NO_ANSWER,
		     "the name in remote_addrs cannot be resolved: check it and the resolver");
		return;
	}
	err = initiate(e, conn, r->child, remote, r->request, &r->wish);
	if (err == ERR_EXISTS && r->request && !waiters_is_up(e, r->conn, r->child))
		err = waiters_add(e, r->conn, r->child, r->request);
	if (err && err != ERR_EXISTS)
		tell(e, r->conn, r->child, r->request, IKE_REASON_RESOURCES, err_text(err));
}

static struct resolving *resolving_find(struct engine *e, uint64_t id)
{
	list_for_each (n, &e->resolving) {
		struct resolving *r = list_entry(n, struct resolving, node);

		if (r->id == id)
			return r;
	}
	return NULL; /* given up meanwhile */
}

static void on_resolved(struct engine *e, struct loop_source *source)
{
	struct resolver_answer answer;

	(void)source;
	while (resolver_next(e->resolver, &answer)) {
		struct resolving *r = resolving_find(e, answer.id);

		if (!r)
			continue;
		list_remove(&r->node); /* or it would be under way still */
		resolved(e, r, &answer.addr);
		resolving_free(r);
	}
}

static enum err resolve(struct engine *e, const struct conf_conn *conn, const char *child,
			const char *name, uint64_t request, const struct connect_wish *wish)
{
	struct resolving *r = mem_alloc(sizeof(*r));
	enum err err;

	if (!r)
		return ERR_NOMEM;
	list_push_back(&e->resolving, &r->node);
	r->id = ++e->next_lookup;
	r->request = request;
	r->conn = str_dup(conn->name);
	r->child = child ? str_dup(child) : NULL;
	r->wish = *wish;
	if (wish->flow) {
		r->flow = *wish->flow;
		r->wish.flow = &r->flow;
	}
	if (wish->suite) {
		memcpy(r->suite, wish->suite, wish->num_suite * sizeof(r->suite[0]));
		r->wish.suite = r->suite;
	}
	err = r->conn && (!child || r->child) ? resolver_begin(e->resolver, r->id, name)
					      : ERR_NOMEM;
	if (err)
		resolving_free(r);
	return err;
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
			  uint64_t request, const struct connect_wish *wish)
{
	const struct conf_addr *a = connect_remote(conn);

	if (!wish)
		wish = &no_wish;

	if (!a) {
		tell(e, conn->name, child, request, IKE_REASON_NO_CONFIG,
		     "remote_addrs names no single peer, so only the peer can begin: give its "
		     "address or name");
		return ERR_OK;
	}
	if (a->name)
		return resolve(e, conn, child, a->text, request, wish);
	return initiate(e, conn, child, &a->range.lo, request, wish);
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
	if (connect_bring_up(e, conn, g->child, 0, &(struct connect_wish){.flow = flow}))
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

	if (ev->narrow) /* for one flow: whoever waits for the child waits for all of it */
		return;
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

static bool resolving_stop(struct engine *e, const char *conn, const char *child)
{
	bool any = false;

	list_for_each_safe (n, &e->resolving) {
		struct resolving *r = list_entry(n, struct resolving, node);

		if (!connect_is_named(r->conn, conn) || !connect_is_named(r->child, child))
			continue;
		list_remove(&r->node);
		tell(e, r->conn, r->child, r->request, IKE_REASON_LOCAL, "given up as asked");
		resolving_free(r);
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

enum err connect_init(struct engine *e)
{
	enum err err = resolver_open(&e->resolver, UINT32_MAX);

	if (err)
		return err;
	e->names = (struct loop_source){.fd = resolver_fd(e->resolver), .ready = on_resolved};
	return loop_watch(e, &e->names);
}

void connect_fini(struct engine *e)
{
	starters_fini(e);
	list_for_each_safe (n, &e->resolving) {
		resolving_free(list_entry(n, struct resolving, node));
	}
	resolver_close(e->resolver);
	waiters_fini(e);
}
