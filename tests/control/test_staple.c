/* SPDX-License-Identifier: Apache-2.0 */
/* OCSP responses within IKE (RFC 4806): what a peer sends of its certificate, and what it is sent
 * of ours. */
#include <stdio.h>

#include "base/rng.h"
#include "control/auth/chain.h"
#include "control/engine.h"
#include "control/ike/wire/proto.h"
#include "tests/control/sweep.h"
#include "tests/pki_conf.h"
#include "tests/tap/tap.h"

#define CA        "critical,CA:TRUE"
#define RESPONDER "http://192.0.2.5/ocsp"
#define OTHER     "http://192.0.2.6/ocsp"
#define DAY_S     INT64_C(86400)

/* NEVER_SAID - it does not say until when it holds. */
#define NEVER_SAID INT64_C(-1)

static struct pki_cert root, end;
static struct conf *conf;
static struct ike_keyring *keyring;
static struct ike_id name;
static int64_t now_s;

/* more: of the connection. */
static void begin(const char *more)
{
	struct conf_diags *diags = calloc(1, sizeof(*diags));
	struct tree *tree;
	char text[512];

	snprintf(text, sizeof(text),
		 "connections { c { local { auth = pubkey\n id = gw.example\n }\n"
		 "remote { auth = pubkey\n id = gw.example\n revocation = strict\n }\n %s } }\n",
		 more);
	pki_cert_make(&root, &(struct pki_params){.subject = "/CN=Root", .ca = CA});
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw",
						 .names = "DNS:gw.example",
						 .issuer = &root,
						 .serial = 77,
						 .access = "OCSP;URI:" RESPONDER});
	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&tree, diags, "text", text, strlen(text)), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_new(&conf, diags, tree), ERR_OK);
	tree_free(tree);
	free(diags);
	conf = pki_add(conf, CRED_CA, pki_der(&root));
	conf = pki_add(conf, CRED_CERT, pki_der(&end));
	conf = pki_add(conf, CRED_KEY, pki_private(end.key));
	CU_ASSERT_EQUAL_FATAL(ike_keyring_new(&keyring, rng_system()), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&name, "gw.example"), ERR_OK);
	now_s = PKI_NOW_S;
}

static void finish(void)
{
	ike_keyring_free(keyring);
	conf_put(conf);
}

/* What a responder says of `end`, for a day unless said otherwise. */
static struct bytes said(struct pki_ocsp p)
{
	static uint8_t out[8192];

	p.cert = p.cert ? p.cert : &end;
	p.issuer = p.issuer ? p.issuer : &root;
	p.from_s = p.from_s ? p.from_s : now_s;
	p.until_s = p.until_s == NEVER_SAID ? 0 : p.until_s ? p.until_s : now_s + DAY_S;
	return bytes_of(out, pki_ocsp_make(out, &p));
}

/* ---- the peer's ------------------------------------------------------------------------------ */

#define RESPONSES_MAX 4

static struct ike_answer verify_all(const struct bytes *responses, uint32_t num)
{
	struct ike_cert certs[1 + RESPONSES_MAX] = {
		{.encoding = CERT_X509_SIGNATURE, .data = pki_der(&end)},
	};
	const struct ike_ask ask = {.kind = IKE_ASK_VERIFY_CHAIN,
				    .config = conf->conns[0],
				    .peer_id = &name,
				    .local_id = &name,
				    .certs = certs,
				    .num_certs = 1 + num};
	struct ike_answer a;

	for (uint32_t i = 0; i < num && i < RESPONSES_MAX; i++)
		certs[1 + i] =
			(struct ike_cert){.encoding = CERT_OCSP_CONTENT, .data = responses[i]};
	ike_keyring_answer(keyring, &a, conf, &ask, now_s);
	return a;
}

static struct ike_answer verify(struct bytes response)
{
	return verify_all(&response, response.len ? 1 : 0);
}

static void refused(struct bytes response, enum ike_reason reason, const char *part)
{
	const struct ike_answer a = verify(response);

	CU_ASSERT_FALSE(a.allow);
	CU_ASSERT_EQUAL(a.reason, reason);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a.text);
	if (!strstr(a.text, part))
		tap_diag("'%s', not '%s'", a.text, part);
	CU_ASSERT_PTR_NOT_NULL(strstr(a.text, part));
}

/* It counts as one that was fetched would, and saves the fetch. */
static void test_taken(void)
{
	struct ike_want w;

	begin("");
	refused(bytes_of(NULL, 0), IKE_REASON_CERT_NO_REVOCATION, "no revocation list here");
	CU_ASSERT_TRUE(verify(said((struct pki_ocsp){.says = PKI_OCSP_GOOD})).allow);
	refused(said((struct pki_ocsp){.says = PKI_OCSP_REVOKED}), IKE_REASON_CERT_REVOKED,
		"was revoked");
	ike_keyring_fetches(keyring, true);
	CU_ASSERT_TRUE(verify(said((struct pki_ocsp){.says = PKI_OCSP_GOOD})).allow);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	CU_ASSERT_FALSE(ike_keyring_want(keyring, &w));
	finish();
}

/* The nonce is of whoever asked: it is nobody's here. */
static void test_nonce_of_another(void)
{
	begin("");
	CU_ASSERT_TRUE(verify(said((struct pki_ocsp){.says = PKI_OCSP_GOOD,
						     .nonce = bytes_of("12345678", 8)}))
			       .allow);
	finish();
}

/* Nobody here has asked, so it must say itself that it holds. */
static void test_S27_staple_times(void)
{
	begin("");
	refused(said((struct pki_ocsp){.says = PKI_OCSP_GOOD,
				       .from_s = now_s - 2 * DAY_S,
				       .until_s = now_s - DAY_S}),
		IKE_REASON_CERT_NO_REVOCATION,
		"the OCSP response that it sent told nothing: the OCSP response is outdated");
	refused(said((struct pki_ocsp){.says = PKI_OCSP_GOOD, .from_s = now_s + DAY_S}),
		IKE_REASON_CERT_NO_REVOCATION, "is not valid yet");
	refused(said((struct pki_ocsp){
			.says = PKI_OCSP_GOOD, .from_s = now_s - DAY_S, .until_s = NEVER_SAID}),
		IKE_REASON_CERT_NO_REVOCATION, "is outdated");
	finish();
}

static void test_S27_staple_forged(void)
{
	struct pki_cert mallory;

	begin("");
	pki_cert_make(
		&mallory,
		&(struct pki_params){.subject = "/CN=Root", .ca = CA, .key = pki_key_get("P-384")});
	refused(said((struct pki_ocsp){.says = PKI_OCSP_GOOD, .signer = &mallory}),
		IKE_REASON_CERT_NO_REVOCATION, "not signed by the authority, or by whom it let");
	finish();
}

/* Who sends many of a certificate has few of them looked at; those about others do not count. */
static void test_S27_staple_number(void)
{
	static uint8_t good[8192], forged[8192], another[8192];
	struct pki_ocsp p = {.says = PKI_OCSP_GOOD};
	struct bytes all[RESPONSES_MAX];
	struct pki_cert mallory, sibling;

	begin("");
	pki_cert_make(
		&mallory,
		&(struct pki_params){.subject = "/CN=Root", .ca = CA, .key = pki_key_get("P-384")});
	pki_cert_make(&sibling,
		      &(struct pki_params){.subject = "/CN=other", .issuer = &root, .serial = 78});
	all[0] = said(p);
	all[2] = bytes_of(memcpy(good, all[0].p, all[0].len), all[0].len);
	p.signer = &mallory;
	all[0] = said(p);
	all[0] = bytes_of(memcpy(forged, all[0].p, all[0].len), all[0].len);
	p.signer = NULL;
	p.cert = &sibling;
	all[3] = said(p);
	all[3] = bytes_of(memcpy(another, all[3].p, all[3].len), all[3].len);
	all[1] = all[3];
	CU_ASSERT_TRUE(verify_all(all, 3).allow); /* forged, another's, good */
	all[1] = all[0];
	CU_ASSERT_FALSE(verify_all(all, 3).allow);
	all[0] = all[1] = all[3];
	CU_ASSERT_TRUE(verify_all(all, 3).allow);
	finish();
}

/* What was fetched says that it was revoked: an older response does not say otherwise. */
static void test_S27_staple_revoked(void)
{
	struct ike_want w;

	begin("");
	ike_keyring_fetches(keyring, true);
	(void)verify(bytes_of(NULL, 0));
	CU_ASSERT_TRUE_FATAL(ike_keyring_want(keyring, &w));
	ike_keyring_learn(keyring, w.id, said((struct pki_ocsp){.says = PKI_OCSP_REVOKED}), "",
			  now_s);
	refused(said((struct pki_ocsp){.says = PKI_OCSP_GOOD}), IKE_REASON_CERT_REVOKED,
		"was revoked");
	finish();
}

/* Where none is asked for none counts. */
static void test_S27_staple_unasked(void)
{
	static const char *const ways[] = {"ocsp = reply\n", "ocsp = never\n"};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		begin(ways[i]);
		refused(said((struct pki_ocsp){.says = PKI_OCSP_GOOD}),
			IKE_REASON_CERT_NO_REVOCATION, "no revocation list here");
		finish();
	}
	begin("ocsp = request\n");
	CU_ASSERT_TRUE(verify(said((struct pki_ocsp){.says = PKI_OCSP_GOOD})).allow);
	finish();
}

/* What says nothing does not keep us from asking ourselves. */
static void test_asked_all_the_same(void)
{
	struct ike_want w;

	begin("");
	ike_keyring_fetches(keyring, true);
	(void)verify(said((struct pki_ocsp){.says = PKI_OCSP_UNKNOWN}));
	CU_ASSERT_TRUE(ike_keyring_waits(keyring));
	CU_ASSERT_TRUE(ike_keyring_want(keyring, &w));
	CU_ASSERT_STRING_EQUAL(w.url, RESPONDER);
	finish();
}

static void try_variant(struct bytes variant, long bit)
{
	(void)bit;
	CU_ASSERT_FALSE(verify(variant).allow);
}

static void test_S27_staple_sweep(void)
{
	static uint8_t copy[8192];
	struct bytes good;

	begin("");
	good = said((struct pki_ocsp){.says = PKI_OCSP_GOOD});
	memcpy(copy, good.p, good.len);
	CU_ASSERT_TRUE(verify(good).allow);
	CU_ASSERT_TRUE(sweep(copy, good.len, try_variant) > 1000);
	finish();
}

/* ---- ours ------------------------------------------------------------------------------------ */

static struct ike_answer ask_sign(bool asked)
{
	const struct ike_ask ask = {.kind = IKE_ASK_SIGN,
				    .config = conf->conns[0],
				    .local_id = &name,
				    .peer_id = &name,
				    .octets = bytes_of("octets", 6),
				    .peer_hashes = SIG_HASH_BIT(SIG_SHA2_256),
				    .asked_x509 = true,
				    .asked_ocsp = asked};
	struct ike_answer a;

	ike_keyring_answer(keyring, &a, conf, &ask, now_s);
	return a;
}

static struct ike_answer sign(bool asked)
{
	const struct ike_answer a = ask_sign(asked);

	CU_ASSERT_TRUE(a.allow);
	CU_ASSERT_TRUE(a.auth.len > 0);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	return a;
}

/* It is waited for, and nothing was signed yet: that happens once. */
static void waits(void)
{
	const struct ike_answer a = ask_sign(true);

	CU_ASSERT_TRUE(ike_keyring_waits(keyring));
	CU_ASSERT_FALSE(a.allow);
	CU_ASSERT_EQUAL(a.auth.len, 0);
}

/* A response that is kept goes behind the certificate, as long as it holds. */
static void test_sent(void)
{
	struct pki_ocsp good = {.says = PKI_OCSP_GOOD};
	struct ike_answer a;
	struct ike_want w;

	begin("");
	ike_keyring_fetches(keyring, true);
	waits();
	CU_ASSERT_TRUE_FATAL(ike_keyring_want(keyring, &w));
	CU_ASSERT_STRING_EQUAL(w.url, RESPONDER);
	CU_ASSERT_STRING_EQUAL(w.type, "application/ocsp-request");
	CU_ASSERT_TRUE(w.body.len < 100); /* there is no nonce in it */
	ike_keyring_learn(keyring, w.id, said(good), "", now_s);
	a = sign(true);
	CU_ASSERT_EQUAL_FATAL(a.num_certs, 2);
	CU_ASSERT_EQUAL(a.certs[1].encoding, CERT_OCSP_CONTENT);
	CU_ASSERT_TRUE(verify(a.certs[1].data).allow);
	CU_ASSERT_EQUAL(sign(false).num_certs, 1);
	now_s += 2 * DAY_S; /* it is out of date: another one is asked for */
	waits();
	finish();
}

/* Everything else that is known of is under way: what is wanted next takes the room of what is said
 * of us. */
static void fill(struct fetched *f)
{
	const char *why;
	char url[64];

	for (int i = 1; i < FETCHED_MAX; i++) {
		int n = snprintf(url, sizeof(url), "http://192.0.2.9/%d", i);
		const struct fetched_ref ref = {.kind = FETCHED_LIST,
						.url = bytes_of(url, (size_t)n)};

		CU_ASSERT_TRUE(fetched_want(f, &why, &ref, now_s));
	}
}

static struct cred *of_two_responders(void)
{
	struct pki_cert cert;
	char why[KEY_WHY_MAX];
	struct cred *c = NULL;

	pki_cert_make(&cert,
		      &(struct pki_params){.subject = "/CN=gw",
					   .issuer = &root,
					   .serial = 77,
					   .access = "OCSP;URI:" RESPONDER ",OCSP;URI:" OTHER});
	CU_ASSERT_EQUAL_FATAL(cred_from_peer(&c, why, pki_der(&cert)), ERR_OK);
	return c;
}

/* What is sent is there until it is sent: once one responder has answered no other is asked. */
static void test_staple_stays(void)
{
	static const struct conf_sign any = {.kinds = KEY_BITS_ANY, .hashes = SIG_HASHES_ALL};
	struct fetched_ref ref = {.kind = FETCHED_STAPLE,
				  .url = bytes_of(RESPONDER, strlen(RESPONDER))};
	struct fetched *f = fetched_new(rng_system());
	struct chain_params p = {.num_certs = 2, .sign = &any, .fetched = f};
	struct cred *certs[2];
	uint8_t key[OCSP_KEY_MAX];
	struct fetched_data kept;
	struct fetched_task task;
	struct bytes good, out;
	const char *why;

	begin("");
	certs[0] = of_two_responders();
	certs[1] = conf->creds.list[0];
	p.certs = certs;
	p.store = &conf->creds;
	p.wall_s = now_s;
	CU_ASSERT_EQUAL_FATAL(ocsp_key(key, &ref.key.len, certs[0]->x509, certs[1]->x509), ERR_OK);
	ref.key.p = key;
	CU_ASSERT_TRUE(fetched_want(f, &why, &ref, now_s));
	CU_ASSERT_TRUE_FATAL(fetched_next(f, &task));
	good = said((struct pki_ocsp){.says = PKI_OCSP_GOOD});
	fetched_learn(f, task.id, good, "", now_s);
	fill(f);
	CU_ASSERT_FALSE(chain_staple(&out, &p));
	CU_ASSERT_TRUE_FATAL(fetched_data(f, &kept, &ref));
	CU_ASSERT_PTR_EQUAL(out.p, kept.data.p);
	CU_ASSERT_TRUE(bytes_equal(out, good));
	fetched_free(f);
	cred_put(certs[0]);
	finish();
}

/* What would not be believed is not sent, and nobody waits for what does not come. */
static void test_not_sent(void)
{
	struct ike_want w;

	begin("");
	CU_ASSERT_EQUAL(sign(true).num_certs, 1);
	ike_keyring_fetches(keyring, true);
	waits();
	CU_ASSERT_TRUE_FATAL(ike_keyring_want(keyring, &w));
	ike_keyring_learn(keyring, w.id, said((struct pki_ocsp){.says = PKI_OCSP_LATER}), "",
			  now_s);
	CU_ASSERT_EQUAL(sign(true).num_certs, 1);
	finish();
	begin("ocsp = request\n");
	ike_keyring_fetches(keyring, true);
	CU_ASSERT_EQUAL(sign(true).num_certs, 1);
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_taken),
	TAP_TEST(test_nonce_of_another),
	TAP_TEST(test_S27_staple_times),
	TAP_TEST(test_S27_staple_forged),
	TAP_TEST(test_asked_all_the_same),
	TAP_TEST(test_S27_staple_number),
	TAP_TEST(test_S27_staple_revoked),
	TAP_TEST(test_S27_staple_unasked),
	TAP_TEST(test_S27_staple_sweep),
	TAP_TEST(test_sent),
	TAP_TEST(test_staple_stays),
	TAP_TEST(test_not_sent),
};

TAP_MAIN("control/staple", tests)
