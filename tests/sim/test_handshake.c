/* SPDX-License-Identifier: Apache-2.0 */
/* What two engines do over a wire that loses nothing: each exchange of IKEv2, in order. */
#include <string.h>

#include "control/child/child.h"
#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

static const struct sim_options plain = {.wire = {.jitter_ns = 2 * NS_PER_MS}};

static struct sim *up(uint64_t seed, const struct sim_options *opt)
{
	struct sim *s = sim_new(seed, opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(sim_initiate(s, 0, "tun"), ERR_OK);
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 5 * NS_PER_S, sim_up));
	return s;
}

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static void same(struct sim *s)
{
	char why[200] = "";

	if (!sim_same(s, why))
		tap_diag("%s", why);
	CU_ASSERT_STRING_EQUAL(why, "");
}

static void test_handshake(void)
{
	struct sim *s = up(1, &plain);

	same(s);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(s->n[i].ike_up, 1);
		CU_ASSERT_EQUAL(s->n[i].child_up, 1);
		CU_ASSERT_EQUAL(s->n[i].failed, 0);
		CU_ASSERT_EQUAL(sim_num_sas(s, i), 1);
	}
	sim_free(s);
}

static void test_initiate_again_is_nothing(void)
{
	struct sim *s = up(2, &plain);

	CU_ASSERT_EQUAL(sim_initiate(s, 0, "tun"), ERR_EXISTS);
	CU_ASSERT_EQUAL(sim_initiate(s, 1, "tun"), ERR_EXISTS);
	CU_ASSERT_EQUAL(sim_initiate(s, 0, "nothing"), ERR_NOT_FOUND);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_num_pairs(s, 0), 1);
	sim_free(s);
}

static void test_delete_ike(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = up(3, &plain);

		CU_ASSERT_EQUAL(sim_terminate(s, side, NULL), ERR_OK);
		after(s, NS_PER_S);
		for (unsigned i = 0; i < 2; i++) {
			CU_ASSERT_TRUE(sim_clean(s, i));
			CU_ASSERT_EQUAL(sim_num_sas(s, i), 0);
			CU_ASSERT_EQUAL(s->n[i].ike_down, 1);
			CU_ASSERT_EQUAL(s->n[i].child_down, 1);
			CU_ASSERT_EQUAL(s->n[i].last_down,
					i == side ? IKE_REASON_LOCAL : IKE_REASON_PEER_DELETE);
		}
		sim_free(s);
	}
}

static void test_delete_child(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = up(4, &plain);

		CU_ASSERT_EQUAL(sim_terminate(s, side, "tun"), ERR_OK);
		after(s, NS_PER_S);
		for (unsigned i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(s->n[i].num_pairs, 0);
			CU_ASSERT_EQUAL(s->n[i].num_spis, 0);
			CU_ASSERT_EQUAL(sim_num_sas(s, i), 1);
			CU_ASSERT_EQUAL(s->n[i].child_down, 1);
		}
		/* another one on the same IKE SA */
		CU_ASSERT_EQUAL(sim_initiate(s, !side, "tun"), ERR_OK);
		after(s, NS_PER_S);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_EQUAL(sim_num_sas(s, 0), 1);
		same(s);
		sim_free(s);
	}
}

/* Both close the same child at once (RFC 7296 1.4.1), and both the IKE SA (2.25.2). */
static void test_delete_collision(void)
{
	struct sim *s = up(5, &plain);

	CU_ASSERT_EQUAL(sim_terminate(s, 0, "tun"), ERR_OK);
	CU_ASSERT_EQUAL(sim_terminate(s, 1, "tun"), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(s->n[0].num_pairs + s->n[1].num_pairs, 0);
	CU_ASSERT_EQUAL(s->n[0].child_down, 1);
	CU_ASSERT_EQUAL(s->n[1].child_down, 1);
	CU_ASSERT_EQUAL(sim_terminate(s, 0, NULL), ERR_OK);
	CU_ASSERT_EQUAL(sim_terminate(s, 1, NULL), ERR_OK);
	after(s, NS_PER_S);
	CU_ASSERT_TRUE(sim_clean(s, 0) && sim_clean(s, 1));
	CU_ASSERT_EQUAL(sim_num_sas(s, 0) + sim_num_sas(s, 1), 0);
	sim_free(s);
}

static void no_loss(struct sim *s)
{
	CU_ASSERT_TRUE(s->n[0].sent_packets > 50 && s->n[1].sent_packets > 50);
	CU_ASSERT_EQUAL(s->n[0].lost_packets, 0);
	CU_ASSERT_EQUAL(s->n[1].lost_packets, 0);
}

static const struct sim_options jittery = {.wire = {.delay_ns = 10 * NS_PER_MS,
						    .jitter_ns = 60 * NS_PER_MS,
						    .ask_ns = 40 * NS_PER_MS}};

/* A re-key of the child under traffic loses nothing, whoever begins it. */
static void test_rekey_child(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = up(6, &jittery);

		after(s, NS_PER_S);
		s->traffic = true;
		for (unsigned i = 0; i < 5; i++) {
			CU_ASSERT_EQUAL(sim_rekey(s, side, "tun"), ERR_OK);
			after(s, 2 * NS_PER_S);
		}
		after(s, 10 * NS_PER_S);
		no_loss(s);
		same(s);
		CU_ASSERT_TRUE(sim_up(s));
		for (unsigned i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(s->n[i].rekeyed_child, 5);
			CU_ASSERT_EQUAL(s->n[i].num_pairs, 1);
			CU_ASSERT_EQUAL(s->n[i].child_down, 0);
			CU_ASSERT_EQUAL(s->n[i].failed, 0);
		}
		sim_free(s);
	}
}

/* Only the responder of the re-key has something to send: it goes on with the new pair when the old
 * one is closed. */
static void test_rekey_child_one_way(void)
{
	struct sim *s = up(8, &jittery);

	after(s, NS_PER_S);
	s->n[0].mute = true;
	s->traffic = true;
	after(s, NS_PER_S);
	CU_ASSERT_EQUAL(sim_rekey(s, 0, "tun"), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_TRUE(s->n[1].sent_packets > 400);
	CU_ASSERT_EQUAL(s->n[1].lost_packets, 0);
	sim_free(s);
}

/* Both re-key the same child at once (2.8.1): one new pair is left, nothing is lost. */
static void test_S32_rekey_child_collision(void)
{
	for (uint64_t seed = 0; seed < 150; seed++) {
		struct sim *s = up(100 + seed, &jittery);

		after(s, NS_PER_S);
		s->traffic = true;
		CU_ASSERT_EQUAL(sim_rekey(s, 0, "tun"), ERR_OK);
		after(s, sim_random(s, 150 * NS_PER_MS));
		(void)sim_rekey(s, 1, "tun");
		after(s, 20 * NS_PER_S);
		no_loss(s);
		same(s);
		CU_ASSERT_TRUE(sim_up(s));
		CU_ASSERT_EQUAL(s->n[0].num_pairs, 1);
		CU_ASSERT_EQUAL(s->n[1].num_pairs, 1);
		CU_ASSERT_EQUAL(s->n[0].child_down + s->n[1].child_down, 0);
		sim_free(s);
	}
}

/* The first CREATE_CHILD_SA response of the wire is lost. */
static bool lose_response(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	bool *lost = ctx;

	(void)s;
	(void)from;
	(void)len;
	if (*lost || bytes[18] != CREATE_CHILD_SA || !(bytes[19] & IKE_FLAG_RESPONSE))
		return true;
	*lost = true;
	return false;
}

/* The responder closes a new pair while its response is still under way: the initiator, who has
 * never heard of it, does not install it afterwards. */
static void test_closed_before_it_is_known(void)
{
	bool lost = false;
	struct sim *s = up(9, &plain);

	CU_ASSERT_EQUAL(sim_terminate(s, 0, "tun"), ERR_OK);
	after(s, NS_PER_S);
	s->tap = lose_response;
	s->tap_ctx = &lost;
	CU_ASSERT_EQUAL(sim_initiate(s, 0, "tun"), ERR_OK);
	after(s, NS_PER_S / 2);
	CU_ASSERT_TRUE(lost);
	CU_ASSERT_EQUAL(sim_terminate(s, 1, "tun"), ERR_OK);
	after(s, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(s->n[0].num_pairs + s->n[1].num_pairs, 0);
	CU_ASSERT_EQUAL(s->n[0].num_spis + s->n[1].num_spis, 0);
	CU_ASSERT_EQUAL(s->n[0].last_failure, IKE_REASON_PEER_DELETE);
	sim_free(s);
}

/* The same with a re-key of it: the initiator asks for patience. */
static void test_rekeyed_before_it_is_known(void)
{
	bool lost = false;
	struct sim *s = up(10, &plain);

	s->tap = lose_response;
	s->tap_ctx = &lost;
	CU_ASSERT_EQUAL(sim_rekey(s, 0, "tun"), ERR_OK);
	after(s, NS_PER_S / 2);
	CU_ASSERT_TRUE(lost);
	list_for_each (n, &s->n[1].e->sas) {
		children_confirm(list_entry(n, struct ike_sa, node)); /* a wrong belief */
	}
	CU_ASSERT_EQUAL(sim_rekey(s, 1, "tun"), ERR_OK);
	after(s, 20 * NS_PER_S);
	same(s);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(s->n[0].child_down + s->n[1].child_down, 0);
	CU_ASSERT_EQUAL(s->n[0].failed + s->n[1].failed, 0);
	sim_free(s);
}

static void test_rekey_ike(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct sim *s = up(7, &jittery);

		after(s, NS_PER_S);
		s->traffic = true;
		for (unsigned i = 0; i < 3; i++) {
			CU_ASSERT_EQUAL(sim_rekey(s, side, NULL), ERR_OK);
			after(s, 2 * NS_PER_S);
		}
		CU_ASSERT_EQUAL(sim_rekey(s, !side, "tun"), ERR_OK);
		after(s, 10 * NS_PER_S);
		no_loss(s);
		same(s);
		for (unsigned i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(s->n[i].rekeyed_ike, 3);
			CU_ASSERT_EQUAL(s->n[i].ike_down, 0);
			CU_ASSERT_EQUAL(sim_num_sas(s, i), 1);
			CU_ASSERT_EQUAL(s->n[i].num_pairs, 1);
			CU_ASSERT_EQUAL(s->n[i].num_peers, 1);
		}
		sim_free(s);
	}
}

/* Both re-key the IKE SA at once (2.25.2): one is left with all children. */
static void test_S32_rekey_ike_collision(void)
{
	unsigned crossed = 0;

	for (uint64_t seed = 0; seed < 40; seed++) {
		struct sim *s = up(200 + seed, &jittery);

		after(s, NS_PER_S);
		s->traffic = true;
		CU_ASSERT_EQUAL(sim_rekey(s, 0, NULL), ERR_OK);
		after(s, sim_random(s, 150 * NS_PER_MS));
		(void)sim_rekey(s, 1, NULL);
		after(s, 40 * NS_PER_S);
		no_loss(s);
		same(s);
		for (unsigned i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(sim_num_sas(s, i), 1);
			CU_ASSERT_EQUAL(s->n[i].num_pairs, 1);
			CU_ASSERT_EQUAL(s->n[i].ike_down, 0);
		}
		crossed += s->n[0].rekeyed_ike == 1;
		sim_free(s);
	}
	CU_ASSERT_TRUE(crossed > 5); /* some did cross */
}

static const struct tap_test tests[] = {
	TAP_TEST(test_delete_child),
	TAP_TEST(test_delete_collision),
	TAP_TEST(test_rekey_child_one_way),
	TAP_TEST(test_closed_before_it_is_known),
	TAP_TEST(test_rekeyed_before_it_is_known),
	TAP_TEST(test_rekey_child),
	TAP_TEST(test_S32_rekey_child_collision),
	TAP_TEST(test_rekey_ike),
	TAP_TEST(test_S32_rekey_ike_collision),
	TAP_TEST(test_handshake),
	TAP_TEST(test_initiate_again_is_nothing),
	TAP_TEST(test_delete_ike),
};

TAP_MAIN("sim/handshake", tests)
