/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of applications without a daemon: an engine of this process answers them. Two engines,
 * joined by a wire of memory; the second one has a thread, the first one is turned by the calls
 * themselves. The socket stands for a flow: a program with a stack of its own, or with a TUN, would
 * bring its packets to the engine's inner driver.
 *
 *	cc in-process.c $(pkg-config --cflags --libs latchkey-engine latchkey)
 */
#include <err.h>
#include <latchkey/engine.h>
#include <latchkey/ipsec.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct ipsec_engine *open_engine(const char *own, const char *peer, int here, int there)
{
	const struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	struct ipsec_engine *e;
	struct ipsec_port *port;
	char text[1024];

	snprintf(text, sizeof(text),
		 "connections { gw {\n"
		 "  local_addrs = 192.0.2.%d\n  remote_addrs = 192.0.2.%d\n"
		 "  local { auth = psk\n id = %s }\n  remote { auth = psk\n id = %s }\n"
		 "  children { net { local_ts = 127.%d.0.0/16\n remote_ts = 127.%d.0.0/16 } }\n"
		 "} }\n"
		 "secrets { ike { id = %s\n secret = \"correct horse battery staple\" } }\n",
		 here, there, own, peer, here, there, peer);
	if (ipsec_engine_new(&e, &params))
		err(1, "no engine");
	if (ipsec_engine_configure(e, text, strlen(text)))
		errx(1, "%s", ipsec_engine_error(e));
	if (ipsec_engine_attach_packets(e, &port, NULL))
		err(1, "no port");
	return e;
}

static void *turn(void *engine)
{
	ipsec_engine_run(engine);
	return NULL;
}

static int connected_socket(void)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f010001)}};
	struct sockaddr_in peer = {
		.sin_family = AF_INET, .sin_addr = {htonl(0x7f020001)}, .sin_port = htons(7)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (bind(fd, (struct sockaddr *)&own, sizeof(own)) ||
	    connect(fd, (struct sockaddr *)&peer, sizeof(peer)))
		err(1, "no socket");
	return fd;
}

/* Nothing here knows who answers. */
static void application(int fd)
{
	ipsec_pToken_t token = ipsec_create_pToken();
	ipsec_iToken_t peer = ipsec_create_iToken();
	enum ipsec_auth_method method;
	char name[264], suite[64];

	if (ipsec_require(fd, "secure", "somebody.else") == 0)
		errx(1, "who is that?");
	printf("refused: %s\n", ipsec_reason_text(ipsec_last_reason()));
	close(fd); /* that flow stays shut until then */
	fd = connected_socket();
	if (ipsec_require(fd, "secure", "bob.example") || ipsec_get_socket_pToken(fd, token) ||
	    ipsec_pToken_get_text(token, IPSEC_API_ATTR_SUITE, suite, sizeof(suite)) ||
	    ipsec_pToken_get_iToken(token, IPSEC_API_ATTR_ITOKEN, peer) ||
	    ipsec_iToken_get_text(peer, IPSEC_API_ATTR_IDENTITY, name, sizeof(name)) ||
	    ipsec_iToken_get_method(peer, &method))
		errx(1, "%s", ipsec_last_error());
	printf("the peer is %s, by %s: %s\n", name, ipsec_auth_method_name(method), suite);
	ipsec_free_iToken(peer);
	ipsec_free_pToken(token);
	close(fd);
}

int main(void)
{
	struct ipsec_engine *alice = open_engine("alice.example", "bob.example", 1, 2);
	struct ipsec_engine *bob = open_engine("bob.example", "alice.example", 2, 1);
	pthread_t thread;

	if (ipsec_engine_attach_wire(alice, bob) || ipsec_engine_start(alice) ||
	    ipsec_engine_start(bob) || pthread_create(&thread, NULL, turn, bob) ||
	    ipsec_engine_use(alice))
		err(1, "no start");
	application(connected_socket());
	ipsec_engine_free(alice);
	ipsec_engine_stop(bob);
	pthread_join(thread, NULL);
	ipsec_engine_free(bob);
	return 0;
}
