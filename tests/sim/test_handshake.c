/* SPDX-License-Identifier: Apache-2.0 */
/* What two engines do over a wire that loses nothing: each exchange of IKEv2, in order. */
#include <string.h>

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

static const struct tap_test tests[] = {
	TAP_TEST(test_handshake),
	TAP_TEST(test_initiate_again_is_nothing),
	TAP_TEST(test_delete_ike),
};

TAP_MAIN("sim/handshake", tests)
