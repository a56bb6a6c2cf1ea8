/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app/listen_tls.h"

#include "api/app/frame.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG    1024
#define LINES      5  /* about strangers, and about users, that are logged in a second */
#define READS_EACH 16 /* parts of a message that are read in one step */
/* A host that has gone without a word is noticed after two minutes. */
#define KEEPALIVE_IDLE_S  60
#define KEEPALIVE_EVERY_S 15
#define KEEPALIVE_TIMES   4

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

struct app_listen_tls {
	struct conns conns;
	struct tls_end *end;
	struct secret key; /* PEM */
	uint32_t num_strangers;
	/* Whose handshakes have begun in this second. */
	uint64_t second;
	struct ip_addr begun[APP_TLS_STRANGERS_RATE];
	uint32_t num_begun;
	uint64_t num_refused;
	struct log_limit refusals, arrivals;
};

/* struct tls_conn - a stranger until it is up; then `peer` is at the other end. */
struct tls_conn {
	struct conn conn;
	struct tls_channel *channel;
	struct endpoint from;
	bool up;
	struct app_peer peer;     /* once the certificate has said who it is */
	struct app_frame in, out; /* out: what tls_write() has begun with; empty: nothing */
};

static_assert(offsetof(struct app_listen_tls, conns) == 0, "freed as what it begins with");
static_assert(offsetof(struct tls_conn, conn) == 0, "freed as what it begins with");
static_assert(CONF_NETWORK_ADDRS <= CONNS_DOORS_MAX, "each address has a door");

static struct app_listen_tls *listen_of(struct conns *c)
{
	return container_of(c, struct app_listen_tls, conns);
}

static struct tls_conn *tls_of(struct conn *c)
{
	return container_of(c, struct tls_conn, conn);
}

static uint64_t now_of(const struct app_listen_tls *l)
{
	return app_server_now(l->conns.server);
}

static void note_refusal(struct app_listen_tls *l, const struct endpoint *from, const char *why)
{
	char text[ENDPOINT_TEXT_MAX];

	l->num_refused++;
	if (log_limited(&l->refusals, LINES, now_of(l)))
		LOG(WARN, CFG, NULL, "%s is refused at the network interface: %s",
		    endpoint_text(text, from), why);
}

/* ---- who it is ------------------------------------------------------------------------------ */

/* The first time that this is known: within the handshake, after the chain. */
static bool accepts(void *ctx, struct bytes cert)
{
	struct tls_conn *t = ctx;
	const struct conf_user *user =
		app_find_user_by_cert(app_server_conf(t->conn.conns->server), cert);

	if (user)
		t->peer = app_peer_remote(user->name);
	if (user)
		t->peer.id = user->id;
	return user != NULL;
}

static uint32_t num_of(const struct app_listen_tls *l, const char *user)
{
	uint32_t num = 0;

	list_for_each (n, &l->conns.list) {
		struct tls_conn *t = tls_of(list_entry(n, struct conn, node));

		num += t->up && strcmp(t->peer.user, user) == 0;
	}
	return num;
}

/* has_room - for one more of his; it is up. */
static bool has_room(const struct app_listen_tls *l, const char *user)
{
	return l->conns.num - l->num_strangers <= APP_TLS_CLIENTS_MAX &&
	       num_of(l, user) <= APP_TLS_CLIENTS_EACH;
}

static enum err welcome(struct tls_conn *t)
{
	struct app_listen_tls *l = listen_of(t->conn.conns);
	char text[ENDPOINT_TEXT_MAX];
	enum err e = ERR_FULL;

	if (has_room(l, t->peer.user) && app_server_admits(t->conn.conns->server, &t->peer))
		e = conn_begin(&t->conn, &t->peer);
	if (e)
		note_refusal(l, &t->from, "the user has too many connections");
	else if (log_limited(&l->arrivals, LINES, now_of(l)))
		LOG(INFO, CFG, NULL, "%s has come to the network interface: '%s'",
		    endpoint_text(text, &t->from), t->peer.user);
	return e;
}

/* Whom a certificate lets in it lets in for as long as it is one. */
static uint64_t expiry_of(const struct tls_conn *t)
{
	uint64_t now = app_server_now(t->conn.conns->server), lasts_s = tls_lasts_s(t->channel);

	return lasts_s < (TIME_NEVER - now) / NS_PER_S ? now + lasts_s * NS_PER_S : TIME_NEVER;
}

static enum err greet(struct tls_conn *t)
{
	struct app_listen_tls *l = listen_of(t->conn.conns);
	enum err e = tls_handshake(t->channel);

	if (e == ERR_AGAIN)
		return e;
	if (!e && !t->peer.user[0])
		e = ERR_AUTH;
	if (e) {
		note_refusal(l, &t->from, tls_why(t->channel));
		return e;
	}
	t->up = true;
	conn_deadline(&t->conn, expiry_of(t));
	l->num_strangers--;
	return welcome(t);
}

/* ---- messages ------------------------------------------------------------------------------- */

/* Errors: AGAIN (nothing more has come; or not all of it, OK: look again). */
static enum err read_frame(struct tls_conn *t)
{
	struct bytes message;
	enum err e = ERR_OK;
	size_t wants, len;

	for (int i = 0; i < READS_EACH && (wants = app_frame_wants(&t->in)) > 0; i++) {
		e = tls_read(t->channel, t->in.bytes + t->in.len, wants, &len);
		if (!e)
			e = app_frame_add(&t->in, len);
		if (e)
			return e;
	}
	if (app_frame_wants(&t->in))
		return ERR_OK;
	message = app_frame_message(&t->in);
	e = app_client_input(t->conn.client, message.p, message.len, -1);
	t->in.len = 0;
	return e;
}

static enum err read_one(struct conn *c)
{
	struct tls_conn *t = tls_of(c);

	return t->up ? read_frame(t) : greet(t);
}

static enum err write_one(struct conn *c, struct bytes message)
{
	struct tls_conn *t = tls_of(c);
	enum err e = t->out.len ? ERR_OK : app_frame_put(&t->out, message);

	if (!e)
		e = tls_write(t->channel, bytes_of(t->out.bytes, t->out.len));
	if (!e)
		t->out.len = 0;
	return e;
}

static bool has_input(struct conn *c)
{
	return tls_of(c)->up && tls_has_input(tls_of(c)->channel);
}

static bool wants_write(struct conn *c)
{
	return tls_of(c)->channel && tls_wants_write(tls_of(c)->channel);
}

static void closed(struct conn *c)
{
	struct tls_conn *t = tls_of(c);

	if (!t->up) {
		listen_of(c->conns)->num_strangers--;
		if (c->deadline_ns <= now_of(listen_of(c->conns)))
			note_refusal(listen_of(c->conns), &t->from, "it took too long");
	}
	tls_channel_free(t->channel);
	t->channel = NULL;
}

/* ---- strangers ------------------------------------------------------------------------------ */

/* Who has an IPv6 network has all its addresses. */
static bool same_place(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, a->family == IP_V4 ? 4 : 7) == 0;
}

static uint32_t num_from(const struct app_listen_tls *l, const struct ip_addr *addr)
{
	uint32_t num = 0;

	list_for_each (n, &l->conns.list) {
		struct tls_conn *t = tls_of(list_entry(n, struct conn, node));

		num += !t->up && same_place(&t->from.addr, addr);
	}
	return num;
}

static uint32_t num_begun_from(struct app_listen_tls *l, const struct ip_addr *addr)
{
	uint64_t second = now_of(l) / NS_PER_S;
	uint32_t num = 0;

	if (second != l->second)
		l->num_begun = 0;
	l->second = second;
	for (uint32_t i = 0; i < l->num_begun; i++)
		num += same_place(&l->begun[i], addr);
	return num;
}

/* make_room - a stranger who is there longest goes: a handshake takes a few round trips. */
static void make_room(struct app_listen_tls *l)
{
	list_for_each_safe (n, &l->conns.list) {
		struct tls_conn *t = tls_of(list_entry(n, struct conn, node));

		if (t->up)
			continue;
		note_refusal(l, &t->from, "others have come meanwhile");
		conn_close(&t->conn);
		return;
	}
}

/* why_not - NULL: one more stranger may come. Each that begins costs a signature of ours. */
static const char *why_not(struct app_listen_tls *l, const struct endpoint *from)
{
	if (num_from(l, &from->addr) >= APP_TLS_STRANGERS_EACH)
		return "too many handshakes of its address are under way";
	if (num_begun_from(l, &from->addr) >= APP_TLS_RATE_EACH)
		return "too many of its address have come in this second";
	if (l->num_begun >= APP_TLS_STRANGERS_RATE)
		return "too many have come in this second";
	l->begun[l->num_begun++] = from->addr;
	return NULL;
}

static void set_options(int fd)
{
	const int on = 1, idle = KEEPALIVE_IDLE_S, every = KEEPALIVE_EVERY_S,
		  times = KEEPALIVE_TIMES;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}

static bool open_channel(struct app_listen_tls *l, struct tls_conn *t)
{
	const struct tls_channel_params params = {
		.fd = t->conn.fd,
		.key = bytes_of(l->key.p, l->key.len),
		.accepts = accepts,
		.ctx = t,
	};
	char why[TLS_WHY_MAX];

	conn_deadline(&t->conn, now_of(l) + APP_TLS_TIME_NS);
	l->num_strangers++;
	if (!tls_channel_new(&t->channel, why, l->end, &params))
		return true;
	note_refusal(l, &t->from, why);
	conn_close(&t->conn);
	return false;
}

static bool admit(struct conns *conns, int fd)
{
	struct app_listen_tls *l = listen_of(conns);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint from;
	struct tls_conn *t;
	const char *why;

	if (getpeername(fd, (struct sockaddr *)&ss, &len) || endpoint_from_sockaddr(&from, &ss)) {
		close(fd); /* it has gone already */
		return false;
	}
	why = why_not(l, &from);
	t = why ? NULL : mem_alloc(sizeof(*t));
	if (!t) {
		note_refusal(l, &from, why ? why : "memory is short");
		close(fd);
		return false;
	}
	if (l->num_strangers >= APP_TLS_STRANGERS_MAX)
		make_room(l);
	t->from = from;
	set_options(fd);
	return conn_open(conns, &t->conn, fd) && open_channel(l, t);
}

static const struct conn_ops ops = {
	.admit = admit,
	.read = read_one,
	.write = write_one,
	.has_input = has_input,
	.wants_write = wants_write,
	.closed = closed,
};

/* ---- opening, closing ----------------------------------------------------------------------- */

/* The address may come later than the daemon. */
static int bound_socket(const struct endpoint *at)
{
	const int on = 1;
	struct sockaddr_storage ss;
	socklen_t len = endpoint_to_sockaddr(&ss, at);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (at->addr.family == IP_V6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	} else {
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	}
	if (!bind(fd, (struct sockaddr *)&ss, len) && !listen(fd, BACKLOG))
		return fd;
	close(fd);
	return -1;
}

static enum err listen_at(struct app_listen_tls *l, char why[static TLS_WHY_MAX],
			  const struct endpoint *at)
{
	char text[ENDPOINT_TEXT_MAX];
	int fd = bound_socket(at);

	if (fd >= 0)
		return conns_listen(&l->conns, fd);
	snprintf(why, TLS_WHY_MAX, "%s: %s", endpoint_text(text, at), strerror(errno));
	return errno == EADDRINUSE ? ERR_BUSY : ERR_SYS;
}

static enum err read_key(struct secret *out, char why[static TLS_WHY_MAX], const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	enum err e = ERR_CONFIG;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    st.st_size <= TLS_KEY_MAX)
		e = secret_init(out, (size_t)st.st_size);
	if (!e && read(fd, out->p, out->len) != (ssize_t)out->len)
		e = ERR_CONFIG;
	if (fd >= 0)
		close(fd);
	if (e)
		snprintf(why, TLS_WHY_MAX, "%.200s cannot be read", path);
	return e;
}

static enum err set_up(struct app_listen_tls *l, char why[static TLS_WHY_MAX],
		       const struct conf_network *conf)
{
	const struct tls_end_params params = {
		.server = true,
		.certificate = conf->certificate,
		.ca = conf->ca,
		.crl = conf->crl[0] ? conf->crl : NULL,
	};
	enum err e = read_key(&l->key, why, conf->key);

	if (!e)
		e = tls_end_new(&l->end, why, &params);
	for (uint32_t i = 0; !e && i < conf->num_addrs; i++) {
		struct endpoint at = {.addr = conf->addrs[i], .port = conf->port};

		e = listen_at(l, why, &at);
	}
	return e;
}

enum err app_listen_tls_open(struct app_listen_tls **out, char why[static TLS_WHY_MAX],
			     uv_loop_t *loop, struct app_server *server,
			     const struct conf_network *conf)
{
	struct app_listen_tls *l = mem_alloc(sizeof(*l));
	enum err e;

	if (!l)
		return ERR_NOMEM;
	e = conns_open(&l->conns, loop, server, &ops);
	if (e) {
		mem_free(l);
		return e;
	}
	e = set_up(l, why, conf);
	if (e)
		app_listen_tls_close(l);
	else
		*out = l;
	return e;
}

void app_listen_tls_close(struct app_listen_tls *l)
{
	if (!l)
		return;
	conns_close(&l->conns);
	tls_end_free(l->end);
	secret_fini(&l->key);
}

uint64_t app_listen_tls_refused(const struct app_listen_tls *l)
{
	return l->num_refused;
}
