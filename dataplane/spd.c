/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/spd.h"

#include "base/alloc.h"

enum err spd_init(struct spd *s, const struct rng *rng)
{
	*s = (struct spd){.generation = 1, .epoch = 1};
	list_init(&s->entries);
	return spd_index_init(&s->index, rng);
}

void spd_fini(struct spd *s)
{
	while (s->entries.next && !list_empty(&s->entries))
		mem_free(container_of(list_pop_front(&s->entries), struct spd_entry, node));
	spd_index_fini(&s->index);
}

static_assert(offsetof(struct spd_entry, ts) % alignof(struct spd_place) == 0 &&
		      sizeof(struct ts) % alignof(struct spd_place) == 0,
	      "places lie behind the selectors");

struct spd_entry *spd_entry_new(const struct policy_params *params, struct sa_group *group)
{
	size_t num = (size_t)params->num_local + params->num_remote;
	size_t num_places =
		params->num_local > params->num_remote ? params->num_local : params->num_remote;
	struct spd_entry *e =
		mem_alloc(sizeof(*e) + num * sizeof(e->ts[0]) + num_places * sizeof(e->places[0]));

	if (!e)
		return NULL;
	e->places = (struct spd_place *)(void *)&e->ts[num];
	e->rank = (uint64_t)params->layer << 32 | params->priority;
	e->layer = params->layer;
	e->action = params->action;
	e->priority = params->priority;
	e->class_demanded = params->class_demanded;
	e->scope = params->scope;
	e->num_local = params->num_local;
	e->num_remote = params->num_remote;
	e->owner = params->owner;
	e->group = group;
	memcpy(e->ts, params->local, e->num_local * sizeof(e->ts[0]));
	memcpy(e->ts + e->num_local, params->remote, e->num_remote * sizeof(e->ts[0]));
	return e;
}

void spd_next_epoch(struct spd *s)
{
	__atomic_fetch_add(&s->epoch, 1, __ATOMIC_RELEASE);
}

/* Release: whoever reads the new generation reads the change too. */
void spd_next_generation(struct spd *s)
{
	__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
	spd_next_epoch(s);
}

bool spd_needs_whole(const struct ts *ts, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++) {
		if (ts[i].port_lo != 0 || ts[i].port_hi != 0xffff)
			return true;
		if (ts[i].proto && ts[i].lo.family == IP_V6)
			return true;
	}
	return false;
}

void spd_count_whole(struct spd *s, int by)
{
	__atomic_store_n(&s->num_whole, s->num_whole + (uint32_t)by, __ATOMIC_RELAXED);
}

void spd_insert(struct spd *s, struct spd_entry *e, struct rcu_queue *q)
{
	/* Before the generation: who sees the entry puts fragments together for it. */
	spd_count_whole(s, spd_needs_whole(e->ts, e->num_local + e->num_remote));
	e->age = s->next_age++;
	list_push_back(&s->entries, &e->node);
	e->num_places = spd_index_add(&s->index, e, e->places, q);
	spd_next_generation(s);
}

static void free_entry(struct rcu_head *head)
{
	mem_free(container_of(head, struct spd_entry, rcu));
}

void spd_remove(struct spd *s, struct spd_entry *e, struct rcu_queue *q)
{
	list_remove(&e->node);
	spd_index_remove(&s->index, e->places, e->num_places);
	spd_count_whole(s, -(int)spd_needs_whole(e->ts, e->num_local + e->num_remote));
	spd_next_generation(s);
	rcu_defer(q, &e->rcu, free_entry);
}

const struct spd_entry *spd_lookup(const struct spd *s, const struct flow_key *key)
{
	return spd_index_find(&s->index, key);
}

bool spd_has_scope(const struct spd *s, uint32_t scope)
{
	for (struct list_node *n = s->entries.next; n != &s->entries; n = n->next) {
		if (container_of(n, struct spd_entry, node)->scope == scope)
			return true;
	}
	return false;
}
