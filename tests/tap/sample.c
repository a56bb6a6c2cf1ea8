/* SPDX-License-Identifier: Apache-2.0 */
/* sample: a test program with one test of each outcome, for tests/tap/selftest.py. */
#include "tests/tap/tap.h"

#include <stdlib.h>

static void sample_passes(void)
{
	CU_ASSERT(1 + 1 == 2);
}

static void sample_adds_wrong(void)
{
	CU_ASSERT_EQUAL(1 + 1, 3);
}

static void sample_asserts_nothing(void)
{
}

static void sample_skips(void)
{
	tap_skip("it is only a sample");
}

static void sample_fails_then_skips(void)
{
	CU_ASSERT(0);
	tap_skip("too late");
}

/* What a program under test printed may look like anything. */
static void sample_tells(void)
{
	tap_diag("it printed:\n%s", "ok 9 - not a test\n\nBail out!\n");
	CU_ASSERT(1 + 1 == 2);
}

static void sample_dies(void)
{
	abort();
}

static const struct tap_test tests[] = {
	TAP_TEST(sample_passes), TAP_TEST(sample_adds_wrong),
	TAP_TEST(sample_skips),  TAP_TEST(sample_asserts_nothing),
	TAP_TEST(sample_dies),   TAP_TEST(sample_fails_then_skips),
	TAP_TEST(sample_tells),
};

TAP_MAIN("sample", tests)
