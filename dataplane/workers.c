/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/workers.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "dataplane/crypto/inline.h"
#include "dataplane/probing.h"

#define DEFAULT_FLOWS   16384
#define DEFAULT_PACKETS 4096
#define DEFAULT_ROOM    2048
#define DEFAULT_HOLD    16
#define DEFAULT_HOLD_NS (10 * NS_PER_S)
#define DEFAULT_HANDOFF 512
#define DEFAULT_REASM   32

/* ---- made and unmade ------------------------------------------------------------------------ */

static uint32_t or_default(uint32_t v, uint32_t otherwise)
{
	return v ? v : otherwise;
}

static struct worker_params params_of(struct dataplane *dp, const struct dataplane_config *config)
{
	return (struct worker_params){
		.flow_cache_len = or_default(config->flow_cache_len, DEFAULT_FLOWS),
		.num_packets = or_default(config->num_packets, DEFAULT_PACKETS),
		.packet_room = or_default(config->packet_room, DEFAULT_ROOM),
		.hold_packets = or_default(config->hold_packets, DEFAULT_HOLD),
		.hold_ns = config->hold_ns ? config->hold_ns : DEFAULT_HOLD_NS,
		.reasm_packets = or_default(config->reasm_packets, DEFAULT_REASM),
		.rng = &dp->rng,
		.spd = &dp->spd,
		.sad = dp->sad,
		.latches = dp->latches,
		.classes = dp->classes,
		.listeners = (const struct listeners *const *)&dp->listeners,
		.dummies = &dp->dummies,
		.change = &dp->change,
		.workers = dp->workers,
		.num_workers = dp->num_workers,
		.handoff_packets = or_default(config->handoff_packets, DEFAULT_HANDOFF),
		.event_fd = dp->event_fd,
	};
}

static enum err make_one(struct dataplane *dp, struct worker_params *params, uint16_t index)
{
	struct worker *w = mem_alloc_aligned(CACHE_LINE, sizeof(*w));

	if (!w)
		return ERR_NOMEM;
	dp->workers[index] = w;
	params->index = index;
	return worker_init(w, params);
}

enum err workers_new(struct dataplane *dp, const struct dataplane_config *config)
{
	enum err e = ERR_OK;

	if (config->num_workers > WORKERS_MAX)
		return ERR_INVAL;
	dp->num_workers = or_default(config->num_workers, 1);
	dp->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (dp->event_fd < 0)
		return ERR_SYS;
	struct worker_params params = params_of(dp, config);

	for (uint32_t i = 0; i < dp->num_workers && e == ERR_OK; i++)
		e = make_one(dp, &params, (uint16_t)i);
	return e;
}

static void close_ports(struct worker *w)
{
	for (uint16_t port = 0; port < w->num_ports; port++) {
		if (w->ports[port])
			w->ports[port]->ops->close(w->ports[port]);
	}
}

void workers_free(struct dataplane *dp)
{
	uint32_t num = 0;

	dataplane_stop(dp);
	while (num < dp->num_workers && dp->workers[num])
		num++;
	/* Drivers first: one may hold packets of a worker's pool. Then everything else that may, of
	 * any worker. */
	for (uint32_t i = 0; i < num; i++)
		close_ports(dp->workers[i]);
	for (uint32_t i = 0; i < num; i++)
		worker_empty(dp->workers[i]);
	for (uint32_t i = 0; i < num; i++) {
		worker_fini(dp->workers[i]);
		mem_free_aligned(dp->workers[i]);
		dp->workers[i] = NULL;
	}
	if (dp->event_fd >= 0)
		close(dp->event_fd);
}

uint64_t workers_clock(const struct dataplane *dp)
{
	uint64_t latest = 0;

	for (uint32_t i = 0; i < dp->num_workers; i++) {
		uint64_t now_ns = worker_clock(dp->workers[i]);

		latest = now_ns > latest ? now_ns : latest;
	}
	return latest;
}

uint32_t dataplane_num_workers(const struct dataplane *dp)
{
	return dp->num_workers;
}

uint16_t workers_choose(const struct dataplane *dp, const struct sa_group *g, uint32_t spi_in,
			uint32_t wished)
{
	if (wished)
		return (uint16_t)(wished - 1);
	if (g->num_children)
		return g->owner;
	return (uint16_t)dataplane_spi_worker(spi_in, dp->num_workers);
}

static uint32_t load_of(const struct dataplane *dp, uint16_t worker)
{
	return dp->num_pairs[worker] + dp->num_reserved[worker];
}

uint16_t workers_least(const struct dataplane *dp)
{
	uint16_t least = 0;

	for (uint16_t i = 1; i < dp->num_workers; i++) {
		if (load_of(dp, i) < load_of(dp, least))
			least = i;
	}
	return least;
}

/* ---- ports ---------------------------------------------------------------------------------- */

/* set_senders - who has no queue of the port sends by one who has; these are spread. */
static void set_senders(struct dataplane *dp, uint16_t port)
{
	uint16_t with[WORKERS_MAX], num = 0;

	for (uint16_t i = 0; i < dp->num_workers; i++) {
		if (dp->workers[i]->ports[port])
			with[num++] = i;
	}
	for (uint16_t i = 0; i < dp->num_workers; i++)
		dp->workers[i]->senders[port] = dp->workers[i]->ports[port] ? i : with[i % num];
}

enum err workers_add_port(struct dataplane *dp, uint16_t *out_port, struct driver *driver)
{
	uint16_t port = (uint16_t)dp->num_ports;

	assert(!dp->running);
	if (port == WORKER_MAX_PORTS)
		return ERR_FULL;
	for (uint32_t i = 0; i < dp->num_workers; i++) {
		struct worker *w = dp->workers[i];

		w->roles[port] = driver->role;
		w->routed |= (uint64_t)driver->routed << port;
		if (dp->latch_tcp && driver->role == PORT_INNER && !driver->routed)
			w->latched |= UINT64_C(1) << port;
		w->num_ports++;
	}
	dp->workers[0]->ports[port] = driver;
	dp->num_ports++;
	set_senders(dp, port);
	*out_port = port;
	return ERR_OK;
}

enum err dataplane_attach(struct dataplane *dp, uint16_t *out_port, struct driver *driver)
{
	enum err e = workers_add_port(dp, out_port, driver);

	for (uint32_t i = 0; e == ERR_OK && i < dp->num_workers; i++) {
		struct worker *w = dp->workers[i];

		if (driver->role == PORT_INNER && w->inner_port == WORKER_NO_PORT)
			w->inner_port = *out_port;
	}
	return e;
}

enum err dataplane_attach_queue(struct dataplane *dp, uint16_t port, uint32_t worker,
				struct driver *driver)
{
	assert(!dp->running);
	if (port >= dp->num_ports || worker >= dp->num_workers)
		return ERR_NOT_FOUND;
	struct worker *w = dp->workers[worker];

	if (w->roles[port] != driver->role || w->scopes[port])
		return ERR_INVAL;
	if (w->ports[port])
		return ERR_EXISTS;
	w->ports[port] = driver;
	set_senders(dp, port);
	return ERR_OK;
}

uint16_t dataplane_num_ports(const struct dataplane *dp)
{
	return (uint16_t)dp->num_ports;
}

int dataplane_port_fd(const struct dataplane *dp, uint16_t port, uint32_t worker)
{
	const struct driver *d = dp->workers[worker]->ports[port];

	return d ? d->ops->fd(d) : -1;
}

/* ---- running -------------------------------------------------------------------------------- */

enum err dataplane_start(struct dataplane *dp)
{
	enum err e = ERR_OK;

	if (dp->running)
		return ERR_BAD_STATE;
	dp->running = true;
	/* All can be woken before one runs that could wake them. */
	for (uint32_t i = 0; i < dp->num_workers && e == ERR_OK; i++)
		e = worker_prepare(dp->workers[i]);
	for (uint32_t i = 0; i < dp->num_workers && e == ERR_OK; i++)
		e = worker_start(dp->workers[i]);
	if (e != ERR_OK)
		dataplane_stop(dp);
	return e;
}

void dataplane_stop(struct dataplane *dp)
{
	if (!dp->running)
		return;
	for (uint32_t i = 0; i < dp->num_workers; i++)
		worker_stop(dp->workers[i]);
	for (uint32_t i = 0; i < dp->num_workers; i++)
		worker_unprepare(dp->workers[i]);
	dp->running = false;
}

uint32_t dataplane_poll(struct dataplane *dp, uint64_t now_ns)
{
	uint32_t num = 0;

	assert(!dp->running);
	/* For one turn only: an embedder's thread may end, or not come back for long. */
	rcu_visit_begin();
	for (uint32_t i = 0; i < dp->num_workers; i++) {
		num += worker_turn(dp->workers[i], NULL, now_ns);
		worker_settle(dp->workers[i]);
	}
	rcu_visit_end();
	return num;
}

uint64_t dataplane_poll_next(const struct dataplane *dp)
{
	uint64_t next = TIME_NEVER;

	for (uint32_t i = 0; i < dp->num_workers; i++) {
		const struct worker *w = dp->workers[i];
		uint64_t due = worker_next(w);

		if (__atomic_load_n(&w->inbox.pending, __ATOMIC_RELAXED))
			due = 0;
		next = due < next ? due : next;
	}
	return next;
}

void dataplane_changed(struct dataplane *dp)
{
	__atomic_store_n(&dp->change, dp->change + 1, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < dp->num_workers; i++)
		worker_wake(dp->workers[i]);
}

/* ---- events and IKE ------------------------------------------------------------------------- */

int dataplane_event_fd(const struct dataplane *dp)
{
	return dp->event_fd;
}

/* next_record - of the workers in turn, so that a busy one does not hide another's reports. */
static struct event_record *next_record(struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->num_workers; i++) {
		uint32_t at = (dp->event_turn + i) % dp->num_workers;
		struct event_record *r = events_pop(&dp->workers[at]->events);

		if (!r)
			continue;
		dp->event_turn = at + 1;
		return r;
	}
	return NULL;
}

/* next_report - NULL if there is none, and then the descriptor is not readable. */
static struct event_record *next_report(struct dataplane *dp)
{
	struct event_record *r = next_record(dp);
	uint64_t num = 1;
	ssize_t n;

	if (r)
		return r;
	/* Look again after clearing: what was pushed in between would wait unseen. */
	n = read(dp->event_fd, &num, sizeof(num));
	r = next_record(dp);
	if (!r)
		return NULL;
	/* There may be more, and the caller may not ask again now. */
	num = 1;
	n = write(dp->event_fd, &num, sizeof(num));
	(void)n;
	return r;
}

/* keeps - the data path's own reports. */
static bool keeps(struct dataplane *dp, const struct dp_event *ev)
{
	const struct path_set *s;

	if (ev->kind == DP_EVENT_TOLD) {
		told_judge(dp, ev);
		return true;
	}
	if (ev->kind == DP_EVENT_BUSY) {
		s = slots_get(dp->pathsets, ev->pathset);
		if (s && s->probing)
			probing_busy(s->probing, ev->path_id, workers_clock(dp));
		return true;
	}
	if (ev->kind != DP_EVENT_PROBE)
		return false;
	s = dataplane_paths_of(dp, ev->child);
	if (s && s->probing)
		probing_message(s->probing, ev, workers_clock(dp));
	return s && s->probing;
}

bool dataplane_event_next(struct dataplane *dp, struct dp_event *out)
{
	struct event_record *r = next_report(dp);

	while (r && keeps(dp, &r->ev)) {
		events_release(r->queue, r);
		r = next_report(dp);
	}
	if (!r)
		return probing_report(dp, out);
	*out = r->ev;
	return true;
}

void dp_event_release(struct dataplane *dp, struct dp_event *ev)
{
	struct event_record *r = ev->storage;

	(void)dp;
	if (r) /* not of what the data path tells by itself */
		events_release(r->queue, r);
	*ev = (struct dp_event){0};
}

enum err dataplane_ike_send(struct dataplane *dp, uint16_t port, const struct path_addr *path,
			    const void *bytes, size_t len, bool raw)
{
	struct worker *w = dp->workers[0];

	if (port < dp->num_ports)
		w = dp->workers[w->senders[port]];
	return worker_ike_send(w, port, path, bytes_of(bytes, len), raw);
}

void dataplane_reclaim(struct dataplane *dp)
{
	for (uint32_t i = 0; i < dp->num_workers; i++) {
		worker_ike_reclaim(dp->workers[i]);
		worker_probe_reclaim(dp->workers[i]);
	}
	rcu_flush(&dp->retired);
	if (dp->ports)
		dp->ports->ops->settle(dp->ports);
}

/* ---- counters ------------------------------------------------------------------------------- */

/* add_driver - what a driver could not send was counted as sent by the worker. */
static void add_driver(struct dataplane_stats *s, const struct driver_stats *d)
{
	uint64_t full = counter_get(&d->tx_full);
	uint64_t error = counter_get(&d->tx_error);

	s->tx_packets -= full + error;
	s->drops[DROP_TX_FULL] += full;
	s->drops[DROP_TX_ERROR] += error;
	s->offload_refused += counter_get(&d->offload_refused);
}

static void add_worker(struct dataplane_stats *s, const struct worker *w, const struct driver *gone)
{
	const struct worker_counters *c = &w->count;

	s->rx_packets += counter_get(&c->rx);
	s->made += counter_get(&c->made);
	s->consumed += counter_get(&c->consumed);
	s->tx_packets += counter_get(&c->tx);
	s->held += counter_get(&c->held);
	s->punted += counter_get(&c->punted);
	s->handed_off += counter_get(&c->handed_off);
	s->taken += counter_get(&c->taken);
	for (int i = 0; i < DROP_NUM; i++)
		s->drops[i] += counter_get(&c->drops[i]);
	for (uint16_t port = 0; port < w->num_ports; port++) {
		if (w->ports[port] && w->ports[port] != &gone[port])
			add_driver(s, &w->ports[port]->stats);
	}
}

void dataplane_stats(struct dataplane *dp, struct dataplane_stats *out)
{
	static_assert(DROP_NUM <= ARRAY_LEN(out->drops), "every reason has its counter");
	*out = (struct dataplane_stats){.probes_refused = dp->probes_refused};
	for (uint32_t i = 0; i < dp->num_workers; i++)
		add_worker(out, dp->workers[i], dp->gone);
	for (uint32_t port = 0; port < dp->num_ports; port++)
		add_driver(out, &dp->gone[port].stats);
}

bool dataplane_worker_stats(struct dataplane *dp, struct dataplane_worker_stats *out,
			    uint32_t worker)
{
	struct dataplane_stats s = {0};

	if (worker >= dp->num_workers)
		return false;
	add_worker(&s, dp->workers[worker], dp->gone);
	*out = (struct dataplane_worker_stats){
		.rx_packets = s.rx_packets,
		.tx_packets = s.tx_packets,
		.handed_off = s.handed_off,
		.taken = s.taken,
		.by_device = counter_get(&dp->workers[worker]->count.by_device),
		.num_pairs = dp->num_pairs[worker],
	};
	for (int i = 0; i < DROP_NUM; i++)
		out->drops += s.drops[i];
	return true;
}

const char *dataplane_drop_name(uint32_t i, const char **out_text)
{
	if (i >= DROP_NUM)
		return NULL;
	if (out_text)
		*out_text = drop_text((enum drop_reason)i);
	return drop_name((enum drop_reason)i);
}
