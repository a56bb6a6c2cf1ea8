/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library as a program sees it: latchkey/engine.h alone, linked with the shared library. Two
 * engines in this process, joined by a wire of memory or by a driver of the test's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <latchkey/engine.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap/tap.h"

#define PATIENCE_S 20
#define SECRET     "secrets { ike { secret = \"s3cret-s3cret-s3cret\" } }\n"

struct side {
	struct ipsec_engine *engine;
	struct ipsec_port *port;
	unsigned ups, downs, failures, stopped, lines;
	unsigned asks[4]; /* by kind */
	char reason[32];
	uint64_t request;
	bool later; /* answers come from the test, not from the callback */
	bool refuse;
	uint64_t open_ask;
	char peer_id[64];
	uint64_t clock_ns;
	uint8_t noise;
	unsigned path_news[IPSEC_EVENT_PATH_REFUSED + 1]; /* by kind */
	uint32_t path_number, path_from;                  /* of the last one */
};

static time_t patience_ends;

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static bool late(void)
{
	return seconds() > patience_ends;
}

/* ---- a side --------------------------------------------------------------------------------- */

static void on_event(void *ctx, const struct ipsec_event *ev)
{
	struct side *s = ctx;

	s->ups += ev->kind == IPSEC_EVENT_CHILD_UP;
	s->downs += ev->kind == IPSEC_EVENT_CHILD_DOWN;
	s->stopped += ev->kind == IPSEC_EVENT_STOPPED;
	if (ev->kind == IPSEC_EVENT_FAILED) {
		s->failures++;
		snprintf(s->reason, sizeof(s->reason), "%s", ev->reason);
	}
	if (ev->request)
		s->request = ev->request;
	if (ev->kind >= IPSEC_EVENT_PATH_NEW) {
		s->path_news[ev->kind]++;
		s->path_number = ev->path_number;
		s->path_from = ev->path_from;
		CU_ASSERT(ev->text[0] != 0);
	}
}

static void on_log(void *ctx, enum ipsec_log_level level, const char *subsystem,
		   const char *connection, const char *line)
{
	struct side *s = ctx;

	(void)connection;
	CU_ASSERT(level <= IPSEC_LOG_DEBUG && strlen(subsystem) == 3 && !strchr(line, '\n'));
	CU_ASSERT(!strstr(line, "s3cret"));
	s->lines++;
}

static const char *conf_text(int here, const char *more)
{
	static char text[1400];
	int there = 3 - here;

	snprintf(text, sizeof(text),
		 "connections { peer {\n local_addrs = 192.0.2.%d\n remote_addrs = 192.0.2.%d\n"
		 " local { auth = psk\n id = side%d.example }\n"
		 " remote { auth = psk\n id = side%d.example }\n"
		 " children { net { local_ts = 10.%d.0.0/16\n remote_ts = 10.%d.0.0/16\n } } } }\n"
		 "%s",
		 here, there, here, there, here, there, more);
	return text;
}

static void configure(struct side *s, const char *text)
{
	if (ipsec_engine_configure(s->engine, text, strlen(text)))
		tap_diag("%s", ipsec_engine_error(s->engine));
	CU_ASSERT_FATAL(!*ipsec_engine_error(s->engine));
}

/* side_new - an engine with its packets' port; the params' callbacks are the caller's choice. */
static void side_new(struct side *s, struct ipsec_engine_params params, int here, const char *more)
{
	memset(s, 0, sizeof(*s));
	patience_ends = seconds() + PATIENCE_S;
	params.ctx = s;
	params.event = on_event;
	CU_ASSERT_FATAL(ipsec_engine_new(&s->engine, &params) == 0);
	configure(s, conf_text(here, more));
	CU_ASSERT_FATAL(ipsec_engine_attach_packets(s->engine, &s->port, NULL) == 0);
}

static void join(struct side *a, struct side *b)
{
	CU_ASSERT_FATAL(ipsec_engine_attach_wire(a->engine, b->engine) == 0);
	CU_ASSERT_FATAL(ipsec_engine_start(a->engine) == 0);
	CU_ASSERT_FATAL(ipsec_engine_start(b->engine) == 0);
}

static void pair_open(struct side *a, struct side *b)
{
	const struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;

	side_new(a, params, 1, SECRET);
	side_new(b, params, 2, SECRET);
	join(a, b);
}

static void pair_close(struct side *a, struct side *b)
{
	ipsec_engine_free(a->engine);
	ipsec_engine_free(b->engine);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void turn(struct side *a, struct side *b)
{
	struct pollfd ready[] = {{.fd = ipsec_engine_fd(a->engine), .events = POLLIN},
				 {.fd = ipsec_engine_fd(b->engine), .events = POLLIN}};

	poll(ready, 2, 100);
	CU_ASSERT(ipsec_engine_dispatch(a->engine) == 0);
	CU_ASSERT(ipsec_engine_dispatch(b->engine) == 0);
}

static bool wait_for(struct side *a, struct side *b, const unsigned *count, unsigned n)
{
	while (*count < n && !late())
		turn(a, b);
	return *count >= n;
}

static void bring_up(struct side *a, struct side *b)
{
	uint64_t request;

	CU_ASSERT(ipsec_engine_initiate(a->engine, "peer", "net", &request) == 0);
	CU_ASSERT_FATAL(wait_for(a, b, &a->ups, 1) && wait_for(a, b, &b->ups, 1));
	CU_ASSERT(a->request == request && request != 0);
}

/* ---- packets -------------------------------------------------------------------------------- */

static void make_packet(uint8_t *ip, size_t len, int from, int to)
{
	memset(ip, 0, len);
	ip[0] = 0x45;
	ip[2] = (uint8_t)(len >> 8);
	ip[3] = (uint8_t)len;
	ip[8] = 64;
	ip[9] = 17;
	ip[12] = ip[16] = 10;
	ip[13] = (uint8_t)from;
	ip[17] = (uint8_t)to;
	ip[23] = 9;
	ip[24] = (uint8_t)((len - 20) >> 8);
	ip[25] = (uint8_t)(len - 20);
	for (size_t i = 28; i < len; i++)
		ip[i] = (uint8_t)(i * 3 + (size_t)from);
}

static void carry(struct side *a, struct side *b, int from_net, int to_net)
{
	uint8_t sent[500], got[2048];
	struct ipsec_packet out = {.data = sent, .len = sizeof(sent)};
	struct ipsec_packet in = {.data = got, .room = sizeof(got)};
	struct ipsec_peer peer;
	char peer_id[32];

	make_packet(sent, sizeof(sent), from_net, to_net);
	CU_ASSERT_FATAL(ipsec_port_send(a->port, &out, 1) == 1);
	while (!ipsec_port_receive(b->port, &in, 1) && !late())
		turn(a, b);
	CU_ASSERT(in.len == sizeof(sent) && memcmp(got, sent, in.len) == 0);
	snprintf(peer_id, sizeof(peer_id), "side%d.example", from_net);
	CU_ASSERT(ipsec_engine_peer(b->engine, &peer, in.token) == 0);
	CU_ASSERT_STRING_EQUAL(peer.peer_id, peer_id);
	CU_ASSERT_STRING_EQUAL(peer.method, peer.shared_secret ? "group-psk" : "psk");
	CU_ASSERT(ipsec_engine_peer(b->engine, &peer, in.token + 1) == -1 && errno == ENOENT);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_whole_life(void)
{
	const struct ipsec_select all = {.connection = "peer"};
	struct side a, b;
	uint32_t num = 0;

	pair_open(&a, &b);
	bring_up(&a, &b);
	carry(&a, &b, 1, 2);
	carry(&b, &a, 2, 1);
	CU_ASSERT(ipsec_engine_rekey(a.engine, &num, &(struct ipsec_select){.child = "net"}) == 0);
	CU_ASSERT(num == 1);
	carry(&a, &b, 1, 2);
	CU_ASSERT(ipsec_engine_initiate(a.engine, "peer", "net", NULL) == -1 && errno == EEXIST);
	CU_ASSERT(ipsec_engine_terminate(a.engine, &num, &all) == 0 && num == 1);
	CU_ASSERT(wait_for(&a, &b, &b.downs, 1));
	CU_ASSERT(ipsec_engine_terminate(a.engine, &num, &all) == -1 && errno == ENOENT);
	pair_close(&a, &b);
}

/* What no SA protects is dropped, with its reason; nothing of it is on the wire or at the peer. */
static void test_nothing_in_the_clear(void)
{
	uint8_t ip[100], got[2048];
	struct ipsec_packet out = {.data = ip, .len = sizeof(ip)};
	struct ipsec_packet in = {.data = got, .room = sizeof(got)};
	struct ipsec_stats stats;
	struct side a, b;
	uint64_t drops = 0, num;
	const char *name, *text;

	pair_open(&a, &b);
	make_packet(ip, sizeof(ip), 1, 2);
	CU_ASSERT(ipsec_port_send(a.port, &out, 1) == 1);
	for (int i = 0; i < 5; i++)
		turn(&a, &b);
	CU_ASSERT(ipsec_port_receive(b.port, &in, 1) == 0);
	CU_ASSERT(ipsec_engine_stats(a.engine, &stats) == 0);
	CU_ASSERT(stats.rx_packets == 1 && stats.dropped == 1 && stats.tx_packets == 0);
	for (unsigned i = 0; ipsec_engine_drops(a.engine, i, &num, &name, &text) == 0; i++) {
		CU_ASSERT(strlen(name) > 0 && strlen(text) > 0);
		drops += num;
	}
	CU_ASSERT(errno == ENOENT && drops == 1);
	out.len = 3000;
	CU_ASSERT(ipsec_port_send(a.port, &out, 1) == -1 && errno == EMSGSIZE);
	pair_close(&a, &b);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static const char *const vifs[2] = {"vif0", "vif1"};

/* Two connections between the same two, with the same networks behind both; at the second side each
 * has an interface of its own. */
static const char *two_colours(int here)
{
	static char text[2000];
	const int there = 3 - here;
	size_t len = 0;

	len += (size_t)snprintf(text, sizeof(text), "connections {\n");
	for (int i = 0; i < 2; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len,
			"c%d {\n %s%s\n local_addrs = 192.0.2.%d\n remote_addrs = 192.0.2.%d\n"
			" local { auth = psk\n id = c%d.side%d.example }\n"
			" remote { auth = psk\n id = c%d.side%d.example }\n"
			" children { net%d { local_ts = 10.%d.0.0/16\n remote_ts = 10.%d.0.0/16 } "
			"} }\n",
			i, here == 2 ? "interface = " : "", here == 2 ? vifs[i] : "", here, there,
			i, here, i, there, i, here, there);
	snprintf(text + len, sizeof(text) - len, "}\n%s", SECRET);
	return text;
}

static void colours_open(struct side *a, struct side *b, struct ipsec_port *ports[2])
{
	const struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;

	side_new(a, params, 1, SECRET);
	configure(a, two_colours(1));
	side_new(b, params, 2, SECRET);
	configure(b, two_colours(2));
	for (int i = 0; i < 2; i++)
		CU_ASSERT_FATAL(ipsec_vif_create(b->engine, &ports[i], vifs[i]) == 0);
	join(a, b);
	CU_ASSERT_FATAL(ipsec_engine_initiate(a->engine, "c0", "net0", NULL) == 0 &&
			ipsec_engine_initiate(a->engine, "c1", "net1", NULL) == 0);
	CU_ASSERT_FATAL(wait_for(a, b, &a->ups, 2) && wait_for(a, b, &b->ups, 2));
}

static void note_token(void *ctx, const struct ipsec_sa_info *sa)
{
	uint32_t *tokens = ctx;

	if (sa->connection && sa->num_children)
		tokens[sa->connection[1] - '0'] = sa->children[0].token;
}

static uint64_t drops_of(struct side *s, const char *reason)
{
	const char *name;
	uint64_t num;

	for (unsigned i = 0; ipsec_engine_drops(s->engine, i, &num, &name, NULL) == 0; i++)
		if (strcmp(name, reason) == 0)
			return num;
	return 0;
}

/* take_all - how many B received at the port of connection i, and of how many that is wrong. */
static unsigned take_all(struct side *b, struct ipsec_port *port, int colour, unsigned *wrong)
{
	uint8_t bytes[8][2048];
	struct ipsec_packet in[8];
	struct ipsec_peer peer;
	int num;

	for (int i = 0; i < 8; i++)
		in[i] = (struct ipsec_packet){.data = bytes[i], .room = sizeof(bytes[i])};
	num = ipsec_rx_burst(port, in, 8);
	for (int i = 0; i < num; i++)
		*wrong += ipsec_engine_peer(b->engine, &peer, in[i].token) != 0 ||
			  peer.peer_id[1] - '0' != colour || bytes[i][40] != colour ||
			  !peer.privacy || !peer.integrity || !peer.replay || !peer.tunnel;
	return (unsigned)num;
}

/* Packets of one flow, from one address and port to one other, over two SAs that both would take
 * them: each goes by what it demands, through a re-key of each. */
static void test_D_every_packet_its_token(void)
{
	uint32_t tokens[2] = {0, 0};
	unsigned got = 0, wrong = 0;
	struct ipsec_port *ports[2];
	struct side a, b;

	colours_open(&a, &b, ports);
	ipsec_engine_each_sa(a.engine, note_token, tokens);
	CU_ASSERT(tokens[0] && tokens[1] && tokens[0] != tokens[1]);
	for (unsigned i = 0; i < 4000 && !late(); i++) {
		uint8_t ip[100];
		struct ipsec_packet out = {.data = ip, .len = sizeof(ip), .token = tokens[i % 2]};

		make_packet(ip, sizeof(ip), 1, 2);
		ip[40] = (uint8_t)(i % 2);
		if (i == 2000)
			CU_ASSERT(ipsec_engine_rekey(a.engine, NULL,
						     &(struct ipsec_select){.child = "net0"}) ==
					  0 &&
				  ipsec_engine_rekey(a.engine, NULL,
						     &(struct ipsec_select){.child = "net1"}) == 0);
		CU_ASSERT(ipsec_tx_burst(a.port, &out, 1) == 1);
		while (i - got > 32 && !late()) {
			turn(&a, &b);
			got += take_all(&b, ports[0], 0, &wrong) +
			       take_all(&b, ports[1], 1, &wrong);
		}
	}
	while (got < 4000 && !late()) {
		turn(&a, &b);
		got += take_all(&b, ports[0], 0, &wrong) + take_all(&b, ports[1], 1, &wrong);
	}
	CU_ASSERT_EQUAL(got, 4000);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(drops_of(&a, "CLASS"), 0);
	pair_close(&a, &b);
}

/* A token that no SA has is no way out, though the policy would have one. */
static void test_D_a_token_is_a_demand(void)
{
	uint8_t ip[100], got[2048];
	struct ipsec_packet out = {.data = ip, .len = sizeof(ip)};
	struct ipsec_packet in = {.data = got, .room = sizeof(got)};
	uint32_t tokens[2] = {0, 0};
	struct ipsec_port *ports[2];
	struct side a, b;

	colours_open(&a, &b, ports);
	ipsec_engine_each_sa(a.engine, note_token, tokens);
	make_packet(ip, sizeof(ip), 1, 2);
	out.token = tokens[0] + tokens[1] + 1;
	CU_ASSERT(ipsec_tx_burst(a.port, &out, 1) == 1);
	for (int i = 0; i < 5; i++)
		turn(&a, &b);
	CU_ASSERT_EQUAL(ipsec_rx_burst(ports[0], &in, 1) + ipsec_rx_burst(ports[1], &in, 1), 0);
	CU_ASSERT_EQUAL(drops_of(&a, "CLASS"), 1);
	out.token = 0;
	CU_ASSERT(ipsec_port_send(a.port, &out, 1) == 1);
	while (!ipsec_port_receive(ports[0], &in, 1) && !ipsec_port_receive(ports[1], &in, 1) &&
	       !late())
		turn(&a, &b);
	CU_ASSERT_EQUAL(drops_of(&a, "CLASS"), 1);
	pair_close(&a, &b);
}

static bool on_ask(void *ctx, const struct ipsec_ask *ask)
{
	struct side *s = ctx;
	struct ipsec_answer answer = {.allow = true, .secret = "by-the-program", .secret_len = 14};

	s->asks[ask->kind]++;
	if (ask->peer_id)
		snprintf(s->peer_id, sizeof(s->peer_id), "%s", ask->peer_id);
	if (ask->kind == IPSEC_ASK_CHILD_ACCEPT) {
		CU_ASSERT(ask->num_local_ts == 1 && ask->num_remote_ts == 1);
		CU_ASSERT(ask->local_ts[0].addr_lo[0] == 10 && ask->child);
		answer.allow = !s->refuse;
	}
	if (s->later) {
		s->open_ask = ask->id;
		return true;
	}
	CU_ASSERT(ipsec_engine_answer(s->engine, ask->id, &answer) == 0);
	return true;
}

static void pair_that_asks(struct side *a, struct side *b)
{
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;

	params.ask = on_ask;
	side_new(a, params, 1, "");
	side_new(b, params, 2, "");
	join(a, b);
}

static void test_the_program_decides(void)
{
	struct side a, b;

	pair_that_asks(&a, &b);
	bring_up(&a, &b);
	carry(&a, &b, 1, 2);
	CU_ASSERT(b.asks[IPSEC_ASK_SECRET] && b.asks[IPSEC_ASK_AUTHORIZE] &&
		  b.asks[IPSEC_ASK_CHILD_ACCEPT]);
	CU_ASSERT_STRING_EQUAL(b.peer_id, "side1.example");
	pair_close(&a, &b);
}

static void test_the_program_refuses(void)
{
	struct side a, b;

	pair_that_asks(&a, &b);
	b.refuse = true;
	CU_ASSERT(ipsec_engine_initiate(a.engine, "peer", "net", NULL) == 0);
	CU_ASSERT(wait_for(&a, &b, &a.failures, 1));
	CU_ASSERT(a.ups == 0 && b.ups == 0 && b.asks[IPSEC_ASK_CHILD_ACCEPT] == 1);
	pair_close(&a, &b);
}

static void test_an_answer_may_come_later(void)
{
	const struct ipsec_answer yes = {
		.allow = true, .secret = "by-the-program", .secret_len = 14};
	struct side a, b;

	pair_that_asks(&a, &b);
	b.later = true;
	CU_ASSERT(ipsec_engine_initiate(a.engine, "peer", "net", NULL) == 0);
	while (!(a.ups && b.ups) && !late()) {
		uint64_t id;

		turn(&a, &b);
		id = b.open_ask;
		b.open_ask = 0;
		if (id) /* the next question may come from within */
			CU_ASSERT(ipsec_engine_answer(b.engine, id, &yes) == 0);
	}
	CU_ASSERT(b.ups == 1);
	CU_ASSERT(ipsec_engine_answer(b.engine, 12345, &yes) == 0); /* nobody asked */
	carry(&b, &a, 2, 1);
	pair_close(&a, &b);
}

static void test_events_wait_without_a_callback(void)
{
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	struct ipsec_engine *e;
	struct ipsec_event ev;
	struct side b;
	bool failed = false;

	side_new(&b, params, 2, SECRET);
	CU_ASSERT_FATAL(ipsec_engine_new(&e, &params) == 0);
	CU_ASSERT(ipsec_engine_next_event(e, &ev) == 0);
	CU_ASSERT(ipsec_engine_next_event(b.engine, &ev) == -1 && errno == EINVAL);
	CU_ASSERT(ipsec_engine_configure(e, conf_text(1, ""), strlen(conf_text(1, ""))) == 0);
	CU_ASSERT_FATAL(ipsec_engine_attach_wire(e, b.engine) == 0);
	CU_ASSERT(ipsec_engine_start(e) == 0 && ipsec_engine_start(b.engine) == 0);
	CU_ASSERT(ipsec_engine_initiate(e, "peer", "net", NULL) == 0); /* it has no secret */
	while (!failed && !late()) {
		ipsec_engine_dispatch(e);
		ipsec_engine_dispatch(b.engine);
		while (ipsec_engine_next_event(e, &ev) == 1 && !failed) {
			failed = ev.kind == IPSEC_EVENT_FAILED;
			CU_ASSERT(!failed || strcmp(ev.connection, "peer") == 0);
			CU_ASSERT(!failed || strcmp(ev.reason, "no-secret") == 0);
		}
	}
	CU_ASSERT(failed);
	ipsec_engine_free(e);
	ipsec_engine_free(b.engine);
}

static void count_sa(void *ctx, const struct ipsec_sa_info *sa)
{
	unsigned *num = ctx;

	CU_ASSERT(sa->state == IPSEC_SA_ESTABLISHED && sa->initiator && sa->ike_id);
	CU_ASSERT_STRING_EQUAL(sa->peer_id, "side2.example");
	CU_ASSERT_FATAL(sa->num_children == 1);
	CU_ASSERT_STRING_EQUAL(sa->children[0].name, "net");
	CU_ASSERT(sa->children[0].out_packets == 1 && sa->children[0].out_bytes == 500);
	CU_ASSERT(sa->children[0].remote_ts[0].addr_lo[1] == 2);
	CU_ASSERT(sa->children[0].remote_ts[0].addr_hi[2] == 255);
	CU_ASSERT(sa->path.remote.family == IPSEC_IPV4 && sa->path.remote.addr[3] == 2);
	*num += 1;
}

static struct ipsec_path path_between(uint8_t here, uint8_t there)
{
	return (struct ipsec_path){.local = {.family = IPSEC_IPV4, .addr = {192, 0, 2, here}},
				   .remote = {.family = there ? IPSEC_IPV4 : 0,
					      .addr = {192, 0, there ? 2 : 0, there}}};
}

static void count_path(void *ctx, const struct ipsec_engine_path *p)
{
	struct ipsec_engine_path *list = ctx;

	CU_ASSERT_FATAL(p->number < 4);
	CU_ASSERT_STRING_EQUAL(p->connection, "peer");
	list[p->number] = *p;
}

/* M10: the program says which paths there are and which has the traffic, and is told. */
static void test_M10_paths_are_the_programs(void)
{
	struct ipsec_engine_path list[4] = {{0}};
	const struct ipsec_path second = path_between(11, 0);
	uint32_t number = 0;
	uint64_t request = 0;
	struct side a, b;

	pair_open(&a, &b);
	CU_ASSERT(ipsec_engine_path_add(a.engine, "peer", &second, 0, 1, NULL, NULL) == -1 &&
		  errno == ENOENT);
	bring_up(&a, &b);
	CU_ASSERT(ipsec_engine_path_add(a.engine, "peer", &second, 3, 9, &number, &request) == 0);
	CU_ASSERT(number == 2);
	CU_ASSERT(wait_for(&a, &b, &a.path_news[IPSEC_EVENT_PATH_DONE], 1));
	CU_ASSERT(a.request == request);
	CU_ASSERT(wait_for(&a, &b, &b.path_news[IPSEC_EVENT_PATH_USABLE],
			   2)); /* the first one, too */
	CU_ASSERT(ipsec_engine_path_move(a.engine, "side2.example", 2, false, NULL) == 0);
	CU_ASSERT(wait_for(&a, &b, &b.path_news[IPSEC_EVENT_PATH_MOVED], 2));
	CU_ASSERT(b.path_number == 2 && b.path_from == 1);
	carry(&a, &b, 1, 2);
	carry(&b, &a, 2, 1);
	CU_ASSERT(ipsec_engine_each_path(a.engine, count_path, list) == 0);
	CU_ASSERT(list[1].usable && !list[1].active && list[2].active && list[2].decides);
	CU_ASSERT(list[2].tx_packets >= 1 && list[2].path.local.addr[3] == 11);
	CU_ASSERT(list[2].weight == 9 && list[2].rtt_ns > 0);
	CU_ASSERT(ipsec_engine_path_prefer(a.engine, "peer", 1, NULL) == 0);
	CU_ASSERT(wait_for(&a, &b, &b.path_news[IPSEC_EVENT_PATH_MOVED], 3));
	CU_ASSERT(ipsec_engine_path_remove(a.engine, "peer", 2, NULL) == 0);
	CU_ASSERT(wait_for(&a, &b, &b.path_news[IPSEC_EVENT_PATH_GONE], 1));
	CU_ASSERT(wait_for(&a, &b, &a.path_news[IPSEC_EVENT_PATH_DONE], 4));
	CU_ASSERT(ipsec_engine_path_remove(a.engine, "peer", 1, NULL) == -1 && errno == EPERM);
	CU_ASSERT(strstr(ipsec_engine_error(a.engine), "keeps its last path") != NULL);
	CU_ASSERT(ipsec_engine_path_move(b.engine, "peer", 1, true, NULL) == -1 && errno == EPERM);
	CU_ASSERT(ipsec_engine_path_move(a.engine, "peer", 0, true, NULL) == -1 && errno == EINVAL);
	CU_ASSERT(ipsec_engine_path_add(a.engine, "peer", &second, 256, 1, NULL, NULL) == -1 &&
		  errno == EINVAL);
	carry(&a, &b, 1, 2);
	pair_close(&a, &b);
}

static void test_lists_and_figures(void)
{
	struct ipsec_stats stats;
	unsigned num = 0;
	struct side a, b;

	pair_open(&a, &b);
	bring_up(&a, &b);
	carry(&a, &b, 1, 2);
	CU_ASSERT(ipsec_engine_each_sa(a.engine, count_sa, &num) == 0);
	CU_ASSERT(num == 1);
	CU_ASSERT(ipsec_engine_stats(a.engine, &stats) == 0);
	CU_ASSERT(stats.ike_sas == 1 && stats.child_sas == 1 && stats.ike_established == 1);
	CU_ASSERT(stats.rx_packets + stats.made + stats.taken ==
		  stats.tx_packets + stats.held + stats.punted + stats.handed_off + stats.consumed +
			  stats.dropped);
	pair_close(&a, &b);
}

static void test_a_wrong_configuration_changes_nothing(void)
{
	static const char wrong[] = "connections {\n peer {\n  local_adrs = 1.2.3.4\n }\n}\n";
	const struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	struct side a, b;

	pair_open(&a, &b);
	CU_ASSERT(ipsec_engine_configure(a.engine, wrong, strlen(wrong)) == -1 && errno == EINVAL);
	CU_ASSERT(strstr(ipsec_engine_error(a.engine), "configuration:3") != NULL);
	CU_ASSERT(strstr(ipsec_engine_error(a.engine), "local_addrs") != NULL);
	bring_up(&a, &b);
	configure(&a, "");
	CU_ASSERT(ipsec_engine_initiate(a.engine, "peer", "net", NULL) == -1 && errno == ENOENT);
	CU_ASSERT(ipsec_engine_configure_file(a.engine, "/nowhere/at-all.conf") == -1);
	CU_ASSERT(errno == ENOENT);
	pair_close(&a, &b);
	side_new(&a, params, 1, "");
	CU_ASSERT(ipsec_engine_start(a.engine) == -1 && errno == ENOTCONN);
	CU_ASSERT(ipsec_engine_dispatch(a.engine) == -1 && errno == EINVAL);
	CU_ASSERT(ipsec_engine_fd(a.engine) == -1 && errno == EINVAL);
	ipsec_engine_free(a.engine);
}

static void test_params_are_checked(void)
{
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	struct ipsec_engine *e = NULL;

	params.size--;
	CU_ASSERT(ipsec_engine_new(&e, &params) == -1 && errno == EINVAL);
	params.size = sizeof(params) + 8;
	CU_ASSERT(ipsec_engine_new(&e, &params) == -1 && errno == EINVAL);
	params.size = sizeof(params);
	params.threads = 2;
	CU_ASSERT(ipsec_engine_new(&e, &params) == -1 && errno == EINVAL);
	CU_ASSERT(e == NULL);
	ipsec_engine_free(NULL);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void *run_engine(void *ctx)
{
	struct side *s = ctx;

	CU_ASSERT(ipsec_engine_run(s->engine) == 0);
	return NULL;
}

static unsigned get(const unsigned *count)
{
	return __atomic_load_n(count, __ATOMIC_ACQUIRE);
}

static void on_event_atomic(void *ctx, const struct ipsec_event *ev)
{
	struct side *s = ctx;

	if (ev->kind == IPSEC_EVENT_CHILD_UP)
		__atomic_add_fetch(&s->ups, 1, __ATOMIC_RELEASE);
	if (ev->kind == IPSEC_EVENT_STOPPED)
		__atomic_add_fetch(&s->stopped, 1, __ATOMIC_RELEASE);
}

static void side_new_threaded(struct side *s, int here, unsigned threads)
{
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;

	memset(s, 0, sizeof(*s));
	patience_ends = seconds() + PATIENCE_S;
	params.ctx = s;
	params.threads = threads;
	params.event = on_event_atomic;
	CU_ASSERT_FATAL(ipsec_engine_new(&s->engine, &params) == 0);
	configure(s, conf_text(here, SECRET));
	CU_ASSERT_FATAL(ipsec_engine_attach_packets(s->engine, &s->port, NULL) == 0);
}

/* receive_one - wait for the port's descriptor, not for the engine: it turns elsewhere. */
static size_t receive_one(struct side *s, uint8_t *got, size_t room)
{
	struct pollfd ready = {.fd = ipsec_port_fd(s->port), .events = POLLIN};
	struct ipsec_packet in = {.data = got, .room = room};

	while (ipsec_port_receive(s->port, &in, 1) == 0 && !late())
		poll(&ready, 1, 100);
	return in.len;
}

static void run_in_threads(unsigned threads)
{
	pthread_t thread[2];
	uint8_t sent[300], got[2048];
	struct ipsec_packet out = {.data = sent, .len = sizeof(sent)};
	struct side a, b;

	side_new_threaded(&a, 1, threads);
	side_new_threaded(&b, 2, threads);
	join(&a, &b);
	CU_ASSERT_FATAL(pthread_create(&thread[0], NULL, run_engine, &a) == 0);
	CU_ASSERT_FATAL(pthread_create(&thread[1], NULL, run_engine, &b) == 0);
	CU_ASSERT(ipsec_engine_initiate(a.engine, "peer", "net", NULL) == 0);
	while (!(get(&a.ups) && get(&b.ups)) && !late())
		usleep(1000);
	make_packet(sent, sizeof(sent), 1, 2);
	CU_ASSERT(ipsec_port_send(a.port, &out, 1) == 1);
	CU_ASSERT(receive_one(&b, got, sizeof(got)) == sizeof(sent));
	CU_ASSERT(memcmp(got, sent, sizeof(sent)) == 0);
	CU_ASSERT(ipsec_engine_stop(a.engine) == 0);
	pthread_join(thread[0], NULL);
	CU_ASSERT(ipsec_engine_stop(b.engine) == 0);
	pthread_join(thread[1], NULL);
	CU_ASSERT(get(&a.stopped) == 1 && get(&b.stopped) == 1);
	pair_close(&a, &b);
}

static void test_run_in_a_thread(void)
{
	run_in_threads(0);
}

static void test_the_data_path_in_a_thread_too(void)
{
	run_in_threads(1);
}

/* ---- what a program may supply --------------------------------------------------------------- */

static uint64_t on_clock(void *ctx)
{
	const struct side *s = ctx;

	return s->clock_ns;
}

static int on_random(void *ctx, void *out, size_t len)
{
	struct side *s = ctx;
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++) /* not fit for keys, but never twice the same */
		p[i] = (uint8_t)(rand() ^ s->noise++);
	return 0;
}

/* With a clock of the program's a lost datagram is repeated when the program says it is time. */
static void test_clock_log_and_random_are_the_programs(void)
{
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	struct ipsec_stats stats;
	struct side a, b;

	params.clock = on_clock;
	params.random = on_random;
	params.log = on_log;
	params.log_level = IPSEC_LOG_DEBUG;
	side_new(&a, params, 1, SECRET);
	side_new(&b, params, 2, SECRET);
	join(&a, &b);
	CU_ASSERT(ipsec_engine_run(a.engine) == -1 && errno == EINVAL);
	CU_ASSERT(ipsec_engine_initiate(a.engine, "peer", "net", NULL) == 0);
	for (int i = 0; i < 3; i++)
		ipsec_engine_dispatch(a.engine);
	CU_ASSERT(ipsec_engine_stats(a.engine, &stats) == 0 && stats.ike_retransmitted == 0);
	CU_ASSERT_FATAL(ipsec_engine_deadline(a.engine) != UINT64_MAX);
	while (!stats.ike_retransmitted && !late()) {
		a.clock_ns = ipsec_engine_deadline(a.engine);
		ipsec_engine_dispatch(a.engine);
		CU_ASSERT(ipsec_engine_stats(a.engine, &stats) == 0);
	}
	CU_ASSERT(a.clock_ns >= 900000000ull && a.clock_ns < 3000000000ull);
	while (!(a.ups && b.ups) && !late()) {
		ipsec_engine_dispatch(a.engine);
		ipsec_engine_dispatch(b.engine);
	}
	CU_ASSERT(a.ups == 1 && a.lines > 0 && a.noise + b.noise > 0);
	pair_close(&a, &b);
}

/* struct pipe - a driver of the test's own: a ring of datagrams to the other one. */
struct tube {
	uint8_t data[64][1600];
	struct ipsec_packet packets[64];
	unsigned num;
	struct tube *other;
	bool closed;
};

static unsigned int tube_receive(void *ctx, struct ipsec_packet *packets, unsigned int num)
{
	struct tube *t = ctx;
	unsigned int n = t->num < num ? t->num : num;

	for (unsigned int i = 0; i < n; i++) {
		memcpy(packets[i].data, t->data[i], t->packets[i].len);
		packets[i].len = t->packets[i].len;
		packets[i].tos = t->packets[i].tos;
		packets[i].token = t->packets[i].token;
		packets[i].path = t->packets[i].path;
		packets[i].path.local = t->packets[i].path.remote;
		packets[i].path.remote = t->packets[i].path.local;
	}
	t->num = 0;
	return n;
}

static unsigned int tube_send(void *ctx, const struct ipsec_packet *packets, unsigned int num)
{
	struct tube *to = ((struct tube *)ctx)->other;
	unsigned int n = 0;

	while (n < num && to->num < 64 && packets[n].len <= sizeof(to->data[0])) {
		memcpy(to->data[to->num], packets[n].data, packets[n].len);
		to->packets[to->num++] = packets[n++];
	}
	return n;
}

static void tube_close(void *ctx)
{
	((struct tube *)ctx)->closed = true;
}

static const struct ipsec_driver_ops tube_ops = {
	.receive = tube_receive, .send = tube_send, .close = tube_close};

/* put_inner - a clear packet that the program's driver has for the engine. */
static void put_inner(struct tube *t, uint32_t token)
{
	make_packet(t->data[0], 100, 2, 1);
	t->packets[0] = (struct ipsec_packet){.len = 100, .token = token};
	t->num = 1;
}

/* What a driver of the program's own has to be protected may demand a token, too. */
static void test_D_a_drivers_packet_demands(void)
{
	static struct tube tube;
	const struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	uint8_t got[2048];
	struct ipsec_packet in = {.data = got, .room = sizeof(got)};
	uint32_t tokens[2] = {0, 0};
	struct side a, b;

	tube.other = &tube;
	side_new(&a, params, 1, SECRET);
	configure(&a, two_colours(1));
	side_new(&b, params, 2, SECRET);
	configure(&b, two_colours(2));
	CU_ASSERT_FATAL(ipsec_engine_attach_driver(b.engine, &tube_ops, &tube, IPSEC_INNER, false,
						   0, "vif0") == 0);
	join(&a, &b);
	CU_ASSERT_FATAL(ipsec_engine_initiate(b.engine, "c0", "net0", NULL) == 0);
	CU_ASSERT_FATAL(wait_for(&a, &b, &a.ups, 1) && wait_for(&a, &b, &b.ups, 1));
	ipsec_engine_each_sa(b.engine, note_token, tokens);
	put_inner(&tube, tokens[0] + 1);
	for (int i = 0; i < 5; i++)
		turn(&a, &b);
	CU_ASSERT_EQUAL(drops_of(&b, "CLASS"), 1);
	CU_ASSERT_EQUAL(ipsec_rx_burst(a.port, &in, 1), 0);
	put_inner(&tube, tokens[0]);
	while (!ipsec_rx_burst(a.port, &in, 1) && !late())
		turn(&a, &b);
	CU_ASSERT_EQUAL(in.len, 100);
	CU_ASSERT_EQUAL(drops_of(&b, "CLASS"), 1);
	pair_close(&a, &b);
}

static void test_a_driver_of_the_programs(void)
{
	static struct tube tubes[2];
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	struct side a, b;

	side_new(&a, params, 1, SECRET);
	side_new(&b, params, 2, SECRET);
	tubes[0].other = &tubes[1];
	tubes[1].other = &tubes[0];
	CU_ASSERT(ipsec_engine_attach_driver(a.engine, &tube_ops, &tubes[0], IPSEC_OUTER, false, 0,
					     NULL) == 0);
	CU_ASSERT(ipsec_engine_attach_driver(a.engine, &tube_ops, &tubes[0], IPSEC_OUTER, false, 0,
					     NULL) == -1 &&
		  errno == EEXIST);
	CU_ASSERT(ipsec_engine_attach_driver(b.engine, &tube_ops, &tubes[1], IPSEC_OUTER, false, 0,
					     NULL) == 0);
	CU_ASSERT_FATAL(ipsec_engine_start(a.engine) == 0 && ipsec_engine_start(b.engine) == 0);
	CU_ASSERT(ipsec_engine_attach_packets(a.engine, &a.port, NULL) == -1 && errno == EBUSY);
	CU_ASSERT(ipsec_engine_initiate(a.engine, "peer", "net", NULL) == 0);
	for (int i = 0; i < 1000 && !(a.ups && b.ups); i++) {
		ipsec_engine_dispatch(a.engine);
		ipsec_engine_dispatch(b.engine);
	}
	CU_ASSERT_FATAL(a.ups == 1 && b.ups == 1);
	carry(&a, &b, 1, 2);
	carry(&b, &a, 2, 1);
	pair_close(&a, &b);
	CU_ASSERT(tubes[0].closed && tubes[1].closed);
}

/* hub_conf - two peers that know the same network, each behind a port of its own. */
static const char *hub_conf(void)
{
	static char text[2600];
	int len = 0;

	for (int i = 2; i < 4; i++)
		len += snprintf(
			text + len, sizeof(text) - (size_t)len,
			"connections { peer%d {\n local_addrs = 192.0.2.1\n"
			" remote_addrs = 192.0.2.%d\n interface = to-%d\n"
			" local { auth = psk\n id = side1.example }\n"
			" remote { auth = psk\n id = peer%d.example }\n"
			" children { net%d { local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16\n"
			" } } } }\n",
			i, i, i, i, i);
	snprintf(text + len, sizeof(text) - (size_t)len, SECRET);
	return text;
}

/* struct hub_wire - a driver that takes each datagram to the engine of its address. */
static struct tube hub_tubes[3];

static unsigned int hub_send(void *ctx, const struct ipsec_packet *packets, unsigned int num)
{
	for (unsigned int i = 0; i < num; i++) {
		struct tube *to = &hub_tubes[packets[i].path.remote.addr[3] - 1];

		CU_ASSERT_FATAL(to < hub_tubes + 3 && to != ctx && to->num < 64);
		memcpy(to->data[to->num], packets[i].data, packets[i].len);
		to->packets[to->num++] = packets[i];
	}
	return num;
}

static const struct ipsec_driver_ops hub_ops = {.receive = tube_receive, .send = hub_send};

static void site_new(struct side *s, int number)
{
	const struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	char text[1400], id[20];
	char *at;

	side_new(s, params, 2, SECRET);
	snprintf(text, sizeof(text), "%s", conf_text(2, SECRET));
	snprintf(id, sizeof(id), "peer%d.example", number);
	at = strstr(text, "side2.example");
	memcpy(at, id, strlen(id));
	at = strstr(text, "192.0.2.2");
	at[8] = (char)('0' + number);
	configure(s, text);
	CU_ASSERT(ipsec_engine_attach_driver(s->engine, &hub_ops, &hub_tubes[number - 1],
					     IPSEC_OUTER, false, 0, NULL) == 0);
	CU_ASSERT(ipsec_engine_start(s->engine) == 0);
}

static void turn_all(struct side *hub, struct side *sites)
{
	for (int i = 0; i < 4; i++) {
		ipsec_engine_dispatch(hub->engine);
		ipsec_engine_dispatch(sites[0].engine);
		ipsec_engine_dispatch(sites[1].engine);
	}
}

/* arrives - a packet into this port of the hub comes out at this site and nowhere else. */
static void arrives(struct side *hub, struct ipsec_port *port, struct side *sites, int wanted)
{
	uint8_t sent[200], got[2048];
	struct ipsec_packet out = {.data = sent, .len = sizeof(sent)};
	struct ipsec_packet in = {.data = got, .room = sizeof(got)};

	make_packet(sent, sizeof(sent), 1, 2);
	CU_ASSERT(ipsec_port_send(port, &out, 1) == 1);
	turn_all(hub, sites);
	CU_ASSERT(ipsec_port_receive(sites[1 - wanted].port, &in, 1) == 0);
	CU_ASSERT_FATAL(ipsec_port_receive(sites[wanted].port, &in, 1) == 1);
	CU_ASSERT(in.len == sizeof(sent) && memcmp(got, sent, in.len) == 0);
}

/* quiet_device - a descriptor that never has anything to read. */
static int quiet_device(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

/* check_taps_refused - for lack of a name, and for one that is there: the program keeps its
 * descriptor. */
static void check_taps_refused(struct ipsec_engine *e, const char *there)
{
	int fd = quiet_device();

	CU_ASSERT(ipsec_vif_create_tap(e, fd, true, 1400, NULL) == -1 && errno == EINVAL);
	CU_ASSERT(ipsec_vif_create_tap(e, fd, true, 1400, there) == -1 && errno == EEXIST);
	CU_ASSERT(close(fd) == 0);
}

static void test_ports_of_single_connections(void)
{
	const struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	const struct ipsec_select third = {.connection = "peer3"};
	struct ipsec_port *ports[2], *more;
	struct side hub, sites[2];

	side_new(&hub, params, 1, SECRET);
	configure(&hub, hub_conf());
	CU_ASSERT(ipsec_engine_attach_packets(hub.engine, &ports[0], "to-2") == 0);
	CU_ASSERT(ipsec_engine_attach_packets(hub.engine, &more, "to-2") == -1 && errno == EEXIST);
	CU_ASSERT(ipsec_engine_attach_packets(hub.engine, &more, "sixteen-letters-") == -1 &&
		  errno == EINVAL);
	CU_ASSERT(ipsec_engine_attach_driver(hub.engine, &hub_ops, &hub_tubes[0], IPSEC_OUTER,
					     false, 0, NULL) == 0);
	CU_ASSERT(ipsec_engine_start(hub.engine) == 0);
	CU_ASSERT(ipsec_vif_create(hub.engine, &ports[1], "to-3") == 0); /* it runs already */
	CU_ASSERT(ipsec_vif_create(hub.engine, &more, "to-3") == -1 && errno == EEXIST);
	CU_ASSERT(ipsec_vif_create(hub.engine, &more, NULL) == -1 && errno == EINVAL);
	check_taps_refused(hub.engine, "to-3");
	site_new(&sites[0], 2);
	site_new(&sites[1], 3);
	CU_ASSERT(ipsec_engine_initiate(hub.engine, "peer2", "net2", NULL) == 0);
	CU_ASSERT(ipsec_engine_initiate(hub.engine, "peer3", "net3", NULL) == 0);
	while (hub.ups < 2 && !hub.failures && !late())
		turn_all(&hub, sites);
	turn_all(&hub, sites);
	CU_ASSERT_FATAL(hub.ups == 2 && sites[0].ups == 1 && sites[1].ups == 1);
	arrives(&hub, ports[0], sites, 0);
	arrives(&hub, ports[1], sites, 1);
	arrives(&hub, ports[0], sites, 0);
	CU_ASSERT(ipsec_vif_destroy(hub.engine, "to-3") == -1 && errno == EBUSY);
	CU_ASSERT(ipsec_vif_destroy(hub.engine, "to-4") == -1 && errno == ENOENT);
	CU_ASSERT(ipsec_vif_destroy(hub.engine, NULL) == -1 && errno == EINVAL);
	CU_ASSERT(ipsec_engine_terminate(hub.engine, NULL, &third) == 0);
	while (hub.downs < 1 && !late())
		turn_all(&hub, sites);
	turn_all(&hub, sites);
	CU_ASSERT(ipsec_vif_destroy(hub.engine, "to-3") == 0);
	CU_ASSERT(ipsec_engine_initiate(hub.engine, "peer3", "net3", NULL) == 0);
	while (!hub.failures && hub.downs < 2 && !late())
		turn_all(&hub, sites);
	CU_ASSERT(hub.failures || hub.downs == 2); /* what has no interface does not stay */
	arrives(&hub, ports[0], sites, 0);
	ipsec_engine_free(hub.engine);
	ipsec_engine_free(sites[0].engine);
	ipsec_engine_free(sites[1].engine);
}

/* Blocks that are there, and which one of those that are asked for next there is no memory for: 0 =
 * there is for all. */
static size_t blocks, fails_nth;

static void *count_blocks(void *ctx, void *p, size_t size)
{
	CU_ASSERT(ctx == &blocks);
	if (size && fails_nth && !--fails_nth)
		return NULL;
	blocks += !p;
	if (size == 0) {
		blocks--;
		free(p);
		return NULL;
	}
	return realloc(p, size);
}

static const struct ipsec_allocator counting = {.realloc = count_blocks, .ctx = &blocks};

/* The first test: an allocator comes before everything else. */
static void test_memory_is_the_programs(void)
{
	struct side a, b;
	size_t before = 0;

	CU_ASSERT_FATAL(ipsec_set_allocator(&counting) == 0);
	for (int i = 0; i < 2; i++) {
		pair_open(&a, &b);
		CU_ASSERT(ipsec_set_allocator(NULL) == -1 && errno == EBUSY);
		bring_up(&a, &b);
		CU_ASSERT(blocks > before + 100);
		pair_close(&a, &b);
		if (i)
			CU_ASSERT(blocks == before);
		before = blocks;
	}
}

/* tap_with_nth - the interface "to-2" over a device, where there is no memory for the nth block: 0
 * or why not. *out_fd: the device. */
static int tap_with_nth(struct ipsec_engine *e, int *out_fd, size_t nth)
{
	int rc;

	*out_fd = quiet_device();
	fails_nth = nth;
	rc = ipsec_vif_create_tap(e, *out_fd, true, 1400, "to-2") ? errno : 0;
	fails_nth = 0;
	return rc;
}

/* An interface that comes to nothing for lack of memory has closed its device, whatever there was
 * no memory for; so has the one that there is, in the end. */
static void test_an_interface_has_its_device(void)
{
	const struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	size_t nth = 1;
	struct side s;
	int fd, why;

	/* Unless the first test has done it. */
	CU_ASSERT_FATAL(ipsec_set_allocator(&counting) == 0 || errno == EBUSY);
	side_new(&s, params, 1, SECRET);
	CU_ASSERT_FATAL(ipsec_engine_attach_driver(s.engine, &hub_ops, &hub_tubes[0], IPSEC_OUTER,
						   false, 0, NULL) == 0);
	CU_ASSERT_FATAL(ipsec_engine_start(s.engine) == 0);
	while ((why = tap_with_nth(s.engine, &fd, nth)) == ENOMEM) {
		CU_ASSERT(fcntl(fd, F_GETFD) == -1);
		nth++;
	}
	CU_ASSERT(nth > 2); /* the driver's, the interface's */
	CU_ASSERT(why == 0 && fcntl(fd, F_GETFD) != -1);
	ipsec_engine_free(s.engine);
	CU_ASSERT(fcntl(fd, F_GETFD) == -1);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_memory_is_the_programs),
	TAP_TEST(test_whole_life),
	TAP_TEST(test_nothing_in_the_clear),
	TAP_TEST(test_D_every_packet_its_token),
	TAP_TEST(test_D_a_token_is_a_demand),
	TAP_TEST(test_D_a_drivers_packet_demands),
	TAP_TEST(test_the_program_decides),
	TAP_TEST(test_the_program_refuses),
	TAP_TEST(test_an_answer_may_come_later),
	TAP_TEST(test_events_wait_without_a_callback),
	TAP_TEST(test_M10_paths_are_the_programs),
	TAP_TEST(test_lists_and_figures),
	TAP_TEST(test_a_wrong_configuration_changes_nothing),
	TAP_TEST(test_params_are_checked),
	TAP_TEST(test_run_in_a_thread),
	TAP_TEST(test_the_data_path_in_a_thread_too),
	TAP_TEST(test_clock_log_and_random_are_the_programs),
	TAP_TEST(test_a_driver_of_the_programs),
	TAP_TEST(test_ports_of_single_connections),
	TAP_TEST(test_an_interface_has_its_device),
};

TAP_MAIN("embed", tests)
