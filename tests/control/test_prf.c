/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/prf.h"

#include "control/conf/conf.h"
#include "tests/control/hex.h"

#define AA20  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define AA131 AA20 AA20 AA20 AA20 AA20 AA20 "aaaaaaaaaaaaaaaaaaaaaa"
#define DD10  "dddddddddddddddddddd"
#define CD10  "cdcdcdcdcdcdcdcdcdcd"

static struct rng_seeded rng;

/* RFC 4231 4.2 to 4.5, 4.7, 4.8 (4.6 truncates). */
static const struct {
	const char *key, *data, *sha256, *sha384, *sha512;
} vectors[] = {
	{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
	 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
	 "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
	 "faea9ea9076ede7f4af152e8b2fa9cb6",
	 "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
	 "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
	{"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
	 "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
	 "8e2240ca5e69e2c78b3239ecfab21649",
	 "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
	 "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
	{AA20, DD10 DD10 DD10 DD10 DD10,
	 "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
	 "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b"
	 "2a5ab39dc13814b94e3ab6e101a34f27",
	 "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
	 "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
	{"0102030405060708090a0b0c0d0e0f10111213141516171819", CD10 CD10 CD10 CD10 CD10,
	 "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
	 "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e"
	 "6801dd23c4a7d679ccf8a386c674cffb",
	 "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
	 "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
	{AA131,
	 "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a"
	 "65204b6579202d2048617368204b6579204669727374",
	 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
	 "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
	 "0c2ef6ab4030fe8296248df163f44952",
	 "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
	 "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
	{AA131,
	 "5468697320697320612074657374207573696e672061206c6172676572207468"
	 "616e20626c6f636b2d73697a65206b657920616e642061206c61726765722074"
	 "68616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565"
	 "647320746f20626520686173686564206265666f7265206265696e6720757365"
	 "642062792074686520484d414320616c676f726974686d2e",
	 "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
	 "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5"
	 "a678cc31e799176d3860e6110c46523e",
	 "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
	 "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
};

static void check(struct crypto_ctx *c, uint16_t prf, struct bytes key, const struct hex *data,
		  const char *expected)
{
	uint8_t out[PRF_LEN_MAX];

	/* Cut in every place: the parts are one message. */
	for (size_t cut = 0; cut <= data->len; cut++) {
		const struct bytes parts[] = {bytes_of(data->b, cut), bytes_of(NULL, 0),
					      bytes_of(data->b + cut, data->len - cut)};

		CU_ASSERT_EQUAL(prf_compute(c, out, prf, key, parts, 3), ERR_OK);
		CU_ASSERT(hex_equal(expected, out, prf_len(prf)));
	}
}

static void test_published_vectors(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct hex key, data;

		hex_read(&key, vectors[i].key);
		hex_read(&data, vectors[i].data);
		check(c, PRF_HMAC_SHA2_256, hex_view(&key), &data, vectors[i].sha256);
		check(c, PRF_HMAC_SHA2_384, hex_view(&key), &data, vectors[i].sha384);
		check(c, PRF_HMAC_SHA2_512, hex_view(&key), &data, vectors[i].sha512);
	}
	crypto_ctx_free(c);
}

/* An empty key is a key, not "the key before"; values from Python's hmac. */
static void test_empty_key(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	const struct bytes abc = bytes_of("abc", 3);
	uint8_t out[PRF_LEN_MAX];

	CU_ASSERT_EQUAL(prf_compute(c, out, PRF_HMAC_SHA2_256, bytes_of("k", 1), &abc, 1), ERR_OK);
	CU_ASSERT_EQUAL(prf_compute(c, out, PRF_HMAC_SHA2_256, bytes_of(NULL, 0), &abc, 1), ERR_OK);
	CU_ASSERT(hex_equal("fd7adb152c05ef80dccf50a1fa4c05d5a3ec6da95575fc312ae7c5d091836351", out,
			    32));
	crypto_ctx_free(c);
}

/* prf+ of key 20 x 01 and "seedpart two"; values from Python's hmac, following RFC 7296 2.13. */
static const struct {
	uint16_t prf;
	const char *expected;
} streams[] = {
	{PRF_HMAC_SHA2_256, "6e6c7e25f36dc42a078bf5f15042161ac3239bfcce5f7ad389edd60929f439ea"
			    "731959f658cebb952ee644832a5b7be8a3c1384cf9653d72c12fb83df64e97f4"
			    "aed13dde2fce63663959af1689b50f344e35a4eb973100afca15b3106b5a0397"
			    "24f962728affb1c33bb1f36d7136bd90e41e4caf456eda1d98414ff65484a9e1"
			    "49ed2fd4368ff249ca85682a8d147cc9ca4657b3f1ccf5fa3ebe96c419584e26"
			    "9233dc280b05b30d28ecee3bcabc6be6dbc18d60f4f11e72dfecd96c3d2adb84"
			    "b1db95e7004e849b"},
	{PRF_HMAC_SHA2_384, "307cddd8759c77829b1f7a8190d5cda020746702ecd90791c32c9c296c59276d"
			    "6bb5190956d6490fc000b7f579c084689b57e8b7ed5c15fc9135d17e14439f53"
			    "0cbf18f1231715c94e72afbf8494604ae40f6a436d6208fd3b4d96b85cb19c8d"
			    "f1017594725928fe7e2e0b780037c7f3e69c6f1a273af7939057eccca2ae5b5f"
			    "0ee7d5256c4b36d400b95263d242167c93697ebf411e56ed01963be4d65de8c6"
			    "b2ea70573c4f3609df67e7f8c9386adb4b6efa744c8d98692b01facdb99cb4ad"
			    "ffc8f665c7137ae0"},
	{PRF_HMAC_SHA2_512, "d6a9fcfe23ed14c98520a47bef376aaa241d1fb26f79c428431433f6a33fed32"
			    "2665394fd5e903308d93686c6e82de3310165b3a3da37dc8c832e39200d639c0"
			    "af3c2fcace2316d346c3d5517b19ca7820049285360c58eb01af4ca5679b3124"
			    "14ae9659d801caa23f0d3f37a760a9e50dfddae15f46faee628de08c4d124243"
			    "fbd04af3fe1a9ddfcb5a71c8cf928b5ea9b9408b402a397788b5659c26f85d77"
			    "c0d1be3a490ea8a62edb50e7cf19ef201fb1f58e266e5812769659cc039432b0"
			    "3460277f5af74de6"},
};

static void test_prf_plus_every_length(void)
{
	const struct bytes seed[] = {bytes_of("seed", 4), bytes_of("part two", 8)};
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	uint8_t key[20];

	memset(key, 1, sizeof(key));
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		struct hex whole;

		hex_read(&whole, streams[i].expected);
		for (size_t len = 1; len <= whole.len; len++) {
			struct secret out = {0};

			CU_ASSERT_EQUAL_FATAL(secret_init(&out, len), ERR_OK);
			CU_ASSERT_EQUAL(
				prf_plus(c, &out, streams[i].prf, bytes_of(key, 20), seed, 2),
				ERR_OK);
			CU_ASSERT(memcmp(out.p, whole.b, len) == 0);
			secret_fini(&out);
		}
	}
	crypto_ctx_free(c);
}

static void test_prf_plus_bounds(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	const struct bytes seed[7] = {{.p = (const uint8_t *)"s", .len = 1}};
	struct secret out = {0};

	/* The counter is one byte: 255 outputs (RFC 7296 2.13). */
	CU_ASSERT_EQUAL_FATAL(secret_init(&out, 255 * 32), ERR_OK);
	CU_ASSERT_EQUAL(prf_plus(c, &out, PRF_HMAC_SHA2_256, bytes_of("k", 1), seed, 1), ERR_OK);
	CU_ASSERT_EQUAL(prf_plus(c, &out, PRF_HMAC_SHA2_256, bytes_of("k", 1), seed, 7), ERR_LIMIT);
	CU_ASSERT_EQUAL(prf_plus(c, &out, 2, bytes_of("k", 1), seed, 1), ERR_UNSUPPORTED);
	secret_fini(&out);
	CU_ASSERT_EQUAL_FATAL(secret_init(&out, 255 * 32 + 1), ERR_OK);
	CU_ASSERT_EQUAL(prf_plus(c, &out, PRF_HMAC_SHA2_256, bytes_of("k", 1), seed, 1), ERR_LIMIT);
	secret_fini(&out);
	crypto_ctx_free(c);
}

static void test_unknown_prf(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	uint8_t out[PRF_LEN_MAX];

	CU_ASSERT_EQUAL(prf_len(PRF_HMAC_SHA2_256), 32);
	CU_ASSERT_EQUAL(prf_len(PRF_HMAC_SHA2_384), 48);
	CU_ASSERT_EQUAL(prf_len(PRF_HMAC_SHA2_512), 64);
	for (uint16_t prf = 0; prf < 16; prf++) {
		if (prf >= PRF_HMAC_SHA2_256 && prf <= PRF_HMAC_SHA2_512)
			continue;
		CU_ASSERT_EQUAL(prf_len(prf), 0);
		CU_ASSERT_EQUAL(prf_compute(c, out, prf, bytes_of("k", 1), NULL, 0),
				ERR_UNSUPPORTED);
	}
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_published_vectors),     TAP_TEST(test_empty_key),
	TAP_TEST(test_prf_plus_every_length), TAP_TEST(test_prf_plus_bounds),
	TAP_TEST(test_unknown_prf),
};

TAP_MAIN("control/prf", tests)
