/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of fixed form, and that whatever OpenSSL's decoders make of the same bytes is the same key.
 */
#include "control/auth/pkey.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "tests/control/sweep.h"
#include "tests/pki.h"
#include "tests/tap/tap.h"

static const char *const fixed[] = {"P-256", "P-384", "P-521", "ed25519"};
static const char *const others[] = {"rsa2048", "ed448", "secp256k1"};

static EVP_PKEY *by_decoder(struct bytes spki)
{
	const unsigned char *at = spki.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);

	if (key && at == spki.p + spki.len)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

static EVP_PKEY *private_by_decoder(struct bytes pkcs8)
{
	const unsigned char *at = pkcs8.p;

	return d2i_AutoPrivateKey(NULL, &at, (long)pkcs8.len);
}

static void test_S25_fixed_forms(void)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		const struct pki_key *k = pki_key_get(fixed[i]);
		const struct bytes spki = bytes_of(k->spki, k->spki_len);
		const struct bytes pkcs8 = bytes_of(k->private, k->private_len);
		EVP_PKEY *wanted = by_decoder(spki), *both = private_by_decoder(pkcs8), *key, *pair;
		struct bytes bits = {0};

		key = pkey_public(NULL, &bits, spki);
		pair = pkey_private(NULL, pkcs8);
		CU_ASSERT_PTR_NOT_NULL_FATAL(key);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pair);
		CU_ASSERT_EQUAL(EVP_PKEY_eq(key, wanted), 1);
		CU_ASSERT_EQUAL(EVP_PKEY_eq(pair, both), 1);
		CU_ASSERT_PTR_EQUAL(bits.p + bits.len, spki.p + spki.len);
		EVP_PKEY_free(pair);
		EVP_PKEY_free(both);
		EVP_PKEY_free(key);
		EVP_PKEY_free(wanted);
	}
}

static void test_S25_other_forms(void)
{
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const struct pki_key *k = pki_key_get(others[i]);
		struct bytes bits;

		CU_ASSERT_PTR_NULL(pkey_public(NULL, &bits, bytes_of(k->spki, k->spki_len)));
		CU_ASSERT_PTR_NULL(pkey_private(NULL, bytes_of(k->private, k->private_len)));
	}
}

/* Signed by the pair, verified by the public half. */
static bool fits(EVP_PKEY *pair, EVP_PKEY *key)
{
	EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
	const bool ec = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;
	const char *md = ec ? "SHA256" : NULL;
	uint8_t sig[200];
	size_t len = sizeof(sig);
	bool ok = EVP_DigestSignInit_ex(sign, NULL, md, NULL, NULL, pair, NULL) == 1 &&
		  EVP_DigestSign(sign, sig, &len, (const uint8_t *)"text", 4) == 1 &&
		  EVP_DigestVerifyInit_ex(verify, NULL, md, NULL, NULL, key, NULL) == 1 &&
		  EVP_DigestVerify(verify, sig, len, (const uint8_t *)"text", 4) == 1;

	EVP_MD_CTX_free(verify);
	EVP_MD_CTX_free(sign);
	return ok;
}

static void test_S25_pair_signs(void)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		const struct pki_key *k = pki_key_get(fixed[i]);
		EVP_PKEY *key = by_decoder(bytes_of(k->spki, k->spki_len));
		EVP_PKEY *pair = pkey_private(NULL, bytes_of(k->private, k->private_len));

		CU_ASSERT_TRUE(fits(pair, key));
		EVP_PKEY_free(pair);
		EVP_PKEY_free(key);
	}
}

static size_t num_same;

/* What is taken is what the decoders take; what is not is left to them. */
static void same_or_none(struct bytes variant, long changed_bit)
{
	struct bytes bits;
	EVP_PKEY *wanted, *key = pkey_public(NULL, &bits, variant);

	(void)changed_bit;
	ERR_clear_error();
	if (!key)
		return;
	wanted = by_decoder(variant);
	CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
	CU_ASSERT_EQUAL(EVP_PKEY_eq(key, wanted), 1);
	num_same++;
	EVP_PKEY_free(wanted);
	EVP_PKEY_free(key);
}

static void private_same_or_none(struct bytes variant, long changed_bit)
{
	EVP_PKEY *wanted, *key = pkey_private(NULL, variant);

	(void)changed_bit;
	ERR_clear_error();
	if (!key)
		return;
	wanted = private_by_decoder(variant);
	CU_ASSERT_PTR_NOT_NULL(wanted);
	num_same += wanted != NULL;
	EVP_PKEY_free(wanted);
	EVP_PKEY_free(key);
}

static void test_S25_sweep(void)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		const struct pki_key *k = pki_key_get(fixed[i]);

		sweep(k->spki, k->spki_len, same_or_none);
		sweep(k->private, k->private_len, private_same_or_none);
	}
	/* Every other string is an Ed25519 value, and every scalar a key: some were taken. */
	CU_ASSERT(num_same > 256);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S25_fixed_forms),
	TAP_TEST(test_S25_other_forms),
	TAP_TEST(test_S25_pair_signs),
	TAP_TEST(test_S25_sweep),
};

TAP_MAIN("pkey", tests)
