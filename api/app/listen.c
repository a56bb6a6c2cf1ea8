/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app/listen.h"

#include "api/app/proto.h"
#include "base/alloc.h"
#include "base/list.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Descriptors that a message may bring without being cut; one is the most that is good. */
#define FDS_ROOM 8
#define ACCEPTS  16 /* a turn */
#define BACKLOG  64

/* struct conn - one accepted client. Closing: the handle lives until the loop has let go of it. */
struct conn {
	struct list_node node; /* listen's conns */
	uv_poll_t poll;
	struct app_listen *listen;
	struct app_client *client; /* NULL once closed */
	int fd;
	int events; /* that are polled for */
	bool dirty; /* wake() was called, or it was too early to read */
};

struct app_listen {
	uv_loop_t *loop;
	struct app_server *server;
	int fd;
	uv_poll_t poll;
	uv_prepare_t prepare; /* before each sleep: flush, and set the timer */
	uv_timer_t timer;
	struct list_node conns;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	ino_t inode; /* of our socket: another daemon's in its place is left alone */
	uint32_t num_handles;
};

static void free_if_last(struct app_listen *l)
{
	if (--l->num_handles == 0)
		mem_free(l);
}

static void conn_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	free_if_last(c->listen);
	mem_free(c);
}

/* The descriptor is closed after libuv has let go of it. */
static void conn_close(struct conn *c)
{
	if (!c->client)
		return;
	app_client_close(c->client);
	c->client = NULL;
	list_remove(&c->node);
	uv_close((uv_handle_t *)&c->poll, conn_closed);
	close(c->fd);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Takes the one descriptor out of a message; of several, all are closed. *out is -1 if there is
 * none. Errors: LIMIT (several). */
static enum err take_fd(int *out, struct msghdr *msg)
{
	uint32_t num = 0;

	*out = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < fds; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (num++ == 0)
				*out = fd;
			else
				close(fd);
		}
	}
	if (num <= 1 && !(msg->msg_flags & MSG_CTRUNC))
		return ERR_OK;
	if (*out >= 0)
		close(*out);
	return ERR_LIMIT;
}

/* One message. Errors: AGAIN (none), others end the connection. */
static enum err read_one(struct conn *c)
{
	alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(FDS_ROOM * sizeof(int))];
	uint8_t buf[APP_MESSAGE_MAX];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	enum err e;
	int fd;

	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_SYS;
	e = take_fd(&fd, &msg);
	if (e)
		return e;
	if (len > 0 && !(msg.msg_flags & MSG_TRUNC))
		return app_client_input(c->client, buf, (size_t)len, fd);
	if (fd >= 0)
		close(fd);
	return ERR_LIMIT; /* too long, or the end */
}

static void set_events(struct conn *c);

static void read_some(struct conn *c)
{
	for (uint32_t i = 0; i < APP_READS_PER_TURN && c->client; i++) {
		enum err e;

		if (app_client_wait(c->client) || app_client_doomed(c->client))
			break;
		e = read_one(c);
		if (e == ERR_AGAIN)
			break;
		if (e)
			conn_close(c);
	}
}

/* ---- writing -------------------------------------------------------------------------------- */

static void flush(struct conn *c)
{
	struct bytes out;

	while (c->client && !app_client_doomed(c->client) &&
	       (out = app_client_output(c->client)).len > 0) {
		ssize_t len = send(c->fd, out.p, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (len < 0)
			conn_close(c);
		else
			app_client_sent(c->client);
	}
	if (c->client && app_client_doomed(c->client))
		conn_close(c);
	if (c->client)
		set_events(c);
}

static void ready(uv_poll_t *poll, int status, int events)
{
	struct conn *c = poll->data;

	if (!c->client)
		return;
	if (status < 0)
		conn_close(c);
	else if (events & UV_READABLE)
		read_some(c);
	flush(c);
}

/* Who has sent too much for now is not read until he may again; the timer looks. */
static void set_events(struct conn *c)
{
	bool early = app_client_wait(c->client) > 0;
	int events =
		(early ? 0 : UV_READABLE) | (app_client_output(c->client).len ? UV_WRITABLE : 0);

	c->dirty = early;
	if (events == c->events)
		return;
	c->events = events;
	if (events)
		uv_poll_start(&c->poll, events, ready);
	else
		uv_poll_stop(&c->poll);
}

static void wake(void *ctx)
{
	((struct conn *)ctx)->dirty = true;
}

/* ---- accepting ------------------------------------------------------------------------------ */

/* Who it is, as the kernel noted when he connected. Errors: SYS. */
static enum err peer_of(struct app_peer *out, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred), groups_len = sizeof(out->groups);

	memset(out, 0, sizeof(*out));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return ERR_SYS;
	out->uid = cred.uid;
	out->gid = cred.gid;
	out->pid = cred.pid;
	/* More groups than there is room for: none of them counts. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out->groups, &groups_len) == 0)
		out->num_groups = groups_len / sizeof(out->groups[0]);
	return ERR_OK;
}

static struct conn *conn_new(struct app_listen *l, int fd)
{
	struct conn *c = mem_alloc(sizeof(*c));

	if (!c)
		return NULL;
	c->listen = l;
	c->fd = fd;
	if (uv_poll_init(l->loop, &c->poll, fd)) {
		mem_free(c);
		return NULL;
	}
	c->poll.data = c;
	l->num_handles++;
	return c;
}

/* Over a quota a client is accepted and closed, so that he does not wait in vain. */
static void admit(struct app_listen *l, int fd)
{
	struct app_peer peer;
	struct conn *c = peer_of(&peer, fd) ? NULL : conn_new(l, fd);

	if (!c) {
		close(fd);
		return;
	}
	if (app_client_open(l->server, &c->client, &peer, wake, c)) {
		uv_close((uv_handle_t *)&c->poll, conn_closed);
		close(fd);
		return;
	}
	list_push_back(&l->conns, &c->node);
	set_events(c);
}

static void acceptable(uv_poll_t *poll, int status, int events)
{
	struct app_listen *l = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		admit(l, fd);
	}
}

/* ---- turns ---------------------------------------------------------------------------------- */

/* The next time that something is due: a wait's end, or that a client may be read again. */
static uint64_t deadline_of(struct app_listen *l, uint64_t now)
{
	uint64_t first = app_server_deadline(l->server);

	list_for_each (n, &l->conns) {
		struct conn *c = list_entry(n, struct conn, node);
		uint64_t at = c->dirty ? now + app_client_wait(c->client) : TIME_NEVER;

		first = at < first ? at : first;
	}
	return first;
}

static void timer_fired(uv_timer_t *timer)
{
	(void)timer; /* the loop has woken: before_sleep() does the rest */
}

static void before_sleep(uv_prepare_t *prepare)
{
	struct app_listen *l = prepare->data;
	uint64_t now = app_server_now(l->server), deadline;

	if (app_server_deadline(l->server) <= now)
		app_server_run(l->server, now);
	list_for_each_safe (n, &l->conns) {
		struct conn *c = list_entry(n, struct conn, node);

		if (c->dirty)
			flush(c);
	}
	deadline = deadline_of(l, now);
	if (deadline == TIME_NEVER)
		uv_timer_stop(&l->timer);
	else
		uv_timer_start(&l->timer, timer_fired,
			       deadline > now ? (deadline - now) / NS_PER_MS + 1 : 0, 0);
}

/* ---- opening, closing ----------------------------------------------------------------------- */

/* A dead daemon's socket refuses connections; then it is taken away. So does a file that is no
 * socket, which is not ours to remove. Errors: BUSY, SYS. */
static enum err make_room(const struct sockaddr_un *sun)
{
	struct stat st;
	int res, err, fd;

	if (lstat(sun->sun_path, &st))
		return errno == ENOENT ? ERR_OK : ERR_SYS;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return ERR_SYS;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_SYS;
	res = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	err = res ? errno : 0;
	close(fd);
	if (err == ENOENT)
		return ERR_OK;
	if (err != ECONNREFUSED) {
		errno = err ? err : EADDRINUSE;
		return ERR_BUSY;
	}
	return unlink(sun->sun_path) && errno != ENOENT ? ERR_SYS : ERR_OK;
}

static enum err socket_open(int *out_fd, const char *path, ino_t *out_inode)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t mask;
	int fd, res;
	enum err e;

	if (strlen(path) >= sizeof(sun.sun_path))
		return ERR_LIMIT;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	e = make_room(&sun);
	if (e)
		return e;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_SYS;
	mask = umask(0111);
	res = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (res || listen(fd, BACKLOG) || stat(path, &st)) {
		close(fd);
		return ERR_SYS;
	}
	*out_inode = st.st_ino;
	*out_fd = fd;
	return ERR_OK;
}

static enum err start(struct app_listen *l)
{
	uv_prepare_init(l->loop, &l->prepare);
	uv_timer_init(l->loop, &l->timer);
	l->poll.data = l->prepare.data = l->timer.data = l;
	l->num_handles = 3;
	return uv_poll_start(&l->poll, UV_READABLE, acceptable) ||
			       uv_prepare_start(&l->prepare, before_sleep)
		       ? ERR_SYS
		       : ERR_OK;
}

enum err app_listen_open(struct app_listen **out, uv_loop_t *loop, const char *path,
			 struct app_server *server)
{
	struct app_listen *l = mem_alloc(sizeof(*l));
	enum err e = l ? socket_open(&l->fd, path, &l->inode) : ERR_NOMEM;

	if (e) {
		mem_free(l);
		return e;
	}
	l->loop = loop;
	l->server = server;
	list_init(&l->conns);
	snprintf(l->path, sizeof(l->path), "%s", path);
	if (uv_poll_init(loop, &l->poll, l->fd)) {
		close(l->fd);
		unlink(path);
		mem_free(l);
		return ERR_SYS;
	}
	e = start(l);
	if (e)
		app_listen_close(l);
	else
		*out = l;
	return e;
}

static void listen_closed(uv_handle_t *handle)
{
	free_if_last(handle->data);
}

void app_listen_close(struct app_listen *l)
{
	struct stat st;

	if (!l)
		return;
	list_for_each_safe (n, &l->conns)
		conn_close(list_entry(n, struct conn, node));
	if (!stat(l->path, &st) && st.st_ino == l->inode)
		unlink(l->path);
	uv_close((uv_handle_t *)&l->poll, listen_closed);
	close(l->fd);
	uv_close((uv_handle_t *)&l->prepare, listen_closed);
	uv_close((uv_handle_t *)&l->timer, listen_closed);
}
