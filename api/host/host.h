/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - base/host.h's operations on a Linux host: rtnetlink by libmnl, nftables by libnftables,
 * /proc/sys for reverse path filtering. Nothing is ever executed (S62). One control thread; the
 * network namespace is the one the thread is in when host_linux_open() is called, and it must stay
 * there.
 *
 * What stands on the host while Latchkey runs, and what removes it:
 *	the device NAME      persistent, with 169.254.43.1/32 (scope host): an address-less
 *	                     interface drops all that arrives when reverse path filtering is loose.
 *	                     It is never a source address. ARP off, no automatic IPv6 addresses.
 *	                     Removed by link_del, which refuses anything but a TUN or TAP device.
 *	table 4301           routes into the device, source "proto 201". Removed one by one.
 *	table 4302           a default route into the device for captured traffic (bit 30).
 *	rules 4300 and 4301  bit 30 without bit 31 looks in 4302; all without bit 31 in 4301.
 *	                     Removed, with table 4302, by rules_del. There is one set of them in a
 *	                     namespace, whatever the number of devices.
 *	nft table            inet latchkey-NAME, the guard. Removed by guard_del.
 *	nft table            inet latchkey-NAME/flows, guarded flows and ports.
 *	nft tables           inet and netdev latchkey/token, classes to sockets and from them, for
 *	                     all devices. A device's part is removed by token_del, the tables with
 *	                     the last. nft prints the second one's rule and does not read it.
 *	                     Control groups that demand a class are in the first one, each until
 *	                     its cgroup_del.
 *
 * All of it outlives the process, so that a crash leaks nothing, and is taken over by the next one.
 *
 * Errors of all operations beside those in base/host.h: INVAL (a device name that is not letters,
 * digits, '.', '_', '-'; addresses of unlike families), NOT_FOUND (no such device; no route to the
 * address asked for), BUSY (the device or the port belongs to another process), NOMEM. errno is
 * left as the failing call set it.
 */
#pragma once

#include "base/host.h"

/* host_linux_open - fill in *out; close it with out->ops->close(out->ctx), which leaves everything
 * on the host as it is. Errors: NOMEM, SYS (no netlink). */
MUST_USE enum err host_linux_open(struct host *out) NONNULL(1);
