/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation lists that are fetched: when one is wanted, what is believed of what comes, and what
 * is said of what does not. */
#include "control/auth/fetched.h"

#include <stdio.h>

#include "base/log.h"
#include "base/rng.h"
#include "control/auth/chain.h"
#include "tests/control/sweep.h"
#include "tests/pki_conf.h"
#include "tests/tap/tap.h"

#define DAY_S INT64_C(86400)
#define CA    "critical,CA:TRUE"
#define URL   "http://192.0.2.9/root.crl"
#define AT    "URI:" URL

static struct pki_cert root, middle, end;
static struct fetched *fetched;
static int64_t now_s;

/* Anew for each test. */
static void begin(void)
{
	if (!root.len)
		pki_cert_make(&root, &(struct pki_params){.subject = "/CN=Root", .ca = CA});
	fetched = fetched_new(rng_system());
	CU_ASSERT_PTR_NOT_NULL_FATAL(fetched);
	now_s = PKI_NOW_S;
}

static void finish(void)
{
	fetched_free(fetched);
}

static bool next_url(uint64_t *out_id, const char **out_url)
{
	struct fetched_task t;

	if (!fetched_next(fetched, &t))
		return false;
	*out_id = t.id;
	*out_url = t.url;
	return true;
}

static void make_end(const char *crl_uri)
{
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw",
						 .issuer = &root,
						 .serial = 77,
						 .crl_uri = crl_uri});
}

/* ---- one question ---------------------------------------------------------------------------- */

/* struct question - shown: the end's own first. uri, responder: of the authority's configuration.
 */
struct question {
	enum conf_revocation revocation;
	const struct pki_cert *shown[3], *anchor;
	const char *uri, *responder;
	bool alone; /* nothing is fetched */
};

static struct conf *anchors_of(const struct question *q)
{
	const struct pki_cert *anchor = q->anchor ? q->anchor : &root;
	const struct cred_source source = {.kind = CRED_CA, .name = "ca", .data = pki_der(anchor)};
	char why[KEY_WHY_MAX];
	struct conf *conf;
	struct cred *ca;

	CU_ASSERT_EQUAL_FATAL(cred_import(&ca, why, &source), ERR_OK);
	if (q->uri)
		CU_ASSERT_EQUAL_FATAL(cred_uris_add(&ca->crl_uris, q->uri), ERR_OK);
	if (q->responder)
		CU_ASSERT_EQUAL_FATAL(cred_uris_add(&ca->ocsp_uris, q->responder), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(conf_with_cred(&conf, NULL, ca), ERR_OK);
	cred_put(ca);
	return conf;
}

static enum ike_reason ask(const struct question *q, struct chain_fault *fault)
{
	const struct conf_sign sign = {.kinds = KEY_BITS_ANY, .hashes = SIG_HASHES_ALL};
	struct cred *certs[ARRAY_LEN(q->shown)];
	struct conf *conf = anchors_of(q);
	struct chain_params p = {.certs = certs,
				 .anchors = &conf->creds,
				 .store = &conf->creds,
				 .sign = &sign,
				 .revocation = q->revocation,
				 .fetched = q->alone ? NULL : fetched,
				 .wall_s = now_s};
	char why[KEY_WHY_MAX];
	struct bytes ca;
	enum err e;

	for (; p.num_certs < ARRAY_LEN(q->shown) && q->shown[p.num_certs]; p.num_certs++)
		CU_ASSERT_EQUAL_FATAL(
			cred_from_peer(&certs[p.num_certs], why, pki_der(q->shown[p.num_certs])),
			ERR_OK);
	*fault = (struct chain_fault){.reason = IKE_REASON_NONE};
	e = chain_verify(&ca, fault, &p);
	CU_ASSERT_EQUAL(e, fault->reason ? ERR_AUTH : ERR_OK);
	while (p.num_certs)
		cred_put(certs[--p.num_certs]);
	conf_put(conf);
	return fault->reason;
}

/* It waits for these URLs, no others; *out_id is the last one's. */
static void expect_wanted(const struct question *q, uint64_t *out_id, const char *const *urls,
			  size_t num)
{
	struct chain_fault fault;
	const char *url = NULL;

	(void)ask(q, &fault);
	CU_ASSERT_EQUAL(fault.waits, num > 0);
	for (size_t i = 0; i < num; i++) {
		CU_ASSERT_TRUE_FATAL(next_url(out_id, &url));
		CU_ASSERT_STRING_EQUAL(url, urls[i]);
	}
	CU_ASSERT_FALSE(next_url(out_id, &url));
}

static void expect(const struct question *q, enum ike_reason reason, const char *part)
{
	struct chain_fault fault;
	const enum ike_reason found = ask(q, &fault);

	if (found != reason || !strstr(fault.text, part))
		tap_diag("%s: '%s', not '%s'", ike_reason_name(found), fault.text, part);
	CU_ASSERT_EQUAL(found, reason);
	CU_ASSERT_TRUE(strstr(fault.text, part) != NULL);
	CU_ASSERT_FALSE(fault.waits);
}

static void nothing_wanted(const struct question *q)
{
	uint64_t id = 0;

	expect_wanted(q, &id, NULL, 0);
}

static uint64_t wanted(const struct question *q)
{
	static const char *const url = URL;
	uint64_t id = 0;

	expect_wanted(q, &id, &url, 1);
	return id;
}

/* ---- what comes ------------------------------------------------------------------------------ */

static void list_comes(uint64_t id, const struct pki_cert *issuer, long serial, int64_t from_s,
		       int64_t until_s)
{
	uint8_t list[4096];
	const size_t len = pki_crl_make(list, issuer, &serial, 1, from_s, until_s);

	fetched_learn(fetched, id, bytes_of(list, len), "", now_s);
}

static void good_list_comes(uint64_t id, long serial)
{
	list_comes(id, &root, serial, now_s - DAY_S, now_s + DAY_S);
}

#define EVERY_MODE(mode_)                                          \
	for (enum conf_revocation mode_ = CONF_REVOCATION_RELAXED; \
	     mode_ <= CONF_REVOCATION_STRICT; mode_++)

static void test_revoked(void)
{
	EVERY_MODE(mode)
	{
		const struct question q = {.revocation = mode, .shown = {&end}};

		begin();
		make_end(AT);
		good_list_comes(wanted(&q), 77);
		expect(&q, IKE_REASON_CERT_REVOKED, "CN=gw was revoked");
		finish();
	}
}

static void test_not_revoked(void)
{
	EVERY_MODE(mode)
	{
		const struct question q = {.revocation = mode, .shown = {&end}};

		begin();
		make_end(AT);
		good_list_comes(wanted(&q), 78);
		expect(&q, IKE_REASON_NONE, "");
		finish();
	}
}

/* As long as a list is good it is not fetched again, and then it is. */
static void test_cached_until_it_is_outdated(void)
{
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};

	begin();
	make_end(AT);
	good_list_comes(wanted(&q), 78);
	now_s += DAY_S - 1;
	expect(&q, IKE_REASON_NONE, "");
	nothing_wanted(&q);
	now_s += 2;
	good_list_comes(wanted(&q), 77);
	expect(&q, IKE_REASON_CERT_REVOKED, "was revoked");
	finish();
}

/* Why nothing is known is said; only who demands it refuses. */
static void test_nothing_came(void)
{
	static const char *const said[] = {
		[CONF_REVOCATION_RELAXED] = "",
		[CONF_REVOCATION_IFURI] = "has no revocation list here",
		[CONF_REVOCATION_STRICT] = "and " URL " told nothing: no answer within 2 s",
	};

	EVERY_MODE(mode)
	{
		const struct question q = {.revocation = mode, .shown = {&end}};

		begin();
		make_end(AT);
		fetched_learn(fetched, wanted(&q), bytes_of(NULL, 0), "no answer within 2 s",
			      now_s);
		expect(&q,
		       mode == CONF_REVOCATION_RELAXED ? IKE_REASON_NONE
						       : IKE_REASON_CERT_NO_REVOCATION,
		       said[mode]);
		nothing_wanted(&q);
		finish();
	}
}

static void test_outdated_when_it_comes(void)
{
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};

	begin();
	make_end(AT);
	list_comes(wanted(&q), &root, 78, now_s - 2 * DAY_S, now_s - DAY_S);
	expect(&q, IKE_REASON_CERT_NO_REVOCATION, "only an outdated revocation list");
	nothing_wanted(&q);
	finish();
}

/* A list of another authority of the same name: it neither revokes nor vouches. */
static void test_S27_forged_list(void)
{
	struct pki_key key;
	struct pki_cert forger;

	pki_key_make(&key, "P-256");
	pki_cert_make(&forger, &(struct pki_params){.subject = "/CN=Root", .ca = CA, .key = &key});
	EVERY_MODE(mode)
	{
		const struct question q = {.revocation = mode, .shown = {&end}};

		for (long serial = 77; serial <= 78; serial++) {
			begin();
			make_end(AT);
			list_comes(wanted(&q), &forger, serial, now_s - DAY_S, now_s + DAY_S);
			expect(&q,
			       mode == CONF_REVOCATION_RELAXED ? IKE_REASON_NONE
							       : IKE_REASON_CERT_NO_REVOCATION,
			       "");
			finish();
		}
	}
}

/* Root, an authority below it, and the end; somebody else is called as the authority is. What they
 * have cannot be verified: OpenSSL does not take it for the issuer, as it has expired. */
static void make_namesakes(struct pki_cert *namesake)
{
	const struct pki_params p = {
		.subject = "/CN=Middle", .ca = CA, .issuer = &root, .key = pki_key_get("P-384")};
	struct pki_params other = p;

	pki_cert_make(&middle, &p);
	other.issuer = NULL;
	other.key = pki_key_get("P-521");
	other.until_s = now_s - DAY_S;
	pki_cert_make(namesake, &other);
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw",
						 .issuer = &middle,
						 .serial = 77,
						 .crl_uri = AT ",URI:http://192.0.2.8/b"});
}

/* A list is held against the authority that stands in the chain, whoever else shows its name: a
 * namesake neither hides its lists nor makes some. */
static void test_S27_namesakes(void)
{
	static const char *const urls[] = {URL, "http://192.0.2.8/b"};
	struct pki_cert namesake;
	const struct question q = {.shown = {&end, &namesake, &middle}};

	for (int forged = 0; forged <= 1; forged++) {
		uint64_t id = 0;

		begin();
		make_namesakes(&namesake);
		expect_wanted(&q, &id, urls, 2);
		list_comes(id - 1, &middle, 77, now_s - DAY_S, now_s + DAY_S);
		if (forged)
			list_comes(id, &namesake, 78, now_s - 60, now_s + DAY_S);
		expect(&q, IKE_REASON_CERT_REVOKED, "CN=gw was revoked");
		finish();
	}
}

/* RSASSA-PSS has its hash in its parameters. */
static void test_S28_pss_list(void)
{
	const struct question q = {
		.revocation = CONF_REVOCATION_STRICT, .shown = {&end}, .anchor = &middle};
	struct pki_crl p = {
		.issuer = &middle, .from_s = PKI_NOW_S - DAY_S, .until_s = PKI_NOW_S + DAY_S};
	uint8_t list[4096];

	pki_cert_make(&middle, &(struct pki_params){.subject = "/CN=RSA",
						    .ca = CA,
						    .key = pki_key_get("rsa2048")});
	p.pss = true;
	for (int weak = 0; weak <= 1; weak++) {
		begin();
		pki_cert_make(&end, &(struct pki_params){
					    .subject = "/CN=gw", .issuer = &middle, .crl_uri = AT});
		p.hash = weak ? "SHA1" : "SHA384";
		fetched_learn(fetched, wanted(&q), bytes_of(list, pki_crl_make_of(list, &p)), "",
			      now_s);
		expect(&q, weak ? IKE_REASON_CERT_NO_REVOCATION : IKE_REASON_NONE, "");
		finish();
	}
}

static void test_S28_weak_list(void)
{
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};
	const long other = 78;
	uint8_t list[4096];
	size_t len;

	begin();
	make_end(AT);
	len = pki_crl_make_of(list, &(struct pki_crl){.issuer = &root,
						      .serials = &other,
						      .num = 1,
						      .from_s = now_s - DAY_S,
						      .until_s = now_s + DAY_S,
						      .hash = "SHA1"});
	fetched_learn(fetched, wanted(&q), bytes_of(list, len), "", now_s);
	expect(&q, IKE_REASON_CERT_NO_REVOCATION, "has no revocation list");
	finish();
}

/* One that holds for ever, or only what changed, says nothing. */
static void test_S27_lists_that_say_too_little(void)
{
	static const struct {
		struct pki_crl list;
		const char *part;
	} rows[] = {
		{{.until_s = 0}, "does not say until when it holds"},
		{{.until_s = PKI_NOW_S + DAY_S, .delta = true}, "only what changed in another"},
	};
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pki_crl p = rows[i].list;
		uint8_t list[4096];

		begin();
		make_end(AT);
		p.issuer = &root;
		p.from_s = now_s - DAY_S;
		fetched_learn(fetched, wanted(&q), bytes_of(list, pki_crl_make_of(list, &p)), "",
			      now_s);
		expect(&q, IKE_REASON_CERT_NO_REVOCATION, rows[i].part);
		finish();
	}
}

/* ---- responders ------------------------------------------------------------------------------ */

#define RESPONDER "http://192.0.2.5/ocsp"

/* Both are told of: a responder, and a list. */
static void make_end_of_both(const char *crl_uri)
{
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw",
						 .issuer = &root,
						 .serial = 77,
						 .crl_uri = crl_uri,
						 .access = "OCSP;URI:" RESPONDER});
}

/* The responder alone is asked; what it is asked is posted. */
static struct fetched_task asked(const struct question *q)
{
	struct chain_fault fault;
	struct fetched_task t = {.id = 0}, none;

	(void)ask(q, &fault);
	CU_ASSERT_TRUE(fault.waits);
	CU_ASSERT_TRUE_FATAL(fetched_next(fetched, &t));
	CU_ASSERT_STRING_EQUAL(t.url, RESPONDER);
	CU_ASSERT_STRING_EQUAL(t.type, "application/ocsp-request");
	CU_ASSERT_TRUE(t.body.len > OCSP_NONCE_LEN);
	CU_ASSERT_FALSE(fetched_next(fetched, &none));
	return t;
}

static void responder_says(uint64_t id, struct pki_ocsp p)
{
	uint8_t out[8192];

	p.cert = &end;
	p.issuer = &root;
	p.from_s = now_s;
	p.until_s = now_s + DAY_S;
	fetched_learn(fetched, id, bytes_of(out, pki_ocsp_make(out, &p)), "", now_s);
}

static void test_ocsp(void)
{
	static const struct {
		struct pki_ocsp says;
		enum ike_reason reason;
	} rows[] = {
		{{.says = PKI_OCSP_GOOD}, IKE_REASON_NONE},
		{{.says = PKI_OCSP_REVOKED}, IKE_REASON_CERT_REVOKED},
	};

	EVERY_MODE(mode)
	{
		const struct question q = {.revocation = mode, .shown = {&end}};

		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			begin();
			make_end_of_both(AT);
			responder_says(asked(&q).id, rows[i].says);
			expect(&q, rows[i].reason, rows[i].reason ? "CN=gw was revoked" : "");
			nothing_wanted(&q);
			finish();
		}
	}
}

/* The list is fetched where the responder does not know. */
static void test_ocsp_or_a_list(void)
{
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};

	begin();
	make_end_of_both(AT);
	responder_says(asked(&q).id, (struct pki_ocsp){.says = PKI_OCSP_UNKNOWN});
	good_list_comes(wanted(&q), 78);
	expect(&q, IKE_REASON_NONE, "");
	finish();
	begin();
	fetched_learn(fetched, asked(&q).id, bytes_of(NULL, 0), "nobody there", now_s);
	good_list_comes(wanted(&q), 77);
	expect(&q, IKE_REASON_CERT_REVOKED, "was revoked");
	finish();
}

static void test_S27_ocsp_says_nothing(void)
{
	static const char *const whys[] = {
		"and " RESPONDER " told nothing: the OCSP responder said trylater",
		"and " RESPONDER " told nothing: what came is no OCSP response",
		"and " RESPONDER " told nothing: the OCSP response is not signed",
		"and " RESPONDER " told nothing: no answer within 2 s",
	};
	const struct question q = {.revocation = CONF_REVOCATION_IFURI, .shown = {&end}};
	struct pki_key key;

	pki_key_make(&key, "P-256");
	for (size_t i = 0; i < ARRAY_LEN(whys); i++) {
		uint64_t id;

		begin();
		make_end_of_both(NULL);
		id = asked(&q).id;
		if (i == 0)
			responder_says(id, (struct pki_ocsp){.says = PKI_OCSP_LATER});
		else if (i == 1)
			fetched_learn(fetched, id, bytes_of("<html>", 6), "", now_s);
		else if (i == 2)
			responder_says(id, (struct pki_ocsp){.key = &key});
		else
			fetched_learn(fetched, id, bytes_of(NULL, 0), "no answer within 2 s",
				      now_s);
		expect(&q, IKE_REASON_CERT_NO_REVOCATION, whys[i]);
		nothing_wanted(&q);
		finish();
	}
}

/* An answer serves as long as it says, and then there is another question. */
static void test_S27_ocsp_is_asked_again(void)
{
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};
	uint8_t first[OCSP_REQUEST_MAX];
	struct fetched_task t;
	size_t len;

	begin();
	make_end_of_both(NULL);
	t = asked(&q);
	len = t.body.len;
	memcpy(first, t.body.p, len);
	responder_says(t.id, (struct pki_ocsp){.says = PKI_OCSP_GOOD});
	now_s += DAY_S;
	expect(&q, IKE_REASON_NONE, "");
	now_s++;
	t = asked(&q);
	CU_ASSERT_FALSE(bytes_equal(t.body, bytes_of(first, len)));
	responder_says(t.id, (struct pki_ocsp){.says = PKI_OCSP_REVOKED});
	expect(&q, IKE_REASON_CERT_REVOKED, "was revoked");
	finish();
}

/* One that does not say how long it holds is as old as it was, though nothing came since. */
static void test_S27_ocsp_grows_old(void)
{
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};
	struct pki_ocsp p = {.issuer = &root, .cert = &end, .says = PKI_OCSP_GOOD};
	uint8_t out[8192];

	begin();
	make_end_of_both(NULL);
	p.from_s = now_s;
	fetched_learn(fetched, asked(&q).id, bytes_of(out, pki_ocsp_make(out, &p)), "", now_s);
	now_s += OCSP_FRESH_S;
	expect(&q, IKE_REASON_NONE, "");
	now_s++;
	fetched_learn(fetched, asked(&q).id, bytes_of(NULL, 0), "nobody there", now_s);
	expect(&q, IKE_REASON_CERT_NO_REVOCATION, "told nothing: nobody there");
	nothing_wanted(&q);
	finish();
}

static void test_ocsp_where_the_configuration_says(void)
{
	const struct question q = {
		.revocation = CONF_REVOCATION_IFURI, .shown = {&end}, .responder = RESPONDER};

	begin();
	make_end(NULL);
	responder_says(asked(&q).id, (struct pki_ocsp){.says = PKI_OCSP_REVOKED});
	expect(&q, IKE_REASON_CERT_REVOKED, "was revoked");
	finish();
}

/* ---- when one is wanted ---------------------------------------------------------------------- */

static void test_where_the_configuration_says(void)
{
	struct question q = {.revocation = CONF_REVOCATION_IFURI, .shown = {&end}, .uri = URL};

	begin();
	make_end(NULL);
	good_list_comes(wanted(&q), 78);
	expect(&q, IKE_REASON_NONE, "");
	finish();

	/* That there is a place means that it counts. */
	begin();
	fetched_learn(fetched, wanted(&q), bytes_of(NULL, 0), "nobody there", now_s);
	expect(&q, IKE_REASON_CERT_NO_REVOCATION, "nobody there");
	q.uri = NULL;
	expect(&q, IKE_REASON_NONE, "");
	finish();
}

/* The configured place first, then what the certificate says, HTTP alone, and not too many. */
static void test_S27_places(void)
{
	static const char *const two[] = {"http://192.0.2.7/a", "http://192.0.2.8/b"};
	static const char *const four[] = {"http://192.0.2.1/a", "http://192.0.2.2/b",
					   "http://192.0.2.3/c", "http://192.0.2.4/d"};
	const struct question q = {.shown = {&end}, .uri = two[0]}, r = {.shown = {&end}};
	uint64_t id = 0;

	begin();
	make_end("URI:ldap://192.0.2.6/x,URI:file:///etc/passwd,URI:https://192.0.2.6/,"
		 "URI:http://192.0.2.8/b");
	expect_wanted(&q, &id, two, 2);
	finish();
	begin();
	make_end("URI:http://192.0.2.1/a,URI:http://192.0.2.2/b,URI:http://192.0.2.3/c,"
		 "URI:http://192.0.2.4/d,URI:http://192.0.2.5/e");
	expect_wanted(&r, &id, four, 4);
	finish();
}

/* For a chain that is wrong in anything else nothing is fetched. */
static void test_S27_only_for_chains_to_an_anchor(void)
{
	const struct question q = {.shown = {&end}};
	struct question stranger = {.shown = {&end}, .anchor = &middle};
	struct pki_params p = {.subject = "/CN=gw", .issuer = &root, .crl_uri = AT};

	begin();
	make_end(AT);
	pki_cert_make(&middle, &(struct pki_params){.subject = "/CN=Other", .ca = CA});
	nothing_wanted(&stranger);
	end.der[end.len - 1] ^= 1; /* of the signature */
	nothing_wanted(&q);
	p.until_s = now_s - 1;
	pki_cert_make(&end, &p);
	nothing_wanted(&q);
	p.until_s = 0;
	p.usage = "critical,keyEncipherment";
	pki_cert_make(&end, &p);
	nothing_wanted(&q);
	p.usage = NULL;
	p.key = pki_key_get("P-384");
	pki_cert_make(&end, &p);
	(void)wanted(&q);
	finish();
}

/* Of each certificate below the anchor, and the anchor's own is not asked for. */
static void test_each_of_a_chain(void)
{
	static const char *const urls[] = {"http://192.0.2.1/root", "http://192.0.2.2/middle"};
	struct pki_cert top;
	uint64_t id = 0;

	begin();
	pki_cert_make(&top, &(struct pki_params){.subject = "/CN=Root",
						 .ca = CA,
						 .crl_uri = "URI:http://192.0.2.3/"});
	pki_cert_make(&middle, &(struct pki_params){.subject = "/CN=Middle",
						    .ca = CA,
						    .issuer = &top,
						    .key = pki_key_get("P-384"),
						    .crl_uri = "URI:http://192.0.2.1/root"});
	pki_cert_make(&end, &(struct pki_params){.subject = "/CN=gw",
						 .issuer = &middle,
						 .crl_uri = "URI:http://192.0.2.2/middle"});
	expect_wanted(&(struct question){.shown = {&end, &middle}, .anchor = &top}, &id, urls, 2);
	finish();
}

static void test_not_fetched(void)
{
	const struct question q = {
		.revocation = CONF_REVOCATION_STRICT, .shown = {&end}, .alone = true};

	begin();
	make_end(AT);
	expect(&q, IKE_REASON_CERT_NO_REVOCATION, "has no revocation list here");
	nothing_wanted(&q);
	finish();
}

/* ---- the store itself ------------------------------------------------------------------------ */

static bool want(const char *url, const char **why)
{
	return fetched_want(fetched, why, &(struct fetched_ref){.url = bytes_of(url, strlen(url))},
			    now_s);
}

static void test_S27_urls(void)
{
	static const struct {
		const char *url;
		bool ok;
	} rows[] = {
		{URL, true},
		{"HTTP://192.0.2.1/x", true},
		{"http://", false},
		{"", false},
		{"https://192.0.2.1/", false},
		{"file:///etc/passwd", false},
		{"http://192.0.2.1/a b", false},
		{"http://192.0.2.1/a\r\nHost: b", false},
		{"http://192.0.2.1/\x7f", false},
		{"http://192.0.2.1/\xc3\xa9", false},
		{" http://192.0.2.1/", false},
	};
	char url[CRED_URL_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CU_ASSERT_EQUAL(cred_url_ok(bytes_of(rows[i].url, strlen(rows[i].url))),
				rows[i].ok);
	CU_ASSERT_FALSE(cred_url_ok(bytes_of("http://192.0.2.1/\0x", 19)));
	memset(url, 'x', sizeof(url));
	memcpy(url, "http://", 7);
	CU_ASSERT_TRUE(cred_url_ok(bytes_of(url, CRED_URL_MAX - 1)));
	CU_ASSERT_FALSE(cred_url_ok(bytes_of(url, CRED_URL_MAX)));
}

/* A server is asked once, whoever wants it, and not again at once, whatever it said. */
static void test_S27_asked_once(void)
{
	const char *why, *url;
	uint64_t id = 0, none;

	begin();
	CU_ASSERT_TRUE(want(URL, &why) && want(URL, &why));
	CU_ASSERT_TRUE_FATAL(next_url(&id, &url));
	CU_ASSERT_FALSE(next_url(&none, &url));
	CU_ASSERT_TRUE(want(URL, &why));
	fetched_learn(fetched, id + 1, bytes_of(NULL, 0), "somebody else", now_s);
	CU_ASSERT_TRUE(want(URL, &why));
	fetched_learn(fetched, id, bytes_of(NULL, 0), "nobody there", now_s);
	now_s += FETCHED_AGAIN_S - 1;
	CU_ASSERT_FALSE(want(URL, &why));
	CU_ASSERT_STRING_EQUAL(why, "nobody there");
	CU_ASSERT_FALSE(next_url(&none, &url));
	now_s++;
	CU_ASSERT_TRUE(want(URL, &why));
	CU_ASSERT_TRUE(next_url(&none, &url));
	finish();
}

static void test_a_clock_that_is_set_back(void)
{
	const char *why, *url;
	uint64_t id = 0;

	begin();
	CU_ASSERT_TRUE(want(URL, &why));
	CU_ASSERT_TRUE_FATAL(next_url(&id, &url));
	fetched_learn(fetched, id, bytes_of(NULL, 0), "nobody there", now_s);
	now_s -= DAY_S;
	CU_ASSERT_TRUE(want(URL, &why));
	finish();
}

static void want_many(enum fetched_kind kind, int num)
{
	const char *why;
	char url[64];

	for (int i = 0; i < num; i++) {
		snprintf(url, sizeof(url), "http://192.0.2.1/%d", i);
		CU_ASSERT_TRUE(fetched_want(
			fetched, &why,
			&(struct fetched_ref){.kind = kind, .url = bytes_of(url, strlen(url))},
			now_s));
	}
}

/* The next ones are given out, and nothing comes. */
static void nothing_comes(int num)
{
	const char *url;
	uint64_t id = 0;

	for (int i = 0; i < num; i++) {
		CU_ASSERT_TRUE_FATAL(next_url(&id, &url));
		fetched_learn(fetched, id, bytes_of(NULL, 0), "nobody there", now_s);
	}
}

/* What is under way is never forgotten, what was not used for the longest time is. Who finds no
 * room waits for it: that is no answer. */
static void test_S27_bounded(void)
{
	const char *why, *url;
	uint64_t id = 0;
	int num = 0;

	begin();
	want_many(FETCHED_LIST, FETCHED_MAX);
	CU_ASSERT_TRUE(want(URL, &why));
	while (next_url(&id, &url))
		num++;
	CU_ASSERT_EQUAL(num, FETCHED_MAX);
	finish();
	begin();
	want_many(FETCHED_LIST, FETCHED_MAX);
	nothing_comes(2);
	CU_ASSERT_FALSE(want("http://192.0.2.1/0", &why)); /* used last now */
	CU_ASSERT_TRUE(want(URL, &why));
	CU_ASSERT_FALSE(want("http://192.0.2.1/0", &why));
	CU_ASSERT_STRING_EQUAL(why, "nobody there");
	finish();
}

/* Somebody who is nobody yet may name certificates: they wait for each other, and no list is
 * forgotten or late for them. */
static void test_S27_certificates_apart(void)
{
	const char *why, *url;
	uint64_t id = 0;
	int num = 0;

	begin();
	CU_ASSERT_TRUE(want(URL, &why));
	nothing_comes(1);
	want_many(FETCHED_CERT, FETCHED_MAX);
	CU_ASSERT_FALSE(want(URL, &why));
	CU_ASSERT_STRING_EQUAL(why, "nobody there");
	while (next_url(&id, &url))
		num++;
	CU_ASSERT_EQUAL(num, FETCHED_CERTS_AT_ONCE);
	CU_ASSERT_TRUE(want("http://192.0.2.2/", &why));
	CU_ASSERT_TRUE_FATAL(next_url(&id, &url));
	CU_ASSERT_STRING_EQUAL(url, "http://192.0.2.2/");
	finish();
	begin();
	want_many(FETCHED_CERT, FETCHED_CERTS_MAX + 1);
	nothing_comes(FETCHED_CERTS_MAX);
	CU_ASSERT_FALSE(next_url(&id, &url));
	finish();
}

/* What cannot be begun is not what nobody has. */
static void test_S27_put_back(void)
{
	const char *why, *url;
	uint64_t id = 0, again = 0;

	begin();
	CU_ASSERT_TRUE(want(URL, &why));
	CU_ASSERT_TRUE_FATAL(next_url(&id, &url));
	fetched_put_back(fetched, id + 1);
	CU_ASSERT_FALSE(next_url(&again, &url));
	fetched_put_back(fetched, id);
	CU_ASSERT_TRUE(want(URL, &why));
	CU_ASSERT_TRUE_FATAL(next_url(&again, &url));
	CU_ASSERT_STRING_EQUAL(url, URL);
	fetched_learn(fetched, again, bytes_of(NULL, 0), "nobody there", now_s);
	fetched_put_back(fetched, again);
	CU_ASSERT_FALSE(want(URL, &why));
	finish();
}

/* A list that is used stays, whatever else is wanted later. */
static void test_S27_used_stays(void)
{
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};

	begin();
	make_end(AT);
	good_list_comes(wanted(&q), 78);
	want_many(FETCHED_LIST, FETCHED_MAX - 1);
	nothing_comes(FETCHED_MAX - 1);
	expect(&q, IKE_REASON_NONE, "");
	want_many(FETCHED_STATUS, 1);
	expect(&q, IKE_REASON_NONE, "");
	finish();
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

static const struct question strict = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};

/* Of a list that was changed nothing is believed: it vouches for nobody. */
static void one_variant(struct bytes variant, long bit)
{
	struct chain_fault fault;
	const char *url;
	uint64_t id = 0;

	(void)bit;
	fetched = fetched_new(rng_system());
	CU_ASSERT_PTR_NOT_NULL_FATAL(fetched);
	(void)ask(&strict, &fault);
	CU_ASSERT_TRUE_FATAL(next_url(&id, &url));
	fetched_learn(fetched, id, variant, "", now_s);
	CU_ASSERT_EQUAL(ask(&strict, &fault), IKE_REASON_CERT_NO_REVOCATION);
	CU_ASSERT_FALSE(fault.waits);
	finish();
}

static void ignore(void *ctx, enum log_level level, enum log_subsystem sub, const char *connection,
		   const char *line)
{
	(void)ctx;
	(void)level;
	(void)sub;
	(void)connection;
	(void)line;
}

static void test_S27_sweep(void)
{
	static const struct log_sink quiet = {.levels = {LOG_ERROR}, .write = ignore};
	const long other = 78;
	uint8_t list[4096];
	size_t len;

	begin();
	make_end(AT);
	len = pki_crl_make(list, &root, &other, 1, now_s - DAY_S, now_s + DAY_S);
	finish();
	log_use(&quiet);
	CU_ASSERT_TRUE(sweep(list, len, one_variant) > 1000);
	log_use(NULL);
}

/* ---- responders that the authority let, and may have taken back -------------------------------
 */

#define DELEGATES "http://192.0.2.9/delegates.crl"

static struct pki_cert delegate;

static void make_delegate(const char *crl_uri, bool nocheck)
{
	pki_cert_make(&delegate, &(struct pki_params){.subject = "/CN=Responder",
						      .issuer = &root,
						      .key = pki_key_get("P-384"),
						      .extended = "OCSPSigning",
						      .crl_uri = crl_uri,
						      .serial = 9,
						      .nocheck = nocheck});
}

/* A list of the authority's that is out of date comes by the way, and is all that is known of it.
 */
static void old_list_comes(long serial)
{
	const struct fetched_ref ref = {.kind = FETCHED_LIST, .url = bytes_of(URL, strlen(URL))};
	const char *why, *url;
	uint64_t id = 0;

	CU_ASSERT_TRUE(fetched_want(fetched, &why, &ref, now_s));
	CU_ASSERT_TRUE_FATAL(next_url(&id, &url));
	list_comes(id, &root, serial, now_s - 2 * DAY_S, now_s - DAY_S);
}

/* Who was taken back stays so, however old the list is that says it; but where the authority says
 * that nobody need ask nobody does (RFC 6960 4.2.2.2.1). */
static void test_S27_delegate_taken_back(void)
{
	EVERY_MODE(mode)
	{
		const struct question q = {.revocation = mode, .shown = {&end}};

		for (int nocheck = 0; nocheck < 2; nocheck++) {
			begin();
			make_end_of_both(AT);
			make_delegate(NULL, nocheck);
			old_list_comes(9);
			responder_says(asked(&q).id, (struct pki_ocsp){.says = PKI_OCSP_GOOD,
								       .signer = &delegate});
			expect(&q,
			       nocheck || mode == CONF_REVOCATION_RELAXED
				       ? IKE_REASON_NONE
				       : IKE_REASON_CERT_NO_REVOCATION,
			       nocheck || mode == CONF_REVOCATION_RELAXED
				       ? ""
				       : "the OCSP responder's certificate was revoked");
			finish();
		}
	}
}

/* Where somebody says where its list is that is fetched; that it is not there is for `revocation`.
 */
static void test_S27_delegate_is_looked_for(void)
{
	static const char *const url = DELEGATES;

	EVERY_MODE(mode)
	{
		const struct question q = {.revocation = mode, .shown = {&end}};
		uint64_t id;

		begin();
		make_end_of_both(NULL);
		make_delegate("URI:" DELEGATES, false);
		responder_says(asked(&q).id,
			       (struct pki_ocsp){.says = PKI_OCSP_GOOD, .signer = &delegate});
		expect_wanted(&q, &id, &url, 1);
		fetched_learn(fetched, id, bytes_of(NULL, 0), "nobody there", now_s);
		expect(&q,
		       mode == CONF_REVOCATION_RELAXED ? IKE_REASON_NONE
						       : IKE_REASON_CERT_NO_REVOCATION,
		       mode == CONF_REVOCATION_RELAXED ? ""
						       : "whether the OCSP responder's certificate "
							 "was revoked is not known");
		finish();
	}
}

/* ---- what is said, and what is no answer ----------------------------------------------------- */

static uint32_t num_said;

static void count(void *ctx, enum log_level level, enum log_subsystem sub, const char *connection,
		  const char *line)
{
	(void)ctx;
	(void)level;
	(void)sub;
	(void)connection;
	num_said += strstr(line, "does not count here: it is not signed by the authority") != NULL;
}

/* A list that does not count is told of, once. */
static void test_left_out_is_said(void)
{
	static const struct log_sink sink = {
		.levels = {LOG_WARN, LOG_WARN, LOG_WARN, LOG_WARN, LOG_WARN, LOG_WARN},
		.write = count};
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};
	struct pki_cert forger;

	pki_cert_make(
		&forger,
		&(struct pki_params){.subject = "/CN=Root", .ca = CA, .key = pki_key_get("P-384")});
	begin();
	make_end(AT);
	list_comes(wanted(&q), &forger, 78, now_s - DAY_S, now_s + DAY_S);
	num_said = 0;
	log_use(&sink);
	for (int i = 0; i < 3; i++)
		expect(&q, IKE_REASON_CERT_NO_REVOCATION, "");
	log_use(NULL);
	CU_ASSERT_EQUAL(num_said, 1);
	finish();
}

static bool dry;

static enum err fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	return dry ? ERR_CRYPTO : rng_fill(rng_system(), out, len);
}

/* That no nonce can be had now says nothing of a certificate: it is asked for as soon as one can.
 */
static void test_S27_no_nonce_is_no_answer(void)
{
	static const struct rng rng = {.fill = fill};
	const struct question q = {.revocation = CONF_REVOCATION_STRICT, .shown = {&end}};
	struct chain_fault fault;
	struct fetched_task t;

	begin();
	fetched_free(fetched);
	fetched = fetched_new(&rng);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fetched);
	make_end_of_both(NULL);
	dry = true;
	(void)ask(&q, &fault);
	CU_ASSERT_TRUE(fault.waits);
	CU_ASSERT_FALSE(fetched_next(fetched, &t));
	(void)ask(&q, &fault);
	CU_ASSERT_TRUE(fault.waits);
	dry = false;
	responder_says(asked(&q).id, (struct pki_ocsp){.says = PKI_OCSP_GOOD});
	expect(&q, IKE_REASON_NONE, "");
	finish();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S27_delegate_taken_back),
	TAP_TEST(test_S27_delegate_is_looked_for),
	TAP_TEST(test_left_out_is_said),
	TAP_TEST(test_S27_no_nonce_is_no_answer),
	TAP_TEST(test_revoked),
	TAP_TEST(test_not_revoked),
	TAP_TEST(test_cached_until_it_is_outdated),
	TAP_TEST(test_nothing_came),
	TAP_TEST(test_outdated_when_it_comes),
	TAP_TEST(test_S27_forged_list),
	TAP_TEST(test_S27_namesakes),
	TAP_TEST(test_S28_pss_list),
	TAP_TEST(test_S28_weak_list),
	TAP_TEST(test_S27_lists_that_say_too_little),
	TAP_TEST(test_ocsp),
	TAP_TEST(test_ocsp_or_a_list),
	TAP_TEST(test_S27_ocsp_says_nothing),
	TAP_TEST(test_S27_ocsp_is_asked_again),
	TAP_TEST(test_S27_ocsp_grows_old),
	TAP_TEST(test_ocsp_where_the_configuration_says),
	TAP_TEST(test_where_the_configuration_says),
	TAP_TEST(test_S27_places),
	TAP_TEST(test_S27_only_for_chains_to_an_anchor),
	TAP_TEST(test_each_of_a_chain),
	TAP_TEST(test_not_fetched),
	TAP_TEST(test_S27_urls),
	TAP_TEST(test_S27_asked_once),
	TAP_TEST(test_a_clock_that_is_set_back),
	TAP_TEST(test_S27_bounded),
	TAP_TEST(test_S27_certificates_apart),
	TAP_TEST(test_S27_put_back),
	TAP_TEST(test_S27_used_stays),
	TAP_TEST(test_S27_sweep),
};

TAP_MAIN("control/fetched", tests)
