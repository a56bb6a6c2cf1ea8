/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink.h - one rtnetlink request and its answers, over libmnl. Control thread; a request blocks
 * until the kernel has answered, at most NETLINK_TIMEOUT_S.
 */
#pragma once

#include <libmnl/libmnl.h>

#include "api/host/linux.h"

#define NETLINK_TIMEOUT_S 5

/* struct netlink_msg - a request being built; the buffer holds any that this module makes. */
struct netlink_msg {
	struct nlmsghdr *head;
	alignas(struct nlmsghdr) uint8_t buf[1024];
};

/* netlink_open - the socket h->nl. Errors: SYS. */
MUST_USE enum err netlink_open(struct host_linux *h) NONNULL(1);

/* netlink_begin - start a request; returns its zeroed family header of extra_len bytes. */
void *netlink_begin(struct netlink_msg *m, uint16_t type, uint16_t flags, size_t extra_len)
	NONNULL(1);

/* netlink_put_addr - append an address attribute of 4 or 16 bytes. */
void netlink_put_addr(struct netlink_msg *m, uint16_t attr, const struct ip_addr *a) NONNULL(1, 3);

/* netlink_get_addr - read one. Errors: MALFORMED (its length does not fit family). */
MUST_USE enum err netlink_get_addr(struct ip_addr *out, const struct nlattr *attr, uint8_t family)
	NONNULL(1, 2);

/* netlink_talk - send it, hand every answer to cb (may be NULL), wait for the end. errno is what
 * the kernel answered. Errors: as host_err(). */
MUST_USE enum err netlink_talk(struct host_linux *h, struct netlink_msg *m, mnl_cb_t cb, void *data)
	NONNULL(1, 2);
