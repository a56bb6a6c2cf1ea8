/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crypto/ike_aead.h"

#include <openssl/evp.h>
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
	{{ENCR_AES_GCM_16, 128, 0},
	 "feffe9928665731c6d6a8f9467308308cafebabe",
	 "facedbaddecaf888",
	 "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	 "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	 "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
	 "5bc94fbc3221a5db94fae95ae7121a47"},
	{{ENCR_AES_GCM_16, 256, 0},
	 "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308cafebabe",
	 "facedbaddecaf888",
	 "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	 "76fc6ece0f4e1768cddf8853bb2d551b"},
	/* RFC 7634 appendix B: an INFORMATIONAL message. */
	{{ENCR_CHACHA20_POLY1305, 0, 0},
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

	CU_ASSERT_EQUAL(ike_aead_new(c, &a, (struct conf_encr){12, 128, 0}, &s), ERR_UNSUPPORTED);
	CU_ASSERT_EQUAL(ike_aead_new(c, &a, (struct conf_encr){ENCR_AES_GCM_16, 256, 0}, &s),
			ERR_INVAL);
	CU_ASSERT_EQUAL(ike_aead_new(c, &a, (struct conf_encr){ENCR_CHACHA20_POLY1305, 0, 0}, &s),
			ERR_INVAL);
	CU_ASSERT_EQUAL(ike_aead_new(c, &a, (struct conf_encr){ENCR_CHACHA20_POLY1305, 256, 0}, &s),
			ERR_UNSUPPORTED);
	CU_ASSERT_PTR_NULL(a);
	CU_ASSERT_EQUAL_FATAL(ike_aead_new(c, &a, (struct conf_encr){ENCR_AES_GCM_16, 128, 0}, &s),
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

/* ---- AES-CBC with a MAC (RFC 7296 3.14) -------------------------------------------------------
 */

static const struct {
	struct conf_encr encr;
	const char *cipher, *hash;
} cbc_suites[] = {
	{{ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128}, "AES-128-CBC", "SHA256"},
	{{ENCR_AES_CBC, 192, INTEG_HMAC_SHA2_384_192}, "AES-192-CBC", "SHA384"},
	{{ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_512_256}, "AES-256-CBC", "SHA512"},
};

static struct ike_aead *cbc_aead(struct crypto_ctx *c, size_t i, uint8_t key[static 96])
{
	const size_t len = encr_key_len(cbc_suites[i].encr);
	struct secret s = {0};
	struct ike_aead *a = NULL;

	for (size_t k = 0; k < len; k++)
		key[k] = (uint8_t)(k * 3 + i);
	CU_ASSERT_EQUAL_FATAL(secret_init_copy(&s, key, len), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ike_aead_new(c, &a, cbc_suites[i].encr, &s), ERR_OK);
	secret_fini(&s);
	return a;
}

/* What EVP by itself makes of it: the clear text, and the MAC of additional data, IV and cipher
 * text. */
static void judge(size_t i, const uint8_t *key, const uint8_t *sealed, size_t text_len,
		  const uint8_t *clear)
{
	const size_t key_len = cbc_suites[i].encr.key_bits / 8u, aad_len = 32;
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, cbc_suites[i].cipher, NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const uint8_t *iv = sealed + aad_len, *text = iv + 16, *icv = text + text_len;
	const size_t mac_key_len = encr_key_len(cbc_suites[i].encr) - key_len;
	uint8_t plain[600], mac[EVP_MAX_MD_SIZE];
	size_t mac_len = 0;
	int n = 0;

	CU_ASSERT(EVP_DecryptInit_ex2(ctx, cipher, key, iv, NULL) == 1);
	CU_ASSERT(EVP_CIPHER_CTX_set_padding(ctx, 0) == 1);
	CU_ASSERT(EVP_DecryptUpdate(ctx, plain, &n, text, (int)text_len) == 1);
	CU_ASSERT_EQUAL((size_t)n, text_len);
	CU_ASSERT_EQUAL(memcmp(plain, clear, text_len), 0);
	CU_ASSERT(EVP_Q_mac(NULL, "HMAC", NULL, cbc_suites[i].hash, NULL, key + key_len,
			    mac_key_len, sealed, aad_len + 16 + text_len, mac, sizeof(mac),
			    &mac_len) != NULL);
	CU_ASSERT_EQUAL(mac_len, mac_key_len);
	CU_ASSERT_EQUAL(memcmp(mac, icv, mac_len / 2), 0);
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
}

static void test_cbc_as_evp_has_it(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(cbc_suites); i++) {
		uint8_t key[96], m[700], clear[600], before[16] = {0};
		struct ike_aead *a = cbc_aead(c, i, key);
		const size_t icv_len = ike_aead_icv_len(a);

		CU_ASSERT_EQUAL(ike_aead_iv_len(a), 16);
		CU_ASSERT_EQUAL(icv_len, cbc_suites[i].encr.integ == 12   ? 16
					 : cbc_suites[i].encr.integ == 13 ? 24
									  : 32);
		for (size_t len = 16; len <= 512; len += 16) {
			uint8_t *iv = m + 32, *text = iv + 16, *icv = text + len;

			for (size_t k = 0; k < len; k++)
				clear[k] = (uint8_t)(k + len);
			memset(m, 7, 32);
			memcpy(text, clear, len);
			CU_ASSERT_EQUAL(ike_aead_seal(a, iv, icv, text, len, bytes_of(m, 32)),
					ERR_OK);
			CU_ASSERT_NOT_EQUAL(memcmp(iv, before, 16), 0);
			memcpy(before, iv, 16);
			judge(i, key, m, len, clear);
			CU_ASSERT_EQUAL(ike_aead_open(a, iv, icv, text, len, bytes_of(m, 32)),
					ERR_OK);
			CU_ASSERT_EQUAL(memcmp(text, clear, len), 0);
		}
		for (size_t len = 0; len < 600; len++)
			CU_ASSERT_EQUAL((len + ike_aead_pad_len(a, len) + 1) % 16, 0);
		ike_aead_free(a);
	}
	crypto_ctx_free(c);
}

/* Every bit counts, padding's too: there is one answer, and it comes before anything is decrypted.
 */
static void test_S55_cbc_bit_flips(void)
{
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(cbc_suites); i++) {
		uint8_t key[96], m[32 + 16 + 48 + 32] = {0}, copy[sizeof(m)];
		struct ike_aead *a = cbc_aead(c, i, key);
		const size_t all = 32 + 16 + 48 + ike_aead_icv_len(a);

		CU_ASSERT_EQUAL(ike_aead_seal(a, m + 32, m + 96, m + 48, 48, bytes_of(m, 32)),
				ERR_OK);
		for (size_t bit = 0; bit <= 8 * all; bit++) {
			memcpy(copy, m, sizeof(m));
			if (bit < 8 * all)
				copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CU_ASSERT_EQUAL(ike_aead_open(a, copy + 32, copy + 96, copy + 48, 48,
						      bytes_of(copy, 32)),
					bit < 8 * all ? ERR_AUTH : ERR_OK);
		}
		for (size_t len = 0; len < 48; len++) {
			memcpy(copy, m, sizeof(m));
			CU_ASSERT_EQUAL(ike_aead_open(a, copy + 32, copy + 96, copy + 48, len,
						      bytes_of(copy, 32)),
					ERR_AUTH);
			if (len % 16 || !len)
				CU_ASSERT_EQUAL(
					ike_aead_seal(a, copy, copy, copy, len, bytes_of(m, 32)),
					ERR_INVAL);
		}
		ike_aead_free(a);
	}
	crypto_ctx_free(c);
}

/* What hides nothing is not for IKE. */
static void test_esp_only(void)
{
	static const struct conf_encr none[] = {{ENCR_NULL, 0, INTEG_HMAC_SHA2_256_128},
						{ENCR_AES_GMAC, 128, 0},
						{ENCR_AES_GMAC, 256, 0},
						{ENCR_AES_GCM_16_IIV, 128, 0},
						{ENCR_AES_GCM_16_IIV, 256, 0},
						{ENCR_CHACHA20_POLY1305_IIV, 0, 0}};
	struct crypto_ctx *c = seeded_ctx(&rng, 1);

	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		struct secret s = {0};
		struct ike_aead *a = NULL;

		CU_ASSERT_EQUAL_FATAL(secret_init(&s, encr_key_len(none[i])), ERR_OK);
		CU_ASSERT_EQUAL(ike_aead_new(c, &a, none[i], &s), ERR_UNSUPPORTED);
		secret_fini(&s);
	}
	crypto_ctx_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_published_vectors), TAP_TEST(test_seal_and_open),
	TAP_TEST(test_bit_flips),         TAP_TEST(test_refusals),
	TAP_TEST(test_S53_forked),        TAP_TEST(test_cbc_as_evp_has_it),
	TAP_TEST(test_S55_cbc_bit_flips), TAP_TEST(test_esp_only),
};

TAP_MAIN("control/ike_aead", tests)
