/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h - the virtual interface as an inner port: IP packets that the host routed into a TAP come
 * in, decrypted ones go out to the host. The Ethernet header exists only to carry the protection
 * class token; with a packet-info TUN (the fall-back) there is no room for it. Worker's thread,
 * except tap_driver_open().
 */
#pragma once

#include "base/host.h"
#include "dataplane/driver.h"

/*
 * tap_driver_open - a driver over tap->fd, a non-blocking descriptor of a TAP without packet
 * information or, with tun, of a TUN with it; mtu is the device's. The device's own MAC address is
 * asked of the descriptor and is the destination of every frame written (a descriptor that is no
 * device, as in tests, has 00:00:00:00:00:00). The source is 02:00 and the packet's token as the
 * host stores it, so that a filter can copy it into the mark (bytes 8 to 11 of the frame). A frame
 * of the host whose source begins with HOST_DEMAND_MAC demands the class behind it (packet->token).
 *
 * With offloads (HOST_OFFLOAD_*) each packet has the header of IFF_VNET_HDR. Then checksums that
 * the host left open are completed; TCP and UDP packets that it left to us to cut come as one
 * (packet->seg_len), in a packet of pool->longer if need be; and chains are written as one
 * (driver->joins). A host that refuses such a write gets the packets one by one, and no more chains
 * of that kind (offload_refused).
 *
 * The driver owns the descriptor from now on; on failure it stays the caller's. What is neither
 * IPv4 nor IPv6 (ARP is off on the device), or has a header that cannot be, is dropped as rx_error.
 * If the device is removed underneath, the port falls silent. Errors: NOMEM, INVAL (no descriptor,
 * or mtu 0).
 */
MUST_USE enum err tap_driver_open(struct driver **out, const struct host_tap *tap, uint32_t mtu)
	NONNULL(1, 2);
