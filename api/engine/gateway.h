/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.h - what the files of the gateway share. Loop thread.
 */
#pragma once

#include "api/engine/internal.h"

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
	bool links_changed;            /* since the wires were looked at */
	bool follows;                  /* the host's routes and neighbours, still */
	struct host_mirror *mirror;
	struct loop_source source;
	struct timer tick;
	uint64_t used_ns; /* when the host was last told of neighbours that are sent to */
	uint16_t outer_port;
};

/* gateway_count_queues - of each port: as many as there are workers, if all ports have so many. A
 * lane is driven by workers that have them all: what comes by one port has to leave by another. */
MUST_USE enum err gateway_count_queues(struct gateway *g, const struct conf_dpdk *d) NONNULL(1, 2);

/* gateway_open_port - with its shadow, as the lane's next one. gateway_attach - the lane's two
 * ports to the data path, when it has all of its own. Errors: as told in the log. */
MUST_USE enum err gateway_open_port(struct gateway *g, const struct conf_dpdk_port *port)
	NONNULL(1, 2);
MUST_USE enum err gateway_attach(struct gateway *g) NONNULL(1);

/* gateway_use_inline - what encrypts and decrypts, of the ports that are to: where one does not, or
 * none, the processor does it, as the log tells. Once they are attached. */
void gateway_use_inline(struct gateway *g, const struct conf_dpdk *d) NONNULL(1, 2);

/* gateway_follow - the host's routes and neighbours, from now on. Errors: as told in the log. */
MUST_USE enum err gateway_follow(struct engine *e, struct gateway *g) NONNULL(1, 2);
