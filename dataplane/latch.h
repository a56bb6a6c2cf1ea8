/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latch.h - the table of latches (RFC 5660): flows that are tied to one protection class for their
 * life, both ways. It stands before the SPD and is authoritative; what a flow cache remembers of a
 * flow is out of date as soon as something about its latch has changed.
 *
 * Two kinds: what control latches (LATCH_F_HELD) stays until control takes it away; TCP connections
 * of the host and flows of listeners are latched by the worker that sees their first packet, and
 * end by themselves. Connections have the room that was asked for, listeners' flows an eighth more,
 * and the rest of the places is control's alone: no peer can fill them. What control latches has
 * memory of its own where there is no place left: its flow never goes by policy instead.
 *
 * A fixed number of places, eight to a bucket, two buckets to a flow. A place is claimed by a
 * compare-and-swap of its tag, by control or a worker, and freed by control alone, after all
 * workers were quiescent: what a reader finds stays while it looks. What has no place is in a list
 * at the flow's first bucket, which control writes and workers read.
 */
#pragma once

#include "base/rcu.h"
#include "base/rng.h"
#include "dataplane/flow.h"

struct spd;

#define LATCH_F_HELD 0x01 /* control's: it ends when control says so */
#define LATCH_F_SHUT 0x02 /* nothing passes, either way */
#define LATCH_F_LATE                                                                             \
	0x04              /* the flow was there before it was latched: who began it is not known \
			   */
#define LATCH_F_UP   0x08 /* TCP: the other side has answered */
#define LATCH_F_ENDS 0x10 /* TCP: it is being closed or was reset */
#define LATCH_F_TCP  0x20
#define LATCH_F_IN   0x40 /* the other side began it */

/* struct latch - one flow. */
struct latch {
	struct flow_id id;
	uint64_t word; /* atomic: token | LATCH_F_* << 32. control and workers: compare and swap */
	uint32_t used_s; /* atomic: when the other side last was let in, seconds of a worker's clock
			  */
	uint32_t listener; /* constant: of whose flows it is one; 0 = of none's */
};

/* latch_token, latch_flags - of a word. */
static inline uint32_t latch_token(uint64_t word)
{
	return (uint32_t)word;
}

static inline uint32_t latch_flags(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline uint64_t latch_word(uint32_t token, uint32_t flags)
{
	return token | (uint64_t)flags << 32;
}

static inline uint64_t latch_get(const struct latch *l)
{
	return __atomic_load_n(&l->word, __ATOMIC_ACQUIRE);
}

struct latch_table;

/* latch_table_new - room for num flows (64 to 2^24) and, as places go, up to three times as many;
 * NULL on shortage or if rng fails. A change bumps spd's epoch. */
MALLOC_LIKE struct latch_table *latch_table_new(uint32_t num, struct spd *spd,
						const struct rng *rng) NONNULL(2, 3);
void latch_table_free(struct latch_table *t);

/* latch_table_num - flows that are latched, lately. latch_table_room - places. */
uint32_t latch_table_num(const struct latch_table *t) NONNULL(1);
uint32_t latch_table_room(const struct latch_table *t) NONNULL(1);

/* latch_generation - of what concerns a flow: read it before latch_find(), and what was found is
 * true while it is the same. Any worker. */
uint32_t latch_generation(const struct latch_table *t, const struct flow_id *id) NONNULL(1, 2);

/* latch_find - the flow's latch, NULL if there is none; valid until the reader's next quiescent
 * state. Any worker, or control. */
struct latch *latch_find(const struct latch_table *t, const struct flow_id *id) NONNULL(1, 2);

/* latch_enter - the flow, which has no latch, gets one with this word. Errors: FULL; EXISTS: it has
 * one; AGAIN: somebody else just latches it. Any worker, or control. latch_enter_held - control's:
 * never FULL. Errors: NOMEM, EXISTS, AGAIN. */
MUST_USE enum err latch_enter(struct latch_table *t, struct latch **out, const struct flow_id *id,
			      uint64_t word, uint32_t used_s, uint32_t listener) NONNULL(1, 2, 3);
MUST_USE enum err latch_enter_held(struct latch_table *t, struct latch **out,
				   const struct flow_id *id, uint64_t word, struct rcu_queue *q)
	NONNULL(1, 2, 3, 5);

/* latch_change - the word was `from` and is `to` now; false: it was another. Any worker, or
 * control. */
MUST_USE bool latch_change(struct latch_table *t, struct latch *l, uint64_t from, uint64_t to)
	NONNULL(1, 2);

/* latch_remove - the flow has no latch any more. Control. */
void latch_remove(struct latch_table *t, struct latch *l, struct rcu_queue *q) NONNULL(1, 2, 3);

/* latch_each - fn for each latch that has a place, as all of workers have, from place *at on, n
 * places at most; *at is the next one, 0 when all were visited. fn may remove the latch. Control.
 */
void latch_each(struct latch_table *t, uint32_t *at, uint32_t n,
		void (*fn)(void *ctx, struct latch *l), void *ctx) NONNULL(1, 2, 4);

/* latch_stamp - it is in use. */
static inline void latch_stamp(struct latch *l, uint32_t now_s)
{
	if (__atomic_load_n(&l->used_s, __ATOMIC_RELAXED) != now_s)
		__atomic_store_n(&l->used_s, now_s, __ATOMIC_RELAXED);
}
