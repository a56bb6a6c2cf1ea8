/* SPDX-License-Identifier: Apache-2.0 */
/* who-sends PORT [NUMBER]: says of each datagram who sent it, by IPsec; ends after NUMBER of them.
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include <latchkey/ipsec.h>

static void tell(const struct msghdr *msg, const char *text, int len)
{
	ipsec_pToken_t token = ipsec_create_pToken();
	ipsec_iToken_t peer = ipsec_create_iToken();
	char name[264] = "nobody that is known";

	if (!token || !peer)
		err(1, "tokens");
	if (ipsec_get_msg_pToken(msg, token) ||
	    ipsec_pToken_get_iToken(token, IPSEC_API_ATTR_ITOKEN, peer) ||
	    ipsec_iToken_get_text(peer, IPSEC_API_ATTR_IDENTITY, name, sizeof(name)))
		warnx("%s", ipsec_last_error());
	printf("%s says %.*s\n", name, len, text);
	fflush(stdout);
	ipsec_free_pToken(token);
	ipsec_free_iToken(peer);
}

static void receive(int fd)
{
	_Alignas(struct cmsghdr) char control[IPSEC_MSG_SPACE];
	char text[512];
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(fd, &msg, 0);

	if (len < 0)
		err(1, "recvmsg");
	tell(&msg, text, (int)len);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), num = argc > 2 ? atoi(argv[2]) : -1;

	if (argc < 2)
		errx(2, "usage: who-sends PORT [NUMBER]");
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		err(1, "bind");
	if (ipsec_enable_msg_pToken(fd))
		errx(1, "%s", ipsec_last_error());
	puts("ready");
	fflush(stdout);
	while (num-- != 0)
		receive(fd);
	return 0;
}
