/* SPDX-License-Identifier: Apache-2.0 */
/* How long it holds who a peer is: reauth_time, and what the responder says of it (RFC 4478). */
#include <stdio.h>
#include <string.h>

#include "control/ike/auth_life.h"
#include "tests/sim/forge.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static struct ike_sa *sa_of(struct sim *s, unsigned side)
{
	struct ike_sa *found = NULL;

	list_for_each (n, &s->n[side].e->sas) {
		struct ike_sa *sa = list_entry(n, struct ike_sa, node);

		if (sa->state == SA_ESTABLISHED)
			found = sa;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	return found;
}

static struct sim *begin(const struct sim_options *opt)
{
	struct sim *s = sim_new(1, opt);

	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	s->traffic = true;
	return s;
}

/* Somebody proved himself about every `every` seconds; traffic went on, and one IKE SA is left. */
static void check_renewed(struct sim *s, uint64_t seconds, uint64_t every)
{
	char why[200] = "";

	after(s, seconds * NS_PER_S);
	s->traffic = false;
	after(s, 5 * NS_PER_S);
	for (unsigned side = 0; side < 2; side++) {
		CU_ASSERT_TRUE(s->n[side].ike_up >= seconds / every);
		CU_ASSERT_TRUE(s->n[side].ike_up <= seconds / every * 3 / 2 + 2);
		CU_ASSERT_EQUAL(s->n[side].ike_up, s->n[side].ike_down + 1);
		CU_ASSERT_EQUAL(s->n[side].failed, 0);
		/* What the responder sends by the new SAs before the other end has them. */
		CU_ASSERT_TRUE(s->n[side].lost_packets < s->n[side].ike_up);
		CU_ASSERT_EQUAL(sim_num_pairs(s, side), 1);
	}
	CU_ASSERT_TRUE(sim_same(s, why));
	if (why[0])
		tap_diag("%s", why);
}

/* ---- who begins ------------------------------------------------------------------------------ */

static void test_S20_life_of_the_initiator(void)
{
	const struct sim_options opt = {.wire = calm,
					.conf = {sim_conf(A, "reauth_time = 60s", "")}};
	struct sim *s = begin(&opt);

	check_renewed(s, 600, 60);
	CU_ASSERT_TRUE(sa_of(s, A)->initiator);
	sim_free(s);
}

/* The responder says when, and the initiator, to whom nothing was said here, is in time. */
static void test_S20_life_is_told(void)
{
	const struct sim_options opt = {.wire = calm,
					.conf = {NULL, sim_conf(B, "reauth_time = 60s", "")}};
	struct sim *s = begin(&opt);

	CU_ASSERT_TRUE(sa_of(s, A)->auth_life.due_ns < s->now_ns + 60 * NS_PER_S);
	check_renewed(s, 600, 60);
	CU_ASSERT_TRUE(sa_of(s, A)->initiator); /* each time */
	sim_free(s);
}

/* What is sooner counts, whoever says it. */
static void test_S20_life_the_sooner(void)
{
	for (unsigned sooner = 0; sooner < 2; sooner++) {
		const struct sim_options opt = {
			.wire = calm,
			.conf = {sim_conf(A, sooner == A ? "reauth_time = 60s" : "reauth_time = 1h",
					  ""),
				 sim_conf(B, sooner == B ? "reauth_time = 60s" : "reauth_time = 1h",
					  "")}};
		struct sim *s = begin(&opt);

		check_renewed(s, 300, 60);
		sim_free(s);
	}
}

/* New keys are no new proof: what began when it was proven goes on. */
static void test_S20_life_over_rekeys(void)
{
	for (unsigned by = 0; by < 2; by++) {
		const char *keys = "rekey_time = 25s\n over_time = 20s\n rand_time = 0";
		char one[120], both[120];
		struct sim_options opt = {.wire = calm};
		struct sim *s;

		snprintf(both, sizeof(both), "reauth_time = 60s\n %s", keys);
		snprintf(one, sizeof(one), "%s", by ? keys : both);
		opt.conf[A] = sim_conf(A, one, "");
		opt.conf[B] = sim_conf(B, by ? both : "rekey_time = 0", "");
		s = begin(&opt);
		after(s, 300 * NS_PER_S);
		CU_ASSERT_TRUE(s->n[A].ike_up >= 5);
		CU_ASSERT_TRUE(s->n[A].rekeyed_ike + s->n[B].rekeyed_ike >= 8);
		CU_ASSERT_TRUE(sim_up(s));
		sim_free(s);
	}
}

/* ---- who does not ---------------------------------------------------------------------------- */

/* A client that heeds nothing. */
static void ignore(struct sim *s, unsigned side)
{
	struct ike_sa *sa = sa_of(s, side);

	sa->auth_life.due_ns = sa->auth_life.end_ns = TIME_NEVER;
	auth_life_fini(sa);
}

/* Whom it can call the responder asks itself. */
static void test_S20_life_ignored(void)
{
	const struct sim_options opt = {.wire = calm,
					.conf = {NULL, sim_conf(B, "reauth_time = 60s", "")}};
	struct sim *s = begin(&opt);

	ignore(s, A);
	after(s, 59 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[B].ike_up, 1);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[B].ike_up, 2);
	CU_ASSERT_TRUE(sa_of(s, B)->initiator);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

static struct sim *begin_eap(const char *more)
{
	const struct sim_options opt = {
		.wire = calm,
		.conf = {sim_conf_eap(A, "", ""), sim_conf_eap(B, more, "")},
		.by_keyring = true,
		.sign = true};

	return begin(&opt);
}

static void test_S20_life_eap(void)
{
	struct sim *s = begin_eap("reauth_time = 60s");

	check_renewed(s, 300, 60);
	sim_free(s);
}

/* Who proves itself by EAP is not called: without a new proof its IKE SA is closed, with time left
 * for it. */
static void test_S20_life_eap_ignored(void)
{
	struct sim *s = begin_eap("reauth_time = 60s\n over_time = 20s");

	ignore(s, A);
	after(s, 78 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[B].ike_up, 1);
	CU_ASSERT_EQUAL(s->n[B].ike_down, 0);
	after(s, 3 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[B].ike_down, 1);
	CU_ASSERT_EQUAL(s->n[B].last_down, IKE_REASON_EXPIRED);
	CU_ASSERT_EQUAL(s->n[B].told_early, 0);
	CU_ASSERT_EQUAL(s->n[A].last_down, IKE_REASON_PEER_DELETE);
	CU_ASSERT_TRUE(sim_clean(s, A) && sim_clean(s, B));
	sim_free(s);
}

/* Nor is its life any longer when it changes its keys. */
static void test_S20_life_eap_rekeys(void)
{
	struct sim *s = begin_eap("reauth_time = 60s\n over_time = 20s");

	ignore(s, A);
	for (unsigned i = 0; i < 7; i++) {
		(void)!sim_rekey(s, A, NULL);
		after(s, 10 * NS_PER_S);
	}
	CU_ASSERT_TRUE(s->n[A].rekeyed_ike >= 6);
	CU_ASSERT_EQUAL(s->n[B].ike_down, 0);
	after(s, 12 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[B].last_down, IKE_REASON_EXPIRED);
	sim_free(s);
}

/* Who cannot prove itself any more loses what it has when the time is over, and not before. */
static void test_S20_life_without_proof(void)
{
	const struct sim_options opt = {
		.wire = calm, .conf = {sim_conf(A, "reauth_time = 60s\n over_time = 50s", "")}};
	struct sim *s = begin(&opt);

	s->n[B].secret = "another one";
	after(s, 105 * NS_PER_S);
	CU_ASSERT_TRUE(s->n[A].failed >= 1);
	CU_ASSERT_TRUE(s->n[A].failed <= 4);
	CU_ASSERT_EQUAL(s->n[A].ike_down, 0);
	CU_ASSERT_TRUE(sim_up(s));
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].last_down, IKE_REASON_EXPIRED);
	sim_free(s);
}

/* ---- said later ------------------------------------------------------------------------------ */

static void say(struct sim *s, unsigned from, uint32_t seconds)
{
	uint8_t body[8] = {0}, message[300];
	const struct ike_payload p = {.type = PAYLOAD_NOTIFY, .body = bytes_of(body, sizeof(body))};
	struct ike_sa *sa = sa_of(s, from);
	size_t len;

	store_be16(body + 2, NOTIFY_AUTH_LIFETIME);
	store_be32(body + 4, seconds);
	len = forge_bare(s, sa, INFORMATIONAL, 0, sa->out.x.next_id, &p, 1, message,
			 sizeof(message));
	sim_inject(s, !from, message, len);
	sa->out.x.next_id++;
}

/* A responder may say it at any time; at once is not sooner than ten seconds, so that two do not
 * prove themselves for ever. */
static void test_S20_life_said_later(void)
{
	const struct sim_options opt = {.wire = calm};
	struct sim *s = begin(&opt);

	say(s, B, 100);
	after(s, 78 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 1);
	after(s, 20 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 2);
	say(s, B, 0);
	after(s, 9 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 2);
	after(s, 5 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].ike_up, 3);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

/* Of who began nobody takes it, nor after it has re-keyed; the largest number is no overflow. */
static void test_S20_life_of_who_began(void)
{
	for (unsigned by = 0; by < 2; by++) {
		const struct sim_options opt = {.wire = calm};
		struct sim *s = begin(&opt);

		CU_ASSERT_EQUAL(sim_rekey(s, by, NULL), ERR_OK);
		after(s, 10 * NS_PER_S);
		say(s, A, 0);
		after(s, 30 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[B].ike_up, 1);
		say(s, B, UINT32_MAX);
		CU_ASSERT_TRUE(sa_of(s, A)->auth_life.due_ns > s->now_ns + 86400 * NS_PER_S);
		say(s, B, 0);
		after(s, 12 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[A].ike_up, 2);
		sim_free(s);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S20_life_of_the_initiator), TAP_TEST(test_S20_life_is_told),
	TAP_TEST(test_S20_life_the_sooner),       TAP_TEST(test_S20_life_over_rekeys),
	TAP_TEST(test_S20_life_ignored),          TAP_TEST(test_S20_life_eap),
	TAP_TEST(test_S20_life_eap_ignored),      TAP_TEST(test_S20_life_eap_rekeys),
	TAP_TEST(test_S20_life_without_proof),    TAP_TEST(test_S20_life_said_later),
	TAP_TEST(test_S20_life_of_who_began),
};

TAP_MAIN("sim/auth_life", tests)
