/* SPDX-License-Identifier: Apache-2.0 */
/* How a peer was authenticated, told apart (enum auth_method), each by a handshake. */
#include <stdio.h>
#include <string.h>

#include "control/ike/core.h"
#include "control/ike/sa.h"
#include "tests/pki_conf.h"
#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 50 * NS_PER_MS};

/* struct wish - what the two sides of a connection say, and further sections. */
struct wish {
	const char *conn;   /* further keys of the connection */
	const char *local;  /* of its local section; %u is the side's number */
	const char *remote; /* of its remote section; %u is the other side's */
	const char *more;   /* sections beside `connections` */
};

static void write_conf(char *text, size_t size, unsigned side, const struct wish *w)
{
	const unsigned us = side + 1, them = 2 - side;
	char local[400], remote[400];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(local, sizeof(local), w->local, us);
	snprintf(remote, sizeof(remote), w->remote, them);
#pragma GCC diagnostic pop
	snprintf(text, size,
		 "connections { net {\n local_addrs = 192.0.2.%u\n remote_addrs = 192.0.2.%u\n"
		 " %s\n local { %s }\n remote { %s }\n"
		 " children { tun { local_ts = 10.%u.0.0/16\n remote_ts = 10.%u.0.0/16 } } } }\n"
		 "%s\n",
		 us, them, w->conn ? w->conn : "", local, remote, us, them, w->more ? w->more : "");
}

static struct sim *world(const struct wish *a, const struct wish *b, bool sign)
{
	static char text[2][4096];
	struct sim_options opt = {
		.wire = calm, .conf = {text[A], text[B]}, .by_keyring = true, .sign = sign};
	struct sim *s;

	write_conf(text[A], sizeof(text[A]), A, a);
	write_conf(text[B], sizeof(text[B]), B, b);
	s = sim_new(1, &opt);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static void go(struct sim *s)
{
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
}

/* struct listed - what a list of the IKE SAs says. */
struct listed {
	const char *method;
	struct auth_proof_params proof;
	uint32_t num;
};

static void list(void *ctx, const struct ike_sa_info *sa)
{
	struct listed *l = ctx;

	l->num++;
	if (!sa->proof)
		return;
	l->proof = *auth_proof_params(sa->proof);
	l->method = auth_method_name(l->proof.method);
}

static struct listed listed(struct sim *s, unsigned side)
{
	struct listed l = {.method = ""};

	ike_each_sa(s->n[side].e, list, &l);
	return l;
}

/* Up; how each side's peer was authenticated, as lists say it; the same after a re-key. */
static void proved(struct sim *s, const char *peer_of_a, const char *peer_of_b)
{
	for (int again = 0; again < 2; again++) {
		if (!sim_up(s))
			tap_diag("A: %s; B: %s", s->n[A].last_text, s->n[B].last_text);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_STRING_EQUAL(listed(s, A).method, peer_of_a);
		CU_ASSERT_STRING_EQUAL(listed(s, B).method, peer_of_b);
		CU_ASSERT_EQUAL(sim_rekey(s, again ? A : B, NULL), ERR_OK);
		sim_run(s, s->now_ns + 5 * NS_PER_S);
	}
	sim_free(s);
}

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
	s = world(&w, &w, false);
	go(s);
	proved(s, expected, expected);
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

static void give(struct sim *s, unsigned to, struct conf *conf)
{
	conf_put(s->n[to].conf);
	s->n[to].conf = conf;
	ike_engine_configure(s->n[to].e, conf);
}

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
	struct sim *s = world(&sign, &sign, true);

	go(s);
	proved(s, "pkix-inline", "pkix-inline");
	s = world(&sign, &sign, true);
	give(s, B, pki_add(conf_get(s->n[B].conf), CRED_CERT, cert_of(s, A)));
	go(s);
	proved(s, "pkix-inline", "pkix-trusted");
	never.conn = "send_cert = never";
	always.conn = "send_cert = always";
	s = world(&never, &always, true);
	give(s, B, pki_add(conf_get(s->n[B].conf), CRED_CERT, cert_of(s, A)));
	go(s);
	proved(s, "pkix-inline", "pkix-trusted");
}

/* Another certificate of the same identity makes none of those that are sent one that is here. */
static void test_another_certificate_is_here(void)
{
	static struct pki_cert other;
	struct sim *s = world(&sign, &sign, true);

	if (!other.len)
		pki_cert_make(&other, &(struct pki_params){.subject = "/C=CH/CN=host1.example",
							   .names = "DNS:host1.example",
							   .key = pki_key_get("P-384"),
							   .serial = 77});
	give(s, B, pki_add(conf_get(s->n[B].conf), CRED_CERT, pki_der(&other)));
	go(s);
	proved(s, "pkix-inline", "pkix-inline");
}

static const struct tap_test tests[] = {
	TAP_TEST(test_psk_of_one_pair_or_of_a_group),
	TAP_TEST(test_certificate_sent_or_here),
	TAP_TEST(test_another_certificate_is_here),
};

TAP_MAIN("methods", tests)
