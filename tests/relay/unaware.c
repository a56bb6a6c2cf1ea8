/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unaware - a client that knows nothing of IPsec and is linked so that no library can be put under
 * it: asks over and over who is at the other end, and counts the answers.
 *
 *	unaware LOCAL PORT REMOTE PORT
 *
 * Every tenth of a second a line of JSON: answers that begin with "bob", and others.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct sockaddr_in address(const char *addr, const char *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

	if (inet_pton(AF_INET, addr, &in.sin_addr) != 1)
		exit(2);
	return in;
}

int main(int argc, char **argv)
{
	struct sockaddr_in local, remote;
	unsigned bob = 0, mallory = 0;
	char answer[100];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 5)
		return 2;
	local = address(argv[1], argv[2]);
	remote = address(argv[3], argv[4]);
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    connect(fd, (struct sockaddr *)&remote, sizeof(remote)))
		return 1;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		(void)!send(fd, "who?", 4, 0);
		(void)poll(&p, 1, 100);
		for (ssize_t len; (len = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) > 0;) {
			if (len > 3 && memcmp(answer, "bob", 3) == 0)
				bob++;
			else
				mallory++;
		}
		printf("{\"bob\": %u, \"mallory\": %u}\n", bob, mallory);
		fflush(stdout);
		(void)poll(NULL, 0, 100);
	}
}
