/* SPDX-License-Identifier: Apache-2.0 */
/* The Encrypted payload, sealed by build.h and opened by sk.h. */
#include "control/ike/wire/sk.h"

#include "control/crypto/keys.h"
#include "control/ike/wire/build.h"
#include "tests/control/hex.h"
#include "tests/control/sweep.h"

#define KEY "000102030405060708090a0b0c0d0e0f10111213"

static struct rng_seeded rng;
static struct crypto_ctx *ctx;
static struct ike_aead *sealer, *opener;

static const struct ike_header header = {
	.spi_i = 0x0102030405060708,
	.spi_r = 0x1112131415161718,
	.exchange = INFORMATIONAL,
	.flags = IKE_FLAG_RESPONSE,
	.msgid = 9,
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

/* sealed - a message whose SK payload holds num vendor payloads of len bytes. */
static struct bytes sealed(uint8_t *buf, size_t cap, int num, size_t len)
{
	struct ike_builder b;
	struct bytes out = {0};

	ike_build_begin(&b, buf, cap, &header);
	ike_build_sk(&b);
	for (int i = 0; i < num; i++)
		memset(writer_reserve(ike_build_payload(&b, PAYLOAD_VENDOR), len), i, len);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, sealer), ERR_OK);
	return out;
}

/* raw_sk - a message whose SK payload has this plain text, padding and all. */
static struct bytes raw_sk(uint8_t *buf, uint8_t first, const uint8_t *plain, size_t len)
{
	const size_t total = IKE_HEADER_LEN + 4 + 8 + len + 16;
	uint8_t *at = buf + IKE_HEADER_LEN;
	struct ike_builder b;
	struct bytes out;

	ike_build_begin(&b, buf, IKE_HEADER_LEN, &header);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &out, NULL), ERR_OK);
	buf[16] = PAYLOAD_SK;
	store_be32(buf + 24, (uint32_t)total);
	at[0] = first;
	at[1] = 0;
	store_be16(at + 2, (uint16_t)(total - IKE_HEADER_LEN));
	memcpy(at + 12, plain, len);
	CU_ASSERT_EQUAL_FATAL(
		ike_aead_seal(sealer, at + 4, at + 12 + len, at + 12, len, bytes_of(buf, 32)),
		ERR_OK);
	return bytes_of(buf, total);
}

static enum err open_it(struct ike_msg *inner, bool *authentic, struct bytes m)
{
	/* Exactly as large as the message, so that a sanitizer sees what is read beyond. */
	static uint8_t *plain;
	struct ike_msg outer;
	enum err e = ike_msg_parse(&outer, m);

	free(plain);
	plain = malloc(m.len ? m.len : 1);
	*authentic = false;
	return e == ERR_OK ? sk_open(inner, authentic, plain, m.len, &outer, opener) : e;
}

static void test_round_trip(void)
{
	uint8_t buf[4096];
	struct ike_msg inner;
	bool authentic;

	set_up();
	for (int num = 0; num < 5; num++) {
		for (size_t len = 0; len < 40; len++) {
			const struct bytes m = sealed(buf, sizeof(buf), num, len);

			CU_ASSERT_EQUAL(open_it(&inner, &authentic, m), ERR_OK);
			CU_ASSERT(authentic);
			CU_ASSERT_EQUAL(inner.num, num);
			CU_ASSERT_EQUAL(inner.h.msgid, 9);
			CU_ASSERT(bytes_equal(inner.raw, m));
			for (int i = 0; i < num; i++)
				CU_ASSERT(inner.payloads[i].body.len == len &&
					  (!len || inner.payloads[i].body.p[len - 1] == i));
		}
	}
	tear_down();
}

static void visit(struct bytes v, long bit)
{
	struct ike_msg inner;
	bool authentic;
	enum err e = open_it(&inner, &authentic, v);

	(void)bit;
	CU_ASSERT_NOT_EQUAL(e, ERR_OK);
	CU_ASSERT_FALSE(authentic);
}

/* Nothing that was changed on the way opens: header, generic header, IV, text and ICV are covered.
 */
static void test_S28_truncation_and_bit_flips(void)
{
	uint8_t buf[256];
	struct bytes m;

	set_up();
	m = sealed(buf, sizeof(buf), 2, 11);
	CU_ASSERT(sweep(m.p, m.len, visit) > 500);
	tear_down();
}

static void test_padding(void)
{
	uint8_t buf[512], plain[300];
	struct ike_msg inner;
	bool authentic;

	set_up();
	/* RFC 7296 3.14: the recipient accepts any padding of any content up to 255 bytes. */
	memset(plain, 0xa5, sizeof(plain));
	for (unsigned int pad = 0; pad < 256; pad++) {
		memcpy(plain, "\0\0\0\5x", 5);
		plain[5 + pad] = (uint8_t)pad;
		CU_ASSERT_EQUAL(
			open_it(&inner, &authentic, raw_sk(buf, PAYLOAD_VENDOR, plain, 6 + pad)),
			ERR_OK);
		CU_ASSERT_EQUAL(inner.num, 1);
		/* One more than there is. */
		plain[5 + pad] = (uint8_t)(6 + pad);
		if (6 + pad > 255)
			continue;
		CU_ASSERT_EQUAL(
			open_it(&inner, &authentic, raw_sk(buf, PAYLOAD_VENDOR, plain, 6 + pad)),
			ERR_MALFORMED);
		CU_ASSERT(authentic);
	}
	/* Padding alone: an empty chain, and a chain that was promised. */
	memset(plain, 3, 4);
	CU_ASSERT_EQUAL(open_it(&inner, &authentic, raw_sk(buf, PAYLOAD_NONE, plain, 4)), ERR_OK);
	CU_ASSERT_EQUAL(inner.num, 0);
	CU_ASSERT_EQUAL(open_it(&inner, &authentic, raw_sk(buf, PAYLOAD_VENDOR, plain, 4)),
			ERR_TRUNCATED);
	CU_ASSERT(authentic);
	tear_down();
}

/* What is inside is authentic but wrong: the peer is to hear of it. */
static void test_bad_contents_are_authentic(void)
{
	uint8_t buf[512], many[(IKE_MAX_PAYLOADS + 1) * 4 + 1] = {0};
	struct ike_msg inner;
	bool authentic;

	set_up();
	CU_ASSERT_EQUAL(open_it(&inner, &authentic,
				raw_sk(buf, PAYLOAD_VENDOR, (const uint8_t *)"\0\0\0\3\0", 5)),
			ERR_MALFORMED);
	CU_ASSERT(authentic);
	/* SK inside SK. */
	CU_ASSERT_EQUAL(open_it(&inner, &authentic,
				raw_sk(buf, PAYLOAD_SK, (const uint8_t *)"\0\0\0\4\0", 5)),
			ERR_MALFORMED);
	CU_ASSERT(authentic);
	for (size_t i = 0; i <= IKE_MAX_PAYLOADS; i++) {
		many[i * 4] = i == IKE_MAX_PAYLOADS ? 0 : PAYLOAD_VENDOR;
		many[i * 4 + 3] = 4;
	}
	CU_ASSERT_EQUAL(
		open_it(&inner, &authentic, raw_sk(buf, PAYLOAD_VENDOR, many, sizeof(many))),
		ERR_LIMIT);
	CU_ASSERT(authentic);
	tear_down();
}

/* A pad length of the whole text or more leaves nothing, and nothing is looked for behind it. */
static enum err decrypt_it(struct bytes *out, struct bytes message)
{
	static uint8_t buf[512];
	const struct ike_payload *sk;
	struct sk_sealed sealed;
	struct ike_msg outer;
	bool authentic;

	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&outer, message), ERR_OK);
	sk = ike_msg_find(&outer, PAYLOAD_SK);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sk);
	sealed.body = sk->body;
	sealed.aad = bytes_of(message.p, (size_t)(sk->body.p - message.p));
	return sk_decrypt(out, &authentic, buf, sizeof(buf), &sealed, opener);
}

static void test_S50_pad_of_everything(void)
{
	uint8_t buf[512], plain[64] = {PAYLOAD_VENDOR, 0, 0, 200};
	struct ike_msg inner;
	struct bytes text;
	bool authentic;

	set_up();
	for (size_t len = 1; len <= sizeof(plain); len++) {
		const uint8_t before = plain[len - 1];

		for (size_t pad = len; pad < 256; pad++) {
			plain[len - 1] = (uint8_t)pad;
			CU_ASSERT_EQUAL(open_it(&inner, &authentic,
						raw_sk(buf, PAYLOAD_VENDOR, plain, len)),
					ERR_MALFORMED);
			CU_ASSERT_EQUAL(decrypt_it(&text, raw_sk(buf, PAYLOAD_VENDOR, plain, len)),
					ERR_MALFORMED);
		}
		plain[len - 1] = before;
	}
	/* Without even a pad length it is no SK payload, authentic or not. */
	CU_ASSERT_EQUAL(open_it(&inner, &authentic, raw_sk(buf, PAYLOAD_NONE, plain, 0)),
			ERR_TRUNCATED);
	CU_ASSERT_FALSE(authentic);
	tear_down();
}

static void test_refusals(void)
{
	uint8_t buf[256], small[4];
	struct ike_msg outer, inner;
	struct ike_builder b;
	struct bytes m, out;
	bool authentic;

	set_up();
	m = sealed(buf, sizeof(buf), 1, 8);
	CU_ASSERT_EQUAL_FATAL(ike_msg_parse(&outer, m), ERR_OK);
	CU_ASSERT_EQUAL(sk_open(&inner, &authentic, small, sizeof(small), &outer, opener),
			ERR_FULL);
	outer.num = 0;
	CU_ASSERT_EQUAL(sk_open(&inner, &authentic, small, sizeof(small), &outer, opener),
			ERR_NOT_FOUND);
	/* A key without SK, SK without a key. */
	ike_build_begin(&b, buf, sizeof(buf), &header);
	CU_ASSERT_EQUAL(ike_build_finish(&b, &out, sealer), ERR_INVAL);
	ike_build_begin(&b, buf, sizeof(buf), &header);
	ike_build_sk(&b);
	CU_ASSERT_EQUAL(ike_build_finish(&b, &out, NULL), ERR_INVAL);
	tear_down();
}

/* Every size of buffer: the message is complete or an error, and after an error nothing is left of
 * what was to be encrypted. */
static void test_buffer_sizes(void)
{
	uint8_t buf[128];

	set_up();
	for (size_t cap = 0; cap <= sizeof(buf); cap++) {
		struct ike_builder b;
		struct bytes out = {0};
		enum err e;

		memset(buf, 0xee, sizeof(buf));
		ike_build_begin(&b, buf, cap, &header);
		ike_build_sk(&b);
		writer_bytes(ike_build_payload(&b, PAYLOAD_VENDOR), "very secret", 11);
		e = ike_build_finish(&b, &out, sealer);
		CU_ASSERT_EQUAL(e, cap < 72 ? ERR_FULL : ERR_OK);
		CU_ASSERT_EQUAL(out.len, cap < 72 ? 0 : 72);
		CU_ASSERT_PTR_NULL(memmem(buf, sizeof(buf), "secret", 6));
		CU_ASSERT(cap == sizeof(buf) || buf[cap] == 0xee);
	}
	tear_down();
}

static struct ike_aead *cbc_aead(void)
{
	const struct conf_encr encr = {ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_384_192};
	struct secret key = {0};
	struct ike_aead *a = NULL;

	CU_ASSERT_EQUAL_FATAL(secret_init(&key, 32 + 48), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_aead_new(ctx, &a, encr, &key), ERR_OK);
	secret_fini(&key);
	return a;
}

/* AES-CBC: blocks are filled up whatever is inside; what is cut or changed is not authentic. */
static void test_cbc_messages(void)
{
	uint8_t buf[4096];
	struct ike_msg inner;
	bool authentic;

	set_up();
	ike_aead_free(sealer);
	ike_aead_free(opener);
	sealer = cbc_aead();
	opener = cbc_aead();
	for (size_t len = 0; len < 50; len++) {
		struct bytes m = sealed(buf, sizeof(buf), 2, len);

		CU_ASSERT_EQUAL(m.len,
				IKE_HEADER_LEN + 4 + ike_build_sealed_len(2 * (4 + len), sealer));
		CU_ASSERT_EQUAL((m.len - IKE_HEADER_LEN - 4 - 16 - 24) % 16, 0);
		CU_ASSERT_EQUAL(open_it(&inner, &authentic, m), ERR_OK);
		CU_ASSERT(authentic && inner.num == 2 && inner.payloads[1].body.len == len);
	}
	struct bytes m = sealed(buf, sizeof(buf), 1, 20);

	for (size_t bit = 0; bit < 8 * m.len; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_NOT_EQUAL(open_it(&inner, &authentic, m), ERR_OK);
		CU_ASSERT_FALSE(authentic);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t cut = 0; cut < m.len; cut++) {
		CU_ASSERT_NOT_EQUAL(open_it(&inner, &authentic, bytes_of(buf, cut)), ERR_OK);
		CU_ASSERT_FALSE(authentic);
	}
	CU_ASSERT_EQUAL(open_it(&inner, &authentic, m), ERR_OK);
	/* No room for the longer IV, or for the rest. */
	for (size_t cap = 0; cap < m.len; cap++) {
		struct ike_builder b;
		struct bytes out;

		ike_build_begin(&b, buf, cap, &header);
		ike_build_sk(&b);
		writer_zero(ike_build_payload(&b, PAYLOAD_VENDOR), 20);
		CU_ASSERT_EQUAL(ike_build_finish(&b, &out, sealer), ERR_FULL);
	}
	tear_down();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_round_trip),
	TAP_TEST(test_S28_truncation_and_bit_flips),
	TAP_TEST(test_padding),
	TAP_TEST(test_bad_contents_are_authentic),
	TAP_TEST(test_S50_pad_of_everything),
	TAP_TEST(test_refusals),
	TAP_TEST(test_buffer_sizes),
	TAP_TEST(test_cbc_messages),
};

TAP_MAIN("control/sk", tests)
