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

/* frame_push_outer - put IP and UDP headers (ESP's have no ports, and so no UDP) for p->to in front
 * of p, with checksums, DF as PACKET_F_DF says; id is the IPv4 identification. False, and p
 * unchanged: p->to is of no family, no headroom, or too long. */
MUST_USE bool frame_push_outer(struct packet *p, uint16_t id) NONNULL(1);
