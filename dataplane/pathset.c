/* SPDX-License-Identifier: Apache-2.0 */
/* Path sets and their paths: the control thread's functions. */
#include "dataplane/probing.h"
#include "dataplane/workers.h"

#include "base/alloc.h"
#include "dataplane/steer.h"

static struct path_set *set_of(const struct dataplane *dp, uint32_t set)
{
	return slots_get(dp->pathsets, set);
}

static struct path *path_of(const struct dataplane *dp, uint32_t set, uint16_t id)
{
	const struct path_set *s = set_of(dp, set);

	return s ? path_set_find(s, id) : NULL;
}

/* looked_after - what came of a change, by which other paths may be used. */
static enum err looked_after(const struct path_set *s, enum err e)
{
	if (e == ERR_OK && s->probing)
		probing_changed(s->probing);
	return e;
}

static struct path_info info_of(const struct dataplane *dp, const struct path *p)
{
	const struct path_counters sum = path_count_sum(p, dp->num_workers);

	return (struct path_info){
		.addr = p->addr,
		.port = p->port,
		.pmtu = (uint16_t)path_mtu(p, workers_clock(dp)),
		.tx_packets = sum.tx_packets,
		.tx_bytes = sum.tx_bytes,
		.rx_packets = sum.rx_packets,
		.rx_bytes = sum.rx_bytes,
		.id = p->id,
		.weight = p->weight,
		.priority = p->priority,
		.usable = p->usable,
		.active = p->active,
		.leaving = p->leaving,
		.generation = p->generation,
	};
}

/* ---- one path of a set ------------------------------------------------------------------------
 */

enum err dataplane_path_put(struct dataplane *dp, uint32_t set, const struct path_params *params)
{
	struct path_set *s = set_of(dp, set);

	if (!s)
		return ERR_NOT_FOUND;
	if (!params->id || params->id & PATH_ELSEWHERE || !params->weight)
		return ERR_INVAL;
	return s->probing ? probing_put(s->probing, params) : path_set_put(s, &dp->retired, params);
}

enum err dataplane_path_take(struct dataplane *dp, uint32_t set, uint16_t id)
{
	struct path_set *s = set_of(dp, set);
	const struct path *p = s ? path_set_find(s, id) : NULL;
	struct path was;
	enum err err;

	if (!p)
		return ERR_NOT_FOUND;
	was = *p;
	err = path_set_take(s, &dp->retired, id);
	if (err == ERR_OK && s->probing)
		probing_took(s->probing, &was); /* its counters go with the next reclaim */
	return err;
}

void dataplane_path_owe(struct dataplane *dp, uint32_t set, const struct ip_addr *to, size_t bytes)
{
	const struct path_set *s = set_of(dp, set);

	for (uint32_t i = 0; s && i < s->table->num; i++) {
		const struct path *p = &s->table->path[i];

		if (p->lent && ip_addr_equal(&p->addr.remote.addr, to))
			path_owe(p, bytes + PATH_HEADERS);
	}
}

enum err dataplane_path_info(struct dataplane *dp, struct path_info *out, uint32_t set, uint16_t id)
{
	const struct path *p = path_of(dp, set, id);

	if (!p)
		return ERR_NOT_FOUND;
	*out = info_of(dp, p);
	return ERR_OK;
}

uint32_t dataplane_path_list(struct dataplane *dp, struct path_info out[static PATHS_MAX],
			     uint32_t set)
{
	const struct path_set *s = set_of(dp, set);
	uint32_t num = 0;

	for (uint32_t i = 0; s && i < s->table->num; i++)
		if (!(s->table->path[i].id & PATH_ELSEWHERE))
			out[num++] = info_of(dp, &s->table->path[i]);
	return num;
}

enum err dataplane_path_mtu(struct dataplane *dp, uint32_t set, uint16_t id, uint16_t mtu)
{
	struct path *p = path_of(dp, set, id);

	if (!p)
		return ERR_NOT_FOUND;
	path_set_link_mtu(p, mtu);
	return ERR_OK;
}

enum err dataplane_path_schedule(struct dataplane *dp, uint32_t set, enum path_schedule schedule)
{
	struct path_set *s = set_of(dp, set);

	if (!s)
		return ERR_NOT_FOUND;
	if ((uint32_t)schedule >= SCHEDULE_NUM)
		return ERR_INVAL;
	return looked_after(s, path_set_schedule(s, &dp->retired, schedule));
}

/* count_steered - workers look at rules while there are any. */
static void count_steered(struct dataplane *dp, int more)
{
	for (uint32_t i = 0; i < dp->num_workers; i++)
		__atomic_fetch_add(&dp->workers[i]->num_steered, (uint32_t)more, __ATOMIC_RELAXED);
}

enum err dataplane_path_rules(struct dataplane *dp, uint32_t set, const struct path_rule *rules,
			      uint32_t num)
{
	struct path_set *s = set_of(dp, set);
	struct steer *steer = NULL;
	enum err e;

	if (!s)
		return ERR_NOT_FOUND;
	if (!steer_valid(rules, num))
		return ERR_INVAL;
	const bool before = s->steer != NULL;

	if (num)
		steer = steer_new(rules, num);
	if (num && !steer)
		return ERR_NOMEM;
	e = path_set_steer(s, &dp->retired, steer);
	if (e != ERR_OK) {
		mem_free(steer);
		return e;
	}
	count_steered(dp, (num != 0) - before);
	return looked_after(s, ERR_OK);
}

/* ---- a set ------------------------------------------------------------------------------------
 */

enum err dataplane_pathset_add(struct dataplane *dp, uint32_t *out_set, uint16_t port,
			       const struct path_addr *addr)
{
	struct path_set *s = path_set_new(port, addr, dp->num_workers);
	enum err e;

	if (!s)
		return ERR_NOMEM;
	e = handle_enter(dp->pathsets, &s->id, s);
	if (e != ERR_OK) {
		path_set_retire(s, &dp->retired);
		return e;
	}
	*out_set = s->id;
	return ERR_OK;
}

enum err dataplane_pathset_move(struct dataplane *dp, uint32_t set, uint16_t port,
				const struct path_addr *addr)
{
	struct path_set *s = set_of(dp, set);

	return s ? path_set_move(s, &dp->retired, port, addr) : ERR_NOT_FOUND;
}

enum err dataplane_pathset_mtu(struct dataplane *dp, uint32_t set, uint16_t mtu)
{
	const struct path_set *s = set_of(dp, set);

	if (!s)
		return ERR_NOT_FOUND;
	path_set_link_mtu(s->table->path, mtu);
	return ERR_OK;
}

enum err dataplane_pathset_info(struct dataplane *dp, struct path_info *out, uint32_t set)
{
	const struct path_set *s = set_of(dp, set);

	if (!s)
		return ERR_NOT_FOUND;
	*out = info_of(dp, s->table->path);
	return ERR_OK;
}

void dataplane_pathset_remove(struct dataplane *dp, uint32_t set)
{
	struct path_set *s = handle_leave(dp->pathsets, set);

	if (!s)
		return;
	assert(s->num_refs == 0);
	probing_free(s->probing);
	if (s->steer)
		count_steered(dp, -1);
	path_set_retire(s, &dp->retired);
}
