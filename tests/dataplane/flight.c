/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dataplane/flight.h"

#include "dataplane/super.h"
#include "tests/tap/tap.h"

void flight_begin(struct flight *f, uint8_t joins)
{
	const struct bed_options o = {
		.frame_len = 65536, .num_packets = 256, .num_frames = 64, .joins = joins};

	bed_init(&f->bed, &o);
	bed_pair(&f->bed, 1, NULL);
	f->num = 0;
}

struct sent *flight_add(struct flight *f, const struct shape *s, uint32_t offset, uint32_t len,
			bool joined)
{
	struct sent *p = &f->sent[f->num++];
	size_t n = shape_head(p->bytes, s, 0, len);
	uint8_t *t = p->bytes + shape_l4(p->bytes);

	for (uint32_t i = 0; i < len; i++)
		p->bytes[n + i] = shape_payload(offset + i);
	if (!s->udp)
		store_be32(t + 4, 5000 + offset);
	p->len = n + len;
	p->joined = joined;
	shape_sum_put(p->bytes, p->len, true);
	return p;
}

void flight_resum(struct sent *p)
{
	size_t at = shape_l4(p->bytes);

	if (p->bytes[0] >> 4 == 4) {
		store_be16(p->bytes + 10, 0);
		store_be16(p->bytes + 10, (uint16_t)~shape_sum(0, p->bytes, at));
	}
	store_be16(p->bytes + at + (shape_proto(p->bytes) == IPPROTO_TCP ? 16 : 6), 0);
	shape_sum_put(p->bytes, p->len, true);
}

void flight_carry(struct flight *f)
{
	for (uint32_t i = 0; i < f->num; i++)
		bed_send(&f->bed.a, f->sent[i].bytes, f->sent[i].len);
	while (bed_turn_one(&f->bed, &f->bed.a))
		;
	while (bed_turn_one(&f->bed, &f->bed.b))
		;
}

bool flight_same(const uint8_t *bytes, size_t len, const struct sent *p, bool any_id)
{
	uint8_t copy[1600];

	if (len != p->len)
		return false;
	memcpy(copy, bytes, len);
	if (any_id && copy[0] >> 4 == 4) {
		memcpy(copy + 4, p->bytes + 4, 2);
		memcpy(copy + 10, p->bytes + 10, 2);
	}
	return memcmp(copy, p->bytes, len) == 0;
}

/* joined_right - what comes next is f->sent[i] with all that is to be behind it, and a host that
 * cuts it has what was sent; *next: what is after them. With one flow only. */
static bool joined_right(struct flight *f, uint32_t i, uint32_t *next)
{
	static uint8_t part_buf[65536];
	struct packet p = {.buf = f->big, .data = f->big, .cap = sizeof(f->big)};
	struct memory_meta meta;
	struct super cut;
	uint32_t num = 1;
	size_t len;
	bool more = true;

	while (i + num < f->num && f->sent[i + num].joined)
		num++;
	*next = i + num;
	if (!memory_take_meta(f->bed.b.host, f->big, sizeof(f->big), &len, &meta))
		return false;
	if (num == 1)
		return meta.seg_len == 0 && flight_same(f->big, len, &f->sent[i], false);
	p.len = (uint32_t)len;
	p.seg_len = meta.seg_len;
	if (!meta.token || !super_begin(&cut, &p) || super_count(&cut) != num)
		return false;
	if (f->big[0] >> 4 == 4 && shape_sum(0, f->big, 20) != 0xffff)
		return false;
	for (uint32_t k = 0; k < num && more; k++) {
		struct packet out = {.buf = part_buf, .data = part_buf, .cap = sizeof(part_buf)};

		more = super_next(&cut, &out);
		if (!flight_same(part_buf, out.len, &f->sent[i + k], f->sent[i].fixed_id))
			return false;
	}
	return !more;
}

bool flight_right(struct flight *f)
{
	uint32_t i = 0;

	while (i < f->num) {
		uint32_t at = i;

		if (!joined_right(f, i, &i)) {
			tap_diag("packet %u and what is behind it", at);
			return false;
		}
	}
	return bed_receive(&f->bed.b, f->got) == 0;
}
