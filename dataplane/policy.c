/* SPDX-License-Identifier: Apache-2.0 */
/* SA groups and policies: the control thread's functions. */
#include "dataplane/workers.h"

#include "base/alloc.h"

enum err handle_enter(struct slots *table, uint32_t *out, void *obj)
{
	uint64_t id;
	enum err e = slots_reserve(table, &id);

	if (e != ERR_OK)
		return e;
	slots_publish(table, id, obj);
	*out = (uint32_t)id;
	return ERR_OK;
}

void *handle_leave(struct slots *table, uint32_t id)
{
	void *obj = slots_get(table, id);

	if (!obj)
		return NULL;
	slots_withdraw(table, id);
	slots_release(table, id);
	return obj;
}

enum err dataplane_group_add(struct dataplane *dp, uint32_t *out_group)
{
	struct sa_group *g = group_new(&dp->spd);
	enum err e;

	if (!g)
		return ERR_NOMEM;
	e = handle_enter(dp->groups, &g->id, g);
	if (e != ERR_OK) {
		group_retire(g, dp->classes, &dp->retired);
		return e;
	}
	*out_group = g->id;
	return ERR_OK;
}

void dataplane_group_remove(struct dataplane *dp, uint32_t group)
{
	struct sa_group *g = handle_leave(dp->groups, group);

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
	e = handle_enter(dp->policies, &entry->id, entry);
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
	struct spd_entry *entry = handle_leave(dp->policies, id);

	if (!entry)
		return;
	if (entry->group)
		entry->group->num_policies--;
	spd_remove(&dp->spd, entry, &dp->retired);
	dataplane_changed(dp);
}
