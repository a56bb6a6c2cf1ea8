/* SPDX-License-Identifier: Apache-2.0 */
/* The order of policies that the engine installs. */
#include "api/engine/internal.h"
#include "tests/tap/tap.h"

static uint32_t place(enum policy_action action, const char *local, const char *remote,
		      uint32_t configured)
{
	struct ts l = {0}, r = {0};
	const struct policy_params p = {
		.action = action, .local = &l, .remote = &r, .num_local = 1, .num_remote = 1};

	CU_ASSERT_EQUAL_FATAL(ts_parse(&l, local), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(ts_parse(&r, remote), ERR_OK);
	return priority_of(&p, configured);
}

static void test_by_itself(void)
{
	const char *any = "0.0.0.0/0", *net = "10.0.0.0/8", *host = "10.0.0.1";

	/* What passes, what is protected, what is dropped, however wide. */
	CU_ASSERT(place(POLICY_BYPASS, any, any, 0) < place(POLICY_PROTECT, host, host, 0));
	CU_ASSERT(place(POLICY_BYPASS, "::/0", "::/0", 0) < place(POLICY_PROTECT, host, host, 0));
	CU_ASSERT(place(POLICY_PROTECT, "::/0", "::/0", 0) < place(POLICY_DISCARD, host, host, 0));
	/* The narrower one first: addresses, then protocol, then ports. */
	CU_ASSERT(place(POLICY_PROTECT, host, net, 0) < place(POLICY_PROTECT, net, net, 0));
	CU_ASSERT(place(POLICY_PROTECT, net, net, 0) < place(POLICY_PROTECT, any, net, 0));
	CU_ASSERT(place(POLICY_PROTECT, net, "10.0.0.0/9", 0) < place(POLICY_PROTECT, net, net, 0));
	CU_ASSERT(place(POLICY_PROTECT, host, "10.0.0.0/8[tcp]", 0) <
		  place(POLICY_PROTECT, host, net, 0));
	CU_ASSERT(place(POLICY_PROTECT, host, "10.0.0.0/8[tcp/22]", 0) <
		  place(POLICY_PROTECT, host, "10.0.0.0/8[tcp]", 0));
	CU_ASSERT(place(POLICY_PROTECT, host, "10.0.0.0/8", 0) <
		  place(POLICY_PROTECT, host, "10.0.0.0/7[tcp/22]", 0));
}

static void test_S58_configured(void)
{
	const char *any = "0.0.0.0/0", *host = "10.0.0.1";

	CU_ASSERT(place(POLICY_DISCARD, any, any, 9) < place(POLICY_BYPASS, host, host, 0));
	CU_ASSERT(place(POLICY_DISCARD, any, any, 9) < place(POLICY_BYPASS, host, host, 10));
	CU_ASSERT(place(POLICY_BYPASS, any, any, 8) < place(POLICY_DISCARD, host, host, 9));
	/* Equal: what lets less through comes first. */
	CU_ASSERT(place(POLICY_DISCARD, any, any, 9) < place(POLICY_PROTECT, host, host, 9));
	CU_ASSERT(place(POLICY_PROTECT, any, any, 9) < place(POLICY_BYPASS, host, host, 9));
	/* The largest that can be configured. */
	CU_ASSERT(place(POLICY_BYPASS, any, any, UINT32_MAX / 4 - 1) >
		  place(POLICY_DISCARD, "::/0", "::/0", 0));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_by_itself),
	TAP_TEST(test_S58_configured),
};

TAP_MAIN("api/priority", tests)
