/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#include "base/alloc.h"

#include "tests/tap/tap.h"

#include <pthread.h>
#include <sched.h>

static int things[64];

static void test_order_and_bounds(void)
{
	struct ring *r = ring_new(5);

	CU_ASSERT_FATAL(r != NULL);
	CU_ASSERT_PTR_NULL(ring_pop(r));
	/* 5 becomes 8. */
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(ring_count(r), (size_t)i);
		CU_ASSERT(ring_push(r, &things[i]));
	}
	CU_ASSERT(!ring_push(r, &things[8]));
	CU_ASSERT_EQUAL(ring_count(r), 8);
	for (int i = 0; i < 8; i++)
		CU_ASSERT_PTR_EQUAL(ring_pop(r), &things[i]);
	CU_ASSERT_PTR_NULL(ring_pop(r));
	CU_ASSERT_EQUAL(ring_count(r), 0);
	ring_free(r);
	ring_free(NULL);
}

/* Every fill at every place of the ring, many times round. */
static void test_going_round(void)
{
	struct ring *r = ring_new(1);
	int in = 0, out = 0;

	CU_ASSERT_FATAL(r != NULL);
	for (int round = 0; round < 1000; round++) {
		while (ring_push(r, &things[in % 64]))
			in++;
		CU_ASSERT_EQUAL(in - out, 2);
		for (int n = 1 + round % 2; n > 0; n--)
			CU_ASSERT_PTR_EQUAL(ring_pop(r), &things[out++ % 64]);
	}
	ring_free(r);
}

static void test_shortage_of_memory(void)
{
	alloc_fail_nth(1);
	CU_ASSERT_PTR_NULL(ring_new(16));
}

#define NUM_MESSAGES 300000

static void *produce(void *arg)
{
	struct ring *r = arg;

	for (uint64_t i = 0; i < NUM_MESSAGES; i++) {
		uint64_t *message = mem_alloc(sizeof(*message));

		if (!message)
			break;
		*message = i;
		while (!ring_push(r, message))
			sched_yield();
	}
	return NULL;
}

/* What the producer wrote is seen, in order and once; ThreadSanitizer watches. */
static void test_two_threads(void)
{
	struct ring *r = ring_new(64);
	uint64_t wrong = 0;
	pthread_t producer;

	CU_ASSERT_FATAL(r != NULL);
	CU_ASSERT_FATAL(pthread_create(&producer, NULL, produce, r) == 0);
	for (uint64_t i = 0; i < NUM_MESSAGES; i++) {
		uint64_t *message;

		while (!(message = ring_pop(r)))
			sched_yield();
		wrong += *message != i;
		if (ring_count(r) > 64)
			wrong++;
		mem_free(message);
	}
	pthread_join(producer, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_PTR_NULL(ring_pop(r));
	ring_free(r);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_order_and_bounds),
	TAP_TEST(test_going_round),
	TAP_TEST(test_shortage_of_memory),
	TAP_TEST(test_two_threads),
};
TAP_MAIN("base/ring", tests)
