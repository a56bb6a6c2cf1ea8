/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two engines in one process, joined by a wire of memory: a handshake, then a packet each way,
 * protected on the wire and compared at the other end. No privilege, no thread, no interface.
 *
 *	cc two-engines.c $(pkg-config --cflags --libs latchkey-engine)
 */
#include <errno.h>
#include <latchkey/engine.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct side {
	const char *name;
	struct ipsec_engine *engine;
	struct ipsec_port *port; /* its clear packets */
	bool up;
};

static void die(const struct side *s, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n%s\n", s->name, what, strerror(errno),
		ipsec_engine_error(s->engine));
	exit(1);
}

/* What happens is told here, by name. */
static void on_event(void *ctx, const struct ipsec_event *ev)
{
	struct side *s = ctx;

	if (ev->kind == IPSEC_EVENT_CHILD_UP) {
		printf("%s: %s is up\n", s->name, ev->child);
		s->up = true;
	}
	if (ev->kind == IPSEC_EVENT_FAILED)
		printf("%s: failed, %s: %s\n", s->name, ev->reason, ev->text);
}

/* The configuration is swanctl.conf's; here it differs by the side only. */
static void open_side(struct side *s, const char *name, int here, int there)
{
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	char text[1024];
	int len;

	*s = (struct side){.name = name};
	params.ctx = s;
	params.event = on_event;
	len = snprintf(text, sizeof(text),
		       "connections { peer {\n"
		       "  local_addrs = 192.0.2.%d\n  remote_addrs = 192.0.2.%d\n"
		       "  local { auth = psk\n id = side%d.example }\n"
		       "  remote { auth = psk\n id = side%d.example }\n"
		       "  children { net { local_ts = 10.%d.0.0/16\n remote_ts = 10.%d.0.0/16 } }\n"
		       "} }\n"
		       "secrets { ike { secret = \"correct horse battery staple\" } }\n",
		       here, there, here, there, here, there);
	if (ipsec_engine_new(&s->engine, &params))
		die(s, "no engine");
	if (ipsec_engine_configure(s->engine, text, (size_t)len))
		die(s, "configuration");
	if (ipsec_engine_attach_packets(s->engine, &s->port, NULL))
		die(s, "no port");
}

/* turn - wait until either has something to do, and let both do it. */
static void turn(struct side *a, struct side *b)
{
	struct pollfd ready[] = {{.fd = ipsec_engine_fd(a->engine), .events = POLLIN},
				 {.fd = ipsec_engine_fd(b->engine), .events = POLLIN}};

	poll(ready, 2, 1000);
	ipsec_engine_dispatch(a->engine);
	ipsec_engine_dispatch(b->engine);
}

/* make_packet - IPv4 and UDP, from network 10.`from` to 10.`to`. */
static size_t make_packet(uint8_t *ip, size_t len, uint8_t from, uint8_t to)
{
	const uint8_t head[28] = {0x45,
				  0,
				  (uint8_t)(len >> 8),
				  (uint8_t)len,
				  [8] = 64,
				  [9] = 17,
				  [12] = 10,
				  from,
				  0,
				  1,
				  10,
				  to,
				  0,
				  1,
				  [21] = 7,
				  [23] = 7,
				  [24] = (uint8_t)((len - 20) >> 8),
				  (uint8_t)(len - 20)};

	memcpy(ip, head, sizeof(head));
	for (size_t i = sizeof(head); i < len; i++)
		ip[i] = (uint8_t)(i * from);
	return len;
}

/* carry - a packet goes in at one side and comes out at the other as it was. */
static void carry(struct side *from, struct side *to, uint8_t from_net, uint8_t to_net)
{
	uint8_t sent[1000], got[2048];
	struct ipsec_packet out = {.data = sent}, in = {.data = got, .room = sizeof(got)};
	struct ipsec_peer peer;

	out.len = make_packet(sent, sizeof(sent), from_net, to_net);
	if (ipsec_port_send(from->port, &out, 1) != 1)
		die(from, "not taken");
	while (!ipsec_port_receive(to->port, &in, 1))
		turn(from, to);
	if (in.len != out.len || memcmp(got, sent, out.len))
		die(to, "not what was sent");
	if (ipsec_engine_peer(to->engine, &peer, in.token))
		die(to, "nobody's packet");
	printf("%s: %zu bytes from %s\n", to->name, in.len, peer.peer_id);
}

int main(void)
{
	struct side a, b;

	open_side(&a, "A", 1, 2);
	open_side(&b, "B", 2, 1);
	if (ipsec_engine_attach_wire(a.engine, b.engine))
		die(&a, "no wire");
	if (ipsec_engine_start(a.engine))
		die(&a, "no start");
	if (ipsec_engine_start(b.engine))
		die(&b, "no start");
	if (ipsec_engine_initiate(a.engine, "peer", "net", NULL))
		die(&a, "cannot begin");
	while (!a.up || !b.up)
		turn(&a, &b);
	carry(&a, &b, 1, 2);
	carry(&b, &a, 2, 1);
	ipsec_engine_free(a.engine);
	ipsec_engine_free(b.engine);
	return 0;
}
