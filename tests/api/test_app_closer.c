/* SPDX-License-Identifier: Apache-2.0 */
/* What takes long to be closed: it ends, in a thread, and no owner waits for another's. */
#include "api/app/closer.h"
#include "tests/tap/tap.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
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

/* send_one - a message of len bytes; fd: comes with it, -1: nothing does. */
static void send_one(int to, size_t len, int fd)
{
	static char bytes[64];
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} more = {.head = {.cmsg_level = SOL_SOCKET,
			   .cmsg_type = SCM_RIGHTS,
			   .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct iovec iov = {bytes, len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = fd < 0 ? NULL : &more,
			     .msg_controllen = fd < 0 ? 0 : sizeof(more)};

	memcpy(CMSG_DATA(&more.head), &fd, sizeof(fd));
	CU_ASSERT_EQUAL(sendmsg(to, &msg, 0), (ssize_t)len);
}

/* What nobody has read of a connection goes with it, whatever it is: empty messages, too, and what
 * came with them. */
static void test_E21_unread(void)
{
	struct closer *c;
	int fds[2], end;

	CU_ASSERT_EQUAL_FATAL(closer_new(&c), ERR_OK);
	for (int i = 0; i < 3; i++) {
		int passed = pair_of(&end);

		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
		send_one(fds[1], 0, -1);
		for (int k = 0; k < 50; k++)
			send_one(fds[1], i == 1 ? 0 : 20, k % 2 ? passed : -1);
		close(passed);
		CU_ASSERT_FALSE(is_closed(end, 0));
		shutdown(fds[0], SHUT_RDWR);
		if (i == 2)
			close(fds[1]);
		closer_end(c, fds[0], 1);
		CU_ASSERT_TRUE(is_closed(end, 2000));
		if (i < 2)
			close(fds[1]);
		close(end);
	}
	closer_free(c);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_E21_ends_lingering),
	TAP_TEST(test_E21_owners),
	TAP_TEST(test_E21_unread),
};

TAP_MAIN("app_closer", tests)
