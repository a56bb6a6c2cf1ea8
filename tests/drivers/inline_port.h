/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inline_port.h - a stand-in for a port with inline crypto (rte_security), of which there is none
 * without a card: a virtual device of DPDK's that says it can, and whose bursts are encrypted and
 * decrypted by OpenSSL, which is not what the data path uses. The few functions by which DPDK's
 * module asks a port for this are the stand-in's (they come before the libraries'); sessions go
 * through librte_security itself.
 *
 * It is strict where a card would be silent: what is wrongly told is counted as a fault.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* INLINE_PORTS - environment: names of the devices that can, with commas between. */
#define INLINE_PORTS "LATCHKEY_INLINE_PORTS"

/* struct inline_port - of all stand-ins together. */
struct inline_port {
	/* To be set. */
	bool refuse_sessions, refuse_rules, refuse_metadata, blind; /* blind: it decrypts nothing */
	/* wire - each frame as it goes to the wire. */
	void (*wire)(void *arg, uint8_t *frame, uint32_t len);
	void *arg;
	/* To be looked at. */
	uint32_t num_sessions, num_rules;
	uint64_t sealed, opened, forged, faults;
};

/* inline_port - the one there is. */
extern struct inline_port inline_port;
