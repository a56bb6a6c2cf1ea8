/* SPDX-License-Identifier: Apache-2.0 */
/* Keys on tokens, as the keyring has them do what is wanted: here the test is the token. */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/rng.h"
#include "control/auth/token_key.h"
#include "control/auth/tokens.h"
#include "control/ike/wire/proto.h"
#include "tests/control/sweep.h"
#include "tests/pki_conf.h"
#include "tests/tap/tap.h"

#define CA     "critical,CA:TRUE"
#define PIN    "0815"
#define OCTETS "what proves who we are"

static struct pki_cert root, end, other;
static struct conf *conf;
static struct ike_keyring *keyring;
static struct ike_id name;
static int64_t now_s;

/* of: the kind of our key. local: more of the local section. */
static void begin_with(const char *of, const char *local, const char *tokens)
{
	struct conf_diags *diags = calloc(1, sizeof(*diags));
	struct tree *tree;
	char text[1024];
	int n = snprintf(text, sizeof(text),
			 "connections { c { local { auth = pubkey\n id = gw.example\n %s }\n"
			 "remote { auth = pubkey\n id = peer.example\n } } }\n"
			 "secrets { %s }\n"
			 "latchkey { pkcs11 { soft { path = /nowhere/module.so\n } } }\n",
			 local, tokens);

	CU_ASSERT_TRUE_FATAL(n > 0 && (size_t)n < sizeof(text));
	pki_cert_make(&root, &(struct pki_params){.subject = "/CN=Root", .ca = CA});
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw",
						 .names = "DNS:gw.example",
						 .issuer = &root,
						 .key = pki_key_get(of)});
	pki_cert_make(&other, &(struct pki_params){.subject = "/CN=other",
						   .names = "DNS:other.example",
						   .issuer = &root,
						   .key = pki_key_get("P-384")});
	CU_ASSERT_EQUAL_FATAL(conf_parse_text(&tree, diags, "text", text, strlen(text)), ERR_OK);
	if (conf_new(&conf, diags, tree))
		tap_diag("%s", diags->list[0].text);
	tree_free(tree);
	free(diags);
	conf = pki_add(conf, CRED_CA, pki_der(&root));
	CU_ASSERT_EQUAL_FATAL(ike_keyring_new(&keyring, rng_system()), ERR_OK);
	ike_keyring_tokens(keyring, true);
	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&name, "gw.example"), ERR_OK);
	now_s = PKI_NOW_S;
}

#define ONE_TOKEN "token1 { handle = 0a0b\n slot = 3\n pin = " PIN " }"

static void begin(const char *of)
{
	begin_with(of, "", ONE_TOKEN);
	conf = pki_add(conf, CRED_CERT, pki_der(&end));
}

static void finish(void)
{
	ike_keyring_free(keyring);
	conf_put(conf);
}

static struct ike_answer sign_for(uint32_t hashes)
{
	const struct ike_ask ask = {
		.kind = IKE_ASK_SIGN,
		.config = conf->conns[0],
		.local_id = &name,
		.peer_id = &name,
		.octets = bytes_of(OCTETS, strlen(OCTETS)),
		.peer_hashes = hashes,
	};
	struct ike_answer a;

	ike_keyring_answer(keyring, &a, conf, &ask, now_s);
	return a;
}

static struct ike_answer sign(void)
{
	return sign_for(SIG_HASH_BIT(SIG_SHA2_256) | SIG_HASH_BIT(SIG_IDENTITY));
}

/* It is wanted of the token, and nothing else is. */
static struct ike_token_task wanted(enum ike_token_op op)
{
	struct ike_token_task t = {.id = 0}, more;

	CU_ASSERT_FALSE(sign().allow);
	CU_ASSERT_TRUE(ike_keyring_waits(keyring));
	CU_ASSERT_TRUE_FATAL(ike_keyring_token(keyring, &t));
	CU_ASSERT_FALSE(ike_keyring_token(keyring, &more));
	CU_ASSERT_EQUAL(t.op, op);
	CU_ASSERT_STRING_EQUAL(t.module, "soft");
	return t;
}

static void comes(uint64_t id, struct bytes data)
{
	ike_keyring_token_learn(keyring, id, data, data.len ? "" : "it is asleep", now_s);
}

static void refused(const char *part)
{
	const struct ike_answer a = sign();

	CU_ASSERT_FALSE(a.allow);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	CU_ASSERT_PTR_NOT_NULL_FATAL(a.text);
	if (!strstr(a.text, part))
		tap_diag("'%s', not '%s'", a.text, part);
	CU_ASSERT_PTR_NOT_NULL(strstr(a.text, part));
}

/* The token's part: of what it is given it makes a signature with the key of `end`. */
static struct bytes made(const struct ike_token_task *t, int pad)
{
	static uint8_t out[1024];
	struct bytes der = pki_private(end.key);
	const unsigned char *at = der.p;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)der.len);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	size_t len = sizeof(out);

	CU_ASSERT_EQUAL_FATAL(EVP_PKEY_sign_init(ctx), 1);
	if (pad) {
		CU_ASSERT_EQUAL(EVP_PKEY_CTX_set_rsa_padding(ctx, pad), 1);
		CU_ASSERT_EQUAL(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
		CU_ASSERT_EQUAL(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST), 1);
	}
	CU_ASSERT_EQUAL(EVP_PKEY_sign(ctx, out, &len, t->data.p, t->data.len), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return bytes_of(out, len);
}

/* ---- what it is for -------------------------------------------------------------------------- */

static void signs(const char *of, enum ike_scheme scheme, int pad)
{
	struct ike_token_task t;
	struct ike_answer a;

	begin(of);
	t = wanted(IKE_TOKEN_KEY);
	CU_ASSERT_EQUAL(t.slot, 3);
	CU_ASSERT_TRUE(bytes_equal(t.handle, bytes_of("\x0a\x0b", 2)));
	CU_ASSERT_TRUE(bytes_equal(t.pin, bytes_of(PIN, strlen(PIN))));
	comes(t.id, pki_spki(end.key));
	t = wanted(IKE_TOKEN_SIGN);
	CU_ASSERT_EQUAL(t.scheme, scheme);
	CU_ASSERT_EQUAL(t.data.len, 32);
	comes(t.id, made(&t, pad));
	a = sign();
	CU_ASSERT_TRUE(a.allow);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	CU_ASSERT_EQUAL(a.auth_method, 14);
	CU_ASSERT_TRUE(bytes_equal(a.key, pki_spki(end.key)));
	finish();
}

static void test_signs(void)
{
	signs("P-256", IKE_SCHEME_ECDSA_SHA2_256, 0);
	signs("rsa2048", IKE_SCHEME_RSA_PSS_SHA2_256, RSA_PKCS1_PSS_PADDING);
}

/* A peer without RFC 7427 gets r and s side by side (RFC 4754); the token makes the same. */
static void test_without_7427(void)
{
	struct ike_token_task t;
	struct ike_answer a;

	begin("P-256");
	t = wanted(IKE_TOKEN_KEY);
	comes(t.id, pki_spki(end.key));
	CU_ASSERT_FALSE(sign_for(0).allow);
	CU_ASSERT_TRUE_FATAL(ike_keyring_token(keyring, &t));
	comes(t.id, made(&t, 0));
	a = sign_for(0);
	CU_ASSERT_TRUE(a.allow);
	CU_ASSERT_EQUAL(a.auth_method, 9);
	CU_ASSERT_EQUAL(a.auth.len, 64);
	finish();
}

/* The certificate lies there too, and is asked for first. */
static void test_certificate(void)
{
	struct ike_token_task t;

	begin_with("P-256", "cert { handle = 0c\n }", ONE_TOKEN);
	t = wanted(IKE_TOKEN_CERT);
	CU_ASSERT_EQUAL(t.slot, CONF_TOKEN_ANY);
	CU_ASSERT_EQUAL(t.pin.len, 0);
	comes(t.id, pki_der(&end));
	t = wanted(IKE_TOKEN_KEY);
	comes(t.id, pki_spki(end.key));
	t = wanted(IKE_TOKEN_SIGN);
	comes(t.id, made(&t, 0));
	CU_ASSERT_TRUE(sign().allow);
	finish();
}

/* ---- what it is not -------------------------------------------------------------------------- */

static void test_S25_token_wrong_signature(void)
{
	struct ike_token_task t;
	struct bytes sig;

	begin("P-256");
	t = wanted(IKE_TOKEN_KEY);
	comes(t.id, pki_spki(end.key));
	t = wanted(IKE_TOKEN_SIGN);
	sig = made(&t, 0);
	comes(t.id, bytes_of(sig.p, sig.len - 1));
	refused("what it signed is not signed by its key");
	finish();
}

/* A signature that is right, but for something else: nobody but the token could have noticed. */
static void test_S25_token_signs_something_else(void)
{
	struct ike_token_task t, lie;

	begin("P-256");
	t = wanted(IKE_TOKEN_KEY);
	comes(t.id, pki_spki(end.key));
	t = wanted(IKE_TOKEN_SIGN);
	lie = t;
	lie.data = bytes_of("12345678901234567890123456789012", 32);
	comes(t.id, made(&lie, 0));
	refused("what it signed is not signed by its key");
	finish();
}

static void test_another_key(void)
{
	begin("P-256");
	comes(wanted(IKE_TOKEN_KEY).id, pki_spki(other.key));
	refused("there is no private key for its certificate or key");
	finish();
}

static void test_certificate_of_another(void)
{
	begin_with("P-256", "cert { handle = 0c\n }", ONE_TOKEN);
	comes(wanted(IKE_TOKEN_CERT).id, pki_der(&other));
	refused("does not hold that identity");
	finish();
}

static void test_nothing_comes(void)
{
	begin("P-256");
	comes(wanted(IKE_TOKEN_KEY).id, bytes_of(NULL, 0));
	refused("the token: it is asleep");
	refused("the token: it is asleep"); /* it is not asked for each handshake */
	now_s += TOKENS_AGAIN_S;
	(void)wanted(IKE_TOKEN_KEY);
	finish();
}

/* What is flushed is asked for again. */
static void test_flushed(void)
{
	begin("P-256");
	comes(wanted(IKE_TOKEN_KEY).id, pki_spki(end.key));
	(void)wanted(IKE_TOKEN_SIGN);
	ike_keyring_flush(keyring);
	(void)wanted(IKE_TOKEN_KEY);
	finish();
}

static void test_modules(void)
{
	begin_with("P-256", "", "token1 { handle = 0a\n module = hard\n pin = 1 }");
	conf = pki_add(conf, CRED_CERT, pki_der(&end));
	refused("is not in latchkey.pkcs11");
	finish();
}

/* Who reaches no tokens, as an engine that is embedded, has no such key. */
static void test_not_reached(void)
{
	begin("P-256");
	ike_keyring_tokens(keyring, false);
	refused("there is no private key");
	finish();
}

static void test_eap_tls(void)
{
	struct ike_ask ask = {.kind = IKE_ASK_EAP_KEY, .local_id = &name, .peer_id = &name};
	struct ike_token_task t;
	struct ike_answer a;

	begin("P-256");
	ask.config = conf->conns[0];
	ike_keyring_answer(keyring, &a, conf, &ask, now_s);
	CU_ASSERT_FALSE(a.allow);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	CU_ASSERT_FALSE(ike_keyring_token(keyring, &t));
	comes(wanted(IKE_TOKEN_KEY).id, pki_spki(end.key));
	ike_keyring_answer(keyring, &a, conf, &ask, now_s);
	CU_ASSERT_FALSE(a.allow);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	CU_ASSERT_PTR_NOT_NULL_FATAL(a.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(a.text, "EAP-TLS takes a key that lies in a file"));
	conf = pki_add(conf, CRED_KEY, pki_private(end.key));
	ask.config = conf->conns[0];
	ike_keyring_answer(keyring, &a, conf, &ask, now_s);
	CU_ASSERT_TRUE(a.allow);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	finish();
}

/* ---- bytes of a token ------------------------------------------------------------------------ */

/* None of them is the key that the certificate has, and none does harm. */
static void try_spki(struct bytes variant, long bit)
{
	(void)bit;
	comes(wanted(IKE_TOKEN_KEY).id, variant);
	CU_ASSERT_FALSE(sign().allow);
	CU_ASSERT_FALSE(ike_keyring_waits(keyring));
	ike_keyring_flush(keyring);
}

static void test_S25_token_spki_sweep(void)
{
	const struct bytes spki = pki_spki(pki_key_get("P-256"));

	begin("P-256");
	CU_ASSERT_TRUE(sweep(spki.p, spki.len, try_spki) > 500);
	finish();
}

static struct conf_token place = {.slot = 1, .handle = {1}, .handle_len = 1};

static struct tokens_ref ref_of(uint8_t handle)
{
	place.handle[0] = handle;
	return (struct tokens_ref){.op = IKE_TOKEN_KEY, .token = &place, .module = "soft"};
}

/* Few are known at a time; while all are under way another one waits for its turn. */
static void test_S3_tokens_bounded(void)
{
	struct tokens *t = tokens_new();
	struct tokens_found found;
	struct ike_token_task task;
	struct tokens_ref ref;
	uint64_t first = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (int i = 0; i <= TOKENS_MAX; i++) {
		ref = ref_of((uint8_t)i);
		CU_ASSERT_EQUAL(tokens_ask(t, &found, &ref, 1000), TOKENS_WAITS);
	}
	for (int i = 0; i < TOKENS_MAX; i++) {
		CU_ASSERT_TRUE(tokens_next(t, &task));
		first = first ? first : task.id;
	}
	CU_ASSERT_FALSE(tokens_next(t, &task));
	tokens_learn(t, first, bytes_of(NULL, 0), "no", 1000);
	CU_ASSERT_EQUAL(tokens_ask(t, &found, &ref, 1000), TOKENS_WAITS);
	CU_ASSERT_TRUE(tokens_next(t, &task));
	CU_ASSERT_EQUAL(task.handle.p[0], TOKENS_MAX);
	tokens_free(t);
}

static struct tokens_ref signing(uint8_t n)
{
	static uint8_t octets[256];
	struct tokens_ref ref = ref_of(1);

	octets[n] = n;
	ref.op = IKE_TOKEN_SIGN;
	ref.scheme = IKE_SCHEME_ECDSA_SHA2_256;
	ref.data = bytes_of(&octets[n], 1);
	return ref;
}

static enum tokens_state ask_at(struct tokens *t, const struct tokens_ref *ref, int64_t wall_s)
{
	struct tokens_found found;

	return tokens_ask(t, &found, ref, wall_s);
}

static void sign_wanted(struct tokens *t, uint8_t n, int64_t wall_s)
{
	const struct tokens_ref ref = signing(n);

	CU_ASSERT_EQUAL(ask_at(t, &ref, wall_s), TOKENS_WAITS);
}

/* Whoever wants signatures, however many, keeps no key from being known. */
static void test_S3_token_signatures_apart(void)
{
	const struct bytes spki = pki_spki(pki_key_get("P-256"));
	struct tokens *t = tokens_new();
	struct ike_token_task task;
	struct tokens_ref key;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	key = ref_of(1);
	CU_ASSERT_EQUAL(ask_at(t, &key, 1000), TOKENS_WAITS);
	CU_ASSERT_TRUE(tokens_next(t, &task));
	tokens_learn(t, task.id, spki, "", 1000);
	for (int i = 0; i <= TOKENS_MAX; i++)
		sign_wanted(t, (uint8_t)i, 1000);
	for (int i = 0; i < TOKENS_MAX; i++)
		CU_ASSERT_TRUE(tokens_next(t, &task));
	CU_ASSERT_FALSE(tokens_next(t, &task)); /* the last one waits for room */
	key = ref_of(1);
	CU_ASSERT_EQUAL(ask_at(t, &key, 1000), TOKENS_HERE);
	tokens_free(t);
}

/* One that was made is there for whom it was made, and once. */
static void test_S3_token_signature_stays(void)
{
	struct tokens *t = tokens_new();
	struct tokens_ref first = signing(0);
	struct ike_token_task task;
	struct tokens_found found;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (int i = 0; i < TOKENS_MAX; i++)
		sign_wanted(t, (uint8_t)i, 1000);
	CU_ASSERT_TRUE_FATAL(tokens_next(t, &task));
	tokens_learn(t, task.id, bytes_of("signed", 6), "", 1030);
	for (int i = 0; i < TOKENS_MAX; i++) /* all but the first ask, and others */
		sign_wanted(t, (uint8_t)(i + 1), 1030);
	CU_ASSERT_EQUAL_FATAL(tokens_ask(t, &found, &first, 1030), TOKENS_HERE);
	CU_ASSERT_TRUE(bytes_equal(found.data, bytes_of("signed", 6)));
	sign_wanted(t, 0, 1030);
	tokens_free(t);
}

/* Who does not ask any more has nothing signed, and takes no room, which who has found none is
 * told. */
static void test_S3_token_signatures_left(void)
{
	struct tokens *t = tokens_new();
	struct ike_token_task task;
	struct tokens_ref ref;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (int i = 0; i < TOKENS_MAX; i++)
		sign_wanted(t, (uint8_t)i, 1000);
	CU_ASSERT_TRUE_FATAL(tokens_next(t, &task)); /* of the first, who has gone, too */
	tokens_round(t);
	sign_wanted(t, 7, 1000); /* somebody is still there */
	sign_wanted(t, 200, 1000);
	CU_ASSERT_TRUE(tokens_unclaimed(t));
	tokens_learn(t, task.id, bytes_of("signed", 6), "", 1000);
	tokens_round(t);
	sign_wanted(t, 7, 1000);
	sign_wanted(t, 200, 1000);
	CU_ASSERT_FALSE(tokens_unclaimed(t)); /* nobody was without room */
	ref = signing(0);                     /* which nobody fetched */
	CU_ASSERT_EQUAL(ask_at(t, &ref, 1000), TOKENS_WAITS);
	for (int i = 0; i < 3; i++) {
		static const uint8_t left[] = {7, 200, 0};

		CU_ASSERT_TRUE_FATAL(tokens_next(t, &task));
		CU_ASSERT_EQUAL(task.data.p[0], left[i]);
	}
	CU_ASSERT_FALSE(tokens_next(t, &task));
	tokens_free(t);
}

/* Who waits for a key has not come to the signature that is there for it yet. */
static void test_S3_token_signature_waits_for_its_key(void)
{
	struct tokens *t = tokens_new();
	const struct tokens_ref sign = signing(0), key = ref_of(1);
	struct ike_token_task task;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	sign_wanted(t, 0, 1000);
	CU_ASSERT_TRUE_FATAL(tokens_next(t, &task));
	tokens_learn(t, task.id, bytes_of("signed", 6), "", 1000);
	tokens_round(t);
	CU_ASSERT_EQUAL(ask_at(t, &key, 1000), TOKENS_WAITS);
	CU_ASSERT_FALSE(tokens_unclaimed(t));
	CU_ASSERT_TRUE_FATAL(tokens_next(t, &task));
	tokens_learn(t, task.id, pki_spki(pki_key_get("P-256")), "", 1001);
	tokens_round(t);
	CU_ASSERT_EQUAL(ask_at(t, &sign, 1001), TOKENS_HERE);
	tokens_free(t);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_signs),
	TAP_TEST(test_without_7427),
	TAP_TEST(test_certificate),
	TAP_TEST(test_S25_token_wrong_signature),
	TAP_TEST(test_S25_token_signs_something_else),
	TAP_TEST(test_another_key),
	TAP_TEST(test_certificate_of_another),
	TAP_TEST(test_nothing_comes),
	TAP_TEST(test_flushed),
	TAP_TEST(test_modules),
	TAP_TEST(test_not_reached),
	TAP_TEST(test_eap_tls),
	TAP_TEST(test_S25_token_spki_sweep),
	TAP_TEST(test_S3_tokens_bounded),
	TAP_TEST(test_S3_token_signatures_apart),
	TAP_TEST(test_S3_token_signature_stays),
	TAP_TEST(test_S3_token_signatures_left),
	TAP_TEST(test_S3_token_signature_waits_for_its_key),
};

TAP_MAIN("control/tokens", tests)
