/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vnet.h - the header in front of each packet of a TUN or TAP with IFF_VNET_HDR (VIRTIO 1.2 5.1.6):
 * checksums that the host left to us, super-packets in both directions. Its fields are little
 * endian, as TUNSETVNETLE has it. Pure functions; nothing outside a packet is read or written.
 */
#pragma once

#include "dataplane/packet.h"

/* VNET_LEN - of the header. VNET_HEAD_MAX - of the packet's own headers, as vnet_join() takes them:
 * IPv6 and TCP with all options. */
#define VNET_LEN      10
#define VNET_HEAD_MAX 100

/* vnet_take - what the header h says of p, whose data begins at the IP header, which the host
 * counts as `before` bytes behind the beginning: the checksum of a single packet is completed, a
 * super-packet gets its seg_len. Lengths of headers that h names are not believed. False: it says
 * what cannot be. */
MUST_USE bool vnet_take(const uint8_t h[static VNET_LEN], struct packet *p, uint32_t before)
	NONNULL(1, 2);

/* vnet_sum - h leaves the checksum of a single packet to us: it is over all from *start on, and is
 * stored *at bytes behind that. */
MUST_USE bool vnet_sum(const uint8_t h[static VNET_LEN], uint32_t *start, uint32_t *at)
	NONNULL(1, 2, 3);

/* vnet_join - the header for the packets that p begins (next_part), which have headers of
 * p->head_len bytes and payloads of p->seg_len but the last; `head` becomes the headers of the
 * super-packet that they are together. */
void vnet_join(uint8_t h[static VNET_LEN], uint8_t head[static VNET_HEAD_MAX],
	       const struct packet *p, uint32_t before) NONNULL(1, 2, 3);
