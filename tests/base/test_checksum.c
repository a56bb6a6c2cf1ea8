/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checksum.h"

#include "tests/tap/tap.h"

#include <stdlib.h>

/* plain - RFC 1071 2, word by word, as a number. */
static uint16_t plain(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint64_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* number - a sum as the number that its bytes are on the wire. */
static uint16_t number(uint64_t sum)
{
	uint8_t b[2];

	checksum_put(b, checksum_fold(sum));
	return load_be16(b);
}

/* RFC 1071 3. */
static void test_RFC1071_example(void)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	CU_ASSERT_EQUAL(number(checksum_add(0, bytes, sizeof(bytes))), 0xddf2);
}

/* Every length and alignment, all ones too: nothing overflows and nothing beyond is read. */
static void test_every_length(void)
{
	for (size_t len = 0; len < 600; len++) {
		uint8_t *p = malloc(len + 8);

		for (size_t shift = 0; shift < 8; shift++) {
			for (size_t i = 0; i < len + shift; i++)
				p[i] = (uint8_t)(len % 3 ? i * 37 + len * 11 + shift : 0xff);
			CU_ASSERT_EQUAL(number(checksum_add(0, p + shift, len)),
					plain(p + shift, len));
			CU_ASSERT_EQUAL(number(checksum_add_plain(0, p + shift, len)),
					plain(p + shift, len));
		}
		free(p);
	}
}

static void test_longest(void)
{
	static uint8_t ones[65535];

	memset(ones, 0xff, sizeof(ones));
	CU_ASSERT_EQUAL(number(checksum_add(0, ones, sizeof(ones))), plain(ones, sizeof(ones)));
	CU_ASSERT_EQUAL(number(checksum_add_plain(0, ones, sizeof(ones))),
			plain(ones, sizeof(ones)));
	CU_ASSERT_EQUAL(number(checksum_add(UINT64_C(1) << 62, ones, 64)),
			number((UINT64_C(1) << 62) + checksum_add(0, ones, 64)));
}

/* Parts in any order, values, and taking away what was added. */
static void test_parts(void)
{
	uint8_t bytes[100], without[100];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 91 + 7);
	uint64_t whole = checksum_add(0, bytes, sizeof(bytes));

	CU_ASSERT_EQUAL(number(checksum_add(checksum_add(0, bytes + 40, 60), bytes, 40)),
			number(whole));
	memcpy(without, bytes, sizeof(bytes));
	without[10] = without[11] = 0;
	CU_ASSERT_EQUAL(number(checksum_less(whole, checksum_value(load_be16(bytes + 10)))),
			number(checksum_add(0, without, sizeof(without))));
	CU_ASSERT_EQUAL(number(checksum_value(0x1234)), 0x1234);
	CU_ASSERT_EQUAL(checksum_get(bytes + 4),
			checksum_fold(checksum_value(load_be16(bytes + 4))));
}

static void test_pseudo(void)
{
	static const uint8_t v4[20] = {0x45, 0, 0,  0, 0, 0, 0,  0, 0, 0,
				       0,    0, 10, 1, 0, 1, 10, 2, 0, 1};
	uint8_t v6[40] = {0x60}, plain4[12] = {10, 1, 0, 1, 10, 2, 0, 1, 0, 17};

	CU_ASSERT_EQUAL(number(checksum_pseudo(v4, 17)), plain(plain4, sizeof(plain4)));
	for (uint8_t i = 8; i < 40; i++)
		v6[i] = i;
	CU_ASSERT_EQUAL(number(checksum_pseudo(v6, 6)), (uint16_t)(plain(v6 + 8, 32) + 6));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_RFC1071_example), TAP_TEST(test_every_length), TAP_TEST(test_longest),
	TAP_TEST(test_parts),           TAP_TEST(test_pseudo),
};

TAP_MAIN("base/checksum", tests)
