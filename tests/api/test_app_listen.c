/* SPDX-License-Identifier: Apache-2.0 */
/* The application socket itself: who may come, who he is, descriptors, and clients that hurry. */
#include "api/app/listen.h"
#include "api/app/proto.h"
#include "api/app/quota.h"
#include "base/clock.h"
#include "tests/api/fake_app.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* struct stand - a server on a socket in a loop. */
struct stand {
	uv_loop_t loop;
	struct fake_app fake;
	struct conf_app conf;
	struct app_server *server;
	struct app_listen *listen;
	char dir[32];
	struct sockaddr_un sun;
};

static void stand_up(struct stand *s)
{
	memset(s, 0, sizeof(*s));
	fake_app_init(&s->fake);
	s->conf = (struct conf_app){.interact = {.gids = {4711}, .num_gids = 1},
				    .clients_per_uid = 8,
				    .latches_per_uid = 8,
				    .requests_per_second = 1000,
				    .queue_per_uid = 1u << 20};
	snprintf(s->dir, sizeof(s->dir), "/tmp/latchkey-app-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(s->dir));
	chmod(s->dir, 0755);
	s->sun.sun_family = AF_UNIX;
	snprintf(s->sun.sun_path, sizeof(s->sun.sun_path), "%s/%s", s->dir, APP_SOCKET);
	uv_loop_init(&s->loop);
	CU_ASSERT_EQUAL_FATAL(app_server_new(&s->server, &s->fake.backend, &s->conf, 1), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(app_listen_open(&s->listen, &s->loop, s->sun.sun_path, s->server),
			      ERR_OK);
}

static void tear_down(struct stand *s)
{
	app_listen_close(s->listen);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&s->loop), 0);
	app_server_free(s->server);
	fake_app_fini(&s->fake);
	CU_ASSERT_EQUAL(rmdir(s->dir), 0); /* the socket is gone */
}

static void turn(struct stand *s, int times)
{
	while (times-- > 0)
		uv_run(&s->loop, UV_RUN_NOWAIT);
}

static int client(const struct stand *s)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL(connect(fd, (const struct sockaddr *)&s->sun, sizeof(s->sun)), 0);
	return fd;
}

static ssize_t send_verb(int fd, uint16_t verb, uint32_t id, const int *fds, size_t num)
{
	alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(32 * sizeof(int))];
	uint8_t buf[APP_HEADER_LEN];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	app_put_header(&w, verb, 0, 0, id);
	if (num) {
		struct cmsghdr *c;

		memset(control, 0, sizeof(control));
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(num * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(num * sizeof(int));
		memcpy(CMSG_DATA(c), fds, num * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* The code of the next answer; -1 if there is none, -2 if the connection has ended. */
static int answer(int fd, struct app_msg *msg, uint8_t *buf)
{
	ssize_t len = recv(fd, buf, APP_MESSAGE_MAX, 0);

	if (len <= 0)
		return len == 0 || errno == ECONNRESET ? -2 : -1;
	CU_ASSERT_EQUAL_FATAL(app_msg_parse(msg, buf, (size_t)len), ERR_OK);
	return msg->code;
}

static uint32_t num_open(void)
{
	uint32_t num = 0;

	for (int fd = 0; fd < 256; fd++)
		num += fcntl(fd, F_GETFD) >= 0;
	return num;
}

/* E: everybody may connect, and nobody may write where the socket is. */
static void test_S60_mode(void)
{
	struct stand s;
	struct stat st;

	stand_up(&s);
	CU_ASSERT_EQUAL(stat(s.sun.sun_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0666);
	tear_down(&s);
}

static void test_in_the_way(void)
{
	struct app_listen *l;
	char path[200];
	struct stand s;
	int fd;

	stand_up(&s);
	CU_ASSERT_EQUAL(app_listen_open(&l, &s.loop, s.sun.sun_path, s.server), ERR_BUSY);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(app_listen_open(&l, &s.loop, path, s.server), ERR_LIMIT);
	snprintf(path, sizeof(path), "%s/file", s.dir);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	CU_ASSERT_EQUAL(app_listen_open(&l, &s.loop, path, s.server), ERR_SYS);
	CU_ASSERT_EQUAL(unlink(path), 0);
	close(fd);
	tear_down(&s);
}

/* struct seen - what a child of another user was told. */
struct seen {
	uint32_t rights;
	int code;
};

static void be_user(const struct stand *s, int out, uint32_t uid, uint32_t group)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct app_msg msg;
	struct seen seen = {0};
	gid_t groups[] = {group};
	int fd;

	if (setgroups(group != 0, groups) || setgid(uid) || setuid(uid))
		_exit(1);
	fd = client(s);
	fcntl(fd, F_SETFL, 0);
	send_verb(fd, APP_HELLO, 1, NULL, 0);
	seen.code = answer(fd, &msg, buf);
	if (seen.code == APP_OK)
		seen.rights = app_attr_u32(&msg.attrs, APP_A_RIGHTS, 0);
	_exit(write(out, &seen, sizeof(seen)) == sizeof(seen) ? 0 : 1);
}

static struct seen as_user(struct stand *s, uint32_t uid, uint32_t group)
{
	struct seen seen = {0};
	int ends[2], status;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		be_user(s, ends[1], uid, group);
	for (int i = 0; i < 2000 && waitpid(pid, &status, WNOHANG) == 0; i++) {
		turn(s, 1);
		usleep(1000);
	}
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(read(ends[0], &seen, sizeof(seen)), sizeof(seen));
	close(ends[0]);
	close(ends[1]);
	return seen;
}

/* Who somebody is, and in which groups, the kernel says. */
static void test_E19_identity(void)
{
	const uint32_t all = APP_RIGHT_READ_OWN | APP_RIGHT_USE;
	struct stand s;

	if (geteuid() != 0) {
		tap_skip("only root may become another user");
		return;
	}
	stand_up(&s);
	CU_ASSERT_EQUAL(as_user(&s, 1234, 0).rights, all);
	CU_ASSERT_EQUAL(as_user(&s, 1234, 4711).rights, all | APP_RIGHT_INTERACT);
	CU_ASSERT_EQUAL(as_user(&s, 4711, 0).rights, all | APP_RIGHT_INTERACT);
	CU_ASSERT_EQUAL(as_user(&s, 0, 0).rights, 0x3f);
	tear_down(&s);
}

/* A thread closes what another has had a hand in. */
static bool comes_to(uint32_t num)
{
	for (int i = 0; i < 2000 && num_open() != num; i++)
		usleep(1000);
	return num_open() == num;
}

/* A message brings one descriptor at most; more are closed, and it is refused. */
static void test_E20_descriptors(void)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct app_msg msg;
	struct stand s;
	int fds[20], udp = socket(AF_INET, SOCK_DGRAM, 0);
	uint32_t before, none;

	stand_up(&s);
	none = num_open();
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = udp;
	for (size_t num = 0; num <= ARRAY_LEN(fds); num = num < 2 ? num + 1 : num * 3) {
		int fd = client(&s);

		turn(&s, 3);
		before = num_open();
		CU_ASSERT_TRUE(send_verb(fd, APP_SOCKET_TOKEN, 1, fds, num) > 0);
		turn(&s, 3);
		CU_ASSERT_EQUAL(answer(fd, &msg, buf), num == 0   ? APP_INVAL
						       : num == 1 ? APP_BAD_STATE
								  : -2);
		/* Where the connection has ended its descriptor is closed too. */
		CU_ASSERT_TRUE(comes_to(before - (num > 1)));
		close(fd);
		turn(&s, 3);
		CU_ASSERT_TRUE(comes_to(none));
	}
	close(udp);
	tear_down(&s);
}

/* What comes first would be a message. */
static void test_S61_too_long(void)
{
	static uint8_t buf[APP_MESSAGE_MAX + 1];
	struct app_msg msg;
	struct writer w;
	struct stand s;
	int fd;

	writer_init(&w, buf, sizeof(buf));
	app_put_header(&w, APP_HELLO, 0, 0, 1);
	writer_u16(&w, APP_A_OPTIONAL);
	writer_u16(&w, APP_MESSAGE_MAX - APP_HEADER_LEN - 4);
	stand_up(&s);
	fd = client(&s);
	CU_ASSERT_EQUAL(send(fd, buf, sizeof(buf), 0), sizeof(buf));
	turn(&s, 5);
	CU_ASSERT_EQUAL(answer(fd, &msg, buf), -2);
	close(fd);
	turn(&s, 3);
	tear_down(&s);
}

static uint32_t count(int fd)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct app_msg msg;
	uint32_t num = 0;

	while (answer(fd, &msg, buf) == APP_OK)
		num++;
	return num;
}

/* One that sends without end has a turn, and then the other, though both are one user's. */
static void test_E21_fair(void)
{
	struct stand s;
	int busy, other;
	uint32_t sent = 0;

	stand_up(&s);
	busy = client(&s);
	other = client(&s);
	turn(&s, 3);
	while (sent < 60 && send_verb(busy, APP_HELLO, sent, NULL, 0) > 0)
		sent++;
	CU_ASSERT_TRUE(sent > 2);
	CU_ASSERT_TRUE(send_verb(other, APP_HELLO, 1, NULL, 0) > 0);
	turn(&s, 2);
	CU_ASSERT_EQUAL(count(other), 1);
	CU_ASSERT_EQUAL(count(busy), 1);
	turn(&s, (int)sent);
	CU_ASSERT_EQUAL(count(busy), sent - 1);
	close(busy);
	close(other);
	turn(&s, 3);
	tear_down(&s);
}

/* lingering - a TCP connection whose other end does not read: to close it takes five seconds. */
static int lingering(int *out_server)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 5};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int server = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(sin);
	static const char buf[65536];

	bind(server, (const struct sockaddr *)&sin, sizeof(sin));
	listen(server, 1);
	getsockname(server, (struct sockaddr *)&sin, &len);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	while (send(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	*out_server = server;
	return fd;
}

static uint64_t turned_ns(struct stand *s)
{
	uint64_t start = clock_now_ns();

	turn(s, 5);
	return clock_now_ns() - start;
}

/* A socket that takes its time to be closed keeps nobody waiting, whether the message that brings
 * it is read or its connection is closed before. */
static void test_E21_linger(void)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct app_msg msg;
	int conns[3], servers[3], fds[3][2];
	struct stand s;

	stand_up(&s);
	for (size_t i = 0; i < 3; i++) {
		size_t num = i == 1 ? 2 : 1;

		conns[i] = client(&s);
		for (size_t k = 0; k < num; k++)
			fds[i][k] = lingering(&servers[i]);
		CU_ASSERT_TRUE(send_verb(conns[i], APP_SOCKET_TOKEN, 1, fds[i], num) > 0);
		for (size_t k = 0; k < num; k++)
			close(fds[i][k]);
		if (i == 2) /* nobody reads it */
			close(conns[i]);
		CU_ASSERT_TRUE(turned_ns(&s) < NS_PER_S);
	}
	CU_ASSERT_TRUE(answer(conns[0], &msg, buf) > 0);
	CU_ASSERT_EQUAL(answer(conns[1], &msg, buf), -2);
	close(conns[0]);
	close(conns[1]);
	for (size_t i = 0; i < 3; i++)
		close(servers[i]);
	turn(&s, 3);
	tear_down(&s);
}

/* Who asks too often is not refused, he waits. */
static void test_E17_waits(void)
{
	struct stand s;
	int fd;

	stand_up(&s);
	s.conf.requests_per_second = 10;
	app_server_configure(s.server, &s.conf);
	fd = client(&s);
	for (uint32_t i = 0; i < 15; i++)
		CU_ASSERT_TRUE(send_verb(fd, APP_HELLO, i, NULL, 0) > 0);
	turn(&s, 10);
	CU_ASSERT_EQUAL(count(fd), 9); /* and the connection */
	turn(&s, 10);
	CU_ASSERT_EQUAL(count(fd), 0);
	s.fake.now_ns += 200 * NS_PER_MS;
	usleep(110000);
	turn(&s, 10);
	CU_ASSERT_EQUAL(count(fd), 2);
	close(fd);
	s.fake.now_ns += NS_PER_S;
	usleep(110000);
	turn(&s, 5);
	tear_down(&s);
}

#define WORK_NS ((int64_t)(NS_PER_S * 10 / 68 / APP_SHARE))

/* working_each - as profile_each() where there is none, after a good part of what a user has in
 * a second. */
static bool working_each(void *ctx, struct app_profile *out, uint32_t i)
{
	struct timespec t;

	(void)ctx, (void)out, (void)i;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	for (struct timespec from = t;
	     (t.tv_sec - from.tv_sec) * 1000000000L + t.tv_nsec < from.tv_nsec + WORK_NS;)
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return false;
}

/* Whose requests are much work may send few of them: their time is his. */
static void test_E17_charged(void)
{
	struct app_ops ops;
	struct stand s;
	int fd;

	stand_up(&s);
	ops = *s.fake.backend.ops;
	ops.profile_each = working_each;
	s.fake.backend.ops = &ops;
	fd = client(&s);
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT_TRUE(send_verb(fd, APP_PROFILES, i, NULL, 0) > 0);
	turn(&s, 20);
	CU_ASSERT_EQUAL(count(fd), 7); /* and a half of what another costs */
	close(fd);
	turn(&s, 3);
	s.fake.now_ns += 2 * NS_PER_S;
	turn(&s, 3);
	tear_down(&s);
}

/* Who connects too often is turned away; then the socket rests, and takes those who waited. */
static void test_E17_connections(void)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct app_msg msg;
	struct stand s;
	int fd, late, refused[5];
	uint32_t num = 0;

	stand_up(&s);
	s.conf.requests_per_second = 1;
	app_server_configure(s.server, &s.conf);
	fd = client(&s);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		refused[i] = client(&s);
	late = client(&s);
	turn(&s, 3);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		num += answer(refused[i], &msg, buf) == -2;
		close(refused[i]);
	}
	CU_ASSERT_EQUAL(num, 4);
	CU_ASSERT_EQUAL(answer(late, &msg, buf), -1); /* not even turned away */
	s.fake.now_ns += 4 * NS_PER_MS;
	turn(&s, 3);
	CU_ASSERT_EQUAL(answer(late, &msg, buf), -2);
	close(late);
	late = client(&s);
	s.fake.now_ns += 2 * NS_PER_S;
	turn(&s, 3);
	CU_ASSERT_EQUAL(answer(late, &msg, buf), -1);
	s.fake.now_ns += 2 * NS_PER_S;
	CU_ASSERT_TRUE(send_verb(late, APP_HELLO, 1, NULL, 0) > 0);
	turn(&s, 3);
	CU_ASSERT_EQUAL(answer(late, &msg, buf), APP_OK);
	close(fd);
	close(late);
	turn(&s, 3);
	tear_down(&s);
}

/* S63: what a client does not read waits for him, up to a bound, and others are served. */
static void test_S63_slow_reader(void)
{
	uint8_t buf[APP_MESSAGE_MAX];
	struct app_msg msg;
	struct stand s;
	int slow, good;
	uint32_t served = 0, sent = 0;

	stand_up(&s);
	s.conf.requests_per_second = 1000000;
	app_server_configure(s.server, &s.conf);
	slow = client(&s);
	good = client(&s);
	turn(&s, 3);
	for (int i = 0; i < 6000; i++) {
		sent += send_verb(slow, APP_PROFILES, 1, NULL, 0) > 0;
		CU_ASSERT_TRUE(send_verb(good, APP_HELLO, 1, NULL, 0) > 0);
		s.fake.now_ns += 100 * NS_PER_MS;
		turn(&s, 2);
		served += answer(good, &msg, buf) == APP_OK;
	}
	CU_ASSERT_EQUAL(served, 6000);
	CU_ASSERT_TRUE(sent < 6000);
	while (answer(slow, &msg, buf) == APP_OK) {
	}
	CU_ASSERT_EQUAL(answer(slow, &msg, buf), -2);
	close(slow);
	close(good);
	turn(&s, 3);
	tear_down(&s);
}

/* Closing with clients connected leaves nothing open (tear_down asserts it). */
static void test_close_under_way(void)
{
	struct stand s;
	int fd;

	stand_up(&s);
	fd = client(&s);
	CU_ASSERT_TRUE(send_verb(fd, APP_HELLO, 1, NULL, 0) > 0);
	turn(&s, 3);
	tear_down(&s);
	close(fd);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S60_mode),        TAP_TEST(test_in_the_way),
	TAP_TEST(test_E19_identity),    TAP_TEST(test_E20_descriptors),
	TAP_TEST(test_S61_too_long),    TAP_TEST(test_E21_fair),
	TAP_TEST(test_E21_linger),      TAP_TEST(test_E17_waits),
	TAP_TEST(test_E17_charged),     TAP_TEST(test_E17_connections),
	TAP_TEST(test_S63_slow_reader), TAP_TEST(test_close_under_way),
};

TAP_MAIN("app_listen", tests)
