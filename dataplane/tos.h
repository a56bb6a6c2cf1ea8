/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tos.h - the TOS byte of a tunnel's inner and outer header: six bits of DSCP, copied as the SA
 * says (RFC 4301 5.1.2, RFC 2983), and two of ECN, always in normal mode (RFC 6040). Thread: the
 * worker.
 */
#pragma once

#include "dataplane/dataplane.h"
#include "dataplane/packet.h"

#define TOS_ECN  0x03
#define TOS_DSCP 0xfc
/* TOS_DROP - no TOS byte: the packet is to be dropped. */
#define TOS_DROP 0x100

/* enum ecn - codepoints (RFC 3168 5). */
enum ecn {
	ECN_NOT_ECT = 0,
	ECN_ECT1 = 1,
	ECN_ECT0 = 2,
	ECN_CE = 3,
};

/* tos_get - of an IPv4 or IPv6 header; bit 13 is what their version numbers differ in, and 4 bits
 * is how far the byte lies apart. */
static inline uint8_t tos_get(const uint8_t *ip)
{
	uint32_t first = load_be16(ip);

	return (uint8_t)(first >> (first >> 11 & 4));
}

/* tos_encapsulate - the outer TOS byte of a packet with this inner one: ECN as it is (RFC 6040 4.1,
 * normal mode). copy: enum dscp_copy. */
static inline uint8_t tos_encapsulate(uint8_t inner, uint8_t copy)
{
	return inner & (copy & DSCP_COPY_OUT ? TOS_DSCP | TOS_ECN : TOS_ECN);
}

/* tos_decapsulate - the inner TOS byte that is forwarded, or TOS_DROP (RFC 6040 4.2, figure 4). */
uint16_t tos_decapsulate(uint8_t inner, uint8_t outer, uint8_t copy);

/* tos_set - write the TOS byte of an IPv4 (with its checksum, RFC 1624) or IPv6 header. */
void tos_set(uint8_t *ip, uint8_t tos) NONNULL(1);

/* tos_restore - p's inner header gets the TOS byte to be forwarded; p->dscp_ecn is the outer one.
 * False: to be dropped. p->data is a whole IP header. */
static inline bool tos_restore(struct packet *p, uint8_t copy)
{
	/* Without a mark of ECN on the outer header the inner one stays, whatever it is. */
	if (likely(!(p->dscp_ecn & TOS_ECN) && !(copy & DSCP_COPY_IN)))
		return true;
	uint8_t inner = tos_get(p->data);
	uint16_t tos = tos_decapsulate(inner, p->dscp_ecn, copy);

	if (unlikely(tos == TOS_DROP))
		return false;
	if (tos != inner)
		tos_set(p->data, (uint8_t)tos);
	return true;
}
