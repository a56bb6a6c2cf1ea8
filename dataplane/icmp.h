/* SPDX-License-Identifier: Apache-2.0 */
/*
 * icmp.h - telling the sender of an inner packet that it is too big for the tunnel (RFC 4301
 * 8.2.1): "fragmentation needed" (RFC 1191 4) or Packet Too Big (RFC 4443 3.2). Thread: the worker.
 */
#pragma once

#include "dataplane/packet.h"

/* ICMP_MAX_LEN - of an IPv4 message (RFC 1812 4.3.2.3); ICMP6_MAX_LEN - of an IPv6 one. */
#define ICMP_MAX_LEN  576
#define ICMP6_MAX_LEN 1280

/* icmp_too_big - write to out, an empty packet with room for ICMP6_MAX_LEN, what p's sender is to
 * be told: nothing longer than mtu goes. It comes from where p was to go, since nothing else is
 * there that the sender's host would believe on that interface. False: p is of a kind that is not
 * answered (RFC 1122 3.2.2, RFC 4443 2.4). */
MUST_USE bool icmp_too_big(struct packet *out, const struct packet *p, uint32_t mtu) NONNULL(1, 2);
