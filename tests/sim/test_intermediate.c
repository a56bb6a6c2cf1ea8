/* SPDX-License-Identifier: Apache-2.0 */
/* Additional key exchanges between IKE_SA_INIT and IKE_AUTH (RFC 9242, RFC 9370). */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};
static const struct sim_wire rough = {
	.loss = 25, .repeat = 10, .reorder = 20, .jitter_ns = 20 * NS_PER_MS, .ask_ns = NS_PER_MS};

static const char *conf_text(unsigned side, const char *proposals)
{
	static char extra[2][300];

	snprintf(extra[side], sizeof(extra[side]), "proposals = %s", proposals);
	return sim_conf_anywhere(side, extra[side], "");
}

/* struct watch - IKE_INTERMEDIATE requests and responses on the wire, each copy counted. */
struct watch {
	unsigned requests, responses, announced;
	bool (*meddle)(struct sim *s, unsigned from, uint8_t *bytes, size_t *len);
};

static bool watch(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct watch *w = ctx;

	if (bytes[18] == IKE_INTERMEDIATE && bytes[19] & IKE_FLAG_RESPONSE)
		w->responses++;
	else if (bytes[18] == IKE_INTERMEDIATE)
		w->requests++;
	return !w->meddle || w->meddle(s, from, bytes, len);
}

static struct sim *begin(struct watch *w, const char *a, const char *b)
{
	const struct sim_options opt = {.wire = calm, .conf = {conf_text(A, a), conf_text(B, b)}};
	struct sim *s = sim_new(1, &opt);

	s->tap = watch;
	s->tap_ctx = w;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 20 * NS_PER_S);
	return s;
}

static const char *suite_of(struct sim *s, unsigned side)
{
	return list_entry(s->n[side].e->sas.next, struct ike_sa, node)->proposal;
}

/* As many exchanges as there are methods in common, in their order, and AUTH believes in them. */
static void test_as_agreed(void)
{
	static const struct {
		const char *a, *b, *suite;
		unsigned exchanges;
	} rows[] = {
		{"aes256gcm16-prfsha384-x25519-ke1_ecp256",
		 "aes256gcm16-prfsha384-x25519-ke1_ecp256",
		 "AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519/KE1_ECP_256", 1},
		{"aes256gcm16-prfsha384-x25519-ke1_ecp256-ke3_ecp384",
		 "aes256gcm16-prfsha384-x25519-ke1_ecp521-ke1_ecp256-ke3_ecp256-ke3_ecp384",
		 "AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519/KE1_ECP_256/KE3_ECP_384", 2},
		{"aes128-sha256-ecp256-ke1_x25519-ke1_none-ke7_modp2048",
		 "aes128-sha256-ecp256-ke7_modp2048",
		 "AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256/KE7_MODP_2048", 1},
		{"aes128gcm16-prfsha256-x25519-ke1_ecp256-ke1_none", "aes128gcm16-prfsha256-x25519",
		 "AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519", 0},
		{"aes128gcm16-prfsha512-x25519-ke1_ecp256-ke2_ecp384-ke3_ecp521-ke4_modp2048-"
		 "ke5_modp3072-ke6_modp4096-ke7_x25519",
		 "aes128gcm16-prfsha512-x25519-ke1_ecp256-ke2_ecp384-ke3_ecp521-ke4_modp2048-"
		 "ke5_modp3072-ke6_modp4096-ke7_x25519",
		 "AES_GCM_16-128/PRF_HMAC_SHA2_512/CURVE_25519/KE1_ECP_256/KE2_ECP_384/KE3_ECP_521/"
		 "KE4_MODP_2048/KE5_MODP_3072/KE6_MODP_4096/KE7_CURVE_25519",
		 7},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct watch w = {0};
		struct sim *s = begin(&w, rows[i].a, rows[i].b);

		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_TRUE(w.requests >= rows[i].exchanges);
		CU_ASSERT_TRUE(!!w.requests == !!rows[i].exchanges);
		CU_ASSERT_STRING_EQUAL(suite_of(s, A), rows[i].suite);
		CU_ASSERT_STRING_EQUAL(suite_of(s, B), rows[i].suite);
		if (!sim_up(s))
			tap_diag("%zu: %s / %s", i, s->n[A].last_text, s->n[B].last_text);
		sim_free(s);
	}
}

#define ONE "aes256gcm16-prfsha256-x25519-ke1_ecp256"
#define TWO "aes256gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp384"

/* What is not had in common is refused with what is missing. */
static void test_not_agreed(void)
{
	static const char *const rows[][2] = {
		{"aes256gcm16-prfsha256-x25519", ONE},
		{ONE, "aes256gcm16-prfsha256-x25519"},
		{ONE, "aes256gcm16-prfsha256-x25519-ke1_ecp521"},
		{ONE, "aes256gcm16-prfsha256-x25519-ke2_ecp256"},
		/* Each at most once (RFC 9370 2.2.1). */
		{"aes256gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp256",
		 "aes256gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp256"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct watch w = {0};
		struct sim *s = begin(&w, rows[i][0], rows[i][1]);

		CU_ASSERT_TRUE(!s->n[A].ike_up && !s->n[B].ike_up && !w.requests);
		CU_ASSERT_EQUAL(s->n[A].last_failure, IKE_REASON_NO_PROPOSAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(s->n[A].last_text, "NO_PROPOSAL_CHOSEN"));
		sim_free(s);
	}
}

/* What a connection asks for in additional key exchanges holds for whoever its identity leads to,
 * whatever connection the proposal was taken from. */
static void test_R_connection_asks_for_more(void)
{
	static const char b[] =
		"connections { net {\n local_addrs = 192.0.2.2\n remote_addrs = 192.0.2.1\n"
		" proposals = " ONE "\n mobike = no\n local { auth = psk\n id = b.example }\n"
		" remote { auth = psk\n id = a.example }\n"
		" children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16\n } } }\n"
		" any {\n local_addrs = 192.0.2.2\n remote_addrs = 192.0.2.1\n"
		" proposals = aes256gcm16-prfsha256-x25519\n mobike = no\n"
		" local { auth = psk\n id = b.example }\n remote { auth = psk\n id = c.example }\n"
		" children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16\n } } } }\n"
		"secrets { ike-1 { secret = \"a fairly long shared secret\" } }\n";
	static const char a[] =
		"connections { net {\n local_addrs = 192.0.2.1\n remote_addrs = 192.0.2.2\n"
		" proposals = %s\n mobike = no\n local { auth = psk\n id = a.example }\n"
		" remote { auth = psk\n id = b.example }\n"
		" children { tun { local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16\n } } } }\n"
		"secrets { ike-1 { secret = \"a fairly long shared secret\" } }\n";
	static const char *const offers[] = {ONE, "aes256gcm16-prfsha256-x25519"};

	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		char text[1000];
		struct sim_options opt = {.wire = calm, .conf = {text, b}};
		struct sim *s;

		snprintf(text, sizeof(text), a, offers[i]);
		s = sim_new(1, &opt);
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[B].ike_up, i == 0);
		sim_free(s);
	}
}

/* Lost, repeated and late messages, whole and in fragments, with cookies: it comes up, and both
 * have the same keys. */
static void test_lossy(void)
{
	static const char *const daemon[] = {"", "latchkey { fragment_size = 256\n }",
					     "latchkey { cookies = always\n }"};

	for (size_t i = 0; i < ARRAY_LEN(daemon); i++) {
		unsigned up = 0;

		for (uint64_t seed = 1; seed <= 100; seed++) {
			char text[2][2000];
			struct sim_options opt = {.wire = rough, .conf = {text[0], text[1]}};
			struct sim *s;

			for (unsigned side = 0; side < 2; side++)
				snprintf(text[side], sizeof(text[side]), "%s %s",
					 conf_text(side, TWO), daemon[i]);
			s = sim_new(seed, &opt);
			CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
			up += sim_run_until(s, s->now_ns + 60 * NS_PER_S, sim_up);
			sim_free(s);
		}
		tap_diag("%zu: %u of 100", i, up);
		CU_ASSERT_TRUE(up >= 99);
	}
}

/* The first fragment of a request that was answered is asked for again (RFC 7383 2.6.1), although
 * the answer has brought new keys. */
static bool lose_first_answers(struct sim *s, unsigned from, uint8_t *bytes, size_t *len)
{
	static uint64_t begun;

	(void)len;
	if (bytes[18] != IKE_INTERMEDIATE || from != B)
		return true;
	if (((struct watch *)s->tap_ctx)->responses == 1)
		begun = s->now_ns;
	return s->now_ns - begun > NS_PER_S;
}

static void test_lost_answer_in_fragments(void)
{
	struct watch w = {.meddle = lose_first_answers};
	char text[2][2000];
	struct sim_options opt = {.wire = calm, .conf = {text[0], text[1]}};
	struct sim *s;

	for (unsigned side = 0; side < 2; side++)
		snprintf(text[side], sizeof(text[side]), "%s latchkey { fragment_size = 256\n }",
			 conf_text(side, "aes256gcm16-prfsha256-x25519-ke1_modp4096"));
	s = sim_new(1, &opt);
	s->tap = watch;
	s->tap_ctx = &w;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 30 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s) && w.requests > 3 && w.responses > 3);
	sim_free(s);
}

/* ---- a peer that breaks the rules
 * ----------------------------------------------------------------
 */

/* The receiver gets this, and not what was sent. */
static bool instead(struct sim *s, unsigned from, const struct forge_msg *m)
{
	static uint8_t out[FORGE_BUF];
	const size_t len = forge_close(s, m, from, out, sizeof(out));

	CU_ASSERT_FATAL(len > 0);
	sim_inject(s, !from, out, len);
	return false;
}

/* No IKE_AUTH before the last key exchange: A goes on at once. */
static bool skip_exchange(struct sim *s, unsigned from, uint8_t *bytes, size_t *len)
{
	static struct forge_msg m;

	if (from != A || bytes[18] != IKE_INTERMEDIATE || !forge_open(s, &m, from, bytes, *len))
		return true;
	m.h.exchange = IKE_AUTH;
	m.payloads[0] = (struct ike_payload){.type = PAYLOAD_IDI,
					     .body = bytes_of("\2\0\0\0host1.example", 17)};
	m.payloads[1] = (struct ike_payload){.type = PAYLOAD_AUTH,
					     .body = bytes_of("\2\0\0\0xxxxxxxxxxxxxxxxxxxx", 24)};
	m.num = 2;
	return instead(s, from, &m);
}

static void test_S9_no_auth_before_the_keys(void)
{
	struct watch w = {.meddle = skip_exchange};
	struct sim *s = begin(&w, ONE, ONE);

	CU_ASSERT_TRUE(!s->n[A].ike_up && !s->n[B].ike_up);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[B].last_text, "not the next of the key exchanges"));
	sim_free(s);
}

/* One key exchange more than was agreed on. */
static bool one_more(struct sim *s, unsigned from, uint8_t *bytes, size_t *len)
{
	static struct forge_msg m;

	if (from != A || bytes[18] != IKE_AUTH || !forge_open(s, &m, from, bytes, *len))
		return true;
	m.h.exchange = IKE_INTERMEDIATE;
	m.payloads[0] = (struct ike_payload){.type = PAYLOAD_KE,
					     .body = bytes_of("\0\37\0\0xxxxxxxxxxxxxxxxxxxx", 24)};
	m.num = 1;
	return instead(s, from, &m);
}

static void test_S9_no_more_than_agreed(void)
{
	struct watch w = {.meddle = one_more};
	struct sim *s = begin(&w, ONE, ONE);

	CU_ASSERT_TRUE(!s->n[A].ike_up && !s->n[B].ike_up);
	CU_ASSERT_EQUAL(s->n[B].last_failure, IKE_REASON_MALFORMED);
	sim_free(s);
	w.meddle = one_more; /* where there is none at all */
	s = begin(&w, "aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256-x25519");
	CU_ASSERT_TRUE(!s->n[A].ike_up && !s->n[B].ike_up);
	sim_free(s);
}

/* Whoever has the keys of IKE_SA_INIT, as one day a quantum computer may, and changes what goes
 * between is found out by AUTH (RFC 9242 3.3.2): here a notify is added to either message. */
static unsigned changes_from;

static bool add_notify(struct sim *s, unsigned from, uint8_t *bytes, size_t *len)
{
	static struct forge_msg m;

	if (from != changes_from || bytes[18] != IKE_INTERMEDIATE ||
	    !forge_open(s, &m, from, bytes, *len))
		return true;
	m.payloads[m.num++] =
		(struct ike_payload){.type = PAYLOAD_NOTIFY, .body = bytes_of("\0\0\100\0", 4)};
	return instead(s, from, &m);
}

static void test_R_auth_covers_what_goes_between(void)
{
	for (changes_from = A; changes_from <= B; changes_from++) {
		struct watch w = {.meddle = add_notify};
		struct sim *s = begin(&w, ONE, ONE);

		CU_ASSERT_TRUE(w.requests && w.responses);
		CU_ASSERT_TRUE(!s->n[A].ike_up && !s->n[B].ike_up);
		CU_ASSERT_EQUAL(s->n[B].last_failure, IKE_REASON_AUTH_FAILED_LOCAL);
		sim_free(s);
	}
}

/* Who proposes additional key exchanges and does not say that it can make them gets none. */
static bool strip_announcement(struct sim *s, unsigned from, uint8_t *bytes, size_t *len)
{
	static struct forge_msg m;
	uint32_t num = 0;

	if (from != changes_from || bytes[18] != IKE_SA_INIT ||
	    !forge_open(s, &m, from, bytes, *len))
		return true;
	for (uint32_t i = 0; i < m.num; i++) {
		struct wire_notify n;
		const struct ike_payload *p = &m.payloads[i];

		if (p->type == PAYLOAD_NOTIFY && !wire_notify_parse(&n, p->body) &&
		    n.type == NOTIFY_INTERMEDIATE_EXCHANGE_SUPPORTED)
			continue;
		m.payloads[num++] = *p;
	}
	CU_ASSERT_EQUAL(num + 1, m.num);
	m.num = num;
	return instead(s, from, &m);
}

static void test_not_announced(void)
{
	for (changes_from = A; changes_from <= B; changes_from++) {
		struct watch w = {.meddle = strip_announcement};
		struct sim *s = begin(&w, ONE, ONE);

		CU_ASSERT_TRUE(!s->n[A].ike_up && !s->n[B].ike_up && !w.requests);
		CU_ASSERT_PTR_NOT_NULL(
			strstr(s->n[!changes_from].last_text, "IKE_INTERMEDIATE (RFC 9242)"));
		sim_free(s);
	}
}

/* ---- memory
 * --------------------------------------------------------------------------------------
 */

static void test_fail_every_allocation(void)
{
	uint64_t total = 0;

	for (uint64_t nth = 0; nth <= total; nth++) {
		const struct sim_options opt = {.wire = calm,
						.conf = {conf_text(A, TWO), conf_text(B, TWO)}};
		struct sim *s = sim_new(1, &opt);
		uint64_t before = alloc_count();

		alloc_fail_nth(nth);
		(void)!sim_initiate(s, A, "tun");
		sim_run(s, s->now_ns + NS_PER_S / 2);
		alloc_fail_nth(0);
		if (nth == 0)
			total = alloc_count() - before;
		sim_run(s, s->now_ns + 100 * NS_PER_S);
		CU_ASSERT_EQUAL(sim_num_pairs(s, A), sim_num_pairs(s, B));
		(void)!sim_terminate(s, A, NULL);
		sim_run(s, s->now_ns + NS_PER_S);
		CU_ASSERT_TRUE(sim_clean(s, A));
		sim_free(s);
	}
	CU_ASSERT_TRUE(total > 40);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_as_agreed),
	TAP_TEST(test_not_agreed),
	TAP_TEST(test_R_connection_asks_for_more),
	TAP_TEST(test_lossy),
	TAP_TEST(test_lost_answer_in_fragments),
	TAP_TEST(test_S9_no_auth_before_the_keys),
	TAP_TEST(test_S9_no_more_than_agreed),
	TAP_TEST(test_R_auth_covers_what_goes_between),
	TAP_TEST(test_not_announced),
	TAP_TEST(test_fail_every_allocation),
};
TAP_MAIN("sim_intermediate", tests)
