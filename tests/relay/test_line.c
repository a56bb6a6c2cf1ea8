/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a wire: what comes out, and when, to the nanosecond. */
#include <string.h>

#include "base/clock.h"
#include "tests/relay/content.h"
#include "tests/relay/line.h"
#include "tests/tap/tap.h"

#define NUM 100000

/* told - the rules of the left direction after these orders. */
static struct line told(const char *orders)
{
	struct line_rules rules[2] = {{.rate = 0}};
	struct line l = {.rules = {.rate = 0}};

	CU_ASSERT_PTR_NULL(line_order(rules, orders));
	l.rules = rules[0];
	line_seed(&l, 7);
	return l;
}

static void test_a_line_without_properties(void)
{
	struct line l = told("");
	uint64_t due[LINE_COPIES];

	for (uint64_t now = 5; now < 100; now += 5) {
		CU_ASSERT_EQUAL(line_take(&l, due, 1000, now), 1);
		CU_ASSERT_EQUAL(due[0], now);
	}
	CU_ASSERT_EQUAL(l.counts.in, 19);
	CU_ASSERT_EQUAL(l.counts.out_len, 19000);
}

/* 1,000 bytes at 8 Mbit/s take 1 ms, whatever waits is behind them, and a pause is not made up for.
 */
static void test_rate_and_delay(void)
{
	struct line l = told("rate 8M; delay 20ms");
	uint64_t due[LINE_COPIES];

	for (uint64_t i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(line_take(&l, due, 1000, 100), 1);
		CU_ASSERT_EQUAL(due[0], 100 + (21 + i) * NS_PER_MS);
	}
	CU_ASSERT_EQUAL(line_take(&l, due, 500, NS_PER_S), 1);
	CU_ASSERT_EQUAL(due[0], NS_PER_S + 20 * NS_PER_MS + NS_PER_MS / 2);
}

/* What would wait longer than the bound is gone, and the next one after a while has room again. */
static void test_queue(void)
{
	static const char *const bounds[] = {"rate 8M; queue 5ms", "rate 8M; queue 5000",
					     "rate 8M; queue 9s; queue 5k"};
	uint64_t due[LINE_COPIES];

	for (size_t k = 0; k < ARRAY_LEN(bounds); k++) {
		struct line l = told(bounds[k]);
		uint32_t out = 0;

		for (uint32_t i = 0; i < 100; i++)
			out += line_take(&l, due, 1000, 100);
		CU_ASSERT_EQUAL(out, 6); /* one that is sent, five that wait */
		CU_ASSERT_EQUAL(l.counts.full, 94);
		CU_ASSERT_EQUAL(line_take(&l, due, 1000, 100 + NS_PER_MS), 1);
		CU_ASSERT_EQUAL(line_take(&l, due, 1000, 100 + NS_PER_MS), 0);
	}
}

/* Lost are those that a test can say beforehand: chance is of the seed and the number alone. */
static void test_loss_is_known_beforehand(void)
{
	struct line l = told("loss 5%"), slow = told("loss 5%; delay 3ms; rate 1M; jitter 1ms");
	uint64_t due[LINE_COPIES], lost = 0;

	for (uint64_t i = 0; i < NUM; i++) {
		bool gone = content_mix(content_mix(7) + i * 8) % LINE_MILLION < 50000;

		CU_ASSERT_EQUAL_FATAL(line_take(&l, due, 100, i), !gone);
		CU_ASSERT_EQUAL_FATAL(line_take(&slow, due, 100, i), !gone);
		lost += gone;
	}
	CU_ASSERT_EQUAL(l.counts.lost, lost);
	CU_ASSERT_TRUE(lost > NUM * 47 / 1000 && lost < NUM * 53 / 1000);
}

/* The same seed loses the same ones again, and another one others. */
static void test_seeds(void)
{
	struct line l[3] = {told("loss 5%"), told("loss 5%"), told("loss 5%")};
	uint64_t due[LINE_COPIES], both = 0;

	for (uint64_t i = 0; i < 50; i++)
		(void)!line_take(&l[1], due, 100, i);
	line_seed(&l[1], 7);
	line_seed(&l[2], 8);
	for (uint64_t i = 0; i < NUM; i++) {
		uint32_t n = line_take(&l[0], due, 100, NUM);

		CU_ASSERT_EQUAL_FATAL(line_take(&l[1], due, 100, NUM), n);
		both += line_take(&l[2], due, 100, NUM) + n == 0;
	}
	CU_ASSERT_TRUE(both > 0 && both < NUM / 200); /* one in 400 by chance */
}

/* As many are lost, ten in a row each time or more. */
static void test_loss_in_bursts(void)
{
	struct line l = told("loss 5%; burst 10");
	uint64_t due[LINE_COPIES], run = 0;

	for (uint64_t i = 0; i < NUM; i++) {
		bool gone = line_take(&l, due, 100, i) == 0;

		if (!gone && run)
			CU_ASSERT_TRUE_FATAL(run % 10 == 0);
		run = gone ? run + 1 : 0;
	}
	CU_ASSERT_TRUE(l.counts.lost > NUM * 45 / 1000 && l.counts.lost < NUM * 55 / 1000);
	l = told("loss 100%; burst 10");
	for (uint64_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(line_take(&l, due, 100, i), 0);
}

static void test_duplicates(void)
{
	struct line l = told("duplicate 10%; delay 1ms");
	uint64_t due[LINE_COPIES], twice = 0;

	for (uint64_t i = 0; i < NUM; i++) {
		uint32_t n = line_take(&l, due, 100, i * 10);

		CU_ASSERT_TRUE_FATAL(n == 1 || (n == 2 && due[1] == due[0]));
		CU_ASSERT_EQUAL_FATAL(due[0], i * 10 + NS_PER_MS);
		twice += n - 1;
	}
	CU_ASSERT_TRUE(twice > NUM * 9 / 100 && twice < NUM * 11 / 100);
	CU_ASSERT_EQUAL(l.counts.again, twice);
	CU_ASSERT_EQUAL(l.counts.out, NUM + twice);
}

/* Jitter keeps the order, and so does a delay that becomes shorter. */
static void test_order_is_kept(void)
{
	struct line l = told("delay 20ms; jitter 10ms");
	uint64_t due[LINE_COPIES], last = 0, least = UINT64_MAX, most = 0;

	for (uint64_t i = 0; i < NUM; i++) {
		uint64_t now = i * NS_PER_MS;

		if (i == NUM / 2)
			l.rules.delay_ns = 5 * NS_PER_MS;
		CU_ASSERT_EQUAL_FATAL(line_take(&l, due, 100, now), 1);
		CU_ASSERT_TRUE_FATAL(due[0] >= last);
		last = due[0];
		least = due[0] - now < least ? due[0] - now : least;
		most = due[0] - now > most ? due[0] - now : most;
	}
	CU_ASSERT_TRUE(least >= 5 * NS_PER_MS && least < 6 * NS_PER_MS);
	CU_ASSERT_TRUE(most < 30 * NS_PER_MS && most > 29 * NS_PER_MS);
}

/* Those that are late hold up nothing. */
static void test_late_ones(void)
{
	struct line l = told("delay 20ms; reorder 5%; late 15ms");
	uint64_t due[LINE_COPIES], late = 0;

	for (uint64_t i = 0; i < NUM; i++) {
		CU_ASSERT_EQUAL_FATAL(line_take(&l, due, 100, i * NS_PER_MS), 1);
		uint64_t took = due[0] - i * NS_PER_MS;

		CU_ASSERT_TRUE_FATAL(took == 20 * NS_PER_MS || took == 35 * NS_PER_MS);
		late += took == 35 * NS_PER_MS;
	}
	CU_ASSERT_TRUE(late > NUM * 45 / 1000 && late < NUM * 55 / 1000);
	CU_ASSERT_EQUAL(l.counts.late, late);
}

static void test_black_hole(void)
{
	struct line l = told("blackhole on; rate 1M");
	uint64_t due[LINE_COPIES];

	for (uint64_t i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(line_take(&l, due, 100, i), 0);
	l.rules.black_hole = 0;
	CU_ASSERT_EQUAL(line_take(&l, due, 125, 100), 1);
	CU_ASSERT_EQUAL(due[0], 100 + NS_PER_MS); /* what was swallowed took no time */
	CU_ASSERT_EQUAL(l.counts.swallowed, 10);
	CU_ASSERT_EQUAL(l.counts.in, 11);
}

static void test_orders(void)
{
	struct line_rules r[2] = {{.rate = 0}};

	CU_ASSERT_PTR_NULL(line_order(r, "left delay 20ms;right delay 1.5us ; loss 2.5% ;"));
	CU_ASSERT_EQUAL(r[0].delay_ns, 20 * NS_PER_MS);
	CU_ASSERT_EQUAL(r[1].delay_ns, 1500);
	CU_ASSERT_EQUAL(r[0].loss, 25000);
	CU_ASSERT_EQUAL(r[1].loss, 25000);
	CU_ASSERT_PTR_NULL(line_order(r, "right rate 100M; left queue 64k; right queue 50ms\n"));
	CU_ASSERT_EQUAL(r[0].rate, 0);
	CU_ASSERT_EQUAL(r[1].rate, 100000000);
	CU_ASSERT_EQUAL(r[0].queue_len, 64000);
	CU_ASSERT_EQUAL(r[1].queue_ns, 50 * NS_PER_MS);
	CU_ASSERT_PTR_NULL(line_order(r, "left blackhole on"));
	CU_ASSERT_EQUAL(r[0].black_hole, 1);
	CU_ASSERT_EQUAL(r[1].black_hole, 0);
}

/* What is wrong changes nothing, not even by what was right in front of it. */
static void test_wrong_orders(void)
{
	static const char *const wrong[] = {"delay",
					    "delay 20",
					    "delay 20 ms",
					    "delay -1ms",
					    "delay 61s",
					    "delay ms",
					    "loss 5",
					    "loss 101%",
					    "loss nan%",
					    "rate inf",
					    "rate 1T",
					    "blackhole 1",
					    "up delay 20ms",
					    "left",
					    "left left loss 1%",
					    "burst 1k",
					    "loss 1%; fail 1",
					    "queue 1e99s",
					    "rate 0x1p3000",
					    "duplicate on"};
	char text[2048];

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct line_rules r[2] = {{.rate = 5}, {.late_ns = 6}};
		const struct line_rules was[2] = {r[0], r[1]};

		CU_ASSERT_PTR_NOT_NULL(line_order(r, wrong[i]));
		CU_ASSERT_EQUAL(memcmp(r, was, sizeof(r)), 0);
	}
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	struct line_rules r[2] = {{.rate = 5}};

	CU_ASSERT_PTR_NOT_NULL(line_order(r, text));
}

/* Every beginning of an order, and every one with a bit that is another, is right or wrong: what it
 * sets is within its bounds. */
static void test_orders_that_are_cut_or_spoilt(void)
{
	static const char whole[] = "left rate 100M; queue 64k; right loss 2.5%; delay 20ms;"
				    "jitter 1ms; reorder 1%; late 3ms; burst 3; blackhole on";
	uint32_t right = 0, all = 0;

	for (size_t len = 0; len < sizeof(whole); len++)
		for (unsigned bit = 0; bit < 9; bit++) {
			struct line_rules r[2] = {{.rate = 0}};
			char text[sizeof(whole)] = {0};

			memcpy(text, whole, len);
			if (len && bit < 8)
				text[len - 1] ^= (char)(1 << bit);
			right += !line_order(r, text);
			all++;
			CU_ASSERT_TRUE_FATAL(r[1].loss <= LINE_MILLION && r[0].delay_ns <= 60e9);
		}
	CU_ASSERT_TRUE(right > 20 && right < all / 2);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_a_line_without_properties),
	TAP_TEST(test_rate_and_delay),
	TAP_TEST(test_queue),
	TAP_TEST(test_loss_is_known_beforehand),
	TAP_TEST(test_seeds),
	TAP_TEST(test_loss_in_bursts),
	TAP_TEST(test_duplicates),
	TAP_TEST(test_order_is_kept),
	TAP_TEST(test_late_ones),
	TAP_TEST(test_black_hole),
	TAP_TEST(test_orders),
	TAP_TEST(test_wrong_orders),
	TAP_TEST(test_orders_that_are_cut_or_spoilt),
};

TAP_MAIN("relay/line", tests)
