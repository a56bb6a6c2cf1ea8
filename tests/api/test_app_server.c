/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application socket's server message by message, before a fake engine and with true sockets:
 * who may do what (section E), latches and waiting for them, events, quotas, clients that are slow,
 * hostile or gone.
 */
#include "api/app/proto.h"
#include "api/app/quota.h"
#include "api/app/server.h"
#include "base/alloc.h"
#include "base/log.h"
#include "tests/api/fake_app.h"
#include "tests/tap/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INTERACTS 1000
#define PLAIN     1001
#define OTHER     1002
#define READER    1003
#define SETTER    1004

/* struct bench - a server, and the message that is being written. */
struct bench {
	struct fake_app fake;
	struct conf_app conf;
	struct app_server *server;
	uint32_t num_wakes;
	uint32_t last_id;
	uint8_t bytes[APP_MESSAGE_MAX];
	struct writer w;
};

static void wake(void *ctx)
{
	((struct bench *)ctx)->num_wakes++;
}

static void on_event(void *ctx, const struct app_event *event)
{
	app_server_event(((struct bench *)ctx)->server, event);
}

static void set_up(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	fake_app_init(&b->fake);
	b->conf = (struct conf_app){
		.interact = {.uids = {INTERACTS}, .num_uids = 1},
		.configure = {.uids = {SETTER}, .num_uids = 1},
		.read_all = {.uids = {READER}, .num_uids = 1},
		.clients_per_uid = 4,
		.latches_per_uid = 3,
		.requests_per_second = 1000,
		.queue_per_uid = 1u << 20,
	};
	CU_ASSERT_EQUAL_FATAL(app_server_new(&b->server, &b->fake.backend, &b->conf, 5), ERR_OK);
	b->fake.tell = on_event;
	b->fake.tell_ctx = b;
}

static void tear_down(struct bench *b)
{
	app_server_free(b->server);
	fake_app_fini(&b->fake);
}

static struct app_client *client(struct bench *b, uint32_t uid)
{
	struct app_peer peer = {.uid = uid, .gid = uid, .pid = 1};
	struct app_client *c = NULL;

	CU_ASSERT_EQUAL_FATAL(app_client_open(b->server, &c, &peer, wake, b), ERR_OK);
	return c;
}

static void begin(struct bench *b, uint16_t verb)
{
	writer_init(&b->w, b->bytes, sizeof(b->bytes));
	app_put_header(&b->w, verb, 0, 0, ++b->last_id);
}

/* Sends what was begun. */
static enum err submit(struct bench *b, struct app_client *c, int fd)
{
	struct bytes out;

	CU_ASSERT_EQUAL_FATAL(writer_finish(&b->w, &out), ERR_OK);
	return app_client_input(c, out.p, out.len, fd);
}

/* Takes the next message of this kind; false if there is none. */
static bool take(struct app_client *c, struct app_msg *msg, uint8_t *copy)
{
	struct bytes out = app_client_output(c);

	if (out.len == 0)
		return false;
	memcpy(copy, out.p, out.len);
	app_client_sent(c);
	CU_ASSERT_EQUAL_FATAL(app_msg_parse(msg, copy, out.len), ERR_OK);
	return true;
}

/* struct answer - an answer and the bytes that it lies in. */
struct answer {
	struct app_msg msg;
	uint8_t bytes[APP_MESSAGE_MAX];
};

static enum app_code ask(struct bench *b, struct app_client *c, int fd, struct answer *a)
{
	CU_ASSERT_EQUAL_FATAL(submit(b, c, fd), ERR_OK);
	if (!take(c, &a->msg, a->bytes))
		return APP_NUM_CODES;
	CU_ASSERT_EQUAL(a->msg.flags & ~APP_F_MORE, APP_F_ANSWER);
	CU_ASSERT_EQUAL(a->msg.id, b->last_id);
	return (enum app_code)a->msg.code;
}

static uint64_t u64(const struct answer *a, uint16_t type)
{
	return app_attr_u64(&a->msg.attrs, type, 0);
}

static bool silent(const struct app_client *c)
{
	return app_client_output(c).len == 0;
}

/* A UDP socket bound on the loop, connected to a port of it unless that is 0. */
static int udp(uint16_t remote_port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	sin.sin_port = htons(remote_port);
	if (remote_port)
		CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static uint64_t latch(struct bench *b, struct app_client *c, int fd, bool keep)
{
	struct answer a;

	begin(b, APP_LATCH_CREATE);
	app_put_bool(&b->w, APP_A_KEEP, keep);
	CU_ASSERT_EQUAL(ask(b, c, fd, &a), APP_OK);
	return u64(&a, APP_A_LATCH);
}

static uint32_t num_open(void)
{
	uint32_t num = 0;

	for (int fd = 0; fd < 256; fd++)
		num += fcntl(fd, F_GETFD) >= 0;
	return num;
}

/* ---- the simple ones ------------------------------------------------------------------------ */

static void test_hello(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;

	set_up(&b);
	c = client(&b, INTERACTS);
	begin(&b, APP_HELLO);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_VERSION, 0), APP_VERSION);
	CU_ASSERT_EQUAL(u64(&a, APP_A_INSTANCE), 5);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_RIGHTS, 0),
			APP_RIGHT_READ_OWN | APP_RIGHT_USE | APP_RIGHT_INTERACT);
	begin(&b, 999);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_UNSUPPORTED);
	begin(&b, 0);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_UNSUPPORTED);
	CU_ASSERT_EQUAL(b.num_wakes, 0);
	app_client_close(c);
	tear_down(&b);
}

/* What is not the protocol ends the connection; its descriptor is closed. */
static void test_S61_hostile(void)
{
	struct bench b;
	struct app_client *c;
	uint32_t before;
	int fd = udp(0);

	set_up(&b);
	c = client(&b, PLAIN);
	before = num_open();
	CU_ASSERT_NOT_EQUAL(app_client_input(c, "GET / HTTP/1.1\r\n", 16, fd), ERR_OK);
	CU_ASSERT_EQUAL(app_client_input(c, NULL, 0, fd), ERR_TRUNCATED);
	begin(&b, APP_HELLO);
	b.bytes[3] = APP_F_ANSWER;
	CU_ASSERT_EQUAL(submit(&b, c, fd), ERR_MALFORMED);
	begin(&b, APP_HELLO);
	CU_ASSERT_EQUAL(submit(&b, c, fd), ERR_OK); /* a descriptor that nobody asked for */
	CU_ASSERT_EQUAL(load_be16(app_client_output(c).p + 6), APP_INVAL);
	CU_ASSERT_EQUAL(num_open(), before);
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

static void test_socket_token(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = udp(9), loose = udp(0), file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint32_t before;

	set_up(&b);
	c = client(&b, PLAIN);
	before = num_open();
	begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_INVAL);
	begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(ask(&b, c, file, &a), APP_INVAL);
	begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(ask(&b, c, loose, &a), APP_BAD_STATE);
	begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_NOT_FOUND);
	b.fake.any_flow = true;
	begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_TOKEN, 0), 7);
	CU_ASSERT_EQUAL(num_open(), before);
	app_client_close(c);
	close(fd);
	close(loose);
	close(file);
	tear_down(&b);
}

/* ---- section E ------------------------------------------------------------------------------ */

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	CU_ASSERT_EQUAL(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	return cookie;
}

/* A socket that another network has, with whatever ends, says nothing here. */
static void test_E3_foreign_network(void)
{
	static const uint16_t verbs[] = {APP_SOCKET_TOKEN, APP_TOKEN_INFO, APP_LATCH_CREATE,
					 APP_LATCH_FIND,   APP_REQUIRE,    APP_DEMAND};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = udp(9);

	set_up(&b);
	b.fake.any_flow = true;
	b.fake.foreign[0] = cookie_of(fd);
	c = client(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		begin(&b, verbs[i]);
		app_put_u32(&b.w, APP_A_TOKEN, 7);
		CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(b.fake.num_latches, 0);
	CU_ASSERT_EQUAL(b.fake.marked, 0);
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

/* A TCP socket that only claims its ends reads no token. */
static void test_E4_dead_socket(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	int server = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	struct bench b;
	struct app_client *c;
	struct answer a;

	CU_ASSERT_EQUAL(bind(server, (struct sockaddr *)&sin, sizeof(sin)), 0);
	CU_ASSERT_EQUAL(listen(server, 1), 0);
	CU_ASSERT_EQUAL(getsockname(server, (struct sockaddr *)&sin, &len), 0);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	set_up(&b);
	b.fake.any_flow = true;
	c = client(&b, PLAIN);
	begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_OK);
	b.fake.dead = true;
	begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_NOT_FOUND);
	app_client_close(c);
	close(fd);
	close(server);
	tear_down(&b);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

static enum app_code token_info(struct bench *b, struct app_client *c, int fd, uint32_t token,
				struct answer *a)
{
	begin(b, APP_TOKEN_INFO);
	app_put_u32(&b->w, APP_A_TOKEN, token);
	return ask(b, c, fd, a);
}

/* Whom a token stands for is told to who has a socket that the class may reach, and to who may
 * read all; to others it is as one that is not there. */
static void test_E5_token_info(void)
{
	struct bench b;
	struct app_client *c, *reader;
	struct app_attrs in;
	struct answer a, absent;
	int fd = udp(9), other = udp(9);
	char text[264];

	set_up(&b);
	b.fake.classes[0].reaches = port_of(fd);
	c = client(&b, PLAIN);
	reader = client(&b, READER);
	CU_ASSERT_EQUAL(token_info(&b, c, fd, 7, &a), APP_OK);
	CU_ASSERT_EQUAL_FATAL(app_attr_inside(&a.msg.attrs, APP_A_CLASS, &in), ERR_OK);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&in, APP_A_PEER, text, sizeof(text)), "peer.example");
	CU_ASSERT_EQUAL(app_attr_u32(&in, APP_A_METHOD, 0), APP_METHOD_PUBKEY);
	CU_ASSERT_EQUAL(app_attr_bytes(&in, APP_A_PEER_KEY).len, 44);
	CU_ASSERT_EQUAL(token_info(&b, c, other, 7, &a), APP_NOT_FOUND);
	CU_ASSERT_EQUAL(token_info(&b, c, fd, 8, &absent), APP_NOT_FOUND);
	CU_ASSERT_EQUAL(a.msg.attrs.num, absent.msg.attrs.num);
	CU_ASSERT_TRUE(bytes_equal(app_attr_bytes(&a.msg.attrs, APP_A_TEXT),
				   app_attr_bytes(&absent.msg.attrs, APP_A_TEXT)));
	CU_ASSERT_EQUAL(token_info(&b, c, -1, 7, &a), APP_NOT_FOUND);
	CU_ASSERT_EQUAL(token_info(&b, reader, -1, 7, &a), APP_OK);
	CU_ASSERT_EQUAL(token_info(&b, c, fd, 0, &a), APP_INVAL);
	app_client_close(c);
	app_client_close(reader);
	close(fd);
	close(other);
	tear_down(&b);
}

/* A peer that proved itself by EAP: by which method is told beside that. */
static void test_A13_method_of_eap(void)
{
	struct bench b;
	struct app_client *c;
	struct app_attrs in;
	struct answer a;
	struct auth_proof_params p;

	set_up(&b);
	c = client(&b, READER);
	CU_ASSERT_EQUAL(token_info(&b, c, -1, 7, &a), APP_OK);
	CU_ASSERT_EQUAL_FATAL(app_attr_inside(&a.msg.attrs, APP_A_CLASS, &in), ERR_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&in, APP_A_EAP, 0), 0);
	p = *auth_proof_params(b.fake.classes[0].proof);
	p.method = AUTH_METHOD_EAP;
	p.eap = 26;
	auth_proof_put(b.fake.classes[0].proof);
	p.local_key = p.peer_key = p.ca = p.subject = bytes_of(NULL, 0);
	b.fake.classes[0].proof = auth_proof_new(&p);
	CU_ASSERT_EQUAL(token_info(&b, c, -1, 7, &a), APP_OK);
	CU_ASSERT_EQUAL_FATAL(app_attr_inside(&a.msg.attrs, APP_A_CLASS, &in), ERR_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&in, APP_A_METHOD, 0), APP_METHOD_EAP);
	CU_ASSERT_EQUAL(app_attr_u32(&in, APP_A_EAP, 0), 26);
	app_client_close(c);
	tear_down(&b);
}

/* The class of an interface is told to who has a socket that it may reach; to others it is as one
 * that is not there. */
static void test_E5_interface_token(void)
{
	static const struct flow to = {.local = {.family = IP_V4, .b = {10, 1, 0, 1}}}, none;
	static const struct {
		bool other; /* socket */
		uint32_t ifindex;
		const struct flow *to;
		enum app_code code;
	} rows[] = {
		{false, 5, &to, APP_OK},        {true, 5, &to, APP_NOT_FOUND},
		{false, 6, &to, APP_NOT_FOUND}, {false, 0, &to, APP_INVAL},
		{false, 5, NULL, APP_INVAL},    {false, 5, &none, APP_INVAL},
	};
	struct bench b;
	struct app_client *c;
	struct answer a, absent = {0};
	int fds[] = {udp(9), udp(9)};

	set_up(&b);
	b.fake.classes[0].reaches = port_of(fds[0]);
	b.fake.ifindex = 5;
	b.fake.of_it = 7;
	b.fake.holds_ms = 250;
	c = client(&b, PLAIN);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		begin(&b, APP_INTERFACE_TOKEN);
		app_put_u32(&b.w, APP_A_INTERFACE, rows[i].ifindex);
		if (rows[i].to)
			app_put_flow(&b.w, APP_A_FLOW, rows[i].to);
		CU_ASSERT_EQUAL(ask(&b, c, fds[rows[i].other], &a), rows[i].code);
		if (rows[i].code == APP_OK) {
			CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_TOKEN, 0), 7);
			CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_TIMEOUT_MS, 0), 250);
			CU_ASSERT_TRUE(ip_addr_equal(&b.fake.to, &to.local));
		}
		if (rows[i].code != APP_NOT_FOUND)
			continue;
		CU_ASSERT_PTR_NULL(app_attr(&a.msg.attrs, APP_A_TOKEN));
		CU_ASSERT_TRUE(!absent.msg.attrs.num ||
			       bytes_equal(app_attr_bytes(&a.msg.attrs, APP_A_TEXT),
					   app_attr_bytes(&absent.msg.attrs, APP_A_TEXT)));
		absent = a;
	}
	begin(&b, APP_INTERFACE_TOKEN);
	app_put_u32(&b.w, APP_A_INTERFACE, 5);
	app_put_flow(&b.w, APP_A_FLOW, &to);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_INVAL);
	app_client_close(c);
	close(fds[0]);
	close(fds[1]);
	tear_down(&b);
}

/* struct row - what each user gets of a verb: for his own object, another's, one that is none. */
struct row {
	uint16_t verb;
	enum app_code own[5], foreign[5]; /* PLAIN, INTERACTS, SETTER, READER, root */
};

static const uint32_t uids[] = {PLAIN, INTERACTS, SETTER, READER, 0};

#define OK APP_OK
#define NO APP_PERM
#define NF APP_NOT_FOUND

static const struct row matrix[] = {
	{APP_LATCH_INQUIRE, {OK, OK, OK, OK, OK}, {NF, NF, NF, OK, OK}},
	{APP_TRIGGER, {NO, OK, NO, NO, OK}, {NO, NF, NO, NO, OK}},
	{APP_DELETE, {NO, OK, NO, NO, OK}, {NO, NF, NO, NO, OK}},
	{APP_REAUTHENTICATE, {NO, OK, NO, NO, OK}, {NO, NF, NO, NO, OK}},
	{APP_LATCH_RELEASE, {OK, OK, OK, OK, OK}, {NF, NF, NF, NF, OK}},
};

static void try_row(const struct row *row, size_t who, bool own)
{
	enum app_code wanted = (own ? row->own : row->foreign)[who], got, absent;
	struct app_client *c, *owner;
	struct bench b;
	struct answer a, none;
	int fd = udp(9);
	uint64_t id;

	set_up(&b);
	c = client(&b, uids[who]);
	owner = own ? c : client(&b, OTHER);
	id = latch(&b, owner, fd, false);
	begin(&b, row->verb);
	app_put_u64(&b.w, APP_A_LATCH, id);
	got = ask(&b, c, -1, &a);
	if (got != wanted)
		tap_diag("%s, user %u, %s: %d, not %d", app_verb_name(row->verb), uids[who],
			 own ? "own" : "another's", (int)got, (int)wanted);
	CU_ASSERT_EQUAL(got, wanted);
	begin(&b, row->verb);
	app_put_u64(&b.w, APP_A_LATCH, 999);
	absent = ask(&b, c, -1, &none);
	/* Another's is as one that is not there, word for word. */
	if (got == NF) {
		CU_ASSERT_EQUAL(absent, NF);
		CU_ASSERT_TRUE(bytes_equal(app_attr_bytes(&a.msg.attrs, APP_A_TEXT),
					   app_attr_bytes(&none.msg.attrs, APP_A_TEXT)));
		CU_ASSERT_PTR_NOT_NULL(fake_app_latch(&b.fake, id));
		CU_ASSERT_EQUAL(b.fake.triggered + b.fake.deleted, 0);
	}
	if (owner != c)
		app_client_close(owner);
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

static void test_E6_matrix(void)
{
	for (size_t i = 0; i < ARRAY_LEN(matrix); i++) {
		for (size_t who = 0; who < ARRAY_LEN(uids); who++) {
			try_row(&matrix[i], who, true);
			try_row(&matrix[i], who, false);
		}
	}
}

/* Verbs that are about no flow, for each user. */
static void test_E7_matrix_of_the_rest(void)
{
	static const struct {
		uint16_t verb;
		enum app_code codes[5];
	} rows[] = {
		{APP_HELLO, {OK, OK, OK, OK, OK}},
		{APP_PROFILES, {OK, OK, OK, OK, OK}},
		{APP_EVENTS, {OK, OK, OK, OK, OK}},
		{APP_LIST, {NO, NO, NO, OK, OK}},
		{APP_PATHS, {NO, NO, NO, OK, OK}},
		{APP_PATH, {NO, NO, APP_INVAL, NO, APP_INVAL}},
		{APP_PROFILE_SET, {NO, NO, APP_INVAL, NO, APP_INVAL}},
		{APP_CREDENTIAL_ADD, {NO, NO, APP_INVAL, NO, APP_INVAL}},
		{APP_DECIDE, {NO, NF, NO, NO, NF}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(uids); i++) {
		size_t row = i / ARRAY_LEN(uids), who = i % ARRAY_LEN(uids);
		struct bench b;
		struct app_client *c;
		struct answer a;

		set_up(&b);
		c = client(&b, uids[who]);
		begin(&b, rows[row].verb);
		CU_ASSERT_EQUAL(ask(&b, c, -1, &a), rows[row].codes[who]);
		app_client_close(c);
		tear_down(&b);
	}
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void say(struct bench *b, enum app_path_act act, uint32_t number)
{
	begin(b, APP_PATH);
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

	set_up(&b);
	c = client(&b, SETTER);
	b.fake.path_peers = 2;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		say(&b, APP_PATH_HARD, 4);
		CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_NUM_CODES);
		CU_ASSERT_EQUAL(b.fake.path.act, ENGINE_PATH_HARD);
		CU_ASSERT_EQUAL(b.fake.path.id, 4);
		CU_ASSERT_STRING_EQUAL(b.fake.path_name, "gw");
		peer_says(&b, b.fake.path.request, rows[i].first);
		peer_says(&b, b.fake.path.request + 1, "it is another's");
		CU_ASSERT_TRUE(silent(c));
		peer_says(&b, b.fake.path.request, rows[i].second);
		CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
		CU_ASSERT_EQUAL(a.msg.code, rows[i].code);
		CU_ASSERT_EQUAL(a.msg.id, b.last_id);
		CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_PATH, 0), 4);
		app_attr_text(&a.msg.attrs, APP_A_TEXT, text, sizeof(text));
		CU_ASSERT_EQUAL(strncmp(text, "the peer refuses it: ", 21) == 0, rows[i].code != 0);
	}
	app_client_close(c);
	tear_down(&b);
}

/* Time is over, the client goes, the engine says no: nothing is left that waits. */
static void test_path_is_not_waited_for(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;

	set_up(&b);
	c = client(&b, SETTER);
	say(&b, APP_PATH_SOFT, 4);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_NUM_CODES);
	CU_ASSERT_EQUAL(app_server_deadline(b.server), b.fake.now_ns + 3 * NS_PER_S);
	app_server_run(b.server, b.fake.now_ns + 3 * NS_PER_S);
	CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_TIMEOUT);
	CU_ASSERT_EQUAL(app_server_deadline(b.server), TIME_NEVER);
	b.fake.path_result = ERR_PERM;
	say(&b, APP_PATH_SOFT, 4);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_PERM);
	b.fake.path_result = ERR_OK;
	for (int i = 0; i < 64; i++) {
		say(&b, APP_PATH_SOFT, 4);
		CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_NUM_CODES);
	}
	say(&b, APP_PATH_SOFT, 4);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_FULL); /* S63 */
	app_client_close(c);
	CU_ASSERT_EQUAL(app_server_deadline(b.server), TIME_NEVER);
	peer_says(&b, b.fake.path.request, NULL);
	tear_down(&b);
}

/* What is said has to be whole. */
static void test_path_is_whole(void)
{
	static const struct flow none = {0};
	struct bench b;
	struct app_client *c;
	struct answer a;

	set_up(&b);
	c = client(&b, SETTER);
	say(&b, APP_PATH_SOFT, 0);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_INVAL);
	say(&b, APP_PATH_ADD, 4); /* without an address */
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_INVAL);
	say(&b, APP_PATH_ADD, 4);
	app_put_flow(&b.w, APP_A_FLOW, &none);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_INVAL);
	begin(&b, APP_PATH);
	app_put_u32(&b.w, APP_A_PATH_ACT, APP_PATH_SOFT);
	app_put_u32(&b.w, APP_A_PATH, 4);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_INVAL);
	begin(&b, APP_PATH);
	app_put_text(&b.w, APP_A_PEER, "gw");
	app_put_u32(&b.w, APP_A_PATH, 4);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_INVAL);
	CU_ASSERT_STRING_EQUAL(b.fake.path_name, "");
	app_client_close(c);
	tear_down(&b);
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

	for (size_t i = 0; i < 2 * ARRAY_LEN(uids); i++) {
		const uint32_t uid = uids[i / 2];
		const bool wants = i % 2, may = uid == SETTER || uid == READER || uid == 0;
		struct app_client *c;

		set_up(&b);
		c = client(&b, uid);
		if (wants) {
			begin(&b, APP_EVENTS);
			CU_ASSERT_EQUAL(ask(&b, c, -1, &a), OK);
		}
		app_server_path_event(b.server, &ev);
		CU_ASSERT_EQUAL(take(c, &msg, copy), wants && may);
		if (wants && may) {
			CU_ASSERT_EQUAL(msg.verb, APP_EV_PATH);
			CU_ASSERT_EQUAL(app_attr_u32(&msg.attrs, APP_A_PATH_NEWS, 9),
					APP_PATH_MOVED);
			CU_ASSERT_EQUAL(app_attr_u32(&msg.attrs, APP_A_FROM, 9), 1);
		}
		app_client_close(c);
		tear_down(&b);
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

	set_up(&b);
	c = client(&b, READER);
	begin(&b, APP_PATHS);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), OK);
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
	tear_down(&b);
}

/* Who passes the socket has its latch, from another connection or as another user too; a socket
 * with the same ends that is another one has it not. */
static void test_E8_by_the_socket(void)
{
	struct bench b;
	struct app_client *c, *second, *foreign;
	struct answer a;
	int fd = udp(9), other = udp(9);
	uint64_t id;

	set_up(&b);
	c = client(&b, PLAIN);
	second = client(&b, PLAIN);
	foreign = client(&b, OTHER);
	id = latch(&b, c, fd, false);
	for (int i = 0; i < 4; i++) {
		struct app_client *by = i & 1 ? foreign : second;

		begin(&b, APP_LATCH_INQUIRE);
		app_put_u64(&b.w, APP_A_LATCH, id);
		CU_ASSERT_EQUAL(ask(&b, by, i & 2 ? other : fd, &a), i & 2 ? NF : OK);
	}
	begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(ask(&b, foreign, other, &a), NF);
	/* The same ends, another socket, another user. */
	fake_app_latch(&b.fake, id)->cookie++;
	begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(ask(&b, foreign, fd, &a), NF);
	begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(ask(&b, second, fd, &a), OK);
	app_client_close(c);
	app_client_close(second);
	app_client_close(foreign);
	close(fd);
	close(other);
	tear_down(&b);
}

/* A claimed peer is taken for a socket that is bound to an address, and for no other. */
/* A UDP socket is what it is connected to now: each request looks, and says so. */
static void test_E23_connected_anew(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = udp(9);
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(10), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	set_up(&b);
	c = client(&b, PLAIN);
	(void)latch(&b, c, fd, false);
	CU_ASSERT_TRUE(b.fake.created.connected);
	CU_ASSERT_EQUAL(b.fake.seen.cookie, b.fake.created.cookie);
	CU_ASSERT_EQUAL(b.fake.seen.flow.remote_port, 9);
	CU_ASSERT_EQUAL(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), NF);
	CU_ASSERT_EQUAL(b.fake.seen.flow.remote_port, 10);
	begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), NF);
	CU_ASSERT_EQUAL(connect(fd, &none, sizeof(none)), 0);
	begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_BAD_STATE);
	CU_ASSERT_FALSE(b.fake.seen.connected);
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

static void test_E9_claims(void)
{
	struct flow claim = {.remote = {.family = IP_V4, .b = {192, 0, 2, 7}}, .remote_port = 80};
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int bound = udp(0), connected = udp(9), loose = socket(AF_INET, SOCK_DGRAM, 0),
	    wild = socket(AF_INET, SOCK_DGRAM, 0);

	CU_ASSERT_EQUAL(bind(wild, (struct sockaddr *)&any, sizeof(any)), 0);
	set_up(&b);
	c = client(&b, PLAIN);
	claim.local = (struct ip_addr){.family = IP_V4, .b = {198, 51, 100, 1}};
	claim.local_port = 22;
	for (int i = 0; i < 4; i++) {
		const int fds[] = {bound, connected, loose, wild};

		begin(&b, APP_LATCH_CREATE);
		app_put_flow(&b.w, APP_A_REMOTE, &claim);
		CU_ASSERT_EQUAL(ask(&b, c, fds[i], &a), i < 2 ? APP_OK : APP_BAD_STATE);
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
	tear_down(&b);
}

/* The demand reaches the engine as it was said, and a weaker one does not. */
static void test_E10_demand_of_a_latch(void)
{
	static const uint8_t two[] = {APP_METHOD_PUBKEY, APP_METHOD_PRESHAREDKEY},
			     btns[] = {APP_METHOD_BTNS}, xauth[] = {APP_METHOD_XAUTH};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = udp(9);

	set_up(&b);
	c = client(&b, PLAIN);
	begin(&b, APP_LATCH_CREATE);
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of(btns, 1));
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_PERM);
	begin(&b, APP_LATCH_CREATE);
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of(xauth, 1));
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_INVAL);
	CU_ASSERT_EQUAL(b.fake.num_latches, 0);
	begin(&b, APP_LATCH_CREATE);
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of(two, 2));
	app_put_text(&b.w, APP_A_PEER, "peer.example");
	app_put_text(&b.w, APP_A_SUITE, "aes256gcm16");
	app_put_u32(&b.w, APP_A_PRIVACY, APP_ASK_YES);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(b.fake.created.demand.num_methods, 2);
	CU_ASSERT_EQUAL(b.fake.created.demand.methods[0], AUTH_METHOD_PUBKEY);
	CU_ASSERT_EQUAL(b.fake.created.demand.methods[1], AUTH_METHOD_PSK);
	CU_ASSERT_STRING_EQUAL(b.fake.created.demand.peer, "peer.example");
	CU_ASSERT_STRING_EQUAL(b.fake.created.demand.suite, "aes256gcm16");
	CU_ASSERT_EQUAL(b.fake.created.demand.privacy, APP_ASK_YES);
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

/* What a socket sends may demand a class that reaches it, and no other one. */
static void test_E11_demand_of_a_socket(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = udp(9), other = udp(9);

	set_up(&b);
	b.fake.classes[0].reaches = port_of(fd);
	c = client(&b, PLAIN);
	begin(&b, APP_DEMAND);
	app_put_u32(&b.w, APP_A_TOKEN, 7);
	CU_ASSERT_EQUAL(ask(&b, c, other, &a), APP_NOT_FOUND);
	CU_ASSERT_EQUAL(b.fake.marked, 0);
	begin(&b, APP_DEMAND);
	app_put_u32(&b.w, APP_A_TOKEN, 7);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(b.fake.marked, 7);
	begin(&b, APP_DEMAND);
	app_put_u32(&b.w, APP_A_TOKEN, 0x40000007);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_INVAL);
	begin(&b, APP_DEMAND);
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(b.fake.marked, 0);
	app_client_close(c);
	close(fd);
	close(other);
	tear_down(&b);
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
	set_up(&b);
	c = client(&b, PLAIN);
	for (int i = 0; i < 100; i++) {
		begin(&b, APP_LIST);
		CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_PERM);
		if (i == 0)
			CU_ASSERT_EQUAL(num_denials, 1);
	}
	CU_ASSERT_EQUAL(num_denials, 5);
	log_use(before);
	app_client_close(c);
	tear_down(&b);
}

/* Rights that a new configuration takes away are gone for who is connected. */
static void test_E13_configured_anew(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;

	set_up(&b);
	c = client(&b, READER);
	begin(&b, APP_LIST);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	b.conf.read_all.num_uids = 0;
	app_server_configure(b.server, &b.conf);
	begin(&b, APP_LIST);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_PERM);
	app_client_close(c);
	tear_down(&b);
}

/* ---- latches, and waiting for them ---------------------------------------------------------- */

static enum app_code require(struct bench *b, struct app_client *c, int fd, uint32_t ms,
			     struct answer *a)
{
	begin(b, APP_REQUIRE);
	app_put_text(&b->w, APP_A_PEER, "peer.example");
	app_put_u32(&b->w, APP_A_TIMEOUT_MS, ms);
	return ask(b, c, fd, a);
}

static void test_B7_require(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	char text[256];
	int fd = udp(9);
	uint32_t id;

	set_up(&b);
	c = client(&b, PLAIN);
	/* It waits until the latch stands. */
	CU_ASSERT_EQUAL(require(&b, c, fd, 1000, &a), APP_NUM_CODES);
	id = b.last_id;
	CU_ASSERT_EQUAL(app_server_deadline(b.server), b.fake.now_ns + NS_PER_S);
	CU_ASSERT_EQUAL(b.num_wakes, 0);
	fake_app_state(&b.fake, 1, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	CU_ASSERT_EQUAL(b.num_wakes, 1);
	CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.id, id);
	CU_ASSERT_EQUAL(a.msg.code, APP_OK);
	CU_ASSERT_EQUAL(u64(&a, APP_A_LATCH), 1);
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
	CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_FAILED);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&a.msg.attrs, APP_A_TEXT, text, sizeof(text)),
			       "a wrong key");
	CU_ASSERT_STRING_EQUAL(app_attr_text(&a.msg.attrs, APP_A_REASON, text, 32),
			       ike_reason_name(IKE_REASON_AUTH_FAILED_LOCAL));
	/* What failed stays, so that nothing is sent in the clear. */
	CU_ASSERT_PTR_NOT_NULL(fake_app_latch(&b.fake, 2));
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

static void test_B7_require_at_once(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = udp(9), two = udp(9), three = udp(9);

	set_up(&b);
	c = client(&b, PLAIN);
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
	tear_down(&b);
}

static enum app_code run_in(struct bench *b, struct app_client *c, int fd, struct answer *a)
{
	begin(b, APP_RUN);
	app_put_text(&b->w, APP_A_PEER, "peer.example");
	app_put_u32(&b->w, APP_A_TIMEOUT_MS, 50);
	return ask(b, c, fd, a);
}

static void test_A6_run(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	char text[256];
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	set_up(&b);
	c = client(&b, 0);
	b.fake.create_state = LATCH_ESTABLISHED;
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_TOKEN, 0), 7);
	CU_ASSERT_STRING_EQUAL(b.fake.grouped.peer, "peer.example");
	/* One that waits, stands, and counts among what the user has. */
	b.fake.create_state = LATCH_LARVAL;
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_NUM_CODES);
	fake_app_state(&b.fake, 2, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
	CU_ASSERT_TRUE(a.msg.verb == APP_RUN && a.msg.code == APP_OK);
	/* One that fails, with its reason. */
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_NUM_CODES);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_FULL);
	fake_app_state(&b.fake, 3, LATCH_CLOSED, IKE_REASON_AUTH_FAILED_LOCAL, "a wrong key");
	CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_FAILED);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&a.msg.attrs, APP_A_TEXT, text, sizeof(text)),
			       "a wrong key");
	/* One that is not there in time goes; what comes after that is for nobody. */
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_NUM_CODES);
	b.fake.now_ns += 50 * NS_PER_MS;
	app_server_run(b.server, b.fake.now_ns);
	CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_TIMEOUT);
	CU_ASSERT_PTR_NULL(fake_app_latch(&b.fake, 4));
	CU_ASSERT_EQUAL(b.fake.num_latches, 2);
	b.fake.create_result = ERR_NOT_FOUND;
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_NOT_FOUND);
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

/* What outlives its client is in the user's quota until it ends. */
static void test_A6_run_is_left(void)
{
	struct app_client *c;
	struct answer a;
	struct bench b;
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	set_up(&b);
	b.fake.create_state = LATCH_ESTABLISHED;
	b.fake.populated = true;
	for (int i = 0; i < 3; i++) {
		c = client(&b, 0);
		CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_OK);
		app_client_close(c);
	}
	c = client(&b, 0);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_FULL);
	fake_app_state(&b.fake, 1, LATCH_CLOSED, IKE_REASON_LOCAL, "");
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_FULL);
	b.fake.populated = false;
	app_client_close(c); /* the one that it had goes with it */
	c = client(&b, 0);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(run_in(&b, c, fd, &a), APP_FULL);
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

/* The directory is the user's own, or he is root; and it is one. */
static void test_E6_group_of_another(void)
{
	char place[] = "/tmp/lk-run-XXXXXX";
	struct bench b;
	struct app_client *c, *owner;
	struct answer a;
	int fd, no_group = udp(9);

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(place));
	fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	set_up(&b);
	b.fake.create_state = LATCH_ESTABLISHED;
	c = client(&b, getuid() == PLAIN ? OTHER : PLAIN);
	owner = client(&b, getuid());
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
	tear_down(&b);
}

static void test_require_times_out(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = udp(9);

	set_up(&b);
	c = client(&b, PLAIN);
	CU_ASSERT_EQUAL(require(&b, c, fd, 50, &a), APP_NUM_CODES);
	b.fake.now_ns += 49 * NS_PER_MS;
	app_server_run(b.server, b.fake.now_ns);
	CU_ASSERT_TRUE(silent(c));
	b.fake.now_ns += NS_PER_MS;
	app_server_run(b.server, b.fake.now_ns);
	CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.code, APP_TIMEOUT);
	/* What comes later is for nobody; a second one waits for the same latch. */
	CU_ASSERT_EQUAL(require(&b, c, fd, 50, &a), APP_NUM_CODES);
	CU_ASSERT_EQUAL(b.fake.num_latches, 1);
	fake_app_state(&b.fake, 1, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	CU_ASSERT_TRUE(take(c, &a.msg, a.bytes));
	CU_ASSERT_TRUE(silent(c));
	/* Another demand for the same flow is refused. */
	begin(&b, APP_REQUIRE);
	app_put_text(&b.w, APP_A_PEER, "somebody.else");
	CU_ASSERT_EQUAL(ask(&b, c, fd, &a), APP_EXISTS);
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

/* A client that goes while it waits leaves no wait behind. */
static void test_A8_client_gone(void)
{
	struct bench b;
	struct app_client *c, *again;
	struct answer a;
	int fd = udp(9), kept = udp(9);
	uint64_t number, id;

	set_up(&b);
	c = client(&b, PLAIN);
	CU_ASSERT_EQUAL(require(&b, c, fd, 1000, &a), APP_NUM_CODES);
	id = latch(&b, c, kept, true);
	number = b.fake.created.client;
	app_client_close(c);
	CU_ASSERT_EQUAL(b.fake.gone, number);
	CU_ASSERT_EQUAL(app_server_deadline(b.server), TIME_NEVER);
	fake_app_state(&b.fake, id, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	/* Who comes after is another client, and finds what was kept by its socket. */
	again = client(&b, PLAIN);
	begin(&b, APP_LATCH_INQUIRE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	CU_ASSERT_EQUAL(ask(&b, again, -1, &a), APP_NOT_FOUND);
	begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(ask(&b, again, -1, &a), APP_OK);
	begin(&b, APP_LATCH_FIND);
	CU_ASSERT_EQUAL(ask(&b, again, kept, &a), APP_OK);
	begin(&b, APP_LATCH_INQUIRE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	CU_ASSERT_EQUAL(ask(&b, again, -1, &a), APP_OK);
	fake_app_state(&b.fake, id, LATCH_BROKEN, IKE_REASON_NO_ANSWER, "");
	CU_ASSERT_TRUE(take(again, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.verb, APP_EV_LATCH);
	app_client_close(again);
	close(fd);
	close(kept);
	tear_down(&b);
}

static void test_A17_reauthenticate(void)
{
	static const uint8_t method[] = {APP_METHOD_PKIX_INLINE};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = udp(9);
	uint64_t id, next;

	set_up(&b);
	c = client(&b, INTERACTS);
	id = latch(&b, c, fd, false);
	begin(&b, APP_REAUTHENTICATE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of(method, 1));
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	next = u64(&a, APP_A_LATCH);
	CU_ASSERT_NOT_EQUAL(next, id);
	CU_ASSERT_EQUAL(b.fake.reauthenticated.methods[0], AUTH_METHOD_PKIX_INLINE);
	begin(&b, APP_LATCH_INQUIRE);
	app_put_u64(&b.w, APP_A_LATCH, next);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	/* Monotone here too. */
	begin(&b, APP_REAUTHENTICATE);
	app_put_u64(&b.w, APP_A_LATCH, next);
	app_put_u32(&b.w, APP_A_PRIVACY, APP_ASK_NO);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_PERM);
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

/* E22: who only bound a port of TCP has nothing: another may listen there. */
static void test_E22_bound_is_not_listening(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	set_up(&b);
	c = client(&b, PLAIN);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	for (int listens = 0; listens < 2; listens++) {
		if (listens)
			CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
		begin(&b, APP_LATCH_CREATE);
		app_put_bool(&b.w, APP_A_LISTENER, true);
		CU_ASSERT_EQUAL(ask(&b, c, fd, &a), listens ? APP_OK : APP_BAD_STATE);
	}
	app_client_close(c);
	close(fd);
	tear_down(&b);
}

static void test_listener(void)
{
	struct flow flow = {.remote_port = 77};
	struct bench b;
	struct app_client *c, *other;
	struct answer a;
	int fd = udp(0), connected = udp(9), loose = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t id, spawned;

	set_up(&b);
	c = client(&b, PLAIN);
	other = client(&b, OTHER);
	for (int i = 0; i < 3; i++) {
		const int fds[] = {connected, loose, fd};

		begin(&b, APP_LATCH_CREATE);
		app_put_bool(&b.w, APP_A_LISTENER, true);
		CU_ASSERT_EQUAL(ask(&b, c, fds[i], &a), i == 2 ? APP_OK : APP_BAD_STATE);
	}
	id = u64(&a, APP_A_LATCH);
	CU_ASSERT_TRUE(b.fake.created.listener);
	begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(ask(&b, other, -1, &a), APP_OK);
	spawned = fake_app_spawn(&b.fake, id, &flow);
	CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.verb, APP_EV_SPAWNED);
	CU_ASSERT_EQUAL(u64(&a, APP_A_PARENT), id);
	CU_ASSERT_TRUE(silent(other));
	begin(&b, APP_LATCH_INQUIRE);
	app_put_u64(&b.w, APP_A_LATCH, spawned);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	app_client_close(c);
	app_client_close(other);
	close(fd);
	close(connected);
	close(loose);
	tear_down(&b);
}

/* A16: who is asked decides, once; nobody else, and no answer is a no. */
static void test_A16_decide(void)
{
	struct bench b;
	struct app_client *c, *other, *plain;
	struct app_attrs in;
	struct answer a;
	char text[264];
	int fd = udp(9), two = udp(9);
	uint64_t id, of_plain;

	set_up(&b);
	c = client(&b, INTERACTS);
	other = client(&b, 0);
	plain = client(&b, PLAIN);
	id = latch(&b, c, fd, false);
	of_plain = latch(&b, plain, two, false);
	fake_app_ask(&b.fake, id, 10); /* it does not listen */
	CU_ASSERT_EQUAL(b.fake.decided, 10);
	CU_ASSERT_FALSE(b.fake.accepted);
	begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(ask(&b, plain, -1, &a), APP_OK);
	fake_app_ask(&b.fake, of_plain, 11); /* it may not */
	CU_ASSERT_EQUAL(b.fake.decided, 11);
	CU_ASSERT_TRUE(silent(plain));
	fake_app_ask(&b.fake, id, 12);
	CU_ASSERT_EQUAL(b.fake.num_decided, 2);
	CU_ASSERT_TRUE_FATAL(take(c, &a.msg, a.bytes));
	CU_ASSERT_EQUAL(a.msg.verb, APP_EV_ASK);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_TIMEOUT_MS, 0), 5000);
	CU_ASSERT_EQUAL_FATAL(app_attr_inside(&a.msg.attrs, APP_A_CLASS, &in), ERR_OK);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&in, APP_A_PEER, text, sizeof(text)), "peer.example");
	for (int i = 0; i < 3; i++) {
		begin(&b, APP_DECIDE);
		app_put_u64(&b.w, APP_A_ASK, 12);
		app_put_bool(&b.w, APP_A_ACCEPT, true);
		CU_ASSERT_EQUAL(ask(&b, i ? c : other, -1, &a), i == 1 ? APP_OK : APP_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(b.fake.decided, 12);
	CU_ASSERT_TRUE(b.fake.accepted);
	CU_ASSERT_EQUAL(b.fake.num_decided, 3);
	app_client_close(c);
	app_client_close(other);
	app_client_close(plain);
	close(fd);
	close(two);
	tear_down(&b);
}

/* ---- profiles, credentials, lists ----------------------------------------------------------- */

static void test_profiles(void)
{
	struct bench b;
	struct app_client *c;
	struct app_attrs in;
	struct answer a;
	char text[32];
	size_t mark;

	set_up(&b);
	c = client(&b, SETTER);
	begin(&b, APP_PROFILES);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	CU_ASSERT_EQUAL(a.msg.attrs.num, 3);
	CU_ASSERT_EQUAL(app_attr_inside(&a.msg.attrs, APP_A_PROFILE_INFO, &in), ERR_OK);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&in, APP_A_PROFILE, text, sizeof(text)), "secure");
	CU_ASSERT_EQUAL(app_attr_bytes(&in, APP_A_METHODS).len, 3);
	begin(&b, APP_PROFILE_SET);
	mark = app_begin(&b.w, APP_A_PROFILE_INFO);
	app_put_text(&b.w, APP_A_PROFILE, "mine");
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of("\x0b", 1));
	app_put_bool(&b.w, APP_A_MAKE, true);
	app_end(&b.w, mark);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	CU_ASSERT_STRING_EQUAL(b.fake.set.name, "mine");
	CU_ASSERT_EQUAL(b.fake.set.methods[0], AUTH_METHOD_PUBKEY);
	CU_ASSERT_TRUE(b.fake.set.make && b.fake.set.privacy && b.fake.set.integrity);
	begin(&b, APP_PROFILE_SET);
	mark = app_begin(&b.w, APP_A_PROFILE_INFO);
	app_put_text(&b.w, APP_A_PROFILE, "without-methods");
	app_end(&b.w, mark);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_INVAL);
	app_client_close(c);
	tear_down(&b);
}

static int memory_file(const char *text, bool sealed)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), strlen(text));
	if (sealed)
		CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
				0);
	return fd;
}

static enum app_code credential(struct bench *b, struct app_client *c, int fd, uint32_t kind,
				struct answer *a)
{
	begin(b, APP_CREDENTIAL_ADD);
	app_put_u32(&b->w, APP_A_CREDENTIAL, kind);
	if (kind == APP_CRED_SECRET) {
		app_put_text(&b->w, APP_A_IDENTITY, "a.example");
		app_put_text(&b->w, APP_A_IDENTITY, "b.example");
	}
	return ask(b, c, fd, a);
}

/* Bytes come in memory that nobody changes any more: nothing else is read. */
static void test_E14_credentials(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	char text[256];
	int good = memory_file("a long secret", true), open_file = memory_file("secret", false),
	    bad = memory_file("?", true), empty = memory_file("", true), ends[2];
	int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	set_up(&b);
	c = client(&b, SETTER);
	CU_ASSERT_EQUAL(credential(&b, c, ends[0], APP_CRED_SECRET, &a), APP_INVAL);
	CU_ASSERT_EQUAL(credential(&b, c, open_file, APP_CRED_SECRET, &a), APP_INVAL);
	CU_ASSERT_EQUAL(credential(&b, c, file, APP_CRED_SECRET, &a), APP_INVAL);
	CU_ASSERT_EQUAL(credential(&b, c, empty, APP_CRED_SECRET, &a), APP_FULL);
	CU_ASSERT_STRING_EQUAL(b.fake.secret, "");
	CU_ASSERT_EQUAL(credential(&b, c, good, APP_CRED_SECRET, &a), APP_OK);
	CU_ASSERT_STRING_EQUAL(b.fake.secret, "a long secret");
	CU_ASSERT_STRING_EQUAL(b.fake.ids, "a.example b.example ");
	CU_ASSERT_EQUAL(credential(&b, c, good, APP_CRED_AUTHORITY, &a), APP_OK);
	CU_ASSERT_TRUE(b.fake.authority);
	CU_ASSERT_EQUAL(credential(&b, c, bad, APP_CRED_CERTIFICATE, &a), APP_INVAL);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&a.msg.attrs, APP_A_TEXT, text, sizeof(text)),
			       "this is no certificate");
	CU_ASSERT_EQUAL(credential(&b, c, -1, APP_CRED_SECRET, &a), APP_INVAL);
	app_client_close(c);
	close(good);
	close(open_file);
	close(bad);
	close(empty);
	close(file);
	close(ends[0]);
	close(ends[1]);
	tear_down(&b);
}

/* A list that is longer than a message comes in several. */
static void test_list(void)
{
	struct bench b;
	struct app_client *c, *reader;
	struct answer a;
	uint32_t num = 0, messages = 0;
	int fds[150];

	set_up(&b);
	b.conf.latches_per_uid = 200;
	app_server_configure(b.server, &b.conf);
	c = client(&b, PLAIN);
	reader = client(&b, READER);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		uint64_t id = latch(&b, c, fds[i] = udp(9), false);

		/* Long ones, whose bytes fill a message, and short ones, whose number does. */
		if (i < 60)
			memset(fake_app_latch(&b.fake, id)->demand.peer, 'p', 200);
	}
	begin(&b, APP_LIST);
	CU_ASSERT_EQUAL(submit(&b, reader, -1), ERR_OK);
	while (take(reader, &a.msg, a.bytes)) {
		num += a.msg.attrs.num;
		messages++;
		CU_ASSERT_EQUAL(a.msg.flags & APP_F_MORE ? 1 : 0, silent(reader) ? 0 : 1);
	}
	CU_ASSERT_EQUAL(num, ARRAY_LEN(fds));
	CU_ASSERT_TRUE(messages >= 4);
	app_client_close(c);
	app_client_close(reader);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	tear_down(&b);
}

/* ---- quotas --------------------------------------------------------------------------------- */

static void test_E15_clients(void)
{
	struct app_peer peer = {.uid = PLAIN}, other = {.uid = OTHER};
	struct app_client *c[5], *o = NULL;
	struct bench b;

	set_up(&b);
	for (size_t i = 0; i < 4; i++)
		c[i] = client(&b, PLAIN);
	CU_ASSERT_EQUAL(app_client_open(b.server, &c[4], &peer, wake, &b), ERR_FULL);
	CU_ASSERT_EQUAL(app_client_open(b.server, &o, &other, wake, &b), ERR_OK);
	app_client_close(c[0]);
	CU_ASSERT_EQUAL(app_client_open(b.server, &c[0], &peer, wake, &b), ERR_OK);
	for (size_t i = 0; i < 4; i++)
		app_client_close(c[i]);
	app_client_close(o);
	tear_down(&b);
}

static void test_E16_latches(void)
{
	struct bench b;
	struct app_client *c, *second;
	struct answer a;
	int fds[4];
	uint64_t id = 0;

	set_up(&b);
	c = client(&b, PLAIN);
	second = client(&b, PLAIN);
	for (size_t i = 0; i < 4; i++)
		fds[i] = udp(9);
	for (size_t i = 0; i < 3; i++)
		id = latch(&b, i ? c : second, fds[i], i == 1);
	begin(&b, APP_LATCH_CREATE);
	CU_ASSERT_EQUAL(ask(&b, c, fds[3], &a), APP_FULL);
	CU_ASSERT_EQUAL(b.fake.num_latches, 3);
	/* One that failed is there still. Each way in which one ends gives its place back, and no
	 * more than one. */
	fake_app_state(&b.fake, id, LATCH_CLOSED, IKE_REASON_LOCAL, "");
	begin(&b, APP_LATCH_CREATE);
	CU_ASSERT_EQUAL(ask(&b, c, fds[3], &a), APP_FULL);
	fake_app_gone(&b.fake, id);
	id = latch(&b, c, fds[3], false);
	begin(&b, APP_LATCH_RELEASE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), APP_OK);
	latch(&b, c, fds[3], false);
	app_client_close(second);
	latch(&b, c, fds[2], false);
	begin(&b, APP_LATCH_CREATE);
	CU_ASSERT_EQUAL(ask(&b, c, fds[0], &a), APP_FULL);
	app_client_close(c);
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
	tear_down(&b);
}

static uint32_t served(struct bench *b, struct app_client *c, uint32_t num)
{
	uint32_t ok = 0;
	struct answer a;

	while (num-- > 0) {
		begin(b, APP_HELLO);
		ok += ask(b, c, -1, &a) == APP_OK;
	}
	return ok;
}

/* Requests a second are a user's, of all his connections, and coming anew gives no more. */
static void test_E17_requests(void)
{
	struct bench b;
	struct app_client *c, *second, *other;

	set_up(&b);
	b.conf.requests_per_second = 10;
	app_server_configure(b.server, &b.conf);
	c = client(&b, PLAIN);
	second = client(&b, PLAIN);
	other = client(&b, OTHER);
	CU_ASSERT_EQUAL(app_client_wait(c), 0);
	CU_ASSERT_EQUAL(served(&b, c, 8) + served(&b, second, 8), 10);
	CU_ASSERT_EQUAL(app_client_wait(c), 100 * NS_PER_MS);
	CU_ASSERT_EQUAL(served(&b, other, 5), 5);
	app_client_close(c);
	app_client_close(second);
	app_client_close(client(&b, READER)); /* those who have nothing are forgotten */
	c = client(&b, PLAIN);
	CU_ASSERT_EQUAL(served(&b, c, 3), 0);
	b.fake.now_ns += 250 * NS_PER_MS;
	CU_ASSERT_EQUAL(served(&b, c, 5), 2);
	b.fake.now_ns += 100 * NS_PER_S;
	CU_ASSERT_EQUAL(served(&b, c, 20), 10);
	app_client_close(c);
	app_client_close(other);
	tear_down(&b);
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

	set_up(&b);
	b.conf.requests_per_second = 10;
	app_server_configure(b.server, &b.conf);
	for (int i = 0; i < 15; i++)
		admitted += admits(&b, PLAIN);
	CU_ASSERT_EQUAL(admitted, 10);
	CU_ASSERT_TRUE(admits(&b, OTHER));
	b.fake.now_ns += 10 * NS_PER_S;
	for (size_t i = 0; i < 4; i++)
		c[i] = client(&b, PLAIN);
	CU_ASSERT_FALSE(admits(&b, PLAIN));
	CU_ASSERT_EQUAL(served(&b, c[0], 20), 10);
	for (size_t i = 0; i < 4; i++)
		app_client_close(c[i]);
	tear_down(&b);
}

/* Who had none left goes on with several at once, of the same rate. */
static void test_E17_resumes(void)
{
	struct app_client *c;
	struct bench b;

	set_up(&b);
	b.conf.requests_per_second = 1000;
	app_server_configure(b.server, &b.conf);
	c = client(&b, PLAIN);
	CU_ASSERT_EQUAL(served(&b, c, 1100), 1000);
	CU_ASSERT_EQUAL(app_client_wait(c), APP_RESUME_NS);
	b.fake.now_ns += APP_RESUME_NS - 1;
	CU_ASSERT_EQUAL(app_client_wait(c), 1);
	b.fake.now_ns += 1;
	CU_ASSERT_EQUAL(app_client_wait(c), 0);
	CU_ASSERT_EQUAL(served(&b, c, 30), APP_RESUME_NS / NS_PER_MS);
	app_client_close(c);
	tear_down(&b);
}

/* What work takes beyond a user's share he waits for, whatever it is; others do not. */
static void test_E17_share(void)
{
	const uint64_t work = 3 * NS_PER_S / APP_SHARE / 1000; /* three requests' */
	struct app_client *c, *other;
	uint32_t num = 0;
	struct bench b;

	set_up(&b);
	b.conf.requests_per_second = 1000;
	app_server_configure(b.server, &b.conf);
	c = client(&b, PLAIN);
	other = client(&b, OTHER);
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
	tear_down(&b);
}

/* However many connections he has, a user has one turn. */
static void test_E21_turns(void)
{
	struct app_client *c[2], *other;
	struct bench b;

	set_up(&b);
	c[0] = client(&b, PLAIN);
	c[1] = client(&b, PLAIN);
	other = client(&b, OTHER);
	CU_ASSERT_TRUE(app_client_turn(c[0], 1));
	CU_ASSERT_FALSE(app_client_turn(c[1], 1));
	CU_ASSERT_FALSE(app_client_turn(c[0], 1));
	CU_ASSERT_TRUE(app_client_turn(other, 1));
	CU_ASSERT_TRUE(app_client_turn(c[1], 2));
	app_client_close(c[0]);
	app_client_close(c[1]);
	app_client_close(other);
	tear_down(&b);
}

/* S63: who does not read is cut off, and with him what is another's costs nothing. */
static void test_S63_slow_reader(void)
{
	struct bench b;
	struct app_client *slow, *good;
	struct answer a;
	int fd = udp(9), two = udp(9);
	uint64_t id, of_good;
	uint32_t told = 0;

	set_up(&b);
	slow = client(&b, PLAIN);
	good = client(&b, OTHER);
	id = latch(&b, slow, fd, false);
	of_good = latch(&b, good, two, false);
	begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(ask(&b, slow, -1, &a), APP_OK);
	begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(ask(&b, good, -1, &a), APP_OK);
	for (int i = 0; i < 5000 && !app_client_doomed(slow); i++) {
		fake_app_state(&b.fake, id, LATCH_BROKEN, IKE_REASON_NO_ANSWER, "once more");
		fake_app_state(&b.fake, of_good, LATCH_BROKEN, IKE_REASON_NO_ANSWER, "once more");
		told += take(good, &a.msg, a.bytes);
		CU_ASSERT_EQUAL(told, (uint32_t)i + 1);
	}
	CU_ASSERT_TRUE(app_client_doomed(slow));
	CU_ASSERT_FALSE(app_client_doomed(good));
	app_client_close(slow);
	app_client_close(good);
	close(fd);
	close(two);
	tear_down(&b);
}

/* What is queued for one user's programs together is bounded too. */
static void test_E18_queue_of_a_user(void)
{
	struct bench b;
	struct app_client *c[3];
	uint32_t doomed = 0;

	set_up(&b);
	b.conf.queue_per_uid = 16384;
	b.conf.requests_per_second = 100000;
	app_server_configure(b.server, &b.conf);
	for (size_t i = 0; i < 3; i++)
		c[i] = client(&b, PLAIN);
	for (int n = 0; n < 150; n++) {
		for (size_t i = 0; i < 3; i++) {
			begin(&b, APP_HELLO);
			CU_ASSERT_EQUAL(submit(&b, c[i], -1), ERR_OK);
		}
	}
	for (size_t i = 0; i < 3; i++)
		doomed += app_client_doomed(c[i]);
	CU_ASSERT_TRUE(doomed > 0);
	for (size_t i = 0; i < 3; i++)
		app_client_close(c[i]);
	/* All is given back. */
	c[0] = client(&b, PLAIN);
	CU_ASSERT_EQUAL(served(&b, c[0], 50), 50);
	app_client_close(c[0]);
	tear_down(&b);
}

/* Each allocation that fails is an answer or an end, never more. */
static void test_memory(void)
{
	for (uint64_t nth = 1; nth < 12; nth++) {
		struct bench b;
		struct app_client *c;
		int fd = udp(9);

		set_up(&b);
		c = client(&b, INTERACTS);
		alloc_fail_nth(nth);
		begin(&b, APP_EVENTS);
		CU_ASSERT_EQUAL(submit(&b, c, -1), ERR_OK);
		begin(&b, APP_REQUIRE);
		CU_ASSERT_EQUAL(submit(&b, c, fd), ERR_OK);
		if (b.fake.num_latches) {
			uint64_t id = b.fake.latches[0].id;

			fake_app_ask(&b.fake, id, 3);
			fake_app_state(&b.fake, id, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
		}
		alloc_fail_nth(0);
		app_client_close(c);
		close(fd);
		tear_down(&b);
		CU_PASS("no crash, and nothing is left");
	}
}

static const struct tap_test tests[] = {
	TAP_TEST(test_hello),
	TAP_TEST(test_S61_hostile),
	TAP_TEST(test_socket_token),
	TAP_TEST(test_E3_foreign_network),
	TAP_TEST(test_E4_dead_socket),
	TAP_TEST(test_E5_token_info),
	TAP_TEST(test_A13_method_of_eap),
	TAP_TEST(test_E5_interface_token),
	TAP_TEST(test_E6_matrix),
	TAP_TEST(test_E7_matrix_of_the_rest),
	TAP_TEST(test_M10_path_of_who_configures),
	TAP_TEST(test_path_is_not_waited_for),
	TAP_TEST(test_path_is_whole),
	TAP_TEST(test_M10_path_events_by_right),
	TAP_TEST(test_paths),
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
	TAP_TEST(test_profiles),
	TAP_TEST(test_E14_credentials),
	TAP_TEST(test_list),
	TAP_TEST(test_E15_clients),
	TAP_TEST(test_E16_latches),
	TAP_TEST(test_E17_requests),
	TAP_TEST(test_E17_connections),
	TAP_TEST(test_E17_resumes),
	TAP_TEST(test_E17_share),
	TAP_TEST(test_E21_turns),
	TAP_TEST(test_S63_slow_reader),
	TAP_TEST(test_E18_queue_of_a_user),
	TAP_TEST(test_memory),
};

TAP_MAIN("app_server", tests)
