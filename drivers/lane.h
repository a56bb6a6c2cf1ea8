/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.h - the fast lane of a gateway that is otherwise an ordinary Linux router: ports that move
 * whole frames, each with a shadow, a TAP that bears its MAC and IP addresses. ESP and what the
 * policies protect go through the data path; all else goes between wire and shadow, so that ARP,
 * neighbour discovery, ICMP, IKE and routing daemons are the host's own. Where frames go is learned
 * from the host's routes and neighbours, and what the lane cannot do (no neighbour yet, too long,
 * TTL at its end) it leaves to the host, which sends by the shadow and tells whom it must.
 *
 * To the data path it is two ports, an inner and an outer one, with a queue of both for each of the
 * workers that drive the lane. Such a worker has a queue of each port, to receive and to send, and
 * one of its shadow: a flow's frames stay with one worker, whichever way they go, and nothing is
 * written by two. Thread: control, except the queues' rx and tx.
 */
#pragma once

#include "base/host.h"
#include "dataplane/driver.h"

/* LANE_PORTS_MAX - ports of a lane. */
#define LANE_PORTS_MAX 16

/* LANE_QUEUES_MAX - workers that drive a lane. */
#define LANE_QUEUES_MAX 64

struct lane;

/* struct lane_params - ports of UDP as the sockets have them; idle_us: see struct driver. */
struct lane_params {
	uint16_t port_ike, port_nat_t;
	uint32_t idle_us;
	uint32_t num_queues; /* 0 = 1 */
};

/* struct lane_port_params - for each of the lane's queues a driver of whole frames, and a
 * descriptor of the shadow, the port's TAP; both are taken over. Only the first num_shadows are
 * queues of the TAP: by the others frames are written to it, and none read. */
struct lane_port_params {
	struct driver *const *frames;
	const int *shadows;
	uint32_t num_shadows; /* 0 = all */
	uint32_t ifindex;     /* of the shadow */
	uint8_t mac[6];
	uint32_t mtu;
	bool sums; /* frames completes UDP and TCP checksums (PACKET_F_SUM) */
	bool vnet; /* the shadow has a header of offloads, of such as frames has (vnet.h) */
};

/* lane_new - without ports. Errors: NOMEM, INVAL (number of queues). */
MUST_USE enum err lane_new(struct lane **out, const struct lane_params *params) NONNULL(1, 2);

/* lane_free - the caller needs it no more; it lives on until both ports of each queue are closed.
 * NULL is accepted. */
void lane_free(struct lane *l);

/* lane_add_port - before its drivers are attached. Errors: FULL; what was to be taken over stays
 * the caller's. */
MUST_USE enum err lane_add_port(struct lane *l, const struct lane_port_params *params)
	NONNULL(1, 2);

/* lane_use_host - what a queue leaves to the host: decrypted packets by `tap`, sealed ones by `udp`
 * or, bare, by `esp`; each may be NULL. They are drivers of the same worker and outlive its turns.
 */
void lane_use_host(struct lane *l, uint32_t queue, struct driver *tap, struct driver *udp,
		   struct driver *esp) NONNULL(1);

/* lane_inner, lane_outer - a queue of the two ports, each to be attached once and to the same
 * worker. */
struct driver *lane_inner(struct lane *l, uint32_t queue) NONNULL(1);
struct driver *lane_outer(struct lane *l, uint32_t queue) NONNULL(1);

/* lane_change - what the host's mirror told. lane_settle - then: workers see it from now on.
 * Errors: NOMEM: they see what was before; call it again. */
void lane_change(struct lane *l, const struct host_change *change) NONNULL(1, 2);
MUST_USE enum err lane_settle(struct lane *l) NONNULL(1);

/* lane_used - fn for each neighbour that the host has not heard of for a while and that the lane
 * has sent to since this was called last, for max at most and the others at the next call: the
 * host, which sees none of it, is to ask whether it is there still (neigh_use of base/host.h). For
 * none between lane_change() and a lane_settle() that went well. */
void lane_used(struct lane *l, uint32_t max,
	       void (*fn)(void *arg, uint32_t ifindex, const struct ip_addr *a), void *arg)
	NONNULL(1, 3);

/* lane_link - the port's wire has a carrier, or has not: its shadow shows it. */
void lane_link(struct lane *l, uint32_t port, bool up) NONNULL(1);

/* struct lane_stats - frames of a port. */
struct lane_stats {
	uint64_t rx_inner, rx_outer, rx_host; /* from the wire, by whose they were */
	uint64_t tx_fast, tx_host;            /* to the wire: by the lane, from the host */
	uint64_t rx_inline, tx_inline;        /* ESP that it decrypted or would; encrypts */
	uint64_t left_to_host;                /* packets that the lane could not send by it */
	uint64_t shadow_error;                /* frames that the shadow did not take */
	uint32_t routes, neighbours;          /* of all ports, that are known now */
};

/* lane_stats - of all queues together; slightly behind. */
void lane_stats(const struct lane *l, uint32_t port, struct lane_stats *out) NONNULL(1, 3);
