/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateways.h - two gateways with a lane each and a pair of SAs between them, over drivers of frames
 * that the caller has: for tests and bench/dpdk. Each has a client at 10.1.0.9 and fd00:1::9, the
 * second one's nets are 10.2 and fd00:2; between them is 192.0.2.0/24. One thread.
 */
#pragma once

#include "base/err.h"
#include "dataplane/driver.h"

struct dataplane;
struct inline_ports;
struct lane;

#define GATEWAY_LAN     0
#define GATEWAY_WAN     1
#define GATEWAY_KEY_LEN 36 /* AES-GCM-256 */

/* gateway_macs - of both ports of each. gateway_host_mac - of both clients. */
extern const uint8_t gateway_macs[2][6], gateway_host_mac[6];

/* struct gateway - one of the two. */
struct gateway {
	struct dataplane *dp;
	struct lane *lane;
	uint16_t outer;
	uint32_t pathset; /* to the other one; the pair of SAs is child 1 */
	int far[2];       /* the other ends of the shadows */
};

/* struct gateways_params - ports: of each, by GATEWAY_LAN and GATEWAY_WAN; they outlive it.
 * inlines: of these, what encrypts and decrypts; NULL: nothing. keys: what the second sends with,
 * and the first. */
struct gateways_params {
	struct driver *ports[2][2];
	struct inline_ports *inlines[2];
	const char *aead;
	uint32_t window;
	bool udp;
	uint8_t keys[2][GATEWAY_KEY_LEN];
};

/* gateways_open - both, ready for traffic. Errors: of what they are made of; then the program is at
 * its end, and nothing is undone. */
MUST_USE enum err gateways_open(struct gateway g[static 2], const struct gateways_params *params)
	NONNULL(2);
void gateways_close(struct gateway g[static 2]);
