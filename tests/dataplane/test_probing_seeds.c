/* SPDX-License-Identifier: Apache-2.0 */
/* Paths to which anything happens, by chance, under payload both ways: holes, loss, jitter,
 * repeats, other delays and rates, translators that map anew, paths that come and go and are
 * ordered otherwise, other schedules. Whatever it was: nothing is delivered twice, nothing comes
 * that was not sent, and when the wires hold still every path is used again and nothing is lost any
 * more. */
#include <stdlib.h>

#include "base/alloc.h"
#include "tests/dataplane/wires.h"
#include "tests/tap/tap.h"

#define SEEDS_DEFAULT 50
#define EVENTS        12
#define NUMBERS_MAX   65536

/* struct tally - what came, of one seed; and what happened, of all. */
static struct {
	uint8_t came[2][NUMBERS_MAX / 8]; /* at A, at B */
	uint64_t num_came[2];
	bool there[PATHS + 1];
	uint64_t usable, lost, moved, holes;
} t;

static void got(struct side *s, uint32_t number)
{
	const bool at_b = s == &wires.bed.b;
	uint8_t *byte = &t.came[at_b][number / 8];

	CU_ASSERT_FATAL(number < wires.next[!at_b] && number < NUMBERS_MAX);
	CU_ASSERT_FALSE(*byte >> number % 8 & 1); /* twice */
	*byte |= (uint8_t)(1u << number % 8);
	t.num_came[at_b]++;
}

/* ---- what happens ---------------------------------------------------------------------------- */

static void hole(uint16_t k)
{
	wires.wire[k].black = !wires.wire[k].black;
	t.holes += wires.wire[k].black;
}

static void lose(uint16_t k)
{
	wires.wire[k].loss = wires_random(30);
	wires.wire[k].repeat = wires_random(20);
}

static void delay(uint16_t k)
{
	wires.wire[k].delay_ms = 1 + wires_random(40);
	wires.wire[k].jitter_ms = wires_random(15);
}

static void rate(uint16_t k)
{
	wires.wire[k].per_step = wires_random(4);
	wires.wire[k].waiting = 0;
}

static void map(uint16_t k)
{
	wires.wire[k].nat_port = (uint16_t)(40000 + wires_random(10000));
}

static void come_or_go(uint16_t k)
{
	uint32_t num = 0;

	for (uint16_t i = 1; i <= PATHS; i++)
		num += t.there[i];
	if (!t.there[k]) {
		wires_both(k, (uint8_t)wires_random(2), false);
		t.there[k] = true;
	} else if (num > 1) {
		CU_ASSERT_EQUAL(dataplane_path_take(wires.bed.a.dp, wires.bed.a.pathset, k),
				ERR_OK);
		CU_ASSERT_EQUAL(dataplane_path_take(wires.bed.b.dp, wires.bed.b.pathset, k),
				ERR_OK);
		t.there[k] = false;
		wires.wire[k].nat_port = 0; /* whoever adds it again sees it as it is */
	}
}

/* spread - in another way, and whoever receives puts in order what comes by several. */
static void spread(uint16_t k)
{
	const enum path_schedule s = (enum path_schedule)wires_random(SCHEDULE_NUM);

	(void)k;
	CU_ASSERT_EQUAL(dataplane_path_schedule(wires.bed.a.dp, wires.bed.a.pathset, s), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_path_schedule(wires.bed.b.dp, wires.bed.b.pathset, s), ERR_OK);
}

static void rest(uint16_t k)
{
	wires.wire[k] = (struct wire){.delay_ms = 5, .nat_port = wires.wire[k].nat_port};
}

static void happen(void)
{
	static void (*const things[])(uint16_t k) = {hole, lose, delay,      rate,   map,
						     hole, lose, come_or_go, spread, rest};

	things[wires_random(ARRAY_LEN(things))]((uint16_t)(1 + wires_random(PATHS)));
}

/* ---- a seed ---------------------------------------------------------------------------------- */

static void add_told(void)
{
	for (int side = 0; side < 2; side++)
		for (uint16_t k = 1; k <= PATHS; k++) {
			t.usable += wires.told[side][k].usable;
			t.lost += wires.told[side][k].lost;
			t.moved += wires.told[side][k].moved;
		}
}

/* begin - all three paths, of which two are equal; replay windows that hold whatever jitter does.
 */
static void begin(uint64_t seed)
{
	memset(&t.came, 0, sizeof(t.came));
	memset(&t.num_came, 0, sizeof(t.num_came));
	wires_mode = seed % 2 ? SA_TRANSPORT : SA_TUNNEL;
	wires_begin(true);
	wires.random = seed;
	wires.got = got;
	for (uint16_t k = 1; k <= PATHS; k++) {
		wires_both(k, k == 3, k == 1);
		t.there[k] = true;
	}
	CU_ASSERT_EQUAL(dataplane_child_window(wires.bed.a.dp, 1, 4096), ERR_OK);
	CU_ASSERT_EQUAL(dataplane_child_window(wires.bed.b.dp, 1, 4096), ERR_OK);
	if (seed % 3 == 0) {
		CU_ASSERT_EQUAL(dataplane_child_resequence(wires.bed.a.dp, 1, 256, 50 * NS_PER_MS,
							   seed % 2),
				ERR_OK);
		CU_ASSERT_EQUAL(dataplane_child_resequence(wires.bed.b.dp, 1, 256, 50 * NS_PER_MS,
							   seed % 2),
				ERR_OK);
	}
	wires.a_sends = wires.b_sends = 1;
}

static bool all_usable(struct side *s)
{
	struct path_info list[PATHS_MAX];
	uint32_t num = dataplane_path_list(s->dp, list, s->pathset), usable = 0, there = 0;

	for (uint32_t i = 0; i < num; i++)
		usable += list[i].usable;
	for (uint16_t k = 1; k <= PATHS; k++)
		there += t.there[k];
	return num == there && usable == num;
}

static bool one_seed(uint64_t seed)
{
	const uint32_t failures = CU_get_number_of_failures();

	begin(seed);
	for (int i = 0; i < EVENTS; i++) {
		wires_run(50 + wires_random(250));
		happen();
	}
	for (uint16_t k = 1; k <= PATHS; k++)
		rest(k);
	wires_run(12000);
	CU_ASSERT_TRUE(all_usable(&wires.bed.a) && all_usable(&wires.bed.b));
	wires.a_sends = wires.b_sends = 0;
	wires_run(300);
	const uint32_t sent[2] = {wires.next[0], wires.next[1]};
	const uint64_t came[2] = {t.num_came[0], t.num_came[1]};

	wires.a_sends = wires.b_sends = 1;
	wires_run(500);
	wires.a_sends = wires.b_sends = 0;
	wires_run(300);
	CU_ASSERT_EQUAL(t.num_came[1] - came[1], wires.next[0] - sent[0]);
	CU_ASSERT_EQUAL(t.num_came[0] - came[0], wires.next[1] - sent[1]);
	add_told();
	bed_fini(&wires.bed);
	return CU_get_number_of_failures() == failures;
}

static uint32_t number_from(const char *name, uint32_t otherwise)
{
	const char *text = getenv(name);

	return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

/* LATCHKEY_SEEDS, LATCHKEY_FIRST - how many, and which is the first. */
static void test_M6_seeds(void)
{
	const uint32_t num = number_from("LATCHKEY_SEEDS", SEEDS_DEFAULT);
	const uint32_t first = number_from("LATCHKEY_FIRST", 1);

	for (uint32_t i = 0; i < num; i++)
		if (!one_seed(first + i)) {
			tap_diag("LATCHKEY_SEEDS=1 LATCHKEY_FIRST=%u", first + i);
			break;
		}
	tap_diag("%u seeds: %llu holes; paths were lost %llu times, used (again) %llu, found "
		 "elsewhere "
		 "%llu",
		 num, (unsigned long long)t.holes, (unsigned long long)t.lost,
		 (unsigned long long)t.usable, (unsigned long long)t.moved);
	CU_ASSERT_TRUE(num < 50 || (t.holes && t.lost && t.usable && t.moved));
}

static const struct tap_test tests[] = {TAP_TEST(test_M6_seeds)};

TAP_MAIN("dataplane/probing_seeds", tests)
