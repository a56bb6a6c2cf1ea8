/* SPDX-License-Identifier: Apache-2.0 */
#include "api/host/linux.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "api/host/netlink.h"

/* Duplicates of one of our rules that rules_del() takes away at most. */
#define RULE_COPIES_MAX 16

/* struct rule - one policy rule: `match` under `mask` looks in a table. */
struct rule {
	uint32_t priority;
	uint32_t match, mask;
	uint32_t table;
};

static const struct rule rules[] = {
	{.priority = 4300,
	 .match = HOST_MARK_CAPTURE,
	 .mask = HOST_MARK_CAPTURE | HOST_MARK_OUTER,
	 .table = HOST_CAPTURE_TABLE},
	/* Neither our own outer traffic nor what passes in the clear. */
	{.priority = 4301,
	 .match = 0,
	 .mask = HOST_MARK_OUTER | HOST_MARK_PASS,
	 .table = HOST_ROUTE_TABLE},
};

static const uint8_t families[] = {AF_INET, AF_INET6};

static enum err rule_change(struct host_linux *h, uint16_t type, uint8_t family,
			    const struct rule *r)
{
	struct netlink_msg m;
	uint16_t flags = type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct fib_rule_hdr *head = netlink_begin(&m, type, flags, sizeof(*head));

	head->family = family;
	head->action = FR_ACT_TO_TBL;
	head->table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(m.head, FRA_PRIORITY, r->priority);
	mnl_attr_put_u32(m.head, FRA_FWMARK, r->match);
	mnl_attr_put_u32(m.head, FRA_FWMASK, r->mask);
	mnl_attr_put_u32(m.head, FRA_TABLE, r->table);
	mnl_attr_put_u8(m.head, FRA_PROTOCOL, HOST_PROTO);
	return netlink_talk(h, &m, NULL, NULL);
}

/* no_family - the host was built or started without IPv6: nothing to rule there. */
static bool no_family(enum err err, uint8_t family)
{
	return err == ERR_SYS && family == AF_INET6 &&
	       (errno == EAFNOSUPPORT || errno == EOPNOTSUPP);
}

static struct ip_prefix any_of(uint8_t family)
{
	static const uint8_t zero[16];

	return (struct ip_prefix){.addr = family == AF_INET ? ip_addr_v4(zero) : ip_addr_v6(zero)};
}

static enum err family_set(struct host_linux *h, uint8_t family, uint32_t ifindex)
{
	struct ip_prefix any = any_of(family);
	enum err err = host_route_change(h, RTM_NEWROUTE, HOST_CAPTURE_TABLE, &any, ifindex, NULL);

	for (size_t i = 0; i < ARRAY_LEN(rules) && !err; i++) {
		err = rule_change(h, RTM_NEWRULE, family, &rules[i]);
		if (err == ERR_SYS && errno == EEXIST)
			err = ERR_OK;
	}
	return no_family(err, family) ? ERR_OK : err;
}

enum err host_rules_set(void *ctx, const char *ifname)
{
	uint32_t ifindex;
	enum err err = host_ifindex(&ifindex, ifname);

	for (size_t i = 0; i < ARRAY_LEN(families) && !err; i++)
		err = family_set(ctx, families[i], ifindex);
	return err;
}

static enum err rule_remove(struct host_linux *h, uint8_t family, const struct rule *r)
{
	enum err err = ERR_OK;

	for (int i = 0; i < RULE_COPIES_MAX && !err; i++)
		err = rule_change(h, RTM_DELRULE, family, r);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err family_del(struct host_linux *h, uint8_t family)
{
	struct ip_prefix any = any_of(family);
	enum err err = ERR_OK;

	for (size_t i = 0; i < ARRAY_LEN(rules) && !err; i++)
		err = rule_remove(h, family, &rules[i]);
	if (!err) {
		err = host_route_change(h, RTM_DELROUTE, HOST_CAPTURE_TABLE, &any, 0, NULL);
		if (err == ERR_NOT_FOUND || (err == ERR_SYS && errno == ESRCH))
			err = ERR_OK;
	}
	return no_family(err, family) ? ERR_OK : err;
}

enum err host_rules_del(void *ctx)
{
	enum err result = ERR_OK;

	/* As much as can be removed is; the first failure is told. */
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		enum err err = family_del(ctx, families[i]);

		if (!result)
			result = err;
	}
	return result;
}
