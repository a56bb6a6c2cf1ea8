/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acceptance 5: many seeds over a wire that loses 30 %, reorders 10 % and repeats 5 %, with
 * re-keys, deletes, new beginnings of two children and changes of address from both sides at random
 * moments, and most IKE messages in fragments. SIM_SEEDS sets how many (1,000), SIM_FIRST the first
 * one; longer runs are told of in tests/long/README.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

/* LIVENESS - the configured dpd_delay and the time that a request is repeated for. */
#define DPD      (30 * NS_PER_S)
#define LIVENESS (DPD + 85 * NS_PER_S)
#define CHAOS    (200 * NS_PER_S)

static const struct sim_wire rough = {.loss = 30,
				      .repeat = 5,
				      .reorder = 10,
				      .delay_ns = 10 * NS_PER_MS,
				      .jitter_ns = 40 * NS_PER_MS,
				      .reorder_ns = 800 * NS_PER_MS,
				      .ask_ns = 100 * NS_PER_MS};

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);

	return v ? strtoull(v, NULL, 10) : otherwise;
}

/* CHILDREN - "tun" and one more of each connection. */
static const char *const children[] = {"tun", "two"};

/* In two of three seeds the sides change their addresses. */
static bool moves(uint64_t seed)
{
	return seed % 3 != 0;
}

/* Most seeds cut their IKE messages, some on one side only or in other sizes on each. Static buffer
 * for each side. */
static const char *configuration(uint64_t seed, unsigned side)
{
	static const char *const fragmentation[] = {"yes", "yes", "accept", "no"};
	static const unsigned size[] = {256, 1280, 400, 0};
	static char text[2][6000];
	const uint64_t dice = seed / 7 + side * (seed / 3);
	char conn[200], child[300];

	snprintf(conn, sizeof(conn),
		 "dpd_delay = 30s\n rekey_time = 300s\n fragmentation = %s\n mobike = %s",
		 fragmentation[dice % 4], dice % 11 ? "yes" : "no");
	snprintf(child, sizeof(child),
		 "rekey_time = 90s\n }\n two { local_ts = 10.%u.0.0/16\n "
		 "remote_ts = 10.%u.0.0/16\n rekey_time = 70s\n esp_proposals = %s",
		 side + 11, 12 - side, dice % 3 ? "aes256gcm16" : "aes256gcm16-x25519");
	snprintf(text[side], sizeof(text[side]), "%s latchkey { fragment_size = %u\n }\n",
		 moves(seed) ? sim_conf_anywhere(side, conn, child) : sim_conf(side, conn, child),
		 size[dice / 4 % 4]);
	return text[side];
}

static struct sim *make(uint64_t seed)
{
	struct sim_options opt = {.wire = rough};

	for (unsigned i = 0; i < 2; i++)
		opt.conf[i] = configuration(seed, i);
	return sim_new(seed, &opt);
}

static void upset(struct sim *s, unsigned what)
{
	const char *child = children[what >> 8 & 1], *another = children[what >> 9 & 1];
	unsigned side = what & 1;

	switch ((what >> 1) % (s->addresses ? 11 : 8)) {
	case 0:
	case 1:
		(void)sim_rekey(s, side, child);
		break;
	case 2:
		(void)sim_rekey(s, side, NULL);
		break;
	case 3: /* both at once */
		(void)sim_rekey(s, side, child);
		(void)sim_rekey(s, !side, another);
		break;
	case 4:
		(void)sim_rekey(s, side, NULL);
		(void)sim_rekey(s, !side, sim_chance(s, 50) ? NULL : child);
		break;
	case 5:
		(void)sim_terminate(s, side, child);
		break;
	case 6:
		(void)sim_terminate(s, side, NULL);
		break;
	case 7:
		(void)sim_initiate(s, side, child);
		break;
	case 8: /* both at once */
		sim_have(s, !side, 1u << (what >> 4 & 1), 0);
		sim_have(s, side, 1u << (what >> 5 & 1), 0);
		break;
	default: /* some, another one first perhaps, or for a while none */
		sim_have(s, side, what >> 4 & 7, what >> 7 & 3);
		break;
	}
}

static void begin(struct sim *s, unsigned side)
{
	(void)sim_initiate(s, side, "tun");
}

/* struct outcome - of one seed. */
struct outcome {
	bool established; /* within 60 s */
	bool same;
	char why[200];
	uint8_t digest[32];
};

static void run(struct outcome *out, uint64_t seed)
{
	struct sim *s = make(seed);
	uint64_t start = s->now_ns;
	unsigned upsets;

	for (unsigned i = 0; moves(seed) && i < 2; i++)
		sim_have(s, i, 1, 0);

	begin(s, (unsigned)seed & 1);
	if (sim_chance(s, 20)) /* both begin */
		sim_at(s, start + sim_random(s, NS_PER_S), begin, !(seed & 1));
	out->established = sim_run_until(s, start + 60 * NS_PER_S, sim_up);
	if (sim_chance(s, 70))
		(void)sim_initiate(s, (unsigned)sim_random(s, 2), "two");
	s->packet_ns = 200 * NS_PER_MS;
	s->traffic = true;
	upsets = (unsigned)sim_random(s, 12);
	for (unsigned i = 0; i < upsets; i++)
		sim_at(s, s->now_ns + sim_random(s, CHAOS), upset, (unsigned)sim_random(s, 1024));
	sim_run(s, s->now_ns + CHAOS);
	for (unsigned i = 0; i < 2; i++) /* nobody stays without */
		if (!s->n[i].num_addrs)
			sim_have(s, i, 2, 1);
	s->wire.loss = s->wire.reorder = s->wire.repeat = 0;
	sim_run(s, s->now_ns + LIVENESS);
	if (moves(seed)) /* a side may only now have given up what went to an address that is gone
			  */
		sim_run(s, s->now_ns + LIVENESS);
	/* a re-key may be under way just now: it is over in a moment */
	for (unsigned i = 0; i < 20 && !(out->same = sim_same(s, out->why)); i++)
		sim_run(s, s->now_ns + NS_PER_S);
	sim_digest(s, out->digest);
	sim_free(s);
}

static void test_seeds(void)
{
	uint64_t num = env_number("SIM_SEEDS", 1000), first = env_number("SIM_FIRST", 1);
	uint64_t established = 0, same = 0;

	for (uint64_t seed = first; seed < first + num; seed++) {
		struct outcome out = {.established = false};

		run(&out, seed);
		established += out.established;
		same += out.same;
		if (!out.established)
			tap_diag("seed %lu: not established within 60 s", (unsigned long)seed);
		if (!out.same)
			tap_diag("seed %lu: %s", (unsigned long)seed, out.why);
	}
	tap_diag("%lu seeds: %lu established within 60 s, %lu with the same SAs on both sides",
		 (unsigned long)num, (unsigned long)established, (unsigned long)same);
	CU_ASSERT_TRUE(established * 1000 >= num * 999);
	CU_ASSERT_EQUAL(same, num);
}

static void test_same_seed_same_trace(void)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct outcome a, b, c;

		run(&a, seed);
		run(&b, seed);
		run(&c, seed + 1);
		CU_ASSERT_EQUAL(memcmp(a.digest, b.digest, sizeof(a.digest)), 0);
		CU_ASSERT_NOT_EQUAL(memcmp(a.digest, c.digest, sizeof(a.digest)), 0);
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_seeds),
	TAP_TEST(test_same_seed_same_trace),
};

TAP_MAIN("sim/chaos", tests)
