/* SPDX-License-Identifier: Apache-2.0 */
#include "api/engine/resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/list.h"

/* Names that are looked up at the same time. */
#define RUNNING_MAX 4

/* struct lookup - in `waiting`, then its thread's, then in `done`. */
struct lookup {
	struct list_node node;
	struct resolver *resolver; /* a reference of the thread */
	struct resolver_answer answer;
	char name[];
};

/* struct resolver - shared with the threads that run, who may outlive its owner. */
struct resolver {
	pthread_mutex_t lock;
	struct list_node waiting, done; /* under the lock, as all below */
	uint32_t running, num_waiting;
	uint32_t max_waiting; /* constant */
	uint32_t refs;
	int fd;
};

static void lookups_free(struct list_node *list)
{
	list_for_each_safe (n, list) {
		struct lookup *l = list_entry(n, struct lookup, node);

		list_remove(n);
		mem_free(l);
	}
}

/* unlock_and_put - give up the lock and one reference. */
static void unlock_and_put(struct resolver *r)
{
	bool last = --r->refs == 0;

	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	lookups_free(&r->waiting);
	lookups_free(&r->done);
	pthread_mutex_destroy(&r->lock);
	close(r->fd);
	mem_free(r);
}

static void look_up(struct lookup *l)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	struct sockaddr_storage ss = {0};
	struct addrinfo *list;
	struct endpoint ep;

	if (getaddrinfo(l->name, NULL, &hints, &list))
		return;
	memcpy(&ss, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	if (!endpoint_from_sockaddr(&ep, &ss))
		l->answer.addr = ep.addr;
}

static void answer(struct resolver *r, struct lookup *l)
{
	uint64_t one = 1;
	ssize_t n;

	list_push_back(&r->done, &l->node);
	n = write(r->fd, &one, sizeof(one));
	(void)n; /* fails only when it is readable anyway */
}

/* run - one name after the other, until none waits or nobody wants to know. */
static void *run(void *arg)
{
	struct lookup *l = arg;
	struct resolver *r = l->resolver;
	struct list_node *next;

	for (;;) {
		look_up(l);
		pthread_mutex_lock(&r->lock);
		answer(r, l);
		next = r->refs > r->running ? list_pop_front(&r->waiting) : NULL;
		if (!next)
			break;
		r->num_waiting--;
		pthread_mutex_unlock(&r->lock);
		l = list_entry(next, struct lookup, node);
	}
	r->running--;
	unlock_and_put(r);
	return NULL;
}

/* spawn - the thread takes no signals, and nobody waits for it. */
static int spawn(struct lookup *l)
{
	sigset_t all, before;
	pthread_t thread;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!rc)
		pthread_detach(thread);
	return rc;
}

enum err resolver_open(struct resolver **out, uint32_t max_waiting)
{
	struct resolver *r = mem_alloc(sizeof(*r));

	if (!r)
		return ERR_NOMEM;
	r->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->fd < 0) {
		mem_free(r);
		return ERR_SYS;
	}
	pthread_mutex_init(&r->lock, NULL);
	list_init(&r->waiting);
	list_init(&r->done);
	r->max_waiting = max_waiting;
	r->refs = 1;
	*out = r;
	return ERR_OK;
}

void resolver_close(struct resolver *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	unlock_and_put(r);
}

int resolver_fd(const struct resolver *r)
{
	return r->fd;
}

enum err resolver_begin(struct resolver *r, uint64_t id, const char *name)
{
	size_t len = strlen(name) + 1;
	struct lookup *l = mem_alloc(sizeof(*l) + len);
	enum err err = ERR_OK;

	if (!l)
		return ERR_NOMEM;
	l->resolver = r;
	l->answer.id = id;
	memcpy(l->name, name, len);
	pthread_mutex_lock(&r->lock);
	if (r->running == RUNNING_MAX && r->num_waiting == r->max_waiting) {
		err = ERR_LIMIT;
	} else if (r->running == RUNNING_MAX) {
		list_push_back(&r->waiting, &l->node);
		r->num_waiting++;
	} else if (spawn(l)) {
		err = ERR_SYS;
	} else {
		r->running++;
		r->refs++;
	}
	pthread_mutex_unlock(&r->lock);
	if (err)
		mem_free(l);
	return err;
}

void resolver_sift(struct resolver *r, bool (*wanted)(void *ctx, uint64_t id), void *ctx)
{
	pthread_mutex_lock(&r->lock);
	list_for_each_safe (n, &r->waiting) {
		struct lookup *l = list_entry(n, struct lookup, node);

		if (wanted(ctx, l->answer.id))
			continue;
		list_remove(n);
		r->num_waiting--;
		mem_free(l);
	}
	pthread_mutex_unlock(&r->lock);
}

bool resolver_next(struct resolver *r, struct resolver_answer *out)
{
	struct list_node *n;
	uint64_t num;

	pthread_mutex_lock(&r->lock);
	n = list_pop_front(&r->done);
	if (!n) {
		ssize_t got = read(r->fd, &num, sizeof(num));

		(void)got;
	}
	pthread_mutex_unlock(&r->lock);
	if (!n)
		return false;
	*out = list_entry(n, struct lookup, node)->answer;
	mem_free(list_entry(n, struct lookup, node));
	return true;
}
