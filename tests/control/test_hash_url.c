/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that are shown by their hash and a URL (RFC 7296 3.6): the peer's, and ours. */
#include <openssl/sha.h>
#include <stdio.h>

#include "base/rng.h"
#include "control/auth/bundle.h"
#include "control/engine.h"
#include "control/ike/wire/proto.h"
#include "tests/control/sweep.h"
#include "tests/pki_conf.h"
#include "tests/tap/tap.h"

#define CA   "critical,CA:TRUE"
#define BASE "http://192.0.2.9/certs/"

static struct pki_cert root, end;
static struct conf *conf;
static struct ike_keyring *keyring;
static struct ike_id name;

/* The authority, with or without the place of its certificates, and a connection of this text. */
static void begin(const char *base)
{
	static const char text[] = "c { local { auth = pubkey\n id = gw.example\n }\n"
				   "remote { auth = pubkey\n id = gw.example\n } }\n";

	pki_cert_make(&root, &(struct pki_params){.subject = "/CN=Root", .ca = CA});
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw",
						 .names = "DNS:gw.example",
						 .issuer = &root,
						 .key = pki_key_get("P-384")});
	conf = pki_add_conns(pki_add_at(NULL, CRED_CA, pki_der(&root), base), text);
	conf = pki_add(pki_add(conf, CRED_CERT, pki_der(&end)), CRED_KEY, pki_private(end.key));
	CU_ASSERT_EQUAL_FATAL(ike_keyring_new(&keyring, rng_system()), ERR_OK);
	ike_keyring_fetches(keyring, true);
	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&name, "gw.example"), ERR_OK);
}

static void finish(void)
{
	ike_keyring_free(keyring);
	conf_put(conf);
}

static struct bytes shown_of(const char *base, struct bytes data)
{
	static uint8_t out[PKI_HASH_LEN + CRED_URL_MAX];

	return pki_hash_url(out, sizeof(out), base, data);
}

static struct bytes shown(const char *base)
{
	return shown_of(base, pki_der(&end));
}

static uint8_t encoding = CERT_HASH_AND_URL;

static struct ike_answer verify_all(const struct ike_cert *certs, uint32_t num)
{
	const struct ike_ask ask = {.kind = IKE_ASK_VERIFY_CHAIN,
				    .config = conf->conns[0],
				    .peer_id = &name,
				    .local_id = &name,
				    .certs = certs,
				    .num_certs = num};
	struct ike_answer a;

	ike_keyring_answer(keyring, &a, conf, &ask, PKI_NOW_S);
	return a;
}

static struct ike_answer verify(struct bytes data)
{
	const struct ike_cert cert = {.encoding = encoding, .data = data};

	return verify_all(&cert, 1);
}

static void refused(struct bytes data, const char *part)
{
	const struct ike_answer a = verify(data);
	struct ike_want w;

	CU_ASSERT_FALSE(a.allow);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a.text);
	if (!strstr(a.text, part))
		tap_diag("'%s', not '%s'", a.text, part);
	CU_ASSERT_TRUE(strstr(a.text, part) != NULL);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	CU_ASSERT_FALSE(ike_keyring_want(keyring, &w));
}

static struct ike_want wanted(struct bytes data)
{
	struct ike_want w = {.id = 0};

	(void)verify(data);
	CU_ASSERT_TRUE(ike_keyring_waits(keyring));
	CU_ASSERT_TRUE_FATAL(ike_keyring_want(keyring, &w));
	CU_ASSERT_TRUE(bytes_equal(bytes_of(w.url, strlen(w.url)),
				   bytes_of(data.p + PKI_HASH_LEN, data.len - PKI_HASH_LEN)));
	CU_ASSERT_PTR_NULL(w.type);
	return w;
}

static void comes(uint64_t id, struct bytes data)
{
	ike_keyring_learn(keyring, id, data, data.len ? "" : "nobody there", PKI_NOW_S);
}

static void test_fetched(void)
{
	struct ike_answer a;

	begin(BASE);
	comes(wanted(shown(BASE)).id, pki_der(&end));
	a = verify(shown(BASE));
	CU_ASSERT_TRUE(a.allow);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	CU_ASSERT_EQUAL_FATAL(a.num_trust, 1);
	CU_ASSERT_TRUE(bytes_equal(a.trust[0].cert, pki_der(&end)));
	CU_ASSERT_TRUE(a.trust[0].fetched);
	finish();
}

/* What was sent was not fetched, also after something else was, and whatever comes behind it. */
static void test_A13_sent_or_fetched(void)
{
	struct ike_cert certs[] = {{.encoding = CERT_X509_SIGNATURE}, {.encoding = encoding}};
	struct ike_answer a;

	begin(BASE);
	comes(wanted(shown(BASE)).id, pki_der(&end));
	CU_ASSERT_TRUE(verify(shown(BASE)).trust[0].fetched);
	certs[0].data = pki_der(&end);
	certs[1].data = shown(BASE);
	a = verify_all(certs, 2);
	CU_ASSERT_TRUE_FATAL(a.allow && a.num_trust == 1);
	CU_ASSERT_FALSE(a.trust[0].fetched);
	finish();
}

static void test_nothing_comes(void)
{
	begin(BASE);
	comes(wanted(shown(BASE)).id, bytes_of(NULL, 0));
	refused(shown(BASE), "its certificate at " BASE);
	refused(shown(BASE), "nobody there");
	finish();
}

/* What is there has the hash that was told, or is not looked at. */
static void test_S27_another_certificate(void)
{
	struct pki_cert other;

	begin(BASE);
	pki_cert_make(&other, &(struct pki_params){.subject = "/CN=gw",
						   .names = "DNS:gw.example",
						   .issuer = &root});
	comes(wanted(shown(BASE)).id, pki_der(&other));
	refused(shown(BASE), "has another hash");
	finish();
}

/* Somebody who is nobody yet names the URL: only what is configured, and its hash, is fetched. */
static void test_S27_only_what_is_published(void)
{
	static const char *const bases[] = {
		"http://192.0.2.8/certs/", "http://192.0.2.9/",          "http://192.0.2.9/cert/",
		"http://127.0.0.1/",       "http://192.0.2.9:80/certs/",
	};
	struct bytes whole;

	begin(BASE);
	for (size_t i = 0; i < ARRAY_LEN(bases); i++)
		refused(shown(bases[i]), "not fetched there");
	whole = shown(BASE);
	whole.len--;
	refused(whole, "not fetched there");
	finish();
	begin(NULL);
	refused(shown(BASE), "not fetched there");
	finish();
	begin(BASE);
	ike_keyring_fetches(keyring, false);
	refused(shown(BASE), "not fetched there");
	finish();
}

static void test_S27_malformed(void)
{
	struct bytes whole;

	begin(BASE);
	whole = shown(BASE);
	for (size_t len = 0; len <= PKI_HASH_LEN + strlen("http://"); len++)
		refused(bytes_of(whole.p, len), "no URL of HTTP");
	refused(shown("https://192.0.2.9/certs/"), "no URL of HTTP");
	refused(shown("file:///etc/"), "no URL of HTTP");
	refused(shown(BASE "\r\n"), "no URL of HTTP");
	finish();
}

/* ---- bundles --------------------------------------------------------------------------------- */

static uint8_t bundle[32768];

/* One element of DER, in place: what is in it lies behind room for its header. */
static size_t wrap(uint8_t *at, uint8_t tag, size_t len)
{
	memmove(at + 4, at, len);
	at[0] = tag;
	at[1] = 0x82;
	at[2] = (uint8_t)(len >> 8);
	at[3] = (uint8_t)len;
	return len + 4;
}

/* tags: of what is in it, 0xa0 a certificate, 0xa1 a list. */
static struct bytes bundle_of(const struct bytes *parts, const uint8_t *tags, size_t num)
{
	size_t len = 0;

	for (size_t i = 0; i < num; i++) {
		memcpy(bundle + len, parts[i].p, parts[i].len);
		len += wrap(bundle + len, tags[i], parts[i].len);
	}
	return bytes_of(bundle, wrap(bundle, 0x30, len));
}

/* An end below an authority between, which the bundle holds, and a list, which is passed over. */
static struct bytes whole_bundle(void)
{
	static const uint8_t tags[] = {0xa0, 0xa1, 0xa0};
	static struct pki_cert middle, low;
	static uint8_t list[4096];
	const long serial = 5;
	struct bytes parts[3];

	pki_cert_make(&middle, &(struct pki_params){.subject = "/CN=Middle",
						    .ca = CA,
						    .issuer = &root,
						    .key = pki_key_get("P-521")});
	pki_cert_make(&low, &(struct pki_params){.subject = "/CN=gw",
						 .names = "DNS:gw.example",
						 .issuer = &middle,
						 .key = pki_key_get("P-384")});
	parts[0] = pki_der(&low);
	parts[1] = bytes_of(list, pki_crl_make(list, &root, &serial, 1, PKI_NOW_S, PKI_NOW_S + 9));
	parts[2] = pki_der(&middle);
	return bundle_of(parts, tags, 3);
}

static void test_bundle(void)
{
	struct bytes whole;

	begin(BASE);
	encoding = CERT_BUNDLE_AND_URL;
	whole = whole_bundle();
	comes(wanted(shown_of(BASE, whole)).id, whole);
	CU_ASSERT_TRUE(verify(shown_of(BASE, whole)).allow);
	encoding = CERT_HASH_AND_URL; /* it is no certificate */
	refused(shown_of(BASE, whole), "is not usable");
	finish();
}

/* It may hold as many as it likes; so many are looked at. */
static void test_S27_bundle_of_many(void)
{
	struct bytes parts[IKE_MAX_CERTS + 1], whole;
	uint8_t tags[IKE_MAX_CERTS + 1];

	begin(BASE);
	encoding = CERT_BUNDLE_AND_URL;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		parts[i] = pki_der(i ? &root : &end);
		tags[i] = 0xa0;
	}
	whole = bundle_of(parts, tags, ARRAY_LEN(parts));
	comes(wanted(shown_of(BASE, whole)).id, whole);
	refused(shown_of(BASE, whole), "more certificates than are looked at");
	encoding = CERT_HASH_AND_URL;
	finish();
}

/* What is cut off or changed is found in the bundle as far as it follows the format, never beyond
 * its end. */
static void walk(struct bytes variant, long bit)
{
	struct bytes rest, cert;

	(void)bit;
	if (bundle_open(&rest, variant))
		return;
	while (!bundle_next(&cert, &rest))
		CU_ASSERT_TRUE(cert.p >= variant.p && cert.len &&
			       cert.p + cert.len <= variant.p + variant.len);
}

static void test_S27_bundle_sweep(void)
{
	struct bytes whole, rest, cert;
	uint32_t num = 0;

	begin(BASE);
	whole = whole_bundle();
	CU_ASSERT_EQUAL_FATAL(bundle_open(&rest, whole), ERR_OK);
	while (!bundle_next(&cert, &rest))
		num++;
	CU_ASSERT_EQUAL(num, 2);
	CU_ASSERT_EQUAL(bundle_next(&cert, &rest), ERR_NOT_FOUND);
	CU_ASSERT_TRUE(sweep(whole.p, whole.len, walk) > 1000);
	finish();
}

/* ---- ours ------------------------------------------------------------------------------------ */

static struct ike_answer sign(bool peer_fetches)
{
	static const uint8_t octets[] = "what is to be signed";
	const struct ike_ask ask = {.kind = IKE_ASK_SIGN,
				    .config = conf->conns[0],
				    .peer_id = &name,
				    .local_id = &name,
				    .octets = bytes_of(octets, sizeof(octets)),
				    .peer_hashes = SIG_HASHES_ALL,
				    .asked_x509 = true,
				    .peer_fetches = peer_fetches};
	struct ike_answer a;

	ike_keyring_answer(keyring, &a, conf, &ask, PKI_NOW_S);
	CU_ASSERT_TRUE(a.allow);
	CU_ASSERT_EQUAL_FATAL(a.num_certs, 1);
	return a;
}

/* To who fetches, where it is published; to all others whole. */
static void test_shown(void)
{
	struct ike_answer a;

	begin(BASE);
	a = sign(true);
	CU_ASSERT_EQUAL(a.certs[0].encoding, CERT_HASH_AND_URL);
	CU_ASSERT_TRUE(bytes_equal(a.certs[0].data, shown(BASE)));
	a = sign(false);
	CU_ASSERT_EQUAL(a.certs[0].encoding, CERT_X509_SIGNATURE);
	CU_ASSERT_TRUE(bytes_equal(a.certs[0].data, pki_der(&end)));
	finish();
	begin(NULL);
	CU_ASSERT_EQUAL(sign(true).certs[0].encoding, CERT_X509_SIGNATURE);
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_fetched),
	TAP_TEST(test_A13_sent_or_fetched),
	TAP_TEST(test_nothing_comes),
	TAP_TEST(test_S27_another_certificate),
	TAP_TEST(test_S27_only_what_is_published),
	TAP_TEST(test_S27_malformed),
	TAP_TEST(test_bundle),
	TAP_TEST(test_S27_bundle_of_many),
	TAP_TEST(test_S27_bundle_sweep),
	TAP_TEST(test_shown),
};

TAP_MAIN("control/hash_url", tests)
