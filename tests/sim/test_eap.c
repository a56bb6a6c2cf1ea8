/* SPDX-License-Identifier: Apache-2.0 */
/* EAP in IKE_AUTH (RFC 7296 2.16): who proves itself by it, whom the server says it is, and what is
 * told to whom before that. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "control/auth/eap/packet.h"
#include "control/ike/core.h"
#include "control/ike/sa.h"
#include "tests/pki_conf.h"
#include "tests/sim/forge.h"
#include "tests/sim/wish.h"
#include "tests/tap/tap.h"

#define PASSWORD "Ar3etTnp"
#define CAROL    "secrets { eap-carol { id = carol@example.org\n secret = " PASSWORD " } }"

/* The client's two sections, and the server's. */
#define CLIENT  "auth = eap-mschapv2\n id = carol@example.org"
#define SERVER  "auth = pubkey\n id = host%u.example"
#define CLIENTS "auth = eap-mschapv2"

static struct wish client(const char *local)
{
	return (struct wish){.local = local, .remote = SERVER, .more = CAROL};
}

static struct wish server(const char *remote)
{
	return (struct wish){.local = SERVER, .remote = remote, .more = CAROL};
}

static struct sim *world(const struct wish *a, const struct wish *b)
{
	return wish_world(a, b, true);
}

/* ---- it works -------------------------------------------------------------------------------- */

static void test_A13_by_a_password(void)
{
	static const char *const locals[] = {
		CLIENT, "auth = eap\n id = carol@example.org",
		"auth = eap\n id = somebody.example\n eap_id = carol@example.org"};
	static const char *const remotes[] = {CLIENTS "\n eap_id = %any",
					      CLIENTS "\n eap_id = carol@example.org"};

	for (size_t i = 0; i < ARRAY_LEN(locals); i++) {
		for (size_t k = 0; k < ARRAY_LEN(remotes); k++) {
			const struct wish a = client(locals[i]), b = server(remotes[k]);
			struct sim *s = world(&a, &b);
			struct wish_seen seen;

			wish_go(s, "net", 0);
			seen = wish_seen(s, B);
			CU_ASSERT_EQUAL(seen.proof.peer.type, ID_RFC822_ADDR);
			CU_ASSERT_EQUAL(seen.proof.peer.len, strlen("carol@example.org"));
			CU_ASSERT_EQUAL(seen.proof.eap, EAP_TYPE_MSCHAPV2);
			CU_ASSERT_EQUAL(seen.num_children, 1);
			wish_proved(s, "pkix-inline", "eap");
		}
	}
}

/* Without `eap_id` the name in IKE is the one that is proven. */
static void test_S22_the_name_in_ike(void)
{
	const struct wish a = client(CLIENT);
	const struct wish c = client("auth = eap\n id = dave@example.org\n"
				     "eap_id = carol@example.org");
	struct wish b = server(CLIENTS);
	struct sim *s = world(&a, &b);

	wish_go(s, "net", 0);
	wish_proved(s, "pkix-inline", "eap");
	/* With a password that is dave's, too. */
	b.more = "secrets { eap { id-1 = carol@example.org\n id-2 = dave@example.org\n"
		 " secret = " PASSWORD " } }";
	s = world(&c, &b);
	wish_go(s, "net", 0);
	wish_refused(s, B, IKE_REASON_AUTH_FAILED_LOCAL, "by another name than it said");
}

/* ---- who is not believed --------------------------------------------------------------------- */

/* A half-open SA of the responder's ends by its time. */
static void refused(struct sim *s, unsigned side, enum ike_reason reason, const char *word)
{
	wish_go(s, "net", 0);
	sim_run(s, s->now_ns + 80 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[!side].child_up, 0);
	wish_refused(s, side, reason, word);
}

static void test_S21_wrong_password(void)
{
	struct wish a = client(CLIENT), b = server(CLIENTS);

	a.more = "secrets { eap-carol { id = carol@example.org\n secret = wrong } }";
	refused(world(&a, &b), B, IKE_REASON_AUTH_FAILED_LOCAL, "password is wrong");
	refused(world(&a, &b), A, IKE_REASON_AUTH_FAILED_PEER, "(E=691)");
	a.more = "";
	refused(world(&a, &b), A, IKE_REASON_AUTH_FAILED_PEER, "no secret");
	a.more = CAROL;
	b.more = "";
	refused(world(&a, &b), B, IKE_REASON_AUTH_FAILED_LOCAL, "no secret");
}

/* S22: who proves to be somebody else is not who is wanted. */
static void test_S22_another_name(void)
{
	const struct wish dave = {.local = "auth = eap\n id = carol@example.org\n"
					   "eap_id = dave@example.org",
				  .remote = SERVER,
				  .more = "secrets { eap { id = dave@example.org\n"
					  "secret = password } }"};
	static const char *const remotes[] = {CLIENTS "\n eap_id = carol@example.org",
					      CLIENTS "\n id = carol@example.org\n"
						      "eap_id = %any"};

	for (size_t i = 0; i < ARRAY_LEN(remotes); i++) {
		struct wish b = server(remotes[i]);

		b.more = "secrets { eap { id = dave@example.org\n secret = password } }";
		refused(world(&dave, &b), B, IKE_REASON_ID_MISMATCH, "dave@example.org");
	}
}

/* Both sides say what does not fit, and what to change. */
static void test_ways_that_do_not_meet(void)
{
	const struct wish eap = client(CLIENT), by_eap = server(CLIENTS);
	const struct wish psk = {.local = "auth = psk\n id = carol@example.org",
				 .remote = SERVER,
				 .more = "secrets { ike { secret = 0123456789abcdef } }"};
	const struct wish wants_psk = {.local = SERVER,
				       .remote = "auth = psk",
				       .more = "secrets { ike { secret = 0123456789abcdef } }"};
	const struct wish other = client("auth = pubkey\n id = host1.example");

	refused(world(&eap, &wants_psk), B, IKE_REASON_AUTH_FAILED_LOCAL, "is not offered here");
	refused(world(&psk, &by_eap), B, IKE_REASON_AUTH_FAILED_LOCAL, "is to prove itself by EAP");
	refused(world(&other, &by_eap), B, IKE_REASON_AUTH_FAILED_LOCAL,
		"is to prove itself by EAP");
	/* Who is proven by EAP has to begin. */
	refused(world(&by_eap, &eap), A, IKE_REASON_UNSUPPORTED, "has to begin");
}

/* ---- certificates ---------------------------------------------------------------------------- */

#define TLS "auth = eap-tls\n id = host%u.example"

/* Beside the server's own signature, and instead of it (RFC 5998). */
static void test_A13_by_tls(void)
{
	static const char *const locals[] = {TLS, "auth = eap\n id = host%u.example",
					     "auth = eap-tls\n id = me.example\n"
					     "eap_id = host%u.example"};
	static const char *const remotes[] = {
		TLS, TLS, "auth = eap-tls\n id = me.example\n eap_id = host%u.example"};

	for (size_t i = 0; i < ARRAY_LEN(locals); i++) {
		const struct wish a = {.local = locals[i], .remote = SERVER};
		const struct wish b = {.local = SERVER, .remote = remotes[i]};
		struct sim *s = world(&a, &b);

		wish_go(s, "net", 0);
		CU_ASSERT_EQUAL(wish_seen(s, B).proof.eap, EAP_TYPE_TLS);
		CU_ASSERT_EQUAL(wish_seen(s, B).proof.peer.len, strlen("host1.example"));
		wish_proved(s, "pkix-inline", "eap");
	}
}

/* The server behind the gateway has another name, and no other than that. */
static void test_S22_tls_behind_the_gateway(void)
{
	struct wish a = {.local = TLS "\n aaa_id = host2.example", .remote = SERVER};
	const struct wish b = {.local = SERVER, .remote = TLS};
	struct sim *s = world(&a, &b);

	wish_go(s, "net", 0);
	wish_proved(s, "pkix-inline", "eap");
	a.local = TLS "\n aaa_id = aaa.example";
	refused(world(&a, &b), A, IKE_REASON_AUTH_FAILED_PEER, "does not hold that identity");
}

static void test_A13_by_tls_alone(void)
{
	const struct wish a = {.local = TLS, .remote = TLS}, b = a;
	struct sim *s = world(&a, &b);

	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(wish_seen(s, A).proof.eap, EAP_TYPE_TLS);
	CU_ASSERT_EQUAL(wish_seen(s, A).proof.peer.len, strlen("host2.example"));
	wish_proved(s, "eap", "eap");
}

/* S22, S23: a server whose certificate is another's, or of an authority that is not known, is not
 * told who we are; and a client's is looked at as closely. */
static void test_S22_tls_of_another(void)
{
	struct wish a = {.local = TLS, .remote = TLS}, b = a;

	a.remote = "auth = eap-tls\n id = other.example";
	b.local = "auth = eap-tls\n id = other.example\n certs = x";
	b.local = TLS;
	refused(world(&a, &b), B, IKE_REASON_NO_CONFIG, "other.example");
	/* Under a name that its certificate does not hold. */
	b.remote = "auth = eap-tls";
	a = (struct wish){.local = "auth = eap-tls\n id = other.example\n eap_id = host%u.example",
			  .remote = TLS};
	refused(world(&a, &b), B, IKE_REASON_AUTH_FAILED_LOCAL, "does not hold that identity");
}

static void test_S23_tls_unknown_authority(void)
{
	const struct wish w = {.local = TLS, .remote = TLS};
	static struct pki_cert strange;

	if (!strange.len)
		pki_cert_make(&strange, &(struct pki_params){.subject = "/CN=Elsewhere",
							     .ca = "critical,CA:TRUE"});
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = world(&w, &w);
		struct conf *conf = sim_creds(wish_conf(side, &w), side, "P-256"), *less;

		/* It believes somebody else alone. */
		CU_ASSERT_EQUAL_FATAL(conf_without_authority(&less, conf, "test"), ERR_OK);
		conf_put(conf);
		wish_configure(s, side, pki_add(less, CRED_CA, pki_der(&strange)));
		refused(s, side,
			side == A ? IKE_REASON_AUTH_FAILED_PEER : IKE_REASON_AUTH_FAILED_LOCAL,
			"authority");
	}
}

/* S29: EAP alone is not what a weak method is for (RFC 5998 4). */
static void test_S29_not_alone(void)
{
	struct wish a = client(CLIENT), b = server(CLIENTS);
	struct conf *conf;

	a.remote = CLIENTS "\n id = host%u.example";
	b.local = "auth = eap\n id = host%u.example";
	conf = sim_conf_parse(wish_text(A, &a));
	CU_ASSERT_PTR_NULL(conf);
	CU_ASSERT_PTR_NULL(sim_conf_parse(wish_text(B, &b)));
}

/* ---- who tells what first -------------------------------------------------------------------- */

/* struct spoiler - what happens to a message. */
struct spoiler {
	unsigned from, at; /* the at-th IKE_AUTH of this side, from 0 */
	void (*spoil)(struct forge_msg *m);
	unsigned seen[2];
	unsigned asked;     /* how often the client's password was asked for */
	unsigned begun;     /* how often the server signed for a client */
	unsigned num_certs; /* certificates of the client's that the server holds */
	bool done;
};

static bool spoil(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	static uint8_t out[FORGE_BUF];
	struct spoiler *sp = ctx;
	struct forge_msg m;
	size_t n;

	if (!forge_open(s, &m, from, bytes, *len) || m.h.exchange != IKE_AUTH)
		return true;
	if (sp->seen[from]++ != sp->at || from != sp->from || sp->done)
		return true;
	sp->done = true;
	sp->spoil(&m);
	n = forge_close(s, &m, from, out, sizeof(out));
	CU_ASSERT_FATAL(n > 0);
	sim_inject(s, !from, out, n);
	return false;
}

static bool count_asks(struct sim *s, unsigned side, const struct ike_ask *ask, void *ctx)
{
	struct spoiler *sp = ctx;

	(void)s;
	sp->asked += side == A && ask->kind == IKE_ASK_EAP_SECRET;
	if (side == B && ask->kind == IKE_ASK_SIGN) {
		sp->num_certs += ask->num_certs;
		sp->begun++;
	}
	return true;
}

static struct ike_payload *find(struct forge_msg *m, uint8_t type)
{
	for (uint32_t i = 0; i < m->num; i++)
		if (m->payloads[i].type == type)
			return &m->payloads[i];
	return NULL;
}

static void drop_auth(struct forge_msg *m)
{
	struct ike_payload *p = find(m, PAYLOAD_AUTH);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	*p = m->payloads[--m->num];
}

static void drop_eap(struct forge_msg *m)
{
	struct ike_payload *p = find(m, PAYLOAD_EAP);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	*p = m->payloads[--m->num];
}

static void turn_auth(struct forge_msg *m)
{
	struct ike_payload *p = find(m, PAYLOAD_AUTH);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	m->buf[(size_t)(p->body.p - m->buf) + p->body.len - 1] ^= 1;
}

static void no_method(struct forge_msg *m)
{
	struct ike_payload *p = find(m, PAYLOAD_AUTH);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	m->buf[p->body.p - m->buf] = 0;
}

static void say_success(struct forge_msg *m)
{
	static uint8_t success[] = {EAP_SUCCESS, 0, 0, 4};
	struct ike_payload *p = find(m, PAYLOAD_EAP);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	success[1] = p->body.p[1];
	p->body = bytes_of(success, sizeof(success));
}

static void say_auth(struct forge_msg *m)
{
	static const uint8_t auth[4 + 32] = {AUTH_SHARED_KEY_MIC};

	m->num = 1;
	m->payloads[0] =
		(struct ike_payload){.type = PAYLOAD_AUTH, .body = bytes_of(auth, sizeof(auth))};
}

static struct sim *spoil_world(struct sim *s, struct spoiler *sp)
{
	s->tap = spoil;
	s->tap_ctx = sp;
	s->asked = count_asks;
	wish_go(s, "net", 0);
	sim_run(s, s->now_ns + 200 * NS_PER_S);
	CU_ASSERT_TRUE(sp->done);
	return s;
}

static struct sim *spoiled(struct spoiler *sp)
{
	const struct wish a = client(CLIENT), b = server(CLIENTS "\n eap_id = %any");

	return spoil_world(world(&a, &b), sp);
}

/* S21: AUTH of no method is not the wish for EAP. */
static void test_S21_no_method(void)
{
	const struct wish a = {.local = "auth = pubkey\n id = host1.example", .remote = SERVER};
	const struct wish b = server(CLIENTS);
	struct spoiler sp = {.from = A, .spoil = no_method};

	wish_refused(spoil_world(world(&a, &b), &sp), B, IKE_REASON_MALFORMED,
		     "does not follow the format");
}

/* A server that has not proven who it is hears nothing: no name, no answer, and nobody is asked for
 * the password. */
static void test_S23_nothing_to_strangers(void)
{
	static void (*const ways[])(struct forge_msg * m) = {drop_auth, turn_auth};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct spoiler sp = {.from = B, .spoil = ways[i]};
		struct sim *s = spoiled(&sp);

		CU_ASSERT_EQUAL(sp.seen[A], 1);
		CU_ASSERT_EQUAL(sp.asked, 0);
		wish_refused(s, A, IKE_REASON_AUTH_FAILED_LOCAL,
			     i ? "is not believed" : "does not say who it is");
	}
}

static void add_cert(struct forge_msg *m)
{
	static const uint8_t body[1 + 100] = {CERT_X509_SIGNATURE, 0x30, 98};

	m->payloads[m->num++] =
		(struct ike_payload){.type = PAYLOAD_CERT, .body = bytes_of(body, sizeof(body))};
}

/* S11: what no proof is made of is not kept, of whoever it is. */
static void test_S11_no_certificates(void)
{
	const struct wish signs = {.local = "auth = pubkey\n id = host1.example", .remote = SERVER};
	struct spoiler sp = {.from = A, .spoil = add_cert};
	const struct wish b = server("auth = pubkey\n id = host1.example");
	struct sim *s = spoiled(&sp);

	CU_ASSERT_EQUAL(sp.num_certs, 0);
	wish_proved(s, "pkix-inline", "eap");
	/* That of a signature is. */
	s = world(&signs, &b);
	s->asked = count_asks;
	s->tap_ctx = &sp;
	wish_go(s, "net", 0);
	CU_ASSERT_EQUAL(sp.num_certs, 1);
	wish_proved(s, "pkix-inline", "pkix-inline");
}

/* S43: who has failed is not at once where it was, since a try costs a signature. */
static void test_S43_failed_ones_count(void)
{
	struct wish a = client(CLIENT), b = server(CLIENTS "\n eap_id = %any");
	struct spoiler sp = {.from = B};
	struct sim_options opt = {.conf = {NULL, wish_text(B, &b)},
				  .limits = {[B] = {.half_open_per_source = 3}},
				  .by_keyring = true,
				  .sign = true};
	struct sim *s;

	a.more = "secrets { eap-carol { id = carol@example.org\n secret = wrong } }";
	opt.conf[A] = wish_text(A, &a);
	s = sim_new(1, &opt);
	s->asked = count_asks;
	s->tap_ctx = &sp;
	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + NS_PER_S / 2);
		CU_ASSERT_EQUAL(sim_num_sas(s, B), 0);
		(void)!sim_terminate(s, A, NULL);
		sim_run(s, s->now_ns + NS_PER_S / 10);
	}
	CU_ASSERT_EQUAL(sp.begun, 3);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S / 2);
	CU_ASSERT_EQUAL(sp.begun, 4);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	sim_free(s);
}

/* Nor one that this side was to believe for nothing: a configuration that says so does not load,
 * and one that came otherwise does not lead to EAP. */
static void test_S23_nothing_to_nobody(void)
{
	struct spoiler sp = {.from = B};
	const struct wish a = client(CLIENT), b = server(CLIENTS "\n eap_id = %any");
	struct sim *s = world(&a, &b);

	s->asked = count_asks;
	s->tap_ctx = &sp;
	s->n[A].conf->conns[0]->remote = (struct conf_side){.auth = CONF_AUTH_NULL};
	s->n[B].conf->conns[0]->local =
		(struct conf_side){.auth = CONF_AUTH_NULL, .id = {.type = ID_NULL}};
	refused(s, A, IKE_REASON_AUTH_FAILED_LOCAL, "no signature that is believed");
	CU_ASSERT_EQUAL(sp.asked, 0);
}

/* S23: alone, a server that does not even say that it is who is wanted is told nothing. */
static void test_S23_tls_another_name(void)
{
	static const char *const wanted[] = {"auth = eap-tls\n id = *.elsewhere",
					     "auth = eap-tls\n eap_id = other.example"};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		const struct wish a = {.local = TLS, .remote = wanted[i]};
		const struct wish b = {.local = TLS, .remote = TLS};
		struct spoiler sp = {.from = B};
		struct sim *s = world(&a, &b);

		s->tap = spoil;
		s->tap_ctx = &sp;
		sp.done = true;
		refused(s, A, IKE_REASON_ID_MISMATCH, "host2.example");
		CU_ASSERT_EQUAL(sp.seen[A], 1);
	}
}

/* S21: that all is well is said too early; AUTH comes before EAP is over, or is not made of its
 * key. */
static void test_S21_key_and_completion(void)
{
	/* Of each side's IKE_AUTHs: 0 begins, 1 is a name, 2 MSCHAPv2's challenge or response, 3
	 * its success, 4 AUTH; of the server 1 is the challenge, 2 success, 3 all is well. */
	struct spoiler skip = {.from = B, .spoil = drop_eap};

	/* The server goes on as if nobody had to prove anything. */
	wish_refused(spoiled(&skip), A, IKE_REASON_AUTH_FAILED_LOCAL, "does not ask who we are");
	for (unsigned at = 1; at < 3; at++) {
		struct spoiler sp = {.from = B, .at = at, .spoil = say_success};
		struct sim *s = spoiled(&sp);

		if (at == 1)
			CU_ASSERT_EQUAL(sp.asked, 0);
		wish_refused(s, A, IKE_REASON_AUTH_FAILED_PEER, "before anything was proven");
	}
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned at = 1; at < 4; at++) {
			struct spoiler sp = {.from = side, .at = at, .spoil = say_auth};
			struct sim *s = spoiled(&sp);

			CU_ASSERT_EQUAL(s->n[A].ike_up + s->n[B].ike_up, 0);
			wish_refused(s, !side, IKE_REASON_AUTH_FAILED_LOCAL,
				     "AUTH before EAP is complete");
		}
	}
	for (unsigned side = 0; side < 2; side++) {
		struct spoiler sp = {.from = side, .at = 4, .spoil = turn_auth};
		struct sim *s = spoiled(&sp);

		CU_ASSERT_EQUAL(s->n[!side].ike_up, 0);
		CU_ASSERT_EQUAL(s->n[!side].last_failure, IKE_REASON_AUTH_FAILED_LOCAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(s->n[!side].last_text, "not made of the key"));
		CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
		sim_free(s);
	}
}

/* ---- the wire and the memory ----------------------------------------------------------------- */

static void under_loss(const char *a, const char *b)
{
	unsigned up = 0;

	for (unsigned seed = 1; seed <= 100; seed++) {
		const struct sim_options opt = {.wire = {.loss = 30,
							 .repeat = 5,
							 .reorder = 10,
							 .delay_ns = 5 * NS_PER_MS,
							 .reorder_ns = 50 * NS_PER_MS,
							 .ask_ns = 50 * NS_PER_MS},
						.conf = {a, b},
						.by_keyring = true,
						.sign = true};
		struct sim *s = sim_new(seed, &opt);
		char why[200];

		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		up += sim_run_until(s, s->now_ns + 60 * NS_PER_S, sim_up);
		s->wire.loss = 0;
		sim_run(s, s->now_ns + 100 * NS_PER_S);
		CU_ASSERT_TRUE(sim_same(s, why));
		sim_free(s);
	}
	tap_diag("%u of 100 are up within a minute", up);
	CU_ASSERT(up >= 95);
}

static void test_under_loss(void)
{
	const struct wish w = {.local = TLS, .remote = TLS};

	under_loss(sim_conf_eap(A, "", ""), sim_conf_eap(B, "", ""));
	under_loss(wish_text(A, &w), wish_text(B, &w));
}

/* Each allocation fails once: errors are clean, and all ends. */
static void fail_every_allocation(const struct sim_options *opt)
{
	struct sim *s = sim_new(1, opt);
	uint64_t before = alloc_count(), num;

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 5 * NS_PER_S);
	num = alloc_count() - before;
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
	CU_ASSERT(num > 50);
	for (uint64_t n = 1; n <= num; n++) {
		s = sim_new(1, opt);
		alloc_fail_nth(n);
		(void)!sim_initiate(s, A, "tun");
		sim_run(s, s->now_ns + 5 * NS_PER_S);
		alloc_fail_nth(0);
		for (unsigned side = 0; side < 2; side++)
			(void)!sim_terminate(s, side, NULL);
		sim_run(s, s->now_ns + 300 * NS_PER_S);
		CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
		CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
		sim_free(s);
	}
}

static void test_fail_every_allocation(void)
{
	const struct sim_options opt = {.conf = {sim_conf_eap(A, "", ""), sim_conf_eap(B, "", "")},
					.by_keyring = true,
					.sign = true};
	const struct wish w = {.local = TLS, .remote = TLS};
	const struct sim_options tls = {
		.conf = {wish_text(A, &w), wish_text(B, &w)}, .by_keyring = true, .sign = true};

	fail_every_allocation(&opt);
	fail_every_allocation(&tls);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A13_by_a_password),
	TAP_TEST(test_S22_the_name_in_ike),
	TAP_TEST(test_S21_wrong_password),
	TAP_TEST(test_S22_another_name),
	TAP_TEST(test_ways_that_do_not_meet),
	TAP_TEST(test_A13_by_tls),
	TAP_TEST(test_S22_tls_behind_the_gateway),
	TAP_TEST(test_A13_by_tls_alone),
	TAP_TEST(test_S22_tls_of_another),
	TAP_TEST(test_S23_tls_unknown_authority),
	TAP_TEST(test_S29_not_alone),
	TAP_TEST(test_S23_tls_another_name),
	TAP_TEST(test_S23_nothing_to_strangers),
	TAP_TEST(test_S23_nothing_to_nobody),
	TAP_TEST(test_S11_no_certificates),
	TAP_TEST(test_S43_failed_ones_count),
	TAP_TEST(test_S21_no_method),
	TAP_TEST(test_S21_key_and_completion),
	TAP_TEST(test_under_loss),
	TAP_TEST(test_fail_every_allocation),
};

TAP_MAIN("sim/eap", tests)
