/* SPDX-License-Identifier: Apache-2.0 */
/* Two whole engines: virtual interfaces of connections and what is told by them, offloads, and the
 * queues of several workers. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "api/engine/app.h"
#include "api/engine/internal.h"
#include "tests/api/sides.h"
#include "tests/tap/tap.h"

/* vif_text - one end of a connection that has an interface of its own, with wide selectors. */
static const char *vif_text(bool first)
{
	const char *text =
		with(side_text(first, "none", SECRET), " remote_port",
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

	sides_begin();
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
	conf = side_conf(
		with(side_text(true, "none", SECRET), "connections { net", "connections { no"));
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
	sides_end();
}

static void test_an_interface_that_cannot_be_made_carries_nothing(void)
{
	struct engine_params params = {0};
	struct engine *e = NULL;
	struct fake_host host;

	sides_begin();
	fake_host_init(&host);
	host.source4 = loopback();
	fake_host_fail(&host, "tap_open", ERR_SYS, 1); /* after the shared one */
	params.host = host.host;
	params.conf = side_conf(with(vif_text(true), "start_action = none", "start_action = trap"));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&e, &params) == ERR_OK);
	conf_put(params.conf);
	CU_ASSERT(!fake_host_has(&host, "tap vifa"));
	CU_ASSERT(fake_host_count(&host, "guard ") == 0 && fake_host_count(&host, "route ") == 0);
	engine_free(e);
	fake_host_fini(&host);
	sides_end();
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
	sides_begin();
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
		params.conf = side_conf(vif_text(true));
		CU_ASSERT_FATAL(params.conf != NULL);
		CU_ASSERT_FATAL(engine_new(&a.engine, &params) == ERR_OK);
		conf_put(params.conf);
		CU_ASSERT_EQUAL(warned, how != 0);
		CU_ASSERT_EQUAL(fake_host_has(&a.host, "token lka"), how == 0);
		CU_ASSERT_EQUAL(fake_host_has(&a.host, "token vifa"), how != 1);
		CU_ASSERT(fake_host_has(&a.host, "tap lka") && fake_host_has(&a.host, "tap vifa"));
		engine_free(a.engine);
		CU_ASSERT_EQUAL(a.host.num_lines, 0);
		uv_run(&sides_loop, UV_RUN_NOWAIT);
		fake_host_fini(&a.host);
	}
	log_use(before);
	sides_end();
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
	params.conf = side_conf(vif_text(true));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&s->engine, &params) == ERR_OK);
	conf_put(params.conf);
	side_listen(s);
	s->observer.event = side_event;
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

	sides_begin();
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
	sides_end();
}

static void test_D4_used_interface_does_not_tell(void)
{
	struct side a, b;

	sides_begin();
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
	sides_end();
}

static void send_one(struct side *from)
{
	uint8_t frame[FRAME_MAX];
	const size_t len = make_frame(frame, 2, 1, 500);

	CU_ASSERT(send(from->host.tap_peers[0], frame, len, 0) == (ssize_t)len);
}

/* arrives - a packet from one to the other, however long it takes. */
static bool arrives(struct side *from, struct side *to)
{
	send_one(from);
	return poll_frame(to, 1);
}

/* waits - it does not, for a while; or what holds it up was told before since_ns so long ago that
 * it may have ended. */
static bool waits(struct side *from, struct side *to, uint64_t since_ns)
{
	uint8_t frame[FRAME_MAX];

	send_one(from);
	turn_for(30);
	return recv(to->host.tap_peers[0], frame, FRAME_MAX, MSG_DONTWAIT) <= 0 ||
	       clock_now_ns() - since_ns > NS_PER_S;
}

/* D4: with a second class it is nobody's, at once and for good; that one's packets wait until no
 * answer is believed any more, and then pass like the first's. */
static void test_D4_two_classes(void)
{
	struct side a, b;
	struct vif *v;
	uint64_t told_ns;
	uint32_t token;

	sides_begin();
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
	told_ns = clock_now_ns();
	CU_ASSERT(told(&a, 5, "10.3.0.1") == token + 1);
	CU_ASSERT(waits(&b, &a, told_ns));
	vif_class_joined(a.engine, v, token);
	engine_turn(a.engine);
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	turn_for(800);
	CU_ASSERT(waits(&b, &a, told_ns));
	turn_for(500);
	CU_ASSERT(arrives(&b, &a));
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	vif_class_joined(a.engine, v, token);
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	side_close(&a);
	side_close(&b);
	sides_end();
}

/* D4: an interface that was told of stays while that is believed, so that nobody else has its
 * index; nothing more is told of it. */
static void test_D4_interface_stays_a_while(void)
{
	const struct ike_select sel = {.conn = "net"};
	struct conf *conf;
	struct side a, b;
	uint64_t told_ns;
	uint32_t num;

	sides_begin();
	side_open_untold(&a, false);
	side_open(&b, vif_text(false));
	CU_ASSERT(engine_up(a.engine, "net", "net", 1) == ERR_OK);
	CU_ASSERT_FATAL(wait_for(&a.ups, 1) && wait_for(&b.ups, 1));
	told_ns = clock_now_ns();
	CU_ASSERT(told(&a, 5, "10.3.0.1") != 0);
	conf = side_conf(
		with(side_text(true, "none", SECRET), "connections { net", "connections { no"));
	CU_ASSERT_FATAL(conf != NULL);
	CU_ASSERT(engine_configure(a.engine, conf) == ERR_OK);
	conf_put(conf);
	CU_ASSERT(engine_down(a.engine, &num, &sel) == ERR_OK);
	CU_ASSERT(wait_for(&a.downs, 1));
	turn_for(500);
	CU_ASSERT(fake_host_has(&a.host, "tap vifa") || clock_now_ns() - told_ns > NS_PER_S);
	CU_ASSERT(told(&a, 5, "10.3.0.1") == 0);
	turn_for(900);
	CU_ASSERT(!fake_host_has(&a.host, "tap vifa"));
	side_close(&a);
	side_close(&b);
	sides_end();
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

	sides_begin();
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
		params.conf = side_conf(with(side_text(true, "trap", "s3cret-s3cret-s3cret"),
					     "latchkey {\n", keys));
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
	sides_end();
}

/* worker_text - one end's configuration with so many workers. */
static const char *worker_text(bool first, const char *workers)
{
	static char keys[64];

	snprintf(keys, sizeof(keys), "latchkey {\n workers = %s\n", workers);
	return with(side_text(first, "none", SECRET), "latchkey {\n", keys);
}

/* send_by_each - a packet by each queue of the sender's interface. */
static void send_by_each(struct side *from, struct side *to, uint8_t from_net, uint8_t to_net)
{
	for (size_t i = 0; i < from->host.num_taps; i++) {
		uint8_t frame[FRAME_MAX];
		size_t len = make_frame(frame, from_net, to_net, 100 + i);

		CU_ASSERT(send(from->host.tap_peers[i], frame, len, 0) == (ssize_t)len);
		CU_ASSERT_FATAL(poll_frame(to, to->host.num_taps));
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

	sides_begin();
	side_open(&a, worker_text(true, "3"));
	CU_ASSERT_EQUAL(a.host.num_taps, 3);
	CU_ASSERT_EQUAL(a.host.num_steered, 2); /* the port of ESP, of two families */
	CU_ASSERT(a.host.steer_shift == DATAPLANE_SPI_SHIFT && a.host.steer_num == 3);
	memset(&b, 0, sizeof(b));
	fake_host_init(&b.host);
	b.host.source4 = loopback();
	b.host.queues = 2;
	params.host = b.host.host;
	params.conf = side_conf(worker_text(false, "4"));
	CU_ASSERT_FATAL(params.conf != NULL);
	CU_ASSERT_FATAL(engine_new(&b.engine, &params) == ERR_OK);
	conf_put(params.conf);
	side_listen(&b);
	b.observer.event = side_event;
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
	sides_end();
}

/* auto - as many as we may run on. */
static void test_a_worker_for_each_processor(void)
{
	struct side a;
	cpu_set_t all, one;

	sides_begin();
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
	sides_end();
}

static const struct tap_test tests[] = {
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
};

TAP_MAIN("engine_vif", tests)
