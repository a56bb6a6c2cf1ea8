/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.c - the back end of <latchkey/ipsec.h> to the daemon of another host: TCP, TLS 1.3
 * (api/tls/tls.h), messages in frames (api/app/frame.h). Calls come one at a time, from any thread.
 */
#include "api/app/frame.h"
#include "api/client/backend.h"
#include "api/include/latchkey/ipsec_remote.h"
#include "api/tls/tls.h"
#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPEN_MS  5000 /* for TCP and TLS */
#define SEND_MS  5000 /* for a message whose beginning was sent */
#define TEXT_MAX 1024

/* struct where - what was said last. */
struct where {
	char host[TEXT_MAX], port[TEXT_MAX];
	char certificate[TEXT_MAX], key[TEXT_MAX], ca[TEXT_MAX], crl[TEXT_MAX];
};

/* struct remote_conn - one connection. */
struct remote_conn {
	int fd;
	struct tls_channel *channel;
	struct app_frame in, out;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct where said;

static _Thread_local char last_why[TLS_WHY_MAX + TEXT_MAX];

static int refuse(const char *fmt, ...) PRINTF_LIKE(1, 2);
static int refuse(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last_why, sizeof(last_why), fmt, args);
	va_end(args);
	errno = ECONNREFUSED;
	return -1;
}

/* ---- time ----------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until fd is ready, or the time is over: false. */
static bool wait_for(int fd, short events, int64_t end_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int res;

	do {
		int64_t left = end_ms - now_ms();

		res = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (res < 0 && errno == EINTR);
	return res > 0;
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* -1: this address does not answer; errno says why. */
static int try_address(const struct addrinfo *a, int64_t end_ms)
{
	const int on = 1;
	socklen_t len = sizeof(int);
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;

	if (fd < 0)
		return -1;
	if (connect(fd, a->ai_addr, a->ai_addrlen))
		err = errno;
	if (err == EINPROGRESS) {
		err = ETIMEDOUT;
		if (wait_for(fd, POLLOUT, end_ms))
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	}
	if (!err) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		return fd;
	}
	close(fd);
	errno = err;
	return -1;
}

static int connect_tcp(const struct where *w, int64_t end_ms)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int fd = -1, res = getaddrinfo(w->host, w->port, &hints, &list);

	if (res)
		return refuse("%s: %s", w->host, gai_strerror(res));
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = try_address(a, end_ms);
	if (fd < 0)
		refuse("%s does not answer: %s", w->host, strerror(errno));
	freeaddrinfo(list);
	return fd;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

/* The caller wipes it. */
static int read_key(struct bytes *out, uint8_t buf[static TLS_KEY_MAX], const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t len = -1;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		len = read(fd, buf, TLS_KEY_MAX);
	if (len <= 0 || len == TLS_KEY_MAX)
		refuse("%s cannot be read: %s", path, len < 0 ? strerror(errno) : "it is no key");
	else
		*out = bytes_of(buf, (size_t)len);
	if (fd >= 0)
		close(fd);
	return out->len ? 0 : -1;
}

static int make_channel(struct remote_conn *c, const struct where *w, struct bytes key)
{
	const struct tls_end_params end = {
		.certificate = w->certificate, .ca = w->ca, .crl = w->crl[0] ? w->crl : NULL};
	const struct tls_channel_params params = {.fd = c->fd, .key = key, .name = w->host};
	struct tls_end *e = NULL;
	char why[TLS_WHY_MAX] = "";
	enum err err = tls_end_new(&e, why, &end);

	if (!err)
		err = tls_channel_new(&c->channel, why, e, &params);
	tls_end_free(e);
	return err ? refuse("%s", why) : 0;
}

static int shake(struct remote_conn *c, const struct where *w, int64_t end_ms)
{
	enum err e;

	while ((e = tls_handshake(c->channel)) == ERR_AGAIN) {
		if (!wait_for(c->fd, tls_wants_write(c->channel) ? POLLOUT : POLLIN, end_ms))
			return refuse("%s does not answer", w->host);
	}
	if (e == ERR_SYS)
		return refuse("%s hangs up before it is known who is there: too many may have come",
			      w->host);
	return e ? refuse("%s is not believed: %s", w->host, tls_why(c->channel)) : 0;
}

static int begin(struct remote_conn *c, const struct where *w)
{
	int64_t end_ms = now_ms() + OPEN_MS;
	uint8_t buf[TLS_KEY_MAX];
	struct bytes key = {0};
	int res;

	c->fd = connect_tcp(w, end_ms);
	if (c->fd < 0)
		return -1;
	res = read_key(&key, buf, w->key);
	if (!res)
		res = make_channel(c, w, key);
	explicit_bzero(buf, sizeof(buf));
	return res ? res : shake(c, w, end_ms);
}

static void remote_close(void *conn)
{
	struct remote_conn *c = conn;

	tls_channel_free(c->channel);
	if (c->fd >= 0)
		close(c->fd);
	mem_free(c);
}

static int remote_open(void **out)
{
	struct remote_conn *c = mem_alloc(sizeof(*c));
	struct where w;

	last_why[0] = '\0';
	if (!c) {
		errno = ENOMEM;
		return -1;
	}
	pthread_mutex_lock(&lock);
	w = said;
	pthread_mutex_unlock(&lock);
	if (begin(c, &w)) {
		int err = errno;

		remote_close(c);
		errno = err;
		return -1;
	}
	*out = c;
	return 0;
}

/* ---- messages ------------------------------------------------------------------------------- */

static int lost(struct remote_conn *c)
{
	snprintf(last_why, sizeof(last_why), "the other host's daemon refuses: %s",
		 tls_why(c->channel));
	errno = ECONNRESET;
	return -1;
}

/* A descriptor says nothing there: the daemon answers that. A message is sent whole, so that nobody
 * need wait for its rest. */
static int remote_send(void *conn, const void *bytes, size_t len, int fd)
{
	struct remote_conn *c = conn;
	int64_t end_ms = now_ms() + SEND_MS;
	enum err e = app_frame_put(&c->out, bytes_of(bytes, len));

	(void)fd;
	if (!e)
		e = tls_write(c->channel, bytes_of(c->out.bytes, c->out.len));
	while (e == ERR_AGAIN && wait_for(c->fd, POLLOUT, end_ms))
		e = tls_write(c->channel, bytes_of(c->out.bytes, c->out.len));
	return e ? lost(c) : 0;
}

static ssize_t remote_recv(void *conn, void *buf, size_t room)
{
	struct remote_conn *c = conn;
	struct bytes message;
	size_t wants, len;

	while ((wants = app_frame_wants(&c->in)) > 0) {
		enum err e = tls_read(c->channel, c->in.bytes + c->in.len, wants, &len);

		if (!e)
			e = app_frame_add(&c->in, len);
		if (e == ERR_AGAIN) {
			errno = EAGAIN;
			return -1;
		}
		if (e)
			return lost(c);
	}
	message = app_frame_message(&c->in);
	c->in.len = 0;
	if (message.len > room)
		return lost(c);
	memcpy(buf, message.p, message.len);
	return (ssize_t)message.len;
}

static int remote_fd(void *conn)
{
	return ((struct remote_conn *)conn)->fd;
}

static const char *remote_why(void)
{
	return last_why;
}

static const struct ipsec_backend remote_backend = {
	.open = remote_open,
	.send = remote_send,
	.recv = remote_recv,
	.fd = remote_fd,
	.close = remote_close,
	.why = remote_why,
};

/* ---- what leaves the library ---------------------------------------------------------------- */

static int take(char out[static TEXT_MAX], const char *text, bool needed)
{
	if (needed && (!text || !*text))
		return ipsec_backend_fail(EINVAL, "the host, the port or a file is not said");
	if (text && strlen(text) >= TEXT_MAX)
		return ipsec_backend_fail(ENAMETOOLONG, "a name is too long");
	snprintf(out, TEXT_MAX, "%s", text ? text : "");
	return 0;
}

int ipsec_remote_use(const struct ipsec_remote *r)
{
	struct where w;

	if (!r) {
		ipsec_backend_use(NULL);
		return 0;
	}
	if (r->size < sizeof(*r))
		return ipsec_backend_fail(EINVAL, "the size is not set");
	if (take(w.host, r->host, true) || take(w.port, r->port, true) ||
	    take(w.certificate, r->certificate, true) || take(w.key, r->key, true) ||
	    take(w.ca, r->ca, true) || take(w.crl, r->crl, false))
		return -1;
	pthread_mutex_lock(&lock);
	said = w;
	pthread_mutex_unlock(&lock);
	ipsec_backend_use(&remote_backend);
	return 0;
}
