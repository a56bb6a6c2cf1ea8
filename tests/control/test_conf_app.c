/* SPDX-License-Identifier: Apache-2.0 */
/* The section latchkey.app: defaults, users and groups, quotas, and what is no such thing. */
#include "control/conf/conf.h"
#include "tests/control/load_text.h"
#include "tests/tap/tap.h"

#include <stdio.h>
#include <string.h>

static enum err load(struct conf **out, struct conf_diags *diags, const char *keys)
{
	char text[512];

	snprintf(text, sizeof(text), "latchkey { app {\n%s\n} }", keys);
	return load_text(out, diags, text);
}

static void test_defaults(void)
{
	static struct conf_diags diags;
	struct conf *conf;

	CU_ASSERT_EQUAL_FATAL(load(&conf, &diags, ""), ERR_OK);
	CU_ASSERT_FALSE(conf->daemon.app.disabled);
	CU_ASSERT_EQUAL(conf->daemon.app.clients_per_uid, 32);
	CU_ASSERT_EQUAL(conf->daemon.app.latches_per_uid, 1024);
	CU_ASSERT_EQUAL(conf->daemon.app.requests_per_second, 1000);
	CU_ASSERT_EQUAL(conf->daemon.app.queue_per_uid, 1u << 20);
	/* E: nobody beside root has what is not everybody's. */
	CU_ASSERT_EQUAL(conf->daemon.app.interact.num_uids, 0);
	CU_ASSERT_EQUAL(conf->daemon.app.configure.num_uids, 0);
	CU_ASSERT_EQUAL(conf->daemon.app.read_all.num_uids, 0);
	CU_ASSERT_EQUAL(conf->daemon.app.read_all.num_gids, 0);
	conf_put(conf);
}

static void test_values(void)
{
	static struct conf_diags diags;
	struct conf *conf;
	const struct conf_app *a;

	CU_ASSERT_EQUAL_FATAL(load(&conf, &diags,
				   "enabled = no\ninteract = 1000, root, @1001\n"
				   "configure = @root\nread_all = @0, 7\nclients_per_uid = 2\n"
				   "latches_per_uid = 3\nrequests_per_second = 4\n"
				   "queue_per_uid = 65536"),
			      ERR_OK);
	a = &conf->daemon.app;
	CU_ASSERT_TRUE(a->disabled);
	CU_ASSERT_EQUAL(a->interact.num_uids, 2);
	CU_ASSERT_EQUAL(a->interact.uids[0], 1000);
	CU_ASSERT_EQUAL(a->interact.uids[1], 0);
	CU_ASSERT_EQUAL(a->interact.num_gids, 1);
	CU_ASSERT_EQUAL(a->interact.gids[0], 1001);
	CU_ASSERT_EQUAL(a->configure.num_gids, 1);
	CU_ASSERT_EQUAL(a->configure.num_uids, 0);
	CU_ASSERT_EQUAL(a->read_all.uids[0], 7);
	CU_ASSERT_EQUAL(a->clients_per_uid, 2);
	CU_ASSERT_EQUAL(a->latches_per_uid, 3);
	CU_ASSERT_EQUAL(a->requests_per_second, 4);
	CU_ASSERT_EQUAL(a->queue_per_uid, 65536);
	conf_put(conf);
}

static void test_refused(void)
{
	static const char *const rows[][2] = {
		{"interact = no-such-user", "f:2: latchkey.app.interact: there is no user "
					    "'no-such-user'"},
		{"configure = @no-such-group",
		 "f:2: latchkey.app.configure: there is no group 'no-such-group'"},
		{"clients_per_uid = 0", "f:2: latchkey.app.clients_per_uid: 0 is less than 1"},
		{"requests_per_second = 0",
		 "f:2: latchkey.app.requests_per_second: 0 is less than 1"},
		{"queue_per_uid = 100", "f:2: latchkey.app.queue_per_uid: 100 is less than 16384"},
		{"interacts = 5",
		 "f:2: latchkey.app: unknown key 'interacts'; did you mean 'interact'?"},
	};
	static struct conf_diags diags;
	struct conf *conf;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CU_ASSERT_EQUAL(load(&conf, &diags, rows[i][0]), ERR_CONFIG);
		CU_ASSERT_STRING_EQUAL(diags.list[0].text, rows[i][1]);
		if (strcmp(diags.list[0].text, rows[i][1]) != 0)
			tap_diag("%s", diags.list[0].text);
	}
}

static void test_too_many(void)
{
	static struct conf_diags diags;
	char keys[400] = "read_all = 0";
	struct conf *conf;

	for (int i = 1; i <= CONF_WHO_MAX; i++)
		snprintf(keys + strlen(keys), 8, ", %d", i);
	CU_ASSERT_EQUAL(load(&conf, &diags, keys), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.list[0].text, "more than 32 users or groups"));
}

static const struct tap_test tests[] = {
	TAP_TEST(test_defaults),
	TAP_TEST(test_values),
	TAP_TEST(test_refused),
	TAP_TEST(test_too_many),
};

TAP_MAIN("conf_app", tests)
