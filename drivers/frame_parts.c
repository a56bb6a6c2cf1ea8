/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/frame_parts.h"

#include "drivers/ethernet.h"

#include <netinet/in.h>

#define V4_MIN_LEN       20
#define V4_FRAGMENT_MASK 0x3fff /* more fragments, and the offset */
#define V6_LEN           40
#define TCP_MIN_LEN      20
#define TCP_LEN_AT       12
#define UDP_LEN          8

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

	f.l2_len = (uint16_t)ethernet_find_ip(frame, len, &f.v6);
	if (!f.l2_len || !find_l4(&f, &proto, frame + f.l2_len, len - f.l2_len))
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
