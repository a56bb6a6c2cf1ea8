/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_look.h - what the kernel says of a socket to whoever has it, or asks for it by its number,
 * and needs no privilege. It stands on base alone: the daemon's host has it, and the library for
 * embedders. Any thread.
 */
#pragma once

#include "base/host.h"

/* host_err - the error that errno e means; e 0 is OK. */
MUST_USE enum err host_err(int e);

/* host_has_ports - an IP protocol whose header begins with a source and a destination port. */
bool host_has_ports(uint8_t proto);

/* host_socket_kind - its protocol, if it is an IP socket of one flow's: raw sockets get others'
 * packets too, and a protocol of many connections (MPTCP, 262) is none of IP's. Errors: INVAL. */
MUST_USE enum err host_socket_kind(uint8_t *out, int fd) NONNULL(1);

/* host_socket_look - all but where it is: `here` is false. *out_scope: the interface of a local
 * address that is good there alone; 0. Errors: INVAL (it is none), SYS. */
MUST_USE enum err host_socket_look(struct host_socket *out, uint32_t *out_scope, int fd)
	NONNULL(1, 2);

/* host_socket_alive - as base/host.h; ctx is not looked at. socket_alive.c */
MUST_USE enum err host_socket_alive(void *ctx, bool *out, const struct flow *flow, uint64_t cookie);
