/* SPDX-License-Identifier: Apache-2.0 */
/* Latches by the application socket, waiting for them, and what becomes of them when a client or a
 * socket is gone. */
#include "base/log.h"
#include "tests/api/app_bench.h"
#include "tests/tap/tap.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Who passes the socket has its latch, from another connection or as another user too; a
 * socket with the same ends that is another one has it not. */
static void test_E8_by_the_socket(void)
{
	struct bench b;
	struct app_client *c, *second, *foreign;
	struct answer a;
	int fd = bench_udp(9), other = bench_udp(9);
	uint64_t id;

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	second = bench_client(&b, PLAIN);
	foreign = bench_client(&b, OTHER);
	id = bench_latch(&b, c, fd, false);
	for (int i = 0; i < 4; i++) {
		struct app_client *by = i & 1 ? foreign : second;

		bench_begin(&b, APP_LATCH_INQUIRE);
		app_put_u64(&b.w, APP_A_LATCH, id);
		CU_ASSERT_EQUAL(bench_ask(&b, by, i & 2 ? other : fd, &a),
				i & 2 ? APP_NOT_FOUND : APP_OK);
	}
	bench_begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(bench_ask(&b, foreign, other, &a), APP_NOT_FOUND);
	/* The same ends, another socket, another user. */
	fake_app_latch(&b.fake, id)->cookie++;
	bench_begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(bench_ask(&b, foreign, fd, &a), APP_NOT_FOUND);
	bench_begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(bench_ask(&b, second, fd, &a), APP_OK);
	app_client_close(c);
	app_client_close(second);
	app_client_close(foreign);
	close(fd);
	close(other);
	bench_close(&b);
}

/* A claimed peer is taken for a socket that is bound to an address, and for no other. */
/* A UDP socket is what it is connected to now: each request looks, and says so. */
static void test_E23_connected_anew(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = bench_udp(9);
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(10), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	(void)bench_latch(&b, c, fd, false);
	CU_ASSERT_TRUE(b.fake.created.connected);
	CU_ASSERT_EQUAL(b.fake.seen.cookie, b.fake.created.cookie);
	CU_ASSERT_EQUAL(b.fake.seen.flow.remote_port, 9);
	CU_ASSERT_EQUAL(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	bench_begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_NOT_FOUND);
	CU_ASSERT_EQUAL(b.fake.seen.flow.remote_port, 10);
	bench_begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_NOT_FOUND);
	CU_ASSERT_EQUAL(connect(fd, &none, sizeof(none)), 0);
	bench_begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_BAD_STATE);
	CU_ASSERT_FALSE(b.fake.seen.connected);
	app_client_close(c);
	close(fd);
	bench_close(&b);
}

static void test_E9_claims(void)
{
	struct flow claim = {.remote = {.family = IP_V4, .b = {192, 0, 2, 7}}, .remote_port = 80};
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int bound = bench_udp(0), connected = bench_udp(9), loose = socket(AF_INET, SOCK_DGRAM, 0),
	    wild = socket(AF_INET, SOCK_DGRAM, 0);

	CU_ASSERT_EQUAL(bind(wild, (struct sockaddr *)&any, sizeof(any)), 0);
	bench_open(&b);
	c = bench_client(&b, PLAIN);
	claim.local = (struct ip_addr){.family = IP_V4, .b = {198, 51, 100, 1}};
	claim.local_port = 22;
	for (int i = 0; i < 4; i++) {
		const int fds[] = {bound, connected, loose, wild};

		bench_begin(&b, APP_LATCH_CREATE);
		app_put_flow(&b.w, APP_A_REMOTE, &claim);
		CU_ASSERT_EQUAL(bench_ask(&b, c, fds[i], &a), i < 2 ? APP_OK : APP_BAD_STATE);
		if (i >= 2)
			continue;
		/* The local end is the socket's, whatever was said; so is the peer it has. */
		CU_ASSERT_EQUAL(b.fake.created.flow.local.b[0], 127);
		CU_ASSERT_EQUAL(b.fake.created.flow.local_port, port_of(fds[i]));
		CU_ASSERT_EQUAL(b.fake.created.flow.remote_port, i ? 9 : 80);
		CU_ASSERT_EQUAL(b.fake.created.uid, PLAIN);
		CU_ASSERT_EQUAL(b.fake.created.cookie, cookie_of(fds[i]));
	}
	app_client_close(c);
	close(bound);
	close(connected);
	close(loose);
	close(wild);
	bench_close(&b);
}

/* The demand reaches the engine as it was said, and a weaker one does not. */
static void test_E10_demand_of_a_latch(void)
{
	static const uint8_t two[] = {APP_METHOD_PUBKEY, APP_METHOD_PRESHAREDKEY},
			     btns[] = {APP_METHOD_BTNS}, xauth[] = {APP_METHOD_XAUTH};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = bench_udp(9);

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	bench_begin(&b, APP_LATCH_CREATE);
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of(btns, 1));
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_PERM);
	bench_begin(&b, APP_LATCH_CREATE);
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of(xauth, 1));
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_INVAL);
	CU_ASSERT_EQUAL(b.fake.num_latches, 0);
	bench_begin(&b, APP_LATCH_CREATE);
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of(two, 2));
	app_put_text(&b.w, APP_A_PEER, "peer.example");
	app_put_text(&b.w, APP_A_SUITE, "aes256gcm16");
	app_put_u32(&b.w, APP_A_PRIVACY, APP_ASK_YES);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(b.fake.created.demand.num_methods, 2);
	CU_ASSERT_EQUAL(b.fake.created.demand.methods[0], AUTH_METHOD_PUBKEY);
	CU_ASSERT_EQUAL(b.fake.created.demand.methods[1], AUTH_METHOD_PSK);
	CU_ASSERT_STRING_EQUAL(b.fake.created.demand.peer, "peer.example");
	CU_ASSERT_STRING_EQUAL(b.fake.created.demand.suite, "aes256gcm16");
	CU_ASSERT_EQUAL(b.fake.created.demand.privacy, APP_ASK_YES);
	app_client_close(c);
	close(fd);
	bench_close(&b);
}

/* What a socket sends may demand a class that reaches it, and no other one. */
static void test_E11_demand_of_a_socket(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = bench_udp(9), other = bench_udp(9);

	bench_open(&b);
	b.fake.classes[0].reaches = port_of(fd);
	c = bench_client(&b, PLAIN);
	bench_begin(&b, APP_DEMAND);
	app_put_u32(&b.w, APP_A_TOKEN, 7);
	CU_ASSERT_EQUAL(bench_ask(&b, c, other, &a), APP_NOT_FOUND);
	CU_ASSERT_EQUAL(b.fake.marked, 0);
	bench_begin(&b, APP_DEMAND);
	app_put_u32(&b.w, APP_A_TOKEN, 7);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(b.fake.marked, 7);
	bench_begin(&b, APP_DEMAND);
	app_put_u32(&b.w, APP_A_TOKEN, 0x40000007);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_INVAL);
	bench_begin(&b, APP_DEMAND);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(b.fake.marked, 0);
	app_client_close(c);
	close(fd);
	close(other);
	bench_close(&b);
}

static uint32_t num_denials;

static void count_denials(void *ctx, enum log_level level, enum log_subsystem sub,
			  const char *connection, const char *line)
{
	(void)ctx;
	(void)level;
	(void)sub;
	(void)connection;
	num_denials += strstr(line, "user 1001 (process 1) is refused list") != NULL;
}

/* Denials are logged, and no more of them than so many a second. */
static void test_E12_denials_are_logged(void)
{
	struct log_sink sink = {.write = count_denials};
	const struct log_sink *before;
	struct bench b;
	struct app_client *c;
	struct answer a;

	for (size_t i = 0; i < LOG_NUM_SUBSYSTEMS; i++)
		sink.levels[i] = LOG_INFO;
	before = log_use(&sink);
	num_denials = 0;
	bench_open(&b);
	c = bench_client(&b, PLAIN);
	for (int i = 0; i < 100; i++) {
		bench_begin(&b, APP_LIST);
		CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_PERM);
		if (i == 0)
			CU_ASSERT_EQUAL(num_denials, 1);
	}
	CU_ASSERT_EQUAL(num_denials, 5);
	log_use(before);
	app_client_close(c);
	bench_close(&b);
}

/* Rights that a new configuration takes away are gone for who is connected. */
static void test_E13_configured_anew(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;

	bench_open(&b);
	c = bench_client(&b, READER);
	bench_begin(&b, APP_LIST);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	b.conf.read_all.num_uids = 0;
	app_server_configure(b.server, &b.conf);
	bench_begin(&b, APP_LIST);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_PERM);
	app_client_close(c);
	bench_close(&b);
}

/* ---- latches, and waiting for them ---------------------------------------------------------- */

static enum app_code require(struct bench *b, struct app_client *c, int fd, uint32_t ms,
			     struct answer *a)
{
	bench_begin(b, APP_REQUIRE);
	app_put_text(&b->w, APP_A_PEER, "peer.example");
	app_put_u32(&b->w, APP_A_TIMEOUT_MS, ms);
	return bench_ask(b, c, fd, a);
}

static void test_B7_require(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	char text[256];
	int fd = bench_udp(9);
	uint32_t id;

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	/* It waits until the latch stands. */
	CU_ASSERT_EQUAL(require(&b, c, fd, 1000, &a), APP_NUM_CODES);
	id = b.last_id;
	CU_ASSERT_EQUAL(app_server_deadline(b.server), b.fake.now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(b.num_wakes, 0);
	fake_app_state(&b.fake, 1, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	CU_ASSERT_EQUAL(b.num_wakes, 1);
	CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.id, id);
	CU_ASSERT_EQUAL(a.msg.code, APP_OK);
	CU_ASSERT_EQUAL(answer_u64(&a, APP_A_LATCH), 1);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_TOKEN, 0), 7);
	CU_ASSERT_EQUAL(app_server_deadline(b.server), TIME_NEVER);
	/* Once more: it stands, so the answer comes at once. */
	CU_ASSERT_EQUAL(require(&b, c, fd, 1000, &a), APP_OK);
	CU_ASSERT_EQUAL(b.fake.num_latches, 1);
	/* It breaks; who asks again gets a new one, and the reason why that fails. */
	fake_app_state(&b.fake, 1, LATCH_BROKEN, IKE_REASON_NO_ANSWER, "the peer is silent");
	CU_ASSERT_EQUAL(require(&b, c, fd, 1000, &a), APP_NUM_CODES);
	CU_ASSERT_PTR_NULL(fake_app_latch(&b.fake, 1));
	fake_app_state(&b.fake, 2, LATCH_BROKEN, IKE_REASON_AUTH_FAILED_LOCAL, "a wrong key");
	CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_FAILED);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&a.msg.attrs, APP_A_TEXT, text, sizeof(text)),
			       "a wrong key");
	CU_ASSERT_STRING_EQUAL(app_attr_text(&a.msg.attrs, APP_A_REASON, text, 32),
			       ike_reason_name(IKE_REASON_AUTH_FAILED_LOCAL));
	/* What failed stays, so that nothing is sent in the clear. */
	CU_ASSERT_PTR_NOT_NULL(fake_app_latch(&b.fake, 2));
	app_client_close(c);
	close(fd);
	bench_close(&b);
}

static void test_B7_require_at_once(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = bench_udp(9), two = bench_udp(9), three = bench_udp(9);

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	b.fake.create_state = LATCH_ESTABLISHED;
	CU_ASSERT_EQUAL(require(&b, c, fd, 1000, &a), APP_OK);
	b.fake.create_state = LATCH_BROKEN;
	CU_ASSERT_EQUAL(require(&b, c, two, 1000, &a), APP_FAILED);
	b.fake.create_result = ERR_NOT_FOUND;
	CU_ASSERT_EQUAL(require(&b, c, three, 1000, &a), APP_NOT_FOUND);
	CU_ASSERT_TRUE(app_attr_bytes(&a.msg.attrs, APP_A_TEXT).len > 0);
	app_client_close(c);
	close(fd);
	close(two);
	close(three);
	bench_close(&b);
}

static enum app_code run_in(struct bench *b, struct app_client *c, int fd, struct answer *a)
{
	bench_begin(b, APP_RUN);
	app_put_text(&b->w, APP_A_PEER, "peer.example");
	app_put_u32(&b->w, APP_A_TIMEOUT_MS, 50);
	return bench_ask(b, c, fd, a);
}

static void test_A6_run(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	char text[256];
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	bench_open(&b);
	c = bench_client(&b, 0);
	b.fake.create_state = LATCH_ESTABLISHED;
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_TOKEN, 0), 7);
	CU_ASSERT_STRING_EQUAL(b.fake.grouped.peer, "peer.example");
	/* One that waits, stands, and counts among what the user has. */
	b.fake.create_state = LATCH_LARVAL;
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_NUM_CODES);
	fake_app_state(&b.fake, 2, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_TRUE(a.msg.verb == APP_RUN && a.msg.code == APP_OK);
	/* One that fails, with its reason. */
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_NUM_CODES);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_FULL);
	fake_app_state(&b.fake, 3, LATCH_CLOSED, IKE_REASON_AUTH_FAILED_LOCAL, "a wrong key");
	CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_FAILED);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&a.msg.attrs, APP_A_TEXT, text, sizeof(text)),
			       "a wrong key");
	/* One that is not there in time goes; what comes after that is for nobody. */
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_NUM_CODES);
	b.fake.now_ns += 50 * NS_PER_MS;
	app_server_run(b.server, b.fake.now_ns);
	CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_TIMEOUT);
	CU_ASSERT_PTR_NULL(fake_app_latch(&b.fake, 4));
	CU_ASSERT_EQUAL(b.fake.num_latches, 2);
	b.fake.create_result = ERR_NOT_FOUND;
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_NOT_FOUND);
	app_client_close(c);
	close(fd);
	bench_close(&b);
}

/* What outlives its client is in the user's quota until it ends. */
static void test_A6_run_is_left(void)
{
	struct app_client *c;
	struct answer a;
	struct bench b;
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	bench_open(&b);
	b.fake.create_state = LATCH_ESTABLISHED;
	b.fake.populated = true;
	for (int i = 0; i < 3; i++) {
		c = bench_client(&b, 0);
		CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_OK);
		app_client_close(c);
	}
	c = bench_client(&b, 0);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_FULL);
	fake_app_state(&b.fake, 1, LATCH_CLOSED, IKE_REASON_LOCAL, "");
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_FULL);
	b.fake.populated = false;
	app_client_close(c); /* the one that it had goes with it */
	c = bench_client(&b, 0);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_FULL);
	app_client_close(c);
	close(fd);
	bench_close(&b);
}

/* The directory is the user's own, or he is root; and it is one. */
static void test_E6_group_of_another(void)
{
	char place[] = "/tmp/lk-run-XXXXXX";
	struct bench b;
	struct app_client *c, *owner;
	struct answer a;
	int fd, no_group = bench_udp(9);

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(place));
	fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bench_open(&b);
	b.fake.create_state = LATCH_ESTABLISHED;
	c = bench_client(&b, getuid() == PLAIN ? OTHER : PLAIN);
	owner = bench_client(&b, getuid());
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_PERM);
	CU_ASSERT_EQUAL(b.fake.num_latches, 0);
	CU_ASSERT_EQUAL(run_in(&b, c, no_group, &a), APP_INVAL);
	CU_ASSERT_EQUAL(run_in(&b, c, -1, &a), APP_INVAL);
	CU_ASSERT_EQUAL(run_in(&b, owner, fd, &a), APP_OK);
	app_client_close(c);
	app_client_close(owner);
	close(fd);
	close(no_group);
	rmdir(place);
	bench_close(&b);
}

static void test_require_times_out(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = bench_udp(9);

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	CU_ASSERT_EQUAL(require(&b, c, fd, 50, &a), APP_NUM_CODES);
	b.fake.now_ns += 49 * NS_PER_MS;
	app_server_run(b.server, b.fake.now_ns);
	CU_ASSERT_TRUE(bench_silent(c));
	b.fake.now_ns += NS_PER_MS;
	app_server_run(b.server, b.fake.now_ns);
	CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_TIMEOUT);
	/* What comes later is for nobody; a second one waits for the same latch. */
	CU_ASSERT_EQUAL(require(&b, c, fd, 50, &a), APP_NUM_CODES);
	CU_ASSERT_EQUAL(b.fake.num_latches, 1);
	fake_app_state(&b.fake, 1, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	CU_ASSERT_TRUE(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_TRUE(bench_silent(c));
	/* Another demand for the same flow is refused. */
	bench_begin(&b, APP_REQUIRE);
	app_put_text(&b.w, APP_A_PEER, "somebody.else");
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_EXISTS);
	app_client_close(c);
	close(fd);
	bench_close(&b);
}

/* A client that goes while it waits leaves no wait behind. */
static void test_A8_client_gone(void)
{
	struct bench b;
	struct app_client *c, *again;
	struct answer a;
	int fd = bench_udp(9), kept = bench_udp(9);
	uint64_t number, id;

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	CU_ASSERT_EQUAL(require(&b, c, fd, 1000, &a), APP_NUM_CODES);
	id = bench_latch(&b, c, kept, true);
	number = b.fake.created.client;
	app_client_close(c);
	CU_ASSERT_EQUAL(b.fake.gone, number);
	CU_ASSERT_EQUAL(app_server_deadline(b.server), TIME_NEVER);
	fake_app_state(&b.fake, id, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	/* Who comes after is another client, and finds what was kept by its socket. */
	again = bench_client(&b, PLAIN);
	bench_begin(&b, APP_LATCH_INQUIRE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	CU_ASSERT_EQUAL(bench_ask(&b, again, -1, &a), APP_NOT_FOUND);
	bench_begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(bench_ask(&b, again, -1, &a), APP_OK);
	bench_begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(bench_ask(&b, again, kept, &a), APP_OK);
	bench_begin(&b, APP_LATCH_INQUIRE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	CU_ASSERT_EQUAL(bench_ask(&b, again, -1, &a), APP_OK);
	fake_app_state(&b.fake, id, LATCH_BROKEN, IKE_REASON_NO_ANSWER, "");
	CU_ASSERT_TRUE(bench_take(again, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.verb, APP_EV_LATCH);
	app_client_close(again);
	close(fd);
	close(kept);
	bench_close(&b);
}

static void test_A17_reauthenticate(void)
{
	static const uint8_t method[] = {APP_METHOD_PKIX_INLINE};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = bench_udp(9);
	uint64_t id, next;

	bench_open(&b);
	c = bench_client(&b, INTERACTS);
	id = bench_latch(&b, c, fd, false);
	bench_begin(&b, APP_REAUTHENTICATE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of(method, 1));
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	next = answer_u64(&a, APP_A_LATCH);
	CU_ASSERT_NOT_EQUAL(next, id);
	CU_ASSERT_EQUAL(b.fake.reauthenticated.methods[0], AUTH_METHOD_PKIX_INLINE);
	bench_begin(&b, APP_LATCH_INQUIRE);
	app_put_u64(&b.w, APP_A_LATCH, next);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	/* Monotone here too. */
	bench_begin(&b, APP_REAUTHENTICATE);
	app_put_u64(&b.w, APP_A_LATCH, next);
	app_put_u32(&b.w, APP_A_PRIVACY, APP_ASK_NO);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_PERM);
	app_client_close(c);
	close(fd);
	bench_close(&b);
}

/* E22: who only bound a port of TCP has nothing: another may listen there. */
static void test_E22_bound_is_not_listening(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	for (int listens = 0; listens < 2; listens++) {
		if (listens)
			CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
		bench_begin(&b, APP_LATCH_CREATE);
		app_put_bool(&b.w, APP_A_LISTENER, true);
		CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), listens ? APP_OK : APP_BAD_STATE);
	}
	app_client_close(c);
	close(fd);
	bench_close(&b);
}

static void test_listener(void)
{
	struct flow flow = {.remote_port = 77};
	struct bench b;
	struct app_client *c, *other;
	struct answer a;
	int fd = bench_udp(0), connected = bench_udp(9), loose = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t id, spawned;

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	other = bench_client(&b, OTHER);
	for (int i = 0; i < 3; i++) {
		const int fds[] = {connected, loose, fd};

		bench_begin(&b, APP_LATCH_CREATE);
		app_put_bool(&b.w, APP_A_LISTENER, true);
		CU_ASSERT_EQUAL(bench_ask(&b, c, fds[i], &a), i == 2 ? APP_OK : APP_BAD_STATE);
	}
	id = answer_u64(&a, APP_A_LATCH);
	CU_ASSERT_TRUE(b.fake.created.listener);
	bench_begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	bench_begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(bench_ask(&b, other, -1, &a), APP_OK);
	spawned = fake_app_spawn(&b.fake, id, &flow);
	CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.verb, APP_EV_SPAWNED);
	CU_ASSERT_EQUAL(answer_u64(&a, APP_A_PARENT), id);
	CU_ASSERT_TRUE(bench_silent(other));
	bench_begin(&b, APP_LATCH_INQUIRE);
	app_put_u64(&b.w, APP_A_LATCH, spawned);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	app_client_close(c);
	app_client_close(other);
	close(fd);
	close(connected);
	close(loose);
	bench_close(&b);
}

/* A16: who is asked decides, once; nobody else, and no answer is a no. */
static void test_A16_decide(void)
{
	struct bench b;
	struct app_client *c, *other, *plain;
	struct app_attrs in;
	struct answer a;
	char text[264];
	int fd = bench_udp(9), two = bench_udp(9);
	uint64_t id, of_plain;

	bench_open(&b);
	c = bench_client(&b, INTERACTS);
	other = bench_client(&b, 0);
	plain = bench_client(&b, PLAIN);
	id = bench_latch(&b, c, fd, false);
	of_plain = bench_latch(&b, plain, two, false);
	fake_app_ask(&b.fake, id, 10); /* it does not listen */
	CU_ASSERT_EQUAL(b.fake.decided, 10);
	CU_ASSERT_FALSE(b.fake.accepted);
	bench_begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	bench_begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(bench_ask(&b, plain, -1, &a), APP_OK);
	fake_app_ask(&b.fake, of_plain, 11); /* it may not */
	CU_ASSERT_EQUAL(b.fake.decided, 11);
	CU_ASSERT_TRUE(bench_silent(plain));
	fake_app_ask(&b.fake, id, 12);
	CU_ASSERT_EQUAL(b.fake.num_decided, 2);
	CU_ASSERT_TRUE_FATAL(bench_take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.verb, APP_EV_ASK);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_TIMEOUT_MS, 0), 5000);
	CU_ASSERT_EQUAL_FATAL(app_attr_inside(&a.msg.attrs, APP_A_CLASS, &in), ERR_OK);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&in, APP_A_PEER, text, sizeof(text)), "peer.example");
	for (int i = 0; i < 3; i++) {
		bench_begin(&b, APP_DECIDE);
		app_put_u64(&b.w, APP_A_ASK, 12);
		app_put_bool(&b.w, APP_A_ACCEPT, true);
		CU_ASSERT_EQUAL(bench_ask(&b, i ? c : other, -1, &a),
				i == 1 ? APP_OK : APP_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(b.fake.decided, 12);
	CU_ASSERT_TRUE(b.fake.accepted);
	CU_ASSERT_EQUAL(b.fake.num_decided, 3);
	app_client_close(c);
	app_client_close(other);
	app_client_close(plain);
	close(fd);
	close(two);
	bench_close(&b);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_E8_by_the_socket),
	TAP_TEST(test_E9_claims),
	TAP_TEST(test_E23_connected_anew),
	TAP_TEST(test_E10_demand_of_a_latch),
	TAP_TEST(test_E11_demand_of_a_socket),
	TAP_TEST(test_E12_denials_are_logged),
	TAP_TEST(test_E13_configured_anew),
	TAP_TEST(test_B7_require),
	TAP_TEST(test_B7_require_at_once),
	TAP_TEST(test_A6_run),
	TAP_TEST(test_A6_run_is_left),
	TAP_TEST(test_E6_group_of_another),
	TAP_TEST(test_require_times_out),
	TAP_TEST(test_A8_client_gone),
	TAP_TEST(test_A17_reauthenticate),
	TAP_TEST(test_listener),
	TAP_TEST(test_E22_bound_is_not_listening),
	TAP_TEST(test_A16_decide),
};

TAP_MAIN("app_latches", tests)
