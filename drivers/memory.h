/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - a driver whose device is two rings of frames in memory, for tests, simulations and
 * embedders. One side is a port of a data path, the other is either the caller's (memory_inject,
 * memory_take; one thread) or the port of another data path (a cross-connected pair). Frames are
 * made in advance and copied in and out, so the two sides may run in different threads.
 */
#pragma once

#include "dataplane/driver.h"

/* struct memory_params - zero means the default given. */
struct memory_params {
	enum port_role role;
	uint32_t num_frames; /* in each direction, rounded up to a power of two; 256 */
	uint32_t frame_len;  /* bytes a frame holds; 2048 */
	uint8_t joins;       /* JOIN_*: chains become super-packets; with frames of 65536 bytes */
};

struct memory_port;

/* memory_open - a port and the far end for the caller. *out_far is valid until memory_close_far().
 * Errors: NOMEM, SYS. The driver is closed by the data path. */
MUST_USE enum err memory_open(struct driver **out, struct memory_port **out_far,
			      const struct memory_params *params) NONNULL(1, 2, 3);

/* memory_open_pair - two cross-connected ports: what one sends the other receives. As a datagram
 * goes over, `to` becomes `from` with local and remote exchanged, and its TOS byte goes with it.
 * Errors: NOMEM, SYS. */
MUST_USE enum err memory_open_pair(struct driver **out_a, struct driver **out_b,
				   const struct memory_params *params) NONNULL(1, 2, 3);

/* memory_inject - the port will receive a copy of len bytes; from is NULL for inner ports; on an
 * outer one it means an IP packet as it came from the wire (PACKET_F_IP). Errors: FULL, LIMIT
 * (longer than a frame). Far end's thread. */
MUST_USE enum err memory_inject(struct memory_port *far, const void *bytes, size_t len,
				const struct path_addr *from) NONNULL(1);

/* memory_inject_super - the same with a super-packet, whose segments are seg_len bytes long. */
MUST_USE enum err memory_inject_super(struct memory_port *far, const void *bytes, size_t len,
				      uint16_t seg_len, const struct path_addr *from) NONNULL(1);

/* memory_inject_demand - the same as memory_inject() with a packet that demands a class. */
MUST_USE enum err memory_inject_demand(struct memory_port *far, const void *bytes, size_t len,
				       uint32_t token) NONNULL(1);

/* memory_come_apart - super-packets of up to PKTVEC_MAX segments are received as chains of packets
 * (packet->next_part) or not, which is so at first. While nothing is received. */
void memory_come_apart(struct memory_port *far, bool apart) NONNULL(1);

/* memory_inject_sum - a packet to an inner port whose checksum is left to others (PACKET_F_SUM). */
MUST_USE enum err memory_inject_sum(struct memory_port *far, const void *bytes, size_t len)
	NONNULL(1);

/* memory_take - the oldest frame that the port sent: copied to buf (len bytes, cut to cap); *out_to
 * (may be NULL) is where it goes. False if there is none. Far end's thread. */
MUST_USE bool memory_take(struct memory_port *far, void *buf, size_t cap, size_t *out_len,
			  struct path_addr *out_to) NONNULL(1, 2, 4);

/* struct memory_meta - what goes with a frame beside its bytes. */
struct memory_meta {
	struct path_addr to; /* outer: where it goes */
	uint32_t token;      /* inner: the packet's protection class, or the demanded one */
	uint16_t seg_len;    /* of a super-packet */
	uint8_t dscp_ecn;    /* outer: TOS byte */
	bool sum;            /* inner: its checksum is left to others */
};

/* memory_take_meta - memory_take() with all that goes with the frame. */
MUST_USE bool memory_take_meta(struct memory_port *far, void *buf, size_t cap, size_t *out_len,
			       struct memory_meta *out) NONNULL(1, 2, 4, 5);

/* memory_far_fd - readable when memory_take() has something. */
int memory_far_fd(const struct memory_port *far) NONNULL(1);

/* memory_close_far - the caller is done with its end. NULL is accepted. */
void memory_close_far(struct memory_port *far);
