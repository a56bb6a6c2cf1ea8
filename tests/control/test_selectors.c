/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/selectors.h"

#include "tests/control/hex.h"
#include "tests/control/sweep.h"

/* list - selectors from text separated by blanks. */
static struct ts_list list(const char *text)
{
	struct ts_list l = {0};
	char copy[1024], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save))
		CU_ASSERT_EQUAL_FATAL(ts_parse(&l.ts[l.num++], s), ERR_OK);
	return l;
}

/* is - the list is what the text says, in that order. */
static bool is(const struct ts_list *l, const char *text)
{
	const struct ts_list other = list(text);

	return l->num == other.num && memcmp(l->ts, other.ts, l->num * sizeof(l->ts[0])) == 0;
}

static enum err parse_hex(struct ts_list *out, const char *hex)
{
	struct hex h;

	hex_read(&h, hex);
	return ts_list_parse(out, hex_view(&h));
}

static void test_parse_and_build(void)
{
	static const char *const texts[] = {
		"10.0.0.0/8", "0.0.0.0/0 ::/0",
		"192.0.2.1/32[tcp/80] 192.0.2.0/24[udp/1000-2000] 2001:db8::/32[58]",
		"10.0.0.1..10.0.0.9 10.1.0.0/16[tcp/opaque]"};
	const struct ike_header h = {0};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct ts_list l = list(texts[i]), again;
		struct ike_builder b;
		uint8_t buf[512];
		struct bytes out;

		ike_build_begin(&b, buf, sizeof(buf), &h);
		ts_list_build(&b, PAYLOAD_TSI, l.ts, l.num);
		CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
		CU_ASSERT_EQUAL(buf[16], PAYLOAD_TSI);
		CU_ASSERT_EQUAL(ts_list_parse(&again, bytes_of(out.p + 32, out.len - 32)), ERR_OK);
		CU_ASSERT(is(&again, texts[i]));
	}
}

static void test_wire_bytes(void)
{
	struct ts_list l;

	/* RFC 7296 3.13.1 by hand: count, then type, protocol, length, ports, addresses. */
	CU_ASSERT_EQUAL(parse_hex(&l, "01000000 07060010 00500050 c0000201 c00002ff"), ERR_OK);
	CU_ASSERT(is(&l, "192.0.2.1..192.0.2.255[tcp/80]"));
	CU_ASSERT_EQUAL(parse_hex(&l, "01000000 08000028 0000ffff 20010db8000000000000000000000000"
				      "20010db8ffffffffffffffffffffffff"),
			ERR_OK);
	CU_ASSERT(is(&l, "2001:db8::/32"));
}

static void test_S7_refused(void)
{
	static const struct {
		const char *what, *hex;
		enum err e;
	} cases[] = {
		{"nothing", "", ERR_TRUNCATED},
		{"none", "00000000", ERR_MALFORMED},
		{"fewer than promised", "02000000 07000010 0000ffff c0000201 c00002ff",
		 ERR_TRUNCATED},
		{"more than promised",
		 "01000000 07000010 0000ffff c0000201 c00002ff 07000010 0000ffff c0000201 c00002ff",
		 ERR_MALFORMED},
		{"start behind end", "01000000 07000010 0000ffff c0000202 c0000201", ERR_MALFORMED},
		{"ports in the wrong order", "01000000 07000010 00510050 c0000201 c0000201",
		 ERR_MALFORMED},
		{"IPv4 with a length too long",
		 "01000000 07000014 0000ffff c0000201 c0000201 00000000", ERR_MALFORMED},
		{"IPv4 with a length too short", "01000000 0700000c 0000ffff c0000201",
		 ERR_MALFORMED},
		{"length shorter than its head", "01000000 07000007 0000ffff c0000201 c0000201",
		 ERR_MALFORMED},
		{"length 0", "01000000 07000000 0000ffff c0000201 c0000201", ERR_MALFORMED},
		{"IPv6 type, IPv4 length", "01000000 08000010 0000ffff c0000201 c0000201",
		 ERR_MALFORMED},
		{"too many", "41000000", ERR_LIMIT},
	};
	struct ts_list l;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const enum err e = parse_hex(&l, cases[i].hex);

		if (e != cases[i].e)
			tap_diag("%s: %s", cases[i].what, err_name(e));
		CU_ASSERT_EQUAL(e, cases[i].e);
	}
}

/* Types that we do not know (RFC 7296 2.9, RFC 9478) are passed over by their length. */
static void test_unknown_types(void)
{
	struct ts_list l;

	CU_ASSERT_EQUAL(
		parse_hex(&l,
			  "02000000 0a00000a 01020304 0506 07000010 0000ffff 0a000000 0affffff"),
		ERR_OK);
	CU_ASSERT(is(&l, "10.0.0.0/8"));
	CU_ASSERT_EQUAL(parse_hex(&l, "01000000 0a000008 01020304"), ERR_OK);
	CU_ASSERT_EQUAL(l.num, 0);
	for (uint8_t len = 0; len < 8; len++) {
		uint8_t body[4 + 8] = {1, 0, 0, 0, 10, 0, 0, len};

		CU_ASSERT_EQUAL(ts_list_parse(&l, bytes_of(body, 4u + (len < 4 ? 4 : len))),
				ERR_MALFORMED);
	}
}

static void test_build_bounds(void)
{
	static uint8_t buf[8192];
	static struct ts ts[IKE_MAX_TS + 1];
	const struct ike_header h = {0};
	struct ike_builder b;
	struct ts_list l;
	struct bytes out;

	for (size_t i = 0; i < ARRAY_LEN(ts); i++)
		ts[i] = list("::/0").ts[0];
	ike_build_begin(&b, buf, sizeof(buf), &h);
	ts_list_build(&b, PAYLOAD_TSR, ts, IKE_MAX_TS);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL(ts_list_parse(&l, bytes_of(out.p + 32, out.len - 32)), ERR_OK);
	CU_ASSERT_EQUAL(l.num, IKE_MAX_TS);
	ike_build_begin(&b, buf, sizeof(buf), &h);
	ts_list_build(&b, PAYLOAD_TSR, ts, IKE_MAX_TS + 1);
	CU_ASSERT_EQUAL(ike_build_finish(&b, &out, NULL), ERR_LIMIT);
	ike_build_begin(&b, buf, sizeof(buf), &h);
	ts_list_build(&b, PAYLOAD_TSR, ts, 0);
	CU_ASSERT_EQUAL(ike_build_finish(&b, &out, NULL), ERR_INVAL);
}

/* RFC 7296 2.9. */
static const struct {
	const char *peer, *ours, *result;
} narrowings[] = {
	{"10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8"},
	{"0.0.0.0/0", "10.1.0.0/16", "10.1.0.0/16"},
	{"10.1.0.0/16", "0.0.0.0/0", "10.1.0.0/16"},
	{"10.0.0.0/8", "192.168.0.0/16", ""},
	{"10.0.0.0/8", "::/0", ""},
	/* The packet's own selector first, then the wider one: the wider one contains it. */
	{"10.1.2.3/32[tcp/80] 10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16"},
	/* Only the first is acceptable, only the second is. */
	{"10.1.2.3/32 10.9.0.0/16", "10.1.0.0/16", "10.1.2.3/32"},
	{"10.1.2.3/32 10.9.0.0/16", "10.9.0.0/24", "10.9.0.0/24"},
	/* The peer's order, not ours. */
	{"10.2.0.0/16 10.1.0.0/16", "10.1.0.0/16 10.2.0.0/16", "10.2.0.0/16 10.1.0.0/16"},
	/* Protocol and ports. */
	{"10.0.0.0/8[tcp]", "10.0.0.0/8[udp]", ""},
	{"10.0.0.0/8[tcp/1-100]", "10.0.0.0/8[tcp/50-200]", "10.0.0.0/8[tcp/50-100]"},
	{"10.0.0.0/8", "10.0.0.0/8[tcp/443]", "10.0.0.0/8[tcp/443]"},
	/* Duplicates and what is contained. */
	{"10.0.0.0/8 10.0.0.0/8", "0.0.0.0/0 10.0.0.0/8", "10.0.0.0/8"},
	{"10.1.0.0/16 10.2.0.0/16 10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8"},
	{"10.0.0.0/8 10.1.0.0/16 fd00::/8 10.2.3.4/32", "0.0.0.0/0 ::/0", "10.0.0.0/8 fd00::/8"},
	{"10.1.0.0/16 172.16.0.0/12 10.0.0.0/8", "0.0.0.0/0", "10.0.0.0/8 172.16.0.0/12"},
	{"0.0.0.0/0 ::/0", "10.0.0.0/8 fd00::/8", "10.0.0.0/8 fd00::/8"},
	{"10.0.0.5..10.0.0.20", "10.0.0.0..10.0.0.7 10.0.0.16/28",
	 "10.0.0.5..10.0.0.7 "
	 "10.0.0.16..10.0.0.20"},
};

static void test_narrow(void)
{
	for (size_t i = 0; i < ARRAY_LEN(narrowings); i++) {
		const struct ts_list peer = list(narrowings[i].peer),
				     ours = list(narrowings[i].ours);
		struct ts_list out;
		bool cut = true;
		enum err e = ts_list_narrow(&out, &cut, peer.ts, peer.num, ours.ts, ours.num, 64);

		CU_ASSERT_EQUAL(e, *narrowings[i].result ? ERR_OK : ERR_TS_UNACCEPTABLE);
		if (e != ERR_OK)
			continue;
		if (!is(&out, narrowings[i].result))
			tap_diag("%s with %s", narrowings[i].peer, narrowings[i].ours);
		CU_ASSERT(is(&out, narrowings[i].result));
		CU_ASSERT_FALSE(cut);
		CU_ASSERT(ts_list_within(out.ts, out.num, ours.ts, ours.num));
		CU_ASSERT(ts_list_within(out.ts, out.num, peer.ts, peer.num));
	}
}

static void test_narrow_is_capped(void)
{
	struct ts_list peer = {0}, ours = list("0.0.0.0/0"), out;
	bool cut;

	for (uint32_t i = 0; i < IKE_MAX_TS; i++) {
		const uint8_t a[4] = {10, (uint8_t)i, 0, 1};

		peer.ts[i] = list("10.0.0.1/32").ts[0];
		peer.ts[i].lo = peer.ts[i].hi = ip_addr_v4(a);
	}
	peer.num = IKE_MAX_TS;
	CU_ASSERT_EQUAL(ts_list_narrow(&out, &cut, peer.ts, peer.num, ours.ts, 1, 64), ERR_OK);
	CU_ASSERT_FALSE(cut);
	CU_ASSERT_EQUAL(out.num, 64);
	CU_ASSERT_EQUAL(ts_list_narrow(&out, &cut, peer.ts, peer.num, ours.ts, 1, 3), ERR_OK);
	CU_ASSERT(cut);
	CU_ASSERT_EQUAL(out.num, 3);
	CU_ASSERT(memcmp(out.ts, peer.ts, 3 * sizeof(struct ts)) == 0);
	CU_ASSERT_EQUAL(ts_list_narrow(&out, &cut, peer.ts, 0, ours.ts, 1, 3), ERR_TS_UNACCEPTABLE);
}

static void test_within(void)
{
	const struct ts_list offer = list("10.0.0.0/8 fd00::/8[tcp]");
	static const struct {
		const char *answer;
		bool good;
	} cases[] = {
		{"10.0.0.0/8", true},
		{"10.1.0.0/16 fd01::/16[tcp/80]", true},
		{"10.1.0.0/16 11.0.0.0/8", false},
		{"0.0.0.0/0", false},
		{"fd00::/8", false},
		{"fd00::/8[udp]", false},
		{"", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct ts_list l = list(cases[i].answer);

		CU_ASSERT_EQUAL(ts_list_within(l.ts, l.num, offer.ts, offer.num), cases[i].good);
	}
}

static void test_prepend(void)
{
	const struct ts first = list("10.0.0.1/32[tcp/80]").ts[0];
	struct ts_list l = list("10.0.0.0/8");

	ts_list_prepend(&l, &first);
	CU_ASSERT(is(&l, "10.0.0.1/32[tcp/80] 10.0.0.0/8"));
	while (l.num < IKE_MAX_TS)
		ts_list_prepend(&l, &first);
	ts_list_prepend(&l, &first);
	CU_ASSERT_EQUAL(l.num, IKE_MAX_TS);
	CU_ASSERT(memcmp(&l.ts[IKE_MAX_TS - 1], &first, sizeof(first)) == 0);
}

static void visit(struct bytes v, long bit)
{
	struct ts_list l;

	if (ts_list_parse(&l, v) != ERR_OK)
		return;
	CU_ASSERT(bit >= 0);
	CU_ASSERT(l.num <= v.p[0]);
	for (uint32_t i = 0; i < l.num; i++)
		CU_ASSERT(ts_valid(&l.ts[i]));
}

static void test_truncation_and_bit_flips(void)
{
	struct hex h;

	hex_read(&h, "03000000 07060010 00500050 c0000201 c00002ff 08000028 0000ffff"
		     "20010db8000000000000000000000000 20010db8ffffffffffffffffffffffff"
		     "07000010 0000ffff 0a000000 0affffff");
	CU_ASSERT_EQUAL(sweep(h.b, h.len, visit), h.len * 9);
}

/* What is taken out is gone, what is beside it stays; of all protocols together the addresses go.
 */
static void test_L4_without(void)
{
	static const struct {
		const char *list, *without, *rest;
	} table[] = {
		{"10.0.0.0/8", "10.1.2.3/32", "10.0.0.0..10.1.2.2 10.1.2.4..10.255.255.255"},
		{"10.0.0.0/24", "10.0.0.0/32", "10.0.0.1..10.0.0.255"},
		{"10.0.0.0/24", "10.0.0.255/32", "10.0.0.0..10.0.0.254"},
		{"10.0.0.255..10.0.1.0", "10.0.1.0/32", "10.0.0.255/32"},
		{"10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/25"},
		{"10.0.0.0/24", "10.0.0.7/32[tcp/80]", "10.0.0.0..10.0.0.6 10.0.0.8..10.0.0.255"},
		{"10.0.0.7/32[tcp]", "10.0.0.7/32[tcp/80]",
		 "10.0.0.7/32[tcp/0-79] 10.0.0.7/32[tcp/81-65535]"},
		{"10.0.0.6..10.0.0.8[tcp]", "10.0.0.7/32[tcp/0]",
		 "10.0.0.6/32[tcp] 10.0.0.8/32[tcp] 10.0.0.7/32[tcp/1-65535]"},
		{"10.0.0.7/32[tcp/80] 10.9.0.0/16", "10.0.0.7/32", "10.9.0.0/16"},
		{"10.0.0.7/32[tcp/opaque] 10.9.0.0/16", "10.0.0.7/32[tcp]", "10.9.0.0/16"},
		{"10.0.0.7/32[udp]", "10.0.0.7/32[tcp/80]", "10.0.0.7/32[udp]"},
		{"10.0.0.0/8", "2001:db8::1/128", "10.0.0.0/8"},
		{"::/0", "::/128", "::1..ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"0.0.0.0/0", "255.255.255.255/32", "0.0.0.0..255.255.255.254"},
		{"10.0.0.0/24 10.0.0.0/16", "10.0.0.0/24", "10.0.1.0..10.0.255.255"}};
	struct ts_list nothing = list("10.0.0.7/32 10.0.0.8/32[udp]"), before = nothing;
	struct ts all;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct ts_list l = list(table[i].list), w = list(table[i].without);
		struct ts both;

		CU_ASSERT_EQUAL(ts_list_without(&l, &w.ts[0]), ERR_OK);
		if (!is(&l, table[i].rest))
			tap_diag("%s without %s", table[i].list, table[i].without);
		CU_ASSERT(is(&l, table[i].rest));
		for (uint32_t k = 0; k < l.num; k++)
			CU_ASSERT(ts_valid(&l.ts[k]) && !ts_intersect(&both, &l.ts[k], &w.ts[0]));
	}
	CU_ASSERT_EQUAL(ts_parse(&all, "10.0.0.0/28"), ERR_OK);
	CU_ASSERT_EQUAL(ts_list_without(&nothing, &all), ERR_TS_UNACCEPTABLE);
	CU_ASSERT_EQUAL(memcmp(&nothing, &before, sizeof(before)), 0);
}

static void test_L4_without_is_capped(void)
{
	struct ts_list l = list("10.0.0.0/8"), before;
	struct ts hole;

	for (unsigned i = 1; l.num < IKE_MAX_TS; i++) {
		const uint8_t b[4] = {10, (uint8_t)i, 0, 0};

		hole = (struct ts){.lo = ip_addr_v4(b), .hi = ip_addr_v4(b), .port_hi = 0xffff};
		CU_ASSERT_EQUAL_FATAL(ts_list_without(&l, &hole), ERR_OK);
	}
	before = l;
	hole.lo.b[3] = hole.hi.b[3] = 9;
	CU_ASSERT_EQUAL(ts_list_without(&l, &hole), ERR_LIMIT);
	CU_ASSERT_EQUAL(memcmp(&l, &before, sizeof(l)), 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_parse_and_build),  TAP_TEST(test_wire_bytes),
	TAP_TEST(test_S7_refused),       TAP_TEST(test_unknown_types),
	TAP_TEST(test_build_bounds),     TAP_TEST(test_narrow),
	TAP_TEST(test_narrow_is_capped), TAP_TEST(test_within),
	TAP_TEST(test_prepend),          TAP_TEST(test_truncation_and_bit_flips),
	TAP_TEST(test_L4_without),       TAP_TEST(test_L4_without_is_capped),
};

TAP_MAIN("control/selectors", tests)
