/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/super.h"

#include <netinet/in.h>

#include "base/checksum.h"
#include "dataplane/fragment.h"
#include "dataplane/mss.h"

#define UDP_LEN    8
#define EXT_MAX    8
#define TCP_SEQ_AT 4
#define TCP_SUM_AT 16
#define UDP_SUM_AT 6
#define TCP_FIN    0x01
#define TCP_PSH    0x08
#define TCP_CWR    0x80

static bool is_ext(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS;
}

static bool find_l4_v4(struct super *s, const struct packet *p)
{
	const uint8_t *h = p->data;

	if (p->len < IP4_MIN_LEN || load_be16(h + 2) != p->len)
		return false;
	s->l4_at = (h[0] & 0x0fu) * 4;
	s->proto = h[9];
	return s->l4_at >= IP4_MIN_LEN && !(load_be16(h + 6) & (IP4_MF | IP4_OFFSET_MASK));
}

static bool find_l4_v6(struct super *s, const struct packet *p)
{
	const uint8_t *h = p->data;
	uint32_t at = IP6_LEN;

	if (p->len < IP6_LEN || IP6_LEN + load_be16(h + 4) != p->len)
		return false;
	s->proto = h[6];
	for (int i = 0; is_ext(s->proto); i++) {
		if (i == EXT_MAX || p->len - at < 8 || p->len - at < 8 + h[at + 1] * 8u)
			return false;
		s->proto = h[at];
		at += 8 + h[at + 1] * 8u;
	}
	s->l4_at = at;
	return true;
}

/* sum_at - where the checksum of the segment is, whose TCP or UDP header is at l4. */
static uint32_t sum_at(const struct super *s)
{
	return s->proto == IPPROTO_TCP ? TCP_SUM_AT : UDP_SUM_AT;
}

/* find_payload - the headers' end, and that there is something behind it. */
static bool find_payload(struct super *s, const struct packet *p)
{
	uint32_t min = s->proto == IPPROTO_TCP ? TCP_MIN_LEN : UDP_LEN;

	if (s->l4_at > p->len || p->len - s->l4_at < min)
		return false;
	s->head_len = s->l4_at + min;
	if (s->proto == IPPROTO_TCP)
		s->head_len = s->l4_at + (p->data[s->l4_at + 12] >> 4) * 4u;
	return s->head_len >= s->l4_at + min && s->head_len < p->len;
}

/* find_l4 - of TCP or UDP, whose header begins in the packet. */
static bool find_l4(struct super *s, const struct packet *p)
{
	if (p->len == 0)
		return false;
	if (p->data[0] >> 4 == 4 ? !find_l4_v4(s, p) : p->data[0] >> 4 != 6 || !find_l4_v6(s, p))
		return false;
	return s->proto == IPPROTO_TCP || s->proto == IPPROTO_UDP;
}

bool super_begin(struct super *s, struct packet *p)
{
	*s = (struct super){.seg_len = p->seg_len};
	if (!p->seg_len || !find_l4(s, p) || !find_payload(s, p))
		return false;
	s->pseudo = checksum_less(checksum_get(p->data + s->l4_at + sum_at(s)),
				  checksum_value((uint16_t)(p->len - s->l4_at)));
	s->whole = p;
	return true;
}

bool super_shrink(struct super *s, uint32_t len)
{
	if (s->proto != IPPROTO_TCP || len <= s->head_len)
		return false;
	if (len - s->head_len < s->seg_len)
		s->seg_len = len - s->head_len;
	return true;
}

/* set_ip - length and identification of segment number `index`, len bytes long. */
static void set_ip(uint8_t *h, uint32_t len, uint32_t index)
{
	if (h[0] >> 4 == 6) {
		store_be16(h + 4, (uint16_t)(len - IP6_LEN));
		return;
	}
	store_be16(h + 2, (uint16_t)len);
	store_be16(h + 4, (uint16_t)(load_be16(h + 4) + index));
	store_be16(h + 10, ip4_checksum(h, (h[0] & 0x0fu) * 4));
}

/* set_tcp - what ends the data is in the last segment only, what was told once in the first. */
static void set_tcp(uint8_t *t, uint32_t offset, bool first, bool last)
{
	store_be32(t + TCP_SEQ_AT, load_be32(t + TCP_SEQ_AT) + offset);
	if (!first)
		t[TCP_FLAGS_AT] &= (uint8_t)~TCP_CWR;
	if (!last)
		t[TCP_FLAGS_AT] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
}

/* set_sum - the whole checksum of the len bytes at t. A sum of 0 would say "none" in UDP; in TCP
 * the other zero is as good. */
static void set_sum(const struct super *s, uint8_t *t, uint32_t len)
{
	uint8_t *at = t + sum_at(s);
	uint16_t sum;

	checksum_put(at, 0);
	sum = (uint16_t)~checksum_fold(
		checksum_add(s->pseudo + checksum_value((uint16_t)len), t, len));
	checksum_put(at, sum ? sum : UINT16_MAX);
}

bool super_sum(struct packet *p)
{
	struct super s = {0};

	if (!find_l4(&s, p) || s.l4_at > p->len || p->len - s.l4_at < sum_at(&s) + 2)
		return false;
	uint8_t *t = p->data + s.l4_at;
	uint16_t sum = (uint16_t)~checksum_fold(checksum_add(0, t, p->len - s.l4_at));

	checksum_put(t + sum_at(&s), sum ? sum : UINT16_MAX);
	p->flags &= (uint16_t)~PACKET_F_SUM;
	return true;
}

bool super_next(struct super *s, struct packet *out)
{
	const struct packet *p = s->whole;
	uint32_t left = p->len - s->head_len - s->offset;
	uint32_t len = left < s->seg_len ? left : s->seg_len;
	uint8_t *t = out->data + s->l4_at;

	memcpy(out->data, p->data, s->head_len);
	memcpy(out->data + s->head_len, p->data + s->head_len + s->offset, len);
	out->len = s->head_len + len;
	set_ip(out->data, out->len, s->offset / s->seg_len);
	if (s->proto == IPPROTO_TCP)
		set_tcp(t, s->offset, s->offset == 0, len == left);
	else
		store_be16(t + 4, (uint16_t)(UDP_LEN + len));
	set_sum(s, t, out->len - s->l4_at);
	out->sa = p->sa;
	out->port = p->port;
	out->flow = p->flow;
	s->offset += len;
	return len < left;
}

void super_first(struct super *s)
{
	struct packet *p = s->whole;

	p->len = super_longest(s);
	p->seg_len = 0;
	set_ip(p->data, p->len, 0);
	if (s->proto == IPPROTO_UDP)
		store_be16(p->data + s->l4_at + 4, (uint16_t)(p->len - s->l4_at));
}
