/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * tap: runs a table of CUnit tests and reports them in the Test Anything Protocol.
 *
 * The plan is printed before the first test, so a program that dies half way, or that runs fewer
 * tests than it promised, is seen as failed by whatever reads the output. A test that makes no
 * assertion fails: it could not have failed otherwise. Used from the main thread only.
 */
#include <stddef.h>

#include <CUnit/CUnit.h>

/* tap_test: one row of a test program's table. */
struct tap_test {
	const char *name; /* as printed; unique in its table */
	void (*fn)(void); /* makes CU_ASSERT... assertions */
};

/* TAP_TEST: a row whose printed name is the function's. */
#define TAP_TEST(fn_)                     \
	{                                 \
		.name = #fn_, .fn = (fn_) \
	}

/*
 * tap_main: runs num_tests tests in order, standard output being the TAP stream. An empty table is
 * a failure. With the environment variable TAP_ONLY set, only tests whose name contains its text
 * are run, and the plan counts only those. Returns the program's exit status: 0 if all passed
 * (or were skipped), otherwise 1.
 */
int tap_main(const char *suite, const struct tap_test *tests, size_t num_tests);

/* TAP_MAIN: the whole main() of a test program whose table is an array. */
#define TAP_MAIN(suite_, tests_)                                                           \
	int main(void)                                                                     \
	{                                                                                  \
		return tap_main((suite_), (tests_), sizeof(tests_) / sizeof((tests_)[0])); \
	}

/*
 * tap_skip: says that the running test cannot be done here and why; the test then returns. It is
 * counted as skipped unless an assertion already failed. The reason is copied.
 */
void tap_skip(const char *reason);

/* tap_diag: prints diagnostics, each line of the text behind "# ", so that none is read as a
 * result.
 */
void tap_diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
