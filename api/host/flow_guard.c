/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_guard.c - single flows of the host's sockets that come and go by the virtual interface alone
 * (L1, L2), and all flows of a listener's port. They are elements of sets in a table
 * of their own, so that one more costs the same among a hundred thousand, and no other one, nor the
 * guard, is touched.
 */
#include "api/host/linux.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "api/host/nf.h"
#include "base/alloc.h"

/* enum end - what of a packet's ends a key has: both, or, of a listener, the local one, whose
 * address may be any. */
enum ends {
	ENDS_BOTH,
	ENDS_LOCAL,
	ENDS_LOCAL_PORT,
};

/* struct wire - where a family's packet has what a set's key is made of. */
struct wire {
	struct nf_set set;
	enum ends ends;
	uint8_t nfproto;
	uint32_t addr_len, src_at, dst_at;
};

/* Key: local address, local port, remote address, remote port, protocol, or less of that; four
 * bytes or a multiple each, so that registers and key are alike. */
#define PORT_TYPES      NF_TYPES(NF_TYPE_PORT, NF_TYPE_PROTO)
#define LOCAL_TYPES(ip) NF_TYPES(NF_TYPES(ip, NF_TYPE_PORT), NF_TYPE_PROTO)
#define BOTH_TYPES(ip) \
	NF_TYPES(NF_TYPES(NF_TYPES(NF_TYPES(ip, NF_TYPE_PORT), ip), NF_TYPE_PORT), NF_TYPE_PROTO)
#define PORT_LEN            8
#define LOCAL_LEN(addr_len) ((addr_len) + 8)
#define BOTH_LEN(addr_len)  (2 * ((addr_len) + 4) + 4)
#define KEY_MAX             BOTH_LEN(16)

#define V4(name, types, len, ends)                                   \
	{                                                            \
		{name, types, len, 0}, ends, NFPROTO_IPV4, 4, 12, 16 \
	}
#define V6(name, types, len, ends)                                   \
	{                                                            \
		{name, types, len, 0}, ends, NFPROTO_IPV6, 16, 8, 24 \
	}

static const struct wire wires[] = {
	V4("flows4", BOTH_TYPES(NF_TYPE_IP4), BOTH_LEN(4), ENDS_BOTH),
	V6("flows6", BOTH_TYPES(NF_TYPE_IP6), BOTH_LEN(16), ENDS_BOTH),
	V4("local4", LOCAL_TYPES(NF_TYPE_IP4), LOCAL_LEN(4), ENDS_LOCAL),
	V6("local6", LOCAL_TYPES(NF_TYPE_IP6), LOCAL_LEN(16), ENDS_LOCAL),
	V4("ports4", PORT_TYPES, PORT_LEN, ENDS_LOCAL_PORT),
	V6("ports6", PORT_TYPES, PORT_LEN, ENDS_LOCAL_PORT),
};

/* enum deed - what becomes of a packet of a flow in a chain. */
enum deed {
	DEED_CAPTURE,
	DEED_DROP,
};

/* struct gate - a chain, whose local end is the destination or the source, and what is done. way:
 * nft's key of the device that a packet goes by; `others`: what goes by ours is left alone. */
struct gate {
	struct nf_chain chain;
	bool inbound, others;
	uint32_t way;
	enum deed deed;
};

/* A flow is captured before others translate its destination, and again after others have set its
 * mark. It is dropped where its addresses are what the socket sees, or as the wire would. */
static const struct gate gates[] = {
	{.chain = {"output", "route", NF_INET_LOCAL_OUT, NF_PRIORITY_FIRST, NULL},
	 .way = NFT_META_OIFNAME,
	 .deed = DEED_CAPTURE},
	{.chain = {"output_last", "route", NF_INET_LOCAL_OUT, NF_PRIORITY_LAST, NULL},
	 .way = NFT_META_OIFNAME,
	 .deed = DEED_CAPTURE},
	{.chain = {"leave", "filter", NF_INET_POST_ROUTING, NF_PRIORITY_FIRST, NULL},
	 .others = true,
	 .way = NFT_META_OIFNAME,
	 .deed = DEED_DROP},
	{.chain = {"input", "filter", NF_INET_LOCAL_IN, NF_PRIORITY_LAST, NULL},
	 .inbound = true,
	 .others = true,
	 .way = NFT_META_IIFNAME,
	 .deed = DEED_DROP},
};

static struct nf_table table_of(const char *ifname)
{
	struct nf_table t = {.family = NFPROTO_INET};

	snprintf(t.name, sizeof(t.name), "latchkey-%s/flows", ifname);
	return t;
}

/* load_addr, load_port - of an end, into register `at`; where the next one begins. */
static uint32_t load_addr(struct nf_batch *b, const struct wire *w, bool dst, uint32_t at)
{
	nf_payload(b, NFT_PAYLOAD_NETWORK_HEADER, dst ? w->dst_at : w->src_at, w->addr_len, at);
	return at + w->addr_len / 4;
}

static uint32_t load_port(struct nf_batch *b, bool dst, uint32_t at)
{
	nf_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, dst ? 2 : 0, 2, at);
	return at + 1;
}

/* load_key - the packet's into the registers from 0 on. */
static void load_key(struct nf_batch *b, const struct wire *w, bool inbound)
{
	uint32_t at = 0;

	if (w->ends != ENDS_LOCAL_PORT)
		at = load_addr(b, w, inbound, at);
	at = load_port(b, inbound, at);
	if (w->ends == ENDS_BOTH)
		at = load_port(b, !inbound, load_addr(b, w, !inbound, at));
	nf_meta(b, NFT_META_L4PROTO, at);
}

static void capture(struct nf_batch *b)
{
	nf_meta(b, NFT_META_MARK, 0);
	nf_bitwise(b, 0, ~0u, HOST_MARK_CAPTURE);
	nf_meta_set(b, NFT_META_MARK, 0);
}

/* is_not - the packet does not go by this device. */
static void is_not(struct nf_batch *b, uint32_t key, const char *ifname)
{
	char name[IF_NAMESIZE] = {0};

	snprintf(name, sizeof(name), "%s", ifname);
	nf_meta(b, key, 0);
	nf_cmp(b, 0, false, name, sizeof(name));
}

static void add_gate_rule(struct nf_batch *b, const struct nf_table *t, const struct gate *g,
			  const struct wire *w, const char *ifname)
{
	nf_rule_begin(b, t, g->chain.name);
	if (g->others)
		is_not(b, g->way, ifname);
	if (w->ends != ENDS_BOTH) /* who is on this host may come to a listener */
		is_not(b, g->way, "lo");
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

static bool is_any(const struct ip_addr *a)
{
	return a->family == IP_NONE || ip_addr_is_any(a);
}

static enum ends ends_of(const struct flow *f)
{
	if (f->remote.family != IP_NONE)
		return ENDS_BOTH;
	return is_any(&f->local) ? ENDS_LOCAL_PORT : ENDS_LOCAL;
}

/* flow_ok - it is one, exactly, or the local end of a listener's. */
static bool flow_ok(const struct flow *f)
{
	if (!f->local_port || f->no_ports || !host_has_ports(f->proto))
		return false;
	if (ends_of(f) != ENDS_BOTH)
		return f->remote_port == 0;
	return !is_any(&f->local) && !is_any(&f->remote) && f->local.family == f->remote.family &&
	       f->remote_port;
}

static void put_end(uint8_t *at, const struct ip_addr *addr, uint16_t port, uint32_t len)
{
	struct be16 wire = be16_make(port);

	memcpy(at, addr->b, len);
	memcpy(at + len, &wire, sizeof(wire));
}

static void make_key(uint8_t key[static KEY_MAX], const struct flow *f, const struct wire *w)
{
	uint32_t len = w->ends == ENDS_LOCAL_PORT ? 0 : w->addr_len;

	memset(key, 0, KEY_MAX);
	put_end(key, &f->local, f->local_port, len);
	if (w->ends == ENDS_BOTH)
		put_end(key + len + 4, &f->remote, f->remote_port, len);
	key[w->set.key_len - 4] = f->proto;
}

/* has - the set is for such a flow; a port of any address of any family is in two. */
static bool has(const struct wire *w, const struct flow *f)
{
	enum ip_family family = w->nfproto == NFPROTO_IPV4 ? IP_V4 : IP_V6;

	return w->ends == ends_of(f) && (f->local.family == IP_NONE || f->local.family == family);
}

/* change - its elements. Errors: NOT_FOUND: they, or the table, are not there. */
static enum err change(struct host_linux *h, const struct nf_table *t, const struct flow *f,
		       bool add)
{
	uint8_t key[KEY_MAX];
	struct nf_batch b;

	nf_begin(&b);
	for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
		if (!has(&wires[i], f))
			continue;
		make_key(key, f, &wires[i]);
		if (add)
			nf_elem_add(&b, t, &wires[i].set, key);
		else
			nf_elem_del(&b, t, &wires[i].set, key);
	}
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

/* ---- what was left ----------------------------------------------------------------------------
 */

/* struct stray - the keys of a set that are to stay, in order, and those that are not among them.
 */
struct stray {
	size_t len;
	uint8_t *kept, *found;
	size_t num_kept, num_found;
	bool failed;
};

static int by_key(const void *a, const void *b, void *len)
{
	return memcmp(a, b, *(const size_t *)len);
}

static bool is_kept(const struct stray *s, const uint8_t *key)
{
	size_t lo = 0, hi = s->num_kept;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = memcmp(key, s->kept + mid * s->len, s->len);

		if (order == 0)
			return true;
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return false;
}

static void note_stray(void *arg, const uint8_t *key, size_t len)
{
	struct stray *s = arg;
	uint8_t *grown;

	if (s->failed || len != s->len || is_kept(s, key))
		return;
	grown = mem_grow(s->found, s->num_found + 1, s->len);
	if (!grown) {
		s->failed = true;
		return;
	}
	s->found = grown;
	memcpy(s->found + s->num_found++ * s->len, key, s->len);
}

static enum err find_strays(struct stray *s, const struct nf_table *t, const struct wire *w,
			    const struct flow *flows, size_t num)
{
	uint8_t key[KEY_MAX];
	enum err err;

	s->len = w->set.key_len;
	s->kept = mem_alloc_array(num + 1, s->len);
	if (!s->kept)
		return ERR_NOMEM;
	for (size_t i = 0; i < num; i++) {
		if (!has(w, &flows[i]))
			continue;
		make_key(key, &flows[i], w);
		memcpy(s->kept + s->num_kept++ * s->len, key, s->len);
	}
	qsort_r(s->kept, s->num_kept, s->len, by_key, &s->len);
	err = nf_set_each(t, w->set.name, note_stray, s);
	return s->failed ? ERR_NOMEM : err;
}

static enum err sweep(struct host_linux *h, const struct nf_table *t, const struct wire *w,
		      const struct flow *flows, size_t num)
{
	struct stray s = {0};
	enum err err = find_strays(&s, t, w, flows, num);
	struct nf_batch b;

	for (size_t i = 0; !err && i < s.num_found; i++) {
		nf_begin(&b);
		nf_elem_del(&b, t, &w->set, s.found + i * s.len);
		err = nf_commit(h, &b);
	}
	mem_free(s.kept);
	mem_free(s.found);
	return err;
}

static enum err remove_table(struct host_linux *h, const struct nf_table *t)
{
	struct nf_batch b;

	nf_begin(&b);
	/* Made first, so that it may be absent. */
	nf_table_add(&b, t);
	nf_table_del(&b, t);
	return nf_commit(h, &b);
}

enum err host_flow_guard_only(void *ctx, const char *ifname, const struct flow *flows, size_t num)
{
	struct nf_table t;
	enum err err = ERR_OK;

	if (!host_name_ok(ifname)) {
		errno = EINVAL;
		return ERR_INVAL;
	}
	t = table_of(ifname);
	if (num == 0)
		return remove_table(ctx, &t);
	for (size_t i = 0; !err && i < ARRAY_LEN(wires); i++)
		err = sweep(ctx, &t, &wires[i], flows, num);
	return err;
}
