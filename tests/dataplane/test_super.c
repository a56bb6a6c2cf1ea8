/* SPDX-License-Identifier: Apache-2.0 */
/* Super-packets that the host left to us to cut: the segments are what the host would have sent. */
#include "dataplane/super.h"

#include "tests/dataplane/shape.h"
#include "tests/tap/tap.h"

#include <netinet/in.h>
#include <stdlib.h>

static uint8_t big[65536], want[2048];
static struct rng_seeded rng;

/* Any super-packet, cut, is byte by byte what the host would have sent. */
static void test_cut_is_exact(void)
{
	static uint8_t out_buf[65536];
	struct packet p = {.buf = big, .data = big, .cap = sizeof(big)};

	rng_seeded_init(&rng, 1);
	for (int round = 0; round < 3000; round++) {
		struct shape s = shape_random(&rng);
		struct super cut;
		uint32_t offset = 0;
		bool more = true, same = true;

		p.len = (uint32_t)shape_super(big, &s);
		p.seg_len = s.seg_len;
		CU_ASSERT_FATAL(super_begin(&cut, &p));
		CU_ASSERT_EQUAL(super_count(&cut), (s.len + s.seg_len - 1) / s.seg_len);
		while (more) {
			struct packet out = {
				.buf = out_buf, .data = out_buf, .cap = sizeof(out_buf)};
			size_t n = shape_segment(want, &s, offset, s.seg_len);

			CU_ASSERT_EQUAL_FATAL(super_longest(&cut), n);
			more = super_next(&cut, &out);
			same = same && out.len == n && memcmp(out_buf, want, n) == 0;
			offset += s.seg_len;
			CU_ASSERT_EQUAL_FATAL(more, offset < s.len);
		}
		CU_ASSERT(same);
	}
}

/* cut_short - a copy of the first len bytes, so that what is read beyond them is seen by the
 * sanitizers: a super-packet only if it is all of `whole` and has a segment length. Where it is cut
 * in the headers, of `head` bytes, it is none though it says that it is as long. */
static void cut_short(bool v6, size_t len, size_t head, size_t whole)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct packet p = {.data = copy, .len = (uint32_t)len, .seg_len = 100};
	struct super cut;

	memcpy(copy, big, len);
	CU_ASSERT_EQUAL(super_begin(&cut, &p), len == whole);
	if (len == whole)
		p.seg_len = 0;
	CU_ASSERT(!super_begin(&cut, &p));
	if (len >= 40 && len <= head) {
		p.seg_len = 100;
		store_be16(copy + (v6 ? 4 : 2), (uint16_t)(v6 ? len - 40 : len));
		CU_ASSERT(!super_begin(&cut, &p));
	}
	free(copy);
}

/* What is not well-formed is no super-packet, and nothing beyond it is read. */
static void test_cut_refuses_short(void)
{
	struct shape s = {.tcp_options = 3, .seg_len = 100, .len = 500, .flags = 0x10};

	for (int kind = 0; kind < 4; kind++) {
		s.v6 = kind & 1;
		s.udp = kind & 2;
		size_t whole = shape_super(big, &s);

		for (size_t len = 0; len <= whole; len++)
			cut_short(s.v6, len, whole - s.len, whole);
	}
}

static void test_cut_refuses_others(void)
{
	const struct shape s = {.seg_len = 100, .len = 500};
	struct packet p = {.data = big, .seg_len = 100};
	struct super cut;

	p.len = (uint32_t)shape_super(big, &s);
	big[6] = 0x20; /* a fragment */
	CU_ASSERT(!super_begin(&cut, &p));
	big[6] = 0;
	big[9] = IPPROTO_GRE;
	CU_ASSERT(!super_begin(&cut, &p));
	big[9] = IPPROTO_TCP;
	big[32] = 0x40; /* TCP header of 16 bytes */
	CU_ASSERT(!super_begin(&cut, &p));
	big[32] = 0x50;
	CU_ASSERT(super_begin(&cut, &p));
}

/* A single packet whose checksum is left, whole, is the one that the host would have sent; cut
 * short in front of its checksum it is none. */
static void test_sum_is_exact(void)
{
	rng_seeded_init(&rng, 3);
	for (int round = 0; round < 3000; round++) {
		struct shape s = shape_random(&rng);
		struct packet p = {.data = big, .flags = PACKET_F_SUM | PACKET_F_DF};

		s.len = s.len % 1400 + 1;
		p.len = (uint32_t)shape_super(big, &s);
		size_t n = shape_segment(want, &s, 0, s.len);

		CU_ASSERT_FATAL(super_sum(&p));
		CU_ASSERT_EQUAL(p.flags, PACKET_F_DF);
		CU_ASSERT(p.len == n && memcmp(big, want, n) == 0);
		for (size_t len = 0; len < shape_l4(big) + (s.udp ? 8 : 18); len++) {
			uint8_t *copy = malloc(len ? len : 1);

			memcpy(copy, big, len);
			if (len >= 20 && !s.v6)
				store_be16(copy + 2, (uint16_t)len);
			else if (len >= 40)
				store_be16(copy + 4, (uint16_t)(len - 40));
			p = (struct packet){.data = copy, .len = (uint32_t)len};
			CU_ASSERT(!super_sum(&p));
			free(copy);
		}
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_cut_is_exact),
	TAP_TEST(test_cut_refuses_short),
	TAP_TEST(test_cut_refuses_others),
	TAP_TEST(test_sum_is_exact),
};

TAP_MAIN("dataplane/super", tests)
