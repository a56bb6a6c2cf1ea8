/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fib.h - where the fast lane sends: the host's routes and neighbours as one immutable table, made
 * anew from the mirror when they change and published by RCU. A look-up is one probe for each
 * prefix length there is, the longest first; what a worker found for a destination it keeps by
 * itself. Thread: made by control, read by workers; a reader is one worker's.
 */
#pragma once

#include "base/addr.h"
#include "base/rcu.h"

/* FIB_NO_PORT - a device of the host's that is none of the lane's ports. */
#define FIB_NO_PORT 0xff

/* struct fib_neigh - a neighbour that can be reached. */
struct fib_neigh {
	struct ip_addr addr;
	uint8_t macs[12]; /* its own and the port's, as a frame to it begins */
	uint8_t port;
	bool stale;
	bool used; /* atomic; workers, control: rw. Stale, and something was sent to it */
};

/* enum fib_set - which routes: those into the virtual interface go before all others. */
enum fib_set {
	FIB_PROTECT,
	FIB_MAIN,
};

/* struct fib_route - one prefix of a set. */
struct fib_route {
	struct ip_addr dst, gateway;
	uint8_t len;
	uint8_t set;  /* enum fib_set */
	uint8_t port; /* FIB_NO_PORT: the host's affair */
	bool local;   /* the host itself */
	uint32_t metric;
};

struct fib;

/* fib_new - from lists that are copied; of routes to the same prefix the one with the smaller
 * metric counts. generation: another one than of any before it, and not 0. NULL on shortage. */
MALLOC_LIKE struct fib *fib_new(uint64_t generation, const struct fib_route *routes,
				size_t num_routes, const struct fib_neigh *neighs,
				size_t num_neighs);

/* fib_free - one that was not published. fib_retire - one that was. NULL is accepted. */
void fib_free(struct fib *f);
void fib_retire(struct fib *f, struct rcu_queue *q) NONNULL(2);

/* fib_route - the longest prefix with the address; NULL if there is none. */
const struct fib_route *fib_route(const struct fib *f, enum fib_set set, const struct ip_addr *a)
	NONNULL(1, 3);

/* struct fib_dst - all that is known of a destination. */
struct fib_dst {
	struct ip_addr addr;
	bool local;                    /* an address of the host */
	bool protect;                  /* routes into the virtual interface have it */
	const struct fib_route *route; /* FIB_MAIN; NULL: none */
	struct fib_neigh *neigh;       /* next hop by one of the lane's ports; NULL: none known */
};

/* struct fib_reader - a worker's: the table it looks at, and what it found there lately. */
struct fib_reader {
	const struct fib *fib;
	uint64_t generation; /* of the table that the kept ones are of; 0: there are none */
	struct fib_dst *kept;
};

/* fib_reader_init - Errors: NOMEM. fib_reader_fini - the zero state is accepted. Control. */
MUST_USE enum err fib_reader_init(struct fib_reader *r) NONNULL(1);
void fib_reader_fini(struct fib_reader *r) NONNULL(1);

/* fib_read - r looks at f until the worker is quiescent; returns r, NULL if f is. */
struct fib_reader *fib_read(struct fib_reader *r, const struct fib *f) NONNULL(1);

/* fib_find - the address at a, of that family, as a header has it. Valid until the next call; a
 * destination that was found lately costs one compare. */
const struct fib_dst *fib_find(struct fib_reader *r, uint8_t family, const uint8_t *a)
	NONNULL(1, 3);

/* fib_neigh - the neighbour with the address at a port; NULL: not known. fib_neighs - all. */
struct fib_neigh *fib_neigh(const struct fib *f, uint8_t port, const struct ip_addr *a)
	NONNULL(1, 3);
struct fib_neigh *fib_neighs(const struct fib *f, size_t *out_num) NONNULL(1, 2);
