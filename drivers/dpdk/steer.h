/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer.h - rules of a device (rte_flow) that bring ESP to the queue of the worker that its SPI
 * names: for each kind of packet one rule a worker, which compares the SPI under a mask, however
 * many SAs there are. Of a kind that the device does not take there are none at all, and its
 * packets are spread like all others. Control.
 */
#pragma once

#include "drivers/dpdk/module.h"

/* STEER_KINDS - bare ESP and ESP in UDP, over IPv4 and IPv6. */
#define STEER_KINDS 4

struct rte_flow;

/* struct steer - the rules of a port; zero at first. */
struct steer {
	struct rte_flow *rules[STEER_KINDS][DPDK_QUEUES_MAX];
	char text[32]; /* kinds that there are rules for, as in dpdk_port_info */
};

/* steer_add - to a port that is started. text: why there are none of some kinds. Errors:
 * UNSUPPORTED. */
MUST_USE enum err steer_add(struct steer *out, uint16_t port, uint32_t num_queues,
			    const struct dpdk_steering *s, char text[static DPDK_TEXT_MAX])
	NONNULL(1, 4);

/* steer_remove - all of them. */
void steer_remove(struct steer *s, uint16_t port) NONNULL(1);
