/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/vnet.h"

#include <netinet/in.h>

#include "base/checksum.h"

/* struct vnet_head - struct virtio_net_hdr. */
struct vnet_head {
	uint8_t flags;
	uint8_t type;
	uint8_t head_len[2]; /* a hint that is wrong for forwarded packets */
	uint8_t seg_len[2];
	uint8_t sum_start[2], sum_at[2]; /* sum_at counts from sum_start */
};
static_assert(sizeof(struct vnet_head) == VNET_LEN, "wire format");

#define NEEDS_SUM 0x01
#define TYPE_NONE 0
#define TYPE_TCP4 1
#define TYPE_TCP6 4
#define TYPE_UDP  5
#define TYPE_ECN  0x80 /* beside TCP's: CWR is set */

#define TCP_FLAGS_AT 13
#define TCP_SUM_AT   16
#define UDP_SUM_AT   6

static uint32_t load_le16(const uint8_t b[static 2])
{
	return b[0] | (uint32_t)b[1] << 8;
}

static void store_le16(uint8_t b[static 2], uint32_t v)
{
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}

/* complete - the checksum field holds the sum of the pseudo header; it is over all from `start` on.
 * 0 would say "none" in UDP, and is the same number as the other zero. */
static bool complete(struct packet *p, uint32_t start, uint32_t at)
{
	uint16_t sum;

	if (start >= p->len || at > p->len - start || p->len - start - at < sizeof(sum))
		return false;
	sum = (uint16_t)~checksum_fold(checksum_add(0, p->data + start, p->len - start));
	checksum_put(p->data + start + at, sum ? sum : UINT16_MAX);
	return true;
}

bool vnet_take(const uint8_t bytes[static VNET_LEN], struct packet *p, uint32_t before)
{
	struct vnet_head h;

	memcpy(&h, bytes, sizeof(h));
	uint32_t start = load_le16(h.sum_start);

	switch (h.type & ~TYPE_ECN) {
	case TYPE_NONE:
		if (!(h.flags & NEEDS_SUM))
			return true;
		return start >= before && complete(p, start - before, load_le16(h.sum_at));
	case TYPE_TCP4:
	case TYPE_TCP6:
	case TYPE_UDP:
		p->seg_len = (uint16_t)load_le16(h.seg_len);
		return p->seg_len != 0 && (h.flags & NEEDS_SUM);
	default:
		return false;
	}
}

bool vnet_sum(const uint8_t bytes[static VNET_LEN], uint32_t *start, uint32_t *at)
{
	struct vnet_head h;

	memcpy(&h, bytes, sizeof(h));
	*start = load_le16(h.sum_start);
	*at = load_le16(h.sum_at);
	return (h.type & ~TYPE_ECN) == TYPE_NONE && h.flags & NEEDS_SUM;
}

/* set_ip - the length of all; returns where TCP or UDP begins. */
static uint32_t set_ip(uint8_t *h, uint32_t len)
{
	if (h[0] >> 4 == 6) {
		store_be16(h + 4, (uint16_t)(len - 40));
		return 40;
	}
	store_be16(h + 2, (uint16_t)len);
	store_be16(h + 10, 0);
	checksum_put(h + 10, (uint16_t)~checksum_fold(checksum_add(0, h, 20)));
	return 20;
}

void vnet_join(uint8_t bytes[static VNET_LEN], uint8_t head[static VNET_HEAD_MAX],
	       const struct packet *p, uint32_t before)
{
	const struct packet *last = p;
	uint32_t len = p->len;
	bool v6 = p->data[0] >> 4 == 6;

	while (last->next_part) {
		last = last->next_part;
		len += last->len - p->head_len;
	}
	memcpy(head, p->data, p->head_len);
	uint32_t at = set_ip(head, len);
	bool tcp = head[v6 ? 6 : 9] == IPPROTO_TCP;
	uint8_t *sum = head + at + (tcp ? TCP_SUM_AT : UDP_SUM_AT);
	struct vnet_head h = {.flags = NEEDS_SUM, .type = TYPE_UDP};

	if (tcp) {
		h.type = v6 ? TYPE_TCP6 : TYPE_TCP4;
		head[at + TCP_FLAGS_AT] |= last->data[at + TCP_FLAGS_AT]; /* PSH, FIN */
	} else {
		store_be16(head + at + 4, (uint16_t)(len - at));
	}
	checksum_put(sum, checksum_fold(checksum_pseudo(head, tcp ? IPPROTO_TCP : IPPROTO_UDP) +
					checksum_value((uint16_t)(len - at))));
	store_le16(h.head_len, before + p->head_len);
	store_le16(h.seg_len, p->seg_len);
	store_le16(h.sum_start, before + at);
	store_le16(h.sum_at, tcp ? TCP_SUM_AT : UDP_SUM_AT);
	memcpy(bytes, &h, sizeof(h));
}
