/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp.h - the UDP sockets of IKE and of ESP in UDP (RFC 3948) as one outer port: any number of
 * sockets, both families, received and sent in bursts. Every datagram carries the addresses it came
 * with or leaves by, so one socket per family and port serves all addresses of the host. Worker's
 * thread, except udp_driver_open().
 */
#pragma once

#include "dataplane/driver.h"

/* UDP_SOCKETS_MAX - sockets that one driver takes. */
#define UDP_SOCKETS_MAX DRIVER_SOURCES_MAX

/* struct udp_socket - a bound, non-blocking UDP socket and what arrives there: ENCAP_UDP, framed as
 * RFC 3948 says (port 4500), or ENCAP_NONE, IKE without a marker (port 500). gso, gro: datagrams of
 * one length are sent and received as one message, where the kernel can. */
struct udp_socket {
	int fd;
	uint8_t encap; /* enum path_encap */
	bool gso, gro;
};

/*
 * udp_driver_open - a driver over num sockets, 1 to UDP_SOCKETS_MAX, whose local ports are read
 * from them. A packet is sent by the socket whose family and local port are those of packet->to
 * (port 0: the first whose encapsulation fits); packet->to's local address and interface are used
 * if set, else the host chooses. Outer TOS bytes are received into and sent from packet->dscp_ecn.
 *
 * With gro a packet may be several datagrams one behind the other, packet->seg_len bytes each but
 * the last. With gso what the host does not take as one message (offload_refused) is sent one by
 * one.
 *
 * A datagram longer than a packet of the pool comes in one of pool->longer; if none is free it is
 * rx_no_buffer, and if there are none rx_error. One the host cannot take now is tx_full, one it
 * refuses (too long, no route, refused before) tx_error; datagrams lost in a socket's full buffer
 * are rx_no_buffer. None of it is fatal. The driver owns the sockets from now on; on failure they
 * stay the caller's. Errors: NOMEM, INVAL (number, or not UDP over IP), SYS.
 */
MUST_USE enum err udp_driver_open(struct driver **out, const struct udp_socket *sockets, size_t num)
	NONNULL(1, 2);
