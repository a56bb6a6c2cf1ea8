/* SPDX-License-Identifier: Apache-2.0 */
/*
 * named-server PORT NAME [NUMBER]: takes connections from NAME alone, whom IPsec has to vouch for,
 * and prints what it says and what binds the channel to both ends; ends after NUMBER of them.
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <latchkey/ipsec.h>

/* who_is - the name of a connection's peer; "" if it is not protected. */
static void who_is(int fd, char name[static 264], ipsec_iToken_t peer)
{
	ipsec_pToken_t token = ipsec_create_pToken();

	name[0] = '\0';
	if (ipsec_get_socket_pToken(fd, token) ||
	    ipsec_pToken_get_iToken(token, IPSEC_API_ATTR_ITOKEN, peer) ||
	    ipsec_iToken_get_text(peer, IPSEC_API_ATTR_IDENTITY, name, 264))
		warnx("%s", ipsec_last_error());
	ipsec_free_pToken(token);
}

/* tell_binding - the same at both ends, unless a third is between them (RFC 5056). */
static void tell_binding(ipsec_iToken_t peer)
{
	unsigned char binding[32];
	size_t len = sizeof(binding);

	if (ipsec_iToken_get_bytes(peer, IPSEC_API_ATTR_CHANNEL_BINDING_HASH, binding, &len))
		return; /* no keys: a secret that both have is what they are known by */
	printf("binding ");
	for (size_t i = 0; i < len; i++)
		printf("%02x", binding[i]);
	puts("");
}

static void serve(int fd, const char *wanted)
{
	ipsec_iToken_t peer = ipsec_create_iToken();
	char name[264], text[256];
	ssize_t len;

	if (!peer)
		err(1, "token");
	who_is(fd, name, peer);
	if (strcmp(name, wanted) == 0) {
		tell_binding(peer);
		len = read(fd, text, sizeof(text));
		printf("%s says %.*s\n", name, len > 0 ? (int)len : 0, text);
	} else {
		printf("refused: %s\n", name[0] ? name : "nobody that is known");
	}
	fflush(stdout);
	ipsec_free_iToken(peer);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int server = socket(AF_INET, SOCK_STREAM, 0), num = argc > 3 ? atoi(argv[3]) : -1;

	if (argc < 3)
		errx(2, "usage: named-server PORT NAME [NUMBER]");
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	if (bind(server, (struct sockaddr *)&at, sizeof(at)) || listen(server, 8))
		err(1, "bind");
	puts("ready");
	fflush(stdout);
	while (num-- != 0) {
		int fd = accept(server, NULL, NULL);

		if (fd < 0)
			err(1, "accept");
		serve(fd, argv[2]);
	}
	return 0;
}
