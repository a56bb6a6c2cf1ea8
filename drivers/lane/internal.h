/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - the lane's files among themselves.
 *
 *   lane.c    life, ports, receiving
 *   send.c    sending, or leaving it to the host
 *   shadow.c  frames from and to a port's TAP
 *   sort.c    which way a frame goes
 *   mirror.c  what the host told of routes and neighbours, and the table made of it
 *   fib.c     that table
 */
#pragma once

#include "base/htab.h"
#include "base/list.h"
#include "dataplane/pool.h"
#include "drivers/lane.h"
#include "drivers/lane/sort.h"

/* LANE_FROM_HOST - in packet->way, beside the port's number: it came by the shadow. */
#define LANE_FROM_HOST 0x80

/* struct lane_port - what all queues know of a port. Constant, unless said otherwise. */
struct lane_port {
	uint32_t ifindex;
	uint8_t mac[6];
	bool sums;               /* as struct lane_port_params has it */
	uint32_t mtu;            /* atomic; control: w, worker: r */
	bool up;                 /* atomic; as mtu. Wire and shadow are up */
	bool carrier, shadow_up; /* control */
};

/* struct lane_wire - a queue of a port. Worker: rw. */
struct lane_wire {
	struct driver *frames;
	int shadow;
	bool reads;              /* constant: the shadow has a queue for this one */
	bool vnet;               /* constant: as struct lane_port_params has it */
	bool shadow_busy;        /* it had frames when it was looked at last */
	struct pktvec tx;        /* on their way out */
	struct lane_stats stats; /* control: r relaxed */
};

/* struct mirror - all that the host told of. Control. */
struct mirror {
	struct htab entries;
	struct list_node list;
	uint32_t generation; /* of the dump that is under way or was last */
	bool dirty;
};

/* struct lane_queue - what one worker has of the lane. Worker: rw, unless said otherwise. */
struct lane_queue {
	struct driver inner, outer;
	struct lane *lane;              /* constant */
	uint32_t num_wires;             /* constant: of all ports, until they are closed */
	struct driver *tap, *udp, *esp; /* the host's; borrowed, constant */
	struct fib_reader fib;
	uint32_t turn;
	uint16_t id, id_step;   /* of outer IPv4 packets; each queue has its own */
	struct pktvec outer_rx; /* brought by the inner port's turn for the outer one */
	struct lane_wire wires[LANE_PORTS_MAX];
};

/* struct lane - constant once workers run, unless said otherwise. */
struct lane {
	struct lane_params params;
	struct lane_queue *queues[LANE_QUEUES_MAX];
	uint32_t num_queues;
	struct lane_port ports[LANE_PORTS_MAX];
	uint32_t num_ports;
	struct fib *fib; /* RCU: control: w, worker: r */

	/* Control's, lines apart from what workers read. */
	alignas(CACHE_LINE) uint32_t refs; /* atomic: of the caller and of all drivers */
	struct mirror mirror;
	uint64_t generation; /* of fib */
	struct rcu_queue retired;
	uint32_t num_routes, num_neighs;
	size_t used_at; /* where lane_used() goes on */
};

/* shadow.c */
void shadow_write(struct lane_wire *wire, struct packet *p) NONNULL(1, 2);
MUST_USE struct packet *shadow_read(struct lane_wire *wire, struct pool *pool) NONNULL(1, 2);
void shadow_carrier(const struct lane_wire *wire, bool up) NONNULL(1);

/* send.c */
void lane_send_frame(struct lane_wire *wire, struct packet *p) NONNULL(1, 2);
void lane_flush(struct lane_queue *q) NONNULL(1);
void lane_inner_tx(struct driver *d, struct pktvec *v) NONNULL(1, 2);
void lane_outer_tx(struct driver *d, struct pktvec *v) NONNULL(1, 2);

/* mirror.c */
MUST_USE enum err mirror_init(struct lane *l) NONNULL(1);
void mirror_fini(struct lane *l) NONNULL(1);
uint8_t lane_port_of(const struct lane *l, uint32_t ifindex) NONNULL(1);
