/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: a TCP connection with known content both ways at once, until SIGTERM; prints how much was
 * sent and received, and whether every byte was right.
 *
 * usage: stream listen SEED RATE PORT LOCAL
 *        stream connect SEED RATE PORT LOCAL REMOTE      (RATE: bytes a second, either way)
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "tests/relay/content.h"

#define BUF_LEN 262144
#define ROOM    262144 /* no more of it is on the way */

static volatile sig_atomic_t asked_to_end;

static void on_signal(int number)
{
	(void)number;
	asked_to_end = 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
	exit(1);
}

static socklen_t end_of(struct sockaddr_storage *ss, const char *text, const char *port)
{
	struct endpoint e = {.port = (uint16_t)strtoul(port, NULL, 10)};

	if (ip_addr_parse(&e.addr, text)) {
		fprintf(stderr, "stream: %s: not an address\n", text);
		exit(2);
	}
	return endpoint_to_sockaddr(ss, &e);
}

static int meet(int argc, char **argv)
{
	struct sockaddr_storage ss;
	socklen_t len = end_of(&ss, argv[5], argc == 7 ? "0" : argv[4]);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0), on = 1, room = ROOM;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) ||
	    bind(fd, (struct sockaddr *)&ss, len))
		fail(argv[5]);
	if (argc == 7) {
		len = end_of(&ss, argv[6], argv[4]);
		if (connect(fd, (struct sockaddr *)&ss, len))
			fail(argv[6]);
		puts("ready");
	} else {
		if (listen(fd, 1))
			fail("listen");
		puts("ready");
		fflush(stdout);
		fd = accept(fd, NULL, NULL);
		if (fd < 0)
			fail("accept");
	}
	fflush(stdout);
	return fd;
}

/* struct talk - one end of the connection; buf: what is to be sent from `sent` on. */
struct talk {
	int fd;
	uint64_t seed_out, seed_in, sent, received, wrong;
	uint8_t buf[BUF_LEN];
	size_t at, len;
	bool ended, at_end; /* by us, by them */
};

static void send_some(struct talk *t)
{
	if (t->at == t->len) {
		t->at = 0;
		t->len = asked_to_end ? 0 : 1 + content_mix(t->sent) % BUF_LEN;
		content_fill(t->buf, t->seed_out, t->sent, t->len);
	}
	if (t->len == 0) {
		shutdown(t->fd, SHUT_WR);
		t->ended = true;
		return;
	}
	ssize_t n = send(t->fd, t->buf + t->at, t->len - t->at, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail("send");
	if (n > 0) {
		t->at += (size_t)n;
		t->sent += (uint64_t)n;
	}
}

static void receive_some(struct talk *t)
{
	static uint8_t buf[BUF_LEN];
	ssize_t n = recv(t->fd, buf, sizeof(buf), 0);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail("recv");
	if (n > 0) {
		t->wrong += !content_is(buf, t->seed_in, t->received, (size_t)n);
		t->received += (uint64_t)n;
	}
	t->at_end |= n == 0;
}

int main(int argc, char **argv)
{
	const struct sigaction end = {.sa_handler = on_signal};
	bool listens = argc == 6 && strcmp(argv[1], "listen") == 0;
	static struct talk t;

	if (!listens && (argc != 7 || strcmp(argv[1], "connect") != 0)) {
		fputs("usage: stream listen SEED RATE PORT LOCAL\n"
		      "       stream connect SEED RATE PORT LOCAL REMOTE\n",
		      stderr);
		return 2;
	}
	uint64_t rate = strtoull(argv[3], NULL, 10), seed = strtoull(argv[2], NULL, 10);

	sigaction(SIGTERM, &end, NULL);
	t.fd = meet(argc, argv);
	t.seed_out = content_mix(2 * seed + listens);
	t.seed_in = content_mix(2 * seed + !listens);
	if (setsockopt(t.fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)) ||
	    fcntl(t.fd, F_SETFL, O_NONBLOCK))
		fail("the rate");
	while (!t.ended || !t.at_end) {
		struct pollfd p = {
			.fd = t.fd,
			.events = (short)((t.ended ? 0 : POLLOUT) | (t.at_end ? 0 : POLLIN))};

		poll(&p, 1, 500);
		if (p.revents & (POLLIN | POLLERR | POLLHUP) && !t.at_end)
			receive_some(&t);
		if ((p.revents & POLLOUT || asked_to_end) && !t.ended)
			send_some(&t);
	}
	printf("{\"sent\": %llu, \"received\": %llu, \"wrong\": %llu}\n",
	       (unsigned long long)t.sent, (unsigned long long)t.received,
	       (unsigned long long)t.wrong);
	return 0;
}
