/* SPDX-License-Identifier: Apache-2.0 */
/* What sides announce of methods of authentication (RFC 9593): its form, and what is chosen by it.
 */
#include <string.h>

#include "control/auth/announce.h"
#include "control/ike/wire/proto.h"
#include "tests/tap/tap.h"

/* EVERYTHING - each scheme there is: of EdDSA those without a hash, of RFC 4754 and of RSA those
 * with one. */
#define HASHED(form) (AUTH_FORM_BITS(form) & ~AUTH_SCHEME_BIT(form, SIG_IDENTITY))
#define EVERYTHING                                                                                 \
	(HASHED(SIG_RSA_PKCS1) | HASHED(SIG_RSA_PSS) | HASHED(SIG_ECDSA) | HASHED(SIG_ECDSA_RAW) | \
	 AUTH_SCHEME_BIT(SIG_ED25519, SIG_IDENTITY) | AUTH_SCHEME_BIT(SIG_ED448, SIG_IDENTITY))

static struct bytes written(uint8_t buf[static AUTH_ANNOUNCED_MAX], const struct auth_announced *a)
{
	struct bytes out = {0};
	struct writer w;

	writer_init(&w, buf, AUTH_ANNOUNCED_MAX);
	auth_announced_write(&w, a);
	CU_ASSERT_EQUAL(writer_finish(&w, &out), ERR_OK);
	return out;
}

static bool same(const struct auth_announced *a, const struct auth_announced *b)
{
	return a->psk == b->psk && a->null == b->null && a->schemes == b->schemes;
}

/* The three forms of RFC 9593 3.2.1 to 3.2.3. */
static void test_form(void)
{
	static const uint8_t bytes[] = {
		/* ECDSA with SHA2-256 by RFC 7427, the same on P-256 by RFC 4754, Ed25519 */
		15, 14, 0, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
		3, 9, 0, 10, 14, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70,
		/* a secret, nothing */
		2, 2, 2, 13};
	const struct auth_announced a = {.psk = true,
					 .null = true,
					 .schemes = AUTH_SCHEME_BIT(SIG_ECDSA, SIG_SHA2_256) |
						    AUTH_SCHEME_BIT(SIG_ECDSA_RAW, SIG_SHA2_256) |
						    AUTH_SCHEME_BIT(SIG_ED25519, SIG_IDENTITY)};
	uint8_t buf[AUTH_ANNOUNCED_MAX];
	struct auth_announced b;

	CU_ASSERT_TRUE(bytes_equal(written(buf, &a), bytes_of(bytes, sizeof(bytes))));
	CU_ASSERT_EQUAL(auth_announced_parse(&b, bytes_of(bytes, sizeof(bytes))), ERR_OK);
	CU_ASSERT_TRUE(same(&a, &b));
}

static void test_every_scheme(void)
{
	const struct auth_announced all = {.psk = true, .null = true, .schemes = EVERYTHING};
	uint8_t buf[AUTH_ANNOUNCED_MAX];
	struct auth_announced b;
	unsigned num = 0;

	for (uint32_t bit = 0; bit < 32; bit++) {
		const struct auth_announced one = {.schemes = 1u << bit};
		const bool known = EVERYTHING & 1u << bit;
		const struct bytes out = written(buf, &one);

		CU_ASSERT_EQUAL(out.len > 0, known);
		CU_ASSERT_EQUAL(auth_announced_parse(&b, out), ERR_OK);
		CU_ASSERT_EQUAL(b.schemes, known ? one.schemes : 0);
		num += known;
	}
	CU_ASSERT_EQUAL(num, 14);
	CU_ASSERT_EQUAL(auth_announced_parse(&b, written(buf, &all)), ERR_OK);
	CU_ASSERT_TRUE(same(&all, &b));
	CU_ASSERT_TRUE(auth_announced_any(&b));
}

/* What is not known is passed over, whatever it looks like, and an authority that it is tied to. */
static void test_unknown(void)
{
	static const uint8_t bytes[] = {2,    1,    3, 1,  7, 2, 12, 4, 99, 0, 1, 5, 14, 0,
					0x30, 0x00, 3, 14, 0, 2, 14, 2, 9,  2, 2, 3, 10, 1};
	struct auth_announced a;

	CU_ASSERT_EQUAL(auth_announced_parse(&a, bytes_of(bytes, sizeof(bytes))), ERR_OK);
	CU_ASSERT_TRUE(a.psk && !a.null);
	CU_ASSERT_EQUAL(a.schemes, AUTH_SCHEME_BIT(SIG_ECDSA_RAW, SIG_SHA2_256) |
					   AUTH_SCHEME_BIT(SIG_ECDSA_RAW, SIG_SHA2_384));
	/* Nothing at all: it is told later (RFC 9593 3.1). */
	CU_ASSERT_EQUAL(auth_announced_parse(&a, bytes_of(NULL, 0)), ERR_OK);
	CU_ASSERT_FALSE(auth_announced_any(&a));
}

/* Cut anywhere, and with each bit turned: an error, or what is before; never more than was there.
 */
static void test_cut_and_changed(void)
{
	const struct auth_announced all = {.psk = true, .null = true, .schemes = EVERYTHING};
	uint8_t buf[AUTH_ANNOUNCED_MAX];
	const struct bytes whole = written(buf, &all);
	unsigned taken = 0;

	for (size_t len = 0; len < whole.len; len++) {
		struct auth_announced a = {0};
		enum err e = auth_announced_parse(&a, bytes_of(buf, len));

		CU_ASSERT(!e || e == ERR_TRUNCATED || e == ERR_MALFORMED);
		CU_ASSERT_FALSE(a.null);
		CU_ASSERT_EQUAL(a.schemes & ~all.schemes, 0);
		taken += !e;
	}
	CU_ASSERT_EQUAL(taken, 16); /* between two of them */
	for (size_t bit = 0; bit < 8 * whole.len; bit++) {
		struct auth_announced a = {0};

		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (!auth_announced_parse(&a, whole))
			CU_ASSERT_EQUAL(a.schemes & ~all.schemes, 0);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void test_texts(void)
{
	static const struct {
		struct auth_announced a;
		const char *text;
	} rows[] = {
		{{.psk = true}, "psk"},
		{{.null = true}, "null"},
		{{.psk = true, .null = true}, "psk or null"},
		{{.schemes = HASHED(SIG_ECDSA)}, "pubkey (ECDSA)"},
		{{.psk = true, .null = true, .schemes = EVERYTHING},
		 "psk or pubkey (RSA, ECDSA, EdDSA) or null"},
	};
	char buf[AUTH_ANNOUNCED_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CU_ASSERT_STRING_EQUAL(auth_announced_text(buf, &rows[i].a), rows[i].text);
}

#define ALL SIG_HASHES_ALL

/* Of what is announced the best, and of nothing else. */
static void test_choice(void)
{
	static const struct {
		enum key_kind kind;
		uint32_t hashes, allowed, announced;
		bool any;
		struct sig_scheme scheme;
	} rows[] = {
		{KEY_RSA, ALL, ALL, EVERYTHING, true, {SIG_RSA_PSS, SIG_SHA2_256}},
		{KEY_RSA, ALL, ALL, HASHED(SIG_RSA_PKCS1), true, {SIG_RSA_PKCS1, SIG_SHA2_256}},
		{KEY_RSA,
		 ALL,
		 ALL,
		 AUTH_SCHEME_BIT(SIG_RSA_PSS, SIG_SHA2_512) | HASHED(SIG_RSA_PKCS1),
		 true,
		 {SIG_RSA_PSS, SIG_SHA2_512}},
		{KEY_RSA,
		 ALL,
		 SIG_HASH_BIT(SIG_SHA2_384),
		 EVERYTHING,
		 true,
		 {SIG_RSA_PSS, SIG_SHA2_384}},
		{KEY_RSA, ALL, ALL, HASHED(SIG_ECDSA), false, {0, 0}},
		{KEY_RSA, 0, ALL, EVERYTHING, false, {0, 0}},
		{KEY_RSA, ALL, ALL, 0, false, {0, 0}},
		{KEY_ECP_384, ALL, ALL, EVERYTHING, true, {SIG_ECDSA, SIG_SHA2_384}},
		{KEY_ECP_384,
		 ALL,
		 ALL,
		 AUTH_SCHEME_BIT(SIG_ECDSA, SIG_SHA2_256),
		 true,
		 {SIG_ECDSA, SIG_SHA2_256}},
		{KEY_ECP_384, 0, ALL, EVERYTHING, true, {SIG_ECDSA_RAW, SIG_SHA2_384}},
		{KEY_ECP_384,
		 ALL,
		 ALL,
		 AUTH_SCHEME_BIT(SIG_ECDSA_RAW, SIG_SHA2_256),
		 false,
		 {0, 0}},
		{KEY_ED25519, ALL, ALL, EVERYTHING, true, {SIG_ED25519, SIG_IDENTITY}},
		{KEY_ED25519, ALL, ALL, AUTH_SCHEME_BIT(SIG_ED448, SIG_IDENTITY), false, {0, 0}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sig_scheme s = {0, 0};
		const bool any = auth_sig_announced_choose(&s, rows[i].kind, rows[i].hashes,
							   rows[i].allowed, rows[i].announced);

		CU_ASSERT_EQUAL(any, rows[i].any);
		if (any && rows[i].any) {
			CU_ASSERT_EQUAL(s.form, rows[i].scheme.form);
			CU_ASSERT_EQUAL(s.hash, rows[i].scheme.hash);
		}
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_form),    TAP_TEST(test_every_scheme),
	TAP_TEST(test_unknown), TAP_TEST(test_cut_and_changed),
	TAP_TEST(test_texts),   TAP_TEST(test_choice),
};

TAP_MAIN("control/announce", tests)
