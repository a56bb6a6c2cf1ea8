/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/lane/sort.h"

#include <netinet/in.h>

#define ETHERNET_LEN     14
#define ETHERTYPE_V4     0x0800
#define ETHERTYPE_V6     0x86dd
#define V4_LEN           20
#define V4_FRAGMENT_MASK 0x3fff /* more fragments, and the offset */
#define V6_LEN           40
#define UDP_LEN          8
#define ICMP_LEN         8
#define ESP_LEN          8
#define ICMP6_NO_ERROR   128
#define ND_FIRST         133 /* ICMPv6 types of neighbour discovery (RFC 4861) */
#define ND_LAST          137

/* struct ip - what an IP header at h says; at, end: of what it carries. */
struct ip {
	const uint8_t *h;
	uint8_t family, proto, tos, ttl;
	bool plain; /* without options or extension headers that routers look at; no fragment */
	uint32_t at, end;
};

static inline const uint8_t *src_of(const struct ip *ip)
{
	return ip->h + (ip->family == IP_V4 ? 12 : 8);
}

static inline const uint8_t *dst_of(const struct ip *ip)
{
	return ip->h + (ip->family == IP_V4 ? 16 : 24);
}

static inline bool parse_v4(struct ip *ip, const uint8_t *h, uint32_t len)
{
	uint32_t header_len = (h[0] & 0x0fu) * 4;

	if (header_len < V4_LEN || header_len > len)
		return false;
	*ip = (struct ip){
		.h = h,
		.family = IP_V4,
		.proto = h[9],
		.tos = h[1],
		.ttl = h[8],
		.plain = header_len == V4_LEN && !(load_be16(h + 6) & V4_FRAGMENT_MASK),
		.at = header_len,
		.end = load_be16(h + 2),
	};
	return ip->end >= header_len;
}

static inline bool parse_v6(struct ip *ip, const uint8_t *h, uint32_t len)
{
	if (len < V6_LEN)
		return false;
	*ip = (struct ip){
		.h = h,
		.family = IP_V6,
		.proto = h[6],
		.tos = (uint8_t)(load_be16(h) >> 4),
		.ttl = h[7],
		.plain = h[6] != IPPROTO_HOPOPTS && h[6] != IPPROTO_FRAGMENT &&
			 h[6] != IPPROTO_ROUTING,
		.at = V6_LEN,
		.end = V6_LEN + load_be16(h + 4),
	};
	return true;
}

/* parse - the header of an IP packet that may be cut off behind it. */
static ALWAYS_INLINE bool parse(struct ip *ip, const uint8_t *h, uint32_t len)
{
	if (len < V4_LEN)
		return false;
	if (likely(h[0] >> 4 == IP_V4))
		return parse_v4(ip, h, len);
	return h[0] >> 4 == IP_V6 && parse_v6(ip, h, len);
}

/* parse_frame - that of a whole packet in a frame, whose type agrees. */
static ALWAYS_INLINE bool parse_frame(struct ip *ip, const struct packet *p)
{
	if (p->len < ETHERNET_LEN + V4_LEN)
		return false;
	uint16_t type = load_be16(p->data + 12);
	const uint8_t *h = p->data + ETHERNET_LEN;

	return type == (h[0] >> 4 == IP_V4 ? ETHERTYPE_V4 : ETHERTYPE_V6) &&
	       parse(ip, h, p->len - ETHERNET_LEN) && ip->end <= p->len - ETHERNET_LEN;
}

/* header_sum_ok - RFC 791 3.1, of a header without options; all ones in any order of the bytes. */
static inline bool header_sum_ok(const uint8_t *h)
{
	uint64_t a, b, sum;
	uint32_t c;

	memcpy(&a, h, sizeof(a));
	memcpy(&b, h + 8, sizeof(b));
	memcpy(&c, h + 16, sizeof(c));
	sum = (a >> 32) + (uint32_t)a + (b >> 32) + (uint32_t)b + c;
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)(sum + (sum >> 16)) == 0xffff;
}

/* add_to_sum - RFC 1624 3: never 0xffff, which no sum over a header is. */
static void add_to_sum(uint8_t *at, uint32_t add)
{
	uint32_t sum = load_be16(at) + add;

	store_be16(at, (uint16_t)(sum + (sum >= 0xffff)));
}

void lane_ttl_less(uint8_t *h)
{
	if (h[0] >> 4 == IP_V6) {
		h[7]--;
		return;
	}
	h[8]--;
	add_to_sum(h + 10, 0x0100);
}

void lane_ttl_more(uint8_t *h)
{
	if (h[0] >> 4 == IP_V6) {
		h[7]++;
		return;
	}
	h[8]++;
	add_to_sum(h + 10, 0xfeff);
}

/* ---- addresses ------------------------------------------------------------------------------ */

/* stays_on_link - not to be forwarded: multicast, link-local, loopback, none. */
static bool stays_on_link(uint8_t family, const uint8_t *a)
{
	if (family == IP_V4)
		return a[0] >= 224 || a[0] == 127 || a[0] == 0 || (a[0] == 169 && a[1] == 254);
	if (a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80))
		return true;
	return load_be64(a) == 0 && load_be64(a + 8) <= 1;
}

/* is_local - an address of the host. */
static bool is_local(const struct lane_sort *s, uint8_t family, const uint8_t *a)
{
	return fib_find(s->fib, family, a)->local;
}

static __attribute__((noinline)) void learn_pair(struct lane_sort *s, const struct ip *ip)
{
	const uint8_t *src = src_of(ip), *dst = dst_of(ip);
	bool v4 = ip->family == IP_V4;
	struct lane_pair *pair = &s->last;

	*pair = (struct lane_pair){
		.family = ip->family,
		.stays = stays_on_link(ip->family, dst) || stays_on_link(ip->family, src),
		.local = is_local(s, ip->family, dst),
		.from = {.local.addr = v4 ? ip_addr_v4(dst) : ip_addr_v6(dst),
			 .remote.addr = v4 ? ip_addr_v4(src) : ip_addr_v6(src),
			 .ifindex = s->ifindex,
			 .encap = ENCAP_NONE},
	};
	/* They lie side by side in either header. */
	memcpy(pair->word, src, v4 ? 8 : sizeof(pair->word));
}

static inline bool is_pair(const struct lane_pair *pair, const struct ip *ip)
{
	uint64_t w[4];

	if (pair->family != ip->family)
		return false;
	memcpy(&w[0], src_of(ip), 8);
	if (ip->family == IP_V4)
		return w[0] == pair->word[0];
	memcpy(&w[1], src_of(ip) + 8, 8);
	memcpy(&w[2], src_of(ip) + 16, 8);
	memcpy(&w[3], src_of(ip) + 24, 8);
	return ((w[0] ^ pair->word[0]) | (w[1] ^ pair->word[1]) | (w[2] ^ pair->word[2]) |
		(w[3] ^ pair->word[3])) == 0;
}

/* ---- from the wire -------------------------------------------------------------------------- */

/* is_esp_in_udp - a UDP header at u, len bytes up to the packet's end: RFC 3948 2. IKE and
 * keepalives are the host's. */
static bool is_esp_in_udp(const uint8_t *u, uint32_t len, uint16_t port)
{
	if (len < UDP_LEN + ESP_LEN || load_be16(u + 2) != port)
		return false;
	uint32_t udp_len = load_be16(u + 4);

	return udp_len >= UDP_LEN + ESP_LEN && udp_len <= len && load_be32(u + UDP_LEN) != 0;
}

/* copy_addresses - in four moves: of so many bytes the compiler makes a string instruction, which
 * takes longer to begin than these to end. */
static inline void copy_addresses(struct path_addr *to, const struct path_addr *from)
{
	uint8_t *t = (uint8_t *)to;
	const uint8_t *f = (const uint8_t *)from;

	static_assert(sizeof(*to) == 56, "three moves of 16 bytes, one of 8");
	memcpy(t, f, 16);
	memcpy(t + 16, f + 16, 16);
	memcpy(t + 32, f + 32, 16);
	memcpy(t + 48, f + 48, 8);
}

/* take_esp - p becomes the ESP packet. */
static inline enum lane_way take_esp(struct packet *p, const struct ip *ip,
				     const struct lane_pair *pair)
{
	uint32_t at = ip->at, end = ip->end;

	copy_addresses(&p->from, &pair->from);
	if (ip->proto == IPPROTO_UDP) {
		const uint8_t *u = ip->h + at;

		p->from.remote.port = load_be16(u);
		p->from.local.port = load_be16(u + 2);
		p->from.encap = ENCAP_UDP;
		end = at + load_be16(u + 4);
		at += UDP_LEN;
	}
	p->dscp_ecn = ip->tos;
	p->data += ETHERNET_LEN + at;
	p->len = end - at;
	return LANE_OUTER;
}

/* quotes_esp - an ICMP message of len bytes at m is an error about ESP that we sent. */
static bool quotes_esp(const uint8_t *m, uint32_t len, bool v6, const struct lane_sort *s)
{
	struct ip mine;

	if (len < ICMP_LEN)
		return false;
	if (v6 ? m[0] >= ICMP6_NO_ERROR : m[0] != 3 && m[0] != 4 && m[0] != 11 && m[0] != 12)
		return false;
	if (!parse(&mine, m + ICMP_LEN, len - ICMP_LEN) || !is_local(s, mine.family, src_of(&mine)))
		return false;
	if (mine.proto == IPPROTO_ESP)
		return true;
	uint32_t at = ICMP_LEN + mine.at;

	if (mine.proto != IPPROTO_UDP || len < at + UDP_LEN || load_be16(m + at) != s->port_nat_t)
		return false;
	/* Of IKE the host's socket is told. */
	return len < at + UDP_LEN + 4 || load_be32(m + at + UDP_LEN) != 0;
}

/* take_told - an ICMP message for us: what it says of ESP is the data path's, all else the host's.
 */
static enum lane_way take_told(struct packet *p, const struct ip *ip, const struct lane_sort *s)
{
	bool v6 = ip->family == IP_V6;

	if ((ip->proto == IPPROTO_ICMPV6) != v6 ||
	    !quotes_esp(ip->h + ip->at, ip->end - ip->at, v6, s))
		return LANE_HOST;
	p->data += ETHERNET_LEN;
	p->len = ip->end;
	p->flags |= PACKET_F_IP;
	p->from.ifindex = s->ifindex;
	return LANE_TOLD;
}

static inline enum lane_way for_us(struct packet *p, const struct ip *ip,
				   const struct lane_pair *pair, const struct lane_sort *s)
{
	uint32_t len = ip->end - ip->at;

	switch (ip->proto) {
	case IPPROTO_ESP:
		return len >= ESP_LEN ? take_esp(p, ip, pair) : LANE_HOST;
	case IPPROTO_UDP:
		return is_esp_in_udp(ip->h + ip->at, len, s->port_nat_t) ? take_esp(p, ip, pair)
									 : LANE_HOST;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return take_told(p, ip, s);
	default:
		return LANE_HOST;
	}
}

/* sort_ip - of a family that is known where it is called. */
static ALWAYS_INLINE enum lane_way sort_ip(struct packet *p, struct lane_sort *s, uint8_t family)
{
	const uint8_t *h = p->data + ETHERNET_LEN;
	uint32_t len = p->len - ETHERNET_LEN;
	const struct lane_pair *pair = &s->last;
	struct ip ip;

	if (h[0] >> 4 != family || !(family == IP_V4 ? parse_v4 : parse_v6)(&ip, h, len) ||
	    ip.end > len || !ip.plain)
		return LANE_HOST;
	if (family == IP_V4 && !(p->flags & PACKET_F_HEAD_OK) && !header_sum_ok(h))
		return LANE_HOST;
	/* Frames come in runs between the same two; others cost a look-up. */
	if (unlikely(!is_pair(pair, &ip)))
		learn_pair(s, &ip);
	if (unlikely(pair->stays))
		return LANE_HOST;
	if (pair->local)
		return for_us(p, &ip, pair, s);
	if (ip.ttl <= 1) /* the host says so to its sender */
		return LANE_HOST;
	p->data += ETHERNET_LEN;
	p->len = ip.end;
	lane_ttl_less(p->data);
	return LANE_INNER;
}

static inline bool is_to(const uint8_t *frame, const uint8_t mac[static 6])
{
	uint32_t a, b;
	uint16_t c, d;

	memcpy(&a, frame, sizeof(a));
	memcpy(&b, mac, sizeof(b));
	memcpy(&c, frame + sizeof(a), sizeof(c));
	memcpy(&d, mac + sizeof(a), sizeof(d));
	return ((a ^ b) | (uint32_t)(c ^ d)) == 0;
}

enum lane_way lane_sort_wire(struct packet *p, struct lane_sort *s)
{
	if (unlikely(!s->fib) || p->len < ETHERNET_LEN + V4_LEN || !is_to(p->data, s->mac))
		return LANE_HOST;
	uint16_t type = load_be16(p->data + 12);

	if (likely(type == ETHERTYPE_V4))
		return sort_ip(p, s, IP_V4);
	return type == ETHERTYPE_V6 ? sort_ip(p, s, IP_V6) : LANE_HOST;
}

/* ---- from the host -------------------------------------------------------------------------- */

/* is_ours - IKE and ESP by our own sockets. */
static bool is_ours(const struct packet *p, const struct ip *ip, const struct lane_sort *s)
{
	const uint8_t *u = p->data + ETHERNET_LEN + ip->at;

	if (!is_local(s, ip->family, src_of(ip)))
		return false;
	if (ip->proto == IPPROTO_ESP)
		return true;
	if (ip->proto != IPPROTO_UDP || !ip->plain || ip->end - ip->at < UDP_LEN)
		return false;
	return load_be16(u) == s->port_ike || load_be16(u) == s->port_nat_t;
}

/* is_discovery - RFC 4861; it goes no further than the link (hop limit 255). */
static bool is_discovery(const struct packet *p, const struct ip *ip)
{
	const uint8_t *m = p->data + ETHERNET_LEN + ip->at;

	return ip->family == IP_V6 && ip->proto == IPPROTO_ICMPV6 && ip->ttl == 255 &&
	       ip->end > ip->at && m[0] >= ND_FIRST && m[0] <= ND_LAST;
}

bool lane_sort_host(struct packet *p, const struct lane_sort *s)
{
	struct ip ip;

	if (p->len < ETHERNET_LEN)
		return false;
	uint16_t type = load_be16(p->data + 12);

	if (type != ETHERTYPE_V4 && type != ETHERTYPE_V6)
		return false;
	if (parse_frame(&ip, p) && (stays_on_link(ip.family, dst_of(&ip)) || is_discovery(p, &ip) ||
				    (s->fib && is_ours(p, &ip, s))))
		return false;
	/* What is no IP packet the policies will not pass either. */
	p->data += ETHERNET_LEN;
	p->len -= ETHERNET_LEN;
	return true;
}
