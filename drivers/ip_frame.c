/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/ip_frame.h"

#include <netinet/in.h>

#define ETHERTYPE_V4     0x0800
#define ETHERTYPE_V6     0x86dd
#define ETHERTYPE_VLAN   0x8100
#define ETHERTYPE_VLAN_S 0x88a8
#define VLAN_TAG_LEN     4
#define VLAN_TAGS_MAX    2

#define V4_MIN_LEN       20
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
	uint32_t len = FRAME_ETHERNET_LEN;

	for (int tags = 0;; tags++) {
		if (p->len < len)
			return false;
		uint16_t type = load_be16(p->data + len - 2);

		if (type == ETHERTYPE_V4 || type == ETHERTYPE_V6)
			break;
		if ((type != ETHERTYPE_VLAN && type != ETHERTYPE_VLAN_S) || tags == VLAN_TAGS_MAX)
			return false;
		len += VLAN_TAG_LEN;
	}
	p->data += len;
	p->len -= len;
	return true;
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

/* write_udp - in front of payload_len bytes; its checksum covers both addresses too. */
static void write_udp(uint8_t *u, const struct path_addr *to, uint32_t payload_len)
{
	uint32_t address_len = (uint32_t)ip_addr_len(&to->remote.addr);
	uint32_t len = UDP_LEN + payload_len;
	uint32_t sum = IPPROTO_UDP + len;
	uint16_t check;

	store_be16(u, to->local.port);
	store_be16(u + 2, to->remote.port);
	store_be16(u + 4, (uint16_t)len);
	store_be16(u + 6, 0);
	sum = add(sum, to->local.addr.b, address_len);
	sum = add(sum, to->remote.addr.b, address_len);
	check = folded(add(sum, u, len));
	store_be16(u + 6, check ? check : 0xffff);
}

static void write_v4(uint8_t *h, const struct packet *p, uint32_t len, uint8_t proto, uint16_t id)
{
	memset(h, 0, V4_MIN_LEN);
	h[0] = 0x45;
	h[1] = p->dscp_ecn;
	store_be16(h + 2, (uint16_t)len);
	store_be16(h + 4, id);
	store_be16(h + 6, p->flags & PACKET_F_DF ? V4_DF : 0);
	h[8] = HOP_LIMIT;
	h[9] = proto;
	memcpy(h + 12, p->to->local.addr.b, 4);
	memcpy(h + 16, p->to->remote.addr.b, 4);
	store_be16(h + 10, folded(add(0, h, V4_MIN_LEN)));
}

static void write_v6(uint8_t *h, const struct packet *p, uint32_t len, uint8_t proto)
{
	store_be32(h, UINT32_C(6) << 28 | (uint32_t)p->dscp_ecn << 20);
	store_be16(h + 4, (uint16_t)(len - V6_LEN));
	h[6] = proto;
	h[7] = HOP_LIMIT;
	memcpy(h + 8, p->to->local.addr.b, 16);
	memcpy(h + 24, p->to->remote.addr.b, 16);
}

bool frame_push_outer(struct packet *p, uint16_t id)
{
	const struct path_addr *to = p->to;
	uint8_t family = to->remote.addr.family;
	uint32_t udp_len = to->remote.port ? UDP_LEN : 0;
	uint32_t headers = udp_len + (family == IP_V4 ? V4_MIN_LEN : V6_LEN);
	uint8_t proto = udp_len ? IPPROTO_UDP : IPPROTO_ESP;

	if ((family != IP_V4 && family != IP_V6) || packet_headroom(p) < headers ||
	    p->len > 65535 - headers)
		return false;
	if (udp_len)
		write_udp(p->data - UDP_LEN, to, p->len);
	p->data -= headers;
	p->len += headers;
	if (family == IP_V4)
		write_v4(p->data, p, p->len, proto, id);
	else
		write_v6(p->data, p, p->len, proto);
	return true;
}
