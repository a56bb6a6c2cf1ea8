/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/flow.h"

#include <netinet/in.h>

#define IP4_MIN_LEN     20
#define IP6_LEN         40
#define IP4_OFFSET_MASK 0x1fff
#define IP6_OFFSET_MASK 0xfff8
#define EXT_MAX         8 /* IPv6 extension headers before the protocol */

/* read_ports - of the transport header at t, len bytes long. */
static bool read_ports(struct flow_key *k, const uint8_t *t, uint32_t len, enum flow_dir dir)
{
	uint16_t src, dst;

	switch (k->flow.proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		if (unlikely(len < 4))
			return false;
		src = load_be16(t);
		dst = load_be16(t + 2);
		k->flow.local_port = dir == FLOW_OUT ? src : dst;
		k->flow.remote_port = dir == FLOW_OUT ? dst : src;
		return true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (unlikely(len < 2))
			return false;
		k->flow.local_port = load_be16(t);
		return true;
	default:
		return true;
	}
}

static bool parse_v4(struct flow_key *k, struct packet *p, enum flow_dir dir)
{
	const uint8_t *h = p->data;

	if (unlikely(p->len < IP4_MIN_LEN))
		return false;
	uint32_t header_len = (h[0] & 0x0fu) * 4;
	uint32_t len = load_be16(h + 2);

	if (unlikely(header_len < IP4_MIN_LEN || len < header_len || len > p->len))
		return false;
	p->len = len;
	k->flow.local.family = k->flow.remote.family = IP_V4;
	memcpy(k->flow.local.b, h + (dir == FLOW_OUT ? 12 : 16), 4);
	memcpy(k->flow.remote.b, h + (dir == FLOW_OUT ? 16 : 12), 4);
	k->flow.proto = h[9];
	if (unlikely(load_be16(h + 6) & IP4_OFFSET_MASK)) {
		k->no_ports = 1;
		return true;
	}
	return read_ports(k, h + header_len, len - header_len, dir);
}

/* skip_ext - step over one extension header at *at; false if it does not fit. *proto becomes what
 * follows; no_ports is set behind a fragment header that is not the first fragment's. */
static bool skip_ext(struct flow_key *k, const struct packet *p, uint32_t *at, uint8_t *proto)
{
	const uint8_t *h = p->data + *at;
	uint32_t len = 8;

	if (p->len - *at < len)
		return false;
	if (*proto == IPPROTO_FRAGMENT)
		k->no_ports = (load_be16(h + 2) & IP6_OFFSET_MASK) != 0;
	else
		len = 8 + h[1] * 8u;
	if (p->len - *at < len)
		return false;
	*proto = h[0];
	*at += len;
	return true;
}

static bool is_ext(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_FRAGMENT ||
	       proto == IPPROTO_DSTOPTS;
}

static bool parse_v6(struct flow_key *k, struct packet *p, enum flow_dir dir)
{
	const uint8_t *h = p->data;

	if (unlikely(p->len < IP6_LEN))
		return false;
	uint32_t len = IP6_LEN + load_be16(h + 4);
	uint32_t at = IP6_LEN;
	uint8_t proto = h[6];

	if (unlikely(len > p->len))
		return false;
	p->len = len;
	k->flow.local.family = k->flow.remote.family = IP_V6;
	memcpy(k->flow.local.b, h + (dir == FLOW_OUT ? 8 : 24), 16);
	memcpy(k->flow.remote.b, h + (dir == FLOW_OUT ? 24 : 8), 16);
	for (int i = 0; is_ext(proto) && !k->no_ports; i++) {
		if (i == EXT_MAX || !skip_ext(k, p, &at, &proto))
			return false;
	}
	k->flow.proto = proto;
	return k->no_ports || read_ports(k, h + at, len - at, dir);
}

bool flow_parse(struct flow_key *out, struct packet *p, enum flow_dir dir)
{
	memset(out, 0, sizeof(*out));
	if (unlikely(p->len == 0))
		return false;
	switch (p->data[0] >> 4) {
	case 4:
		return parse_v4(out, p, dir);
	case 6:
		return parse_v6(out, p, dir);
	default:
		return false;
	}
}

static bool any_or_opaque(const struct ts *t)
{
	return (t->port_lo == 0 && t->port_hi == 0xffff) ||
	       (t->port_lo == 0xffff && t->port_hi == 0);
}

static bool match_one(const struct flow_key *key, const struct ip_addr *addr, uint16_t port,
		      const struct ts *ts, uint32_t num)
{
	for (uint32_t i = 0; i < num; i++) {
		if (key->no_ports && !any_or_opaque(&ts[i]))
			continue;
		if (ts_match(&ts[i], addr, key->flow.proto, port))
			return true;
	}
	return false;
}

bool flow_match(const struct flow_key *key, const struct ts *local, uint32_t num_local,
		const struct ts *remote, uint32_t num_remote)
{
	const struct flow *f = &key->flow;
	bool icmp = f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6;

	return match_one(key, &f->local, f->local_port, local, num_local) &&
	       match_one(key, &f->remote, icmp ? f->local_port : f->remote_port, remote,
			 num_remote);
}

bool flow_selectors_valid(const struct ts *ts, uint32_t num)
{
	if (num < 1 || num > FLOW_MAX_SELECTORS || !ts)
		return false;
	for (uint32_t i = 0; i < num; i++) {
		if (!ts_valid(&ts[i]))
			return false;
	}
	return true;
}
