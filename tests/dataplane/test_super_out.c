/* SPDX-License-Identifier: Apache-2.0 */
/* Super-packets through the data path, outbound: cut, held, handed over, and together on the wire.
 */
#include "tests/dataplane/shape.h"
#include "tests/dataplane/testbed.h"

#include "dataplane/passes.h"
#include "tests/tap/tap.h"

static struct bed bed;
static uint8_t buf[BED_MAX_PACKET], got[BED_MAX_PACKET];
static uint8_t big[65536];
static struct rng_seeded rng;

static void begin_out(uint16_t mtu)
{
	const struct bed_options o = {.frame_len = 65536, .num_packets = 1024, .num_frames = 512};

	bed_init(&bed, &o);
	bed_pair(&bed, 1, NULL);
	if (mtu)
		CU_ASSERT_EQUAL(dataplane_pathset_mtu(bed.a.dp, bed.a.pathset, mtu), ERR_OK);
}

static void send_super(const struct shape *s)
{
	size_t n = shape_super(big, s);

	CU_ASSERT_EQUAL_FATAL(memory_inject_super(bed.a.host, big, n, s->seg_len, NULL), ERR_OK);
}

/* arrives - the segments, each of len bytes of payload, are what B's host gets next. */
static bool arrives(const struct shape *s, uint32_t len)
{
	for (uint32_t offset = 0; offset < s->len; offset += len) {
		size_t n = shape_segment(buf, s, offset, len);

		if (bed_receive(&bed.b, got) != n || memcmp(got, buf, n) != 0) {
			tap_diag("segment at %u of %u, %u each", offset, s->len, len);
			return false;
		}
	}
	return true;
}

/* Several in one turn, longer and shorter than a vector, with single packets between them: all
 * segments arrive in order, and the books balance. */
static void test_out(void)
{
	rng_seeded_init(&rng, 2);
	begin_out(0);
	for (int round = 0; round < 60; round++) {
		struct shape s[4];
		size_t n = bed_udp4(got, true, 3, 4, 5, 100);

		for (int i = 0; i < 4; i++) {
			s[i] = shape_random(&rng);
			if (s[i].len > 20000)
				s[i].len = 20000;
			if (s[i].len / s[i].seg_len > 90)
				s[i].len = s[i].seg_len * 90u;
			send_super(&s[i]);
			bed_udp4(got, true, 3, 4, 5, 100);
			bed_send(&bed.a, got, n);
		}
		bed_turn_one(&bed, &bed.a);
		for (int i = 0; i < 10; i++)
			bed_turn_one(&bed, &bed.b);
		for (int i = 0; i < 4; i++) {
			CU_ASSERT_FATAL(arrives(&s[i], s[i].seg_len));
			CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
		}
	}
	CU_ASSERT_EQUAL(bed_drops(&bed.a) + bed_drops(&bed.b), 0);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	bed_fini(&bed);
}

/* turns - of both ends. */
static void turns(int num)
{
	for (int i = 0; i < num; i++)
		bed_turn(&bed);
}

/* A path that takes less: TCP that may be cut goes in shorter segments. */
static void test_narrow_path(void)
{
	const struct shape s = {.seg_len = 1300, .len = 30000, .flags = 0x18};
	uint32_t fits = 1000 - 20 - 8 - 8 - 8 - 16; /* less the trailer, whole blocks of four */

	begin_out(1000);
	send_super(&s);
	turns(2);
	fits = (fits & ~3u) - 2;
	CU_ASSERT(arrives(&s, fits - 40));
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	bed_fini(&bed);
}

/* Datagrams stay datagrams: each goes in fragments, but for the last one, which fits. */
static void test_narrow_path_datagrams(void)
{
	const struct shape s = {.udp = true, .seg_len = 1300, .len = 30000, .flags = 0x18};
	struct dataplane_stats before, after;

	begin_out(1000);
	dataplane_stats(bed.a.dp, &before);
	send_super(&s);
	turns(2);
	dataplane_stats(bed.a.dp, &after);
	CU_ASSERT_EQUAL(after.tx_packets - before.tx_packets, 2 * 23 + 1);
	CU_ASSERT(arrives(&s, 1300));
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	bed_fini(&bed);
}

/* told - A's host is told of the first segment of s, and of nothing else. */
static void told(const struct shape *s)
{
	size_t at = s->v6 ? 40 : 20;

	CU_ASSERT_FATAL(bed_receive(&bed.a, got) != 0);
	const uint8_t *quoted = got + at + 8;
	size_t seg = shape_segment(buf, s, 0, s->seg_len);

	CU_ASSERT_EQUAL(got[at], s->v6 ? 2 : 3);
	CU_ASSERT_EQUAL(s->v6 ? 40u + load_be16(quoted + 4) : load_be16(quoted + 2), seg);
	CU_ASSERT_EQUAL(bed_receive(&bed.a, got), 0);
}

/* What must not be cut: its sender is told, once, of its first segment. */
static void test_narrow_path_not_to_be_cut(void)
{
	struct shape s = {.df = true, .seg_len = 1300, .len = 30000, .flags = 0x18};

	begin_out(1000);
	for (uint32_t i = 0; i < 4; i++) {
		s.v6 = i & 1;
		s.udp = i & 2;
		bed.a.dp->workers[0]->tell = (struct allowance){0};
		send_super(&s);
		turns(1);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
		told(&s);
		CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_TOLD_MTU), i + 1);
	}
	bed_fini(&bed);
}

/* Without an SA few wait, since long buffers are few; what waits goes when it is there. */
static void test_out_hold(void)
{
	const struct bed_options o = {
		.frame_len = 65536, .num_packets = 1024, .num_frames = 256, .hold_packets = 60};
	struct shape s = {.seg_len = 1000, .len = 5000, .flags = 0x10};

	bed_init(&bed, &o);
	for (int i = 0; i < 40; i++)
		send_super(&s);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HOLD_FULL), 24);
	CU_ASSERT_EQUAL(bed.a.dp->workers[0]->hold.num_super, 16);
	bed_pair(&bed, 1, NULL);
	bed_turn(&bed);
	for (int i = 0; i < 16; i++)
		CU_ASSERT(arrives(&s, 1000));
	CU_ASSERT_EQUAL(bed.a.dp->workers[0]->hold.num_super, 0);
	bed_fini(&bed);
}

/* Another worker's SA: the super-packet goes there whole, as long as half of the long buffers are
 * here. */
static void test_out_handed_over(void)
{
	const struct bed_options o = {.frame_len = 65536,
				      .num_packets = 1024,
				      .num_frames = 512,
				      .num_workers = 2,
				      .num_inner = 1,
				      .num_outer = 1};
	struct shape s = {.seg_len = 1000, .len = 5000, .flags = 0x10};

	bed_init(&bed, &o);
	bed.a.dp->num_pairs[0] = bed.b.dp->num_pairs[0] = 1; /* the pair goes to worker 1 */
	bed_pair(&bed, 1, NULL);
	bed.a.dp->num_pairs[0] = bed.b.dp->num_pairs[0] = 0;
	for (int i = 0; i < 40; i++)
		send_super(&s);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(bed_dropped(&bed.a, DROP_HANDOFF_FULL), 40 - 32);
	for (int i = 0; i < 20; i++)
		bed_turn(&bed);
	for (int i = 0; i < 32; i++)
		CU_ASSERT(arrives(&s, 1000));
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	bed_fini(&bed);
}

#define TOGETHER 44 /* segments: three are more than two vectors, and one is not half of one */

static uint32_t sent_at_once[16], num_calls;
static const struct driver_ops *real_ops;

static void spy_tx(struct driver *d, struct pktvec *v)
{
	CU_ASSERT_FATAL(num_calls < ARRAY_LEN(sent_at_once));
	sent_at_once[num_calls++] = v->num;
	real_ops->tx(d, v);
}

/* The outer port is given the segments of one super-packet at a time. */
static void test_together_out(void)
{
	struct shape s = {.seg_len = 1000, .len = TOGETHER * 1000, .flags = 0x10};
	struct driver_ops spy;
	struct driver *d;

	begin_out(0);
	d = bed.a.dp->workers[0]->ports[bed.a.outer];
	real_ops = d->ops;
	spy = *real_ops;
	spy.tx = spy_tx;
	d->ops = &spy;
	num_calls = 0;
	for (int i = 0; i < 3; i++)
		send_super(&s);
	bed_turn_one(&bed, &bed.a);
	CU_ASSERT_EQUAL(num_calls, 3);
	for (uint32_t i = 0; i < num_calls; i++)
		CU_ASSERT_EQUAL(sent_at_once[i], TOGETHER);
	bed_turn_one(&bed, &bed.b);
	bed_turn_one(&bed, &bed.b);
	bed_turn_one(&bed, &bed.b);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(arrives(&s, s.seg_len));
	d->ops = real_ops;
	bed_fini(&bed);
}

/* Checksums that are left to others are made before the encryption, of packets between others that
 * are as they came: also where their checksum is wrong. What says so and is neither TCP nor UDP is
 * dropped. */
static void test_sums_left(void)
{
	size_t ping = bed_udp4(got, true, 3, 4, 5, 100);
	uint8_t sent[2048];

	rng_seeded_init(&rng, 4);
	begin_out(0);
	for (int round = 0; round < 500; round++) {
		struct shape s = shape_random(&rng);
		bool left = shape_below(&rng, 2);

		s.len = s.len % 1000 + 1;
		size_t n = shape_super(big, &s);

		CU_ASSERT_EQUAL(left ? memory_inject_sum(bed.a.host, big, n)
				     : memory_inject(bed.a.host, big, n, NULL),
				ERR_OK);
		memcpy(sent, big, n);
		if (left)
			CU_ASSERT_EQUAL(shape_segment(sent, &s, 0, s.len), n);
		ping = bed_udp4(got, true, 3, 4, 5, 100);
		bed_send(&bed.a, got, ping);
		turns(1);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, got), n);
		CU_ASSERT_EQUAL(memcmp(got, sent, n), 0);
		CU_ASSERT_EQUAL(bed_receive(&bed.b, got), ping);
	}
	CU_ASSERT_EQUAL(bed_drops(&bed.a), 0);
	ping = bed_udp4(got, true, 3, 4, 5, 100);
	got[9] = 1;
	CU_ASSERT_EQUAL(memory_inject_sum(bed.a.host, got, ping), ERR_OK);
	turns(1);
	CU_ASSERT_EQUAL(bed_receive(&bed.b, got), 0);
	CU_ASSERT_EQUAL(bed_drops(&bed.a), 1);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_together_out),
	TAP_TEST(test_out),
	TAP_TEST(test_narrow_path),
	TAP_TEST(test_narrow_path_datagrams),
	TAP_TEST(test_narrow_path_not_to_be_cut),
	TAP_TEST(test_out_hold),
	TAP_TEST(test_out_handed_over),
	TAP_TEST(test_sums_left),
};

TAP_MAIN("dataplane/super_out", tests)
