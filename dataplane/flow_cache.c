/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/flow_cache.h"

#include "base/alloc.h"

#define MIN_ENTRIES 64u
#define MAX_ENTRIES (1u << 24)

enum err flow_cache_init(struct flow_cache *c, uint32_t num, const struct spd *spd,
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
	return ERR_OK;
}

void flow_cache_fini(struct flow_cache *c)
{
	mem_free_aligned(c->entries);
	*c = (struct flow_cache){0};
}

/* choose_sa - the SA to send on; nothing is admitted inbound until it is checked again. */
static void choose_sa(const struct flow_cache *c, struct flow_entry *e, const struct flow_key *key)
{
	/* The generation first: a change in between makes the entry stale, not wrong. */
	e->group_gen = group_generation(e->group);
	e->in_conf = 0;
	e->sa = NULL;
	e->verdict = group_select(e->group, &e->sa, key, e->policy->class_demanded, c->worker);
	e->owner = e->sa ? e->sa->owner : 0;
	e->ask = e->sa && e->sa->asks;
	e->direct = e->verdict == DROP_NONE && e->owner == c->worker && !e->ask;
}

static enum drop_reason verdict_of(const struct spd_entry *policy)
{
	if (!policy)
		return DROP_NO_POLICY;
	return policy->action == POLICY_BYPASS ? DROP_POLICY_BYPASS : DROP_POLICY_DISCARD;
}

static void look_up(const struct flow_cache *c, struct flow_entry *e, const struct flow_key *key,
		    uint64_t gen)
{
	e->policy_gen = gen;
	e->policy = spd_lookup(c->spd, key);
	e->group = NULL;
	e->group_gen = 0;
	e->in_conf = 0;
	e->ask = e->direct = false;
	if (e->policy && e->policy->action == POLICY_PROTECT) {
		e->group = e->policy->group;
		choose_sa(c, e, key);
	} else {
		e->verdict = verdict_of(e->policy);
	}
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

void flow_cache_refresh(const struct flow_cache *c, struct flow_entry *e, uint64_t epoch)
{
	uint64_t gen = spd_generation(c->spd);
	struct flow_key key = flow_key(&e->id);

	if (e->policy_gen != gen)
		look_up(c, e, &key, gen);
	else if (e->group && e->group_gen != group_generation(e->group))
		choose_sa(c, e, &key);
	e->epoch = epoch;
}
