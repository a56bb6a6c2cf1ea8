/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_script.h - the guard's nftables scripts. Three transactions replace one guard by another
 * without a moment in which a packet meets neither: build the new sets and chains, which nothing
 * uses yet; switch the base chains over; clear the old ones away. (The kernel fills interval sets
 * only after a transaction has become visible, so one transaction would leave a gap.)
 *
 * Chains, in the table "inet latchkey-NAME":
 *	wire      prerouting, before anything else: what arrives in the clear
 *	input     as wire, with the addresses as destination NAT left them
 *	forward   the same for what is for others
 *	leave     postrouting, first: what would leave in the clear
 *	leave_nat postrouting, last: the same as source NAT left it
 *	output, transit: give captured traffic its mark, made here or on its way through; they are
 *	there only if something is captured
 *	in_X, out_X, capture_X: the look-ups themselves, X being a or b; holes come first
 */
#pragma once

#include <net/if.h>

#include "api/host/guard_plan.h"
#include "api/host/text.h"

/* struct guard_spec - what the scripts say. */
struct guard_spec {
	const char *device;
	char (*devices)[IF_NAMESIZE]; /* virtual interfaces of single connections */
	size_t num_devices;
	const uint16_t *ports; /* UDP ports at which our own outer traffic arrives */
	size_t num_ports;      /* 1 or more */
	bool sockets;          /* and TCP to sockets that have the mark of it; if the kernel can */
	const struct guard_plan *all;
	const struct guard_plan *captured;
	const struct guard_plan *holes; /* asked first */
};

/* GUARD_OF_SOCKET - matches what is for a socket of this host with our own outer mark. */
#define GUARD_OF_SOCKET "socket mark & 0x80000000 == 0x80000000"

/* guard_script_build, _switch, _clear - append one transaction; x is 'a' or 'b'. */
void guard_script_build(struct text *t, const struct guard_spec *spec, char x) NONNULL(1, 2);
void guard_script_switch(struct text *t, const struct guard_spec *spec, char x) NONNULL(1, 2);
void guard_script_clear(struct text *t, const char *device, char x) NONNULL(1, 2);
