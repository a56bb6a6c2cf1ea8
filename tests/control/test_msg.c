/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ike/wire/msg.h"

#include "control/ike/wire/build.h"
#include "tests/control/charon.h"
#include "tests/control/hex.h"
#include "tests/control/sweep.h"

static const struct ike_header header = {
	.spi_i = 0x0102030405060708,
	.spi_r = 0x1112131415161718,
	.exchange = IKE_AUTH,
	.flags = IKE_FLAG_INITIATOR,
	.msgid = 0x21222324,
};

/* make - a message of payloads of the types given, 0 at the end, each with its index as body. */
static struct bytes make(uint8_t *buf, size_t cap, const uint8_t *types)
{
	struct ike_builder b;
	struct bytes out = {0};

	ike_build_begin(&b, buf, cap, &header);
	for (uint8_t i = 0; types[i]; i++)
		writer_u8(ike_build_payload(&b, types[i]), i);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	return out;
}

static void test_header_fields(void)
{
	uint8_t buf[64];
	const struct bytes m = make(buf, sizeof(buf), (const uint8_t[]){PAYLOAD_NONCE, 0});
	struct ike_header h = {0};
	struct ike_msg msg;

	CU_ASSERT(hex_equal("0102030405060708 1112131415161718 28 20 23 08 21222324 00000021"
			    "00000005 00",
			    m.p, m.len));
	CU_ASSERT_EQUAL(ike_header_parse(&h, m), ERR_OK);
	CU_ASSERT_EQUAL(h.spi_i, header.spi_i);
	CU_ASSERT_EQUAL(h.spi_r, header.spi_r);
	CU_ASSERT_EQUAL(h.next_payload, PAYLOAD_NONCE);
	CU_ASSERT_EQUAL(h.major, 2);
	CU_ASSERT_EQUAL(h.minor, 0);
	CU_ASSERT_EQUAL(h.exchange, IKE_AUTH);
	CU_ASSERT_EQUAL(h.flags, IKE_FLAG_INITIATOR);
	CU_ASSERT_EQUAL(h.msgid, header.msgid);
	CU_ASSERT_EQUAL(h.length, m.len);
	CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_OK);
	CU_ASSERT(bytes_equal(msg.raw, m));
}

static void test_S34_versions(void)
{
	uint8_t buf[64];
	const struct bytes m = make(buf, sizeof(buf), (const uint8_t[]){PAYLOAD_NONCE, 0});
	struct ike_header h;
	struct ike_msg msg;

	for (unsigned int v = 0; v < 256; v++) {
		buf[17] = (uint8_t)v;
		CU_ASSERT_EQUAL(ike_header_parse(&h, m), ERR_OK);
		CU_ASSERT_EQUAL(h.major, v >> 4);
		CU_ASSERT_EQUAL(h.minor, v & 15);
		/* A higher minor version is accepted (2.5); S34: version 1 is not. */
		CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), v >> 4 == 2 ? ERR_OK : ERR_UNSUPPORTED);
	}
}

static void test_S4_omit_double_reorder(void)
{
	static const uint8_t types[] = {PAYLOAD_SA,   PAYLOAD_KE,  PAYLOAD_NONCE, PAYLOAD_IDI,
					PAYLOAD_AUTH, PAYLOAD_TSI, PAYLOAD_TSR,   PAYLOAD_NOTIFY};
	const uint64_t single = PAYLOAD_BIT(PAYLOAD_SA) | PAYLOAD_BIT(PAYLOAD_KE) |
				PAYLOAD_BIT(PAYLOAD_NONCE) | PAYLOAD_BIT(PAYLOAD_IDI) |
				PAYLOAD_BIT(PAYLOAD_AUTH) | PAYLOAD_BIT(PAYLOAD_TSI) |
				PAYLOAD_BIT(PAYLOAD_TSR);
	const size_t n = sizeof(types);
	uint8_t buf[256], seq[16];
	struct ike_msg m;

	for (size_t i = 0; i < n; i++) {
		const uint64_t bit = PAYLOAD_BIT(types[i]);
		size_t k = 0;

		/* Left out: noticed exactly if it is required. */
		for (size_t j = 0; j < n; j++) {
			if (j != i)
				seq[k++] = types[j];
		}
		seq[k] = 0;
		CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, make(buf, sizeof(buf), seq)), ERR_OK);
		CU_ASSERT_EQUAL(ike_msg_check(&m, single, PAYLOAD_REPEATABLE),
				bit & single ? ERR_MALFORMED : ERR_OK);
		CU_ASSERT_EQUAL(ike_msg_check(&m, single & ~bit, PAYLOAD_REPEATABLE), ERR_OK);
		CU_ASSERT_PTR_NULL(ike_msg_find(&m, types[i]));
		CU_ASSERT_PTR_NULL(ike_msg_body(&m, types[i]).p);
		/* Doubled, the second one at the end. */
		memcpy(seq, types, n);
		seq[n] = types[i];
		seq[n + 1] = 0;
		CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, make(buf, sizeof(buf), seq)), ERR_OK);
		CU_ASSERT_EQUAL(m.count[types[i]], 2);
		CU_ASSERT_EQUAL(ike_msg_check(&m, single, PAYLOAD_REPEATABLE),
				bit & single ? ERR_MALFORMED : ERR_OK);
		/* The first of two is the one that is found. */
		CU_ASSERT_EQUAL(ike_msg_body(&m, types[i]).p[0], i);
		/* Any order is fine (2.5). */
		for (size_t j = 0; j < n; j++)
			seq[j] = types[(i + j * 3) % n];
		seq[n] = 0;
		CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&m, make(buf, sizeof(buf), seq)), ERR_OK);
		CU_ASSERT_EQUAL(ike_msg_check(&m, single, PAYLOAD_REPEATABLE), ERR_OK);
	}
}

static void test_unknown_payloads(void)
{
	uint8_t buf[64];
	const struct bytes m =
		make(buf, sizeof(buf), (const uint8_t[]){PAYLOAD_NONCE, 1, 255, PAYLOAD_NOTIFY, 0});
	struct ike_msg msg;

	CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_OK);
	CU_ASSERT_EQUAL(msg.num, 4);
	CU_ASSERT_EQUAL(msg.unknown_critical, 0);
	CU_ASSERT_EQUAL(msg.present, PAYLOAD_BIT(PAYLOAD_NONCE) | PAYLOAD_BIT(PAYLOAD_NOTIFY));
	/* The critical bit counts for unknown types only (2.5, 3.2); reserved bits do not. */
	buf[IKE_HEADER_LEN + 1] = 0x80;
	buf[IKE_HEADER_LEN + 5 + 1] = 0x7f;
	CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_OK);
	CU_ASSERT_EQUAL(msg.unknown_critical, 0);
	buf[IKE_HEADER_LEN + 10 + 1] = 0x80;
	CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_OK);
	CU_ASSERT_EQUAL(msg.unknown_critical, 255);
	buf[IKE_HEADER_LEN + 5 + 1] = 0x80;
	CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_OK);
	CU_ASSERT_EQUAL(msg.unknown_critical, 1);
}

static void test_S1_lengths(void)
{
	uint8_t buf[64];
	const struct bytes m =
		make(buf, sizeof(buf), (const uint8_t[]){PAYLOAD_NONCE, PAYLOAD_NOTIFY, 0});
	struct ike_msg msg;

	for (uint32_t len = 0; len < 64; len++) {
		store_be16(buf + IKE_HEADER_LEN + 2, (uint16_t)len);
		/* 5 is right; 10 swallows the second payload, whose absence leaves bytes to read.
		 */
		if (len == 5)
			CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_OK)
		else
			CU_ASSERT_NOT_EQUAL(ike_msg_parse(&msg, m), ERR_OK);
		if (len < 4)
			CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_MALFORMED);
	}
	store_be16(buf + IKE_HEADER_LEN + 2, 5);
	for (uint32_t len = 0; len < 64; len++) {
		store_be32(buf + 24, len);
		CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), len == m.len ? ERR_OK : ERR_MALFORMED);
	}
	store_be32(buf + 24, (uint32_t)m.len);
	/* A byte behind the last payload. */
	buf[m.len] = 0;
	store_be32(buf + 24, (uint32_t)m.len + 1);
	CU_ASSERT_EQUAL(ike_msg_parse(&msg, bytes_of(buf, m.len + 1)), ERR_MALFORMED);
}

static void test_S3_number_of_payloads(void)
{
	uint8_t types[IKE_MAX_PAYLOADS + 2], buf[1024];
	struct ike_msg msg;

	memset(types, PAYLOAD_NOTIFY, sizeof(types));
	types[IKE_MAX_PAYLOADS] = 0;
	CU_ASSERT_EQUAL(ike_msg_parse(&msg, make(buf, sizeof(buf), types)), ERR_OK);
	CU_ASSERT_EQUAL(msg.num, IKE_MAX_PAYLOADS);
	CU_ASSERT_EQUAL(msg.count[PAYLOAD_NOTIFY], IKE_MAX_PAYLOADS);
	types[IKE_MAX_PAYLOADS] = PAYLOAD_NOTIFY;
	types[IKE_MAX_PAYLOADS + 1] = 0;
	CU_ASSERT_EQUAL(ike_msg_parse(&msg, make(buf, sizeof(buf), types)), ERR_LIMIT);
}

static void test_S3_size(void)
{
	static uint8_t big[IKE_MAX_MESSAGE + 1];
	struct ike_builder b;
	struct ike_msg msg;
	struct bytes out;

	ike_build_begin(&b, big, sizeof(big), &header);
	store_be32(big + 24, sizeof(big));
	CU_ASSERT_EQUAL(ike_msg_parse(&msg, bytes_of(big, sizeof(big))), ERR_LIMIT);
	/* And of ours. */
	writer_zero(ike_build_payload(&b, PAYLOAD_VENDOR), IKE_MAX_MESSAGE - IKE_HEADER_LEN - 4);
	CU_ASSERT_EQUAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL(ike_msg_parse(&msg, out), ERR_OK);
	ike_build_begin(&b, big, sizeof(big), &header);
	writer_zero(ike_build_payload(&b, PAYLOAD_VENDOR), IKE_MAX_MESSAGE - IKE_HEADER_LEN - 3);
	CU_ASSERT_EQUAL(ike_build_finish(&b, &out, NULL), ERR_LIMIT);
}

/* SK and SKF end the chain: what their Next Payload names is inside. */
static void test_encrypted_is_last(void)
{
	static const uint8_t ends[] = {PAYLOAD_SK, PAYLOAD_SKF};
	uint8_t buf[64];
	struct ike_msg msg;

	for (size_t i = 0; i < sizeof(ends); i++) {
		const uint8_t alone[] = {PAYLOAD_NOTIFY, ends[i], 0};
		const uint8_t followed[] = {ends[i], PAYLOAD_NOTIFY, 0};
		struct bytes m = make(buf, sizeof(buf), alone);

		buf[IKE_HEADER_LEN + 5] = PAYLOAD_IDI;
		CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_OK);
		CU_ASSERT_EQUAL(msg.payloads[1].next, PAYLOAD_IDI);
		CU_ASSERT_EQUAL(
			ike_chain_parse(&msg, PAYLOAD_NOTIFY,
					bytes_of(m.p + IKE_HEADER_LEN, m.len - IKE_HEADER_LEN),
					false),
			ERR_MALFORMED);
		m = make(buf, sizeof(buf), followed);
		CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_MALFORMED);
	}
}

static void test_no_payloads(void)
{
	uint8_t buf[64];
	const struct bytes m = make(buf, sizeof(buf), (const uint8_t[]){0});
	struct ike_msg msg;

	CU_ASSERT_EQUAL(ike_msg_parse(&msg, m), ERR_OK);
	CU_ASSERT_EQUAL(msg.num, 0);
	CU_ASSERT_EQUAL(msg.present, 0);
	CU_ASSERT_EQUAL(ike_msg_check(&msg, 0, 0), ERR_OK);
}

/* visit - a variant is refused, or all its bodies lie within it and do not overlap. */
static void visit(struct bytes v, long bit)
{
	const uint8_t *at = v.p + IKE_HEADER_LEN;
	struct ike_msg msg;
	enum err e = ike_msg_parse(&msg, v);

	if (bit < 0)
		CU_ASSERT_NOT_EQUAL(e, ERR_OK);
	if (e != ERR_OK)
		return;
	for (uint32_t i = 0; i < msg.num; i++) {
		CU_ASSERT_PTR_EQUAL(msg.payloads[i].body.p, at + IKE_PAYLOAD_HDR_LEN);
		at = msg.payloads[i].body.p + msg.payloads[i].body.len;
	}
	CU_ASSERT_PTR_EQUAL(at, v.p + v.len);
}

static void test_truncation_and_bit_flips(void)
{
	for (size_t i = 0; i < ARRAY_LEN(charon_sessions); i++) {
		for (size_t j = 0; j < 4; j++) {
			struct hex m;

			hex_read(&m, charon_sessions[i].msgs[j].hex);
			CU_ASSERT(sweep(m.b, m.len, visit) > 1000);
		}
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_header_fields),
	TAP_TEST(test_S34_versions),
	TAP_TEST(test_S4_omit_double_reorder),
	TAP_TEST(test_unknown_payloads),
	TAP_TEST(test_S1_lengths),
	TAP_TEST(test_S3_number_of_payloads),
	TAP_TEST(test_S3_size),
	TAP_TEST(test_encrypted_is_last),
	TAP_TEST(test_no_payloads),
	TAP_TEST(test_truncation_and_bit_flips),
};

TAP_MAIN("control/msg", tests)
