/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_parts.h - where the headers of a frame with TCP or UDP are, for who leaves its checksum or
 * its cutting to a device. It knows nothing of its host, so that DPDK's module has it too. Pure
 * function, any thread.
 */
#pragma once

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

/* struct frame_parts - lengths of the headers, one behind the other. */
struct frame_parts {
	uint16_t l2_len, l3_len, l4_len;
	bool v6, tcp;
};

/* frame_parts_find - of the Ethernet frame of len bytes, with up to two VLAN tags. False: its IP
 * packet is a fragment, carries something else, has extension headers (IPv6), or is cut off. */
MUST_USE bool frame_parts_find(struct frame_parts *out, const uint8_t *frame, uint32_t len)
	NONNULL(1, 2);

/* frame_parts_sum_at - where the checksum is in the TCP or UDP header. */
static inline uint32_t frame_parts_sum_at(const struct frame_parts *f)
{
	return f->tcp ? 16 : 6;
}
