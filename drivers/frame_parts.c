/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/frame_parts.h"

#include "base/bytes.h"

#include <netinet/in.h>

#define ETHERNET_LEN     14
#define ETHERTYPE_V4     0x0800
#define ETHERTYPE_V6     0x86dd
#define ETHERTYPE_VLAN   0x8100
#define ETHERTYPE_VLAN_S 0x88a8
#define VLAN_TAG_LEN     4
#define VLAN_TAGS_MAX    2

#define V4_MIN_LEN       20
#define V4_FRAGMENT_MASK 0x3fff /* more fragments, and the offset */
#define V6_LEN           40
#define TCP_MIN_LEN      20
#define TCP_LEN_AT       12
#define UDP_LEN          8

/* find_ip - behind Ethernet's header and tags. */
static bool find_ip(struct frame_parts *f, const uint8_t *frame, uint32_t len)
{
	f->l2_len = ETHERNET_LEN;
	for (int tags = 0; f->l2_len <= len; tags++) {
		uint16_t type = load_be16(frame + f->l2_len - 2);

		f->v6 = type == ETHERTYPE_V6;
		if (type == ETHERTYPE_V4 || type == ETHERTYPE_V6)
			return true;
		if ((type != ETHERTYPE_VLAN && type != ETHERTYPE_VLAN_S) || tags == VLAN_TAGS_MAX)
			return false;
		f->l2_len += VLAN_TAG_LEN;
	}
	return false;
}

/* find_l4 - of the IP packet of len bytes at h; what it says it carries. */
static bool find_l4(struct frame_parts *f, uint8_t *out_proto, const uint8_t *h, uint32_t len)
{
	if (f->v6) {
		if (len < V6_LEN || h[0] >> 4 != 6)
			return false;
		f->l3_len = V6_LEN;
		*out_proto = h[6];
		return true;
	}
	if (len < V4_MIN_LEN || h[0] >> 4 != 4 || (load_be16(h + 6) & V4_FRAGMENT_MASK))
		return false;
	f->l3_len = (uint16_t)((h[0] & 0x0fu) * 4);
	*out_proto = h[9];
	return f->l3_len >= V4_MIN_LEN && f->l3_len <= len;
}

bool frame_parts_find(struct frame_parts *out, const uint8_t *frame, uint32_t len)
{
	struct frame_parts f = {0};
	uint8_t proto;

	if (!find_ip(&f, frame, len) || !find_l4(&f, &proto, frame + f.l2_len, len - f.l2_len))
		return false;
	const uint8_t *t = frame + f.l2_len + f.l3_len;
	uint32_t left = len - f.l2_len - f.l3_len;

	f.tcp = proto == IPPROTO_TCP;
	if ((!f.tcp && proto != IPPROTO_UDP) || left < (f.tcp ? TCP_MIN_LEN : UDP_LEN))
		return false;
	f.l4_len = f.tcp ? (uint16_t)((t[TCP_LEN_AT] >> 4) * 4) : UDP_LEN;
	if ((f.tcp && f.l4_len < TCP_MIN_LEN) || f.l4_len > left)
		return false;
	*out = f;
	return true;
}
