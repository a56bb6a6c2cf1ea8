/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <latchkey/ipsec.h> answered by an engine of this process: the calls and their results are those
 * of a program that talks to a daemon (the same function is run against both), an IKE exchange with
 * a second engine comes of them, and what differs is told. It sees the installed headers and the
 * two libraries alone. Sockets are of loopback addresses, and stand for flows that the test itself
 * plays.
 * app_serve lies beside this program.
 */
#include <errno.h>
#include <latchkey/engine.h>
#include <latchkey/ipsec.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap/tap.h"

#define PATIENCE_S 20
#define NEAR       0x7f010001u /* 127.1.0.1 */
#define FAR        0x7f020001u /* 127.2.0.1 */

#define FAILS(call, err)                                     \
	do {                                                 \
		errno = 0;                                   \
		CU_ASSERT_EQUAL(call, -1);                   \
		CU_ASSERT_EQUAL(errno, err);                 \
		CU_ASSERT_TRUE(*ipsec_last_error() != '\0'); \
	} while (0)

static bool late(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > began->tv_sec + PATIENCE_S;
}

/* ---- two engines, the second of which has a thread ------------------------------------------- */

struct side {
	struct ipsec_engine *engine;
	struct ipsec_port *port;
	pthread_t thread;
	bool runs;
	int inside; /* errno of a call from within a callback */
};

static void on_event(void *ctx, const struct ipsec_event *ev)
{
	struct side *s = ctx;
	ipsec_pToken_t token;

	if (ev->kind != IPSEC_EVENT_CHILD_UP || s->inside)
		return;
	token = ipsec_create_pToken();
	s->inside = ipsec_get_socket_pToken(0, token) ? errno : -1;
	if (ipsec_engine_use(NULL) != -1 || errno != EDEADLK)
		s->inside = -1;
	ipsec_free_pToken(token);
}

static void side_new(struct side *s, int here, unsigned int threads)
{
	struct ipsec_engine_params params = IPSEC_ENGINE_PARAMS;
	const char *names[] = {"", "own.example", "peer.example"};
	char text[1024];
	int len;

	memset(s, 0, sizeof(*s));
	params.ctx = s;
	params.event = on_event;
	params.threads = threads;
	CU_ASSERT_FATAL(ipsec_engine_new(&s->engine, &params) == 0);
	len = snprintf(text, sizeof(text),
		       "connections { gw {\n local_addrs = 192.0.2.%d\n remote_addrs = 192.0.2.%d\n"
		       " local { auth = psk\n id = %s }\n remote { auth = psk\n id = %s }\n"
		       " children { net { local_ts = 127.%d.0.0/16\n remote_ts = 127.%d.0.0/16\n"
		       " esp_proposals = aes256gcm16 } } } }\n"
		       "secrets { ike { id = %s\n secret = \"s3cret-s3cret-s3cret\" } }\n",
		       here, 3 - here, names[here], names[3 - here], here, 3 - here,
		       names[3 - here]);
	if (ipsec_engine_configure(s->engine, text, (size_t)len))
		tap_diag("%s", ipsec_engine_error(s->engine));
	CU_ASSERT_FATAL(ipsec_engine_attach_packets(s->engine, &s->port, NULL) == 0);
}

static void *turn_it(void *arg)
{
	ipsec_engine_run(((struct side *)arg)->engine);
	return NULL;
}

static void run(struct side *s)
{
	s->runs = true;
	CU_ASSERT_FATAL(pthread_create(&s->thread, NULL, turn_it, s) == 0);
}

static void open_two(struct side *a, struct side *b, unsigned int threads)
{
	side_new(a, 1, threads);
	side_new(b, 2, threads);
	CU_ASSERT_FATAL(ipsec_engine_attach_wire(a->engine, b->engine) == 0);
	CU_ASSERT(ipsec_engine_use(a->engine) == -1 && errno == EINVAL); /* not started */
	CU_ASSERT_FATAL(ipsec_engine_start(a->engine) == 0);
	CU_ASSERT_FATAL(ipsec_engine_start(b->engine) == 0);
	run(b);
}

static void close_one(struct side *s)
{
	if (s->runs) {
		ipsec_engine_stop(s->engine);
		ipsec_engine_stop(s->engine);
		pthread_join(s->thread, NULL);
	}
	ipsec_engine_free(s->engine);
}

static void close_two(struct side *a, struct side *b)
{
	close_one(a);
	close_one(b);
}

/* ---- sockets, and packets of their flows ----------------------------------------------------- */

static struct sockaddr_in at(uint32_t addr, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr = {htonl(addr)}, .sin_port = htons(port)};
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

static int udp(uint16_t local_port, uint16_t remote_port)
{
	struct sockaddr_in sin = at(NEAR, local_port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	sin = at(FAR, remote_port);
	if (remote_port)
		CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

/* packet - IPv4 and UDP, of the flow from NEAR, or its answer. */
static size_t packet(uint8_t ip[64], uint16_t near, uint16_t far, bool back)
{
	const uint32_t from = htonl(back ? FAR : NEAR), to = htonl(back ? NEAR : FAR);
	const uint16_t ports[] = {htons(back ? far : near), htons(back ? near : far), htons(44)};

	memset(ip, 0, 64);
	ip[0] = 0x45;
	ip[3] = 64;
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, &from, 4);
	memcpy(ip + 16, &to, 4);
	memcpy(ip + 20, ports, sizeof(ports));
	return 64;
}

/* crosses - a packet of the flow comes out at the other side, whose it is noted. */
static bool crosses(struct side *from, struct side *to, uint16_t near, uint16_t far, bool back,
		    struct ipsec_peer *peer)
{
	uint8_t sent[64], got[2048];
	struct ipsec_packet out = {.data = sent}, in = {.data = got, .room = sizeof(got)};
	struct timespec began;

	clock_gettime(CLOCK_MONOTONIC, &began);
	out.len = packet(sent, near, far, back);
	if (ipsec_tx_burst(from->port, &out, 1) != 1)
		return false;
	for (int i = 0; i < 30 && !late(&began); i++) {
		struct pollfd p = {.fd = ipsec_port_fd(to->port), .events = POLLIN};

		ipsec_engine_dispatch(from->engine);
		ipsec_engine_dispatch(to->engine);
		if (ipsec_rx_burst(to->port, &in, 1) == 1)
			return ipsec_engine_peer(to->engine, peer, in.token) == 0 &&
			       memcmp(got, sent, 64) == 0;
		poll(&p, 1, 10);
	}
	return false;
}

/* ---- the same calls, whoever answers ----------------------------------------------------------
 */

/* struct world - one that answers. prepare - the flow of this socket is protected from now on, as
 * far as that is not for the engine to do. end - the first latch loses what it stands on. */
struct world {
	const char *name;
	void (*prepare)(struct world *w, int fd);
	void (*end)(struct world *w, struct ipsec_latch *latch);
	enum ipsec_auth_method method;
	const char *suite;
	FILE *to, *from; /* of app_serve */
};

static void count_profile(void *arg, const struct ipsec_profile *profile)
{
	*(int *)arg += strcmp(profile->name, "secure") == 0;
}

static void count_latch(void *arg, const struct ipsec_latch_info *info)
{
	*(int *)arg += info->uid == geteuid();
}

static bool next_state(uint64_t latch, enum ipsec_latch_state state)
{
	struct ipsec_app_event ev = {.size = sizeof(ev)};
	struct pollfd p = {.fd = ipsec_event_fd(), .events = POLLIN};
	struct timespec began;

	clock_gettime(CLOCK_MONOTONIC, &began);
	while (!late(&began)) {
		int got = ipsec_event_next(&ev);

		if (got < 0)
			return false;
		if (got && ev.latch == latch && ev.state == state)
			return true;
		if (!got)
			poll(&p, 1, 100);
	}
	return false;
}

static bool stands(struct ipsec_latch *latch)
{
	struct ipsec_latch_info info = {.size = sizeof(info)};
	struct timespec began;

	clock_gettime(CLOCK_MONOTONIC, &began);
	while (!ipsec_latch_inquire(latch, &info) && !late(&began)) {
		if (info.state == IPSEC_LATCH_ESTABLISHED)
			return true;
		usleep(5000);
	}
	return false;
}

/* The token of the first socket, and what is known of the peer. */
static void same_tokens(const struct world *w, int fd)
{
	ipsec_pToken_t p = ipsec_create_pToken(), again = ipsec_create_pToken();
	ipsec_iToken_t i = ipsec_create_iToken(), form = ipsec_create_iToken();
	enum ipsec_auth_method method = 0;
	char text[400];
	size_t len = sizeof(text);
	bool yes = false;

	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, p), 0);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, again), 0);
	CU_ASSERT_EQUAL(ipsec_cmp_pToken(p, again), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_get_bool(p, IPSEC_API_ATTR_PRIVACY_PROTECTED, &yes), 0);
	CU_ASSERT_TRUE(yes);
	CU_ASSERT_EQUAL(ipsec_pToken_get_text(p, IPSEC_API_ATTR_POLICY_NAME, text, 128), 0);
	CU_ASSERT_STRING_EQUAL(text, "gw");
	CU_ASSERT_EQUAL(ipsec_pToken_get_text(p, IPSEC_API_ATTR_SUITE, text, 128), 0);
	CU_ASSERT_STRING_EQUAL(text, w->suite);
	CU_ASSERT_EQUAL(ipsec_pToken_get_iToken(p, IPSEC_API_ATTR_ITOKEN, i), 0);
	CU_ASSERT_EQUAL(ipsec_iToken_get_text(i, IPSEC_API_ATTR_IDENTITY, text, 128), 0);
	CU_ASSERT_STRING_EQUAL(text, "peer.example");
	CU_ASSERT_EQUAL(ipsec_iToken_get_method(i, &method), 0);
	CU_ASSERT_EQUAL(method, w->method);
	CU_ASSERT_EQUAL(ipsec_export_iToken(i, text, &len), 0);
	CU_ASSERT_EQUAL(ipsec_import_iToken(form, text), 0);
	CU_ASSERT_EQUAL(ipsec_cmp_iToken(i, form), 0);
	CU_ASSERT_EQUAL(ipsec_pToken_get_iToken(p, IPSEC_API_ATTR_LOCAL_ITOKEN, i), 0);
	CU_ASSERT_EQUAL(ipsec_iToken_get_text(i, IPSEC_API_ATTR_IDENTITY, text, 128), 0);
	CU_ASSERT_STRING_EQUAL(text, "own.example");
	FAILS(ipsec_pToken_set_bool(p, IPSEC_API_ATTR_TUNNEL_MODE, true), EACCES);
	ipsec_free_pToken(p);
	ipsec_free_pToken(again);
	ipsec_free_iToken(i);
	ipsec_free_iToken(form);
}

static void same_latches(struct world *w, int fd)
{
	struct ipsec_latch_info info = {.size = sizeof(info)};
	struct ipsec_latch *latch, *found;
	int two = udp(0, 9), num = 0;

	CU_ASSERT_EQUAL_FATAL(ipsec_latch_find(&found, fd, 0), 0);
	CU_ASSERT_EQUAL(ipsec_latch_inquire(found, &info), 0);
	CU_ASSERT_EQUAL(info.state, IPSEC_LATCH_ESTABLISHED);
	CU_ASSERT_STRING_EQUAL(info.peer, "peer.example");
	CU_ASSERT_EQUAL(info.uid, geteuid());
	CU_ASSERT_EQUAL(info.number, ipsec_latch_number(found));
	FAILS(ipsec_latch_create(&latch, fd, NULL, 0), EEXIST);
	FAILS(ipsec_latch_find(&latch, two, 0), ENOENT);
	CU_ASSERT_TRUE(ipsec_event_fd() >= 0);
	w->prepare(w, two);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_create(&latch, two, NULL, 0), 0);
	CU_ASSERT_TRUE(stands(latch));
	CU_ASSERT_EQUAL(ipsec_each_latch(count_latch, &num), 0);
	CU_ASSERT_EQUAL(num, 2);
	CU_ASSERT_EQUAL(ipsec_latch_release(latch), 0);
	FAILS(ipsec_latch_find(&latch, two, 0), ENOENT);
	FAILS(ipsec_decide(12345, true), ENOENT);
	w->end(w, found);
	CU_ASSERT_TRUE(next_state(ipsec_latch_number(found), IPSEC_LATCH_BROKEN));
	CU_ASSERT_EQUAL(ipsec_latch_release(found), 0);
	close(two);
}

/* The calls of a program's life, in the order in which it makes them. */
static void same_calls(struct world *w)
{
	ipsec_pToken_t p = ipsec_create_pToken();
	int fd = udp(0, 9), loose = udp(0, 0), num = 0;

	FAILS(ipsec_get_socket_pToken(fd, p), ENOENT);
	FAILS(ipsec_get_socket_pToken(loose, p), ENOTCONN);
	FAILS(ipsec_get_socket_pToken(-1, p), EINVAL);
	FAILS(ipsec_get_socket_pToken(0x7ffffff, p), EBADF);
	FAILS(ipsec_require(fd, "no-such", NULL), ENOENT);
	CU_ASSERT_STRING_EQUAL(ipsec_last_error(), "there is no profile 'no-such'");
	w->prepare(w, fd);
	CU_ASSERT_EQUAL(ipsec_require(fd, "secure", "peer.example"), 0);
	FAILS(ipsec_require(fd, NULL, "somebody.else"), EEXIST);
	same_tokens(w, fd);
	same_latches(w, fd);
	CU_ASSERT_EQUAL(ipsec_each_profile(count_profile, &num), 0);
	CU_ASSERT_EQUAL(num, 1);
	ipsec_free_pToken(p);
	close(fd);
	close(loose);
}

static void say(struct world *w, const char *word, int number)
{
	char line[32] = "";

	fprintf(w->to, "%s %d\n", word, number);
	fflush(w->to);
	CU_ASSERT_FATAL(fgets(line, sizeof(line), w->from) && strcmp(line, "done\n") == 0);
}

static void prepare_daemon(struct world *w, int fd)
{
	say(w, "flows", port_of(fd));
	say(w, "state", IPSEC_LATCH_ESTABLISHED);
}

static void end_daemon(struct world *w, struct ipsec_latch *latch)
{
	(void)latch;
	say(w, "break", 0);
}

/* A daemon, whose engine is a fake, in another process. */
static pid_t daemon_up(struct world *w)
{
	char path[128], program[512];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 16);
	int in[2], out[2];
	pid_t pid;

	CU_ASSERT_FATAL(len > 0 && pipe(in) == 0 && pipe(out) == 0);
	program[len] = '\0';
	strcpy(strrchr(program, '/') + 1, "app_serve");
	pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	w->to = fdopen(in[1], "w");
	w->from = fdopen(out[0], "r");
	CU_ASSERT_FATAL(fgets(path, sizeof(path), w->from) != NULL);
	path[strcspn(path, "\n")] = '\0';
	CU_ASSERT_EQUAL(ipsec_set_socket_path(path), 0);
	return pid;
}

static void daemon_down(struct world *w, pid_t pid)
{
	int status = -1;

	fclose(w->to);
	fclose(w->from);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
}

static void test_B8_a_daemon(void)
{
	struct world w = {.name = "daemon",
			  .prepare = prepare_daemon,
			  .end = end_daemon,
			  .method = IPSEC_AUTH_PUBKEY,
			  .suite = "AES_GCM_16-256"};
	pid_t pid = daemon_up(&w);

	CU_ASSERT_EQUAL(ipsec_engine_use(NULL), 0);
	same_calls(&w);
	daemon_down(&w, pid);
}

static void nothing(struct world *w, int fd)
{
	(void)w, (void)fd;
}

static void end_sas(struct world *w, struct ipsec_latch *latch)
{
	(void)w;
	CU_ASSERT_EQUAL(ipsec_latch_delete(latch), 0);
}

/* Who turns it: the calls themselves; then another thread, beside which they do. */
static void engine_answers(bool thread, unsigned int threads)
{
	struct world w = {.name = "engine",
			  .prepare = nothing,
			  .end = end_sas,
			  .method = IPSEC_AUTH_PRESHAREDKEY,
			  .suite = "AES_GCM_16-256"};
	struct side a, b;

	open_two(&a, &b, threads);
	CU_ASSERT_EQUAL_FATAL(ipsec_engine_use(a.engine), 0);
	CU_ASSERT_EQUAL(ipsec_engine_use(a.engine), 0);
	if (thread)
		run(&a);
	same_calls(&w);
	close_two(&a, &b);
	CU_ASSERT_EQUAL(ipsec_engine_use(NULL), 0);
}

static void test_B8_an_engine(void)
{
	engine_answers(false, 0);
}

static void test_B8_an_engine_with_a_thread(void)
{
	engine_answers(true, 0);
	engine_answers(true, 1);
}

/* ---- what the flow then is --------------------------------------------------------------------
 */

/* "This peer or nobody" in one call brings up IKE with the other engine, and holds for packets. */
static void test_B8_the_flow(void)
{
	struct ipsec_peer peer;
	struct side a, b;
	int fd = udp(0, 9), shut = udp(0, 9);
	struct ipsec_latch *latch;

	open_two(&a, &b, 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_engine_use(a.engine), 0);
	if (ipsec_require(fd, NULL, "peer.example"))
		tap_diag("%s", ipsec_last_error());
	CU_ASSERT_EQUAL(a.inside, EDEADLK);
	CU_ASSERT_TRUE(crosses(&a, &b, port_of(fd), 9, false, &peer));
	CU_ASSERT_STRING_EQUAL(peer.peer_id, "own.example");
	CU_ASSERT_TRUE(crosses(&b, &a, port_of(fd), 9, true, &peer));
	CU_ASSERT_STRING_EQUAL(peer.peer_id, "peer.example");
	/* The SAs are there for its addresses, but they are not with whom it is to be. */
	CU_ASSERT_TRUE(crosses(&a, &b, port_of(shut), 9, false, &peer));
	FAILS(ipsec_require(shut, NULL, "somebody.else"), EPROTO);
	CU_ASSERT_EQUAL(ipsec_last_reason(), IPSEC_REASON_NO_CONFIG);
	CU_ASSERT_FALSE(crosses(&a, &b, port_of(shut), 9, false, &peer));
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_find(&latch, fd, 0), 0);
	CU_ASSERT_TRUE(ipsec_event_fd() >= 0);
	CU_ASSERT_EQUAL(ipsec_latch_delete(latch), 0);
	CU_ASSERT_TRUE(next_state(ipsec_latch_number(latch), IPSEC_LATCH_BROKEN));
	CU_ASSERT_FALSE(crosses(&a, &b, port_of(fd), 9, false, &peer));
	ipsec_latch_free(latch);
	close(fd);
	close(shut);
	close_two(&a, &b);
	CU_ASSERT_EQUAL(ipsec_engine_use(NULL), 0);
}

/* A latch goes with its socket: another one that has the same ends is its own. */
static void test_B8_a_closed_socket(void)
{
	struct ipsec_latch *latch;
	struct side a, b;
	int fd = udp(0, 9), other, num = 0;
	uint16_t port = port_of(fd);
	struct timespec began;

	open_two(&a, &b, 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_engine_use(a.engine), 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_require(fd, NULL, "peer.example"), 0);
	other = dup(fd);
	close(fd);
	CU_ASSERT_EQUAL(ipsec_latch_find(&latch, other, 0), 0); /* it is open still */
	ipsec_latch_free(latch);
	close(other);
	fd = udp(port, 9);
	FAILS(ipsec_latch_find(&latch, fd, 0), ENOENT);
	CU_ASSERT_EQUAL(ipsec_require(fd, NULL, "peer.example"), 0);
	close(fd);
	/* Or when it is looked at, without another one. */
	clock_gettime(CLOCK_MONOTONIC, &began);
	do {
		usleep(100000);
		num = 0;
		CU_ASSERT_EQUAL(ipsec_each_latch(count_latch, &num), 0);
	} while (num && !late(&began));
	CU_ASSERT_EQUAL(num, 0);
	close_two(&a, &b);
	CU_ASSERT_EQUAL(ipsec_engine_use(NULL), 0);
}

/* ---- whose calls they are ---------------------------------------------------------------------
 */

/* A token of one engine means nothing to the other, and latches go with the connection. */
static void test_B8_one_and_another(void)
{
	ipsec_pToken_t p = ipsec_create_pToken();
	struct ipsec_latch *latch;
	struct ipsec_peer peer;
	struct side a, b;
	int fd = udp(0, 9), num = 0;

	open_two(&a, &b, 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_engine_use(a.engine), 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_latch_create(&latch, fd, NULL, 0), 0);
	CU_ASSERT_EQUAL(ipsec_require(fd, NULL, NULL), 0);
	CU_ASSERT_EQUAL(ipsec_get_socket_pToken(fd, p), 0);
	FAILS(ipsec_set_socket_pToken(fd, p), EOPNOTSUPP);
	CU_ASSERT_EQUAL(ipsec_engine_use(b.engine), 0);
	FAILS(ipsec_set_socket_pToken(fd, p), ENOENT);
	FAILS(ipsec_latch_release(latch), ESTALE);
	CU_ASSERT_EQUAL(ipsec_engine_use(a.engine), 0);
	CU_ASSERT_EQUAL(ipsec_each_latch(count_latch, &num), 0);
	CU_ASSERT_EQUAL(num, 0);
	CU_ASSERT_TRUE(crosses(&a, &b, port_of(fd), 9, false, &peer)); /* by the policy */
	ipsec_free_pToken(p);
	close(fd);
	close_two(&a, &b);
	CU_ASSERT_EQUAL(ipsec_engine_use(NULL), 0);
}

/* Who used an engine does not find himself with somebody else when it is gone; nor does a child,
 * which has no engine. */
static void test_B8_no_engine(void)
{
	struct world w = {0};
	pid_t pid = daemon_up(&w), child;
	ipsec_pToken_t p = ipsec_create_pToken();
	struct side a, b;
	int fd = udp(0, 9), status = -1;

	open_two(&a, &b, 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_engine_use(a.engine), 0);
	FAILS(ipsec_get_socket_pToken(fd, p), ENOENT);
	child = fork();
	if (child == 0)
		_exit(ipsec_get_socket_pToken(fd, p) == -1 && errno == ECONNREFUSED ? 0 : 1);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(status, 0);
	FAILS(ipsec_get_socket_pToken(fd, p), ENOENT);
	close_two(&a, &b);
	FAILS(ipsec_get_socket_pToken(fd, p), ECONNREFUSED);
	CU_ASSERT_EQUAL(ipsec_engine_use(NULL), 0);
	FAILS(ipsec_get_socket_pToken(fd, p), ENOENT); /* the daemon's answer */
	ipsec_free_pToken(p);
	close(fd);
	daemon_down(&w, pid);
}

#define THREADS 4
#define CALLS   50

static void *call_on(void *arg)
{
	int fd = udp(0, 9);
	intptr_t bad = ipsec_require(fd, NULL, "peer.example") != 0;
	ipsec_pToken_t p = ipsec_create_pToken();

	(void)arg;
	for (int i = 0; i < CALLS; i++)
		bad += ipsec_get_socket_pToken(fd, p) != 0;
	ipsec_free_pToken(p);
	close(fd);
	return (void *)bad;
}

/* Any thread may call: whoever waits turns the engine for all. */
static void test_B8_threads(void)
{
	pthread_t threads[THREADS];
	struct side a, b;
	void *bad;

	open_two(&a, &b, 0);
	CU_ASSERT_EQUAL_FATAL(ipsec_engine_use(a.engine), 0);
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, call_on, NULL) == 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &bad);
		CU_ASSERT_PTR_NULL(bad);
	}
	close_two(&a, &b);
	CU_ASSERT_EQUAL(ipsec_engine_use(NULL), 0);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_B8_a_daemon),
	TAP_TEST(test_B8_an_engine),
	TAP_TEST(test_B8_an_engine_with_a_thread),
	TAP_TEST(test_B8_the_flow),
	TAP_TEST(test_B8_a_closed_socket),
	TAP_TEST(test_B8_one_and_another),
	TAP_TEST(test_B8_no_engine),
	TAP_TEST(test_B8_threads),
};

TAP_MAIN("embed_use", tests)
