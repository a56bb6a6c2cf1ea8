/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/gateway.h"

#include "tests/control/hex.h"
#include "tests/tap/tap.h"

static enum err parse(struct wire_gateway *out, const char *hex)
{
	static struct hex h;

	hex_read(&h, hex);
	return wire_gateway_parse(out, hex_view(&h));
}

static void test_parse(void)
{
	char text[WIRE_GATEWAY_TEXT];
	struct wire_gateway g;

	CU_ASSERT_EQUAL(parse(&g, "01 04 c0000207 0102"), ERR_OK);
	CU_ASSERT_STRING_EQUAL(wire_gateway_text(text, &g), "192.0.2.7");
	CU_ASSERT(hex_equal("0102", g.nonce.p, g.nonce.len));
	CU_ASSERT_EQUAL(parse(&g, "02 10 20010db8000000000000000000000001"), ERR_OK);
	CU_ASSERT_STRING_EQUAL(wire_gateway_text(text, &g), "2001:db8::1");
	CU_ASSERT_EQUAL(g.nonce.len, 0);
	CU_ASSERT_EQUAL(parse(&g, "03 05 67772e1b78"), ERR_OK);
	CU_ASSERT_STRING_EQUAL(wire_gateway_text(text, &g), "gw.?x");
}

/* Each type has its length; cut anywhere it is none. */
static void test_sweep(void)
{
	uint8_t data[2 + 255] = {0};
	struct wire_gateway g;

	for (unsigned type = 0; type < 256; type++)
		for (unsigned len = 0; len < 256; len++) {
			bool good = (type == 1 && len == 4) || (type == 2 && len == 16) ||
				    (type == 3 && len > 0);

			data[0] = (uint8_t)type;
			data[1] = (uint8_t)len;
			CU_ASSERT_EQUAL(wire_gateway_parse(&g, bytes_of(data, 2 + len)),
					good ? ERR_OK : ERR_MALFORMED);
			CU_ASSERT_NOT_EQUAL(wire_gateway_parse(&g, bytes_of(data, 1 + len)),
					    ERR_OK);
		}
	CU_ASSERT_EQUAL(wire_gateway_parse(&g, bytes_of(data, 0)), ERR_TRUNCATED);
}

static const struct tap_test tests[] = {TAP_TEST(test_parse), TAP_TEST(test_sweep)};

TAP_MAIN("control/gateway", tests)
