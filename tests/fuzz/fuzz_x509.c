/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_x509: what public-key authentication reads, chosen by the first byte: a certificate of a
 * peer (with its identities, and as a chain under itself), revocation lists, read and fetched,
 * keys, AUTH values, the payloads CERT and CERTREQ, SIGNATURE_HASH_ALGORITHMS,
 * SUPPORTED_AUTH_METHODS, distinguished names as DER and as text, bundles of
 * certificates.
 */
#include "control/auth/algorithm.h"
#include "control/auth/announce.h"
#include "control/auth/bundle.h"
#include "control/auth/chain.h"
#include "control/auth/dn.h"
#include "control/ike/wire/cert.h"
#include "tests/fuzz/payloads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NOW_S INT64_C(1750000000)

/* A certificate that is taken has a key that is fit for use, and is never believed by itself. */
static void use_certificate(struct bytes der)
{
	static const struct ike_id id = {.type = ID_FQDN, .len = 4, .data = "gw.e"};
	const struct conf_creds nobody = {.num = 0};
	const struct conf_sign any = {.kinds = KEY_BITS_ANY, .hashes = SIG_HASHES_ALL};
	struct chain_fault fault;
	char why[KEY_WHY_MAX], text[64];
	struct cred *c;
	struct bytes ca;

	if (cred_from_peer(&c, why, der)) {
		require(why[0] && strlen(why) < sizeof(why));
		return;
	}
	require(c->info.kind != KEY_NONE && c->spki_len && bytes_equal(cred_der(c), der));
	require(c->info.kind != KEY_RSA || c->info.bits >= KEY_RSA_BITS_MIN);
	(void)cred_has_id(c, &id);
	require(strlen(cred_subject_text(text, sizeof(text), c)) < sizeof(text));
	require(chain_verify(&ca, &fault,
			     &(struct chain_params){.certs = &c,
						    .num_certs = 1,
						    .anchors = &nobody,
						    .store = &nobody,
						    .sign = &any,
						    .wall_s = NOW_S}) != ERR_OK);
	cred_put(c);
}

static void use_file(enum cred_kind kind, struct bytes data)
{
	char why[KEY_WHY_MAX];
	struct cred *c;

	if (cred_import(&c, why, &(struct cred_source){.kind = kind, .data = data})) {
		require(why[0] && strlen(why) < sizeof(why));
		return;
	}
	require((kind == CRED_KEY) == (c->key.len > 0));
	cred_put(c);
}

/* All of a source, or a reason. */
static void use_bundle(enum cred_kind kind, struct bytes data)
{
	struct cred_bundle b;

	if (cred_import_bundle(&b, &(struct cred_source){.kind = kind, .data = data}))
		require(!b.num && b.why[0] && strlen(b.why) < sizeof(b.why));
	else
		require(b.num && b.num + b.bad <= CRED_BUNDLE_MAX + 1 && !b.bad == !b.nth);
	cred_bundle_fini(&b);
}

/* What a server said where something was wanted: it is here, or why not, and no longer wanted. With
 * a key a responder was asked. */
static void use_fetched(struct bytes key, struct bytes data)
{
	static const struct bytes url = {.p = (const uint8_t *)"http://192.0.2.9/", .len = 17};
	const struct fetched_ref ref = {
		.kind = key.len ? FETCHED_STATUS : FETCHED_LIST, .url = url, .key = key};
	struct fetched *f = fetched_new(rng_system());
	struct fetched_task task;
	const char *why;

	require(f && fetched_want(f, &why, &ref, NOW_S) && fetched_next(f, &task));
	require(!task.type == !key.len && !task.body.len == !key.len);
	fetched_learn(f, task.id, data, "", NOW_S);
	require(!fetched_want(f, &why, &ref, NOW_S) && !fetched_next(f, &task));
	fetched_free(f);
}

/* A certificate, its length before it, and what a responder says of it: something, or why not. */
static void use_ocsp(struct bytes data)
{
	static const struct conf_sign sign = {.hashes = SIG_HASHES_ALL};
	static const uint8_t nonce[OCSP_NONCE_LEN];
	const size_t len = data.len >= 2 ? (size_t)(data.p[0] << 8 | data.p[1]) : SIZE_MAX;
	char why[KEY_WHY_MAX], why_not[OCSP_WHY_MAX];
	uint8_t key[OCSP_KEY_MAX];
	struct ocsp_answer a;
	enum ocsp_status status;
	struct cred *ca;
	size_t key_len;

	if (data.len < 2 || len > data.len - 2 ||
	    cred_from_peer(&ca, why, bytes_of(data.p + 2, len)))
		return;
	a = (struct ocsp_answer){.data = bytes_of(data.p + 2 + len, data.len - 2 - len),
				 .nonce = nonce,
				 .cert = ca->x509,
				 .issuer = ca->x509,
				 .sign = &sign,
				 .learned_s = NOW_S,
				 .wall_s = NOW_S};
	status = ocsp_judge(why_not, &a);
	require(!why_not[0] == (status != OCSP_STATUS_NOTHING));
	a.nonce = NULL; /* as a peer sends it */
	require(ocsp_judge(why_not, &a) >= status);
	if (!ocsp_key(key, &key_len, ca->x509, ca->x509))
		use_fetched(bytes_of(key, key_len), a.data);
	cred_put(ca);
}

/* What is found in a bundle lies in it, one behind the other. */
static void use_bundle_of_peer(struct bytes der)
{
	const uint8_t *before = der.p;
	struct bytes rest, cert;

	if (bundle_open(&rest, der))
		return;
	require_within(rest, der);
	while (!bundle_next(&cert, &rest)) {
		require_within(cert, der);
		require(cert.len && cert.p > before);
		before = cert.p;
	}
}

/* An algorithm that is known is written as it was read, or in the form that is ours. */
static void use_auth(uint8_t method, struct bytes value)
{
	uint8_t built[AUTH_SIG_MAX];
	struct auth_sig a, b;
	struct bytes again;
	struct writer w;

	if (auth_sig_parse(&a, method, value))
		return;
	require_within(a.sig, value);
	require(a.sig.len > 0 && method != AUTH_RSA_SIGNATURE && method != AUTH_SHARED_KEY_MIC);
	writer_init(&w, built, sizeof(built));
	auth_sig_write(&w, method, a.scheme, a.sig);
	if (writer_finish(&w, &again))
		return; /* longer than any signature */
	require(auth_sig_parse(&b, method, again) == ERR_OK);
	require(a.scheme.form == b.scheme.form && a.scheme.hash == b.scheme.hash);
	require(bytes_equal(a.sig, b.sig));
}

/* What is known of it comes back as it was. */
static void use_announced(struct bytes data)
{
	uint8_t built[AUTH_ANNOUNCED_MAX];
	char text[AUTH_ANNOUNCED_TEXT_MAX];
	struct auth_announced a, b;
	struct bytes again;
	struct writer w;

	if (auth_announced_parse(&a, data))
		return;
	writer_init(&w, built, sizeof(built));
	auth_announced_write(&w, &a);
	require(!writer_finish(&w, &again) && !auth_announced_parse(&b, again));
	require(a.psk == b.psk && a.null == b.null && a.schemes == b.schemes);
	require(strlen(auth_announced_text(text, &a)) < sizeof(text));
}

static void use_wire(struct bytes body)
{
	struct wire_cert c;
	uint32_t hashes;

	use_announced(body);

	if (!wire_cert_parse(&c, body))
		require_within(c.data, body);
	if (!wire_certreq_parse(&c, body))
		require_within(c.data, body);
	if (!wire_hashes_parse(&hashes, body))
		require(!(hashes & ~SIG_HASHES_ALL));
}

static void use_name(struct bytes der)
{
	uint8_t digests[2][DN_DIGEST_LEN];
	char text[80];

	dn_digest(digests[0], der);
	dn_digest(digests[1], der);
	require(memcmp(digests[0], digests[1], DN_DIGEST_LEN) == 0);
	require(strlen(dn_text(text, sizeof(text), der)) < sizeof(text));
	require(dn_equal(der, der, true) || !dn_equal(der, der, false));
}

static void use_name_text(struct bytes data)
{
	uint8_t der[256];
	char text[600];
	bool wild;
	size_t len;

	if (data.len >= sizeof(text))
		return;
	memcpy(text, data.p, data.len);
	text[data.len] = '\0';
	if (dn_parse(der, sizeof(der), &len, &wild, text))
		return;
	require(len > 0 && len <= sizeof(der));
	use_name(bytes_of(der, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes rest = bytes_of(data + 1, len ? len - 1 : 0);

	if (!len)
		return 0;
	switch (data[0] % 12) {
	case 11:
		use_bundle_of_peer(rest);
		break;
	case 0:
		use_certificate(rest);
		break;
	case 1:
		use_file(CRED_CERT, rest);
		use_bundle(CRED_CERT, rest);
		break;
	case 2:
		use_file(CRED_CRL, rest);
		use_bundle(CRED_CRL, rest);
		break;
	case 9:
		use_fetched(bytes_of(NULL, 0), rest);
		break;
	case 10:
		use_ocsp(rest);
		break;
	case 3:
		use_file(CRED_PUBKEY, rest);
		break;
	case 4:
		use_file(CRED_KEY, rest);
		break;
	case 5:
		if (rest.len)
			use_auth(rest.p[0], bytes_of(rest.p + 1, rest.len - 1));
		break;
	case 6:
		use_wire(rest);
		break;
	case 7:
		use_name(rest);
		break;
	default:
		use_name_text(rest);
		break;
	}
	return 0;
}
