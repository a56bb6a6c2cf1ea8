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

static const struct tap_test tests[] = {
	TAP_TEST(test_psk_of_one_pair_or_of_a_group),
	TAP_TEST(test_certificate_sent_or_here),
	TAP_TEST(test_another_certificate_is_here),
};

TAP_MAIN("methods", tests)
