/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates: imports, identities, chains, and each refusal with its reason. */
#include "control/auth/chain.h"

#include <openssl/bn.h>
#include <time.h>

#include "base/rng.h"
#include "control/auth/dn.h"
#include "control/auth/verify.h"
#include "tests/pki_conf.h"
#include "tests/tap/tap.h"

#define DAY_S INT64_C(86400)

static struct pki_cert root, end;

/* struct world - one question. */
struct world {
	struct conf *conf; /* anchors and lists */
	struct cred *certs[CHAIN_MAX];
	uint32_t num_certs;
	struct conf_sign sign;
	enum conf_revocation revocation;
	int64_t wall_s;
};

static struct world world_new(void)
{
	struct world w = {.sign = {.kinds = KEY_BITS_ANY, .hashes = SIG_HASHES_ALL},
			  .wall_s = PKI_NOW_S};

	return w;
}

static void show(struct world *w, const struct pki_cert *cert)
{
	char why[KEY_WHY_MAX];

	if (cred_from_peer(&w->certs[w->num_certs++], why, pki_der(cert))) {
		tap_diag("%s", why);
		abort();
	}
}

static void trust(struct world *w, const struct pki_cert *cert)
{
	w->conf = pki_add(w->conf, CRED_CA, pki_der(cert));
}

/* The verdict; frees the world. */
static enum ike_reason judge(struct world *w, char text[static 400])
{
	struct chain_fault fault = {.reason = IKE_REASON_NONE};
	struct chain_params p = {.certs = w->certs,
				 .num_certs = w->num_certs,
				 .anchors = &w->conf->creds,
				 .store = &w->conf->creds,
				 .sign = &w->sign,
				 .revocation = w->revocation,
				 .wall_s = w->wall_s};
	struct bytes ca;
	enum err e = chain_verify(&ca, &fault, &p);

	CU_ASSERT_EQUAL(e, fault.reason ? ERR_AUTH : ERR_OK);
	CU_ASSERT_EQUAL(ca.len > 0, !e);
	memcpy(text, fault.text, sizeof(fault.text));
	for (uint32_t i = 0; i < w->num_certs; i++)
		cred_put(w->certs[i]);
	conf_put(w->conf);
	return fault.reason;
}

static void expect(struct world *w, enum ike_reason reason, const char *part)
{
	char text[400] = "";
	enum ike_reason found = judge(w, text);

	if (found != reason || (part && !strstr(text, part)))
		tap_diag("%s: '%s', not %s: '%s'", ike_reason_name(found), text,
			 ike_reason_name(reason), part ? part : "");
	CU_ASSERT_EQUAL(found, reason);
	CU_ASSERT_TRUE(!part || strstr(text, part));
}

#define CA "critical,CA:TRUE"

static void make_root(void)
{
	if (!root.len)
		pki_cert_make(&root, &(struct pki_params){.subject = "/CN=Root", .ca = CA});
}

/* A certificate under the root, and what comes of it. */
static void check_end(struct pki_params p, enum ike_reason reason, const char *part)
{
	struct world w = world_new();

	make_root();
	p.subject = p.subject ? p.subject : "/C=CH/CN=gw";
	p.issuer = &root;
	pki_cert_make(&end, &p);
	trust(&w, &root);
	show(&w, &end);
	expect(&w, reason, part);
}

static void test_good_ends(void)
{
	check_end((struct pki_params){.names = "DNS:gw.example"}, IKE_REASON_NONE, NULL);
	check_end((struct pki_params){.usage = "critical,digitalSignature"}, IKE_REASON_NONE, NULL);
	check_end((struct pki_params){.usage = "nonRepudiation"}, IKE_REASON_NONE, NULL);
	check_end((struct pki_params){.extended = "1.3.6.1.5.5.7.3.17"}, IKE_REASON_NONE, NULL);
	check_end((struct pki_params){.extended = "serverAuth,codeSigning"}, IKE_REASON_NONE, NULL);
	check_end((struct pki_params){.key = pki_key_get("ed25519")}, IKE_REASON_NONE, NULL);
	check_end((struct pki_params){.key = pki_key_get("rsa2048"), .hash = "SHA512"},
		  IKE_REASON_NONE, NULL);
}

static void test_time(void)
{
	check_end((struct pki_params){.until_s = PKI_NOW_S - 1}, IKE_REASON_CERT_EXPIRED,
		  "the certificate C=CH, CN=gw has expired");
	check_end((struct pki_params){.from_s = PKI_NOW_S + 10}, IKE_REASON_CERT_NOT_YET,
		  "is not valid yet");
	check_end((struct pki_params){.from_s = PKI_NOW_S - 10, .until_s = PKI_NOW_S + 10},
		  IKE_REASON_NONE, NULL);
}

static void test_usage(void)
{
	check_end((struct pki_params){.usage = "critical,keyAgreement"}, IKE_REASON_CERT_USAGE,
		  "may not sign (key usage)");
	check_end((struct pki_params){.extended = "codeSigning"}, IKE_REASON_CERT_USAGE,
		  "for other uses than IKE");
	check_end((struct pki_params){.extended = "OCSPSigning"}, IKE_REASON_CERT_USAGE,
		  "for other uses than IKE");
}

static void test_S28_no_sha1_in_chains(void)
{
	check_end((struct pki_params){.hash = "SHA1"}, IKE_REASON_CERT_WEAK, "too weak");
	check_end((struct pki_params){.hash = "SHA224"}, IKE_REASON_CERT_WEAK, "too weak");
}

static void test_what_auth_asks_for(void)
{
	struct world w = world_new();

	make_root();
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw", .issuer = &root});
	trust(&w, &root);
	show(&w, &end);
	w.sign.hashes = SIG_HASH_BIT(SIG_SHA2_384);
	expect(&w, IKE_REASON_CERT_WEAK, "that `auth` does not let");
	w = world_new();
	trust(&w, &root);
	show(&w, &end);
	w.sign.ecdsa_bits = 384;
	expect(&w, IKE_REASON_CERT_WEAK, "a shorter key than `auth` demands");
}

static void test_unknown_authority(void)
{
	struct pki_cert stranger;
	struct world w = world_new();

	make_root();
	pki_cert_make(&stranger, &(struct pki_params){.subject = "/CN=Stranger", .ca = CA});
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw", .issuer = &stranger});
	trust(&w, &root);
	show(&w, &end);
	expect(&w, IKE_REASON_CERT_UNKNOWN_CA, "CN=gw is of an authority that is not known here");
	w = world_new();
	trust(&w, &root);
	show(&w, &end);
	show(&w, &stranger);
	expect(&w, IKE_REASON_CERT_UNKNOWN_CA, "not known here");
	w = world_new();
	trust(&w, &root);
	show(&w, &stranger);
	expect(&w, IKE_REASON_CERT_UNKNOWN_CA, "signed by itself");
}

/* One with the root's name and another key: its signature is wrong. */
static void test_same_name_other_key(void)
{
	struct pki_cert fake;
	struct world w = world_new();

	make_root();
	pki_cert_make(&fake, &(struct pki_params){
				     .subject = "/CN=Root", .ca = CA, .key = pki_key_get("P-384")});
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw", .issuer = &fake});
	trust(&w, &root);
	show(&w, &end);
	expect(&w, IKE_REASON_CERT_INVALID, "has a wrong signature");
}

/* ---- longer chains --------------------------------------------------------------------------- */

/* Root, an authority below it with these properties, an end's certificate. */
static void check_middle(struct pki_params middle, struct pki_params p, enum ike_reason reason,
			 const char *part)
{
	struct pki_cert between;
	struct world w = world_new();

	make_root();
	middle.subject = "/CN=Between";
	middle.issuer = &root;
	middle.key = middle.key ? middle.key : pki_key_get("P-521");
	pki_cert_make(&between, &middle);
	p.subject = p.subject ? p.subject : "/C=CH/CN=gw";
	p.issuer = &between;
	pki_cert_make(&end, &p);
	trust(&w, &root);
	show(&w, &end);
	show(&w, &between);
	expect(&w, reason, part);
}

static void test_intermediate(void)
{
	const struct pki_params plain = {.names = "DNS:gw.example"};

	check_middle((struct pki_params){.ca = CA}, plain, IKE_REASON_NONE, NULL);
	check_middle((struct pki_params){.ca = CA, .usage = "critical,keyCertSign"}, plain,
		     IKE_REASON_NONE, NULL);
	check_middle((struct pki_params){.ca = CA, .until_s = PKI_NOW_S - 1}, plain,
		     IKE_REASON_CERT_EXPIRED, "CN=Between has expired");
	check_middle((struct pki_params){.ca = "critical,CA:FALSE"}, plain, IKE_REASON_CERT_USAGE,
		     "is not an authority's, and has signed one");
	check_middle((struct pki_params){.ca = NULL}, plain, IKE_REASON_CERT_USAGE,
		     "is not an authority's, and has signed one");
	check_middle((struct pki_params){.usage = "keyCertSign"}, plain, IKE_REASON_CERT_USAGE,
		     "is not an authority's, and has signed one");
	check_middle((struct pki_params){.ca = CA, .usage = "critical,cRLSign"}, plain,
		     IKE_REASON_CERT_USAGE, "has signed one");
	check_middle((struct pki_params){.ca = CA, .hash = "SHA1"}, plain, IKE_REASON_CERT_WEAK,
		     "too weak");
}

static void test_path_length(void)
{
	struct pki_cert a, b;
	struct world w = world_new();

	make_root();
	pki_cert_make(&a, &(struct pki_params){.subject = "/CN=A",
					       .issuer = &root,
					       .ca = "critical,CA:TRUE,pathlen:0",
					       .key = pki_key_get("P-384")});
	pki_cert_make(&b, &(struct pki_params){.subject = "/CN=B",
					       .issuer = &a,
					       .ca = CA,
					       .key = pki_key_get("P-521")});
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw", .issuer = &b});
	trust(&w, &root);
	show(&w, &end);
	show(&w, &b);
	show(&w, &a);
	expect(&w, IKE_REASON_CERT_PATH_LENGTH, "than its path length allows");
	check_middle((struct pki_params){.ca = "critical,CA:TRUE,pathlen:0"},
		     (struct pki_params){.names = "DNS:gw.example"}, IKE_REASON_NONE, NULL);
}

/* ---- S26: name constraints ------------------------------------------------------------------- */

static void test_S26_name_constraints(void)
{
	const struct pki_params inside = {.names = "DNS:gw.example.com"},
				outside = {.names = "DNS:gw.example.org"},
				address = {.names = "IP:10.1.2.3"};

	check_middle(
		(struct pki_params){.ca = CA, .constraints = "critical,permitted;DNS:example.com"},
		inside, IKE_REASON_NONE, NULL);
	check_middle(
		(struct pki_params){.ca = CA, .constraints = "critical,permitted;DNS:example.com"},
		outside, IKE_REASON_CERT_NAME, "does not permit");
	check_middle((struct pki_params){.ca = CA, .constraints = "permitted;DNS:example.com"},
		     outside, IKE_REASON_CERT_NAME, "does not permit");
	check_middle((struct pki_params){.ca = CA, .constraints = "excluded;DNS:example.org"},
		     outside, IKE_REASON_CERT_NAME, "excludes");
	check_middle(
		(struct pki_params){.ca = CA, .constraints = "permitted;IP:10.1.0.0/255.255.0.0"},
		address, IKE_REASON_NONE, NULL);
	check_middle(
		(struct pki_params){.ca = CA, .constraints = "permitted;IP:10.2.0.0/255.255.0.0"},
		address, IKE_REASON_CERT_NAME, "does not permit");
}

/* One on a kind of name that is not held against names is a refusal, though none is there. */
static void test_S26_unenforceable(void)
{
	const struct pki_params plain = {.names = "DNS:gw.example.com"};

	check_middle((struct pki_params){.ca = CA, .constraints = "permitted;RID:1.2.3.4"}, plain,
		     IKE_REASON_CERT_NAME, "cannot be enforced");
	check_middle(
		(struct pki_params){.ca = CA, .constraints = "excluded;otherName:1.2.3.4;UTF8:x"},
		plain, IKE_REASON_CERT_NAME, "cannot be enforced");
	check_middle((struct pki_params){.ca = CA, .constraints = "critical,excluded;RID:1.2.3.4"},
		     plain, IKE_REASON_CERT_NAME, "cannot be enforced");
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void test_S27_number_of_certificates(void)
{
	struct chain_fault fault;
	struct world w = world_new();
	struct chain_params p = {.certs = w.certs, .num_certs = CHAIN_MAX + 1};
	struct bytes ca;

	CU_ASSERT_EQUAL(chain_verify(&ca, &fault, &p), ERR_AUTH);
	CU_ASSERT_EQUAL(fault.reason, IKE_REASON_CERT_PATH_LENGTH);
	p.num_certs = 0;
	CU_ASSERT_EQUAL(chain_verify(&ca, &fault, &p), ERR_AUTH);
}

/* Authorities that stand around in a circle end somewhere. */
static void test_circle(void)
{
	struct pki_cert a, b;
	struct world w = world_new();

	make_root();
	pki_cert_make(&a, &(struct pki_params){
				  .subject = "/CN=A", .ca = CA, .key = pki_key_get("P-384")});
	pki_cert_make(&b, &(struct pki_params){.subject = "/CN=B",
					       .issuer = &a,
					       .ca = CA,
					       .key = pki_key_get("P-521")});
	pki_cert_make(&a, &(struct pki_params){.subject = "/CN=A",
					       .issuer = &b,
					       .ca = CA,
					       .key = pki_key_get("P-384")});
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw", .issuer = &a});
	trust(&w, &root);
	show(&w, &end);
	show(&w, &a);
	show(&w, &b);
	expect(&w, IKE_REASON_CERT_UNKNOWN_CA, "not known here");
}

/* ---- revocation ------------------------------------------------------------------------------ */

static void check_revoked(enum conf_revocation mode, const char *uri, const long *serials,
			  size_t num, int64_t until_s, bool with_list, enum ike_reason reason,
			  const char *part)
{
	struct world w = world_new();
	uint8_t list[4096];
	size_t len;

	make_root();
	pki_cert_make(&end,
		      &(struct pki_params){
			      .subject = "/CN=gw", .issuer = &root, .serial = 77, .crl_uri = uri});
	trust(&w, &root);
	show(&w, &end);
	w.revocation = mode;
	if (with_list) {
		len = pki_crl_make(list, &root, serials, num, PKI_NOW_S - DAY_S, until_s);
		w.conf = pki_add(w.conf, CRED_CRL, bytes_of(list, len));
	}
	expect(&w, reason, part);
}

static void test_revocation(void)
{
	static const long us[] = {12, 77}, others[] = {12, 78};
	const int64_t later = PKI_NOW_S + DAY_S, before = PKI_NOW_S - 1;

	for (int mode = CONF_REVOCATION_RELAXED; mode <= CONF_REVOCATION_STRICT; mode++) {
		check_revoked((enum conf_revocation)mode, NULL, us, 2, later, true,
			      IKE_REASON_CERT_REVOKED, "CN=gw was revoked");
		check_revoked((enum conf_revocation)mode, NULL, others, 2, later, true,
			      IKE_REASON_NONE, NULL);
	}
	check_revoked(CONF_REVOCATION_RELAXED, "URI:ldap:list", NULL, 0, 0, false, IKE_REASON_NONE,
		      NULL);
	check_revoked(CONF_REVOCATION_IFURI, NULL, NULL, 0, 0, false, IKE_REASON_NONE, NULL);
	check_revoked(CONF_REVOCATION_IFURI, "URI:ldap:list", NULL, 0, 0, false,
		      IKE_REASON_CERT_NO_REVOCATION, "has no revocation list here");
	check_revoked(CONF_REVOCATION_STRICT, NULL, NULL, 0, 0, false,
		      IKE_REASON_CERT_NO_REVOCATION, "has no revocation list here");
	check_revoked(CONF_REVOCATION_STRICT, NULL, others, 2, before, true,
		      IKE_REASON_CERT_NO_REVOCATION, "outdated");
	check_revoked(CONF_REVOCATION_RELAXED, NULL, others, 2, before, true, IKE_REASON_NONE,
		      NULL);
	/* An old list still knows who was revoked. */
	check_revoked(CONF_REVOCATION_RELAXED, NULL, us, 2, before, true, IKE_REASON_CERT_REVOKED,
		      "was revoked");
}

/* Somebody who is called as the authority is has a newer list: it is not hers, and hides none. */
static void test_S27_list_of_a_namesake(void)
{
	static const long us = 77, others = 78;
	struct pki_cert namesake;
	struct world w = world_new();
	uint8_t list[4096];
	size_t len;

	make_root();
	pki_cert_make(
		&namesake,
		&(struct pki_params){.subject = "/CN=Root", .ca = CA, .key = pki_key_get("P-384")});
	pki_cert_make(&end,
		      &(struct pki_params){.subject = "/CN=gw", .issuer = &root, .serial = 77});
	trust(&w, &root);
	show(&w, &end);
	len = pki_crl_make(list, &root, &us, 1, PKI_NOW_S - DAY_S, PKI_NOW_S + DAY_S);
	w.conf = pki_add(w.conf, CRED_CRL, bytes_of(list, len));
	len = pki_crl_make(list, &namesake, &others, 1, PKI_NOW_S - 60, PKI_NOW_S + DAY_S);
	w.conf = pki_add(w.conf, CRED_CRL, bytes_of(list, len));
	expect(&w, IKE_REASON_CERT_REVOKED, "CN=gw was revoked");
}

/* ---- identities ------------------------------------------------------------------------------ */

static bool holds(const struct pki_cert *cert, const char *id_text)
{
	struct ike_id id;
	struct cred *c;
	char why[KEY_WHY_MAX];
	bool has;

	CU_ASSERT_EQUAL_FATAL(conf_id_parse(&id, id_text), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(cred_from_peer(&c, why, pki_der(cert)), ERR_OK);
	has = cred_has_id(c, &id);
	cred_put(c);
	return has;
}

static void test_identities(void)
{
	struct pki_cert c;

	make_root();
	pki_cert_make(
		&c,
		&(struct pki_params){
			.subject = "/C=CH/O=Example/CN=gw.example.com",
			.issuer = &root,
			.names = "DNS:a.example.com,DNS:*.wild.example.com,email:me@example.com,"
				 "IP:192.0.2.1,IP:2001:db8::1"});
	CU_ASSERT_TRUE(holds(&c, "a.example.com"));
	CU_ASSERT_TRUE(holds(&c, "A.Example.COM"));
	CU_ASSERT_TRUE(holds(&c, "me@example.com"));
	CU_ASSERT_TRUE(holds(&c, "192.0.2.1"));
	CU_ASSERT_TRUE(holds(&c, "2001:db8::1"));
	CU_ASSERT_TRUE(holds(&c, "C=CH, O=Example, CN=gw.example.com"));
	CU_ASSERT_TRUE(holds(&c, "c=CH, o=EXAMPLE, cn=GW.example.com"));
	CU_ASSERT_FALSE(holds(&c, "gw.example.com")); /* a common name is no host name */
	CU_ASSERT_FALSE(holds(&c, "b.wild.example.com"));
	CU_ASSERT_FALSE(holds(&c, "a.example.co"));
	CU_ASSERT_FALSE(holds(&c, "a.example.com.evil.org"));
	CU_ASSERT_FALSE(holds(&c, "192.0.2.2"));
	CU_ASSERT_FALSE(holds(&c, "you@example.com"));
	CU_ASSERT_FALSE(holds(&c, "O=Example, C=CH, CN=gw.example.com"));
	CU_ASSERT_FALSE(holds(&c, "C=CH, O=Example"));
	CU_ASSERT_FALSE(holds(&c, "C=CH, O=*, CN=gw.example.com")); /* the peer's star is a star */
	CU_ASSERT_FALSE(holds(&c, "keyid:#0102"));
}

static bool dn_same(const char *a, const char *b, bool wild)
{
	uint8_t x[256], y[256];
	size_t nx, ny;
	bool star;

	CU_ASSERT_EQUAL_FATAL(dn_parse(x, sizeof(x), &nx, &star, a), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(dn_parse(y, sizeof(y), &ny, &star, b), ERR_OK);
	return dn_equal(bytes_of(x, nx), bytes_of(y, ny), wild);
}

static void test_names(void)
{
	char text[200];
	uint8_t der[256];
	size_t len;
	bool wild;

	CU_ASSERT_TRUE(dn_same("C=CH, CN=*", "C=CH, CN=anything", true));
	CU_ASSERT_FALSE(dn_same("C=CH, CN=*", "C=CH, CN=anything", false));
	CU_ASSERT_FALSE(dn_same("C=CH, CN=gw", "C=CH, CN=*", true));
	CU_ASSERT_FALSE(dn_same("C=CH, CN=*", "C=CH, O=x, CN=y", true));
	CU_ASSERT_FALSE(dn_same("C=CH, CN=*", "C=DE, CN=y", true));
	CU_ASSERT_TRUE(dn_same("C=CH, CN=z\xc3\xbc", "C=CH, CN=z\xc3\xbc", false));
	CU_ASSERT_EQUAL(dn_parse(der, sizeof(der), &len, &wild, "C=CH, O=\"A, B\", E=a@b, CN=gw"),
			ERR_OK);
	dn_text(text, sizeof(text), bytes_of(der, len));
	CU_ASSERT_STRING_EQUAL(text, "C=CH, O=A\\, B, emailAddress=a@b, CN=gw");
	for (size_t n = 0; n < len; n++) {
		CU_ASSERT_FALSE(dn_equal(bytes_of(der, n), bytes_of(der, n), true));
		dn_text(text, sizeof(text), bytes_of(der, n));
		CU_ASSERT_STRING_EQUAL(text, "");
	}
}

/* ---- imports --------------------------------------------------------------------------------- */

static enum err import(enum cred_kind kind, const void *p, size_t len, const char *pass,
		       char why[static KEY_WHY_MAX])
{
	const struct cred_source s = {.kind = kind,
				      .data = bytes_of(p, len),
				      .passphrase = bytes_of(pass, pass ? strlen(pass) : 0)};
	struct cred *c;
	enum err e = cred_import(&c, why, &s);

	if (!e) {
		CU_ASSERT_TRUE(kind == CRED_CRL || c->info.kind != KEY_NONE);
		CU_ASSERT_EQUAL(kind == CRED_KEY, c->key.len > 0);
		cred_put(c);
	} else {
		CU_ASSERT_TRUE(why[0] != '\0');
	}
	return e;
}

static enum err import_pem(enum cred_kind kind, const char *label, struct bytes der)
{
	const char *pem = pki_pem(label, der);
	char why[KEY_WHY_MAX];

	return import(kind, pem, strlen(pem), NULL, why);
}

static void test_imports(void)
{
	static const char *const kinds[] = {"rsa2048", "P-256",   "P-384",
					    "P-521",   "ed25519", "ed448"};
	char why[KEY_WHY_MAX];

	make_root();
	CU_ASSERT_EQUAL(import_pem(CRED_CERT, "CERTIFICATE", pki_der(&root)), ERR_OK);
	CU_ASSERT_EQUAL(import_pem(CRED_CA, "CERTIFICATE", pki_der(&root)), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct pki_key *k = pki_key_get(kinds[i]);

		CU_ASSERT_EQUAL(import_pem(CRED_KEY, "PRIVATE KEY", pki_private(k)), ERR_OK);
		CU_ASSERT_EQUAL(import_pem(CRED_PUBKEY, "PUBLIC KEY", pki_spki(k)), ERR_OK);
		CU_ASSERT_EQUAL(import(CRED_KEY, k->private, k->private_len, NULL, why), ERR_OK);
		CU_ASSERT_EQUAL(import(CRED_PUBKEY, k->spki, k->spki_len, NULL, why), ERR_OK);
		CU_ASSERT_NOT_EQUAL(import(CRED_KEY, k->spki, k->spki_len, NULL, why), ERR_OK);
		CU_ASSERT_NOT_EQUAL(import(CRED_CERT, k->spki, k->spki_len, NULL, why), ERR_OK);
	}
	check_end((struct pki_params){.names = "DNS:x"}, IKE_REASON_NONE, NULL);
	CU_ASSERT_EQUAL(import(CRED_CA, end.der, end.len, NULL, why), ERR_INVAL);
	CU_ASSERT_EQUAL(import(CRED_CRL, end.der, end.len, NULL, why), ERR_MALFORMED);
	CU_ASSERT_EQUAL(import(CRED_CERT, "", 0, NULL, why), ERR_MALFORMED);
}

/* Whoever took it for a whole list would take all for good that it does not name. */
static void test_S27_delta_list(void)
{
	struct pki_crl p = {.from_s = PKI_NOW_S, .until_s = PKI_NOW_S + DAY_S, .issuer = &root};
	char why[KEY_WHY_MAX];
	uint8_t list[4096];

	make_root();
	CU_ASSERT_EQUAL(import(CRED_CRL, list, pki_crl_make_of(list, &p), NULL, why), ERR_OK);
	p.delta = true;
	CU_ASSERT_EQUAL(import(CRED_CRL, list, pki_crl_make_of(list, &p), NULL, why),
			ERR_UNSUPPORTED);
	CU_ASSERT_TRUE(strstr(why, "only what changed") != NULL);
}

static void test_S25_weak_keys_are_not_imported(void)
{
	static struct pki_key weak;
	struct pki_cert c;
	char why[KEY_WHY_MAX];

	pki_key_make(&weak, "rsa1024");
	CU_ASSERT_EQUAL(import(CRED_KEY, weak.private, weak.private_len, NULL, why), ERR_LIMIT);
	CU_ASSERT_EQUAL(import(CRED_PUBKEY, weak.spki, weak.spki_len, NULL, why), ERR_LIMIT);
	make_root();
	pki_cert_make(&c,
		      &(struct pki_params){.subject = "/CN=weak", .issuer = &root, .key = &weak});
	CU_ASSERT_EQUAL(import(CRED_CERT, c.der, c.len, NULL, why), ERR_LIMIT);
	CU_ASSERT_STRING_EQUAL(why, "its RSA key has 1024 bits: 2048 to 8192 are accepted");
}

static void test_cut_and_longer_certificates(void)
{
	char why[KEY_WHY_MAX];
	uint8_t more[8193];

	make_root();
	for (size_t n = 0; n < root.len; n++)
		CU_ASSERT_NOT_EQUAL(import(CRED_CERT, root.der, n, NULL, why), ERR_OK);
	memcpy(more, root.der, root.len);
	more[root.len] = 0;
	CU_ASSERT_EQUAL(import(CRED_CERT, more, root.len + 1, NULL, why), ERR_MALFORMED);
}

/* A modulus that is a prime costs whoever tests it, and is no key. */
static const struct pki_key *degenerate_key(void)
{
	static struct pki_key key;
	BIGNUM *prime = BN_get_rfc3526_prime_2048(NULL);

	key = *pki_key_get("rsa2048");
	BN_bn2bin(prime, key.spki + key.spki_len - 5 - 256); /* 02 03 01 00 01 follows */
	BN_free(prime);
	return &key;
}

static enum err verify_with(char why[static KEY_WHY_MAX], struct bytes cert)
{
	static const uint8_t id[] = {2, 0, 0, 0, 'g', 'w'}, auth[64] = {0};
	const struct rng *rng = rng_system();
	struct ike_id local = {.type = 2, .len = 1, .data = {'l'}};
	struct auth_signature_params p = {.octets = {.id_body = bytes_of(id, sizeof(id))},
					  .local = &local,
					  .method = 14,
					  .auth = bytes_of(auth, sizeof(auth)),
					  .cert = cert,
					  .kinds = KEY_BITS_ANY,
					  .hashes = SIG_HASHES_ALL};
	struct auth_proof *proof = NULL;
	struct crypto_ctx *c;
	enum err e;

	CU_ASSERT_EQUAL_FATAL(crypto_ctx_new(&c, rng), ERR_OK);
	e = auth_verify_signature(c, &proof, why, &p);
	crypto_ctx_free(c);
	CU_ASSERT_PTR_NULL(proof);
	return e;
}

/* Whoever has shown nothing yet costs no test of a modulus; whoever signs does. */
static void test_S27_keys_are_tested_when_vouched_for(void)
{
	char why[KEY_WHY_MAX];
	struct pki_cert cert;
	struct cred *c;

	make_root();
	pki_cert_make(&cert, &(struct pki_params){.subject = "/CN=gw",
						  .issuer = &root,
						  .names = "DNS:gw",
						  .key = degenerate_key()});
	CU_ASSERT_EQUAL_FATAL(cred_from_peer(&c, why, pki_der(&cert)), ERR_OK);
	CU_ASSERT_EQUAL(c->info.kind, KEY_RSA);
	CU_ASSERT_TRUE(c->info.bits == 2048);
	cred_put(c);
	CU_ASSERT_EQUAL(verify_with(why, pki_der(&cert)), ERR_LIMIT);
	CU_ASSERT_STRING_EQUAL(why, "its RSA key is degenerate");
	CU_ASSERT_EQUAL(import(CRED_CERT, cert.der, cert.len, NULL, why), ERR_LIMIT);
}

/* CPU time of a verification in nanoseconds, the best of some. */
static uint64_t cost(struct world *w)
{
	const struct chain_params p = {.certs = w->certs,
				       .num_certs = w->num_certs,
				       .anchors = &w->conf->creds,
				       .store = &w->conf->creds,
				       .sign = &w->sign,
				       .wall_s = w->wall_s};
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 10; i++) {
		struct timespec from, to;
		struct chain_fault fault;
		struct bytes ca;
		uint64_t ns;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		CU_ASSERT_EQUAL(chain_verify(&ca, &fault, &p), ERR_OK);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		ns = (uint64_t)((to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec);
		best = ns < best ? ns : best;
	}
	return best;
}

/* Authorities that have nothing to do with a chain cost it next to nothing: they are decoded once,
 * on import. */
static void test_many_authorities(void)
{
	struct world w = world_new();
	struct pki_cert more;
	char subject[40];
	uint64_t alone, among;

	make_root();
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw", .issuer = &root});
	trust(&w, &root);
	show(&w, &end);
	alone = cost(&w);
	for (int i = 0; i < 200; i++) {
		snprintf(subject, sizeof(subject), "/CN=Authority %d", i);
		pki_cert_make(&more, &(struct pki_params){.subject = subject, .ca = CA});
		trust(&w, &more);
	}
	among = cost(&w);
	if (among > 5 * alone)
		tap_diag("%llu us instead of %llu us", (unsigned long long)among / 1000,
			 (unsigned long long)alone / 1000);
	CU_ASSERT_TRUE(among <= 5 * alone);
	expect(&w, IKE_REASON_NONE, NULL);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_good_ends),
	TAP_TEST(test_time),
	TAP_TEST(test_usage),
	TAP_TEST(test_S28_no_sha1_in_chains),
	TAP_TEST(test_what_auth_asks_for),
	TAP_TEST(test_unknown_authority),
	TAP_TEST(test_same_name_other_key),
	TAP_TEST(test_intermediate),
	TAP_TEST(test_path_length),
	TAP_TEST(test_S26_name_constraints),
	TAP_TEST(test_S26_unenforceable),
	TAP_TEST(test_S27_number_of_certificates),
	TAP_TEST(test_S27_keys_are_tested_when_vouched_for),
	TAP_TEST(test_circle),
	TAP_TEST(test_revocation),
	TAP_TEST(test_S27_list_of_a_namesake),
	TAP_TEST(test_identities),
	TAP_TEST(test_names),
	TAP_TEST(test_imports),
	TAP_TEST(test_S27_delta_list),
	TAP_TEST(test_S25_weak_keys_are_not_imported),
	TAP_TEST(test_cut_and_longer_certificates),
	TAP_TEST(test_many_authorities),
};

TAP_MAIN("chain", tests)
