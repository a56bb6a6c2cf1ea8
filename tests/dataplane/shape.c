/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/dataplane/shape.h"

#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#include <netinet/in.h>

uint32_t shape_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

size_t shape_l4(const uint8_t *ip)
{
	if (ip[0] >> 4 == 4)
		return (ip[0] & 15u) * 4;
	return ip[6] == IPPROTO_DSTOPTS ? 40u + 8 + ip[41] * 8u : 40;
}

uint8_t shape_proto(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[9] : ip[6] == IPPROTO_DSTOPTS ? ip[40] : ip[6];
}

/* pseudo_sum - the pseudo header's sum for len bytes behind it. */
static uint32_t pseudo_sum(const uint8_t *ip, size_t len)
{
	bool v4 = ip[0] >> 4 == 4;
	uint8_t tail[4] = {(uint8_t)(len >> 8), (uint8_t)len, 0, shape_proto(ip)};

	return shape_sum(shape_sum(0, ip + (v4 ? 12 : 8), v4 ? 8 : 32), tail, 4);
}

/* put_v6, put_v4 - the IP header, `at` bytes, in front of `len` more. */
static void put_v6(uint8_t *h, const struct shape *s, size_t at, size_t len)
{
	uint8_t proto = s->udp ? IPPROTO_UDP : IPPROTO_TCP;

	bed_udp6(h, true, 1000, 2000, 0, 0);
	store_be16(h + 4, (uint16_t)(at - 40 + len));
	h[6] = s->ip_options ? IPPROTO_DSTOPTS : proto;
	if (s->ip_options)
		memcpy(h + 40, (uint8_t[]){proto, 0, 1, 4, 0, 0, 0, 0}, 8);
}

static void put_v4(uint8_t *h, const struct shape *s, size_t at, size_t len, uint32_t number)
{
	bed_udp4(h, true, 1000, 2000, 0, 0);
	h[0] = (uint8_t)(0x40 | at / 4);
	memset(h + 20, 1, at - 20);
	store_be16(h + 2, (uint16_t)(at + len));
	store_be16(h + 4, (uint16_t)(s->id + number));
	h[6] = s->df ? 0x40 : 0;
	h[9] = s->udp ? IPPROTO_UDP : IPPROTO_TCP;
	store_be16(h + 10, 0);
	store_be16(h + 10, (uint16_t)~shape_sum(0, h, at));
}

static void put_tcp(uint8_t *t, const struct shape *s, size_t l4, uint32_t number)
{
	store_be32(t + 4, 0xfffff000 + number * s->seg_len);
	store_be32(t + 8, 77);
	t[12] = (uint8_t)(l4 / 4 << 4);
	t[13] = s->flags;
	store_be16(t + 14, 500);
	memset(t + 20, 1, l4 - 20);
}

size_t shape_head(uint8_t *h, const struct shape *s, uint32_t number, size_t len)
{
	size_t at = s->v6 ? 40u + (s->ip_options ? 8 : 0) : 20u + s->ip_options * 4u;
	size_t l4 = s->udp ? 8 : 20u + s->tcp_options * 4u;
	uint8_t *t = h + at;

	memset(h, 0, at + l4);
	if (s->v6)
		put_v6(h, s, at, l4 + len);
	else
		put_v4(h, s, at, l4 + len, number);
	memset(t, 0, l4);
	store_be16(t, 1000);
	store_be16(t + 2, 2000);
	if (s->udp)
		store_be16(t + 4, (uint16_t)(8 + len));
	else
		put_tcp(t, s, l4, number);
	return at + l4;
}

uint8_t shape_payload(uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) * 13);
}

void shape_sum_put(uint8_t *ip, size_t len, bool whole)
{
	size_t at = shape_l4(ip);
	uint8_t *field = ip + at + (shape_proto(ip) == IPPROTO_TCP ? 16 : 6);
	uint32_t sum = pseudo_sum(ip, len - at);

	if (whole) {
		sum = (uint16_t)~shape_sum(sum, ip + at, len - at);
		sum = sum ? sum : 0xffff;
	}
	store_be16(field, (uint16_t)sum);
}

size_t shape_super(uint8_t *p, const struct shape *s)
{
	size_t n = shape_head(p, s, 0, s->len);

	for (uint32_t i = 0; i < s->len; i++)
		p[n + i] = shape_payload(i);
	shape_sum_put(p, n + s->len, false);
	return n + s->len;
}

size_t shape_segment(uint8_t *p, const struct shape *s, uint32_t offset, uint32_t len)
{
	uint32_t number = offset / len, left = s->len - offset;
	struct shape own = *s;

	own.seg_len = (uint16_t)len;
	if (offset)
		own.flags &= 0x7f; /* CWR */
	if (left > len)
		own.flags &= (uint8_t)~0x09; /* FIN, PSH */
	left = left < len ? left : len;
	size_t n = shape_head(p, &own, number, left);

	for (uint32_t i = 0; i < left; i++)
		p[n + i] = shape_payload(offset + i);
	shape_sum_put(p, n + left, true);
	return n + left;
}

uint32_t shape_below(const struct rng_seeded *rng, uint32_t n)
{
	uint32_t v;

	CU_ASSERT_FATAL(rng_fill(&rng->rng, &v, sizeof(v)) == ERR_OK);
	return v % n;
}

struct shape shape_random(const struct rng_seeded *rng)
{
	struct shape s = {
		.v6 = shape_below(rng, 2),
		.udp = shape_below(rng, 3) == 0,
		.df = shape_below(rng, 2),
		.ip_options = (uint8_t)(shape_below(rng, 4) ? 0 : shape_below(rng, 11)),
		.tcp_options = (uint8_t)shape_below(rng, 11),
		.flags = (uint8_t)(0x10 | (shape_below(rng, 256) & 0xc9)),
		.seg_len = (uint16_t)(1 + shape_below(rng, shape_below(rng, 4) ? 1300 : 30)),
		.id = (uint16_t)shape_below(rng, 65536),
	};

	s.len = 1 + shape_below(rng, s.seg_len * (1 + shape_below(rng, 70)));
	if (s.len > 60000)
		s.len = 60000;
	return s;
}

struct shape shape_flow(int which)
{
	return (struct shape){.v6 = which & 1,
			      .udp = which & 2,
			      .df = which & 4,
			      .tcp_options = 3,
			      .flags = 0x10,
			      .seg_len = 1000,
			      .id = 10};
}
