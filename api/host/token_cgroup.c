/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token_cgroup.c - classes that all processes of a control group demand, so that programs need not
 * know of it, however they are linked. The kernel can be asked which group a socket is below at one
 * level: for each level that is in use there is a map of groups to marks and a chain that asks it
 * of what leaves; and a set of groups, each with the class that it is to hear, and a chain that
 * asks this of what comes.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "api/host/cgroup.h"
#include "api/host/nf.h"
#include "api/host/token.h"

/* OLD_MAX - classes of a group before the one that it gets; there is one. */
#define OLD_MAX 4

/* struct level - what there is for one. Registers: 0 and 1 the group, 2 the mark or the class. */
struct level {
	char name[16], in_name[16];
	struct nf_set map, heard;
	struct nf_chain chain, in_chain;
	uint32_t number;
};

/* struct hearing - of the set `heard`: a group, and a class that it hears. */
struct hearing {
	uint8_t id[sizeof(uint64_t)], token[sizeof(uint32_t)];
};
static_assert(sizeof(struct hearing) == 12, "as three registers are");

static void level_init(struct level *l, uint32_t number)
{
	snprintf(l->name, sizeof(l->name), "level%u", number);
	snprintf(l->in_name, sizeof(l->in_name), "level%u-in", number);
	l->number = number;
	l->map = (struct nf_set){l->name, NF_TYPE_CGROUP, sizeof(uint64_t), NF_TYPE_MARK};
	l->heard = (struct nf_set){l->in_name, NF_TYPES(NF_TYPE_CGROUP, NF_TYPE_MARK),
				   sizeof(struct hearing), 0};
	/* Before a socket's own demand, which is the stronger one. */
	l->chain =
		(struct nf_chain){l->name, "route", NF_INET_LOCAL_OUT, NF_PRIORITY_LAST - 1, NULL};
	l->in_chain = (struct nf_chain){l->in_name, "filter", NF_INET_LOCAL_IN,
					NF_PRIORITY_LAST - 1, NULL};
}

static void add_rule(struct nf_batch *b, const struct level *l, bool captured)
{
	nf_rule_begin(b, &token_table, l->name);
	if (!captured) {
		nf_meta(b, NFT_META_OIFNAME, 0);
		nf_lookup(b, token_devices.name, 0, true);
	}
	nf_socket(b, NFT_SOCKET_CGROUPV2, l->number, 0);
	nf_lookup_map(b, l->name, 0, 2);
	nf_bitwise(b, 2, ~0u, captured ? HOST_MARK_CAPTURE : 0);
	nf_meta_set(b, NFT_META_MARK, 2);
	nf_verdict(b, NF_ACCEPT);
	nf_rule_end(b);
}

/* not_protocol - it is another one. */
static void not_protocol(struct nf_batch *b, uint8_t proto)
{
	nf_meta(b, NFT_META_L4PROTO, 2);
	nf_cmp(b, 2, false, &proto, sizeof(proto));
}

/* add_in_rules - what has the class that the group is to hear is let in; nothing else is, but the
 * host's own and what routers say of what was sent. A socket that demands for itself hears whom it
 * would without the group. */
static void add_in_rules(struct nf_batch *b, const struct level *l)
{
	const char lo[IF_NAMESIZE] = "lo";

	nf_rule_begin(b, &token_table, l->in_name);
	nf_socket(b, NFT_SOCKET_MARK, 0, 0);
	token_demanded(b);
	nf_verdict(b, NF_ACCEPT);
	nf_rule_end(b);
	nf_rule_begin(b, &token_table, l->in_name);
	nf_meta(b, NFT_META_IIFNAME, 0);
	nf_lookup(b, token_devices.name, 0, true);
	nf_socket(b, NFT_SOCKET_CGROUPV2, l->number, 0);
	nf_payload(b, NFT_PAYLOAD_LL_HEADER, TOKEN_CLASS_AT, TOKEN_CLASS_LEN, 2);
	nf_bitwise(b, 2, HOST_MARK_TOKEN, 0);
	nf_lookup(b, l->in_name, 0, true);
	nf_verdict(b, NF_ACCEPT);
	nf_rule_end(b);
	nf_rule_begin(b, &token_table, l->in_name);
	nf_meta(b, NFT_META_IIFNAME, 0);
	nf_cmp(b, 0, false, lo, sizeof(lo));
	not_protocol(b, IPPROTO_ICMP);
	not_protocol(b, IPPROTO_ICMPV6);
	nf_socket(b, NFT_SOCKET_CGROUPV2, l->number, 0);
	nf_lookup_map(b, l->name, 0, 2);
	nf_verdict(b, NF_DROP);
	nf_rule_end(b);
}

/* struct old - what a group has heard up to now. */
struct old {
	uint64_t id;
	struct hearing of[OLD_MAX];
	uint32_t num;
};

static void take_old(void *arg, const uint8_t *key, size_t len)
{
	struct old *o = arg;
	struct hearing h;

	if (len != sizeof(h))
		return;
	memcpy(&h, key, sizeof(h));
	if (memcmp(h.id, &o->id, sizeof(h.id)) == 0 && o->num < OLD_MAX)
		o->of[o->num++] = h;
}

/* forget_old - it hears nobody any more. */
static enum err forget_old(struct nf_batch *b, const struct level *l, uint64_t id)
{
	struct old o = {.id = id};
	enum err err = nf_set_each(&token_table, l->in_name, take_old, &o);

	for (uint32_t i = 0; i < o.num; i++)
		nf_elem_del(b, &token_table, &l->heard, &o.of[i]);
	return err;
}

/* add - replace: it is there, with another mark. errno EBUSY or EEXIST: it is, and replace
 * is not set. */
static enum err add(struct host_linux *h, const struct level *l, const struct host_cgroup *g,
		    uint32_t mark, bool replace)
{
	const uint32_t token = mark & HOST_MARK_TOKEN;
	struct hearing hears;
	struct nf_batch b;
	enum err err;

	memcpy(hears.id, &g->id, sizeof(hears.id));
	memcpy(hears.token, &token, sizeof(hears.token));
	nf_begin(&b);
	nf_set_add(&b, &token_table, &l->map);
	nf_set_add(&b, &token_table, &l->heard);
	err = forget_old(&b, l, g->id);
	if (err)
		return err;
	nf_elem_add(&b, &token_table, &l->heard, &hears);
	if (replace)
		nf_elem_del(&b, &token_table, &l->map, &g->id);
	nf_elem_map(&b, &token_table, &l->map, &g->id, mark);
	nf_chain_add(&b, &token_table, &l->chain);
	add_rule(&b, l, false);
	add_rule(&b, l, true);
	nf_chain_add(&b, &token_table, &l->in_chain);
	add_in_rules(&b, l);
	return nf_commit(h, &b);
}

static enum err remove_group(struct host_linux *h, const struct level *l, uint64_t id)
{
	struct nf_batch b;
	enum err err;

	nf_begin(&b);
	nf_elem_del(&b, &token_table, &l->map, &id);
	err = forget_old(&b, l, id);
	return err ? err : nf_commit(h, &b);
}

static void count(void *arg, const uint8_t *key, size_t len)
{
	(void)key;
	*(uint32_t *)arg += len == sizeof(uint64_t);
}

/* remove_level - if no group is left there. */
static enum err remove_level(struct host_linux *h, const struct level *l)
{
	uint32_t num = 0;
	struct nf_batch b;
	enum err err = nf_set_each(&token_table, l->name, count, &num);

	if (err || num)
		return err;
	nf_begin(&b);
	nf_chain_add(&b, &token_table, &l->chain); /* without rules */
	nf_chain_del(&b, &token_table, l->name);
	nf_chain_add(&b, &token_table, &l->in_chain);
	nf_chain_del(&b, &token_table, l->in_name);
	nf_set_del(&b, &token_table, l->name);
	nf_set_del(&b, &token_table, l->in_name);
	return nf_commit(h, &b);
}

enum err host_cgroup_mark(void *ctx, struct host_cgroup *out, int fd, uint32_t token)
{
	const uint32_t mark = HOST_MARK_DEMAND | token;
	struct host_cgroup g;
	struct level l;
	enum err err = cgroup_find(&g, fd);

	if (!err && (!token || token & ~HOST_MARK_TOKEN))
		err = ERR_INVAL;
	if (err)
		return err;
	level_init(&l, g.level);
	err = add(ctx, &l, &g, mark, false);
	if (err && (errno == EBUSY || errno == EEXIST))
		err = add(ctx, &l, &g, mark, true);
	if (err == ERR_NOT_FOUND)
		return ERR_UNSUPPORTED; /* there was no token_set() */
	if (!err)
		*out = g;
	return err;
}

enum err host_cgroup_del(void *ctx, const struct host_cgroup *g)
{
	struct level l;
	enum err err;

	level_init(&l, g->level);
	err = remove_group(ctx, &l, g->id);
	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	return remove_level(ctx, &l);
}
