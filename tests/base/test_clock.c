/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "tests/tap/tap.h"

#include <time.h>

static void test_time_does_not_go_back(void)
{
	uint64_t last = clock_now_ns();

	for (int i = 0; i < 10000; i++) {
		uint64_t now = clock_now_ns();

		CU_ASSERT(now >= last);
		last = now;
	}
}

static void test_nanoseconds(void)
{
	const struct timespec pause = {.tv_nsec = 20 * (long)NS_PER_MS};
	uint64_t before = clock_now_ns();

	nanosleep(&pause, NULL);
	CU_ASSERT(clock_now_ns() - before >= 20 * NS_PER_MS);
	CU_ASSERT(clock_now_ns() - before < 20 * NS_PER_S);
}

static void test_wall_time_is_the_calendars(void)
{
	int64_t before = time(NULL);
	int64_t now = clock_wall_s();

	CU_ASSERT(now >= before - 1 && now <= (int64_t)time(NULL) + 1);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_time_does_not_go_back),
	TAP_TEST(test_nanoseconds),
	TAP_TEST(test_wall_time_is_the_calendars),
};
TAP_MAIN("base/clock", tests)
