/* SPDX-License-Identifier: Apache-2.0 */
/* What is believed of an OCSP responder's answer (RFC 6960), and why not. */
#include "control/auth/ocsp.h"

#include <openssl/ocsp.h>

#include "base/rng.h"
#include "control/auth/chain.h"
#include "tests/control/sweep.h"
#include "tests/pki.h"
#include "tests/tap/tap.h"

#define DAY_S    INT64_C(86400)
#define CA       "critical,CA:TRUE"
#define MAY_SIGN "OCSPSigning"

static const uint8_t nonce[OCSP_NONCE_LEN] = {1, 2, 3, 250, 251, 252};
static struct pki_cert root, other, end, sibling, delegate;
static struct cred *root_cred, *end_cred;
static struct conf_sign sign;

static struct cred *import(const struct pki_cert *c)
{
	char why[KEY_WHY_MAX];
	struct cred *cred;

	if (cred_from_peer(&cred, why, pki_der(c)))
		abort();
	return cred;
}

static void make_all(void)
{
	static struct pki_key key;

	sign = (struct conf_sign){.hashes = SIG_HASHES_ALL};
	if (root_cred)
		return;
	pki_key_make(&key, "P-256");
	pki_cert_make(&root, &(struct pki_params){.subject = "/CN=Root", .ca = CA});
	pki_cert_make(&other, &(struct pki_params){.subject = "/CN=Root", .ca = CA, .key = &key});
	pki_cert_make(&end,
		      &(struct pki_params){.subject = "/CN=gw", .issuer = &root, .serial = 77});
	pki_cert_make(&sibling,
		      &(struct pki_params){.subject = "/CN=gw2", .issuer = &root, .serial = 78});
	root_cred = import(&root);
	end_cred = import(&end);
}

/* A good answer, by the authority itself. */
static struct pki_ocsp good(void)
{
	make_all();
	return (struct pki_ocsp){.cert = &end,
				 .issuer = &root,
				 .from_s = PKI_NOW_S - 60,
				 .until_s = PKI_NOW_S + DAY_S,
				 .nonce = bytes_of(nonce, sizeof(nonce))};
}

static struct ocsp_answer answer_of(struct bytes data)
{
	return (struct ocsp_answer){.data = data,
				    .nonce = nonce,
				    .cert = end_cred->x509,
				    .issuer = root_cred->x509,
				    .sign = &sign,
				    .learned_s = PKI_NOW_S,
				    .wall_s = PKI_NOW_S};
}

/* judge - what is believed of the answer p at this time, where so many signatures may be verified:
 * *tries, NULL = any number. */
static enum ocsp_status judge(char why[static OCSP_WHY_MAX], const struct pki_ocsp *p,
			      int64_t wall_s, uint32_t *tries)
{
	uint8_t out[8192];
	struct ocsp_answer a = answer_of(bytes_of(out, pki_ocsp_make(out, p)));

	a.wall_s = wall_s;
	a.tries = tries;
	return ocsp_judge(why, &a);
}

static void expect_at(const struct pki_ocsp *p, int64_t wall_s, enum ocsp_status status,
		      const char *part)
{
	char why[OCSP_WHY_MAX];
	const enum ocsp_status found = judge(why, p, wall_s, NULL);

	if (found != status || !strstr(why, part))
		tap_diag("%d: '%s', not '%s'", (int)found, why, part);
	CU_ASSERT_EQUAL(found, status);
	CU_ASSERT_TRUE(strstr(why, part) && !why[0] == (status != OCSP_STATUS_NOTHING));
}

static void expect(const struct pki_ocsp *p, enum ocsp_status status, const char *part)
{
	expect_at(p, PKI_NOW_S, status, part);
}

static void refused(const struct pki_ocsp *p, const char *part)
{
	expect(p, OCSP_STATUS_NOTHING, part);
}

static void test_says(void)
{
	struct pki_ocsp p = good();

	expect(&p, OCSP_STATUS_GOOD, "");
	p.says = PKI_OCSP_REVOKED;
	expect(&p, OCSP_STATUS_REVOKED, "");
	p.says = PKI_OCSP_UNKNOWN;
	refused(&p, "does not know the certificate");
	p.says = PKI_OCSP_LATER;
	refused(&p, "trylater");
	p = good();
	p.cert = &sibling;
	refused(&p, "about other certificates");
}

/* Whom the authority lets sign for it. */
static const struct pki_params responder = {
	.subject = "/CN=Responder", .issuer = &root, .extended = MAY_SIGN, .serial = 9};

/* under_another - the same, by an authority below it. */
static struct pki_params under_another(void)
{
	static struct pki_cert between;
	struct pki_params d = responder;

	if (!between.len)
		pki_cert_make(&between, &(struct pki_params){.subject = "/CN=Between",
							     .issuer = &root,
							     .ca = CA,
							     .key = pki_key_get("P-384")});
	d.issuer = &between;
	return d;
}

/* signed_by - a good answer, by a delegate like this. */
static struct pki_ocsp signed_by(const struct pki_params *d)
{
	struct pki_ocsp p = good();

	pki_cert_make(&delegate, d);
	p.signer = &delegate;
	return p;
}

static void refused_by(const struct pki_params *d)
{
	const struct pki_ocsp p = signed_by(d);

	refused(&p, "not signed by the authority");
}

/* By whom the authority let, and by nobody else (RFC 6960 4.2.2.2). */
static void test_S27_delegates(void)
{
	struct pki_ocsp p = signed_by(&responder);
	struct pki_params d = responder;

	expect(&p, OCSP_STATUS_GOOD, "");
	d.extended = NULL;
	refused_by(&d);
	d.extended = "clientAuth,serverAuth";
	refused_by(&d);
	d = responder;
	d.until_s = PKI_NOW_S - 1;
	refused_by(&d);
	d = responder;
	d.issuer = &other; /* of the same name */
	refused_by(&d);
	d = under_another();
	refused_by(&d);
	p.signer = &sibling; /* of the authority, and not for that */
	refused(&p, "not signed by the authority");
}

/* spent - how many of so many signatures are verified for it. */
static uint32_t spent(const struct pki_ocsp *p, uint32_t of)
{
	uint32_t left = of;
	char why[OCSP_WHY_MAX];

	CU_ASSERT_EQUAL(judge(why, p, PKI_NOW_S, &left),
			of ? OCSP_STATUS_GOOD : OCSP_STATUS_NOTHING);
	return of - left;
}

/* not_tried - nothing is verified for it, and it says nothing. */
static void not_tried(const struct pki_ocsp *p, const char *part)
{
	uint32_t left = 9;
	char why[OCSP_WHY_MAX];

	CU_ASSERT_EQUAL(judge(why, p, PKI_NOW_S, &left), OCSP_STATUS_NOTHING);
	CU_ASSERT_EQUAL(left, 9);
	if (!strstr(why, part))
		tap_diag("'%s', not '%s'", why, part);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, part));
}

/* Whoever sends it chooses what there is to calculate: no more than is worth it. */
static void test_S27_before_the_signature(void)
{
	static const char *const keys[] = {"rsa2048/4294967297", /* 33 bits */
					   "rsa4104", "secp256k1"};
	struct pki_params d = responder;
	struct pki_ocsp p = good();

	CU_ASSERT_EQUAL(spent(&p, 9), 1);
	CU_ASSERT_EQUAL(spent(&p, 0), 0);
	p.cert = &sibling;
	not_tried(&p, "about other certificates");
	p = signed_by(&d);
	CU_ASSERT_EQUAL(spent(&p, 9), 1);
	d = under_another();
	p = signed_by(&d);
	not_tried(&p, "not signed by the authority");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		d = responder;
		d.key = pki_key_get(keys[i]);
		p = signed_by(&d);
		not_tried(&p, "responder's key is of no kind that is taken, weak, or too long");
	}
}

static void test_S27_forged(void)
{
	struct pki_ocsp p = good();

	p.key = other.key;
	refused(&p, "not signed by the authority");
	p.key = NULL;
	p.signer = &other;
	refused(&p, "not signed by the authority");
}

static void test_S27_times(void)
{
	struct pki_ocsp p = good();

	expect_at(&p, p.until_s, OCSP_STATUS_GOOD, "");
	expect_at(&p, p.until_s + 1, OCSP_STATUS_NOTHING, "outdated");
	expect_at(&p, p.from_s - OCSP_SKEW_S, OCSP_STATUS_GOOD, "");
	expect_at(&p, p.from_s - OCSP_SKEW_S - 1, OCSP_STATUS_NOTHING, "not valid yet");
	/* Old news of a certificate that was revoked are no news either. */
	p.says = PKI_OCSP_REVOKED;
	expect_at(&p, p.until_s + 1, OCSP_STATUS_NOTHING, "outdated");
	p = good();
	p.until_s = 0;
	expect(&p, OCSP_STATUS_GOOD, "");
	expect_at(&p, PKI_NOW_S + OCSP_FRESH_S, OCSP_STATUS_GOOD, "");
	expect_at(&p, PKI_NOW_S + OCSP_FRESH_S + 1, OCSP_STATUS_NOTHING, "outdated");
}

/* One that says neither until when it holds nor what it answers to was made just now, or anybody
 * may have kept it. */
static void test_S27_kept(void)
{
	const int64_t oldest_s = PKI_NOW_S - OCSP_FRESH_S - OCSP_SKEW_S;
	struct pki_ocsp p = good();

	p.until_s = 0;
	p.from_s = oldest_s - DAY_S;
	expect(&p, OCSP_STATUS_GOOD, ""); /* it has our nonce */
	p.nonce = bytes_of(NULL, 0);
	refused(&p, "outdated");
	p.from_s = oldest_s - 1;
	refused(&p, "outdated");
	p.from_s = oldest_s;
	expect(&p, OCSP_STATUS_GOOD, "");
	p.from_s = oldest_s - 1;
	p.until_s = PKI_NOW_S;
	expect(&p, OCSP_STATUS_GOOD, ""); /* it says how long it holds */
}

static void test_S27_nonce(void)
{
	static const uint8_t another[OCSP_NONCE_LEN] = {1, 2, 3, 250, 251, 253};
	struct pki_ocsp p = good();

	p.nonce = bytes_of(NULL, 0); /* it was made for all */
	expect(&p, OCSP_STATUS_GOOD, "");
	p.nonce = bytes_of(another, sizeof(another));
	refused(&p, "another question");
	p.nonce = bytes_of(nonce, sizeof(nonce) - 1);
	refused(&p, "another question");
}

static void test_S28_weak_hash(void)
{
	struct pki_ocsp p = good();
	struct ocsp_answer a;
	char why[OCSP_WHY_MAX];
	uint8_t out[8192];

	p.hash = "SHA1";
	refused(&p, "hash that is too weak");
	p.hash = NULL;
	a = answer_of(bytes_of(out, pki_ocsp_make(out, &p)));
	sign.hashes = SIG_HASH_BIT(SIG_SHA2_384);
	CU_ASSERT_EQUAL(ocsp_judge(why, &a), OCSP_STATUS_NOTHING);
}

/* A responder that the authority let is held to what the chain is. */
static void test_S28_weak_delegate(void)
{
	struct pki_params d = {.subject = "/CN=Responder",
			       .issuer = &root,
			       .key = pki_key_get("rsa2048"),
			       .extended = MAY_SIGN};
	struct pki_ocsp p = good();

	p.signer = &delegate;
	p.hash = "SHA384";
	p.pss = true;
	pki_cert_make(&delegate, &d);
	sign.rsa_bits = 2048;
	expect(&p, OCSP_STATUS_GOOD, "");
	sign.rsa_bits = 3072;
	refused(&p, "weaker than `auth` demands");
	sign.rsa_bits = 0;
	sign.hashes = SIG_HASH_BIT(SIG_SHA2_384);
	refused(&p, "weaker than `auth` demands"); /* its certificate is signed with SHA-256 */
	d.hash = "SHA384";
	pki_cert_make(&delegate, &d);
	expect(&p, OCSP_STATUS_GOOD, "");
}

/* The question is the one that OpenSSL's own responder understands. */
static void test_request(void)
{
	uint8_t key[OCSP_KEY_MAX], out[OCSP_REQUEST_MAX];
	const unsigned char *at = out;
	size_t key_len, len;
	OCSP_REQUEST *r;
	OCSP_CERTID *id;

	make_all();
	CU_ASSERT_EQUAL_FATAL(ocsp_key(key, &key_len, end_cred->x509, root_cred->x509), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ocsp_request(out, &len, bytes_of(key, key_len), nonce), ERR_OK);
	r = d2i_OCSP_REQUEST(NULL, &at, (long)len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(OCSP_request_onereq_count(r), 1);
	id = OCSP_cert_to_id(EVP_sha1(), end_cred->x509, root_cred->x509);
	CU_ASSERT_EQUAL(OCSP_id_cmp(id, OCSP_onereq_get0_id(OCSP_request_onereq_get0(r, 0))), 0);
	CU_ASSERT_TRUE(OCSP_REQUEST_get_ext_by_NID(r, NID_id_pkix_OCSP_Nonce, -1) >= 0);
	OCSP_CERTID_free(id);
	OCSP_REQUEST_free(r);
	CU_ASSERT_NOT_EQUAL(ocsp_request(out, &len, bytes_of(key, key_len - 1), nonce), ERR_OK);
}

static uint32_t believed;

static void one_variant(struct bytes variant, long bit)
{
	const struct ocsp_answer a = answer_of(variant);
	char why[OCSP_WHY_MAX];

	if (ocsp_judge(why, &a) != OCSP_STATUS_NOTHING) {
		believed++;
		tap_diag("bit %ld", bit);
	}
}

/* Whatever is changed or missing, it is not believed any more. */
static void test_S27_sweep(void)
{
	struct pki_ocsp p = good();
	uint8_t out[8192];
	const size_t len = pki_ocsp_make(out, &p);

	CU_ASSERT_TRUE(sweep(out, len, one_variant) > 1000);
	CU_ASSERT_EQUAL(believed, 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_says),
	TAP_TEST(test_S27_delegates),
	TAP_TEST(test_S27_forged),
	TAP_TEST(test_S27_times),
	TAP_TEST(test_S27_kept),
	TAP_TEST(test_S27_nonce),
	TAP_TEST(test_S28_weak_hash),
	TAP_TEST(test_S28_weak_delegate),
	TAP_TEST(test_request),
	TAP_TEST(test_S27_sweep),
	TAP_TEST(test_S27_before_the_signature),
};

TAP_MAIN("control/ocsp", tests)
