/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reader.h"

#include "tests/tap/tap.h"

#include <stdlib.h>

static const uint8_t message[] = {
	0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
	0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15,
};

/* One of each operation, in the order of the bytes above; each returns how many it reads. */
enum {
	NUM_STEPS = 8
};
static const size_t step_len[NUM_STEPS] = {1, 2, 4, 8, 2, 1, 2, 1};

static enum err step(struct reader *r, int i, struct bytes *seen)
{
	static uint64_t v;
	static uint8_t copy[2];
	struct reader sub;
	enum err e;

	*seen = bytes_of(r->at, step_len[i]);
	switch (i) {
	case 0: {
		uint8_t v8 = 0xee;
		e = reader_u8(r, &v8);
		CU_ASSERT_EQUAL(v8, e ? 0xee : 0x01);
		return e;
	}
	case 1: {
		uint16_t v16 = 0xeeee;
		e = reader_u16(r, &v16);
		CU_ASSERT_EQUAL(v16, e ? 0xeeee : 0x0203);
		return e;
	}
	case 2: {
		uint32_t v32 = 0xee;
		e = reader_u32(r, &v32);
		CU_ASSERT_EQUAL(v32, e ? 0xee : 0x04050607);
		return e;
	}
	case 3:
		v = 0xee;
		e = reader_u64(r, &v);
		CU_ASSERT_EQUAL(v, e ? 0xee : 0x08090a0b0c0d0e0f);
		return e;
	case 4: {
		struct bytes b = {.len = 77};
		e = reader_bytes(r, &b, 2);
		CU_ASSERT(e ? b.len == 77 && !b.p : bytes_equal(b, bytes_of("\x10\x11", 2)));
		return e;
	}
	case 5:
		return reader_skip(r, 1);
	case 6:
		memset(copy, 0xee, sizeof(copy));
		e = reader_copy(r, copy, 2);
		CU_ASSERT(memcmp(copy, e ? "\xee\xee" : "\x13\x14", 2) == 0);
		return e;
	default:
		sub = (struct reader){.left = 77};
		e = reader_sub(r, &sub, 1);
		CU_ASSERT(e ? sub.left == 77 : sub.left == 1 && *sub.at == 0x15);
		return e;
	}
}

/* The message cut at every length, in memory of exactly that size, so that a sanitizer sees one
 * byte too many: what fits is read, the first that does not fails and moves nothing, and so for
 * ever. */
static void test_truncation_sweep(void)
{
	for (size_t len = 0; len <= sizeof(message); len++) {
		uint8_t *exact = malloc(len ? len : 1);
		struct reader r;
		size_t at = 0;
		int i;

		CU_ASSERT_FATAL(exact != NULL);
		memcpy(exact, message, len);
		reader_init(&r, exact, len);
		for (i = 0; i < NUM_STEPS; i++) {
			struct reader before = r;
			struct bytes seen;
			enum err e = step(&r, i, &seen);

			if (at + step_len[i] > len) {
				CU_ASSERT_EQUAL(e, ERR_TRUNCATED);
				CU_ASSERT(r.at == before.at && r.left == before.left);
				CU_ASSERT_EQUAL(step(&r, i, &seen), ERR_TRUNCATED);
				break;
			}
			at += step_len[i];
			CU_ASSERT_EQUAL(e, ERR_OK);
			CU_ASSERT(r.at == exact + at && r.left == len - at);
		}
		CU_ASSERT_EQUAL(i == NUM_STEPS, len == sizeof(message));
		CU_ASSERT_EQUAL(reader_empty(&r), at == len);
		free(exact);
	}
}

static void test_huge_lengths_do_not_wrap(void)
{
	struct reader r, sub;
	struct bytes b;
	uint8_t out[1];

	reader_init(&r, message, sizeof(message));
	CU_ASSERT_EQUAL(reader_skip(&r, SIZE_MAX), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(reader_bytes(&r, &b, SIZE_MAX), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(reader_copy(&r, out, SIZE_MAX - 3), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(reader_sub(&r, &sub, sizeof(message) + 1), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(r.left, sizeof(message));
}

static void test_nothing_is_read_from_nothing(void)
{
	struct reader r, sub;
	struct bytes b = {.len = 9};
	uint8_t v = 5;

	reader_init(&r, NULL, 0);
	CU_ASSERT(reader_empty(&r));
	CU_ASSERT_EQUAL(reader_u8(&r, &v), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(reader_bytes(&r, &b, 0), ERR_OK);
	CU_ASSERT_EQUAL(b.len, 0);
	CU_ASSERT_EQUAL(reader_copy(&r, &v, 0), ERR_OK);
	CU_ASSERT_EQUAL(reader_sub(&r, &sub, 0), ERR_OK);
	CU_ASSERT(reader_empty(&sub));
	CU_ASSERT_EQUAL(reader_skip(&r, 0), ERR_OK);
	CU_ASSERT_EQUAL(reader_rest(&r).len, 0);
	CU_ASSERT_EQUAL(v, 5);
}

static void test_a_sub_reader_ends_at_its_length(void)
{
	struct reader r, sub;
	uint16_t v;

	reader_init(&r, message, sizeof(message));
	CU_ASSERT_EQUAL(reader_sub(&r, &sub, 3), ERR_OK);
	CU_ASSERT_EQUAL(reader_u16(&sub, &v), ERR_OK);
	CU_ASSERT_EQUAL(reader_u16(&sub, &v), ERR_TRUNCATED);
	CU_ASSERT_EQUAL(sub.left, 1);
	CU_ASSERT_EQUAL(reader_u16(&r, &v), ERR_OK);
	CU_ASSERT_EQUAL(v, 0x0405);
}

static void test_rest_takes_all(void)
{
	struct reader r;
	struct bytes rest;

	reader_init(&r, message, sizeof(message));
	CU_ASSERT_EQUAL(reader_skip(&r, 5), ERR_OK);
	rest = reader_rest(&r);
	CU_ASSERT(rest.p == message + 5 && rest.len == sizeof(message) - 5);
	CU_ASSERT(reader_empty(&r));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_truncation_sweep),
	TAP_TEST(test_huge_lengths_do_not_wrap),
	TAP_TEST(test_nothing_is_read_from_nothing),
	TAP_TEST(test_a_sub_reader_ends_at_its_length),
	TAP_TEST(test_rest_takes_all),
};
TAP_MAIN("base/reader", tests)
