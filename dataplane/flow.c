/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/flow.h"

#include <netinet/in.h>

#include "dataplane/fragment.h"

#define IP6_OFFSET_MASK 0xfff8
#define IP6_PART_MASK   0xfff9 /* offset, and more to come */
#define EXT_MAX         8      /* IPv6 extension headers before the protocol */

/* read_ports - of the transport header at t, len bytes long: local | remote << 16. A protocol that
 * has none is as if they were not known: a range that begins at 0 does not admit it. */
static inline bool read_ports(uint32_t *ports, bool *no_ports, uint8_t proto, const uint8_t *t,
			      uint32_t len, enum flow_dir dir)
{
	uint32_t src, dst;

	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		if (unlikely(len < 4))
			return false;
		src = load_be16(t);
		dst = load_be16(t + 2);
		*ports = dir == FLOW_OUT ? src | dst << 16 : dst | src << 16;
		return true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (unlikely(len < 2))
			return false;
		*ports = load_be16(t);
		return true;
	case IPPROTO_MH: /* the type, as both ends' port (RFC 4301 4.4.1.1) */
		if (unlikely(len < 3))
			return false;
		*ports = (uint32_t)t[2] << 8;
		return true;
	default:
		*no_ports = true;
		return true;
	}
}

struct flow_key flow_key(const struct flow_id *id)
{
	const uint8_t *addr = (const uint8_t *)id->addr;
	bool v6 = id->what & FLOW_V6, no_ports = id->what & FLOW_NO_PORTS;

	return (struct flow_key){
		.flow = {.local = v6 ? ip_addr_v6(addr) : ip_addr_v4(addr),
			 .remote = v6 ? ip_addr_v6(addr + 16) : ip_addr_v4(addr + 4),
			 .local_port = (uint16_t)id->what,
			 .remote_port = (uint16_t)(id->what >> 16),
			 .proto = (uint8_t)(id->what >> 32)},
		.no_ports = no_ports,
		.scope = (uint16_t)(id->what >> 48),
	};
}

static inline bool parse_v4(struct flow_id *id, struct packet *p, enum flow_dir dir)
{
	const uint8_t *h = p->data;

	if (unlikely(p->len < IP4_MIN_LEN))
		return false;
	uint32_t header_len = (h[0] & 0x0fu) * 4;
	uint32_t len = load_be16(h + 2);
	uint32_t field = load_be16(h + 6);
	bool no_ports = (field & IP4_OFFSET_MASK) != 0;
	uint32_t ports = 0;

	if (unlikely(header_len < IP4_MIN_LEN || len < header_len || len > p->len))
		return false;
	if (likely(!no_ports) &&
	    !read_ports(&ports, &no_ports, h[9], h + header_len, len - header_len, dir))
		return false;
	p->len = len;
	p->flags |= field & (IP4_MF | IP4_OFFSET_MASK) ? PACKET_F_FRAGMENT : 0;
	flow_fill4(id, flow_addrs4(h, dir), h[9], ports, no_ports);
	return true;
}

/* skip_ext - step over one extension header at *at; false if it does not fit. *proto becomes what
 * follows; *no_ports is set behind a fragment header that is not the first fragment's. */
static bool skip_ext(bool *no_ports, struct packet *p, uint32_t *at, uint8_t *proto)
{
	const uint8_t *h = p->data + *at;
	uint32_t len = 8;

	if (p->len - *at < len)
		return false;
	if (*proto == IPPROTO_FRAGMENT) {
		*no_ports = (load_be16(h + 2) & IP6_OFFSET_MASK) != 0;
		p->flags |= load_be16(h + 2) & IP6_PART_MASK ? PACKET_F_FRAGMENT : 0;
	} else {
		len = 8 + h[1] * 8u;
	}
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

static bool parse_v6(struct flow_id *id, struct packet *p, enum flow_dir dir)
{
	const uint8_t *h = p->data;

	if (unlikely(p->len < IP6_LEN))
		return false;
	uint32_t len = IP6_LEN + load_be16(h + 4);
	uint32_t at = IP6_LEN, ports = 0;
	bool no_ports = false;
	uint8_t proto = h[6];

	if (unlikely(len > p->len))
		return false;
	p->len = len;
	for (int i = 0; is_ext(proto) && !no_ports; i++) {
		if (i == EXT_MAX || !skip_ext(&no_ports, p, &at, &proto))
			return false;
	}
	if (likely(!no_ports) && !read_ports(&ports, &no_ports, proto, h + at, len - at, dir))
		return false;
	id->what = ports | (uint64_t)proto << 32 | FLOW_V6 | (no_ports ? FLOW_NO_PORTS : 0);
	memcpy(id->addr, h + (dir == FLOW_OUT ? 8 : 24), 16);
	memcpy(id->addr + 2, h + (dir == FLOW_OUT ? 24 : 8), 16);
	return true;
}

bool flow_parse(struct flow_id *out, struct packet *p, enum flow_dir dir)
{
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

bool flow_match(const struct flow_key *key, const struct ts *local, uint32_t num_local,
		const struct ts *remote, uint32_t num_remote)
{
	struct flow f = key->flow;

	f.no_ports = key->no_ports != 0;
	return flow_within(&f, local, num_local, remote, num_remote);
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
