/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.c - DPDK's ports, their shadows, and the fast lane between them (drivers/lane.h): made as
 * the configuration says, told of the host's routes and neighbours, and of the wires' carriers.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "api/engine/internal.h"
#include "base/alloc.h"
#include "drivers/dpdk.h"
#include "drivers/lane.h"

#define HOST(e, op, ...) ((e)->host.ops->op((e)->host.ctx, __VA_ARGS__))

#define DEFAULT_PACKETS 16384 /* for each worker */
/* A packet's buffer beside the frame, its headers and tails, and what the pool wants. */
#define PACKET_EXTRA 1024
#define ROOM_MIN     2048
/* Ethernet's header and a VLAN's tag. */
#define FRAME_EXTRA 18
/* For DPDK itself. */
#define MEMORY_EXTRA_MB 64
/* Without ports: the pool is there, and nobody takes from it. */
#define LEAST_PACKETS 1024
/* For a lookaside device: itself, a key, a queue, a queue with room for copies. */
#define CRYPTO_EXTRA_MB 32
#define SESSION_LEN     4096
#define QUEUE_MB        2
#define QUEUE_COPIES_MB 16
#define MIB             (1024u * 1024u)
/* How often the wires are looked at. */
#define TICK_NS NS_PER_S

/* struct gateway - what an engine with DPDK has beside the rest. */
struct gateway {
	struct engine *engine;
	struct dpdk *dpdk;
	struct lane *lane;
	struct driver *frames[CONF_MAX_DPDK_PORTS]; /* the lane's first ones; for info */
	bool up[CONF_MAX_DPDK_PORTS];
	uint32_t mtu[CONF_MAX_DPDK_PORTS]; /* that the device was told */
	uint32_t ifindex[CONF_MAX_DPDK_PORTS];
	uint32_t num_ports;
	uint32_t num_queues;           /* of each port, at the first so many workers */
	uint32_t num_inner, num_outer; /* of these are the data path's */
	struct host_mirror *mirror;
	struct loop_source source;
	struct timer tick;
	uint16_t outer_port;
};

/* ---- starting DPDK -------------------------------------------------------------------------- */

static uint32_t room_for(const struct conf_dpdk *d)
{
	uint32_t room = ROOM_MIN;

	for (uint32_t i = 0; i < d->num_ports; i++)
		if (d->ports[i].mtu + FRAME_EXTRA > room)
			room = d->ports[i].mtu + FRAME_EXTRA;
	return room;
}

/* crypto_mb - what a lookaside device needs: its sessions, operations, and hardware its copies. */
static uint32_t crypto_mb(const struct engine *e, const struct conf_dpdk *d)
{
	if (!d->crypto[0])
		return 0;
	return CRYPTO_EXTRA_MB + conf_crypto_sessions(d) * SESSION_LEN / MIB +
	       (e->num_workers + 1) * (dpdk_is_pci(d->crypto) ? QUEUE_COPIES_MB : QUEUE_MB);
}

static enum err start(struct engine *e, struct dpdk **out, const struct conf_dpdk *d)
{
	const char *allow[CONF_MAX_DPDK_PORTS + 1];
	char text[DPDK_TEXT_MAX] = "";
	struct dpdk_params p = {
		.huge = !d->no_huge,
		.num_packets = d->num_packets ? d->num_packets : DEFAULT_PACKETS * e->num_workers,
		.packet_room = room_for(d),
		.allow = allow,
	};
	enum err err = dpdk_load(out, d->module[0] ? d->module : NULL, NULL, text);

	for (uint32_t i = 0; i < d->num_ports; i++)
		if (dpdk_is_pci(d->ports[i].device))
			allow[p.num_allow++] = d->ports[i].device;
	if (dpdk_is_pci(d->crypto))
		allow[p.num_allow++] = d->crypto;
	if (!d->num_ports && !d->num_packets)
		p.num_packets = LEAST_PACKETS;
	p.memory_mb = d->memory_mb ? d->memory_mb
				   : MEMORY_EXTRA_MB +
					     p.num_packets * (p.packet_room + PACKET_EXTRA) / MIB +
					     crypto_mb(e, d);
	if (!err)
		err = dpdk_module(*out)->start(&p, text);
	if (err)
		LOG(ERROR, KNL, NULL, "%s", text[0] ? text : err_text(err));
	return err;
}

/* ---- ports ---------------------------------------------------------------------------------- */

static enum err port_failed(const struct conf_dpdk_port *port, const char *text, enum err err)
{
	LOG(ERROR, KNL, NULL, "%s: %s", port->name, text[0] ? text : err_text(err));
	return err;
}

/* count_queues - of each port: as many as there are workers, if all ports have so many. A lane is
 * driven by workers that have them all: what comes by one port has to leave by another. */
static enum err count_queues(struct gateway *g, const struct conf_dpdk *d)
{
	const struct conf_dpdk_port *least = NULL;
	uint32_t num = g->engine->num_workers, has = 0;
	char text[DPDK_TEXT_MAX] = "";

	for (uint32_t i = 0; i < d->num_ports; i++) {
		const struct conf_dpdk_port *port = &d->ports[i];
		enum err err = dpdk_module(g->dpdk)->queues(&has, port->device, text);

		if (err)
			return port_failed(port, text, err);
		if (has < num) {
			least = port;
			num = has;
		}
	}
	if (least)
		LOG(WARN, KNL, NULL,
		    "%s: %s has %u queue%s: the first %u of %u workers drive%s the ports, and hand "
		    "packets to the others",
		    least->name, least->device, num, num > 1 ? "s" : "", num,
		    g->engine->num_workers, num > 1 ? "" : "s");
	g->num_queues = num;
	return num ? ERR_OK : ERR_UNSUPPORTED;
}

/* offload_names - what is in use, for people. */
static const struct {
	uint32_t offload;
	const char *name;
} offload_names[] = {
	{DPDK_OFFLOAD_TX_SUM, "tx_checksum"},
	{DPDK_OFFLOAD_RX_SUM, "rx_checksum"},
	{DPDK_OFFLOAD_TSO4, "tso4"},
	{DPDK_OFFLOAD_TSO6, "tso6"},
};

#define OFFLOAD_TEXT_MAX 64

static void offloads_text(char out[static OFFLOAD_TEXT_MAX], uint32_t offloads)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(offload_names); i++)
		if (offloads & offload_names[i].offload)
			len += (size_t)snprintf(out + len, OFFLOAD_TEXT_MAX - len, "%s%s",
						len ? " " : "", offload_names[i].name);
}

/* wanted_of - of a port. */
static uint32_t wanted_of(const struct conf_dpdk_port *port)
{
	return (port->no_tx_checksum ? 0 : DPDK_OFFLOAD_TX_SUM) |
	       (port->no_rx_checksum ? 0 : DPDK_OFFLOAD_RX_SUM) |
	       (port->no_tso ? 0 : DPDK_OFFLOAD_TSO);
}

/* shadow_offloads - the shadow has those of its port, so that what the port cannot do is done by
 * the host, as with any network card. */
static uint32_t shadow_offloads(uint32_t port)
{
	return (port & DPDK_OFFLOAD_TX_SUM ? HOST_OFFLOAD_SUM : 0) |
	       (port & DPDK_OFFLOAD_TSO4 ? HOST_OFFLOAD_TCP4 : 0) |
	       (port & DPDK_OFFLOAD_TSO6 ? HOST_OFFLOAD_TCP6 : 0);
}

static void close_all(const int *fds, uint32_t num)
{
	while (num)
		close(fds[--num]);
}

/* open_shadow - the port's TAP, with a queue for each worker that drives the port. One that stands
 * already may have fewer: what the host sends comes by these, and all write to it. */
static enum err open_shadow(struct gateway *g, const struct conf_dpdk_port *port,
			    const struct dpdk_port_info *info, struct lane_port_params *p,
			    int fds[static HOST_SHADOW_QUEUES_MAX])
{
	uint32_t offloads = shadow_offloads(info->offloads);
	enum err err;

	p->num_shadows = g->num_queues;
	err = HOST(g->engine, shadow_open, fds, &p->num_shadows, &p->ifindex, port->name, info->mac,
		   info->mtu, &offloads);
	p->vnet = offloads != 0;
	if (!err && offloads & ~(uint32_t)HOST_OFFLOAD_SUM)
		device_bound_supers(g->engine, port->name);
	if (err) {
		LOG(ERROR, KNL, NULL, "%s: making the port's interface failed: %s%s%s", port->name,
		    err_text(err), err == ERR_SYS ? ": " : "",
		    err == ERR_SYS ? strerror(errno) : "");
		return err;
	}
	if (p->num_shadows < g->num_queues)
		LOG(WARN, KNL, NULL,
		    "%s stands already and has one queue: one worker sends what the host sends by "
		    "it",
		    port->name);
	for (uint32_t i = p->num_shadows; i < g->num_queues; i++) {
		fds[i] = dup(fds[0]);
		if (fds[i] < 0) {
			close_all(fds, i);
			return ERR_SYS;
		}
	}
	return ERR_OK;
}

/* add_port - with its shadow, to the lane. */
static enum err add_port(struct gateway *g, const struct conf_dpdk_port *port,
			 struct driver *const *frames)
{
	int shadows[HOST_SHADOW_QUEUES_MAX];
	struct lane_port_params p = {.frames = frames, .shadows = shadows};
	char text[OFFLOAD_TEXT_MAX];
	struct dpdk_port_info info;
	enum err err;

	dpdk_module(g->dpdk)->info(frames[0], &info);
	memcpy(p.mac, info.mac, sizeof(p.mac));
	p.mtu = info.mtu;
	p.sums = info.offloads & DPDK_OFFLOAD_TX_SUM;
	err = open_shadow(g, port, &info, &p, shadows);
	if (err)
		return err;
	err = lane_add_port(g->lane, &p);
	if (err) {
		close_all(shadows, g->num_queues);
		return err;
	}
	g->frames[g->num_ports] = frames[0];
	g->ifindex[g->num_ports] = p.ifindex;
	g->mtu[g->num_ports] = info.mtu;
	g->up[g->num_ports] = info.up;
	lane_link(g->lane, g->num_ports++, info.up);
	offloads_text(text, info.offloads);
	LOG(INFO, KNL, NULL, "%s: %s by %s, MTU %u, link %s, offloads %s", port->name, port->device,
	    info.driver, info.mtu, info.up ? "up" : "down", text[0] ? text : "none");
	return ERR_OK;
}

/* steer - ESP to the worker that its SPI names, if the device can. What it brings elsewhere is
 * handed over. */
static void steer(struct gateway *g, const struct conf_dpdk_port *port, struct driver *frames)
{
	const struct dpdk_steering s = {
		.spi_mask = dataplane_spi_mask(g->engine->num_workers),
		.spi_shift = DATAPLANE_SPI_SHIFT,
		.num_workers = g->engine->num_workers,
		.port_nat_t = g->engine->daemon.port_nat_t,
	};
	char text[DPDK_TEXT_MAX] = "";

	if (g->num_queues > 1 && dpdk_module(g->dpdk)->steer(frames, &s, text))
		LOG(INFO, KNL, NULL, "%s: %s", port->name, text);
}

static enum err open_port(struct gateway *g, const struct conf_dpdk_port *port)
{
	char text[DPDK_TEXT_MAX] = "";
	struct driver *frames[DATAPLANE_WORKERS_MAX];
	enum err err = dpdk_module(g->dpdk)->open(frames, port->device, g->num_queues, port->mtu,
						  wanted_of(port), text);

	if (err)
		return port_failed(port, text, err);
	steer(g, port, frames[0]);
	err = add_port(g, port, frames);
	for (uint32_t i = 0; err && i < g->num_queues; i++)
		device_close_port(frames[i]);
	return err;
}

/* attach_all - one of the lane's two ports, a queue for each of the first workers. */
static enum err attach_all(struct gateway *g, uint16_t *port, uint32_t *num,
			   struct driver *(*queue)(struct lane *l, uint32_t i))
{
	struct dataplane *dp = g->engine->dp;

	for (*num = 0; *num < g->num_queues; ++*num) {
		struct driver *d = queue(g->lane, *num);
		enum err err = *num ? dataplane_attach_queue(dp, *port, *num, d)
				    : dataplane_attach(dp, port, d);

		if (err)
			return err;
	}
	return ERR_OK;
}

static enum err attach(struct gateway *g)
{
	uint16_t port;
	/* The first inner port is where decrypted packets go. */
	enum err err = attach_all(g, &port, &g->num_inner, lane_inner);

	return err ? err : attach_all(g, &g->outer_port, &g->num_outer, lane_outer);
}

/* ---- following the host --------------------------------------------------------------------- */

/* follow_mtu - the shadow's MTU was changed by hand: the device's follows where it can. */
static void follow_mtu(struct gateway *g, uint32_t i, uint32_t mtu)
{
	const char *name = g->engine->daemon.dpdk.ports[i].name;

	if (!mtu || mtu == g->mtu[i])
		return;
	g->mtu[i] = mtu;
	if (dpdk_module(g->dpdk)->set_mtu(g->frames[i], mtu))
		LOG(INFO, KNL, NULL, "%s: MTU %u; the device stays as it is", name, mtu);
	else
		LOG(INFO, KNL, NULL, "%s: MTU %u", name, mtu);
}

static void on_change(void *arg, const struct host_change *c)
{
	struct gateway *g = arg;

	lane_change(g->lane, c);
	for (uint32_t i = 0; c->kind == HOST_CHANGE_LINK && i < g->num_ports; i++)
		if (g->ifindex[i] == c->ifindex && !c->gone)
			follow_mtu(g, i, c->mtu);
}

static void on_mirror(struct engine *e, struct loop_source *s)
{
	struct gateway *g = container_of(s, struct gateway, source);

	if (HOST(e, mirror_read, g->mirror, on_change, g)) {
		LOG(ERROR, KNL, NULL, "the host's routes are not followed any more");
		loop_unwatch(e, s);
		return;
	}
	if (lane_settle(g->lane))
		LOG(ERROR, KNL, NULL, "no memory for the routes: those of before stay");
}

static void on_tick(struct timer *t, uint64_t now_ns)
{
	struct gateway *g = container_of(t, struct gateway, tick);
	struct engine *e = g->engine;

	for (uint32_t i = 0; i < g->num_ports; i++) {
		struct dpdk_port_info info;

		dpdk_module(g->dpdk)->info(g->frames[i], &info);
		if (info.up == g->up[i])
			continue;
		g->up[i] = info.up;
		lane_link(g->lane, i, info.up);
		LOG(WARN, KNL, NULL, "%s: the link is %s", e->daemon.dpdk.ports[i].name,
		    info.up ? "up" : "down");
	}
	/* What a change left behind is tried again. */
	if (lane_settle(g->lane))
		LOG(ERROR, KNL, NULL, "no memory for the routes: those of before stay");
	timer_set(&e->timers, t, now_ns + TICK_NS);
}

static enum err follow(struct engine *e, struct gateway *g)
{
	enum err err = HOST(e, mirror_open, &g->mirror, &g->source.fd);

	if (err) {
		LOG(ERROR, KNL, NULL, "the host's routes cannot be followed: %s", err_text(err));
		return err;
	}
	g->source.ready = on_mirror;
	err = loop_watch(e, &g->source);
	if (err)
		return err;
	timer_init(&g->tick, on_tick);
	timer_set(&e->timers, &g->tick, engine_now(e) + TICK_NS);
	on_mirror(e, &g->source); /* the first dump begins */
	return ERR_OK;
}

/* ---- life ----------------------------------------------------------------------------------- */

enum err gateway_open(struct engine *e)
{
	const struct conf_dpdk *d = &e->daemon.dpdk;
	struct lane_params params = {.port_ike = e->daemon.port,
				     .port_nat_t = e->daemon.port_nat_t,
				     .idle_us = d->idle_us};
	struct gateway *g;
	enum err err;

	if (!d->num_ports)
		return ERR_OK;
	if (e->polled) {
		LOG(ERROR, KNL, NULL, "DPDK needs a worker of its own: the engine is polled");
		return ERR_UNSUPPORTED;
	}
	g = mem_alloc(sizeof(*g));
	if (!g)
		return ERR_NOMEM;
	e->gateway = g;
	g->engine = e;
	err = start(e, &g->dpdk, d);
	if (!err)
		err = count_queues(g, d);
	params.num_queues = g->num_queues;
	if (!err)
		err = lane_new(&g->lane, &params);
	for (uint32_t i = 0; i < d->num_ports && !err; i++)
		err = open_port(g, &d->ports[i]);
	if (!err)
		err = attach(g);
	return err ? err : follow(e, g);
}

void gateway_use_host(struct engine *e, uint16_t tap)
{
	const struct gateway *g = e->gateway;

	for (uint32_t i = 0; g && i < g->num_queues; i++)
		lane_use_host(g->lane, i, dataplane_sender(e->dp, tap, i),
			      dataplane_sender(e->dp, e->outer_port, i),
			      e->has_esp_port ? dataplane_sender(e->dp, e->esp_port, i) : NULL);
}

bool gateway_outer(const struct engine *e, uint16_t *out_port)
{
	if (!e->gateway)
		return false;
	*out_port = e->gateway->outer_port;
	return true;
}

bool gateway_is_outer(const struct engine *e, uint16_t port)
{
	return e->gateway && e->gateway->num_outer && e->gateway->outer_port == port;
}

/* gateway_close - the data path, which has the lane's ports, is gone. */
void gateway_close(struct engine *e)
{
	struct gateway *g = e->gateway;

	dpdk_unload(e->dpdk);
	e->dpdk = NULL;
	if (!g)
		return;
	/* What was never attached is closed here. */
	for (uint32_t i = g->num_inner; g->lane && i < g->num_queues; i++)
		device_close_port(lane_inner(g->lane, i));
	for (uint32_t i = g->num_outer; g->lane && i < g->num_queues; i++)
		device_close_port(lane_outer(g->lane, i));
	lane_free(g->lane);
	if (g->mirror)
		e->host.ops->mirror_close(e->host.ctx, g->mirror);
	dpdk_unload(g->dpdk);
	mem_free(g);
	e->gateway = NULL;
}

enum err gateway_dpdk(struct engine *e, struct dpdk **out)
{
	enum err err = ERR_OK;

	if (!e->gateway)
		err = start(e, &e->dpdk, &e->daemon.dpdk);
	*out = e->gateway ? e->gateway->dpdk : e->dpdk;
	return err;
}

void engine_each_port(struct engine *e, void (*fn)(void *ctx, const struct engine_port_info *port),
		      void *ctx)
{
	const struct gateway *g = e->gateway;

	for (uint32_t i = 0; g && i < g->num_ports; i++) {
		const struct conf_dpdk_port *conf = &e->daemon.dpdk.ports[i];
		struct engine_port_info out = {.name = conf->name, .device = conf->device};
		char offloads[OFFLOAD_TEXT_MAX];
		struct dpdk_port_info info;
		struct lane_stats st;

		dpdk_module(g->dpdk)->info(g->frames[i], &info);
		lane_stats(g->lane, i, &st);
		memcpy(out.mac, info.mac, sizeof(out.mac));
		offloads_text(offloads, info.offloads);
		out.driver = info.driver;
		out.offloads = offloads;
		out.up = info.up;
		out.mtu = g->mtu[i];
		out.speed_mbps = info.speed_mbps;
		out.num_queues = info.num_queues;
		out.spread = info.spread;
		out.steered = info.steered;
		out.rx_packets = info.rx_packets;
		out.rx_bytes = info.rx_bytes;
		out.tx_packets = info.tx_packets;
		out.tx_bytes = info.tx_bytes;
		out.rx_lost = info.rx_missed + info.rx_no_buffer;
		out.rx_error = info.rx_error;
		out.tx_error = info.tx_error;
		out.rx_inner = st.rx_inner;
		out.rx_esp = st.rx_outer;
		out.rx_host = st.rx_host;
		out.tx_fast = st.tx_fast;
		out.tx_host = st.tx_host;
		out.left_to_host = st.left_to_host;
		fn(ctx, &out);
	}
}
