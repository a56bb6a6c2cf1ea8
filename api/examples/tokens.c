/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: two engines that know each other under two names, as "red" and as "blue", with the same
 * networks behind both. Packets of one flow, from the same address and port to the same, leave by
 * the SA that each demands. The other end gives each of the two an interface of its own, and there
 * each packet tells by which SA it came.
 *
 *	cc tokens.c $(pkg-config --cflags --libs latchkey-engine)
 */
#include <errno.h>
#include <latchkey/engine.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUM_PACKETS 1000

struct side {
	const char *name;
	struct ipsec_engine *engine;
	struct ipsec_port *ports[2]; /* of A: one for both */
	unsigned int ups;
};

static const char *const colours[2] = {"red", "blue"};

static void die(const struct side *s, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n%s\n", s->name, what, strerror(errno),
		ipsec_engine_error(s->engine));
	exit(1);
}

static void on_event(void *ctx, const struct ipsec_event *ev)
{
	struct side *s = ctx;

	s->ups += ev->kind == IPSEC_EVENT_CHILD_UP || ev->kind == IPSEC_EVENT_CHILD_REKEYED;
	if (ev->kind == IPSEC_EVENT_FAILED)
		printf("%s: failed, %s: %s\n", s->name, ev->reason, ev->text);
}

/* own: its traffic is what goes through the interface that is called like it. */
static size_t connection(char *out, size_t room, const char *colour, int here, int there, bool own)
{
	return (size_t)snprintf(
		out, room,
		"%s {\n %s%s\n local_addrs = 192.0.2.%d\n remote_addrs = 192.0.2.%d\n"
		" local { auth = psk\n id = %s%d.example }\n"
		" remote { auth = psk\n id = %s%d.example }\n"
		" children { %s-net { local_ts = 10.%d.0.0/16\n remote_ts = 10.%d.0.0/16 } } }\n",
		colour, own ? "interface = " : "", own ? colour : "", here, there, colour, here,
		colour, there, colour, here, there);
}

static void open_side(struct side *s, const char *name, int here, int there)
{
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	char text[2048] = "connections {\n";
	size_t len = strlen(text);

	*s = (struct side){.name = name};
	params.ctx = s;
	params.event = on_event;
	for (int i = 0; i < 2; i++)
		len += connection(text + len, sizeof(text) - len, colours[i], here, there,
				  here == 2);
	len += (size_t)snprintf(
		text + len, sizeof(text) - len,
		"}\nsecrets { ike { secret = \"correct horse battery staple\" } }\n");
	if (ipsec_engine_new(&s->engine, &params))
		die(s, "no engine");
	if (ipsec_engine_configure(s->engine, text, len))
		die(s, "configuration");
	if (here == 1 && ipsec_engine_attach_packets(s->engine, &s->ports[0], NULL))
		die(s, "no port");
	for (int i = 0; here == 2 && i < 2; i++)
		if (ipsec_vif_create(s->engine, &s->ports[i], colours[i]))
			die(s, "no interface");
}

static void turn(struct side *a, struct side *b)
{
	struct pollfd ready[] = {{.fd = ipsec_engine_fd(a->engine), .events = POLLIN},
				 {.fd = ipsec_engine_fd(b->engine), .events = POLLIN}};

	poll(ready, 2, 1000);
	ipsec_engine_dispatch(a->engine);
	ipsec_engine_dispatch(b->engine);
}

/* The token of each colour, as the list of SAs has it. */
static void find_tokens(void *ctx, const struct ipsec_sa_info *sa)
{
	uint32_t *tokens = ctx;

	for (int i = 0; i < 2; i++)
		if (sa->connection && strcmp(sa->connection, colours[i]) == 0 && sa->num_children)
			tokens[i] = sa->children[0].token;
}

/* IPv4 and UDP, always the same flow; the payload says which packet it is. */
static void make_packet(uint8_t ip[36], uint32_t number)
{
	const uint8_t head[28] = {0x45, 0,  0, 36, [8] = 64, 17,       [12] = 10, 1,        0,
				  1,    10, 2, 0,  1,        [21] = 7, [23] = 7,  [25] = 16};

	memcpy(ip, head, sizeof(head));
	memset(ip + 28, 0, 8);
	memcpy(ip + 28, &number, sizeof(number));
}

/* What has arrived for one colour; returns how many. Each demanded that, and came from its peer. */
static unsigned int receive(struct side *s, unsigned int colour)
{
	uint8_t bytes[32][2048];
	struct ipsec_packet in[32];
	struct ipsec_peer peer;
	int num;

	for (int i = 0; i < 32; i++)
		in[i] = (struct ipsec_packet){.data = bytes[i], .room = sizeof(bytes[i])};
	num = ipsec_rx_burst(s->ports[colour], in, 32);
	for (int i = 0; i < num; i++) {
		uint32_t number;

		memcpy(&number, bytes[i] + 28, sizeof(number));
		if (ipsec_engine_peer(s->engine, &peer, in[i].token))
			die(s, "nobody's packet");
		if (number % 2 != colour || !peer.privacy ||
		    strncmp(peer.peer_id, colours[colour], 3) != 0)
			die(s, "another's packet");
	}
	return (unsigned int)num;
}

static void rekey(struct side *s)
{
	if (ipsec_engine_rekey(s->engine, NULL, &(struct ipsec_select){.child = "red-net"}) ||
	    ipsec_engine_rekey(s->engine, NULL, &(struct ipsec_select){.child = "blue-net"}))
		die(s, "no new keys");
}

int main(void)
{
	struct side a, b;
	uint32_t tokens[2] = {0, 0};
	unsigned int got = 0;

	open_side(&a, "A", 1, 2);
	open_side(&b, "B", 2, 1);
	if (ipsec_engine_attach_wire(a.engine, b.engine))
		die(&a, "no wire");
	if (ipsec_engine_start(a.engine) || ipsec_engine_start(b.engine))
		die(&a, "no start");
	if (ipsec_engine_initiate(a.engine, "red", "red-net", NULL) ||
	    ipsec_engine_initiate(a.engine, "blue", "blue-net", NULL))
		die(&a, "cannot begin");
	while (a.ups < 2 || b.ups < 2)
		turn(&a, &b);
	ipsec_engine_each_sa(a.engine, find_tokens, tokens);
	for (uint32_t i = 0; i < NUM_PACKETS; i++) {
		uint8_t ip[36];
		const struct ipsec_packet out = {
			.data = ip, .len = sizeof(ip), .token = tokens[i % 2]};

		make_packet(ip, i);
		if (i == NUM_PACKETS / 2) /* new keys change nothing about it */
			rekey(&a);
		if (ipsec_tx_burst(a.ports[0], &out, 1) != 1)
			die(&a, "not taken");
		while (i - got > 64) {
			turn(&a, &b);
			got += receive(&b, 0) + receive(&b, 1);
		}
	}
	while (got < NUM_PACKETS) {
		turn(&a, &b);
		got += receive(&b, 0) + receive(&b, 1);
	}
	printf("%u packets of one flow, each by the SA that it demanded\n", got);
	ipsec_engine_free(a.engine);
	ipsec_engine_free(b.engine);
	return 0;
}
