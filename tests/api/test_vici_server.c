/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The management server byte by byte: packets in pieces, commands that wait, events, clients that
 * are slow, hostile or gone.
 */
#include "api/vici/proto.h"
#include "api/vici/server.h"
#include "base/alloc.h"
#include "tests/api/fake_backend.h"
#include "tests/tap/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* struct bench - a server with one client. */
struct bench {
	struct fake_backend fake;
	struct vici_server *server;
	struct vici_client *client;
	uint32_t num_wakes;
};

static void wake(void *ctx)
{
	((struct bench *)ctx)->num_wakes++;
}

static void set_up(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	fake_init(&b->fake);
	CU_ASSERT_EQUAL_FATAL(vici_server_new(&b->server, &b->fake.backend), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(vici_client_open(b->server, &b->client, wake, b), ERR_OK);
}

static void tear_down(struct bench *b)
{
	if (b->client)
		vici_client_close(b->client);
	vici_server_free(b->server);
	fake_fini(&b->fake);
}

static enum err submit(struct bench *b, enum vici_type type, const char *name, struct tree *message)
{
	uint8_t *packet;
	size_t len;
	enum err e;

	CU_ASSERT_EQUAL_FATAL(vici_packet_encode(&packet, &len, type, name, message), ERR_OK);
	e = vici_client_input(b->client, packet, len);
	mem_free(packet);
	tree_free(message);
	return e;
}

/* The next packet that waits; message is NULL if it has none. False if nothing waits. */
static bool receive(struct bench *b, struct vici_packet *p, struct tree **message)
{
	struct bytes out = vici_client_output(b->client);
	size_t len;

	*message = NULL;
	if (out.len < VICI_LEN_SIZE)
		return false;
	len = load_be32(out.p);
	CU_ASSERT_TRUE_FATAL(out.len >= VICI_LEN_SIZE + len);
	CU_ASSERT_EQUAL_FATAL(vici_packet_parse(p, out.p + VICI_LEN_SIZE, len), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(vici_message_decode(message, p->body), ERR_OK);
	vici_client_sent(b->client, VICI_LEN_SIZE + len);
	return true;
}

/* Takes the next packet, which has to be of this type; the message is the caller's to free. */
static struct tree *expect(struct bench *b, enum vici_type type, const char *name)
{
	struct vici_packet p = {.type = 99};
	struct tree *message;

	CU_ASSERT_TRUE_FATAL(receive(b, &p, &message));
	if (p.type != type)
		tap_diag("packet type %d instead of %d", (int)p.type, (int)type);
	CU_ASSERT_EQUAL(p.type, type);
	CU_ASSERT_STRING_EQUAL(p.name, name);
	return message;
}

static void expect_silence(struct bench *b)
{
	CU_ASSERT_EQUAL(vici_client_output(b->client).len, 0);
}

static bool says(const struct tree *t, const char *key, const char *value)
{
	const char *got = tree_get(t, key);

	if (got && strcmp(got, value) == 0)
		return true;
	tap_diag("%s = %s instead of %s", key, got ? got : "(nothing)", value);
	return false;
}

static struct tree *message(const char *key, const char *value)
{
	struct tree *t = tree_new();

	CU_ASSERT_EQUAL_FATAL(tree_setf(t, key, "%s", value), ERR_OK);
	return t;
}

static void listen_to(struct bench *b, const char *event)
{
	CU_ASSERT_EQUAL(submit(b, VICI_EVENT_REGISTER, event, NULL), ERR_OK);
	tree_free(expect(b, VICI_EVENT_CONFIRM, ""));
}

static void tell(struct bench *b, enum ike_event_kind kind, enum ike_reason reason,
		 const char *text)
{
	struct ike_event ev = fake_event(&b->fake, kind, reason, text);

	vici_server_event(b->server, &ev);
}

static const char conf[] = "connections { gw { remote_addrs = 192.0.2.2\n"
			   "local { auth = psk\n}\nremote { auth = psk\n}\n"
			   "children { net { start_action = trap\n} } } }\n";

static void test_in_pieces(void)
{
	static const uint8_t packet[] = {0, 0, 0, 9, 0, 7, 'v', 'e', 'r', 's', 'i', 'o', 'n'};
	struct bench b;
	struct tree *t;

	set_up(&b);
	for (size_t i = 0; i < sizeof(packet); i++) {
		expect_silence(&b);
		CU_ASSERT_EQUAL(vici_client_input(b.client, packet + i, 1), ERR_OK);
	}
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "daemon", "latchkeyd"));
	tree_free(t);
	CU_ASSERT_EQUAL(b.num_wakes, 0);
	tear_down(&b);
}

static void test_unknown(void)
{
	struct bench b;

	set_up(&b);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "nonsense", NULL), ERR_OK);
	tree_free(expect(&b, VICI_CMD_UNKNOWN, ""));
	CU_ASSERT_EQUAL(submit(&b, VICI_EVENT_REGISTER, "nonsense", NULL), ERR_OK);
	tree_free(expect(&b, VICI_EVENT_UNKNOWN, ""));
	CU_ASSERT_EQUAL(submit(&b, VICI_EVENT_UNREGISTER, "log", NULL), ERR_OK);
	tree_free(expect(&b, VICI_EVENT_CONFIRM, ""));
	tear_down(&b);
}

/* Input that ends the connection: too long, of a type only servers send, not decodable. */
static void test_S61_hostile(void)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
		enum err err;
	} rows[] = {
		{{0xff, 0xff, 0xff, 0xff}, 4, ERR_LIMIT},
		{{0, 8, 0, 1}, 4, ERR_LIMIT},
		{{0, 0, 0, 0}, 4, ERR_TRUNCATED},
		{{0, 0, 0, 1, 9}, 5, ERR_MALFORMED},
		{{0, 0, 0, 1, 1}, 5, ERR_MALFORMED},
		{{0, 0, 0, 1, 5}, 5, ERR_MALFORMED},
		{{0, 0, 0, 5, 7, 3, 'l', 'o', 'g'}, 9, ERR_MALFORMED},
		{{0, 0, 0, 8, 0, 5, 's', 't', 'a', 't', 's', 9}, 12, ERR_MALFORMED},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bench b;
		enum err e;

		set_up(&b);
		e = vici_client_input(b.client, rows[i].bytes, rows[i].len);
		if (e != rows[i].err)
			tap_diag("row %zu: %s", i, err_name(e));
		CU_ASSERT_EQUAL(e, rows[i].err);
		tear_down(&b);
	}
}

static void test_initiate_waits(void)
{
	struct bench b;
	struct tree *t;

	set_up(&b);
	fake_configure(&b.fake, conf);
	listen_to(&b, "control-log");
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "initiate", message("child", "net")), ERR_OK);
	expect_silence(&b);
	CU_ASSERT_STRING_EQUAL(b.fake.name, "net");
	tell(&b, IKE_EVENT_PROGRESS, 0, "step one");
	CU_ASSERT_EQUAL(b.num_wakes, 1);
	t = expect(&b, VICI_EVENT, "control-log");
	CU_ASSERT_TRUE(says(t, "msg", "step one"));
	tree_free(t);
	expect_silence(&b);
	tell(&b, IKE_EVENT_IKE_UP, 0, "");
	expect_silence(&b);
	tell(&b, IKE_EVENT_CHILD_UP, 0, "");
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "yes"));
	tree_free(t);
	/* It has ended: a late event is nobody's. */
	tell(&b, IKE_EVENT_FAILED, IKE_REASON_NO_ANSWER, "late");
	expect_silence(&b);
	tear_down(&b);
}

static void test_initiate_fails(void)
{
	struct bench b;
	struct tree *t;

	set_up(&b);
	fake_configure(&b.fake, conf);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "initiate", message("child", "net")), ERR_OK);
	tell(&b, IKE_EVENT_FAILED, IKE_REASON_TS_UNACCEPTABLE, "no selector in common");
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "no"));
	CU_ASSERT_TRUE(says(t, "errmsg", "no selector in common"));
	CU_ASSERT_TRUE(says(t, "latchkey-error", "PEER"));
	tree_free(t);
	b.fake.initiate_result = ERR_NOMEM;
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "initiate", message("child", "net")), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "errmsg", "out of memory"));
	tree_free(t);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "initiate", NULL), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "no"));
	tree_free(t);
	tear_down(&b);
}

/* Events that come while the backend is still being asked. */
static struct bench *in_request;

static void answer_at_once(struct fake_backend *f)
{
	(void)f;
	tell(in_request, IKE_EVENT_FAILED, IKE_REASON_NO_SECRET, "there is no key");
}

static void go_down_at_once(struct fake_backend *f)
{
	(void)f;
	tell(in_request, IKE_EVENT_IKE_DOWN, IKE_REASON_LOCAL, "");
}

static void test_answer_within_request(void)
{
	struct bench b;
	struct tree *t;

	set_up(&b);
	fake_configure(&b.fake, conf);
	in_request = &b;
	b.fake.on_request = answer_at_once;
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "initiate", message("child", "net")), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "errmsg", "there is no key"));
	tree_free(t);
	expect_silence(&b);
	b.fake.on_request = go_down_at_once;
	b.fake.sa_up = true;
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "terminate", message("ike", "gw")), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "yes"));
	CU_ASSERT_TRUE(says(t, "terminated", "1"));
	tree_free(t);
	expect_silence(&b);
	tear_down(&b);
}

/* The SA that is closed is not up yet: its end is a failure, told to whoever began it. */
static void test_terminate_early(void)
{
	struct bench b;
	struct ike_event ev;
	struct tree *t;

	set_up(&b);
	b.fake.sa_up = true;
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "terminate", message("ike", "gw")), ERR_OK);
	expect_silence(&b);
	ev = fake_event(&b.fake, IKE_EVENT_FAILED, IKE_REASON_LOCAL, "given up");
	ev.request = 0;
	ev.ike_id = 99;
	vici_server_event(b.server, &ev);
	expect_silence(&b);
	ev.ike_id = b.fake.sa.unique;
	vici_server_event(b.server, &ev);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "yes"));
	tree_free(t);
	tear_down(&b);
}

/* An IKE SA that was re-keyed before its end has another number then: the request tells whose it
 * is. */
static void test_terminate_renewed(void)
{
	struct bench b;
	struct ike_event ev;
	struct tree *t;

	set_up(&b);
	b.fake.sa_up = true;
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "terminate", message("ike", "gw")), ERR_OK);
	ev = fake_event(&b.fake, IKE_EVENT_IKE_DOWN, IKE_REASON_LOCAL, "closed as asked");
	ev.ike_id = b.fake.sa.unique + 1;
	ev.request++;
	vici_server_event(b.server, &ev);
	expect_silence(&b);
	ev.request--;
	vici_server_event(b.server, &ev);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "terminated", "1"));
	tree_free(t);
	tear_down(&b);
}

/* Children that go with their IKE SA have gone too; all of them have to. */
static void test_terminate_children(void)
{
	struct bench b;
	struct tree *t;

	set_up(&b);
	b.fake.sa_up = true;
	b.fake.num_extra_children = 4;
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "terminate", message("child", "net")), ERR_OK);
	tell(&b, IKE_EVENT_CHILD_DOWN, IKE_REASON_LOCAL, "");
	tell(&b, IKE_EVENT_CHILD_DOWN, IKE_REASON_LOCAL, "");
	expect_silence(&b);
	tell(&b, IKE_EVENT_IKE_DOWN, IKE_REASON_PEER_DELETE, "");
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "yes"));
	CU_ASSERT_TRUE(says(t, "terminated", "5"));
	tree_free(t);
	tear_down(&b);
}

static void test_timeout(void)
{
	struct bench b;
	struct tree *t = message("child", "net");

	set_up(&b);
	fake_configure(&b.fake, conf);
	CU_ASSERT_EQUAL(vici_server_deadline(b.server), TIME_NEVER);
	CU_ASSERT_EQUAL(tree_setf(t, "timeout", "1500"), ERR_OK);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "initiate", t), ERR_OK);
	CU_ASSERT_EQUAL(vici_server_deadline(b.server), b.fake.now_ns + 1500 * NS_PER_MS);
	vici_server_run(b.server, b.fake.now_ns + 1499 * NS_PER_MS);
	expect_silence(&b);
	vici_server_run(b.server, b.fake.now_ns + 1500 * NS_PER_MS);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "no"));
	CU_ASSERT_TRUE(says(t, "latchkey-error", "TIMEOUT"));
	tree_free(t);
	CU_ASSERT_EQUAL(vici_server_deadline(b.server), TIME_NEVER);
	/* A negative one does not wait at all. */
	t = message("child", "net");
	CU_ASSERT_EQUAL(tree_setf(t, "timeout", "-1"), ERR_OK);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "initiate", t), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "yes"));
	tree_free(t);
	tear_down(&b);
}

/* What a client sends while its command waits is taken up afterwards, in order. */
static void test_commands_queue_up(void)
{
	struct bench b;
	struct tree *t;

	set_up(&b);
	fake_configure(&b.fake, conf);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "initiate", message("child", "net")), ERR_OK);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "version", NULL), ERR_OK);
	expect_silence(&b);
	CU_ASSERT_EQUAL(vici_server_deadline(b.server), TIME_NEVER);
	tell(&b, IKE_EVENT_CHILD_UP, 0, "");
	CU_ASSERT_EQUAL(vici_server_deadline(b.server), 0);
	vici_server_run(b.server, b.fake.now_ns);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "yes"));
	tree_free(t);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "daemon", "latchkeyd"));
	tree_free(t);
	tear_down(&b);
}

/* A client that goes away while its command waits leaves nothing behind that an event could touch.
 */
static void test_client_leaves(void)
{
	struct bench b;

	set_up(&b);
	fake_configure(&b.fake, conf);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "initiate", message("child", "net")), ERR_OK);
	vici_client_close(b.client);
	b.client = NULL;
	CU_ASSERT_EQUAL(vici_server_deadline(b.server), TIME_NEVER);
	tell(&b, IKE_EVENT_CHILD_UP, 0, "");
	tear_down(&b);
}

/* S63: whoever does not read is cut off, and costs others nothing. */
static void test_S63_slow_client(void)
{
	struct vici_client *other;
	struct bench b;
	char line[900];
	uint32_t n = 0;

	set_up(&b);
	CU_ASSERT_EQUAL(vici_client_open(b.server, &other, wake, &b), ERR_OK);
	listen_to(&b, "log");
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	for (; n < 20000 && !vici_client_doomed(b.client); n++)
		vici_server_log(b.server, LOG_INFO, LOG_IKE, "gw", line);
	CU_ASSERT_TRUE(n > 1000 && n < 10000);
	CU_ASSERT_TRUE(vici_client_doomed(b.client));
	CU_ASSERT_TRUE(vici_client_output(b.client).len <= VICI_QUEUE_MAX);
	CU_ASSERT_FALSE(vici_client_doomed(other));
	CU_ASSERT_EQUAL(vici_client_output(other).len, 0);
	vici_client_close(other);
	tear_down(&b);
}

static void test_too_many_clients(void)
{
	struct vici_client *clients[VICI_CLIENTS_MAX];
	struct bench b;
	size_t n = 0;

	set_up(&b);
	while (n < VICI_CLIENTS_MAX && !vici_client_open(b.server, &clients[n], wake, &b))
		n++;
	CU_ASSERT_EQUAL(n, VICI_CLIENTS_MAX - 1);
	while (n > 0)
		vici_client_close(clients[--n]);
	tear_down(&b);
}

static void test_log(void)
{
	struct bench b;
	struct tree *t;

	set_up(&b);
	vici_server_log(b.server, LOG_INFO, LOG_IKE, "gw", "before");
	expect_silence(&b);
	listen_to(&b, "log");
	vici_server_log(b.server, LOG_DEBUG, LOG_CHD, "gw", "a line");
	t = expect(&b, VICI_EVENT, "log");
	CU_ASSERT_TRUE(says(t, "group", "CHD"));
	CU_ASSERT_TRUE(says(t, "level", "2"));
	CU_ASSERT_TRUE(says(t, "ikesa-name", "gw"));
	CU_ASSERT_TRUE(says(t, "msg", "a line"));
	tree_free(t);
	tear_down(&b);
}

static void test_updown(void)
{
	const struct tree *sa, *children;
	struct bench b;
	struct tree *t;

	set_up(&b);
	listen_to(&b, "ike-updown");
	listen_to(&b, "child-updown");
	b.fake.sa_up = true;
	snprintf(b.fake.name, sizeof(b.fake.name), "net");
	b.fake.sa.paths = b.fake.sa.paths_decides = true;
	tell(&b, IKE_EVENT_IKE_UP, 0, "");
	t = expect(&b, VICI_EVENT, "ike-updown");
	CU_ASSERT_TRUE(says(t, "up", "yes"));
	sa = tree_child(t, "gw");
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	CU_ASSERT_TRUE(says(sa, "remote-host", "192.0.2.2"));
	CU_ASSERT_TRUE(says(sa, "multiple-interfaces", "decides"));
	CU_ASSERT_PTR_NULL(tree_child(sa, "child-sas"));
	tree_free(t);
	b.fake.sa.paths = false;
	tell(&b, IKE_EVENT_CHILD_UP, 0, "");
	t = expect(&b, VICI_EVENT, "child-updown");
	sa = tree_child(t, "gw");
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	children = tree_child(sa, "child-sas");
	CU_ASSERT_PTR_NOT_NULL_FATAL(children);
	CU_ASSERT_PTR_NOT_NULL(tree_child(children, "net-5"));
	CU_ASSERT_PTR_NULL(tree_get(sa, "multiple-interfaces"));
	tree_free(t);
	b.fake.sa_up = false;
	tell(&b, IKE_EVENT_IKE_DOWN, IKE_REASON_PEER_DELETE, "");
	t = expect(&b, VICI_EVENT, "ike-updown");
	CU_ASSERT_PTR_NULL(tree_get(t, "up"));
	CU_ASSERT_TRUE(says(tree_child(t, "gw"), "uniqueid", "3"));
	tree_free(t);
	tear_down(&b);
}

static void test_rekeyed(void)
{
	const struct tree *sa, *child;
	struct bench b;
	struct tree *t;

	set_up(&b);
	listen_to(&b, "ike-rekey");
	listen_to(&b, "child-rekey");
	b.fake.sa_up = true;
	tell(&b, IKE_EVENT_IKE_REKEYED, 0, "");
	t = expect(&b, VICI_EVENT, "ike-rekey");
	sa = tree_child(t, "gw");
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	CU_ASSERT_PTR_NOT_NULL_FATAL(tree_child(sa, "new"));
	CU_ASSERT_TRUE(says(tree_child(sa, "new"), "uniqueid", "3"));
	tree_free(t);
	snprintf(b.fake.name, sizeof(b.fake.name), "net");
	tell(&b, IKE_EVENT_CHILD_REKEYED, 0, "");
	t = expect(&b, VICI_EVENT, "child-rekey");
	sa = tree_child(t, "gw");
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	CU_ASSERT_TRUE(says(sa, "uniqueid", "3"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(tree_child(sa, "child-sas"));
	child = tree_child(tree_child(sa, "child-sas"), "net");
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_PTR_NOT_NULL_FATAL(tree_child(child, "new"));
	CU_ASSERT_TRUE(says(tree_child(child, "new"), "uniqueid", "5"));
	tree_free(t);
	tear_down(&b);
}

/* An SA with more children than fit one packet comes in several events, all of them once. */
static void test_many_children(void)
{
	struct vici_packet p;
	struct bench b;
	struct tree *t;
	size_t children = 0, events = 0;

	set_up(&b);
	listen_to(&b, "list-sa");
	b.fake.sa_up = true;
	b.fake.num_extra_children = 2000;
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "list-sas", NULL), ERR_OK);
	while (receive(&b, &p, &t) && p.type == VICI_EVENT) {
		const struct tree *list = tree_child(tree_child(t, "gw"), "child-sas");

		events++;
		list_for_each (n, &list->children)
			children++;
		tree_free(t);
	}
	tree_free(t);
	CU_ASSERT_EQUAL(children, 2001);
	CU_ASSERT_TRUE(events > 1);
	tear_down(&b);
}

static struct tree *connection(const char *name, const char *auth)
{
	struct tree *t = tree_new(), *conn, *side, *list;

	if (tree_section(t, &conn, name) || tree_list(conn, &list, "remote_addrs") ||
	    tree_append(list, "192.0.2.2", 9) || tree_section(conn, &side, "local") ||
	    tree_setf(side, "auth", "%s", auth) || tree_section(conn, &side, "remote") ||
	    tree_setf(side, "auth", "psk"))
		abort();
	return t;
}

static void test_load_conn(void)
{
	struct bench b;
	struct tree *t;

	set_up(&b);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "load-conn", connection("a", "psk")), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "yes"));
	tree_free(t);
	CU_ASSERT_EQUAL(b.fake.num_configured, 1);
	CU_ASSERT_PTR_NOT_NULL(conf_find_conn(b.fake.conf, "a"));

	/* What cannot be put in force leaves everything as it was, and says why. */
	b.fake.configure_result = ERR_SYS;
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "load-conn", connection("b", "psk")), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "errmsg", "the device is gone"));
	tree_free(t);
	CU_ASSERT_PTR_NULL(conf_find_conn(b.fake.conf, "b"));
	b.fake.configure_result = ERR_OK;

	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "load-conn", NULL), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "no"));
	tree_free(t);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "unload-conn", message("name", "x")), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "latchkey-error", "NOT_FOUND"));
	tree_free(t);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "unload-conn", message("name", "a")), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "yes"));
	tree_free(t);
	CU_ASSERT_EQUAL(b.fake.conf->num_conns, 0);
	tear_down(&b);
}

/* A secret may hold any bytes; types that are not supported are refused by name. */
static void test_load_shared(void)
{
	static const uint8_t key[] = {0, 1, 2, 0xff, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
	struct tree *t = message("type", "IKE"), *list;
	struct bench b;

	set_up(&b);
	CU_ASSERT_EQUAL(tree_setf(t, "id", "ike-1"), ERR_OK);
	CU_ASSERT_EQUAL(tree_set(t, "data", key, sizeof(key)), ERR_OK);
	CU_ASSERT_EQUAL(tree_list(t, &list, "owners"), ERR_OK);
	CU_ASSERT_EQUAL(tree_append(list, "sun.example.org", 15), ERR_OK);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "load-shared", t), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "success", "yes"));
	tree_free(t);
	CU_ASSERT_EQUAL_FATAL(b.fake.conf->num_secrets, 1);
	CU_ASSERT_TRUE(secret_equal(b.fake.conf->secrets[0]->value.p,
				    b.fake.conf->secrets[0]->value.len, key, sizeof(key)));
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "get-shared", NULL), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_PTR_NOT_NULL(tree_child(t, "keys"));
	tree_free(t);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "load-shared", message("type", "XAUTH")),
			ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "latchkey-error", "UNSUPPORTED"));
	tree_free(t);
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "clear-creds", NULL), ERR_OK);
	tree_free(expect(&b, VICI_CMD_RESPONSE, ""));
	CU_ASSERT_EQUAL(b.fake.conf->num_secrets, 0);
	tear_down(&b);
}

/* What there is not yet is refused in words, and so is what lacks its data: nothing is swallowed.
 */
static void test_refused_credentials(void)
{
	static const struct {
		const char *command, *words;
	} rows[] = {
		{"load-token", "has no 'handle'"}, {"load-pool", "one pool was expected"},
		{"install", "not supported yet"},  {"load-cert", "not supported"},
		{"load-key", "'data' is missing"}, {"load-authority", "one authority was expected"},
		{"unload-key", "not a key's id"},  {"unload-authority", "'name' is missing"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bench b;
		struct tree *t;

		set_up(&b);
		CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, rows[i].command, NULL), ERR_OK);
		t = expect(&b, VICI_CMD_RESPONSE, "");
		CU_ASSERT_TRUE(says(t, "success", "no"));
		CU_ASSERT_PTR_NOT_NULL(strstr(tree_get(t, "errmsg"), rows[i].words));
		tree_free(t);
		tear_down(&b);
	}
}

/* A list that nobody listens to is not even made (S63). */
static void test_lists_cost_nothing_without_a_listener(void)
{
	static const char *const lists[] = {"list-sas", "latchkey-show"};
	struct vici_packet p;
	struct tree *t = NULL;
	struct bench b;

	set_up(&b);
	b.fake.sa_up = true;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, lists[i], NULL), ERR_OK);
		CU_ASSERT(receive(&b, &p, &t) && p.type == VICI_CMD_RESPONSE);
		tree_free(t);
	}
	CU_ASSERT_EQUAL(b.fake.num_walks, 0);
	tear_down(&b);
}

/* Each kind of policy comes to who asks for it, and to nobody else. */
static void test_list_policies(void)
{
	static const char *const kinds[][2] = {
		{"trap", "gw/net"}, {"pass", "gw/open"}, {"drop", "gw/shut"}};
	struct bench b;

	set_up(&b);
	fake_configure(&b.fake, "connections { gw { remote_addrs = 192.0.2.2\n"
				"local { auth = psk\n}\nremote { auth = psk\n}\n"
				"children { net { start_action = trap\n}\n"
				"later { start_action = none\n}\n"
				"open { mode = pass\n start_action = trap\n}\n"
				"shut { mode = drop\n start_action = trap\n} } } }");
	listen_to(&b, "list-policy");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct tree *in = message(kinds[i][0], "yes"), *t;

		CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "list-policies", in), ERR_OK);
		t = expect(&b, VICI_EVENT, "list-policy");
		CU_ASSERT_PTR_NOT_NULL(tree_child(t, kinds[i][1]));
		tree_free(t);
		tree_free(expect(&b, VICI_CMD_RESPONSE, ""));
		expect_silence(&b);
	}
	tear_down(&b);
}

static size_t list_count(const struct tree *list)
{
	size_t num = 0;

	CU_ASSERT_FATAL(list && list->kind == TREE_LIST);
	tree_for_each (item, list)
		num += item->value_len > 0;
	return num;
}

static void test_load_and_check(void)
{
	static const char *const commands[] = {"latchkey-load", "latchkey-check"};
	struct bench b;
	struct tree *t;

	set_up(&b);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		b.fake.load_result = ERR_OK;
		CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, commands[i], NULL), ERR_OK);
		t = expect(&b, VICI_CMD_RESPONSE, "");
		CU_ASSERT_TRUE(says(t, "success", "yes"));
		CU_ASSERT_EQUAL(list_count(tree_child(t, "errors")), 0);
		CU_ASSERT_EQUAL(list_count(tree_child(t, "warnings")), 1);
		tree_free(t);
		b.fake.load_result = ERR_CONFIG;
		CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, commands[i], NULL), ERR_OK);
		t = expect(&b, VICI_CMD_RESPONSE, "");
		CU_ASSERT_TRUE(says(t, "success", "no"));
		CU_ASSERT_EQUAL(list_count(tree_child(t, "errors")), 1);
		CU_ASSERT_EQUAL(list_count(tree_child(t, "warnings")), 0);
		tree_free(t);
	}
	tear_down(&b);
}

static struct tree *path_message(const char *act)
{
	struct tree *t = tree_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL_FATAL(tree_setf(t, "act", "%s", act), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(tree_setf(t, "name", "gw"), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(tree_setf(t, "path", "2"), ERR_OK);
	return t;
}

static void answer(struct bench *b, uint64_t request, const char *text)
{
	struct engine_path_event ev = fake_answer(&b->fake, text);

	ev.request = request;
	vici_server_path_event(b->server, &ev);
}

/* The answer is the peer's, to this request. */
static void test_path_waits(void)
{
	struct bench b;
	struct tree *t;

	set_up(&b);
	for (int refuses = 0; refuses < 2; refuses++) {
		CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "latchkey-path", path_message("soft")),
				ERR_OK);
		CU_ASSERT(b.fake.request >= 1ull << 63); /* never the engine's own */
		CU_ASSERT_EQUAL(vici_client_output(b.client).len, 0);
		answer(&b, b.fake.request + 1, NULL);
		answer(&b, 0, "it is not meant");
		CU_ASSERT_EQUAL(vici_client_output(b.client).len, 0);
		answer(&b, b.fake.request, refuses ? "it is full" : NULL);
		t = expect(&b, VICI_CMD_RESPONSE, "");
		CU_ASSERT_TRUE(says(t, "success", refuses ? "no" : "yes"));
		CU_ASSERT_TRUE(says(t, "matches", "1"));
		CU_ASSERT_TRUE(says(t, "path", "2"));
		if (refuses)
			CU_ASSERT_TRUE(says(t, "latchkey-error", "PEER"));
		tree_free(t);
	}
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "latchkey-path", path_message("bend")),
			ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	CU_ASSERT_TRUE(says(t, "errmsg", "`act` is not said as it has to be"));
	tree_free(t);
	tear_down(&b);
}

static void happens(struct bench *b, enum engine_path_news news, uint16_t id)
{
	const struct engine_path_event ev = {.news = news,
					     .conn = "gw",
					     .ike_id = 3,
					     .id = id,
					     .from = news == ENGINE_PATH_MOVED ? 1 : 0,
					     .addr = b->fake.sa.path,
					     .text = ""};

	vici_server_path_event(b->server, &ev);
}

/* What happens is told as it comes, and the last of it is remembered, and no more than that. */
static void test_path_events(void)
{
	struct bench b;
	const struct tree *events, *first, *last;
	uint32_t num = 0;
	struct tree *t;

	set_up(&b);
	listen_to(&b, "latchkey-path-event");
	happens(&b, ENGINE_PATH_MOVED, 2);
	t = expect(&b, VICI_EVENT, "latchkey-path-event");
	CU_ASSERT_TRUE(says(t, "event", "moved") && says(t, "connection", "gw"));
	CU_ASSERT_TRUE(says(t, "number", "2") && says(t, "from", "1"));
	CU_ASSERT_TRUE(says(t, "local", "192.0.2.1[4500]"));
	tree_free(t);
	answer(&b, 0, NULL);
	answer(&b, 0, "it is full");
	CU_ASSERT_EQUAL(vici_client_output(b.client).len, 0);
	for (uint16_t i = 0; i < 40; i++) {
		happens(&b, ENGINE_PATH_LOST, (uint16_t)(i + 10));
		tree_free(expect(&b, VICI_EVENT, "latchkey-path-event"));
	}
	CU_ASSERT_EQUAL(submit(&b, VICI_CMD_REQUEST, "latchkey-paths", NULL), ERR_OK);
	t = expect(&b, VICI_CMD_RESPONSE, "");
	events = tree_child(t, "events");
	CU_ASSERT_PTR_NOT_NULL_FATAL(events);
	first = list_entry(events->children.next, struct tree, node);
	last = list_entry(events->children.prev, struct tree, node);
	tree_for_each (ev, events)
		num += ev->kind == TREE_SECTION;
	CU_ASSERT_EQUAL(num, 32);
	CU_ASSERT_TRUE(says(first, "number", "18") && says(last, "number", "49"));
	CU_ASSERT_TRUE(says(last, "event", "lost"));
	tree_free(t);
	tear_down(&b);
}

/* Every allocation fails once in turn while a list is made: an error or an answer, never a crash.
 * Returns how many allocations there are. */
static uint64_t starve(const char *command)
{
	uint8_t *packet;
	size_t len;
	uint64_t n = 0;
	bool done = false;

	CU_ASSERT_EQUAL_FATAL(vici_packet_encode(&packet, &len, VICI_CMD_REQUEST, command, NULL),
			      ERR_OK);
	while (!done && n < 2000) {
		struct bench b;
		enum err e;

		set_up(&b);
		fake_configure(&b.fake, conf);
		listen_to(&b, "latchkey-conn");
		listen_to(&b, "latchkey-sa");
		listen_to(&b, "latchkey-path");
		b.fake.sa_up = true;
		fake_agree(&b.fake);
		alloc_fail_nth(++n);
		e = vici_client_input(b.client, packet, len);
		alloc_fail_nth(0);
		CU_ASSERT_TRUE(e == ERR_OK || e == ERR_NOMEM);
		done = !e && !vici_client_doomed(b.client);
		tear_down(&b);
	}
	mem_free(packet);
	CU_ASSERT_TRUE(done);
	return n;
}

static void test_out_of_memory(void)
{
	CU_ASSERT_TRUE(starve("latchkey-show") > 50);
	CU_ASSERT_TRUE(starve("latchkey-paths") > 20);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_in_pieces),
	TAP_TEST(test_unknown),
	TAP_TEST(test_S61_hostile),
	TAP_TEST(test_initiate_waits),
	TAP_TEST(test_initiate_fails),
	TAP_TEST(test_answer_within_request),
	TAP_TEST(test_terminate_early),
	TAP_TEST(test_terminate_renewed),
	TAP_TEST(test_terminate_children),
	TAP_TEST(test_timeout),
	TAP_TEST(test_commands_queue_up),
	TAP_TEST(test_client_leaves),
	TAP_TEST(test_S63_slow_client),
	TAP_TEST(test_too_many_clients),
	TAP_TEST(test_log),
	TAP_TEST(test_updown),
	TAP_TEST(test_rekeyed),
	TAP_TEST(test_many_children),
	TAP_TEST(test_load_conn),
	TAP_TEST(test_load_shared),
	TAP_TEST(test_refused_credentials),
	TAP_TEST(test_lists_cost_nothing_without_a_listener),
	TAP_TEST(test_list_policies),
	TAP_TEST(test_load_and_check),
	TAP_TEST(test_path_waits),
	TAP_TEST(test_path_events),
	TAP_TEST(test_out_of_memory),
};
TAP_MAIN("vici_server", tests)
