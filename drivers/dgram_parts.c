/* SPDX-License-Identifier: Apache-2.0 */
/* Super-datagrams in parts. Datagrams that came together are mostly as long as those before them:
 * so a message has a packet for each that is expected, and the kernel's copy is the only one. A
 * message that is otherwise than expected is put together again. */
#include "drivers/dgram.h"

void dgram_parts_expect(struct dgram_socket *s, uint16_t seg_len, uint32_t num)
{
	if (num > PKTVEC_MAX)
		num = PKTVEC_MAX;
	if (s->seg_len != seg_len || s->num_segs < num)
		s->num_segs = (uint8_t)num;
	s->seg_len = seg_len;
}

uint32_t dgram_parts_prepare(struct dgram_parts *parts, const struct dgram_socket *s,
			     struct packet *first, struct packet *longer)
{
	const uint32_t len = s->seg_len, most = len ? POOL_LONGEST / len : 0;
	uint32_t num = s->num_segs < most ? s->num_segs : most;

	if (num < 2 || len > packet_tailroom(first))
		return 0;
	num = 1 + first->pool->ops->get(first->pool, parts->pkts + 1, num - 1);
	parts->pkts[0] = first;
	for (uint32_t i = 0; i < num; i++)
		parts->iov[i] = (struct iovec){parts->pkts[i]->data, len};
	longer->data = longer->buf + packet_headroom(first);
	parts->iov[num] =
		(struct iovec){longer->data + num * len, packet_tailroom(longer) - num * len};
	parts->len = len;
	parts->num = num;
	return num + 1;
}

/* put_from - packets that nothing came into, or that it was moved from. */
static void put_from(struct dgram_parts *parts, uint32_t i)
{
	struct pool *pool = parts->pkts[0]->pool;

	if (i < parts->num)
		pool->ops->put(pool, parts->pkts + i, parts->num - i);
	parts->num = 0;
}

void dgram_parts_put(struct dgram_parts *parts)
{
	if (parts->num)
		put_from(parts, 1);
}

/* chain - one packet behind the other. */
static struct packet *chain(struct dgram_parts *parts, uint32_t total)
{
	const uint32_t len = parts->len, num = total ? (total + len - 1) / len : 1;
	struct packet *p = parts->pkts[0];

	for (uint32_t i = 0; i < num; i++) {
		parts->pkts[i]->len = i + 1 < num ? len : total - i * len;
		parts->pkts[i]->next_part = i + 1 < num ? parts->pkts[i + 1] : NULL;
	}
	p->num_parts = (uint8_t)(num - 1);
	put_from(parts, num);
	return p;
}

/* gather - all that came into to, which is the first packet, or `longer`, where the end is. */
static void gather(const struct dgram_parts *parts, struct packet *to, const struct packet *longer,
		   uint32_t total)
{
	const uint32_t len = parts->len;
	uint32_t at = 0;

	for (uint32_t i = 0; i < parts->num && at < total; i++, at += len) {
		if (parts->pkts[i] != to)
			memcpy(to->data + at, parts->pkts[i]->data,
			       total - at < len ? total - at : len);
	}
	if (at < total && to != longer)
		memcpy(to->data + at, longer->data + at, total - at);
}

struct packet *dgram_parts_settle(struct dgram_parts *parts, struct packet **longer)
{
	struct packet *p = parts->pkts[0], *w = *longer;
	const uint32_t total = p->len;

	if (p->seg_len ? p->seg_len == parts->len && total <= parts->num * parts->len
		       : total <= parts->len)
		return chain(parts, total);
	p->len = 0;
	if (total <= packet_tailroom(p)) {
		gather(parts, p, w, total);
		p->len = total;
		return p;
	}
	gather(parts, w, w, total);
	w->len = total;
	w->seg_len = p->seg_len;
	w->dscp_ecn = p->dscp_ecn;
	w->from = p->from;
	put_from(parts, 0);
	*longer = NULL;
	return w;
}
