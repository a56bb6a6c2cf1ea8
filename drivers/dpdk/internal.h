/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - the module's files among themselves.
 *
 *   module.c  the one symbol
 *   eal.c     DPDK's start and its thread
 *   mbuf.c    packets in mbufs
 *   port.c    opening, closing, what is known of a port
 *   burst.c   a queue's rx and tx
 *   steer.c   rules that bring ESP to the queue its SPI names
 *   offload.c what a port does for us, and how it is told
 */
#pragma once

/* A lookaside device is crypto*.c: see crypto.h; inline crypto is inline*.c: see inline.h. */

#include "drivers/dpdk/module.h"

/* eal.c */
extern const struct driver_services *dpdk_services;
MUST_USE enum err eal_start(const struct dpdk_params *params, char text[static DPDK_TEXT_MAX]);
void eal_stop(void);
/* eal_why - what DPDK said last of a failure, since eal_forget(); "" if nothing. */
void eal_forget(void);
const char *eal_why(void);
/* eal_leave_out - a pool's memory, with keys in it, of dumps of this process's. */
struct rte_mempool;
void eal_leave_out(struct rte_mempool *pool) NONNULL(1);
/* eal_join_thread - this thread is one that DPDK keeps caches for, until it ends. */
void eal_join_thread(void);

/* port.c */
struct dpdk_port {
	uint16_t id;
	uint32_t ifindex; /* of the host's interface that it stands on; 0 = none */
	uint32_t num_queues, num_open;
	uint32_t offloads; /* DPDK_OFFLOAD_* */
	bool heads;        /* with TSO: it makes checksums of IPv4 headers */
	void *security;    /* with INLINE: the port's context */
	uint8_t inline_at; /* its place in a key */
	struct dpdk_queue *queues;
	char device[DPDK_DEVICE_MAX];
	char driver[32];
	const char *spread;
	struct steer *steer; /* NULL: no rules */
};

/* struct dpdk_queue - one queue each way. */
struct dpdk_queue {
	struct driver driver;
	struct dpdk_port *port;
	uint16_t index;
};

MUST_USE enum err port_open(struct driver *out[], const char *device, uint32_t num_queues,
			    uint32_t mtu, uint32_t offloads, char text[static DPDK_TEXT_MAX]);
MUST_USE enum err port_queues(uint32_t *out, const char *device, char text[static DPDK_TEXT_MAX]);
MUST_USE enum err port_steer(struct driver *d, const struct dpdk_steering *s,
			     char text[static DPDK_TEXT_MAX]) NONNULL(1, 2);
void port_info(const struct driver *d, struct dpdk_port_info *out) NONNULL(1, 2);
bool port_is_up(const struct driver *d) NONNULL(1);
MUST_USE enum err port_set_mtu(struct driver *d, uint32_t mtu) NONNULL(1);
void port_close(struct driver *d) NONNULL(1);

/* burst.c - dpdk_offload_ops are of a port with offloads. */
extern const struct driver_ops dpdk_queue_ops, dpdk_offload_ops;

/* offload.c */
struct rte_eth_dev_info;
struct rte_eth_conf;
struct rte_mbuf;
/* offloads_of - of those wanted, what the device has. offloads_configure - ask it for them. */
uint32_t offloads_of(const struct rte_eth_dev_info *info, uint32_t wanted) NONNULL(1);
void offloads_configure(struct rte_eth_conf *conf, const struct rte_eth_dev_info *info,
			struct dpdk_port *p) NONNULL(1, 2, 3);
/* offload_mbuf - p as it is sent, with what is left to the port. NULL: that cannot be said of it,
 * or there is no mbuf: p is given back. offload_plain - nothing is left to it. */
struct rte_mbuf *offload_mbuf(struct packet *p, const struct dpdk_port *port) NONNULL(1, 2);
struct rte_mbuf *offload_plain(struct packet *p) NONNULL(1);
/* offload_prepare - as the device wants them; what it cannot send is freed. Returns how many are
 * left. */
uint16_t offload_prepare(const struct dpdk_queue *q, struct rte_mbuf **m, uint16_t num)
	NONNULL(1, 2);
