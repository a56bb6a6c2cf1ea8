/* SPDX-License-Identifier: Apache-2.0 */
/* Two data paths exchange packets: every mix of inner and outer family, sizes, and algorithms. */
#include "tests/dataplane/testbed.h"

#include "tests/tap/tap.h"

static void cross(struct bed *bed, bool a_to_b, bool v6, size_t len)
{
	struct side *from = a_to_b ? &bed->a : &bed->b;
	struct side *to = a_to_b ? &bed->b : &bed->a;
	uint8_t sent[BED_MAX_PACKET], got[BED_MAX_PACKET];
	size_t n = v6 ? bed_udp6(sent, a_to_b, 1000, 2000, 5, len)
		      : bed_udp4(sent, a_to_b, 1000, 2000, 5, len);

	bed_send(from, sent, n);
	bed_turn(bed);
	CU_ASSERT_EQUAL_FATAL(bed_receive(to, got), n);
	CU_ASSERT_EQUAL(memcmp(sent, got, n), 0);
	CU_ASSERT_EQUAL(bed_receive(to, got), 0);
}

static void mixes(const struct bed_options *options)
{
	struct bed bed;

	bed_init(&bed, options);
	bed_pair(&bed, 1, NULL);
	for (int i = 0; i < 4; i++)
		cross(&bed, i & 1, i & 2, 100);
	CU_ASSERT_EQUAL(bed_drops(&bed.a) + bed_drops(&bed.b), 0);
	bed_fini(&bed);
}

static void test_4in4_and_6in4(void)
{
	mixes(NULL);
}

static void test_4in6_and_6in6(void)
{
	mixes(&(struct bed_options){.outer_v6 = true});
}

static void test_every_length(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	for (size_t len = 0; len <= 1500; len += len < 300 ? 1 : 37)
		cross(&bed, len & 1, len & 2, len);
	bed_fini(&bed);
}

static void weaker(struct child_params *p, bool is_a)
{
	(void)is_a;
	p->alg = AEAD_AES_GCM_16_128;
	p->key_in.len = p->key_out.len = 20;
	p->esn = true;
}

static void test_gcm_128_with_esn(void)
{
	struct bed bed;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, weaker);
	for (int i = 0; i < 200; i++)
		cross(&bed, i & 1, i & 2, 64);
	bed_fini(&bed);
}

/* on_the_wire - what leaves is ESP as RFC 4303 and 4106 lay it out, and nothing in it is clear. */
static void test_wire_format(void)
{
	uint8_t clear[BED_MAX_PACKET], esp[BED_MAX_PACKET];
	struct bed bed;
	struct child_stats st;

	bed_init(&bed, &(struct bed_options){.open_wire = true});
	bed_pair(&bed, 1, NULL);
	for (uint32_t seq = 1; seq <= 3; seq++) {
		size_t n = bed_udp4(clear, true, 1, 2, 3, 101);

		bed_send(&bed.a, clear, n);
		bed_turn_one(&bed, &bed.a);
		size_t len = bed_capture(&bed.a, esp);

		CU_ASSERT_EQUAL(len, 8 + 8 + (n + 2 + 3) / 4 * 4 + 16);
		CU_ASSERT_EQUAL(load_be32(esp + 4), seq);
		CU_ASSERT_EQUAL(load_be64(esp + 8), seq); /* S53 */
		CU_ASSERT_NOT_EQUAL(memcmp(esp + 16, clear, 16), 0);
		bed_deliver(&bed.b, esp, len);
	}
	bed_turn_one(&bed, &bed.b);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.b.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.in_packets, 3);
	CU_ASSERT_EQUAL(st.in_bytes, 3 * 129);
	CU_ASSERT_EQUAL(dataplane_child_stats(bed.a.dp, &st, 1), ERR_OK);
	CU_ASSERT_EQUAL(st.out_packets, 3);
	CU_ASSERT_EQUAL(st.out_bytes, 3 * 129);
	CU_ASSERT_EQUAL(st.out_seq, 3);
	bed_fini(&bed);
}

/* A batch that is larger than a vector, from several flows, arrives whole and in order. */
static void test_order(void)
{
	uint8_t buf[BED_MAX_PACKET];
	struct bed bed;
	uint32_t got = 0;

	bed_init(&bed, NULL);
	bed_pair(&bed, 1, NULL);
	for (uint32_t i = 0; i < 200; i++)
		bed_send(&bed.a, buf, bed_udp4(buf, true, (uint16_t)(i % 5), 9, i, 20 + i % 9));
	for (int i = 0; i < 10; i++)
		bed_turn(&bed);
	while (bed_receive(&bed.b, buf))
		CU_ASSERT_EQUAL(load_be32(buf + 28), got++);
	CU_ASSERT_EQUAL(got, 200);
	bed_fini(&bed);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_4in4_and_6in4),    TAP_TEST(test_4in6_and_6in6), TAP_TEST(test_every_length),
	TAP_TEST(test_gcm_128_with_esn), TAP_TEST(test_wire_format),   TAP_TEST(test_order),
};

TAP_MAIN("dataplane/tunnel", tests)
