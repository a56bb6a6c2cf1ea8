/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/engine.h"

#include <sched.h>

#include "api/engine/crash_secret.h"
#include "api/engine/internal.h"
#include "base/alloc.h"

/* How long an orderly stop waits for peers to acknowledge their DELETE. */
#define STOP_NS (2 * NS_PER_S)
/* The wheel for reconnecting needs no finer tick. */
#define ENGINE_TICK_NS (10 * NS_PER_MS)
/* IKE_PORT - where every peer is reached (RFC 7296 2). */
#define IKE_PORT 500

struct htab_node *engine_find(const struct htab *t, const void *id, size_t len)
{
	return htab_find(t, bytes_of(id, len));
}

/* ---- log and observers ---------------------------------------------------------------------- */

static void sink_write(void *ctx, enum log_level level, enum log_subsystem sub,
		       const char *connection, const char *line)
{
	struct engine *e = ctx;

	if (e->outer_sink && level <= e->outer_sink->levels[sub])
		e->outer_sink->write(e->outer_sink->ctx, level, sub, connection, line);
	list_for_each_safe (n, &e->observers) {
		struct engine_observer *o = list_entry(n, struct engine_observer, node);

		if (o->log)
			o->log(o, level, sub, connection, line);
	}
}

static void sink_level(struct engine *e)
{
	for (size_t i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		e->sink.levels[i] = (enum log_level)e->conf->daemon.log_level;
}

/* An engine's lines go to its own observers; what was the thread's sink before stays behind it. */
static void sink_init(struct engine *e)
{
	e->outer_sink = log_use(NULL);
	log_use(e->outer_sink);
	e->sink = (struct log_sink){.write = sink_write, .ctx = e};
	sink_level(e);
}

void engine_observe(struct engine *e, struct engine_observer *o)
{
	list_push_back(&e->observers, &o->node);
}

void engine_unobserve(struct engine *e, struct engine_observer *o)
{
	(void)e;
	list_remove(&o->node);
}

/* ---- a turn --------------------------------------------------------------------------------- */

/* Who sends bare ESP has IKE on its own port. */
static void stray(struct engine *e, const struct dp_event *ev, uint64_t now_ns)
{
	const bool bare = ev->path.encap == ENCAP_NONE;
	struct path_addr path = ev->path;

	if (bare) {
		path.local.port = e->daemon.port;
		path.remote.port = IKE_PORT;
	}
	ike_stray(e->ike, &path, bare || gateway_is_outer(e, ev->port) ? e->outer_port : ev->port,
		  ev->spi, now_ns);
}

static void dp_event(struct engine *e, const struct dp_event *ev, uint64_t now_ns)
{
	switch (ev->kind) {
	case DP_EVENT_IKE:
		ike_receive(e->ike,
			    &(struct ike_datagram){
				    .path = ev->path, .port = ev->port, .bytes = ev->bytes},
			    now_ns);
		break;
	case DP_EVENT_ACQUIRE:
		connect_acquire(e, (uint32_t)ev->owner, &ev->flow);
		break;
	case DP_EVENT_CHILD_USED:
		ike_child_used(e->ike, ev->child, now_ns);
		break;
	case DP_EVENT_SOFT:
		ike_child_expiring(e->ike, ev->child, now_ns);
		break;
	case DP_EVENT_HARD:
		ike_child_expired(e->ike, ev->child, now_ns);
		break;
	case DP_EVENT_SIBLING:
		ike_child_alone(e->ike, ev->child, ev->worker, now_ns);
		break;
	case DP_EVENT_STRAY:
		stray(e, ev, now_ns);
		break;
	case DP_EVENT_DEVICE:
		crypto_lost(e);
		break;
	case DP_EVENT_SPAWNED:
	case DP_EVENT_FOREIGN:
		latches_dp_event(e, ev);
		break;
	case DP_EVENT_TOLD: /* the data path keeps these */
	case DP_EVENT_PROBE:
	case DP_EVENT_BUSY:
		break;
	case DP_EVENT_PATH:
	case DP_EVENT_PATH_MOVED:
	case DP_EVENT_PATH_CAME:
	case DP_EVENT_PATH_DRAINED:
		paths_dp_event(e, ev, now_ns);
		break;
	case DP_EVENT_MOVED:
		/* Bare ESP has no ports to tell IKE: such a peer moves by MOBIKE only. IKE goes by
		 * the sockets also where ESP does not. Where paths are probed they say where they
		 * are. */
		if (ev->path.encap == ENCAP_UDP && !actions_has_paths(e, ev->child))
			ike_child_moved(e->ike, ev->child, &ev->path,
					gateway_is_outer(e, ev->port) ? e->outer_port : ev->port,
					now_ns);
		break;
	}
}

/* Events per wake-up are bounded so that timers and the control socket get their turn (S63). */
#define EVENTS_PER_TURN 256

static void on_dp_events(struct engine *e, struct loop_source *source)
{
	struct dp_event ev;

	(void)source;
	for (int i = 0; i < EVENTS_PER_TURN && dataplane_event_next(e->dp, &ev); i++) {
		dp_event(e, &ev, engine_now(e));
		dp_event_release(e->dp, &ev);
		actions_run(e);
	}
}

static bool stop_finished(struct engine *e, uint64_t now_ns)
{
	struct ike_stats st;

	ike_stats(e->ike, &st);
	return st.ike_sas + st.closing == 0 || now_ns >= e->stop_deadline_ns;
}

uint64_t engine_deadline(const struct engine *e)
{
	uint64_t at = ike_deadline(e->ike);
	uint64_t timers = timers_next(&e->timers);

	if (timers < at)
		at = timers;
	if (aaa_deadline(e) < at)
		at = aaa_deadline(e);
	if (e->stopping && e->stop_deadline_ns < at)
		at = e->stop_deadline_ns;
	if (e->probe_ns < at)
		at = e->probe_ns;
	if (e->polled && dataplane_poll_next(e->dp) < at)
		at = dataplane_poll_next(e->dp);
	return at;
}

/* Turns of a polled data path in a row, for the same reason. */
#define POLLS_PER_TURN 8

/* poll_ports - without a thread of its own the data path takes its turns here. What it reports
 * makes us readable. */
static void poll_ports(struct engine *e, uint64_t now_ns)
{
	if (!e->polled)
		return;
	for (int i = 0; i < POLLS_PER_TURN && dataplane_poll(e->dp, now_ns); i++)
		;
}

/* ROUNDS_PER_TURN - one thing leads to another, but not for ever. */
#define ROUNDS_PER_TURN 8

/* settle - what was asked for within a turn is done by the same turn. */
static void settle(struct engine *e)
{
	e->turning = true;
	for (int i = 0; i == 0 || (e->turn_again && i < ROUNDS_PER_TURN); i++) {
		e->turn_again = false;
		actions_run(e);
		policy_settle(e);
		latches_settle(e);
		vips_settle(e);
		if (e->paths_dirty)
			paths_settle(e);
		path_events_tell(e);
	}
	e->turning = false;
}

void engine_turn(struct engine *e)
{
	uint64_t now_ns = engine_now(e);

	e->turn_again = true;
	if (e->turning)
		return;
	settle(e);
	asks_settle(e);
	poll_ports(e, now_ns);
	e->probe_ns = dataplane_probe_turn(e->dp, now_ns);
	dataplane_reclaim(e->dp);
	loop_arm(e, engine_deadline(e), now_ns);
	if (e->stopping && e->stopped && stop_finished(e, now_ns)) {
		void (*stopped)(void *ctx) = e->stopped;

		e->stopped = NULL;
		stopped(e->stopped_ctx);
	}
}

int engine_fd(const struct engine *e)
{
	return e->epoll_fd;
}

void engine_dispatch(struct engine *e)
{
	const struct log_sink *before = log_use(&e->sink);
	uint64_t now_ns;

	poll_ports(e, engine_now(e));
	loop_dispatch(e);
	now_ns = engine_now(e);
	if (now_ns >= e->probe_ns) /* of paths the data path tells by itself */
		on_dp_events(e, &e->dp_events);
	timers_run(&e->timers, now_ns);
	aaa_run(e);
	ike_run(e->ike, now_ns);
	engine_turn(e);
	log_use(before);
}

void engine_wake(struct engine *e)
{
	loop_arm(e, 0, 0);
}

uint64_t engine_now(const struct engine *e)
{
	return e->now ? e->now(e->ctx) : clock_now_ns();
}

/* ---- life ----------------------------------------------------------------------------------- */

/* env_spi_reserve - a re-keyed pair stays with the worker, and its packets arrive there, as those
 * of one for a worker do. */
static enum err env_spi_reserve(void *ctx, uint32_t *out_spi, uint64_t replaces, uint32_t worker)
{
	struct engine *e = ctx;
	struct child_stats st;
	bool stays = replaces && !dataplane_child_stats(e->dp, &st, replaces);

	return dataplane_spi_reserve_at(e->dp, out_spi, stays ? st.worker + 1 : worker);
}

static void env_spi_release(void *ctx, uint32_t spi)
{
	struct engine *e = ctx;

	dataplane_spi_release(e->dp, spi);
}

static enum err env_child_stats(void *ctx, struct child_stats *out, uint64_t child)
{
	struct engine *e = ctx;

	return dataplane_child_stats(e->dp, out, child);
}

/* Without a secret peers find out that we have restarted as they do of everybody: later. */
static void take_crash_secret(struct engine *e, const char *path)
{
	char why[CRASH_SECRET_WHY];
	struct secret secret = {0};
	enum err err = crash_secret_open(&secret, why, path, e->rng);

	if (err)
		LOG(WARN, DMN, NULL, "peers get no token of ours (RFC 6290): %s", why);
	else if (ike_engine_crash_secret(e->ike, bytes_of(secret.p, secret.len)))
		LOG(WARN, DMN, NULL, "out of memory: peers get no token of ours (RFC 6290)");
	secret_fini(&secret);
}

static enum err make_ike(struct engine *e, const struct engine_params *params)
{
	const struct ike_env env = {
		.rng = e->rng,
		.spi_reserve = env_spi_reserve,
		.spi_release = env_spi_release,
		.child_stats = env_child_stats,
		.source_for = roam_source,
		.local_addrs = roam_addrs,
		.ctx = e,
		.udp_only = !e->has_esp_port,
		.num_workers = dataplane_num_workers(e->dp),
		.max_paths = PATHS_AGREED,
		.path_window = PATHS_WINDOW,
		.path_caps = MIF_CAP_TUNNEL | MIF_CAP_TRANSPORT | MIF_CAP_DUPLICATE |
			     MIF_CAP_RESEQUENCE | MIF_CAP_SPRAY | MIF_CAP_BULK,
		.fetches = e->fetcher.ops != NULL,
		.keylog = keylog_hook(e),
	};
	const struct ike_limits limits = {
		.retransmit_ns = e->daemon.retransmit_ns,
		.retransmit_tries = e->daemon.retransmit_tries,
	};
	enum err err = ike_engine_new(&e->ike, &env, &limits, engine_now(e));

	if (!err)
		err = ike_keyring_new(&e->keyring, e->rng);
	if (!err)
		err = aaa_open(e);
	if (err)
		return err;
	ike_engine_configure(e->ike, e->conf);
	if (params->crash_file)
		take_crash_secret(e, params->crash_file);
	return ERR_OK;
}

static enum err make_tables(struct engine *e)
{
	enum err err;

	if ((err = htab_init(&e->groups_by_id, e->rng)))
		return err;
	if ((err = htab_init(&e->children, e->rng)))
		return err;
	err = htab_init(&e->peers, e->rng);
	return err ? err : htab_init(&e->peers_by_set, e->rng);
}

static enum err make_sources(struct engine *e)
{
	e->dp_events = (struct loop_source){.fd = dataplane_event_fd(e->dp), .ready = on_dp_events};
	return loop_watch(e, &e->dp_events) || asks_open(e) ? ERR_SYS : roam_open(e);
}

/* num_processors - that we may run on, as far as there are workers. */
static uint32_t num_processors(void)
{
	cpu_set_t set;
	uint32_t num;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	num = (uint32_t)CPU_COUNT(&set);
	return num < DATAPLANE_WORKERS_MAX ? num : DATAPLANE_WORKERS_MAX;
}

/* num_workers - of our own devices and sockets; a caller's ports have one queue each, and what is
 * polled has one thread. */
static uint32_t num_workers(const struct engine *e, const struct engine_params *params)
{
	if (params->num_ports || e->polled)
		return 1;
	return e->daemon.workers == CONF_WORKERS_AUTO ? num_processors() : e->daemon.workers;
}

static enum err make_dataplane(struct engine *e, const struct engine_params *params)
{
	const char *aead = e->daemon.aead;
	struct dataplane_config config = {.aead = aead[0] ? aead : NULL,
					  .rng = e->rng,
					  .latch_tcp = e->daemon.latch_tcp,
					  .num_latches = e->daemon.num_latches};
	enum err err;

	config.num_workers = e->num_workers = num_workers(e, params);
	err = dataplane_new(&e->dp, &config);
	if (err)
		LOG(ERROR, DMN, NULL, "the data path cannot start%s%s: %s",
		    aead[0] ? " with aead = " : "", aead, err_text(err));
	return err;
}

/* run_dataplane - in a thread, or by our own turns, which whatever arrives at a port asks for. */
static enum err run_dataplane(struct engine *e)
{
	uint16_t num = dataplane_num_ports(e->dp);

	if (!e->polled)
		return dataplane_start(e->dp);
	e->port_sources = mem_alloc_array(num + 1u, sizeof(*e->port_sources));
	if (!e->port_sources)
		return ERR_NOMEM;
	for (uint16_t port = 0; port < num; port++) {
		struct loop_source *s = &e->port_sources[e->num_port_sources++];
		enum err err;

		s->fd = vif_has_port(e, port) ? -1 : dataplane_port_fd(e->dp, port, 0);
		err = s->fd < 0 ? ERR_OK : loop_watch(e, s);
		if (err)
			return err;
	}
	return ERR_OK;
}

static enum err open_ports(struct engine *e, const struct engine_params *params)
{
	if (!params->num_ports)
		return device_open(e);
	e->took_ports = true;
	return device_attach(e, params->ports, params->num_ports);
}

/* In this order: nothing is received before there is somebody to receive it. */
static enum err build(struct engine *e, const struct engine_params *params)
{
	enum err err;

	if ((err = loop_open(e)) || (err = make_tables(e)) || (err = make_dataplane(e, params)) ||
	    (err = open_ports(e, params)) || (err = latches_open(e)) ||
	    (err = make_ike(e, params)) || (err = connect_init(e)) || (err = make_sources(e)))
		return err;
	crypto_open(e);
	policy_configure(e);
	err = guard_update(e);
	if (err) {
		LOG(ERROR, KNL, NULL, "the guard cannot be set: is nf_tables in the kernel?");
		return err;
	}
	policy_settle(e);
	latches_restore(e);
	latches_configure(e);
	latches_guard_only(e);
	if ((err = run_dataplane(e)))
		return err;
	starters_configure(e);
	engine_turn(e);
	return ERR_OK;
}

static enum err copy_names(struct engine *e, const struct engine_params *params)
{
	if (params->conf_file && !(e->conf_file = str_dup(params->conf_file)))
		return ERR_NOMEM;
	if (params->latch_file && !(e->latch_file = str_dup(params->latch_file)))
		return ERR_NOMEM;
	if (params->keylog_dir && !(e->keylog_dir = str_dup(params->keylog_dir)))
		return ERR_NOMEM;
	if (params->resolv_file && !(e->resolv_file = str_dup(params->resolv_file)))
		return ERR_NOMEM;
	return ERR_OK;
}

static void close_ports(const struct engine_params *params)
{
	for (uint32_t i = 0; i < params->num_ports; i++)
		device_close_port(params->ports[i].driver);
}

enum err engine_new(struct engine **out, const struct engine_params *params)
{
	struct engine *e = mem_alloc(sizeof(*e));
	const struct log_sink *before;
	enum err err;

	if (!e) {
		close_ports(params);
		return ERR_NOMEM;
	}
	e->epoll_fd = e->timer.fd = e->watch.fd = -1;
	e->host = params->host;
	e->fetcher = params->fetcher;
	e->signer = params->signer;
	e->conf = conf_get(params->conf);
	e->daemon = e->conf->daemon;
	e->polled = params->polled;
	e->now = params->now;
	e->rng = params->rng ? params->rng : rng_system();
	e->ask = params->ask;
	e->ctx = params->ctx;
	e->started_s = clock_wall_s();
	list_init(&e->observers);
	list_init(&e->vifs);
	list_init(&e->groups);
	list_init(&e->shunts);
	list_init(&e->routes);
	list_init(&e->starters);
	list_init(&e->resolving);
	list_init(&e->waiters);
	list_init(&e->unanswered);
	list_init(&e->vips);
	list_init(&e->hands);
	list_init(&e->leavings);
	list_init(&e->changed);
	list_init(&e->held);
	timers_init(&e->timers, ENGINE_TICK_NS, engine_now(e));
	policy_init(e);
	sink_init(e);
	before = log_use(&e->sink);
	err = copy_names(e, params);
	if (!err)
		err = build(e, params);
	log_use(before);
	if (err) {
		if (!e->took_ports)
			close_ports(params);
		e->leave_host = true;
		engine_free(e);
		return err;
	}
	*out = e;
	return ERR_OK;
}

void engine_stop(struct engine *e, void (*done)(void *ctx), void *ctx)
{
	const struct log_sink *before = log_use(&e->sink);
	const struct ike_select all = {0};
	uint32_t num;

	/* Who asks twice does not want to wait. */
	e->stop_deadline_ns = engine_now(e) + (e->stopping ? 0 : STOP_NS);
	e->stopping = true;
	e->stopped = done;
	e->stopped_ctx = ctx;
	connect_stop(e, NULL, NULL);
	if (!ike_terminate(e->ike, &num, &all, engine_now(e)))
		LOG(INFO, DMN, NULL, "telling %u peer%s goodbye", num, num == 1 ? "" : "s");
	engine_turn(e);
	log_use(before);
}

void engine_free(struct engine *e)
{
	const struct log_sink *before;

	if (!e)
		return;
	before = log_use(&e->sink);
	latches_close(e);
	asks_close(e);
	aaa_close(e);
	connect_fini(e);
	ike_engine_free(e->ike);
	ike_keyring_free(e->keyring);
	if (e->dp)
		dataplane_stop(e->dp);
	actions_forget(e);
	policy_fini(e);
	vif_fini(e);
	vips_fini(e);
	path_leaves_fini(e);
	hands_fini(e);
	device_close(e);
	dataplane_free(e->dp);
	gateway_close(e);
	roam_close(e);
	loop_close(e);
	mem_free(e->port_sources);
	htab_fini(&e->groups_by_id);
	htab_fini(&e->children);
	htab_fini(&e->peers);
	htab_fini(&e->peers_by_set);
	conf_put(e->conf);
	mem_free(e->conf_file);
	mem_free(e->latch_file);
	mem_free(e->resolv_file);
	mem_free(e->keylog_dir);
	if (!e->leave_host)
		e->host.ops->close(e->host.ctx);
	log_use(before == &e->sink ? NULL : before);
	mem_free(e);
}

void engine_abandon(struct engine *e)
{
	e->leave_host = true;
	engine_free(e);
}

/* same_daemon - what devices, sockets and the data path were made from is the same. */
static bool same_daemon(const struct conf_daemon *a, const struct conf_daemon *b)
{
	bool same = a->num_addresses == b->num_addresses;

	for (uint32_t i = 0; same && i < a->num_addresses; i++)
		same = a->addresses[i].len == b->addresses[i].len &&
		       ip_addr_equal(&a->addresses[i].addr, &b->addresses[i].addr);
	same = same && memcmp(&a->dpdk, &b->dpdk, sizeof(a->dpdk)) == 0;
	return same && strcmp(a->interface, b->interface) == 0 && strcmp(a->aead, b->aead) == 0 &&
	       a->latch_tcp == b->latch_tcp && a->num_latches == b->num_latches &&
	       a->mtu == b->mtu && a->workers == b->workers && a->port == b->port &&
	       a->port_nat_t == b->port_nat_t && a->retransmit_ns == b->retransmit_ns &&
	       a->retransmit_tries == b->retransmit_tries;
}

enum err engine_configure(struct engine *e, struct conf *conf)
{
	const struct log_sink *before = log_use(&e->sink);
	struct conf *old = e->conf;

	e->conf = conf_get(conf);
	sink_level(e);
	if (!same_daemon(&e->daemon, &conf->daemon))
		LOG(WARN, CFG, NULL,
		    "the section `latchkey` was changed: that takes effect at the next start");
	ike_engine_configure(e->ike, conf);
	aaa_configure(e);
	e->paths_dirty = true;
	if (old != conf)
		conf_forget_secrets(old);
	conf_put(old);
	policy_configure(e);
	policy_settle(e);
	latches_configure(e);
	starters_configure(e);
	engine_turn(e);
	log_use(before);
	return ERR_OK;
}

enum err engine_load_conf(struct conf **out, struct conf_diags *diags, const char *file)
{
	return conf_load(out, diags, file);
}

enum err engine_reload(struct engine *e, struct conf_diags *diags)
{
	struct conf *conf;
	enum err err;

	if (!e->conf_file)
		return ERR_NOT_FOUND;
	err = engine_load_conf(&conf, diags, e->conf_file);
	if (err)
		return err;
	err = engine_configure(e, conf);
	conf_put(conf);
	return err;
}

enum err engine_check(struct engine *e, struct conf_diags *diags, const char *file)
{
	struct conf *conf;
	enum err err;

	if (!file)
		file = e->conf_file;
	if (!file)
		return ERR_NOT_FOUND;
	err = engine_load_conf(&conf, diags, file);
	if (!err)
		conf_put(conf);
	return err;
}

struct conf *engine_conf(struct engine *e)
{
	return e->conf;
}

uint64_t engine_request(struct engine *e)
{
	return ++e->next_request;
}

enum err engine_down(struct engine *e, uint32_t *out_num, const struct ike_select *sel)
{
	const struct log_sink *before = log_use(&e->sink);
	bool stopped = (sel->conn || sel->child) && connect_stop(e, sel->conn, sel->child);
	enum err err = ike_terminate(e->ike, out_num, sel, engine_now(e));

	if (err == ERR_NOT_FOUND && stopped) {
		*out_num = 0;
		err = ERR_OK;
	}
	engine_turn(e);
	log_use(before);
	return err;
}

enum err engine_rekey(struct engine *e, uint32_t *out_num, const struct ike_select *sel)
{
	const struct log_sink *before = log_use(&e->sink);
	enum err err = ike_rekey(e->ike, out_num, sel, engine_now(e));

	engine_turn(e);
	log_use(before);
	return err;
}
