/* SPDX-License-Identifier: Apache-2.0 */
/*
 * narrow - a client whose datagrams go by algorithms of its own choice: its flow is tied to them,
 * which makes a pair of SAs for this flow alone.
 *
 *	narrow LOCAL PORT REMOTE PORT PROFILE SUITE
 *
 * Ten times a second it sends one and prints a line of JSON: how many it sent, how many came back,
 * the state of its latch and why.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <latchkey/ipsec.h>

static int fail(const char *what)
{
	printf("{\"failed\": \"%s\", \"errno\": \"%s\", \"why\": \"%s\"}\n", what, strerror(errno),
	       ipsec_last_error());
	return 1;
}

static struct sockaddr_in address(const char *addr, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

	if (inet_pton(AF_INET, addr, &a.sin_addr) != 1)
		exit(2);
	return a;
}

static ipsec_pToken_t demand(const char *profile, const char *suite)
{
	ipsec_pToken_t t = ipsec_create_pToken();

	if (!t || ipsec_pToken_set_text(t, IPSEC_API_ATTR_POLICY_NAME, profile) ||
	    ipsec_pToken_set_text(t, IPSEC_API_ATTR_SUITE, suite))
		exit(2);
	return t;
}

static void talk(int fd, struct ipsec_latch *latch)
{
	unsigned sent = 0, got = 0;
	char buf[100];

	for (;;) {
		struct ipsec_latch_info info = {.size = sizeof(info)};

		sent += send(fd, "narrow", 6, MSG_NOSIGNAL) == 6;
		usleep(100000);
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			got++;
		if (ipsec_latch_inquire(latch, &info))
			exit(fail("inquire"));
		printf("{\"sent\": %u, \"got\": %u, \"state\": %d, \"text\": \"%s\"}\n", sent, got,
		       (int)info.state, info.text);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in local, remote;
	struct ipsec_latch *latch;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 7)
		return 2;
	local = address(argv[1], argv[2]);
	remote = address(argv[3], argv[4]);
	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    connect(fd, (struct sockaddr *)&remote, sizeof(remote)))
		return fail("connect");
	if (ipsec_latch_create(&latch, fd, demand(argv[5], argv[6]), 0))
		return fail("latch");
	talk(fd, latch);
}
