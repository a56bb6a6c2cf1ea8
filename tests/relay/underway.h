/* SPDX-License-Identifier: Apache-2.0 */
/*
 * underway.h - frames that are on a wire, in the order in which they come out: a heap by time, and
 * by who entered first where that is the same. One owner.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"

/* UNDERWAY_MAX - so many at a time. */
#define UNDERWAY_MAX 262144

/* struct frame - bytes as a packet socket gives and takes them. */
struct frame {
	size_t len;
	uint8_t bytes[];
};

/* struct place - of one in the heap; to: the end that it comes out at. */
struct place {
	uint64_t due, order;
	struct frame *frame;
	uint32_t to;
};

struct underway {
	struct place *heap; /* the first one is the next */
	uint32_t num;
	uint64_t order;
};

/* underway_init - false: no memory. underway_fini - frees what is still under way too. */
MUST_USE bool underway_init(struct underway *u) NONNULL(1);
void underway_fini(struct underway *u) NONNULL(1);

/* underway_add - copies a frame that comes out at `due`. false: there are too many. */
MUST_USE bool underway_add(struct underway *u, uint64_t due, uint32_t to, const uint8_t *bytes,
			   size_t len) NONNULL(1, 4);

/* underway_take - the next one; the caller frees its frame. There is one. */
struct place underway_take(struct underway *u) NONNULL(1);

/* underway_due - when the next one comes out; UINT64_MAX: there is none. */
static inline uint64_t underway_due(const struct underway *u)
{
	return u->num ? u->heap[0].due : UINT64_MAX;
}
