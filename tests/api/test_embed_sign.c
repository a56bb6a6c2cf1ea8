/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and judgement that are the program's: two engines in this process, whose private keys only
 * this test has. They verify each other by their configuration, or as the test says.
 */
#include <errno.h>
#include <latchkey/engine.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/pki.h"
#include "tests/tap/tap.h"

#define PATIENCE_S 20

/* enum verdict - what a side answers to VERIFY. */
enum verdict {
	BY_CONFIGURATION,
	YES,
	NO,
};

/* struct side - an engine, its key and how it answers. */
struct side {
	struct ipsec_engine *engine;
	struct ipsec_port *port;
	unsigned ups, failures, signs, verifies;
	char reason[32], text[256];

	const struct pki_key *key;
	const struct pki_cert *cert; /* NULL: a raw key */
	enum ipsec_scheme scheme;
	enum ipsec_scheme claims; /* a scheme that it is not; 0: none */
	bool later, refuses, flips, names_no_key;
	enum verdict verdict;

	uint64_t open, deadline_ns; /* a question that is not answered yet */
	uint8_t octets[8192];
	size_t octets_len;
	struct ipsec_ask seen; /* of SIGN; pointers are gone */
};

static struct side a, b;
static uint64_t clock_ns;
static struct pki_cert ca;
static char folder[] = "/tmp/latchkey-embed-sign-XXXXXX";

/* ---- the signer ------------------------------------------------------------------------------ */

static const char *hash_of(enum ipsec_scheme scheme)
{
	switch (scheme) {
	case IPSEC_SCHEME_ECDSA_SHA2_256:
	case IPSEC_SCHEME_RSA_PSS_SHA2_256:
		return "SHA256";
	case IPSEC_SCHEME_ECDSA_SHA2_384:
	case IPSEC_SCHEME_RSA_PSS_SHA2_384:
		return "SHA384";
	case IPSEC_SCHEME_ECDSA_SHA2_512:
	case IPSEC_SCHEME_RSA_PSS_SHA2_512:
		return "SHA512";
	case IPSEC_SCHEME_ED25519:
	default:
		return NULL;
	}
}

static size_t sign(uint8_t out[1024], const struct side *s)
{
	const struct bytes der = pki_private(s->key);
	const unsigned char *at = der.p;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)der.len);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;
	size_t len = 1024;

	CU_ASSERT_FATAL(key && md);
	CU_ASSERT_FATAL(
		EVP_DigestSignInit_ex(md, &ctx, hash_of(s->scheme), NULL, NULL, key, NULL) == 1);
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		CU_ASSERT_FATAL(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
				EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
	CU_ASSERT_FATAL(EVP_DigestSign(md, out, &len, s->octets, s->octets_len) == 1);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	return len;
}

static struct ipsec_bytes lend(struct bytes der)
{
	return (struct ipsec_bytes){.data = der.p, .len = der.len};
}

static void answer_sign(struct side *s)
{
	uint8_t value[1024];
	const size_t len = sign(value, s);
	const struct ipsec_bytes cert = s->cert ? lend(pki_der(s->cert)) : (struct ipsec_bytes){0};
	const struct ipsec_signature signature = {
		.scheme = s->claims ? s->claims : s->scheme,
		.value = {.data = value, .len = len},
		.certificates = &cert,
		.num_certificates = s->cert != NULL,
		.key = s->names_no_key ? (struct ipsec_bytes){0} : lend(pki_spki(s->key)),
	};

	if (s->flips)
		value[len - 1] ^= 1;
	CU_ASSERT(ipsec_engine_sign(s->engine, s->open, &signature) == 0);
	memset(value, 0, sizeof(value)); /* it was copied */
}

static bool on_sign(struct side *s, const struct ipsec_ask *ask)
{
	s->signs++;
	s->seen = *ask;
	s->open = ask->id;
	s->deadline_ns = ask->deadline_ns;
	s->octets_len = ask->octets.len;
	CU_ASSERT_FATAL(ask->octets.len > 64 && ask->octets.len <= sizeof(s->octets));
	memcpy(s->octets, ask->octets.data, ask->octets.len);
	if (s->refuses) {
		CU_ASSERT(ipsec_engine_refuse(s->engine, ask->id, "the token is not there") == 0);
	} else if (!s->later) {
		answer_sign(s);
	}
	return true;
}

static bool on_verify(struct side *s, const struct ipsec_ask *ask)
{
	const struct side *peer = s == &a ? &b : &a;
	const struct bytes sent = peer->cert ? pki_der(peer->cert) : pki_spki(peer->key);
	const struct ipsec_answer yes = {.allow = true};
	const struct ipsec_bytes *got = peer->cert ? ask->certificates : &ask->key;

	s->verifies++;
	if (s->verdict == BY_CONFIGURATION)
		return false;
	CU_ASSERT(ask->num_certificates == (peer->cert != NULL) && ask->peer_id);
	CU_ASSERT(got->len == sent.len && memcmp(got->data, sent.p, sent.len) == 0);
	if (s->verdict == NO) {
		CU_ASSERT(ipsec_engine_refuse(s->engine, ask->id,
					      "the directory has no such peer") == 0);
	} else {
		CU_ASSERT(ipsec_engine_answer(s->engine, ask->id, &yes) == 0);
	}
	return true;
}

static bool on_ask(void *ctx, const struct ipsec_ask *ask)
{
	if (ask->kind == IPSEC_ASK_SIGN)
		return on_sign(ctx, ask);
	return ask->kind == IPSEC_ASK_VERIFY && on_verify(ctx, ask);
}

/* ---- two sides ------------------------------------------------------------------------------- */

static void on_event(void *ctx, const struct ipsec_event *ev)
{
	struct side *s = ctx;

	s->ups += ev->kind == IPSEC_EVENT_CHILD_UP;
	if (ev->kind != IPSEC_EVENT_FAILED)
		return;
	s->failures++;
	snprintf(s->reason, sizeof(s->reason), "%s", ev->reason);
	snprintf(s->text, sizeof(s->text), "%s", ev->text);
}

static uint64_t on_clock(void *ctx)
{
	(void)ctx;
	return clock_ns;
}

static const char *file_with(const char *name, const char *label, struct bytes der)
{
	static char path[2][128];
	static unsigned turn;
	char *out = path[turn++ % 2];
	FILE *f;

	snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
	f = fopen(out, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(pki_pem(label, der), f);
	fclose(f);
	return out;
}

/* `local` and `remote` are lines of these sections. */
static void start(struct side *s, const char *local, const char *remote)
{
	const int here = s == &a ? 1 : 2, there = 3 - here;
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	char text[1400];

	params.ctx = s;
	params.event = on_event;
	params.ask = on_ask;
	params.clock = on_clock;
	snprintf(text, sizeof(text),
		 "connections { peer {\n local_addrs = 192.0.2.%d\n remote_addrs = 192.0.2.%d\n"
		 " send_cert = always\n"
		 " local { auth = pubkey\n id = side%d.example\n %s\n }\n"
		 " remote { auth = pubkey\n id = side%d.example\n %s\n }\n"
		 " children { net { local_ts = 10.%d.0.0/16\n remote_ts = 10.%d.0.0/16\n } } } }\n",
		 here, there, here, local, there, remote, here, there);
	CU_ASSERT_FATAL(ipsec_engine_new(&s->engine, &params) == 0);
	if (ipsec_engine_configure(s->engine, text, strlen(text)))
		tap_diag("%s", ipsec_engine_error(s->engine));
	CU_ASSERT_STRING_EQUAL(ipsec_engine_error(s->engine), "");
	CU_ASSERT_FATAL(ipsec_engine_attach_packets(s->engine, &s->port, NULL) == 0);
}

static void join(void)
{
	CU_ASSERT_FATAL(ipsec_engine_attach_wire(a.engine, b.engine) == 0);
	CU_ASSERT_FATAL(ipsec_engine_start(a.engine) == 0 && ipsec_engine_start(b.engine) == 0);
	CU_ASSERT_FATAL(ipsec_engine_initiate(a.engine, "peer", "net", NULL) == 0);
}

/* Both sides pin the other's raw key. */
static void pair_of_keys(const char *kind, enum ipsec_scheme scheme, const char *local)
{
	struct side *const sides[] = {&a, &b};
	char remote[200];

	for (int i = 0; i < 2; i++) {
		sides[i]->key = pki_key_get(kind);
		sides[i]->scheme = scheme;
		snprintf(remote, sizeof(remote), "pubkeys = %s",
			 file_with("peer.pem", "PUBLIC KEY", pki_spki(sides[i]->key)));
		start(sides[i], i ? "" : local, remote);
	}
	join();
}

/* Both have a certificate with this name; the authority is configured or not. */
static void pair_of_certs(const char *names_a, bool knows_ca)
{
	static struct pki_cert cert[2];
	struct side *const sides[] = {&a, &b};
	char remote[200] = "";

	if (!ca.len)
		pki_cert_make(&ca, &(struct pki_params){.subject = "/CN=CA",
							.ca = "critical,CA:TRUE",
							.usage = "keyCertSign,cRLSign"});
	if (knows_ca)
		snprintf(remote, sizeof(remote), "cacerts = %s",
			 file_with("ca.pem", "CERTIFICATE", pki_der(&ca)));
	for (int i = 0; i < 2; i++) {
		sides[i]->key = pki_key_get("P-256");
		sides[i]->scheme = IPSEC_SCHEME_ECDSA_SHA2_256;
		pki_cert_make(&cert[i],
			      &(struct pki_params){.subject = "/CN=end",
						   .issuer = &ca,
						   .key = sides[i]->key,
						   .names = i ? "DNS:side2.example" : names_a,
						   .serial = i + 2});
		sides[i]->cert = &cert[i];
		start(sides[i], "", remote);
	}
	join();
}

static void reset(void)
{
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
}

static void pair_close(void)
{
	ipsec_engine_free(a.engine);
	ipsec_engine_free(b.engine);
	reset();
}

/* Until *count is n, or in vain. */
static bool wait_for(const unsigned *count, unsigned n)
{
	const time_t ends = time(NULL) + PATIENCE_S;

	while (*count < n && time(NULL) < ends) {
		CU_ASSERT(ipsec_engine_dispatch(a.engine) == 0);
		CU_ASSERT(ipsec_engine_dispatch(b.engine) == 0);
	}
	return *count >= n;
}

static void comes_up(void)
{
	if (!wait_for(&a.ups, 1) || !wait_for(&b.ups, 1))
		tap_diag("a: %s: %s, b: %s: %s", a.reason, a.text, b.reason, b.text);
	CU_ASSERT(a.ups == 1 && b.ups == 1);
}

static void fails(const struct side *s, const char *reason, const char *word)
{
	CU_ASSERT(wait_for(&s->failures, 1));
	if (strcmp(s->reason, reason) != 0 || !strstr(s->text, word))
		tap_diag("%s: %s", s->reason, s->text);
	CU_ASSERT_STRING_EQUAL(s->reason, reason);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->text, word));
	CU_ASSERT(a.ups == 0 && b.ups == 0);
}

/* ---- signing --------------------------------------------------------------------------------- */

static void test_every_scheme(void)
{
	static const struct {
		const char *key;
		enum ipsec_scheme scheme;
	} rows[] = {
		{"ed25519", IPSEC_SCHEME_ED25519},
		{"P-256", IPSEC_SCHEME_ECDSA_SHA2_256},
		{"P-384", IPSEC_SCHEME_ECDSA_SHA2_384},
		{"P-256", IPSEC_SCHEME_ECDSA_SHA2_512},
		{"rsa2048", IPSEC_SCHEME_RSA_PSS_SHA2_256},
		{"rsa2048", IPSEC_SCHEME_RSA_PSS_SHA2_384},
		{"rsa2048", IPSEC_SCHEME_RSA_PSS_SHA2_512},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pair_of_keys(rows[i].key, rows[i].scheme, "");
		comes_up();
		CU_ASSERT(a.signs == 1 && b.signs == 1 && a.verifies == 1 && b.verifies == 1);
		CU_ASSERT(a.seen.schemes == 0xfe && !a.seen.wants_certificate);
		CU_ASSERT(b.seen.wants_key);
		pair_close();
	}
}

static void test_certificates(void)
{
	pair_of_certs("DNS:side1.example", true);
	comes_up();
	CU_ASSERT(b.seen.wants_certificate && b.seen.authorities.len == 20);
	pair_close();
}

static void note_id(void *ctx, const struct ipsec_sa_info *sa)
{
	*(uint32_t *)ctx = sa->ike_id;
}

/* Both ends have the same binding, of the keys that signed. */
static void test_D_channel_binding(void)
{
	const struct bytes key = pki_spki(pki_key_get("P-256"));
	struct side *const sides[] = {&a, &b};
	uint8_t keys[2][4096], hash[2][32];

	pair_of_certs("DNS:side1.example", true);
	comes_up();
	for (int i = 0; i < 2; i++) {
		struct ipsec_engine *e = sides[i]->engine;
		size_t len = sizeof(keys[i]), hash_len = sizeof(hash[i]), little = 31;
		uint32_t id = 0;

		ipsec_engine_each_sa(e, note_id, &id);
		CU_ASSERT(ipsec_engine_binding(e, keys[i], &len, id, IPSEC_BINDING_KEYS) == 0);
		CU_ASSERT(ipsec_engine_binding(e, hash[i], &hash_len, id, IPSEC_BINDING_SHA256) ==
			  0);
		CU_ASSERT(len == 2 * key.len && hash_len == 32);
		CU_ASSERT(memcmp(keys[i], key.p, key.len) == 0);
		CU_ASSERT(ipsec_engine_binding(e, hash[i], &little, id, IPSEC_BINDING_SHA256) ==
				  -1 &&
			  errno == EINVAL);
		CU_ASSERT(ipsec_engine_binding(e, hash[i], &hash_len, id + 9,
					       IPSEC_BINDING_SHA256) == -1 &&
			  errno == ENOENT);
	}
	CU_ASSERT(memcmp(hash[0], hash[1], 32) == 0);
	pair_close();
}

static void test_the_signer_refuses(void)
{
	a.refuses = true;
	pair_of_keys("ed25519", IPSEC_SCHEME_ED25519, "");
	fails(&a, "refused", "the token is not there");
	pair_close();
	b.refuses = true;
	pair_of_keys("ed25519", IPSEC_SCHEME_ED25519, "");
	fails(&b, "refused", "the token is not there");
	fails(&a, "auth-failed-peer", "");
	pair_close();
}

static void test_the_signer_answers_later(void)
{
	a.later = b.later = true;
	pair_of_keys("P-256", IPSEC_SCHEME_ECDSA_SHA2_256, "");
	CU_ASSERT(wait_for(&a.signs, 1));
	CU_ASSERT(b.signs == 0);
	answer_sign(&a);
	CU_ASSERT(wait_for(&b.signs, 1));
	CU_ASSERT(a.ups == 0 && b.ups == 0);
	answer_sign(&b);
	comes_up();
	answer_sign(&b); /* once more: nobody asks */
	pair_close();
}

static void test_no_answer_in_time(void)
{
	a.later = true;
	pair_of_keys("ed25519", IPSEC_SCHEME_ED25519, "");
	CU_ASSERT(wait_for(&a.signs, 1));
	CU_ASSERT(a.deadline_ns > clock_ns);
	clock_ns = a.deadline_ns - 1;
	CU_ASSERT(ipsec_engine_dispatch(a.engine) == 0 && a.failures == 0);
	clock_ns += 2000000; /* timers have a grain */
	fails(&a, "no-key", "no answer in time");
	answer_sign(&a); /* too late */
	CU_ASSERT(ipsec_engine_dispatch(a.engine) == 0 && a.ups == 0 && b.signs == 0);
	pair_close();
}

static void test_freed_while_asked(void)
{
	b.later = true;
	pair_of_keys("ed25519", IPSEC_SCHEME_ED25519, "");
	CU_ASSERT(wait_for(&b.signs, 1));
	pair_close();
}

static void test_a_wrong_signature(void)
{
	a.flips = true;
	pair_of_keys("ed25519", IPSEC_SCHEME_ED25519, "");
	fails(&b, "auth-failed-local", "signature");
	fails(&a, "auth-failed-peer", "AUTHENTICATION_FAILED");
	pair_close();
}

/* Nothing is sent that the peer could not make sense of. */
static void test_an_impossible_scheme(void)
{
	a.later = true;
	pair_of_keys("P-256", IPSEC_SCHEME_ECDSA_SHA2_256, "");
	CU_ASSERT(wait_for(&a.signs, 1));
	CU_ASSERT(ipsec_engine_sign(a.engine, a.open, &(struct ipsec_signature){0}) == -1 &&
		  errno == EINVAL);
	CU_ASSERT(ipsec_engine_sign(a.engine, a.open,
				    &(struct ipsec_signature){.scheme = IPSEC_SCHEME_ED25519,
							      .num_certificates = 11}) == -1 &&
		  errno == EINVAL);
	CU_ASSERT(a.failures == 0);
	a.claims = IPSEC_SCHEME_ED25519;
	answer_sign(&a);
	fails(&a, "no-key", "does not make signatures of the scheme");
	CU_ASSERT(b.verifies == 0);
	pair_close();

	pair_of_keys("P-256", IPSEC_SCHEME_ECDSA_SHA2_256, "auth = ecdsa-sha384");
	fails(&a, "no-key", "cannot verify the scheme");
	CU_ASSERT(a.seen.schemes == IPSEC_SCHEME_BIT(IPSEC_SCHEME_ECDSA_SHA2_384));
	pair_close();

	a.names_no_key = true;
	pair_of_keys("ed25519", IPSEC_SCHEME_ED25519, "");
	fails(&a, "no-key", "names no key");
	pair_close();
}

/* An answer that would do for another question is none. */
static void test_answers_to_other_questions(void)
{
	a.later = true;
	pair_of_keys("ed25519", IPSEC_SCHEME_ED25519, "");
	CU_ASSERT(wait_for(&a.signs, 1));
	CU_ASSERT(ipsec_engine_answer(a.engine, a.open, &(struct ipsec_answer){.allow = true}) ==
		  0);
	fails(&a, "no-key", "holds no signature");
	pair_close();
}

/* ---- judging the peer ------------------------------------------------------------------------ */

static void test_a_chain_is_refused(void)
{
	b.verdict = NO;
	pair_of_certs("DNS:side1.example", true);
	fails(&b, "refused", "the directory has no such peer");
	fails(&a, "auth-failed-peer", "");
	pair_close();
}

static void test_a_chain_is_vouched_for(void)
{
	pair_of_certs("DNS:side1.example", false);
	fails(&b, "certificate-unknown-ca", "");
	pair_close();
	a.verdict = b.verdict = YES;
	pair_of_certs("DNS:side1.example", false);
	comes_up();
	pair_close();
}

static void test_a_key_is_vouched_for(void)
{
	const char *const other =
		file_with("other.pem", "PUBLIC KEY", pki_spki(pki_key_get("P-384")));
	char remote[200];

	snprintf(remote, sizeof(remote), "pubkeys = %s", other);
	for (int vouched = 0; vouched < 2; vouched++) {
		a.verdict = b.verdict = vouched ? YES : BY_CONFIGURATION;
		a.key = b.key = pki_key_get("ed25519");
		a.scheme = b.scheme = IPSEC_SCHEME_ED25519;
		start(&a, "", remote);
		start(&b, "", remote);
		join();
		if (vouched)
			comes_up();
		else
			fails(&b, "certificate-unknown-ca", "remote.pubkeys");
		pair_close();
	}
}

/* A yes says whose the certificate is by what it says itself, and nothing about the signature. */
static void test_S22_a_yes_is_not_all(void)
{
	b.verdict = YES;
	pair_of_certs("DNS:other.example", true);
	fails(&b, "certificate-name", "does not hold that identity");
	pair_close();

	b.verdict = YES;
	a.flips = true;
	pair_of_certs("DNS:side1.example", true);
	fails(&b, "auth-failed-local", "signature");
	pair_close();
}

static void test_S22_a_yes_is_not_for_another(void)
{
	b.verdict = YES;
	a.key = b.key = pki_key_get("ed25519");
	a.scheme = b.scheme = IPSEC_SCHEME_ED25519;
	start(&a, "", "");
	start(&b, "", "id = side3.example");
	join();
	fails(&b, "no-config", "says it is side1.example");
	pair_close();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_every_scheme),
	TAP_TEST(test_certificates),
	TAP_TEST(test_D_channel_binding),
	TAP_TEST(test_the_signer_refuses),
	TAP_TEST(test_the_signer_answers_later),
	TAP_TEST(test_no_answer_in_time),
	TAP_TEST(test_freed_while_asked),
	TAP_TEST(test_a_wrong_signature),
	TAP_TEST(test_an_impossible_scheme),
	TAP_TEST(test_answers_to_other_questions),
	TAP_TEST(test_a_chain_is_refused),
	TAP_TEST(test_a_chain_is_vouched_for),
	TAP_TEST(test_a_key_is_vouched_for),
	TAP_TEST(test_S22_a_yes_is_not_all),
	TAP_TEST(test_S22_a_yes_is_not_for_another),
};

int main(void)
{
	char command[64];
	int rc;

	if (!mkdtemp(folder))
		return 1;
	rc = tap_main("embed_sign", tests, sizeof(tests) / sizeof(tests[0]));
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command) ? 1 : rc;
}
