/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror.c - the host's links, routes and neighbours: a dump of each kind, and what changes from
 * then on, by one socket. Where the kernel says less than it does (the routes of a device that goes
 * down or of an address that is removed), or more than there was room for, all is dumped again.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <unistd.h>

#include "api/host/netlink.h"
#include "base/alloc.h"

#define RECV_LEN     65536
#define RECV_BUF_LEN (4 * 1024 * 1024)
/* Messages in one call; more make the descriptor readable again. */
#define READS_MAX 256

/* The dumps, in order. */
static const struct {
	uint16_t type;
	uint8_t family;
} dumps[] = {
	{RTM_GETLINK, AF_UNSPEC}, {RTM_GETROUTE, AF_INET},  {RTM_GETROUTE, AF_INET6},
	{RTM_GETNEIGH, AF_INET},  {RTM_GETNEIGH, AF_INET6},
};

/* struct host_mirror - dump: which is under way; ARRAY_LEN(dumps): none. */
struct host_mirror {
	int fd;
	uint32_t seq;
	size_t dump;
	bool again; /* something happened that only a dump shows */
	void (*fn)(void *arg, const struct host_change *change);
	void *arg;
	alignas(struct nlmsghdr) uint8_t buf[RECV_LEN];
};

static void tell(const struct host_mirror *m, const struct host_change *c)
{
	m->fn(m->arg, c);
}

/* ---- attributes ----------------------------------------------------------------------------- */

/* struct attrs - by type; those of routes and of neighbours have numbers below the same limit. */
#define ATTRS_MAX 64

struct attrs {
	const struct nlattr *a[ATTRS_MAX];
};

static int attr_cb(const struct nlattr *attr, void *data)
{
	struct attrs *t = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < ATTRS_MAX)
		t->a[type] = attr;
	return MNL_CB_OK;
}

static uint32_t get_u32(const struct nlattr *a, uint32_t otherwise)
{
	return a && mnl_attr_validate(a, MNL_TYPE_U32) >= 0 ? mnl_attr_get_u32(a) : otherwise;
}

static bool get_addr(struct ip_addr *out, const struct nlattr *a, uint8_t family)
{
	return a && !netlink_get_addr(out, a, family);
}

/* ---- messages ------------------------------------------------------------------------------- */

static void on_link(struct host_mirror *m, const struct nlmsghdr *head, const struct attrs *t)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(head);
	const struct host_change c = {
		.kind = HOST_CHANGE_LINK,
		.gone = head->nlmsg_type == RTM_DELLINK,
		.ifindex = (uint32_t)ifi->ifi_index,
		.up = (ifi->ifi_flags & IFF_UP) != 0,
		.mtu = get_u32(t->a[IFLA_MTU], 0),
	};

	/* A notice, rather than the dump's: routes may have gone with it. */
	if (head->nlmsg_seq == 0)
		m->again = true;
	tell(m, &c);
}

static enum host_route_kind kind_of(const struct rtmsg *rtm)
{
	switch (rtm->rtm_type) {
	case RTN_UNICAST:
		return HOST_ROUTE_FORWARD;
	case RTN_LOCAL:
	case RTN_ANYCAST:
		return HOST_ROUTE_LOCAL;
	default:
		return HOST_ROUTE_OTHER;
	}
}

/* first_hop - of a route with several, the first. */
static void first_hop(struct host_change *c, const struct nlattr *multipath, uint8_t family)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	size_t len = mnl_attr_get_payload_len(multipath);

	if (len < sizeof(*hop) || hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > len)
		return;
	struct attrs t = {0};
	const struct nlattr *attr = (const struct nlattr *)(const void *)RTNH_DATA(hop);

	for (int left = hop->rtnh_len - (int)sizeof(*hop); mnl_attr_ok(attr, left);
	     left -= MNL_ALIGN(attr->nla_len), attr = mnl_attr_next(attr))
		(void)attr_cb(attr, &t);
	c->ifindex = (uint32_t)hop->rtnh_ifindex;
	if (!get_addr(&c->gateway, t.a[RTA_GATEWAY], family) && t.a[RTA_VIA])
		c->route = HOST_ROUTE_OTHER;
}

static void on_route(struct host_mirror *m, const struct nlmsghdr *head, const struct attrs *t)
{
	static const uint8_t zero[16];
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(head);
	struct host_change c = {
		.kind = HOST_CHANGE_ROUTE,
		.gone = head->nlmsg_type == RTM_DELROUTE,
		.route = kind_of(rtm),
		.table = get_u32(t->a[RTA_TABLE], rtm->rtm_table),
		.metric = get_u32(t->a[RTA_PRIORITY], 0),
		.ifindex = get_u32(t->a[RTA_OIF], 0),
	};

	/* The kernel's notes of single destinations, and what depends on more than the
	 * destination. */
	if (rtm->rtm_flags & RTM_F_CLONED || rtm->rtm_src_len || rtm->rtm_tos)
		return;
	c.dst.len = rtm->rtm_dst_len;
	if (!get_addr(&c.dst.addr, t->a[RTA_DST], rtm->rtm_family))
		c.dst.addr = rtm->rtm_family == AF_INET ? ip_addr_v4(zero) : ip_addr_v6(zero);
	if (c.dst.len > ip_addr_len(&c.dst.addr) * 8)
		return;
	if (t->a[RTA_MULTIPATH])
		first_hop(&c, t->a[RTA_MULTIPATH], rtm->rtm_family);
	else if (!get_addr(&c.gateway, t->a[RTA_GATEWAY], rtm->rtm_family) && t->a[RTA_VIA])
		c.route = HOST_ROUTE_OTHER; /* by a gateway of the other family */
	if (rtm->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN))
		c.gone = true;
	tell(m, &c);
}

/* is_stale - the kernel would ask for it if it sent there. What it asks for by itself (managed),
 * and what others answer for, who would not find it as they left it, is none of these. */
static bool is_stale(const struct ndmsg *nd, const struct attrs *t)
{
	return nd->ndm_state == NUD_STALE && !(nd->ndm_flags & NTF_EXT_LEARNED) &&
	       !get_u32(t->a[NDA_FLAGS_EXT], 0);
}

static void on_neigh(struct host_mirror *m, const struct nlmsghdr *head, const struct attrs *t)
{
	const uint16_t usable =
		NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;
	const struct ndmsg *nd = mnl_nlmsg_get_payload(head);
	const struct nlattr *mac = t->a[NDA_LLADDR];
	struct host_change c = {
		.kind = HOST_CHANGE_NEIGH,
		.gone = head->nlmsg_type == RTM_DELNEIGH || !(nd->ndm_state & usable),
		.ifindex = (uint32_t)nd->ndm_ifindex,
		.stale = is_stale(nd, t),
	};

	if ((nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6) ||
	    !get_addr(&c.addr, t->a[NDA_DST], nd->ndm_family))
		return;
	if (mac && mnl_attr_get_payload_len(mac) == sizeof(c.mac))
		memcpy(c.mac, mnl_attr_get_payload(mac), sizeof(c.mac));
	else
		c.gone = true;
	tell(m, &c);
}

static bool parse(struct attrs *t, const struct nlmsghdr *head, size_t len)
{
	*t = (struct attrs){0};
	return mnl_nlmsg_get_payload_len(head) >= len &&
	       mnl_attr_parse(head, (unsigned int)len, attr_cb, t) >= 0;
}

static void on_message(struct host_mirror *m, const struct nlmsghdr *head)
{
	struct attrs t;

	switch (head->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (parse(&t, head, sizeof(struct ifinfomsg)))
			on_link(m, head, &t);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (parse(&t, head, sizeof(struct rtmsg)))
			on_route(m, head, &t);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (parse(&t, head, sizeof(struct ndmsg)))
			on_neigh(m, head, &t);
		break;
	case RTM_DELADDR:
		m->again = true;
		break;
	default:
		break;
	}
}

/* ---- dumps ---------------------------------------------------------------------------------- */

static enum err ask(struct host_mirror *m)
{
	struct netlink_msg msg;
	uint8_t *family;

	/* The family is the first byte of all three headers, and the longest does for each. */
	family = netlink_begin(&msg, dumps[m->dump].type, NLM_F_DUMP, sizeof(struct ifinfomsg));
	*family = dumps[m->dump].family;
	msg.head->nlmsg_seq = ++m->seq;
	return send(m->fd, msg.head, msg.head->nlmsg_len, 0) < 0 ? host_failed() : ERR_OK;
}

static enum err dump_begin(struct host_mirror *m)
{
	const struct host_change begin = {.kind = HOST_CHANGE_BEGIN};

	m->again = false;
	m->dump = 0;
	tell(m, &begin);
	return ask(m);
}

/* dump_done - one kind is told; interrupted: by a change, and not all of it was. */
static enum err dump_done(struct host_mirror *m, bool interrupted)
{
	const struct host_change end = {.kind = HOST_CHANGE_END};

	if (interrupted)
		m->again = true;
	if (++m->dump < ARRAY_LEN(dumps))
		return ask(m);
	if (!m->again)
		tell(m, &end);
	return ERR_OK;
}

static enum err on_datagram(struct host_mirror *m, size_t len)
{
	const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)m->buf;
	enum err err = ERR_OK;

	for (int left = (int)len; mnl_nlmsg_ok(head, left) && !err;
	     head = mnl_nlmsg_next(head, &left)) {
		bool mine = head->nlmsg_seq == m->seq && m->dump < ARRAY_LEN(dumps);

		if (head->nlmsg_type >= NLMSG_MIN_TYPE)
			on_message(m, head);
		/* A family that the host does not have answers with an error. */
		if (mine && (head->nlmsg_type == NLMSG_DONE || head->nlmsg_type == NLMSG_ERROR))
			err = dump_done(m, (head->nlmsg_flags & NLM_F_DUMP_INTR) != 0);
	}
	return err;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int open_socket(void)
{
	static const unsigned groups[] = {RTNLGRP_LINK,        RTNLGRP_NEIGH,
					  RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					  RTNLGRP_IPV4_ROUTE,  RTNLGRP_IPV6_ROUTE};
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int len = RECV_BUF_LEN;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &len, sizeof(len));
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		address.nl_groups |= 1u << (groups[i] - 1);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		int e = errno;

		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

enum err host_mirror_open(void *ctx, struct host_mirror **out, int *out_fd)
{
	struct host_mirror *m = mem_alloc(sizeof(*m));

	(void)ctx;
	if (!m)
		return ERR_NOMEM;
	m->dump = ARRAY_LEN(dumps);
	m->again = true;
	m->fd = open_socket();
	if (m->fd < 0) {
		enum err err = host_failed();

		mem_free(m);
		return err;
	}
	*out = m;
	*out_fd = m->fd;
	return ERR_OK;
}

/* receive - one datagram of the kernel's. NOT_FOUND: there is none now. */
static enum err receive(struct host_mirror *m)
{
	struct sockaddr_nl from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(m->fd, m->buf, sizeof(m->buf), 0, (struct sockaddr *)&from, &from_len);

	if (n >= 0)
		return from_len == sizeof(from) && from.nl_pid == 0 ? on_datagram(m, (size_t)n)
								    : ERR_OK;
	if (errno == EAGAIN || errno == EINTR)
		return ERR_NOT_FOUND;
	if (errno != ENOBUFS)
		return host_failed();
	m->again = true;
	m->dump = ARRAY_LEN(dumps); /* its end may be what was lost */
	return ERR_OK;
}

enum err host_mirror_read(void *ctx, struct host_mirror *m,
			  void (*fn)(void *arg, const struct host_change *change), void *arg)
{
	enum err err = ERR_OK;

	(void)ctx;
	m->fn = fn;
	m->arg = arg;
	for (int i = 0; i < READS_MAX && !err; i++)
		err = receive(m);
	if (err && err != ERR_NOT_FOUND)
		return err;
	return m->again && m->dump == ARRAY_LEN(dumps) ? dump_begin(m) : ERR_OK;
}

void host_mirror_close(void *ctx, struct host_mirror *m)
{
	(void)ctx;
	if (!m)
		return;
	close(m->fd);
	mem_free(m);
}

/* ---- use ------------------------------------------------------------------------------------ */

enum err host_neigh_use(void *ctx, uint32_t ifindex, const struct ip_addr *addr)
{
	struct host_linux *h = ctx;
	struct netlink_msg msg;
	struct ndmsg *nd = netlink_begin(&msg, RTM_NEWNEIGH, 0, sizeof(*nd));

	nd->ndm_family = addr->family == IP_V4 ? AF_INET : AF_INET6;
	nd->ndm_ifindex = (int)ifindex;
	nd->ndm_flags =
		NTF_USE; /* as if the kernel had sent to it: one that is stale is asked for */
	netlink_put_addr(&msg, NDA_DST, addr);
	return netlink_talk(h, &msg, NULL, NULL);
}
