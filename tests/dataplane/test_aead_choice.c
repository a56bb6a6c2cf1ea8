/* SPDX-License-Identifier: Apache-2.0 */
/* The self-test of the AEAD back ends, which finds faulty ones, and the choice among them. */
#include "dataplane/crypto/backends.h"
#include "dataplane/crypto/kat.h"

#include "tests/dataplane/aead_pair.h"
#include "tests/tap/tap.h"

static size_t half_icv; /* of the algorithm under test */

/* Back ends that are OpenSSL but for one fault each; a self-test that passes one is no test. */
static void encrypt_not_last(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.encrypt(w, o, n - 1);
	o[n - 1].ok = true;
}

static void encrypt_swaps_lanes(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	uint8_t icv[AEAD_ICV_MAX];

	aead_openssl.encrypt(w, o, n);
	if (n < AEAD_BATCH_MAX)
		return;
	memcpy(icv, o[40].icv, 2 * half_icv);
	memcpy(o[40].icv, o[41].icv, 2 * half_icv);
	memcpy(o[41].icv, icv, 2 * half_icv);
}

static void encrypt_reports_failure(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.encrypt(w, o, n);
	o[n / 2].ok = false;
}

static void encrypt_short_aad(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		o[i].aad_len = 8;
	aead_openssl.encrypt(w, o, n);
}

/* Right in what is published: longer texts are not. */
static void encrypt_wrong_far_behind(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.encrypt(w, o, n);
	for (uint32_t i = 0; i < n; i++)
		if (o[i].len > 1024)
			o[i].text[1024] ^= 1;
}

static void decrypt_refuses_long(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	for (uint32_t i = 0; i < n; i++)
		o[i].ok = o[i].ok && o[i].len < 1024;
}

static void decrypt_believes(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	for (uint32_t i = 0; i < n; i++)
		o[i].ok = true;
}

static void decrypt_believes_position_63(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	if (n == AEAD_BATCH_MAX)
		o[63].ok = true;
}

static void decrypt_blames_neighbour(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	for (uint32_t i = 0; i + 1 < n; i++)
		if (!o[i].ok) {
			o[i + 1].ok = false;
			return;
		}
}

/* Compares the first half of the ICV only: takes one whose second half is wrong. */
static void decrypt_half_icv(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t icv[AEAD_ICV_MAX], text[AEAD_KAT_TEXT_MAX];
		const size_t half = half_icv;
		struct aead_op again = o[i];

		memcpy(icv, o[i].icv, 2 * half);
		memcpy(text, o[i].text, o[i].len);
		aead_openssl.decrypt(w, &o[i], 1);
		if (o[i].ok)
			continue;
		for (unsigned bit = 0; bit < 8 * half && !o[i].ok; bit++) {
			memcpy(o[i].icv, icv, 2 * half);
			memcpy(o[i].text, text, o[i].len);
			o[i].icv[half + bit / 8] ^= (uint8_t)(1U << bit % 8);
			again = o[i];
			aead_openssl.decrypt(w, &again, 1);
			o[i].ok = again.ok;
		}
	}
}

static void decrypt_no_text(struct aead_work *w, struct aead_op *o, uint32_t n)
{
	aead_openssl.decrypt(w, o, n);
	memset(o[n - 1].text, 0, o[n - 1].len);
}

static enum err key_new_fails(struct aead_key **out, enum aead_alg alg, const uint8_t *key,
			      size_t key_len, const uint8_t *iv_secret)
{
	(void)out, (void)alg, (void)key, (void)key_len, (void)iv_secret;
	return ERR_CRYPTO;
}

static bool supports_nothing(enum aead_alg alg)
{
	(void)alg;
	return false;
}

static struct aead_backend faulty(void)
{
	struct aead_backend be = aead_openssl;

	be.name = "faulty";
	return be;
}

static void test_self_test_passes_the_good(void)
{
	for (const struct aead_backend *const *be = aead_backends(); *be; be++) {
		for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
			CU_ASSERT(aead_self_test(*be, alg) ==
				  ((*be)->supports(alg) ? ERR_OK : ERR_UNSUPPORTED));
		CU_ASSERT(aead_self_test(*be, AEAD_NONE) == ERR_UNSUPPORTED);
	}
}

static void test_self_test_finds_the_faulty(void)
{
	static void (*const encrypts[])(struct aead_work *, struct aead_op *, uint32_t) = {
		encrypt_not_last, encrypt_swaps_lanes, encrypt_reports_failure, encrypt_short_aad,
		encrypt_wrong_far_behind};
	static void (*const decrypts[])(struct aead_work *, struct aead_op *, uint32_t) = {
		decrypt_believes,         decrypt_believes_position_63,
		decrypt_blames_neighbour, decrypt_half_icv,
		decrypt_no_text,          decrypt_refuses_long};
	struct aead_backend be = faulty();

	CU_ASSERT(aead_self_test(&be, AEAD_AES_GCM_16_128) == ERR_OK);
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++) {
		const bool gmac = aead_shape(alg)->kind == AEAD_KIND_GMAC;

		half_icv = aead_shape(alg)->icv_len / 2U;
		for (size_t i = 0; i < ARRAY_LEN(encrypts); i++) {
			/* Of GMAC no published case has ESN. */
			if (gmac && encrypts[i] == encrypt_short_aad)
				continue;
			be = faulty();
			be.encrypt = encrypts[i];
			CU_ASSERT(aead_self_test(&be, alg) == ERR_CRYPTO);
		}
		for (size_t i = 0; i < ARRAY_LEN(decrypts); i++) {
			be = faulty();
			be.decrypt = decrypts[i];
			CU_ASSERT(aead_self_test(&be, alg) == ERR_CRYPTO);
		}
	}
	be = faulty();
	be.key_new = key_new_fails;
	CU_ASSERT(aead_self_test(&be, AEAD_AES_GCM_16_128) == ERR_CRYPTO);
}

static void test_pick_skips_what_fails(void)
{
	struct aead_backend bad = faulty(), absent = faulty();
	const struct aead_backend *list[] = {&absent, &bad, &aead_openssl, NULL};
	const struct aead_backend *only_bad[] = {&absent, &bad, NULL};
	const struct aead_backend *only_absent[] = {&absent, NULL};
	const struct aead_backend *got = NULL;
	const enum aead_alg alg = AEAD_AES_GCM_16_256;

	bad.encrypt = encrypt_not_last;
	absent.supports = supports_nothing;
	absent.name = "absent";
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, NULL) == ERR_OK);
	CU_ASSERT(got == &aead_openssl);
	got = NULL;
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, "openssl") == ERR_OK);
	CU_ASSERT(got == &aead_openssl);
	got = NULL;
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, "faulty") == ERR_CRYPTO);
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, "absent") == ERR_UNSUPPORTED);
	CU_ASSERT(aead_pick(&got, list, aead_self_test, alg, "nobody") == ERR_NOT_FOUND);
	CU_ASSERT(aead_pick(&got, list, aead_self_test, AEAD_NONE, NULL) == ERR_UNSUPPORTED);
	CU_ASSERT(aead_pick(&got, only_bad, aead_self_test, alg, NULL) == ERR_CRYPTO);
	CU_ASSERT(aead_pick(&got, only_absent, aead_self_test, alg, NULL) == ERR_UNSUPPORTED);
	CU_ASSERT(got == NULL);
}

static const struct aead_backend *first_with(enum aead_alg alg)
{
	const struct aead_backend *const *be = aead_backends();

	while (*be && !(*be)->supports(alg))
		be++;
	return *be;
}

static void test_select(void)
{
	const struct aead_backend *got = NULL;

	CU_ASSERT(aead_select(&got, AEAD_AES_GCM_16_256, "openssl") == ERR_OK);
	CU_ASSERT(got == &aead_openssl);
	for (const struct aead_backend *const *be = aead_backends(); *be; be++) {
		if (pair_alg_of(*be, 0) == AEAD_NONE)
			continue;
		CU_ASSERT(aead_select(&got, pair_alg_of(*be, 0), (*be)->name) == ERR_OK);
		CU_ASSERT(got == *be);
	}
	for (enum aead_alg alg = AEAD_NONE + 1; alg < AEAD_NUM; alg++)
		CU_ASSERT(aead_select(&got, alg, NULL) == ERR_OK && got == first_with(alg));
	got = NULL;
	CU_ASSERT(aead_select(&got, AEAD_AES_GCM_16_256, "no such") == ERR_NOT_FOUND);
	CU_ASSERT(aead_select(&got, AEAD_AES_GCM_16_256, "libsodium") == ERR_UNSUPPORTED);
	CU_ASSERT(aead_select(&got, AEAD_NONE, NULL) == ERR_UNSUPPORTED);
	CU_ASSERT(aead_select(&got, AEAD_NUM, "openssl") == ERR_UNSUPPORTED);
	CU_ASSERT(got == NULL);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_self_test_passes_the_good),
	TAP_TEST(test_self_test_finds_the_faulty),
	TAP_TEST(test_pick_skips_what_fails),
	TAP_TEST(test_select),
};

TAP_MAIN("dataplane/aead_choice", tests)
