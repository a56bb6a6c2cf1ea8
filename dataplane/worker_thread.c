/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's own thread: it turns while there is work, and sleeps in epoll, off-line for RCU, when
 * there is none. */
#include "dataplane/worker.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/rcu.h"

#define SLEEP_MAX_MS 60000
/* Turns without a packet before a poll-mode worker sleeps: traffic comes in bursts. */
#define IDLE_TURNS 64

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

	if (w->polls && (uint64_t)w->idle_us * NS_PER_US < ns)
		ns = (uint64_t)w->idle_us * NS_PER_US;
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
				 .tv_nsec = (long)(ns % NS_PER_S)};
}

static void sleep_off_line(struct worker *w)
{
	struct epoll_event ev[4];
	uint64_t num;

	rcu_offline();
	if (handoff_sleep(w)) {
		struct timespec ts = sleep_time(w);

		if (w->polls)
			epoll_pwait2(w->epoll_fd, ev, ARRAY_LEN(ev), &ts, NULL);
		else
			epoll_wait(w->epoll_fd, ev, ARRAY_LEN(ev), sleep_ms(w, clock_now_ns()));
	}
	handoff_awake(w);
	ssize_t n = read(w->wake_fd, &num, sizeof(num));

	(void)n; /* the rings are looked at in any case */
	rcu_online();
}

static bool may_sleep(const struct worker *w)
{
	if (!w->polls)
		return w->num_idle > 0;
	return w->idle_us && w->num_idle > IDLE_TURNS;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	rcu_thread_register();
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		w->num_idle = worker_turn(w, clock_now_ns()) ? 0 : w->num_idle + 1;
		if (may_sleep(w))
			sleep_off_line(w);
		else
			rcu_quiescent();
	}
	rcu_thread_unregister();
	return NULL;
}

static bool watch(const struct worker *w, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0;
}

/* note_poll_mode - the most impatient port decides. */
static void note_poll_mode(struct worker *w, const struct driver *d)
{
	w->idle_us = w->polls && w->idle_us < d->idle_us ? w->idle_us : d->idle_us;
	w->polls = true;
}

static bool watch_all(struct worker *w)
{
	w->polls = false;
	if (!watch(w, w->wake_fd))
		return false;
	for (uint16_t port = 0; port < w->num_ports; port++) {
		const struct driver *d = w->ports[port];
		int fd = d ? d->ops->fd(d) : -1;

		if (d && fd < 0)
			note_poll_mode(w, d);
		else if (fd >= 0 && !watch(w, fd))
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
