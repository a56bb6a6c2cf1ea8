/* SPDX-License-Identifier: Apache-2.0 */
/* Super-datagrams through the data path, inbound: what a port joined is cut, and nothing else
 * changes. */
#include "tests/dataplane/testbed.h"

#include "tests/tap/tap.h"

static struct bed bed;
static uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET];
static uint8_t big[65536];

/* seal - B's wire's super-datagram: num packets from A with len bytes each, the last with last_len;
 * returns its length, and that of each segment. */
static size_t seal(uint32_t num, size_t len, size_t last_len, size_t *seg_len)
{
	size_t at = 0;

	*seg_len = 0;
	for (uint32_t i = 0; i < num; i++) {
		bed_send(&bed.a, buf,
			 bed_udp4(buf, true, 1000, 2000, i, i + 1 == num ? last_len : len));
		bed_turn_one(&bed, &bed.a);
		size_t n = bed_capture(&bed.a, got);

		CU_ASSERT_FATAL(n && at + n <= sizeof(big));
		memcpy(big + at, got, n);
		at += n;
		if (i == 0)
			*seg_len = n;
	}
	return at;
}

static void inject(size_t len, size_t seg_len)
{
	CU_ASSERT_EQUAL_FATAL(
		memory_inject_super(bed.b.wire, big, len, (uint16_t)seg_len, &bed.b.path), ERR_OK);
}

/* delivered - B's host gets num packets, in order. */
static bool delivered(uint32_t num, size_t len, size_t last_len)
{
	for (uint32_t i = 0; i < num; i++) {
		size_t n = bed_udp4(buf, true, 1000, 2000, i, i + 1 == num ? last_len : len);

		if (bed_receive(&bed.b, got) != n || memcmp(got, buf, n) != 0) {
			tap_diag("packet %u of %u", i, num);
			return false;
		}
	}
	return bed_receive(&bed.b, got) == 0;
}

/* begin - apart: super-datagrams reach B as chains of packets. */
static void begin(uint32_t num_packets, bool apart)
{
	const struct bed_options o = {
		.open_wire = true, .frame_len = 65536, .num_packets = num_packets};

	bed_init(&bed, &o);
	bed_pair(&bed, 1, NULL);
	memory_come_apart(bed.b.wire, apart);
}

static void check_super_datagrams(bool apart)
{
	static const struct {
		uint32_t num;
		size_t len, last_len;
	} cases[] = {{2, 1000, 1000}, {3, 1300, 1}, {46, 1300, 700}, {64, 900, 900}, {100, 500, 8}};

	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct dataplane_stats before, after;
		bool chain = apart && cases[c].num <= PKTVEC_MAX;
		size_t seg_len, len;

		begin(512, apart);
		len = seal(cases[c].num, cases[c].len, cases[c].last_len, &seg_len);
		dataplane_stats(bed.b.dp, &before);
		inject(len, seg_len);
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT(delivered(cases[c].num, cases[c].len, cases[c].last_len));
		dataplane_stats(bed.b.dp, &after);
		CU_ASSERT_EQUAL(after.rx_packets - before.rx_packets, 1);
		CU_ASSERT_EQUAL(after.made - before.made, cases[c].num - chain);
		CU_ASSERT_EQUAL(after.consumed - before.consumed, chain ? 0 : 1);
		CU_ASSERT_EQUAL(after.tx_packets - before.tx_packets, cases[c].num);
		bed_fini(&bed);
	}
}

static void test_super_datagram(void)
{
	check_super_datagrams(false);
	check_super_datagrams(true);
}

static void check_any_datagram_inside(bool apart)
{
	struct dp_event ev;
	size_t seg_len, len;

	begin(512, apart);
	len = seal(3, 100, 100, &seg_len);
	memcpy(big + 4 * seg_len, big + 2 * seg_len, seg_len); /* [0] [1] IKE damaged [2] [1] */
	memcpy(big + 5 * seg_len, big + seg_len, seg_len);
	memcpy(big + 3 * seg_len, big, seg_len);
	big[3 * seg_len + 30] ^= 1;
	store_be32(big + 2 * seg_len, 0);
	inject(len + 3 * seg_len, seg_len);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT(delivered(3, 100, 100));
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_AUTH) + bed_dropped(&bed.b, DROP_REPLAY), 2);
	CU_ASSERT_FATAL(dataplane_event_next(bed.b.dp, &ev)); /* the first use */
	while (ev.kind != DP_EVENT_IKE) {
		dp_event_release(bed.b.dp, &ev);
		CU_ASSERT_FATAL(dataplane_event_next(bed.b.dp, &ev));
	}
	CU_ASSERT_EQUAL(ev.bytes.len, seg_len - 4);
	CU_ASSERT(memcmp(&ev.path, &bed.b.path, sizeof(ev.path)) == 0);
	dp_event_release(bed.b.dp, &ev);
	/* Keepalives, and what is too short for anything. */
	memset(big, 0xff, 9);
	inject(9, 1);
	inject(9, 7);
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_KEEPALIVE), 9);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_MALFORMED_ESP), 2);
	bed_fini(&bed);
}

/* Any sender may choose what is together: each datagram is judged by itself, as if it had come so.
 */
static void test_any_datagram_inside(void)
{
	check_any_datagram_inside(false);
	check_any_datagram_inside(true);
}

/* Those that are apart need no more than they have: a full vector, and one behind another. */
static void test_apart_with_few_buffers(void)
{
	size_t seg_len, len;

	begin(PKTVEC_MAX + 16, true);
	for (uint32_t num = 2; num <= PKTVEC_MAX; num += 2) {
		len = seal(num, 300, 40, &seg_len);
		inject(len, seg_len);
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT(delivered(num, 300, 40));
	}
	for (uint32_t num = 2; num < 30; num++) {
		len = seal(num, 100, 100, &seg_len);
		inject(len, seg_len);
		inject(len, seg_len); /* the same once more */
		bed_turn_one(&bed, &bed.b);
		CU_ASSERT(delivered(num, 100, 100));
	}
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_BUFFER), 0);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_REPLAY), (2 + 29) * 28 / 2);
	bed_fini(&bed);
}

/* Where buffers are short the rest is dropped, and all of it comes back to the pools. */
static void test_shortage(void)
{
	size_t seg_len, len;
	uint32_t num = 0;

	begin(20, false);
	len = seal(40, 100, 100, &seg_len);
	inject(len, seg_len);
	bed_turn_one(&bed, &bed.b);
	while (bed_receive(&bed.b, got))
		num++;
	CU_ASSERT(num > 10 && num <= 20);
	CU_ASSERT_EQUAL(bed_dropped(&bed.b, DROP_NO_BUFFER), 1);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_any_datagram_inside),
	TAP_TEST(test_apart_with_few_buffers),
	TAP_TEST(test_shortage),
	TAP_TEST(test_super_datagram),
};

TAP_MAIN("dataplane/super_in", tests)
