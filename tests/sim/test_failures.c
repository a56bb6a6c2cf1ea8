/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S12: what a failed handshake leaves behind is nothing, however it failed. SIM_FAILURES sets how
 * many are made (400); the sanitizers look on in longer runs. The heap's blocks are counted, so a
 * leak shows in any build.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/blocks.h"
#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

/* After this nothing of a handshake may be left: half-open SAs and repeated requests have ended. */
#define OVER      (200 * NS_PER_S)
#define PER_WORLD 20

/* enum failure - the ways a handshake is made to fail. */
enum failure {
	WRONG_SECRET,
	NO_SECRET,
	PEER_REFUSED,
	CHILD_REFUSED,
	ASKS_UNANSWERED,
	BIT_FLIPPED,
	CUT_SHORT,
	PEER_LOST,
	GIVEN_UP,
	NUM_FAILURES
};

/* struct spoiler - what happens to the datagrams of one handshake. */
struct spoiler {
	enum failure how;
	uint64_t at, count; /* the message that it happens to, and how many were sent */
	uint64_t where;     /* a random number: which bit, which length */
};

static bool spoil(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct spoiler *sp = ctx;

	(void)s;
	(void)from;
	if (sp->count++ < sp->at)
		return true;
	if (sp->how == BIT_FLIPPED)
		bytes[sp->where % *len] ^= (uint8_t)(1 << sp->where / *len % 8);
	else if (sp->how == CUT_SHORT)
		*len = sp->where % *len;
	return sp->how != PEER_LOST;
}

static void give_up(struct sim *s, unsigned side)
{
	(void)sim_terminate(s, side, NULL);
}

static void fail_once(struct sim *s, struct spoiler *sp)
{
	unsigned side = (unsigned)sim_random(s, 2);
	struct sim_node *other = &s->n[!side];

	*sp = (struct spoiler){
		.how = (enum failure)sim_random(s, NUM_FAILURES),
		.at = sim_random(s, 4),
		.where = sim_random(s, UINT32_MAX),
	};
	other->secret = sp->how == WRONG_SECRET ? "another" : sp->how == NO_SECRET ? NULL : "same";
	other->refuse_peer = sp->how == PEER_REFUSED;
	other->refuse_child = sp->how == CHILD_REFUSED;
	s->quiet_ask = sp->how == ASKS_UNANSWERED;
	CU_ASSERT_EQUAL(sim_initiate(s, side, "tun"), ERR_OK);
	if (sp->how == GIVEN_UP)
		sim_at(s, s->now_ns + sim_random(s, 100 * NS_PER_MS), give_up, side);
	sim_run(s, s->now_ns + OVER);
	sp->at = UINT64_MAX;
	/* What came up all the same, as an IKE SA without a child does, goes in order. */
	(void)sim_terminate(s, 0, NULL);
	(void)sim_terminate(s, 1, NULL);
	sim_run(s, s->now_ns + OVER);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(sim_num_sas(s, i), 0);
		CU_ASSERT_TRUE(sim_clean(s, i));
		s->n[i].secret = "same";
		s->n[i].refuse_peer = s->n[i].refuse_child = false;
	}
	s->quiet_ask = false;
}

static void run_world(uint64_t seed, uint64_t num, uint64_t *failed)
{
	struct sim_options opt = {.wire = {.delay_ns = 10 * NS_PER_MS, .ask_ns = 20 * NS_PER_MS},
				  .secret = {"same", "same"}};
	struct spoiler sp = {.at = UINT64_MAX};
	struct sim *s = sim_new(seed, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->tap = spoil;
	s->tap_ctx = &sp;
	for (uint64_t i = 0; i < num; i++) {
		uint32_t before = s->n[0].failed + s->n[1].failed;

		fail_once(s, &sp);
		*failed += s->n[0].failed + s->n[1].failed != before;
	}
	sim_free(s);
}

static void test_S12_failed_handshakes_leave_nothing(void)
{
	const char *text = getenv("SIM_FAILURES");
	uint64_t num = text ? strtoull(text, NULL, 10) : 400, failed = 0;
	long before;

	run_world(1, 1, &failed); /* what is made once in a process */
	before = blocks_num();
	failed = 0;
	for (uint64_t done = 0; done < num; done += PER_WORLD) {
		run_world(2 + done, PER_WORLD, &failed);
		CU_ASSERT_EQUAL_FATAL(blocks_num(), before);
	}
	tap_diag("%lu handshakes, of which %lu failed", (unsigned long)num, (unsigned long)failed);
	CU_ASSERT_TRUE(failed * 2 > num);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S12_failed_handshakes_leave_nothing),
};

TAP_MAIN("sim/failures", tests)
