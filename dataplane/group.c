/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/group.h"

#include "base/alloc.h"
#include "dataplane/spd.h"

struct sa_group *group_new(struct spd *spd)
{
	struct sa_group *g = mem_alloc(sizeof(*g));

	if (!g)
		return NULL;
	g->generation = 1;
	g->spd = spd;
	return g;
}

static void free_group(struct rcu_head *head)
{
	mem_free(container_of(head, struct sa_group, rcu));
}

/* leave_class - a reader that stands on g goes on in the list that g is put in next, or frees
 * nothing: it takes no SA but of the class that it looks for. */
static void leave_class(struct sa_group *g, struct class_table *classes)
{
	struct sa_group **at = g->token ? class_groups_make(classes, g->token) : NULL;

	while (at && *at && *at != g)
		at = &(*at)->next_of_class;
	if (at && *at)
		rcu_publish(*at, g->next_of_class);
}

void group_retire(struct sa_group *g, struct class_table *classes, struct rcu_queue *q)
{
	assert(!g->newest && g->num_children == 0 && g->num_policies == 0);
	leave_class(g, classes);
	spd_next_generation(
		g->spd); /* a latched flow may have found it without a policy of its own */
	rcu_defer(q, &g->rcu, free_group);
}

/* bump - release: whoever reads the new generation reads the change too. */
static void bump(struct sa_group *g)
{
	__atomic_store_n(&g->generation, g->generation + 1, __ATOMIC_RELEASE);
	spd_next_epoch(g->spd);
}

static void unlink_sa(struct sa_group *g, struct esp_sa *sa)
{
	struct esp_sa **at = &g->newest;

	while (*at && *at != sa)
		at = &(*at)->next;
	if (*at)
		rcu_publish(*at, sa->next);
}

void group_activate(struct sa_group *g, struct esp_sa *sa)
{
	if (g->newest == sa)
		return;
	/* A reader that stands on sa meanwhile only sees other SAs of the group twice or not. */
	if (sa->active)
		unlink_sa(g, sa);
	rcu_publish(sa->next, g->newest);
	rcu_publish(g->newest, sa);
	sa->active = true;
	bump(g);
}

void group_deactivate(struct sa_group *g, struct esp_sa *sa)
{
	if (!sa->active)
		return;
	unlink_sa(g, sa);
	sa->active = false;
	bump(g);
}

enum err group_set_token(struct sa_group *g, struct class_table *classes, uint32_t token)
{
	struct sa_group **head = class_groups_make(classes, token);

	if (!head)
		return ERR_NOMEM;
	if (g->token != token) {
		leave_class(g, classes);
		rcu_publish(g->next_of_class, *head);
		rcu_publish(*head, g);
		__atomic_store_n(&g->token, token, __ATOMIC_RELAXED);
	}
	bump(g);
	return ERR_OK;
}

/* enum rank - how near an SA is to a worker: its own, one for all, another worker's. */
enum rank {
	RANK_OWN,
	RANK_ALL,
	RANK_OTHERS,
	NUM_RANKS
};

static enum rank rank(const struct esp_sa *sa, uint16_t worker)
{
	if (!sa->owners_only)
		return RANK_ALL;
	return sa->owner == worker ? RANK_OWN : RANK_OTHERS;
}

/* nearest - of those that admit the flow; NULL if none does. */
static struct esp_sa *nearest(struct esp_sa *const best[NUM_RANKS])
{
	for (int i = 0; i < NUM_RANKS; i++) {
		if (best[i])
			return best[i];
	}
	return NULL;
}

enum drop_reason group_select(const struct sa_group *g, struct esp_sa **out,
			      const struct flow_key *key, uint32_t demanded, uint16_t worker)
{
	struct esp_sa *best[NUM_RANKS] = {NULL};
	enum drop_reason why = DROP_NO_SA;

	for (struct esp_sa *sa = rcu_deref(g->newest); sa && !best[RANK_OWN];
	     sa = rcu_deref(sa->next)) {
		const struct sa_conf *c = rcu_deref(sa->conf);
		enum rank r = rank(sa, worker);

		if (demanded && demanded != c->token)
			why = why == DROP_NO_SA ? DROP_CLASS : why;
		else if (!flow_match(key, c->ts, c->num_local, c->ts + c->num_local, c->num_remote))
			why = DROP_SA_SELECTOR_OUT;
		else if (!best[r])
			best[r] = sa;
	}
	*out = nearest(best);
	return *out ? DROP_NONE : why;
}
