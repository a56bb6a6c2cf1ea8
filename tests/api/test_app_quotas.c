/* SPDX-License-Identifier: Apache-2.0 */
/* What a user may have at the application socket, clients that are slow, and memory that is short.
 */
#include "api/app/quota.h"
#include "base/alloc.h"
#include "tests/api/app_bench.h"
#include "tests/tap/tap.h"

#include <unistd.h>

static void test_E15_clients(void)
{
	struct app_peer peer = {.uid = PLAIN}, other = {.uid = OTHER};
	struct app_client *c[5], *o = NULL;
	struct bench b;

	bench_open(&b);
	for (size_t i = 0; i < 4; i++)
		c[i] = bench_client(&b, PLAIN);
	CU_ASSERT_EQUAL(app_client_open(b.server, &c[4], &peer, bench_wake, &b), ERR_FULL);
	CU_ASSERT_EQUAL(app_client_open(b.server, &o, &other, bench_wake, &b), ERR_OK);
	app_client_close(c[0]);
	CU_ASSERT_EQUAL(app_client_open(b.server, &c[0], &peer, bench_wake, &b), ERR_OK);
	for (size_t i = 0; i < 4; i++)
		app_client_close(c[i]);
	app_client_close(o);
	bench_close(&b);
}

static void test_E16_latches(void)
{
	struct bench b;
	struct app_client *c, *second;
	struct answer a;
	int fds[4];
	uint64_t id = 0;

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	second = bench_client(&b, PLAIN);
	for (size_t i = 0; i < 4; i++)
		fds[i] = bench_udp(9);
	for (size_t i = 0; i < 3; i++)
		id = bench_latch(&b, i ? c : second, fds[i], i == 1);
	bench_begin(&b, APP_LATCH_CREATE);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fds[3], &a), APP_FULL);
	CU_ASSERT_EQUAL(b.fake.num_latches, 3);
	/* One that failed is there still. Each way in which one ends gives its place back, and no
	 * more than one. */
	fake_app_state(&b.fake, id, LATCH_CLOSED, IKE_REASON_LOCAL, "");
	bench_begin(&b, APP_LATCH_CREATE);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fds[3], &a), APP_FULL);
	fake_app_gone(&b.fake, id);
	id = bench_latch(&b, c, fds[3], false);
	bench_begin(&b, APP_LATCH_RELEASE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	bench_latch(&b, c, fds[3], false);
	app_client_close(second);
	bench_latch(&b, c, fds[2], false);
	bench_begin(&b, APP_LATCH_CREATE);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fds[0], &a), APP_FULL);
	app_client_close(c);
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
	bench_close(&b);
}

static uint32_t served(struct bench *b, struct app_client *c, uint32_t num)
{
	uint32_t ok = 0;
	struct answer a;

	while (num-- > 0) {
		bench_begin(b, APP_HELLO);
		ok += bench_ask(b, c, -1, &a) == APP_OK;
	}
	return ok;
}

/* Requests a second are a user's, of all his connections, and coming anew gives no more. */
static void test_E17_requests(void)
{
	struct bench b;
	struct app_client *c, *second, *other;

	bench_open(&b);
	b.conf.requests_per_second = 10;
	app_server_configure(b.server, &b.conf);
	c = bench_client(&b, PLAIN);
	second = bench_client(&b, PLAIN);
	other = bench_client(&b, OTHER);
	CU_ASSERT_EQUAL(app_client_wait(c), 0);
	CU_ASSERT_EQUAL(served(&b, c, 8) + served(&b, second, 8), 10);
	CU_ASSERT_EQUAL(app_client_wait(c), 100 * NS_PER_MS);
	CU_ASSERT_EQUAL(served(&b, other, 5), 5);
	app_client_close(c);
	app_client_close(second);
	app_client_close(bench_client(&b, READER)); /* those who have nothing are forgotten */
	c = bench_client(&b, PLAIN);
	CU_ASSERT_EQUAL(served(&b, c, 3), 0);
	b.fake.now_ns += 250 * NS_PER_MS;
	CU_ASSERT_EQUAL(served(&b, c, 5), 2);
	b.fake.now_ns += 100 * NS_PER_S;
	CU_ASSERT_EQUAL(served(&b, c, 20), 10);
	app_client_close(c);
	app_client_close(other);
	bench_close(&b);
}

static bool admits(const struct bench *b, uint32_t uid)
{
	const struct app_peer peer = {.uid = uid};

	return app_server_admits(b->server, &peer);
}

/* A connection is a request too, and whom there is no place for is turned away at once. */
static void test_E17_connections(void)
{
	struct app_client *c[4];
	uint32_t admitted = 0;
	struct bench b;

	bench_open(&b);
	b.conf.requests_per_second = 10;
	app_server_configure(b.server, &b.conf);
	for (int i = 0; i < 15; i++)
		admitted += admits(&b, PLAIN);
	CU_ASSERT_EQUAL(admitted, 10);
	CU_ASSERT_TRUE(admits(&b, OTHER));
	b.fake.now_ns += 10 * NS_PER_S;
	for (size_t i = 0; i < 4; i++)
		c[i] = bench_client(&b, PLAIN);
	CU_ASSERT_FALSE(admits(&b, PLAIN));
	CU_ASSERT_EQUAL(served(&b, c[0], 20), 10);
	for (size_t i = 0; i < 4; i++)
		app_client_close(c[i]);
	bench_close(&b);
}

/* Who had none left goes on with several at once, of the same rate. */
static void test_E17_resumes(void)
{
	struct app_client *c;
	struct bench b;

	bench_open(&b);
	b.conf.requests_per_second = 1000;
	app_server_configure(b.server, &b.conf);
	c = bench_client(&b, PLAIN);
	CU_ASSERT_EQUAL(served(&b, c, 1100), 1000);
	CU_ASSERT_EQUAL(app_client_wait(c), APP_RESUME_NS);
	b.fake.now_ns += APP_RESUME_NS - 1;
	CU_ASSERT_EQUAL(app_client_wait(c), 1);
	b.fake.now_ns += 1;
	CU_ASSERT_EQUAL(app_client_wait(c), 0);
	CU_ASSERT_EQUAL(served(&b, c, 30), APP_RESUME_NS / NS_PER_MS);
	app_client_close(c);
	bench_close(&b);
}

/* What work takes beyond a user's share he waits for, whatever it is; others do not. */
static void test_E17_share(void)
{
	const uint64_t work = 3 * NS_PER_S / APP_SHARE / 1000; /* three requests' */
	struct app_client *c, *other;
	uint32_t num = 0;
	struct bench b;

	bench_open(&b);
	b.conf.requests_per_second = 1000;
	app_server_configure(b.server, &b.conf);
	c = bench_client(&b, PLAIN);
	other = bench_client(&b, OTHER);
	for (; num < 1000 && served(&b, c, 1) == 1; num++)
		app_client_charge(c, work);
	CU_ASSERT_TRUE(num > 300 && num < 340);
	CU_ASSERT_TRUE(app_client_wait(c) > APP_RESUME_NS - NS_PER_MS);
	CU_ASSERT_EQUAL(app_client_wait(other), 0);
	b.fake.now_ns += 2 * NS_PER_S;
	/* What takes less than its share costs no more than another request. */
	for (num = 0; num < 1000 && served(&b, c, 1) == 1; num++)
		app_client_charge(c, work / 4);
	CU_ASSERT_EQUAL(num, 1000);
	b.fake.now_ns += NS_PER_S;
	app_client_charge(c, NS_PER_S);
	CU_ASSERT_TRUE(app_client_wait(c) > (APP_SHARE - 2) * NS_PER_S);
	app_client_close(c);
	app_client_close(other);
	bench_close(&b);
}

/* However many connections he has, a user has one turn. */
static void test_E21_turns(void)
{
	struct app_client *c[2], *other;
	struct bench b;

	bench_open(&b);
	c[0] = bench_client(&b, PLAIN);
	c[1] = bench_client(&b, PLAIN);
	other = bench_client(&b, OTHER);
	CU_ASSERT_TRUE(app_client_turn(c[0], 1));
	CU_ASSERT_FALSE(app_client_turn(c[1], 1));
	CU_ASSERT_FALSE(app_client_turn(c[0], 1));
	CU_ASSERT_TRUE(app_client_turn(other, 1));
	CU_ASSERT_TRUE(app_client_turn(c[1], 2));
	app_client_close(c[0]);
	app_client_close(c[1]);
	app_client_close(other);
	bench_close(&b);
}

/* S63: who does not read is cut off, and with him what is another's costs nothing. */
static void test_S63_slow_reader(void)
{
	struct bench b;
	struct app_client *slow, *good;
	struct answer a;
	int fd = bench_udp(9), two = bench_udp(9);
	uint64_t id, of_good;
	uint32_t told = 0;

	bench_open(&b);
	slow = bench_client(&b, PLAIN);
	good = bench_client(&b, OTHER);
	id = bench_latch(&b, slow, fd, false);
	of_good = bench_latch(&b, good, two, false);
	bench_begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(bench_ask(&b, slow, -1, &a), APP_OK);
	bench_begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(bench_ask(&b, good, -1, &a), APP_OK);
	for (int i = 0; i < 5000 && !app_client_doomed(slow); i++) {
		fake_app_state(&b.fake, id, LATCH_BROKEN, IKE_REASON_NO_ANSWER, "once more");
		fake_app_state(&b.fake, of_good, LATCH_BROKEN, IKE_REASON_NO_ANSWER, "once more");
		told += bench_take(good, &a.msg, a.bytes);
		CU_ASSERT_EQUAL(told, (uint32_t)i + 1);
	}
	CU_ASSERT_TRUE(app_client_doomed(slow));
	CU_ASSERT_FALSE(app_client_doomed(good));
	app_client_close(slow);
	app_client_close(good);
	close(fd);
	close(two);
	bench_close(&b);
}

/* What is queued for one user's programs together is bounded too. */
static void test_E18_queue_of_a_user(void)
{
	struct bench b;
	struct app_client *c[3];
	uint32_t doomed = 0;

	bench_open(&b);
	b.conf.queue_per_uid = 16384;
	b.conf.requests_per_second = 100000;
	app_server_configure(b.server, &b.conf);
	for (size_t i = 0; i < 3; i++)
		c[i] = bench_client(&b, PLAIN);
	for (int n = 0; n < 150; n++) {
		for (size_t i = 0; i < 3; i++) {
			bench_begin(&b, APP_HELLO);
			CU_ASSERT_EQUAL(bench_submit(&b, c[i], -1), ERR_OK);
		}
	}
	for (size_t i = 0; i < 3; i++)
		doomed += app_client_doomed(c[i]);
	CU_ASSERT_TRUE(doomed > 0);
	for (size_t i = 0; i < 3; i++)
		app_client_close(c[i]);
	/* All is given back. */
	c[0] = bench_client(&b, PLAIN);
	CU_ASSERT_EQUAL(served(&b, c[0], 50), 50);
	app_client_close(c[0]);
	bench_close(&b);
}

/* Each allocation that fails is an answer or an end, never more. */
static void test_memory(void)
{
	for (uint64_t nth = 1; nth < 12; nth++) {
		struct bench b;
		struct app_client *c;
		int fd = bench_udp(9);

		bench_open(&b);
		c = bench_client(&b, INTERACTS);
		alloc_fail_nth(nth);
		bench_begin(&b, APP_EVENTS);
		CU_ASSERT_EQUAL(bench_submit(&b, c, -1), ERR_OK);
		bench_begin(&b, APP_REQUIRE);
		CU_ASSERT_EQUAL(bench_submit(&b, c, fd), ERR_OK);
		if (b.fake.num_latches) {
			uint64_t id = b.fake.latches[0].id;

			fake_app_ask(&b.fake, id, 3);
			fake_app_state(&b.fake, id, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
		}
		alloc_fail_nth(0);
		app_client_close(c);
		close(fd);
		bench_close(&b);
		CU_PASS("no crash, and nothing is left");
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_E15_clients),         TAP_TEST(test_E16_latches),
	TAP_TEST(test_E17_requests),        TAP_TEST(test_E17_connections),
	TAP_TEST(test_E17_resumes),         TAP_TEST(test_E17_share),
	TAP_TEST(test_E21_turns),           TAP_TEST(test_S63_slow_reader),
	TAP_TEST(test_E18_queue_of_a_user), TAP_TEST(test_memory),
};

TAP_MAIN("app_quotas", tests)
