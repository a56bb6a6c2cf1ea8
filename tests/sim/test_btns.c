/* SPDX-License-Identifier: Apache-2.0 */
/* Peers known by a key that nobody vouches for (RFC 5386): any key, after all that asks for more,
 * under nobody's name, and with nothing that is anybody else's. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ike/wire/proto.h"
#include "tests/pki_conf.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

#define SECRETS "secrets { ike-1 { secret = \"a fairly long shared secret\" } }"

static const struct wish sign = {.local = "auth = pubkey\n id = host%u.example",
				 .remote = "auth = pubkey\n id = host%u.example",
				 .more = SECRETS};
static const struct wish any = {
	.local = "auth = pubkey\n id = host%u.example", .remote = "auth = btns", .more = SECRETS};

/* The proof names the key and nothing else. */
static void names_key(const struct auth_proof_params *p)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, p->peer_key.p, p->peer_key.len);
	CU_ASSERT_EQUAL(p->peer.type, ID_KEY_ID);
	CU_ASSERT_TRUE(
		bytes_equal(bytes_of(p->peer.data, p->peer.len), bytes_of(hash, sizeof(hash))));
	CU_ASSERT_EQUAL(p->ca.len, 0);
}

/* A side has a certificate that nobody has signed but itself. */
static void certify(struct sim *s, unsigned side, const char *kind)
{
	static struct pki_cert made[2];
	char names[40];

	snprintf(names, sizeof(names), "DNS:host%u.example", side + 1);
	pki_cert_make(&made[side], &(struct pki_params){.subject = "/C=CH/CN=Anybody",
							.names = names,
							.key = pki_key_get(kind)});
	wish_configure(s, side,
		       pki_add(pki_add(conf_get(s->n[side].conf), CRED_CERT, pki_der(&made[side])),
			       CRED_KEY, pki_private(made[side].key)));
}

static void test_any_certificate(void)
{
	static const char *const kinds[] = {"P-256", "P-521", "ed25519", "rsa2048"};
	const struct wish both = any;
	const struct wish signer = {
		.local = any.local, .remote = "auth = psk\n id = host%u.example", .more = SECRETS};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct wish asker = {
			.local = signer.remote, .remote = any.remote, .more = SECRETS};
		struct wish_seen seen;
		struct sim *s;

		s = wish_world(&signer, &asker, false);
		certify(s, A, kinds[i]);
		wish_go(s, "net", 0);
		seen = wish_seen(s, B);
		names_key(&seen.proof);
		wish_proved(s, "group-psk", "btns");
		s = wish_world(&asker, &signer, false);
		certify(s, B, kinds[i]);
		wish_go(s, "net", 0);
		wish_proved(s, "btns", "group-psk");
		s = wish_world(&both, &both, false);
		certify(s, A, kinds[i]);
		certify(s, B, "P-384");
		wish_go(s, "net", 0);
		wish_proved(s, "btns", "btns");
	}
}

/* A peer that shows our own key is a mirror. */
static void test_own_key(void)
{
	struct sim *s = wish_world(&any, &any, false);

	certify(s, A, "P-256");
	certify(s, B, "P-256");
	wish_go(s, "net", 0);
	wish_refused(s, B, IKE_REASON_REFUSED, "its key is known here");
}

/* "pubkeys = ..." of this kind of key, for a section; kept. */
static const char *with_key(const char *words, const char *kind)
{
	static char text[4][1100];
	static unsigned at;
	char *out = text[at++ % 4];

	snprintf(out, sizeof(text[0]), "%s\n pubkeys = \"%s\"", words,
		 pki_pem("PUBLIC KEY", pki_spki(pki_key_get(kind))));
	return out;
}

/* A world in which the initiator has this raw key alone. */
static struct sim *raw_world(const struct wish *b, const char *kind, const char *more)
{
	const struct wish a = {.local = with_key("auth = pubkey\n id = host%u.example", kind),
			       .remote = "auth = psk",
			       .conn = more,
			       .more = SECRETS};
	struct sim *s = wish_world(&a, b, false);

	wish_configure(s, A,
		       pki_add(conf_get(s->n[A].conf), CRED_KEY, pki_private(pki_key_get(kind))));
	return s;
}

static const struct wish gate = {
	.local = "auth = psk\n id = host%u.example", .remote = "auth = btns", .more = SECRETS};

static void test_raw_key(void)
{
	static const char *const kinds[] = {"P-256", "ed25519", "rsa2048"};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct sim *s = raw_world(&gate, kinds[i], NULL);
		struct wish_seen seen;

		wish_go(s, "net", 0);
		seen = wish_seen(s, B);
		names_key(&seen.proof);
		CU_ASSERT_TRUE(bytes_equal(seen.proof.peer_key, pki_spki(pki_key_get(kinds[i]))));
		wish_proved(s, "group-psk", "btns");
	}
}

/* ---- refusals -------------------------------------------------------------------------------- */

static uint8_t forged[2048];

static void flip(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer)
{
	(void)n;
	if (ask->kind != IKE_ASK_SIGN || !answer->allow)
		return;
	memcpy(forged, answer->auth.p, answer->auth.len);
	forged[answer->auth.len - 1] ^= 1;
	answer->auth.p = forged;
}

/* Another key is shown than the one that signs. */
static void show_another(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer)
{
	static struct ike_cert cert;

	(void)n;
	if (ask->kind != IKE_ASK_SIGN || !answer->num_certs)
		return;
	cert = (struct ike_cert){.encoding = CERT_RAW_PUBLIC_KEY,
				 .data = pki_spki(pki_key_get("P-384"))};
	answer->certs = &cert;
	answer->num_certs = 1;
}

static void show_garbage(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer)
{
	static struct ike_cert cert;

	(void)n;
	if (ask->kind != IKE_ASK_SIGN || !answer->num_certs)
		return;
	cert = answer->certs[0];
	cert.data.len -= 3;
	answer->certs = &cert;
}

static void show_short(struct sim_node *n, const struct ike_ask *ask, struct ike_answer *answer)
{
	static struct ike_cert cert;

	(void)n;
	if (ask->kind != IKE_ASK_SIGN || !answer->num_certs)
		return;
	cert = (struct ike_cert){.encoding = CERT_RAW_PUBLIC_KEY,
				 .data = pki_spki(pki_key_get("rsa1024"))};
	answer->certs = &cert;
}

/* Any key does, but it must be one, and have made the signature. */
static void test_S29_the_key_must_sign(void)
{
	static const struct {
		void (*forge)(struct sim_node *n, const struct ike_ask *ask,
			      struct ike_answer *answer);
		enum ike_reason reason;
		const char *word;
	} rows[] = {
		{flip, IKE_REASON_AUTH_FAILED_LOCAL, "signature in its AUTH payload is wrong"},
		{show_another, IKE_REASON_AUTH_FAILED_LOCAL, "is not believed"},
		{show_garbage, IKE_REASON_AUTH_FAILED_LOCAL, "is not believed"},
		{show_short, IKE_REASON_CERT_WEAK, "1024 bits"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sim *s = raw_world(&gate, "P-256", NULL);

		s->n[A].forge = rows[i].forge;
		wish_go(s, "net", 0);
		wish_refused(s, B, rows[i].reason, rows[i].word);
	}
}

static void test_no_key_is_shown(void)
{
	struct sim *s = raw_world(&gate, "P-256", "send_cert = never");

	wish_go(s, "net", 0);
	wish_refused(s, B, IKE_REASON_CERT_UNKNOWN_CA, "neither a public key nor a certificate");
}

/* S29: a signature alone is meant, of the kind that is named. */
static void test_S29_no_other_way(void)
{
	static const char *const locals[] = {"auth = psk\n id = host%u.example", "auth = null"};
	struct wish b = gate;
	struct sim *s;

	for (size_t i = 0; i < ARRAY_LEN(locals); i++) {
		const struct wish a = {.local = locals[i], .remote = "auth = psk", .more = SECRETS};

		s = wish_world(&a, &gate, false);
		wish_go(s, "net", 0);
		wish_refused(s, B, i ? IKE_REASON_NO_CONFIG : IKE_REASON_AUTH_FAILED_LOCAL,
			     "auth = ");
	}
	b.remote = "auth = btns-ed25519";
	s = raw_world(&b, "P-256", NULL);
	wish_go(s, "net", 0);
	wish_refused(s, B, IKE_REASON_CERT_WEAK, "P-256, and `auth` lets Ed25519 alone");
}

/* What is shown, and what would do instead, of each part of `auth`. */
static void test_S25_what_would_do(void)
{
	static const struct {
		const char *local, *remote, *word;
	} rows[] = {
		{"auth = pubkey-sha256\n id = host%u.example", "auth = btns-sha384-sha512",
		 "its signature has SHA-256, and `auth` lets SHA-384, SHA-512"},
		{"auth = pubkey\n id = host%u.example", "auth = btns-rsa-ed25519",
		 "its key is ECDSA P-256, and `auth` lets RSA, Ed25519 alone"},
		{"auth = pubkey\n id = host%u.example", "auth = btns-ecdsa-384",
		 "its key has 256 bits, and `auth` demands 384"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct wish a = {.local = with_key(rows[i].local, "P-256"),
				       .remote = "auth = psk",
				       .more = SECRETS};
		const struct wish b = {
			.local = gate.local, .remote = rows[i].remote, .more = SECRETS};
		struct sim *s = wish_world(&a, &b, false);

		wish_configure(s, A,
			       pki_add(conf_get(s->n[A].conf), CRED_KEY,
				       pki_private(pki_key_get("P-256"))));
		wish_go(s, "net", 0);
		wish_refused(s, B, IKE_REASON_CERT_WEAK, rows[i].word);
	}
}

#define OFFICE(name, remote, ts)                                                      \
	name " { local { auth = psk\n id = host2.example }\n remote { " remote " }\n" \
	     " children { tun { local_ts = 10.2.0.0/16\n remote_ts = " ts " } } }"

/* RFC 5386 3: no name that another connection wants proven, wherever that one's peers come from. */
static void test_S29_names_of_others(void)
{
	static const char *const conns[] = {
		OFFICE("office", "auth = psk\n id = host1.example", "10.8.0.0/16"),
		OFFICE("office", "auth = pubkey\n id = *.example", "10.8.0.0/16"),
		"office { remote_addrs = 192.0.2.77\n local { auth = psk\n id = host2.example }\n"
		" remote { auth = pubkey\n id = host1.example } }",
	};

	for (size_t i = 0; i < ARRAY_LEN(conns); i++) {
		struct wish b = gate;
		struct sim *s;

		b.conns = conns[i];
		s = raw_world(&b, "P-256", NULL);
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(s->n[B].ike_up, 0);
		CU_ASSERT_EQUAL(s->n[A].ike_up, 0);
		if (i != 1)
			CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "connection office asks"));
		sim_free(s);
	}
}

/* A key that is known is not anybody's, under whatever name; nor is our own. */
static void test_S29_keys_of_others(void)
{
	char conns[2000];
	struct wish b = gate;
	struct sim *s;

	snprintf(conns, sizeof(conns),
		 "office { local { auth = psk\n id = host2.example }\n remote { %s } }",
		 with_key("auth = pubkey\n id = host7.example", "P-256"));
	b.conns = conns;
	s = raw_world(&b, "P-256", NULL);
	wish_go(s, "net", 0);
	wish_refused(s, B, IKE_REASON_REFUSED, "its key is known here");
	s = raw_world(&b, "P-384", NULL);
	wish_go(s, "net", 0);
	wish_proved(s, "group-psk", "btns");
}

/* ---- after those that ask for more ----------------------------------------------------------- */

static const char *conn_of(struct sim *s)
{
	return sim_num_pairs(s, B) ? s->n[B].pairs[0].name : "none";
}

static struct bytes authority_of(const struct sim *s, unsigned side)
{
	const struct conf_creds *creds = &s->n[side].conf->creds;

	for (uint32_t i = 0; i < creds->num; i++) {
		if (creds->list[i]->kind == CRED_CA)
			return cred_der(creds->list[i]);
	}
	return bytes_of(NULL, 0);
}

/* The responder has a connection for any key first, and one for certificates of the authority of
 * the initiator's, the key of which it does not have. */
static struct sim *two_ways(const char *more)
{
	static const char low[] =
		"low { local { auth = psk\n id = host2.example }\n remote { auth = btns }\n"
		" children { low { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16 } } }";
	const struct wish a = {.local = sign.local, .remote = "auth = psk", .more = SECRETS};
	struct wish b = gate;
	struct sim *s;

	b.conns = low;
	b.remote = more;
	b.remote_ts = "10.7.0.0/16, 10.1.0.0/16[tcp/22]";
	s = wish_world(&a, &b, true);
	wish_configure(s, B, pki_add(wish_conf(B, &b), CRED_CA, authority_of(s, A)));
	return s;
}

static void test_S29_comes_last(void)
{
	struct sim *s = two_ways("auth = pubkey");

	wish_go(s, "net", 0);
	CU_ASSERT_STRING_EQUAL(conn_of(s), "tun");
	wish_proved(s, "group-psk", "pkix-inline");
	s = two_ways("auth = pubkey");
	wish_configure(s, B,
		       wish_conf(B, &(struct wish){.local = gate.local,
						   .remote = "auth = btns",
						   .more = SECRETS}));
	wish_go(s, "net", 0); /* it would do, were there no other */
	wish_proved(s, "group-psk", "btns");
}

/* Who is known and refused does not pass as anybody: its certificate has expired, was revoked, or
 * its signature is not what is asked for. */
static void test_S29_no_way_back(void)
{
	struct sim *s = two_ways("auth = pubkey");

	s->n[B].wall_s = PKI_NOW_S + INT64_C(50) * 365 * 86400;
	wish_go(s, "net", 0);
	wish_refused(s, B, IKE_REASON_CERT_EXPIRED, "has expired");
	s = two_ways("auth = pubkey\n revocation = strict");
	wish_go(s, "net", 0);
	wish_refused(s, B, IKE_REASON_CERT_NO_REVOCATION, "no revocation list");
	s = two_ways("auth = ed25519");
	wish_go(s, "net", 0);
	wish_refused(s, B, IKE_REASON_CERT_WEAK, "`auth` lets Ed25519 alone");
}

/* A key that nobody there knows is anybody's. */
static void test_unknown_is_anybody(void)
{
	char conns[2000];
	struct wish b = gate;
	struct sim *s;

	snprintf(conns, sizeof(conns),
		 "office { local { auth = psk\n id = host2.example }\n remote { %s } }",
		 with_key("auth = pubkey\n id = %any", "P-384"));
	b.conns = conns;
	s = raw_world(&b, "P-256", NULL);
	wish_go(s, "net", 0);
	wish_proved(s, "group-psk", "btns");
	s = raw_world(&b, "P-384", NULL);
	wish_go(s, "net", 0);
	CU_ASSERT_STRING_EQUAL(wish_seen(s, B).method, "pubkey");
	sim_free(s);
}

/* ---- others' traffic ------------------------------------------------------------------------- */

static void test_S29_traffic_of_somebody(void)
{
	struct wish b = gate;
	struct sim *s;

	b.conns = OFFICE("office", "auth = psk\n id = host7.example", "10.1.0.0/20");
	s = raw_world(&b, "P-256", NULL);
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(s->n[B].ike_up, 1);
	CU_ASSERT_EQUAL(sim_num_pairs(s, B), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "connection office is for"));
	sim_free(s);
}

/* What one key has another does not get; the same key may come back from elsewhere. */
static void test_S29_traffic_of_another_key(void)
{
	static const char *const keys[] = {"P-256", "P-384"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		char conns[2000];
		const struct wish a = {
			.local = with_key("auth = pubkey\n id = host1.example", "P-256"),
			.remote = "auth = psk",
			.conns = conns,
			.more = SECRETS};
		struct sim *s;

		snprintf(conns, sizeof(conns),
			 "second { local { %s } remote { auth = psk } children { tun {\n"
			 " local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16 } } }",
			 with_key("auth = pubkey\n id = host1.example", keys[i]));
		s = wish_world(&a, &gate, false);
		for (size_t k = 0; k < ARRAY_LEN(keys); k++)
			wish_configure(s, A,
				       pki_add(conf_get(s->n[A].conf), CRED_KEY,
					       pki_private(pki_key_get(keys[k]))));
		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(sim_num_pairs(s, B), 1);
		wish_go(s, "second", 1);
		CU_ASSERT_EQUAL(s->n[B].ike_up, 2);
		CU_ASSERT_TRUE(i ? strstr(s->n[B].last_text, "another peer has") != NULL
				 : s->n[B].failed == 0);
		CU_ASSERT_EQUAL(wish_seen(s, B).num_children, i ? 1 : wish_seen(s, B).num);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_any_certificate),
	TAP_TEST(test_own_key),
	TAP_TEST(test_raw_key),
	TAP_TEST(test_S29_the_key_must_sign),
	TAP_TEST(test_no_key_is_shown),
	TAP_TEST(test_S29_no_other_way),
	TAP_TEST(test_S25_what_would_do),
	TAP_TEST(test_S29_names_of_others),
	TAP_TEST(test_S29_keys_of_others),
	TAP_TEST(test_S29_comes_last),
	TAP_TEST(test_S29_no_way_back),
	TAP_TEST(test_unknown_is_anybody),
	TAP_TEST(test_S29_traffic_of_somebody),
	TAP_TEST(test_S29_traffic_of_another_key),
};

TAP_MAIN("btns", tests)
