/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip_frame.h - outer headers, for drivers that see whole frames where a socket would show
 * datagrams: Ethernet, IP, and UDP or ESP as IP protocol 50 (RFC 791, RFC 8200, RFC 768, RFC 3948).
 * Pure functions on one packet; none reads or writes outside its buffer.
 */
#pragma once

#include "dataplane/packet.h"

#define FRAME_ETHERNET_LEN 14

/* frame_strip_ethernet - take off the Ethernet header that p's data begins with, and up to two VLAN
 * tags. False, and p unchanged: it does not carry IPv4 or IPv6. */
MUST_USE bool frame_strip_ethernet(struct packet *p) NONNULL(1);

/* frame_push_ethernet - put one in front of the IP packet p, with made-up addresses. False, and p
 * unchanged: no IP packet, or no headroom. */
MUST_USE bool frame_push_ethernet(struct packet *p) NONNULL(1);

/* frame_strip_outer - take off the headers in front of what an outer driver delivers, and what may
 * follow the datagram: p->from and p->dscp_ecn are filled in. UDP to port 4500 is ENCAP_UDP, to
 * port 500 ENCAP_NONE; ESP has no ports. Checksums are not looked at: a capture made where a packet
 * was sent may lack them. False, and p unchanged: not whole, a fragment, or something else. */
MUST_USE bool frame_strip_outer(struct packet *p) NONNULL(1);

/* FRAME_HEAD_MAX - room for Ethernet, IPv6 and UDP headers. */
#define FRAME_HEAD_MAX 64

/* struct frame_head - the headers of all datagrams to one place, but for what differs among them.
 */
struct frame_head {
	uint8_t bytes[FRAME_HEAD_MAX]; /* the headers are the last of these */
	uint32_t ip_len;               /* of IP and UDP header */
	uint32_t len;                  /* with the Ethernet header, if there is one */
	uint32_t sum;                  /* of the IPv4 header as it is here; sum_left: see there */
	uint8_t family;
	bool udp, udp_sum;
	bool sum_left; /* a port completes UDP's; `sum` is that of its pseudo header */
	const struct path_addr *to;
};

/* frame_head_init - for `to`, which is borrowed: IP, and UDP if it has ports. udp_sum: the
 * datagrams bear UDP checksums; over IPv4 ESP needs none (RFC 3948 2.1), over IPv6 all do. False:
 * `to` is of no family. */
MUST_USE bool frame_head_init(struct frame_head *h, const struct path_addr *to, bool udp_sum)
	NONNULL(1, 2);

/* frame_head_ethernet - put an Ethernet header in front, macs its addresses. */
void frame_head_ethernet(struct frame_head *h, const uint8_t macs[static 12]) NONNULL(1);

/* frame_head_leave_sum - UDP checksums over IPv6, which are of all that is sent, are a port's to
 * complete: its packets get PACKET_F_SUM. Over IPv4 nothing changes: there ESP in UDP needs none,
 * and the header's costs as little as leaving it. */
void frame_head_leave_sum(struct frame_head *h) NONNULL(1);

/* frame_head_push - put it in front of p, DF as PACKET_F_DF says, TOS as dscp_ecn; id is the IPv4
 * identification. False, and p unchanged: no headroom, too long, or it is open and a checksum would
 * be over its text. */
MUST_USE bool frame_head_push(const struct frame_head *h, struct packet *p, uint16_t id)
	NONNULL(1, 2);

/* frame_push_outer - put IP and UDP headers (ESP's have no ports, and so no UDP) for p->to in front
 * of p, with checksums, DF as PACKET_F_DF says; id is the IPv4 identification. False, and p
 * unchanged: p->to is of no family, no headroom, or too long. */
MUST_USE bool frame_push_outer(struct packet *p, uint16_t id) NONNULL(1);
