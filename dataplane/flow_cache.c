/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/flow_cache.h"

#include "base/alloc.h"

#define MIN_ENTRIES 64u
#define MAX_ENTRIES (1u << 24)

enum err flow_cache_init(struct flow_cache *c, uint32_t num, const struct spd *spd,
			 const struct latch_table *latches, const struct class_table *classes,
			 const struct rng *rng)
{
	uint64_t size = MIN_ENTRIES;
	enum err e = rng_fill(rng, c->seed, sizeof(c->seed));

	if (e != ERR_OK)
		return e;
	while (size < num && size < MAX_ENTRIES)
		size *= 2;
	c->entries = mem_alloc_aligned(CACHE_LINE, size * sizeof(*c->entries));
	if (!c->entries)
		return ERR_NOMEM;
	c->mask = size - 1;
	c->spd = spd;
	c->latches = latches;
	c->classes = classes;
	return ERR_OK;
}

void flow_cache_fini(struct flow_cache *c)
{
	mem_free_aligned(c->entries);
	*c = (struct flow_cache){0};
}

/* choose_of - an SA of the group that has the class, if one is demanded. The generation comes
 * first: a change in between makes the entry stale, not wrong. */
static enum drop_reason choose_of(const struct flow_cache *c, struct flow_entry *e,
				  struct sa_group *g, const struct flow_key *key, uint32_t demanded)
{
	uint64_t gen = group_generation(g);
	struct esp_sa *sa = NULL;
	enum drop_reason why = group_select(g, &sa, key, demanded, c->worker);

	e->group = g;
	e->group_gen = gen;
	e->sa = sa;
	return why;
}

/* choose_own - of the policy's group; one that would let the flow pass in the clear has none. */
static enum drop_reason choose_own(const struct flow_cache *c, struct flow_entry *e,
				   const struct flow_key *key)
{
	if (e->policy->group)
		return choose_of(c, e, e->policy->group, key, e->token);
	return e->latch ? DROP_LATCH : DROP_CLASS;
}

/* choose_latched - what the flow is tied to goes before what its policy would choose now: another
 * peer's SA may stand there, for the same addresses. Where neither has one the policy's group is
 * waited for. */
static enum drop_reason choose_latched(const struct flow_cache *c, struct flow_entry *e,
				       const struct flow_key *key)
{
	struct sa_group *const *head = class_groups(c->classes, e->token);
	enum drop_reason why = choose_own(c, e, key);

	if (why == DROP_NONE || !head)
		return why;
	for (struct sa_group *g = rcu_deref(*head); g; g = rcu_deref(g->next_of_class)) {
		if (choose_of(c, e, g, key, e->token) == DROP_NONE)
			return DROP_NONE;
	}
	return choose_own(c, e, key);
}

/* choose_sa - the SA to send on; nothing is admitted inbound until it is checked again. */
static void choose_sa(const struct flow_cache *c, struct flow_entry *e, const struct flow_key *key,
		      bool latched)
{
	e->in_conf = 0;
	if (latched && e->token)
		e->verdict = (uint8_t)choose_latched(c, e, key);
	else
		e->verdict =
			(uint8_t)choose_of(c, e, e->policy->group, key, e->policy->class_demanded);
	if (e->shut)
		e->verdict = DROP_LATCH;
	e->owner = e->sa ? e->sa->owner : 0;
	e->ask = e->sa && e->sa->asks;
	e->direct = e->verdict == DROP_NONE && e->owner == c->worker && !e->ask;
}

/* verdict_of - where no SA is for the flow. What is latched does not pass by any other way. */
static enum drop_reason verdict_of(const struct flow_entry *e)
{
	if (e->policy && e->policy->action == POLICY_DISCARD)
		return DROP_POLICY_DISCARD;
	if (e->token || e->shut)
		return DROP_LATCH;
	return e->policy ? DROP_POLICY_BYPASS : DROP_NO_POLICY;
}

static void look_up_latch(const struct flow_cache *c, struct flow_entry *e)
{
	e->latch_gen = latch_generation(c->latches, &e->id);
	e->latch = latch_find(c->latches, &e->id);
	e->token = 0;
	e->shut = e->held = e->no_room = false;
	if (!e->latch)
		return;
	uint64_t word = latch_get(e->latch);

	e->token = latch_token(word);
	e->shut = latch_flags(word) & LATCH_F_SHUT;
	e->held = latch_flags(word) & LATCH_F_HELD || e->latch->listener;
}

/* is_protected - by its policy, or by a latch that was asked for where the policy would let it pass
 * in the clear: an application may have more than that for its own flow. */
static bool is_protected(const struct flow_entry *e)
{
	if (!e->policy || e->policy->action == POLICY_DISCARD)
		return false;
	return e->policy->action == POLICY_PROTECT || (e->held && e->token);
}

static void look_up(const struct flow_cache *c, struct flow_entry *e, const struct flow_key *key,
		    uint64_t gen)
{
	e->policy_gen = gen;
	e->policy = spd_lookup(c->spd, key);
	e->group = NULL;
	e->sa = NULL;
	e->group_gen = 0;
	e->in_conf = 0;
	e->ask = e->direct = false;
	if (is_protected(e))
		choose_sa(c, e, key, true);
	else
		e->verdict = (uint8_t)verdict_of(e);
}

/* The second pair of neighbours lies where the hash's upper half says, so that flows which share
 * one pair hardly ever share both. */
struct flow_entry *flow_cache_elsewhere(struct flow_cache *c, const struct flow_id *id,
					struct flow_entry *place)
{
	uint64_t second = flow_hash(c, id) >> 32 & c->mask;
	struct flow_entry *const tries[] = {&c->entries[(place - c->entries) ^ 1],
					    &c->entries[second], &c->entries[second ^ 1]};
	struct flow_entry *oldest = place;

	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		if (flow_equal(&tries[i]->id, id))
			return tries[i];
		if (tries[i]->used_ns < oldest->used_ns)
			oldest = tries[i];
	}
	oldest->id = *id;
	oldest->epoch = oldest->policy_gen = 0;
	return oldest;
}

/* is_old - the SA that was chosen, or that none was. A latched flow without one waits for a group
 * that need not be the one it asked. */
static bool is_old(const struct flow_entry *e)
{
	return e->group && (e->group_gen != group_generation(e->group) ||
			    (e->token && e->verdict != DROP_NONE));
}

void flow_cache_refresh(const struct flow_cache *c, struct flow_entry *e, uint64_t epoch)
{
	uint64_t gen = spd_generation(c->spd);
	bool latched = e->policy_gen && e->latch_gen == latch_generation(c->latches, &e->id);

	if (!latched)
		look_up_latch(c, e);
	else if (e->latch)
		e->in_conf = 0; /* the next packet that is let in says that it is in use */
	if (e->policy_gen != gen || !latched || is_old(e)) {
		struct flow_key key = flow_key(&e->id);

		if (e->policy_gen != gen || !latched)
			look_up(c, e, &key, gen);
		else
			choose_sa(c, e, &key, true);
	}
	e->epoch = epoch;
}

void flow_cache_anew(const struct flow_cache *c, struct flow_entry *e)
{
	struct flow_key key = flow_key(&e->id);

	if (e->policy && e->policy->action == POLICY_PROTECT)
		choose_sa(c, e, &key, false);
}

struct flow_entry *flow_cache_demand(const struct flow_cache *c, struct flow_entry *made,
				     struct flow_entry *e, uint32_t token)
{
	struct flow_key key = flow_key(&e->id);

	if (!e->policy || e->policy->action == POLICY_DISCARD ||
	    (e->sa && rcu_deref(e->sa->conf)->token == token))
		return e;
	*made = *e;
	if (e->token && e->token != token) {
		made->verdict = DROP_LATCH;
		made->direct = false;
		return made;
	}
	made->token = token;
	choose_sa(c, made, &key, true);
	return made;
}
