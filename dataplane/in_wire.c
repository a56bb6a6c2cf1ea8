/* SPDX-License-Identifier: Apache-2.0 */
/* What is no datagram yet, or none at all: IP packets as they came from the wire, and what was told
 * of one that we sent. */
#include "dataplane/passes.h"

#include <netinet/in.h>

#define UDP_LEN        8
#define IKE_PORT       500
#define ICMP_LEN       8
#define ICMP_NEEDS_CUT 0x0304 /* type and code (RFC 1191 4) */
#define ICMP6_TOO_BIG  0x0200 /* RFC 4443 3.2 */
#define ESP_QUOTED_LEN 8      /* SPI and sequence number */

/* struct outer - what an outer IP header says. */
struct outer {
	struct ip_addr src, dst;
	uint8_t proto;
	uint8_t tos;
	uint32_t at, end; /* of the payload */
};

static bool parse_outer(struct outer *o, const uint8_t *h, uint32_t len)
{
	if (len >= IP4_MIN_LEN && h[0] >> 4 == 4) {
		*o = (struct outer){.src = ip_addr_v4(h + 12),
				    .dst = ip_addr_v4(h + 16),
				    .proto = h[9],
				    .tos = h[1],
				    .at = (h[0] & 0x0fu) * 4,
				    .end = load_be16(h + 2)};
		return o->at >= IP4_MIN_LEN && o->at <= o->end;
	}
	if (len < IP6_LEN || h[0] >> 4 != 6)
		return false;
	*o = (struct outer){.src = ip_addr_v6(h + 8),
			    .dst = ip_addr_v6(h + 24),
			    .proto = h[6],
			    .tos = (uint8_t)(load_be16(h) >> 4),
			    .at = IP6_LEN,
			    .end = IP6_LEN + load_be16(h + 4)};
	return true;
}

/* set_from - the ports of UDP, whose header is at u and ours is `local`; 500 has no marker. */
static void set_ports(struct path_addr *a, uint16_t local, uint16_t remote)
{
	a->local.port = local;
	a->remote.port = remote;
	a->encap = local == IKE_PORT ? ENCAP_NONE : ENCAP_UDP;
}

/* datagram - p becomes what its IP packet carries to us, UDP or ESP. UDP's checksum is not looked
 * at: what counts is authenticated (RFC 3948 3.1.2). */
static enum drop_reason datagram(struct packet *p, const struct outer *o)
{
	const uint8_t *u = p->data + o->at;

	p->from.local.addr = o->dst;
	p->from.remote.addr = o->src;
	p->dscp_ecn = o->tos;
	p->flags &= (uint8_t)~PACKET_F_IP;
	p->len = o->end;
	if (o->proto == IPPROTO_ESP) {
		p->data += o->at;
		p->len -= o->at;
		return DROP_NONE;
	}
	if (o->proto != IPPROTO_UDP || o->end - o->at < UDP_LEN)
		return DROP_OUTER;
	uint32_t len = load_be16(u + 4);

	if (len < UDP_LEN || len > o->end - o->at)
		return DROP_OUTER;
	set_ports(&p->from, load_be16(u + 2), load_be16(u));
	p->data += o->at + UDP_LEN;
	p->len = len - UDP_LEN;
	return DROP_NONE;
}

/* quoted - p is an ICMP message that quotes a packet of ours: it becomes what the message tells.
 * The quoted packet may be cut anywhere behind what is looked at. */
static enum drop_reason quoted(struct packet *p, const struct outer *o, uint32_t mtu)
{
	uint32_t at = o->at + ICMP_LEN;
	struct outer mine;

	if (o->end < at || !parse_outer(&mine, p->data + at, o->end - at))
		return DROP_OUTER;
	at += mine.at;
	if (o->end < at + UDP_LEN || (mine.proto != IPPROTO_ESP && mine.proto != IPPROTO_UDP))
		return DROP_OUTER;
	p->from = (struct path_addr){.local.addr = mine.src, .remote.addr = mine.dst};
	if (mine.proto == IPPROTO_UDP) {
		set_ports(&p->from, load_be16(p->data + at), load_be16(p->data + at + 2));
		at += UDP_LEN;
	}
	p->flags = (uint8_t)((p->flags & ~PACKET_F_IP) | PACKET_F_TOLD);
	p->mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
	p->len = o->end - at;
	p->data += at;
	return DROP_NONE;
}

/* open_ip - p, a whole IP packet, becomes a datagram or what it tells. */
static enum drop_reason open_ip(struct packet *p)
{
	struct outer o;

	if (!parse_outer(&o, p->data, p->len) || o.end > p->len)
		return DROP_OUTER;
	bool icmp = o.end - o.at >= ICMP_LEN;
	const uint8_t *h = p->data + o.at;

	if (icmp && o.proto == IPPROTO_ICMP && load_be16(h) == ICMP_NEEDS_CUT)
		return quoted(p, &o, load_be16(h + 6));
	if (icmp && o.proto == IPPROTO_ICMPV6 && load_be16(h) == ICMP6_TOO_BIG)
		return quoted(p, &o, load_be32(h + 4));
	return datagram(p, &o);
}

/* report - to the control thread, which knows what we sent; not more often than it can judge. */
static void report(struct worker *w, struct packet *p)
{
	bool shows = p->len >= ESP_QUOTED_LEN;
	struct dp_event ev = {
		.kind = DP_EVENT_TOLD,
		.port = p->port,
		.path = p->from,
		.mtu = p->mtu,
		.spi = shows ? load_be32(p->data) : 0,
		.seq = shows ? load_be32(p->data + 4) : 0,
		.trusted = (p->flags & PACKET_F_TRUSTED) != 0,
		.time_ns = w->now_ns,
	};

	if (worker_may(w, &w->hear, WORKER_HEARS) && !events_push(&w->events, &ev, NULL)) {
		worker_drop(w, p, DROP_PUNT_FULL);
		return;
	}
	worker_drop(w, p, DROP_TOLD);
}

struct packet *in_wire(struct worker *w, struct packet *p)
{
	if (p->flags & PACKET_F_IP) {
		struct fragment f;
		enum drop_reason why = DROP_FRAGMENT_MALFORMED;
		enum fragment_kind kind = fragment_parse(&f, p->data, p->len);

		if (kind == FRAGMENT_PART) {
			p->flags |= PACKET_F_FRAGMENT;
			p = pass_join(w, p, REASM_WIRE);
			if (!p)
				return NULL;
		}
		if (kind != FRAGMENT_MALFORMED)
			why = open_ip(p);
		if (why != DROP_NONE) {
			worker_drop(w, p, why);
			return NULL;
		}
		p->flags &= (uint8_t)~PACKET_F_JOINED; /* that was the outer packet */
	}
	if (!(p->flags & PACKET_F_TOLD))
		return p;
	report(w, p);
	return NULL;
}
