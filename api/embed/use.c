/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of <latchkey/ipsec.h> answered by an engine of this process: the back end of their
 * library (api/client/backend.h), and the application socket's server without the socket.
 *
 * What is said goes into a box. Whoever leaves a call of the engine next has it answered
 * (embed_serve()), and a call that waits for its answer turns the engine itself meanwhile. So
 * nobody who has the library's lock waits for the engine's: the box has a lock of its own, and
 * nothing else is locked by who has that one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/app/server.h"
#include "api/client/backend.h"
#include "api/embed/internal.h"
#include "base/alloc.h"

/* struct letter - a message in the box. */
struct letter {
	struct list_node node;
	size_t len;
	int fd; /* that came with it, or -1 */
	uint8_t bytes[];
};

/* struct embed_app - what an engine has for these calls. */
struct embed_app {
	struct ipsec_engine *engine;
	struct app_backend backend;
	struct app_server *server;
	struct app_client *client; /* the program itself; NULL: it is not connected */
	uint32_t served;           /* the session that client is of */
	struct app_peer self;
	struct passed passed;

	/* Of the box's lock. */
	pthread_mutex_t lock;
	struct list_node in, out; /* struct letter */
	size_t out_len;           /* bytes */
	uint32_t session; /* counts beginnings and ends of the connection: odd while it is */
	bool gone;        /* the server has let go of it */

	int wake;  /* readable when something is in `out`, or `in` */
	int fd;    /* when that is, or the engine has something to do */
	pid_t pid; /* whose process it is: a forked child has no engine */
};

/* The engine that is used; atomic. */
static struct embed_app *used;

/* ---- the box ------------------------------------------------------------------------------------
 */

static struct letter *letter_new(const void *bytes, size_t len, int fd)
{
	struct letter *l = mem_alloc(sizeof(*l) + len);

	if (!l)
		return NULL;
	l->len = len;
	l->fd = fd;
	memcpy(l->bytes, bytes, len);
	return l;
}

static void letters_free(struct list_node *list)
{
	struct list_node *n;

	while ((n = list_pop_front(list))) {
		struct letter *l = list_entry(n, struct letter, node);

		if (l->fd >= 0)
			close(l->fd);
		mem_free(l);
	}
}

static void set_wake(const struct embed_app *a, bool on)
{
	uint64_t one = 1;

	if (on ? write(a->wake, &one, sizeof(one)) < 0 : read(a->wake, &one, sizeof(one)) < 0)
		return; /* it is so already */
}

static void empty(struct embed_app *a)
{
	letters_free(&a->in);
	letters_free(&a->out);
	a->out_len = 0;
	set_wake(a, false);
}

/* ---- the server's side: the engine's lock is held
 * ------------------------------------------------
 */

/* let_go - the library sees the end of the connection, and makes another one. */
static void let_go(struct embed_app *a)
{
	if (a->client)
		app_client_close(a->client);
	a->client = NULL;
	pthread_mutex_lock(&a->lock);
	if (a->session == a->served)
		a->gone = true;
	set_wake(a, true);
	pthread_mutex_unlock(&a->lock);
}

static void look_later(void *ctx)
{
	(void)ctx; /* embed_serve() looks anyway */
}

/* follow - the library has connected, or disconnected. */
static void follow(struct embed_app *a)
{
	uint32_t session;

	pthread_mutex_lock(&a->lock);
	session = a->session;
	pthread_mutex_unlock(&a->lock);
	if (session == a->served)
		return;
	if (a->client)
		app_client_close(a->client);
	a->client = NULL;
	a->served = session;
	if (session & 1 && app_client_open(a->server, &a->client, &a->self, look_later, a))
		let_go(a);
}

static struct letter *take(struct embed_app *a)
{
	struct list_node *n = NULL;

	pthread_mutex_lock(&a->lock);
	if (a->session == a->served)
		n = list_pop_front(&a->in);
	pthread_mutex_unlock(&a->lock);
	return n ? list_entry(n, struct letter, node) : NULL;
}

/* give - false: who does not read has too much already, or memory is short. */
static bool give(struct embed_app *a, struct bytes bytes)
{
	struct letter *l = letter_new(bytes.p, bytes.len, -1);
	bool room;

	if (!l)
		return false;
	pthread_mutex_lock(&a->lock);
	room = a->session != a->served || a->out_len + l->len <= APP_CLIENT_QUEUE_MAX;
	if (room && a->session == a->served) {
		list_push_back(&a->out, &l->node);
		a->out_len += l->len;
		set_wake(a, true);
		l = NULL;
	}
	pthread_mutex_unlock(&a->lock);
	mem_free(l);
	return room;
}

static void answer(struct embed_app *a)
{
	struct bytes out;

	while (a->client && (out = app_client_output(a->client)).len > 0) {
		if (give(a, out))
			app_client_sent(a->client);
		else
			let_go(a);
	}
	if (a->client && app_client_doomed(a->client))
		let_go(a);
}

void embed_serve(struct embed_app *a)
{
	uint64_t now_ns = app_server_now(a->server);
	struct letter *l;

	follow(a);
	passed_look(&a->passed, &a->backend);
	while (a->client && (l = take(a))) {
		enum err err = app_client_input(a->client, l->bytes, l->len, l->fd);

		if (l->fd >= 0)
			close(l->fd);
		mem_free(l);
		if (err)
			let_go(a);
		answer(a);
	}
	if (app_server_deadline(a->server) <= now_ns)
		app_server_run(a->server, now_ns);
	answer(a);
}

enum err embed_socket_inspect(void *ctx, struct host_socket *out, int fd, const struct flow *pair)
{
	struct ipsec_engine *e = ctx;

	return e->app ? passed_inspect(&e->app->passed, &e->app->backend, out, fd, pair)
		      : ERR_UNSUPPORTED;
}

/* ---- the library's side -------------------------------------------------------------------------
 */

static bool is_child(const struct embed_app *a)
{
	return a->pid != getpid();
}

static int use_open(void **out)
{
	struct embed_app *a = __atomic_load_n(&used, __ATOMIC_ACQUIRE);

	if (!a || is_child(a) || embed_inside()) {
		errno = a && embed_inside() ? EDEADLK : ECONNREFUSED;
		return -1;
	}
	pthread_mutex_lock(&a->lock);
	a->session++;
	a->gone = false;
	pthread_mutex_unlock(&a->lock);
	*out = a;
	return 0;
}

/* A callback holds the engine: who would answer is whom it would wait for. */
static int use_send(void *conn, const void *bytes, size_t len, int fd)
{
	struct embed_app *a = conn;
	struct letter *l;
	int own = -1;

	if (embed_inside()) {
		errno = EDEADLK;
		return -1;
	}
	if (fd >= 0 && (own = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return -1;
	l = letter_new(bytes, len, own);
	if (!l) {
		if (own >= 0)
			close(own);
		errno = ENOMEM;
		return -1;
	}
	pthread_mutex_lock(&a->lock);
	list_push_back(&a->in, &l->node);
	set_wake(a, true);
	pthread_mutex_unlock(&a->lock);
	return 0;
}

static ssize_t use_recv(void *conn, void *buf, size_t room)
{
	struct embed_app *a = conn;
	struct letter *l = NULL;
	ssize_t len = -1;

	pthread_mutex_lock(&a->lock);
	if (!list_empty(&a->out)) {
		l = list_entry(list_pop_front(&a->out), struct letter, node);
		a->out_len -= l->len;
	} else if (a->gone) {
		len = 0;
	} else {
		set_wake(a, false);
	}
	pthread_mutex_unlock(&a->lock);
	if (l && l->len <= room) {
		memcpy(buf, l->bytes, l->len);
		len = (ssize_t)l->len;
	}
	mem_free(l);
	if (len < 0)
		errno = EAGAIN;
	return len;
}

static int use_fd(void *conn)
{
	return ((struct embed_app *)conn)->fd;
}

static void use_close(void *conn)
{
	struct embed_app *a = conn;

	if (is_child(a))
		return;
	pthread_mutex_lock(&a->lock);
	a->session++;
	empty(a);
	pthread_mutex_unlock(&a->lock);
}

/* wait_ms - up to what a request waits for, too. */
static int wait_ms(const struct embed_app *a, int timeout_ms)
{
	uint64_t at = app_server_deadline(a->server), now_ns = app_server_now(a->server);
	uint64_t ms = at > now_ns ? (at - now_ns) / NS_PER_MS + 1 : 0;

	return ms < (uint64_t)timeout_ms ? (int)ms : timeout_ms;
}

static void use_turn(void *conn, int timeout_ms)
{
	struct embed_app *a = conn;
	struct ipsec_engine *e = a->engine;
	struct pollfd p = {.fd = a->fd, .events = POLLIN};
	const struct log_sink *before;

	if (embed_inside())
		return;
	before = embed_enter(e);
	engine_dispatch(e->core);
	embed_serve(a);
	timeout_ms = wait_ms(a, timeout_ms);
	embed_leave(e, before);
	poll(&p, 1, timeout_ms);
}

static const struct ipsec_backend backend = {
	.open = use_open,
	.send = use_send,
	.recv = use_recv,
	.fd = use_fd,
	.close = use_close,
	.turn = use_turn,
};

/* ---- being used ---------------------------------------------------------------------------------
 */

static void on_event(void *ctx, const struct app_event *event)
{
	const struct embed_app *a = ctx;

	app_server_event(a->server, event);
}

void embed_app_path_event(struct embed_app *a, const struct engine_path_event *event)
{
	if (a)
		app_server_path_event(a->server, event);
}

static void name(struct conf_who *who, uint32_t uid)
{
	who->uids[0] = uid;
	who->num_uids = 1;
}

/* server_new - the program has configured the engine: there is nothing that it may not. */
static enum err server_new(struct embed_app *a)
{
	struct conf_app conf = {.clients_per_uid = APP_CLIENTS_MAX,
				.latches_per_uid = UINT32_MAX,
				.requests_per_second = UINT32_MAX,
				.queue_per_uid = UINT32_MAX};
	uint64_t instance;
	enum err err = rng_fill(rng_system(), &instance, sizeof(instance));

	name(&conf.interact, a->self.uid);
	name(&conf.configure, a->self.uid);
	name(&conf.read_all, a->self.uid);
	return err ? err : app_server_new(&a->server, &a->backend, &conf, instance);
}

static enum err fds_open(struct embed_app *a)
{
	const int fds[] = {a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			   engine_fd(a->engine->core)};
	struct epoll_event ev = {.events = EPOLLIN};

	a->fd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (epoll_ctl(a->fd, EPOLL_CTL_ADD, fds[i], &ev))
			return ERR_SYS;
	}
	return ERR_OK;
}

static enum err fill(struct embed_app *a)
{
	enum err err = passed_init(&a->passed);

	if (!err)
		err = fds_open(a);
	return err ? err : server_new(a);
}

static enum err app_new(struct ipsec_engine *e)
{
	struct embed_app *a = mem_alloc(sizeof(*a));
	enum err err;

	if (!a)
		return ERR_NOMEM;
	a->engine = e;
	a->backend = engine_app(e->core);
	a->self = (struct app_peer){.uid = geteuid(), .gid = getegid(), .pid = getpid()};
	a->pid = getpid();
	a->wake = a->fd = -1;
	pthread_mutex_init(&a->lock, NULL);
	list_init(&a->in);
	list_init(&a->out);
	err = fill(a);
	if (err) {
		embed_app_free(a);
		return err;
	}
	engine_app_observe(e->core, on_event, a);
	e->app = a;
	return ERR_OK;
}

void embed_app_free(struct embed_app *a)
{
	if (!a)
		return;
	if (a->client)
		app_client_close(a->client);
	engine_app_observe(a->engine->core, NULL, NULL);
	app_server_free(a->server);
	letters_free(&a->in);
	letters_free(&a->out);
	if (a->fd >= 0)
		close(a->fd);
	if (a->wake >= 0)
		close(a->wake);
	passed_fini(&a->passed);
	pthread_mutex_destroy(&a->lock);
	mem_free(a);
}

/* lead - the library's calls to a, NULL: to the daemon; who had them is told. */
static void lead(struct embed_app *a)
{
	struct embed_app *old = __atomic_exchange_n(&used, a, __ATOMIC_ACQ_REL);
	const struct log_sink *before;

	if (old == a && a)
		return;
	ipsec_backend_use(a ? &backend : NULL);
	if (!old)
		return;
	before = embed_enter(old->engine);
	embed_leave(old->engine, before);
}

int ipsec_engine_use(struct ipsec_engine *e)
{
	const struct log_sink *before;
	enum err err = ERR_OK;

	if (embed_inside()) {
		errno = EDEADLK;
		return -1;
	}
	if (e) {
		before = embed_enter(e);
		err = !e->core || e->params.clock ? ERR_INVAL : e->app ? ERR_OK : app_new(e);
		embed_leave(e, before);
	}
	if (!err)
		lead(e ? e->app : NULL);
	return embed_fail(err);
}

/* Nobody answers until another one is used: the daemon is somebody else. */
void embed_unuse(struct ipsec_engine *e)
{
	struct embed_app *a = e->app;

	if (a &&
	    __atomic_compare_exchange_n(&used, &a, NULL, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		ipsec_backend_use(&backend);
}
