/* SPDX-License-Identifier: Apache-2.0 */
/* route_flush.c - routes that a process that is gone left in HOST_ROUTE_TABLE. */
#include "api/host/linux.h"

#include <linux/rtnetlink.h>

#include "api/host/netlink.h"

/* Routes are removed in batches between two looks at the table, and the looks are bounded. */
#define BATCH     64
#define LOOKS_MAX 4096

/* struct flush - the routes by one device that were found in one look. */
struct flush {
	uint32_t ifindex;
	size_t num;
	struct ip_prefix found[BATCH];
};

/* struct route_attrs - what one route message says. */
struct route_attrs {
	uint32_t table, ifindex;
	const struct nlattr *dst;
};

static int attr_cb(const struct nlattr *attr, void *data)
{
	struct route_attrs *a = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type == RTA_DST)
		a->dst = attr;
	else if (type == RTA_TABLE && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		a->table = mnl_attr_get_u32(attr);
	else if (type == RTA_OIF && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		a->ifindex = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int found_cb(const struct nlmsghdr *head, void *data)
{
	struct flush *f = data;
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(head);
	struct route_attrs a = {.table = rtm->rtm_table};
	struct ip_prefix *p = &f->found[f->num];

	if (mnl_attr_parse(head, sizeof(*rtm), attr_cb, &a) < 0)
		return MNL_CB_ERROR;
	if (a.table != HOST_ROUTE_TABLE || a.ifindex != f->ifindex || f->num == BATCH)
		return MNL_CB_OK;
	*p = (struct ip_prefix){.len = rtm->rtm_dst_len};
	p->addr.family = rtm->rtm_family == AF_INET ? IP_V4 : IP_V6;
	if (!a.dst || !netlink_get_addr(&p->addr, a.dst, rtm->rtm_family))
		f->num++;
	return MNL_CB_OK;
}

static enum err look(struct host_linux *h, struct flush *f, uint8_t family)
{
	struct netlink_msg m;
	struct rtmsg *rtm = netlink_begin(&m, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rtm));

	rtm->rtm_family = family;
	f->num = 0;
	return netlink_talk(h, &m, found_cb, f);
}

static enum err flush_family(struct host_linux *h, struct flush *f, uint8_t family)
{
	enum err err = look(h, f, family);

	for (int looks = 0; !err && f->num && looks < LOOKS_MAX; looks++) {
		for (size_t i = 0; !err && i < f->num; i++)
			err = host_route_change(h, RTM_DELROUTE, HOST_ROUTE_TABLE, &f->found[i],
						f->ifindex, NULL);
		if (!err)
			err = look(h, f, family);
	}
	return err;
}

enum err host_route_flush(void *ctx, const char *ifname)
{
	struct flush f;
	enum err err = host_ifindex(&f.ifindex, ifname);

	if (!err)
		err = flush_family(ctx, &f, AF_INET);
	if (!err)
		err = flush_family(ctx, &f, AF_INET6);
	return err;
}
