/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sort.h - which way a frame goes. From the wire: ESP for us and what routers say of ours to the
 * data path's protected side; what a router would forward to its clear side, for the policies to
 * judge; all else to the host. From the host: what the policies have no say in, and the rest. Pure
 * functions on one hostile frame; none reads or writes outside it.
 */
#pragma once

#include "dataplane/packet.h"
#include "drivers/lane/fib.h"

/* enum lane_way - whose a frame from the wire is. */
enum lane_way {
	LANE_HOST,  /* by the port's shadow; the frame is as it was */
	LANE_INNER, /* to be forwarded: data begins at the IP header, whose TTL is one less */
	LANE_OUTER, /* ESP for us: data is the ESP packet, `from` and dscp_ecn are filled in */
	LANE_TOLD,  /* an ICMP error about ESP of ours: PACKET_F_IP */
};

/* LANE_WAYS - how many there are. */
#define LANE_WAYS (LANE_TOLD + 1)

/* struct lane_pair - the two addresses of a packet, and what is known of it by these. */
struct lane_pair {
	uint64_t word[4]; /* as the header has them: source, destination; IPv4 in the first one */
	uint8_t family;   /* IP_NONE: nothing yet */
	bool stays;       /* one of them is not to be forwarded */
	bool local;       /* the destination is an address of the host */
	struct path_addr from; /* `from` of bare ESP between them */
};

/* struct lane_sort - what is known beside the frame. */
struct lane_sort {
	struct fib_reader *fib; /* NULL: nothing yet, and all is the host's */
	uint8_t mac[6];         /* of the port */
	uint16_t port_ike, port_nat_t;
	uint32_t ifindex;      /* for packet->from */
	struct lane_pair last; /* zero at first: of the frame before, with the same fib */
};

/* lane_sort_wire - p's data begins at the Ethernet header. */
enum lane_way lane_sort_wire(struct packet *p, struct lane_sort *s) NONNULL(1, 2);

/* lane_sort_host - p, a frame that the host sends by the port, has to be judged by the policies:
 * data begins at its IP header now. False, and p unchanged: it is none of their affair (other
 * protocols, neighbour discovery, what stays on the link, our own IKE and ESP). */
bool lane_sort_host(struct packet *p, const struct lane_sort *s) NONNULL(1, 2);

/* lane_ttl_less, lane_ttl_more - of the IP header at h: one less, as a router does; and back. */
void lane_ttl_less(uint8_t *h) NONNULL(1);
void lane_ttl_more(uint8_t *h) NONNULL(1);
