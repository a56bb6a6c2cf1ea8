/* SPDX-License-Identifier: Apache-2.0 */
/* Latches and listeners: the control thread's functions. */
#include "dataplane/latch_flow.h"
#include "dataplane/listener.h"
#include "dataplane/state.h"

#include "base/alloc.h"

/* How long a flow that a worker latched is kept after its last packet. A connection that is not
 * closed may be silent for long; what is closed or never came up is over (RFC 5382 5). */
#define ENDS_S   60
#define UP_S     (24 * 3600)
#define DATA_S   300 /* a listener's flow without connections */
#define CYCLE_S  20  /* all latches are looked at in so long */
#define STEP_MIN 1024

static struct flow_id id_of(const struct flow *flow, uint32_t scope)
{
	struct flow_id id = {
		.what = flow->local_port | (uint64_t)flow->remote_port << 16 |
			(uint64_t)flow->proto << 32 | (flow->no_ports ? FLOW_NO_PORTS : 0),
	};

	if (flow->local.family == IP_V6) {
		id.what |= FLOW_V6;
		memcpy(id.addr, flow->local.b, 16);
		memcpy(id.addr + 2, flow->remote.b, 16);
	} else {
		memcpy(id.addr, flow->local.b, 4);
		memcpy((uint8_t *)id.addr + 4, flow->remote.b, 4);
	}
	flow_scope(&id, scope);
	return id;
}

/* hold - the class of a latch that control keeps is kept, too. */
static enum err hold(struct dataplane *dp, uint32_t token)
{
	return token ? class_hold(dp->classes, token) : ERR_OK;
}

static void let_go(struct dataplane *dp, uint64_t word)
{
	if (latch_flags(word) & LATCH_F_HELD && latch_token(word))
		class_put(dp->classes, latch_token(word));
}

/* kept - how far a listener's connection is, which its worker goes on watching. */
static uint64_t kept(const struct latch *l, uint64_t word)
{
	const uint32_t flags = LATCH_F_TCP | LATCH_F_UP | LATCH_F_ENDS | LATCH_F_IN;

	return l->listener ? latch_word(0, latch_flags(word) & flags) : 0;
}

/* replace - whatever the workers make of it meanwhile; what it was. */
static uint64_t replace(struct dataplane *dp, struct latch *l, uint64_t to)
{
	uint64_t from = latch_get(l);

	while (!latch_change(dp->latches, l, from, to | kept(l, from)))
		from = latch_get(l);
	return from;
}

/* put - the flow's latch, a new one or that which is there, has this word. Who latches it at the
 * same time has done so, or given up, when he is asked again. Errors: NOMEM. */
static enum err put(struct dataplane *dp, const struct flow_id *id, uint64_t word)
{
	struct latch *l;
	enum err e;

	do {
		l = latch_find(dp->latches, id);
		if (l) {
			let_go(dp, replace(dp, l, word));
			return ERR_OK;
		}
		e = latch_enter_held(dp->latches, &l, id, word, &dp->retired);
	} while (e == ERR_EXISTS || e == ERR_AGAIN);
	return e;
}

enum err dataplane_latch_set(struct dataplane *dp, const struct flow *flow, uint32_t scope,
			     uint32_t token, bool shut)
{
	const struct flow_id id = id_of(flow, scope);
	uint64_t word = latch_word(token, LATCH_F_HELD | (shut ? LATCH_F_SHUT : 0));
	enum err e;

	if (!token && !shut)
		return ERR_INVAL;
	e = hold(dp, token);
	if (e != ERR_OK)
		return e;
	e = put(dp, &id, word);
	if (e != ERR_OK && token)
		class_put(dp->classes, token);
	dataplane_changed(dp);
	return e;
}

static void remove_latch(struct dataplane *dp, struct latch *l)
{
	let_go(dp, latch_get(l));
	latch_remove(dp->latches, l, &dp->retired);
}

void dataplane_latch_end(struct dataplane *dp, const struct flow *flow, uint32_t scope)
{
	const struct flow_id id = id_of(flow, scope);
	struct latch *l = latch_find(dp->latches, &id);

	if (!l)
		return;
	remove_latch(dp, l);
	dataplane_changed(dp);
}

enum err dataplane_latch_get(const struct dataplane *dp, struct latch_info *out,
			     const struct flow *flow, uint32_t scope)
{
	const struct flow_id id = id_of(flow, scope);
	const struct latch *l = latch_find(dp->latches, &id);

	if (!l)
		return ERR_NOT_FOUND;
	uint64_t word = latch_get(l);
	uint32_t flags = latch_flags(word);

	*out = (struct latch_info){
		.token = latch_token(word),
		.listener = l->listener,
		.held = flags & LATCH_F_HELD,
		.shut = flags & LATCH_F_SHUT,
		.late = flags & LATCH_F_LATE,
		.ends = flags & LATCH_F_ENDS,
	};
	return ERR_OK;
}

uint32_t dataplane_num_latches(const struct dataplane *dp)
{
	return latch_table_num(dp->latches);
}

uint32_t dataplane_group_token(const struct dataplane *dp, uint32_t group)
{
	const struct sa_group *g = slots_get(dp->groups, group);

	return g ? g->token : 0;
}

bool dataplane_serves(const struct dataplane *dp, uint32_t token, const struct flow *flow)
{
	struct sa_group *const *head = class_groups(dp->classes, token);
	const struct flow_key key = {.flow = *flow, .no_ports = flow->no_ports};
	struct esp_sa *sa;

	for (const struct sa_group *g = head ? *head : NULL; g; g = g->next_of_class) {
		if (group_select(g, &sa, &key, token, 0) == DROP_NONE)
			return true;
	}
	return false;
}

bool dataplane_bypasses(const struct dataplane *dp, const struct flow *flow)
{
	const struct flow_key key = {.flow = *flow, .no_ports = flow->no_ports};
	const struct spd_entry *policy = spd_lookup(&dp->spd, &key);

	return policy && policy->action == POLICY_BYPASS;
}

/* ---- an end to what workers latched -----------------------------------------------------------
 */

struct sweep {
	struct dataplane *dp;
	uint32_t now_s;
	uint32_t token; /* of which all go; 0: those that are over */
};

static uint32_t kept_s(uint32_t flags)
{
	if (!(flags & LATCH_F_TCP))
		return DATA_S;
	return (flags & (LATCH_F_UP | LATCH_F_ENDS)) == LATCH_F_UP ? UP_S : ENDS_S;
}

/* is_over - it was silent for too long. */
static bool is_over(const struct latch *l, uint32_t now_s, uint32_t most_s)
{
	uint32_t used_s = __atomic_load_n(&l->used_s, __ATOMIC_RELAXED);

	return now_s > used_s && now_s - used_s > most_s;
}

bool dataplane_latch_over(const struct dataplane *dp, const struct flow *flow, uint32_t scope,
			  uint64_t now_ns)
{
	const struct flow_id id = id_of(flow, scope);
	const struct latch *l = latch_find(dp->latches, &id);
	uint32_t flags = l ? latch_flags(latch_get(l)) : 0;
	bool watched = flow->proto != IPPROTO_TCP || flags & LATCH_F_TCP;

	return !l || is_over(l, (uint32_t)(now_ns / NS_PER_S), watched ? kept_s(flags) : UP_S);
}

static void sweep_one(void *ctx, struct latch *l)
{
	const struct sweep *s = ctx;
	uint64_t word = latch_get(l);
	bool over = s->token ? latch_token(word) == s->token
			     : is_over(l, s->now_s, kept_s(latch_flags(word)));

	if (!(latch_flags(word) & LATCH_F_HELD) && over)
		remove_latch(s->dp, l);
}

void dataplane_latch_sweep(struct dataplane *dp, uint64_t now_ns)
{
	struct sweep s = {.dp = dp, .now_s = (uint32_t)(now_ns / NS_PER_S)};
	uint32_t room = latch_table_room(dp->latches), step = room / CYCLE_S;

	latch_each(dp->latches, &dp->sweep_at, step < STEP_MIN ? STEP_MIN : step, sweep_one, &s);
	/* Whatever is in use says so, before it is looked at again. */
	if (dp->sweep_at == 0)
		spd_next_epoch(&dp->spd);
}

void latches_forget(void *ctx, uint32_t token)
{
	struct dataplane *dp = ctx;
	struct sweep s = {.dp = dp, .token = token};
	uint32_t at = 0;

	if (latch_table_num(dp->latches) > 0)
		latch_each(dp->latches, &at, latch_table_room(dp->latches), sweep_one, &s);
}

/* ---- listeners --------------------------------------------------------------------------------
 */

static void fill(struct listener *l, struct listeners *set, uint32_t *at,
		 const struct listener_params *p)
{
	const struct flow_id id = id_of(&p->local, p->scope);

	*l = (struct listener){
		.id = listener_id(&id, ip_addr_is_any(&p->local.local)),
		.number = p->number,
		.methods = p->methods,
		.quality = p->quality,
		.named = p->named,
		.num_tokens = p->num_tokens,
		.first_token = *at,
	};
	if (p->num_tokens)
		memcpy(set->tokens + *at, p->tokens, p->num_tokens * sizeof(*p->tokens));
	*at += p->num_tokens;
}

enum err dataplane_listeners_set(struct dataplane *dp, const struct listener_params *params,
				 uint32_t num)
{
	struct listeners *set = NULL, *old = dp->listeners;
	uint32_t num_tokens = 0, at = 0;

	for (uint32_t i = 0; i < num; i++)
		num_tokens += params[i].num_tokens;
	if (num) {
		set = listeners_new(num, num_tokens);
		if (!set)
			return ERR_NOMEM;
		for (uint32_t i = 0; i < num; i++)
			fill(&set->list[i], set, &at, &params[i]);
		listeners_sort(set);
	}
	rcu_publish(dp->listeners, set);
	spd_next_generation(&dp->spd); /* whom a worker let in is asked again */
	listeners_retire(old, &dp->retired);
	return ERR_OK;
}
