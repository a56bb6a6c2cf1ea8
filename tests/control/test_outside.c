/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of a program's own, for peers of both ages: the AUTH values are those that verify. */
#include <string.h>

#include "control/auth/outside.h"
#include "control/auth/cred.h"
#include "control/ike/wire/proto.h"
#include "tests/pki.h"
#include "tests/tap/tap.h"

static const char octets[] = "what is to be signed";

static struct conf_conn conn;
static struct crypto_ctx *crypto;

static struct ike_ask ask_of(uint32_t peer_hashes)
{
	conn.local.sign = (struct conf_sign){.kinds = KEY_BITS_ANY, .hashes = SIG_HASHES_ALL};
	return (struct ike_ask){
		.kind = IKE_ASK_SIGN,
		.config = &conn,
		.octets = bytes_of(octets, sizeof(octets)),
		.peer_hashes = peer_hashes,
		.asked_raw = true,
	};
}

/* What the program would say, by a key of this kind. */
static struct ike_answer answer_by(uint8_t value[SIG_MAX], struct ike_cert *cert, const char *kind,
				   struct sig_scheme sig, enum ike_scheme scheme)
{
	const struct pki_key *key = pki_key_get(kind);
	size_t len;

	CU_ASSERT_EQUAL_FATAL(sig_sign(crypto, value, &len, sig, pki_private(key),
				       bytes_of(octets, sizeof(octets))),
			      ERR_OK);
	*cert = (struct ike_cert){.encoding = CERT_RAW_PUBLIC_KEY, .data = pki_spki(key)};
	return (struct ike_answer){.allow = true,
				   .scheme = scheme,
				   .signature = bytes_of(value, len),
				   .certs = cert,
				   .num_certs = 1};
}

static void verifies(const struct ike_answer *a, uint8_t method)
{
	struct auth_sig sig;

	CU_ASSERT_TRUE_FATAL(a->allow);
	CU_ASSERT_EQUAL(a->auth_method, method);
	CU_ASSERT_EQUAL_FATAL(auth_sig_parse(&sig, a->auth_method, a->auth), ERR_OK);
	CU_ASSERT_EQUAL(
		sig_verify(crypto, sig.scheme, a->key, bytes_of(octets, sizeof(octets)), sig.sig),
		ERR_OK);
}

static void test_a_peer_of_each_age(void)
{
	static const struct {
		const char *kind;
		enum sig_hash hash;
		enum ike_scheme scheme;
		uint8_t method; /* without RFC 7427 */
	} rows[] = {
		{"P-256", SIG_SHA2_256, IKE_SCHEME_ECDSA_SHA2_256, AUTH_ECDSA_256},
		{"P-384", SIG_SHA2_384, IKE_SCHEME_ECDSA_SHA2_384, AUTH_ECDSA_384},
		{"P-521", SIG_SHA2_512, IKE_SCHEME_ECDSA_SHA2_512, AUTH_ECDSA_521},
	};
	const struct ike_ask old = ask_of(0), new = ask_of(SIG_HASHES_ALL);

	CU_ASSERT_EQUAL(ike_schemes(&old), 1u << IKE_SCHEME_ECDSA_SHA2_256 |
						   1u << IKE_SCHEME_ECDSA_SHA2_384 |
						   1u << IKE_SCHEME_ECDSA_SHA2_512);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t value[SIG_MAX];
		struct ike_cert cert;
		struct outside o;
		struct ike_answer a =
			answer_by(value, &cert, rows[i].kind,
				  (struct sig_scheme){SIG_ECDSA, rows[i].hash}, rows[i].scheme);

		outside_take(&o, &old, &a);
		verifies(&o.answer, rows[i].method);
		outside_take(&o, &new, &a);
		verifies(&o.answer, AUTH_DIGITAL_SIGNATURE);
		/* Not the DER of two numbers, or more than that. */
		value[0] ^= 1;
		outside_take(&o, &old, &a);
		CU_ASSERT_FALSE(o.answer.allow);
		value[0] ^= 1;
		a.signature.len++;
		outside_take(&o, &old, &a);
		CU_ASSERT_FALSE(o.answer.allow);
	}
}

/* RFC 4754 has one hash for each curve, and other keys no way at all. */
static void test_what_an_old_peer_cannot_verify(void)
{
	const struct ike_ask old = ask_of(0);
	uint8_t value[SIG_MAX];
	struct ike_cert cert;
	struct outside o;
	struct ike_answer a =
		answer_by(value, &cert, "P-256", (struct sig_scheme){SIG_ECDSA, SIG_SHA2_384},
			  IKE_SCHEME_ECDSA_SHA2_384);

	outside_take(&o, &old, &a);
	CU_ASSERT_TRUE(!o.answer.allow && o.answer.reason == IKE_REASON_NO_KEY && o.answer.text);
	a = answer_by(value, &cert, "ed25519", (struct sig_scheme){SIG_ED25519, SIG_IDENTITY},
		      IKE_SCHEME_ED25519);
	outside_take(&o, &old, &a);
	CU_ASSERT_TRUE(!o.answer.allow && o.answer.reason == IKE_REASON_NO_KEY && o.answer.text);
}

static void test_what_is_sent_with_it(void)
{
	static const struct {
		enum conf_send_cert send;
		bool asked;
		uint32_t num;
	} rows[] = {
		{CONF_SEND_CERT_IFASKED, true, 1},
		{CONF_SEND_CERT_IFASKED, false, 0},
		{CONF_SEND_CERT_ALWAYS, false, 1},
		{CONF_SEND_CERT_NEVER, true, 0},
	};
	uint8_t value[SIG_MAX];
	struct ike_cert cert;
	struct outside o;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ike_ask ask = ask_of(SIG_HASHES_ALL);
		const struct ike_answer a = answer_by(
			value, &cert, "ed25519", (struct sig_scheme){SIG_ED25519, SIG_IDENTITY},
			IKE_SCHEME_ED25519);

		conn.send_cert = rows[i].send;
		ask.asked_raw = rows[i].asked;
		outside_take(&o, &ask, &a);
		CU_ASSERT_TRUE(o.answer.allow && o.answer.key.len);
		CU_ASSERT_EQUAL(o.answer.num_certs, rows[i].num);
	}
}

/* A signature is no yes to anything else, and neither is a yes to what it does not fit. */
static void test_another_question(void)
{
	static const enum ike_ask_kind kinds[] = {IKE_ASK_SECRET, IKE_ASK_VERIFY_CHAIN,
						  IKE_ASK_AUTHORIZE, IKE_ASK_CHILD_ACCEPT};
	const struct ike_answer signature = {.allow = true, .scheme = IKE_SCHEME_ED25519};
	const struct ike_answer yes = {.allow = true, .vouched = true};
	struct ike_ask ask = ask_of(SIG_HASHES_ALL);
	struct outside o;

	outside_take(&o, &ask, &yes);
	CU_ASSERT_FALSE(o.answer.allow);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		ask.kind = kinds[i];
		outside_take(&o, &ask, &signature);
		CU_ASSERT_FALSE(o.answer.allow);
	}
	ask.kind = IKE_ASK_VERIFY_CHAIN; /* the peer shows nothing */
	outside_take(&o, &ask, &yes);
	CU_ASSERT_TRUE(!o.answer.allow && o.answer.reason == IKE_REASON_CERT_UNKNOWN_CA);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_a_peer_of_each_age),
	TAP_TEST(test_what_an_old_peer_cannot_verify),
	TAP_TEST(test_what_is_sent_with_it),
	TAP_TEST(test_another_question),
};

int main(void)
{
	int rc;

	if (crypto_ctx_new(&crypto, rng_system()))
		return 1;
	rc = tap_main("outside", tests, ARRAY_LEN(tests));
	crypto_ctx_free(crypto);
	return rc;
}
