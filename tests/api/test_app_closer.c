/* SPDX-License-Identifier: Apache-2.0 */
/* What takes long to be closed: it ends, in a thread, and no owner waits for another's. */
#include "api/app/closer.h"
#include "tests/tap/tap.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_S 10

/* lingering - a TCP connection whose other end, *out_peer, does not read: to close it takes
 * LINGER_S. */
static int lingering(int *out_peer)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = LINGER_S};
	const int small = 4096;
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int server = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(sin);
	static const char buf[65536];

	setsockopt(server, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	bind(server, (const struct sockaddr *)&sin, sizeof(sin));
	listen(server, 1);
	getsockname(server, (struct sockaddr *)&sin, &len);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	*out_peer = accept(server, NULL, NULL);
	close(server);
	while (send(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return fd;
}

/* is_closed - the other end of this pair is, within so many ms. */
static bool is_closed(int fd, int ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, ms) == 1 && poll_fd.revents & POLLHUP;
}

/* pair_of - a descriptor to close, and what tells that it is. */
static int pair_of(int *out_end)
{
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*out_end = fds[1];
	return fds[0];
}

/* A signal ends lingering: what the same owner has closed after it is soon closed, too. */
static void test_E21_ends_lingering(void)
{
	struct closer *c;
	int peer, end;

	CU_ASSERT_EQUAL_FATAL(closer_new(&c), ERR_OK);
	closer_close(c, lingering(&peer), 1);
	closer_close(c, pair_of(&end), 1);
	CU_ASSERT_TRUE(is_closed(end, 2000));
	closer_free(c);
	close(peer);
	close(end);
}

/* Of one owner one waits at a time, another's is closed meanwhile; and before there are too many
 * of his he is to bring no more. */
static void test_E21_owners(void)
{
	int fds[2 * CLOSER_OWNED_MAX], peers[ARRAY_LEN(fds)], end;
	struct closer *c;

	CU_ASSERT_EQUAL_FATAL(closer_new(&c), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = lingering(&peers[i]);
	CU_ASSERT_FALSE(closer_is_full(c, 1));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		closer_close(c, fds[i], 1);
	CU_ASSERT_TRUE(closer_is_full(c, 1));
	CU_ASSERT_FALSE(closer_is_full(c, 2));
	closer_close(c, pair_of(&end), 2);
	CU_ASSERT_TRUE(is_closed(end, 2000));
	CU_ASSERT_TRUE(closer_is_full(c, 1));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(peers[i]);
	closer_free(c);
	close(end);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_E21_ends_lingering),
	TAP_TEST(test_E21_owners),
};

TAP_MAIN("app_closer", tests)
