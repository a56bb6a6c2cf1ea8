/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crash matrix: two sides go through every exchange that they know, and at one message of it,
 * each in its turn, that message is lost, or one of the two is killed, or both. Then the network
 * holds still: A, which has packets, is up again, both have the same, and what is closed then
 * leaves nothing. LATCHKEY_KILLED_STEP tries every so many-th cell alone (61); 1 is the whole
 * matrix, see tests/long/README.md.
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

/* PAUSE - between two operations of a scene. */
#define PAUSE (NS_PER_S / 2)

static const struct sim_wire calm = {.jitter_ns = 2 * NS_PER_MS, .ask_ns = 5 * NS_PER_MS};

/* enum deed - what happens at the message. */
enum deed {
	LOST,
	KILL_A,
	KILL_B,
	LOST_KILL_A,
	LOST_KILL_B,
	NUM_DEEDS
};
static const struct {
	const char *name;
	bool lost;
	int kills; /* -1: nobody */
} deeds[NUM_DEEDS] = {
	[LOST] = {"is lost", true, -1},
	[KILL_A] = {"and A is killed", false, A},
	[KILL_B] = {"and B is killed", false, B},
	[LOST_KILL_A] = {"is lost, and A is killed", true, A},
	[LOST_KILL_B] = {"is lost, and B is killed", true, B},
};

/* struct cell - one message of a scene, counted from 0, and what happens then. */
struct cell {
	uint32_t at, seen;
	enum deed deed;
};

static void after(struct sim *s, uint64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static bool meddle(struct sim *s, unsigned from, void *ctx)
{
	struct cell *c = ctx;

	(void)from;
	if (c->seen++ != c->at)
		return true;
	if (deeds[c->deed].kills >= 0) /* not while its engine speaks */
		sim_at(s, s->now_ns, sim_crash, (unsigned)deeds[c->deed].kills);
	return !deeds[c->deed].lost;
}

/* ---- the scene ------------------------------------------------------------------------------- */

static void prove_again(struct sim *s)
{
	const struct ike_sa *sa = life_established(s, A);
	const struct ike_reauth_params p = {.ike_id = sa ? sa->unique : 0};

	if (sa)
		(void)!ike_reauthenticate(s->n[A].e, &p, s->now_ns);
	sim_settle(s, A);
	after(s, PAUSE);
}

static void redirect(struct sim *s)
{
	const struct ip_addr to = sim_addr(B, 1);
	char name[IP_TEXT_MAX];
	const struct ike_redirect_params p = {.gateway = ip_addr_text(name, &to)};
	uint32_t num;

	(void)!ike_redirect(s->n[B].e, &num, &p, s->now_ns);
	sim_settle(s, B);
	after(s, PAUSE);
}

/* All that can be done, by either side. */
static void live(struct sim *s)
{
	(void)!sim_initiate(s, A, "two");
	after(s, PAUSE);
	(void)!sim_rekey(s, A, "tun");
	after(s, PAUSE);
	(void)!sim_rekey(s, B, NULL);
	after(s, PAUSE);
	prove_again(s);
	redirect(s);
	sim_have(s, A, 2, 1);
	after(s, PAUSE);
	forge_lost(s);
	(void)!sim_initiate(s, A, "tun");
	after(s, PAUSE);
	(void)!sim_terminate(s, B, "tun");
	after(s, PAUSE);
	(void)!sim_terminate(s, A, NULL);
	after(s, PAUSE);
}

static void play(struct outcome *out, const struct way *way, uint32_t parts, struct cell *c)
{
	struct life l;
	struct sim *s = life_begin(&l, drawn_of(way, parts), &calm, 1);

	l.meddle = meddle;
	l.ctx = c;
	life_first(s, out);
	s->packet_ns = 200 * NS_PER_MS;
	s->traffic = true;
	live(s);
	life_want(s);
	l.meddle = NULL;
	life_still(s);
	life_judge(s, out);
	life_end(s, out);
	life_over(s, out);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);

	return v ? strtoull(v, NULL, 10) : otherwise;
}

/* Messages of the undisturbed scene; it is as it should be. */
static uint32_t num_messages(const struct way *way, uint32_t parts)
{
	struct cell c = {.at = UINT32_MAX};
	struct outcome o;

	play(&o, way, parts, &c);
	if (!life_right(&o))
		life_tell(&o, "undisturbed");
	CU_ASSERT_TRUE(life_right(&o) && o.established);
	return c.seen;
}

static bool is_right(const struct way *way, uint32_t parts, struct cell c)
{
	const long before = blocks_num();
	struct outcome o;
	char which[100];

	play(&o, way, parts, &c);
	o.leaked = blocks_num() != before;
	if (life_right(&o))
		return true;
	snprintf(which, sizeof(which), "message %u %s", c.at, deeds[c.deed].name);
	life_tell(&o, which);
	return false;
}

/* Every way, with as little and as much as can be agreed on beside it. */
static void test_S33_crash_matrix(void)
{
	const uint64_t step = env_number("LATCHKEY_KILLED_STEP", 61);
	static const uint32_t parts[] = {0, PART_BIT(NUM_PARTS) - 1,
					 PART_BIT(PART_CHILDLESS) | PART_BIT(PART_TOKENS) |
						 PART_BIT(PART_CHILD_KES)};
	uint64_t cells = 0, tried = 0, right = 0;

	for (size_t i = 0; i < drawn_num_ways() * ARRAY_LEN(parts); i++) {
		const struct way *way = drawn_way(i / ARRAY_LEN(parts));
		const uint32_t with = parts[i % ARRAY_LEN(parts)];
		const uint64_t num = NUM_DEEDS * num_messages(way, with);

		for (uint64_t n = 0; n < num; n++) {
			const struct cell c = {.at = (uint32_t)(n / NUM_DEEDS),
					       .deed = (enum deed)(n % NUM_DEEDS)};

			if (cells++ % step)
				continue;
			tried++;
			right += is_right(way, with, c);
		}
	}
	tap_diag("%lu of %lu cells, %lu right", (unsigned long)tried, (unsigned long)cells,
		 (unsigned long)right);
	CU_ASSERT_TRUE(tried > 100);
	CU_ASSERT_EQUAL(right, tried);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S33_crash_matrix),
};

TAP_MAIN("sim/killed", tests)
