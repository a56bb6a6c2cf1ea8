/* SPDX-License-Identifier: Apache-2.0 */
/* latch.c - the records of latches: by number, by flow, by socket. */
#include "api/engine/latch.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/alloc.h"

struct latch_rec *latches_find(const struct engine *e, uint64_t id)
{
	struct htab_node *n = engine_find(&e->latches->by_id, &id, sizeof(id));

	return n ? container_of(n, struct latch_rec, by_id) : NULL;
}

static struct latch_key key_of(const struct flow *flow, bool listener)
{
	struct latch_key k = {.flow = *flow, .listener = listener};

	if (listener) {
		k.flow.remote = (struct ip_addr){.family = IP_NONE};
		k.flow.remote_port = 0;
	}
	return k;
}

struct latch_rec *latch_of_flow(const struct engine *e, const struct flow *flow, bool listener)
{
	const struct latch_key k = key_of(flow, listener);
	struct htab_node *n = engine_find(&e->latches->by_flow, &k, sizeof(k));

	return n ? container_of(n, struct latch_rec, by_flow) : NULL;
}

static void enter(struct engine *e, struct latch_rec *l)
{
	struct latches *t = e->latches;

	l->begun_ns = engine_now(e);
	l->upgrades = !l->pub.listener && dataplane_bypasses(e->dp, &l->pub.flow);
	l->pub.id = ++t->next_id;
	htab_insert(&t->by_id, &l->by_id, bytes_of(&l->pub.id, sizeof(l->pub.id)));
	htab_insert(&t->by_flow, &l->by_flow, bytes_of(&l->key, sizeof(l->key)));
	if (l->pub.cookie)
		htab_insert(&t->by_cookie, &l->by_cookie,
			    bytes_of(&l->pub.cookie, sizeof(l->pub.cookie)));
	list_push_back(&t->waiting, &l->node);
	if (!timer_is_set(&t->tick))
		timer_set(&e->timers, &t->tick, engine_now(e) + LATCH_TICK_NS);
}

static struct latch_rec *rec_new(const struct app_latch_params *p, const struct latch_needs *needs)
{
	struct latch_rec *l = mem_alloc(sizeof(*l));

	if (!l)
		return NULL;
	l->key = key_of(&p->flow, p->listener);
	l->needs = *needs;
	l->keep = p->keep;
	l->connected = p->connected;
	l->pub = (struct app_latch){
		.flow = l->key.flow,
		.state = LATCH_LARVAL,
		.listener = p->listener,
		.cookie = p->cookie,
		.client = p->client,
		.uid = p->uid,
		.demand = p->demand,
	};
	return l;
}

static bool is_complete(const struct app_latch_params *p)
{
	const struct flow *f = &p->flow;

	if (!f->proto || !f->local_port || f->no_ports)
		return false;
	return p->listener || (f->local.family && f->local.family == f->remote.family &&
			       !ip_addr_is_any(&f->local) && f->remote_port);
}

static void tell_gone(struct engine *e, const struct latch_rec *l)
{
	latch_tell(e, &(struct app_event){.kind = APP_EVENT_LATCH,
					  .client = l->pub.client,
					  .latch = &l->pub,
					  .gone = true});
}

/* take_place - of old, which is CLOSED and gone: at no moment is the flow free. */
static void take_place(struct engine *e, struct latch_rec *l, struct latch_rec *old)
{
	l->guarded = old->guarded;
	old->guarded = old->held = false;
	old->pub.state = LATCH_CLOSED;
	old->pub.reason = IKE_REASON_REPLACED;
	snprintf(old->pub.text, sizeof(old->pub.text), "another latch has taken its place");
	tell_gone(e, old);
	latch_release(e, old);
}

enum err latch_create(struct engine *e, uint64_t *out_id, const struct app_latch_params *params,
		      char text[APP_TEXT_MAX])
{
	struct latch_needs needs;
	struct latch_rec *l, *old;

	if (!is_complete(params)) {
		snprintf(text, APP_TEXT_MAX, "the socket has no %s yet: bind or connect it first",
			 params->listener ? "local port" : "peer");
		return ERR_INVAL;
	}
	old = latch_of_flow(e, &params->flow, params->listener);
	if (old && old->pub.id != params->instead)
		return ERR_EXISTS;
	TRY(needs_of(e, &needs, &params->demand, text));
	l = rec_new(params, &needs);
	if (!l)
		return ERR_NOMEM;
	enter(e, l);
	latch_save(e, l);
	if (old)
		take_place(e, l, old);
	latch_set_state(e, l, params->listener ? LATCH_LISTENER : LATCH_LARVAL, IKE_REASON_NONE,
			"");
	if (l->pub.state == LATCH_CLOSED) { /* a latch that does not hold is none */
		latch_release(e, l);
		return ERR_NOMEM;
	}
	*out_id = l->pub.id;
	latch_settle(e, l);
	engine_turn(e);
	return ERR_OK;
}

enum err latch_spawn(struct engine *e, const struct latch_rec *listener, const struct flow *flow,
		     uint32_t token)
{
	struct app_latch_params p = {
		.flow = *flow,
		.client = listener->pub.client,
		.uid = listener->pub.uid,
		.demand = listener->pub.demand,
	};
	struct latch_rec *l;

	if (latch_of_flow(e, flow, false))
		return ERR_EXISTS;
	p.demand.token = token;
	l = rec_new(&p, &listener->needs);
	if (!l)
		return ERR_NOMEM;
	l->needs.token = token;
	l->spawned = true;
	enter(e, l);
	latch_settle(e, l);
	latch_tell(e, &(struct app_event){.kind = APP_EVENT_SPAWNED,
					  .client = l->pub.client,
					  .latch = &l->pub,
					  .parent = listener->pub.id});
	return ERR_OK;
}

/* latch_follow - a latch for the flow of old, shut, in whose place it is from now on. NULL:
 * shortage, and all is as it was. */
struct latch_rec *latch_follow(struct engine *e, struct latch_rec *old,
			       const struct app_demand *demand, const struct latch_needs *needs)
{
	const struct app_latch_params p = {
		.flow = old->pub.flow,
		.keep = old->keep,
		.connected = old->connected,
		.cookie = old->pub.cookie,
		.client = old->pub.client,
		.uid = old->pub.uid,
		.demand = *demand,
	};
	struct latch_rec *l = rec_new(&p, needs);

	if (!l)
		return NULL;
	enter(e, l);
	latch_save(e, l);
	take_place(e, l, old);
	latch_set_state(e, l, LATCH_LARVAL, IKE_REASON_NONE, "");
	return l;
}

void latch_release(struct engine *e, struct latch_rec *l)
{
	struct latches *t = e->latches;

	latch_undo(e, l);
	if (l->past) {
		shunt_remove(e, l->past);
		t->dirty = true;
	}
	latch_forget(e, l);
	htab_remove(&t->by_id, &l->by_id);
	htab_remove(&t->by_flow, &l->by_flow);
	if (l->pub.cookie)
		htab_remove(&t->by_cookie, &l->by_cookie);
	list_remove(&l->node);
	mem_free((void *)(uintptr_t)l->needs.tie);
	mem_free(l);
}

/* latch_end - it is over, and who has it is told. */
void latch_end(struct engine *e, struct latch_rec *l, const char *text)
{
	l->pub.state = LATCH_CLOSED;
	l->pub.reason = IKE_REASON_LOCAL;
	snprintf(l->pub.text, sizeof(l->pub.text), "%s", text);
	tell_gone(e, l);
	latch_release(e, l);
}

struct latch_rec *latch_restored(struct engine *e, const struct app_latch_params *p,
				 const struct class_info *tie, char text[APP_TEXT_MAX])
{
	struct latch_needs needs = {0};
	struct class_info *copy = tie ? mem_dup(tie, sizeof(*tie)) : NULL;
	struct latch_rec *l;

	(void)!needs_of(e, &needs, &p->demand, text);
	needs.tie = copy;
	l = (tie && !copy) || latch_of_flow(e, &p->flow, p->listener) ? NULL : rec_new(p, &needs);
	if (!l) {
		mem_free(copy);
		return NULL;
	}
	l->was_up = tie != NULL;
	l->accepted = true;
	enter(e, l);
	latch_set_state(e, l, p->listener ? LATCH_LISTENER : LATCH_LARVAL, IKE_REASON_NONE, "");
	return l;
}

static void release_of(struct engine *e, struct list_node *list, uint64_t client)
{
	list_for_each_safe (n, list) {
		struct latch_rec *l = list_entry(n, struct latch_rec, node);

		if (l->pub.client != client)
			continue;
		if (l->keep)
			l->pub.client = 0;
		else
			latch_release(e, l);
	}
}

void latch_client_gone(struct engine *e, uint64_t client)
{
	release_of(e, &e->latches->waiting, client);
	release_of(e, &e->latches->settled, client);
	cgroups_client_gone(e, client);
	engine_turn(e);
}

void latch_socket_gone(struct engine *e, uint64_t cookie)
{
	struct htab_node *n;

	while (cookie && (n = engine_find(&e->latches->by_cookie, &cookie, sizeof(cookie))))
		latch_end(e, container_of(n, struct latch_rec, by_cookie), "its socket was closed");
}

/* left_behind - the latch's flow is what its socket was connected to, and is not. */
static bool left_behind(struct latch_rec *l, const struct host_socket *sock)
{
	const struct latch_key now = key_of(&sock->flow, false);
	bool same = sock->connected && memcmp(&l->key, &now, sizeof(now)) == 0;

	l->connected |= same && sock->flow.proto == IPPROTO_UDP; /* before it was only named */
	return l->connected && !same;
}

/* latch_socket_seen - what was sent by the old flow may be on its way yet: it is shut, not free. */
void latch_socket_seen(struct engine *e, const struct host_socket *sock)
{
	const uint64_t cookie = sock->cookie;
	struct htab_node *n = engine_find(&e->latches->by_cookie, &cookie, sizeof(cookie)), *next;

	for (; n; n = next) {
		struct latch_rec *l = container_of(n, struct latch_rec, by_cookie);

		next = htab_next(n);
		if (!left_behind(l, sock))
			continue;
		l->ask = l->request = 0;
		latch_set_state(e, l, LATCH_CLOSED, IKE_REASON_LOCAL,
				"its socket is not connected to this peer any more");
	}
}
