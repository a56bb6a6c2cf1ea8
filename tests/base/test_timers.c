/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timers.h"

#include "base/bytes.h"
#include "base/rng.h"

#include "tests/tap/tap.h"

#include <stdlib.h>

#define MS NS_PER_MS

/* A timer that writes down when it fired. */
struct probe {
	struct timer timer;
	int fired;
	uint64_t fired_ns;
	uint64_t order;
};

static uint64_t next_order;

static void note(struct timer *t, uint64_t now_ns)
{
	struct probe *p = container_of(t, struct probe, timer);

	CU_ASSERT(!timer_is_set(t));
	p->fired++;
	p->fired_ns = now_ns;
	p->order = next_order++;
}

static void test_fires_once_not_early(void)
{
	struct timers w;
	struct probe p = {0};

	timers_init(&w, MS, 1000 * MS);
	timer_init(&p.timer, note);
	CU_ASSERT(!timer_is_set(&p.timer));
	timer_set(&w, &p.timer, 1010 * MS + 1);
	CU_ASSERT(timer_is_set(&p.timer));
	CU_ASSERT_EQUAL(timers_next(&w), 1011 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 1010 * MS), 0);
	CU_ASSERT_EQUAL(timers_run(&w, 1011 * MS - 1), 0);
	CU_ASSERT_EQUAL(timers_run(&w, 1011 * MS), 1);
	CU_ASSERT_EQUAL(timers_run(&w, 5000 * MS), 0);
	CU_ASSERT_EQUAL(p.fired, 1);
	CU_ASSERT_EQUAL(timers_next(&w), TIME_NEVER);
}

static void test_the_past_fires_at_the_next_run(void)
{
	struct timers w;
	struct probe p = {0};

	timers_init(&w, MS, 1000 * MS);
	timer_init(&p.timer, note);
	timer_set(&w, &p.timer, 3);
	CU_ASSERT(timers_next(&w) <= 1000 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 1000 * MS), 1);
	timer_set(&w, &p.timer, 1000 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 1000 * MS), 1);
	/* A clock that went back fires what is overdue and nothing else. */
	timer_set(&w, &p.timer, 999 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 500 * MS), 1);
	timer_set(&w, &p.timer, 1001 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 500 * MS), 0);
	CU_ASSERT_EQUAL(timers_run(&w, 1001 * MS), 1);
}

static void test_cancel_and_set_again(void)
{
	struct timers w;
	struct probe p = {0};

	timers_init(&w, MS, 0);
	timer_init(&p.timer, note);
	timer_cancel(&w, &p.timer);
	timer_set(&w, &p.timer, 10 * MS);
	timer_cancel(&w, &p.timer);
	timer_cancel(&w, &p.timer);
	CU_ASSERT_EQUAL(timers_next(&w), TIME_NEVER);
	CU_ASSERT_EQUAL(timers_run(&w, 100 * MS), 0);
	timer_set(&w, &p.timer, 200 * MS);
	timer_set(&w, &p.timer, 5000 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 4999 * MS), 0);
	timer_set(&w, &p.timer, TIME_NEVER);
	CU_ASSERT(!timer_is_set(&p.timer));
	CU_ASSERT_EQUAL(timers_run(&w, 10000 * MS), 0);
	CU_ASSERT_EQUAL(p.fired, 0);
}

/* A cancelled timer leaves nothing behind that somebody would wake up for. */
static void test_nobody_wakes_for_a_cancelled_timer(void)
{
	struct timers w;
	struct probe soon = {0}, late = {0};

	timers_init(&w, MS, 0);
	timer_init(&soon.timer, note);
	timer_init(&late.timer, note);
	timer_set(&w, &late.timer, 300000 * MS);
	for (uint64_t at = 1; at < 4096; at++) {
		timer_set(&w, &soon.timer, at * MS);
		CU_ASSERT(timers_next(&w) <= at * MS);
		timer_cancel(&w, &soon.timer);
		CU_ASSERT(timers_next(&w) >= 262144 * MS);
	}
}

/* An idle wheel follows the time: what is set for soon after is known to the tick. */
static void test_an_idle_wheel_keeps_up(void)
{
	struct timers w;
	struct probe p = {0};

	timers_init(&w, MS, 0);
	timer_init(&p.timer, note);
	CU_ASSERT_EQUAL(timers_run(&w, 1000000 * MS), 0);
	timer_set(&w, &p.timer, 1000001 * MS);
	CU_ASSERT_EQUAL(timers_next(&w), 1000001 * MS);
}

static void test_order_of_ticks_in_a_jump(void)
{
	static const uint64_t at_ms[] = {70000, 3, 1ull << 40, 65, 4097, 64, 100000, 2, 5000};
	struct probe p[ARRAY_LEN(at_ms)];
	struct timers w;

	memset(p, 0, sizeof(p));
	timers_init(&w, MS, 0);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		timer_init(&p[i].timer, note);
		timer_set(&w, &p[i].timer, at_ms[i] * MS);
	}
	CU_ASSERT_EQUAL(timers_run(&w, (1ull << 41) * MS), ARRAY_LEN(p));
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		for (size_t j = 0; j < ARRAY_LEN(p); j++) {
			if (at_ms[i] < at_ms[j])
				CU_ASSERT(p[i].order < p[j].order);
		}
	}
}

/* The very end of time, for ticks of one nanosecond and of a second: nothing overflows. */
static void test_the_end_of_time(void)
{
	static const uint64_t tick[] = {1, 3, MS, NS_PER_S};

	for (size_t i = 0; i < ARRAY_LEN(tick); i++) {
		struct probe p = {0};
		struct timers w;

		timers_init(&w, tick[i], 0);
		timer_init(&p.timer, note);
		timer_set(&w, &p.timer, (TIME_NEVER - 1) / tick[i] * tick[i]);
		CU_ASSERT(timers_next(&w) < TIME_NEVER);
		CU_ASSERT_EQUAL(timers_run(&w, TIME_NEVER / 2), 0);
		CU_ASSERT_EQUAL(timers_run(&w, TIME_NEVER - 1), 1);
		timer_set(&w, &p.timer, TIME_NEVER - 1);
		CU_ASSERT(timers_next(&w) < TIME_NEVER);
		timer_cancel(&w, &p.timer);
		CU_ASSERT_EQUAL(timers_next(&w), TIME_NEVER);
	}
}

/* A sleeper that always sleeps until timers_next() arrives at the timer, in few steps. */
static void test_sleeping_until_next_arrives(void)
{
	for (uint64_t at = 1; at < 1ull << 43; at = at * 7 + 3) {
		struct probe p = {0};
		struct timers w;
		int steps = 0;

		timers_init(&w, MS, 0);
		timer_init(&p.timer, note);
		timer_set(&w, &p.timer, at * MS);
		while (!p.fired && ++steps < 100) {
			uint64_t next = timers_next(&w);

			CU_ASSERT_FATAL(next <= at * MS);
			timers_run(&w, next);
		}
		CU_ASSERT_EQUAL(p.fired_ns, at * MS);
		CU_ASSERT(steps <= TIMERS_LEVELS + 1);
	}
}

/* fire() that sets itself again, and that cancels another one due in the same run. */
static struct timers *the_wheel;
static struct probe *the_other;

static void again(struct timer *t, uint64_t now_ns)
{
	note(t, now_ns);
	timer_set(the_wheel, t, now_ns);
}

static void cancel_other(struct timer *t, uint64_t now_ns)
{
	note(t, now_ns);
	timer_cancel(the_wheel, &the_other->timer);
}

static void set_other(struct timer *t, uint64_t now_ns)
{
	note(t, now_ns);
	timer_set(the_wheel, &the_other->timer, now_ns + 5 * MS);
}

static void test_setting_itself_for_now_waits_for_the_next_run(void)
{
	struct timers w;
	struct probe p = {0};

	timers_init(&w, MS, 0);
	the_wheel = &w;
	timer_init(&p.timer, again);
	timer_set(&w, &p.timer, 5 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 1000 * MS), 1);
	CU_ASSERT(timers_next(&w) <= 1000 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 1000 * MS), 1);
	CU_ASSERT_EQUAL(timers_run(&w, 1000 * MS), 1);
}

static void test_one_that_is_due_may_be_cancelled_or_moved(void)
{
	struct timers w;
	struct probe first = {0}, second = {0};

	timers_init(&w, MS, 0);
	the_wheel = &w;
	the_other = &second;
	timer_init(&first.timer, cancel_other);
	timer_init(&second.timer, note);
	timer_set(&w, &first.timer, 5 * MS);
	timer_set(&w, &second.timer, 6 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 10 * MS), 1);
	CU_ASSERT_EQUAL(second.fired, 0);
	CU_ASSERT_EQUAL(timers_next(&w), TIME_NEVER);

	timer_init(&first.timer, set_other);
	timer_set(&w, &first.timer, 15 * MS);
	timer_set(&w, &second.timer, 16 * MS);
	CU_ASSERT_EQUAL(timers_run(&w, 20 * MS), 1);
	CU_ASSERT_EQUAL(second.fired, 0);
	CU_ASSERT_EQUAL(timers_run(&w, 25 * MS), 1);
	CU_ASSERT_EQUAL(second.fired_ns, 25 * MS);
}

static void free_self(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	free(container_of(t, struct probe, timer));
}

static void test_fire_may_free_its_object(void)
{
	struct timers w;

	timers_init(&w, MS, 0);
	for (uint64_t i = 0; i < 20; i++) {
		struct probe *p = calloc(1, sizeof(*p));

		CU_ASSERT_FATAL(p != NULL);
		timer_init(&p->timer, free_self);
		timer_set(&w, &p->timer, i / 2 * MS);
	}
	CU_ASSERT_EQUAL(timers_run(&w, 100 * MS), 20);
}

/*
 * Random operations, also from within fire(), against a model that is too simple to be wrong: an
 * array of due times. After each run: exactly those fired that the model says, each in time.
 */
#define MODEL_TIMERS 40

static struct {
	struct timers wheel;
	struct rng_seeded rng;
	struct probe probes[MODEL_TIMERS];
	uint64_t due[MODEL_TIMERS];  /* tick, or TIME_NEVER */
	bool next_run[MODEL_TIMERS]; /* set during this run: not before the next one */
	uint64_t tick_ns;
	uint64_t now_ns;
	bool running;
	uint64_t last_tick;
} m;

static uint64_t draw(uint64_t below)
{
	uint64_t v = 0;

	CU_ASSERT_EQUAL(rng_fill(&m.rng.rng, &v, sizeof(v)), ERR_OK);
	return v % below;
}

/* Small and huge distances alike: a random number of random bits. */
static uint64_t draw_distance(void)
{
	return draw(UINT64_MAX) >> (1 + draw(63)) >> (draw(8) ? 14 : 0);
}

static void model_set(size_t i, uint64_t at_ns)
{
	timer_set(&m.wheel, &m.probes[i].timer, at_ns);
	m.due[i] = at_ns == TIME_NEVER ? TIME_NEVER : at_ns / m.tick_ns + (at_ns % m.tick_ns != 0);
	if (m.due[i] < m.now_ns / m.tick_ns)
		m.due[i] = m.now_ns / m.tick_ns;
	m.next_run[i] = m.running;
}

static void model_operation(void)
{
	size_t i = draw(MODEL_TIMERS);
	uint64_t distance = draw_distance();

	switch (draw(4)) {
	case 0:
		timer_cancel(&m.wheel, &m.probes[i].timer);
		m.due[i] = TIME_NEVER;
		break;
	case 1:
		model_set(i, m.now_ns - (distance < m.now_ns ? distance : m.now_ns));
		break;
	default:
		model_set(i, distance < TIME_NEVER - 1 - m.now_ns ? m.now_ns + distance
								  : TIME_NEVER - 1);
	}
	CU_ASSERT_EQUAL(timer_is_set(&m.probes[i].timer), m.due[i] != TIME_NEVER);
}

static void model_fire(struct timer *t, uint64_t now_ns)
{
	size_t i = (size_t)(container_of(t, struct probe, timer) - m.probes);

	CU_ASSERT_EQUAL(now_ns, m.now_ns);
	CU_ASSERT(m.due[i] != TIME_NEVER && m.due[i] <= now_ns / m.tick_ns);
	CU_ASSERT(!m.next_run[i]);
	CU_ASSERT(m.due[i] >= m.last_tick);
	m.last_tick = m.due[i];
	m.due[i] = TIME_NEVER;
	m.probes[i].fired++;
	for (uint64_t n = draw(4); n > 0; n--)
		model_operation();
}

static uint64_t model_earliest(void)
{
	uint64_t least = TIME_NEVER;

	for (size_t i = 0; i < MODEL_TIMERS; i++)
		least = m.due[i] < least ? m.due[i] : least;
	return least;
}

static void model_run(void)
{
	uint64_t earliest = model_earliest();
	uint64_t next = timers_next(&m.wheel);
	uint64_t distance = draw_distance();

	CU_ASSERT(earliest == TIME_NEVER ? next == TIME_NEVER : next / m.tick_ns <= earliest);
	if (draw(3) == 0 && next != TIME_NEVER && next > m.now_ns)
		m.now_ns = next;
	else if (distance < TIME_NEVER / 2 - m.now_ns % (TIME_NEVER / 2))
		m.now_ns += distance;
	m.last_tick = 0;
	m.running = true;
	memset(m.next_run, 0, sizeof(m.next_run));
	timers_run(&m.wheel, m.now_ns);
	m.running = false;
	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		CU_ASSERT(m.next_run[i] || m.due[i] == TIME_NEVER ||
			  m.due[i] > m.now_ns / m.tick_ns);
	}
}

static void model_check_counts(void)
{
	size_t num = 0;

	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		num += m.due[i] != TIME_NEVER;
		CU_ASSERT_EQUAL(timer_is_set(&m.probes[i].timer), m.due[i] != TIME_NEVER);
	}
	CU_ASSERT_EQUAL(m.wheel.num_set, num);
}

static void model_play(uint64_t seed, uint64_t tick_ns)
{
	memset(&m, 0, sizeof(m));
	rng_seeded_init(&m.rng, seed);
	m.tick_ns = tick_ns;
	m.now_ns = draw_distance();
	timers_init(&m.wheel, tick_ns, m.now_ns);
	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		timer_init(&m.probes[i].timer, model_fire);
		m.due[i] = TIME_NEVER;
	}
	for (int step = 0; step < 400; step++) {
		for (uint64_t n = draw(10); n > 0; n--)
			model_operation();
		model_run();
		model_check_counts();
	}
}

static void test_random_operations_against_a_model(void)
{
	static const uint64_t ticks[] = {1, 1000, MS, 1234567, NS_PER_S};
	unsigned int failed_before = CU_get_number_of_failures();
	long fired = 0;

	for (uint64_t seed = 0; seed < 60; seed++) {
		model_play(seed, ticks[seed % ARRAY_LEN(ticks)]);
		for (size_t i = 0; i < MODEL_TIMERS; i++)
			fired += m.probes[i].fired;
		if (CU_get_number_of_failures() > failed_before) {
			tap_diag("seed %llu", (unsigned long long)seed);
			break;
		}
	}
	tap_diag("%ld fired", fired);
	CU_ASSERT(fired > 10000);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_fires_once_not_early),
	TAP_TEST(test_the_past_fires_at_the_next_run),
	TAP_TEST(test_cancel_and_set_again),
	TAP_TEST(test_nobody_wakes_for_a_cancelled_timer),
	TAP_TEST(test_an_idle_wheel_keeps_up),
	TAP_TEST(test_order_of_ticks_in_a_jump),
	TAP_TEST(test_the_end_of_time),
	TAP_TEST(test_sleeping_until_next_arrives),
	TAP_TEST(test_setting_itself_for_now_waits_for_the_next_run),
	TAP_TEST(test_one_that_is_due_may_be_cancelled_or_moved),
	TAP_TEST(test_fire_may_free_its_object),
	TAP_TEST(test_random_operations_against_a_model),
};
TAP_MAIN("base/timers", tests)
