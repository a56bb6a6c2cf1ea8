/* SPDX-License-Identifier: Apache-2.0 */
/* Whole engines on a host that has no route yet, changes its addresses, or refuses a guard; and the
 * guards of listeners. */
#include <stdio.h>
#include <string.h>

#include "api/engine/app.h"
#include "api/engine/latch.h"
#include "tests/api/sides.h"
#include "tests/tap/tap.h"

static void test_a_host_without_a_route_yet_does_not_use_up_its_tries(void)
{
	const struct ip_addr none = {.family = IP_NONE};
	struct side a, b;

	sides_begin();
	side_open(&b, side_text(false, "none", SECRET));
	side_open_at(&a, with(side_text(true, "start", SECRET), " local_addrs = 127.0.0.1\n", ""),
		     none);
	CU_ASSERT(wait_for(&a.failures, 1));
	CU_ASSERT(a.ups == 0);
	a.host.source4 = loopback();
	CU_ASSERT(wait_for(&a.ups, 1));
	side_close(&a);
	side_close(&b);
	sides_end();
}

/* A selector that depends on the route to the peer is not forgotten when there is none yet. */
static void test_a_trap_waits_for_a_route(void)
{
	const struct ip_addr none = {.family = IP_NONE};
	struct side a;

	sides_begin();
	side_open_at(&a,
		     with(with(side_text(true, "trap", SECRET), " local_addrs = 127.0.0.1\n", ""),
			  "local_ts = 10.1.0.0/24", "local_ts = dynamic"),
		     none);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 0);
	a.host.source4 = loopback();
	while (!sides_late && !fake_host_count(&a.host, "guard lka"))
		uv_run(&sides_loop, UV_RUN_ONCE);
	CU_ASSERT(fake_host_has(&a.host, "guard lka 127.0.0.1/32 10.2.0.0/24"));
	CU_ASSERT(fake_host_has(&a.host, "route 10.2.0.0/24 dev lka"));
	side_close(&a);
	sides_end();
}

/* An address goes and another one comes: routes that the kernel has dropped are set again, and the
 * keying engine hears of it: without MOBIKE, and with nobody who answers there, the connection is
 * over. */
static void test_the_host_changes_its_address(void)
{
	static const char route[] = "route 10.2.0.0/24 dev lka";
	struct ip_addr other = loopback();
	struct ip_prefix dst;
	struct side a, b;

	sides_begin();
	CU_ASSERT_FATAL(!ip_prefix_parse(&dst, "10.2.0.0/24"));
	other.b[3] = 2;
	side_open(&b, side_text(false, "none", SECRET));
	side_open(&a, with(with(side_text(true, "start", SECRET), " local_addrs = 127.0.0.1\n",
				" mobike = no\n"),
			   "latchkey {\n",
			   "latchkey {\n retransmit_timeout = 1s\n retransmit_tries = 1\n"));
	CU_ASSERT(wait_for(&a.ups, 1));
	CU_ASSERT(fake_host_has(&a.host, route));
	CU_ASSERT(!a.host.host.ops->route_del(&a.host, &dst, "lka"));
	fake_host_changed(&a.host, false); /* our own doing */
	turn_for(300);
	CU_ASSERT(!fake_host_has(&a.host, route));
	CU_ASSERT_EQUAL(a.downs, 0);
	a.host.source4 = other;
	fake_host_changed(&a.host, true);
	CU_ASSERT(wait_for(&a.downs, 1));
	CU_ASSERT(fake_host_has(&a.host, route));
	side_close(&a);
	side_close(&b);
	sides_end();
}

/* What the host has is asked once, however many handshakes there are, and again after a change. */
static void test_addresses_are_asked_once(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct side a, b;
	size_t asked = 0;
	uint32_t num;

	sides_begin();
	side_open(&a, side_text(true, "none", SECRET));
	side_open(&b, side_text(false, "none", SECRET));
	for (unsigned i = 1; i <= 3; i++) {
		if (i == 3) {
			fake_host_changed(&b.host, true);
			turn_for(300);
			asked = b.host.num_addrs;
		}
		CU_ASSERT(engine_up(a.engine, "net", "net", i) == ERR_OK);
		CU_ASSERT_FATAL(wait_for(&a.ups, i) && wait_for(&b.ups, i));
		CU_ASSERT_EQUAL(b.host.num_addrs, i == 2 ? asked : asked + 1);
		asked = b.host.num_addrs;
		CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
		CU_ASSERT_FATAL(wait_for(&a.downs, i) && wait_for(&b.downs, i));
	}
	side_close(&a);
	side_close(&b);
	sides_end();
}

static uint64_t still(void *ctx)
{
	(void)ctx;
	return NS_PER_S;
}

/* Changes of a host whose time stands still: nothing is waited out. Who goes from an address that
 * is there waits, who goes from one that is gone does not, but for a host that cannot stop. */
static void test_M4_at_once(void)
{
	static const char route[] = "route 10.2.0.0/24 dev lka";
	size_t before, calls[20];
	struct ip_prefix dst;
	struct side a;

	sides_begin();
	CU_ASSERT_FATAL(!ip_prefix_parse(&dst, "10.2.0.0/24"));
	side_open_by(&a, with(side_text(true, "trap|start", SECRET), "127.0.0.1", "%any"),
		     loopback(), still);
	engine_dispatch(a.engine);
	CU_ASSERT(!a.host.host.ops->route_del(&a.host, &dst, "lka"));
	fake_host_changed(&a.host, true);
	engine_dispatch(a.engine);
	CU_ASSERT(!fake_host_has(&a.host, route));
	a.host.source4.b[3] = 2;
	fake_host_changed(&a.host, true);
	engine_dispatch(a.engine);
	CU_ASSERT(fake_host_has(&a.host, route));

	a.host.source4 = (struct ip_addr){0};
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		before = a.host.num_sources;
		fake_host_changed(&a.host, true);
		engine_dispatch(a.engine);
		calls[i] = a.host.num_sources - before;
	}
	CU_ASSERT(calls[0] > 0);
	CU_ASSERT_EQUAL(calls[ARRAY_LEN(calls) - 1], 0);
	side_close(&a);
	sides_end();
}

/* Where routes change all the time there is an end to looking at addresses; what is missed is found
 * when the change is waited out. */
static void test_M4_looked_at(void)
{
	size_t before, calls[40];
	struct side a;

	sides_begin();
	side_open_by(&a, with(side_text(true, "start", SECRET), "127.0.0.1", "%any"), loopback(),
		     still);
	engine_dispatch(a.engine);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		before = a.host.num_calls;
		fake_host_changed(&a.host, true);
		engine_dispatch(a.engine);
		calls[i] = a.host.num_calls - before;
	}
	CU_ASSERT(calls[0] > calls[ARRAY_LEN(calls) - 1]);
	before = a.host.num_sources;
	a.host.source4.b[3] = 2;
	fake_host_changed(&a.host, true);
	engine_dispatch(a.engine);
	CU_ASSERT_EQUAL(a.host.num_sources, before);
	side_close(&a);
	sides_end();
}

static void test_a_guard_that_was_refused_is_tried_again(void)
{
	struct conf *conf = side_conf(side_text(true, "trap", SECRET));
	struct side a;

	sides_begin();
	CU_ASSERT_FATAL(conf != NULL);
	side_open(&a, side_text(true, "none", SECRET));
	fake_host_fail(&a.host, "guard_set", ERR_SYS, 0);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	conf_put(conf);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 0);
	while (!sides_late && !fake_host_count(&a.host, "guard lka"))
		uv_run(&sides_loop, UV_RUN_ONCE);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	side_close(&a);
	sides_end();
}

/* What a killed process left guarded is not opened by a start, but by an orderly stop, though
 * nothing was protected meanwhile. */
static void test_a_guard_left_behind_goes_with_an_orderly_stop(void)
{
	struct engine_params params = {0};
	struct engine *e = NULL;
	struct fake_host host;

	sides_begin();
	fake_host_init(&host);
	snprintf(host.lines[host.num_lines++], FAKE_HOST_LINE_MAX, "guard lka old old");
	params.host = host.host;
	params.conf = side_conf(side_text(true, "none", SECRET));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&e, &params) == ERR_OK);
	conf_put(params.conf);
	CU_ASSERT(fake_host_count(&host, "guard ") == 1);
	engine_free(e);
	uv_run(&sides_loop, UV_RUN_NOWAIT);
	CU_ASSERT(host.num_lines == 0);
	fake_host_fini(&host);
	sides_end();
}

static void listens(const char *profile, size_t guarded)
{
	struct engine_params params = {0};
	struct engine *e = NULL;
	struct fake_host host;
	char more[200];

	snprintf(more, sizeof(more),
		 "latchkey {\n listeners { web { port = 80\n profile = %s } }\n", profile);
	sides_begin();
	fake_host_init(&host);
	snprintf(host.lines[host.num_lines++], FAKE_HOST_LINE_MAX, "flow lka old old");
	params.host = host.host;
	params.conf = side_conf(with(side_text(true, "none", SECRET), "latchkey {\n", more));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&e, &params) == ERR_OK);
	conf_put(params.conf);
	CU_ASSERT(fake_host_count(&host, "flow lka old") == 0);
	CU_ASSERT(fake_host_count(&host, "flow ") == guarded);
	engine_free(e);
	uv_run(&sides_loop, UV_RUN_NOWAIT);
	CU_ASSERT(host.num_lines == 0);
	fake_host_fini(&host);
	sides_end();
}

/* Nothing comes to a listener's port but by the interface, unless its profile has what comes in the
 * clear; and what an earlier process left guarded is not. */
static void test_L1_a_listener_is_guarded(void)
{
	listens("secure", 1);
	listens("opportunistic", 0);
}

/* Another latch in the place of one that failed: the flow's guard is never lifted. */
static void test_L1_no_gap(void)
{
	struct app_latch_params p = {.client = 1, .demand.peer = "nobody.example"};
	struct engine_params params = {0};
	struct app_latch latch = {0};
	struct engine *e = NULL;
	struct app_backend app;
	struct fake_host host;
	char text[APP_TEXT_MAX];
	uint64_t first, next;
	size_t calls;

	sides_begin();
	fake_host_init(&host);
	params.host = host.host;
	params.conf = side_conf(side_text(true, "none", SECRET));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&e, &params) == ERR_OK);
	conf_put(params.conf);
	app = engine_app(e);
	p.flow = (struct flow){.local_port = 7, .remote_port = 9, .proto = 17};
	CU_ASSERT(ip_addr_parse(&p.flow.local, "10.1.0.1") == ERR_OK);
	CU_ASSERT(ip_addr_parse(&p.flow.remote, "10.99.0.1") == ERR_OK);
	CU_ASSERT_FATAL(app.ops->latch_create(app.ctx, &first, &p, text) == ERR_OK);
	CU_ASSERT(app.ops->latch_info(app.ctx, &latch, first) == ERR_OK);
	CU_ASSERT(latch.state == LATCH_CLOSED && fake_host_count(&host, "flow ") == 1);
	CU_ASSERT(app.ops->latch_create(app.ctx, &next, &p, text) == ERR_EXISTS);
	p.instead = first + 1;
	CU_ASSERT(app.ops->latch_create(app.ctx, &next, &p, text) == ERR_EXISTS);
	p.instead = first;
	calls = host.num_calls;
	CU_ASSERT_FATAL(app.ops->latch_create(app.ctx, &next, &p, text) == ERR_OK);
	CU_ASSERT(host.num_calls == calls && fake_host_count(&host, "flow ") == 1);
	CU_ASSERT(app.ops->latch_info(app.ctx, &latch, first) == ERR_NOT_FOUND);
	CU_ASSERT(app.ops->latch_info(app.ctx, &latch, next) == ERR_OK);
	CU_ASSERT(app.ops->latch_release(app.ctx, next) == ERR_OK);
	CU_ASSERT(fake_host_count(&host, "flow ") == 0);
	engine_free(e);
	uv_run(&sides_loop, UV_RUN_NOWAIT);
	fake_host_fini(&host);
	sides_end();
}

static uint32_t num_unguarded;

static void count_unguarded(void *ctx, enum log_level level, enum log_subsystem sub,
			    const char *connection, const char *line)
{
	(void)ctx;
	(void)level;
	(void)sub;
	(void)connection;
	num_unguarded += strstr(line, "cannot be guarded") != NULL;
}

/* spawn - a flow from this port comes to the listener. */
static void spawn(struct engine *e, const struct flow *listener, uint16_t port)
{
	struct flow flow = *listener;

	CU_ASSERT(ip_addr_parse(&flow.remote, "10.99.0.1") == ERR_OK);
	flow.remote_port = port;
	CU_ASSERT(latch_spawn(e, latch_of_flow(e, listener, true), &flow, 1) == ERR_OK);
}

/* Peers make flows at a listener as they like, and do not fill the log by it. */
static void test_L1_flows_without_a_guard(void)
{
	struct log_sink sink = {.write = count_unguarded};
	struct app_latch_params p = {
		.client = 1, .listener = true, .demand.peer = "nobody.example"};
	struct engine_params params = {0};
	const struct log_sink *before;
	struct engine *e = NULL;
	struct app_backend app;
	struct fake_host host;
	char text[APP_TEXT_MAX];
	uint64_t id;

	for (size_t i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		sink.levels[i] = LOG_ERROR;
	sides_begin();
	fake_host_init(&host);
	params.host = host.host;
	params.conf = side_conf(side_text(true, "none", SECRET));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&e, &params) == ERR_OK);
	conf_put(params.conf);
	app = engine_app(e);
	p.flow = (struct flow){.local_port = 7, .proto = 17};
	CU_ASSERT(ip_addr_parse(&p.flow.local, "10.1.0.1") == ERR_OK);
	CU_ASSERT_FATAL(app.ops->latch_create(app.ctx, &id, &p, text) == ERR_OK);
	num_unguarded = 0;
	before = log_use(&sink);
	spawn(e, &p.flow, 9);
	CU_ASSERT(fake_host_count(&host, "flow ") == 2);
	spawn(e, &p.flow, 0);
	CU_ASSERT(fake_host_count(&host, "flow ") == 2 && num_unguarded == 0);
	host.no_guard = true;
	for (uint16_t port = 100; port < 120; port++)
		spawn(e, &p.flow, port);
	CU_ASSERT(num_unguarded > 0 && num_unguarded < 10);
	log_use(before);
	engine_free(e);
	uv_run(&sides_loop, UV_RUN_NOWAIT);
	fake_host_fini(&host);
	sides_end();
}

static const struct tap_test tests[] = {
	TAP_TEST(test_a_host_without_a_route_yet_does_not_use_up_its_tries),
	TAP_TEST(test_a_trap_waits_for_a_route),
	TAP_TEST(test_the_host_changes_its_address),
	TAP_TEST(test_addresses_are_asked_once),
	TAP_TEST(test_M4_at_once),
	TAP_TEST(test_M4_looked_at),
	TAP_TEST(test_a_guard_that_was_refused_is_tried_again),
	TAP_TEST(test_a_guard_left_behind_goes_with_an_orderly_stop),
	TAP_TEST(test_L1_a_listener_is_guarded),
	TAP_TEST(test_L1_no_gap),
	TAP_TEST(test_L1_flows_without_a_guard),
};

TAP_MAIN("engine_host", tests)
