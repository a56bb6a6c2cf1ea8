/* SPDX-License-Identifier: Apache-2.0 */
#include "api/vici/listen.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 16384

/* struct conn - one accepted client. Closing: the handle lives until the loop has let go of it. */
struct conn {
	struct list_node node; /* listen's conns */
	uv_pipe_t pipe;
	uv_write_t write;
	struct vici_listen *listen;
	struct vici_client *client; /* NULL once closed */
	uint8_t *writing;           /* copy under way, NULL if none */
	bool dirty;                 /* wake() was called */
	uint8_t in[READ_SIZE];
};

struct vici_listen {
	uv_loop_t *loop;
	struct vici_server *server;
	uv_pipe_t pipe;
	uv_prepare_t prepare; /* before each sleep: flush, and set the timer */
	uv_timer_t timer;
	struct list_node conns;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	ino_t inode; /* of our socket: another daemon's in its place is left alone */
	uint32_t num_handles;
	void (*done)(void *arg);
	void *arg;
};

static void free_if_last(struct vici_listen *l)
{
	if (--l->num_handles > 0)
		return;
	if (l->done)
		l->done(l->arg);
	mem_free(l);
}

static void conn_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	mem_free(c->writing);
	free_if_last(c->listen);
	mem_free(c);
}

static void conn_close(struct conn *c)
{
	if (!c->client)
		return;
	vici_client_close(c->client);
	c->client = NULL;
	list_remove(&c->node);
	uv_close((uv_handle_t *)&c->pipe, conn_closed);
}

static void flush(struct conn *c);

static void written(uv_write_t *req, int status)
{
	struct conn *c = req->data;

	mem_free(c->writing);
	c->writing = NULL;
	if (!c->client)
		return;
	if (status)
		conn_close(c);
	else
		flush(c);
}

/* The queue may move while libuv writes, so a piece of it is copied; the next follows when it is
 * out. What a slow client does not take stays in the queue, whose bound cuts it off. */
static void flush(struct conn *c)
{
	struct bytes out;
	uv_buf_t buf;

	if (vici_client_doomed(c->client)) {
		conn_close(c);
		return;
	}
	out = vici_client_output(c->client);
	if (c->writing || out.len == 0)
		return;
	if (out.len > 65536)
		out.len = 65536;
	c->writing = mem_dup(out.p, out.len);
	if (!c->writing) {
		conn_close(c);
		return;
	}
	vici_client_sent(c->client, out.len);
	buf = uv_buf_init((char *)c->writing, (unsigned)out.len);
	c->write.data = c;
	if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &buf, 1, written))
		conn_close(c);
}

static void wake(void *ctx)
{
	((struct conn *)ctx)->dirty = true;
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = handle->data;

	(void)suggested;
	*buf = uv_buf_init((char *)c->in, sizeof(c->in));
}

static void received(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct conn *c = stream->data;
	enum err e = ERR_OK;

	if (!c->client || len == 0)
		return;
	if (len > 0)
		e = vici_client_input(c->client, buf->base, (size_t)len);
	if (len > 0)
		secret_wipe(c->in, (size_t)len);
	if (len < 0 || e)
		conn_close(c);
	else
		flush(c);
}

static struct conn *conn_new(struct vici_listen *l)
{
	struct conn *c = mem_alloc(sizeof(*c));

	if (!c)
		return NULL;
	c->listen = l;
	if (uv_pipe_init(l->loop, &c->pipe, 0)) {
		mem_free(c);
		return NULL;
	}
	c->pipe.data = c;
	l->num_handles++;
	return c;
}

/* Over the limit a client is accepted and closed, so that it does not wait in vain. */
static void accepted(uv_stream_t *server, int status)
{
	struct vici_listen *l = server->data;
	struct conn *c = status ? NULL : conn_new(l);

	if (!c)
		return;
	if (uv_accept(server, (uv_stream_t *)&c->pipe) ||
	    vici_client_open(l->server, &c->client, wake, c)) {
		uv_close((uv_handle_t *)&c->pipe, conn_closed);
		return;
	}
	list_push_back(&l->conns, &c->node);
	if (uv_read_start((uv_stream_t *)&c->pipe, give_buffer, received))
		conn_close(c);
}

static void flush_dirty(struct vici_listen *l)
{
	list_for_each_safe (n, &l->conns) {
		struct conn *c = list_entry(n, struct conn, node);

		if (!c->dirty)
			continue;
		c->dirty = false;
		flush(c);
	}
}

static void timer_fired(uv_timer_t *timer)
{
	(void)timer; /* the loop has woken: before_sleep() does the rest */
}

static void before_sleep(uv_prepare_t *prepare)
{
	struct vici_listen *l = prepare->data;
	uint64_t now = vici_server_now(l->server), deadline;

	if (vici_server_deadline(l->server) <= now)
		vici_server_run(l->server, now);
	flush_dirty(l);
	deadline = vici_server_deadline(l->server);
	if (deadline == TIME_NEVER)
		uv_timer_stop(&l->timer);
	else
		uv_timer_start(&l->timer, timer_fired,
			       deadline > now ? (deadline - now) / NS_PER_MS + 1 : 0, 0);
}

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
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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

/* A bound, listening socket that nobody but its owner may connect to. Errors: SYS, BUSY, LIMIT. */
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
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_SYS;
	/* The mode is right from the first moment: nobody else can slip in before a chmod. */
	mask = umask(0177);
	res = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (res || stat(path, &st)) {
		close(fd);
		return ERR_SYS;
	}
	*out_inode = st.st_ino;
	*out_fd = fd;
	return ERR_OK;
}

static enum err start(struct vici_listen *l, int fd)
{
	if (uv_pipe_open(&l->pipe, fd)) {
		close(fd);
		return ERR_SYS;
	}
	if (uv_listen((uv_stream_t *)&l->pipe, 16, accepted) ||
	    uv_prepare_start(&l->prepare, before_sleep))
		return ERR_SYS;
	return ERR_OK;
}

static enum err init_handles(struct vici_listen *l, uv_loop_t *loop)
{
	if (uv_pipe_init(loop, &l->pipe, 0))
		return ERR_SYS;
	uv_prepare_init(loop, &l->prepare);
	uv_timer_init(loop, &l->timer);
	l->pipe.data = l->prepare.data = l->timer.data = l;
	l->num_handles = 3;
	return ERR_OK;
}

enum err vici_listen_open(struct vici_listen **out, uv_loop_t *loop, const char *path,
			  struct vici_server *server)
{
	struct vici_listen *l;
	ino_t inode;
	int fd;
	enum err e = socket_open(&fd, path, &inode);

	if (e)
		return e;
	l = mem_alloc(sizeof(*l));
	if (!l || init_handles(l, loop)) {
		mem_free(l);
		close(fd);
		unlink(path);
		return l ? ERR_SYS : ERR_NOMEM;
	}
	l->loop = loop;
	l->server = server;
	l->inode = inode;
	list_init(&l->conns);
	snprintf(l->path, sizeof(l->path), "%s", path);
	e = start(l, fd);
	if (e) {
		vici_listen_close(l, NULL, NULL);
		return e;
	}
	*out = l;
	return ERR_OK;
}

static void listen_closed(uv_handle_t *handle)
{
	free_if_last(handle->data);
}

void vici_listen_close(struct vici_listen *l, void (*done)(void *arg), void *arg)
{
	struct stat st;

	if (!l)
		return;
	l->done = done;
	l->arg = arg;
	list_for_each_safe (n, &l->conns)
		conn_close(list_entry(n, struct conn, node));
	if (!stat(l->path, &st) && st.st_ino == l->inode)
		unlink(l->path);
	uv_close((uv_handle_t *)&l->pipe, listen_closed);
	uv_close((uv_handle_t *)&l->prepare, listen_closed);
	uv_close((uv_handle_t *)&l->timer, listen_closed);
}
