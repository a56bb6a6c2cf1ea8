/* SPDX-License-Identifier: Apache-2.0 */
/* The flow cache by itself: it keeps what it was given while there is room. */
#include "dataplane/flow_cache.h"

#include "tests/tap/tap.h"

static struct spd spd;
static struct flow_cache cache;
static struct latch_table *latches;
static struct class_table *classes;

static void set_up(uint32_t num, struct rng_seeded *rng, uint64_t seed)
{
	rng_seeded_init(rng, seed);
	CU_ASSERT_EQUAL_FATAL(spd_init(&spd, &rng->rng), ERR_OK);
	latches = latch_table_new(64, &spd, &rng->rng);
	classes = class_table_new(&rng->rng, NULL, NULL);
	CU_ASSERT_FATAL(latches && classes);
	CU_ASSERT_FATAL(flow_cache_init(&cache, num, &spd, latches, classes, &rng->rng) == ERR_OK);
}

static void tear_down(void)
{
	flow_cache_fini(&cache);
	latch_table_free(latches);
	class_table_free(classes);
	spd_fini(&spd);
}

static struct flow_id id_of(uint32_t i)
{
	const uint8_t header[20] = {[12] = 10, 1, 0, 1, 10, 2, (uint8_t)(i >> 8), (uint8_t)i};
	struct flow_id id;

	flow_fill4(&id, flow_addrs4(header, FLOW_OUT), 17, i >> 16, false);
	return id;
}

static struct flow_entry *at(const struct flow_id *id, uint64_t now_ns)
{
	return flow_cache_get(&cache, id, flow_cache_place(&cache, id), flow_cache_epoch(&cache),
			      now_ns);
}

static struct flow_entry *get(uint32_t i, uint64_t now_ns)
{
	struct flow_id k = id_of(i);

	return at(&k, now_ns);
}

/* How many of num flows are still known when they come the second time. */
static uint32_t num_kept(uint32_t num)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < num; i++)
		get(i, 1 + i)->in_conf = i + 1;
	for (uint32_t i = 0; i < num; i++)
		kept += get(i, 1 + num + i)->in_conf == i + 1;
	return kept;
}

static void test_keeps_flows_while_there_is_room(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct rng_seeded rng;

		set_up(4096, &rng, seed);
		uint32_t kept = num_kept(1024);

		CU_ASSERT(kept >= 1014); /* 99 %; two places a flow would keep about 91 % */
		tear_down();
		set_up(4096, &rng, seed);
		CU_ASSERT(num_kept(2048) >= 1900);
		tear_down();
	}
}

static void test_overflow_pushes_out_the_oldest(void)
{
	struct rng_seeded rng;

	set_up(64, &rng, 1);
	for (uint32_t i = 0; i < 10000; i++) {
		struct flow_id k = id_of(i);
		struct flow_entry *e = get(i, 1 + i);

		CU_ASSERT(flow_cache_place(&cache, &k) - cache.entries < 64);
		CU_ASSERT(memcmp(&e->id, &k, sizeof(k)) == 0);
		CU_ASSERT(e->in_conf == 0); /* nothing of whoever was there before */
		CU_ASSERT(e->verdict == DROP_NO_POLICY);
		e->in_conf = 1;
		CU_ASSERT(get(i, 1 + i)->in_conf == 1);
	}
	tear_down();
}

static void test_another_generation_is_looked_up_again(void)
{
	struct rng_seeded rng;

	set_up(64, &rng, 1);
	get(7, 1)->in_conf = 5;
	CU_ASSERT(get(7, 2)->in_conf == 5);
	spd_next_epoch(&spd); /* something else has changed */
	CU_ASSERT(get(7, 3)->in_conf == 5);
	__atomic_fetch_add(&spd.generation, 1, __ATOMIC_RELEASE);
	spd_next_epoch(&spd);
	CU_ASSERT(get(7, 4)->in_conf == 0);
	tear_down();
}

/* Each of num_words words of `id`, bit by bit. */
static void other_bits(struct flow_id id, unsigned num_words)
{
	struct rng_seeded rng;

	set_up(4096, &rng, 1);
	at(&id, 1)->in_conf = 9;
	for (unsigned bit = 0; bit < 64 * num_words; bit++) {
		struct flow_id other = id;

		((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1U << bit % 8);
		CU_ASSERT(at(&other, 1)->in_conf == 0);
	}
	CU_ASSERT(at(&id, 2)->in_conf == 9);
	tear_down();
}

static void test_one_bit_is_another_flow(void)
{
	struct flow_id v6 = {.what = 17ull << 32 | FLOW_V6, .addr = {1, 2, 3, 4}};

	other_bits(id_of(3), 2); /* the others are zero in every one of IPv4 */
	other_bits(v6, 5);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_keeps_flows_while_there_is_room),
	TAP_TEST(test_overflow_pushes_out_the_oldest),
	TAP_TEST(test_another_generation_is_looked_up_again),
	TAP_TEST(test_one_bit_is_another_flow),
};

TAP_MAIN("dataplane/flow_cache", tests)
