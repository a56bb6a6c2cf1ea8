/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/linux.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "api/host/netlink.h"
#include "base/log.h"

/* quiet_ipv6 - no addresses of the kernel's own making, hence no neighbour discovery into the data
 * path. A host without IPv6 has none anyway. */
static enum err quiet_ipv6(struct host_linux *h, uint32_t ifindex)
{
	struct netlink_msg m;
	struct ifinfomsg *ifi = netlink_begin(&m, RTM_NEWLINK, 0, sizeof(*ifi));
	struct nlattr *spec, *inet6;
	enum err err;

	ifi->ifi_index = (int)ifindex;
	spec = mnl_attr_nest_start(m.head, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(m.head, AF_INET6);
	mnl_attr_put_u8(m.head, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(m.head, inet6);
	mnl_attr_nest_end(m.head, spec);
	err = netlink_talk(h, &m, NULL, NULL);
	return err == ERR_SYS && (errno == EAFNOSUPPORT || errno == EOPNOTSUPP) ? ERR_OK : err;
}

static enum err link_change(struct host_linux *h, uint32_t ifindex, uint32_t mtu,
			    const uint8_t *mac)
{
	struct netlink_msg m;
	struct ifinfomsg *ifi = netlink_begin(&m, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = IFF_UP | IFF_NOARP;
	ifi->ifi_change = IFF_UP | IFF_NOARP;
	mnl_attr_put_u32(m.head, IFLA_MTU, mtu);
	if (mac)
		mnl_attr_put(m.head, IFLA_ADDRESS, 6, mac);
	return netlink_talk(h, &m, NULL, NULL);
}

/* set_sysctls - the device's reverse path filter is loose: captured traffic's answers arrive by it
 * though no route leads back. The rest only keeps peers from steering this host, and may fail. */
static void set_sysctls(const char *ifname)
{
	static const struct {
		const char *family, *key;
		long value;
	} wanted[] = {
		{"ipv4", "rp_filter", 2},
		{"ipv4", "accept_redirects", 0},
		{"ipv6", "accept_redirects", 0},
		{"ipv6", "accept_ra", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (host_sysctl_write(wanted[i].family, ifname, wanted[i].key, wanted[i].value))
			LOG(DEBUG, KNL, NULL, "%s %s of %s cannot be set to %ld", wanted[i].family,
			    wanted[i].key, ifname, wanted[i].value);
}

enum err host_link_set(void *ctx, const char *ifname, uint32_t mtu, const uint8_t *mac)
{
	struct host_linux *h = ctx;
	uint32_t ifindex;
	enum err err = host_ifindex(&ifindex, ifname);

	if (err)
		return err;
	/* Before it is up: then it never had a link-local address. */
	err = quiet_ipv6(h, ifindex);
	if (err)
		return err;
	set_sysctls(ifname);
	err = link_change(h, ifindex, mtu, mac);
	if (err)
		return err;
	snprintf(h->device, sizeof(h->device), "%s", ifname);
	return host_addr_always(h, ifindex);
}

enum err host_link_gso(void *ctx, const char *ifname, uint32_t max_len, uint32_t max_num)
{
	struct host_linux *h = ctx;
	struct netlink_msg m;
	uint32_t ifindex;
	enum err err = host_ifindex(&ifindex, ifname);

	if (err)
		return err;
	struct ifinfomsg *ifi = netlink_begin(&m, RTM_NEWLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	mnl_attr_put_u32(m.head, IFLA_GSO_MAX_SIZE, max_len);
	mnl_attr_put_u32(m.head, IFLA_GSO_MAX_SEGS, max_num);
	return netlink_talk(h, &m, NULL, NULL);
}

/* struct link_facts - of one device. */
struct link_facts {
	uint32_t mtu;
	bool is_tun;       /* made by the TUN/TAP driver */
	uint64_t received; /* packets, ever */
};

static int kind_cb(const struct nlattr *attr, void *data)
{
	struct link_facts *f = data;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND &&
	    mnl_attr_validate(attr, MNL_TYPE_STRING) >= 0)
		f->is_tun =
			strncmp(mnl_attr_get_str(attr), "tun", mnl_attr_get_payload_len(attr)) == 0;
	return MNL_CB_OK;
}

static int link_attr_cb(const struct nlattr *attr, void *data)
{
	struct link_facts *f = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_STATS64: /* received packets come first; nothing is aligned */
		if (mnl_attr_get_payload_len(attr) >= sizeof(f->received))
			memcpy(&f->received, mnl_attr_get_payload(attr), sizeof(f->received));
		return MNL_CB_OK;
	case IFLA_MTU:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			f->mtu = mnl_attr_get_u32(attr);
		return MNL_CB_OK;
	case IFLA_LINKINFO:
		return mnl_attr_parse_nested(attr, kind_cb, data);
	default:
		return MNL_CB_OK;
	}
}

static int link_cb(const struct nlmsghdr *head, void *data)
{
	return mnl_attr_parse(head, sizeof(struct ifinfomsg), link_attr_cb, data);
}

static enum err link_get(struct host_linux *h, struct link_facts *out, uint32_t ifindex)
{
	struct netlink_msg m;
	struct ifinfomsg *ifi = netlink_begin(&m, RTM_GETLINK, 0, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	*out = (struct link_facts){0};
	return netlink_talk(h, &m, link_cb, out);
}

enum err host_link_del(void *ctx, const char *ifname)
{
	struct host_linux *h = ctx;
	struct link_facts facts;
	struct netlink_msg m;
	struct ifinfomsg *ifi;
	uint32_t ifindex;
	enum err err = host_ifindex(&ifindex, ifname);

	if (!err)
		err = link_get(h, &facts, ifindex);
	if (!err && !facts.is_tun) {
		errno = EINVAL;
		err = ERR_INVAL;
	}
	if (!err) {
		ifi = netlink_begin(&m, RTM_DELLINK, 0, sizeof(*ifi));
		ifi->ifi_index = (int)ifindex;
		err = netlink_talk(h, &m, NULL, NULL);
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err host_link_mtu(void *ctx, uint32_t *out_mtu, const struct ip_addr *remote)
{
	struct host_linux *h = ctx;
	struct link_facts facts;
	struct host_route route;
	enum err err = host_route_get(h, &route, remote);

	if (!err)
		err = link_get(h, &facts, route.ifindex);
	if (err)
		return err;
	*out_mtu = route.mtu && route.mtu < facts.mtu ? route.mtu : facts.mtu;
	return ERR_OK;
}

enum err host_link_look(void *ctx, struct host_link *out, const char *ifname,
			const struct ip_addr *addr)
{
	struct host_linux *h = ctx;
	struct host_link link = {0};
	struct link_facts facts;
	enum err err = host_ifindex(&link.ifindex, ifname);

	if (!err)
		err = link_get(h, &facts, link.ifindex);
	if (!err && addr->family)
		err = host_addr_on(h, &link.has, link.ifindex, addr);
	if (err)
		return err;
	link.used = facts.received != 0;
	*out = link;
	return ERR_OK;
}
