/* SPDX-License-Identifier: Apache-2.0 */
/* Inner headers become flows; selectors match them as RFC 4301 says. */
#include "dataplane/flow.h"

#include <netinet/in.h>

#include "base/alloc.h"

#include "dataplane/pool.h"
#include "tests/dataplane/testbed.h"
#include "tests/tap/tap.h"

static bool parse(struct flow_key *k, const uint8_t *bytes, size_t len, enum flow_dir dir,
		  uint32_t *out_len)
{
	/* Exactly as long as it is: a sanitizer sees every read beyond. */
	uint8_t *copy = mem_dup(bytes, len ? len : 1);
	struct packet p = {.data = copy, .buf = copy, .len = (uint32_t)len, .cap = (uint32_t)len};
	struct flow_id id = {0};
	bool ok = flow_parse(&id, &p, dir);

	*k = flow_key(&id);

	if (out_len)
		*out_len = p.len;
	mem_free(copy);
	return ok;
}

static void test_udp_both_ways(void)
{
	uint8_t buf[200];
	struct flow_key out, in;
	char text[IP_TEXT_MAX];

	CU_ASSERT(parse(&out, buf, bed_udp4(buf, true, 1111, 2222, 0, 9), FLOW_OUT, NULL));
	CU_ASSERT_STRING_EQUAL(ip_addr_text(text, &out.flow.local), "10.1.0.1");
	CU_ASSERT_STRING_EQUAL(ip_addr_text(text, &out.flow.remote), "10.2.0.1");
	CU_ASSERT_EQUAL(out.flow.local_port, 1111);
	CU_ASSERT_EQUAL(out.flow.remote_port, 2222);
	CU_ASSERT_EQUAL(out.flow.proto, 17);
	/* The answer is the same flow. */
	CU_ASSERT(parse(&in, buf, bed_udp4(buf, false, 2222, 1111, 0, 50), FLOW_IN, NULL));
	CU_ASSERT_EQUAL(memcmp(&out, &in, sizeof(in)), 0);
	CU_ASSERT(parse(&out, buf, bed_udp6(buf, true, 1, 2, 0, 9), FLOW_OUT, NULL));
	CU_ASSERT(parse(&in, buf, bed_udp6(buf, false, 2, 1, 0, 9), FLOW_IN, NULL));
	CU_ASSERT_EQUAL(memcmp(&out, &in, sizeof(in)), 0);
	CU_ASSERT_STRING_EQUAL(ip_addr_text(text, &out.flow.remote), "fd02::1");
}

static void test_icmp_type_and_code(void)
{
	uint8_t buf[200];
	struct flow_key k;
	size_t len = bed_udp4(buf, true, 0x0800, 0, 0, 9);

	buf[9] = IPPROTO_ICMP;
	CU_ASSERT(parse(&k, buf, len, FLOW_OUT, NULL));
	CU_ASSERT_EQUAL(k.flow.local_port, 0x0800);
	CU_ASSERT_EQUAL(k.flow.remote_port, 0);
	CU_ASSERT(parse(&k, buf, len, FLOW_IN, NULL));
	CU_ASSERT_EQUAL(k.flow.local_port, 0x0800);
}

/* Every truncation is refused or cut where the header says; nothing is read beyond the end. */
static void test_truncated(void)
{
	uint8_t buf[200];
	struct flow_key k;

	for (int v6 = 0; v6 < 2; v6++) {
		size_t whole =
			v6 ? bed_udp6(buf, true, 1, 2, 0, 9) : bed_udp4(buf, true, 1, 2, 0, 9);

		for (size_t len = 0; len < whole; len++)
			CU_ASSERT(!parse(&k, buf, len, FLOW_OUT, NULL));
	}
}

static void test_trailing_bytes_are_cut(void)
{
	uint8_t buf[200] = {0};
	struct flow_key k;
	uint32_t len;
	size_t n = bed_udp4(buf, true, 1, 2, 0, 9);

	CU_ASSERT(parse(&k, buf, n + 30, FLOW_IN, &len));
	CU_ASSERT_EQUAL(len, n);
	n = bed_udp6(buf, true, 1, 2, 0, 9);
	CU_ASSERT(parse(&k, buf, n + 30, FLOW_IN, &len));
	CU_ASSERT_EQUAL(len, n);
}

static void test_malformed(void)
{
	uint8_t buf[200];
	struct flow_key k;
	size_t n = bed_udp4(buf, true, 1, 2, 0, 9);

	buf[0] = 0x44; /* header shorter than 20 */
	CU_ASSERT(!parse(&k, buf, n, FLOW_OUT, NULL));
	buf[0] = 0x4f; /* header longer than the packet */
	CU_ASSERT(!parse(&k, buf, n, FLOW_OUT, NULL));
	buf[0] = 0x55;
	CU_ASSERT(!parse(&k, buf, n, FLOW_OUT, NULL));
	bed_udp4(buf, true, 1, 2, 0, 9);
	store_be16(buf + 2, 19); /* total length shorter than the header */
	CU_ASSERT(!parse(&k, buf, n, FLOW_OUT, NULL));
	store_be16(buf + 2, 23); /* no room for ports */
	CU_ASSERT(!parse(&k, buf, n, FLOW_OUT, NULL));
	store_be16(buf + 2, 24);
	CU_ASSERT(parse(&k, buf, n, FLOW_OUT, NULL));
}

static void test_fragments_have_no_ports(void)
{
	uint8_t buf[200];
	struct flow_key k;
	size_t n = bed_udp4(buf, true, 1, 2, 0, 9);

	store_be16(buf + 6, 0x2000); /* the first fragment has them */
	CU_ASSERT(parse(&k, buf, n, FLOW_OUT, NULL));
	CU_ASSERT(!k.no_ports && k.flow.local_port == 1);
	store_be16(buf + 6, 0x2001);
	CU_ASSERT(parse(&k, buf, n, FLOW_OUT, NULL));
	CU_ASSERT(k.no_ports && k.flow.local_port == 0 && k.flow.remote_port == 0);
}

/* v6_chain - an IPv6 packet with these extension headers (8 bytes each) and UDP behind them. */
static size_t v6_chain(uint8_t *buf, const uint8_t *exts, size_t num)
{
	size_t n = bed_udp6(buf, true, 1, 2, 0, 9);

	memmove(buf + 40 + 8 * num, buf + 40, n - 40);
	memset(buf + 40, 0, 8 * num);
	for (size_t i = 0; i < num; i++) {
		buf[i ? 40 + 8 * (i - 1) : 6] = exts[i];
		buf[40 + 8 * i] = 17;
	}
	store_be16(buf + 4, (uint16_t)(n - 40 + 8 * num));
	return n + 8 * num;
}

static void test_v6_extension_headers(void)
{
	static const uint8_t exts[] = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
				       IPPROTO_FRAGMENT};
	uint8_t many[9], buf[300];
	struct flow_key k;

	size_t n = v6_chain(buf, exts, 4);

	CU_ASSERT(parse(&k, buf, n, FLOW_OUT, NULL));
	CU_ASSERT(k.flow.proto == 17 && k.flow.local_port == 1 && !k.no_ports);
	store_be16(buf + 40 + 24 + 2, 0x0008); /* fragment offset 1 */
	CU_ASSERT(parse(&k, buf, n, FLOW_OUT, NULL));
	CU_ASSERT(k.flow.proto == 17 && k.flow.local_port == 0 && k.no_ports);
	buf[41] = 200; /* the first one leads beyond the end */
	CU_ASSERT(!parse(&k, buf, n, FLOW_OUT, NULL));
	memset(many, IPPROTO_DSTOPTS, sizeof(many));
	CU_ASSERT(parse(&k, buf, v6_chain(buf, many, 8), FLOW_OUT, NULL));
	CU_ASSERT(!parse(&k, buf, v6_chain(buf, many, 9), FLOW_OUT, NULL)); /* S10 */
	n = v6_chain(buf, exts, 4);
	for (size_t len = 40; len < n; len++) {
		store_be16(buf + 4, (uint16_t)(len - 40));
		bool whole = len >= 40 + 32 + 4;

		CU_ASSERT_EQUAL(parse(&k, buf, len, FLOW_OUT, NULL), whole);
	}
}

static struct ts selector(const char *text)
{
	struct ts ts = {0};

	CU_ASSERT_EQUAL_FATAL(ts_parse(&ts, text), ERR_OK);
	return ts;
}

static bool match(const struct flow_key *k, const char *local, const char *remote)
{
	struct ts l = selector(local), r = selector(remote);

	return flow_match(k, &l, 1, &r, 1);
}

static void test_selectors(void)
{
	uint8_t buf[200];
	struct flow_key k;
	size_t n = bed_udp4(buf, true, 1000, 53, 0, 9);

	CU_ASSERT_FATAL(parse(&k, buf, n, FLOW_OUT, NULL));
	CU_ASSERT(match(&k, "10.1.0.0/16", "10.2.0.0/16"));
	CU_ASSERT(!match(&k, "10.2.0.0/16", "10.1.0.0/16"));
	CU_ASSERT(match(&k, "10.1.0.1..10.1.0.1", "0.0.0.0/0[udp/53]"));
	CU_ASSERT(!match(&k, "10.1.0.2..10.1.0.9", "0.0.0.0/0[udp/53]"));
	CU_ASSERT(!match(&k, "0.0.0.0/0", "0.0.0.0/0[udp/54]"));
	CU_ASSERT(!match(&k, "0.0.0.0/0", "0.0.0.0/0[tcp]"));
	CU_ASSERT(!match(&k, "::/0", "::/0"));
	CU_ASSERT(!match(&k, "0.0.0.0/0[udp/opaque]", "0.0.0.0/0[udp/opaque]"));
}

/* RFC 4301 7: a fragment without ports only matches selectors for any port, or OPAQUE. */
static void test_S56_fragments_match_only_any_port(void)
{
	uint8_t buf[200];
	struct flow_key k;
	size_t n = bed_udp4(buf, true, 0, 0, 0, 9);

	store_be16(buf + 6, 5);
	CU_ASSERT_FATAL(parse(&k, buf, n, FLOW_OUT, NULL));
	CU_ASSERT(match(&k, "10.1.0.0/16", "10.2.0.0/16"));
	CU_ASSERT(match(&k, "10.1.0.0/16[udp]", "10.2.0.0/16[udp]"));
	CU_ASSERT(match(&k, "10.1.0.0/16[udp/opaque]", "10.2.0.0/16[udp/opaque]"));
	CU_ASSERT(!match(&k, "10.1.0.0/16[udp/0-100]", "10.2.0.0/16"));
	CU_ASSERT(!match(&k, "10.1.0.0/16", "10.2.0.0/16[udp/0]"));
}

/* A protocol without ports has none that a range could admit, not even one that begins at 0. */
static void test_S56_no_ports_match_only_any_port(void)
{
	uint8_t buf[200];
	struct flow_key k;
	size_t n = bed_udp4(buf, true, 0, 0, 0, 9);

	buf[9] = IPPROTO_GRE;
	CU_ASSERT_FATAL(parse(&k, buf, n, FLOW_IN, NULL));
	CU_ASSERT(match(&k, "0.0.0.0/0", "0.0.0.0/0"));
	CU_ASSERT(match(&k, "0.0.0.0/0[gre]", "0.0.0.0/0[gre]"));
	CU_ASSERT(!match(&k, "0.0.0.0/0[/0-1023]", "0.0.0.0/0"));
	CU_ASSERT(!match(&k, "0.0.0.0/0", "0.0.0.0/0[gre/0]"));
	n = bed_udp6(buf, true, 0, 0, 0, 9);
	buf[6] = IPPROTO_GRE;
	CU_ASSERT_FATAL(parse(&k, buf, n, FLOW_IN, NULL));
	CU_ASSERT(match(&k, "::/0", "::/0"));
	CU_ASSERT(!match(&k, "::/0[/0-1023]", "::/0"));
}

/* OPAQUE is for ports that are not known (RFC 4301 4.4.1.1); zero is a port, and echo reply. */
static void test_S56_opaque_does_not_match_zero(void)
{
	uint8_t buf[200];
	struct flow_key k;
	size_t n = bed_udp4(buf, true, 0, 0, 0, 9);

	CU_ASSERT_FATAL(parse(&k, buf, n, FLOW_IN, NULL));
	CU_ASSERT(!match(&k, "0.0.0.0/0[udp/opaque]", "0.0.0.0/0[udp/opaque]"));
	buf[9] = IPPROTO_ICMP; /* type 0, code 0 */
	CU_ASSERT_FATAL(parse(&k, buf, n, FLOW_IN, NULL));
	CU_ASSERT(!match(&k, "0.0.0.0/0[icmp/opaque]", "0.0.0.0/0[icmp/opaque]"));
}

static void test_S56_icmp_selectors(void)
{
	uint8_t buf[200];
	struct flow_key k;
	size_t n = bed_udp4(buf, true, 0x0800, 0, 0, 9);

	buf[9] = IPPROTO_ICMP;
	CU_ASSERT_FATAL(parse(&k, buf, n, FLOW_OUT, NULL));
	CU_ASSERT(match(&k, "0.0.0.0/0[icmp/2048]", "0.0.0.0/0[icmp/2048]"));
	CU_ASSERT(!match(&k, "0.0.0.0/0[icmp/2048]", "0.0.0.0/0[icmp/0]"));
	CU_ASSERT(!match(&k, "0.0.0.0/0[icmp/0]", "0.0.0.0/0[icmp/2048]"));
	CU_ASSERT(!match(&k, "0.0.0.0/0", "0.0.0.0/0[icmp/8(1)]"));
	CU_ASSERT(!match(&k, "0.0.0.0/0[ipv6-icmp/8]", "0.0.0.0/0"));
	CU_ASSERT(match(&k, "0.0.0.0/0", "0.0.0.0/0[icmp]"));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_udp_both_ways),
	TAP_TEST(test_icmp_type_and_code),
	TAP_TEST(test_truncated),
	TAP_TEST(test_trailing_bytes_are_cut),
	TAP_TEST(test_malformed),
	TAP_TEST(test_fragments_have_no_ports),
	TAP_TEST(test_v6_extension_headers),
	TAP_TEST(test_selectors),
	TAP_TEST(test_S56_fragments_match_only_any_port),
	TAP_TEST(test_S56_no_ports_match_only_any_port),
	TAP_TEST(test_S56_opaque_does_not_match_zero),
	TAP_TEST(test_S56_icmp_selectors),
};

TAP_MAIN("dataplane/flow", tests)
