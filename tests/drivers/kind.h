/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind.h - frames of TCP and UDP over IPv4 and IPv6 for the tests of what is left to ports, and
 * whether their checksums are right. Pure functions.
 */
#pragma once

#include "base/bytes.h"

#define ETHERNET 14

/* struct kind - of a frame. kinds - all of them. */
struct kind {
	bool v6, tcp;
};
extern const struct kind kinds[4];

/* kind_l4_at, kind_sum_at, kind_payload_at - where these begin in a frame: the header of TCP or
 * UDP, its checksum, what is behind it. */
uint32_t kind_l4_at(struct kind k);
uint32_t kind_sum_at(struct kind k);
uint32_t kind_payload_at(struct kind k);

/* kind_make - from the EtherType on, a frame to be forwarded whose checksum is the pseudo header's
 * sum; byte i of its payload is 7 i. Returns its length. */
uint32_t kind_make(uint8_t *frame, struct kind k, uint32_t payload) NONNULL(1);

/* kind_header_sum - the checksum of the IPv4 header anew. */
void kind_header_sum(uint8_t *ip) NONNULL(1);

/* kind_pseudo - the sum of a frame's pseudo header. */
uint16_t kind_pseudo(const uint8_t *frame, size_t len, struct kind k) NONNULL(1);

/* kind_is_whole - the checksum of TCP or UDP is right, and the header's. */
bool kind_is_whole(const uint8_t *frame, size_t len, struct kind k) NONNULL(1);
