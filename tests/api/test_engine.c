/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The composition without a privilege: two engines on one loop, each on a fake host, joined by real
 * UDP sockets on the loopback; packets go in and come out at the test's ends of the virtual
 * interfaces.
 */
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include <uv.h>

#include "api/engine/app.h"
#include "api/engine/internal.h"
#include "api/engine/latch.h"
#include "base/alloc.h"
#include "tests/fake_host.h"
#include "tests/tap/tap.h"

#define PATIENCE_MS 20000
#define FRAME_MAX   2048
#define ETH_LEN     14

struct side {
	struct fake_host host;
	struct engine *engine;
	uv_poll_t *poll; /* freed as it closes */
	struct engine_observer observer;
	unsigned ups, downs, failures, packets;
	uint32_t requests; /* bits: the numbers in the failures */
	enum ike_reason reason;
	char why[400];
	uint8_t frame[FRAME_MAX];
	ssize_t frame_len;
};

static uv_loop_t loop;
static uv_timer_t watchdog;
static bool late;

/* ---- a side --------------------------------------------------------------------------------- */

static void on_event(struct engine_observer *o, const struct ike_event *ev)
{
	struct side *s = container_of(o, struct side, observer);

	if (ev->kind == IKE_EVENT_CHILD_UP)
		s->ups++;
	if (ev->kind == IKE_EVENT_CHILD_DOWN)
		s->downs++;
	if (ev->kind == IKE_EVENT_FAILED) {
		s->failures++;
		s->requests |= 1u << (ev->request & 31);
		s->reason = ev->reason;
		snprintf(s->why, sizeof(s->why), "%s", ev->text);
	}
}

static struct conf *conf_of(const char *text)
{
	struct conf_diags diags = {0};
	struct tree *tree;
	struct conf *conf;

	if (conf_parse_text(&tree, &diags, "test", text, strlen(text)))
		goto fail;
	if (conf_new(&conf, &diags, tree)) {
		tree_free(tree);
		goto fail;
	}
	tree_free(tree);
	return conf;
fail:
	for (uint32_t i = 0; i < diags.num; i++)
		tap_diag("%s", diags.list[i].text);
	return NULL;
}

/* text_of - one end's configuration. The ends are the same but for ports and networks. */
static const char *text_of(bool first, const char *action, const char *secret)
{
	static char text[2][1024];

	snprintf(text[first], sizeof(text[first]),
		 "latchkey {\n interface = %s\n port = %u\n port_nat_t = %u\n}\n"
		 "connections { net {\n local_addrs = 127.0.0.1\n remote_addrs = 127.0.0.1\n"
		 " remote_port = %u\n"
		 " local { auth = psk\n id = %s }\n remote { auth = psk\n id = %s }\n"
		 " children { net { local_ts = %s\n remote_ts = %s\n start_action = %s } } } }\n"
		 "secrets { ike { secret = %s } }\n",
		 first ? "lka" : "lkb", first ? 21500 : 22500, first ? 21501 : 22501,
		 first ? 22501 : 21501, first ? "a.example" : "b.example",
		 first ? "b.example" : "a.example", first ? "10.1.0.0/24" : "10.2.0.0/24",
		 first ? "10.2.0.0/24" : "10.1.0.0/24", action, secret);
	return text[first];
}

/* with - the text with one line or word in place of another; valid until the fourth call after. */
static const char *with(const char *text, const char *what, const char *instead)
{
	static char texts[4][1300];
	static int turn;
	const char *at = strstr(text, what);
	char made[sizeof(texts[0])]; /* text may be one of ours */

	CU_ASSERT_FATAL(at != NULL);
	snprintf(made, sizeof(made), "%.*s%s%s", (int)(at - text), text, instead,
		 at + strlen(what));
	turn = (turn + 1) % 4;
	return memcpy(texts[turn], made, strlen(made) + 1);
}

static struct ip_addr loopback(void)
{
	const uint8_t bytes[4] = {127, 0, 0, 1};

	return ip_addr_v4(bytes);
}

static void on_engine(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	engine_dispatch(poll->data);
}

static void side_listen(struct side *s)
{
	s->poll = mem_alloc(sizeof(*s->poll));
	CU_ASSERT_FATAL(s->poll != NULL);
	CU_ASSERT_FATAL(uv_poll_init(&loop, s->poll, engine_fd(s->engine)) == 0);
	s->poll->data = s->engine;
	uv_poll_start(s->poll, UV_READABLE, on_engine);
}

static void free_poll(uv_handle_t *handle)
{
	mem_free(handle);
}

/* source: what the host says when asked where from a peer is reached; unset = no route. now: NULL,
 * or the clock of a side that does all it does in engine_dispatch(). */
static void side_open_by(struct side *s, const char *text, struct ip_addr source,
			 uint64_t (*now)(void *ctx))
{
	struct engine_params params = {.polled = now != NULL, .now = now};

	memset(s, 0, sizeof(*s));
	fake_host_init(&s->host);
	s->host.source4 = source;
	params.host = s->host.host;
	params.conf = conf_of(text);
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&s->engine, &params) == ERR_OK);
	conf_put(params.conf);
	side_listen(s);
	s->observer.event = on_event;
	engine_observe(s->engine, &s->observer);
}

static void side_open_at(struct side *s, const char *text, struct ip_addr source)
{
	side_open_by(s, text, source, NULL);
}

static void side_open(struct side *s, const char *text)
{
	side_open_at(s, text, loopback());
}

static void side_close(struct side *s)
{
	uv_close((uv_handle_t *)s->poll, free_poll);
	engine_free(s->engine);
	uv_run(&loop, UV_RUN_NOWAIT);
	fake_host_fini(&s->host);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void on_watchdog(uv_timer_t *t)
{
	(void)t;
	late = true;
}

static void begin(void)
{
	uv_loop_init(&loop);
	uv_timer_init(&loop, &watchdog);
	late = false;
	uv_timer_start(&watchdog, on_watchdog, PATIENCE_MS, 0);
}

static void end(void)
{
	uv_close((uv_handle_t *)&watchdog, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	CU_ASSERT(uv_loop_close(&loop) == 0);
}

/* wait_for - turn the loop until *count reaches n; false when patience is over. */
static bool wait_for(const unsigned *count, unsigned n)
{
	while (*count < n && !late)
		uv_run(&loop, UV_RUN_ONCE);
	return *count >= n;
}

static void count(uv_timer_t *t)
{
	*(unsigned *)t->data += 1;
}

/* turn_for - turn the loop for a while, in which something must not happen. */
static void turn_for(uint64_t ms)
{
	unsigned over = 0;
	uv_timer_t timer;

	uv_timer_init(&loop, &timer);
	timer.data = &over;
	uv_timer_start(&timer, count, ms, 0);
	while (!over)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
}

static void nothing(uv_timer_t *t)
{
	(void)t;
}

/* poll_frame - turn the loop until a frame arrives at the test's end of the side's interface. */
static bool poll_frame(struct side *s)
{
	uv_timer_t tick;

	uv_timer_init(&loop, &tick);
	uv_timer_start(&tick, nothing, 1, 1);
	do {
		uv_run(&loop, UV_RUN_ONCE);
		s->frame_len = recv(s->host.tap_peers[0], s->frame, FRAME_MAX, MSG_DONTWAIT);
	} while (s->frame_len < 0 && !late);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	return s->frame_len > 0;
}

/* ---- packets -------------------------------------------------------------------------------- */

/* make_frame - Ethernet, IPv4, UDP to port 9 and a pattern; checksums are not what is tested. */
static size_t make_frame(uint8_t frame[FRAME_MAX], uint8_t from_net, uint8_t to_net, size_t payload)
{
	const uint8_t src[4] = {10, from_net, 0, 1}, dst[4] = {10, to_net, 0, 1};
	uint8_t *ip = frame + ETH_LEN;
	size_t len = 28 + payload;

	memset(frame, 0, ETH_LEN + 28);
	store_be16(frame + 12, 0x0800);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)len);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, src, 4);
	memcpy(ip + 16, dst, 4);
	store_be16(ip + 20, 4000);
	store_be16(ip + 22, 9);
	store_be16(ip + 24, (uint16_t)(8 + payload));
	for (size_t i = 0; i < payload; i++)
		ip[28 + i] = (uint8_t)(i * 7 + from_net);
	return ETH_LEN + len;
}

static void send_and_check(struct side *from, struct side *to, uint8_t from_net, uint8_t to_net)
{
	uint8_t frame[FRAME_MAX];
	size_t len = make_frame(frame, from_net, to_net, 500);

	CU_ASSERT(send(from->host.tap_peers[0], frame, len, 0) == (ssize_t)len);
	CU_ASSERT_FATAL(poll_frame(to));
	CU_ASSERT((size_t)to->frame_len == len);
	CU_ASSERT(memcmp(to->frame + ETH_LEN, frame + ETH_LEN, len - ETH_LEN) == 0);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_up_carries_packets_both_ways(void)
{
	struct side a, b;

	begin();
	side_open(&a, text_of(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, text_of(false, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(!fake_host_has(&a.host, "route 10.2.0.0/24 dev lka"));
	CU_ASSERT(engine_up(a.engine, "net", "net", engine_request(a.engine)) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	CU_ASSERT(fake_host_has(&a.host, "route 10.2.0.0/24 dev lka"));
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	send_and_check(&a, &b, 1, 2);
	send_and_check(&b, &a, 2, 1);
	side_close(&a);
	side_close(&b);
	end();
}

static void test_down_takes_policy_away_on_both_sides(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct side a, b;
	uint32_t num;

	begin();
	side_open(&a, text_of(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, text_of(false, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(num == 1);
	CU_ASSERT_FATAL(wait_for(&a.downs, 1) && wait_for(&b.downs, 1));
	uv_run(&loop, UV_RUN_NOWAIT);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 0);
	CU_ASSERT(fake_host_count(&b.host, "guard lkb") == 0);
	CU_ASSERT(fake_host_count(&a.host, "route ") == 0);
	side_close(&a);
	side_close(&b);
	end();
}

static void test_trap_guards_first_and_sends_the_packet_that_asked(void)
{
	struct side a, b;

	begin();
	side_open(&a, text_of(true, "trap", "s3cret-s3cret-s3cret"));
	side_open(&b, text_of(false, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	send_and_check(&a, &b, 1, 2);
	CU_ASSERT(a.ups == 1 && b.ups == 1);
	side_close(&a);
	side_close(&b);
	end();
}

static void test_wrong_secret_is_told_on_both_sides(void)
{
	struct side a, b;

	begin();
	side_open(&a, text_of(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, text_of(false, "none", "another-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.failures, 1) && wait_for(&b.failures, 1));
	CU_ASSERT(a.ups == 0 && b.ups == 0);
	CU_ASSERT(a.reason == IKE_REASON_AUTH_FAILED_PEER);
	CU_ASSERT(b.reason == IKE_REASON_AUTH_FAILED_LOCAL);
	CU_ASSERT(strlen(a.why) > 20);
	CU_ASSERT(strstr(a.why, "s3cret") == NULL && strstr(b.why, "s3cret") == NULL);
	side_close(&a);
	side_close(&b);
	end();
}

static void test_new_configuration_moves_policies(void)
{
	struct conf *conf;
	struct side a;

	begin();
	side_open(&a, text_of(true, "trap", "s3cret-s3cret-s3cret"));
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	conf = conf_of(text_of(true, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT_FATAL(conf != NULL);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	conf_put(conf);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 0);
	conf = conf_of(text_of(true, "trap", "s3cret-s3cret-s3cret"));
	CU_ASSERT_FATAL(conf != NULL);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	conf_put(conf);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	CU_ASSERT(fake_host_count(&a.host, "route ") == 1);
	side_close(&a);
	end();
}

/* Cookies need no new start, and so they end without one, too. */
static void test_new_configuration_ends_cookies(void)
{
	const char *text = text_of(false, "none", "s3cret-s3cret-s3cret");
	struct conf *conf = conf_of(text);
	struct ike_stats stats;
	struct side a, b;
	uint64_t before;

	begin();
	CU_ASSERT_FATAL(conf != NULL);
	side_open(&a, text_of(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, with(text, "latchkey {", "latchkey {\n cookies = always"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	engine_ike_stats(b.engine, &stats);
	CU_ASSERT(stats.cookies_sent >= 1);
	before = stats.cookies_sent;
	side_close(&a);
	CU_ASSERT(engine_configure(b.engine, conf) == ERR_OK);
	conf_put(conf);
	side_open(&a, text_of(true, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 2));
	engine_ike_stats(b.engine, &stats);
	CU_ASSERT_EQUAL(stats.cookies_sent, before);
	side_close(&a);
	side_close(&b);
	end();
}

/* A peer that was killed comes back while what it forgot still stands here. */
static void test_a_peer_that_comes_back_is_reached_at_once(void)
{
	struct side a, b;

	begin();
	side_open(&a, text_of(true, "none", "s3cret-s3cret-s3cret"));
	side_open(&b, text_of(false, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	side_close(&a);
	side_open(&a, text_of(true, "none", "s3cret-s3cret-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 2));
	CU_ASSERT(fake_host_count(&b.host, "guard lkb") == 1);
	send_and_check(&a, &b, 1, 2);
	send_and_check(&b, &a, 2, 1);
	side_close(&a);
	side_close(&b);
	end();
}

#define SECRET "s3cret-s3cret-s3cret"

static void test_trap_and_start_together_start(void)
{
	struct side a, b;

	begin();
	side_open(&b, text_of(false, "none", SECRET));
	side_open(&a, text_of(true, "trap|start", SECRET));
	CU_ASSERT(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	side_close(&a);
	side_close(&b);
	end();
}

static void test_what_was_taken_down_stays_down_until_asked_for(void)
{
	const struct ike_select sel = {.conn = "net"};
	uint8_t frame[FRAME_MAX];
	struct side a, b;
	uint32_t num;
	size_t len = make_frame(frame, 1, 2, 100);

	begin();
	side_open(&b, text_of(false, "none", SECRET));
	side_open(&a, text_of(true, "start", SECRET));
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
	side_open(&b, text_of(false, "none", SECRET));
	CU_ASSERT(engine_down(a.engine, &num, &(struct ike_select){.ike_id = 2}) == ERR_OK);
	CU_ASSERT(send(a.host.tap_peers[0], frame, len, 0) == (ssize_t)len);
	CU_ASSERT(wait_for(&a.ups, 3));
	side_close(&a);
	side_close(&b);
	end();
}

static void test_a_host_without_a_route_yet_does_not_use_up_its_tries(void)
{
	const struct ip_addr none = {.family = IP_NONE};
	struct side a, b;

	begin();
	side_open(&b, text_of(false, "none", SECRET));
	side_open_at(&a, with(text_of(true, "start", SECRET), " local_addrs = 127.0.0.1\n", ""),
		     none);
	CU_ASSERT(wait_for(&a.failures, 1));
	CU_ASSERT(a.ups == 0);
	a.host.source4 = loopback();
	CU_ASSERT(wait_for(&a.ups, 1));
	side_close(&a);
	side_close(&b);
	end();
}

/* Whoever asks for what is under way is told its end, too. */
/* A selector that depends on the route to the peer is not forgotten when there is none yet. */
static void test_a_trap_waits_for_a_route(void)
{
	const struct ip_addr none = {.family = IP_NONE};
	struct side a;

	begin();
	side_open_at(&a,
		     with(with(text_of(true, "trap", SECRET), " local_addrs = 127.0.0.1\n", ""),
			  "local_ts = 10.1.0.0/24", "local_ts = dynamic"),
		     none);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 0);
	a.host.source4 = loopback();
	while (!late && !fake_host_count(&a.host, "guard lka"))
		uv_run(&loop, UV_RUN_ONCE);
	CU_ASSERT(fake_host_has(&a.host, "guard lka 127.0.0.1/32 10.2.0.0/24"));
	CU_ASSERT(fake_host_has(&a.host, "route 10.2.0.0/24 dev lka"));
	side_close(&a);
	end();
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

	begin();
	CU_ASSERT_FATAL(!ip_prefix_parse(&dst, "10.2.0.0/24"));
	other.b[3] = 2;
	side_open(&b, text_of(false, "none", SECRET));
	side_open(&a, with(with(text_of(true, "start", SECRET), " local_addrs = 127.0.0.1\n",
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
	end();
}

/* What the host has is asked once, however many handshakes there are, and again after a change. */
static void test_addresses_are_asked_once(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct side a, b;
	size_t asked = 0;
	uint32_t num;

	begin();
	side_open(&a, text_of(true, "none", SECRET));
	side_open(&b, text_of(false, "none", SECRET));
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
	end();
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

	begin();
	CU_ASSERT_FATAL(!ip_prefix_parse(&dst, "10.2.0.0/24"));
	side_open_by(&a, with(text_of(true, "trap|start", SECRET), "127.0.0.1", "%any"), loopback(),
		     still);
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
	end();
}

/* Where routes change all the time there is an end to looking at addresses; what is missed is found
 * when the change is waited out. */
static void test_M4_looked_at(void)
{
	size_t before, calls[40];
	struct side a;

	begin();
	side_open_by(&a, with(text_of(true, "start", SECRET), "127.0.0.1", "%any"), loopback(),
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
	end();
}

static void test_a_guard_that_was_refused_is_tried_again(void)
{
	struct conf *conf = conf_of(text_of(true, "trap", SECRET));
	struct side a;

	begin();
	CU_ASSERT_FATAL(conf != NULL);
	side_open(&a, text_of(true, "none", SECRET));
	fake_host_fail(&a.host, "guard_set", ERR_SYS, 0);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	conf_put(conf);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 0);
	while (!late && !fake_host_count(&a.host, "guard lka"))
		uv_run(&loop, UV_RUN_ONCE);
	CU_ASSERT(fake_host_count(&a.host, "guard lka") == 1);
	side_close(&a);
	end();
}

/* What a killed process left guarded is not opened by a start, but by an orderly stop, though
 * nothing was protected meanwhile. */
static void test_a_guard_left_behind_goes_with_an_orderly_stop(void)
{
	struct engine_params params = {0};
	struct engine *e = NULL;
	struct fake_host host;

	begin();
	fake_host_init(&host);
	snprintf(host.lines[host.num_lines++], FAKE_HOST_LINE_MAX, "guard lka old old");
	params.host = host.host;
	params.conf = conf_of(text_of(true, "none", SECRET));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&e, &params) == ERR_OK);
	conf_put(params.conf);
	CU_ASSERT(fake_host_count(&host, "guard ") == 1);
	engine_free(e);
	uv_run(&loop, UV_RUN_NOWAIT);
	CU_ASSERT(host.num_lines == 0);
	fake_host_fini(&host);
	end();
}

static void listens(const char *profile, size_t guarded)
{
	struct engine_params params = {0};
	struct engine *e = NULL;
	struct fake_host host;
	char more[200];

	snprintf(more, sizeof(more),
		 "latchkey {\n listeners { web { port = 80\n profile = %s } }\n", profile);
	begin();
	fake_host_init(&host);
	snprintf(host.lines[host.num_lines++], FAKE_HOST_LINE_MAX, "flow lka old old");
	params.host = host.host;
	params.conf = conf_of(with(text_of(true, "none", SECRET), "latchkey {\n", more));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&e, &params) == ERR_OK);
	conf_put(params.conf);
	CU_ASSERT(fake_host_count(&host, "flow lka old") == 0);
	CU_ASSERT(fake_host_count(&host, "flow ") == guarded);
	engine_free(e);
	uv_run(&loop, UV_RUN_NOWAIT);
	CU_ASSERT(host.num_lines == 0);
	fake_host_fini(&host);
	end();
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

	begin();
	fake_host_init(&host);
	params.host = host.host;
	params.conf = conf_of(text_of(true, "none", SECRET));
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
	uv_run(&loop, UV_RUN_NOWAIT);
	fake_host_fini(&host);
	end();
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
	begin();
	fake_host_init(&host);
	params.host = host.host;
	params.conf = conf_of(text_of(true, "none", SECRET));
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
	uv_run(&loop, UV_RUN_NOWAIT);
	fake_host_fini(&host);
	end();
}

/* SAs refer to the configuration they were made under; its secrets are none of their business. */
static void test_a_secret_taken_away_is_gone_at_once(void)
{
	struct conf *conf, *without;
	struct side a, b;

	begin();
	side_open(&a, text_of(true, "none", SECRET));
	side_open(&b, text_of(false, "none", SECRET));
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
	end();
}

static void test_two_requests_for_one_child_each_have_an_end(void)
{
	struct side a, b;

	begin();
	side_open(&a, text_of(true, "none", SECRET));
	side_open(&b, text_of(false, "none", "another-s3cret"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT(engine_up(a.engine, "net", "net", 2) == ERR_OK);
	CU_ASSERT(wait_for(&a.failures, 2));
	CU_ASSERT(a.requests == (1u << 1 | 1u << 2));
	side_close(&a);
	side_close(&b);
	end();
}

/* A puzzle that takes long is solved for as long as somebody wants to connect (RFC 8019). */
static void test_R8019_down_calls_off(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct side a, b;
	uint32_t num = 0;

	begin();
	side_open(&a, with(text_of(true, "none", SECRET), "latchkey {",
			   "latchkey { puzzle_max = 23\n"));
	side_open(&b, with(text_of(false, "none", SECRET), "latchkey {",
			   "latchkey { puzzles = always\n"));
	b.engine->conf->daemon.puzzle_difficulty = 23;
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	while (!puzzler_wanted(a.engine->puzzler) && !late)
		uv_run(&loop, UV_RUN_ONCE);
	CU_ASSERT(puzzler_wanted(a.engine->puzzler) == 1);
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(num == 1);
	CU_ASSERT(puzzler_wanted(a.engine->puzzler) == 0);
	side_close(&a);
	side_close(&b);
	end();
}

static void test_down_ends_the_search_for_a_name(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct side a, b;
	uint32_t num = 9;

	begin();
	side_open(&b, text_of(false, "none", SECRET));
	side_open(&a, with(text_of(true, "none", SECRET), "remote_addrs = 127.0.0.1",
			   "remote_addrs = localhost"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 3) == ERR_OK);
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(num == 0);
	CU_ASSERT(a.failures == 1 && a.reason == IKE_REASON_LOCAL && a.requests == 1u << 3);
	turn_for(500);
	CU_ASSERT(a.ups == 0 && b.ups == 0);
	side_close(&a);
	side_close(&b);
	end();
}

static void test_down_lifts_what_a_lost_peer_left(void)
{
	static const char impatient[] =
		"latchkey {\n retransmit_timeout = 1s\n retransmit_tries = 1\n";
	const struct ike_select sel = {.child = "net"};
	struct side a, b;
	uint32_t num = 9;

	begin();
	side_open(&b, text_of(false, "none", SECRET));
	side_open(&a, with(with(text_of(true, "none", SECRET), "latchkey {\n", impatient),
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
	end();
}

/* pair_conf - one end of a connection that has an interface of its own, with wide selectors. */
static const char *vif_text(bool first)
{
	const char *text =
		with(text_of(first, "none", SECRET), " remote_port",
		     first ? " interface = vifa\n interface_addrs = 10.1.0.1/32\n remote_port"
			   : " interface = vifb\n remote_port");

	text = with(text, first ? "local_ts = 10.1.0.0/24" : "local_ts = 10.2.0.0/24",
		    "local_ts = 0.0.0.0/0");
	return with(text, first ? "remote_ts = 10.2.0.0/24" : "remote_ts = 10.1.0.0/24",
		    "remote_ts = 0.0.0.0/0");
}

static void test_an_interface_of_its_own(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct conf *conf;
	struct side a, b;
	uint8_t frame[FRAME_MAX];
	size_t len = make_frame(frame, 1, 2, 500);
	uint32_t num;

	begin();
	side_open(&a, vif_text(true));
	side_open(&b, vif_text(false));
	CU_ASSERT(fake_host_has(&a.host, "tap vifa"));
	CU_ASSERT(fake_host_has(&a.host, "addr vifa 10.1.0.1/32"));
	CU_ASSERT(fake_host_has(&a.host, "device vifa"));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	CU_ASSERT(fake_host_count(&a.host, "route ") == 0); /* the operator's business */
	CU_ASSERT(fake_host_count(&a.host, "guard ") == 0);
	CU_ASSERT(a.host.num_taps == 2);
	CU_ASSERT(send(a.host.tap_peers[0], frame, len, 0) == (ssize_t)len); /* the shared one */
	turn_for(50);
	CU_ASSERT(recv(b.host.tap_peers[1], frame, FRAME_MAX, MSG_DONTWAIT) < 0);
	a.host.tap_peers[0] = a.host.tap_peers[1]; /* from here on it is the one of its own */
	b.host.tap_peers[0] = b.host.tap_peers[1];
	send_and_check(&a, &b, 1, 2);
	send_and_check(&b, &a, 2, 1);
	/* It goes with the connection, though not before its traffic has ended. */
	conf = conf_of(
		with(text_of(true, "none", SECRET), "connections { net", "connections { no"));
	CU_ASSERT_FATAL(conf != NULL);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	conf_put(conf);
	CU_ASSERT(fake_host_has(&a.host, "tap vifa"));
	send_and_check(&a, &b, 1, 2);
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(wait_for(&a.downs, 1));
	turn_for(20);
	CU_ASSERT(!fake_host_has(&a.host, "tap vifa") && !fake_host_has(&a.host, "device vifa"));
	side_close(&a);
	side_close(&b);
	CU_ASSERT(a.host.num_lines == 0 && b.host.num_lines == 0);
	end();
}

static void test_an_interface_that_cannot_be_made_carries_nothing(void)
{
	struct engine_params params = {0};
	struct engine *e = NULL;
	struct fake_host host;

	begin();
	fake_host_init(&host);
	host.source4 = loopback();
	fake_host_fail(&host, "tap_open", ERR_SYS, 1); /* after the shared one */
	params.host = host.host;
	params.conf = conf_of(with(vif_text(true), "start_action = none", "start_action = trap"));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&e, &params) == ERR_OK);
	conf_put(params.conf);
	CU_ASSERT(!fake_host_has(&host, "tap vifa"));
	CU_ASSERT(fake_host_count(&host, "guard ") == 0 && fake_host_count(&host, "route ") == 0);
	engine_free(e);
	fake_host_fini(&host);
	end();
}

static bool warned; /* that sockets cannot be told */

static void look(void *ctx, enum log_level level, enum log_subsystem sub, const char *connection,
		 const char *line)
{
	(void)ctx, (void)sub, (void)connection;
	warned |= level == LOG_WARN && strstr(line, "sockets cannot be told") != NULL;
}

/* Classes reach sockets by each interface while it is there; where that cannot be had a line of the
 * log says so, and nothing else is different. */
static void test_A12_tokens_of_interfaces(void)
{
	struct log_sink sink = {.write = look};
	const struct log_sink *before;
	struct side a;

	for (size_t i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		sink.levels[i] = LOG_WARN;
	begin();
	before = log_use(&sink);
	for (int how = 0; how < 3; how++) {
		struct engine_params params = {0};

		warned = false;
		fake_host_init(&a.host);
		a.host.source4 = loopback();
		a.host.tun_only = how == 1;
		if (how == 2)
			fake_host_fail(&a.host, "token_set", ERR_UNSUPPORTED, 0);
		params.host = a.host.host;
		params.conf = conf_of(vif_text(true));
		CU_ASSERT_FATAL(params.conf != NULL);
		CU_ASSERT_FATAL(engine_new(&a.engine, &params) == ERR_OK);
		conf_put(params.conf);
		CU_ASSERT_EQUAL(warned, how != 0);
		CU_ASSERT_EQUAL(fake_host_has(&a.host, "token lka"), how == 0);
		CU_ASSERT_EQUAL(fake_host_has(&a.host, "token vifa"), how != 1);
		CU_ASSERT(fake_host_has(&a.host, "tap lka") && fake_host_has(&a.host, "tap vifa"));
		engine_free(a.engine);
		CU_ASSERT_EQUAL(a.host.num_lines, 0);
		uv_run(&loop, UV_RUN_NOWAIT);
		fake_host_fini(&a.host);
	}
	log_use(before);
	end();
}

/* side_open_untold - with an interface of its own that has no marks; it was used before. */
static void side_open_untold(struct side *s, bool used)
{
	struct engine_params params = {0};

	memset(s, 0, sizeof(*s));
	fake_host_init(&s->host);
	s->host.source4 = loopback();
	s->host.link_used = used;
	fake_host_fail(&s->host, "token_set", ERR_UNSUPPORTED, 1); /* after the shared one's */
	params.host = s->host.host;
	params.conf = conf_of(vif_text(true));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&s->engine, &params) == ERR_OK);
	conf_put(params.conf);
	side_listen(s);
	s->observer.event = on_event;
	engine_observe(s->engine, &s->observer);
}

/* told - whose what comes by the interface of this index to this address is; 0: nobody's. */
static uint32_t told(const struct side *s, uint32_t ifindex, const char *to)
{
	const struct app_backend app = engine_app(s->engine);
	uint32_t token = 0, ms = 0;
	struct ip_addr addr;

	CU_ASSERT_FATAL(ip_addr_parse(&addr, to) == ERR_OK);
	if (app.ops->interface_token(app.ctx, &token, &ms, ifindex, &addr))
		return 0;
	CU_ASSERT(token != 0 && ms >= 100 && ms <= 1000);
	return token;
}

/* D4: without marks the interface tells whose a datagram is, from its first class's first packet
 * on. What came to an address of its own, or to many, the host may have sent. */
static void test_D4_interface_tells(void)
{
	struct side a, b;
	uint32_t token;

	begin();
	side_open_untold(&a, false);
	side_open(&b, vif_text(false));
	CU_ASSERT(!engine_app(b.engine).ops->interface_token ||
		  engine_app(b.engine).ops->has_marks(b.engine));
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	token = told(&a, 5, "10.3.0.1");
	CU_ASSERT(token != 0 && token == told(&a, 5, "2001:db8::1"));
	CU_ASSERT(told(&a, 6, "10.3.0.1") == 0);
	CU_ASSERT(told(&a, 5, "10.1.0.1") == 0); /* interface_addrs */
	CU_ASSERT(told(&a, 5, "224.0.0.1") == 0 && told(&a, 5, "255.255.255.255") == 0);
	CU_ASSERT(told(&a, 5, "ff02::1") == 0);
	CU_ASSERT(told(&b, 5, "10.3.0.1") == 0); /* it has marks */
	a.host.tap_peers[0] = a.host.tap_peers[1];
	b.host.tap_peers[0] = b.host.tap_peers[1];
	send_and_check(&b, &a, 2, 1);
	/* Somebody put another device in its place, or took it away. */
	a.host.ifindex = 6;
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0 && told(&a, 6, "10.3.0.1") == 0);
	a.host.ifindex = 0;
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	side_close(&a);
	side_close(&b);
	end();
}

static void test_D4_used_interface_does_not_tell(void)
{
	struct side a, b;

	begin();
	side_open_untold(&a, true);
	side_open(&b, vif_text(false));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	a.host.tap_peers[0] = a.host.tap_peers[1];
	b.host.tap_peers[0] = b.host.tap_peers[1];
	send_and_check(&b, &a, 2, 1);
	side_close(&a);
	side_close(&b);
	end();
}

/* arrives - a packet from one to the other, within a while. */
static bool arrives(struct side *from, struct side *to)
{
	uint8_t frame[FRAME_MAX];
	size_t len = make_frame(frame, 2, 1, 500);

	CU_ASSERT(send(from->host.tap_peers[0], frame, len, 0) == (ssize_t)len);
	turn_for(30);
	return recv(to->host.tap_peers[0], frame, FRAME_MAX, MSG_DONTWAIT) > 0;
}

/* D4: with a second class it is nobody's, at once and for good; that one's packets wait until no
 * answer is believed any more, and then pass like the first's. */
static void test_D4_two_classes(void)
{
	struct side a, b;
	struct vif *v;
	uint32_t token;

	begin();
	side_open_untold(&a, false);
	side_open(&b, vif_text(false));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	a.host.tap_peers[0] = a.host.tap_peers[1];
	b.host.tap_peers[0] = b.host.tap_peers[1];
	token = told(&a, 5, "10.3.0.1");
	v = vif_find(a.engine, "vifa");
	CU_ASSERT_FATAL(token != 0 && v != NULL);
	/* As if another one had come first. */
	v->only = token + 1;
	CU_ASSERT_FATAL(dataplane_vif_only(a.engine->dp, v->scope, token + 1) == ERR_OK);
	CU_ASSERT(told(&a, 5, "10.3.0.1") == token + 1);
	CU_ASSERT(!arrives(&b, &a));
	vif_class_joined(a.engine, v, token);
	engine_turn(a.engine);
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	turn_for(800);
	CU_ASSERT(!arrives(&b, &a));
	turn_for(500);
	CU_ASSERT(arrives(&b, &a));
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	vif_class_joined(a.engine, v, token);
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	side_close(&a);
	side_close(&b);
	end();
}

/* D4: an interface that was told of stays while that is believed, so that nobody else has its
 * index; nothing more is told of it. */
static void test_D4_interface_stays_a_while(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct conf *conf;
	struct side a, b;
	uint32_t num;

	begin();
	side_open_untold(&a, false);
	side_open(&b, vif_text(false));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	CU_ASSERT(told(&a, 5, "10.3.0.1") != 0);
	conf = conf_of(
		with(text_of(true, "none", SECRET), "connections { net", "connections { no"));
	CU_ASSERT_FATAL(conf != NULL);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	conf_put(conf);
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(wait_for(&a.downs, 1));
	turn_for(500);
	CU_ASSERT(fake_host_has(&a.host, "tap vifa"));
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	turn_for(900);
	CU_ASSERT(!fake_host_has(&a.host, "tap vifa"));
	side_close(&a);
	side_close(&b);
	end();
}

/* Offloads are asked for as configured, and super-packets have the length that a peer is sent. */
static void test_offloads_of_the_device(void)
{
	static const struct {
		const char *keys;
		uint32_t host, wanted;
		bool super;
	} rows[] = {
		{"", 0x6f, 0x6f, true},
		{"", 0x0f, 0x0f, true},
		{"", 0, 0, false},
		{"tun_uso = no\n", 0x6f, 0x0f, true},
		{"tun_tso = no\n", 0x6f, 0x61, true},
		{"tun_tso = no\n tun_uso = no\n", 0x6f, 0x01, false},
		{"tun_checksum = no\n", 0x6f, 0, false},
	};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct engine_params params = {0};
		struct engine *e = NULL;
		struct fake_host host;
		char keys[64];

		fake_host_init(&host);
		host.source4 = loopback();
		host.offloads = rows[i].host;
		params.host = host.host;
		snprintf(keys, sizeof(keys), "latchkey {\n %s", rows[i].keys);
		params.conf = conf_of(
			with(text_of(true, "trap", "s3cret-s3cret-s3cret"), "latchkey {\n", keys));
		CU_ASSERT_FATAL(params.conf != NULL);
		CU_ASSERT_FATAL(engine_new(&e, &params) == ERR_OK);
		conf_put(params.conf);
		CU_ASSERT_EQUAL(host.given, rows[i].wanted);
		CU_ASSERT_EQUAL(fake_host_has(&host, "gso lka 60000 bytes 44 segments"),
				rows[i].super);
		engine_free(e);
		CU_ASSERT_EQUAL(host.num_lines, 0);
		fake_host_fini(&host);
	}
	end();
}

/* worker_text - one end's configuration with so many workers. */
static const char *worker_text(bool first, const char *workers)
{
	static char keys[64];

	snprintf(keys, sizeof(keys), "latchkey {\n workers = %s\n", workers);
	return with(text_of(first, "none", SECRET), "latchkey {\n", keys);
}

/* poll_any - as poll_frame(), at any queue of the interface. */
static bool poll_any(struct side *s)
{
	uv_timer_t tick;

	s->frame_len = -1;
	uv_timer_init(&loop, &tick);
	uv_timer_start(&tick, nothing, 1, 1);
	do {
		uv_run(&loop, UV_RUN_ONCE);
		for (size_t i = 0; i < s->host.num_taps && s->frame_len < 0; i++)
			s->frame_len =
				recv(s->host.tap_peers[i], s->frame, FRAME_MAX, MSG_DONTWAIT);
	} while (s->frame_len < 0 && !late);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	return s->frame_len > 0;
}

/* send_by_each - a packet by each queue of the sender's interface. */
static void send_by_each(struct side *from, struct side *to, uint8_t from_net, uint8_t to_net)
{
	for (size_t i = 0; i < from->host.num_taps; i++) {
		uint8_t frame[FRAME_MAX];
		size_t len = make_frame(frame, from_net, to_net, 100 + i);

		CU_ASSERT(send(from->host.tap_peers[i], frame, len, 0) == (ssize_t)len);
		CU_ASSERT_FATAL(poll_any(to));
		CU_ASSERT((size_t)to->frame_len == len);
		CU_ASSERT(memcmp(to->frame + ETH_LEN, frame + ETH_LEN, len - ETH_LEN) == 0);
	}
}

/* Whatever queue a packet comes by, and if there are fewer than workers. */
static void test_several_workers(void)
{
	struct engine_params params = {0};
	struct dataplane_stats st;
	struct side a, b;

	begin();
	side_open(&a, worker_text(true, "3"));
	CU_ASSERT_EQUAL(a.host.num_taps, 3);
	CU_ASSERT_EQUAL(a.host.num_steered, 2); /* the port of ESP, of two families */
	CU_ASSERT(a.host.steer_shift == DATAPLANE_SPI_SHIFT && a.host.steer_num == 3);
	memset(&b, 0, sizeof(b));
	fake_host_init(&b.host);
	b.host.source4 = loopback();
	b.host.queues = 2;
	params.host = b.host.host;
	params.conf = conf_of(worker_text(false, "4"));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&b.engine, &params) == ERR_OK);
	conf_put(params.conf);
	side_listen(&b);
	b.observer.event = on_event;
	engine_observe(b.engine, &b.observer);
	CU_ASSERT_EQUAL(b.host.num_taps, 2);
	CU_ASSERT(engine_up(a.engine, "net", "net", engine_request(a.engine)) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	send_by_each(&a, &b, 1, 2);
	send_by_each(&b, &a, 2, 1);
	engine_dp_stats(a.engine, &st);
	CU_ASSERT(st.handed_off >= 2); /* of three queues two are not the owner's */
	side_close(&a);
	side_close(&b);
	CU_ASSERT(a.host.num_lines == 0 && b.host.num_lines == 0);
	end();
}

/* auto - as many as we may run on. */
static void test_a_worker_for_each_processor(void)
{
	struct side a;
	cpu_set_t all, one;

	begin();
	CU_ASSERT_FATAL(sched_getaffinity(0, sizeof(all), &all) == 0);
	side_open(&a, worker_text(true, "auto"));
	CU_ASSERT_EQUAL(a.host.num_taps, CPU_COUNT(&all) < 64 ? (size_t)CPU_COUNT(&all) : 64);
	side_close(&a);
	CPU_ZERO(&one);
	for (int i = 0; CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	CU_ASSERT_FATAL(sched_setaffinity(0, sizeof(one), &one) == 0);
	side_open(&a, worker_text(true, "auto"));
	CU_ASSERT_EQUAL(a.host.num_taps, 1);
	side_close(&a);
	CU_ASSERT(sched_setaffinity(0, sizeof(all), &all) == 0);
	end();
}

static void on_stopped(void *ctx)
{
	*(unsigned *)ctx += 1;
}

static void test_orderly_stop_leaves_an_untouched_host(void)
{
	unsigned stopped = 0;
	struct side a, b;

	begin();
	side_open(&a, text_of(true, "trap", "s3cret-s3cret-s3cret"));
	side_open(&b, text_of(false, "none", "s3cret-s3cret-s3cret"));
	send_and_check(&a, &b, 1, 2);
	engine_stop(a.engine, on_stopped, &stopped);
	CU_ASSERT_EQUAL(stopped, 0); /* it waits for what the peer says */
	CU_ASSERT(wait_for(&stopped, 1));
	CU_ASSERT_EQUAL(b.downs, 1);
	side_close(&a);
	CU_ASSERT(a.host.num_lines == 0);
	CU_ASSERT(a.host.closed);
	side_close(&b);
	end();
}

static void test_failed_start_is_an_error_at_each_step(void)
{
	static const char *const ops[] = {"tap_open", "link_set", "udp_open", "rules_set",
					  "guard_set"};
	struct engine_params params = {0};
	struct fake_host host;

	begin();
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		fake_host_init(&host);
		fake_host_fail(&host, ops[i], ERR_SYS, 0);
		params.host = host.host;
		params.conf = conf_of(text_of(true, "trap", "s3cret-s3cret-s3cret"));
		CU_ASSERT_FATAL(params.conf != NULL);
		struct engine *e = NULL;

		CU_ASSERT(engine_new(&e, &params) == ERR_SYS);
		CU_ASSERT(e == NULL && !host.closed);
		conf_put(params.conf);
		uv_run(&loop, UV_RUN_NOWAIT);
		fake_host_fini(&host);
	}
	end();
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
	TAP_TEST(test_a_secret_taken_away_is_gone_at_once),
	TAP_TEST(test_two_requests_for_one_child_each_have_an_end),
	TAP_TEST(test_R8019_down_calls_off),
	TAP_TEST(test_down_ends_the_search_for_a_name),
	TAP_TEST(test_down_lifts_what_a_lost_peer_left),
	TAP_TEST(test_an_interface_of_its_own),
	TAP_TEST(test_an_interface_that_cannot_be_made_carries_nothing),
	TAP_TEST(test_A12_tokens_of_interfaces),
	TAP_TEST(test_D4_interface_tells),
	TAP_TEST(test_D4_used_interface_does_not_tell),
	TAP_TEST(test_D4_two_classes),
	TAP_TEST(test_D4_interface_stays_a_while),
	TAP_TEST(test_offloads_of_the_device),
	TAP_TEST(test_several_workers),
	TAP_TEST(test_a_worker_for_each_processor),
	TAP_TEST(test_orderly_stop_leaves_an_untouched_host),
	TAP_TEST(test_failed_start_is_an_error_at_each_step),
};

TAP_MAIN("engine", tests)
