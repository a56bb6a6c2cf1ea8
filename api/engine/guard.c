/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard as this engine's policies want it: nothing that one protects enters or leaves by
 * another way than the virtual interface.
 */
#include "api/engine/internal.h"
#include "base/alloc.h"

static size_t guard_pairs(const struct sa_group *g)
{
	return g->policy ? (size_t)g->num_local * g->num_remote : 0;
}

static size_t guard_fill(struct guard_entry *out, const struct sa_group *g)
{
	size_t n = 0;

	/* What goes into an interface of a connection's own is for the routes to say. */
	if (!g->policy || g->vif)
		return 0;
	for (uint32_t l = 0; l < g->num_local; l++)
		for (uint32_t r = 0; r < g->num_remote; r++)
			if (g->local[l].lo.family == g->remote[r].lo.family)
				out[n++] = (struct guard_entry){
					.local = g->local[l],
					.remote = g->remote[r],
					.capture = routes_need_capture(g),
				};
	return n;
}

static enum err guard_write(struct engine *e)
{
	struct guard_entry *entries;
	size_t max = 0, num = 0;
	enum err err;

	list_for_each (n, &e->groups)
		max += guard_pairs(list_entry(n, struct sa_group, node));
	entries = mem_alloc_array(max + 1, sizeof(*entries));
	if (!entries)
		return ERR_NOMEM;
	list_for_each (n, &e->groups)
		num += guard_fill(entries + num, list_entry(n, struct sa_group, node));
	err = vif_guard(e);
	if (!err)
		err = e->host.ops->guard_set(e->host.ctx, e->daemon.interface, entries, num);
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
