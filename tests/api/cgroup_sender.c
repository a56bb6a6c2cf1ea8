/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_sender: a program that knows nothing of marks and is linked so that nobody can tell it:
 * sends one datagram for each line that it reads. usage: cgroup_sender ADDRESS PORT
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	int is4, fd;
	char byte;

	if (argc != 3)
		return 2;
	is4 = inet_pton(AF_INET, argv[1], &v4.sin_addr) == 1;
	if (!is4 && inet_pton(AF_INET6, argv[1], &v6.sin6_addr) != 1)
		return 2;
	v4.sin_port = v6.sin6_port = htons((uint16_t)atoi(argv[2]));
	fd = socket(is4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
	while (fd >= 0 && read(0, &byte, 1) == 1)
		if (sendto(fd, "ping", 4, 0,
			   is4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6,
			   is4 ? sizeof(v4) : sizeof(v6)) != 4)
			perror("sendto");
	return 0;
}
