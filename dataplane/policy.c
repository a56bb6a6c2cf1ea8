/* SPDX-License-Identifier: Apache-2.0 */
/* Path sets, SA groups and policies: the control thread's functions. */
#include "dataplane/workers.h"

#include "base/alloc.h"

/* enter - obj gets a handle, published in its table. */
static enum err enter(struct slots *table, uint32_t *out, void *obj)
{
	uint64_t id;
	enum err e = slots_reserve(table, &id);

	if (e != ERR_OK)
		return e;
	slots_publish(table, id, obj);
	*out = (uint32_t)id;
	return ERR_OK;
}

/* leave - the handle names nothing any more; returns what it named. */
static void *leave(struct slots *table, uint32_t id)
{
	void *obj = slots_get(table, id);

	if (!obj)
		return NULL;
	slots_withdraw(table, id);
	slots_release(table, id);
	return obj;
}

enum err dataplane_pathset_add(struct dataplane *dp, uint32_t *out_set, uint16_t port,
			       const struct path_addr *addr)
{
	struct path_set *s = path_set_new(port, addr, dp->num_workers);
	enum err e;

	if (!s)
		return ERR_NOMEM;
	e = enter(dp->pathsets, &s->id, s);
	if (e != ERR_OK) {
		path_set_retire(s, &dp->retired);
		return e;
	}
	s->path->id = s->id; /* no SA uses the set yet */
	*out_set = s->id;
	return ERR_OK;
}

enum err dataplane_pathset_move(struct dataplane *dp, uint32_t set, uint16_t port,
				const struct path_addr *addr)
{
	struct path_set *s = slots_get(dp->pathsets, set);

	return s ? path_set_move(s, &dp->retired, port, addr) : ERR_NOT_FOUND;
}

enum err dataplane_pathset_mtu(struct dataplane *dp, uint32_t set, uint16_t mtu)
{
	const struct path_set *s = slots_get(dp->pathsets, set);

	if (!s)
		return ERR_NOT_FOUND;
	path_set_link_mtu(s->path, mtu);
	return ERR_OK;
}

enum err dataplane_pathset_info(struct dataplane *dp, struct path_info *out, uint32_t set)
{
	const struct path_set *s = slots_get(dp->pathsets, set);

	if (!s)
		return ERR_NOT_FOUND;
	const struct path_counters sum = path_set_count(s);

	*out = (struct path_info){
		.addr = s->path->addr,
		.port = s->path->port,
		.pmtu = (uint16_t)path_mtu(s->path, workers_clock(dp)),
		.tx_packets = sum.tx_packets,
		.tx_bytes = sum.tx_bytes,
		.rx_packets = sum.rx_packets,
		.rx_bytes = sum.rx_bytes,
	};
	return ERR_OK;
}

void dataplane_pathset_remove(struct dataplane *dp, uint32_t set)
{
	struct path_set *s = leave(dp->pathsets, set);

	if (!s)
		return;
	assert(s->num_refs == 0);
	path_set_retire(s, &dp->retired);
}

enum err dataplane_group_add(struct dataplane *dp, uint32_t *out_group)
{
	struct sa_group *g = group_new(&dp->spd);
	enum err e;

	if (!g)
		return ERR_NOMEM;
	e = enter(dp->groups, &g->id, g);
	if (e != ERR_OK) {
		group_retire(g, dp->classes, &dp->retired);
		return e;
	}
	*out_group = g->id;
	return ERR_OK;
}

void dataplane_group_remove(struct dataplane *dp, uint32_t group)
{
	struct sa_group *g = leave(dp->groups, group);

	if (g)
		group_retire(g, dp->classes, &dp->retired);
}

enum err dataplane_policy_add(struct dataplane *dp, uint32_t *out_id,
			      const struct policy_params *params)
{
	struct sa_group *g = NULL;
	struct spd_entry *entry;
	enum err e;

	if (!flow_selectors_valid(params->local, params->num_local) ||
	    !flow_selectors_valid(params->remote, params->num_remote) ||
	    params->layer >= POLICY_NUM_LAYERS || params->action > POLICY_PROTECT)
		return ERR_INVAL;
	if (params->action == POLICY_PROTECT) {
		g = slots_get(dp->groups, params->group);
		if (!g)
			return ERR_NOT_FOUND;
	}
	entry = spd_entry_new(params, g);
	if (!entry)
		return ERR_NOMEM;
	e = enter(dp->policies, &entry->id, entry);
	if (e != ERR_OK) {
		mem_free(entry);
		return e;
	}
	if (g)
		g->num_policies++;
	*out_id = entry->id;
	spd_insert(&dp->spd, entry, &dp->retired);
	dataplane_changed(dp);
	return ERR_OK;
}

void dataplane_policy_remove(struct dataplane *dp, uint32_t id)
{
	struct spd_entry *entry = leave(dp->policies, id);

	if (!entry)
		return;
	if (entry->group)
		entry->group->num_policies--;
	spd_remove(&dp->spd, entry, &dp->retired);
	dataplane_changed(dp);
}
