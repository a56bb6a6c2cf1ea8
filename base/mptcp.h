/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mptcp.h - sockets of MPTCP (RFC 8684): one connection of the program's, and a TCP connection, a
 * subflow, for each pair of addresses that it uses. Any thread.
 */
#pragma once

#include "base/addr.h"

/* MPTCP_PAIRS_MAX - subflows that are told of at most: the kernel makes 9 by itself. */
#define MPTCP_PAIRS_MAX 16

/* mptcp_is - the descriptor is such a socket. */
bool mptcp_is(int fd);

/* mptcp_pairs - the ends of each subflow there is now, as TCP's flows, the oldest first. Returns
 * how many; 0: there is none, or the kernel does not tell (Linux 5.16 does). */
uint32_t mptcp_pairs(struct flow out[static MPTCP_PAIRS_MAX], int fd);
