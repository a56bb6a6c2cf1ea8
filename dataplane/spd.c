/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/spd.h"

#include "base/alloc.h"

void spd_init(struct spd *s)
{
	*s = (struct spd){.generation = 1};
}

void spd_fini(struct spd *s)
{
	for (int l = 0; l < POLICY_NUM_LAYERS; l++) {
		while (s->layers[l]) {
			struct spd_entry *e = s->layers[l];

			s->layers[l] = e->next;
			mem_free(e);
		}
	}
}

struct spd_entry *spd_entry_new(const struct policy_params *params, struct sa_group *group)
{
	size_t num = (size_t)params->num_local + params->num_remote;
	struct spd_entry *e = mem_alloc(sizeof(*e) + num * sizeof(e->ts[0]));

	if (!e)
		return NULL;
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

/* bump - release: whoever reads the new generation reads the change too. */
static void bump(struct spd *s)
{
	__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
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

void spd_insert(struct spd *s, struct spd_entry *e)
{
	struct spd_entry **at = &s->layers[e->layer];

	/* Before the generation: who sees the entry puts fragments together for it. */
	spd_count_whole(s, spd_needs_whole(e->ts, e->num_local + e->num_remote));

	/* Behind all of the same priority: within one priority the oldest comes first. */
	while (*at && (*at)->priority <= e->priority)
		at = &(*at)->next;
	e->next = *at;
	rcu_publish(*at, e);
	bump(s);
}

static void free_entry(struct rcu_head *head)
{
	mem_free(container_of(head, struct spd_entry, rcu));
}

void spd_remove(struct spd *s, struct spd_entry *e, struct rcu_queue *q)
{
	struct spd_entry **at = &s->layers[e->layer];

	while (*at && *at != e)
		at = &(*at)->next;
	assert(*at == e);
	rcu_publish(*at, e->next);
	spd_count_whole(s, -(int)spd_needs_whole(e->ts, e->num_local + e->num_remote));
	bump(s);
	rcu_defer(q, &e->rcu, free_entry);
}

const struct spd_entry *spd_lookup(const struct spd *s, const struct flow_key *key)
{
	for (int l = 0; l < POLICY_NUM_LAYERS; l++) {
		for (const struct spd_entry *e = rcu_deref(s->layers[l]); e;
		     e = rcu_deref(e->next)) {
			if (e->scope == key->scope &&
			    flow_match(key, e->ts, e->num_local, e->ts + e->num_local,
				       e->num_remote))
				return e;
		}
	}
	return NULL;
}

bool spd_has_scope(const struct spd *s, uint32_t scope)
{
	for (int l = 0; l < POLICY_NUM_LAYERS; l++) {
		for (const struct spd_entry *e = s->layers[l]; e; e = e->next) {
			if (e->scope == scope)
				return true;
		}
	}
	return false;
}
