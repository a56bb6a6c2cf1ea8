/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token.c - protection classes at the host's own sockets, by marks. Inbound the data path has
 * written a packet's class into its Ethernet source address; the last rule before a socket copies
 * it, so that no rule of anybody's puts another one in its place. Outbound the mark goes into that
 * address, as the last thing before the device.
 */
#include "api/host/token.h"

#include <errno.h>
#include <stdio.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

/* Of a frame's source address: two bytes that say what it is, then the class. */
#define SOURCE_AT 6

#define MASK_DEMAND (HOST_MARK_DEMAND | HOST_MARK_TOKEN)

/* One for all devices of the host: what came by none of them has no class. */
const struct nf_table token_table = {.family = NFPROTO_INET, .name = "latchkey/token"};
static const struct nf_table netdev = {.family = NFPROTO_NETDEV, .name = "latchkey/token"};
const struct nf_set token_devices = {"taps", NF_TYPE_IFNAME, IF_NAMESIZE, 0};

static const struct nf_chain chain_input = {"input", "filter", NF_INET_LOCAL_IN, NF_PRIORITY_LAST,
					    NULL};
static const struct nf_chain chain_output = {"output", "route", NF_INET_LOCAL_OUT, NF_PRIORITY_LAST,
					     NULL};
static const struct nf_chain chain_leave = {"leave", "filter", NF_INET_POST_ROUTING,
					    NF_PRIORITY_LAST, NULL};

/* struct egress - the chain of one device. */
struct egress {
	char name[IF_NAMESIZE + 4];
	struct nf_chain chain;
};

static void egress_of(struct egress *e, const char *ifname)
{
	snprintf(e->name, sizeof(e->name), "to-%s", ifname);
	e->chain = (struct nf_chain){e->name, "filter", NF_NETDEV_EGRESS, NF_PRIORITY_LAST, ifname};
}

/* by_device - what came, or goes, by one of the devices. */
static void by_device(struct nf_batch *b, uint32_t key)
{
	nf_meta(b, key, 0);
	nf_lookup(b, token_devices.name, 0, true);
}

static void write_input(struct nf_batch *b)
{
	nf_chain_add(b, &token_table, &chain_input);
	nf_rule_begin(b, &token_table, chain_input.name);
	by_device(b, NFT_META_IIFNAME);
	nf_payload(b, NFT_PAYLOAD_LL_HEADER, TOKEN_CLASS_AT, TOKEN_CLASS_LEN, 0);
	nf_bitwise(b, 0, HOST_MARK_TOKEN, 0);
	nf_meta_set(b, NFT_META_MARK, 0);
	nf_verdict(b, NF_ACCEPT);
	nf_rule_end(b);
	nf_rule_begin(b, &token_table, chain_input.name);
	nf_meta(b, NFT_META_MARK, 0);
	nf_bitwise(b, 0, ~HOST_MARK_TOKEN, 0);
	nf_meta_set(b, NFT_META_MARK, 0);
	nf_rule_end(b);
}

void token_demanded(struct nf_batch *b)
{
	const uint32_t none = 0;

	nf_bitwise(b, 0, HOST_MARK_DEMAND, 0);
	nf_cmp(b, 0, false, &none, sizeof(none));
}

/* add_demand_rule - captured: whatever is not on its way to a device is captured for ours. */
static void add_demand_rule(struct nf_batch *b, bool captured)
{
	nf_rule_begin(b, &token_table, chain_output.name);
	if (!captured)
		by_device(b, NFT_META_OIFNAME);
	nf_socket(b, NFT_SOCKET_MARK, 0, 0);
	token_demanded(b);
	nf_socket(b, NFT_SOCKET_MARK, 0, 0);
	nf_bitwise(b, 0, MASK_DEMAND, captured ? HOST_MARK_CAPTURE : 0);
	nf_meta_set(b, NFT_META_MARK, 0);
	nf_verdict(b, NF_ACCEPT);
	nf_rule_end(b);
}

/* A mark of the socket's own says what its packets demand, whatever others have made of theirs. Of
 * what leads elsewhere the chain's end asks the routes again, by the new mark. */
static void write_output(struct nf_batch *b)
{
	nf_chain_add(b, &token_table, &chain_output);
	add_demand_rule(b, false);
	add_demand_rule(b, true);
}

/* A demand that was captured and leaves by another interface all the same is met by nothing. */
static void write_leave(struct nf_batch *b)
{
	const uint32_t both = HOST_MARK_DEMAND | HOST_MARK_CAPTURE;
	const char lo[IF_NAMESIZE] = "lo";

	nf_chain_add(b, &token_table, &chain_leave);
	nf_rule_begin(b, &token_table, chain_leave.name);
	nf_meta(b, NFT_META_MARK, 0);
	nf_bitwise(b, 0, both, 0);
	nf_cmp(b, 0, true, &both, sizeof(both));
	nf_meta(b, NFT_META_OIFNAME, 0);
	nf_cmp(b, 0, false, lo, sizeof(lo));
	nf_lookup(b, token_devices.name, 0, false);
	nf_verdict(b, NF_DROP);
	nf_rule_end(b);
}

static void write_egress(struct nf_batch *b, const struct nf_chain *chain)
{
	static const uint8_t what[] = {HOST_DEMAND_MAC};

	nf_table_add(b, &netdev);
	nf_chain_add(b, &netdev, chain);
	nf_rule_begin(b, &netdev, chain->name);
	nf_meta(b, NFT_META_MARK, 0);
	token_demanded(b);
	nf_immediate(b, 0, what, sizeof(what));
	nf_payload_set(b, NFT_PAYLOAD_LL_HEADER, SOURCE_AT, sizeof(what), 0);
	nf_meta(b, NFT_META_MARK, 0);
	nf_bitwise(b, 0, HOST_MARK_TOKEN, 0);
	nf_payload_set(b, NFT_PAYLOAD_LL_HEADER, TOKEN_CLASS_AT, TOKEN_CLASS_LEN, 0);
	nf_rule_end(b);
}

enum err host_token_set(void *ctx, const char *ifname)
{
	struct host_linux *h = ctx;
	char key[IF_NAMESIZE] = {0};
	struct nf_batch b;
	struct egress e;
	uint32_t ifindex;
	enum err err = host_ifindex(&ifindex, ifname);

	if (err)
		return err;
	snprintf(key, sizeof(key), "%s", ifname);
	egress_of(&e, ifname);
	nf_begin(&b);
	nf_table_add(&b, &token_table);
	nf_set_add(&b, &token_table, &token_devices);
	nf_elem_add(&b, &token_table, &token_devices, key);
	write_input(&b);
	write_output(&b);
	write_leave(&b);
	write_egress(&b, &e.chain);
	return nf_commit(h, &b);
}

/* struct others - whether devices have tokens beside this one, which has. */
struct others {
	const char *ifname;
	bool own, others;
};

static void look(void *arg, const uint8_t *key, size_t len)
{
	struct others *o = arg;

	if (len == IF_NAMESIZE && strncmp((const char *)key, o->ifname, len) == 0)
		o->own = true;
	else
		o->others = true;
}

/* forget_device - it has no part in the tables any more. What is gone already is no error: a device
 * takes its chain along. */
static enum err forget_device(struct host_linux *h, const char *ifname)
{
	char key[IF_NAMESIZE] = {0};
	struct nf_batch b;
	struct egress e;
	enum err err;

	snprintf(key, sizeof(key), "%s", ifname);
	egress_of(&e, ifname);
	nf_begin(&b);
	nf_chain_del(&b, &netdev, e.name);
	err = nf_commit(h, &b);
	if (err && err != ERR_NOT_FOUND)
		return err;
	nf_begin(&b);
	nf_elem_del(&b, &token_table, &token_devices, key);
	return nf_commit(h, &b);
}

static enum err remove_tables(struct host_linux *h)
{
	struct nf_batch b;

	nf_begin(&b);
	nf_table_del(&b, &token_table);
	/* Made first, so that it may be absent. */
	nf_table_add(&b, &netdev);
	nf_table_del(&b, &netdev);
	return nf_commit(h, &b);
}

enum err host_token_del(void *ctx, const char *ifname)
{
	struct others o = {.ifname = ifname};
	enum err err;

	if (!host_name_ok(ifname)) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	err = nf_set_each(&token_table, token_devices.name, look, &o);
	if (err || !o.own)
		return err;
	return o.others ? forget_device(ctx, ifname) : remove_tables(ctx);
}
