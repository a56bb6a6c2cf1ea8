/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on paths by the application socket: by whom, and who hears of them. */
#include "tests/api/app_bench.h"
#include "tests/tap/tap.h"

#include <string.h>

static void say(struct bench *b, enum app_path_act act, uint32_t number)
{
	bench_begin(b, APP_PATH);
	app_put_u32(&b->w, APP_A_PATH_ACT, act);
	app_put_text(&b->w, APP_A_PEER, "gw");
	app_put_u32(&b->w, APP_A_PATH, number);
	app_put_u32(&b->w, APP_A_TIMEOUT_MS, 3000);
}

static void peer_says(struct bench *b, uint64_t request, const char *refusal)
{
	const struct engine_path_event ev = {.news = refusal ? ENGINE_PATH_REFUSED
							     : ENGINE_PATH_DONE,
					     .request = request,
					     .text = refusal ? refusal : ""};

	app_server_path_event(b->server, &ev);
}

/* What is said of a path is answered when the peers have: all of them. */
static void test_M10_path_of_who_configures(void)
{
	static const struct {
		const char *first, *second; /* refusals */
		enum app_code code;
	} rows[] = {
		{NULL, NULL, APP_OK}, {"it is full", NULL, APP_FAILED}, {NULL, "no", APP_FAILED}};
	struct bench b;
	struct app_client *c;
	struct answer a;
	char text[APP_TEXT_MAX];

	bench_open(&b);
	c = bench_client(&b, SETTER);
	b.fake.path_peers = 2;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		say(&b, APP_PATH_HARD, 4);
		CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_NUM_CODES);
		CU_ASSERT_EQUAL(b.fake.path.act, ENGINE_PATH_HARD);
		CU_ASSERT_EQUAL(b.fake.path.id, 4);
		CU_ASSERT_STRING_EQUAL(b.fake.path_name, "gw");
		peer_says(&b, b.fake.path.request, rows[i].first);
		peer_says(&b, b.fake.path.request + 1, "it is another's");
		CU_ASSERT_TRUE(bench_silent(c));
		peer_says(&b, b.fake.path.request, rows[i].second);
		CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
		CU_ASSERT_EQUAL(a.msg.code, rows[i].code);
		CU_ASSERT_EQUAL(a.msg.id, b.last_id);
		CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_PATH, 0), 4);
		app_attr_text(&a.msg.attrs, APP_A_TEXT, text, sizeof(text));
		CU_ASSERT_EQUAL(strncmp(text, "the peer refuses it: ", 21) == 0, rows[i].code != 0);
	}
	app_client_close(c);
	bench_close(&b);
}

/* Time is over, the client goes, the engine says no: nothing is left that waits. */
static void test_path_is_not_waited_for(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;

	bench_open(&b);
	c = bench_client(&b, SETTER);
	say(&b, APP_PATH_SOFT, 4);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_NUM_CODES);
	CU_ASSERT_EQUAL(app_server_deadline(b.server), b.fake.now_ns + 3 * NS_PER_S);
	app_server_run(b.server, b.fake.now_ns + 3 * NS_PER_S);
	CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_TIMEOUT);
	CU_ASSERT_EQUAL(app_server_deadline(b.server), TIME_NEVER);
	b.fake.path_result = ERR_PERM;
	say(&b, APP_PATH_SOFT, 4);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_PERM);
	b.fake.path_result = ERR_OK;
	for (int i = 0; i < 64; i++) {
		say(&b, APP_PATH_SOFT, 4);
		CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_NUM_CODES);
	}
	say(&b, APP_PATH_SOFT, 4);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_FULL); /* S63 */
	app_client_close(c);
	CU_ASSERT_EQUAL(app_server_deadline(b.server), TIME_NEVER);
	peer_says(&b, b.fake.path.request, NULL);
	bench_close(&b);
}

/* What is said has to be whole. */
static void test_path_is_whole(void)
{
	static const struct flow none = {0};
	struct bench b;
	struct app_client *c;
	struct answer a;

	bench_open(&b);
	c = bench_client(&b, SETTER);
	say(&b, APP_PATH_SOFT, 0);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_INVAL);
	say(&b, APP_PATH_ADD, 4); /* without an address */
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_INVAL);
	say(&b, APP_PATH_ADD, 4);
	app_put_flow(&b.w, APP_A_FLOW, &none);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_INVAL);
	bench_begin(&b, APP_PATH);
	app_put_u32(&b.w, APP_A_PATH_ACT, APP_PATH_SOFT);
	app_put_u32(&b.w, APP_A_PATH, 4);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_INVAL);
	bench_begin(&b, APP_PATH);
	app_put_text(&b.w, APP_A_PEER, "gw");
	app_put_u32(&b.w, APP_A_PATH, 4);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_INVAL);
	CU_ASSERT_STRING_EQUAL(b.fake.path_name, "");
	app_client_close(c);
	bench_close(&b);
}

/* News of paths are for who may configure or read all, and wants events. */
static void test_M10_path_events_by_right(void)
{
	const struct engine_path_event ev = {
		.news = ENGINE_PATH_MOVED, .conn = "gw", .id = 2, .from = 1, .text = ""};
	struct bench b;
	struct app_msg msg;
	uint8_t copy[APP_MESSAGE_MAX];
	struct answer a;

	for (size_t i = 0; i < 2 * ARRAY_LEN(users); i++) {
		const uint32_t uid = users[i / 2];
		const bool wants = i % 2, may = uid == SETTER || uid == READER || uid == 0;
		struct app_client *c;

		bench_open(&b);
		c = bench_client(&b, uid);
		if (wants) {
			bench_begin(&b, APP_EVENTS);
			CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
		}
		app_server_path_event(b.server, &ev);
		CU_ASSERT_EQUAL(bench_take(c, &msg, copy), wants && may);
		if (wants && may) {
			CU_ASSERT_EQUAL(msg.verb, APP_EV_PATH);
			CU_ASSERT_EQUAL(app_attr_u32(&msg.attrs, APP_A_PATH_NEWS, 9),
					APP_PATH_MOVED);
			CU_ASSERT_EQUAL(app_attr_u32(&msg.attrs, APP_A_FROM, 9), 1);
		}
		app_client_close(c);
		bench_close(&b);
	}
}

static void test_paths(void)
{
	struct bench b;
	struct app_client *c;
	struct app_attrs in;
	struct answer a;
	struct flow ends;
	char text[APP_ID_MAX];

	bench_open(&b);
	c = bench_client(&b, READER);
	bench_begin(&b, APP_PATHS);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	CU_ASSERT_EQUAL(a.msg.attrs.num, 2);
	CU_ASSERT_EQUAL_FATAL(app_attrs_parse(&in, a.msg.attrs.list[0].value, 1), ERR_OK);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&in, APP_A_PEER, text, sizeof(text)), "peer.example");
	CU_ASSERT_EQUAL(app_attr_flow(&in, APP_A_FLOW, &ends), ERR_OK);
	CU_ASSERT_EQUAL(ends.local_port, 4500);
	CU_ASSERT_EQUAL(app_attr_u32(&in, APP_A_PATH_STATE, 9), 2);
	CU_ASSERT_EQUAL(app_attr_u32(&in, APP_A_RTT_US, 9), 20500);
	CU_ASSERT_EQUAL(app_attr_u64(&in, APP_A_TX_BYTES, 9), 1ull << 40);
	CU_ASSERT_EQUAL_FATAL(app_attrs_parse(&in, a.msg.attrs.list[1].value, 1), ERR_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&in, APP_A_PATH_STATE, 9), 0);
	CU_ASSERT_PTR_NULL(app_attr(&in, APP_A_RTT_US));
	app_client_close(c);
	bench_close(&b);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_M10_path_of_who_configures),
	TAP_TEST(test_path_is_not_waited_for),
	TAP_TEST(test_path_is_whole),
	TAP_TEST(test_M10_path_events_by_right),
	TAP_TEST(test_paths),
};

TAP_MAIN("app_paths", tests)
