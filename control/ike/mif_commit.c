/* SPDX-License-Identifier: Apache-2.0 */
/* mif_commit.c - a plan becomes what is: what is other goes to the data path. */
#include "control/ike/mif_plan.h"

#include "control/ike/move.h"

static bool is_other(const struct sa_path *a, const struct sa_path *b)
{
	return a->weight != b->weight || a->priority != b->priority || a->usable != b->usable ||
	       a->leaving != b->leaving || a->nat != b->nat || a->port != b->port ||
	       a->liveness.idle_ms != b->liveness.idle_ms ||
	       a->liveness.dead_ms != b->liveness.dead_ms ||
	       memcmp(&a->addr, &b->addr, sizeof(a->addr)) != 0;
}

static struct action_cell *queue(struct ike_sa *sa, enum ike_action_kind kind, uint64_t id,
				 uint16_t path)
{
	struct action_cell *c = action_simple(&sa->e->actions, kind, id);

	c->say.id = path;
	c->say.ike_id = sa->unique;
	return c;
}

static struct action_cell *put(struct ike_sa *sa, const struct sa_path *p)
{
	struct action_cell *c = queue(sa, IKE_ACTION_PATH_PUT, sa->peer->id, p->id);

	c->path = p->addr;
	c->port = p->port;
	c->say.weight = p->weight;
	c->say.priority = p->priority;
	c->say.usable = p->usable;
	c->say.leaving = p->leaving;
	c->say.told = !sa->mif.decides;
	c->say.idle_ms = p->liveness.idle_ms;
	c->say.dead_ms = p->liveness.dead_ms;
	return c;
}

void path_put(struct ike_sa *sa, const struct sa_path *p)
{
	(void)put(sa, p);
}

/* came_from - of the message that the plan's operations came by, if the path ends where that came
 * from; else 0. */
static uint32_t came_from(const struct mif_plan *p, const struct sa_path *path)
{
	return p->dg && path_same_remote(&p->dg->path, &path->addr) ? (uint32_t)p->dg->bytes.len
								    : 0;
}

/* Paths that go. The data path has always one, and never more than there is room for: so all go
 * before others come, but for the last one if none stays. Returns how many. */
static uint32_t take_gone(const struct mif_plan *p, bool carry_out, bool before)
{
	const struct sa_paths *now = &p->sa->mif.paths;
	struct sa_paths next = p->next;
	uint32_t num_gone = 0, num = 0;

	for (uint8_t i = 0; i < now->num; i++)
		num_gone += !paths_find(&next, now->list[i].id);
	for (uint8_t i = 0, gone = 0; i < now->num; i++) {
		if (paths_find(&next, now->list[i].id))
			continue;
		if (before != (++gone < now->num || num_gone < now->num))
			continue;
		num++;
		if (carry_out)
			queue(p->sa, IKE_ACTION_PATH_TAKE, p->sa->peer->id, now->list[i].id);
	}
	return num;
}

static uint32_t put_others(const struct mif_plan *p, bool carry_out)
{
	struct sa_paths *now = &p->sa->mif.paths;
	uint32_t num = 0, came = 0;

	for (uint8_t i = 0; i < p->next.num; i++) {
		const struct sa_path *next = &p->next.list[i];
		const struct sa_path *was = paths_find(now, next->id);

		if (was && !is_other(was, next))
			continue;
		num++;
		if (!carry_out)
			continue;
		struct action_cell *c = put(p->sa, next);

		if (was || came)
			continue; /* a message came once, whatever it says */
		came = c->say.came = came_from(p, next);
	}
	return num;
}

static uint32_t move_children(const struct mif_plan *p, bool carry_out)
{
	uint32_t num = 0;

	list_for_each (n, &p->sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		if (c->path == c->path_next || !c->in)
			continue;
		num++;
		if (carry_out)
			queue(p->sa, IKE_ACTION_CHILD_PATH, c->id, c->path_next);
	}
	return num;
}

/* Each difference between what is and what is planned: carried out, or only counted. */
static uint32_t differences(const struct mif_plan *p, bool carry_out)
{
	const bool other_policy = p->sa->mif.paths.policy != p->next.policy;
	uint32_t num;

	if (other_policy && carry_out) /* before there are paths that it is about */
		queue(p->sa, IKE_ACTION_PATH_SCHEDULE, p->sa->peer->id, 0)->say.policy =
			p->next.policy;
	num = take_gone(p, carry_out, true);
	num += put_others(p, carry_out);
	num += take_gone(p, carry_out, false);
	return num + other_policy + move_children(p, carry_out);
}

uint32_t plan_actions(const struct mif_plan *p)
{
	return p->sa->peer->added ? differences(p, false) : 0;
}

void plan_commit(struct mif_plan *p)
{
	if (p->sa->peer->added)
		(void)differences(p, true);
	p->sa->mif.paths = p->next;
	list_for_each (n, &p->sa->children) {
		struct ike_child *c = list_entry(n, struct ike_child, node);

		c->path = c->path_next;
	}
}
