/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app/closer.h"

#include "base/alloc.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX    4096
#define THREADS_MAX 16
#define BATCH_MAX   32 /* of one owner's that a thread closes one after the other */
/* A connection that lingers is told to end by a signal; a file system that does not answer is not.
 */
#define LINGER_MS 20
#define END_MS    200 /* that closer_free() waits for threads */
/* A thread that goes on for long keeps the loop waiting where they share a processor, even at the
 * lowest priority: what it does is about a tenth of a millisecond, and then it sleeps. */
#define BITE     32 /* messages */
#define SLEEP_US 200

/* struct job - what waits. unread: throw away what is in it. */
struct job {
	uint64_t owner;
	int fd;
	bool unread;
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

/* struct batch - some of one owner's. */
struct batch {
	struct job jobs[BATCH_MAX];
	uint32_t num;
};

/* The first whose owner has no thread, and more of his; false: there is none. */
static bool take(struct closer *c, struct batch *out)
{
	uint32_t num = atomic_load_explicit(&c->num, memory_order_relaxed), kept = 0;

	out->num = 0;
	for (uint32_t i = 0; i < num; i++) {
		const struct job job = c->jobs[i];
		bool wanted = out->num ? job.owner == out->jobs[0].owner : !is_busy(c, job.owner);

		if (wanted && out->num < BATCH_MAX)
			out->jobs[out->num++] = job;
		else
			c->jobs[kept++] = job;
	}
	atomic_store_explicit(&c->num, kept, memory_order_relaxed);
	return out->num > 0;
}

/* throw_away - with SO_PASSCRED each message brings something that there is no room for, also one
 * that is empty; the end does not. */
static void throw_away(int fd)
{
	const int on = 1;
	struct msghdr msg;

	(void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	for (uint32_t i = 1;; i++) {
		memset(&msg, 0, sizeof(msg));
		if (recvmsg(fd, &msg, MSG_DONTWAIT) < 0 || !(msg.msg_flags & MSG_CTRUNC))
			return;
		if (i % BITE == 0)
			usleep(SLEEP_US);
	}
}

/* The timer's signals end what lingers, of all that are closed while it runs. */
static void close_in_time(const struct batch *b, const timer_t *timer)
{
	const struct timespec step = {.tv_nsec = LINGER_MS * 1000000L};
	const struct itimerspec on = {step, step}, off = {0};

	if (timer)
		timer_settime(*timer, 0, &on, NULL);
	for (uint32_t i = 0; i < b->num; i++) {
		if (b->jobs[i].unread)
			throw_away(b->jobs[i].fd);
		close(b->jobs[i].fd);
		if (i + 1 < b->num)
			usleep(SLEEP_US);
	}
	if (timer)
		timer_settime(*timer, 0, &off, NULL);
}

static bool timer_make(timer_t *out)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = linger_signal()};

	event._sigev_un._tid = gettid();
	return timer_create(CLOCK_MONOTONIC, &event, out) == 0;
}

/* seat_take - for one more thread; NULL: there are enough. */
static struct seat *seat_take(struct closer *c)
{
	struct seat *seat = c->seats;

	if (c->num_threads == THREADS_MAX)
		return NULL;
	while (seat->taken)
		seat++;
	seat->closer = c;
	seat->taken = true;
	c->num_threads++;
	return seat;
}

static void seat_leave(struct seat *seat)
{
	struct closer *c = seat->closer;

	seat->taken = false;
	c->num_threads--;
	pthread_cond_signal(&c->ended);
}

static void seat_start(struct seat *seat);

static void work(struct closer *c, struct seat *seat, const timer_t *timer)
{
	struct batch batch;

	for (;;) {
		if (!take(c, &batch)) {
			if (c->over || c->idle >= 2)
				return;
			c->idle++;
			pthread_cond_wait(&c->work, &c->lock);
			c->idle--;
			continue;
		}
		seat->owner = batch.jobs[0].owner;
		/* If this one is kept waiting. The lock is the loop's, too: nothing is done in it.
		 */
		struct seat *another = c->idle ? NULL : seat_take(c);

		pthread_mutex_unlock(&c->lock);
		if (another)
			seat_start(another);
		close_in_time(&batch, timer);
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
	/* Whoever is served goes before: else a thread that is closing has its 3 ms first. */
	(void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &(struct sched_param){0});
	pthread_mutex_lock(&c->lock);
	work(c, seat, timed ? &timer : NULL);
	seat_leave(seat);
	pthread_mutex_unlock(&c->lock);
	if (timed)
		timer_delete(timer);
	return NULL;
}

/* seat_start - without the thread what waits goes on waiting for those that are there. */
static void seat_start(struct seat *seat)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t id;
	bool made;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	made = pthread_create(&id, &attr, thread, seat) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (made)
		return;
	pthread_mutex_lock(&seat->closer->lock);
	seat_leave(seat);
	pthread_mutex_unlock(&seat->closer->lock);
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

static void add(struct closer *c, const struct job *job)
{
	struct seat *first = NULL;
	uint32_t num;
	bool full;

	assert(job->owner);
	pthread_mutex_lock(&c->lock);
	num = atomic_load_explicit(&c->num, memory_order_relaxed);
	full = num == JOBS_MAX;
	if (!full) {
		c->jobs[num] = *job;
		atomic_store_explicit(&c->num, num + 1, memory_order_relaxed);
	}
	if (!c->num_threads)
		first = seat_take(c);
	else if (c->idle)
		pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	if (first)
		seat_start(first);
	if (full)
		close(job->fd);
}

void closer_close(struct closer *c, int fd, uint64_t owner)
{
	add(c, &(struct job){.owner = owner, .fd = fd});
}

void closer_end(struct closer *c, int fd, uint64_t owner)
{
	add(c, &(struct job){.owner = owner, .fd = fd, .unread = true});
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
