/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_look.h - what the kernel says of a socket to whoever has it, or asks for it by its number,
 * and needs no privilege. It stands on base alone: the daemon's host has it, and the library for
 * embedders. Any thread.
 */
#pragma once

#include <errno.h>

#include "base/host.h"

/* host_err - the error that errno e means; e 0 is OK. */
MUST_USE enum err host_err(int e);

/* host_failed - the error of the system call that has just failed, as errno says: never OK,
 * whatever errno is. */
MUST_USE static inline enum err host_failed(void)
{
	enum err err = host_err(errno);

	return err ? err : ERR_SYS;
}

/* host_has_ports - an IP protocol whose header begins with a source and a destination port. */
bool host_has_ports(uint8_t proto);

/* host_socket_kind - its protocol, if it is an IP socket of its own flows': raw sockets get others'
 * packets too. MPTCP's is TCP. Errors: INVAL. */
MUST_USE enum err host_socket_kind(uint8_t *out, int fd) NONNULL(1);

/* host_socket_look - as socket_inspect of base/host.h, but where it is: `here` is false.
 * *out_scope: the interface of a local address that is good there alone; 0. */
MUST_USE enum err host_socket_look(struct host_socket *out, uint32_t *out_scope, int fd,
				   const struct flow *pair) NONNULL(1, 2);

/* struct host_subflow - a TCP socket of the kernel's, which no descriptor is of. state: TCP_*. */
struct host_subflow {
	uint64_t cookie;
	uint8_t state;
};

/* host_subflow_of - that which has the ends, whoever's it is; without a remote end one that
 * listens. host_subflow_bound - one of this inode that is bound to the flow's local end, and no
 * more yet (Linux 6.8 tells). Errors: NOT_FOUND, SYS. socket_alive.c */
MUST_USE enum err host_subflow_of(struct host_subflow *out, const struct flow *flow) NONNULL(1, 2);
MUST_USE enum err host_subflow_bound(struct host_subflow *out, const struct flow *flow,
				     uint32_t inode) NONNULL(1, 2);

/* host_socket_alive - as base/host.h; ctx is not looked at. socket_alive.c */
MUST_USE enum err host_socket_alive(void *ctx, bool *out, const struct flow *flow, uint64_t cookie);
