/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/puzzler.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"

/* SLICE - keys that are tried in a row, a few milliseconds' work. NICE - below what carries
 * packets.
 */
#define SLICE 4096
#define NICE  10

/* struct task - in `waiting`, then the thread's, then in `waiting` again or in `done`. */
struct task {
	struct list_node node;
	struct list_node of;    /* puzzler.wanted, until it is called off; control thread */
	atomic_bool called_off; /* nothing is told by it but this: relaxed */
	struct puzzle_solver *solver;
	uint64_t until_ns;
	struct puzzler_answer answer;
};

struct puzzler {
	pthread_mutex_t lock;
	struct list_node waiting, done; /* under the lock, as `running` and `stopping` */
	bool running;                   /* the thread takes what waits */
	bool stopping;
	bool has_thread;         /* to be joined; control thread */
	uint32_t num;            /* tasks; control thread */
	struct list_node wanted; /* those not called off; control thread */
	pthread_t thread;
	int fd;
};

static void task_free(struct task *t)
{
	puzzle_solver_free(t->solver);
	mem_free(t);
}

static void tasks_free(struct list_node *list)
{
	list_for_each_safe (n, list) {
		list_remove(n);
		task_free(list_entry(n, struct task, node));
	}
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* take - the next in turn; NULL: the thread ends. */
static struct task *take(struct puzzler *p)
{
	struct list_node *n;

	pthread_mutex_lock(&p->lock);
	n = p->stopping ? NULL : list_pop_front(&p->waiting);
	if (!n)
		p->running = false;
	pthread_mutex_unlock(&p->lock);
	return n ? list_entry(n, struct task, node) : NULL;
}

static void put_back(struct puzzler *p, struct task *t)
{
	pthread_mutex_lock(&p->lock);
	list_push_back(&p->waiting, &t->node);
	pthread_mutex_unlock(&p->lock);
}

static void finish(struct puzzler *p, struct task *t)
{
	const struct bytes solution = puzzle_solver_solution(t->solver);
	const uint64_t one = 1;
	ssize_t n;

	memcpy(t->answer.solution, solution.p ? solution.p : t->answer.solution, solution.len);
	t->answer.len = solution.len;
	pthread_mutex_lock(&p->lock);
	list_push_back(&p->done, &t->node);
	n = write(p->fd, &one, sizeof(one));
	(void)n; /* fails only when it is readable anyway */
	pthread_mutex_unlock(&p->lock);
}

static void *run(void *arg)
{
	struct puzzler *p = arg;
	struct task *t;

	(void)!setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone */
	while ((t = take(p))) {
		if (atomic_load_explicit(&t->called_off, memory_order_relaxed) ||
		    puzzle_solver_run(t->solver, SLICE) || clock_now_ns() >= t->until_ns)
			finish(p, t);
		else
			put_back(p, t);
	}
	return NULL;
}

/* ---- the control thread ---------------------------------------------------------------------- */

/* join - the thread ends, or has ended. */
static void join(struct puzzler *p)
{
	if (p->has_thread)
		pthread_join(p->thread, NULL);
	p->has_thread = false;
}

/* spawn - the thread takes no signals. */
static int spawn(struct puzzler *p)
{
	sigset_t all, before;
	int rc;

	join(p);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&p->thread, NULL, run, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	p->has_thread = rc == 0;
	return rc;
}

enum err puzzler_open(struct puzzler **out)
{
	struct puzzler *p = mem_alloc(sizeof(*p));

	if (!p)
		return ERR_NOMEM;
	p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->fd < 0) {
		mem_free(p);
		return ERR_SYS;
	}
	pthread_mutex_init(&p->lock, NULL);
	list_init(&p->waiting);
	list_init(&p->done);
	list_init(&p->wanted);
	*out = p;
	return ERR_OK;
}

void puzzler_close(struct puzzler *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_mutex_unlock(&p->lock);
	join(p);
	tasks_free(&p->waiting);
	tasks_free(&p->done);
	pthread_mutex_destroy(&p->lock);
	close(p->fd);
	mem_free(p);
}

int puzzler_fd(const struct puzzler *p)
{
	return p->fd;
}

static enum err begin(struct puzzler *p, struct task *t)
{
	bool running;

	pthread_mutex_lock(&p->lock);
	running = p->running;
	p->running = true;
	list_push_back(&p->waiting, &t->node);
	pthread_mutex_unlock(&p->lock);
	if (running || !spawn(p))
		return ERR_OK;
	list_remove(&t->node); /* nobody else is there to have taken it */
	p->running = false;
	return ERR_SYS;
}

enum err puzzler_begin(struct puzzler *p, uint64_t id, const struct puzzle *puzzle, uint64_t for_ns)
{
	struct task *t;
	enum err err;

	if (p->num == PUZZLER_MAX)
		return ERR_LIMIT;
	t = mem_alloc(sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	t->answer.id = id;
	t->until_ns = clock_now_ns() + for_ns;
	err = puzzle_solver_new(&t->solver, puzzle);
	if (!err)
		err = begin(p, t);
	if (err) {
		task_free(t);
		return err;
	}
	list_push_back(&p->wanted, &t->of);
	p->num++;
	return ERR_OK;
}

void puzzler_sift(struct puzzler *p, bool (*wanted)(void *ctx, uint64_t id), void *ctx)
{
	list_for_each_safe (n, &p->wanted) {
		struct task *t = list_entry(n, struct task, of);

		if (wanted(ctx, t->answer.id))
			continue;
		list_remove(n);
		atomic_store_explicit(&t->called_off, true, memory_order_relaxed);
	}
}

uint32_t puzzler_wanted(const struct puzzler *p)
{
	uint32_t num = 0;

	list_for_each (n, &p->wanted)
		num++;
	return num;
}

static struct task *take_done(struct puzzler *p)
{
	struct list_node *n;
	uint64_t num;

	pthread_mutex_lock(&p->lock);
	n = list_pop_front(&p->done);
	if (!n) {
		ssize_t got = read(p->fd, &num, sizeof(num));

		(void)got;
	}
	pthread_mutex_unlock(&p->lock);
	return n ? list_entry(n, struct task, node) : NULL;
}

bool puzzler_next(struct puzzler *p, struct puzzler_answer *out)
{
	bool told = false;
	struct task *t;

	while (!told && (t = take_done(p))) {
		told = !atomic_load_explicit(&t->called_off, memory_order_relaxed);
		if (told) {
			list_remove(&t->of);
			*out = t->answer;
		}
		task_free(t);
		p->num--;
	}
	return told;
}
