/* SPDX-License-Identifier: Apache-2.0 */
/* latch_events.c - what happens to latches from elsewhere. */
#include "api/engine/latch.h"

#include <stdio.h>
#include <unistd.h>

#include "api/engine/latch_store.h"
#include "base/alloc.h"

/* ---- SAs ------------------------------------------------------------------------------------- */

/* ours - the latch whose negotiation the request was. */
static struct latch_rec *ours(struct engine *e, uint64_t request)
{
	list_for_each (n, &e->latches->waiting) {
		struct latch_rec *l = list_entry(n, struct latch_rec, node);

		if (request && l->request == request)
			return l;
	}
	return NULL;
}

/* refused - what is asked for cannot be had. A latch that was up waits for its peer to be back. */
static void refused(struct engine *e, struct latch_rec *l, const struct ike_event *ev)
{
	l->request = 0;
	if (l->was_up)
		return;
	if (l->needs.clear) {
		l->pub.token = 0;
		latch_set_state(e, l, LATCH_ESTABLISHED, ev->reason, ev->text);
	} else {
		latch_set_state(e, l, LATCH_CLOSED, ev->reason, ev->text);
	}
}

void latches_ike_event(struct engine *e, const struct ike_event *ev)
{
	struct latch_rec *l = ours(e, ev->request);

	if (ev->kind == IKE_EVENT_PROGRESS)
		return;
	e->latches->dirty = true;
	cgroups_ike_event(e, ev);
	if (l && ev->kind == IKE_EVENT_FAILED)
		refused(e, l, ev);
	else if (l && ev->kind == IKE_EVENT_CHILD_UP)
		l->request = 0;
	else if (l && ev->kind == IKE_EVENT_IKE_UP)
		l->same_key = ev->reauth && ev->same_key;
}

/* ---- listeners ---------------------------------------------------------------------------------
 */

/* struct gather - the classes that a listener with a name lets in. */
struct gather {
	uint32_t *tokens;
	uint32_t num, cap;
};

static bool has(const struct gather *g, uint32_t from, uint32_t token)
{
	for (uint32_t i = from; i < g->num; i++) {
		if (g->tokens[i] == token)
			return true;
	}
	return false;
}

/* gather - of the classes that have SAs. */
static enum err gather(struct engine *e, struct gather *g, const struct latch_needs *n)
{
	uint32_t from = g->num;

	list_for_each (node, &e->groups) {
		const struct sa_group *group = list_entry(node, struct sa_group, node);
		uint32_t token = dataplane_group_token(e->dp, group->id);
		struct class_info info;

		if (!token || has(g, from, token) || dataplane_class(e->dp, &info, token) ||
		    !needs_met(n, &info, token))
			continue;
		if (g->num == g->cap) {
			uint32_t cap = g->cap ? 2 * g->cap : 64;
			uint32_t *grown = mem_grow(g->tokens, cap, sizeof(*grown));

			if (!grown)
				return ERR_NOMEM;
			g->tokens = grown;
			g->cap = cap;
		}
		g->tokens[g->num++] = token;
	}
	return ERR_OK;
}

/* families - of a listener's addresses: two where it takes any of either. */
static uint32_t families(const struct latch_rec *l)
{
	return l->pub.flow.local.family == IP_NONE ? 2 : 1;
}

/* num_listeners - as the data path counts them. */
static uint32_t num_listeners(const struct engine *e)
{
	uint32_t num = 0;

	list_for_each (n, &e->latches->settled) {
		const struct latch_rec *l = list_entry(n, struct latch_rec, node);

		if (l->pub.state == LATCH_LISTENER && !l->needs.bypass)
			num += families(l);
	}
	return num;
}

static enum err fill(struct engine *e, struct listener_params *out, uint32_t *first,
		     struct gather *g)
{
	uint32_t i = 0;

	list_for_each (n, &e->latches->settled) {
		const struct latch_rec *l = list_entry(n, struct latch_rec, node);
		const bool named = l->needs.has_peer || l->needs.has_local || l->needs.token;

		if (l->pub.state != LATCH_LISTENER || l->needs.bypass)
			continue;
		uint32_t from = g->num;

		if (named)
			TRY(gather(e, g, &l->needs));
		for (uint32_t k = 0; k < families(l); k++, i++) {
			first[i] = from;
			out[i] = (struct listener_params){
				.local = l->pub.flow,
				.number = (uint32_t)l->pub.id,
				.methods = l->needs.methods,
				.quality = l->needs.quality,
				.named = named,
				.num_tokens = g->num - from,
			};
			if (families(l) == 2)
				out[i].local.local.family = k ? IP_V6 : IP_V4;
		}
	}
	for (uint32_t k = 0; k < i; k++)
		out[k].tokens = g->tokens + first[k]; /* where they are in the end */
	return ERR_OK;
}

/* listeners_put - the data path has them as they are. */
static enum err listeners_put(struct engine *e)
{
	uint32_t num = num_listeners(e);
	struct listener_params *params = mem_alloc_array(num + 1u, sizeof(*params));
	uint32_t *first = mem_alloc_array(num + 1u, sizeof(*first));
	struct gather g = {.tokens = mem_alloc_array(64, sizeof(*g.tokens)), .cap = 64};
	enum err err = params && first && g.tokens ? fill(e, params, first, &g) : ERR_NOMEM;

	if (!err)
		err = dataplane_listeners_set(e->dp, params, num);
	mem_free(params);
	mem_free(first);
	mem_free(g.tokens);
	return err;
}

/* ---- packets -----------------------------------------------------------------------------------
 */

static struct latch_rec *listener_of(struct engine *e, uint32_t number)
{
	list_for_each (n, &e->latches->settled) {
		struct latch_rec *l = list_entry(n, struct latch_rec, node);

		if (l->pub.state == LATCH_LISTENER && (uint32_t)l->pub.id == number)
			return l;
	}
	return NULL;
}

static void foreign(struct engine *e, const struct latch_rec *l, uint32_t token)
{
	char text[APP_TEXT_MAX], id[128] = "somebody else";
	struct class_info info;

	if (!dataplane_class(e->dp, &info, token))
		ike_id_text(id, sizeof(id), &info.peer);
	snprintf(text, sizeof(text), "a packet of this flow came from %s, and was dropped", id);
	latch_alert(e, l, IKE_REASON_ID_MISMATCH, text);
}

void latches_dp_event(struct engine *e, const struct dp_event *ev)
{
	struct latch_rec *l;

	if (ev->kind == DP_EVENT_SPAWNED) {
		l = listener_of(e, ev->listener);
		if (l && latch_spawn(e, l, &ev->flow, ev->token))
			LOG(WARN, DMN, NULL, "a listener's flow is latched, but not known");
		return;
	}
	l = latch_of_flow(e, &ev->flow, false);
	if (l)
		foreign(e, l, ev->token);
}

/* ---- questions ---------------------------------------------------------------------------------
 */

/* latches_conflict - a Child SA with these selectors would be another peer's for what is latched:
 * who has the latch is told before there is one. The flow is kept from it by the data path. */
void latches_conflict(struct engine *e, const struct ike_ask *ask)
{
	char text[APP_TEXT_MAX], id[128];

	if (ask->kind != IKE_ASK_CHILD_ACCEPT || !ask->peer_id)
		return;
	list_for_each_safe (n, &e->latches->settled) {
		struct latch_rec *l = list_entry(n, struct latch_rec, node);
		struct class_info info;

		if (l->pub.state != LATCH_ESTABLISHED || !l->pub.token ||
		    !flow_within(&l->pub.flow, ask->local, ask->num_local, ask->remote,
				 ask->num_remote) ||
		    dataplane_class(e->dp, &info, l->pub.token) ||
		    conf_id_equal(&info.peer, ask->peer_id))
			continue;
		snprintf(
			text, sizeof(text),
			"%s is about to have a security association for this flow's addresses; the "
			"flow stays with its peer",
			ike_id_text(id, sizeof(id), ask->peer_id));
		latch_alert(e, l, IKE_REASON_TS_UNACCEPTABLE, text);
	}
}

void latch_decided(struct engine *e, struct latch_rec *l, bool accept)
{
	l->ask = 0;
	l->accepted = accept;
	if (accept)
		latch_settle(e, l);
	else
		latch_set_state(e, l, LATCH_CLOSED, IKE_REASON_REFUSED,
				"the application refused the peer");
}

/* ---- time --------------------------------------------------------------------------------------
 */

static void overdue(struct engine *e, struct latch_rec *l, uint64_t now_ns)
{
	if (l->ask && now_ns >= l->ask_until_ns) {
		l->ask = 0;
		latch_set_state(e, l, LATCH_CLOSED, IKE_REASON_REFUSED,
				"the application did not say in time whether it wants the peer");
	}
	if (l->pub.state == LATCH_LARVAL && l->needs.clear && !l->was_up && !l->ask &&
	    now_ns >= l->begun_ns + LATCH_CLEAR_NS) {
		l->request = 0;
		latch_set_state(e, l, LATCH_ESTABLISHED, IKE_REASON_NO_ANSWER,
				"not protected: nobody has answered in time");
	}
}

/* SPAWNED_PER_TICK - that are looked at. */
#define SPAWNED_PER_TICK 4096

static void on_tick(struct timer *t, uint64_t now_ns)
{
	struct latches *all = container_of(t, struct latches, tick);
	struct engine *e = all->engine;

	all->ticked = true; /* the turn that follows looks at those that wait */
	dataplane_latch_sweep(e->dp, now_ns);
	latches_trim(e);
	if (!list_empty(&all->waiting) || !list_empty(&all->cgroups) ||
	    dataplane_num_latches(e->dp))
		timer_set(&e->timers, t, now_ns + LATCH_TICK_NS);
}

void latches_watch(struct engine *e)
{
	if (!timer_is_set(&e->latches->tick))
		timer_set(&e->timers, &e->latches->tick, engine_now(e) + LATCH_TICK_NS);
}

/* wake - a worker latched something: it is to be looked after. */
static void wake(struct engine *e)
{
	if (dataplane_num_latches(e->dp))
		latches_watch(e);
}

/* end_spawned - of those that a listener spawned, what is over. So many at a time: who was looked
 * at is the last one then. */
static void end_spawned(struct engine *e, struct list_node *list)
{
	const struct list_node *last = list->prev;
	bool more = !list_empty(list);

	for (uint32_t i = 0; more && i < SPAWNED_PER_TICK; i++) {
		struct latch_rec *l = list_entry(list->next, struct latch_rec, node);

		more = &l->node != last;
		list_remove(&l->node);
		list_push_back(list, &l->node);
		if (l->spawned && dataplane_latch_over(e->dp, &l->pub.flow, 0, engine_now(e)))
			latch_end(e, l, "nothing came of the flow for long");
	}
}

/* look_at - all of a list. Nobody else walks along it meanwhile: a turn does not begin within one.
 */
static void look_at(struct engine *e, struct list_node *list, bool ticked)
{
	list_for_each_safe (n, list) {
		struct latch_rec *l = list_entry(n, struct latch_rec, node);

		if (ticked)
			overdue(e, l, engine_now(e));
		latch_settle(e, l);
	}
}

void latches_settle(struct engine *e)
{
	struct latches *t = e->latches;
	bool dirty = t->dirty, ticked = t->ticked;

	t->dirty = t->ticked = false;
	wake(e);
	if (dirty || ticked)
		look_at(e, &t->waiting, ticked);
	if (dirty)
		look_at(e, &t->settled, false);
	if (dirty || ticked)
		cgroups_settle(e);
	if (ticked) {
		end_spawned(e, &t->waiting);
		end_spawned(e, &t->settled);
	}
	if ((dirty && num_listeners(e)) || t->listeners_dirty)
		t->listeners_dirty = listeners_put(e) != ERR_OK;
}

/* ---- the configuration's listeners
 * --------------------------------------------------------------- */

static struct app_latch_params params_of(const struct conf_listener *c)
{
	struct app_latch_params p = {.listener = true, .keep = true};

	p.flow.local = c->addr;
	p.flow.local_port = c->port;
	p.flow.proto = c->proto;
	snprintf(p.demand.profile, sizeof(p.demand.profile), "%s", c->profile);
	snprintf(p.demand.peer, sizeof(p.demand.peer), "%s", c->peer);
	return p;
}

/* want - the listener stands; one that has changed is made anew. */
static void want(struct engine *e, const struct conf_listener *c)
{
	const struct app_latch_params p = params_of(c);
	struct latch_rec *l = latch_of_flow(e, &p.flow, true);
	char text[APP_TEXT_MAX] = "";
	uint64_t id;

	if (l && (!l->configured || memcmp(&l->pub.demand, &p.demand, sizeof(p.demand)) != 0)) {
		latch_end(e, l, "the configuration has another listener in its place");
		l = NULL;
	}
	if (!l && !latch_create(e, &id, &p, text))
		l = latches_find(e, id);
	if (!l) {
		LOG(ERROR, CFG, NULL, "the listener %s does not stand: %s", c->name, text);
		return;
	}
	l->configured = l->wanted = true;
}

void latches_configure(struct engine *e)
{
	struct latches *t = e->latches;

	profiles_configure(t, e->conf);
	list_for_each (n, &t->settled)
		list_entry(n, struct latch_rec, node)->wanted = false;
	for (uint32_t i = 0; i < e->conf->daemon.num_listeners; i++)
		want(e, &e->conf->daemon.listeners[i]);
	list_for_each_safe (n, &t->settled) {
		struct latch_rec *l = list_entry(n, struct latch_rec, node);

		if (l->configured && !l->wanted)
			latch_release(e, l);
	}
	t->dirty = true;
}

/* ---- life --------------------------------------------------------------------------------------
 */

static void on_gone(void *arg, uint64_t cookie)
{
	latch_socket_gone(arg, cookie);
}

static void on_sockets(struct engine *e, struct loop_source *source)
{
	bool lost = false;

	if (e->host.ops->sockets_read(e->host.ctx, source->fd, &lost, on_gone, e))
		LOG(WARN, KNL, NULL, "closed sockets are not heard of any more");
	if (lost)
		latches_look(e);
}

enum err latches_open(struct engine *e)
{
	struct latches *t = mem_alloc(sizeof(*t));
	int fd;

	if (!t)
		return ERR_NOMEM;
	e->latches = t;
	list_init(&t->waiting);
	list_init(&t->settled);
	list_init(&t->cgroups);
	t->engine = e;
	t->sockets.fd = -1;
	timer_init(&t->tick, on_tick);
	profiles_configure(t, e->conf);
	TRY(htab_init(&t->by_id, e->rng));
	TRY(htab_init(&t->by_flow, e->rng));
	TRY(htab_init(&t->by_cookie, e->rng));
	if (e->took_ports || !e->host.ops->sockets_open ||
	    e->host.ops->sockets_open(e->host.ctx, &fd))
		return ERR_OK;
	t->sockets = (struct loop_source){.fd = fd, .ready = on_sockets};
	return loop_watch(e, &t->sockets);
}

void latches_close(struct engine *e)
{
	struct latches *t = e->latches;

	if (!t)
		return;
	/* What is taken down now is known to the next process, too. */
	latch_store_close(t->store);
	t->store = NULL;
	while (t->waiting.next && !list_empty(&t->waiting))
		latch_release(e, list_entry(t->waiting.next, struct latch_rec, node));
	while (t->settled.next && !list_empty(&t->settled))
		latch_release(e, list_entry(t->settled.next, struct latch_rec, node));
	if (t->settled.next && !e->leave_host)
		latches_guard_only(e);
	if (t->cgroups.next)
		cgroups_close(e);
	timer_cancel(&e->timers, &t->tick);
	if (t->sockets.fd >= 0) {
		loop_unwatch(e, &t->sockets);
		close(t->sockets.fd);
	}
	htab_fini(&t->by_id);
	htab_fini(&t->by_flow);
	htab_fini(&t->by_cookie);
	mem_free(t);
	e->latches = NULL;
}
