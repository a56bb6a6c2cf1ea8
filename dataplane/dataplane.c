/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dataplane.h"

#include "base/alloc.h"
#include "dataplane/state.h"

#define SPI_BITS       32
#define SPI_INDEX_BITS 22
#define HANDLE_BITS    32
#define HANDLE_INDEX   20

#define DEFAULT_FLOWS   16384
#define DEFAULT_PACKETS 4096
#define DEFAULT_ROOM    2048
#define DEFAULT_HOLD    16
#define DEFAULT_HOLD_NS (10 * NS_PER_S)

static uint32_t or_default(uint32_t v, uint32_t otherwise)
{
	return v ? v : otherwise;
}

static enum err init_worker(struct dataplane *dp, const struct dataplane_config *config)
{
	const struct worker_params params = {
		.flow_cache_len = or_default(config->flow_cache_len, DEFAULT_FLOWS),
		.num_packets = or_default(config->num_packets, DEFAULT_PACKETS),
		.packet_room = or_default(config->packet_room, DEFAULT_ROOM),
		.hold_packets = or_default(config->hold_packets, DEFAULT_HOLD),
		.hold_ns = config->hold_ns ? config->hold_ns : DEFAULT_HOLD_NS,
		.rng = &dp->rng,
		.spd = &dp->spd,
		.sad = dp->sad,
		.change = &dp->change,
	};

	return worker_init(&dp->worker, &params);
}

static enum err init_tables(struct dataplane *dp)
{
	dp->sad = slots_new(SPI_BITS, SPI_INDEX_BITS, &dp->rng);
	dp->groups = slots_new(HANDLE_BITS, HANDLE_INDEX, &dp->rng);
	dp->pathsets = slots_new(HANDLE_BITS, HANDLE_INDEX, &dp->rng);
	dp->policies = slots_new(HANDLE_BITS, HANDLE_INDEX, &dp->rng);
	dp->classes = class_table_new(&dp->rng);
	if (!dp->sad || !dp->groups || !dp->pathsets || !dp->policies || !dp->classes)
		return ERR_NOMEM;
	return htab_init(&dp->children, &dp->rng);
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
	rcu_queue_init(&dp->retired);
	spd_init(&dp->spd);
	e = select_aead(dp, config->aead);
	if (e == ERR_OK)
		e = init_tables(dp);
	if (e == ERR_OK)
		e = init_worker(dp, config);
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

	(void)id;
	path_set_retire(obj, &dp->retired);
}

static void release_group(void *ctx, uint64_t id, void *obj)
{
	struct dataplane *dp = ctx;
	struct sa_group *g = obj;

	(void)id;
	g->num_policies = 0; /* they are gone with the SPD */
	group_retire(g, &dp->retired);
}

void dataplane_free(struct dataplane *dp)
{
	if (!dp)
		return;
	worker_stop(&dp->worker);
	/* Drivers first: one may hold packets of the worker's pool. */
	for (uint16_t port = 0; port < dp->worker.num_ports; port++)
		dp->worker.ports[port]->ops->close(dp->worker.ports[port]);
	worker_fini(&dp->worker);
	dataplane_children_free(dp);
	if (dp->pathsets)
		slots_each(dp->pathsets, release_pathset, dp);
	if (dp->groups)
		slots_each(dp->groups, release_group, dp);
	rcu_flush(&dp->retired);
	spd_fini(&dp->spd);
	htab_fini(&dp->children);
	class_table_free(dp->classes);
	slots_free(dp->policies);
	slots_free(dp->pathsets);
	slots_free(dp->groups);
	slots_free(dp->sad);
	mem_free_aligned(dp);
}

enum err dataplane_attach(struct dataplane *dp, uint16_t *out_port, struct driver *driver)
{
	struct worker *w = &dp->worker;

	assert(!w->running);
	if (w->num_ports == WORKER_MAX_PORTS)
		return ERR_FULL;
	if (driver->role == PORT_INNER && w->inner_port == WORKER_NO_PORT)
		w->inner_port = w->num_ports;
	*out_port = w->num_ports;
	w->ports[w->num_ports++] = driver;
	return ERR_OK;
}

uint16_t dataplane_num_ports(const struct dataplane *dp)
{
	return dp->worker.num_ports;
}

int dataplane_port_fd(const struct dataplane *dp, uint16_t port)
{
	const struct driver *d = dp->worker.ports[port];

	return d->ops->fd(d);
}

enum err dataplane_class(const struct dataplane *dp, struct class_info *out, uint32_t token)
{
	return class_info(dp->classes, out, token);
}

enum err dataplane_start(struct dataplane *dp)
{
	return worker_start(&dp->worker);
}

void dataplane_stop(struct dataplane *dp)
{
	worker_stop(&dp->worker);
}

uint32_t dataplane_poll(struct dataplane *dp, uint64_t now_ns)
{
	uint32_t num;

	assert(!dp->worker.running);
	/* Registered for one turn only: an embedder's thread may end, or not come back for long. */
	rcu_thread_register();
	num = worker_turn(&dp->worker, now_ns);
	rcu_thread_unregister();
	return num;
}

uint64_t dataplane_poll_next(const struct dataplane *dp)
{
	return worker_next(&dp->worker);
}

void dataplane_reclaim(struct dataplane *dp)
{
	worker_ike_reclaim(&dp->worker);
	rcu_flush(&dp->retired);
}

void dataplane_changed(struct dataplane *dp)
{
	__atomic_store_n(&dp->change, dp->change + 1, __ATOMIC_RELEASE);
	worker_wake(&dp->worker);
}

int dataplane_event_fd(const struct dataplane *dp)
{
	return dp->worker.events.fd;
}

bool dataplane_event_next(struct dataplane *dp, struct dp_event *out)
{
	struct event_record *r = events_pop(&dp->worker.events);

	if (!r)
		return false;
	*out = r->ev;
	return true;
}

void dp_event_release(struct dataplane *dp, struct dp_event *ev)
{
	events_release(&dp->worker.events, ev->storage);
	*ev = (struct dp_event){0};
}

enum err dataplane_ike_send(struct dataplane *dp, uint16_t port, const struct path_addr *path,
			    const void *bytes, size_t len, bool raw)
{
	return worker_ike_send(&dp->worker, port, path, bytes_of(bytes, len), raw);
}

/* add_driver - what a driver could not send was counted as sent by the worker. */
static void add_driver(struct dataplane_stats *s, const struct driver_stats *d)
{
	uint64_t full = counter_get(&d->tx_full);
	uint64_t error = counter_get(&d->tx_error);

	s->tx_packets -= full + error;
	s->drops[DROP_TX_FULL] += full;
	s->drops[DROP_TX_ERROR] += error;
}

void dataplane_stats(struct dataplane *dp, struct dataplane_stats *out)
{
	const struct worker_counters *c = &dp->worker.count;

	static_assert(DROP_NUM <= ARRAY_LEN(out->drops), "every reason has its counter");
	*out = (struct dataplane_stats){
		.rx_packets = counter_get(&c->rx),
		.made = counter_get(&c->made),
		.tx_packets = counter_get(&c->tx),
		.held = counter_get(&c->held),
		.punted = counter_get(&c->punted),
		.handed_off = counter_get(&c->handed_off),
	};
	for (int i = 0; i < DROP_NUM; i++)
		out->drops[i] = counter_get(&c->drops[i]);
	for (uint16_t port = 0; port < dp->worker.num_ports; port++)
		add_driver(out, &dp->worker.ports[port]->stats);
}

const char *dataplane_drop_name(uint32_t i, const char **out_text)
{
	if (i >= DROP_NUM)
		return NULL;
	if (out_text)
		*out_text = drop_text((enum drop_reason)i);
	return drop_name((enum drop_reason)i);
}
