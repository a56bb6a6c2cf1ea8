/* SPDX-License-Identifier: Apache-2.0 */
/* The traffic selectors of base/addr.h, against brute force over small numbers. */
#include "base/addr.h"

#include "base/rng.h"

#include "tests/tap/tap.h"

#include <stdio.h>

static struct rng_seeded rng;

static uint32_t draw(uint32_t below)
{
	uint32_t v = 0;

	CU_ASSERT_EQUAL(rng_fill(&rng.rng, &v, sizeof(v)), ERR_OK);
	return v % below;
}

/* Address number n of a tiny world that straddles a byte boundary: ...0.250 to ...1.9. */
#define WORLD 16
static struct ip_addr world(uint32_t n, uint8_t family)
{
	struct ip_addr a = {.family = family};
	size_t len = ip_addr_len(&a);
	uint32_t v = 250 + n;

	a.b[0] = 10;
	a.b[len - 2] = (uint8_t)(v >> 8);
	a.b[len - 1] = (uint8_t)v;
	return a;
}

#define PORTS 6 /* ports 0 to 5 of the tiny world */

static struct ts random_ts(void)
{
	uint8_t family = draw(8) ? IP_V4 : IP_V6;
	uint32_t a = draw(WORLD), b = draw(WORLD), p = draw(PORTS), q = draw(PORTS);
	struct ts t = {.lo = world(a < b ? a : b, family), .hi = world(a < b ? b : a, family)};

	t.proto = (uint8_t)draw(3);
	t.port_lo = (uint16_t)(p < q ? p : q);
	t.port_hi = (uint16_t)(p < q ? q : p);
	if (draw(3) == 0) {
		t.port_lo = 0;
		t.port_hi = 0xffff;
	} else if (draw(8) == 0) {
		t.port_lo = 0xffff;
		t.port_hi = 0;
	}
	return t;
}

static bool opaque(const struct ts *t)
{
	return t->port_lo == 0xffff && t->port_hi == 0;
}

/* Does t match packet n of the tiny world? Port number PORTS stands for "not available", which only
 * OPAQUE and ANY match (RFC 4301 4.4.1.1). Written without the code under test. */
#define NUM_PACKETS (2u * WORLD * 4 * (PORTS + 1))
static bool naive_match(const struct ts *t, uint32_t n)
{
	uint8_t family = n % 2 ? IP_V4 : IP_V6;
	uint32_t at = n / 2 % WORLD, proto = n / 2 / WORLD % 4, port = n / 2 / WORLD / 4;
	struct ip_addr a = world(at, family);
	bool any_port = t->port_lo == 0 && t->port_hi == 0xffff;

	if (family != t->lo.family || (t->proto && t->proto != proto))
		return false;
	if (memcmp(a.b, t->lo.b, 16) < 0 || memcmp(a.b, t->hi.b, 16) > 0)
		return false;
	if (port == PORTS)
		return any_port || opaque(t);
	return !opaque(t) && port >= t->port_lo && port <= t->port_hi;
}

static void test_intersection_is_what_both_match(void)
{
	long num_common = 0;

	rng_seeded_init(&rng, 11);
	for (int i = 0; i < 4000; i++) {
		struct ts a = random_ts(), b = random_ts();
		struct ts c = {.proto = 77};
		bool any = ts_intersect(&c, &a, &b);
		bool some = false, same = true;

		for (uint32_t n = 0; n < NUM_PACKETS; n++) {
			bool both = naive_match(&a, n) && naive_match(&b, n);

			some = some || both;
			same = same && (!any || naive_match(&c, n) == both);
		}
		CU_ASSERT(any == some && same);
		CU_ASSERT(any ? ts_valid(&c) : c.proto == 77);
		num_common += any;
	}
	CU_ASSERT(num_common > 400);
}

static void test_contains_every_packet(void)
{
	long num_inside = 0;

	rng_seeded_init(&rng, 12);
	for (int i = 0; i < 6000; i++) {
		struct ts a = random_ts(), b = random_ts();
		bool all = true;

		if (draw(2)) {
			/* Random pairs are rarely nested: cut b to a. */
			struct ts cut;

			if (ts_intersect(&cut, &a, &b))
				b = cut;
		}
		for (uint32_t n = 0; n < NUM_PACKETS; n++)
			all = all && (naive_match(&a, n) || !naive_match(&b, n));
		/* All protocols of the tiny world are not all protocols; likewise its ports. */
		if (a.proto && !b.proto)
			all = false;
		CU_ASSERT_EQUAL(ts_contains(&a, &b), all);
		num_inside += all;
	}
	CU_ASSERT(num_inside > 600);
}

static void test_match_agrees(void)
{
	rng_seeded_init(&rng, 13);
	for (int i = 0; i < 2000; i++) {
		struct ts t = random_ts();
		bool same = true;

		if (opaque(&t))
			continue;
		for (uint32_t n = 0; n < NUM_PACKETS; n++) {
			struct ip_addr a = world(n / 2 % WORLD, n % 2 ? IP_V4 : IP_V6);
			uint32_t port = n / 2 / WORLD / 4;

			if (port == PORTS)
				continue;
			same = same && ts_match(&t, &a, (uint8_t)(n / 2 / WORLD % 4),
						(uint16_t)port) == naive_match(&t, n);
		}
		CU_ASSERT(same);
	}
}

static void test_opaque_matches_what_has_no_port(void)
{
	struct ts t;
	struct ip_addr a;

	CU_ASSERT_EQUAL_FATAL(ts_parse(&t, "10.0.0.0/8[tcp/opaque]"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(&a, "10.1.1.1"), ERR_OK);
	CU_ASSERT(ts_match(&t, &a, 6, 0));
	CU_ASSERT(!ts_match(&t, &a, 6, 80));
	CU_ASSERT(!ts_match(&t, &a, 6, 65535));
	CU_ASSERT(!ts_match(&t, &a, 17, 0));
}

static void test_validity(void)
{
	struct ts t;

	CU_ASSERT_EQUAL_FATAL(ts_parse(&t, "10.0.0.0/8[udp/5-9]"), ERR_OK);
	CU_ASSERT(ts_valid(&t));
	struct ts bad = t;
	bad.hi.family = IP_V6;
	CU_ASSERT(!ts_valid(&bad));
	bad = t;
	bad.lo.b[0] = 11;
	CU_ASSERT(!ts_valid(&bad));
	bad = t;
	bad.port_lo = 10;
	CU_ASSERT(!ts_valid(&bad));
	bad = t;
	bad.lo.family = bad.hi.family = 5;
	CU_ASSERT(!ts_valid(&bad));
	CU_ASSERT(!ts_valid(&(struct ts){0}));
}

/* The prefixes cover the range, exactly, once, in order, and no two of them could be one. */
static bool covers(const struct ip_prefix *p, size_t num, uint32_t lo, uint32_t hi)
{
	uint64_t at = lo;

	for (size_t i = 0; i < num; i++) {
		uint64_t size = 1ull << (32 - p[i].len);

		if (load_be32(p[i].addr.b) != at || at % size != 0 || p[i].addr.family != IP_V4)
			return false;
		at += size;
		if (i > 0 && p[i].len == p[i - 1].len && (at - 2 * size) % (2 * size) == 0)
			return false;
	}
	return at == (uint64_t)hi + 1;
}

static struct ts range4(uint32_t lo, uint32_t hi)
{
	uint8_t b[4];
	struct ts t = {.port_hi = 0xffff};

	store_be32(b, lo);
	t.lo = ip_addr_v4(b);
	store_be32(b, hi);
	t.hi = ip_addr_v4(b);
	return t;
}

static void test_prefixes_cover_a_range_exactly(void)
{
	struct ip_prefix p[62];
	size_t num;

	rng_seeded_init(&rng, 14);
	for (int i = 0; i < 20000; i++) {
		uint32_t a = draw(UINT32_MAX) >> draw(32), b = draw(UINT32_MAX) >> draw(32);
		uint32_t lo = a < b ? a : b, hi = a < b ? b : a;
		struct ts t;

		if (draw(10) == 0)
			hi = UINT32_MAX;
		if (draw(10) == 0)
			lo = 0;
		t = range4(lo, hi);
		CU_ASSERT_EQUAL_FATAL(ts_to_prefixes(&t, p, &num, 62), ERR_OK);
		CU_ASSERT(covers(p, num, lo, hi));
	}
}

static void test_the_worst_ranges(void)
{
	static struct ip_prefix p[254];
	struct ts t = range4(1, UINT32_MAX - 1);
	size_t num = 99;

	CU_ASSERT_EQUAL(ts_to_prefixes(&t, p, &num, 61), ERR_LIMIT);
	CU_ASSERT_EQUAL(num, 99);
	CU_ASSERT_EQUAL(ts_to_prefixes(&t, p, &num, 62), ERR_OK);
	CU_ASSERT_EQUAL(num, 62);
	CU_ASSERT_EQUAL(ts_parse(&t, "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), ERR_OK);
	CU_ASSERT_EQUAL(ts_to_prefixes(&t, p, &num, 253), ERR_LIMIT);
	CU_ASSERT_EQUAL(ts_to_prefixes(&t, p, &num, 254), ERR_OK);
	CU_ASSERT_EQUAL(num, 254);
	CU_ASSERT_EQUAL(ts_parse(&t, "::/0"), ERR_OK);
	CU_ASSERT_EQUAL(ts_to_prefixes(&t, p, &num, 1), ERR_OK);
	CU_ASSERT(num == 1 && p[0].len == 0 && p[0].addr.family == IP_V6);
	CU_ASSERT_EQUAL(ts_parse(&t, "0.0.0.0/0"), ERR_OK);
	CU_ASSERT_EQUAL(ts_to_prefixes(&t, p, &num, 1), ERR_OK);
	CU_ASSERT(num == 1 && p[0].len == 0 && p[0].addr.family == IP_V4);
	CU_ASSERT_EQUAL(ts_to_prefixes(&t, p, &num, 0), ERR_LIMIT);
}

static void test_from_prefix(void)
{
	struct ip_prefix p;
	char buf[TS_TEXT_MAX];
	struct ts t;

	for (uint8_t len = 0; len <= 128; len++) {
		CU_ASSERT_EQUAL(ip_prefix_parse(&p, "2001:db8:a5a5:a5a5:a5a5:a5a5:a5a5:a5a5"),
				ERR_OK);
		p.len = len;
		t = ts_from_prefix(&p);
		CU_ASSERT(ts_valid(&t) && t.port_lo == 0 && t.port_hi == 0xffff && t.proto == 0);
		CU_ASSERT(ip_prefix_contains(&p, &t.lo) && ip_prefix_contains(&p, &t.hi));
		for (unsigned int i = len; i < 128; i++) {
			CU_ASSERT(!(t.lo.b[i / 8] >> (7 - i % 8) & 1));
			CU_ASSERT(t.hi.b[i / 8] >> (7 - i % 8) & 1);
		}
	}
	CU_ASSERT_EQUAL(ip_prefix_parse(&p, "10.1.2.3/12"), ERR_OK);
	t = ts_from_prefix(&p);
	CU_ASSERT_STRING_EQUAL(ts_text(buf, &t), "10.0.0.0/12");
}

static const struct {
	const char *in;
	const char *out; /* NULL: as it came */
} good[] = {
	{"10.0.0.0/8", NULL},
	{"10.1.2.3/8", "10.0.0.0/8"},
	{"10.0.0.1", "10.0.0.1/32"},
	{"10.0.0.1..10.0.0.9", NULL},
	{"10.0.0.1-10.0.0.9", "10.0.0.1..10.0.0.9"},
	{"10.0.0.0-10.0.0.255", "10.0.0.0/24"},
	{"2001:db8::/32", NULL},
	{"2001:db8::1..2001:db8::5[udp]", NULL},
	{"0.0.0.0/0[tcp/80]", NULL},
	{"0.0.0.0/0[6/80]", "0.0.0.0/0[tcp/80]"},
	{"0.0.0.0/0[/80]", NULL},
	{"0.0.0.0/0[any/80]", "0.0.0.0/0[/80]"},
	{"0.0.0.0/0[udp/1000-2000]", NULL},
	{"0.0.0.0/0[udp/0-65535]", "0.0.0.0/0[udp]"},
	{"0.0.0.0/0[TCP/OPAQUE]", "0.0.0.0/0[tcp/opaque]"},
	{"0.0.0.0/0[tcp/any]", "0.0.0.0/0[tcp]"},
	{"0.0.0.0/0[]", "0.0.0.0/0"},
	{"0.0.0.0/0[/]", "0.0.0.0/0"},
	{"0.0.0.0/0[253]", NULL},
	{"0.0.0.0/0[253/7]", NULL},
	{"::/0[icmpv6/34304]", "::/0[ipv6-icmp/134(0)]"},
	{"10.0.0.0/8[icmp/8]", "10.0.0.0/8[icmp/8]"},
	{"10.0.0.0/8[icmp/8(0)]", "10.0.0.0/8[icmp/8(0)]"},
	{"10.0.0.0/8[icmp/0]", "10.0.0.0/8[icmp/0]"},
	{"10.0.0.0/8[icmp/3-5]", "10.0.0.0/8[icmp/3-5]"},
	{"10.0.0.0/8[icmp/3(4)-5(1)]", "10.0.0.0/8[icmp/3(4)-5(1)]"},
	{"10.0.0.0/8[icmp/768-1023]", "10.0.0.0/8[icmp/3]"},
	{"10.0.0.0/8[icmp/0-255]", "10.0.0.0/8[icmp]"},
	{"10.0.0.0/8[icmp/opaque]", "10.0.0.0/8[icmp/opaque]"},
	{"::/0[0]", "::/0"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1..ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"
	 "[mobility-header/10000-20000]",
	 NULL},
};

static void test_text_and_back(void)
{
	char buf[TS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct ts t, again;

		CU_ASSERT_EQUAL_FATAL(ts_parse(&t, good[i].in), ERR_OK);
		CU_ASSERT_STRING_EQUAL(ts_text(buf, &t), good[i].out ? good[i].out : good[i].in);
		CU_ASSERT_EQUAL(ts_parse(&again, buf), ERR_OK);
		CU_ASSERT(memcmp(&t, &again, sizeof(t)) == 0);
	}
}

static void test_random_selectors_come_back_from_their_text(void)
{
	char buf[TS_TEXT_MAX];

	rng_seeded_init(&rng, 15);
	for (int i = 0; i < 5000; i++) {
		struct ts t = random_ts(), again;

		t.proto = (uint8_t)draw(256);
		CU_ASSERT_EQUAL(ts_parse(&again, ts_text(buf, &t)), ERR_OK);
		CU_ASSERT(memcmp(&t, &again, sizeof(t)) == 0);
	}
}

static void test_what_is_no_selector(void)
{
	static const char *const bad[] = {
		"",
		"dynamic",
		"10.0.0.0/33",
		"10.0.0.0/8[icmp/8(256)]",
		"10.0.0.0/8[icmp/8(1]",
		"10.0.0.0/8[icmp/8()]",
		"10.0.0.0/8[icmp/2048(1)]",
		"10.0.0.0/8[icmp/5-3]",
		"10.0.0.0/8[tcp/8(1)]",
		"10.0.0.9..10.0.0.1",
		"10.0.0.1..::1",
		"10.0.0.1..",
		"..10.0.0.1",
		"-",
		"10.0.0.0/8-10.1.0.0/8",
		"10.0.0.1...10.0.0.9",
		"10.0.0.0/8[",
		"10.0.0.0/8]",
		"10.0.0.0/8[tcp",
		"10.0.0.0/8[tcp]x",
		"10.0.0.0/8[tcp]]",
		"10.0.0.0/8[[tcp]",
		"10.0.0.0/8[nosuch]",
		"10.0.0.0/8[256]",
		"10.0.0.0/8[-1]",
		"10.0.0.0/8[tcp/65536]",
		"10.0.0.0/8[tcp/9-5]",
		"10.0.0.0/8[tcp/65535-0]",
		"10.0.0.0/8[tcp/5-]",
		"10.0.0.0/8[tcp/-5]",
		"10.0.0.0/8[tcp/5-6-7]",
		"10.0.0.0/8[tcp/http]",
		"10.0.0.0/8[tcp/99999999999999999999]",
		"10.0.0.0/8[99999999999999999999]",
		"10.0.0.0/8[tcp/80/81]",
		"[tcp/80]",
		"10.0.0.0/8 [tcp]",
		"10.0.0.0/8[ tcp]",
		"10.0.0.0/8[6x]",
		"10.0.0.0/8,10.1.0.0/16",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct ts t = {.proto = 77};
		bool ok = ts_parse(&t, bad[i]) == ERR_MALFORMED && t.proto == 77;

		if (!ok)
			tap_diag("accepted: \"%s\"", bad[i]);
		CU_ASSERT(ok);
	}
}

/* Every selector above cut at every length, and with every bit of every byte changed: an answer,
 * and what is accepted is valid. */
static void test_cut_and_changed_texts(void)
{
	long num_ok = 0;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		size_t len = strlen(good[i].in);
		char buf[TS_TEXT_MAX];
		struct ts t;

		for (size_t cut = 0; cut < len; cut++) {
			memcpy(buf, good[i].in, cut);
			buf[cut] = '\0';
			if (ts_parse(&t, buf) == ERR_OK) {
				CU_ASSERT(ts_valid(&t));
				num_ok++;
			}
		}
		for (size_t bit = 0; bit < 8 * len; bit++) {
			memcpy(buf, good[i].in, len + 1);
			buf[bit / 8] = (char)(buf[bit / 8] ^ 1 << bit % 8);
			if (ts_parse(&t, buf) == ERR_OK) {
				CU_ASSERT(ts_valid(&t));
				num_ok++;
			}
		}
	}
	CU_ASSERT(num_ok > 100);
}

static void test_long_texts_are_refused(void)
{
	static char buf[100000];
	struct ts t;

	memset(buf, '1', sizeof(buf) - 1);
	CU_ASSERT_EQUAL(ts_parse(&t, buf), ERR_MALFORMED);
	snprintf(buf, sizeof(buf), "10.0.0.0/8[tcp/%0120d]", 80);
	CU_ASSERT_EQUAL(ts_parse(&t, buf), ERR_MALFORMED);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_intersection_is_what_both_match),
	TAP_TEST(test_contains_every_packet),
	TAP_TEST(test_match_agrees),
	TAP_TEST(test_opaque_matches_what_has_no_port),
	TAP_TEST(test_validity),
	TAP_TEST(test_prefixes_cover_a_range_exactly),
	TAP_TEST(test_the_worst_ranges),
	TAP_TEST(test_from_prefix),
	TAP_TEST(test_text_and_back),
	TAP_TEST(test_random_selectors_come_back_from_their_text),
	TAP_TEST(test_what_is_no_selector),
	TAP_TEST(test_cut_and_changed_texts),
	TAP_TEST(test_long_texts_are_refused),
};
TAP_MAIN("base/ts", tests)
