/* SPDX-License-Identifier: Apache-2.0 */
/* easy-client ADDRESS PORT NAME: one connection with NAME, protected or not at all. */
#include <arpa/inet.h>
#include <err.h>
#include <stdlib.h>
#include <unistd.h>

#include <latchkey/ipsec.h>

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		errx(2, "usage: easy-client ADDRESS PORT NAME");
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	if (ipsec_connect(fd, (struct sockaddr *)&to, sizeof(to), "secure", argv[3], 15000))
		errx(1, "%s", ipsec_last_error());
	return write(fd, "hello\n", 6) == 6 ? 0 : 1;
}
