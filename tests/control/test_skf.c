/* SPDX-License-Identifier: Apache-2.0 */
/* The Encrypted Fragment payload (RFC 7383 2.5): cut by skf_split(), read by skf_parse(). */
#include "control/ike/wire/skf.h"

#include "base/alloc.h"
#include "control/crypto/keys.h"
#include "tests/control/hex.h"
#include "tests/control/sweep.h"

#define KEY "000102030405060708090a0b0c0d0e0f10111213"
#define BUF 32768

static struct rng_seeded rng;
static struct crypto_ctx *ctx;
static struct ike_aead *sealer, *opener;

static const struct ike_header header = {
	.spi_i = 0x0102030405060708,
	.spi_r = 0x1112131415161718,
	.exchange = CREATE_CHILD_SA,
	.flags = IKE_FLAG_INITIATOR,
	.msgid = 3,
};

static struct ike_aead *aead(void)
{
	struct secret key = hex_secret(KEY);
	struct ike_aead *a = NULL;

	CU_ASSERT_EQUAL_FATAL(
		ike_aead_new(ctx, &a, (struct conf_encr){ENCR_AES_GCM_16, 128, 0}, &key), ERR_OK);
	secret_fini(&key);
	return a;
}

static void set_up(void)
{
	ctx = seeded_ctx(&rng, 1);
	sealer = aead();
	opener = aead();
}

static void tear_down(void)
{
	ike_aead_free(sealer);
	ike_aead_free(opener);
	crypto_ctx_free(ctx);
}

/* A message of num vendor payloads of len bytes, cut; NULL with the error otherwise. */
static uint8_t *cut(size_t *out_len, enum err *err, int num, size_t len, size_t limit)
{
	static uint8_t buf[BUF];
	struct ike_builder b;
	uint8_t *out = NULL;

	ike_build_begin(&b, buf, sizeof(buf), &header);
	ike_build_sk(&b);
	for (int i = 0; i < num; i++) {
		uint8_t *p = writer_reserve(ike_build_payload(&b, PAYLOAD_VENDOR), len);

		if (p)
			memset(p, i + 1, len);
	}
	*err = skf_split(&out, out_len, &b, sealer, limit);
	for (size_t i = 0; i < sizeof(buf); i++)
		CU_ASSERT_EQUAL_FATAL(buf[i], 0); /* what was to be encrypted is not left behind */
	return out;
}

/* What the fragments carry, one after the other. */
static size_t join(uint8_t *out, uint8_t *first, uint16_t *total, struct bytes all, size_t limit)
{
	uint16_t number = 0;
	size_t len = 0;

	while (all.len) {
		const struct bytes m = bytes_of(all.p, skf_message_len(all));
		uint8_t plain[BUF];
		struct ike_msg outer;
		struct bytes text;
		bool authentic;
		struct skf f;

		CU_ASSERT(m.len <= limit);
		CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&outer, m), ERR_OK);
		CU_ASSERT_EQUAL(outer.h.msgid, header.msgid);
		CU_ASSERT_EQUAL(outer.h.exchange, header.exchange);
		CU_ASSERT_EQUAL_FATAL(skf_parse(&f, &outer), ERR_OK);
		CU_ASSERT_EQUAL(f.number, ++number);
		if (number == 1)
			*first = f.first;
		else
			CU_ASSERT_EQUAL(f.first, PAYLOAD_NONE);
		*total = f.total;
		CU_ASSERT_EQUAL_FATAL(
			sk_decrypt(&text, &authentic, plain, sizeof(plain), &f.sealed, opener),
			ERR_OK);
		memcpy(out + len, text.p, text.len);
		len += text.len;
		all = bytes_of(all.p + m.len, all.len - m.len);
	}
	CU_ASSERT_EQUAL(number, *total);
	return len;
}

static void check_cut(int num, size_t len, size_t limit)
{
	static uint8_t chain[BUF];
	struct ike_msg inner = {0};
	size_t total_len = 0, joined;
	uint8_t *all, first = 0;
	uint16_t total = 0;
	enum err e;

	all = cut(&total_len, &e, num, len, limit);
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
	joined = join(chain, &first, &total, bytes_of(all, total_len), limit);
	CU_ASSERT_EQUAL(joined, (size_t)num * (len + 4));
	CU_ASSERT_EQUAL(ike_chain_parse(&inner, first, bytes_of(chain, joined), false), ERR_OK);
	CU_ASSERT_EQUAL(inner.num, num);
	for (int i = 0; i < num; i++)
		CU_ASSERT(inner.payloads[i].body.len == len &&
			  inner.payloads[i].body.p[len - 1] == i + 1);
	mem_free(all);
}

static void test_round_trip(void)
{
	set_up();
	for (size_t len = 100; len < 400; len += 7)
		for (size_t limit = 200; limit < 300; limit += 9)
			check_cut(5, len, limit);
	check_cut(3, 1, 1200);
	tear_down();
}

/* More than IKE_MAX_FRAGMENTS nobody puts together again: larger pieces instead. */
static void test_never_too_many(void)
{
	static uint8_t chain[BUF];
	uint8_t *all, first;
	uint16_t total = 0;
	size_t len = 0;
	enum err e;

	set_up();
	all = cut(&len, &e, 8, 3000, 200);
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
	CU_ASSERT_EQUAL(join(chain, &first, &total, bytes_of(all, len), BUF), 8 * 3004);
	CU_ASSERT_EQUAL(total, IKE_MAX_FRAGMENTS);
	mem_free(all);
	tear_down();
}

static void test_no_room(void)
{
	size_t len = 0;
	enum err e;

	set_up();
	CU_ASSERT_PTR_NULL(cut(&len, &e, 2, 100, 61));
	CU_ASSERT_EQUAL(e, ERR_LIMIT);
	CU_ASSERT_PTR_NULL(cut(&len, &e, 12, 3000, 1200)); /* more than the builder's buffer */
	CU_ASSERT_EQUAL(e, ERR_FULL);
	alloc_fail_nth(1);
	CU_ASSERT_PTR_NULL(cut(&len, &e, 2, 100, 200));
	alloc_fail_nth(0);
	CU_ASSERT_EQUAL(e, ERR_NOMEM);
	tear_down();
}

/* A fragment with these numbers. */
static enum err parse_numbers(uint16_t number, uint16_t total)
{
	uint8_t buf[200];
	const struct ike_fragment f = {.first = PAYLOAD_VENDOR,
				       .number = number,
				       .total = total,
				       .text = bytes_of("text", 4)};
	struct ike_builder b;
	struct ike_msg outer;
	struct bytes m;
	struct skf skf;

	ike_build_begin(&b, buf, sizeof(buf), &header);
	ike_build_skf(&b, &f);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &m, sealer), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&outer, m), ERR_OK);
	return skf_parse(&skf, &outer);
}

static void test_S2_numbers(void)
{
	set_up();
	CU_ASSERT_EQUAL(parse_numbers(1, 1), ERR_OK);
	CU_ASSERT_EQUAL(parse_numbers(64, 64), ERR_OK);
	CU_ASSERT_EQUAL(parse_numbers(0, 1), ERR_MALFORMED);
	CU_ASSERT_EQUAL(parse_numbers(0, 0), ERR_MALFORMED);
	CU_ASSERT_EQUAL(parse_numbers(2, 1), ERR_MALFORMED);
	CU_ASSERT_EQUAL(parse_numbers(1, 65), ERR_LIMIT);
	CU_ASSERT_EQUAL(parse_numbers(65, 65), ERR_LIMIT);
	CU_ASSERT_EQUAL(parse_numbers(65535, 65535), ERR_LIMIT);
	tear_down();
}

static void visit(struct bytes v, long bit)
{
	uint8_t *plain = malloc(v.len + 1);
	bool authentic = false;
	struct ike_msg outer;
	struct bytes text;
	struct skf f;

	(void)bit;
	if (!ike_msg_parse(&outer, v) && !skf_parse(&f, &outer))
		CU_ASSERT_NOT_EQUAL(sk_decrypt(&text, &authentic, plain, v.len, &f.sealed, opener),
				    ERR_OK);
	CU_ASSERT_FALSE(authentic);
	free(plain);
}

/* Nothing that was changed on the way opens: the numbers are covered too. */
static void test_S2_truncation_and_bit_flips(void)
{
	size_t len = 0;
	uint8_t *all;
	enum err e;

	set_up();
	all = cut(&len, &e, 2, 100, 200);
	CU_ASSERT_EQUAL_FATAL(e, ERR_OK);
	CU_ASSERT_TRUE(sweep(all, skf_message_len(bytes_of(all, len)), visit) > 900);
	mem_free(all);
	tear_down();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_round_trip),
	TAP_TEST(test_never_too_many),
	TAP_TEST(test_no_room),
	TAP_TEST(test_S2_numbers),
	TAP_TEST(test_S2_truncation_and_bit_flips),
};

TAP_MAIN("control/skf", tests)
