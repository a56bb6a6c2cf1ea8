/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links.h - several wires between the two sides: each joins one address of A with one of B, and a
 * datagram goes by the wire that its pair of addresses belongs to, or nowhere. As long as none is
 * joined there is the one wire of struct sim_wire between whatever addresses. A wire is a
 * tests/relay/line.h in each direction ("left": what A sends), and may have a translator in front
 * of A.
 */
#pragma once

#include "base/addr.h"
#include "tests/relay/line.h"

/* SIM_MAX_LINKS - one for each address of a side. */
#define SIM_MAX_LINKS 4

/* SIM_PACKET_LEN - of an ESP packet, for what has a rate. */
#define SIM_PACKET_LEN 1000

struct sim;
struct path_addr;

/* struct sim_link - nat: 0 = no translator, else A is behind `outside`, its ports moved up by this.
 * Another number: the translator has forgotten what it had mapped. */
struct sim_link {
	struct ip_addr ends[2], outside;
	struct line line[2];
	uint16_t nat;
};

/* sim_join - a wire between address number a of A and number b of B from now on; no two share an
 * address. orders: see line_order(); wrong ones are the test's mistake. */
struct sim_link *sim_join(struct sim *s, unsigned a, unsigned b, const char *orders) NONNULL(1, 4);

/* sim_tell - it does that from now on. */
void sim_tell(struct sim_link *l, const char *orders) NONNULL(1, 2);

/* sim_link_of - the wire by which what `from` sends along path goes; NULL: there is none. */
struct sim_link *sim_link_of(struct sim *s, unsigned from, const struct path_addr *path)
	NONNULL(1, 3);

/* sim_link_seen - the path as who receives it sees it. */
struct path_addr sim_link_seen(const struct sim_link *l, unsigned from,
			       const struct path_addr *path) NONNULL(1, 3);
