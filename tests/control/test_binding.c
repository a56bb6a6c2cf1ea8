/* SPDX-License-Identifier: Apache-2.0 */
/* Channel bindings and names of keys, with keys and values that the openssl command made. */
#include <sodium.h>
#include <string.h>

#include "control/engine.h"
#include "tests/pki.h"
#include "tests/tap/tap.h"

static const char rsa[] =
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAm+pPAl0c20dEQrhXq6FqzseicyxGADCJ"
	"kmr8COQ69cnAfJ5fkJYdqeUyyzz0lWNGYWuWj3JIq2QSqlY23se9vpFrBI8P9P/QU16R7GGXFlRT"
	"8x6Tlf4nXLmJ8m/eh96ryQUT2Ap7NLtk8O1NNlvCgqOl5Rw+NbXXqce28jP2lPteDYtYF4BIsO12"
	"oSL5Sovn/gzNcvEE3RlBZxPKZLZO4H1blPUpePLBBvLY/9+sDqw7XOicNZgGgn2GYAXoS1dsdzXk"
	"3u+g7EEmpWOjW3nHhI9CpdYIfgChoVum+5sRGvkW1eiLZcP10Ap6T/XehOPIPM8yhS9O4T1LMTun"
	"4p4QFQIDAQAB";
static const char ed25519[] = "MCowBQYDK2VwAyEAsknZ/38WlNoNC5igUcmwvEqtJH/uIlTJRduJJpRtUH4=";
static const char p256[] =
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6UbEIJf07ssczMviGRe7QTdiQB6mURW7FL/vijO0"
	"fjNUfKG0z9X8QbzwfXS+UtPlV5pBTvBPNmMnpKgd/THmxg==";

/* openssl pkey -pubout -outform DER; of two files, one after the other, openssl dgst -sha256. */
static const char rsa_first[] = "77ef3537521894c6c5a997fecf8bcf0d6d16690303d7ceed0370180143151b0b";
static const char rsa_second[] = "90e407400e7a3aa21272b73f9c89a081161b32449138521bcf580ea3846797d1";

struct der {
	uint8_t b[600];
	size_t len;
};

static struct bytes read(struct der *out, const char *base64)
{
	CU_ASSERT_EQUAL_FATAL(sodium_base642bin(out->b, sizeof(out->b), base64, strlen(base64),
						NULL, &out->len, NULL,
						sodium_base64_VARIANT_ORIGINAL),
			      0);
	return bytes_of(out->b, out->len);
}

static struct auth_proof *proof(bool initiator, struct bytes local, struct bytes peer)
{
	struct auth_proof *p =
		auth_proof_new(&(struct auth_proof_params){.method = AUTH_METHOD_BTNS,
							   .initiator = initiator,
							   .local_key = local,
							   .peer_key = peer});

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	return p;
}

static void check_hash(const struct auth_proof *p, const char *expected)
{
	uint8_t got[IKE_BINDING_MAX];
	char text[65];
	size_t len = 0;

	CU_ASSERT_EQUAL(ike_channel_binding(got, sizeof(got), &len, p, IKE_BINDING_SHA256), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(len, 32);
	sodium_bin2hex(text, sizeof(text), got, len);
	CU_ASSERT_STRING_EQUAL(text, expected);
	CU_ASSERT_EQUAL(ike_channel_binding(got, 31, &len, p, IKE_BINDING_SHA256), ERR_LIMIT);
}

static void check_keys(const struct auth_proof *p, struct bytes first, struct bytes second)
{
	uint8_t got[IKE_BINDING_MAX];
	size_t len = 0;

	CU_ASSERT_EQUAL(ike_channel_binding(got, sizeof(got), &len, p, IKE_BINDING_KEYS), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(len, first.len + second.len);
	CU_ASSERT_EQUAL(memcmp(got, first.p, first.len), 0);
	CU_ASSERT_EQUAL(memcmp(got + first.len, second.p, second.len), 0);
	CU_ASSERT_EQUAL(ike_channel_binding(got, len - 1, &len, p, IKE_BINDING_KEYS), ERR_LIMIT);
}

/* The initiator's key is the first, at either end. */
static void test_D_channel_binding(void)
{
	struct der a, b;
	const struct bytes r = read(&a, rsa), e = read(&b, ed25519);

	for (unsigned end = 0; end < 2; end++) {
		struct auth_proof *first = end ? proof(true, r, e) : proof(false, e, r);
		struct auth_proof *second = end ? proof(true, e, r) : proof(false, r, e);

		check_hash(first, rsa_first);
		check_keys(first, r, e);
		check_hash(second, rsa_second);
		check_keys(second, e, r);
		auth_proof_put(first);
		auth_proof_put(second);
	}
}

/* With a key on one side alone nothing binds. */
static void test_D_no_binding_without_keys(void)
{
	struct der a;
	const struct bytes r = read(&a, rsa), none = bytes_of(NULL, 0);
	struct auth_proof *list[] = {proof(true, none, none), proof(true, r, none),
				     proof(false, none, r)};
	uint8_t got[IKE_BINDING_MAX];
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		for (unsigned form = 0; form < 2; form++)
			CU_ASSERT_EQUAL(ike_channel_binding(got, sizeof(got), &len, list[i],
							    (enum ike_binding)form),
					ERR_NOT_FOUND);
		auth_proof_put(list[i]);
	}
}

/* Nine digits of: openssl rsa -pubin -modulus, as bytes; else openssl dgst -sha256 -binary. */
static void test_D_pubkey_id(void)
{
	static const struct {
		const char *key, *id;
	} table[] = {{rsa, "m+pPAl0c2"}, {ed25519, "C1XLnn8JL"}, {p256, "BUlVJ2cqp"}};
	const struct bytes none = bytes_of(NULL, 0);
	char got[IKE_PUBKEY_ID_MAX];
	struct auth_proof *p;
	struct der der;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		p = proof(true, none, read(&der, table[i].key));
		CU_ASSERT_EQUAL(ike_pubkey_id(got, p), ERR_OK);
		CU_ASSERT_STRING_EQUAL(got, table[i].id);
		auth_proof_put(p);
	}
	p = proof(true, none, none);
	CU_ASSERT_EQUAL(ike_pubkey_id(got, p), ERR_NOT_FOUND);
	auth_proof_put(p);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_D_channel_binding),
	TAP_TEST(test_D_no_binding_without_keys),
	TAP_TEST(test_D_pubkey_id),
};

TAP_MAIN("binding", tests)
