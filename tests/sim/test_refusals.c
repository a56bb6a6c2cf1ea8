/* SPDX-License-Identifier: Apache-2.0 */
/* Every way in which a negotiation is refused: the reason on both sides, and nothing left (S33). */
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

static struct sim *begin(const struct sim_options *opt, uint64_t wait_ns)
{
	struct sim *s = sim_new(1, opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + wait_ns);
	return s;
}

/* Side i failed for this reason, with a sentence that holds a word. */
static void failed(const struct sim *s, unsigned i, enum ike_reason reason, const char *word)
{
	CU_ASSERT_EQUAL(s->n[i].failed, 1);
	CU_ASSERT_STRING_EQUAL(ike_reason_name(s->n[i].last_failure), ike_reason_name(reason));
	if (!strstr(s->n[i].last_text, word))
		tap_diag("side %c: %s", 'A' + (int)i, s->n[i].last_text);
	CU_ASSERT_PTR_NOT_NULL(strstr(s->n[i].last_text, word));
}

/* And in which exchange, and what the two sides wanted instead. */
static void wanted(const struct sim *s, unsigned i, const char *phase, const char *here,
		   const char *there)
{
	CU_ASSERT_STRING_EQUAL(s->n[i].phase, phase);
	CU_ASSERT_STRING_EQUAL(s->n[i].here, here);
	CU_ASSERT_STRING_EQUAL(s->n[i].there, there);
}

static void nothing_left(struct sim *s)
{
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(sim_clean(s, i));
		CU_ASSERT_EQUAL(sim_num_sas(s, i), 0);
		CU_ASSERT_EQUAL(s->n[i].child_up, 0);
	}
}

static void test_wrong_secret(void)
{
	struct sim_options opt = {.wire = calm, .secret = {NULL, "another secret altogether"}};
	struct sim *s = begin(&opt, 3 * NS_PER_S);

	failed(s, A, IKE_REASON_AUTH_FAILED_PEER, "AUTHENTICATION_FAILED");
	failed(s, B, IKE_REASON_AUTH_FAILED_LOCAL, "pre-shared keys of the two sides differ");
	wanted(s, A, "IKE_AUTH", "", "");
	wanted(s, B, "IKE_AUTH", "", "");
	CU_ASSERT_EQUAL(s->n[A].ike_up + s->n[B].ike_up, 0);
	nothing_left(s);
	sim_free(s);
}

static void test_no_secret(void)
{
	struct sim_options opt = {.wire = calm, .secret = {"", NULL}};
	struct sim *s = begin(&opt, 100 * NS_PER_S);

	failed(s, A, IKE_REASON_NO_SECRET, "no pre-shared key for host2.example");
	nothing_left(s);
	sim_free(s);
	opt.secret[A] = NULL;
	opt.secret[B] = "";
	s = begin(&opt, 3 * NS_PER_S);
	failed(s, A, IKE_REASON_AUTH_FAILED_PEER, "AUTHENTICATION_FAILED");
	failed(s, B, IKE_REASON_NO_SECRET, "no pre-shared key for host1.example");
	nothing_left(s);
	sim_free(s);
}

static void test_no_proposal(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = sim_conf(A, "proposals = aes256gcm16-prfsha256-x25519", "");
	opt.conf[B] = sim_conf(B, "proposals = aes128gcm16-prfsha384-ecp384", "");
	s = begin(&opt, 3 * NS_PER_S);
	failed(s, A, IKE_REASON_NO_PROPOSAL, "compare `proposals` of connection net");
	failed(s, B, IKE_REASON_NO_PROPOSAL, "`proposals` of connection net");
	wanted(s, A, "IKE_SA_INIT", "aes256gcm16-prfsha256-x25519", "");
	wanted(s, B, "IKE_SA_INIT", "aes128gcm16-prfsha384-ecp384", "aes256gcm16-prfsha256-x25519");
	nothing_left(s);
	sim_free(s);
}

static void test_no_connection_for_address(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[B] = "connections { net { remote_addrs = 198.51.100.7\n local { auth = psk }\n"
		      " remote { auth = psk } children { tun { } } } }";
	s = begin(&opt, 3 * NS_PER_S);
	failed(s, A, IKE_REASON_NO_PROPOSAL, "NO_PROPOSAL_CHOSEN");
	failed(s, B, IKE_REASON_NO_CONFIG, "remote_addrs");
	nothing_left(s);
	sim_free(s);
}

/* INVALID_KE_PAYLOAD: one retry with a group that we offered, and no other (S30). */
static void test_S30_invalid_ke(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = sim_conf(A, "proposals = aes256gcm16-prfsha256-x25519-ecp384", "");
	opt.conf[B] = sim_conf(B, "proposals = aes256gcm16-prfsha256-ecp384", "");
	s = begin(&opt, 3 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(s->n[A].failed + s->n[B].failed, 0);
	sim_free(s);
}

/* A child that cannot be leaves the IKE SA (RFC 7296 1.2). */
static void no_child(const char *a, const char *b, enum ike_reason reason, const char *word_a,
		     const char *word_b, const char *of_a, const char *of_b, const char *a_to_b)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = sim_conf(A, "", a);
	opt.conf[B] = sim_conf(B, "", b);
	s = begin(&opt, 3 * NS_PER_S);
	failed(s, A, reason, word_a);
	failed(s, B, reason, word_b);
	wanted(s, A, "IKE_AUTH", of_a, "");
	wanted(s, B, "IKE_AUTH", of_b, a_to_b);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(s->n[i].ike_up, 1);
		CU_ASSERT_EQUAL(s->n[i].child_up, 0);
		CU_ASSERT_EQUAL(sim_num_sas(s, i), 1);
		CU_ASSERT_TRUE(sim_clean(s, i));
	}
	/* and the same by CREATE_CHILD_SA */
	s->n[A].failed = s->n[B].failed = 0;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 3 * NS_PER_S);
	failed(s, A, reason, word_a);
	failed(s, B, reason, word_b);
	wanted(s, A, "CREATE_CHILD_SA", of_a, "");
	wanted(s, B, "CREATE_CHILD_SA", of_b, a_to_b);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	sim_free(s);
}

static void test_no_selector(void)
{
	no_child("", "local_ts = 10.77.0.0/16", IKE_REASON_TS_UNACCEPTABLE, "TS_UNACCEPTABLE",
		 "10.2.0.0/16 === 10.1.0.0/16", "10.1.0.0/16 === 10.2.0.0/16",
		 "10.77.0.0/16 === 10.1.0.0/16", "10.2.0.0/16 === 10.1.0.0/16");
}

static void test_no_esp_proposal(void)
{
	no_child("esp_proposals = aes128gcm16", "esp_proposals = aes256gcm16",
		 IKE_REASON_NO_PROPOSAL, "esp_proposals", "esp_proposals", "aes128gcm16-noesn",
		 "aes256gcm16-noesn", "aes128gcm16-noesn");
}

/* S22: the identity that was proven is compared with the configured one, in both roles. */
static void test_S22_identity(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = "connections { net { remote_addrs = 192.0.2.2\n encap = yes\n"
		      " local { auth = psk\n id = host1.example }\n"
		      " remote { auth = psk\n id = *.else.example }\n"
		      " children { tun { local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16 } } } }";
	s = begin(&opt, 5 * NS_PER_S);
	failed(s, A, IKE_REASON_ID_MISMATCH, "asks for *.else.example");
	wanted(s, A, "IKE_AUTH", "*.else.example", "host2.example");
	CU_ASSERT_EQUAL(s->n[A].ike_up, 0);
	/* the responder believed itself established until it was told */
	CU_ASSERT_EQUAL(s->n[B].ike_down, 1);
	CU_ASSERT_EQUAL(s->n[B].last_down, IKE_REASON_AUTH_FAILED_PEER);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
	sim_free(s);

	opt.conf[A] = NULL;
	opt.conf[B] = "connections { net { remote_addrs = 192.0.2.1\n encap = yes\n"
		      " local { auth = psk\n id = host2.example }\n"
		      " remote { auth = psk\n id = someone.else }\n"
		      " children { tun { local_ts = 10.2.0.0/16\n remote_ts = 10.1.0.0/16 } } } }";
	s = begin(&opt, 5 * NS_PER_S);
	failed(s, A, IKE_REASON_AUTH_FAILED_PEER, "AUTHENTICATION_FAILED");
	failed(s, B, IKE_REASON_NO_CONFIG, "says it is host1.example");
	nothing_left(s);
	sim_free(s);
}

static void no_pairs(const struct sim *s)
{
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(s->n[i].num_pairs + s->n[i].num_spis, 0);
}

static void test_asks_refused(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);

	s->n[B].refuse_peer = true;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 3 * NS_PER_S);
	failed(s, A, IKE_REASON_AUTH_FAILED_PEER, "AUTHENTICATION_FAILED");
	failed(s, B, IKE_REASON_REFUSED, "refused here");
	nothing_left(s);
	sim_free(s);

	s = sim_new(1, &opt);
	s->n[A].refuse_peer = true;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 3 * NS_PER_S);
	failed(s, A, IKE_REASON_REFUSED, "refused here");
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
	sim_free(s);

	for (unsigned i = 0; i < 2; i++) {
		s = sim_new(1, &opt);
		s->n[i].refuse_child = true;
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + 9 * NS_PER_S);
		failed(s, i, IKE_REASON_REFUSED, "refused here");
		no_pairs(s);
		CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 2);
		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + 9 * NS_PER_S);
		no_pairs(s);
		CU_ASSERT_EQUAL(s->n[i].failed, 2);
		sim_free(s);
	}
}

/* An ask that nobody answers is a refusal in the end; repeats of the request were absorbed. */
static void test_ask_unanswered(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);
	struct ike_stats st;

	s->quiet_ask = true;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 30 * NS_PER_S);
	failed(s, A, IKE_REASON_NO_SECRET, "no pre-shared key");
	sim_run(s, s->now_ns + 90 * NS_PER_S);
	nothing_left(s);
	ike_stats(s->n[B].e, &st);
	CU_ASSERT_EQUAL(st.half_open, 0);
	sim_free(s);
}

static void test_no_answer(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);

	s->n[B].deaf = true;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + 60 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].failed, 0);
	sim_run(s, s->now_ns + 30 * NS_PER_S);
	failed(s, A, IKE_REASON_NO_ANSWER, "no answer from 192.0.2.2[500]");
	wanted(s, A, "IKE_SA_INIT", "", "");
	nothing_left(s);
	sim_free(s);
}

/* A half-open SA whose initiator falls silent goes by itself. */
static void test_half_open_ends(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = sim_new(1, &opt);
	struct ike_stats st;

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	s->n[A].deaf = true;
	sim_run(s, s->now_ns + NS_PER_S);
	ike_stats(s->n[B].e, &st);
	CU_ASSERT_EQUAL(st.half_open, 1);
	CU_ASSERT_EQUAL(sim_terminate(s, A, NULL), ERR_OK);
	sim_run(s, s->now_ns + 70 * NS_PER_S);
	ike_stats(s->n[B].e, &st);
	CU_ASSERT_EQUAL(st.half_open, 0);
	nothing_left(s);
	sim_free(s);
}

/* Liveness (2.4): a dead peer is noticed, its SAs go. */
static void test_dead_peer(void)
{
	struct sim_options opt = {.wire = calm};
	struct sim *s;

	opt.conf[A] = sim_conf(A, "dpd_delay = 10s", "");
	s = begin(&opt, 3 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	sim_run(s, s->now_ns + 300 * NS_PER_S); /* a living one is not */
	CU_ASSERT_EQUAL(s->n[A].ike_down, 0);
	s->n[B].deaf = true;
	sim_run(s, s->now_ns + 100 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 1);
	CU_ASSERT_EQUAL(s->n[A].last_down, IKE_REASON_NO_ANSWER);
	CU_ASSERT_TRUE(sim_clean(s, A));
	sim_free(s);
}

/* While ESP arrives no liveness check is made. */
static void test_traffic_is_a_sign_of_life(void)
{
	struct sim_options opt = {.wire = calm};
	struct ike_stats before, after;
	struct sim *s;

	opt.conf[A] = sim_conf(A, "dpd_delay = 10s", "");
	s = begin(&opt, 3 * NS_PER_S);
	s->traffic = true;
	ike_stats(s->n[A].e, &before);
	sim_run(s, s->now_ns + 60 * NS_PER_S);
	ike_stats(s->n[A].e, &after);
	CU_ASSERT_EQUAL(before.sent, after.sent);
	s->traffic = false;
	sim_run(s, s->now_ns + 60 * NS_PER_S);
	ike_stats(s->n[A].e, &after);
	CU_ASSERT_TRUE(after.sent > before.sent + 3);
	sim_free(s);
}

static void test_given_up_while_connecting(void)
{
	for (uint64_t ms = 0; ms < 80; ms += 2) {
		const struct sim_options opt = {
			.wire = {.delay_ns = 10 * NS_PER_MS, .ask_ns = 3 * NS_PER_MS}};
		struct sim *s = sim_new(ms, &opt);

		CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
		sim_run(s, s->now_ns + ms * NS_PER_MS);
		CU_ASSERT_EQUAL(sim_terminate(s, A, NULL), ERR_OK);
		sim_run(s, s->now_ns + 70 * NS_PER_S);
		CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
		CU_ASSERT_EQUAL(sim_num_sas(s, A) + sim_num_sas(s, B), 0);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_wrong_secret),
	TAP_TEST(test_no_secret),
	TAP_TEST(test_no_proposal),
	TAP_TEST(test_no_connection_for_address),
	TAP_TEST(test_S30_invalid_ke),
	TAP_TEST(test_no_selector),
	TAP_TEST(test_no_esp_proposal),
	TAP_TEST(test_S22_identity),
	TAP_TEST(test_asks_refused),
	TAP_TEST(test_ask_unanswered),
	TAP_TEST(test_no_answer),
	TAP_TEST(test_half_open_ends),
	TAP_TEST(test_dead_peer),
	TAP_TEST(test_traffic_is_a_sign_of_life),
	TAP_TEST(test_given_up_while_connecting),
};

TAP_MAIN("sim/refusals", tests)
