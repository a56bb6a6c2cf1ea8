/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_ports.c - DPDK's ports and their shadows: opened, put into the lane and the lane into the
 * data path, and told of.
 */
#include "api/engine/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "drivers/dpdk.h"
#include "drivers/lane.h"

#define HOST(e, op, ...) ((e)->host.ops->op((e)->host.ctx, __VA_ARGS__))

static enum err port_failed(const struct conf_dpdk_port *port, const char *text, enum err err)
{
	LOG(ERROR, KNL, NULL, "%s: %s", port->name, text[0] ? text : err_text(err));
	return err;
}

enum err gateway_count_queues(struct gateway *g, const struct conf_dpdk *d)
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
	{DPDK_OFFLOAD_TX_SUM, "tx_checksum"},  {DPDK_OFFLOAD_RX_SUM, "rx_checksum"},
	{DPDK_OFFLOAD_TSO4, "tso4"},           {DPDK_OFFLOAD_TSO6, "tso6"},
	{DPDK_OFFLOAD_INLINE, "inline_ipsec"},
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
	       (port->no_tso ? 0 : DPDK_OFFLOAD_TSO) |
	       (port->inline_ipsec ? DPDK_OFFLOAD_INLINE : 0);
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

enum err gateway_open_port(struct gateway *g, const struct conf_dpdk_port *port)
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

enum err gateway_attach(struct gateway *g)
{
	uint16_t port;
	/* The first inner port is where decrypted packets go. */
	enum err err = attach_all(g, &port, &g->num_inner, lane_inner);

	return err ? err : attach_all(g, &g->outer_port, &g->num_outer, lane_outer);
}

void gateway_use_inline(struct gateway *g, const struct conf_dpdk *d)
{
	char text[DPDK_TEXT_MAX] = "";
	struct inline_ports *ports;
	struct dpdk_port_info info;
	uint32_t num = 0;
	enum err err;

	for (uint32_t i = 0; i < d->num_ports; i++) {
		dpdk_module(g->dpdk)->info(g->frames[i], &info);
		num += (info.offloads & DPDK_OFFLOAD_INLINE) != 0;
		if (d->ports[i].inline_ipsec && !(info.offloads & DPDK_OFFLOAD_INLINE))
			LOG(WARN, ESP, NULL, "%s: %s does no IPsec inline: the processor does it",
			    d->ports[i].name, info.driver);
	}
	if (!num)
		return;
	err = dpdk_module(g->dpdk)->inline_open(&ports, g->frames, g->num_ports,
						conf_crypto_sessions(d), text);
	if (!err)
		err = dataplane_use_inline(g->engine->dp, ports);
	if (err)
		LOG(ERROR, ESP, NULL, "%s; the processor does its work",
		    text[0] ? text : err_text(err));
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
		out.rx_inline = st.rx_inline;
		out.tx_inline = st.tx_inline;
		out.left_to_host = st.left_to_host;
		fn(ctx, &out);
	}
}
