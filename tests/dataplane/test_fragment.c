/* SPDX-License-Identifier: Apache-2.0 */
/* What fragments say, packets cut into them, and put together from them again in any order. */
#include "dataplane/fragment.h"
#include "dataplane/reasm.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

#define MAX_PARTS 200

/* struct parts - the fragments of one packet. */
struct parts {
	struct pool *pool;
	struct packet *part[MAX_PARTS];
	uint32_t num;
	struct packet *whole;
};

static uint64_t state = 1;

/* below - a number less than n, the same in each run. */
static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

/* whole_packet - len bytes of UDP payload in IPv4 (with options that are and are not copied) or
 * IPv6 (as if put together before, with a routing header in front). */
static struct packet *whole_packet(struct pool *pool, bool v6, uint32_t len)
{
	static const uint8_t options[8] = {7, 3, 4, 0x94,
					   4, 0, 0, 0}; /* record route, router alert */
	static const uint8_t routing[8] = {17, 0, 4, 0};
	struct packet *p = packet_get(pool);
	uint8_t *d;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	d = p->data += 100;
	p->len = (uint32_t)(v6 ? bed_udp6(d, true, 1, 2, 3, len) : bed_udp4(d, true, 1, 2, 3, len));
	uint32_t at = v6 ? 40 : 20;

	memmove(d + at + 8, d + at, p->len - at);
	memcpy(d + at, v6 ? routing : options, 8);
	p->len += 8;
	if (v6) {
		d[6] = IPPROTO_ROUTING;
		store_be16(d + 4, (uint16_t)(p->len - 40));
		p->fragment_at = 48;
		p->fragment_next = 40;
		p->fragment_id = 0xabcd0123;
	} else {
		d[0] = 0x47;
		store_be16(d + 2, (uint16_t)p->len);
		store_be16(d + 4, 0x1234);
		store_be16(d + 10, ip4_checksum(d, 28));
	}
	return p;
}

static void cut(struct parts *x, bool v6, uint32_t len, uint32_t max_len)
{
	struct fragment_cut c;
	bool more = true;

	*x = (struct parts){.pool = pool_new(MAX_PARTS + 1, 66000)};
	CU_ASSERT_PTR_NOT_NULL_FATAL(x->pool);
	x->whole = whole_packet(x->pool, v6, len);
	CU_ASSERT_FATAL(fragment_cut_begin(&c, x->whole, max_len));
	while (more) {
		struct packet *p = packet_get(x->pool);

		CU_ASSERT_FATAL(p && x->num < MAX_PARTS);
		more = fragment_cut_next(&c, p);
		CU_ASSERT(p->len <= max_len && p->len > (v6 ? 56 : 20));
		CU_ASSERT(v6 ||
			  load_be16(p->data + 10) == ip4_checksum(p->data, (p->data[0] & 15u) * 4));
		x->part[x->num++] = p;
	}
}

static void free_parts(struct parts *x)
{
	for (uint32_t i = 0; i < x->num; i++)
		packet_put(x->part[i]);
	packet_put(x->whole);
	pool_free(x->pool);
}

static enum drop_reason add(struct reasm *r, struct packet **out, const struct packet *p,
			    uint64_t context, uint64_t now)
{
	struct fragment f;
	uint32_t num = 0, held = r->num;
	enum drop_reason why;

	CU_ASSERT_EQUAL_FATAL(fragment_parse(&f, p->data, p->len), FRAGMENT_PART);
	why = reasm_add(r, out, &num, p, &f, context, now);
	CU_ASSERT(why != DROP_NONE || r->num_spoilt || r->num_displaced ||
		  r->num == held + 1 - (*out ? num : 0));
	return why;
}

static void shuffle(struct parts *x)
{
	for (uint32_t i = x->num; i > 1; i--) {
		uint32_t k = below(i);
		struct packet *p = x->part[k];

		x->part[k] = x->part[i - 1];
		x->part[i - 1] = p;
	}
}

/* Cut at many sizes, put together in a random order, each packet is what it was. */
static void test_round_trip(void)
{
	static const uint32_t sizes[][2] = {{100, 84},    {1400, 200},  {3000, 1280}, {8000, 1400},
					    {9000, 9001}, {60000, 600}, {65400, 1400}};

	for (unsigned i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
		struct packet *whole = NULL;
		struct reasm r;
		struct parts x;

		cut(&x, i % 2, sizes[i / 2][0], sizes[i / 2][1]);
		shuffle(&x);
		CU_ASSERT_EQUAL_FATAL(reasm_init(&r, 2), ERR_OK);
		for (uint32_t k = 0; k < x.num; k++) {
			CU_ASSERT_PTR_NULL(whole);
			CU_ASSERT_EQUAL(add(&r, &whole, x.part[k], 5, 1), DROP_NONE);
		}
		CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
		CU_ASSERT(whole->len == x.whole->len &&
			  memcmp(whole->data, x.whole->data, whole->len) == 0);
		CU_ASSERT(whole->flags & PACKET_F_JOINED && r.num == 0);
		CU_ASSERT(whole->mtu <= sizes[i / 2][1] && (!(i % 2) || whole->fragment_at == 48));
		packet_put(whole);
		reasm_fini(&r);
		free_parts(&x);
	}
}

/* A fragment is cut further: offsets go on, and the last part is not called last. */
static void test_cut_again(void)
{
	struct packet *whole = NULL;
	struct fragment_cut c;
	struct reasm r;
	struct parts x;

	cut(&x, false, 3000, 1400);
	CU_ASSERT_EQUAL_FATAL(reasm_init(&r, 2), ERR_OK);
	for (uint32_t i = 0; i < x.num; i++) {
		bool more = x.part[i]->len > 576;

		if (!more) {
			CU_ASSERT_EQUAL(add(&r, &whole, x.part[i], 5, 1), DROP_NONE);
			continue;
		}
		CU_ASSERT_FATAL(fragment_cut_begin(&c, x.part[i], 576));
		while (more) {
			struct packet *p = packet_get(x.pool);

			CU_ASSERT_PTR_NOT_NULL_FATAL(p);
			more = fragment_cut_next(&c, p);
			CU_ASSERT(p->len <= 576);
			CU_ASSERT_EQUAL(add(&r, &whole, p, 5, 1), DROP_NONE);
			packet_put(p);
		}
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
	CU_ASSERT(whole->len == x.whole->len &&
		  memcmp(whole->data, x.whole->data, whole->len) == 0);
	packet_put(whole);
	reasm_fini(&r);
	free_parts(&x);
}

/* Options of one byte, of wrong lengths, of length zero: never beyond the header, always one that
 * can be read. */
static void test_cut_hostile_options(void)
{
	struct pool *pool = pool_new(3, 2048);
	struct packet *out = packet_get(pool);
	struct fragment_cut c;

	for (int round = 0; round < 20000; round++) {
		struct packet *p = packet_get(pool);
		uint32_t words = 5 + below(11);
		bool more = true;

		p->len = (uint32_t)bed_udp4(p->data, true, 1, 2, 3, 600);
		for (uint32_t i = 20; i < words * 4; i++)
			p->data[i] = (uint8_t)(below(3) ? below(12) | below(2) << 7 : below(256));
		p->data[0] = (uint8_t)(0x40 | words);
		CU_ASSERT_FATAL(fragment_cut_begin(&c, p, 200));
		while (more) {
			struct fragment f;

			more = fragment_cut_next(&c, out);
			CU_ASSERT_FATAL(out->len <= 200);
			CU_ASSERT_FATAL(fragment_parse(&f, out->data, out->len) == FRAGMENT_PART);
		}
		packet_put(p);
	}
	packet_put(out);
	pool_free(pool);
}

static void test_too_small_to_cut(void)
{
	struct pool *pool = pool_new(1, 2048);
	struct packet *p = packet_get(pool);
	struct fragment_cut c;

	p->len = (uint32_t)bed_udp4(p->data, true, 1, 2, 3, 600);
	CU_ASSERT(!fragment_cut_begin(&c, p, 27));
	CU_ASSERT(fragment_cut_begin(&c, p, 28));
	p->data[0] = 0x44;
	CU_ASSERT(!fragment_cut_begin(&c, p, 400));
	p->data[0] = 0x60;
	p->fragment_at = 39;
	CU_ASSERT(!fragment_cut_begin(&c, p, 400));
	packet_put(p);
	pool_free(pool);
}

static enum fragment_kind kind(uint8_t *h, uint32_t len, uint16_t field, uint32_t total)
{
	struct fragment f;

	store_be16(h + 6, field);
	store_be16(h + 2, (uint16_t)total);
	return fragment_parse(&f, h, len);
}

/* Fragments of which no packet can be made: none in length, no whole units, beyond 65,535 bytes. */
static void test_malformed(void)
{
	uint8_t h[200] = {0x45}, ip6[200] = {0x60};
	struct fragment f;

	CU_ASSERT_EQUAL(kind(h, 100, 0, 100), FRAGMENT_WHOLE);
	CU_ASSERT_EQUAL(kind(h, 100, IP4_DF, 100), FRAGMENT_WHOLE);
	CU_ASSERT_EQUAL(kind(h, 100, IP4_MF, 20), FRAGMENT_MALFORMED);
	CU_ASSERT_EQUAL(kind(h, 100, IP4_MF, 31), FRAGMENT_MALFORMED);
	CU_ASSERT_EQUAL(kind(h, 100, IP4_MF, 28), FRAGMENT_PART);
	CU_ASSERT_EQUAL(kind(h, 100, 1, 31), FRAGMENT_PART);
	CU_ASSERT_EQUAL(kind(h, 27, IP4_MF, 28), FRAGMENT_MALFORMED);
	CU_ASSERT_EQUAL(kind(h, 100, 8189, 23), FRAGMENT_PART); /* 65512 + 3 + 20 */
	CU_ASSERT_EQUAL(kind(h, 100, 8189, 24), FRAGMENT_MALFORMED);
	CU_ASSERT_EQUAL(kind(h, 100, 0x1fff, 28), FRAGMENT_MALFORMED);
	ip6[6] = IPPROTO_FRAGMENT;
	store_be16(ip6 + 4, 16);
	CU_ASSERT_EQUAL(fragment_parse(&f, ip6, 56), FRAGMENT_WHOLE); /* RFC 6946 */
	ip6[43] = 1;
	CU_ASSERT_EQUAL(fragment_parse(&f, ip6, 56), FRAGMENT_PART);
	store_be16(ip6 + 4, 8);
	CU_ASSERT_EQUAL(fragment_parse(&f, ip6, 56), FRAGMENT_MALFORMED);
	store_be16(ip6 + 4, 17);
	CU_ASSERT_EQUAL(fragment_parse(&f, ip6, 57), FRAGMENT_MALFORMED);
	store_be16(ip6 + 42, 0xfff8);
	store_be16(ip6 + 4, 8 + 7);
	CU_ASSERT_EQUAL(fragment_parse(&f, ip6, 57), FRAGMENT_PART);
	store_be16(ip6 + 4, 8 + 8);
	CU_ASSERT_EQUAL(fragment_parse(&f, ip6, 57), FRAGMENT_MALFORMED);
}

/* Every length and every bit of a fragment's headers: lengths stay within the packet. */
static void test_sweep(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct parts x;

		cut(&x, v6, 300, 200);
		struct packet *p = x.part[1];

		for (uint32_t bit = 0; bit <= 64 * 8; bit++) {
			uint8_t copy[256];

			memcpy(copy, p->data, p->len);
			if (bit)
				copy[(bit - 1) / 8] ^= (uint8_t)(1 << (bit - 1) % 8);
			for (uint32_t len = 0; len <= p->len; len++) {
				struct fragment f = {0};

				if (fragment_parse(&f, copy, len) != FRAGMENT_PART)
					continue;
				CU_ASSERT_FATAL(f.head_len <= f.at && f.at + f.len <= len);
				CU_ASSERT_FATAL(f.next_at < f.head_len);
			}
		}
		free_parts(&x);
	}
}

/* What overlaps spoils the packet, then and later (RFC 5722); the same once more does not. */
static void test_overlap(void)
{
	struct packet *whole = NULL;
	struct reasm r;
	struct parts x;

	for (int v6 = 0; v6 < 2; v6++) {
		cut(&x, v6, 3000, 600);
		CU_ASSERT_EQUAL_FATAL(reasm_init(&r, 2), ERR_OK);
		CU_ASSERT_EQUAL(add(&r, &whole, x.part[1], 5, 1), DROP_NONE);
		CU_ASSERT_EQUAL(add(&r, &whole, x.part[1], 5, 1), DROP_FRAGMENT_REPEATED);
		CU_ASSERT_EQUAL(add(&r, &whole, x.part[0], 5, 1), DROP_NONE);
		CU_ASSERT_EQUAL(r.num, 2);
		x.part[1]->data[x.part[1]->len - 1] ^= 1;
		CU_ASSERT_EQUAL(add(&r, &whole, x.part[1], 5, 1), DROP_FRAGMENT_OVERLAP);
		CU_ASSERT(r.num == 0 && r.num_spoilt == 2);
		for (uint32_t i = 2; i < x.num; i++)
			CU_ASSERT_EQUAL(add(&r, &whole, x.part[i], 5, 1), DROP_FRAGMENT_OVERLAP);
		CU_ASSERT(!whole && r.num == 0);
		reasm_expire(&r, 1 + REASM_NS); /* forgotten */
		CU_ASSERT_EQUAL(add(&r, &whole, x.part[1], 5, 2 + REASM_NS), DROP_NONE);
		reasm_fini(&r);
		free_parts(&x);
	}
}

/* Two that call themselves last, or one behind the last. */
static void test_contradictions(void)
{
	struct packet *whole = NULL;
	struct reasm r;
	struct parts x;

	cut(&x, false, 3000, 600);
	struct packet *last = x.part[x.num - 1];
	uint16_t field = load_be16(last->data + 6);

	CU_ASSERT_EQUAL_FATAL(reasm_init(&r, 2), ERR_OK);
	CU_ASSERT_EQUAL(add(&r, &whole, last, 5, 1), DROP_NONE);
	store_be16(last->data + 6, (uint16_t)(field + 200));
	CU_ASSERT_EQUAL(add(&r, &whole, last, 5, 1), DROP_FRAGMENT_OVERLAP);
	store_be16(last->data + 6, field);
	CU_ASSERT_EQUAL(add(&r, &whole, x.part[2], 6, 1), DROP_NONE);
	store_be16(last->data + 6, 20); /* ends before what is here */
	CU_ASSERT_EQUAL(add(&r, &whole, last, 6, 1), DROP_FRAGMENT_OVERLAP);
	CU_ASSERT(!whole && r.num == 0);
	reasm_fini(&r);
	free_parts(&x);
}

/* Fragments of one packet by different SAs are fragments of two packets. */
static void test_contexts_never_meet(void)
{
	struct packet *whole = NULL;
	struct reasm r;
	struct parts x;

	cut(&x, false, 1000, 600);
	CU_ASSERT_EQUAL_FATAL(reasm_init(&r, 4), ERR_OK);
	CU_ASSERT_EQUAL(add(&r, &whole, x.part[0], 4, 1), DROP_NONE);
	CU_ASSERT_EQUAL(add(&r, &whole, x.part[1], 8, 1), DROP_NONE);
	CU_ASSERT_PTR_NULL(whole);
	CU_ASSERT_EQUAL(add(&r, &whole, x.part[1], 4, 1), DROP_NONE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
	packet_put(whole);
	reasm_fini(&r);
	free_parts(&x);
}

/* One that sends beginnings and no ends: memory is bounded, others still get through, and what it
 * pushes out is its own. */
static void test_bounded(void)
{
	struct packet *whole = NULL;
	struct reasm r;
	struct parts x;

	cut(&x, false, 1000, 600);
	CU_ASSERT_EQUAL_FATAL(reasm_init(&r, 8), ERR_OK);
	CU_ASSERT_EQUAL(add(&r, &whole, x.part[0], 100, 0), DROP_NONE); /* the oldest of all */
	for (uint32_t i = 0; i < 1000; i++) {
		store_be16(x.part[0]->data + 4, (uint16_t)(i + 1));
		CU_ASSERT_EQUAL(add(&r, &whole, x.part[0], 4, 1 + i), DROP_NONE);
		CU_ASSERT(r.num <= 8);
	}
	CU_ASSERT_EQUAL(r.num_displaced, 1000 - 7);
	CU_ASSERT_EQUAL(add(&r, &whole, x.part[1], 100, 2000), DROP_NONE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
	/* A whole packet that is on its way has a buffer: there is one less for the others. */
	struct packet *sent = whole;
	uint32_t full = 0;

	reasm_expire(&r, 2000 + REASM_NS);
	for (uint32_t i = 0; i < 8; i++) {
		store_be16(x.part[0]->data + 4, (uint16_t)(i + 2000));
		full += add(&r, &whole, x.part[0], 100 + i, 3000) == DROP_FRAGMENT_FULL;
	}
	CU_ASSERT(full == 1 && r.num == 7);
	packet_put(sent);
	reasm_expire(&r, 3000 + REASM_NS);
	CU_ASSERT(r.num == 0 && reasm_next(&r) == TIME_NEVER);
	CU_ASSERT_EQUAL(pool_num_free(r.pool), 8);
	free_parts(&x);
	reasm_fini(&r);
}

/* The first part has long headers and the others none, so that theirs is the longer payload: not
 * more fragments are made of the packet than it came in, which would multiply what is sent. */
static void test_no_more_than_came(void)
{
	struct pool *pool = pool_new(2, 66000);
	struct packet *p = packet_get(pool), *whole = NULL;
	struct fragment f;
	struct fragment_cut c;
	struct reasm r;
	uint32_t num = 0, came = 0, made = 0;
	bool more = true;

	CU_ASSERT_EQUAL_FATAL(reasm_init(&r, 1), ERR_OK);
	for (uint32_t at = 0; at < 16008; came++) {
		uint32_t head = at ? 40 : 240, len = at ? 200 : 8;
		uint8_t *h = p->data;

		memset(h, 0, 40);
		h[0] = 0x60;
		h[6] = at ? IPPROTO_FRAGMENT : IPPROTO_HOPOPTS;
		store_be16(h + 4, (uint16_t)(head - 40 + 8 + len));
		if (!at) {
			memset(h + 40, 0, 200);
			h[40] = IPPROTO_FRAGMENT;
			h[41] = 24;
		}
		memset(h + head, 0, 8);
		h[head] = 17;
		store_be16(h + head + 2, (uint16_t)(at | (at + len < 16008)));
		memset(h + head + 8, (int)at / 8, len);
		p->len = head + 8 + len;
		CU_ASSERT_EQUAL_FATAL(fragment_parse(&f, h, p->len), FRAGMENT_PART);
		CU_ASSERT_EQUAL(reasm_add(&r, &whole, &num, p, &f, 4, 1), DROP_NONE);
		at += len;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
	CU_ASSERT_EQUAL(num, came);
	CU_ASSERT(fragment_cut_begin(&c, whole, whole->mtu));
	while (more) {
		struct packet *part = packet_get(pool);

		more = fragment_cut_next(&c, part);
		packet_put(part);
		made++;
	}
	CU_ASSERT(made <= came);
	packet_put(whole);
	packet_put(p);
	reasm_fini(&r);
	pool_free(pool);
}

/* A later fragment so far behind that its end cannot be said is not cut: the parts would be at
 * other places, the first among them. */
static void test_cut_beyond_the_end(void)
{
	struct pool *pool = pool_new(2, 2048);
	struct packet *p = packet_get(pool), *out = packet_get(pool);
	struct fragment_cut c;

	p->len = (uint32_t)bed_udp4(p->data, true, 1, 2, 3, 1200);
	store_be16(p->data + 6, 0x1fff - 50);
	CU_ASSERT(!fragment_cut_begin(&c, p, 400));
	store_be16(p->data + 6, (65535 - 20 - 1208) / 8);
	CU_ASSERT_FATAL(fragment_cut_begin(&c, p, 400));
	for (bool more = true; more;) {
		struct fragment f;

		more = fragment_cut_next(&c, out);
		CU_ASSERT_EQUAL(fragment_parse(&f, out->data, out->len), FRAGMENT_PART);
		CU_ASSERT(out->flags & PACKET_F_FRAGMENT);
	}
	packet_put(p);
	packet_put(out);
	pool_free(pool);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_round_trip),
	TAP_TEST(test_cut_again),
	TAP_TEST(test_cut_hostile_options),
	TAP_TEST(test_too_small_to_cut),
	TAP_TEST(test_malformed),
	TAP_TEST(test_sweep),
	TAP_TEST(test_overlap),
	TAP_TEST(test_contradictions),
	TAP_TEST(test_contexts_never_meet),
	TAP_TEST(test_bounded),
	TAP_TEST(test_no_more_than_came),
	TAP_TEST(test_cut_beyond_the_end),
};

TAP_MAIN("dataplane/fragment", tests)
