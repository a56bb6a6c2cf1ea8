/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latched - a client that asks over and over who is at the other end and counts the answers, with
 * the flow tied to a peer or not: what a thief gets shows in the counts.
 *
 *	latched udp|tcp LOCAL PORT REMOTE PORT [PROFILE [PEER]]
 *
 * Every tenth of a second a line of JSON: bytes that begin with "bob" and with "mallory", the
 * latch's state and alerts, what the socket last failed with.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <latchkey/ipsec.h>

static struct {
	unsigned bob, mallory, alerts, broken;
	enum ipsec_latch_state state;
	int error;
	char text[256], peer[264];
} book;

static socklen_t address(struct sockaddr_storage *out, const char *addr, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, addr, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, addr, &v6->sin6_addr) != 1)
		exit(2);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)atoi(port));
	return sizeof(*v6);
}

static int fail(const char *what)
{
	printf("{\"failed\": \"%s\", \"errno\": \"%s\", \"why\": \"%s\"}\n", what, strerror(errno),
	       ipsec_last_error());
	return 1;
}

static void count(const char *bytes, ssize_t len)
{
	if (len > 3 && memcmp(bytes, "bob", 3) == 0)
		book.bob++;
	else if (len > 0)
		book.mallory++;
}

static void events(void)
{
	struct ipsec_app_event ev = {.size = sizeof(ev)};

	while (ipsec_event_next(&ev) == 1) {
		if (ev.kind != IPSEC_APP_EVENT_LATCH)
			continue;
		book.alerts++;
		book.broken += ev.state == IPSEC_LATCH_BROKEN;
		book.state = ev.state;
		if (ev.text[0])
			snprintf(book.text, sizeof(book.text), "%s", ev.text);
	}
}

static void report(void)
{
	printf("{\"bob\": %u, \"mallory\": %u, \"alerts\": %u, \"broken\": %u, \"state\": %d, "
	       "\"errno\": \"%s\", \"peer\": \"%s\", \"text\": \"%s\"}\n",
	       book.bob, book.mallory, book.alerts, book.broken, (int)book.state,
	       book.error ? strerror(book.error) : "", book.peer, book.text);
	fflush(stdout);
}

/* who - the peer that the socket is tied to, by its token. */
static void who(int fd)
{
	ipsec_pToken_t protection = ipsec_create_pToken();
	ipsec_iToken_t identity = ipsec_create_iToken();

	if (protection && !ipsec_get_socket_pToken(fd, protection) &&
	    !ipsec_pToken_get_iToken(protection, IPSEC_API_ATTR_ITOKEN, identity) &&
	    ipsec_iToken_get_text(identity, IPSEC_API_ATTR_IDENTITY, book.peer, sizeof(book.peer)))
		book.peer[0] = '\0';
	ipsec_free_iToken(identity);
	ipsec_free_pToken(protection);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage local, remote;
	bool tcp = argc > 1 && strcmp(argv[1], "tcp") == 0;
	char buf[2048];
	socklen_t len;
	int fd, one = 1;

	if (argc < 6)
		return 2;
	len = address(&local, argv[2], argv[3]);
	address(&remote, argv[4], argv[5]);
	fd = socket(local.ss_family, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&local, len))
		return fail("bind");
	if (argc > 6 ? ipsec_connect(fd, (struct sockaddr *)&remote, len, argv[6], argv[7], 10000)
		     : connect(fd, (struct sockaddr *)&remote, len))
		return fail("connect");
	if (argc > 6)
		ipsec_event_fd();
	who(fd);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	for (;;) {
		ssize_t n;

		if (send(fd, "who?\n", 5, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			book.error = errno;
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 50);
		while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
			count(buf, n);
		if (n < 0 && errno != EAGAIN)
			book.error = errno;
		if (argc > 6)
			events();
		report();
		usleep(50000);
	}
}
