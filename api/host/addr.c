/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/linux.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "api/host/netlink.h"

static uint8_t af_of(const struct ip_addr *a)
{
	return a->family == IP_V4 ? AF_INET : AF_INET6;
}

static enum err addr_change(struct host_linux *h, uint16_t type, uint32_t ifindex, uint8_t scope,
			    const struct ip_prefix *addr)
{
	struct netlink_msg m;
	uint16_t flags = type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct ifaddrmsg *ifa = netlink_begin(&m, type, flags, sizeof(*ifa));

	ifa->ifa_family = af_of(&addr->addr);
	ifa->ifa_prefixlen = addr->len;
	ifa->ifa_scope = scope;
	ifa->ifa_index = ifindex;
	netlink_put_addr(&m, IFA_LOCAL, &addr->addr);
	netlink_put_addr(&m, IFA_ADDRESS, &addr->addr);
	/* Nobody else is on the link, and what is routed into it is policy's to say. */
	if (type == RTM_NEWADDR)
		mnl_attr_put_u32(m.head, IFA_FLAGS,
				 (addr->addr.family == IP_V6 ? IFA_F_NODAD : 0u) |
					 IFA_F_NOPREFIXROUTE);
	return netlink_talk(h, &m, NULL, NULL);
}

static bool prefix_ok(const struct ip_prefix *p)
{
	return ip_addr_len(&p->addr) && p->len <= ip_addr_len(&p->addr) * 8;
}

enum err host_addr_add(void *ctx, const char *ifname, const struct ip_prefix *addr)
{
	uint32_t ifindex;
	enum err err = prefix_ok(addr) ? host_ifindex(&ifindex, ifname) : ERR_INVAL;

	return err ? err : addr_change(ctx, RTM_NEWADDR, ifindex, RT_SCOPE_UNIVERSE, addr);
}

enum err host_addr_del(void *ctx, const char *ifname, const struct ip_prefix *addr)
{
	uint32_t ifindex;
	enum err err = prefix_ok(addr) ? host_ifindex(&ifindex, ifname) : ERR_INVAL;

	if (!err)
		err = addr_change(ctx, RTM_DELADDR, ifindex, RT_SCOPE_UNIVERSE, addr);
	if (err == ERR_NOT_FOUND || (err == ERR_SYS && errno == EADDRNOTAVAIL))
		return ERR_OK;
	return err;
}

enum err host_addr_always(struct host_linux *h, uint32_t ifindex)
{
	static const uint8_t always[4] = {169, 254, 43, 1};
	struct ip_prefix addr = {.addr = ip_addr_v4(always), .len = 32};

	/* Scope host: it is never chosen as a source, whatever routes lead into the device. */
	return addr_change(h, RTM_NEWADDR, ifindex, RT_SCOPE_HOST, &addr);
}

/* struct local_search - the best address inside ts so far. */
struct local_search {
	const struct ts *ts;
	struct ip_addr best;
	unsigned rank; /* 0 = none yet */
};

/* struct addr_attrs - attributes of one address message. */
struct addr_attrs {
	const struct nlattr *local, *address;
	uint32_t flags;
};

static int addr_attr_cb(const struct nlattr *attr, void *data)
{
	struct addr_attrs *a = data;

	switch (mnl_attr_get_type(attr)) {
	case IFA_LOCAL:
		a->local = attr;
		break;
	case IFA_ADDRESS:
		a->address = attr;
		break;
	case IFA_FLAGS:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			a->flags = mnl_attr_get_u32(attr);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

/* rank - how fit an address is to be a source: lasting before temporary or deprecated, primary
 * before secondary, wide scope before narrow. 0: not at all. */
static unsigned rank(uint8_t scope, uint32_t flags, uint8_t family)
{
	if (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) || scope >= RT_SCOPE_HOST)
		return 0;
	return 1 + (scope == RT_SCOPE_UNIVERSE ? 4u : 0u) + (flags & IFA_F_DEPRECATED ? 0u : 2u) +
	       /* The same bit means "temporary" for IPv6. */
	       (flags & IFA_F_SECONDARY && (family == AF_INET6 || family == AF_INET) ? 0u : 1u);
}

static int local_cb(const struct nlmsghdr *head, void *data)
{
	struct local_search *s = data;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(head);
	struct addr_attrs attrs = {.flags = ifa->ifa_flags};
	struct ip_addr addr;
	unsigned r;

	if (mnl_attr_parse(head, sizeof(*ifa), addr_attr_cb, &attrs) < 0)
		return MNL_CB_ERROR;
	if (!attrs.local)
		attrs.local = attrs.address;
	if (!attrs.local || netlink_get_addr(&addr, attrs.local, ifa->ifa_family))
		return MNL_CB_OK;
	r = rank(ifa->ifa_scope, attrs.flags, ifa->ifa_family);
	if (r > s->rank && addr.family == s->ts->lo.family && ip_addr_cmp(&addr, &s->ts->lo) >= 0 &&
	    ip_addr_cmp(&addr, &s->ts->hi) <= 0) {
		s->best = addr;
		s->rank = r;
	}
	return MNL_CB_OK;
}

enum err host_local_in(void *ctx, struct ip_addr *out, const struct ts *ts)
{
	struct local_search search = {.ts = ts};
	struct netlink_msg m;
	struct ifaddrmsg *ifa;
	enum err err;

	if (!ts_valid(ts))
		return ERR_INVAL;
	ifa = netlink_begin(&m, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));
	ifa->ifa_family = af_of(&ts->lo);
	err = netlink_talk(ctx, &m, local_cb, &search);
	if (err)
		return err;
	if (!search.rank)
		return ERR_NOT_FOUND;
	*out = search.best;
	return ERR_OK;
}

/* LINKS_MAX - interfaces whose state is looked at; others are taken for running. */
#define LINKS_MAX 128

/* struct link_state - of one of them. */
struct link_state {
	uint32_t ifindex;
	bool up, running;
};

/* struct addr_list - what addrs() gives. */
struct addr_list {
	struct host_addr *out;
	size_t num, max;
	uint32_t own; /* index of our device: what is on it is reached through us only */
	struct link_state links[LINKS_MAX];
	size_t num_links;
};

static int link_cb(const struct nlmsghdr *head, void *data)
{
	struct addr_list *l = data;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(head);

	/* Running: operational (RFC 2863), or not known. */
	if (l->num_links < LINKS_MAX)
		l->links[l->num_links++] =
			(struct link_state){.ifindex = (uint32_t)ifi->ifi_index,
					    .up = ifi->ifi_flags & IFF_UP,
					    .running = ifi->ifi_flags & IFF_RUNNING};
	return MNL_CB_OK;
}

static struct link_state state_of(const struct addr_list *l, uint32_t ifindex)
{
	for (size_t i = 0; i < l->num_links; i++)
		if (l->links[i].ifindex == ifindex)
			return l->links[i];
	return (struct link_state){.ifindex = ifindex, .up = true, .running = true};
}

static struct host_addr *listed(const struct addr_list *l, const struct ip_addr *a)
{
	for (size_t i = 0; i < l->num; i++)
		if (ip_addr_equal(&l->out[i].addr, a))
			return &l->out[i];
	return NULL;
}

static void list_add(struct addr_list *l, const struct ip_addr *addr, uint32_t ifindex)
{
	struct host_addr *a = listed(l, addr);

	if (a) { /* on two interfaces: one that runs will do */
		a->running |= state_of(l, ifindex).running;
		return;
	}
	if (l->num == l->max)
		return;
	a = &l->out[l->num++];
	*a = (struct host_addr){.addr = *addr, .running = state_of(l, ifindex).running};
	if (!if_indextoname(ifindex, a->ifname))
		a->ifname[0] = 0; /* it has gone meanwhile */
}

static int list_cb(const struct nlmsghdr *head, void *data)
{
	struct addr_list *l = data;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(head);
	struct addr_attrs attrs = {.flags = ifa->ifa_flags};
	struct ip_addr addr;

	if (mnl_attr_parse(head, sizeof(*ifa), addr_attr_cb, &attrs) < 0)
		return MNL_CB_ERROR;
	if (!attrs.local)
		attrs.local = attrs.address;
	/* IPv4 addresses stay on an interface that is down, where nobody reaches the host. */
	if (attrs.local && ifa->ifa_index != l->own && ifa->ifa_scope == RT_SCOPE_UNIVERSE &&
	    !(attrs.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) &&
	    !netlink_get_addr(&addr, attrs.local, ifa->ifa_family) &&
	    state_of(l, ifa->ifa_index).up)
		list_add(l, &addr, ifa->ifa_index);
	return MNL_CB_OK;
}

enum err host_addrs(void *ctx, struct host_addr *out, size_t *out_num, size_t max)
{
	struct addr_list list = {.out = out, .max = max};
	struct host_linux *h = ctx;
	struct netlink_msg m;
	enum err err;

	if (h->device[0] && host_ifindex(&list.own, h->device))
		list.own = 0;
	(void)netlink_begin(&m, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	err = netlink_talk(h, &m, link_cb, &list);
	if (err)
		return err;
	(void)netlink_begin(&m, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	err = netlink_talk(h, &m, list_cb, &list);
	if (!err)
		*out_num = list.num;
	return err;
}

/* struct addr_look - whether a device has an address. */
struct addr_look {
	const struct ip_addr *addr;
	uint32_t ifindex;
	bool found;
};

static int look_cb(const struct nlmsghdr *head, void *data)
{
	struct addr_look *l = data;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(head);
	struct addr_attrs attrs = {0};
	struct ip_addr addr;

	if (mnl_attr_parse(head, sizeof(*ifa), addr_attr_cb, &attrs) < 0)
		return MNL_CB_ERROR;
	if (!attrs.local)
		attrs.local = attrs.address;
	if (ifa->ifa_index == l->ifindex && attrs.local &&
	    !netlink_get_addr(&addr, attrs.local, ifa->ifa_family))
		l->found |= ip_addr_equal(&addr, l->addr);
	return MNL_CB_OK;
}

enum err host_addr_on(struct host_linux *h, bool *out, uint32_t ifindex, const struct ip_addr *addr)
{
	struct addr_look look = {.addr = addr, .ifindex = ifindex};
	struct netlink_msg m;
	struct ifaddrmsg *ifa = netlink_begin(&m, RTM_GETADDR, NLM_F_DUMP, sizeof(*ifa));
	enum err err;

	ifa->ifa_family = af_of(addr);
	err = netlink_talk(h, &m, look_cb, &look);
	if (!err)
		*out = look.found;
	return err;
}
