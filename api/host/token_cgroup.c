/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token_cgroup.c - classes that all processes of a control group demand, so that programs need not
 * know of it, however they are linked. The kernel can be asked which group a socket is below at one
 * level: for each level that is in use there is a map of groups to marks and a chain that asks it.
 */
#include <errno.h>
#include <stdio.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "api/host/cgroup.h"
#include "api/host/nf.h"
#include "api/host/token.h"

/* struct level - what there is for one. Registers: 0 and 1 the group, 2 the mark. */
struct level {
	char name[16];
	struct nf_set map;
	struct nf_chain chain;
	uint32_t number;
};

static void level_init(struct level *l, uint32_t number)
{
	snprintf(l->name, sizeof(l->name), "level%u", number);
	l->number = number;
	l->map = (struct nf_set){l->name, NF_TYPE_CGROUP, sizeof(uint64_t), NF_TYPE_MARK};
	/* Before a socket's own demand, which is the stronger one. */
	l->chain =
		(struct nf_chain){l->name, "route", NF_INET_LOCAL_OUT, NF_PRIORITY_LAST - 1, NULL};
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

/* add - replace: it is there, with another mark. errno EBUSY or EEXIST: it is, and replace
 * is not set. */
static enum err add(struct host_linux *h, const struct level *l, const struct host_cgroup *g,
		    uint32_t mark, bool replace)
{
	struct nf_batch b;

	nf_begin(&b);
	nf_set_add(&b, &token_table, &l->map);
	if (replace)
		nf_elem_del(&b, &token_table, &l->map, &g->id);
	nf_elem_map(&b, &token_table, &l->map, &g->id, mark);
	nf_chain_add(&b, &token_table, &l->chain);
	add_rule(&b, l, false);
	add_rule(&b, l, true);
	return nf_commit(h, &b);
}

static enum err remove_group(struct host_linux *h, const struct level *l, uint64_t id)
{
	struct nf_batch b;

	nf_begin(&b);
	nf_elem_del(&b, &token_table, &l->map, &id);
	return nf_commit(h, &b);
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
	nf_set_del(&b, &token_table, l->name);
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
