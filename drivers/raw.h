/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.h - bare ESP, IP protocol 50 (RFC 4303), by raw sockets as one outer port: one socket for
 * each family, received and sent in bursts. The kernel hands over whole datagrams, put together
 * again, and makes the outer IP header. There are no ports: they are 0 in every address. Worker's
 * thread, except raw_driver_open().
 */
#pragma once

#include "dataplane/driver.h"

/* RAW_SOCKETS_MAX - sockets that one driver takes: one for each family. */
#define RAW_SOCKETS_MAX 2

/*
 * raw_driver_open - a driver over num non-blocking raw sockets of protocol 50, 1 or 2, each of a
 * family of its own. Packets begin at the ESP header; outer TOS bytes are received into and sent
 * from packet->dscp_ecn; packet->to's local address and interface are used if set, else the host
 * chooses.
 *
 * A datagram longer than a packet of the pool comes in one of pool->longer; if none is free it is
 * rx_no_buffer, and if there are none, or its IPv4 header is not a whole one, rx_error. One the
 * host cannot take now is tx_full, one it refuses (too long, no route) or whose family has no
 * socket is tx_error; datagrams lost in a socket's full buffer are rx_no_buffer. None of it is
 * fatal. The driver owns the sockets from now on; on failure they stay the caller's. Errors: NOMEM,
 * INVAL (number, family twice, or not a raw socket for ESP), SYS.
 */
MUST_USE enum err raw_driver_open(struct driver **out, const int *fds, size_t num) NONNULL(1, 2);

/* raw_strip_ipv4 - take off the IPv4 header, with options, that p's data begins with, and what may
 * follow the datagram; p->dscp_ecn becomes its TOS byte (RFC 791 3.1). False, and p unchanged: no
 * such header, a fragment, or another protocol than ESP. Never reads beyond p->len. */
MUST_USE bool raw_strip_ipv4(struct packet *p) NONNULL(1);
