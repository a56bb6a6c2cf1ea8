/* SPDX-License-Identifier: Apache-2.0 */
/* The table of latches by itself: what is in it is found, whoever puts it in and at the same time.
 */
#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "dataplane/latch.h"
#include "dataplane/spd.h"
#include "tests/tap/tap.h"

static struct rng_seeded rng;
static struct spd spd;
static struct rcu_queue retired;
static struct latch_table *table;

static void set_up(uint32_t num)
{
	rng_seeded_init(&rng, 7);
	rcu_queue_init(&retired);
	CU_ASSERT_EQUAL_FATAL(spd_init(&spd, &rng.rng), ERR_OK);
	table = latch_table_new(num, &spd, &rng.rng);
	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
}

static void tear_down(void)
{
	rcu_flush(&retired);
	latch_table_free(table);
	spd_fini(&spd);
}

static struct flow_id id_of(uint32_t i, bool v6)
{
	struct flow_id id = {.what = 80 | UINT64_C(40000) << 16 | UINT64_C(6) << 32};

	if (v6) {
		id.what |= FLOW_V6;
		id.addr[0] = id.addr[2] = UINT64_C(0x01fd);
		id.addr[3] = i;
	} else {
		id.addr[0] = UINT64_C(0x0a010001) | (uint64_t)i << 32;
	}
	return id;
}

static enum err add_as(uint32_t i, uint32_t token, uint32_t flags, uint32_t listener)
{
	struct flow_id id = id_of(i, i & 1);
	struct latch *l;

	return latch_enter(table, &l, &id, latch_word(token, flags), 0, listener);
}

static enum err add(uint32_t i, uint32_t token)
{
	return add_as(i, token, 0, 0);
}

static enum err hold(uint32_t i, uint32_t token)
{
	struct flow_id id = id_of(i, i & 1);
	struct latch *l;

	return latch_enter_held(table, &l, &id, latch_word(token, LATCH_F_HELD), &retired);
}

/* hold_in_place - NOMEM: there is none. */
static enum err hold_in_place(uint32_t i)
{
	enum err e;

	alloc_fail_nth(1);
	e = hold(i, i);
	alloc_fail_nth(0);
	return e;
}

static uint32_t token_of(uint32_t i)
{
	struct flow_id id = id_of(i, i & 1);
	const struct latch *l = latch_find(table, &id);

	return l ? latch_token(latch_get(l)) : 0;
}

static void remove_one(uint32_t i)
{
	struct flow_id id = id_of(i, i & 1);
	struct latch *l = latch_find(table, &id);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	latch_remove(table, l, &retired);
}

static void test_finds_what_is_in_it(void)
{
	set_up(1024);
	for (uint32_t i = 1; i <= 800; i++)
		CU_ASSERT_EQUAL(add(i, i), ERR_OK);
	for (uint32_t i = 1; i <= 800; i++)
		CU_ASSERT_EQUAL(token_of(i), i);
	for (uint32_t i = 801; i <= 1600; i++)
		CU_ASSERT_EQUAL(token_of(i), 0);
	CU_ASSERT_EQUAL(add(5, 9), ERR_EXISTS);
	CU_ASSERT_EQUAL(token_of(5), 5);
	CU_ASSERT_EQUAL(latch_table_num(table), 800);
	tear_down();
}

/* There is the room that was asked for, and then it says so; control's own never end there. */
static void test_full(void)
{
	uint32_t num = 0;

	set_up(2700);
	while (num < 5000 && hold_in_place(num + 1) == ERR_OK)
		num++;
	CU_ASSERT(num > 2700 && num <= 4096);
	CU_ASSERT_EQUAL(hold_in_place(num + 1), ERR_NOMEM);
	CU_ASSERT_EQUAL(token_of(num + 1), 0);
	CU_ASSERT_EQUAL(add(num + 1, 1), ERR_FULL);
	while (num < 9000) {
		CU_ASSERT_EQUAL_FATAL(hold(num + 1, num + 1), ERR_OK);
		num++;
	}
	CU_ASSERT_EQUAL(hold(num, 1), ERR_EXISTS);
	CU_ASSERT_EQUAL(add(num, 1), ERR_EXISTS);
	CU_ASSERT_EQUAL(latch_table_num(table), num);
	for (uint32_t i = 1; i <= num; i++)
		CU_ASSERT_EQUAL_FATAL(token_of(i), i);
	for (uint32_t i = 1; i <= num; i += 2)
		remove_one(i);
	rcu_flush(&retired);
	CU_ASSERT_EQUAL(latch_table_num(table), num / 2);
	for (uint32_t i = 1; i <= num; i++)
		CU_ASSERT_EQUAL_FATAL(token_of(i), i & 1 ? 0 : i);
	tear_down();
}

/* What peers may begin leaves room for what control latches, and connections for listeners'. */
static void test_room_of_each_kind(void)
{
	uint32_t num = 0;

	set_up(800);
	while (num < 5000 && add(num + 1, num + 1) == ERR_OK)
		num++;
	CU_ASSERT_EQUAL(num, 800);
	while (num < 5000 && add_as(num + 1, num + 1, 0, 7) == ERR_OK)
		num++;
	CU_ASSERT_EQUAL(num, 900);
	for (uint32_t i = 0; i < 100; i++, num++)
		CU_ASSERT_EQUAL(hold(num + 1, num + 1), ERR_OK);
	tear_down();
}

/* A place is not used again while a reader may be at it. */
static void test_removed(void)
{
	uint32_t num = 0;

	set_up(64);
	while (hold_in_place(num + 1) == ERR_OK)
		num++;
	for (uint32_t i = 1; i <= num; i++)
		remove_one(i);
	CU_ASSERT_EQUAL(token_of(1), 0);
	CU_ASSERT_EQUAL(latch_table_num(table), 0);
	CU_ASSERT_EQUAL(hold_in_place(num + 1), ERR_NOMEM);
	rcu_flush(&retired);
	CU_ASSERT_EQUAL(hold_in_place(num + 1), ERR_OK);
	CU_ASSERT_EQUAL(token_of(num + 1), num + 1);
	for (uint32_t i = 1; i <= num; i++)
		CU_ASSERT(hold_in_place(i) == ERR_OK || i == num);
	for (uint32_t i = 1; i < num; i++) { /* without memory each waits at once */
		alloc_fail_nth(1);
		remove_one(i);
		alloc_fail_nth(0);
	}
	CU_ASSERT_EQUAL(token_of(1), 0);
	CU_ASSERT_EQUAL(add(1, 8), ERR_OK);
	tear_down();
}

/* Whatever is done to a flow's latch shows in its generation, and in the epoch. */
static void test_generations(void)
{
	struct flow_id id = id_of(2, false);
	uint64_t epoch;
	struct latch *l;
	uint32_t gen;

	set_up(64);
	gen = latch_generation(table, &id);
	epoch = spd_epoch(&spd);
	CU_ASSERT_EQUAL(add(2, 3), ERR_OK);
	CU_ASSERT_NOT_EQUAL(latch_generation(table, &id), gen);
	CU_ASSERT_NOT_EQUAL(spd_epoch(&spd), epoch);
	gen = latch_generation(table, &id);
	epoch = spd_epoch(&spd);
	l = latch_find(table, &id);
	CU_ASSERT(!latch_change(table, l, latch_word(4, 0), latch_word(5, 0)));
	CU_ASSERT_EQUAL(latch_generation(table, &id), gen);
	CU_ASSERT(latch_change(table, l, latch_word(3, 0), latch_word(5, LATCH_F_SHUT)));
	CU_ASSERT_EQUAL(token_of(2), 5);
	CU_ASSERT_NOT_EQUAL(latch_generation(table, &id), gen);
	CU_ASSERT_NOT_EQUAL(spd_epoch(&spd), epoch);
	gen = latch_generation(table, &id);
	epoch = spd_epoch(&spd);
	remove_one(2);
	CU_ASSERT_NOT_EQUAL(latch_generation(table, &id), gen);
	CU_ASSERT_NOT_EQUAL(spd_epoch(&spd), epoch);
	tear_down();
}

struct count {
	uint32_t num;
	uint64_t sum;
};

static void count(void *ctx, struct latch *l)
{
	struct count *c = ctx;

	c->num++;
	c->sum += latch_token(latch_get(l));
}

static void test_each(void)
{
	struct count c = {0};
	uint32_t at = 0, turns = 0;

	set_up(512);
	for (uint32_t i = 1; i <= 100; i++)
		CU_ASSERT_EQUAL(add(i, i), ERR_OK);
	do {
		latch_each(table, &at, 100, count, &c);
		turns++;
	} while (at);
	CU_ASSERT_EQUAL(turns, 11);
	CU_ASSERT_EQUAL(c.num, 100);
	CU_ASSERT_EQUAL(c.sum, 5050);
	tear_down();
}

#define RACERS 4
#define ROUNDS 4000
#define FLOWS  8

static pthread_barrier_t barrier;
static uint32_t won[RACERS][ROUNDS];

/* All latch the same flow at once, each for itself; who is told OK has it alone. */
static void *race(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;

	rcu_thread_register();
	for (uint32_t r = 0; r < ROUNDS; r++) {
		rcu_offline();
		pthread_barrier_wait(&barrier);
		rcu_online();
		won[me][r] = add(r % FLOWS + 1, me + 1) == ERR_OK;
		rcu_offline();
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier); /* the first one has looked and cleared */
		rcu_online();
	}
	rcu_thread_unregister();
	return NULL;
}

static void test_one_wins(void)
{
	pthread_t threads[RACERS];
	uint32_t none = 0;

	set_up(64);
	pthread_barrier_init(&barrier, NULL, RACERS + 1);
	for (uintptr_t i = 0; i < RACERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, race, (void *)i), 0);
	for (uint32_t r = 0; r < ROUNDS; r++) {
		struct count c = {0};
		uint32_t at = 0, winners = 0, who = 0;

		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		for (uint32_t i = 0; i < RACERS; i++) {
			winners += won[i][r];
			who = won[i][r] ? i + 1 : who;
		}
		latch_each(table, &at, UINT32_MAX, count, &c);
		CU_ASSERT(winners <= 1);
		CU_ASSERT_EQUAL(c.num, winners);
		CU_ASSERT_EQUAL(token_of(r % FLOWS + 1), who);
		none += !winners;
		if (winners)
			remove_one(r % FLOWS + 1);
		rcu_flush(&retired);
		pthread_barrier_wait(&barrier);
	}
	for (uint32_t i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT(none < ROUNDS / 2);
	pthread_barrier_destroy(&barrier);
	tear_down();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_finds_what_is_in_it),
	TAP_TEST(test_full),
	TAP_TEST(test_room_of_each_kind),
	TAP_TEST(test_removed),
	TAP_TEST(test_generations),
	TAP_TEST(test_each),
	TAP_TEST(test_one_wins),
};

TAP_MAIN("dataplane/latch", tests)
