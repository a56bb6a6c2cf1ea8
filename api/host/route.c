/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/linux.h"

#include <errno.h>
#include <linux/rtnetlink.h>

#include "api/host/netlink.h"

static uint8_t af_of(const struct ip_addr *a)
{
	return a->family == IP_V4 ? AF_INET : AF_INET6;
}

/* network_of - the address without its host bits, which the kernel would refuse. */
static struct ip_addr network_of(const struct ip_prefix *p)
{
	struct ip_addr a = p->addr;

	for (size_t bit = p->len; bit < sizeof(a.b) * 8; bit++)
		a.b[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return a;
}

enum err host_route_change(struct host_linux *h, uint16_t type, uint32_t table,
			   const struct ip_prefix *dst, uint32_t ifindex, const struct ip_addr *src)
{
	struct ip_addr network = network_of(dst);
	uint16_t flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct netlink_msg m;
	struct rtmsg *rtm = netlink_begin(&m, type, flags, sizeof(*rtm));

	rtm->rtm_family = af_of(&network);
	rtm->rtm_dst_len = dst->len;
	rtm->rtm_table = RT_TABLE_UNSPEC;
	rtm->rtm_scope = type == RTM_NEWROUTE ? RT_SCOPE_LINK : RT_SCOPE_NOWHERE;
	if (type == RTM_NEWROUTE) {
		rtm->rtm_protocol = HOST_PROTO;
		rtm->rtm_type = RTN_UNICAST;
	}
	mnl_attr_put_u32(m.head, RTA_TABLE, table);
	netlink_put_addr(&m, RTA_DST, &network);
	if (ifindex)
		mnl_attr_put_u32(m.head, RTA_OIF, ifindex);
	if (src)
		netlink_put_addr(&m, RTA_PREFSRC, src);
	return netlink_talk(h, &m, NULL, NULL);
}

static bool prefix_ok(const struct ip_prefix *p)
{
	return ip_addr_len(&p->addr) && p->len <= ip_addr_len(&p->addr) * 8;
}

enum err host_route_add(void *ctx, const struct ip_prefix *dst, const char *ifname,
			const struct ip_addr *src)
{
	uint32_t ifindex;
	enum err err;

	if (src && ip_addr_is_any(src))
		src = NULL;
	if (!prefix_ok(dst) || (src && src->family != dst->addr.family)) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	err = host_ifindex(&ifindex, ifname);
	return err ? err
		   : host_route_change(ctx, RTM_NEWROUTE, HOST_ROUTE_TABLE, dst, ifindex, src);
}

enum err host_route_del(void *ctx, const struct ip_prefix *dst, const char *ifname)
{
	uint32_t ifindex;
	enum err err = prefix_ok(dst) ? host_ifindex(&ifindex, ifname) : ERR_INVAL;

	if (!err)
		err = host_route_change(ctx, RTM_DELROUTE, HOST_ROUTE_TABLE, dst, ifindex, NULL);
	/* Without the device its routes are gone as well. */
	if (err == ERR_NOT_FOUND || (err == ERR_SYS && errno == ESRCH))
		return ERR_OK;
	return err;
}

/* ---- asking for a route -----------------------------------------------------------------------
 */

static int metric_cb(const struct nlattr *attr, void *data)
{
	struct host_route *r = data;

	if (mnl_attr_get_type(attr) == RTAX_MTU && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		r->mtu = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int route_attr_cb(const struct nlattr *attr, void *data)
{
	struct host_route *r = data;

	switch (mnl_attr_get_type(attr)) {
	case RTA_OIF:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			r->ifindex = mnl_attr_get_u32(attr);
		return MNL_CB_OK;
	case RTA_PREFSRC:
		if (netlink_get_addr(&r->src, attr, AF_INET) &&
		    netlink_get_addr(&r->src, attr, AF_INET6))
			return MNL_CB_ERROR;
		return MNL_CB_OK;
	case RTA_METRICS:
		return mnl_attr_parse_nested(attr, metric_cb, data);
	default:
		return MNL_CB_OK;
	}
}

static int route_cb(const struct nlmsghdr *head, void *data)
{
	return mnl_attr_parse(head, sizeof(struct rtmsg), route_attr_cb, data);
}

enum err host_route_get(struct host_linux *h, struct host_route *out, const struct ip_addr *remote)
{
	struct host_route route = {0};
	struct netlink_msg m;
	struct rtmsg *rtm;
	enum err err;

	if (ip_addr_is_any(remote)) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	rtm = netlink_begin(&m, RTM_GETROUTE, 0, sizeof(*rtm));
	rtm->rtm_family = af_of(remote);
	rtm->rtm_dst_len = (uint8_t)(ip_addr_len(remote) * 8);
	netlink_put_addr(&m, RTA_DST, remote);
	mnl_attr_put_u32(m.head, RTA_MARK, HOST_MARK_OUTER);
	err = netlink_talk(h, &m, route_cb, &route);
	if (err == ERR_SYS && (errno == ENETUNREACH || errno == EHOSTUNREACH))
		return ERR_NOT_FOUND;
	if (err)
		return err;
	if (!route.ifindex)
		return ERR_NOT_FOUND;
	*out = route;
	return ERR_OK;
}

enum err host_source_for(void *ctx, struct ip_addr *out, const struct ip_addr *remote)
{
	struct host_route route;
	enum err err = host_route_get(ctx, &route, remote);

	if (err)
		return err;
	if (!route.src.family)
		return ERR_NOT_FOUND;
	*out = route.src;
	return ERR_OK;
}
