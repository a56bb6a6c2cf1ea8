/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine waits for, behind one descriptor: an epoll instance that holds its sources and a
 * timer. Whoever owns the thread's loop (the daemon, an embedder) waits for that
 * one and calls engine_dispatch().
 */
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "api/engine/internal.h"

/* Sources looked at in one dispatch; the others get their turn in the next. */
#define SOURCES_PER_TURN 16

enum err loop_watch(struct engine *e, struct loop_source *s)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

	return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) ? ERR_SYS : ERR_OK;
}

void loop_unwatch(struct engine *e, const struct loop_source *s)
{
	epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
}

/* expired - the timer made us readable; what is due is looked at in every dispatch. */
static void expired(struct engine *e, struct loop_source *s)
{
	uint64_t times;
	ssize_t n = read(s->fd, &times, sizeof(times));

	(void)n;
	e->armed_ns = 0;
}

enum err loop_open(struct engine *e)
{
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (e->epoll_fd < 0)
		return ERR_SYS;
	e->timer = (struct loop_source){
		.fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC),
		.ready = expired,
	};
	return e->timer.fd < 0 ? ERR_SYS : loop_watch(e, &e->timer);
}

void loop_close(struct engine *e)
{
	if (e->timer.fd >= 0)
		close(e->timer.fd);
	if (e->epoll_fd >= 0)
		close(e->epoll_fd);
}

/* loop_arm - a time that has come makes us readable at once: 0 would switch the timer off. */
void loop_arm(struct engine *e, uint64_t at_ns, uint64_t now_ns)
{
	uint64_t wait_ns = at_ns > now_ns ? at_ns - now_ns : 1;
	struct itimerspec when = {0};

	if (at_ns == e->armed_ns)
		return;
	e->armed_ns = at_ns;
	if (at_ns != TIME_NEVER) {
		when.it_value.tv_sec = (time_t)(wait_ns / NS_PER_S);
		when.it_value.tv_nsec = (long)(wait_ns % NS_PER_S);
	}
	timerfd_settime(e->timer.fd, 0, &when, NULL);
}

void loop_dispatch(struct engine *e)
{
	struct epoll_event ev[SOURCES_PER_TURN];
	int num = epoll_wait(e->epoll_fd, ev, SOURCES_PER_TURN, 0);

	for (int i = 0; i < num; i++) {
		struct loop_source *s = ev[i].data.ptr;

		if (s->ready)
			s->ready(e, s);
	}
}
