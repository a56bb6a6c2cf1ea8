/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/ike_aead.h"

#include <sys/wait.h>
#include <unistd.h>

#include "control/crypto/keys.h"
#include "tests/control/hex.h"

static struct rng_seeded rng;

/* Made with salt and IV as nonce; RFC 4106's construction over the algorithm of NIST SP 800-38D.
 * The first two are test cases 4 and 16 of the GCM specification (McGrew, Viega), whose nonce
 * cafebabe facedbaddecaf888 is salt and IV here. */
static const struct {
	struct conf_encr encr;
	const char *key, *iv, *aad, *plain, *cipher, *icv;
} vectors[] = {
	{{ENCR_AES_GCM_16, 128},
	 "feffe9928665731c6d6a8f9467308308cafebabe",
	 "facedbaddecaf888",
	 "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	 "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	 "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
	 "5bc94fbc3221a5db94fae95ae7121a47"},
	{{ENCR_AES_GCM_16, 256},
	 "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308cafebabe",
	 "facedbaddecaf888",
	 "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	 "76fc6ece0f4e1768cddf8853bb2d551b"},
	/* RFC 7634 appendix B: an INFORMATIONAL message. */
	{{ENCR_CHACHA20_POLY1305, 0},
	 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3",
	 "1011121314151617",
	 "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029",
	 "0000000c000040010000000a00",
	 "610394701f8d017f7c12924889",
	 "6b71bfe25236efd7cdc67066906315b2"},
};

static struct ike_aead *aead_of(struct crypto_ctx *c, struct conf_encr encr, const char *key)
{
	struct secret s = hex_secret(key);
	struct ike_aead *a = NULL;

	CU_ASSERT_EQUAL_FATAL(ike_aead_new(c, &a, encr, &s), ERR_OK);
	secret_fini(&s);
	return a;
}

static void test_published_vectors(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct ike_aead *a = aead_of(c, vectors[i].encr, vectors[i].key);
		struct hex iv, aad, text, icv;

		hex_read(&iv, vectors[i].iv);
		hex_read(&aad, vectors[i].aad);
		hex_read(&text, vectors[i].cipher);
		hex_read(&icv, vectors[i].icv);
		CU_ASSERT_EQUAL(ike_aead_open(a, iv.b, icv.b, text.b, text.len, hex_view(&aad)),
				ERR_OK);
		CU_ASSERT(hex_equal(vectors[i].plain, text.b, text.len));
		ike_aead_free(a);
	}
	crypto_ctx_free(c);
}

/* What is sealed opens; IVs count up; both directions of use of one object do not disturb another.
 */
static void seal_and_open(size_t v)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct ike_aead *a = aead_of(c, vectors[v].encr, vectors[v].key);
	struct ike_aead *b = aead_of(c, vectors[v].encr, vectors[v].key);
	uint8_t text[600], plain[600], iv[IKE_AEAD_IV_LEN], icv[IKE_AEAD_ICV_LEN];
	uint64_t last = 0;

	memset(plain, 0x5a, sizeof(plain));
	for (size_t len = 0; len <= sizeof(text); len += 7) {
		const struct bytes aad = bytes_of(plain, len % 40);

		memcpy(text, plain, len);
		CU_ASSERT_EQUAL(ike_aead_seal(a, iv, icv, text, len, aad), ERR_OK);
		CU_ASSERT(len < 8 || memcmp(text, plain, len) != 0);
		CU_ASSERT_EQUAL(load_be64(iv), last + 1);
		last = load_be64(iv);
		CU_ASSERT_EQUAL(ike_aead_open(b, iv, icv, text, len, aad), ERR_OK);
		CU_ASSERT(memcmp(text, plain, len) == 0);
	}
	ike_aead_free(a);
	ike_aead_free(b);
	crypto_ctx_free(c);
}

static void test_seal_and_open(void)
{
	for (size_t v = 0; v < ARRAY_LEN(vectors); v++)
		seal_and_open(v);
}

/* Every changed bit of IV, ICV, text or AAD is noticed, and nothing of the plain text is left. */
static void bit_flips(size_t v)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct ike_aead *a = aead_of(c, vectors[v].encr, vectors[v].key);
	uint8_t sealed[8 + 16 + 21 + 12], zero[21] = {0};

	memset(sealed, 0x33, sizeof(sealed));
	CU_ASSERT_EQUAL_FATAL(
		ike_aead_seal(a, sealed, sealed + 8, sealed + 24, 21, bytes_of(sealed + 45, 12)),
		ERR_OK);
	for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
		uint8_t copy[sizeof(sealed)];

		memcpy(copy, sealed, sizeof(copy));
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_EQUAL(
			ike_aead_open(a, copy, copy + 8, copy + 24, 21, bytes_of(copy + 45, 12)),
			ERR_AUTH);
		CU_ASSERT(memcmp(copy + 24, zero, 21) == 0);
	}
	CU_ASSERT_EQUAL(
		ike_aead_open(a, sealed, sealed + 8, sealed + 24, 21, bytes_of(sealed + 45, 12)),
		ERR_OK);
	ike_aead_free(a);
	crypto_ctx_free(c);
}

static void test_bit_flips(void)
{
	for (size_t v = 0; v < ARRAY_LEN(vectors); v++)
		bit_flips(v);
}

static void test_refusals(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct secret s = hex_secret(vectors[0].key);
	struct ike_aead *a = NULL;
	uint8_t iv[8], icv[16], text[1];

	CU_ASSERT_EQUAL(ike_aead_new(c, &a, (struct conf_encr){12, 128}, &s), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(ike_aead_new(c, &a, (struct conf_encr){ENCR_AES_GCM_16, 256}, &s),
			ERR_INVAL);
	CU_ASSERT_EQUAL(ike_aead_new(c, &a, (struct conf_encr){ENCR_CHACHA20_POLY1305, 0}, &s),
			ERR_INVAL);
	CU_ASSERT_EQUAL(ike_aead_new(c, &a, (struct conf_encr){ENCR_CHACHA20_POLY1305, 256}, &s),
			ERR_UNSUPPORTED);
	CU_ASSERT_PTR_NULL(a);
	CU_ASSERT_EQUAL_FATAL(ike_aead_new(c, &a, (struct conf_encr){ENCR_AES_GCM_16, 128}, &s),
			      ERR_OK);
	CU_ASSERT_EQUAL(ike_aead_seal(a, iv, icv, text, 65536, bytes_of(NULL, 0)), ERR_LIMIT);
	CU_ASSERT_EQUAL(ike_aead_open(a, iv, icv, text, 65536, bytes_of(NULL, 0)), ERR_LIMIT);
	ike_aead_free(a);
	ike_aead_free(NULL);
	secret_fini(&s);
	crypto_ctx_free(c);
}

/* S53: a forked child has keys of zeros. It seals nothing under them, and believes nobody who does.
 */
static void test_S53_forked(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);
	struct ike_aead *a = aead_of(c, vectors[0].encr, vectors[0].key);
	struct ike_aead *zero =
		aead_of(c, vectors[0].encr, "0000000000000000000000000000000000000000");
	uint8_t text[5] = "text", iv[IKE_AEAD_IV_LEN], icv[IKE_AEAD_ICV_LEN];
	const struct bytes aad = bytes_of(NULL, 0);
	int status = 0;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(ike_aead_seal(zero, iv, icv, text, 5, aad), ERR_OK);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		bool opened = ike_aead_open(a, iv, icv, text, 5, aad) == ERR_OK;

		_exit(!opened && ike_aead_seal(a, iv, icv, text, 5, aad) == ERR_BAD_STATE ? 42 : 1);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	CU_ASSERT_EQUAL(ike_aead_seal(a, iv, icv, text, 5, aad), ERR_OK);
	ike_aead_free(a);
	ike_aead_free(zero);
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_published_vectors), TAP_TEST(test_seal_and_open), TAP_TEST(test_bit_flips),
	TAP_TEST(test_refusals),          TAP_TEST(test_S53_forked),
};

TAP_MAIN("control/ike_aead", tests)
