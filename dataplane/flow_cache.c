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

/* mix - a 128-bit product folded; the seed keeps a sender from choosing places. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* word - of a key, by itself: see flow_parse(). */
static inline uint64_t word(const struct flow_key *k, unsigned int i)
{
	uint64_t v;

	memcpy(&v, (const uint8_t *)k + 8 * i, sizeof(v));
	return v;
}

static inline uint64_t hash(const struct flow_cache *c, const struct flow_key *k)
{
	const uint64_t s0 = c->seed[0], s1 = c->seed[1];
	uint64_t h = mix(word(k, 0) ^ s0, word(k, 1) ^ s1) ^ mix(word(k, 2) ^ s1, word(k, 3) ^ ~s0);

	return mix(h ^ mix(word(k, 4) ^ ~s1, word(k, 5) ^ s0),
		   word(k, 6) ^ s1 ^ 0x9e3779b97f4a7c15ull);
}

static inline bool same(const struct flow_entry *e, const struct flow_key *k)
{
	uint64_t diff = 0;

	for (unsigned int i = 0; i < 7; i++)
		diff |= word(&e->key, i) ^ word(k, i);
	return diff == 0;
}

/* choose_sa - the SA to send on; nothing is admitted inbound until it is checked again. */
static void choose_sa(struct flow_entry *e)
{
	/* The generation first: a change in between makes the entry stale, not wrong. */
	e->group_gen = group_generation(e->group);
	e->in_conf = 0;
	e->sa = NULL;
	e->verdict = group_select(e->group, &e->sa, &e->key, e->policy->class_demanded);
}

static enum drop_reason verdict_of(const struct spd_entry *policy)
{
	if (!policy)
		return DROP_NO_POLICY;
	return policy->action == POLICY_BYPASS ? DROP_POLICY_BYPASS : DROP_POLICY_DISCARD;
}

static void look_up(const struct flow_cache *c, struct flow_entry *e, uint64_t gen)
{
	e->policy_gen = gen;
	e->policy = spd_lookup(c->spd, &e->key);
	e->group = NULL;
	e->group_gen = 0;
	e->in_conf = 0;
	if (e->policy && e->policy->action == POLICY_PROTECT) {
		e->group = e->policy->group;
		choose_sa(e);
	} else {
		e->verdict = verdict_of(e->policy);
	}
}

/* elsewhere - the entry of a flow that is not at its first place: at one of the three others, else
 * the one of the four that was used longest ago, emptied. The second pair of neighbours lies where
 * the hash's upper half says, so that flows which share one pair hardly ever share both. */
static __attribute__((noinline)) struct flow_entry *
elsewhere(struct flow_cache *c, const struct flow_key *key, uint64_t place)
{
	uint64_t second = hash(c, key) >> 32 & c->mask;
	struct flow_entry *const tries[] = {&c->entries[place ^ 1], &c->entries[second],
					    &c->entries[second ^ 1]};
	struct flow_entry *oldest = &c->entries[place];

	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		if (same(tries[i], key))
			return tries[i];
		if (tries[i]->used_ns < oldest->used_ns)
			oldest = tries[i];
	}
	oldest->key = *key;
	oldest->policy_gen = 0;
	return oldest;
}

uint64_t flow_cache_place(const struct flow_cache *c, const struct flow_key *key)
{
	uint64_t at = hash(c, key) & c->mask;

	__builtin_prefetch(&c->entries[at], 1);
	__builtin_prefetch((const uint8_t *)&c->entries[at] + CACHE_LINE, 1);
	return at;
}

struct flow_entry *flow_cache_get(struct flow_cache *c, const struct flow_key *key, uint64_t place,
				  uint64_t now_ns)
{
	struct flow_entry *e = &c->entries[place];

	if (unlikely(!same(e, key)))
		e = elsewhere(c, key, place);
	uint64_t gen = spd_generation(c->spd);

	if (unlikely(e->policy_gen != gen))
		look_up(c, e, gen);
	else if (e->group && unlikely(e->group_gen != group_generation(e->group)))
		choose_sa(e);
	e->used_ns = now_ns;
	return e;
}
