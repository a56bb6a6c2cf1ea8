/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several wires between the two sides, each with its own delay, rate and losses, and one with a
 * translator: what a side that moves between them by MOBIKE keeps to, whatever happens to them.
 * LATCHKEY_PATH_SEEDS sets how many seeds (1,500), LATCHKEY_PATH_FIRST the first one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/tap/tap.h"

#define A 0
#define B 1

#define WIRES    3
#define TROUBLE  (150 * NS_PER_S)
#define STILL    (260 * NS_PER_S) /* two requests that are given up, and a liveness check each */
#define ANSWERS  512
#define IKE_LEN  28
#define NAT_STEP 1000

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);

	return v ? strtoull(v, NULL, 10) : otherwise;
}

/* ---- what must never happen -------------------------------------------------------------------
 */

/* struct answer - the first response that a side sent for a message ID, and a fragment of it. */
struct answer {
	uint8_t spis[16];
	uint8_t kind_and_id[8];
	uint8_t fragment[4];
	uint8_t hash[16];
	unsigned from;
};

/* struct audit - of one world. others: responses that differ from the first one for their request,
 * which can only be if the request was taken twice: each encryption is another. */
struct audit {
	struct answer answers[ANSWERS];
	uint32_t num, others;
};

static bool hear(struct sim *s, unsigned from, uint8_t *bytes, size_t *len, void *ctx)
{
	struct audit *audit = ctx;
	struct answer a = {.from = from};

	(void)s;
	if (*len < IKE_LEN + 8 || !(bytes[19] & 0x20) || !memcmp(bytes + 20, "\0\0\0\0", 4))
		return true; /* a request, or the exchange that has no keys yet */
	memcpy(a.spis, bytes, 16);
	memcpy(a.kind_and_id, bytes + 16, 8);
	if (bytes[16] == 53) /* SKF: number and total (RFC 7383 2.5) */
		memcpy(a.fragment, bytes + IKE_LEN + 4, 4);
	crypto_generichash(a.hash, sizeof(a.hash), bytes, *len, NULL, 0);
	for (uint32_t i = 0; i < audit->num; i++) {
		const struct answer *o = &audit->answers[i];

		if (o->from != from || memcmp(o->spis, a.spis, 16) ||
		    memcmp(o->kind_and_id, a.kind_and_id, 8) || memcmp(o->fragment, a.fragment, 4))
			continue;
		audit->others += memcmp(o->hash, a.hash, sizeof(a.hash)) != 0;
		return true;
	}
	if (audit->num < ANSWERS)
		audit->answers[audit->num++] = a;
	return true;
}

/* ---- a world with wires -----------------------------------------------------------------------
 */

/* A has what the wires in the mask lead to, and B too; the first one is the wire that is preferred.
 */
static void have(struct sim *s, unsigned side, unsigned mask, unsigned first)
{
	sim_have(s, side, mask & ((1u << WIRES) - 1), first);
}

static struct sim *with_wires(uint64_t seed, const char *orders)
{
	const char *extra = "dpd_delay = 5s";
	const struct sim_options opt = {
		.conf = {sim_conf_anywhere(A, extra, ""), sim_conf_anywhere(B, extra, "")}};
	struct sim *s = sim_new(seed, &opt);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->packet_ns = 50 * NS_PER_MS;
	for (unsigned i = 0; i < WIRES; i++)
		sim_join(s, i, i, orders);
	have(s, A, 7, 0);
	have(s, B, 7, 0);
	return s;
}

/* wire_of - the one that a side's ESP goes by now; NULL: it has no pair, or no wire. */
static struct sim_link *wire_of(struct sim *s, unsigned side)
{
	return s->n[side].num_peers ? sim_link_of(s, side, &s->n[side].peers[0].path) : NULL;
}

static void up(struct sim *s)
{
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_TRUE(sim_run_until(s, s->now_ns + 60 * NS_PER_S, sim_up));
	s->traffic = true;
	sim_run(s, s->now_ns + NS_PER_S);
}

/* What is sent now arrives, all of it, at both sides. */
static bool flows(struct sim *s)
{
	uint64_t lost = s->n[A].lost_packets + s->n[B].lost_packets, got[2];

	for (unsigned i = 0; i < 2; i++)
		got[i] = s->n[i].got_packets;
	sim_run(s, s->now_ns + NS_PER_S);
	return s->n[A].lost_packets + s->n[B].lost_packets == lost &&
	       s->n[A].got_packets > got[A] + 10 && s->n[B].got_packets > got[B] + 10;
}

/* ---- one wire, and what is keyed by it --------------------------------------------------------
 */

/* A datagram takes as long as the wire is that its addresses belong to. */
static void test_a_wire_of_its_own(void)
{
	struct sim *s = with_wires(1, "delay 5ms");

	sim_tell(&s->links[1], "delay 40ms");
	up(s);
	CU_ASSERT_PTR_EQUAL(wire_of(s, A), &s->links[0]);
	CU_ASSERT_PTR_EQUAL(wire_of(s, B), &s->links[0]);
	CU_ASSERT_EQUAL(s->links[1].line[A].counts.in, 0);
	CU_ASSERT_TRUE(s->links[0].line[A].counts.in >= 10);
	have(s, A, 6, 1);
	sim_run(s, s->now_ns + 10 * NS_PER_S);
	CU_ASSERT_PTR_EQUAL(wire_of(s, A), &s->links[1]);
	CU_ASSERT_PTR_EQUAL(wire_of(s, B), &s->links[1]);
	CU_ASSERT_EQUAL(s->links[2].line[A].counts.in, 0);
	CU_ASSERT_TRUE(flows(s));
	sim_free(s);
}

/* Between addresses that no wire joins nothing goes, also if both are there. */
static void test_no_wire_across(void)
{
	struct sim *s = with_wires(1, "delay 5ms");

	have(s, A, 1, 0);
	have(s, B, 2, 1);
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	CU_ASSERT_FALSE(sim_run_until(s, s->now_ns + 10 * NS_PER_S, sim_up));
	for (unsigned i = 0; i < WIRES; i++)
		CU_ASSERT_EQUAL(s->links[i].line[A].counts.in, 0);
	sim_free(s);
}

/* Who is asked and does not answer by one wire is found by another, and the first is not gone back
 * to by itself. */
static void test_black_hole(void)
{
	struct sim *s = with_wires(1, "delay 5ms");

	up(s);
	sim_tell(&s->links[0], "blackhole on");
	sim_run(s, s->now_ns + 60 * NS_PER_S);
	CU_ASSERT_TRUE(s->links[0].line[A].counts.swallowed > 0);
	CU_ASSERT_PTR_NOT_NULL(wire_of(s, A));
	CU_ASSERT_PTR_NOT_EQUAL(wire_of(s, A), &s->links[0]);
	CU_ASSERT_PTR_EQUAL(wire_of(s, A), wire_of(s, B));
	CU_ASSERT_TRUE(flows(s));
	sim_free(s);
}

/* A goes from one wire to another and back, never with two addresses and sometimes with none. The
 * addresses that it finds B at are those that B has told, and the one that it was at before. */
static void test_M4_there_and_back(void)
{
	struct sim *s = with_wires(1, "delay 5ms");

	up(s);
	for (unsigned i = 1; i < 9; i++) {
		if (i & 4)
			have(s, A, 0, 0);
		sim_run(s, s->now_ns + NS_PER_S / 5);
		have(s, A, 1u << (i & 1), i & 1);
		sim_run(s, s->now_ns + 5 * NS_PER_S);
		CU_ASSERT_PTR_EQUAL(wire_of(s, A), &s->links[i & 1]);
		CU_ASSERT_PTR_EQUAL(wire_of(s, B), &s->links[i & 1]);
		CU_ASSERT_TRUE(flows(s));
	}
	CU_ASSERT_EQUAL(s->n[A].ike_down + s->n[B].ike_down, 0);
	sim_free(s);
}

/* The translator of a wire forgets what it had mapped: B learns the new port by what comes from it.
 */
static void test_rebinding(void)
{
	struct sim *s = with_wires(1, "delay 5ms");

	s->links[0].nat = NAT_STEP;
	up(s);
	for (uint16_t step = 2; step < 6; step++) {
		s->links[0].nat = (uint16_t)(step * NAT_STEP);
		sim_run(s, s->now_ns + 10 * NS_PER_S);
		CU_ASSERT_EQUAL(s->n[B].peers[0].path.remote.port, step * NAT_STEP + 4500);
		CU_ASSERT_TRUE(flows(s));
	}
	sim_free(s);
}

/* What a wire repeats is accepted once, by the window and by the engine. */
static void test_M11_copies(void)
{
	struct sim *s = with_wires(1, "delay 5ms; jitter 5ms; duplicate 100%");
	struct audit *audit = calloc(1, sizeof(*audit));

	s->tap = hear;
	s->tap_ctx = audit;
	up(s);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(sim_rekey(s, i & 1, i == 2 ? NULL : "tun"), ERR_OK);
		sim_run(s, s->now_ns + 5 * NS_PER_S);
	}
	CU_ASSERT_TRUE(s->links[0].line[A].counts.again > 100);
	CU_ASSERT_EQUAL(s->twice, 0);
	CU_ASSERT_EQUAL(audit->others, 0);
	CU_ASSERT_TRUE(sim_up(s));
	CU_ASSERT_EQUAL(s->n[A].rekeyed_child + s->n[A].rekeyed_ike, 3);
	CU_ASSERT_TRUE(audit->num >= 4);
	s->traffic = false;
	sim_run(s, s->now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(s->n[A].sent_packets + s->n[B].sent_packets,
			s->n[A].got_packets + s->n[B].got_packets);
	CU_ASSERT_EQUAL(s->n[A].lost_packets + s->n[B].lost_packets, 0);
	free(audit);
	sim_free(s);
}

/* ---- many seeds --------------------------------------------------------------------------------
 */

/* struct outcome - of one seed. */
struct outcome {
	bool steady; /* one wire is there all the time */
	bool established, same, together, flows;
	uint64_t twice, others, moves, down;
	char why[200];
};

/* Of a wire, for as long as there is trouble. */
static void give_wire(struct sim *s, struct sim_link *l)
{
	static const char *const rates[] = {"0", "1M", "10M", "100M"};
	char orders[300];

	snprintf(orders, sizeof(orders),
		 "delay %lums; jitter %lums; loss %lu%%; burst %lu; duplicate %lu%%; reorder %lu%%;"
		 "late %lums; rate %s; queue 200ms",
		 sim_random(s, 80), sim_random(s, 20), sim_random(s, 15), sim_random(s, 4),
		 sim_random(s, 10), sim_random(s, 10), sim_random(s, 300),
		 rates[sim_random(s, ARRAY_LEN(rates))]);
	sim_tell(l, orders);
}

/* STEADY - of the arguments of upset(): the last wire is spared. */
#define STEADY (1u << 11)

static void upset(struct sim *s, unsigned what)
{
	const bool steady = what & STEADY;
	struct sim_link *l = &s->links[(what >> 3) % (steady ? WIRES - 1 : WIRES)];
	unsigned side = what >> 5 & 1;

	switch (what % 8) {
	case 0: /* some addresses, or for a while none, another one first perhaps */
	case 1:
	case 2:
		have(s, side, what >> 6 | (steady ? 1u << (WIRES - 1) : 0), what >> 9 & 3);
		break;
	case 3:
		sim_tell(l, what >> 6 & 1 ? "blackhole on" : "left blackhole on");
		break;
	case 4:
		sim_tell(l, "blackhole off");
		break;
	case 5:
		give_wire(s, l);
		break;
	case 6: /* the first wire has a translator, which changes its mind */
		s->links[0].nat = (uint16_t)(s->links[0].nat + NAT_STEP);
		break;
	default:
		(void)!sim_rekey(s, side, what >> 6 & 1 ? "tun" : NULL);
		break;
	}
}

static void hold_still(struct sim *s)
{
	for (unsigned i = 0; i < WIRES; i++)
		sim_tell(&s->links[i], "blackhole off; loss 0%; duplicate 0%; reorder 0%; rate 0");
	for (unsigned side = 0; side < 2; side++)
		have(s, side, 7, 0);
	sim_run(s, s->now_ns + STILL);
}

static void judge(struct sim *s, struct outcome *out)
{
	/* a re-key may be under way just now: it is over in a moment */
	for (unsigned i = 0; i < 20 && !(out->same = sim_same(s, out->why)); i++)
		sim_run(s, s->now_ns + NS_PER_S);
	out->down = s->n[A].ike_down + s->n[B].ike_down;
	out->moves = s->n[A].moves + s->n[B].moves;
	out->twice = s->twice;
	if (!sim_num_pairs(s, A)) { /* given up: so has the other side */
		out->together = out->flows = sim_num_sas(s, A) == 0;
		return;
	}
	out->together = wire_of(s, A) && wire_of(s, A) == wire_of(s, B);
	out->flows = flows(s);
}

static void play(struct outcome *out, uint64_t seed)
{
	struct audit *audit = calloc(1, sizeof(*audit));
	struct sim *s = with_wires(seed, "delay 5ms");
	unsigned upsets;

	s->tap = hear;
	s->tap_ctx = audit;
	for (unsigned i = 0; i < WIRES; i++)
		give_wire(s, &s->links[i]);
	s->links[0].nat = seed % 3 == 0 ? NAT_STEP : 0;
	CU_ASSERT_EQUAL(sim_initiate(s, A, "tun"), ERR_OK);
	out->established = sim_run_until(s, s->now_ns + 60 * NS_PER_S, sim_up);
	s->packet_ns = 100 * NS_PER_MS;
	s->traffic = true;
	upsets = 1 + (unsigned)sim_random(s, 20);
	for (unsigned i = 0; i < upsets; i++)
		sim_at(s, s->now_ns + sim_random(s, TROUBLE), upset,
		       (unsigned)sim_random(s, STEADY) | (out->steady ? STEADY : 0));
	sim_run(s, s->now_ns + TROUBLE);
	s->packet_ns = NS_PER_S / 2; /* nobody looks for a while */
	hold_still(s);
	s->packet_ns = 50 * NS_PER_MS;
	sim_run(s, s->now_ns + NS_PER_S);
	judge(s, out);
	out->others = audit->others;
	sim_free(s);
	free(audit);
}

static void test_M14_seeds(void)
{
	uint64_t num = env_number("LATCHKEY_PATH_SEEDS", 1500);
	uint64_t first = env_number("LATCHKEY_PATH_FIRST", 1);
	uint64_t established = 0, wrong = 0, moves = 0, down = 0;

	for (uint64_t seed = first; seed < first + num; seed++) {
		struct outcome o = {.steady = seed & 1};

		play(&o, seed);
		established += o.established;
		moves += o.moves;
		down += o.down;
		if (o.same && o.together && o.flows && !o.twice && !o.others &&
		    !(o.steady && o.down))
			continue;
		wrong++;
		tap_diag(
			"seed %lu: same %d, by one wire %d, flows %d, accepted twice %lu, answered "
			"twice %lu, given up %lu%s: %s",
			(unsigned long)seed, o.same, o.together, o.flows, (unsigned long)o.twice,
			(unsigned long)o.others, (unsigned long)o.down,
			o.steady ? " although one wire was there" : "", o.why);
	}
	tap_diag("%lu seeds: %lu established within 60 s, %lu moves, %lu IKE SAs given up",
		 (unsigned long)num, (unsigned long)established, (unsigned long)moves,
		 (unsigned long)down);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(established * 1000 >= num * 999);
	CU_ASSERT_TRUE(moves > num);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_a_wire_of_its_own), TAP_TEST(test_no_wire_across), TAP_TEST(test_black_hole),
	TAP_TEST(test_M4_there_and_back), TAP_TEST(test_rebinding),      TAP_TEST(test_M11_copies),
	TAP_TEST(test_M14_seeds),
};

TAP_MAIN("sim/wires", tests)
