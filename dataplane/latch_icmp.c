/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latch_icmp.c - ICMP errors about latched flows: a packet of ours is quoted, and what is said of
 * it counts from the flow's own peer alone (RFC 4301 6.2, RFC 5660 2.2). Thread: the worker.
 */
#include "dataplane/latch_flow.h"

#define ERROR_LEN    8 /* in front of what is quoted */
#define PORTS_LEN    4
#define EXT_MIN      8
#define EXT_MAX      8
#define ICMP4_ERRORS (1u << 3 | 1u << 4 | 1u << 5 | 1u << 11 | 1u << 12)
#define ICMP6_QUERY  0x80 /* a type with this bit is no error */

bool latch_is_error(const struct flow_entry *e)
{
	const uint8_t proto = (uint8_t)(e->id.what >> 32), type = (uint8_t)(e->id.what >> 8);

	if (e->id.what & FLOW_V6)
		return proto == IPPROTO_ICMPV6 && !(type & ICMP6_QUERY);
	return proto == IPPROTO_ICMP && type < 32 && ICMP4_ERRORS >> type & 1;
}

/* upper6 - where the payload behind the extension headers of the packet at h begins; *proto is what
 * it is. 0: it is not there, or shows no ports. */
static uint32_t upper6(const uint8_t *h, uint32_t len, uint8_t *proto)
{
	uint32_t at = IP6_LEN;

	*proto = len < IP6_LEN ? IPPROTO_NONE : h[6];
	for (int i = 0; i < EXT_MAX && at + EXT_MIN <= len; i++) {
		const uint8_t *ext = h + at;

		if (*proto == IPPROTO_FRAGMENT && load_be16(ext + 2) & 0xfff8)
			return 0;
		if (*proto != IPPROTO_FRAGMENT && *proto != IPPROTO_HOPOPTS &&
		    *proto != IPPROTO_ROUTING && *proto != IPPROTO_DSTOPTS)
			return at;
		at += *proto == IPPROTO_FRAGMENT ? EXT_MIN : EXT_MIN + ext[1] * 8u;
		*proto = ext[0];
	}
	return *proto != IPPROTO_NONE && at + PORTS_LEN <= len ? at : 0;
}

static uint32_t ports_at(const uint8_t *t)
{
	return load_be16(t) | (uint32_t)load_be16(t + 2) << 16;
}

/* quoted4, quoted6 - the flow of the packet that is quoted, which left from here. */
static bool quoted4(struct flow_id *out, const uint8_t *h, uint32_t len)
{
	uint32_t at = len < IP4_MIN_LEN ? 0 : (h[0] & 0x0fu) * 4;

	if (at < IP4_MIN_LEN || len < at + PORTS_LEN || h[0] >> 4 != 4 ||
	    load_be16(h + 6) & IP4_OFFSET_MASK)
		return false;
	flow_fill4(out, flow_addrs4(h, FLOW_OUT), h[9], ports_at(h + at), false);
	return true;
}

static bool quoted6(struct flow_id *out, const uint8_t *h, uint32_t len)
{
	uint8_t proto;
	uint32_t at = upper6(h, len, &proto);

	if (!at || h[0] >> 4 != 6)
		return false;
	*out = (struct flow_id){.what = ports_at(h + at) | (uint64_t)proto << 32 | FLOW_V6};
	memcpy(out->addr, h + 8, sizeof(out->addr));
	return true;
}

static bool quoted(struct flow_id *out, const struct packet *p)
{
	const bool v6 = p->data[0] >> 4 == 6;
	uint8_t proto;
	uint32_t at = v6 ? upper6(p->data, p->len, &proto) : (p->data[0] & 0x0fu) * 4;

	if (!at || p->len < at + ERROR_LEN)
		return false;
	at += ERROR_LEN;
	return v6 ? quoted6(out, p->data + at, p->len - at)
		  : quoted4(out, p->data + at, p->len - at);
}

enum drop_reason latch_error_in(const struct worker *w, const struct packet *p,
				const struct sa_conf *c)
{
	const struct latch *l;
	struct flow_id id;

	if (!quoted(&id, p))
		return DROP_NONE;
	flow_scope(&id, c->scope);
	l = latch_find(w->latches, &id);
	return l && latch_token(latch_get(l)) != c->token ? DROP_LATCH : DROP_NONE;
}
