/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/selectors.h"

/* TS_FIXED_LEN - type, protocol, length and ports in front of the addresses (3.13.1). */
#define TS_FIXED_LEN 8

static enum err addr_read(struct ip_addr *out, struct reader *r, bool v6)
{
	struct bytes b;
	enum err e = reader_bytes(r, &b, v6 ? 16 : 4);

	if (e == ERR_OK)
		*out = v6 ? ip_addr_v6(b.p) : ip_addr_v4(b.p);
	return e;
}

/* range_read - protocol, ports and addresses of a selector of a known type, which fill r. */
static enum err range_read(struct ts *out, struct reader *r, uint8_t proto, bool v6)
{
	struct ts t = {.proto = proto};
	enum err e;

	if ((e = reader_u16(r, &t.port_lo)) != ERR_OK ||
	    (e = reader_u16(r, &t.port_hi)) != ERR_OK || (e = addr_read(&t.lo, r, v6)) != ERR_OK ||
	    (e = addr_read(&t.hi, r, v6)) != ERR_OK)
		return e;
	if (!reader_empty(r) || !ts_valid(&t))
		return ERR_MALFORMED;
	*out = t;
	return ERR_OK;
}

/* selector_read - one selector; one of another type is passed over. */
static enum err selector_read(struct ts_list *out, struct reader *r)
{
	struct reader body;
	uint8_t type, proto;
	uint16_t len;
	enum err e;

	if ((e = reader_u8(r, &type)) != ERR_OK || (e = reader_u8(r, &proto)) != ERR_OK ||
	    (e = reader_u16(r, &len)) != ERR_OK)
		return e;
	if (len < TS_FIXED_LEN)
		return ERR_MALFORMED;
	e = reader_sub(r, &body, len - 4u);
	if (e != ERR_OK)
		return e;
	if (type != TS_IPV4_ADDR_RANGE && type != TS_IPV6_ADDR_RANGE)
		return ERR_OK;
	e = range_read(&out->ts[out->num], &body, proto, type == TS_IPV6_ADDR_RANGE);
	/* A range that is cut short inside its own length is a wrong length. */
	if (e == ERR_OK)
		out->num++;
	return e == ERR_TRUNCATED ? ERR_MALFORMED : e;
}

enum err ts_list_parse(struct ts_list *out, struct bytes body)
{
	struct reader r;
	uint8_t num;
	enum err e;

	out->num = 0;
	reader_init(&r, body.p, body.len);
	if ((e = reader_u8(&r, &num)) != ERR_OK || (e = reader_skip(&r, 3)) != ERR_OK)
		return e;
	if (num == 0)
		return ERR_MALFORMED;
	if (num > IKE_MAX_TS)
		return ERR_LIMIT;
	for (uint8_t i = 0; i < num; i++) {
		e = selector_read(out, &r);
		if (e != ERR_OK)
			return e;
	}
	return reader_empty(&r) ? ERR_OK : ERR_MALFORMED;
}

void ts_list_build(struct ike_builder *b, uint8_t type, const struct ts *ts, uint32_t num)
{
	ts_list_write(ike_build_payload(b, type), ts, num);
}

void ts_list_write(struct writer *w, const struct ts *ts, uint32_t num)
{
	if (w->err == ERR_OK && (num == 0 || num > IKE_MAX_TS))
		w->err = num ? ERR_LIMIT : ERR_INVAL;
	writer_u8(w, (uint8_t)num);
	writer_zero(w, 3);
	for (uint32_t i = 0; i < num && w->err == ERR_OK; i++) {
		const size_t addr = ip_addr_len(&ts[i].lo);

		writer_u8(w, addr == 16 ? TS_IPV6_ADDR_RANGE : TS_IPV4_ADDR_RANGE);
		writer_u8(w, ts[i].proto);
		writer_u16(w, (uint16_t)(TS_FIXED_LEN + 2 * addr));
		writer_u16(w, ts[i].port_lo);
		writer_u16(w, ts[i].port_hi);
		writer_bytes(w, ts[i].lo.b, addr);
		writer_bytes(w, ts[i].hi.b, addr);
	}
}

/* add_range - put t into the list unless an entry covers it; entries that it covers go, and it
 * takes the place of the first of them. False if the list is full. */
static bool add_range(struct ts_list *l, const struct ts *t, uint32_t max)
{
	uint32_t kept = 0;
	bool placed = false;

	for (uint32_t i = 0; i < l->num; i++) {
		if (ts_contains(&l->ts[i], t))
			return true;
	}
	for (uint32_t i = 0; i < l->num; i++) {
		if (!ts_contains(t, &l->ts[i])) {
			l->ts[kept++] = l->ts[i];
		} else if (!placed) {
			l->ts[kept++] = *t;
			placed = true;
		}
	}
	l->num = kept;
	if (placed)
		return true;
	if (l->num >= max)
		return false;
	l->ts[l->num++] = *t;
	return true;
}

enum err ts_list_narrow(struct ts_list *out, bool *out_cut, const struct ts *peer,
			uint32_t num_peer, const struct ts *ours, uint32_t num_ours, uint32_t max)
{
	struct ts common;
	bool cut = false;

	assert(max >= 1 && max <= IKE_MAX_TS);
	out->num = 0;
	for (uint32_t i = 0; i < num_peer; i++) {
		for (uint32_t j = 0; j < num_ours; j++) {
			if (ts_intersect(&common, &peer[i], &ours[j]) &&
			    !add_range(out, &common, max))
				cut = true;
		}
	}
	if (!out->num)
		return ERR_TS_UNACCEPTABLE;
	*out_cut = cut;
	return ERR_OK;
}

static bool within_one(const struct ts *t, const struct ts *whole, uint32_t num_whole)
{
	for (uint32_t i = 0; i < num_whole; i++) {
		if (ts_contains(&whole[i], t))
			return true;
	}
	return false;
}

bool ts_list_within(const struct ts *part, uint32_t num_part, const struct ts *whole,
		    uint32_t num_whole)
{
	for (uint32_t i = 0; i < num_part; i++) {
		if (!within_one(&part[i], whole, num_whole))
			return false;
	}
	return num_part > 0;
}

/* neighbour - the address before or after a, which has one. */
static struct ip_addr neighbour(struct ip_addr a, bool after)
{
	for (size_t i = ip_addr_len(&a); i-- > 0;) {
		a.b[i] = (uint8_t)(after ? a.b[i] + 1 : a.b[i] - 1);
		if (a.b[i] != (after ? 0 : 0xff))
			break;
	}
	return a;
}

static bool is_range(const struct ts *t)
{
	return t->port_lo <= t->port_hi;
}

/* add_rests - what remains of t beside `common`, its part that is taken out: the addresses on both
 * sides, and for the addresses of that part, where both are of one protocol, the ports on both
 * sides. */
static void add_rests(struct ts rests[4], uint32_t *num, const struct ts *t,
		      const struct ts *common, const struct ts *what)
{
	struct ts rest = *t;

	if (ip_addr_cmp(&t->lo, &common->lo) < 0) {
		rest.hi = neighbour(common->lo, false);
		rests[(*num)++] = rest;
	}
	rest = *t;
	if (ip_addr_cmp(&common->hi, &t->hi) < 0) {
		rest.lo = neighbour(common->hi, true);
		rests[(*num)++] = rest;
	}
	if (!t->proto || t->proto != what->proto || !is_range(t) || !is_range(what))
		return;
	rest = *common;
	if (t->port_lo < common->port_lo) {
		rest.port_lo = t->port_lo;
		rest.port_hi = (uint16_t)(common->port_lo - 1);
		rests[(*num)++] = rest;
	}
	if (common->port_hi < t->port_hi) {
		rest.port_lo = (uint16_t)(common->port_hi + 1);
		rest.port_hi = t->port_hi;
		rests[(*num)++] = rest;
	}
}

enum err ts_list_without(struct ts_list *l, const struct ts *what)
{
	struct ts_list out = {.num = 0};
	struct ts rests[4], common;

	for (uint32_t i = 0; i < l->num; i++) {
		uint32_t num = 0;

		if (ts_intersect(&common, &l->ts[i], what))
			add_rests(rests, &num, &l->ts[i], &common, what);
		else
			rests[num++] = l->ts[i];
		if (num > IKE_MAX_TS - out.num)
			return ERR_LIMIT;
		memcpy(&out.ts[out.num], rests, num * sizeof(rests[0]));
		out.num += num;
	}
	if (!out.num)
		return ERR_TS_UNACCEPTABLE;
	*l = out;
	return ERR_OK;
}

void ts_list_prepend(struct ts_list *l, const struct ts *ts)
{
	const uint32_t keep = l->num < IKE_MAX_TS ? l->num : IKE_MAX_TS - 1;

	memmove(&l->ts[1], &l->ts[0], keep * sizeof(l->ts[0]));
	l->ts[0] = *ts;
	l->num = keep + 1;
}
