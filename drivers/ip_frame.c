/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/ip_frame.h"

#include <netinet/in.h>

#include "drivers/ethernet.h"

#define V4_MIN_LEN       20
#define V4_PLAIN         0x45 /* version, and length without options */
#define V4_DF            0x4000
#define V4_FRAGMENT_MASK 0x3fff /* more fragments, and the offset */
#define V6_LEN           40
#define UDP_LEN          8
#define HOP_LIMIT        64
#define PORT_IKE         500
#define PORT_NAT         4500 /* RFC 3948 */

/* ---- Ethernet ------------------------------------------------------------------------------- */

bool frame_strip_ethernet(struct packet *p)
{
	bool v6;
	uint32_t len = ethernet_find_ip(p->data, p->len, &v6);

	p->data += len;
	p->len -= len;
	return len != 0;
}

bool frame_push_ethernet(struct packet *p)
{
	static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	uint8_t version = p->len ? p->data[0] >> 4 : 0;

	if ((version != IP_V4 && version != IP_V6) || packet_headroom(p) < FRAME_ETHERNET_LEN)
		return false;
	p->data -= FRAME_ETHERNET_LEN;
	p->len += FRAME_ETHERNET_LEN;
	memcpy(p->data, addresses, sizeof(addresses));
	store_be16(p->data + 12, version == IP_V4 ? ETHERTYPE_V4 : ETHERTYPE_V6);
	return true;
}

/* ---- off ------------------------------------------------------------------------------------ */

/* struct outer - what the IP header says. */
struct outer {
	struct path_addr from;
	uint32_t header_len, len; /* of the header; of header and payload */
	uint8_t tos, proto;
};

static bool read_v4(struct outer *o, const uint8_t *h, uint32_t len)
{
	if (len < V4_MIN_LEN)
		return false;
	o->header_len = (h[0] & 0x0fu) * 4;
	o->len = load_be16(h + 2);
	if (o->header_len < V4_MIN_LEN || o->len < o->header_len || o->len > len)
		return false;
	if (load_be16(h + 6) & V4_FRAGMENT_MASK)
		return false;
	o->tos = h[1];
	o->proto = h[9];
	o->from.remote.addr = ip_addr_v4(h + 12);
	o->from.local.addr = ip_addr_v4(h + 16);
	return true;
}

/* An extension header, of a fragment for example, is something else. */
static bool read_v6(struct outer *o, const uint8_t *h, uint32_t len)
{
	if (len < V6_LEN)
		return false;
	o->header_len = V6_LEN;
	o->len = V6_LEN + load_be16(h + 4);
	if (o->len > len)
		return false;
	o->tos = (uint8_t)(load_be16(h) >> 4);
	o->proto = h[6];
	o->from.remote.addr = ip_addr_v6(h + 8);
	o->from.local.addr = ip_addr_v6(h + 24);
	return true;
}

/* read_udp - the UDP header behind the IP header: header_len becomes that of both. */
static bool read_udp(struct outer *o, const uint8_t *h)
{
	const uint8_t *u = h + o->header_len;

	if (o->len - o->header_len < UDP_LEN)
		return false;
	uint32_t len = load_be16(u + 4);

	if (len < UDP_LEN || len > o->len - o->header_len)
		return false;
	o->from.remote.port = load_be16(u);
	o->from.local.port = load_be16(u + 2);
	if (o->from.local.port != PORT_IKE && o->from.local.port != PORT_NAT)
		return false;
	o->from.encap = o->from.local.port == PORT_NAT ? ENCAP_UDP : ENCAP_NONE;
	o->len = o->header_len + len;
	o->header_len += UDP_LEN;
	return true;
}

bool frame_strip_outer(struct packet *p)
{
	struct outer o = {.from.encap = ENCAP_NONE};
	uint8_t version = p->len ? p->data[0] >> 4 : 0;

	if (version == IP_V4 ? !read_v4(&o, p->data, p->len)
			     : version != IP_V6 || !read_v6(&o, p->data, p->len))
		return false;
	if (o.proto == IPPROTO_UDP ? !read_udp(&o, p->data) : o.proto != IPPROTO_ESP)
		return false;
	p->from = o.from;
	p->dscp_ecn = o.tos;
	p->data += o.header_len;
	p->len = o.len - o.header_len;
	return true;
}

/* ---- on ------------------------------------------------------------------------------------- */

/* add - the ones' complement sum of RFC 1071, continued: four bytes at a time in the machine's own
 * order, which the sum does not mind but for a swap at the end. */
static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t len)
{
	uint64_t native = 0;
	uint16_t swapped;
	uint32_t word;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, sizeof(word));
		native += word;
	}
	native = (native >> 32) + (native & 0xffffffff);
	native = (native >> 16) + (native & 0xffff);
	native = (native >> 16) + (native & 0xffff);
	swapped = (uint16_t)((native >> 16) + (native & 0xffff));
	sum += load_be16(&swapped);
	if (len > 1) {
		sum += load_be16(p);
		p += 2;
		len -= 2;
	}
	return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

static uint16_t folded(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~(sum + (sum >> 16));
}

static uint8_t *ip_of(struct frame_head *h)
{
	return h->bytes + FRAME_HEAD_MAX - h->ip_len;
}

static void init_udp(struct frame_head *h)
{
	uint8_t *u = h->bytes + FRAME_HEAD_MAX - UDP_LEN;

	store_be16(u, h->to->local.port);
	store_be16(u + 2, h->to->remote.port);
}

/* init_v4 - without lengths, identification, TOS and DF. */
static void init_v4(struct frame_head *h, uint8_t proto)
{
	uint8_t *ip = ip_of(h);

	ip[0] = V4_PLAIN;
	ip[8] = HOP_LIMIT;
	ip[9] = proto;
	memcpy(ip + 12, h->to->local.addr.b, 4);
	memcpy(ip + 16, h->to->remote.addr.b, 4);
	h->sum = add(0, ip, V4_MIN_LEN);
}

static void init_v6(struct frame_head *h, uint8_t proto)
{
	uint8_t *ip = ip_of(h);

	ip[6] = proto;
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, h->to->local.addr.b, 16);
	memcpy(ip + 24, h->to->remote.addr.b, 16);
}

bool frame_head_init(struct frame_head *h, const struct path_addr *to, bool udp_sum)
{
	uint8_t family = to->remote.addr.family;
	bool udp = to->remote.port != 0;
	uint8_t proto = udp ? IPPROTO_UDP : IPPROTO_ESP;

	if (family != IP_V4 && family != IP_V6)
		return false;
	*h = (struct frame_head){
		.family = family, .udp = udp, .udp_sum = udp_sum || family == IP_V6, .to = to};
	h->ip_len = (family == IP_V4 ? V4_MIN_LEN : V6_LEN) + (udp ? UDP_LEN : 0);
	h->len = h->ip_len;
	if (udp)
		init_udp(h);
	if (family == IP_V4)
		init_v4(h, proto);
	else
		init_v6(h, proto);
	return true;
}

void frame_head_ethernet(struct frame_head *h, const uint8_t macs[static 12])
{
	uint8_t *at = ip_of(h) - FRAME_ETHERNET_LEN;

	memcpy(at, macs, 12);
	store_be16(at + 12, h->family == IP_V4 ? ETHERTYPE_V4 : ETHERTYPE_V6);
	h->len = h->ip_len + FRAME_ETHERNET_LEN;
}

void frame_head_leave_sum(struct frame_head *h)
{
	const uint8_t *ip = ip_of(h);

	if (!h->udp || h->family != IP_V6)
		return;
	h->sum_left = true;
	h->sum = add(IPPROTO_UDP, ip + 8, 32);
}

/* leave_sum - the pseudo header's, with the length. */
static inline void leave_sum(uint8_t *u, const struct frame_head *h, struct packet *p, uint32_t len)
{
	store_be16(u + 6, (uint16_t)~folded(h->sum + len));
	p->flags |= PACKET_F_SUM;
}

/* sum_udp - of the datagram and both addresses. */
static void sum_udp(uint8_t *u, const struct path_addr *to, uint32_t len)
{
	uint32_t address_len = (uint32_t)ip_addr_len(&to->remote.addr);
	uint32_t sum = IPPROTO_UDP + len;
	uint16_t check;

	sum = add(sum, to->local.addr.b, address_len);
	sum = add(sum, to->remote.addr.b, address_len);
	check = folded(add(sum, u, len));
	store_be16(u + 6, check ? check : 0xffff);
}

/* finish_v4 - what differs: its first eight bytes at once, and what these add to the checksum. */
static inline void finish_v4(uint8_t *ip, const struct frame_head *h, const struct packet *p,
			     uint32_t len, uint16_t id)
{
	uint16_t df = p->flags & PACKET_F_DF ? V4_DF : 0;

	store_be64(ip, (uint64_t)V4_PLAIN << 56 | (uint64_t)p->dscp_ecn << 48 |
			       (uint64_t)len << 32 | (uint32_t)id << 16 | df);
	store_be16(ip + 10, folded(h->sum + p->dscp_ecn + len + id + df));
}

static inline void finish_v6(uint8_t *ip, const struct packet *p, uint32_t len)
{
	store_be32(ip, UINT32_C(6) << 28 | (uint32_t)p->dscp_ecn << 20);
	store_be16(ip + 4, (uint16_t)(len - V6_LEN));
}

bool frame_head_push(const struct frame_head *h, struct packet *p, uint16_t id)
{
	const uint32_t datagram_len = packet_whole_len(p) + UDP_LEN;
	uint32_t room = packet_headroom(p), len = packet_whole_len(p) + h->ip_len;
	uint8_t *ip = p->data - h->ip_len, *u = p->data - UDP_LEN;

	if (unlikely(room < h->len || len > 65535 || (p->open_len && h->udp && h->udp_sum)))
		return false;
	if (likely(room >= FRAME_HEAD_MAX)) /* of a constant length: in a few moves */
		memcpy(p->data - FRAME_HEAD_MAX, h->bytes, FRAME_HEAD_MAX);
	else
		memcpy(p->data - h->len, h->bytes + FRAME_HEAD_MAX - h->len, h->len);
	if (h->udp) {
		store_be16(u + 4, (uint16_t)datagram_len);
		if (h->sum_left)
			leave_sum(u, h, p, datagram_len);
		else if (h->udp_sum)
			sum_udp(u, h->to, datagram_len);
	}
	if (likely(h->family == IP_V4))
		finish_v4(ip, h, p, len, id);
	else
		finish_v6(ip, p, len);
	p->data -= h->len;
	p->len += h->len;
	return true;
}

bool frame_push_outer(struct packet *p, uint16_t id)
{
	struct frame_head h;

	return frame_head_init(&h, p->to, true) && frame_head_push(&h, p, id);
}
