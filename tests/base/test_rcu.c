/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rcu.h"

#include "base/alloc.h"
#include "base/bytes.h"

#include "tests/tap/tap.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define ALIVE 0x600dcafeu
#define DEAD  0xdeadu

struct object {
	struct rcu_head head;
	uint32_t state;
	struct rcu_queue *requeue; /* retire once more when freed */
};

static int num_freed;

static void object_free(struct rcu_head *head)
{
	struct object *o = container_of(head, struct object, head);

	if (o->requeue) {
		struct rcu_queue *q = o->requeue;

		o->requeue = NULL;
		rcu_defer(q, head, object_free);
		return;
	}
	o->state = DEAD;
	num_freed++;
	mem_free(o);
}

static struct object *object_new(void)
{
	struct object *o = mem_alloc(sizeof(*o));

	CU_ASSERT_FATAL(o != NULL);
	o->state = ALIVE;
	return o;
}

static void test_flush_frees_in_order_and_counts(void)
{
	struct rcu_queue q;

	num_freed = 0;
	rcu_queue_init(&q);
	CU_ASSERT_EQUAL(rcu_flush(&q), 0);
	for (int i = 0; i < 3; i++)
		rcu_defer(&q, &object_new()->head, object_free);
	CU_ASSERT_EQUAL(num_freed, 0);
	CU_ASSERT_EQUAL(rcu_flush(&q), 3);
	CU_ASSERT_EQUAL(num_freed, 3);
	CU_ASSERT_EQUAL(rcu_flush(&q), 0);
}

static void test_what_a_free_retires_waits_for_the_next_flush(void)
{
	struct rcu_queue q;
	struct object *o = object_new();

	num_freed = 0;
	rcu_queue_init(&q);
	o->requeue = &q;
	rcu_defer(&q, &o->head, object_free);
	rcu_defer(&q, &object_new()->head, object_free);
	CU_ASSERT_EQUAL(rcu_flush(&q), 2);
	CU_ASSERT_EQUAL(num_freed, 1);
	CU_ASSERT_EQUAL(rcu_flush(&q), 1);
	CU_ASSERT_EQUAL(num_freed, 2);
}

static struct {
	struct object *shared;
	bool stop;
	bool hold;     /* the reader stays on-line without a quiescent state */
	bool holding;  /* it does now */
	bool sleep;    /* the reader goes off-line and stays so */
	bool sleeping; /* it does now */
	unsigned long reads;
	unsigned long wrong;
} s;

static bool get(bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void set(bool *flag, bool v)
{
	__atomic_store_n(flag, v, __ATOMIC_RELEASE);
}

static void wait_for(bool *flag)
{
	while (!get(flag))
		sched_yield();
}

static void read_once(void)
{
	const struct object *o = rcu_deref(s.shared);

	if (get(&s.hold)) {
		set(&s.holding, true);
		while (get(&s.hold))
			sched_yield();
	}
	if (o->state != ALIVE)
		__atomic_fetch_add(&s.wrong, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s.reads, 1, __ATOMIC_RELAXED);
}

static void *reader(void *arg)
{
	(void)arg;
	rcu_thread_register();
	while (!get(&s.stop)) {
		read_once();
		rcu_quiescent();
		if (get(&s.sleep)) {
			rcu_offline();
			set(&s.sleeping, true);
			while (get(&s.sleep))
				usleep(100);
			rcu_online();
		}
	}
	rcu_thread_unregister();
	return NULL;
}

static void start(pthread_t *threads, size_t num)
{
	memset(&s, 0, sizeof(s));
	s.shared = object_new();
	for (size_t i = 0; i < num; i++)
		CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, reader, NULL) == 0);
}

static void end(pthread_t *threads, size_t num)
{
	set(&s.stop, true);
	for (size_t i = 0; i < num; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(s.wrong, 0);
	mem_free(s.shared);
}

static void replace(struct rcu_queue *q)
{
	struct object *old = s.shared;

	rcu_publish(s.shared, object_new());
	rcu_defer(q, &old->head, object_free);
}

static void test_readers_never_see_a_freed_object(void)
{
	pthread_t threads[3];
	struct rcu_queue q;

	rcu_queue_init(&q);
	start(threads, ARRAY_LEN(threads));
	for (int i = 0; i < 300; i++) {
		replace(&q);
		if (i % 3 == 0)
			rcu_flush(&q);
	}
	rcu_flush(&q);
	while (__atomic_load_n(&s.reads, __ATOMIC_RELAXED) == 0)
		sched_yield();
	end(threads, ARRAY_LEN(threads));
}

static bool flushed;

static void *flush_thread(void *arg)
{
	rcu_flush(arg);
	set(&flushed, true);
	return NULL;
}

static void test_flush_waits_for_one_who_holds(void)
{
	pthread_t thread, flusher;
	struct rcu_queue q;

	rcu_queue_init(&q);
	flushed = false;
	start(&thread, 1);
	set(&s.hold, true);
	wait_for(&s.holding);
	replace(&q);
	CU_ASSERT_FATAL(pthread_create(&flusher, NULL, flush_thread, &q) == 0);
	usleep(50000);
	CU_ASSERT(!get(&flushed));
	set(&s.hold, false);
	pthread_join(flusher, NULL);
	CU_ASSERT(get(&flushed));
	end(&thread, 1);
}

/* Who puts off its quiescent state is told that somebody waits, and afterwards that nobody does. */
static void test_reader_hears_that_it_is_waited_for(void)
{
	pthread_t thread, flusher;
	struct rcu_queue q;
	bool wanted = false;

	rcu_queue_init(&q);
	CU_ASSERT(!rcu_wanted());
	start(&thread, 1);
	set(&s.hold, true);
	wait_for(&s.holding);
	replace(&q);
	CU_ASSERT(!rcu_wanted());
	CU_ASSERT_FATAL(pthread_create(&flusher, NULL, flush_thread, &q) == 0);
	for (int i = 0; i < 5000 && !wanted; i++) {
		usleep(1000);
		wanted = rcu_wanted();
	}
	CU_ASSERT(wanted);
	set(&s.hold, false);
	pthread_join(flusher, NULL);
	CU_ASSERT(!rcu_wanted());
	end(&thread, 1);
}

static void test_flush_does_not_wait_for_one_off_line(void)
{
	pthread_t thread;
	struct rcu_queue q;

	rcu_queue_init(&q);
	start(&thread, 1);
	set(&s.sleep, true);
	wait_for(&s.sleeping);
	replace(&q);
	/* Would wait for ever otherwise: the reader does not wake up before it is told. */
	CU_ASSERT_EQUAL(rcu_flush(&q), 1);
	set(&s.sleep, false);
	end(&thread, 1);
}

static const struct tap_test tests[] = {
	TAP_TEST(test_flush_frees_in_order_and_counts),
	TAP_TEST(test_what_a_free_retires_waits_for_the_next_flush),
	TAP_TEST(test_readers_never_see_a_freed_object),
	TAP_TEST(test_flush_waits_for_one_who_holds),
	TAP_TEST(test_reader_hears_that_it_is_waited_for),
	TAP_TEST(test_flush_does_not_wait_for_one_off_line),
};
TAP_MAIN("base/rcu", tests)
