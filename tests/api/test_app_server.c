/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application socket's server message by message, before a fake engine and with true sockets:
 * who may do what (section E), clients that are hostile, tokens, profiles, credentials, lists.
 */
#include "tests/api/app_bench.h"
#include "tests/tap/tap.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

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

	bench_open(&b);
	c = bench_client(&b, INTERACTS);
	bench_begin(&b, APP_HELLO);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_VERSION, 0), APP_VERSION);
	CU_ASSERT_EQUAL(answer_u64(&a, APP_A_INSTANCE), 5);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_RIGHTS, 0),
			APP_RIGHT_READ_OWN | APP_RIGHT_USE | APP_RIGHT_INTERACT);
	bench_begin(&b, 999);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_UNSUPPORTED);
	bench_begin(&b, 0);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_UNSUPPORTED);
	CU_ASSERT_EQUAL(b.num_wakes, 0);
	app_client_close(c);
	bench_close(&b);
}

/* What is not the protocol ends the connection; its descriptor is closed. */
static void test_S61_hostile(void)
{
	struct bench b;
	struct app_client *c;
	uint32_t before;
	int fd = bench_udp(0);

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	before = num_open();
	CU_ASSERT_NOT_EQUAL(app_client_input(c, "GET / HTTP/1.1\r\n", 16, fd), ERR_OK);
	CU_ASSERT_EQUAL(app_client_input(c, NULL, 0, fd), ERR_TRUNCATED);
	bench_begin(&b, APP_HELLO);
	b.bytes[3] = APP_F_ANSWER;
	CU_ASSERT_EQUAL(bench_submit(&b, c, fd), ERR_MALFORMED);
	bench_begin(&b, APP_HELLO);
	CU_ASSERT_EQUAL(bench_submit(&b, c, fd), ERR_OK); /* a descriptor that nobody asked for */
	CU_ASSERT_EQUAL(load_be16(app_client_output(c).p + 6), APP_INVAL);
	CU_ASSERT_EQUAL(num_open(), before);
	app_client_close(c);
	close(fd);
	bench_close(&b);
}

static void test_socket_token(void)
{
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = bench_udp(9), loose = bench_udp(0), file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint32_t before;

	bench_open(&b);
	c = bench_client(&b, PLAIN);
	before = num_open();
	bench_begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_INVAL);
	bench_begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(bench_ask(&b, c, file, &a), APP_INVAL);
	bench_begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(bench_ask(&b, c, loose, &a), APP_BAD_STATE);
	bench_begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_NOT_FOUND);
	b.fake.any_flow = true;
	bench_begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_OK);
	CU_ASSERT_EQUAL(app_attr_u32(&a.msg.attrs, APP_A_TOKEN, 0), 7);
	CU_ASSERT_EQUAL(num_open(), before);
	app_client_close(c);
	close(fd);
	close(loose);
	close(file);
	bench_close(&b);
}

/* ---- section E ------------------------------------------------------------------------------ */

/* A socket that another network has, with whatever ends, says nothing here. */
static void test_E3_foreign_network(void)
{
	static const uint16_t verbs[] = {APP_SOCKET_TOKEN, APP_TOKEN_INFO, APP_LATCH_CREATE,
					 APP_LATCH_FIND,   APP_REQUIRE,    APP_DEMAND};
	struct bench b;
	struct app_client *c;
	struct answer a;
	int fd = bench_udp(9);

	bench_open(&b);
	b.fake.any_flow = true;
	b.fake.foreign[0] = cookie_of(fd);
	c = bench_client(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		bench_begin(&b, verbs[i]);
		app_put_u32(&b.w, APP_A_TOKEN, 7);
		CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(b.fake.num_latches, 0);
	CU_ASSERT_EQUAL(b.fake.marked, 0);
	app_client_close(c);
	close(fd);
	bench_close(&b);
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
	bench_open(&b);
	b.fake.any_flow = true;
	c = bench_client(&b, PLAIN);
	bench_begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_OK);
	b.fake.dead = true;
	bench_begin(&b, APP_SOCKET_TOKEN);
	CU_ASSERT_EQUAL(bench_ask(&b, c, fd, &a), APP_NOT_FOUND);
	app_client_close(c);
	close(fd);
	close(server);
	bench_close(&b);
}

static enum app_code token_info(struct bench *b, struct app_client *c, int fd, uint32_t token,
				struct answer *a)
{
	bench_begin(b, APP_TOKEN_INFO);
	app_put_u32(&b->w, APP_A_TOKEN, token);
	return bench_ask(b, c, fd, a);
}

/* Whom a token stands for is told to who has a socket that the class may reach, and to who may
 * read all; to others it is as one that is not there. */
static void test_E5_token_info(void)
{
	struct bench b;
	struct app_client *c, *reader;
	struct app_attrs in;
	struct answer a, absent;
	int fd = bench_udp(9), other = bench_udp(9);
	char text[264];

	bench_open(&b);
	b.fake.classes[0].reaches = port_of(fd);
	c = bench_client(&b, PLAIN);
	reader = bench_client(&b, READER);
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
	bench_close(&b);
}

/* A peer that proved itself by EAP: by which method is told beside that. */
static void test_A13_method_of_eap(void)
{
	struct bench b;
	struct app_client *c;
	struct app_attrs in;
	struct answer a;
	struct auth_proof_params p;

	bench_open(&b);
	c = bench_client(&b, READER);
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
	bench_close(&b);
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
	int fds[] = {bench_udp(9), bench_udp(9)};

	bench_open(&b);
	b.fake.classes[0].reaches = port_of(fds[0]);
	b.fake.ifindex = 5;
	b.fake.of_it = 7;
	b.fake.holds_ms = 250;
	c = bench_client(&b, PLAIN);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bench_begin(&b, APP_INTERFACE_TOKEN);
		app_put_u32(&b.w, APP_A_INTERFACE, rows[i].ifindex);
		if (rows[i].to)
			app_put_flow(&b.w, APP_A_FLOW, rows[i].to);
		CU_ASSERT_EQUAL(bench_ask(&b, c, fds[rows[i].other], &a), rows[i].code);
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
	bench_begin(&b, APP_INTERFACE_TOKEN);
	app_put_u32(&b.w, APP_A_INTERFACE, 5);
	app_put_flow(&b.w, APP_A_FLOW, &to);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_INVAL);
	app_client_close(c);
	close(fds[0]);
	close(fds[1]);
	bench_close(&b);
}

/* struct row - what each user gets of a verb: for his own object, another's, one that is none. */
struct row {
	uint16_t verb;
	enum app_code own[5], foreign[5]; /* PLAIN, INTERACTS, SETTER, READER, root */
};

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
	int fd = bench_udp(9);
	uint64_t id;

	bench_open(&b);
	c = bench_client(&b, users[who]);
	owner = own ? c : bench_client(&b, OTHER);
	id = bench_latch(&b, owner, fd, false);
	bench_begin(&b, row->verb);
	app_put_u64(&b.w, APP_A_LATCH, id);
	got = bench_ask(&b, c, -1, &a);
	if (got != wanted)
		tap_diag("%s, user %u, %s: %d, not %d", app_verb_name(row->verb), users[who],
			 own ? "own" : "another's", (int)got, (int)wanted);
	CU_ASSERT_EQUAL(got, wanted);
	bench_begin(&b, row->verb);
	app_put_u64(&b.w, APP_A_LATCH, 999);
	absent = bench_ask(&b, c, -1, &none);
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
	bench_close(&b);
}

static void test_E6_matrix(void)
{
	for (size_t i = 0; i < ARRAY_LEN(matrix); i++) {
		for (size_t who = 0; who < ARRAY_LEN(users); who++) {
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

	for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(users); i++) {
		size_t row = i / ARRAY_LEN(users), who = i % ARRAY_LEN(users);
		struct bench b;
		struct app_client *c;
		struct answer a;

		bench_open(&b);
		c = bench_client(&b, users[who]);
		bench_begin(&b, rows[row].verb);
		CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), rows[row].codes[who]);
		app_client_close(c);
		bench_close(&b);
	}
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

	bench_open(&b);
	c = bench_client(&b, SETTER);
	bench_begin(&b, APP_PROFILES);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	CU_ASSERT_EQUAL(a.msg.attrs.num, 3);
	CU_ASSERT_EQUAL(app_attr_inside(&a.msg.attrs, APP_A_PROFILE_INFO, &in), ERR_OK);
	CU_ASSERT_STRING_EQUAL(app_attr_text(&in, APP_A_PROFILE, text, sizeof(text)), "secure");
	CU_ASSERT_EQUAL(app_attr_bytes(&in, APP_A_METHODS).len, 3);
	bench_begin(&b, APP_PROFILE_SET);
	mark = app_begin(&b.w, APP_A_PROFILE_INFO);
	app_put_text(&b.w, APP_A_PROFILE, "mine");
	app_put_bytes(&b.w, APP_A_METHODS, bytes_of("\x0b", 1));
	app_put_bool(&b.w, APP_A_MAKE, true);
	app_end(&b.w, mark);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_OK);
	CU_ASSERT_STRING_EQUAL(b.fake.set.name, "mine");
	CU_ASSERT_EQUAL(b.fake.set.methods[0], AUTH_METHOD_PUBKEY);
	CU_ASSERT_TRUE(b.fake.set.make && b.fake.set.privacy && b.fake.set.integrity);
	bench_begin(&b, APP_PROFILE_SET);
	mark = app_begin(&b.w, APP_A_PROFILE_INFO);
	app_put_text(&b.w, APP_A_PROFILE, "without-methods");
	app_end(&b.w, mark);
	CU_ASSERT_EQUAL(bench_ask(&b, c, -1, &a), APP_INVAL);
	app_client_close(c);
	bench_close(&b);
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
	bench_begin(b, APP_CREDENTIAL_ADD);
	app_put_u32(&b->w, APP_A_CREDENTIAL, kind);
	if (kind == APP_CRED_SECRET) {
		app_put_text(&b->w, APP_A_IDENTITY, "a.example");
		app_put_text(&b->w, APP_A_IDENTITY, "b.example");
	}
	return bench_ask(b, c, fd, a);
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
	bench_open(&b);
	c = bench_client(&b, SETTER);
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
	bench_close(&b);
}

/* A list that is longer than a message comes in several. */
static void test_list(void)
{
	struct bench b;
	struct app_client *c, *reader;
	struct answer a;
	uint32_t num = 0, messages = 0;
	int fds[150];

	bench_open(&b);
	b.conf.latches_per_uid = 200;
	app_server_configure(b.server, &b.conf);
	c = bench_client(&b, PLAIN);
	reader = bench_client(&b, READER);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		uint64_t id = bench_latch(&b, c, fds[i] = bench_udp(9), false);

		/* Long ones, whose bytes fill a message, and short ones, whose number does. */
		if (i < 60)
			memset(fake_app_latch(&b.fake, id)->demand.peer, 'p', 200);
	}
	bench_begin(&b, APP_LIST);
	CU_ASSERT_EQUAL(bench_submit(&b, reader, -1), ERR_OK);
	while (bench_take(reader, &a.msg, a.bytes)) {
		num += a.msg.attrs.num;
		messages++;
		CU_ASSERT_EQUAL(a.msg.flags & APP_F_MORE ? 1 : 0, bench_silent(reader) ? 0 : 1);
	}
	CU_ASSERT_EQUAL(num, ARRAY_LEN(fds));
	CU_ASSERT_TRUE(messages >= 4);
	app_client_close(c);
	app_client_close(reader);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	bench_close(&b);
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
	TAP_TEST(test_profiles),
	TAP_TEST(test_E14_credentials),
	TAP_TEST(test_list),
};

TAP_MAIN("app_server", tests)
