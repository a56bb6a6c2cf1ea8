/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that is who it says, and takes without giving back. */
#include "control/child/child.h"
#include "control/ike/sa.h"
#include "control/ike/wire/build.h"
#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

#define ROUNDS 100

static struct ike_sa *first_sa(struct sim *s, unsigned side)
{
	return list_entry(s->n[side].e->sas.next, struct ike_sa, node);
}

/* A's INFORMATIONAL requests become empty: nothing is ever deleted. */
static bool keep_all(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	const struct ike_sa *sa;
	struct ike_header h;
	struct ike_aead *a;
	struct ike_builder b;
	struct bytes m;

	(void)ctx;
	if (from != A || ike_header_parse(&h, bytes_of(bytes, *len)) ||
	    h.exchange != INFORMATIONAL || (h.flags & IKE_FLAG_RESPONSE))
		return true;
	sa = sa_by_spi(s->n[A].e, h.spi_i); /* A began all of them */
	if (!sa)
		return true;
	CU_ASSERT_EQUAL_FATAL(ike_aead_new(s->n[A].e->crypto, &a, sa->keys.encr, &sa->keys.sk_ei),
			      ERR_OK);
	ike_build_begin(&b, bytes, *len, &h);
	ike_build_sk(&b);
	CU_ASSERT_EQUAL_FATAL(ike_build_finish(&b, &m, a), ERR_OK);
	ike_aead_free(a);
	*len = m.len;
	return true;
}

static uint32_t num_children(struct sim *s, unsigned side)
{
	uint32_t num = 0;

	list_for_each (n, &first_sa(s, side)->children) {
		num++;
	}
	return num;
}

/* Pairs that were replaced and never closed are bounded, as all pairs of a peer are; the connection
 * lives on. */
static void test_rekeys_without_deletes(void)
{
	const struct sim_options plain = {.wire = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS}};
	struct sim *s = sim_new(1, &plain);
	uint32_t most = 0;

	CU_ASSERT_EQUAL_FATAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_TRUE(sim_up(s));
	s->tap = keep_all;
	for (int i = 0; i < ROUNDS; i++) {
		(void)!sim_rekey(s, A, "tun");
		sim_run(s, s->now_ns + NS_PER_S);
		if (num_children(s, B) > most)
			most = num_children(s, B);
	}
	CU_ASSERT(most > 10);
	CU_ASSERT(most <= CHILDREN_REPLACED_MAX + 1);
	tap_diag("%u pairs at most", most);
	CU_ASSERT_EQUAL(sim_num_sas(s, A), 1);
	CU_ASSERT_EQUAL(sim_num_sas(s, B), 1);
	CU_ASSERT_EQUAL(sim_num_pairs(s, A), 1);
	sim_free(s);
}

static uint32_t num_ike(struct sim *s, unsigned side)
{
	uint32_t num = 0;

	list_for_each (n, &s->n[side].e->sas) {
		num++;
	}
	return num;
}

/* IKE SAs that were replaced wait for a delete that does not come: not for more and more of them.
 */
static void test_ike_rekeys_without_deletes(void)
{
	const struct sim_options plain = {.wire = {.jitter_ns = NS_PER_MS, .ask_ns = NS_PER_MS}};
	struct sim *s = sim_new(1, &plain);
	uint32_t most = 0;

	CU_ASSERT_EQUAL_FATAL(sim_initiate(s, A, "tun"), ERR_OK);
	sim_run(s, s->now_ns + NS_PER_S);
	s->tap = keep_all;
	for (int i = 0; i < 2 * PEER_REFS_MAX; i++) {
		(void)!sim_rekey(s, A, NULL);
		sim_run(s, s->now_ns + 50 * NS_PER_MS);
		if (num_ike(s, B) > most)
			most = num_ike(s, B);
	}
	tap_diag("%u IKE SAs at most", most);
	CU_ASSERT(most > 10);
	CU_ASSERT(most <= PEER_REFS_MAX);
	/* It goes on: the old ones end by themselves, and the newest is as it should be. */
	s->tap = NULL;
	sim_run(s, s->now_ns + 300 * NS_PER_S);
	CU_ASSERT_EQUAL(num_ike(s, A), 1);
	CU_ASSERT_EQUAL(num_ike(s, B), 1);
	CU_ASSERT_TRUE(sim_up(s));
	sim_free(s);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_rekeys_without_deletes),
	TAP_TEST(test_ike_rekeys_without_deletes),
};

TAP_MAIN("sim/greedy", tests)
