/* SPDX-License-Identifier: Apache-2.0 */
/* What two data paths say to each other of a path, byte by byte. */
#include "dataplane/path_message.h"

#include "tests/control/sweep.h"
#include "tests/tap/tap.h"

/* As docs/multiple-interfaces.md has it. */
static const uint8_t example[PATH_MESSAGE_LEN] = {
	1,   2, 0x00, 0x03, 0x00, 0x01, 0x11, 0x94, /* answer, path 3, active, port 4500 */
	0,   1, 2,    3,    4,    5,    6,    7,    8, 9, 10, 11, 12, 13, 14, 15, /* challenge */
	0,   0, 0,    0,    0x3b, 0x9a, 0xca, 0x00, /* sent at 1,000 s */
	0,   0, 0,    50,   4,    0,    0,    0,    /* held for 50 us; IPv4 */
	192, 0, 2,    1,    0,    0,    0,    0,    0, 0, 0,  0,  0,  0,  0,  0, /* seen at */
	0,   0, 0,    0,    0,    0,    0,    7,    0, 0, 0,  0,  0,  0,  1,  0, /* sent */
	0,   0, 0,    0,    0,    0,    0,    9,    0, 0, 0,  0,  0,  0,  2,  0, /* received */
	0,   0, 0,    1,    0,    0,    0,    5,                                 /* top */
};

static void test_example(void)
{
	uint8_t built[PATH_MESSAGE_LEN];
	struct path_message m;

	CU_ASSERT_EQUAL_FATAL(path_message_parse(&m, bytes_of(example, sizeof(example))), ERR_OK);
	CU_ASSERT_EQUAL(m.type, PATH_ANSWER);
	CU_ASSERT_EQUAL(m.path, 3);
	CU_ASSERT_EQUAL(m.flags, PATH_MESSAGE_ACTIVE);
	CU_ASSERT_EQUAL(m.observed.port, 4500);
	CU_ASSERT_EQUAL(m.observed.addr.family, IP_V4);
	CU_ASSERT_EQUAL(memcmp(m.observed.addr.b, "\xc0\x00\x02\x01", 4), 0);
	CU_ASSERT_EQUAL(memcmp(m.challenge, example + 8, PATH_CHALLENGE_LEN), 0);
	CU_ASSERT_EQUAL(m.sent_us, 1000000000);
	CU_ASSERT_EQUAL(m.held_us, 50);
	CU_ASSERT_EQUAL(m.traffic.tx_packets, 7);
	CU_ASSERT_EQUAL(m.traffic.tx_bytes, 256);
	CU_ASSERT_EQUAL(m.traffic.rx_packets, 9);
	CU_ASSERT_EQUAL(m.traffic.rx_bytes, 512);
	CU_ASSERT_EQUAL(m.top, 1ull << 32 | 5);
	path_message_build(built, &m);
	CU_ASSERT_EQUAL(memcmp(built, example, sizeof(built)), 0);
}

/* A later version adds at the end; nothing of an address is taken where none is named. */
static void test_longer_and_silent(void)
{
	uint8_t longer[PATH_MESSAGE_LEN + 7] = {0};
	struct path_message m;

	memcpy(longer, example, sizeof(example));
	CU_ASSERT_EQUAL(path_message_parse(&m, bytes_of(longer, sizeof(longer))), ERR_OK);
	CU_ASSERT_EQUAL(m.top, 1ull << 32 | 5);
	longer[36] = IP_NONE;
	CU_ASSERT_EQUAL(path_message_parse(&m, bytes_of(longer, sizeof(longer))), ERR_OK);
	CU_ASSERT_EQUAL(m.observed.port, 0);
	CU_ASSERT_TRUE(ip_addr_is_any(&m.observed.addr));
}

static uint32_t refused, taken;

static void vary(struct bytes variant, long changed_bit)
{
	struct path_message m;
	bool ok = path_message_parse(&m, variant) == ERR_OK;

	taken += ok;
	refused += !ok;
	if (changed_bit < 0)
		CU_ASSERT_FALSE(ok);
}

/* Of the bits, those of version, type and family alone can make it wrong. */
static void test_sweep(void)
{
	refused = taken = 0;
	CU_ASSERT_EQUAL(sweep(example, sizeof(example), vary), PATH_MESSAGE_LEN * 9);
	/* 8 of version; of type all 8; of family all but the two that make 6 and none: 4 ^ 2, 4
	 * ^ 4. */
	CU_ASSERT_EQUAL(refused, PATH_MESSAGE_LEN + 8 + 8 + 6);
}

static void test_no_path_zero(void)
{
	uint8_t b[PATH_MESSAGE_LEN];
	struct path_message m;

	memcpy(b, example, sizeof(b));
	b[3] = 0;
	CU_ASSERT_EQUAL(path_message_parse(&m, bytes_of(b, sizeof(b))), ERR_MALFORMED);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_example),
	TAP_TEST(test_longer_and_silent),
	TAP_TEST(test_sweep),
	TAP_TEST(test_no_path_zero),
};

TAP_MAIN("dataplane/path_message", tests)
