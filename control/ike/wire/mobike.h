/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mobike.h - the notifies of MOBIKE (RFC 4555 4) that carry addresses. Thread: the engine's control
 * thread.
 */
#pragma once

#include "base/addr.h"
#include "control/ike/wire/payload.h"

/* MOBIKE_ADDRS_MAX - addresses of a peer that are told or kept beside the one in use (S3); those
 * beyond it are left out. */
#define MOBIKE_ADDRS_MAX 8

/* struct mobike_addrs - the addresses that a host may be reached at, beside the one in use. */
struct mobike_addrs {
	struct ip_addr list[MOBIKE_ADDRS_MAX];
	uint8_t num;
};

/* mobike_addrs_build - ADDITIONAL_IP4_ADDRESS and ADDITIONAL_IP6_ADDRESS of each. */
void mobike_addrs_build(struct ike_builder *b, const struct mobike_addrs *a) NONNULL(1, 2);

/* mobike_addrs_take - the addresses that a message names, each once; what is no address of one host
 * (unspecified, multicast, loopback, link-local) is left out. */
void mobike_addrs_take(struct mobike_addrs *out, const struct ike_msg *m) NONNULL(1, 2);

/* mobike_addrs_have - it is among them. */
bool mobike_addrs_have(const struct mobike_addrs *a, const struct ip_addr *addr) NONNULL(1, 2);

/* mobike_addr_usable - a datagram may be sent there: an address of one host, not of this one. */
bool mobike_addr_usable(const struct ip_addr *a) NONNULL(1);

/* mobike_no_nats_build - NO_NATS_ALLOWED for a message sent along path (4.2.6). */
void mobike_no_nats_build(struct ike_builder *b, const struct path_addr *path) NONNULL(1, 2);

/* mobike_translated - the message forbids translators (NO_NATS_ALLOWED), and the addresses or ports
 * that it names are not those it came with along path. */
bool mobike_translated(const struct ike_msg *m, const struct path_addr *path) NONNULL(1, 2);
