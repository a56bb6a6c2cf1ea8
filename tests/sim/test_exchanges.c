/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every exchange at once: each seed draws how the two sides prove who they are and what they agree
 * on beside it (drawn.h), and the wire loses 30 %, reorders 10 % and repeats 5 %. They re-key,
 * prove themselves anew, are sent elsewhere, move, close, crash and lose each other at random
 * moments. Once the network holds still both have the same, packets pass, and what is closed then
 * leaves nothing. SIM_SEEDS sets how many (200), SIM_FIRST the first one; longer runs are told of
 * in tests/long/README.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ike/core.h"
#include "tests/sim/aaa.h"
#include "tests/sim/blocks.h"
#include "tests/sim/forge.h"
#include "tests/sim/life.h"
#include "tests/tap/tap.h"

#define CHAOS (120 * NS_PER_S)

static const struct sim_wire rough = {.loss = 30,
				      .repeat = 5,
				      .reorder = 10,
				      .delay_ns = 10 * NS_PER_MS,
				      .jitter_ns = 40 * NS_PER_MS,
				      .reorder_ns = 800 * NS_PER_MS,
				      .ask_ns = 100 * NS_PER_MS};

static const char *const children[] = {"tun", "two"};

/* SHORT - so few exchanges that they are over within a minute but in one of a thousand runs. */
#define SHORT 4

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);

	return v ? strtoull(v, NULL, 10) : otherwise;
}

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

/* ---- what was seen, over all seeds ----------------------------------------------------------- */

static struct {
	uint64_t parts[NUM_PARTS], ways[16], exchanges[256], ops[32], accepted;
} seen;

static void count(const struct life *l, const struct outcome *out)
{
	for (unsigned p = 0; p < NUM_PARTS; p++)
		seen.parts[p] += l->parts[p] && drawn_has(&l->d, p);
	for (size_t i = 0; i < ARRAY_LEN(seen.exchanges); i++)
		seen.exchanges[i] += l->exchanges[i];
	seen.ways[drawn_way_number(l->d.way)] += out->established && out->proven;
	seen.accepted += aaa_accepted();
}

/* ---- what happens ---------------------------------------------------------------------------- */

static void op_rekey_child(struct sim *s, unsigned side, unsigned dice)
{
	(void)!sim_rekey(s, side, children[dice & 1]);
}

static void op_rekey_ike(struct sim *s, unsigned side, unsigned dice)
{
	(void)dice;
	(void)!sim_rekey(s, side, NULL);
}

static void op_both_rekey(struct sim *s, unsigned side, unsigned dice)
{
	(void)!sim_rekey(s, side, dice & 1 ? NULL : children[dice >> 1 & 1]);
	(void)!sim_rekey(s, !side, dice & 4 ? NULL : children[dice >> 3 & 1]);
}

static void op_close_child(struct sim *s, unsigned side, unsigned dice)
{
	(void)!sim_terminate(s, side, children[dice & 1]);
}

static void op_close_ike(struct sim *s, unsigned side, unsigned dice)
{
	(void)dice;
	(void)!sim_terminate(s, side, NULL);
}

static void op_begin(struct sim *s, unsigned side, unsigned dice)
{
	if (side == A || !life_of(s)->d.way->a_begins)
		(void)!sim_initiate(s, side, children[dice & 1]);
}

static void op_prove_again(struct sim *s, unsigned side, unsigned dice)
{
	const struct ike_sa *sa = life_established(s, side);
	const struct ike_reauth_params p = {.ike_id = sa ? sa->unique : 0};

	(void)dice;
	if (sa)
		(void)!ike_reauthenticate(s->n[side].e, &p, s->now_ns);
	sim_settle(s, side);
}

static void op_redirect(struct sim *s, unsigned side, unsigned dice)
{
	const struct ip_addr to = sim_addr(B, dice & 1);
	char name[IP_TEXT_MAX];
	const struct ike_redirect_params p = {.gateway = ip_addr_text(name, &to)};
	uint32_t num;

	(void)!ike_redirect(s->n[side].e, &num, &p, s->now_ns);
	sim_settle(s, side);
}

static void op_crash(struct sim *s, unsigned side, unsigned dice)
{
	(void)dice;
	sim_crash(s, side);
}

/* Both have given up the other, or one of them alone. */
static void op_lost(struct sim *s, unsigned side, unsigned dice)
{
	if (dice & 1)
		forge_lost(s);
	else
		forge_lost_by(s, side);
}

/* Some addresses, another one first perhaps, or for a while none. */
static void op_move(struct sim *s, unsigned side, unsigned dice)
{
	sim_have(s, side, dice & 3, dice >> 2 & 1);
}

/* struct op - with which part it makes sense. */
static const struct op {
	const char *name;
	void (*fn)(struct sim *s, unsigned side, unsigned dice);
	enum part part;
} ops[] = {
	{"re-key a child", op_rekey_child, NUM_PARTS},
	{"re-key IKE", op_rekey_ike, NUM_PARTS},
	{"both re-key", op_both_rekey, NUM_PARTS},
	{"close a child", op_close_child, NUM_PARTS},
	{"close IKE", op_close_ike, NUM_PARTS},
	{"begin", op_begin, NUM_PARTS},
	{"prove again", op_prove_again, NUM_PARTS},
	{"redirect", op_redirect, PART_REDIRECT},
	{"crash", op_crash, NUM_PARTS},
	{"lost", op_lost, NUM_PARTS},
	{"move", op_move, NUM_PARTS},
	{"move again", op_move, PART_MOBIKE},
};

static void upset(struct sim *s, unsigned what)
{
	const unsigned number = what % ARRAY_LEN(ops), dice = what / ARRAY_LEN(ops);
	const struct op *op = &ops[number];

	life_look(s);
	if (op->part != NUM_PARTS && !drawn_has(&life_of(s)->d, op->part))
		op = &ops[0];
	if (getenv("SIM_VERBOSE"))
		printf("# %8.3f %c %s\n", (double)(s->now_ns - 1000 * NS_PER_S) / 1e9,
		       'A' + (int)(dice & 1), op->name);
	seen.ops[op - ops]++;
	op->fn(s, dice & 1, dice >> 1);
}

/* ---- one seed -------------------------------------------------------------------------------- */

static void disturb(struct sim *s)
{
	const uint64_t num = 2 + sim_random(s, 8);

	life_want(s);
	if (sim_chance(s, 60))
		op_begin(s, (unsigned)sim_random(s, 2), 1);
	s->packet_ns = 200 * NS_PER_MS;
	s->traffic = true;
	for (uint64_t i = 0; i < num; i++)
		sim_at(s, s->now_ns + sim_random(s, CHAOS), upset,
		       (unsigned)sim_random(s, 256 * ARRAY_LEN(ops)));
	after(s, CHAOS);
}

static void play(struct outcome *out, uint64_t seed)
{
	struct life l;
	struct sim *s = life_begin(&l, drawn_make(seed), &rough, seed);

	life_first(s, out);
	disturb(s);
	life_still(s);
	life_judge(s, out);
	life_end(s, out);
	count(&l, out);
	life_over(s, out);
}

/* What is made once in a process is not made again. */
static bool leaks(struct outcome *out, uint64_t seed)
{
	long before = blocks_num();

	play(out, seed);
	if (blocks_num() == before)
		return false;
	before = blocks_num();
	play(out, seed);
	return blocks_num() != before;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Each way, part and operation came into its own. */
static void check_seen(void)
{
	static const uint8_t exchanges[] = {IKE_SA_INIT,       IKE_AUTH,         CREATE_CHILD_SA,
					    INFORMATIONAL,     IKE_INTERMEDIATE, IKE_FOLLOWUP_KE,
					    IKE_SESSION_RESUME};
	static const enum papers papers[] = {PAPERS_LIST_AT, PAPERS_RESPONDER, PAPERS_BY_URL};

	for (size_t i = 0; i < drawn_num_ways(); i++) {
		tap_diag("%s: %lu", drawn_way(i)->name, (unsigned long)seen.ways[i]);
		CU_ASSERT(seen.ways[i] > 0);
	}
	for (unsigned p = 0; p < NUM_PARTS; p++) {
		tap_diag("%s: %lu", drawn_part_name(p), (unsigned long)seen.parts[p]);
		CU_ASSERT(seen.parts[p] > 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(exchanges); i++)
		CU_ASSERT(seen.exchanges[exchanges[i]] > 0);
	for (size_t i = 0; i < ARRAY_LEN(papers); i++)
		CU_ASSERT(papers_served(papers[i]) > 0);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		CU_ASSERT(seen.ops[i] > 0);
	CU_ASSERT(seen.accepted > 0);
}

static void test_S33_every_exchange(void)
{
	const uint64_t num = env_number("SIM_SEEDS", 200), from = env_number("SIM_FIRST", 1);
	uint64_t shorts = 0, shorts_up = 0, longs_up = 0, right = 0;

	for (uint64_t seed = from; seed < from + num; seed++) {
		struct outcome o;
		char which[40];

		o.leaked = leaks(&o, seed);
		if (o.rounds <= SHORT) {
			shorts++;
			shorts_up += o.established;
		} else {
			longs_up += o.established;
		}
		right += life_right(&o);
		snprintf(which, sizeof(which), "seed %lu", (unsigned long)seed);
		if (!life_right(&o) || (!o.established && o.rounds <= SHORT))
			life_tell(&o, which);
	}
	tap_diag("%lu seeds, %lu right in the end; up within a minute: %lu of %lu with at most %d "
		 "exchanges, %lu of %lu with more",
		 (unsigned long)num, (unsigned long)right, (unsigned long)shorts_up,
		 (unsigned long)shorts, SHORT, (unsigned long)longs_up,
		 (unsigned long)(num - shorts));
	CU_ASSERT_EQUAL(right, num);
	CU_ASSERT_TRUE(shorts_up * 1000 >= shorts * 999);
	CU_ASSERT_TRUE(longs_up * 100 >= (num - shorts) * 95);
	if (num >= 200)
		check_seen();
}

static void test_same_seed_same_trace(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct outcome a, b, c;

		play(&a, seed);
		play(&b, seed);
		play(&c, seed + 1);
		CU_ASSERT_EQUAL(memcmp(a.digest, b.digest, sizeof(a.digest)), 0);
		CU_ASSERT_NOT_EQUAL(memcmp(a.digest, c.digest, sizeof(a.digest)), 0);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S33_every_exchange),
	TAP_TEST(test_same_seed_same_trace),
};

TAP_MAIN("sim/exchanges", tests)
