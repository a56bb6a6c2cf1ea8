/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rcu.h - read-copy-update for the tables that workers read (liburcu, QSBR flavour), annotated so
 * that ThreadSanitizer understands its ordering and still reports a deliberate race.
 *
 * Workers: register, then between packets call rcu_quiescent(); go off-line before sleeping.
 * Control: publish the new version, retire the old one with rcu_defer(), and call rcu_flush() once
 * per turn of its loop: it waits for the workers (microseconds: a worker never sleeps on-line) and
 * frees. Readers need no lock: what rcu_deref() gave is valid until the next rcu_quiescent().
 */
#pragma once

#include "base/list.h"

/* struct rcu_head - embedded in an object that is retired with rcu_defer(). */
struct rcu_head {
	struct list_node node;
	void (*free)(struct rcu_head *head);
};

/* struct rcu_queue - retired objects of one control thread. */
struct rcu_queue {
	struct list_node retired;
};

/* rcu_thread_register, _unregister - a reader thread (a worker) begins and ends; starts on-line. */
void rcu_thread_register(void);
void rcu_thread_unregister(void);

/* rcu_visit_begin, _end - around what a thread reads that may not come back, or not for long: a
 * registered one, which stays on-line, costs less. */
void rcu_visit_begin(void);
void rcu_visit_end(void);

/* rcu_quiescent - this reader holds nothing that rcu_deref() gave. */
void rcu_quiescent(void);

/* rcu_wanted - somebody waits for the readers now: one that can put off its next quiescent state
 * should not. */
bool rcu_wanted(void);

/* rcu_offline, rcu_online - around a sleep: an off-line reader delays nobody and reads nothing. */
void rcu_offline(void);
void rcu_online(void);

/* rcu_deref - read a published pointer, and with it all that was written before it was published.
 * Acquire, not consume: compilers make consume an acquire anyway, and ThreadSanitizer knows only
 * the latter; on x86 both are a plain load. */
#define rcu_deref(pp) __atomic_load_n(&(pp), __ATOMIC_ACQUIRE)

/* rcu_publish - make a completely built object visible to readers. */
#define rcu_publish(pp, v) __atomic_store_n(&(pp), (v), __ATOMIC_RELEASE)

/* rcu_queue_init - an empty queue. */
void rcu_queue_init(struct rcu_queue *q) NONNULL(1);

/* rcu_defer - call fn(head) after every reader has passed a quiescent state. Owner of q only. */
void rcu_defer(struct rcu_queue *q, struct rcu_head *head, void (*fn)(struct rcu_head *head))
	NONNULL(1, 2, 3);

/* rcu_flush - if anything is retired, wait for the readers and free it. The caller must not be an
 * on-line reader itself. Returns how many were freed. */
size_t rcu_flush(struct rcu_queue *q) NONNULL(1);
