/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app/closer.h"

#include "base/alloc.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX    4096
#define THREADS_MAX 16
/* A connection that lingers is told to end by a signal; a file system that does not answer is not.
 */
#define LINGER_MS 20
#define END_MS    200 /* that closer_free() waits for threads */

/* struct job - what waits. */
struct job {
	uint64_t owner;
	int fd;
};

/* struct seat - a thread's place. owner: whom it works for now; 0 = nobody. */
struct seat {
	struct closer *closer;
	bool taken;
	uint64_t owner;
};

/* struct closer - lock: all of it; num is also looked at without. */
struct closer {
	pthread_mutex_t lock;
	pthread_cond_t work, ended;
	struct job jobs[JOBS_MAX];
	atomic_uint num;
	struct seat seats[THREADS_MAX];
	uint32_t num_threads, idle;
	bool over;
};

/* ---- the threads ---------------------------------------------------------------------------- */

static int linger_signal(void)
{
	return SIGRTMIN + 3;
}

static void on_signal(int number)
{
	(void)number; /* what was waited for in close() is not any more */
}

static bool is_busy(const struct closer *c, uint64_t owner)
{
	for (uint32_t i = 0; i < THREADS_MAX; i++)
		if (c->seats[i].owner == owner)
			return true;
	return false;
}

/* The first whose owner has no thread; false: there is none. */
static bool take(struct closer *c, struct job *out)
{
	uint32_t num = atomic_load_explicit(&c->num, memory_order_relaxed);

	for (uint32_t i = 0; i < num; i++) {
		if (is_busy(c, c->jobs[i].owner))
			continue;
		*out = c->jobs[i];
		memmove(&c->jobs[i], &c->jobs[i + 1], (num - i - 1) * sizeof(c->jobs[0]));
		atomic_store_explicit(&c->num, num - 1, memory_order_relaxed);
		return true;
	}
	return false;
}

static void close_in_time(int fd, const timer_t *timer)
{
	const struct timespec step = {.tv_nsec = LINGER_MS * 1000000L};
	const struct itimerspec on = {step, step}, off = {0};

	if (timer)
		timer_settime(*timer, 0, &on, NULL);
	close(fd);
	if (timer)
		timer_settime(*timer, 0, &off, NULL);
}

static bool timer_make(timer_t *out)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = linger_signal()};

	event._sigev_un._tid = gettid();
	return timer_create(CLOCK_MONOTONIC, &event, out) == 0;
}

static void thread_add(struct closer *c);

static void work(struct closer *c, struct seat *seat, const timer_t *timer)
{
	struct job job;

	for (;;) {
		if (!take(c, &job)) {
			if (c->over || c->idle >= 2)
				return;
			c->idle++;
			pthread_cond_wait(&c->work, &c->lock);
			c->idle--;
			continue;
		}
		seat->owner = job.owner;
		if (!c->idle)
			thread_add(c); /* if this one is kept waiting */
		pthread_mutex_unlock(&c->lock);
		close_in_time(job.fd, timer);
		pthread_mutex_lock(&c->lock);
		seat->owner = 0;
	}
}

static void *thread(void *arg)
{
	struct seat *seat = arg;
	struct closer *c = seat->closer;
	sigset_t set;
	timer_t timer;
	bool timed = timer_make(&timer);

	sigemptyset(&set);
	sigaddset(&set, linger_signal());
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pthread_mutex_lock(&c->lock);
	work(c, seat, timed ? &timer : NULL);
	seat->taken = false;
	c->num_threads--;
	pthread_cond_signal(&c->ended);
	pthread_mutex_unlock(&c->lock);
	if (timed)
		timer_delete(timer);
	return NULL;
}

/* thread_add - without it what waits goes on waiting for those that are there. */
static void thread_add(struct closer *c)
{
	struct seat *seat = c->seats;
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t id;

	if (c->num_threads == THREADS_MAX)
		return;
	while (seat->taken)
		seat++;
	seat->closer = c;
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	seat->taken = pthread_create(&id, &attr, thread, seat) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	c->num_threads += seat->taken;
}

/* ---- what the loop calls -------------------------------------------------------------------- */

enum err closer_new(struct closer **out)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct closer *c;

	if (sigaction(linger_signal(), &action, NULL))
		return ERR_SYS;
	c = mem_alloc(sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, NULL);
	pthread_cond_init(&c->ended, NULL);
	*out = c;
	return ERR_OK;
}

/* all_ended - within END_MS. */
static bool all_ended(struct closer *c)
{
	struct timespec end;
	int res = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += END_MS * 1000000L;
	end.tv_sec += end.tv_nsec / 1000000000L;
	end.tv_nsec %= 1000000000L;
	while (c->num_threads && !res)
		res = pthread_cond_timedwait(&c->ended, &c->lock, &end);
	return !c->num_threads;
}

void closer_free(struct closer *c)
{
	bool all;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->over = true;
	pthread_cond_broadcast(&c->work);
	all = all_ended(c);
	pthread_mutex_unlock(&c->lock);
	if (!all)
		return; /* its memory is a thread's that is stuck */
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->work);
	pthread_cond_destroy(&c->ended);
	mem_free(c);
}

void closer_close(struct closer *c, int fd, uint64_t owner)
{
	uint32_t num;

	assert(owner);
	pthread_mutex_lock(&c->lock);
	num = atomic_load_explicit(&c->num, memory_order_relaxed);
	if (!c->num_threads)
		thread_add(c);
	if (num == JOBS_MAX || !c->num_threads) {
		pthread_mutex_unlock(&c->lock);
		close(fd);
		return;
	}
	c->jobs[num] = (struct job){.owner = owner, .fd = fd};
	atomic_store_explicit(&c->num, num + 1, memory_order_relaxed);
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

bool closer_is_full(struct closer *c, uint64_t owner)
{
	uint32_t num, owned = 0;

	if (atomic_load_explicit(&c->num, memory_order_relaxed) < CLOSER_OWNED_MAX)
		return false;
	pthread_mutex_lock(&c->lock);
	num = atomic_load_explicit(&c->num, memory_order_relaxed);
	for (uint32_t i = 0; i < num; i++)
		owned += c->jobs[i].owner == owner;
	pthread_mutex_unlock(&c->lock);
	return owned >= CLOSER_OWNED_MAX;
}
