/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of <latchkey/ipsec.h> alone: tags, attributes, templates, external forms, numbers. */
#include "api/client/internal.h"
#include "base/alloc.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <linux/pfkeyv2.h>
#include <stdio.h>
#include <string.h>

/* D3: RFC 2367's values, and those that Linux went on with. */
static_assert(IPSEC_SADB_AALG_NONE == SADB_AALG_NONE, "");
static_assert(IPSEC_SADB_X_AALG_SHA2_256 == SADB_X_AALG_SHA2_256HMAC, "");
static_assert(IPSEC_SADB_X_AALG_SHA2_384 == SADB_X_AALG_SHA2_384HMAC, "");
static_assert(IPSEC_SADB_X_AALG_SHA2_512 == SADB_X_AALG_SHA2_512HMAC, "");
static_assert(IPSEC_SADB_X_AALG_NULL == SADB_X_AALG_NULL, "");
static_assert(IPSEC_SADB_EALG_NONE == SADB_EALG_NONE, "");
static_assert(IPSEC_SADB_EALG_NULL == SADB_EALG_NULL, "");
static_assert(IPSEC_SADB_X_EALG_AES_CBC == SADB_X_EALG_AESCBC, "");
static_assert(IPSEC_SADB_X_EALG_AES_GCM == SADB_X_EALG_AES_GCM_ICV16, "");
static_assert(IPSEC_SADB_X_EALG_AES_GMAC == SADB_X_EALG_NULL_AES_GMAC, "");

#define FAILS(call, err)                                     \
	do {                                                 \
		errno = 0;                                   \
		CU_ASSERT_EQUAL(call, -1);                   \
		CU_ASSERT_EQUAL(errno, err);                 \
		CU_ASSERT_TRUE(*ipsec_last_error() != '\0'); \
	} while (0)

/* D2: what is passed around is small. */
static void test_D2_small(void)
{
	CU_ASSERT_TRUE(sizeof(ipsec_pToken_t) <= 16);
	CU_ASSERT_TRUE(sizeof(ipsec_iToken_t) <= 16);
}

/* D1: two types, and what is neither is noticed. */
static void test_D1_tags(void)
{
	ipsec_pToken_t p = ipsec_create_pToken(), copy = NULL;
	ipsec_iToken_t i = ipsec_create_iToken(), icopy = NULL;
	uint32_t len = 4, junk[64] = {0};
	enum ipsec_auth_method method;
	bool yes;

	FAILS(ipsec_cmp_pToken(p, (ipsec_pToken_t)(void *)i), EINVAL);
	FAILS(ipsec_cmp_iToken(i, (ipsec_iToken_t)(void *)p), EINVAL);
	FAILS(ipsec_free_pToken((ipsec_pToken_t)(void *)i), EINVAL);
	FAILS(ipsec_free_iToken((ipsec_iToken_t)(void *)p), EINVAL);
	FAILS(ipsec_free_pToken((ipsec_pToken_t)(void *)junk), EINVAL);
	FAILS(ipsec_dup_pToken(NULL, &copy), EINVAL);
	FAILS(ipsec_dup_iToken((ipsec_iToken_t)(void *)p, &icopy), EINVAL);
	FAILS(ipsec_get_token_attr(junk, IPSEC_API_ATTR_IDENTITY, &len, junk), EINVAL);
	FAILS(ipsec_get_token_attr(NULL, IPSEC_API_ATTR_IDENTITY, &len, junk), EINVAL);
	FAILS(ipsec_set_token_attr(junk, IPSEC_API_ATTR_IDENTITY, 2, "a"), EINVAL);
	FAILS(ipsec_iToken_get_method((ipsec_iToken_t)(void *)p, &method), EINVAL);
	FAILS(ipsec_pToken_get_bool((ipsec_pToken_t)(void *)i, IPSEC_API_ATTR_TUNNEL_MODE, &yes),
	      EINVAL);
	/* An attribute of the other kind of token, or of none. */
	FAILS(ipsec_get_token_attr(p, IPSEC_API_ATTR_IDENTITY, &len, junk), EINVAL);
	FAILS(ipsec_get_token_attr(i, IPSEC_API_ATTR_TUNNEL_MODE, &len, junk), EINVAL);
	FAILS(ipsec_get_token_attr(p, 0, &len, junk), EINVAL);
	FAILS(ipsec_get_token_attr(p, 31, &len, junk), EINVAL);
	FAILS(ipsec_get_token_attr(p, UINT32_MAX, &len, junk), EINVAL);
	CU_ASSERT_EQUAL(ipsec_free_pToken(p), 0);
	CU_ASSERT_EQUAL(ipsec_free_iToken(i), 0);
	CU_ASSERT_EQUAL(ipsec_free_pToken(NULL), 0);
	CU_ASSERT_EQUAL(ipsec_free_iToken(NULL), 0);
}

/* A template leaves open what is not set, and gives back what is. */
static void test_template(void)
{
	static const enum ipsec_auth_method two[] = {IPSEC_AUTH_PUBKEY, IPSEC_AUTH_PKIX_INLINE},
					    wrong[] = {(enum ipsec_auth_method)99};
	ipsec_pToken_t p = ipsec_create_pToken(), copy;
	ipsec_iToken_t i = ipsec_create_iToken();
	uint32_t len = sizeof(uint32_t[4]), list[4], part;
	char text[32];
	bool yes;

	FAILS(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes), ENOENT);
	FAILS(ipsec_pToken_get_text(p, IPSEC_API_ATTR_POLICY_NAME, text, sizeof(text)), ENOENT);
	CU_ASSERT_EQUAL(ipsec_pToken_set_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, true), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_set_text(p, IPSEC_API_ATTR_POLICY_NAME, "secure"), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_set_methods(p, two, 2), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_set_number(p, IPSEC_API_ATTR_PART, IPSEC_PART_IKE_APP_ACK), 0);
	CU_ASSERT_EQUAL(ipsec_iToken_set_identity(i, "peer.example"), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_set_iToken(p, IPSEC_API_ATTR_ITOKEN, i), 0);
	CU_ASSERT_EQUAL(ipsec_dup_pToken(p, &copy), 0);
	CU_ASSERT_EQUAL(ipsec_free_pToken(p), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_get_bool(copy, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes), 0);
	CU_ASSERT_TRUE(yes);
	CU_ASSERT_EQUAL(ipsec_get_token_attr(copy, IPSEC_API_ATTR_AUTH_METHODS, &len, list), 0);
	CU_ASSERT_EQUAL(len, 8);
	CU_ASSERT_EQUAL(list[1], IPSEC_AUTH_PKIX_INLINE);
	len = sizeof(part);
	CU_ASSERT_EQUAL(ipsec_get_token_attr(copy, IPSEC_API_ATTR_PART, &len, &part), 0);
	CU_ASSERT_EQUAL(part, IPSEC_PART_IKE_APP_ACK);
	CU_ASSERT_EQUAL(ipsec_free_iToken(i), 0);
	i = ipsec_create_iToken();
	CU_ASSERT_EQUAL(ipsec_pToken_get_iToken(copy, IPSEC_API_ATTR_ITOKEN, i), 0);
	CU_ASSERT_EQUAL(ipsec_iToken_get_text(i, IPSEC_API_ATTR_IDENTITY, text, sizeof(text)), 0);
	CU_ASSERT_STRING_EQUAL(text, "peer.example");
	/* What is not to be set, and values that are none. */
	FAILS(ipsec_pToken_set_bool(copy, IPSEC_API_ATTR_COMPRESSION_AVAILABLE, true), EACCES);
	FAILS(ipsec_pToken_set_bool(copy, IPSEC_API_ATTR_POLICY_NAME, true), EINVAL);
	FAILS(ipsec_pToken_set_number(copy, IPSEC_API_ATTR_PART, 5), EINVAL);
	FAILS(ipsec_pToken_set_methods(copy, wrong, 1), EINVAL);
	FAILS(ipsec_pToken_set_text(copy, IPSEC_API_ATTR_SUITE, ""), EINVAL);
	FAILS(ipsec_set_token_attr(copy, IPSEC_API_ATTR_SUITE, 4, "no 0"), EINVAL);
	FAILS(ipsec_set_token_attr(copy, IPSEC_API_ATTR_SUITE, 4, "a\0b"), EINVAL);
	FAILS(ipsec_set_token_attr(copy, IPSEC_API_ATTR_TUNNEL_MODE, 1, "a"), EINVAL);
	FAILS(ipsec_get_token_attr(copy, IPSEC_API_ATTR_AUDIT_STRING, &len, text), ENOENT);
	ipsec_free_pToken(copy);
	ipsec_free_iToken(i);
}

/* The room that is needed is told. */
static void test_room(void)
{
	ipsec_iToken_t i = ipsec_create_iToken();
	char text[16] = "untouched";
	uint32_t len = 5;

	CU_ASSERT_EQUAL(ipsec_iToken_set_identity(i, "peer.example"), 0);
	FAILS(ipsec_get_token_attr(i, IPSEC_API_ATTR_IDENTITY, &len, text), ERANGE);
	CU_ASSERT_EQUAL(len, 13);
	CU_ASSERT_STRING_EQUAL(text, "untouched");
	CU_ASSERT_EQUAL(ipsec_get_token_attr(i, IPSEC_API_ATTR_IDENTITY, &len, text), 0);
	CU_ASSERT_STRING_EQUAL(text, "peer.example");
	FAILS(ipsec_iToken_get_text(i, IPSEC_API_ATTR_IDENTITY, text, 12), ERANGE);
	ipsec_free_iToken(i);
}

static ipsec_iToken_t import(const char *form)
{
	ipsec_iToken_t i = ipsec_create_iToken();

	if (ipsec_import_iToken(i, form)) {
		ipsec_free_iToken(i);
		return NULL;
	}
	return i;
}

/* D1: an iToken has an external form, and one alone. */
static void test_D1_external_form(void)
{
	static const char *const good[] = {
		"ipsec-identity 1 11 0 2 peer.example - 302a3005",
		"ipsec-identity 1 8 0 9 C%3dDE%2c%20CN%3dx CN%3dca -",
		"ipsec-identity 1 4 0 2 %2d - -",
		"ipsec-identity 1 7 13 3 a@b.example - -",
	};
	char form[5000];
	size_t len;

	for (size_t n = 0; n < ARRAY_LEN(good); n++) {
		ipsec_iToken_t i = import(good[n]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(i);
		len = 10;
		FAILS(ipsec_export_iToken(i, form, &len), ERANGE);
		CU_ASSERT_EQUAL(len, strlen(good[n]) + 1);
		CU_ASSERT_EQUAL(ipsec_export_iToken(i, form, &len), 0);
		CU_ASSERT_STRING_EQUAL(form, good[n]);
		ipsec_free_iToken(i);
	}
}

static void test_D1_no_external_form(void)
{
	static const char *const bad[] = {
		"",
		"ipsec-identity 2 11 0 2 peer.example - -",
		"ipsec-identity 1 0 0 2 peer.example - -",
		"ipsec-identity 1 12 0 2 peer.example - -",
		"ipsec-identity 1 011 0 2 peer.example - -",
		"ipsec-identity 1 11 256 2 peer.example - -",
		"ipsec-identity 1 11 0 2 peer.example -",
		"ipsec-identity 1 11 0 2 peer.example - ",
		"ipsec-identity 1 11 0 2 peer.example - 302",
		"ipsec-identity 1 11 0 2 peer.example - 30AA",
		"ipsec-identity 1 11 0 2 peer.example - 30 -",
		"ipsec-identity 1 11 0 2 %70eer - -",
		"ipsec-identity 1 11 0 2 a%0ab - -",
		"ipsec-identity 1 11 0 2 a%2db - -",
		"ipsec-identity 1 11 0 2 a%2 - -",
		"ipsec-identity 1 11 0 2 a/b - -",
		"ipsec-identity 1 11 0 2  - -",
	};
	ipsec_iToken_t i = ipsec_create_iToken();
	char form[600], long_form[1200];
	size_t len = sizeof(form);

	FAILS(ipsec_export_iToken(i, form, &len), ENOENT);
	for (size_t n = 0; n < ARRAY_LEN(bad); n++) {
		errno = 0;
		CU_ASSERT_EQUAL(ipsec_import_iToken(i, bad[n]), -1);
		if (errno != EINVAL)
			tap_diag("%s", bad[n]);
		CU_ASSERT_EQUAL(errno, EINVAL);
	}
	FAILS(ipsec_import_iToken(i, NULL), EINVAL);
	memset(form, 'a', 264);
	form[264] = '\0';
	snprintf(long_form, sizeof(long_form), "ipsec-identity 1 11 0 2 %s - -", form);
	FAILS(ipsec_import_iToken(i, long_form), EINVAL);
	form[263] = '\0';
	snprintf(long_form, sizeof(long_form), "ipsec-identity 1 11 0 2 %s - -", form);
	CU_ASSERT_EQUAL(ipsec_import_iToken(i, long_form), 0);
	ipsec_free_iToken(i);
}

/* A truncated or changed form is refused, or is another identity. */
static void test_D1_form_sweep(void)
{
	static const char good[] = "ipsec-identity 1 11 0 2 C%3dDE%20x CN%3dca 302a30ff";
	ipsec_iToken_t original = import(good), i = ipsec_create_iToken();
	char form[sizeof(good)];

	for (size_t at = 0; at < sizeof(good) - 1; at++) {
		memcpy(form, good, sizeof(good));
		form[at] = '\0';
		if (ipsec_import_iToken(i, form) == 0)
			CU_ASSERT_EQUAL(ipsec_cmp_iToken(i, original), 1);
		for (int bit = 0; bit < 8; bit++) {
			memcpy(form, good, sizeof(good));
			form[at] = (char)(form[at] ^ 1 << bit);
			if (ipsec_import_iToken(i, form) == 0)
				CU_ASSERT_EQUAL(ipsec_cmp_iToken(i, original), 1);
		}
	}
	ipsec_free_iToken(original);
	ipsec_free_iToken(i);
}

static int compare(const char *a, const char *b)
{
	ipsec_iToken_t one = import(a), two = import(b);
	int res = ipsec_cmp_iToken(one, two);

	ipsec_free_iToken(one);
	ipsec_free_iToken(two);
	return res;
}

/* An identity is its name, its key, and how they were proven to belong together. */
static void test_D1_compare(void)
{
	static const char own[] = "ipsec-identity 1 9 0 2 a.example CN%3dca 3000";

	CU_ASSERT_EQUAL(compare(own, own), 0);
	CU_ASSERT_EQUAL(compare(own, "ipsec-identity 1 8 0 2 a.example CN%3dca 3000"), 0);
	CU_ASSERT_EQUAL(compare(own, "ipsec-identity 1 2 0 2 a.example CN%3dca 3000"), 1);
	CU_ASSERT_EQUAL(compare(own, "ipsec-identity 1 9 0 3 a.example CN%3dca 3000"), 1);
	CU_ASSERT_EQUAL(compare(own, "ipsec-identity 1 9 0 2 b.example CN%3dca 3000"), 1);
	CU_ASSERT_EQUAL(compare(own, "ipsec-identity 1 9 0 2 a.example CN%3dcb 3000"), 1);
	CU_ASSERT_EQUAL(compare(own, "ipsec-identity 1 9 0 2 a.example CN%3dca 3001"), 1);
}

static void test_D3_numbers(void)
{
	CU_ASSERT_EQUAL(ipsec_suite_ealg("AES_GCM_16-256"), SADB_X_EALG_AES_GCM_ICV16);
	CU_ASSERT_EQUAL(ipsec_suite_aalg("AES_GCM_16-256"), SADB_AALG_NONE);
	CU_ASSERT_EQUAL(ipsec_suite_ealg("AES_CBC-128/HMAC_SHA2_256_128"), SADB_X_EALG_AESCBC);
	CU_ASSERT_EQUAL(ipsec_suite_aalg("AES_CBC-128/HMAC_SHA2_256_128"),
			SADB_X_AALG_SHA2_256HMAC);
	CU_ASSERT_EQUAL(ipsec_suite_ealg("NULL/HMAC_SHA2_512_256"), SADB_EALG_NULL);
	CU_ASSERT_EQUAL(ipsec_suite_aalg("NULL/HMAC_SHA2_512_256"), SADB_X_AALG_SHA2_512HMAC);
	CU_ASSERT_EQUAL(ipsec_suite_ealg("NULL_AES_GMAC-256"), SADB_X_EALG_NULL_AES_GMAC);
	CU_ASSERT_EQUAL(ipsec_suite_ealg("CHACHA20_POLY1305"), -1);
	CU_ASSERT_EQUAL(ipsec_suite_ealg("something"), -1);
	CU_ASSERT_EQUAL(ipsec_suite_aalg(NULL), -1);
}

static void test_memory(void)
{
	ipsec_iToken_t i = import("ipsec-identity 1 11 0 2 a - 3000"), copy;
	ipsec_pToken_t p;

	alloc_fail_nth(1);
	CU_ASSERT_PTR_NULL(ipsec_create_pToken());
	alloc_fail_nth(1);
	CU_ASSERT_PTR_NULL(ipsec_create_iToken());
	for (uint64_t nth = 1; nth <= 2; nth++) {
		alloc_fail_nth(nth);
		FAILS(ipsec_dup_iToken(i, &copy), ENOMEM);
	}
	alloc_fail_nth(1);
	FAILS(ipsec_import_iToken(i, "ipsec-identity 1 11 0 2 a - 3000"), ENOMEM);
	alloc_fail_nth(0);
	p = ipsec_create_pToken();
	CU_ASSERT_EQUAL(ipsec_pToken_set_iToken(p, IPSEC_API_ATTR_ITOKEN, i), 0);
	ipsec_free_pToken(p);
	ipsec_free_iToken(i);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_D2_small),         TAP_TEST(test_D1_tags),
	TAP_TEST(test_template),         TAP_TEST(test_room),
	TAP_TEST(test_D1_external_form), TAP_TEST(test_D1_no_external_form),
	TAP_TEST(test_D1_form_sweep),    TAP_TEST(test_D1_compare),
	TAP_TEST(test_D3_numbers),       TAP_TEST(test_memory),
};

TAP_MAIN("ipsec_token", tests)
