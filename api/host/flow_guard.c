/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_guard.c - single flows of the host's sockets that come and go by the virtual interface alone
 * (L1, L2). They are elements of two sets in a table of their own, so that one more costs the same
 * among a hundred thousand, and no other one, nor the guard, is touched.
 */
#include "api/host/linux.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "api/host/nf.h"

/* struct wire - where a family's packet has what a set's key is made of. */
struct wire {
	struct nf_set set;
	uint8_t nfproto;
	uint32_t addr_len, src_at, dst_at;
};

#define KEY_TYPES(ip) \
	NF_TYPES(NF_TYPES(NF_TYPES(NF_TYPES(ip, NF_TYPE_PORT), ip), NF_TYPE_PORT), NF_TYPE_PROTO)

/* Key: local address, local port, remote address, remote port, protocol; four bytes or a multiple
 * each, so that registers and key are alike. */
#define KEY_LEN(addr_len) (2 * ((addr_len) + 4) + 4)
#define KEY_MAX           KEY_LEN(16)

static const struct wire wires[] = {
	{{"flows4", KEY_TYPES(NF_TYPE_IP4), KEY_LEN(4), 0}, NFPROTO_IPV4, 4, 12, 16},
	{{"flows6", KEY_TYPES(NF_TYPE_IP6), KEY_LEN(16), 0}, NFPROTO_IPV6, 16, 8, 24},
};

/* enum deed - what becomes of a packet of a flow in a chain. */
enum deed {
	DEED_CAPTURE,
	DEED_DROP,
};

/* struct gate - a chain, whose local end is the destination or the source, and what is done. `own`:
 * what goes by the device (by this key of nft's) is left alone. */
struct gate {
	struct nf_chain chain;
	bool inbound;
	uint32_t own;
	enum deed deed;
};

#define NOT_ASKED UINT32_MAX

/* A flow is captured before others translate its destination, and again after others have set its
 * mark. It is dropped where its addresses are what the socket sees, or as the wire would. */
static const struct gate gates[] = {
	{.chain = {"output", "route", NF_INET_LOCAL_OUT, NF_PRIORITY_FIRST, NULL},
	 .own = NOT_ASKED,
	 .deed = DEED_CAPTURE},
	{.chain = {"output_last", "route", NF_INET_LOCAL_OUT, NF_PRIORITY_LAST, NULL},
	 .own = NOT_ASKED,
	 .deed = DEED_CAPTURE},
	{.chain = {"leave", "filter", NF_INET_POST_ROUTING, NF_PRIORITY_FIRST, NULL},
	 .own = NFT_META_OIFNAME,
	 .deed = DEED_DROP},
	{.chain = {"input", "filter", NF_INET_LOCAL_IN, NF_PRIORITY_LAST, NULL},
	 .inbound = true,
	 .own = NFT_META_IIFNAME,
	 .deed = DEED_DROP},
};

static struct nf_table table_of(const char *ifname)
{
	struct nf_table t = {.family = NFPROTO_INET};

	snprintf(t.name, sizeof(t.name), "latchkey-%s/flows", ifname);
	return t;
}

/* load_key - the packet's into the registers from 0 on. */
static void load_key(struct nf_batch *b, const struct wire *w, bool inbound)
{
	uint32_t words = w->addr_len / 4, local_at = inbound ? w->dst_at : w->src_at;
	uint32_t remote_at = inbound ? w->src_at : w->dst_at;

	nf_payload(b, NFT_PAYLOAD_NETWORK_HEADER, local_at, w->addr_len, 0);
	nf_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, inbound ? 2 : 0, 2, words);
	nf_payload(b, NFT_PAYLOAD_NETWORK_HEADER, remote_at, w->addr_len, words + 1);
	nf_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, inbound ? 0 : 2, 2, 2 * words + 1);
	nf_meta(b, NFT_META_L4PROTO, 2 * words + 2);
}

static void capture(struct nf_batch *b)
{
	nf_meta(b, NFT_META_MARK, 0);
	nf_bitwise(b, 0, ~0u, HOST_MARK_CAPTURE);
	nf_meta_set(b, NFT_META_MARK, 0);
}

static void add_gate_rule(struct nf_batch *b, const struct nf_table *t, const struct gate *g,
			  const struct wire *w, const char *ifname)
{
	char name[IF_NAMESIZE] = {0};

	snprintf(name, sizeof(name), "%s", ifname);
	nf_rule_begin(b, t, g->chain.name);
	if (g->own != NOT_ASKED) {
		nf_meta(b, g->own, 0);
		nf_cmp(b, 0, false, name, sizeof(name));
	}
	nf_meta(b, NFT_META_NFPROTO, 0);
	nf_cmp(b, 0, true, &w->nfproto, sizeof(w->nfproto));
	load_key(b, w, g->inbound);
	nf_lookup(b, w->set.name, 0, true);
	if (g->deed == DEED_CAPTURE)
		capture(b);
	else
		nf_verdict(b, NF_DROP);
	nf_rule_end(b);
}

/* write_table - with nothing in its sets, or what is in them. */
static void write_table(struct nf_batch *b, const struct nf_table *t, const char *ifname)
{
	nf_table_add(b, t);
	for (size_t i = 0; i < ARRAY_LEN(wires); i++)
		nf_set_add(b, t, &wires[i].set);
	for (size_t i = 0; i < ARRAY_LEN(gates); i++) {
		nf_chain_add(b, t, &gates[i].chain);
		for (size_t j = 0; j < ARRAY_LEN(wires); j++)
			add_gate_rule(b, t, &gates[i], &wires[j], ifname);
	}
}

/* flow_ok - it is one, exactly. */
static bool flow_ok(const struct flow *f)
{
	return !ip_addr_is_any(&f->local) && !ip_addr_is_any(&f->remote) &&
	       f->local.family == f->remote.family && f->local_port && f->remote_port &&
	       !f->no_ports && host_has_ports(f->proto);
}

static const struct wire *wire_of(const struct flow *f)
{
	return &wires[f->local.family == IP_V4 ? 0 : 1];
}

static void put_end(uint8_t *at, const struct ip_addr *addr, uint16_t port, uint32_t len)
{
	struct be16 wire = be16_make(port);

	memcpy(at, addr->b, len);
	memcpy(at + len, &wire, sizeof(wire));
}

static void make_key(uint8_t key[static KEY_MAX], const struct flow *f, uint32_t addr_len)
{
	memset(key, 0, KEY_MAX);
	put_end(key, &f->local, f->local_port, addr_len);
	put_end(key + addr_len + 4, &f->remote, f->remote_port, addr_len);
	key[2 * (addr_len + 4)] = f->proto;
}

/* change - one element. Errors: NOT_FOUND: it, or the table, is not there. */
static enum err change(struct host_linux *h, const struct nf_table *t, const struct flow *f,
		       bool add)
{
	const struct wire *w = wire_of(f);
	uint8_t key[KEY_MAX];
	struct nf_batch b;

	make_key(key, f, w->addr_len);
	nf_begin(&b);
	if (add)
		nf_elem_add(&b, t, &w->set, key);
	else
		nf_elem_del(&b, t, &w->set, key);
	return nf_commit(h, &b);
}

enum err host_flow_guard(void *ctx, const char *ifname, const struct flow *flow, bool add)
{
	struct nf_table t;
	struct nf_batch b;
	enum err err;

	if (!host_name_ok(ifname) || !flow_ok(flow)) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	t = table_of(ifname);
	err = change(ctx, &t, flow, add);
	if (err != ERR_NOT_FOUND)
		return err;
	if (!add)
		return ERR_OK;
	nf_begin(&b);
	write_table(&b, &t, ifname);
	err = nf_commit(ctx, &b);
	return err ? err : change(ctx, &t, flow, true);
}

enum err host_flow_guard_flush(void *ctx, const char *ifname)
{
	struct nf_table t;
	struct nf_batch b;

	if (!host_name_ok(ifname)) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	t = table_of(ifname);
	nf_begin(&b);
	/* Made first, so that it may be absent. */
	nf_table_add(&b, &t);
	nf_table_del(&b, &t);
	return nf_commit(ctx, &b);
}
