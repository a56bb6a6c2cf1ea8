/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/payload.h"

#include "tests/control/hex.h"
#include "tests/control/sweep.h"

static const struct ike_header header = {.exchange = INFORMATIONAL};

static struct bytes body_of(const char *hex)
{
	static struct hex h;

	hex_read(&h, hex);
	return hex_view(&h);
}

/* built - the body of the only payload of a message, and that its type is as told. */
static struct bytes built(struct ike_builder *b, uint8_t type)
{
	struct bytes out = {0};

	CU_ASSERT_EQUAL_FATAL(ike_build_finish(b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL(out.p[16], type);
	return bytes_of(out.p + 32, out.len - 32);
}

static bool is(const char *hex, struct bytes b)
{
	return hex_equal(hex, b.p, b.len);
}

static void test_ke(void)
{
	struct ike_builder b;
	struct wire_ke ke = {0};
	uint8_t buf[64];

	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_ke_build(&b, 31, bytes_of("abcd", 4));
	CU_ASSERT(is("001f0000 61626364", built(&b, PAYLOAD_KE)));
	CU_ASSERT_EQUAL(wire_ke_parse(&ke, body_of("0013ffff 05")), ERR_OK);
	CU_ASSERT_EQUAL(ke.group, 19);
	CU_ASSERT(is("05", ke.value));
	CU_ASSERT_EQUAL(wire_ke_parse(&ke, body_of("00130000")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_ke_parse(&ke, body_of("001300")), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(wire_ke_parse(&ke, bytes_of(NULL, 0)), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(ke.group, 19);
}

static void test_nonce(void)
{
	uint8_t value[300] = {1}, buf[64];
	struct ike_builder b;
	struct bytes nonce = {0};

	for (size_t len = 0; len < sizeof(value); len++)
		CU_ASSERT_EQUAL(wire_nonce_parse(&nonce, bytes_of(value, len)),
				len >= 16 && len <= 256 ? ERR_OK : ERR_MALFORMED);
	CU_ASSERT_EQUAL(nonce.len, 256);
	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_nonce_build(&b, bytes_of("0123456789abcdef", 16));
	CU_ASSERT(bytes_equal(bytes_of("0123456789abcdef", 16), built(&b, PAYLOAD_NONCE)));
}

/* Four keys of one length, and no two the same (RFC 8019 8.2). */
static void test_R8019_solution(void)
{
	static const char *const none[] = {
		"",         "01",       "010203",   "0102030405",
		"01020301", "01010203", "01020202", "0102 0304 0102 0506"};
	struct bytes keys[PUZZLE_KEYS] = {{0}};
	struct ike_builder b;
	uint8_t buf[64];

	CU_ASSERT_EQUAL(wire_solution_parse(keys, body_of("0102 0103 0203 0301")), ERR_OK);
	CU_ASSERT(is("0102", keys[0]) && is("0103", keys[1]));
	CU_ASSERT(is("0203", keys[2]) && is("0301", keys[3]));
	CU_ASSERT_EQUAL(wire_solution_parse(keys, body_of("01020304")), ERR_OK);
	CU_ASSERT(is("04", keys[3]));
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		CU_ASSERT_EQUAL(wire_solution_parse(keys, body_of(none[i])), ERR_MALFORMED);
	CU_ASSERT(is("04", keys[3]));
	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_solution_build(&b, bytes_of("abcdefgh", 8));
	CU_ASSERT(bytes_equal(bytes_of("abcdefgh", 8), built(&b, PAYLOAD_PS)));
}

static void test_R8019_puzzle(void)
{
	struct wire_puzzle p = {0};
	struct ike_builder b;
	uint8_t buf[64];

	CU_ASSERT_EQUAL(wire_puzzle_parse(&p, body_of("0005 12")), ERR_OK);
	CU_ASSERT(p.prf == 5 && p.bits == 18);
	CU_ASSERT_EQUAL(wire_puzzle_parse(&p, body_of("0006")), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(wire_puzzle_parse(&p, body_of("0006 1200")), ERR_MALFORMED);
	CU_ASSERT(p.prf == 5 && p.bits == 18);
	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_puzzle_build(&b, &p);
	CU_ASSERT(is("00004032 0005 12", built(&b, PAYLOAD_NOTIFY)));
}

static void test_id(void)
{
	struct ike_id id = {.type = ID_FQDN, .len = 4, .data = "a.bc"}, again = {0};
	uint8_t buf[512], body[WIRE_ID_BODY_MAX], big[300] = {ID_KEY_ID};
	struct ike_builder b;

	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_id_build(&b, PAYLOAD_IDR, &id);
	CU_ASSERT(is("02000000 612e6263", built(&b, PAYLOAD_IDR)));
	CU_ASSERT(is("02000000 612e6263", wire_id_body(body, &id)));
	CU_ASSERT_EQUAL(wire_id_parse(&again, wire_id_body(body, &id)), ERR_OK);
	CU_ASSERT(memcmp(&again, &id, sizeof(id)) == 0);
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("01000000 c0000201")), ERR_OK);
	CU_ASSERT_EQUAL(again.len, 4);
	/* Nothing of the longer identity before it is left. */
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("0b000000 07")), ERR_OK);
	CU_ASSERT(again.len == 1 && again.data[1] == 0);
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("01000000 c00002")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("01000000 c000020101")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("05000000 c0000201")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("00000000 61")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("02000000")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("0d000000")), ERR_OK); /* RFC 7619 2.2 */
	CU_ASSERT_EQUAL(again.type, ID_NULL);
	CU_ASSERT_EQUAL(again.len, 0);
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("0d000000 00")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_id_parse(&again, body_of("020000")), ERR_TRUNCATED);
	/* S11: as long as there is room for, and one more. */
	CU_ASSERT_EQUAL(wire_id_parse(&again, bytes_of(big, 4 + 256)), ERR_OK);
	CU_ASSERT_EQUAL(again.len, 256);
	CU_ASSERT_EQUAL(wire_id_body(body, &again).len, WIRE_ID_BODY_MAX);
	CU_ASSERT_EQUAL(wire_id_parse(&again, bytes_of(big, 4 + 257)), ERR_LIMIT);
}

static void test_auth(void)
{
	struct ike_builder b;
	struct wire_auth auth = {0};
	uint8_t buf[64];

	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_auth_build(&b, AUTH_SHARED_KEY_MIC, bytes_of("\xaa\xbb", 2));
	CU_ASSERT(is("02000000 aabb", built(&b, PAYLOAD_AUTH)));
	CU_ASSERT_EQUAL(wire_auth_parse(&auth, body_of("0e010203 aabbcc")), ERR_OK);
	CU_ASSERT_EQUAL(auth.method, 14);
	CU_ASSERT(is("aabbcc", auth.value));
	CU_ASSERT_EQUAL(wire_auth_parse(&auth, body_of("02000000")), ERR_MALFORMED);
	/* S21: none is no method, by which EAP is known here. */
	CU_ASSERT_EQUAL(wire_auth_parse(&auth, body_of("00000000 aabbcc")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_auth_parse(&auth, body_of("0200")), ERR_TRUNCATED);
}

static void test_delete(void)
{
	const uint32_t spis[] = {0x11223344, 0x55667788};
	struct ike_builder b;
	struct wire_delete d = {0};
	uint8_t buf[64];

	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_delete_esp_build(&b, spis, 2);
	CU_ASSERT(is("03040002 11223344 55667788", built(&b, PAYLOAD_DELETE)));
	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_delete_ike_build(&b);
	CU_ASSERT(is("01000000", built(&b, PAYLOAD_DELETE)));
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("03040002 11223344 55667788")), ERR_OK);
	CU_ASSERT_EQUAL(d.protocol, PROTO_ESP);
	CU_ASSERT_EQUAL(d.num, 2);
	CU_ASSERT_EQUAL(wire_delete_spi(&d, 0), spis[0]);
	CU_ASSERT_EQUAL(wire_delete_spi(&d, 1), spis[1]);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("03040000")), ERR_OK);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("01000000")), ERR_OK);
	CU_ASSERT_EQUAL(d.protocol, PROTO_IKE);
	/* A number that the SPIs do not fill, SPI lengths that are not the protocol's. */
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("03040003 11223344 55667788")),
			ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("03040001 11223344 55667788")),
			ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("0304ffff 11223344 55667788")),
			ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("03080001 11223344 55667788")),
			ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("0300ffff")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("01080001 1122334455667788")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("01000001")), ERR_MALFORMED);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("00000000")), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("04040001 11223344")), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(wire_delete_parse(&d, body_of("030400")), ERR_TRUNCATED);
}

static void test_vendor(void)
{
	struct ike_builder b;
	uint8_t buf[64];

	ike_build_begin(&b, buf, sizeof(buf), &header);
	wire_vendor_build(&b, bytes_of("latchkey", 8));
	CU_ASSERT(bytes_equal(bytes_of("latchkey", 8), built(&b, PAYLOAD_VENDOR)));
}

/* within - what a parser returned lies in what it was given. */
static bool within(struct bytes inner, struct bytes outer)
{
	return inner.len == 0 || (inner.p >= outer.p && inner.p + inner.len <= outer.p + outer.len);
}

static void visit(struct bytes v, long bit)
{
	struct wire_notify n;
	struct wire_delete d;
	struct wire_auth a;
	struct wire_ke ke;
	struct ike_id id;

	(void)bit;
	if (wire_ke_parse(&ke, v) == ERR_OK)
		CU_ASSERT(within(ke.value, v) && ke.value.len == v.len - 4);
	if (wire_auth_parse(&a, v) == ERR_OK)
		CU_ASSERT(within(a.value, v) && a.value.len == v.len - 4);
	if (wire_id_parse(&id, v) == ERR_OK)
		CU_ASSERT(id.len == v.len - 4);
	if (wire_notify_parse(&n, v) == ERR_OK)
		CU_ASSERT(within(n.spi, v) && within(n.data, v) &&
			  n.spi.len + n.data.len == v.len - 4);
	if (wire_delete_parse(&d, v) == ERR_OK) {
		CU_ASSERT(within(d.spis, v));
		for (uint16_t i = 0; i < d.num; i++)
			(void)wire_delete_spi(&d, i);
	}
}

static void test_truncation_and_bit_flips(void)
{
	static const char *const bodies[] = {"001f0000 0011223344556677",
					     "03040002 11223344 55667788",
					     "02000000 67772e6578616d706c65",
					     "01000000 c0000201",
					     "03044009 11223344",
					     "00004004 000102030405060708090a0b0c0d0e0f10111213",
					     "00000011 001f",
					     "00004032 0005 12",
					     "0102 0103 0203 0301",
					     "01000000"};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		const struct bytes body = body_of(bodies[i]);

		CU_ASSERT_EQUAL(sweep(body.p, body.len, visit), body.len * 9);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_ke),           TAP_TEST(test_nonce),  TAP_TEST(test_R8019_solution),
	TAP_TEST(test_R8019_puzzle), TAP_TEST(test_id),     TAP_TEST(test_auth),
	TAP_TEST(test_delete),       TAP_TEST(test_vendor), TAP_TEST(test_truncation_and_bit_flips),
};

TAP_MAIN("control/payload", tests)
