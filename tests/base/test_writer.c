/* SPDX-License-Identifier: Apache-2.0 */
#include "base/writer.h"

#include "tests/tap/tap.h"

#include <stdlib.h>

/* Every operation once, with nested lengths. */
static void write_all(struct writer *w)
{
	size_t outer, inner, innermost;
	uint8_t *p;

	writer_u8(w, 0x01);
	outer = writer_begin_u32(w);
	writer_u16(w, 0x0203);
	inner = writer_begin_u16(w);
	writer_u32(w, 0x04050607);
	innermost = writer_begin_u8(w);
	writer_u64(w, 0x08090a0b0c0d0e0f);
	writer_end_u8(w, innermost, 0);
	writer_end_u16(w, inner, 4);
	writer_bytes(w, "\x10\x11", 2);
	writer_bytes(w, NULL, 0);
	writer_zero(w, 3);
	p = writer_reserve(w, 1);
	if (p)
		*p = 0x12;
	writer_end_u32(w, outer, 0);
}

static const uint8_t expected[] = {
	0x01, 0,    0,    0,    23,   0x02, 0x03, 0,    17,   0x04, 0x05, 0x06, 0x07, 8,
	0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0,    0,    0,    0x12,
};

static void test_all_operations(void)
{
	uint8_t buf[64];
	struct bytes out;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	write_all(&w);
	CU_ASSERT_EQUAL_FATAL(writer_finish(&w, &out), ERR_OK);
	CU_ASSERT(bytes_equal(out, bytes_of(expected, sizeof(expected))));
}

/* Every capacity, in memory of exactly that size: FULL until it fits, and never a byte too many. */
static void test_capacity_sweep(void)
{
	for (size_t cap = 0; cap <= sizeof(expected) + 1; cap++) {
		uint8_t *exact = malloc(cap ? cap : 1);
		struct bytes out = {.len = 77};
		struct writer w;

		CU_ASSERT_FATAL(exact != NULL);
		writer_init(&w, exact, cap);
		write_all(&w);
		if (cap < sizeof(expected)) {
			CU_ASSERT_EQUAL(writer_finish(&w, &out), ERR_FULL);
			CU_ASSERT_EQUAL(out.len, 77);
		} else {
			CU_ASSERT_EQUAL(writer_finish(&w, &out), ERR_OK);
			CU_ASSERT(bytes_equal(out, bytes_of(expected, sizeof(expected))));
		}
		free(exact);
	}
}

static void test_the_first_error_sticks(void)
{
	uint8_t buf[8];
	struct bytes out;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	writer_u32(&w, 1);
	writer_u64(&w, 2);
	/* Would fit again, but a hole in a message is worse than none. */
	writer_u8(&w, 3);
	CU_ASSERT_EQUAL(w.len, 4);
	CU_ASSERT_PTR_NULL(writer_reserve(&w, 1));
	CU_ASSERT_EQUAL(writer_finish(&w, &out), ERR_FULL);
}

static void test_huge_lengths_do_not_wrap(void)
{
	uint8_t buf[8];
	struct bytes out;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	writer_u8(&w, 1);
	writer_zero(&w, SIZE_MAX);
	CU_ASSERT_EQUAL(writer_finish(&w, &out), ERR_FULL);
	CU_ASSERT_EQUAL(w.len, 1);
}

/* A length field of `width` bytes after n bytes and with extra. */
static enum err with_length(unsigned int width, size_t n, size_t extra)
{
	static uint8_t buf[70000];
	struct bytes out;
	struct writer w;
	size_t mark;

	writer_init(&w, buf, sizeof(buf));
	mark = width == 1   ? writer_begin_u8(&w)
	       : width == 2 ? writer_begin_u16(&w)
			    : writer_begin_u32(&w);
	writer_zero(&w, n);
	if (width == 1)
		writer_end_u8(&w, mark, extra);
	else if (width == 2)
		writer_end_u16(&w, mark, extra);
	else
		writer_end_u32(&w, mark, extra);
	return writer_finish(&w, &out);
}

static void test_lengths_fit_their_field_or_fail(void)
{
	CU_ASSERT_EQUAL(with_length(1, 255, 0), ERR_OK);
	CU_ASSERT_EQUAL(with_length(1, 256, 0), ERR_LIMIT);
	CU_ASSERT_EQUAL(with_length(1, 251, 4), ERR_OK);
	CU_ASSERT_EQUAL(with_length(1, 252, 4), ERR_LIMIT);
	CU_ASSERT_EQUAL(with_length(2, 65535, 0), ERR_OK);
	CU_ASSERT_EQUAL(with_length(2, 65535, 1), ERR_LIMIT);
	CU_ASSERT_EQUAL(with_length(4, 0, UINT32_MAX), ERR_OK);
	CU_ASSERT_EQUAL(with_length(4, 1, UINT32_MAX), ERR_LIMIT);
	CU_ASSERT_EQUAL(with_length(4, 1, SIZE_MAX), ERR_LIMIT);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_all_operations),
	TAP_TEST(test_capacity_sweep),
	TAP_TEST(test_the_first_error_sticks),
	TAP_TEST(test_huge_lengths_do_not_wrap),
	TAP_TEST(test_lengths_fit_their_field_or_fail),
};
TAP_MAIN("base/writer", tests)
