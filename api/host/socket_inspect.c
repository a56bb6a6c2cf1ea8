/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_inspect.c - sockets that somebody passed: what the kernel says of them, which cannot be
 * made up, and whether they are what they look like. A socket of another namespace can have any
 * address, and one of this one may be bound to an address that is not the host's.
 */
#include "api/host/linux.h"

#include <errno.h>
#include <linux/rtnetlink.h>

#include "api/host/netlink.h"

static bool get(int fd, int option, void *value, socklen_t len)
{
	return getsockopt(fd, SOL_SOCKET, option, value, &len) == 0;
}

static int type_cb(const struct nlmsghdr *head, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(head);

	if (mnl_nlmsg_get_payload_len(head) >= sizeof(*rtm))
		*(bool *)data = rtm->rtm_type == RTN_LOCAL;
	return MNL_CB_OK;
}

/* is_local - what is sent there stays here. */
static bool is_local(struct host_linux *h, const struct ip_addr *a, uint32_t scope)
{
	struct netlink_msg m;
	struct rtmsg *rtm = netlink_begin(&m, RTM_GETROUTE, 0, sizeof(*rtm));
	bool local = false;

	rtm->rtm_family = a->family == IP_V4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = (uint8_t)(ip_addr_len(a) * 8);
	netlink_put_addr(&m, RTA_DST, a);
	if (scope)
		mnl_attr_put_u32(m.head, RTA_OIF, scope);
	return !netlink_talk(h, &m, type_cb, &local) && local;
}

/* in_our_namespace - the one that this host was opened in. */
static bool in_our_namespace(struct host_linux *h, int fd)
{
	uint64_t own, its;

	return get(mnl_socket_get_fd(h->nl), SO_NETNS_COOKIE, &own, sizeof(own)) &&
	       get(fd, SO_NETNS_COOKIE, &its, sizeof(its)) && own == its;
}

enum err host_socket_inspect(void *ctx, struct host_socket *out, int fd, const struct flow *pair)
{
	struct host_socket s;
	uint32_t scope;
	enum err err = host_socket_look(&s, &scope, fd, pair);

	if (err)
		return err;
	s.here = in_our_namespace(ctx, fd) &&
		 (ip_addr_is_any(&s.flow.local) || is_local(ctx, &s.flow.local, scope));
	*out = s;
	return ERR_OK;
}

enum err host_socket_mark(void *ctx, int fd, uint32_t token)
{
	const uint32_t ours = HOST_MARK_DEMAND | HOST_MARK_TOKEN;
	uint8_t proto;
	int old;
	uint32_t mark;
	enum err err = host_socket_kind(&proto, fd);

	(void)ctx;
	if (err || token & ~HOST_MARK_TOKEN)
		return ERR_INVAL;
	if (!get(fd, SO_MARK, &old, sizeof(old)))
		return host_failed();
	mark = ((uint32_t)old & ~ours) | (token ? HOST_MARK_DEMAND | token : 0);
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return host_failed();
	return ERR_OK;
}
