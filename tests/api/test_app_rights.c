/* SPDX-License-Identifier: Apache-2.0 */
/* Section E: the administrator's ceiling as a matrix, and demands beside profiles. */
#include "api/app/proto.h"
#include "api/app/rights.h"
#include "tests/api/fake_app.h"
#include "tests/tap/tap.h"

#include <string.h>

#define EVERYONE (APP_RIGHT_READ_OWN | APP_RIGHT_USE)
#define ALL      0x3f

static const struct conf_app conf = {
	.interact = {.uids = {1000}, .num_uids = 1, .gids = {50}, .num_gids = 1},
	.configure = {.gids = {60, 61}, .num_gids = 2},
	.read_all = {.uids = {1001}, .num_uids = 1},
};

static void test_E1_ceiling(void)
{
	static const struct {
		struct app_peer peer;
		uint32_t rights;
	} rows[] = {
		{{.uid = 0}, ALL},
		{{.uid = 1000, .gid = 1000}, EVERYONE | APP_RIGHT_INTERACT},
		{{.uid = 1001, .gid = 1000}, EVERYONE | APP_RIGHT_READ_ALL},
		{{.uid = 1002, .gid = 1000}, EVERYONE},
		{{.uid = 1002, .gid = 50}, EVERYONE | APP_RIGHT_INTERACT},
		{{.uid = 1002, .gid = 9, .groups = {7, 61}, .num_groups = 2},
		 EVERYONE | APP_RIGHT_CONFIGURE},
		/* A group's number is no user's. */
		{{.uid = 60, .gid = 1000}, EVERYONE},
		{{.uid = 1002, .gid = 1001}, EVERYONE},
		{{.uid = UINT32_MAX, .gid = UINT32_MAX}, EVERYONE},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CU_ASSERT_EQUAL(app_rights(&conf, &rows[i].peer), rows[i].rights);
}

static enum err check(const struct app_demand *d, uint32_t rights)
{
	static const struct flow local = {.local_port = 5000};
	char text[APP_TEXT_MAX] = "";
	struct fake_app f;
	enum err e;

	fake_app_init(&f);
	f.classes[0].reaches = 5000;
	e = app_demand_check(&f.backend, d, &local, rights, text);
	CU_ASSERT_EQUAL(e != ERR_OK, text[0] != '\0');
	fake_app_fini(&f);
	return e;
}

/* E: an application may strengthen, never weaken; with CONFIGURE it may. */
static void test_E2_monotone(void)
{
	static const struct app_demand allowed[] =
		{
			{.profile = ""},
			{.profile = "secure", .privacy = APP_ASK_YES, .tunnel = APP_ASK_NO},
			{.methods = {AUTH_METHOD_PUBKEY}, .num_methods = 1},
			{.methods = {AUTH_METHOD_PSK, AUTH_METHOD_PKIX_INLINE}, .num_methods = 2},
			{.suite = "aes128gcm16"},
			{.part = APP_PART_IKE_ONLY, .peer = "peer.example"},
			{.profile = "authenticated", .privacy = APP_ASK_YES},
			{.profile = "authenticated", .privacy = APP_ASK_NO},
			{.profile = "authenticated", .suite = "null-sha256"},
			{.token = 7},
		},
				       weaker[] = {
					       {.methods = {AUTH_METHOD_NONE}, .num_methods = 1},
					       {.methods = {AUTH_METHOD_PUBKEY, AUTH_METHOD_BTNS},
						.num_methods = 2},
					       {.profile = "authenticated",
						.methods = {AUTH_METHOD_PUBKEY},
						.num_methods = 1},
					       {.privacy = APP_ASK_NO},
					       {.integrity = APP_ASK_NO},
					       {.profile = "authenticated",
						.integrity = APP_ASK_NO},
					       {.part = APP_PART_APP_ONLY},
					       {.part = APP_PART_NONE},
					       {.suite = "null-sha256"},
					       {.suite = "aes256"},
					       {.suite = "gcm16"},
				       };

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		CU_ASSERT_EQUAL(check(&allowed[i], EVERYONE), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(weaker); i++) {
		CU_ASSERT_EQUAL(check(&weaker[i], EVERYONE), ERR_PERM);
		CU_ASSERT_EQUAL(check(&weaker[i], ALL & ~APP_RIGHT_CONFIGURE), ERR_PERM);
		CU_ASSERT_EQUAL(check(&weaker[i], EVERYONE | APP_RIGHT_CONFIGURE), ERR_OK);
	}
}

/* L10: less than what policy says is for who may configure, and nobody else. */
static void test_L10_only_privileged(void)
{
	const struct app_demand bypass = {.profile = "bypass"};

	CU_ASSERT_EQUAL(check(&bypass, EVERYONE), ERR_PERM);
	CU_ASSERT_EQUAL(check(&bypass, ALL & ~APP_RIGHT_CONFIGURE), ERR_PERM);
	CU_ASSERT_EQUAL(check(&bypass, EVERYONE | APP_RIGHT_CONFIGURE), ERR_OK);
}

static void test_demand_of_nothing(void)
{
	struct app_demand d = {.profile = "no-such"}, ack = {.part = APP_PART_IKE_APP_ACK},
			  token = {.token = 9};

	CU_ASSERT_EQUAL(check(&d, ALL), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(check(&ack, EVERYONE), ERR_PERM);
	CU_ASSERT_EQUAL(check(&ack, EVERYONE | APP_RIGHT_INTERACT), ERR_OK);
	CU_ASSERT_EQUAL(check(&token, ALL), ERR_NOT_FOUND);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_E1_ceiling),
	TAP_TEST(test_E2_monotone),
	TAP_TEST(test_L10_only_privileged),
	TAP_TEST(test_demand_of_nothing),
};

TAP_MAIN("app_rights", tests)
