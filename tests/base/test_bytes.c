/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "tests/tap/tap.h"

static void test_loads_are_big_endian_at_any_address(void)
{
	static const uint8_t b[] = {0xff, 1, 2, 3, 4, 5, 6, 7, 8};

	CU_ASSERT_EQUAL(load_be16(b + 1), 0x0102);
	CU_ASSERT_EQUAL(load_be32(b + 1), 0x01020304);
	CU_ASSERT_EQUAL(load_be64(b + 1), 0x0102030405060708);
}

static void test_stores_touch_only_their_bytes(void)
{
	uint8_t b[10];

	memset(b, 0xee, sizeof(b));
	store_be16(b + 1, 0x0102);
	CU_ASSERT(memcmp(b, "\xee\1\2\xee", 4) == 0);
	store_be32(b + 1, 0x01020304);
	CU_ASSERT(memcmp(b, "\xee\1\2\3\4\xee", 6) == 0);
	store_be64(b + 1, 0x0102030405060708);
	CU_ASSERT(memcmp(b, "\xee\1\2\3\4\5\6\7\10\xee", 10) == 0);
}

static void test_wire_integers_go_and_come_back(void)
{
	CU_ASSERT_EQUAL(be16_get(be16_make(0xfedc)), 0xfedc);
	CU_ASSERT_EQUAL(be32_get(be32_make(0xfedcba98)), 0xfedcba98);
	CU_ASSERT_EQUAL(be64_get(be64_make(0xfedcba9876543210)), 0xfedcba9876543210);
	CU_ASSERT_EQUAL(be32_make(0x01020304).b[0], 1);
	CU_ASSERT_EQUAL(sizeof(struct be64), 8);
	CU_ASSERT_EQUAL(alignof(struct be64), 1);
}

static void test_views_compare_by_length_and_content(void)
{
	CU_ASSERT(bytes_equal(bytes_of("abc", 3), bytes_of("abcd", 3)));
	CU_ASSERT(!bytes_equal(bytes_of("abc", 3), bytes_of("abcd", 4)));
	CU_ASSERT(!bytes_equal(bytes_of("abc", 3), bytes_of("abd", 3)));
	CU_ASSERT(bytes_equal(bytes_of(NULL, 0), bytes_of("x", 0)));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_loads_are_big_endian_at_any_address),
	TAP_TEST(test_stores_touch_only_their_bytes),
	TAP_TEST(test_wire_integers_go_and_come_back),
	TAP_TEST(test_views_compare_by_length_and_content),
};
TAP_MAIN("base/bytes", tests)
