/* SPDX-License-Identifier: Apache-2.0 */
/* How a peer was authenticated, told apart (enum auth_method), each by a handshake. */
#include <stdio.h>

#include "tests/pki_conf.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

/* ---- pre-shared keys ------------------------------------------------------------------------- */

static void check_psk(const char *owners, const char *expected)
{
	char more[400];
	struct wish w = {.local = "auth = psk\n id = host%u.example",
			 .remote = "auth = psk\n id = host%u.example",
			 .more = more};
	struct sim *s;

	snprintf(more, sizeof(more),
		 "secrets { ike-1 { %s\n secret = \"a fairly long shared secret\" } }", owners);
	s = wish_world(&w, &w, false);
	wish_go(s, "net", 0);
	wish_proved(s, expected, expected);
}

static void test_psk_of_one_pair_or_of_a_group(void)
{
	check_psk("id-1 = host1.example\n id-2 = host2.example", "psk");
	check_psk("", "group-psk");
	check_psk("id-1 = host1.example\n id-2 = host2.example\n id-3 = host3.example",
		  "group-psk");
	check_psk("id-1 = host1.example\n id-2 = host2.example\n id-3 = %any", "group-psk");
}

/* ---- certificates ---------------------------------------------------------------------------- */

static const struct wish sign = {.local = "auth = pubkey\n id = host%u.example",
				 .remote = "auth = pubkey\n id = host%u.example"};

static struct bytes cert_of(const struct sim *s, unsigned side)
{
	const struct conf_creds *creds = &s->n[side].conf->creds;

	for (uint32_t i = 0; i < creds->num; i++) {
		if (creds->list[i]->kind == CRED_CERT)
			return cred_der(creds->list[i]);
	}
	return bytes_of(NULL, 0);
}

/* What was sent is told from what is here, also where the same certificate is both. */
static void test_certificate_sent_or_here(void)
{
	struct wish never = sign, always = sign;
	struct sim *s = wish_world(&sign, &sign, true);

	wish_go(s, "net", 0);
	wish_proved(s, "pkix-inline", "pkix-inline");
	s = wish_world(&sign, &sign, true);
	wish_configure(s, B, pki_add(conf_get(s->n[B].conf), CRED_CERT, cert_of(s, A)));
	wish_go(s, "net", 0);
	wish_proved(s, "pkix-inline", "pkix-trusted");
	never.conn = "send_cert = never";
	always.conn = "send_cert = always";
	s = wish_world(&never, &always, true);
	wish_configure(s, B, pki_add(conf_get(s->n[B].conf), CRED_CERT, cert_of(s, A)));
	wish_go(s, "net", 0);
	wish_proved(s, "pkix-inline", "pkix-trusted");
}

/* Another certificate of the same identity makes none of those that are sent one that is here. */
static void test_another_certificate_is_here(void)
{
	static struct pki_cert other;
	struct sim *s = wish_world(&sign, &sign, true);

	if (!other.len)
		pki_cert_make(&other, &(struct pki_params){.subject = "/C=CH/CN=host1.example",
							   .names = "DNS:host1.example",
							   .key = pki_key_get("P-384"),
							   .serial = 77});
	wish_configure(s, B, pki_add(conf_get(s->n[B].conf), CRED_CERT, pki_der(&other)));
	wish_go(s, "net", 0);
	wish_proved(s, "pkix-inline", "pkix-inline");
}

/* One that was fetched is neither one that was sent nor, unless it is, one that is here. */
static void test_A13_certificate_fetched(void)
{
	struct sim *s = wish_world(&sign, &sign, true);

	s->n[B].forge = wish_fetched;
	wish_go(s, "net", 0);
	wish_proved(s, "pkix-inline", "pkix-offline");
	s = wish_world(&sign, &sign, true);
	s->n[A].forge = wish_fetched_stored;
	wish_go(s, "net", 0);
	wish_proved(s, "pkix-trusted", "pkix-inline");
}

/* And who demands one that was sent does not do with it. */
static void test_A14_certificate_fetched(void)
{
	const struct ike_initiate_params p = {
		.conn = "net",
		.child = "tun",
		.path = {.local = {.addr = sim_addr(A, 0), .port = 500}},
		.request = 1,
		.methods = 1u << AUTH_METHOD_PKIX_INLINE | 1u << AUTH_METHOD_PUBKEY};
	struct ike_initiate_params to;
	struct sim *s = wish_world(&sign, &sign, true);

	s->n[A].forge = wish_fetched;
	to = p;
	to.path.remote = s->n[B].addr;
	CU_ASSERT_EQUAL(ike_initiate(s->n[A].e, &to, s->now_ns), ERR_OK);
	sim_settle(s, A);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	wish_refused(s, A, IKE_REASON_METHOD,
		     "by pkix-offline, and the request demands pkix-inline");
}

/* A responder whose proof the initiator refuses is told so after it, and says what to compare. */
static void test_A1_refused_after_it(void)
{
	static const struct {
		const char *a_remote, *b_local, *word;
	} rows[] = {
		{"auth = ed25519\n id = host%u.example", "auth = pubkey\n id = host%u.example",
		 "compare `local.id`, `remote.id` and the certificate or key of connection net"},
		{"auth = pubkey\n id = host%u.example", "auth = psk\n id = host%u.example",
		 "compare `local.id`, `remote.id` and the secret of connection net"},
	};
	static const char secret[] =
		"secrets { ike-1 { secret = \"a fairly long shared secret\" } }";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct wish a = {
			.local = sign.local, .remote = rows[i].a_remote, .more = secret};
		const struct wish b = {
			.local = rows[i].b_local, .remote = sign.remote, .more = secret};
		struct sim *s = wish_world(&a, &b, true);

		wish_go(s, "net", 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].down_text, rows[i].word));
		if (!strstr(s->n[B].down_text, rows[i].word))
			tap_diag("B: %s", s->n[B].down_text);
		wish_refused(s, A, i ? IKE_REASON_AUTH_FAILED_LOCAL : IKE_REASON_CERT_WEAK, "auth");
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_psk_of_one_pair_or_of_a_group), TAP_TEST(test_certificate_sent_or_here),
	TAP_TEST(test_another_certificate_is_here),   TAP_TEST(test_A13_certificate_fetched),
	TAP_TEST(test_A14_certificate_fetched),       TAP_TEST(test_A1_refused_after_it),
};

TAP_MAIN("methods", tests)
