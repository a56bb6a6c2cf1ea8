/* SPDX-License-Identifier: Apache-2.0 */
/* The Configuration payload (RFC 7296 3.15). */
#include "control/ike/wire/cp.h"

#include "tests/control/hex.h"
#include "tests/control/sweep.h"

static struct cp out;

static enum err parse(const char *text)
{
	struct hex h;

	hex_read(&h, text);
	return cp_parse(&out, hex_view(&h));
}

static bool is(const struct ip_addr *a, const char *text)
{
	char buf[IP_TEXT_MAX];

	return strcmp(ip_addr_text(buf, a), text) == 0;
}

/* A reply of charon's: an address of each version and a name server of each. */
static void test_reply(void)
{
	CU_ASSERT_EQUAL(parse("02000000 0001 0004 0a030001 0003 0004 0a020035"
			      "0008 0011 fd000003000000000000000000000001 78"
			      "000a 0010 fd000002000000000000000000000053"),
			ERR_OK);
	CU_ASSERT_EQUAL(out.type, CFG_REPLY);
	CU_ASSERT_EQUAL_FATAL(out.num_addrs, 2);
	CU_ASSERT_TRUE(is(&out.addrs[0], "10.3.0.1") && is(&out.addrs[1], "fd00:3::1"));
	CU_ASSERT_EQUAL_FATAL(out.num_dns, 2);
	CU_ASSERT_TRUE(is(&out.dns[0], "10.2.0.53") && is(&out.dns[1], "fd00:2::53"));
}

static void test_request(void)
{
	CU_ASSERT_EQUAL(parse("01000000 0001 0000 0003 0000 0008 0000"), ERR_OK);
	CU_ASSERT_TRUE(out.num_addrs == 2 && !out.num_dns);
	CU_ASSERT_TRUE(is(&out.addrs[0], "0.0.0.0") && is(&out.addrs[1], "::"));
	CU_ASSERT_EQUAL(parse("01000000 0001 0004 00000000 0001 0004 0a030007"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(out.num_addrs, 2);
	CU_ASSERT_TRUE(is(&out.addrs[0], "0.0.0.0") && is(&out.addrs[1], "10.3.0.7"));
	CU_ASSERT_EQUAL(parse("01000000 0003 0000"), ERR_OK);
	CU_ASSERT_EQUAL(out.num_addrs + out.num_dns, 0);
	CU_ASSERT_EQUAL(parse("02000000 0001 0000"), ERR_OK); /* nothing is lent */
	CU_ASSERT_EQUAL(out.num_addrs, 0);
	CU_ASSERT_EQUAL(parse("01000000"), ERR_OK);
}

/* Unknown attributes are passed over, and the reserved bit is ignored (3.15.1). */
static void test_unknown(void)
{
	CU_ASSERT_EQUAL(parse("02000000 7fff 0003 010203 8001 0004 0a030001 0007 0000"), ERR_OK);
	CU_ASSERT_EQUAL(out.num_addrs, 1);
}

static void test_refused(void)
{
	static const char *const malformed[] = {
		"02000000 0001 0003 0a0300",
		"02000000 0001 0005 0a03000100",
		"02000000 0003 0010 fd000002000000000000000000000053",
		"02000000 0008 0004 0a030001",
		"02000000 0008 0011 fd000003000000000000000000000001 81",
		"02000000 000a 0011 fd000003000000000000000000000001 40",
		/* what no host can be lent */
		"02000000 0001 0004 00000000",
		"02000000 0001 0004 7f000001",
		"02000000 0001 0004 e0000001",
		"02000000 0001 0004 ffffffff",
		"02000000 0001 0004 a9fe0001",
		"02000000 0008 0010 00000000000000000000000000000001",
		"02000000 0008 0010 fe800000000000000000000000000001",
		"02000000 0008 0010 00000000000000000000ffff7f000001",
		"02000000 0008 0010 ff020000000000000000000000000001",
		"02000000 0003 0004 7f000001",
	};

	for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
		CU_ASSERT_EQUAL(parse(malformed[i]), ERR_MALFORMED);
	CU_ASSERT_EQUAL(parse(""), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(parse("020000"), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(parse("02000000 00"), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(parse("02000000 0001 0004 0a0300"), ERR_TRUNCATED);
}

/* So many attributes, of one kind. */
static enum err repeated(unsigned num, uint16_t type)
{
	uint8_t body[4 + (CP_MAX_ATTRS + 1) * 8] = {CFG_REPLY};

	for (unsigned i = 0; i < num; i++) {
		store_be16(body + 4 + i * 8, type);
		store_be16(body + 6 + i * 8, 4);
		store_be32(body + 8 + i * 8, 0x0a030001 + i);
	}
	return cp_parse(&out, bytes_of(body, 4 + num * 8u));
}

static enum err requested(unsigned num)
{
	uint8_t body[4 + 20 * 4] = {CFG_REQUEST};

	for (unsigned i = 0; i < num; i++)
		store_be16(body + 4 + i * 4, 1);
	return cp_parse(&out, bytes_of(body, 4 + num * 4u));
}

static void test_S3_bounds(void)
{
	CU_ASSERT_EQUAL(repeated(CP_MAX_ADDRS, 1), ERR_OK);
	CU_ASSERT_EQUAL(repeated(CP_MAX_ADDRS + 3, 1), ERR_OK); /* the rest is left out */
	CU_ASSERT_EQUAL(out.num_addrs, CP_MAX_ADDRS);
	CU_ASSERT_EQUAL(repeated(CP_MAX_DNS, 3), ERR_OK);
	CU_ASSERT_EQUAL(repeated(CP_MAX_DNS + 3, 3), ERR_OK);
	CU_ASSERT_EQUAL(out.num_dns, CP_MAX_DNS);
	out.num_addrs = 0;
	CU_ASSERT_EQUAL(requested(CP_MAX_ADDRS + 3), ERR_OK); /* the rest is not asked for */
	CU_ASSERT_EQUAL(out.num_addrs, CP_MAX_ADDRS);
	CU_ASSERT_EQUAL(repeated(CP_MAX_ATTRS, 99), ERR_OK);
	CU_ASSERT_EQUAL(repeated(CP_MAX_ATTRS + 1, 99), ERR_LIMIT);
}

static void test_build(void)
{
	const struct ike_header h = {0};
	struct cp cp = {.type = CFG_REQUEST, .num_addrs = 4, .num_dns = 2};
	uint8_t buf[200];
	struct ike_builder b;
	struct bytes m;

	cp.addrs[0].family = IP_V4;
	cp.addrs[1].family = IP_V6;
	CU_ASSERT_EQUAL(ip_addr_parse(&cp.addrs[2], "10.3.0.1"), ERR_OK);
	CU_ASSERT_EQUAL(ip_addr_parse(&cp.addrs[3], "fd00:3::1"), ERR_OK);
	cp.dns[0].family = IP_V4;
	cp.dns[1].family = IP_V6;
	ike_build_begin(&b, buf, sizeof(buf), &h);
	cp_build(&b, &cp);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &m, NULL), ERR_OK);
	CU_ASSERT_TRUE(hex_equal("01000000 00010000 00080000 0001 0004 0a030001"
				 "0008 0011 fd000003000000000000000000000001 80 00030000 000a0000",
				 m.p + 32, m.len - 32));
}

static void visit(struct bytes v, long bit)
{
	(void)bit;
	if (cp_parse(&out, v) == ERR_OK)
		CU_ASSERT_TRUE(out.num_addrs <= CP_MAX_ADDRS && out.num_dns <= CP_MAX_DNS);
}

static void test_sweep(void)
{
	struct hex h;

	hex_read(&h, "02000000 0001 0004 0a030001 0003 0004 0a020035"
		     "0008 0011 fd000003000000000000000000000001 78");
	CU_ASSERT_EQUAL(sweep(h.b, h.len, visit), h.len * 9);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_reply),   TAP_TEST(test_request),   TAP_TEST(test_unknown),
	TAP_TEST(test_refused), TAP_TEST(test_S3_bounds), TAP_TEST(test_build),
	TAP_TEST(test_sweep),
};

TAP_MAIN("control/cp", tests)
