/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.c - DPDK, and the fast lane between its ports (drivers/lane.h): begun and ended as the
 * configuration says.
 */
#include "api/engine/gateway.h"

#include "base/alloc.h"
#include "drivers/dpdk.h"
#include "drivers/lane.h"

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

/* inline_mb - what ports that encrypt need: their sessions. */
static uint32_t inline_mb(const struct conf_dpdk *d)
{
	uint32_t mb = 0;

	for (uint32_t i = 0; i < d->num_ports; i++)
		if (d->ports[i].inline_ipsec)
			mb += conf_crypto_sessions(d) * SESSION_LEN / MIB + 1;
	return mb;
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
					     crypto_mb(e, d) + inline_mb(d);
	if (!err)
		err = dpdk_module(*out)->start(&p, text);
	if (err)
		LOG(ERROR, KNL, NULL, "%s", text[0] ? text : err_text(err));
	return err;
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
		err = gateway_count_queues(g, d);
	params.num_queues = g->num_queues;
	if (!err)
		err = lane_new(&g->lane, &params);
	for (uint32_t i = 0; i < d->num_ports && !err; i++)
		err = gateway_open_port(g, &d->ports[i]);
	if (!err)
		err = gateway_attach(g);
	if (!err)
		gateway_use_inline(g, d);
	return err ? err : gateway_follow(e, g);
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
