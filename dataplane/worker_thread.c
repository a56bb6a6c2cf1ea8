/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's own thread: it turns while there is work, and sleeps in epoll, off-line for RCU, when
 * there is none. Between turns epoll tells what to receive from: nothing else is asked but
 * poll-mode ports. It is level-triggered, so what a turn leaves is told again. */
#include "dataplane/lookaside.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/rcu.h"

#define SLEEP_MAX_MS 60000
/* Turns without a packet before a poll-mode worker sleeps: traffic comes in bursts. */
#define IDLE_TURNS 64
/* Busy turns of a poll-mode worker before it looks what else is ready: that is a system call. */
#define BUSY_TURNS 16
/* EVENTS_MAX - of what is ready at once; the kernel puts what it told at the end of its list. */
#define EVENTS_MAX 16

/* struct watched - what an event's data says. source: DRIVER_SOURCES_MAX: of the whole port; port:
 * WORKER_NO_PORT: the wake descriptor. */
struct watched {
	uint16_t port, source;
};

static uint64_t data_of(struct watched what)
{
	return (uint64_t)what.source << 16 | what.port;
}

static struct watched watched_of(uint64_t data)
{
	return (struct watched){.port = (uint16_t)data, .source = (uint16_t)(data >> 16)};
}

/* hush - the bell has rung; what for is looked at in every turn. */
static void hush(const struct worker *w)
{
	uint64_t num;
	ssize_t n = read(w->wake_fd, &num, sizeof(num));

	(void)n;
}

static void note(const struct worker *w, struct worker_ready *ready, const struct epoll_event *ev)
{
	struct watched what = watched_of(ev->data.u64);

	if (what.port == WORKER_NO_PORT) {
		hush(w);
		return;
	}
	ready->ports |= UINT64_C(1) << what.port;
	if (what.source == DRIVER_SOURCES_MAX)
		return;
	struct driver_ready *r = &ready->sources[what.port];

	r->any |= (uint8_t)(1u << what.source);
	if (ev->events & EPOLLERR)
		r->failed |= (uint8_t)(1u << what.source);
}

/* look - what is ready, without waiting. */
static void look(const struct worker *w, struct worker_ready *ready)
{
	struct epoll_event ev[EVENTS_MAX];
	int n = epoll_wait(w->epoll_fd, ev, EVENTS_MAX, 0);

	for (int i = 0; i < n; i++)
		note(w, ready, &ev[i]);
}

/* sleep_ms - until the next timer, rounded up; it also wakes when any port or the wake descriptor
 * is readable. */
static int sleep_ms(const struct worker *w, uint64_t now_ns)
{
	uint64_t next = worker_next(w);

	if (next <= now_ns)
		return 0;
	uint64_t ms = (next - now_ns + NS_PER_MS - 1) / NS_PER_MS;

	return ms < SLEEP_MAX_MS ? (int)ms : SLEEP_MAX_MS;
}

/* sleep_time - as sleep_ms(), but a poll-mode port is looked at again after idle_us. */
static struct timespec sleep_time(const struct worker *w)
{
	uint64_t ns = (uint64_t)sleep_ms(w, clock_now_ns()) * NS_PER_MS;

	if ((uint64_t)w->idle_us * NS_PER_US < ns)
		ns = (uint64_t)w->idle_us * NS_PER_US;
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
				 .tv_nsec = (long)(ns % NS_PER_S)};
}

/* wait_for - as look(), once there is something or it is time. */
static void wait_for(const struct worker *w, struct worker_ready *ready)
{
	struct epoll_event ev[EVENTS_MAX];
	int n;

	if (w->polled) {
		struct timespec ts = sleep_time(w);

		n = epoll_pwait2(w->epoll_fd, ev, EVENTS_MAX, &ts, NULL);
	} else {
		n = epoll_wait(w->epoll_fd, ev, EVENTS_MAX, sleep_ms(w, clock_now_ns()));
	}
	for (int i = 0; i < n; i++)
		note(w, ready, &ev[i]);
}

static void sleep_off_line(struct worker *w, struct worker_ready *ready)
{
	rcu_offline();
	if (handoff_sleep(w))
		wait_for(w, ready);
	handoff_awake(w);
	rcu_online();
}

/* is_waiting - something is with a lookaside device. */
static bool is_waiting(const struct worker *w)
{
	return unlikely(w->lookaside != NULL) && lookaside_num(w->lookaside);
}

static bool may_sleep(const struct worker *w)
{
	if (is_waiting(w))
		return false;
	if (!w->polled)
		return w->num_idle > 0;
	return w->idle_us && w->num_idle > IDLE_TURNS;
}

/* must_look - poll-mode ports that are busy keep others waiting for some turns. */
static bool must_look(const struct worker *w, uint32_t turn)
{
	return !w->polled || w->num_idle > 0 || turn % BUSY_TURNS == 0;
}

/* rest - between turns nothing that RCU holds is used, but for packets that are with a lookaside
 * device: these are waited for only if somebody waits for us. */
static void rest(struct worker *w)
{
	if (is_waiting(w)) {
		if (!rcu_wanted())
			return;
		worker_settle(w);
	}
	rcu_quiescent();
}

/* PREFERENCE - of nice's steps that a worker is before the threads beside it: where they have one
 * processor for all, what the control thread does for a flood of IKE must not have sockets overflow
 * in which packets are. */
#define PREFERENCE 10

/* Of this thread alone, where the process may; otherwise it stays as it is. */
static void prefer(void)
{
	(void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) - PREFERENCE);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	struct worker_ready ready = {.ports = w->polled};
	uint32_t turn = 0;

	prefer();
	rcu_thread_register();
	w->clock = clock_now_ns;
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		w->num_idle = worker_turn(w, &ready, clock_now_ns()) ? 0 : w->num_idle + 1;
		ready = (struct worker_ready){.ports = w->polled};
		if (may_sleep(w)) {
			sleep_off_line(w, &ready);
		} else {
			rest(w);
			if (must_look(w, turn++))
				look(w, &ready);
		}
	}
	worker_settle(w);
	rcu_thread_unregister();
	return NULL;
}

static bool watch(const struct worker *w, int fd, uint16_t port, uint32_t source)
{
	const struct watched what = {.port = port, .source = (uint16_t)source};
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = data_of(what)};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static bool watch_sources(const struct worker *w, const struct driver *d, uint16_t port)
{
	for (uint32_t i = 0; i < DRIVER_SOURCES_MAX; i++) {
		int fd = d->ops->source(d, i);

		if (fd < 0)
			return true;
		if (!watch(w, fd, port, i))
			return false;
	}
	return true;
}

/* note_poll_mode - the most impatient port decides. */
static void note_poll_mode(struct worker *w, const struct driver *d, uint16_t port)
{
	w->idle_us = w->polled && w->idle_us < d->idle_us ? w->idle_us : d->idle_us;
	w->polled |= UINT64_C(1) << port;
}

static bool watch_port(struct worker *w, const struct driver *d, uint16_t port)
{
	int fd = d->ops->fd(d);

	if (d->ops->source)
		return watch_sources(w, d, port);
	if (fd >= 0)
		return watch(w, fd, port, DRIVER_SOURCES_MAX);
	note_poll_mode(w, d, port);
	return true;
}

static bool watch_all(struct worker *w)
{
	w->polled = 0;
	if (!watch(w, w->wake_fd, WORKER_NO_PORT, 0))
		return false;
	for (uint16_t port = 0; port < w->num_ports; port++) {
		if (w->ports[port] && !watch_port(w, w->ports[port], port))
			return false;
	}
	return true;
}

void worker_unprepare(struct worker *w)
{
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	w->wake_fd = w->epoll_fd = -1;
}

enum err worker_prepare(struct worker *w)
{
	w->stop = false;
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->wake_fd >= 0 && w->epoll_fd >= 0 && watch_all(w))
		return ERR_OK;
	worker_unprepare(w);
	return ERR_SYS;
}

/* The thread takes no signals: those are the embedder's. */
enum err worker_start(struct worker *w)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->running = rc == 0;
	return rc == 0 ? ERR_OK : ERR_SYS;
}

void worker_stop(struct worker *w)
{
	if (!w->running)
		return;
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	worker_wake(w);
	pthread_join(w->thread, NULL);
	w->running = false;
}

void worker_ring_bell(const struct worker *w)
{
	uint64_t one = 1;
	ssize_t n = write(w->wake_fd, &one, sizeof(one));

	(void)n; /* fails only when the counter is full: then the worker is awake anyway */
}

void worker_wake(struct worker *w)
{
	if (w->running)
		worker_ring_bell(w);
}
