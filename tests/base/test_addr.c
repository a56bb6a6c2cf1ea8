/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include "base/rng.h"

#include "tests/tap/tap.h"

#include <netinet/in.h>
#include <sys/un.h>

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = {0};

	CU_ASSERT_EQUAL(ip_addr_parse(&a, text), ERR_OK);
	return a;
}

static void test_text_and_back(void)
{
	static const char *const texts[] = {
		"0.0.0.0",
		"192.0.2.1",
		"255.255.255.255",
		"::",
		"::1",
		"2001:db8::1",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"::ffff:192.0.2.1",
	};
	char buf[IP_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct ip_addr a = addr(texts[i]);

		CU_ASSERT_STRING_EQUAL(ip_addr_text(buf, &a), texts[i]);
		CU_ASSERT_EQUAL(a.family, strchr(texts[i], ':') ? IP_V6 : IP_V4);
		CU_ASSERT_EQUAL(ip_addr_len(&a), a.family == IP_V4 ? 4 : 16);
	}
	CU_ASSERT_STRING_EQUAL(ip_addr_text(buf, &(struct ip_addr){0}), "%any");
}

static void test_what_is_no_address(void)
{
	static const char *const texts[] = {
		"",         "1.2.3",        "1.2.3.4.5",    "256.1.1.1", "01.2.3.4",
		"1.2.3.4 ", " 1.2.3.4",     "%any",         "1.2.3.4/8", ":::",
		"1::2::3",  "fe80::1%eth0", "host.example", "12345::",   "0x7f.1.1.1",
		"-1.2.3.4",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct ip_addr a = {.family = 77};

		CU_ASSERT_EQUAL(ip_addr_parse(&a, texts[i]), ERR_MALFORMED);
		CU_ASSERT_EQUAL(a.family, 77);
	}
}

static void test_order(void)
{
	static const char *const sorted[] = {"0.0.0.0", "9.255.255.255", "10.0.0.0",   "200.0.0.1",
					     "::",      "::1",           "2001:db8::", "ff02::1"};

	for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
		for (size_t j = 0; j < ARRAY_LEN(sorted); j++) {
			struct ip_addr a = addr(sorted[i]), b = addr(sorted[j]);
			int cmp = ip_addr_cmp(&a, &b);

			CU_ASSERT((cmp > 0) == (i > j) && (cmp < 0) == (i < j));
			CU_ASSERT_EQUAL(ip_addr_equal(&a, &b), i == j);
		}
	}
}

static void test_any(void)
{
	CU_ASSERT(ip_addr_is_any(&(struct ip_addr){0}));
	CU_ASSERT(ip_addr_is_any(&(struct ip_addr){.family = IP_V4}));
	CU_ASSERT(ip_addr_is_any(&(struct ip_addr){.family = IP_V6}));
	CU_ASSERT(!ip_addr_is_any(&(struct ip_addr){.family = IP_V6, .b[15] = 1}));
}

static void test_sockaddr_there_and_back(void)
{
	static const char *const texts[] = {"192.0.2.9", "2001:db8::9"};
	struct sockaddr_storage ss;
	struct endpoint back;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct endpoint e = {.addr = addr(texts[i]), .port = 4500};
		socklen_t len = endpoint_to_sockaddr(&ss, &e);

		CU_ASSERT_EQUAL(len, i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
		CU_ASSERT_EQUAL(ss.ss_family, i ? AF_INET6 : AF_INET);
		CU_ASSERT_EQUAL(((struct sockaddr_in *)&ss)->sin_port, htons(4500));
		CU_ASSERT_EQUAL(endpoint_from_sockaddr(&back, &ss), ERR_OK);
		CU_ASSERT(memcmp(&back, &e, sizeof(e)) == 0);
	}
}

static void test_mapped_sockaddr_becomes_ipv4(void)
{
	struct endpoint e = {.addr = addr("::ffff:192.0.2.9"), .port = 500};
	struct ip_addr v4 = addr("192.0.2.9");
	struct sockaddr_storage ss;
	struct endpoint back;

	endpoint_to_sockaddr(&ss, &e);
	CU_ASSERT_EQUAL(endpoint_from_sockaddr(&back, &ss), ERR_OK);
	CU_ASSERT(ip_addr_equal(&back.addr, &v4));
	ss.ss_family = AF_UNIX;
	CU_ASSERT_EQUAL(endpoint_from_sockaddr(&back, &ss), ERR_MALFORMED);
}

static void test_endpoint_text(void)
{
	char buf[ENDPOINT_TEXT_MAX];
	struct endpoint e = {.addr = addr("2001:db8::1"), .port = 65535};

	CU_ASSERT_STRING_EQUAL(endpoint_text(buf, &e), "2001:db8::1[65535]");
	e.addr = addr("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255");
	CU_ASSERT_STRING_EQUAL(endpoint_text(buf, &e),
			       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff[65535]");
	CU_ASSERT_STRING_EQUAL(endpoint_text(buf, &(struct endpoint){0}), "%any[0]");
}

static void test_prefix_text_and_back(void)
{
	static const char *const texts[] = {"0.0.0.0/0", "10.1.2.3/8",     "192.0.2.1/32",
					    "::/0",      "2001:db8::5/33", "::1/128"};
	char buf[PREFIX_TEXT_MAX];
	struct ip_prefix p;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CU_ASSERT_EQUAL(ip_prefix_parse(&p, texts[i]), ERR_OK);
		CU_ASSERT_STRING_EQUAL(ip_prefix_text(buf, &p), texts[i]);
	}
	CU_ASSERT_EQUAL(ip_prefix_parse(&p, "10.0.0.1"), ERR_OK);
	CU_ASSERT_EQUAL(p.len, 32);
	CU_ASSERT_EQUAL(ip_prefix_parse(&p, "::1"), ERR_OK);
	CU_ASSERT_EQUAL(p.len, 128);
}

static void test_what_is_no_prefix(void)
{
	static const char *const texts[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/+8",
		"10.0.0.0/8 ",
		"::/129",
		"::/1000",
		"::/-1",
		"10.0.0.0/08",
		"10.0.0/8",
		"::/0x8",
		"10.0.0.0//8",
		"10.0.0.0/8/8",
		"::/4294967304",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555/1",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct ip_prefix p = {.len = 77};

		CU_ASSERT_EQUAL(ip_prefix_parse(&p, texts[i]), ERR_MALFORMED);
		CU_ASSERT_EQUAL(p.len, 77);
	}
}

/* Each length against a comparison bit by bit. */
static bool contains_bitwise(const struct ip_prefix *p, const struct ip_addr *a)
{
	for (unsigned int i = 0; i < p->len; i++) {
		if (((p->addr.b[i / 8] ^ a->b[i / 8]) >> (7 - i % 8)) & 1)
			return false;
	}
	return p->addr.family == a->family;
}

static void test_prefix_contains(void)
{
	struct rng_seeded rng;

	rng_seeded_init(&rng, 5);
	for (int i = 0; i < 20000; i++) {
		struct ip_prefix p = {0};
		struct ip_addr a;
		uint8_t r[20];

		CU_ASSERT_EQUAL(rng_fill(&rng.rng, r, sizeof(r)), ERR_OK);
		p.addr = i % 2 ? ip_addr_v4(r) : ip_addr_v6(r);
		p.len = (uint8_t)(r[16] % (8 * ip_addr_len(&p.addr) + 1));
		a = p.addr;
		/* Mostly one bit near the end of the prefix differs. */
		a.b[r[17] % ip_addr_len(&a)] ^= (uint8_t)(1 << r[18] % 8);
		if (r[19] % 4 == 0)
			a = p.addr;
		CU_ASSERT_EQUAL(ip_prefix_contains(&p, &a), contains_bitwise(&p, &a));
	}
	struct ip_prefix all = {.addr = addr("0.0.0.0")};
	struct ip_addr six = addr("::");

	CU_ASSERT(!ip_prefix_contains(&all, &six));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_text_and_back),
	TAP_TEST(test_what_is_no_address),
	TAP_TEST(test_order),
	TAP_TEST(test_any),
	TAP_TEST(test_sockaddr_there_and_back),
	TAP_TEST(test_mapped_sockaddr_becomes_ipv4),
	TAP_TEST(test_endpoint_text),
	TAP_TEST(test_prefix_text_and_back),
	TAP_TEST(test_what_is_no_prefix),
	TAP_TEST(test_prefix_contains),
};
TAP_MAIN("base/addr", tests)
