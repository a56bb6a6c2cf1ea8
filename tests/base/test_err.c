/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "tests/tap/tap.h"

#include <string.h>

static void test_every_error_has_a_name_and_a_sentence(void)
{
	for (int i = 0; i < ERR_COUNT; i++) {
		CU_ASSERT_FATAL(err_name((enum err)i) && err_text((enum err)i));
		CU_ASSERT(strlen(err_name((enum err)i)) > 0 && strlen(err_text((enum err)i)) > 0);
		for (int j = 0; j < i; j++) {
			CU_ASSERT_STRING_NOT_EQUAL(err_name((enum err)i), err_name((enum err)j));
			CU_ASSERT_STRING_NOT_EQUAL(err_text((enum err)i), err_text((enum err)j));
		}
	}
	CU_ASSERT_STRING_EQUAL(err_name(ERR_NOMEM), "NOMEM");
	CU_ASSERT_STRING_EQUAL(err_text(ERR_TRUNCATED), "data ends too early");
}

static void test_ok_is_zero(void)
{
	CU_ASSERT_EQUAL(ERR_OK, 0);
}

static void test_unknown_values_are_accepted(void)
{
	CU_ASSERT_STRING_EQUAL(err_name(ERR_COUNT), "UNKNOWN");
	CU_ASSERT_STRING_EQUAL(err_name((enum err) - 1), "UNKNOWN");
	CU_ASSERT_STRING_EQUAL(err_text((enum err)123456), "unknown error");
}

static const struct tap_test tests[] = {
	TAP_TEST(test_every_error_has_a_name_and_a_sentence),
	TAP_TEST(test_ok_is_zero),
	TAP_TEST(test_unknown_values_are_accepted),
};
TAP_MAIN("base/err", tests)
