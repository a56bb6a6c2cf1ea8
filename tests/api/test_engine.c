/* SPDX-License-Identifier: Apache-2.0 */
/* Two whole engines: what is set up and taken down by command, by packets and by configurations,
 * and a start and an end of each step. */
#include <string.h>
#include <sys/socket.h>

#include "api/engine/internal.h"
#include "tests/api/sides.h"
#include "tests/tap/tap.h"

static void test_up_carries_packets_both_ways(void)
{
	struct side a, b;

	sides_begin();
	side_open(&a, side_text(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, side_text(false, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(!fake_host_has(&a.host, "route 10.2.0.0/24 dev lka"));
	CU_ASSERT(engine_up(a.engine, "net", "net", engine_request(a.engine)) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	CU_ASSERT(fake_host_has(&a.host, "route 10.2.0.0/24 dev lka"));
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	send_and_check(&a, &b, 1, 2);
	send_and_check(&b, &a, 2, 1);
	side_close(&a);
	side_close(&b);
	sides_end();
}

static void test_down_takes_policy_away_on_both_sides(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct side a, b;
	uint32_t num;

	sides_begin();
	side_open(&a, side_text(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, side_text(false, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(num == 1);
	CU_ASSERT_FATAL(wait_for(&a.downs, 1) && wait_for(&b.downs, 1));
	uv_run(&sides_loop, UV_RUN_NOWAIT);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 0);
	CU_ASSERT(fake_host_count(&b.host, "guard lkb") == 0);
	CU_ASSERT(fake_host_count(&a.host, "route ") == 0);
	side_close(&a);
	side_close(&b);
	sides_end();
}

static void test_trap_guards_first_and_sends_the_packet_that_asked(void)
{
	struct side a, b;

	sides_begin();
	side_open(&a, side_text(true, "trap", "s3cret-s3cret-s3cret"));
	side_open(&b, side_text(false, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	send_and_check(&a, &b, 1, 2);
	CU_ASSERT(a.ups == 1 && b.ups == 1);
	side_close(&a);
	side_close(&b);
	sides_end();
}

static void test_wrong_secret_is_told_on_both_sides(void)
{
	struct side a, b;

	sides_begin();
	side_open(&a, side_text(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, side_text(false, "none", "another-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.failures, 1) && wait_for(&b.failures, 1));
	CU_ASSERT(a.ups == 0 && b.ups == 0);
	CU_ASSERT(a.reason == IKE_REASON_AUTH_FAILED_PEER);
	CU_ASSERT(b.reason == IKE_REASON_AUTH_FAILED_LOCAL);
	CU_ASSERT(strlen(a.why) > 20);
	CU_ASSERT(strstr(a.why, "s3cret") == NULL && strstr(b.why, "s3cret") == NULL);
	side_close(&a);
	side_close(&b);
	sides_end();
}

static void test_new_configuration_moves_policies(void)
{
	struct conf *conf;
	struct side a;

	sides_begin();
	side_open(&a, side_text(true, "trap", "s3cret-s3cret-s3cret"));
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	conf = side_conf(side_text(true, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT_FATAL(conf != NULL);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	conf_put(conf);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 0);
	conf = side_conf(side_text(true, "trap", "s3cret-s3cret-s3cret"));
	CU_ASSERT_FATAL(conf != NULL);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	conf_put(conf);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	CU_ASSERT(fake_host_count(&a.host, "route ") == 1);
	side_close(&a);
	sides_end();
}

/* Cookies need no new start, and so they end without one, too. */
static void test_new_configuration_ends_cookies(void)
{
	const char *text = side_text(false, "none", "s3cret-s3cret-s3cret");
	struct conf *conf = side_conf(text);
	struct ike_stats stats;
	struct side a, b;
	uint64_t before;

	sides_begin();
	CU_ASSERT_FATAL(conf != NULL);
	side_open(&a, side_text(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, with(text, "latchkey {", "latchkey {\n cookies = always"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	engine_ike_stats(b.engine, &stats);
	CU_ASSERT(stats.cookies_sent >= 1);
	before = stats.cookies_sent;
	side_close(&a);
	CU_ASSERT(engine_configure(b.engine, conf) == ERR_OK);
	conf_put(conf);
	side_open(&a, side_text(true, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 2));
	engine_ike_stats(b.engine, &stats);
	CU_ASSERT_EQUAL(stats.cookies_sent, before);
	side_close(&a);
	side_close(&b);
	sides_end();
}

/* A peer that was killed comes back while what it forgot still stands here. */
static void test_a_peer_that_comes_back_is_reached_at_once(void)
{
	struct side a, b;

	sides_begin();
	side_open(&a, side_text(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, side_text(false, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	side_close(&a);
	side_open(&a, side_text(true, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 2));
	CU_ASSERT(fake_host_count(&b.host, "guard lkb") == 1);
	send_and_check(&a, &b, 1, 2);
	send_and_check(&b, &a, 2, 1);
	side_close(&a);
	side_close(&b);
	sides_end();
}

static void test_trap_and_start_together_start(void)
{
	struct side a, b;

	sides_begin();
	side_open(&b, side_text(false, "none", SECRET));
	side_open(&a, side_text(true, "trap|start", SECRET));
	CU_ASSERT(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	side_close(&a);
	side_close(&b);
	sides_end();
}

static void test_what_was_taken_down_stays_down_until_asked_for(void)
{
	const struct ike_select sel = {.conn = "net"};
	uint8_t frame[FRAME_MAX];
	struct side a, b;
	uint32_t num;
	size_t len = make_frame(frame, 1, 2, 100);

	sides_begin();
	side_open(&b, side_text(false, "none", SECRET));
	side_open(&a, side_text(true, "start", SECRET));
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.downs, 1) && wait_for(&b.downs, 1));
	CU_ASSERT(send(a.host.tap_peers[0], frame, len, 0) == (ssize_t)len);
	turn_for(300);
	CU_ASSERT(a.ups == 1);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	CU_ASSERT(engine_up(a.engine, "net", "net", 7) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 2) && wait_for(&b.ups, 2));
	/* From now on it comes back by itself again. */
	side_close(&b);
	side_open(&b, side_text(false, "none", SECRET));
	CU_ASSERT(engine_down(a.engine, &num, &(struct ike_select){.ike_id = 2}) == ERR_OK);
	CU_ASSERT(send(a.host.tap_peers[0], frame, len, 0) == (ssize_t)len);
	CU_ASSERT(wait_for(&a.ups, 3));
	side_close(&a);
	side_close(&b);
	sides_end();
}

/* SAs refer to the configuration they were made under; its secrets are none of their business. */
static void test_a_secret_taken_away_is_gone_at_once(void)
{
	struct conf *conf, *without;
	struct side a, b;

	sides_begin();
	side_open(&a, side_text(true, "none", SECRET));
	side_open(&b, side_text(false, "none", SECRET));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	conf = conf_get(engine_conf(a.engine));
	CU_ASSERT(conf->num_secrets == 1);
	CU_ASSERT_FATAL(conf_without_secret(&without, conf, NULL) == ERR_OK);
	CU_ASSERT(engine_configure(a.engine, without) == ERR_OK);
	conf_put(without);
	CU_ASSERT(conf->num_secrets == 0);
	conf_put(conf);
	send_and_check(&a, &b, 1, 2);
	side_close(&a);
	side_close(&b);
	sides_end();
}

/* Whoever asks for what is under way is told its end, too. */
static void test_two_requests_for_one_child_each_have_an_end(void)
{
	struct side a, b;

	sides_begin();
	side_open(&a, side_text(true, "none", SECRET));
	side_open(&b, side_text(false, "none", "another-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT(engine_up(a.engine, "net", "net", 2) == ERR_OK);
	CU_ASSERT(wait_for(&a.failures, 2));
	CU_ASSERT(a.requests == (1u << 1 | 1u << 2));
	side_close(&a);
	side_close(&b);
	sides_end();
}

/* A puzzle that takes long is solved for as long as somebody wants to connect (RFC 8019). */
static void test_R8019_down_calls_off(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct side a, b;
	uint32_t num = 0;

	sides_begin();
	side_open(&a, with(side_text(true, "none", SECRET), "latchkey {",
			   "latchkey { puzzle_max = 23\n"));
	side_open(&b, with(side_text(false, "none", SECRET), "latchkey {",
			   "latchkey { puzzles = always\n"));
	b.engine->conf->daemon.puzzle_difficulty = 23;
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	while (!puzzler_wanted(a.engine->puzzler) && !sides_late)
		uv_run(&sides_loop, UV_RUN_ONCE);
	CU_ASSERT(puzzler_wanted(a.engine->puzzler) == 1);
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(num == 1);
	CU_ASSERT(puzzler_wanted(a.engine->puzzler) == 0);
	side_close(&a);
	side_close(&b);
	sides_end();
}

static void test_down_ends_the_search_for_a_name(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct side a, b;
	uint32_t num = 9;

	sides_begin();
	side_open(&b, side_text(false, "none", SECRET));
	side_open(&a, with(side_text(true, "none", SECRET), "remote_addrs = 127.0.0.1",
			   "remote_addrs = localhost"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 3) == ERR_OK);
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(num == 0);
	CU_ASSERT(a.failures == 1 && a.reason == IKE_REASON_LOCAL && a.requests == 1u << 3);
	turn_for(500);
	CU_ASSERT(a.ups == 0 && b.ups == 0);
	side_close(&a);
	side_close(&b);
	sides_end();
}

static void test_down_lifts_what_a_lost_peer_left(void)
{
	static const char impatient[] =
		"latchkey {\n retransmit_timeout = 1s\n retransmit_tries = 1\n";
	const struct ike_select sel = {.child = "net"};
	struct side a, b;
	uint32_t num = 9;

	sides_begin();
	side_open(&b, side_text(false, "none", SECRET));
	side_open(&a, with(with(side_text(true, "none", SECRET), "latchkey {\n", impatient),
			   " remote_port", " dpd_delay = 1s\n remote_port"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	side_close(&b);
	CU_ASSERT(wait_for(&a.downs, 1));
	turn_for(50);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(num == 0);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 0);
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_NOT_FOUND);
	side_close(&a);
	sides_end();
}

static void on_stopped(void *ctx)
{
	*(unsigned *)ctx += 1;
}

static void test_orderly_stop_leaves_an_untouched_host(void)
{
	unsigned stopped = 0;
	struct side a, b;

	sides_begin();
	side_open(&a, side_text(true, "trap", "s3cret-s3cret-s3cret"));
	side_open(&b, side_text(false, "none", "s3cret-s3cret-s3cret"));
	send_and_check(&a, &b, 1, 2);
	engine_stop(a.engine, on_stopped, &stopped);
	CU_ASSERT_EQUAL(stopped, 0); /* it waits for what the peer says */
	CU_ASSERT(wait_for(&stopped, 1));
	CU_ASSERT_EQUAL(b.downs, 1);
	side_close(&a);
	CU_ASSERT(a.host.num_lines == 0);
	CU_ASSERT(a.host.closed);
	side_close(&b);
	sides_end();
}

static void test_failed_start_is_an_error_at_each_step(void)
{
	static const char *const ops[] = {"tap_open", "link_set", "udp_open", "rules_set",
					  "guard_set"};
	struct engine_params params = {0};
	struct fake_host host;

	sides_begin();
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		fake_host_init(&host);
		fake_host_fail(&host, ops[i], ERR_SYS, 0);
		params.host = host.host;
		params.conf = side_conf(side_text(true, "trap", "s3cret-s3cret-s3cret"));
		CU_ASSERT_FATAL(params.conf != NULL);
		struct engine *e = NULL;

		CU_ASSERT(engine_new(&e, &params) == ERR_SYS);
		CU_ASSERT(e == NULL && !host.closed);
		conf_put(params.conf);
		uv_run(&sides_loop, UV_RUN_NOWAIT);
		fake_host_fini(&host);
	}
	sides_end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_up_carries_packets_both_ways),
	TAP_TEST(test_down_takes_policy_away_on_both_sides),
	TAP_TEST(test_trap_guards_first_and_sends_the_packet_that_asked),
	TAP_TEST(test_wrong_secret_is_told_on_both_sides),
	TAP_TEST(test_new_configuration_moves_policies),
	TAP_TEST(test_new_configuration_ends_cookies),
	TAP_TEST(test_a_peer_that_comes_back_is_reached_at_once),
	TAP_TEST(test_trap_and_start_together_start),
	TAP_TEST(test_what_was_taken_down_stays_down_until_asked_for),
	TAP_TEST(test_a_secret_taken_away_is_gone_at_once),
	TAP_TEST(test_two_requests_for_one_child_each_have_an_end),
	TAP_TEST(test_R8019_down_calls_off),
	TAP_TEST(test_down_ends_the_search_for_a_name),
	TAP_TEST(test_down_lifts_what_a_lost_peer_left),
	TAP_TEST(test_orderly_stop_leaves_an_untouched_host),
	TAP_TEST(test_failed_start_is_an_error_at_each_step),
};

TAP_MAIN("engine", tests)
