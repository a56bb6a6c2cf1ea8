/* SPDX-License-Identifier: Apache-2.0 */
/* The management socket itself: whose it is, what is in its way, and clients that do not read. */
#include "api/vici/proto.h"
#include "tests/api/stand.h"
#include "tests/tap/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address(const struct stand *s, const char *name)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", s->dir, name);
	return sun;
}

static int client(const struct stand *s)
{
	struct sockaddr_un sun = address(s, "latchkey.vici");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void turn(struct stand *s, int times)
{
	while (times-- > 0)
		uv_run(&s->loop, UV_RUN_NOWAIT);
}

static void test_S60_mode(void)
{
	struct stand s;
	struct sockaddr_un sun;
	struct stat st;

	stand_up(&s);
	sun = address(&s, "latchkey.vici");
	CU_ASSERT_EQUAL(stat(sun.sun_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	tear_down(&s);
}

static void test_in_the_way(void)
{
	char long_path[200];
	struct vici_listen *l;
	struct sockaddr_un sun;
	struct stat st;
	struct stand s;
	int fd;

	stand_up(&s);
	sun = address(&s, "latchkey.vici");
	CU_ASSERT_EQUAL(vici_listen_open(&l, &s.loop, sun.sun_path, s.server), ERR_BUSY);
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	CU_ASSERT_EQUAL(vici_listen_open(&l, &s.loop, long_path, s.server), ERR_LIMIT);
	CU_ASSERT_EQUAL(vici_listen_open(&l, &s.loop, "/nonexistent/x", s.server), ERR_SYS);
	/* What a dead daemon left. */
	sun = address(&s, "stale");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(vici_listen_open(&l, &s.loop, sun.sun_path, s.server), ERR_OK);
	vici_listen_close(l, NULL, NULL);
	CU_ASSERT_EQUAL(stat(sun.sun_path, &st), -1);
	/* A file that is no socket is not ours to remove. */
	stand_write(&s, "file", "precious");
	sun = address(&s, "file");
	CU_ASSERT_NOT_EQUAL(vici_listen_open(&l, &s.loop, sun.sun_path, s.server), ERR_OK);
	CU_ASSERT_EQUAL(stat(sun.sun_path, &st), 0);
	tear_down(&s);
}

static void done(void *arg)
{
	*(bool *)arg = true;
}

/* Another daemon's socket in the place of ours stays when we go. */
static void test_replaced(void)
{
	struct stand s;
	struct sockaddr_un sun;
	struct vici_listen *l;
	bool closed = false;
	struct stat st;

	stand_up(&s);
	sun = address(&s, "other");
	CU_ASSERT_EQUAL_FATAL(vici_listen_open(&l, &s.loop, sun.sun_path, s.server), ERR_OK);
	CU_ASSERT_EQUAL(unlink(sun.sun_path), 0);
	stand_write(&s, "keep-the-inode-busy", "");
	stand_write(&s, "other", "somebody else's");
	vici_listen_close(l, done, &closed);
	CU_ASSERT_FALSE(closed);
	turn(&s, 3);
	CU_ASSERT_TRUE(closed);
	CU_ASSERT_EQUAL(stat(sun.sun_path, &st), 0);
	tear_down(&s);
}

static bool is_cut_off(int fd)
{
	char buf[65536];
	ssize_t n;

	do {
		n = read(fd, buf, sizeof(buf));
	} while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

/* S63: lines go on, the one who reads none is dropped, another is served all the time. */
static void test_S63_slow_client(void)
{
	static const uint8_t listen_log[] = {0, 0, 0, 5, 3, 3, 'l', 'o', 'g'};
	static const uint8_t version[] = {0, 0, 0, 9, 0, 7, 'v', 'e', 'r', 's', 'i', 'o', 'n'};
	char line[1000], answer[512];
	struct stand s;
	int slow, good;
	size_t served = 0;

	stand_up(&s);
	slow = client(&s);
	good = client(&s);
	CU_ASSERT_EQUAL(write(slow, listen_log, sizeof(listen_log)), sizeof(listen_log));
	turn(&s, 5);
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	for (int i = 0; i < 100; i++) {
		for (int j = 0; j < 200; j++)
			vici_server_log(s.server, LOG_INFO, LOG_IKE, "gw", line);
		CU_ASSERT_EQUAL(write(good, version, sizeof(version)), sizeof(version));
		turn(&s, 4);
		served += read(good, answer, sizeof(answer)) > 0;
	}
	CU_ASSERT_EQUAL(served, 100);
	CU_ASSERT_TRUE(is_cut_off(slow));
	close(slow);
	close(good);
	turn(&s, 5);
	tear_down(&s);
}

/* One that sends what is not the protocol is dropped, and so is one over the limit. */
static void test_dropped(void)
{
	int fds[VICI_CLIENTS_MAX + 1], bad;
	struct stand s;

	stand_up(&s);
	bad = client(&s);
	CU_ASSERT_EQUAL(write(bad, "GET / HTTP/1.1\r\n", 16), 16);
	turn(&s, 5);
	CU_ASSERT_TRUE(is_cut_off(bad));
	close(bad);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = client(&s);
		turn(&s, 3);
	}
	CU_ASSERT_FALSE(is_cut_off(fds[0]));
	CU_ASSERT_TRUE(is_cut_off(fds[VICI_CLIENTS_MAX]));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	turn(&s, 5);
	tear_down(&s);
}

/* Closing with clients connected and output under way leaves nothing open (tear_down asserts it).
 */
static void test_close_under_way(void)
{
	static const uint8_t listen_log[] = {0, 0, 0, 5, 3, 3, 'l', 'o', 'g'};
	struct stand s;
	char line[900];
	int fd;

	stand_up(&s);
	fd = client(&s);
	CU_ASSERT_EQUAL(write(fd, listen_log, sizeof(listen_log)), sizeof(listen_log));
	turn(&s, 5);
	memset(line, 'y', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	for (int j = 0; j < 3000; j++)
		vici_server_log(s.server, LOG_INFO, LOG_IKE, "gw", line);
	turn(&s, 2);
	tear_down(&s);
	close(fd);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_S60_mode),        TAP_TEST(test_in_the_way), TAP_TEST(test_replaced),
	TAP_TEST(test_S63_slow_client), TAP_TEST(test_dropped),    TAP_TEST(test_close_under_way),
};

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	return tap_main("vici_listen", tests, sizeof(tests) / sizeof(tests[0]));
}
