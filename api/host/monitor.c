/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.c - what the kernel says of addresses, links and routes as they change. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <unistd.h>

#include "api/host/netlink.h"

#define RECV_LEN 16384
/* Messages looked at in one call; more than that are a change in any case. */
#define MESSAGES_MAX 64

enum err host_watch_open(void *ctx, int *out_fd)
{
	static const unsigned groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					  RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	(void)ctx;
	if (fd < 0)
		return host_failed();
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		address.nl_groups |= 1u << (groups[i] - 1);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		enum err err = host_failed();

		close(fd);
		return err;
	}
	*out_fd = fd;
	return ERR_OK;
}

/* struct change - what one message says. */
struct change {
	uint32_t own; /* index of our device; 0 = none */
	bool found;
};

/* struct route_attrs - what says whose a route is. */
struct route_attrs {
	uint32_t table, out;
};

static int route_attr_cb(const struct nlattr *attr, void *data)
{
	struct route_attrs *r = data;

	if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
		return MNL_CB_OK;
	if (mnl_attr_get_type(attr) == RTA_TABLE)
		r->table = mnl_attr_get_u32(attr);
	if (mnl_attr_get_type(attr) == RTA_OIF)
		r->out = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

/* Our own routes come and go with what we do, and those of table "local" with addresses. */
static bool other_route(const struct nlmsghdr *head, uint32_t own)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(head);
	struct route_attrs r = {.table = rtm->rtm_table};

	/* The kernel's notes of single destinations are no change. */
	if (rtm->rtm_flags & RTM_F_CLONED)
		return false;
	if (mnl_attr_parse(head, sizeof(*rtm), route_attr_cb, &r) < 0)
		return true;
	return r.table != HOST_ROUTE_TABLE && r.table != HOST_CAPTURE_TABLE &&
	       r.table != RT_TABLE_LOCAL && (!own || r.out != own);
}

static bool long_enough(const struct nlmsghdr *head, size_t len)
{
	return mnl_nlmsg_get_payload_len(head) >= len;
}

static int change_cb(const struct nlmsghdr *head, void *data)
{
	struct change *c = data;

	switch (head->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR: {
		const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(head);

		c->found |= long_enough(head, sizeof(*ifa)) && ifa->ifa_index != c->own;
		break;
	}
	case RTM_NEWLINK:
	case RTM_DELLINK: {
		const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(head);

		c->found |= long_enough(head, sizeof(*ifi)) && (uint32_t)ifi->ifi_index != c->own;
		break;
	}
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		c->found |= long_enough(head, sizeof(struct rtmsg)) && other_route(head, c->own);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

bool host_monitor_parse(const void *buf, size_t len, uint32_t own)
{
	struct change c = {.own = own};

	(void)mnl_cb_run(buf, len, 0, 0, change_cb, &c);
	return c.found;
}

enum err host_watch_read(void *ctx, int fd, bool *out_changed)
{
	alignas(struct nlmsghdr) uint8_t buf[RECV_LEN];
	struct host_linux *h = ctx;
	uint32_t own = 0;
	bool changed = false;

	if (!h->device[0] || host_ifindex(&own, h->device))
		own = 0;
	for (int i = 0; i < MESSAGES_MAX; i++) {
		struct sockaddr_nl from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0 && errno == ENOBUFS) /* more happened than we were told */
			changed = true;
		else if (n < 0)
			return host_failed();
		else if (from_len == sizeof(from) && from.nl_pid == 0) /* the kernel's own */
			changed |= host_monitor_parse(buf, (size_t)n, own);
	}
	*out_changed = changed;
	return ERR_OK;
}
