/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dataplane.h"

#include "base/alloc.h"
#include "dataplane/probing.h"
#include "dataplane/workers.h"

#define SPI_BITS       32
#define SPI_INDEX_BITS DATAPLANE_SPI_SHIFT
static_assert(WORKERS_MAX <= 1 << (SPI_BITS - SPI_INDEX_BITS), "an SPI names a worker");
#define HANDLE_BITS  32
#define HANDLE_INDEX 20
#define NUM_LATCHES  256

static enum err init_tables(struct dataplane *dp, const struct dataplane_config *config)
{
	dp->latch_tcp = config->latch_tcp;
	dp->latches = latch_table_new(config->num_latches ? config->num_latches : NUM_LATCHES,
				      &dp->spd, &dp->rng);
	dp->sad = slots_new(SPI_BITS, SPI_INDEX_BITS, &dp->rng);
	dp->groups = slots_new(HANDLE_BITS, HANDLE_INDEX, &dp->rng);
	dp->pathsets = slots_new(HANDLE_BITS, HANDLE_INDEX, &dp->rng);
	dp->policies = slots_new(HANDLE_BITS, HANDLE_INDEX, &dp->rng);
	dp->classes = class_table_new(&dp->rng, latches_forget, dp);
	if (!dp->latches || !dp->sad || !dp->groups || !dp->pathsets || !dp->policies ||
	    !dp->classes)
		return ERR_NOMEM;
	enum err e = htab_init(&dp->children, &dp->rng);

	return e == ERR_OK ? htab_init(&dp->outbound, &dp->rng) : e;
}

static enum err select_aead(struct dataplane *dp, const char *name)
{
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		enum err e = aead_select(&dp->aead[alg], alg, name);

		/* Not every back end has every algorithm. */
		if (e == ERR_UNSUPPORTED && name)
			e = aead_select(&dp->aead[alg], alg, NULL);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

enum err dataplane_new(struct dataplane **out, const struct dataplane_config *config)
{
	struct dataplane *dp = mem_alloc_aligned(CACHE_LINE, sizeof(*dp));
	enum err e;

	if (!dp)
		return ERR_NOMEM;
	dp->rng = config->rng ? *config->rng : *rng_system();
	dp->next_uid = 1;
	dp->event_fd = -1;
	rcu_queue_init(&dp->retired);
	timers_init(&dp->probes, PROBING_TICK_NS, 0);
	list_init(&dp->told);
	e = spd_init(&dp->spd, &dp->rng);
	if (e == ERR_OK)
		e = select_aead(dp, config->aead);
	if (e == ERR_OK)
		e = init_tables(dp, config);
	if (e == ERR_OK)
		e = workers_new(dp, config);
	if (e != ERR_OK) {
		dataplane_free(dp);
		return e;
	}
	*out = dp;
	return ERR_OK;
}

static void release_pathset(void *ctx, uint64_t id, void *obj)
{
	struct dataplane *dp = ctx;
	struct path_set *s = obj;

	(void)id;
	probing_free(s->probing);
	path_set_retire(s, &dp->retired);
}

static void release_group(void *ctx, uint64_t id, void *obj)
{
	struct dataplane *dp = ctx;
	struct sa_group *g = obj;

	(void)id;
	g->num_policies = 0; /* they are gone with the SPD */
	group_retire(g, dp->classes, &dp->retired);
}

void dataplane_free(struct dataplane *dp)
{
	if (!dp)
		return;
	if (dp->device || dp->ports) {
		/* Their keys, and the packets that a lost device kept. */
		dataplane_stop(dp);
		dataplane_children_free(dp);
		rcu_flush(&dp->retired);
		dataplane_device_close(dp);
		dataplane_inline_close(dp);
	}
	workers_free(dp);
	dataplane_children_free(dp);
	if (dp->pathsets)
		slots_each(dp->pathsets, release_pathset, dp);
	if (dp->groups)
		slots_each(dp->groups, release_group, dp);
	rcu_flush(&dp->retired);
	spd_fini(&dp->spd);
	htab_fini(&dp->children);
	htab_fini(&dp->outbound);
	class_table_free(dp->classes);
	mem_free(dp->listeners);
	latch_table_free(dp->latches);
	slots_free(dp->policies);
	slots_free(dp->pathsets);
	slots_free(dp->groups);
	slots_free(dp->sad);
	mem_free_aligned(dp);
}

enum err dataplane_class(const struct dataplane *dp, struct class_info *out, uint32_t token)
{
	return class_info(dp->classes, out, token);
}
