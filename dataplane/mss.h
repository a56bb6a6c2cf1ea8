/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mss.h - the MSS option of TCP's SYN segments made no larger than what a tunnel takes, so that
 * connections whose hosts are told nothing by ICMP work too. Thread: the worker.
 */
#pragma once

#include "dataplane/packet.h"

#include <netinet/in.h>

#define TCP_MIN_LEN  20
#define TCP_FLAGS_AT 13
#define TCP_SYN      0x02

/* mss_is_syn - p, a whole IP packet, begins a TCP connection; IPv6 only without extension headers.
 */
static inline bool mss_is_syn(const struct packet *p)
{
	const uint8_t *h = p->data;
	uint32_t at = h[0] >> 4 == 4 ? (h[0] & 0x0fu) * 4 : 40;

	if (h[h[0] >> 4 == 4 ? 9 : 6] != IPPROTO_TCP || p->len < at + TCP_MIN_LEN)
		return false;
	return (h[at + TCP_FLAGS_AT] & TCP_SYN) && !(p->flags & PACKET_F_FRAGMENT);
}

/* mss_clamp - p is a SYN: an MSS option that is greater becomes mss, and the checksum follows by
 * the difference (RFC 1624). No option: it stays without. */
void mss_clamp(struct packet *p, uint32_t mss) NONNULL(1);
