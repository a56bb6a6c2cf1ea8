/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tap/tap.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	unsigned int num_run;
	unsigned int asserts_before;
	char skip_reason[256];
} tap;

void tap_skip(const char *reason)
{
	snprintf(tap.skip_reason, sizeof(tap.skip_reason), "%s", *reason ? reason : "no reason");
}

void tap_diag(const char *fmt, ...)
{
	char *text, *rest;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	rest = text;
	do
		printf("# %s\n", strsep(&rest, "\n"));
	while (rest && *rest);
	free(text);
}

static void on_start(const CU_pTest test, const CU_pSuite suite)
{
	(void)test;
	(void)suite;
	tap.skip_reason[0] = '\0';
	tap.asserts_before = CU_get_number_of_asserts();
}

/* CUnit's list of failures begins at this test's first one and ends with the last so far. */
static void print_failures(CU_pFailureRecord f)
{
	for (; f; f = f->pNext)
		tap_diag("%s:%u: %s", f->strFileName ? f->strFileName : "?", f->uiLineNumber,
			 f->strCondition ? f->strCondition : "?");
}

static void on_complete(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failure)
{
	unsigned int n = ++tap.num_run;

	(void)suite;
	if (failure) {
		printf("not ok %u - %s\n", n, test->pName);
		print_failures(failure);
	} else if (tap.skip_reason[0]) {
		printf("ok %u - %s # SKIP %s\n", n, test->pName, tap.skip_reason);
	} else {
		printf("ok %u - %s\n", n, test->pName);
	}
	fflush(stdout);
}

/* The body of the test that is running; CUnit passes a test function no argument. */
static const struct tap_test *table;
static size_t table_len;

static void run_checked(void)
{
	const char *name = CU_get_current_test()->pName;

	for (size_t i = 0; i < table_len; i++) {
		if (strcmp(table[i].name, name) == 0) {
			table[i].fn();
			break;
		}
	}
	if (CU_get_number_of_asserts() == tap.asserts_before && !tap.skip_reason[0])
		CU_FAIL("the test made no assertion");
}

static bool selected(const struct tap_test *test)
{
	const char *only = getenv("TAP_ONLY");

	return !only || strstr(test->name, only);
}

static bool fill_suite(const char *name, size_t *out_num)
{
	CU_pSuite suite = CU_add_suite(name, NULL, NULL);
	size_t num = 0;

	if (!suite)
		return false;
	for (size_t i = 0; i < table_len; i++) {
		if (!selected(&table[i]))
			continue;
		/* Also refuses a name used twice, which run_checked() could not tell apart. */
		if (!CU_add_test(suite, table[i].name, run_checked) || CU_get_error())
			return false;
		num++;
	}
	*out_num = num;
	return true;
}

int tap_main(const char *suite, const struct tap_test *tests, size_t num_tests)
{
	size_t planned = 0;

	table = tests;
	table_len = num_tests;
	/* Results must come out in order with whatever a crashing test leaves behind. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS || !fill_suite(suite, &planned)) {
		printf("Bail out! %s: %s\n", suite, CU_get_error_msg());
		return 1;
	}
	printf("TAP version 13\n1..%zu\n", planned);
	CU_set_error_action(CUEA_IGNORE);
	CU_set_test_start_handler(on_start);
	CU_set_test_complete_handler(on_complete);
	if (planned > 0)
		CU_run_all_tests();

	unsigned int failures = CU_get_number_of_failures();

	if (planned == 0)
		tap_diag("%s: no test to run", suite);
	CU_cleanup_registry();
	return planned > 0 && tap.num_run == planned && failures == 0 ? 0 : 1;
}
