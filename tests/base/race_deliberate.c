/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race_deliberate: shows whether ThreadSanitizer understands base/rcu.h. Built with it, "correct"
 * must end without a report, and each of the races must be reported:
 *
 *   correct   a reader under RCU, a writer that replaces, waits and frees
 *   plain     two threads add to one number
 *   early     the writer changes an object without waiting for the readers
 *   late      a reader goes on using an object after it said that it was quiescent
 */
#include "base/rcu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct object {
	struct rcu_head head;
	unsigned long value;
};

static struct object *shared;
static bool stop;
static bool late;
static unsigned long plain;
static _Thread_local volatile unsigned long sink;

static struct object *object_new(unsigned long value)
{
	struct object *o = calloc(1, sizeof(*o));

	if (!o)
		abort();
	o->value = value;
	return o;
}

static void object_free(struct rcu_head *head)
{
	struct object *o = container_of(head, struct object, head);

	o->value = 0;
	free(o);
}

/* Threads wait for each other by these, relaxed: that orders nothing in ThreadSanitizer's eyes, so
 * a race is one on a busy machine, too. */
static unsigned long num_reads, num_flushes;

static unsigned long count(const unsigned long *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* Quiescent until the writer has freed whatever was published when this was called. */
static void outstay_grace_periods(void)
{
	unsigned long until = count(&num_flushes) + 2;

	while (count(&num_flushes) < until && !stopped()) {
		rcu_quiescent();
		usleep(50);
	}
}

static void *reader(void *arg)
{
	(void)arg;
	rcu_thread_register();
	while (!stopped()) {
		const struct object *o = rcu_deref(shared);

		sink = o->value;
		__atomic_fetch_add(&num_reads, 1, __ATOMIC_RELAXED);
		rcu_quiescent();
		if (late) {
			outstay_grace_periods();
			sink = o->value;
		}
	}
	rcu_thread_unregister();
	return NULL;
}

static void replace_all(bool early)
{
	struct rcu_queue q;

	rcu_queue_init(&q);
	for (unsigned long i = 1; i <= 60; i++) {
		struct object *old = shared;
		unsigned long until = count(&num_reads) + 4;

		/* Both readers have read this object; a late one is busy with it. */
		while (count(&num_reads) < until && !(late && count(&num_reads) > 0))
			usleep(50);
		rcu_publish(shared, object_new(i));
		if (early)
			old->value = 0;
		rcu_defer(&q, &old->head, object_free);
		rcu_flush(&q);
		__atomic_fetch_add(&num_flushes, 1, __ATOMIC_RELAXED);
	}
}

static void run_rcu(bool early)
{
	pthread_t readers[2];

	shared = object_new(0);
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		if (pthread_create(&readers[i], NULL, reader, NULL))
			abort();
	}
	replace_all(early);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		pthread_join(readers[i], NULL);
	free(shared);
}

static void *add(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		plain++;
	return NULL;
}

static void run_plain(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, add, NULL))
		abort();
	add(NULL);
	pthread_join(other, NULL);
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	late = strcmp(what, "late") == 0;
	if (strcmp(what, "plain") == 0)
		run_plain();
	else if (strcmp(what, "correct") == 0 || strcmp(what, "early") == 0 || late)
		run_rcu(strcmp(what, "early") == 0);
	else
		return 2;
	puts("done");
	return 0;
}
