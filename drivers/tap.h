/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h - the virtual interface as an inner port: IP packets that the host routed into a TAP come
 * in, decrypted ones go out to the host. The Ethernet header exists only to carry the protection
 * class token; with a packet-info TUN (the fall-back) there is no room for it. Worker's thread,
 * except tap_driver_open().
 */
#pragma once

#include "dataplane/driver.h"

/*
 * tap_driver_open - a driver over fd, a non-blocking descriptor of a TAP without packet information
 * or, with tun, of a TUN with it; mtu is the device's. The device's own MAC address is asked of fd
 * and is the destination of every frame written (a descriptor that is no device, as in tests, has
 * 00:00:00:00:00:00). The source is 02:00 and the packet's token as the host stores it, so that a
 * filter can copy it into the mark (bytes 8 to 11 of the frame).
 *
 * The driver owns fd from now on; on failure it stays the caller's. What is neither IPv4 nor IPv6
 * (ARP is off on the device) is dropped as rx_error. If the device is removed underneath, the port
 * falls silent. Errors: NOMEM, INVAL (fd < 0 or mtu 0).
 */
MUST_USE enum err tap_driver_open(struct driver **out, int fd, bool tun, uint32_t mtu) NONNULL(1);
