/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - a bounded queue of pointers between exactly one producer thread and one consumer thread.
 * Lock-free; push releases, pop acquires, so what the producer wrote before is seen.
 */
#pragma once

#include "base/err.h"

struct ring;

/* ring_new - room for `capacity` pointers (rounded up to a power of two, 2 to 2^24); NULL on
 * shortage of memory. */
MALLOC_LIKE struct ring *ring_new(size_t capacity);

/* ring_free - the ring only; what it still holds is the caller's. NULL is accepted. */
void ring_free(struct ring *r);

/* ring_push - producer thread; false if full. p is not NULL. */
MUST_USE bool ring_push(struct ring *r, void *p) NONNULL(1, 2);

/* ring_pop - consumer thread; NULL if empty. */
MUST_USE void *ring_pop(struct ring *r) NONNULL(1);

/* ring_count - number queued, exact only for a thread that is both; any thread. */
size_t ring_count(const struct ring *r) NONNULL(1);
