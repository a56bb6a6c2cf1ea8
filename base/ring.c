/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#include "base/alloc.h"

#include <assert.h>

/* Positions run freely; the difference is the fill, the low bits are the place. Each side keeps a
 * copy of the other's position and reads the shared one only when that copy says full or empty. */
struct ring {
	/* producer: rw, consumer: reads tail */
	alignas(CACHE_LINE) size_t tail;
	size_t head_seen;
	/* consumer: rw, producer: reads head */
	alignas(CACHE_LINE) size_t head;
	size_t tail_seen;
	/* constant */
	alignas(CACHE_LINE) size_t mask;
	void *places[];
};

#define RING_MAX ((size_t)1 << 24)

static size_t round_up(size_t capacity)
{
	size_t n = 2;

	while (n < capacity && n < RING_MAX)
		n *= 2;
	return n;
}

struct ring *ring_new(size_t capacity)
{
	size_t n = round_up(capacity);
	struct ring *r = mem_alloc_aligned(CACHE_LINE, sizeof(*r) + n * sizeof(r->places[0]));

	if (r)
		r->mask = n - 1;
	return r;
}

void ring_free(struct ring *r)
{
	mem_free_aligned(r);
}

bool ring_push(struct ring *r, void *p)
{
	size_t tail = r->tail;

	if (tail - r->head_seen > r->mask) {
		/* Pairs with the release in ring_pop(): the place has been read before it is
		 * reused. */
		r->head_seen = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
		if (tail - r->head_seen > r->mask)
			return false;
	}
	r->places[tail & r->mask] = p;
	/* Pairs with the acquire in ring_pop(): p, and what it points to, is written before. */
	__atomic_store_n(&r->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

void *ring_pop(struct ring *r)
{
	size_t head = r->head;
	void *p;

	if (head == r->tail_seen) {
		/* Pairs with the release in ring_push(). */
		r->tail_seen = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
		if (head == r->tail_seen)
			return NULL;
	}
	p = r->places[head & r->mask];
	/* Pairs with the acquire in ring_push(). */
	__atomic_store_n(&r->head, head + 1, __ATOMIC_RELEASE);
	return p;
}

size_t ring_count(const struct ring *r)
{
	/* The head first: it only grows, so a later tail never seems to be behind it. */
	size_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
	size_t n = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) - head;

	return n > r->mask + 1 ? r->mask + 1 : n;
}
