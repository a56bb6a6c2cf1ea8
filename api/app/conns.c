/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app/conns.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ACCEPTS 2 /* a turn */
/* So many that are turned away are enough for a while: to accept and close one costs as much as a
 * request, and others are to be served. Who connects meanwhile waits in the backlog. */
#define REFUSALS        4
#define ACCEPT_PAUSE_NS (2 * NS_PER_MS)
#define CLOSER_PAUSE_NS (20 * NS_PER_MS)
/* Steps of strangers in a second, but for the time that they take. */
#define STRANGERS_RATE 1000
/* What the turn of the loop that a request has takes beside it. */
#define TURN_NS (10 * NS_PER_US)
/* What a thread does to close one (closer.h). */
#define CLOSE_NS (15 * NS_PER_US)

/* The processor's time that this thread has had: what others do meanwhile is no client's doing. */
static uint64_t worked_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void look_at_time(struct conns *c, uint64_t time_ns)
{
	c->look_ns = time_ns < c->look_ns ? time_ns : c->look_ns;
}

static void free_if_last(struct conns *c)
{
	if (--c->num_handles)
		return;
	closer_free(c->closer);
	mem_free(c);
}

static void conn_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	free_if_last(c->conns);
	mem_free(c);
}

void conns_drop(struct conns *conns, int fd, uint64_t owner)
{
	(void)shutdown(fd, SHUT_RDWR);
	closer_end(conns->closer, fd, owner);
}

/* The descriptor is closed after libuv has let go of it. */
void conn_close(struct conn *c)
{
	struct conns *conns = c->conns;
	struct app_user *user = c->client ? app_client_user(c->client) : &conns->strangers;
	uint64_t start = worked_ns();

	if (c->closed)
		return;
	c->closed = true;
	if (c->client)
		app_client_close(c->client);
	c->client = NULL;
	if (conns->ops->closed)
		conns->ops->closed(c);
	list_remove(&c->node);
	if (c->queued)
		list_remove(&c->turn_node);
	conns->num--;
	uv_close((uv_handle_t *)&c->poll, conn_closed);
	if (c->owner)
		conns_drop(conns, c->fd, c->owner);
	else
		close(c->fd);
	app_user_charge(user, worked_ns() - start + (c->owner ? CLOSE_NS : 0));
}

/* ---- reading and writing -------------------------------------------------------------------- */

/* wait_of - ns until it may be read: who has sent too much for now, or whose descriptors are not
 * closed yet. */
static uint64_t wait_of(struct conn *c)
{
	if (c->owner && closer_is_full(c->conns->closer, c->owner))
		return CLOSER_PAUSE_NS;
	return c->client ? app_client_wait(c->client)
			 : app_user_wait(&c->conns->strangers, STRANGERS_RATE,
					 app_server_now(c->conns->server));
}

/* has_turn - one step of each user's in a turn, and one of all strangers'. */
static bool has_turn(struct conn *c)
{
	struct conns *conns = c->conns;

	if (c->client)
		return app_client_turn(c->client, conns->turn);
	if (conns->strangers.turn == conns->turn)
		return false;
	conns->strangers.turn = conns->turn;
	return true;
}

static bool is_doomed(const struct conn *c)
{
	return c->client && app_client_doomed(c->client);
}

static bool has_input(struct conn *c)
{
	return c->conns->ops->has_input && c->conns->ops->has_input(c);
}

static bool wants_write(struct conn *c)
{
	return c->conns->ops->wants_write && c->conns->ops->wants_write(c);
}

static void queue(struct conn *c)
{
	if (c->queued)
		return;
	c->queued = true;
	list_push_back(&c->conns->readable, &c->turn_node);
}

static void unqueue(struct conn *c)
{
	c->queued = false;
	list_remove(&c->turn_node);
}

static void ready(uv_poll_t *poll, int status, int events);

/* What is early is looked at by time; what has input that the descriptor does not tell of has its
 * turn all the same. */
static void set_events(struct conn *c)
{
	uint64_t wait = wait_of(c);
	int events = wait ? 0 : UV_READABLE;

	if (wants_write(c) || (c->client && app_client_output(c->client).len))
		events |= UV_WRITABLE;
	c->dirty = wait > 0;
	if (wait)
		look_at_time(c->conns, app_server_now(c->conns->server) + wait);
	else if (has_input(c))
		queue(c);
	if (events == c->events)
		return;
	c->events = events;
	if (events)
		uv_poll_start(&c->poll, events, ready);
	else
		uv_poll_stop(&c->poll);
}

/* What is there for it; false: it is over. */
static bool write_all(struct conn *c)
{
	struct bytes out;

	while (c->client && !is_doomed(c) && (out = app_client_output(c->client)).len > 0) {
		enum err e = c->conns->ops->write(c, out);

		if (e)
			return e == ERR_AGAIN;
		app_client_sent(c->client);
	}
	return !is_doomed(c);
}

static void flush(struct conn *c)
{
	if (write_all(c))
		set_events(c);
	else
		conn_close(c);
}

static void ready(uv_poll_t *poll, int status, int events)
{
	struct conn *c = poll->data;

	if (c->closed)
		return;
	if (status < 0)
		conn_close(c);
	else if (events & UV_READABLE || wants_write(c))
		queue(c);
	if (!c->closed && events & UV_WRITABLE)
		flush(c);
}

/* One step of one connection, which its user is charged with, also if it is the last. */
static void serve(struct conn *c)
{
	uint64_t start = worked_ns();
	enum err e = is_doomed(c) ? ERR_AGAIN : c->conns->ops->read(c);
	bool goes_on = (!e || e == ERR_AGAIN) && write_all(c);

	if (c->client)
		app_client_charge(c->client, worked_ns() - start + TURN_NS);
	else
		app_user_charge(&c->conns->strangers, worked_ns() - start + TURN_NS);
	if (goes_on)
		set_events(c);
	else
		conn_close(c);
}

static void after_sleep(uv_check_t *check)
{
	struct conns *conns = check->data;

	conns->turn++;
	list_for_each_safe (n, &conns->readable) {
		struct conn *c = list_entry(n, struct conn, turn_node);

		if (wait_of(c)) {
			unqueue(c);
			set_events(c);
		} else if (has_turn(c)) {
			unqueue(c);
			serve(c);
		}
	}
}

static void timer_fired(uv_timer_t *timer)
{
	(void)timer; /* the loop has woken: before_sleep() does the rest */
}

static void wake(void *ctx)
{
	struct conn *c = ctx;

	c->dirty = true;
	look_at_time(c->conns, 0);
	uv_timer_start(&c->conns->timer, timer_fired, 0, 0); /* before_sleep() may be past */
}

/* ---- accepting ------------------------------------------------------------------------------ */

bool conn_open(struct conns *conns, struct conn *c, int fd)
{
	if (uv_poll_init(conns->loop, &c->poll, fd)) {
		if (c->owner)
			conns_drop(conns, fd, c->owner);
		else
			close(fd);
		mem_free(c);
		return false;
	}
	c->conns = conns;
	c->fd = fd;
	c->deadline_ns = TIME_NEVER;
	c->poll.data = c;
	conns->num_handles++;
	conns->num++;
	list_push_back(&conns->list, &c->node);
	set_events(c);
	return true;
}

enum err conn_begin(struct conn *c, const struct app_peer *peer)
{
	struct conns *conns = c->conns;
	enum err e = app_client_open(conns->server, &c->client, peer, wake, c);

	if (!e)
		app_client_charge(c->client, conns->open_ns);
	return e;
}

void conn_deadline(struct conn *c, uint64_t deadline_ns)
{
	c->deadline_ns = deadline_ns;
	look_at_time(c->conns, deadline_ns);
}

static void rest(struct conns *c)
{
	for (uint32_t i = 0; i < c->num_doors; i++)
		uv_poll_stop(&c->doors[i].poll);
	c->refused = 0;
	c->accept_ns = app_server_now(c->server) + ACCEPT_PAUSE_NS;
	look_at_time(c, c->accept_ns);
}

static void acceptable(uv_poll_t *poll, int status, int events)
{
	struct door *d = container_of(poll, struct door, poll);
	struct conns *c = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS && c->refused < REFUSALS; i++) {
		uint64_t start = worked_ns();
		int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			rest(c); /* descriptors are short: the door would be ready all the time */
		if (fd < 0)
			return;
		if (c->ops->admit(c, fd))
			c->open_ns = worked_ns() - start;
		else
			c->refused++;
	}
	if (c->refused >= REFUSALS)
		rest(c);
}

static void go_on_accepting(struct conns *c)
{
	c->accept_ns = 0;
	for (uint32_t i = 0; i < c->num_doors; i++)
		uv_poll_start(&c->doors[i].poll, UV_READABLE, acceptable);
}

enum err conns_listen(struct conns *c, int fd)
{
	struct door *d = &c->doors[c->num_doors];

	if (c->num_doors == CONNS_DOORS_MAX || uv_poll_init(c->loop, &d->poll, fd)) {
		close(fd);
		return c->num_doors == CONNS_DOORS_MAX ? ERR_LIMIT : ERR_SYS;
	}
	d->fd = fd;
	d->poll.data = c;
	c->num_doors++;
	c->num_handles++;
	return uv_poll_start(&d->poll, UV_READABLE, acceptable) ? ERR_SYS : ERR_OK;
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void look_at(struct conn *c, uint64_t now)
{
	if (c->deadline_ns <= now) {
		conn_close(c);
		return;
	}
	if (c->dirty)
		flush(c);
	if (!c->closed)
		look_at_time(c->conns, c->deadline_ns);
}

/* Who is woken or waits is not looked for in each turn: that is what many idle ones would cost. */
static void look(struct conns *conns, uint64_t now)
{
	conns->look_ns = TIME_NEVER;
	if (conns->accept_ns && conns->accept_ns <= now)
		go_on_accepting(conns);
	if (conns->accept_ns)
		look_at_time(conns, conns->accept_ns);
	list_for_each_safe (n, &conns->list)
		look_at(list_entry(n, struct conn, node), now);
}

static uint64_t deadline_of(const struct conns *conns, uint64_t now)
{
	uint64_t first = app_server_deadline(conns->server);

	if (!list_empty(&conns->readable))
		return now;
	return conns->look_ns < first ? conns->look_ns : first;
}

static void before_sleep(uv_prepare_t *prepare)
{
	struct conns *conns = prepare->data;
	uint64_t now = app_server_now(conns->server), deadline;

	if (app_server_deadline(conns->server) <= now)
		app_server_run(conns->server, now);
	if (conns->look_ns <= now)
		look(conns, now);
	deadline = deadline_of(conns, now);
	if (deadline == TIME_NEVER)
		uv_timer_stop(&conns->timer);
	else
		uv_timer_start(&conns->timer, timer_fired,
			       deadline > now ? (deadline - now) / NS_PER_MS + 1 : 0, 0);
}

/* ---- opening, closing ----------------------------------------------------------------------- */

enum err conns_open(struct conns *c, uv_loop_t *loop, struct app_server *server,
		    const struct conn_ops *ops)
{
	enum err e = closer_new(&c->closer);

	if (e)
		return e;
	c->loop = loop;
	c->server = server;
	c->ops = ops;
	list_init(&c->list);
	list_init(&c->readable);
	c->look_ns = TIME_NEVER;
	c->strangers.credit = (int64_t)NS_PER_S;
	c->strangers.at_ns = app_server_now(server);
	uv_check_init(loop, &c->check);
	uv_prepare_init(loop, &c->prepare);
	uv_timer_init(loop, &c->timer);
	c->check.data = c->prepare.data = c->timer.data = c;
	c->num_handles = 3;
	uv_check_start(&c->check, after_sleep); /* with a callback neither can fail */
	uv_prepare_start(&c->prepare, before_sleep);
	return ERR_OK;
}

static void handle_closed(uv_handle_t *handle)
{
	free_if_last(handle->data);
}

void conns_close(struct conns *c)
{
	list_for_each_safe (n, &c->list)
		conn_close(list_entry(n, struct conn, node));
	for (uint32_t i = 0; i < c->num_doors; i++) {
		uv_close((uv_handle_t *)&c->doors[i].poll, handle_closed);
		close(c->doors[i].fd);
	}
	uv_close((uv_handle_t *)&c->check, handle_closed);
	uv_close((uv_handle_t *)&c->prepare, handle_closed);
	uv_close((uv_handle_t *)&c->timer, handle_closed);
}
