/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff.h - packets that another worker must go on with: one worker owns an SA and is its only
 * writer (S51, S53), and a port may have queues at some workers only. A ring for each ordered pair
 * of workers: one producer and one consumer, so packets of one flow stay in order, and a full ring
 * is the affair of two workers only. The packet travels without its SA and path, which its new
 * worker looks up again: what it was told here could be gone there. Hence a packet goes on from
 * worker to worker only as often as control changes something meanwhile.
 *
 * A sender tells its receivers once a turn: a bit in `pending`, and a system call only if the
 * receiver sleeps. Thread: the worker, unless said otherwise.
 */
#pragma once

#include "base/ring.h"
#include "dataplane/dataplane.h"
#include "dataplane/pktvec.h"

struct worker;

/* WORKERS_MAX - of a data path: a bit each. */
#define WORKERS_MAX DATAPLANE_WORKERS_MAX
static_assert(WORKERS_MAX <= 64, "a bit each");

/* struct inbox - where a worker is handed packets. */
struct inbox {
	alignas(CACHE_LINE) uint64_t pending; /* atomic: bit i: worker i has put something in */
	bool asleep;                          /* atomic: must be woken */
	struct ring **from;                   /* by worker; NULL: only one. The array is constant */
};

/* handoff_init - the rings into w's inbox, of ring_len packets each; one worker has none. Errors:
 * NOMEM. handoff_fini - and frees what is in them. Control thread. */
MUST_USE enum err handoff_init(struct worker *w, uint32_t ring_len) NONNULL(1);
void handoff_fini(struct worker *w) NONNULL(1);

/* handoff_push - worker `to` goes on with p: from out_classify() on if it came by an inner port,
 * from in_lookup() on if by an outer one. Dropped (HANDOFF_FULL) if that worker is behind. */
void handoff_push(struct worker *w, uint16_t to, struct packet *p) NONNULL(1, 3);

/* handoff_send - worker `to`, which has a queue of the port, sends all packets of v; v is empty
 * afterwards. */
void handoff_send(struct worker *w, uint16_t to, uint16_t port, struct pktvec *v) NONNULL(1, 4);

/* handoff_notify - end of the turn: tell those that were handed something. */
void handoff_notify(struct worker *w) NONNULL(1);

/* handoff_pending - the workers that may have handed something, as bits; each is then asked with
 * handoff_take(). */
uint64_t handoff_pending(struct worker *w) NONNULL(1);

/* handoff_take - append what worker `from` has handed, as far as there is room. What is left is
 * pending again. */
void handoff_take(struct worker *w, uint32_t from, struct pktvec *out) NONNULL(1, 3);

/* handoff_sleep - about to sleep: others must wake this worker from now on. False: something is
 * there already; do not sleep. handoff_awake - slept, or not. */
MUST_USE bool handoff_sleep(struct worker *w) NONNULL(1);
void handoff_awake(struct worker *w) NONNULL(1);
