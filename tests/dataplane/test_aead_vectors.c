/* SPDX-License-Identifier: Apache-2.0 */
/* The AEAD back ends against published vectors. */
#include "dataplane/crypto/kat.h"

#include "tests/dataplane/aead_pair.h"
#include "tests/tap/tap.h"

/* McGrew and Viega, "The Galois/Counter Mode of Operation" (2004), appendix B: the test cases with
 * 96-bit nonces and without AAD (those with AAD have 20 bytes of it, which ESP never has). */
#define MV_TEXT                                                            \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" \
	"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
static const struct aead_kat mv_kats[] = {
	{.alg = AEAD_AES_GCM_16_128,
	 .key = "00000000000000000000000000000000",
	 .nonce = "000000000000000000000000",
	 .aad = "",
	 .text = "",
	 .out = "58e2fccefa7e3061367f1d57a4e7455a"}, /* 1 */
	{.alg = AEAD_AES_GCM_16_128,
	 .key = "00000000000000000000000000000000",
	 .nonce = "000000000000000000000000",
	 .aad = "",
	 .text = "00000000000000000000000000000000",
	 .out = "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"}, /* 2 */
	{.alg = AEAD_AES_GCM_16_128,
	 .key = "feffe9928665731c6d6a8f9467308308",
	 .nonce = "cafebabefacedbaddecaf888",
	 .aad = "",
	 .text = MV_TEXT,
	 .out = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
		"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"
		"4d5c2af327cd64a62cf35abd2ba6fab4"}, /* 3 */
	{.alg = AEAD_AES_GCM_16_256,
	 .key = "0000000000000000000000000000000000000000000000000000000000000000",
	 .nonce = "000000000000000000000000",
	 .aad = "",
	 .text = "",
	 .out = "530f8afbc74536b9a963b4f1c4cb738b"}, /* 13 */
	{.alg = AEAD_AES_GCM_16_256,
	 .key = "0000000000000000000000000000000000000000000000000000000000000000",
	 .nonce = "000000000000000000000000",
	 .aad = "",
	 .text = "00000000000000000000000000000000",
	 .out = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"}, /* 14 */
	{.alg = AEAD_AES_GCM_16_256,
	 .key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 .nonce = "cafebabefacedbaddecaf888",
	 .aad = "",
	 .text = MV_TEXT,
	 .out = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
		"b094dac5d93471bdec1a502270e3cc6c"}, /* 15 */
};

static void check_kat(const struct aead_backend *be, const struct aead_kat *kat)
{
	uint8_t room[AEAD_KAT_ROOM];
	struct aead_kat_bytes b;
	struct aead_key *key = NULL;
	struct aead_op op;

	if (!be->supports(kat->alg))
		return;
	CU_ASSERT_FATAL(aead_kat_decode(&b, kat) == ERR_OK);
	CU_ASSERT_FATAL(be->key_new(&key, kat->alg, b.key, b.key_len, aead_kat_iv_key) == ERR_OK);
	op = aead_kat_place(room, &b, key, true);
	be->encrypt(pair.work, &op, 1);
	CU_ASSERT(op.ok);
	CU_ASSERT(pair_same(op.text, b.out, b.text_len + b.shape->icv_len));
	CU_ASSERT(pair_same(op.text - b.shape->iv_len, b.iv, b.shape->iv_len));
	op = aead_kat_place(room, &b, key, false);
	be->decrypt(pair.work, &op, 1);
	CU_ASSERT(op.ok);
	CU_ASSERT(pair_same(op.text, b.text, b.text_len));
	be->key_free(key);
}

/* Of every algorithm there is a case without and, but for GMAC of published ones, with ESN. */
static void test_published_vectors_of_the_self_test(void)
{
	unsigned with[AEAD_NUM][2] = {0};
	const struct aead_kat *kat;
	size_t num = 0;

	for (; (kat = aead_kat(num)); num++) {
		with[kat->alg][strlen(kat->aad) == 24]++;
		for (const struct aead_backend *const *be = aead_backends(); *be; be++)
			check_kat(*be, kat);
	}
	CU_ASSERT(num == 13 + 3 + 7 + 6 + 9 * 2 + 3 * 5);
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		CU_ASSERT(with[alg][0] > 0);
		CU_ASSERT(with[alg][1] > 0 || aead_shape(alg)->kind == AEAD_KIND_GMAC);
	}
}

static void test_vectors_of_mcgrew_viega(void)
{
	for (const struct aead_backend *const *be = aead_backends(); *be; be++)
		for (size_t i = 0; i < ARRAY_LEN(mv_kats); i++)
			check_kat(*be, &mv_kats[i]);
}

static void test_bad_vectors_are_refused(void)
{
	struct aead_kat_bytes b;
	struct aead_kat kat = mv_kats[1];

	kat.nonce = "0000000000000000000000";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
	kat.nonce = "00000000000000000000000g";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
	kat.nonce = "00000000000000000000000";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
	kat = mv_kats[1];
	kat.aad = "00000000000000000000000000";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
	kat = mv_kats[1];
	kat.out = "0388";
	CU_ASSERT(aead_kat_decode(&b, &kat) == ERR_MALFORMED);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_published_vectors_of_the_self_test),
	TAP_TEST(test_vectors_of_mcgrew_viega),
	TAP_TEST(test_bad_vectors_are_refused),
};

TAP_MAIN("dataplane/aead_vectors", tests)
