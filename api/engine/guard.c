/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard as this engine's policies want it: nothing that one protects enters or leaves by
 * another way than the virtual interface.
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

#include <stdlib.h>

/* struct guarded - an entry and its place. */
struct guarded {
	struct guard_entry entry;
	uint32_t priority;
	size_t at;
};

/* struct filling - entries so far; list NULL: they are only counted. */
struct filling {
	struct guarded *list;
	size_t num;
};

/* struct side - the selectors of one side. */
struct side {
	const struct ts *ts;
	uint32_t num;
};

static void fill(struct filling *f, const struct side *local, const struct side *remote,
		 uint32_t priority, struct guard_entry like)
{
	for (uint32_t l = 0; l < local->num; l++)
		for (uint32_t r = 0; r < remote->num; r++) {
			if (local->ts[l].lo.family != remote->ts[r].lo.family)
				continue;
			like.local = local->ts[l];
			like.remote = remote->ts[r];
			if (f->list)
				f->list[f->num] = (struct guarded){like, priority, f->num};
			f->num++;
		}
}

static void fill_all(struct filling *f, const struct engine *e)
{
	list_for_each (n, &e->groups) {
		const struct sa_group *g = list_entry(n, struct sa_group, node);
		const struct side local = {g->local, g->num_local};
		const struct side remote = {g->remote, g->num_remote};

		/* What goes into an interface of a connection's own is for the routes to say. */
		if (g->policy && !g->vif)
			fill(f, &local, &remote, g->priority,
			     (struct guard_entry){.capture = routes_need_capture(g)});
	}
	list_for_each (n, &e->shunts) {
		const struct shunt *s = list_entry(n, struct shunt, node);
		const struct side local = {s->local, s->num_local};
		const struct side remote = {s->remote, s->num_remote};

		fill(f, &local, &remote, s->priority,
		     (struct guard_entry){.pass = s->action == POLICY_BYPASS});
	}
}

static int by_priority(const void *a, const void *b)
{
	const struct guarded *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* guard_write - in the order of the policies, since the first entry that matches decides. */
static enum err guard_write(struct engine *e)
{
	struct filling f = {0};
	struct guard_entry *entries;
	enum err err = ERR_NOMEM;

	fill_all(&f, e);
	f.list = mem_alloc_array(f.num + 1, sizeof(*f.list));
	entries = mem_alloc_array(f.num + 1, sizeof(*entries));
	f.num = 0;
	if (f.list && entries) {
		fill_all(&f, e);
		qsort(f.list, f.num, sizeof(*f.list), by_priority);
		for (size_t i = 0; i < f.num; i++)
			entries[i] = f.list[i].entry;
		err = vif_guard(e);
		if (!err)
			err = e->host.ops->guard_set(e->host.ctx, e->daemon.interface, entries,
						     f.num);
	}
	mem_free(f.list);
	mem_free(entries);
	return err;
}

enum err guard_update(struct engine *e)
{
	enum err err;

	if (!e->guard_dirty)
		return ERR_OK;
	err = guard_write(e);
	e->guard_dirty = err != ERR_OK;
	e->has_guard |= !err;
	return err;
}

void guard_flush(struct engine *e)
{
	if (timer_is_set(&e->again) || !guard_update(e))
		return;
	LOG(ERROR, KNL, NULL,
	    "the guard cannot be set and is tried again: until then protected traffic might pass "
	    "by other interfaces in the clear");
	timer_set(&e->timers, &e->again, engine_now(e) + HOST_AGAIN_NS);
}
