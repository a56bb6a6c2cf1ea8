/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application socket's server for callers from other hosts, message by message: the rights that
 * stand beside a name and no others, nothing for a socket, quotas by name, and who is not named any
 * more.
 */
#include "api/app/frame.h"
#include "api/app/proto.h"
#include "api/app/server.h"
#include "tests/api/fake_app.h"
#include "tests/pki.h"
#include "tests/tap/tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLAIN 1001

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

/* Users of other hosts; who is at the end has a name and no right. */
enum {
	READER,
	SETTER,
	ADMIN,
	NOBODY,
	NUM_USERS
};

static const struct conf_user users[NUM_USERS] = {
	[READER] = {.name = "reader", .read_all = true},
	[SETTER] = {.name = "setter", .configure = true},
	[ADMIN] = {.name = "admin", .admin = true},
	[NOBODY] = {.name = "nobody"},
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
		.clients_per_uid = 2,
		.latches_per_uid = 3,
		.requests_per_second = 10,
		.queue_per_uid = 1u << 20,
	};
	memcpy(b->conf.network.users, users, sizeof(users));
	b->conf.network.num_users = NUM_USERS;
	CU_ASSERT_EQUAL_FATAL(app_server_new(&b->server, &b->fake.backend, &b->conf, 5), ERR_OK);
	b->fake.tell = on_event;
	b->fake.tell_ctx = b;
}

static void tear_down(struct bench *b)
{
	app_server_free(b->server);
	fake_app_fini(&b->fake);
}

static enum err come(struct bench *b, struct app_client **out, const struct app_peer *peer)
{
	return app_client_open(b->server, out, peer, wake, b);
}

static struct app_client *remote(struct bench *b, size_t who)
{
	struct app_peer peer = app_peer_remote(users[who].name);
	struct app_client *c = NULL;

	CU_ASSERT_EQUAL_FATAL(come(b, &c, &peer), ERR_OK);
	return c;
}

static struct app_client *local(struct bench *b, uint32_t uid)
{
	struct app_peer peer = {.uid = uid, .gid = uid, .pid = 1};
	struct app_client *c = NULL;

	CU_ASSERT_EQUAL_FATAL(come(b, &c, &peer), ERR_OK);
	return c;
}

static void begin(struct bench *b, uint16_t verb)
{
	writer_init(&b->w, b->bytes, sizeof(b->bytes));
	app_put_header(&b->w, verb, 0, 0, ++b->last_id);
}

/* struct answer - an answer and the bytes that it lies in. */
struct answer {
	struct app_msg msg;
	uint8_t bytes[APP_MESSAGE_MAX];
};

static bool take(struct app_client *c, struct answer *a)
{
	struct bytes out = app_client_output(c);

	if (out.len == 0)
		return false;
	memcpy(a->bytes, out.p, out.len);
	app_client_sent(c);
	CU_ASSERT_EQUAL_FATAL(app_msg_parse(&a->msg, a->bytes, out.len), ERR_OK);
	return true;
}

static enum app_code ask(struct bench *b, struct app_client *c, int fd, struct answer *a)
{
	struct bytes out;

	b->fake.now_ns += NS_PER_S; /* requests a second are for another test */
	CU_ASSERT_EQUAL_FATAL(writer_finish(&b->w, &out), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(app_client_input(c, out.p, out.len, fd < 0 ? -1 : dup(fd)), ERR_OK);
	return take(c, a) ? (enum app_code)a->msg.code : APP_NUM_CODES;
}

static int udp(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	sin.sin_port = htons(9);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static uint64_t latch(struct bench *b, struct app_client *c, int fd)
{
	struct answer a;

	begin(b, APP_LATCH_CREATE);
	CU_ASSERT_EQUAL(ask(b, c, fd, &a), APP_OK);
	return app_attr_u64(&a.msg.attrs, APP_A_LATCH, 0);
}

/* ---- rights --------------------------------------------------------------------------------- */

/* What is everybody's on this host is not theirs; nobody's number makes them more. */
static void test_A9_rights(void)
{
	static const uint32_t rights[NUM_USERS] = {
		[READER] = APP_RIGHT_READ_OWN | APP_RIGHT_READ_ALL,
		[SETTER] = APP_RIGHT_READ_OWN | APP_RIGHT_CONFIGURE,
		[ADMIN] = 0x3f,
	};
	struct conf_app conf = {.interact = {.uids = {APP_NO_UID, 0}, .num_uids = 2},
				.configure = {.gids = {APP_NO_UID, 0}, .num_gids = 2}};
	struct app_peer peer;
	char text[APP_PEER_TEXT_MAX];

	memcpy(conf.network.users, users, sizeof(users));
	conf.network.num_users = NUM_USERS;
	for (size_t i = 0; i < NUM_USERS; i++) {
		peer = app_peer_remote(users[i].name);
		CU_ASSERT_TRUE(app_peer_is_remote(&peer));
		CU_ASSERT_EQUAL(app_rights(&conf, &peer), rights[i]);
		/* Even if somebody forgot who he is. */
		peer.uid = peer.gid = 0;
		CU_ASSERT_EQUAL(app_rights(&conf, &peer), rights[i]);
	}
	peer = app_peer_remote("stranger");
	CU_ASSERT_EQUAL(app_rights(&conf, &peer), 0);
	CU_ASSERT_EQUAL(peer.uid, APP_NO_UID);
	CU_ASSERT_STRING_EQUAL(app_peer_text(text, &peer), "'stranger' of another host");
}

/* struct row - what each user gets of a verb, about a latch of a program of this host. */
struct row {
	uint16_t verb;
	enum app_code codes[NUM_USERS];
};

#define OK APP_OK
#define NO APP_PERM
#define NF APP_NOT_FOUND
#define IN APP_INVAL

static const struct row matrix[] = {
	{APP_HELLO, {OK, OK, OK, OK}},
	{APP_TOKEN_INFO, {OK, NF, OK, NO}},
	{APP_LATCH_INQUIRE, {OK, NF, OK, NO}},
	{APP_LIST, {OK, NO, OK, NO}},
	{APP_PROFILES, {OK, OK, OK, NO}},
	{APP_EVENTS, {OK, OK, OK, NO}},
	{APP_PROFILE_SET, {NO, IN, IN, NO}}, /* there is none in it */
	{APP_TRIGGER, {NO, NO, OK, NO}},
	{APP_DELETE, {NO, NO, OK, NO}},
	{APP_REAUTHENTICATE, {NO, NO, OK, NO}},
	{APP_LATCH_RELEASE, {NO, NO, OK, NO}},
	{APP_DECIDE, {NO, NO, NF, NO}},
	{APP_PATHS, {OK, NO, OK, NO}},
	{APP_PATH, {NO, IN, IN, NO}}, /* nor is any said here */
	/* What is for a socket or a file is for nobody. */
	{APP_SOCKET_TOKEN, {NO, NO, NO, NO}},
	{APP_INTERFACE_TOKEN, {NO, NO, NO, NO}},
	{APP_LATCH_CREATE, {NO, NO, NO, NO}},
	{APP_LATCH_FIND, {NO, NO, NO, NO}},
	{APP_REQUIRE, {NO, NO, NO, NO}},
	{APP_DEMAND, {NO, NO, NO, NO}},
	{APP_RUN, {NO, NO, NO, NO}},
	{APP_CREDENTIAL_ADD, {NO, NO, NO, NO}},
};

static void try_row(const struct row *row, size_t who)
{
	struct app_client *c, *owner;
	struct bench b;
	struct answer a;
	char text[256];
	int fd = udp();
	enum app_code got;

	set_up(&b);
	owner = local(&b, PLAIN);
	c = remote(&b, who);
	CU_ASSERT_EQUAL(latch(&b, owner, fd), 1);
	begin(&b, row->verb);
	app_put_u64(&b.w, APP_A_LATCH, 1);
	if (row->verb == APP_TOKEN_INFO)
		app_put_u32(&b.w, APP_A_TOKEN, 7);
	got = ask(&b, c, -1, &a);
	if (got != row->codes[who])
		tap_diag("%s, %s: %d, not %d", app_verb_name(row->verb), users[who].name, (int)got,
			 (int)row->codes[who]);
	CU_ASSERT_EQUAL(got, row->codes[who]);
	if (row >= &matrix[14])
		CU_ASSERT_STRING_EQUAL(app_attr_text(&a.msg.attrs, APP_A_TEXT, text, sizeof(text)),
				       "a caller from another host has no socket and no file here");
	app_client_close(c);
	app_client_close(owner);
	close(fd);
	tear_down(&b);
}

/* Every verb for every user. */
static void test_A9_matrix(void)
{
	CU_ASSERT_EQUAL(ARRAY_LEN(matrix), APP_NUM_VERBS - 1);
	for (size_t i = 0; i < ARRAY_LEN(matrix); i++) {
		for (size_t who = 0; who < NUM_USERS; who++)
			try_row(&matrix[i], who);
	}
}

/* He holds nothing: an administrator who has a peer prove itself again leaves the latch whose it
 * was, and it stays when he goes. */
static void test_A9_holds_nothing(void)
{
	struct app_client *c, *owner;
	struct bench b;
	struct answer a;
	int fd = udp();
	uint64_t id;

	set_up(&b);
	owner = local(&b, PLAIN);
	c = remote(&b, ADMIN);
	begin(&b, APP_EVENTS);
	CU_ASSERT_EQUAL(ask(&b, owner, -1, &a), OK);
	id = latch(&b, owner, fd);
	begin(&b, APP_REAUTHENTICATE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	CU_ASSERT_EQUAL(ask(&b, c, -1, &a), OK);
	id = app_attr_u64(&a.msg.attrs, APP_A_LATCH, 0);
	CU_ASSERT_EQUAL(id, 2);
	app_client_close(c);
	CU_ASSERT_TRUE(take(owner, &a)); /* the old one is CLOSED */
	fake_app_state(&b.fake, id, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	CU_ASSERT_TRUE(take(owner, &a));
	begin(&b, APP_LATCH_INQUIRE);
	app_put_u64(&b.w, APP_A_LATCH, id);
	CU_ASSERT_EQUAL(ask(&b, owner, -1, &a), OK);
	app_client_close(owner);
	close(fd);
	tear_down(&b);
}

/* Who may read all is told of all; nobody else of another host is told of anything, and none is
 * asked about a peer. */
static void test_A9_events(void)
{
	struct app_client *all[NUM_USERS], *owner;
	struct bench b;
	struct answer a;
	int fd = udp();

	set_up(&b);
	owner = local(&b, PLAIN);
	for (size_t i = 0; i < NUM_USERS; i++) {
		all[i] = remote(&b, i);
		begin(&b, APP_EVENTS);
		CU_ASSERT_EQUAL(ask(&b, all[i], -1, &a), i == NOBODY ? NO : OK);
	}
	latch(&b, owner, fd);
	fake_app_ask(&b.fake, 1, 9);
	CU_ASSERT_EQUAL(b.fake.num_decided, 1);
	CU_ASSERT_FALSE(b.fake.accepted);
	fake_app_state(&b.fake, 1, LATCH_ESTABLISHED, IKE_REASON_NONE, "");
	for (size_t i = 0; i < NUM_USERS; i++) {
		bool told = take(all[i], &a);

		CU_ASSERT_EQUAL(told, i == READER || i == ADMIN);
		if (told)
			CU_ASSERT_EQUAL(a.msg.verb, APP_EV_LATCH);
		CU_ASSERT_FALSE(take(all[i], &a));
		app_client_close(all[i]);
	}
	app_client_close(owner);
	close(fd);
	tear_down(&b);
}

/* ---- quotas --------------------------------------------------------------------------------- */

/* Each name has its own, and none is shared with who has the number of nobody. */
static void test_A9_quotas(void)
{
	struct app_peer reader = app_peer_remote("reader"), setter = app_peer_remote("setter"),
			none = {.uid = APP_NO_UID, .gid = APP_NO_UID};
	struct app_client *c[5];
	struct bench b;

	set_up(&b);
	CU_ASSERT_EQUAL_FATAL(come(&b, &c[0], &reader), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(come(&b, &c[1], &reader), ERR_OK);
	CU_ASSERT_EQUAL(come(&b, &c[2], &reader), ERR_FULL);
	CU_ASSERT_EQUAL_FATAL(come(&b, &c[2], &setter), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(come(&b, &c[3], &none), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(come(&b, &c[4], &none), ERR_OK);
	for (int i = 0; i < 10; i++) {
		struct bytes out;

		begin(&b, APP_HELLO);
		CU_ASSERT_EQUAL_FATAL(writer_finish(&b.w, &out), ERR_OK);
		CU_ASSERT_EQUAL(app_client_wait(c[0]), 0);
		CU_ASSERT_EQUAL(app_client_input(c[0], out.p, out.len, -1), ERR_OK);
	}
	CU_ASSERT_TRUE(app_client_wait(c[0]) > 0);
	CU_ASSERT_TRUE(app_client_wait(c[1]) > 0);
	CU_ASSERT_EQUAL(app_client_wait(c[2]), 0);
	CU_ASSERT_EQUAL(app_client_wait(c[3]), 0);
	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		app_client_close(c[i]);
	tear_down(&b);
}

/* A configuration that does not name him any more ends his connection, and nobody else's. */
static void test_A9_named_no_more(void)
{
	struct app_client *reader, *setter, *program;
	struct bench b;
	struct answer a;

	set_up(&b);
	reader = remote(&b, READER);
	setter = remote(&b, SETTER);
	program = local(&b, PLAIN);
	b.conf.network.users[READER] = b.conf.network.users[ADMIN];
	b.conf.network.users[SETTER].configure = false;
	app_server_configure(b.server, &b.conf);
	CU_ASSERT_TRUE(app_client_doomed(reader));
	CU_ASSERT_EQUAL(b.num_wakes, 1);
	CU_ASSERT_FALSE(app_client_doomed(setter));
	CU_ASSERT_FALSE(app_client_doomed(program));
	begin(&b, APP_PROFILES);
	CU_ASSERT_EQUAL(ask(&b, setter, -1, &a), NO);
	app_client_close(reader);
	app_client_close(setter);
	app_client_close(program);
	tear_down(&b);
}

/* ---- whose certificate it is ---------------------------------------------------------------- */

static void test_A9_by_certificate(void)
{
	static const struct {
		const char *subject, *names;
		const char *user;
	} rows[] = {
		{"/C=CH/O=Latchkey/CN=operator", NULL, "operator"},
		{"/C=CH/O=Latchkey/CN=OPERATOR", NULL, "operator"}, /* RFC 5280 7.1 */
		{"/C=CH/O=Latchkey/CN=operator2", NULL, NULL},
		{"/C=CH/O=Latchkey/CN=operator/CN=operator", NULL, NULL},
		{"/O=Latchkey/CN=operator", NULL, NULL},
		{"/CN=x", "email:monitor@example.net", "monitor"},
		{"/CN=monitor@example.net", NULL, NULL},
		{"/CN=x", "DNS:monitor@example.net", NULL},
		{"/CN=x", "DNS:probe.example.net", "probe"},
		{"/CN=x", "DNS:*.example.net", NULL},
		{"/CN=x", "DNS:probe.example.net.evil.example", NULL},
		{"/C=CH/O=Latchkey/CN=operator", "DNS:probe.example.net", "operator"},
	};
	static const char *const ids[][2] = {{"operator", "C=CH, O=Latchkey, CN=operator"},
					     {"monitor", "monitor@example.net"},
					     {"probe", "probe.example.net"}};
	struct conf_app conf = {.disabled = false};
	static struct pki_cert cert;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct conf_user *u = &conf.network.users[conf.network.num_users++];

		snprintf(u->name, sizeof(u->name), "%s", ids[i][0]);
		CU_ASSERT_EQUAL_FATAL(conf_id_parse(&u->id, ids[i][1]), ERR_OK);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct conf_user *u;

		pki_cert_make(&cert, &(struct pki_params){.subject = rows[i].subject,
							  .names = rows[i].names});
		u = app_find_user_by_cert(&conf, pki_der(&cert));
		CU_ASSERT_EQUAL(u != NULL, rows[i].user != NULL);
		if (u && rows[i].user)
			CU_ASSERT_STRING_EQUAL(u->name, rows[i].user);
	}
	CU_ASSERT_PTR_NULL(app_find_user_by_cert(&conf, bytes_of("no certificate", 14)));
}

/* ---- frames --------------------------------------------------------------------------------- */

/* Puts bytes into frames in parts of so many; returns how many were whole. *out_err ends it. */
static uint32_t put_all(const uint8_t *bytes, size_t len, size_t part, enum err *out_err)
{
	static struct app_frame f;
	uint32_t whole = 0;
	size_t at = 0;

	f.len = 0;
	*out_err = ERR_OK;
	while (at < len && !*out_err) {
		size_t wants = app_frame_wants(&f), num = len - at < part ? len - at : part;

		num = num < wants ? num : wants;
		memcpy(f.bytes + f.len, bytes + at, num);
		at += num;
		*out_err = app_frame_add(&f, num);
		if (*out_err || app_frame_wants(&f))
			continue;
		whole++;
		CU_ASSERT_TRUE(app_frame_message(&f).len >= APP_HEADER_LEN);
		f.len = 0;
	}
	return whole;
}

static size_t some_frames(uint8_t *out)
{
	static struct app_frame f;
	uint8_t message[APP_MESSAGE_MAX] = {0};
	const size_t lens[] = {APP_HEADER_LEN, 255, 256, 40};
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		CU_ASSERT_EQUAL_FATAL(app_frame_put(&f, bytes_of(message, lens[i])), ERR_OK);
		memcpy(out + at, f.bytes, f.len);
		at += f.len;
	}
	CU_ASSERT_EQUAL(app_frame_put(&f, bytes_of(message, APP_MESSAGE_MAX)), ERR_OK);
	CU_ASSERT_EQUAL(app_frame_wants(&f), 0);
	return at;
}

/* Whatever parts a stream comes in, it is the same messages; cut off it is those before. */
static void test_A9_frames(void)
{
	static uint8_t bytes[APP_FRAME_MAX];
	size_t len = some_frames(bytes);
	enum err e;

	for (size_t part = 1; part <= len; part++) {
		CU_ASSERT_EQUAL(put_all(bytes, len, part, &e), 4);
		CU_ASSERT_EQUAL(e, ERR_OK);
	}
	for (size_t cut = 0; cut < len; cut++) {
		uint32_t whole = put_all(bytes, cut, 7, &e);

		CU_ASSERT_EQUAL(whole, (cut >= 14) + (cut >= 14 + 257) + (cut >= 14 + 257 + 258));
		CU_ASSERT_EQUAL(e, ERR_OK);
	}
}

/* S61: a length that no message has ends the stream as soon as it is known. */
static void test_A9_frame_bounds(void)
{
	static uint8_t bytes[APP_FRAME_MAX];
	enum err e;

	for (uint32_t len = 0; len <= UINT16_MAX; len++) {
		enum err wanted = len > APP_MESSAGE_MAX  ? ERR_LIMIT
				  : len < APP_HEADER_LEN ? ERR_TRUNCATED
							 : ERR_OK;

		store_be16(bytes, (uint16_t)len);
		CU_ASSERT_EQUAL(put_all(bytes, 2, 1, &e), 0);
		CU_ASSERT_EQUAL(e, wanted);
	}
}

static void test_A9_frame_bits(void)
{
	static uint8_t bytes[APP_FRAME_MAX];
	size_t len = some_frames(bytes);
	uint32_t ended = 0;
	enum err e;

	for (size_t bit = 0; bit < len * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_TRUE(put_all(bytes, len, 5, &e) <= len / 14);
		ended += e != ERR_OK;
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT_TRUE(ended > 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_A9_rights),         TAP_TEST(test_A9_matrix), TAP_TEST(test_A9_holds_nothing),
	TAP_TEST(test_A9_events),         TAP_TEST(test_A9_quotas), TAP_TEST(test_A9_named_no_more),
	TAP_TEST(test_A9_by_certificate), TAP_TEST(test_A9_frames), TAP_TEST(test_A9_frame_bounds),
	TAP_TEST(test_A9_frame_bits),
};

TAP_MAIN("app_remote", tests)
