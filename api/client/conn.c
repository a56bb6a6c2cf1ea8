/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.c - the one connection of a process to the daemon, which all threads share: requests and
 * their answers, events on their way to who asks for them, and coming back after the daemon was
 * away or the process was forked.
 *
 * Of the threads that wait for an answer one polls the descriptor, without the lock, and hands out
 * what comes; when it has its own another one does.
 */
#include "api/client/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 256 /* that wait to be taken */
#define HELLO_MS   5000
#define RETRY_S    1 /* between looks whether the daemon is back, when events are wanted */

/* struct part - a message that came. */
struct part {
	struct list_node node;
	size_t len;
	uint8_t bytes[];
};

/* struct waiter - a request under way, on its thread's stack. */
struct waiter {
	struct list_node node;
	uint32_t id;
	struct list_node parts;
	bool done;
	int error; /* errno; 0: the parts are the answer */
};

/* struct event - one that waits to be taken: a message, or a kind of our own. */
struct event {
	struct list_node node;
	enum ipsec_app_event_kind kind; /* 0: it is a message */
	struct part *part;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	pthread_once_t once;
	pid_t pid;
	const struct ipsec_backend *backend; /* for the next connection */
	const struct ipsec_backend *ops;     /* of this one; NULL: there is none */
	void *conn;
	uint64_t instance;
	bool marks; /* of that daemon */
	uint32_t last_id;
	bool reading; /* some thread polls */
	bool is_up;   /* it has greeted; nobody is told of the end of one that has not */
	bool was_up;
	struct list_node waiters, events;
	uint32_t num_events;
	bool lost;
	/* Of who wants events; -1 before. */
	int epoll, signal, timer;
} g = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
	.once = PTHREAD_ONCE_INIT,
	.epoll = -1,
	.signal = -1,
	.timer = -1,
};

/* Why the last connection that this thread wished for did not come about; "": it is not known. */
static _Thread_local char open_why[256];

static int deadline_left(const struct timespec *end)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : (int)ms;
}

static struct timespec deadline_in(int ms)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_nsec -= 1000000000L;
		end.tv_sec++;
	}
	return end;
}

/* ---- events that wait ----------------------------------------------------------------------- */

static void set_signal(bool on)
{
	uint64_t one = 1;

	if (g.signal < 0)
		return;
	if (on ? write(g.signal, &one, sizeof(one)) < 0 : read(g.signal, &one, sizeof(one)) < 0)
		return; /* it is so already */
}

static void event_free(struct event *e)
{
	mem_free(e->part);
	mem_free(e);
}

/* Takes the part. One that there is no room for is told as LOST. */
static void event_add(enum ipsec_app_event_kind kind, struct part *part)
{
	struct event *e = NULL;

	if (g.epoll >= 0 && g.num_events < EVENTS_MAX)
		e = mem_alloc(sizeof(*e));
	if (!e) {
		g.lost |= g.epoll >= 0;
		mem_free(part);
		return;
	}
	e->kind = kind;
	e->part = part;
	list_push_back(&g.events, &e->node);
	g.num_events++;
	set_signal(true);
}

/* ---- what comes ----------------------------------------------------------------------------- */

static struct waiter *waiter_of(uint32_t id)
{
	list_for_each (n, &g.waiters) {
		struct waiter *w = list_entry(n, struct waiter, node);

		if (w->id == id)
			return w;
	}
	return NULL;
}

static void conn_drop(void)
{
	if (!g.ops)
		return;
	if (g.epoll >= 0)
		epoll_ctl(g.epoll, EPOLL_CTL_DEL, g.ops->fd(g.conn), NULL);
	g.ops->close(g.conn);
	g.ops = NULL;
	g.is_up = false;
	list_for_each (n, &g.waiters) {
		struct waiter *w = list_entry(n, struct waiter, node);

		if (!w->done)
			w->error = ECONNRESET;
		w->done = true;
	}
	pthread_cond_broadcast(&g.cond);
}

/* The daemon is gone; who wants events is told, and the timer looks for it. */
static void conn_lost(void)
{
	struct itimerspec soon = {.it_value = {.tv_sec = RETRY_S},
				  .it_interval = {.tv_sec = RETRY_S}};
	bool was_up = g.is_up;

	conn_drop();
	if (was_up)
		event_add(IPSEC_APP_EVENT_DISCONNECTED, NULL);
	if (g.timer >= 0)
		timerfd_settime(g.timer, 0, &soon, NULL);
}

/* Takes the part. What belongs to nobody came too late. */
static void hand_out(struct part *part)
{
	struct app_msg msg;
	struct waiter *w;

	if (app_msg_parse(&msg, part->bytes, part->len)) {
		mem_free(part);
		conn_lost();
		return;
	}
	if (msg.flags & APP_F_EVENT) {
		event_add((enum ipsec_app_event_kind)0, part);
		return;
	}
	w = waiter_of(msg.id);
	if (!w || w->done) {
		mem_free(part);
		return;
	}
	list_push_back(&w->parts, &part->node);
	w->done = !(msg.flags & APP_F_MORE);
	if (w->done)
		pthread_cond_broadcast(&g.cond);
}

static void drain(void)
{
	uint8_t buf[APP_MESSAGE_MAX];

	while (g.ops) {
		ssize_t len = g.ops->recv(g.conn, buf, sizeof(buf));
		struct part *part;

		if (len < 0 && errno == EAGAIN)
			return;
		part = len > 0 ? mem_alloc(sizeof(*part) + (size_t)len) : NULL;
		if (!part) {
			conn_lost();
			return;
		}
		part->len = (size_t)len;
		memcpy(part->bytes, buf, (size_t)len);
		hand_out(part);
	}
}

/* ---- requests ------------------------------------------------------------------------------- */

/* The descriptor that was to be passed, or this call's place: the connection is as it was. */
static bool is_of_message(int err)
{
	return err == EBADF || err == EDEADLK || err == EMFILE || err == ENOMEM;
}

/* Sends under the lock, for a message is short; a daemon that has no room for it is waited for. */
static int send_now(const struct bytes *bytes, int fd, const struct timespec *end)
{
	while (g.ops) {
		struct pollfd p = {.fd = g.ops->fd(g.conn), .events = POLLOUT};

		if (!g.ops->send(g.conn, bytes->p, bytes->len, fd))
			return 0;
		if (is_of_message(errno))
			return errno;
		if (errno != EAGAIN && errno != EINTR)
			break;
		if (poll(&p, 1, deadline_left(end)) == 0)
			return ETIMEDOUT;
	}
	conn_lost();
	return ECONNRESET;
}

/* One turn of waiting: poll, or sleep while another thread does. */
static void wait_turn(const struct timespec *end)
{
	struct pollfd p = {.fd = g.ops->fd(g.conn), .events = POLLIN};
	void (*turn)(void *conn, int timeout_ms) = g.ops->turn;
	void *conn = g.conn;
	struct timespec at;

	if (g.reading) {
		/* The reader may be done any time: look again before long. */
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += 50000000L;
		if (at.tv_nsec >= 1000000000L) {
			at.tv_nsec -= 1000000000L;
			at.tv_sec++;
		}
		pthread_cond_timedwait(&g.cond, &g.lock, &at);
		return;
	}
	g.reading = true;
	pthread_mutex_unlock(&g.lock);
	if (turn)
		turn(conn, deadline_left(end));
	else
		poll(&p, 1, deadline_left(end));
	pthread_mutex_lock(&g.lock);
	g.reading = false;
	drain();
	pthread_cond_broadcast(&g.cond);
}

static void parts_free(struct list_node *parts)
{
	struct list_node *n;

	while ((n = list_pop_front(parts)))
		mem_free(list_entry(n, struct part, node));
}

/* Errors: an errno; 0: the waiter's parts are the answer. The lock is held. */
static int exchange(struct waiter *w, struct bytes *bytes, int fd, int timeout_ms)
{
	struct timespec end = deadline_in(timeout_ms);
	int err;

	list_push_back(&g.waiters, &w->node);
	err = send_now(bytes, fd, &end);
	while (!err && !w->done && deadline_left(&end) > 0)
		wait_turn(&end);
	list_remove(&w->node);
	if (!err)
		err = w->done ? w->error : ETIMEDOUT;
	return err;
}

/* ---- being connected ------------------------------------------------------------------------ */

static int ask_simple(uint16_t verb, struct app_msg *msg, struct waiter *w)
{
	uint8_t buf[APP_HEADER_LEN];
	struct bytes bytes = bytes_of(buf, sizeof(buf));
	struct writer wr;
	int err;

	*w = (struct waiter){.id = ++g.last_id};
	list_init(&w->parts);
	writer_init(&wr, buf, sizeof(buf));
	app_put_header(&wr, verb, 0, 0, w->id);
	err = exchange(w, &bytes, -1, HELLO_MS);
	if (!err) {
		const struct part *p = list_entry(w->parts.next, struct part, node);

		err = app_msg_parse(msg, p->bytes, p->len) ? EPROTO
		      : msg->code == APP_PERM              ? EPERM
		      : msg->code                          ? EPROTO
							   : 0;
	}
	return err;
}

static int greet(void)
{
	struct app_msg msg;
	struct waiter w;
	uint64_t instance;
	int err = ask_simple(APP_HELLO, &msg, &w);
	bool marks = !err && app_attr_bool(&msg.attrs, APP_A_MARKS, false);

	instance = err ? 0 : app_attr_u64(&msg.attrs, APP_A_INSTANCE, 0);
	parts_free(&w.parts);
	if (!err && g.epoll >= 0) {
		err = ask_simple(APP_EVENTS, &msg, &w);
		parts_free(&w.parts);
	}
	if (!err) {
		g.instance = instance;
		g.marks = marks;
	}
	return err;
}

static void watch(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct itimerspec off = {0};

	if (g.epoll < 0 || !g.ops)
		return;
	epoll_ctl(g.epoll, EPOLL_CTL_ADD, g.ops->fd(g.conn), &ev);
	timerfd_settime(g.timer, 0, &off, NULL);
}

static void note_why(const struct ipsec_backend *ops)
{
	snprintf(open_why, sizeof(open_why), "%s", ops->why ? ops->why() : "");
}

/* Errors: an errno. */
static int connect_now(void)
{
	const struct ipsec_backend *ops = g.backend ? g.backend : &unix_backend;
	int err;

	if (g.ops)
		return 0;
	open_why[0] = '\0';
	if (ops->open(&g.conn)) {
		err = errno;
		note_why(ops);
		return err;
	}
	g.ops = ops;
	err = greet();
	if (err) {
		conn_drop();
		note_why(ops);
		return err == ECONNRESET ? ECONNREFUSED : err;
	}
	watch();
	if (g.was_up)
		event_add(IPSEC_APP_EVENT_RECONNECTED, NULL);
	g.is_up = g.was_up = true;
	return 0;
}

/* ---- processes and threads ------------------------------------------------------------------ */

static void before_fork(void)
{
	pthread_mutex_lock(&g.lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&g.lock);
}

/* A child has no part in its parent's connection; the waiters are stacks that it does not have. */
static void in_child(void)
{
	pthread_mutex_init(&g.lock, NULL);
	pthread_cond_init(&g.cond, NULL);
	list_init(&g.waiters);
	g.reading = false;
	if (g.ops)
		g.ops->close(g.conn);
	g.ops = NULL;
	g.is_up = g.was_up = false;
	list_for_each_safe (n, &g.events) {
		list_remove(n);
		event_free(list_entry(n, struct event, node));
	}
	g.num_events = 0;
	if (g.epoll >= 0) {
		close(g.epoll);
		close(g.signal);
		close(g.timer);
	}
	g.epoll = g.signal = g.timer = -1;
}

static void init(void)
{
	list_init(&g.waiters);
	list_init(&g.events);
	pthread_atfork(before_fork, after_fork, in_child);
}

static void enter(void)
{
	pthread_once(&g.once, init);
	pthread_mutex_lock(&g.lock);
}

static void leave(void)
{
	pthread_mutex_unlock(&g.lock);
}

int ipsec_backend_fail(int err, const char *text)
{
	return fail(err, text);
}

void ipsec_backend_use(const struct ipsec_backend *backend)
{
	enter();
	g.backend = backend;
	conn_drop();
	g.was_up = false;
	leave();
}

/* ---- what the other files call -------------------------------------------------------------- */

void request_begin(struct request *r, uint16_t verb)
{
	r->verb = verb;
	writer_init(&r->w, r->bytes, sizeof(r->bytes));
	app_put_header(&r->w, verb, 0, 0, 0);
}

static int explain(int err)
{
	static const struct {
		int err;
		const char *text;
	} texts[] = {
		{ECONNREFUSED, "no daemon answers: is latchkeyd running?"},
		{EACCES, "the daemon's socket may not be used"},
		{EPERM, "the administrator does not let this user"},
		{ECONNRESET, "the daemon went away"},
		{ETIMEDOUT, "the daemon did not answer in time"},
		{EPROTO, "the daemon speaks another protocol"},
		{EBADF, "the descriptor is not open"},
		{EDEADLK, "an engine's callback cannot wait for an engine"},
		{EINVAL, "a text is too long, or empty"},
	};

	if (err == ECONNREFUSED && open_why[0])
		return fail(err, open_why);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (texts[i].err == err)
			return fail(err == EPROTO ? EIO : err, texts[i].text);
	}
	return fail(err, strerror(err));
}

/* A connection that turns out to be dead is made anew, once: the daemon was started again. */
static int run(struct request *r, struct waiter *w, int fd, int timeout_ms, uint64_t *instance)
{
	struct bytes bytes;
	int err = writer_finish(&r->w, &bytes) ? EINVAL : 0;

	list_init(&w->parts);
	for (int i = 0; i < 2 && (i == 0 ? !err : err == ECONNRESET); i++) {
		parts_free(&w->parts);
		w->id = ++g.last_id;
		w->done = false;
		w->error = 0;
		store_be32(r->bytes + 8, w->id);
		err = connect_now();
		*instance = g.instance;
		if (!err)
			err = exchange(w, &bytes, fd, timeout_ms);
	}
	return err;
}

int transact(struct request *r, int fd, int timeout_ms, struct reply *out)
{
	struct waiter w;
	const struct part *p;
	int err;

	enter();
	err = run(r, &w, fd, timeout_ms, &out->instance);
	if (!err) {
		p = list_entry(w.parts.next, struct part, node);
		memcpy(out->bytes, p->bytes, p->len);
		err = app_msg_parse(&out->msg, out->bytes, p->len) ? EPROTO : 0;
	}
	parts_free(&w.parts);
	leave();
	if (err)
		return explain(err);
	return out->msg.code ? fail_reason(&out->msg) : 0;
}

/* fn is called without the lock: it may call the library. */
int transact_each(struct request *r, int fd, void (*fn)(void *arg, const struct app_msg *msg),
		  void *arg)
{
	struct app_msg msg;
	struct waiter w;
	uint64_t instance;
	int err, res = 0;

	enter();
	err = run(r, &w, fd, USUAL_MS, &instance);
	leave();
	list_for_each (n, &w.parts) {
		const struct part *p = list_entry(n, struct part, node);

		if (err || res || app_msg_parse(&msg, p->bytes, p->len))
			continue;
		if (msg.code)
			res = fail_reason(&msg);
		else
			fn(arg, &msg);
	}
	parts_free(&w.parts);
	return err ? explain(err) : res;
}

uint64_t instance_now(void)
{
	uint64_t instance = 0;

	enter();
	if (!connect_now()) {
		drain(); /* that it has gone is known only when it is looked at */
		if (!connect_now())
			instance = g.instance;
	}
	leave();
	return instance;
}

bool marks_tell(void)
{
	bool marks;

	enter();
	marks = g.marks;
	leave();
	return marks;
}

/* ---- events --------------------------------------------------------------------------------- */

static int open_watch(void)
{
	struct epoll_event ev = {.events = EPOLLIN};

	g.signal = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	g.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (g.signal >= 0 && g.timer >= 0 && g.epoll >= 0 &&
	    !epoll_ctl(g.epoll, EPOLL_CTL_ADD, g.signal, &ev) &&
	    !epoll_ctl(g.epoll, EPOLL_CTL_ADD, g.timer, &ev))
		return 0;
	close(g.signal);
	close(g.timer);
	close(g.epoll);
	g.signal = g.timer = g.epoll = -1;
	return -1;
}

/* From now on events are asked for, also on the connection that is there. */
int events_open(void)
{
	struct app_msg msg;
	struct waiter w;
	int err = 0;

	enter();
	if (g.epoll < 0) {
		bool up = g.ops != NULL;

		err = open_watch() ? errno : up ? 0 : connect_now();
		if (!err && up) {
			err = ask_simple(APP_EVENTS, &msg, &w);
			parts_free(&w.parts);
			if (err == ECONNRESET)
				err = connect_now(); /* which asks for them */
			else
				watch();
		}
		if (err && g.epoll >= 0) {
			close(g.signal);
			close(g.timer);
			close(g.epoll);
			g.signal = g.timer = g.epoll = -1;
		}
	}
	leave();
	return err ? explain(err) : g.epoll;
}

static bool take(enum ipsec_app_event_kind *kind, struct reply *out)
{
	struct event *e;

	if (list_empty(&g.events) && g.lost) {
		g.lost = false;
		*kind = IPSEC_APP_EVENT_LOST;
		return true;
	}
	if (list_empty(&g.events))
		return false;
	e = list_entry(g.events.next, struct event, node);
	list_remove(&e->node);
	g.num_events--;
	*kind = e->kind;
	if (e->part) {
		memcpy(out->bytes, e->part->bytes, e->part->len);
		if (app_msg_parse(&out->msg, out->bytes, e->part->len))
			*kind = IPSEC_APP_EVENT_LOST;
	}
	event_free(e);
	return true;
}

/* Who answers in this process may be turned by nobody else. */
static void turn_once(void)
{
	void (*turn)(void *conn, int timeout_ms) = g.ops ? g.ops->turn : NULL;
	void *conn = g.conn;

	if (!turn)
		return;
	pthread_mutex_unlock(&g.lock);
	turn(conn, 0);
	pthread_mutex_lock(&g.lock);
}

int event_take(enum ipsec_app_event_kind *kind, struct reply *out)
{
	uint64_t ticks;
	bool any;

	enter();
	if (g.epoll >= 0 && !g.ops && read(g.timer, &ticks, sizeof(ticks)) > 0)
		(void)connect_now();
	turn_once();
	drain();
	any = take(kind, out);
	out->instance = g.instance;
	if (list_empty(&g.events) && !g.lost)
		set_signal(false);
	leave();
	return any;
}
