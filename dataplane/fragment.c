/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/fragment.h"

#include <netinet/in.h>

#define IP_MAX_LEN 65535
#define EXT_MAX    8 /* IPv6 headers in front of the fragment header */
#define EXT_MORE   0x0001
#define EXT_OFFSET 0xfff8
#define OPT_END    0 /* RFC 791 3.1: options of one byte */
#define OPT_NOP    1
#define OPT_COPIED 0x80

uint16_t ip4_checksum(const uint8_t *h, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += i == 10 ? 0 : load_be16(h + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* check - a part has whole units unless it is the last, and the whole packet a length that can be
 * said ("ping of death"). in_length: bytes of the head that count into that length. */
static enum fragment_kind check(const struct fragment *f, uint32_t in_length)
{
	if (f->len == 0 || (f->more && f->len % FRAGMENT_UNIT != 0))
		return FRAGMENT_MALFORMED;
	if (f->head_len > FRAGMENT_HEAD_MAX || in_length + f->offset + f->len > IP_MAX_LEN)
		return FRAGMENT_MALFORMED;
	return FRAGMENT_PART;
}

static enum fragment_kind parse_v4(struct fragment *f, const uint8_t *h, uint32_t len)
{
	if (len < IP4_MIN_LEN)
		return FRAGMENT_MALFORMED;
	uint32_t head_len = (h[0] & 0x0fu) * 4, total = load_be16(h + 2);
	uint32_t field = load_be16(h + 6);

	if (head_len < IP4_MIN_LEN || total < head_len || total > len)
		return FRAGMENT_MALFORMED;
	if (!(field & (IP4_MF | IP4_OFFSET_MASK)))
		return FRAGMENT_WHOLE;
	*f = (struct fragment){
		.id = load_be16(h + 4),
		.head_len = head_len,
		.at = head_len,
		.offset = (field & IP4_OFFSET_MASK) * FRAGMENT_UNIT,
		.len = total - head_len,
		.proto = h[9],
		.more = (field & IP4_MF) != 0,
	};
	return check(f, head_len);
}

static bool is_ext(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS;
}

/* find_ext - the fragment header: *at is where it begins, *next_at where it is named. False: there
 * is none, or the headers before it do not fit. */
static bool find_ext(const uint8_t *h, uint32_t len, uint32_t *at, uint32_t *next_at)
{
	*at = IP6_LEN;
	*next_at = 6;
	for (int i = 0; i < EXT_MAX && is_ext(h[*next_at]); i++) {
		if (len - *at < 8 || len - *at < 8 + h[*at + 1] * 8u)
			return false;
		*next_at = *at;
		*at += 8 + h[*at + 1] * 8u;
	}
	return h[*next_at] == IPPROTO_FRAGMENT && len - *at >= FRAGMENT_EXT_LEN;
}

static enum fragment_kind parse_v6(struct fragment *f, const uint8_t *h, uint32_t len)
{
	uint32_t at, next_at;

	if (len < IP6_LEN || len < IP6_LEN + load_be16(h + 4))
		return FRAGMENT_MALFORMED;
	len = IP6_LEN + load_be16(h + 4);
	if (!find_ext(h, len, &at, &next_at))
		return FRAGMENT_WHOLE;
	uint32_t field = load_be16(h + at + 2);

	if (!(field & (EXT_MORE | EXT_OFFSET)))
		return FRAGMENT_WHOLE;
	*f = (struct fragment){
		.id = load_be32(h + at + 4),
		.head_len = at,
		.at = at + FRAGMENT_EXT_LEN,
		.offset = field & EXT_OFFSET,
		.len = len - at - FRAGMENT_EXT_LEN,
		.next_at = next_at,
		.proto = h[at],
		.v6 = true,
		.more = (field & EXT_MORE) != 0,
	};
	return check(f, at - IP6_LEN);
}

enum fragment_kind fragment_parse(struct fragment *out, const uint8_t *ip, uint32_t len)
{
	switch (len ? ip[0] >> 4 : 0) {
	case 4:
		return parse_v4(out, ip, len);
	case 6:
		return parse_v6(out, ip, len);
	default:
		return FRAGMENT_MALFORMED;
	}
}

/* ---- cutting -------------------------------------------------------------------------------- */

/* head_of - bytes in front of the payload of a packet that is cut; 0 if it is not well-formed. */
static uint32_t head_of(const struct packet *p)
{
	if (p->len < IP4_MIN_LEN)
		return 0;
	uint32_t len = p->data[0] >> 4 == 4 ? (p->data[0] & 0x0fu) * 4 : p->fragment_at;
	uint32_t min = p->data[0] >> 4 == 4 ? IP4_MIN_LEN : IP6_LEN;

	return len >= min && len < p->len ? len : 0;
}

/* room_for - payload of one fragment: whole units. */
static uint32_t room_for(const struct packet *p, uint32_t head_len, uint32_t max_len)
{
	uint32_t front = head_len + (p->data[0] >> 4 == 6 ? FRAGMENT_EXT_LEN : 0);

	return max_len > front ? (max_len - front) & ~(FRAGMENT_UNIT - 1) : 0;
}

/* end_fits - a fragment's own end can be said, and so each part's place. */
static bool end_fits(const struct packet *p)
{
	uint32_t offset = p->data[0] >> 4 == 4 ? load_be16(p->data + 6) & IP4_OFFSET_MASK : 0;

	return offset * FRAGMENT_UNIT + p->len <= IP_MAX_LEN;
}

bool fragment_cut_begin(struct fragment_cut *c, struct packet *p, uint32_t max_len)
{
	uint32_t head_len = head_of(p);

	if (!head_len || room_for(p, head_len, max_len) == 0 || !end_fits(p))
		return false;
	*c = (struct fragment_cut){.whole = p, .max_len = max_len};
	return true;
}

/* copy_head4 - the header with the options that every fragment has (RFC 791 3.1), at `to`; returns
 * its length. The others end the list or are left out; options that are not well-formed too. */
static uint32_t copy_head4(uint8_t *to, const uint8_t *h, uint32_t head_len, bool first)
{
	uint32_t n = IP4_MIN_LEN;

	memcpy(to, h, first ? head_len : IP4_MIN_LEN);
	if (first)
		return head_len;
	for (uint32_t i = IP4_MIN_LEN; i < head_len && h[i] != OPT_END;) {
		uint32_t len = h[i] == OPT_NOP || i + 1 == head_len ? 1u : h[i + 1];

		if (len == 0 || len > head_len - i)
			break;
		if (h[i] & OPT_COPIED) {
			memcpy(to + n, h + i, len);
			n += len;
		}
		i += len;
	}
	while (n % 4)
		to[n++] = OPT_END;
	to[0] = (uint8_t)(0x40 | n / 4);
	return n;
}

/* The packet that is cut may be a fragment itself: its offset goes on, its last part is not last.
 */
static uint32_t write_head4(uint8_t *to, const struct packet *p, uint32_t offset, uint32_t len,
			    bool more)
{
	uint32_t field = load_be16(p->data + 6);
	uint32_t head_len = (p->data[0] & 0x0fu) * 4;
	uint32_t n = copy_head4(to, p->data, head_len, offset == 0);

	store_be16(to + 2, (uint16_t)(n + len));
	store_be16(to + 6, (uint16_t)((more ? IP4_MF : field & IP4_MF) |
				      ((field & IP4_OFFSET_MASK) + offset / FRAGMENT_UNIT)));
	store_be16(to + 10, ip4_checksum(to, n));
	return n;
}

static uint32_t write_head6(uint8_t *to, const struct packet *p, uint32_t offset, uint32_t len,
			    bool more)
{
	uint32_t n = p->fragment_at;
	uint8_t *ext = to + n;

	memcpy(to, p->data, n);
	ext[0] = to[p->fragment_next];
	ext[1] = 0;
	store_be16(ext + 2, (uint16_t)(offset | (more ? EXT_MORE : 0)));
	store_be32(ext + 4, p->fragment_id);
	to[p->fragment_next] = IPPROTO_FRAGMENT;
	store_be16(to + 4, (uint16_t)(n - IP6_LEN + FRAGMENT_EXT_LEN + len));
	return n + FRAGMENT_EXT_LEN;
}

bool fragment_cut_next(struct fragment_cut *c, struct packet *out)
{
	struct packet *p = c->whole;
	uint32_t head_len = head_of(p);
	uint32_t room = room_for(p, head_len, c->max_len);
	uint32_t left = p->len - head_len - c->offset;
	uint32_t len = left < room ? left : room;
	uint32_t n = p->data[0] >> 4 == 4 ? write_head4(out->data, p, c->offset, len, len < left)
					  : write_head6(out->data, p, c->offset, len, len < left);

	memcpy(out->data + n, p->data + head_len + c->offset, len);
	out->len = n + len;
	out->flags |= PACKET_F_FRAGMENT;
	out->sa = p->sa;
	out->path = p->path;
	out->token = p->token;
	out->port = p->port;
	out->flow = p->flow; /* or inbound its scope */
	out->dscp_ecn = p->dscp_ecn;
	c->offset += len;
	return len < left;
}
