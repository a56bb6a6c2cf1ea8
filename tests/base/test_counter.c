/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counter.h"

#include "tests/tap/tap.h"

#include <pthread.h>

static void test_adding_and_setting(void)
{
	uint64_t c = 5;

	counter_add(&c, 3);
	CU_ASSERT_EQUAL(counter_get(&c), 8);
	counter_add(&c, UINT64_MAX);
	CU_ASSERT_EQUAL(counter_get(&c), 7);
	counter_set(&c, 1ull << 40);
	CU_ASSERT_EQUAL(counter_get(&c), 1ull << 40);
}

enum {
	ADDS = 200000
};

static void *add(void *c)
{
	for (int i = 0; i < ADDS; i++)
		counter_add(c, 1);
	return NULL;
}

/* A reader beside the owner sees the value grow and no more; ThreadSanitizer watches. */
static void test_a_reader_beside_the_owner(void)
{
	uint64_t c = 0, last = 0;
	bool grows = true;
	pthread_t owner;

	CU_ASSERT_FATAL(pthread_create(&owner, NULL, add, &c) == 0);
	while (last < ADDS) {
		uint64_t now = counter_get(&c);

		grows = grows && now >= last;
		last = now;
	}
	pthread_join(owner, NULL);
	CU_ASSERT(grows && last == ADDS);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_adding_and_setting),
	TAP_TEST(test_a_reader_beside_the_owner),
};
TAP_MAIN("base/counter", tests)
