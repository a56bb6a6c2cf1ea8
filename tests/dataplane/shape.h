/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape.h - packets of TCP and UDP as the tests of super-packets want them, and what the host
 * itself would make of them: the segments, with checksums worked out here once more (RFC 1071).
 */
#pragma once

#include "base/bytes.h"
#include "base/rng.h"

/* struct shape - of a super-packet. */
struct shape {
	bool v6, udp, df;
	uint8_t ip_options; /* IPv4: words; IPv6: a destination options header if not 0 */
	uint8_t tcp_options, flags;
	uint16_t seg_len, id;
	uint32_t len; /* of the payload */
};

/* shape_random - any; rng: where it is drawn from. shape_below - a number below n. */
struct shape shape_random(const struct rng_seeded *rng) NONNULL(1);
uint32_t shape_below(const struct rng_seeded *rng, uint32_t n) NONNULL(1);

/* shape_flow - one of eight flows' packets: the bits of `which` say v6, udp, df. */
struct shape shape_flow(int which);

/* shape_head - IP and transport headers for len bytes of payload to h; returns their length. The
 * checksum field is left 0. */
size_t shape_head(uint8_t *h, const struct shape *s, uint32_t number, size_t len) NONNULL(1, 2);

/* shape_payload - byte i of it. */
uint8_t shape_payload(uint32_t i);

/* shape_super - what the host hands over to p; returns its length. */
size_t shape_super(uint8_t *p, const struct shape *s) NONNULL(1, 2);

/* shape_segment - what the host itself would send as the segment that begins at `offset`, if each
 * has `len` bytes; returns the length. */
size_t shape_segment(uint8_t *p, const struct shape *s, uint32_t offset, uint32_t len)
	NONNULL(1, 2);

/* shape_l4 - where the transport header of the packet at ip begins. shape_proto - what it is. */
size_t shape_l4(const uint8_t *ip) NONNULL(1);
uint8_t shape_proto(const uint8_t *ip) NONNULL(1);

/* shape_sum - RFC 1071 word by word, continued. */
uint32_t shape_sum(uint32_t sum, const uint8_t *p, size_t len);

/* shape_sum_put - the transport checksum of the packet of len bytes, or only of its pseudo header.
 */
void shape_sum_put(uint8_t *ip, size_t len, bool whole) NONNULL(1);
