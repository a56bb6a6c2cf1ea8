/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rcu.h"

#include "base/sanitize.h"

/* liburcu has a struct rcu_head of its own, for a feature that is not used here. */
#define rcu_head liburcu_rcu_head
#include <urcu/urcu-qsbr.h>
#undef rcu_head

/*
 * ThreadSanitizer does not see into liburcu. What it must know: all that a reader did before it
 * said "quiescent" (or went off-line) happens before what follows a grace period. Nothing else is
 * promised here, so an object that is changed or freed without a grace period is still reported.
 */
static char grace_period;

static _Thread_local bool registered;

static uint32_t num_waiting; /* atomic: threads in rcu_flush() that wait */

void rcu_thread_register(void)
{
	urcu_qsbr_register_thread();
	registered = true;
}

void rcu_thread_unregister(void)
{
	SANITIZE_RELEASE(&grace_period);
	urcu_qsbr_unregister_thread();
	registered = false;
}

void rcu_visit_begin(void)
{
	if (!registered)
		urcu_qsbr_register_thread();
}

void rcu_visit_end(void)
{
	SANITIZE_RELEASE(&grace_period);
	if (registered)
		urcu_qsbr_quiescent_state();
	else
		urcu_qsbr_unregister_thread();
}

void rcu_quiescent(void)
{
	SANITIZE_RELEASE(&grace_period);
	urcu_qsbr_quiescent_state();
}

bool rcu_wanted(void)
{
	return __atomic_load_n(&num_waiting, __ATOMIC_RELAXED) != 0;
}

void rcu_offline(void)
{
	SANITIZE_RELEASE(&grace_period);
	urcu_qsbr_thread_offline();
}

void rcu_online(void)
{
	urcu_qsbr_thread_online();
}

void rcu_queue_init(struct rcu_queue *q)
{
	list_init(&q->retired);
}

void rcu_defer(struct rcu_queue *q, struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
	head->free = fn;
	list_push_back(&q->retired, &head->node);
}

size_t rcu_flush(struct rcu_queue *q)
{
	struct list_node *last = q->retired.prev;
	bool was_last = false;
	size_t num = 0;

	if (list_empty(&q->retired))
		return 0;
	__atomic_fetch_add(&num_waiting, 1, __ATOMIC_RELAXED);
	urcu_qsbr_synchronize_rcu();
	__atomic_fetch_sub(&num_waiting, 1, __ATOMIC_RELAXED);
	SANITIZE_ACQUIRE(&grace_period);
	/* What a free function retires in its turn waits for the next grace period. */
	while (!was_last) {
		struct rcu_head *head = list_entry(q->retired.next, struct rcu_head, node);

		was_last = &head->node == last;
		list_remove(&head->node);
		head->free(head);
		num++;
	}
	return num;
}
