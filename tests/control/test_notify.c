/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/payload.h"

#include "tests/control/hex.h"
#include "tests/control/sweep.h"

static const struct ike_header header = {.exchange = INFORMATIONAL};

static enum err parse(struct wire_notify *out, const char *hex)
{
	static struct hex h;

	hex_read(&h, hex);
	return wire_notify_parse(out, hex_view(&h));
}

static void test_parse(void)
{
	struct wire_notify n = {0};
	uint16_t group = 0;

	CU_ASSERT_EQUAL(parse(&n, "0300400b 0102"), ERR_OK);
	CU_ASSERT_EQUAL(n.type, NOTIFY_NON_FIRST_FRAGMENTS_ALSO);
	CU_ASSERT_EQUAL(n.protocol, PROTO_ESP);
	CU_ASSERT(n.spi.len == 0 && n.data.len == 2);
	CU_ASSERT_EQUAL(parse(&n, "0304000b 11223344 aa"), ERR_OK);
	CU_ASSERT(hex_equal("11223344", n.spi.p, n.spi.len) && hex_equal("aa", n.data.p, 1));
	CU_ASSERT_EQUAL(parse(&n, "03ff000b 11223344"), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(parse(&n, "000040"), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(parse(&n, "00000011 0014"), ERR_OK);
	CU_ASSERT_EQUAL(wire_notify_u16(&group, &n), ERR_OK);
	CU_ASSERT_EQUAL(group, 20);
	CU_ASSERT_EQUAL(parse(&n, "0000000e"), ERR_OK);
	CU_ASSERT_EQUAL(wire_notify_u16(&group, &n), ERR_MALFORMED);
}

/* What we act on has the form that RFC 7296 gives it. */
static void test_shapes(void)
{
	static const struct {
		uint16_t type;
		size_t spi, min, max; /* max 200: any */
	} cases[] = {
		{NOTIFY_INVALID_KE_PAYLOAD, 0, 2, 2},
		{NOTIFY_COOKIE, 0, 1, 64},
		{NOTIFY_NAT_DETECTION_SOURCE_IP, 0, 20, 20},
		{NOTIFY_NAT_DETECTION_DESTINATION_IP, 0, 20, 20},
		{NOTIFY_IPCOMP_SUPPORTED, 0, 3, 200},
		{NOTIFY_REKEY_SA, 4, 0, 0},
		{NOTIFY_CHILD_SA_NOT_FOUND, 4, 0, 200},
		{NOTIFY_ADDITIONAL_IP4_ADDRESS, 0, 4, 4},
		{NOTIFY_ADDITIONAL_IP6_ADDRESS, 0, 16, 16},
		{NOTIFY_COOKIE2, 0, 8, 64},
		{NOTIFY_NO_NATS_ALLOWED, 0, 12, 36},
		{NOTIFY_AUTH_LIFETIME, 0, 4, 4},
		{NOTIFY_PUZZLE, 0, 3, 3},
		{NOTIFY_QUICK_CRASH_DETECTION, 0, 16, 128},
		{NOTIFY_NO_PROPOSAL_CHOSEN, 0, 0, 200},
	};
	uint8_t body[256] = {PROTO_ESP};
	struct wire_notify n;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		store_be16(body + 2, cases[i].type);
		body[1] = (uint8_t)cases[i].spi;
		for (size_t len = 0; len < 200; len++)
			CU_ASSERT_EQUAL(
				wire_notify_parse(&n, bytes_of(body, 4 + cases[i].spi + len)),
				len >= cases[i].min && len <= cases[i].max ? ERR_OK
									   : ERR_MALFORMED);
	}
	store_be16(body + 2, NOTIFY_REKEY_SA);
	for (uint8_t spi = 0; spi < 16; spi++) {
		body[1] = spi;
		CU_ASSERT_EQUAL(wire_notify_parse(&n, bytes_of(body, 4u + spi)),
				spi == 4 ? ERR_OK : ERR_MALFORMED);
	}
}

static void test_build_and_find(void)
{
	struct ike_builder b;
	struct wire_notify n = {0};
	struct ike_msg m;
	uint8_t buf[256];
	struct bytes out;
	uint16_t group;

	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_notify_build(&b, NOTIFY_INITIAL_CONTACT, bytes_of(NULL, 0));
	wire_notify_spi_build(&b, NOTIFY_REKEY_SA, 0xa1b2c3d4);
	wire_vendor_build(&b, bytes_of("x", 1));
	wire_notify_ke_build(&b, 19);
	wire_notify_build(&b, NOTIFY_TS_UNACCEPTABLE, bytes_of("yz", 2));
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, out), ERR_OK);
	CU_ASSERT_EQUAL(wire_notify_check(&m), ERR_OK);
	CU_ASSERT(wire_notify_find(&n, &m, NOTIFY_REKEY_SA));
	CU_ASSERT(hex_equal("a1b2c3d4", n.spi.p, n.spi.len));
	CU_ASSERT_EQUAL(n.protocol, PROTO_ESP);
	CU_ASSERT(wire_notify_find(&n, &m, NOTIFY_TS_UNACCEPTABLE));
	CU_ASSERT_EQUAL(n.data.len, 2);
	CU_ASSERT_FALSE(wire_notify_find(&n, &m, NOTIFY_COOKIE));
	/* The first error in the order of the message. */
	CU_ASSERT(wire_notify_find_error(&n, &m));
	CU_ASSERT_EQUAL(n.type, NOTIFY_INVALID_KE_PAYLOAD);
	CU_ASSERT_EQUAL(wire_notify_u16(&group, &n), ERR_OK);
	CU_ASSERT_EQUAL(group, 19);
	/* A payload that is not well formed is not found, and the check tells. */
	m.payloads[1].body.len = 3;
	CU_ASSERT_FALSE(wire_notify_find(&n, &m, NOTIFY_REKEY_SA));
	CU_ASSERT_EQUAL(wire_notify_check(&m), ERR_TRUNCATED);
}

static void test_only_status(void)
{
	struct ike_builder b;
	struct wire_notify n;
	struct ike_msg m;
	uint8_t buf[256];
	struct bytes out;

	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_notify_build(&b, NOTIFY_STATUS_FIRST, bytes_of(NULL, 0));
	wire_notify_build(&b, 16383, bytes_of(NULL, 0));
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, out), ERR_OK);
	CU_ASSERT(wire_notify_find_error(&n, &m));
	CU_ASSERT_EQUAL(n.type, 16383);
	m.num = 1;
	CU_ASSERT_FALSE(wire_notify_find_error(&n, &m));
}

static void test_resource(void)
{
	static const uint8_t id[17] = {0, 0, 0, 0x1f};
	char b[WIRE_RESOURCE_MAX];

	CU_ASSERT_STRING_EQUAL(wire_resource_text(b, bytes_of(NULL, 0)), "-");
	CU_ASSERT_STRING_EQUAL(wire_resource_text(b, bytes_of(id, 4)), "0000001f");
	CU_ASSERT_STRING_EQUAL(wire_resource_text(b, bytes_of(id, 16)),
			       "0000001f000000000000000000000000");
	CU_ASSERT_STRING_EQUAL(wire_resource_text(b, bytes_of(id, 17)),
			       "0000001f000000000000000000000000...");
}

/* The name of a PPK (RFC 8784 5.1): its type, and bytes. */
static void test_ppk(void)
{
	static const char *const none[] = {"", "01", "0161", "03616263"};
	uint8_t long_one[258] = {2};
	struct ike_id id = {.len = 7};
	struct hex h;

	hex_read(&h, "02616263");
	CU_ASSERT_EQUAL(wire_ppk_parse(&id, bytes_of(h.b, h.len)), ERR_OK);
	CU_ASSERT(id.type == ID_FQDN && id.len == 3 && memcmp(id.data, "abc", 3) == 0);
	hex_read(&h, "02610063");
	CU_ASSERT_EQUAL(wire_ppk_parse(&id, bytes_of(h.b, h.len)), ERR_OK);
	CU_ASSERT(id.type == ID_KEY_ID && id.len == 3);
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		hex_read(&h, none[i]);
		CU_ASSERT_EQUAL(wire_ppk_parse(&id, bytes_of(h.b, h.len)),
				i ? ERR_UNSUPPORTED : ERR_TRUNCATED);
	}
	hex_read(&h, "02");
	CU_ASSERT_EQUAL(wire_ppk_parse(&id, bytes_of(h.b, h.len)), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(wire_ppk_parse(&id, bytes_of(long_one, 258)), ERR_LIMIT);
	CU_ASSERT_EQUAL(wire_ppk_parse(&id, bytes_of(long_one, 257)), ERR_OK);
	CU_ASSERT_EQUAL(id.len, 256);
}

static void visit_ppk(struct bytes data, long changed_bit)
{
	struct ike_id id;
	enum err e = wire_ppk_parse(&id, data);

	const enum err want = changed_bit < 0   ? (data.len < 2 ? ERR_TRUNCATED : ERR_OK)
			      : changed_bit < 8 ? ERR_UNSUPPORTED
						: ERR_OK;

	CU_ASSERT_EQUAL(e, want);
	if (!e)
		CU_ASSERT(id.len + 1u == data.len && memcmp(id.data, data.p + 1, id.len) == 0);
}

/* What is changed by one bit or cut off is another notify, or none; what is said of its data fits.
 */
static void visit(struct bytes body, long changed_bit)
{
	struct wire_notify n;
	char b[WIRE_RESOURCE_MAX];
	enum err e = wire_notify_parse(&n, body);

	if (changed_bit < 0)
		CU_ASSERT_EQUAL(e, body.len < 4 ? ERR_TRUNCATED : ERR_OK);
	if (e)
		return;
	CU_ASSERT_EQUAL(4 + n.spi.len + n.data.len, body.len);
	CU_ASSERT(strlen(wire_resource_text(b, n.data)) < sizeof(b));
}

static void test_S1_sweep(void)
{
	struct hex h;

	hex_read(&h, "0000403c 00000003");
	CU_ASSERT_EQUAL(sweep(h.b, h.len, visit), h.len * 9);
	hex_read(&h, "0000403c 000102030405060708090a0b0c0d0e0f1011");
	CU_ASSERT_EQUAL(sweep(h.b, h.len, visit), h.len * 9);
	hex_read(&h, "026361726f6c2d70706b");
	CU_ASSERT_EQUAL(sweep(h.b, h.len, visit_ppk), h.len * 9);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_parse),       TAP_TEST(test_shapes),   TAP_TEST(test_build_and_find),
	TAP_TEST(test_only_status), TAP_TEST(test_resource), TAP_TEST(test_ppk),
	TAP_TEST(test_S1_sweep),
};

TAP_MAIN("control/notify", tests)
