/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/dh.h"

#include "control/conf/conf.h"
#include "tests/control/hex.h"

static struct rng_seeded rng;

/* Private values, public values in KE format and the shared secret. */
static const struct {
	uint16_t group;
	const char *i, *gi, *r, *gr, *shared;
} vectors[] = {
	/* RFC 7748 6.1 */
	{DH_CURVE_25519, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
	 "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
	 "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
	 "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
	 "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	/* RFC 5903 8.1 */
	{DH_ECP_256, "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
	 "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
	 "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
	 "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
	 "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
	 "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
	 "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"},
	/* RFC 5903 8.2 */
	{DH_ECP_384,
	 "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655"
	 "e35b538041e649ee3faef896783ab194",
	 "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
	 "de3ac808acb4bdb4c88732aee95f41aa"
	 "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38e"
	 "eb9fcff3c2c947dae69b4c634573a81c",
	 "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942"
	 "e0308312916b8ed2960e4bd55a7448fc",
	 "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d"
	 "0d1ac43a0336def96fda41d0774a3571"
	 "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1ff"
	 "f83fa40142209dff5eaad96db9e6386c",
	 "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4"
	 "d603135569b9e9d09cf5d4a270f59746"},
};

/* A value that every group refuses in its own way. */
static const struct {
	uint16_t group;
	const char *what, *value;
} refused[] = {
	/* RFC 7748 6.1, and the low-order points of Curve25519: the result is zero. */
	{DH_CURVE_25519, "zero",
	 "0000000000000000000000000000000000000000000000000000000000000000"},
	{DH_CURVE_25519, "one", "0100000000000000000000000000000000000000000000000000000000000000"},
	{DH_CURVE_25519, "order 8",
	 "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"},
	{DH_CURVE_25519, "order 8, the other",
	 "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"},
	{DH_CURVE_25519, "p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{DH_CURVE_25519, "p - 1",
	 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{DH_CURVE_25519, "p + 1",
	 "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{DH_ECP_256, "zero",
	 "0000000000000000000000000000000000000000000000000000000000000000"
	 "0000000000000000000000000000000000000000000000000000000000000000"},
	{DH_ECP_256, "not on the curve (y changed)",
	 "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
	 "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb2"},
	{DH_ECP_256, "x is p",
	 "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
	 "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4"},
	{DH_ECP_256, "all ones",
	 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
	{DH_ECP_384, "zero",
	 "000000000000000000000000000000000000000000000000"
	 "000000000000000000000000000000000000000000000000"
	 "000000000000000000000000000000000000000000000000"
	 "000000000000000000000000000000000000000000000000"},
	{DH_ECP_384, "not on the curve (x changed)",
	 "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
	 "de3ac808acb4bdb4c88732aee95f41ab"
	 "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38e"
	 "eb9fcff3c2c947dae69b4c634573a81c"},
};

static void check_side(struct crypto_ctx *c, uint16_t group, const char *own, const char *public,
		       const char *peer, const char *shared)
{
	struct hex priv, other;
	struct secret s = {0};
	struct dh *dh = NULL;

	hex_read(&priv, own);
	hex_read(&other, peer);
	CU_ASSERT_EQUAL_FATAL(dh_new_private(c, &dh, group, hex_view(&priv)), ERR_OK);
	CU_ASSERT(hex_equal(public, dh_public(dh).p, dh_public(dh).len));
	CU_ASSERT_EQUAL(dh_public(dh).len, dh_public_len(group));
	CU_ASSERT_EQUAL(dh_group(dh), group);
	CU_ASSERT_EQUAL(dh_compute_shared(dh, &s, hex_view(&other)), ERR_OK);
	CU_ASSERT(hex_equal(shared, s.p, s.len));
	CU_ASSERT_EQUAL(s.len, dh_shared_len(group));
	secret_fini(&s);
	dh_free(dh);
}

static void test_published_vectors(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		check_side(c, vectors[i].group, vectors[i].i, vectors[i].gi, vectors[i].gr,
			   vectors[i].shared);
		check_side(c, vectors[i].group, vectors[i].r, vectors[i].gr, vectors[i].gi,
			   vectors[i].shared);
	}
	crypto_ctx_free(c);
}

static void test_fresh_keys_agree(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 2);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct dh *a = NULL, *b = NULL;
		struct secret sa = {0}, sb = {0};

		CU_ASSERT_EQUAL_FATAL(dh_new(c, &a, vectors[i].group), ERR_OK);
		CU_ASSERT_EQUAL_FATAL(dh_new(c, &b, vectors[i].group), ERR_OK);
		CU_ASSERT_FALSE(bytes_equal(dh_public(a), dh_public(b)));
		CU_ASSERT_EQUAL(dh_compute_shared(a, &sa, dh_public(b)), ERR_OK);
		CU_ASSERT_EQUAL(dh_compute_shared(b, &sb, dh_public(a)), ERR_OK);
		CU_ASSERT(secret_equal(sa.p, sa.len, sb.p, sb.len));
		secret_fini(&sa);
		secret_fini(&sb);
		dh_free(a);
		dh_free(b);
	}
	crypto_ctx_free(c);
}

static void test_S6_bad_values_refused(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 3);

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct secret s = {0};
		struct dh *dh = NULL;
		struct hex value;
		enum err e;

		hex_read(&value, refused[i].value);
		CU_ASSERT_EQUAL_FATAL(dh_new(c, &dh, refused[i].group), ERR_OK);
		e = dh_compute_shared(dh, &s, hex_view(&value));
		if (e != ERR_MALFORMED)
			tap_diag("group %u: %s gives %s", refused[i].group, refused[i].what,
				 err_name(e));
		CU_ASSERT_EQUAL(e, ERR_MALFORMED);
		CU_ASSERT_EQUAL(s.len, 0);
		dh_free(dh);
	}
	crypto_ctx_free(c);
}

static void test_S6_every_wrong_length_refused(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 4);
	uint8_t value[DH_PUBLIC_MAX + 8];

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct dh *dh = NULL;
		struct hex good;

		hex_read(&good, vectors[i].gi);
		memset(value, 0, sizeof(value));
		memcpy(value, good.b, good.len);
		CU_ASSERT_EQUAL_FATAL(dh_new(c, &dh, vectors[i].group), ERR_OK);
		for (size_t len = 0; len <= sizeof(value); len++) {
			struct secret s = {0};
			const enum err e = dh_compute_shared(dh, &s, bytes_of(value, len));

			CU_ASSERT_EQUAL(e, len == good.len ? ERR_OK : ERR_MALFORMED);
			secret_fini(&s);
		}
		dh_free(dh);
	}
	crypto_ctx_free(c);
}

/* Every single-bit change of a point leaves its curve, or changes the result. */
static void test_S6_bit_flips(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 5);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct dh *dh = NULL;
		struct hex value, priv;

		hex_read(&value, vectors[i].gr);
		hex_read(&priv, vectors[i].i);
		CU_ASSERT_EQUAL_FATAL(dh_new_private(c, &dh, vectors[i].group, hex_view(&priv)),
				      ERR_OK);
		for (size_t bit = 0; bit < value.len * 8; bit += 3) {
			struct secret s = {0};
			enum err e;

			value.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
			e = dh_compute_shared(dh, &s, hex_view(&value));
			value.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (vectors[i].group != DH_CURVE_25519)
				CU_ASSERT_EQUAL(e, ERR_MALFORMED);
			/* RFC 7748 5: the top bit of a Curve25519 value is ignored. */
			if (vectors[i].group == DH_CURVE_25519 && bit != 255)
				CU_ASSERT_FALSE(hex_equal(vectors[i].shared, s.p, s.len));
			secret_fini(&s);
		}
		dh_free(dh);
	}
	crypto_ctx_free(c);
}

static void test_unknown_groups(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 6);
	struct dh *dh = NULL;

	for (uint32_t group = 0; group < 64; group++) {
		if (group == DH_CURVE_25519 || group == DH_ECP_256 || group == DH_ECP_384)
			continue;
		CU_ASSERT_EQUAL(dh_public_len((uint16_t)group), 0);
		CU_ASSERT_EQUAL(dh_shared_len((uint16_t)group), 0);
		CU_ASSERT_EQUAL(dh_new(c, &dh, (uint16_t)group), ERR_UNSUPPORTED);
	}
	CU_ASSERT_EQUAL(dh_new_private(c, &dh, 14, bytes_of("x", 1)), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(dh_new_private(c, &dh, DH_ECP_256, bytes_of("x", 1)), ERR_INVAL);
	dh_free(NULL);
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_published_vectors),     TAP_TEST(test_fresh_keys_agree),
	TAP_TEST(test_S6_bad_values_refused), TAP_TEST(test_S6_every_wrong_length_refused),
	TAP_TEST(test_S6_bit_flips),          TAP_TEST(test_unknown_groups),
};

TAP_MAIN("control/dh", tests)
